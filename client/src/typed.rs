//! Digits that a person types as a message during their call: they are pressed as keys, and the message is taken away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::control::Ask;
use tgtrunk_config::{CallId, Digits};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::desk::Desk;
use crate::telegram::{self, Content, Message};
use crate::trouble::Trouble;

/// Longest number of keys in one message.
const MOST_KEYS: usize = 32;
/// Messages of one call that wait to be pressed.
const WAITING: usize = 32;
/// How often a message is tried to be deleted before it is left to the next start.
const ATTEMPTS: u32 = 5;

/// An older message was not meant for the call that is up now, in seconds.
const FRESH_S: i64 = 120;

/// The keys that a message is, if it is nothing else.
pub(crate) fn keys(message: &Message, now_s: i64) -> Option<Digits> {
    let Content::Text { text, via_bot: None, .. } = &message.content else { return None };
    let text = text.trim();
    let fits = text.bytes().all(|key| matches!(key, b'0'..=b'9' | b'A'..=b'D' | b'*' | b'#'));
    let is_fresh = now_s - message.date_s <= FRESH_S;
    if message.is_ours || !is_fresh || !fits || !(1..=MOST_KEYS).contains(&text.len()) {
        return None;
    }
    text.parse().ok()
}

/// Presses what people type: each call's messages in their order, and no call waits for another.
#[derive(Default)]
pub(crate) struct Presses {
    calls: BTreeMap<CallId, mpsc::Sender<(i32, Digits)>>,
}

impl Presses {
    /// Has a message's keys pressed. False if too many wait.
    pub(crate) fn press(&mut self, desk: &Arc<Desk>, call: CallId, message_id: i32, keys: Digits) -> bool {
        self.calls.retain(|_, typed| !typed.is_closed());
        let typed = self.calls.entry(call).or_insert_with(|| {
            let (typed, keys) = mpsc::channel(WAITING);
            tokio::spawn(work(Arc::clone(desk), call, keys));
            typed
        });
        typed.try_send((message_id, keys)).is_ok()
    }
}

/// How long a call's worker waits for more.
const IDLE: Duration = Duration::from_secs(60);

async fn work(desk: Arc<Desk>, call: CallId, mut typed: mpsc::Receiver<(i32, Digits)>) {
    loop {
        let (message_id, digits) = match timeout(IDLE, typed.recv()).await {
            Ok(Some(next)) => next,
            Ok(None) => return,
            // What is in it already is pressed still; the next message has a new worker.
            Err(_) => {
                typed.close();
                continue;
            }
        };
        let count = digits.keys().len();
        match desk.gateway.ask(Ask::SendDigits { call, digits, tone_ms: None, pause_ms: None }).await {
            Ok(_) => {
                debug!(count, "typed digits pressed");
                if let Err(error) = desk.store.typed_stands(message_id, true).await {
                    warn!(%error, "a message of typed digits could not be remembered");
                }
                tokio::spawn(take_away(Arc::clone(&desk), message_id));
            }
            Err(error) => warn!(count, "typed digits were not pressed: {error}"),
        }
    }
}

/// Deletes a message of typed digits for both sides.
pub(crate) async fn take_away(desk: Arc<Desk>, message_id: i32) {
    for attempt in 1..=ATTEMPTS {
        match telegram::delete(&desk.account, &[message_id]).await {
            Ok(()) | Err(Trouble::Missing) => break,
            Err(Trouble::Flood { seconds }) => sleep(Duration::from_secs(seconds.into())).await,
            Err(Trouble::Unknown { .. }) if attempt < ATTEMPTS => sleep(Duration::from_secs(1)).await,
            Err(Trouble::Unknown { .. } | Trouble::Unauthorized) => return,
            Err(trouble) => {
                warn!("typed digits stay in the chat: {trouble}");
                break;
            }
        }
    }
    if let Err(error) = desk.store.typed_stands(message_id, false).await {
        warn!(%error, "a message of typed digits could not be forgotten");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_nothing_but_keys_is_keys() {
        for (text, wanted) in
            [("5", "5"), (" 204 \n", "204"), ("*#ABCD0123456789", "*#ABCD0123456789"), ("#", "#")]
        {
            assert_eq!(keys(&message(text), 100), Some(wanted.parse().unwrap()), "{text:?}");
        }
        assert!(keys(&message(&"1".repeat(32)), 100).is_some());
    }

    #[test]
    fn everything_else_is_a_message() {
        for text in ["", "  ", "2 0 4", "call 204", "abcd", "E", "12:30", "+7", "２", &"1".repeat(33)] {
            assert_eq!(keys(&message(text), 100), None, "{text:?}");
        }
        assert_eq!(
            keys(&Message { is_ours: true, ..message("204") }, 100),
            None,
            "typed by the account itself"
        );
        let drawn = Content::Text { text: "204".into(), via_bot: Some(7), buttons: vec![] };
        assert_eq!(keys(&Message { content: drawn, ..message("") }, 100), None, "drawn by a bot");
    }

    #[test]
    fn keys_of_an_earlier_call_are_a_message() {
        assert!(keys(&message("204"), 220).is_some());
        assert_eq!(keys(&message("204"), 221), None);
    }

    fn message(text: &str) -> Message {
        let content = Content::Text { text: text.into(), via_bot: None, buttons: vec![] };
        Message { id: 7, person: 5, is_ours: false, date_s: 100, content }
    }
}
