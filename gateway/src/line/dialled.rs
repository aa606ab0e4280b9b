//! A call of the PBX: whom it means, and whether the line takes it now.

use std::net::IpAddr;
use std::time::Instant;

use tgtrunk_bridge::Cause;
use tgtrunk_config::CallId;
use tgtrunk_sip::{Identity, RemoteAudio};

use super::Line;
use super::calls::Direction;
use crate::call::{self, Opening, TrunkLeg};
use crate::{clock, rules};

impl Line {
    /// Places the call at Telegram, or refuses it with its cause.
    pub(super) fn pbx_calls(
        &mut self,
        now: Instant,
        (sip, source): (tgtrunk_sip::CallId, IpAddr),
        sip_call_id: &str,
        dialled: String,
        identity: Identity,
        remote: Option<RemoteAudio>,
    ) {
        let full = self.calls.is_full(Direction::ToTelegram, &self.settings.calls);
        let place = if full { None } else { self.house.rush.admit(now) };
        let refused = match self.shared.pause.cause(now) {
            _ if self.stopping.is_some() => Some(Cause::Stopping),
            Some(cause) => Some(cause),
            None if full => Some(Cause::LineFull),
            None => self.minutes_used(),
        };
        let person = rules::dialled(&self.admission.written(&dialled), &self.settings.dial);
        let cause = match (refused, person, place) {
            (Some(cause), _, _) => cause,
            (None, _, None) => Cause::Overloaded,
            (None, Err(error), Some(_)) => {
                tracing::info!("a call was refused: what was dialled is neither number nor name");
                tracing::debug!(%error, "dialled");
                Cause::from(&error)
            }
            (None, Ok(person), Some(place)) => 'placed: {
                let now_ms = clock::unix_ms();
                let placed = self.admission.place(now, now_ms, Some(&dialled), person, &self.account);
                let callee = match placed {
                    Ok(callee) => callee,
                    Err(cause) => {
                        tracing::info!(?cause, "a call was refused by the line's rules");
                        break 'placed cause;
                    }
                };
                let Some(audio) = self.trunk.as_ref().map(|trunk| trunk.audio(source)) else { return };
                let trunk = TrunkLeg::from_pbx(audio, remote);
                let key = self.calls.reserve(Direction::ToTelegram, Some(dialled), place);
                self.calls.bind_caller(key, sip);
                self.calls.name_sip(key, sip_call_id);
                self.calls.tell_pbx_side(key, rules::pbx_side(identity));
                tracing::info!(call = %CallId(key), sip_call_id, "the PBX calls");
                return self.begin(key, Opening::ToTelegram { callee, trunk });
            }
        };
        if let Some(trunk) = &mut self.trunk {
            trunk.endpoint.reject(now, sip, call::rejection(cause));
        }
        self.pbx_lost(now, dialled, identity, sip_call_id.to_owned(), cause);
    }
}
