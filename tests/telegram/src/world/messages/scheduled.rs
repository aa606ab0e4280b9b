//! Messages that wait for their time (core.telegram.org/api/scheduled-messages): kept apart from the box, under numbers
//! of their own, and sent by the world's clock.

use std::collections::BTreeMap;
use std::time::Duration;

use grammers_tl_types as tl;

use super::message::{Draft, Place, people};
use super::post::Posted;
use super::send::answered;
use crate::world::clock::{Due, unix_now};
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::outbox::Parcel;
use crate::world::peers::{Named, peer};
use crate::world::settings::Wrap;
use crate::world::state::State;

/// Most messages that wait in one chat.
const WAITING_MAX: usize = 100;
/// Furthest time, in seconds from now: a year and a day.
const AHEAD_MAX_S: i32 = 366 * 86_400;
/// A time nearer than this, in seconds, is now.
const SOON_S: i32 = 10;
/// Instead of a time: when the other user is next seen online, which nobody here is.
const WHEN_ONLINE: i32 = 0x7fff_fffe;

/// A message that waits.
#[derive(Debug, Clone)]
struct Waiting {
    draft: Draft,
    date: i32,
}

/// All messages that wait, by sender, chat and number.
#[derive(Debug, Default)]
pub(crate) struct Scheduled {
    waiting: BTreeMap<(i64, i64), BTreeMap<i32, Waiting>>,
    /// Of each sender.
    last: BTreeMap<i64, i32>,
}

/// When a message with this time is sent: `None` is at once.
///
/// # Errors
/// `SCHEDULE_DATE_TOO_LATE`, `SCHEDULE_TOO_MUCH`.
pub(super) fn due(state: &State, user: i64, to: i64, date: i32) -> Result<Option<i32>, RpcError> {
    if date != WHEN_ONLINE {
        if date < unix_now().saturating_add(SOON_S) {
            return Ok(None);
        }
        if date > unix_now().saturating_add(AHEAD_MAX_S) {
            return Err(RpcError::bad_request("SCHEDULE_DATE_TOO_LATE"));
        }
    }
    let waiting = state.scheduled.waiting.get(&(user, to)).map_or(0, BTreeMap::len);
    if waiting >= WAITING_MAX {
        return Err(RpcError::bad_request("SCHEDULE_TOO_MUCH"));
    }
    Ok(Some(date))
}

impl State {
    /// Keeps a message until its time, and tells the sender's devices but the key `by`.
    pub(crate) fn schedule(
        &mut self,
        user: i64,
        to: i64,
        draft: Draft,
        date: i32,
        by: Option<i64>,
    ) -> tl::enums::Update {
        let last = self.scheduled.last.entry(user).or_insert(0);
        *last += 1;
        let id = *last;
        self.scheduled.waiting.entry((user, to)).or_default().insert(id, Waiting { draft, date });
        self.wait(user, to, id, date);
        self.tell_scheduled(user, to, id, by)
    }

    fn wait(&self, user: i64, to: i64, id: i32, date: i32) {
        if date != WHEN_ONLINE {
            let seconds = u64::try_from(date.saturating_sub(unix_now())).unwrap_or(0);
            self.clock.after_scaled(Duration::from_secs(seconds), Due::Scheduled { user, to, id, date });
        }
    }

    fn tell_scheduled(&mut self, user: i64, to: i64, id: i32, by: Option<i64>) -> tl::enums::Update {
        let message = self.waiting_message(user, to, id);
        let named = people(&message);
        let update: tl::enums::Update = tl::types::UpdateNewScheduledMessage { message }.into();
        self.push_to_others(user, by.unwrap_or(0), update.clone(), &named);
        update
    }

    /// Changes what waits: its text and its time.
    pub(crate) fn reschedule(
        &mut self,
        user: i64,
        to: i64,
        id: i32,
        date: i32,
        change: impl FnOnce(&mut Draft),
        by: Option<i64>,
    ) -> Result<tl::enums::Update, RpcError> {
        let waiting = self.scheduled.waiting.get_mut(&(user, to)).and_then(|waiting| waiting.get_mut(&id));
        let waiting = waiting.ok_or_else(|| RpcError::bad_request("MESSAGE_ID_INVALID"))?;
        change(&mut waiting.draft);
        waiting.date = date;
        self.wait(user, to, id, date);
        Ok(self.tell_scheduled(user, to, id, by))
    }

    /// The time of a message has come, unless it was changed, sent or deleted since.
    pub(crate) fn scheduled_due(&mut self, user: i64, to: i64, id: i32, date: i32) {
        let waiting = self.scheduled.waiting.get(&(user, to)).and_then(|waiting| waiting.get(&id));
        if waiting.is_some_and(|waiting| waiting.date == date) {
            self.send_waiting(user, to, id, None);
        }
    }

    fn send_waiting(&mut self, user: i64, to: i64, id: i32, by: Option<i64>) -> Option<Posted> {
        let waiting = self.scheduled.waiting.get_mut(&(user, to))?.remove(&id)?;
        let draft = Draft { from_scheduled: true, ..waiting.draft };
        let sent = self.may_post(user, to, &draft).is_ok().then(|| self.post(user, to, draft, by));
        let numbers = sent.as_ref().map(|posted| vec![posted.id]);
        let update = gone(to, vec![id], numbers);
        for key in self.keys.main_of(user).into_iter().filter(|key| Some(*key) != by) {
            let (update, users) = (update.clone(), vec![to]);
            self.push(Parcel { key, update, users, wrap: Wrap::Updates });
        }
        sent
    }

    fn waiting_message(&self, user: i64, to: i64, id: i32) -> tl::enums::Message {
        let waiting = self.scheduled.waiting.get(&(user, to)).and_then(|waiting| waiting.get(&id));
        let Some(waiting) = waiting else { return tl::types::MessageEmpty { id, peer_id: None }.into() };
        let post = self.groups.is_broadcast(to);
        let place = Place { owner: user, chat: to, id, out: true, from: Some(user), post };
        let mut message = waiting.draft.copy(place, waiting.draft.reply_to);
        message.date = waiting.date;
        message.into()
    }

    /// What waits in a chat, by number.
    pub(crate) fn waiting_in(&self, user: i64, to: i64) -> Vec<i32> {
        let waiting = self.scheduled.waiting.get(&(user, to));
        waiting.map(|waiting| waiting.keys().copied().collect()).unwrap_or_default()
    }

    /// Sends at once all that a user has waiting.
    pub(crate) fn hurry(&mut self, user: i64) -> usize {
        let chats: Vec<i64> =
            self.scheduled.waiting.keys().filter(|(owner, _)| *owner == user).map(|(_, to)| *to).collect();
        let mut sent = 0;
        for to in chats {
            for id in self.waiting_in(user, to) {
                sent += usize::from(self.send_waiting(user, to, id, None).is_some());
            }
        }
        sent
    }
}

fn gone(to: i64, messages: Vec<i32>, sent_messages: Option<Vec<i32>>) -> tl::enums::Update {
    tl::types::UpdateDeleteScheduledMessages { peer: peer(to), messages, sent_messages }.into()
}

/// `messages.getScheduledHistory`: the one that is sent last first.
pub(crate) fn get_scheduled_history(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetScheduledHistory,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let to = ctx.state.input_peer(ctx.user, &request.peer)?;
    let mut ids = ctx.state.waiting_in(ctx.user, to);
    ids.sort_by_key(|id| std::cmp::Reverse(date_of(&ctx.state.waiting_message(ctx.user, to, *id))));
    Ok(listed(ctx, to, &ids))
}

/// `messages.getScheduledMessages`.
pub(crate) fn get_scheduled_messages(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetScheduledMessages,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let to = ctx.state.input_peer(ctx.user, &request.peer)?;
    Ok(listed(ctx, to, &request.id))
}

/// `messages.sendScheduledMessages`: now.
pub(crate) fn send_scheduled_messages(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::SendScheduledMessages,
) -> Result<tl::enums::Updates, RpcError> {
    let to = ctx.state.input_peer(ctx.user, &request.peer)?;
    let mut updates = Vec::new();
    for id in request.id {
        let sent = ctx.state.send_waiting(ctx.user, to, id, Some(ctx.caller.auth_key_id));
        let sent = sent.ok_or_else(|| RpcError::bad_request("MESSAGE_ID_INVALID"))?;
        updates.push(gone(to, vec![id], Some(vec![sent.id])));
        updates.push(sent.update);
    }
    Ok(answered(ctx, updates))
}

/// `messages.deleteScheduledMessages`.
pub(crate) fn delete_scheduled_messages(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::DeleteScheduledMessages,
) -> Result<tl::enums::Updates, RpcError> {
    let to = ctx.state.input_peer(ctx.user, &request.peer)?;
    let waiting = ctx.state.scheduled.waiting.entry((ctx.user, to)).or_default();
    let ids: Vec<i32> = request.id.into_iter().filter(|id| waiting.remove(id).is_some()).collect();
    let update = gone(to, ids, None);
    ctx.state.push_to_others(ctx.user, ctx.caller.auth_key_id, update.clone(), &[to]);
    Ok(answered(ctx, vec![update]))
}

fn listed(ctx: &Ctx<'_>, to: i64, ids: &[i32]) -> tl::enums::messages::Messages {
    let messages: Vec<_> = ids.iter().map(|id| ctx.state.waiting_message(ctx.user, to, *id)).collect();
    let Named { users, chats } = ctx.state.named(ctx.user, messages.iter().flat_map(people));
    tl::types::messages::Messages { messages, topics: Vec::new(), chats, users }.into()
}

fn date_of(message: &tl::enums::Message) -> i32 {
    match message {
        tl::enums::Message::Message(message) => message.date,
        tl::enums::Message::Service(_) | tl::enums::Message::Empty(_) => 0,
    }
}
