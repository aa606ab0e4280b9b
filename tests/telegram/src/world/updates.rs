//! The common box of messages and its counter `pts` (core.telegram.org/api/updates), and `updates.*`.

use std::collections::VecDeque;

use grammers_tl_types as tl;

use super::clock::unix_now;
use super::dispatch::Ctx;
use super::error::RpcError;
use super::outbox::Parcel;
use super::settings::Wrap;
use super::state::State;

/// Events kept for sessions that were away; who was away longer gets `differenceTooLong`.
const KEPT: usize = 10_000;

/// A user's box of messages: one number per message, one `pts` per event.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pts: i32,
    last_message: i32,
    events: VecDeque<(i32, tl::enums::Message)>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self { pts: 1, last_message: 0, events: VecDeque::new() }
    }
}

impl Mailbox {
    pub(crate) fn pts(&self) -> i32 {
        self.pts
    }

    /// The number that the next message gets.
    pub(crate) fn next_message(&mut self) -> i32 {
        self.last_message += 1;
        self.last_message
    }

    /// Files a new message and returns its `pts`.
    pub(crate) fn file(&mut self, message: tl::enums::Message) -> i32 {
        self.pts += 1;
        if self.events.len() == KEPT {
            self.events.pop_front();
        }
        self.events.push_back((self.pts, message));
        self.pts
    }

    /// The events after `pts`, if all of them are still kept.
    fn since(&self, pts: i32) -> Option<Vec<(i32, tl::enums::Message)>> {
        let missing = usize::try_from(self.pts - pts).ok()?;
        let skip = self.events.len().checked_sub(missing)?;
        Some(self.events.iter().skip(skip).cloned().collect())
    }
}

impl State {
    /// Files a message in a user's box and tells the user's devices, but `by`, whose update is returned.
    pub(crate) fn deliver(
        &mut self,
        user: i64,
        message: tl::enums::Message,
        users: &[i64],
        by: Option<i64>,
    ) -> tl::enums::Update {
        let pts = self.users.user_mut(user).map_or(0, |user| user.mailbox.file(message.clone()));
        let update: tl::enums::Update = tl::types::UpdateNewMessage { message, pts, pts_count: 1 }.into();
        for key in self.keys.main_of(user) {
            if Some(key) != by {
                self.push(Parcel { key, update: update.clone(), users: users.to_vec(), wrap: Wrap::Updates });
            }
        }
        update
    }

    fn update_state(&self, user: i64, key: i64, pts: Option<i32>) -> tl::enums::updates::State {
        let pts = pts.or_else(|| self.users.user(user).map(|user| user.mailbox.pts)).unwrap_or(1);
        let seq = self.keys.key(key).map_or(0, |key| key.seq);
        tl::types::updates::State { pts, qts: 0, date: unix_now(), seq, unread_count: 0 }.into()
    }
}

/// `updates.getState`.
pub(crate) fn get_state(
    ctx: &mut Ctx<'_>,
    _: tl::functions::updates::GetState,
) -> Result<tl::enums::updates::State, RpcError> {
    Ok(ctx.state.update_state(ctx.user, ctx.caller.auth_key_id, None))
}

/// `updates.getDifference`: empty, whole, a slice, or too long.
pub(crate) fn get_difference(
    ctx: &mut Ctx<'_>,
    request: tl::functions::updates::GetDifference,
) -> Result<tl::enums::updates::Difference, RpcError> {
    if request.pts == 0 {
        return Err(RpcError::bad_request("PERSISTENT_TIMESTAMP_EMPTY"));
    }
    if request.pts < 0 {
        return Err(RpcError::bad_request("PERSISTENT_TIMESTAMP_INVALID"));
    }
    let (user, key) = (ctx.user, ctx.caller.auth_key_id);
    let state = &*ctx.state;
    let Some(mailbox) = state.users.user(user).map(|user| &user.mailbox) else {
        return Err(RpcError::unauthorized("AUTH_KEY_UNREGISTERED"));
    };
    let behind = mailbox.pts.saturating_sub(request.pts).max(0);
    let most = request.pts_total_limit.unwrap_or(i32::MAX).min(state.settings.difference_too_long);
    let events = mailbox.since(mailbox.pts - behind).filter(|_| behind <= most);
    let Some(mut events) = events else {
        return Ok(tl::types::updates::DifferenceTooLong { pts: mailbox.pts }.into());
    };
    let asked = request.pts_limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let slice = events.len() > asked.min(state.settings.difference_slice);
    events.truncate(asked.min(state.settings.difference_slice));
    let other_updates = if slice { Vec::new() } else { state.calls_to_repeat(user) };
    if events.is_empty() && other_updates.is_empty() {
        let seq = state.keys.key(key).map_or(0, |key| key.seq);
        return Ok(tl::types::updates::DifferenceEmpty { date: unix_now(), seq }.into());
    }
    let reached = events.last().map(|(pts, _)| *pts);
    let new_messages: Vec<_> = events.into_iter().map(|(_, message)| message).collect();
    let named =
        new_messages.iter().flat_map(people).chain(other_updates.iter().flat_map(callers)).chain([user]);
    let users = state.users.many_seen_by(user, named);
    let (new_encrypted_messages, chats) = (Vec::new(), Vec::new());
    let reached = state.update_state(user, key, reached);
    Ok(if slice {
        tl::types::updates::DifferenceSlice {
            new_messages,
            new_encrypted_messages,
            other_updates,
            chats,
            users,
            intermediate_state: reached,
        }
        .into()
    } else {
        tl::types::updates::Difference {
            new_messages,
            new_encrypted_messages,
            other_updates,
            chats,
            users,
            state: reached,
        }
        .into()
    })
}

/// `updates.getChannelDifference`: there are no channels.
pub(crate) fn get_channel_difference(
    _: &mut Ctx<'_>,
    _: tl::functions::updates::GetChannelDifference,
) -> Result<tl::enums::updates::ChannelDifference, RpcError> {
    Err(RpcError::bad_request("CHANNEL_INVALID"))
}

/// Whom a message names.
fn people(message: &tl::enums::Message) -> Vec<i64> {
    let (peer, from) = match message {
        tl::enums::Message::Service(message) => (Some(&message.peer_id), message.from_id.as_ref()),
        tl::enums::Message::Message(message) => (Some(&message.peer_id), message.from_id.as_ref()),
        tl::enums::Message::Empty(_) => (None, None),
    };
    let id = |peer: &tl::enums::Peer| match peer {
        tl::enums::Peer::User(user) => Some(user.user_id),
        tl::enums::Peer::Chat(_) | tl::enums::Peer::Channel(_) => None,
    };
    peer.into_iter().chain(from).filter_map(id).collect()
}

fn callers(update: &tl::enums::Update) -> Option<i64> {
    match update {
        tl::enums::Update::PhoneCall(call) => match &call.phone_call {
            tl::enums::PhoneCall::Requested(call) => Some(call.admin_id),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_again_by_their_counter() {
        let mut mailbox = Mailbox::default();
        let first = mailbox.pts();
        for _ in 0..3 {
            let id = mailbox.next_message();
            mailbox.file(tl::types::MessageEmpty { id, peer_id: None }.into());
        }
        let missed = mailbox.since(first + 1).unwrap();
        assert_eq!(missed.iter().map(|(pts, _)| *pts).collect::<Vec<_>>(), [first + 2, first + 3]);
        assert_eq!(mailbox.since(mailbox.pts()), Some(Vec::new()));
        assert_eq!(mailbox.since(first - 1), None);
    }

    #[test]
    fn a_box_keeps_a_bounded_number_of_events() {
        let mut mailbox = Mailbox::default();
        for id in 0..i32::try_from(KEPT).unwrap() + 5 {
            mailbox.file(tl::types::MessageEmpty { id, peer_id: None }.into());
        }
        assert_eq!(mailbox.events.len(), KEPT);
        assert_eq!(mailbox.since(2), None);
    }
}
