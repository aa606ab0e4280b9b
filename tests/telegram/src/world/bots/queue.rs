//! What waits for a bot: updates with their numbers, the polls that ask for them, and the webhook.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::world::prime::random;

/// Updates kept for a bot that does not fetch them; the oldest go first.
const KEPT: usize = 10_000;

/// A kind of update, as `allowed_updates` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    EditedMessage,
    CallbackQuery,
    InlineQuery,
    ChosenInlineResult,
    MyChatMember,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::EditedMessage => "edited_message",
            Self::CallbackQuery => "callback_query",
            Self::InlineQuery => "inline_query",
            Self::ChosenInlineResult => "chosen_inline_result",
            Self::MyChatMember => "my_chat_member",
        }
    }
}

/// Where updates are posted instead of being fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Webhook {
    pub(crate) url: String,
    /// Sent as `X-Telegram-Bot-Api-Secret-Token`.
    pub(crate) secret: Option<String>,
    pub(crate) max_connections: i64,
    /// Unix time in seconds and what went wrong.
    pub(crate) last_error: Option<(i32, String)>,
}

/// A bot's queue.
#[derive(Debug)]
pub(crate) struct Queue {
    updates: VecDeque<(i64, Value)>,
    next_id: i64,
    /// Kinds that the bot asked for; all without it.
    pub(crate) allowed: Option<Vec<String>>,
    pub(crate) webhook: Option<Webhook>,
    /// Rung when an update came, a poll began, or the webhook changed.
    pub(crate) bell: Arc<Notify>,
    /// The poll that began last, or the change of webhook that ended it.
    ticket: u64,
    pub(crate) last_poll_ms: Option<u64>,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            updates: VecDeque::new(),
            next_id: i64::from(u32::from_le_bytes(random()) % 900_000_000) + 100_000_000,
            allowed: None,
            webhook: None,
            bell: Arc::default(),
            ticket: 0,
            last_poll_ms: None,
        }
    }
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.updates.len()
    }

    /// Adds an update, unless the bot does not want its kind.
    pub(crate) fn put(&mut self, kind: Kind, content: Value) {
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.iter().any(|name| name == kind.name())) {
            return;
        }
        if self.updates.len() == KEPT {
            self.updates.pop_front();
        }
        let id = self.next_id;
        self.next_id += 1;
        self.updates.push_back((id, json!({ "update_id": id, kind.name(): content })));
        self.bell.notify_waiters();
    }

    /// Forgets all updates before `offset`; a negative one leaves so many of the last.
    pub(crate) fn confirm(&mut self, offset: i64) {
        if offset < 0 {
            let keep = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
            self.updates.drain(..self.updates.len().saturating_sub(keep));
        } else {
            while self.updates.front().is_some_and(|(id, _)| *id < offset) {
                self.updates.pop_front();
            }
        }
    }

    /// The oldest updates.
    pub(crate) fn first(&self, limit: usize) -> Vec<Value> {
        self.updates.iter().take(limit).map(|(_, update)| update.clone()).collect()
    }

    /// The oldest update and its number.
    pub(crate) fn front(&self) -> Option<(i64, Value)> {
        self.updates.front().cloned()
    }

    pub(crate) fn clear(&mut self) {
        self.updates.clear();
    }

    /// Begins a poll, or changes the webhook: what waited under another ticket is over.
    pub(crate) fn take_ticket(&mut self) -> u64 {
        self.ticket += 1;
        self.bell.notify_waiters();
        self.ticket
    }

    pub(crate) fn holds(&self, ticket: u64) -> bool {
        self.ticket == ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_confirms_what_is_before_it() {
        let mut queue = Queue::default();
        for number in 0..4 {
            queue.put(Kind::Message, json!({ "number": number }));
        }
        let first = queue.front().unwrap().0;
        queue.confirm(first);
        assert_eq!(queue.first(10).len(), 4);
        queue.confirm(first + 2);
        assert_eq!(queue.first(1), [json!({ "update_id": first + 2, "message": { "number": 2 } })]);
        queue.confirm(-1);
        assert_eq!(queue.front().unwrap().0, first + 3);
        queue.confirm(first + 100);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn kinds_that_were_not_asked_for_do_not_come() {
        let mut queue = Queue { allowed: Some(vec!["inline_query".to_owned()]), ..Queue::default() };
        queue.put(Kind::Message, json!({}));
        queue.put(Kind::InlineQuery, json!({}));
        assert_eq!(queue.len(), 1);
        assert!(queue.first(1)[0]["inline_query"].is_object());
    }

    #[test]
    fn a_later_poll_ends_an_earlier_one() {
        let mut queue = Queue::default();
        let first = queue.take_ticket();
        assert!(queue.holds(first));
        let second = queue.take_ticket();
        assert!(queue.holds(second) && !queue.holds(first));
    }
}
