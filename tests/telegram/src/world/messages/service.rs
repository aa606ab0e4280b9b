//! Lines in chats that nobody wrote: about a call (`messageActionPhoneCall`), about a pinned message
//! (`messageActionPinMessage`), about what became of a group (`messageActionChat*`).

use grammers_tl_types as tl;

use super::message::{Place, reply_header};
use super::post::Posted;
use crate::world::call::Call;
use crate::world::clock::unix_now;
use crate::world::peers::peer;
use crate::world::state::State;

impl State {
    /// Files the line in both boxes. The update for `by` is returned instead of pushed.
    pub(crate) fn tell_chats(&mut self, call: &Call, by: Option<i64>) -> Option<tl::enums::Update> {
        let (admin, participant) = (call.admin.user, call.participant.user);
        let posted = self.file_all(admin, participant, by, |place| message(call, place));
        let told = by.and_then(|key| self.keys.key(key)).and_then(|key| key.user)?;
        if told == admin { Some(posted.update) } else { posted.twin_update }
    }

    /// Files the line that a message of the sender's box, or of the channel's, is pinned.
    pub(crate) fn tell_pinned(
        &mut self,
        from: i64,
        to: i64,
        id: i32,
        silent: bool,
        by: Option<i64>,
    ) -> Posted {
        let copies = self.copies(super::post::box_of(from, to), id);
        self.file_all(from, to, by, |place| {
            let pinned = copies.iter().find(|(owner, _)| *owner == place.owner).map(|(_, id)| *id);
            let reply_to = pinned.map(reply_header);
            let action = tl::types::MessageActionPinMessage {}.into();
            tl::types::MessageService { silent, reply_to, ..line(place, action) }.into()
        })
    }

    /// Files a line about a group in the boxes of its members and of `also`.
    pub(crate) fn tell_group(
        &mut self,
        from: i64,
        group: i64,
        also: Option<i64>,
        action: &tl::enums::MessageAction,
        by: Option<i64>,
    ) -> Posted {
        let mut readers = self.groups.members(group);
        readers.extend(also.filter(|other| !readers.contains(other)));
        self.file_for(from, group, &readers, by, |place| line(place, action.clone()).into())
    }
}

fn message(call: &Call, place: Place) -> tl::enums::Message {
    let (reason, duration) = call.ending().map_or((None, None), |(reason, duration)| (reason, duration));
    let action = tl::types::MessageActionPhoneCall {
        video: call.video,
        call_id: call.id,
        reason: reason.map(|reason| reason.to_tl()),
        duration,
    };
    line(place, action.into()).into()
}

fn line(place: Place, action: tl::enums::MessageAction) -> tl::types::MessageService {
    tl::types::MessageService {
        out: place.out,
        mentioned: false,
        media_unread: false,
        reactions_are_possible: false,
        silent: false,
        post: place.post,
        legacy: false,
        id: place.id,
        from_id: place.from.map(peer),
        peer_id: peer(place.chat),
        saved_peer_id: None,
        reply_to: None,
        date: unix_now(),
        action,
        reactions: None,
        ttl_period: None,
    }
}
