//! Lines in both users' chats: about a call (`messageActionPhoneCall`), about a pinned message
//! (`messageActionPinMessage`).

use grammers_tl_types as tl;

use super::call::Call;
use super::clock::unix_now;
use super::contacts::peer;
use super::message::{Place, reply_header};
use super::state::State;

impl State {
    /// Files the line in both boxes. The update for `by` is returned instead of pushed.
    pub(crate) fn tell_chats(&mut self, call: &Call, by: Option<i64>) -> Option<tl::enums::Update> {
        let (admin, participant) = (call.admin.user, call.participant.user);
        let posted = self.file_both(admin, participant, by, |place| message(call, place));
        let told = by.and_then(|key| self.keys.key(key)).and_then(|key| key.user)?;
        if told == admin { Some(posted.update) } else { posted.twin_update }
    }

    /// Files the line that a message of the sender's box is pinned.
    pub(crate) fn tell_pinned(&mut self, from: i64, to: i64, id: i32, silent: bool) {
        let there = self.twin(from, id).map(|(_, id)| id);
        self.file_both(from, to, None, |place| {
            let pinned = if place.owner == from { Some(id) } else { there };
            let reply_to = pinned.map(reply_header);
            let action = tl::types::MessageActionPinMessage {}.into();
            tl::types::MessageService { silent, reply_to, ..line(place, action) }.into()
        });
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
        post: false,
        legacy: false,
        id: place.id,
        from_id: place.sender(),
        peer_id: peer(place.chat),
        saved_peer_id: None,
        reply_to: None,
        date: unix_now(),
        action,
        reactions: None,
        ttl_period: None,
    }
}
