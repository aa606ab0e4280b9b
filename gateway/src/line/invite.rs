//! What the PBX is told of a caller.

use std::net::SocketAddr;

use tgtrunk_bridge::Caller;
use tgtrunk_config::{CallId, CallerPrivacy};
use tgtrunk_sip::{Invite, LocalAudio};
use tgtrunk_telegram::Resolved;

use super::Line;
use crate::rules;

impl Line {
    /// What the PBX gets when this person calls, its audio still to be filled in.
    pub(super) fn invite(&self, key: u64, caller: &Resolved) -> Invite {
        let caller = Caller {
            id: caller.id,
            phone: caller.phone.clone(),
            username: caller.username.clone(),
            first_name: caller.first_name.clone(),
            last_name: caller.last_name.clone(),
        };
        let id = rules::caller_id(&self.settings.caller_id).apply(&caller);
        let context = CallId(key).to_string();
        Invite {
            to_user: self.settings.pbx_user.clone(),
            from_user: id.user,
            display_name: id.display_name,
            private: match self.settings.caller_id.privacy {
                CallerPrivacy::Never => false,
                CallerPrivacy::WithoutPhone => caller.phone.is_none(),
                CallerPrivacy::Always => true,
            },
            headers: caller
                .headers(&context)
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            audio: LocalAudio {
                rtp: SocketAddr::new(self.house.settings.gateway.sip_bind, 0),
                codecs: Vec::new(),
                telephone_event: false,
                rtcp: None,
                rtcp_mux: false,
            },
        }
    }
}
