//! Digits that a person types as a message during their call: they are pressed as keys, and the message is taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tgtrunk_config::control::{Ask, CallInfo};
use tgtrunk_config::{CallId, Digits};
use tgtrunk_shell::asking::AskError;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument as _, debug, warn};

use crate::desk::Desk;
use crate::store::Press;
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
#[derive(Debug, Default)]
pub(crate) struct Presses(Mutex<Queues>);

#[derive(Debug, Default)]
struct Queues {
    calls: BTreeMap<CallId, mpsc::Sender<(i32, Digits)>>,
    /// Messages in them.
    waiting: BTreeSet<i32>,
}

impl Presses {
    /// Has a message's keys pressed, if they do not wait for it already. False if too many wait.
    pub(crate) fn press(&self, desk: &Arc<Desk>, call: CallId, message_id: i32, keys: Digits) -> bool {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queues.waiting.contains(&message_id) {
            return true;
        }
        queues.calls.retain(|_, typed| !typed.is_closed());
        let typed = queues.calls.entry(call).or_insert_with(|| {
            let (typed, keys) = mpsc::channel(WAITING);
            tokio::spawn(work(Arc::clone(desk), call, keys).in_current_span());
            typed
        });
        let fits = typed.try_send((message_id, keys)).is_ok();
        if fits {
            queues.waiting.insert(message_id);
        }
        fits
    }

    /// Takes no more; what waits is pressed still, and then the workers end.
    pub(crate) fn end(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).calls.clear();
    }

    fn done(&self, message_id: i32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).waiting.remove(&message_id);
    }
}

/// How long a call's worker waits for more.
const IDLE: Duration = Duration::from_secs(60);
/// For so long a gateway that is not there is waited for.
const GRACE: Duration = Duration::from_secs(3);
const GRACE_PAUSE: Duration = Duration::from_millis(100);

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
        match send(&desk, call, message_id, digits).await {
            Ok(()) => {
                debug!(count, "typed digits pressed");
                came(&desk, message_id, Press::Pressed).await;
                tokio::spawn(take_away(Arc::clone(&desk), message_id).in_current_span());
            }
            // When the gateway is back it says whether the call is still up.
            Err(error @ AskError::Gone) => warn!(count, "typed digits are not pressed yet: {error}"),
            Err(error @ (AskError::Refused(_) | AskError::NoAnswer)) => {
                warn!(count, "typed digits were not pressed: {error}");
                came(&desk, message_id, Press::Done).await;
            }
        }
        desk.presses.done(message_id);
    }
}

/// Presses what one message says, once, however often and by however many processes that is asked for.
async fn send(desk: &Desk, call: CallId, message_id: i32, digits: Digits) -> Result<(), AskError> {
    let give_up = Instant::now() + GRACE;
    let mut is_unheard = false;
    loop {
        let (digits, key) = (digits.clone(), Some(format!("typed-{message_id}")));
        match desk.gateway.ask(Ask::SendDigits { call, digits, tone_ms: None, pause_ms: None, key }).await {
            Err(AskError::Gone) if Instant::now() < give_up => sleep(GRACE_PAUSE).await,
            Err(AskError::NoAnswer) if !std::mem::replace(&mut is_unheard, true) => {}
            done => return done.map(drop),
        }
    }
}

async fn came(desk: &Desk, message_id: i32, state: Press) {
    if let Err(error) = desk.store.press_came(message_id, state).await {
        warn!(%error, "a message of typed digits could not be remembered");
    }
}

/// Presses what another process, or this one before the gateway went away, left to be pressed in the calls that are
/// `up`. What was typed in a call that is over stays as a message.
pub(crate) async fn press_due(desk: &Arc<Desk>, up: &BTreeMap<CallId, CallInfo>) -> Result<(), sqlx::Error> {
    for row in desk.store.presses().await?.into_iter().filter(|row| row.state == Press::Due) {
        let pressed =
            up.contains_key(&row.call) && desk.presses.press(desk, row.call, row.message_id, row.keys);
        if !pressed {
            came(desk, row.message_id, Press::Done).await;
        }
    }
    Ok(())
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
    came(&desk, message_id, Press::Done).await;
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
