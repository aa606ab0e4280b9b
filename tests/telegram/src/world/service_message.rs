//! The line about a call in both users' chats: `messageActionPhoneCall`.

use grammers_tl_types as tl;

use super::call::Call;
use super::clock::unix_now;
use super::contacts::peer;
use super::state::State;

impl State {
    /// Files the line in both boxes. The update for `by` is returned instead of pushed.
    pub(crate) fn tell_chats(&mut self, call: &Call, by: Option<i64>) -> Option<tl::enums::Update> {
        let (admin, participant) = (call.admin.user, call.participant.user);
        let mut answer = None;
        for (owner, other, out) in [(admin, participant, true), (participant, admin, false)] {
            let Some(user) = self.users.user_mut(owner) else { continue };
            let id = user.mailbox.next_message();
            let message = message(call, id, peer(other), out);
            let update = self.deliver(owner, message, &[admin, participant], by);
            if by.and_then(|key| self.keys.key(key)).and_then(|key| key.user) == Some(owner) {
                answer = Some(update);
            }
        }
        answer
    }
}

fn message(call: &Call, id: i32, peer_id: tl::enums::Peer, out: bool) -> tl::enums::Message {
    let (reason, duration) = call.ending().map_or((None, None), |(reason, duration)| (reason, duration));
    let action = tl::types::MessageActionPhoneCall {
        video: call.video,
        call_id: call.id,
        reason: reason.map(|reason| reason.to_tl()),
        duration,
    };
    tl::types::MessageService {
        out,
        mentioned: false,
        media_unread: false,
        reactions_are_possible: false,
        silent: false,
        post: false,
        legacy: false,
        id,
        from_id: Some(peer(call.admin.user)),
        peer_id,
        saved_peer_id: None,
        reply_to: None,
        date: unix_now(),
        action: action.into(),
        reactions: None,
        ttl_period: None,
    }
    .into()
}
