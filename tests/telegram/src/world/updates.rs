//! `updates.*`: where a session is, and what it missed (core.telegram.org/api/updates).

use grammers_tl_types as tl;

use super::clock::unix_now;
use super::dispatch::Ctx;
use super::error::RpcError;
use super::messages::mailbox::Event;
use super::messages::message::people;
use super::messages::send::named_in;
use super::peers::{Named, bare};
use super::state::State;

impl State {
    fn update_state(&self, user: i64, key: i64, pts: Option<i32>) -> tl::enums::updates::State {
        let pts = pts.or_else(|| self.users.user(user).map(|user| user.mailbox.pts())).unwrap_or(1);
        let seq = self.keys.key(key).map_or(0, |key| key.seq);
        tl::types::updates::State { pts, qts: 0, date: unix_now(), seq, unread_count: 0 }.into()
    }

    /// The supergroups and channels of a user in which something happened since, Unix time.
    fn channels_changed(&self, user: i64, since: i32) -> Vec<tl::enums::Update> {
        let changed = |id: i64| self.mailbox(id).filter(|mailbox| mailbox.changed() >= since);
        let told = |(id, _)| {
            let pts = Some(changed(id)?.pts());
            Some(tl::types::UpdateChannelTooLong { channel_id: bare(id), pts }.into())
        };
        self.groups.channels_of(user).filter_map(told).collect()
    }
}

/// Where the caller's session is now.
pub(crate) fn state_of(ctx: &Ctx<'_>) -> tl::enums::updates::State {
    ctx.state.update_state(ctx.user, ctx.caller.auth_key_id, None)
}

/// `updates.getState`.
pub(crate) fn get_state(
    ctx: &mut Ctx<'_>,
    _: tl::functions::updates::GetState,
) -> Result<tl::enums::updates::State, RpcError> {
    Ok(state_of(ctx))
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
    let behind = mailbox.pts().saturating_sub(request.pts).max(0);
    let most = request.pts_total_limit.unwrap_or(i32::MAX).min(state.settings.difference_too_long);
    let events = mailbox.since(mailbox.pts() - behind).filter(|_| behind <= most);
    let Some(mut events) = events else {
        return Ok(tl::types::updates::DifferenceTooLong { pts: mailbox.pts() }.into());
    };
    let asked = request.pts_limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let slice = events.len() > asked.min(state.settings.difference_slice);
    events.truncate(asked.min(state.settings.difference_slice));
    let calls = if slice { Vec::new() } else { state.calls_to_repeat(user) };
    let channels = if slice { Vec::new() } else { state.channels_changed(user, request.date) };
    if events.is_empty() && calls.is_empty() && channels.is_empty() {
        let seq = state.keys.key(key).map_or(0, |key| key.seq);
        return Ok(tl::types::updates::DifferenceEmpty { date: unix_now(), seq }.into());
    }
    let reached = events.last().map(|(pts, _)| *pts);
    let mut new_messages = Vec::new();
    // What this session handed in and may have no answer to.
    let number = |(_, event): &(i32, Event)| {
        let Event::New(id) = event else { return None };
        let (_, random_id) = state.filed(user, *id)?.handed_in.filter(|(by, _)| *by == key)?;
        Some(tl::types::UpdateMessageId { id: *id, random_id }.into())
    };
    let mut other_updates: Vec<tl::enums::Update> = events.iter().filter_map(number).collect();
    for (pts, event) in &events {
        match event {
            // As it is now; one that is gone again never was.
            Event::New(id) => {
                new_messages.extend(state.filed(user, *id).map(|filed| state.shown(user, filed)))
            }
            Event::Edit(id) if state.filed(user, *id).is_none() => {}
            Event::Edit(_)
            | Event::Delete(_)
            | Event::ReadInbox { .. }
            | Event::ReadOutbox { .. }
            | Event::Pin { .. }
            | Event::ReadContents(_)
            | Event::Folder { .. } => {
                other_updates.push(state.told(user, user, *pts, event));
            }
        }
    }
    other_updates.extend(calls);
    other_updates.extend(channels);
    let named =
        new_messages.iter().flat_map(people).chain(other_updates.iter().flat_map(named_in)).chain([user]);
    let Named { users, chats } = state.named(user, named);
    let new_encrypted_messages = Vec::new();
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
