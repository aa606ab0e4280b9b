//! The keypad of one call, from the ring to the end: drawn by the bot, or a text that asks to type digits.
//!
//! Nothing here may harm the call, and no keypad may outlive it: its row is written before it is sent, and removed when
//! it is gone from the chat, by this process or by the next one.

use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::{CallId, TextKey};
use tgtrunk_telegram::Resolved;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::clock;
use crate::desk::{Desk, Manner};
use crate::lamps::{BotFact, is_short};
use crate::store::{KeypadRow, Way};
use crate::telegram::{self, Content, Message, Offer};
use crate::trouble::Trouble;

/// How long the bot may take; then the caller is asked to type digits, and what the bot says later is not sent.
const BOT_LIMIT: Duration = Duration::from_millis(1500);
/// Pauses between attempts whose fate is unknown.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often an offer of the bot that is too old is asked for anew.
const OFFERS: u32 = 3;
/// Pauses between attempts to ask the bot, as long as a text is not due.
const ASK_PAUSE: Duration = Duration::from_millis(200);
/// A message whose sending was not answered may still come into being for so long.
const AFTERMATH: Duration = Duration::from_secs(8);
/// Longest pause between attempts to take away what Telegram does not let go.
const STUCK_PAUSE: Duration = Duration::from_secs(3600);
/// What stood for so long is left where it is, in seconds.
const HOPELESS_S: i64 = 7 * 24 * 3600;

/// A keypad on its way.
struct Keypad {
    desk: Arc<Desk>,
    manner: Arc<Manner>,
    over: watch::Receiver<bool>,
    row: KeypadRow,
    person: Resolved,
    /// Whether it may be in the chat though Telegram did not say so.
    maybe_sent: bool,
    /// From when on the bot is not waited for.
    text_at: Instant,
    /// Whether the person was looked up anew because Telegram did not take them.
    is_anew: bool,
}

/// What the bot said when it was asked.
type Asked = Result<Offer, Trouble>;

/// What is sent.
enum Draft {
    Offer(Offer),
    Text(String),
}

/// Sends the keypad, waits for the end of the call, and takes it away.
pub(crate) async fn attend(desk: Arc<Desk>, call: CallId, person: i64, over: watch::Receiver<bool>) {
    let began = Instant::now();
    let text_at = began + BOT_LIMIT;
    let manner = desk.manner();
    let way = match &manner.line.chat.bot {
        Some(_) => Way::Bot,
        None => Way::Text(manner.say(TextKey::TypeDigits, "")),
    };
    let random_id = clock::random_id();
    let row = KeypadRow { call, person, random_id, way, message_id: None, began_s: clock::unix_s() };
    let mut over = over;
    let (begun, ready) =
        tokio::join!(desk.store.begin_keypad(&row), ready(&desk, &row, text_at, over.clone()));
    let (row, is_new) = match begun {
        Ok(true) => (row, true),
        Ok(false) => match desk.store.keypad(call).await {
            Ok(Some(known)) => (known, false),
            Ok(None) => return,
            Err(error) => return warn!(%error, "the keypad of a call cannot be looked up"),
        },
        Err(error) => return warn!(%error, "no keypad is sent, for it could not be remembered"),
    };
    let (row, maybe_sent) = match ready {
        Some((person, asked)) => {
            let desk = Arc::clone(&desk);
            let over = over.clone();
            let mut keypad =
                Keypad { desk, manner, over, row, person, maybe_sent: !is_new, text_at, is_anew: false };
            if is_new {
                keypad.put(asked).await;
            } else {
                keypad.take_up(asked).await;
            }
            if keypad.row.message_id.is_some() {
                info!(after_ms = millis(began.elapsed()), way = word(&keypad.row.way), "keypad sent");
            }
            (keypad.row, keypad.maybe_sent)
        }
        None => (row, !is_new),
    };
    if row.message_id.is_none() && !maybe_sent {
        return forget(&desk, call).await;
    }
    // The sender's end means that the program stops, and then nobody takes the keypad away later.
    let _ = over.wait_for(|over| *over).await.is_ok();
    clear(&desk, row, maybe_sent).await;
}

/// The person, and what the bot says if it is to draw the keypad. None if the caller gets nothing.
async fn ready(
    desk: &Desk,
    row: &KeypadRow,
    text_at: Instant,
    over: watch::Receiver<bool>,
) -> Option<(Resolved, Option<Asked>)> {
    let person = meet(desk, row.person, over).await?;
    let asked = match row.way {
        Way::Bot => Some(ask(desk, &person, row.call, text_at).await),
        Way::Text(_) => None,
    };
    Some((person, asked))
}

/// Waits until the person is known, but not beyond the call.
async fn meet(desk: &Desk, person: i64, over: watch::Receiver<bool>) -> Option<Resolved> {
    let mut over = over;
    let mut pause = FIRST_PAUSE;
    while !*over.borrow() {
        let trouble = match desk.person(person).await {
            Ok(person) => return Some(person),
            Err(trouble) => trouble,
        };
        if trouble.is_of_account() {
            desk.lamps.limited(&trouble);
            warn!("the caller gets no keypad: {trouble}");
            return None;
        }
        warn!("the caller has no keypad yet: {trouble}");
        let time = match trouble {
            Trouble::Flood { seconds } => Duration::from_secs(seconds.into()),
            _ => pause,
        };
        tokio::select! {
            Some(person) = desk.account.met(person, time) => return Some(person),
            () = desk.green_again(), if !matches!(trouble, Trouble::Flood { .. }) => {}
            () = rest(&mut over, time) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    None
}

/// Asks the bot for the keypad; it may take until `until`.
async fn ask(desk: &Desk, person: &Resolved, call: CallId, until: Instant) -> Asked {
    let left = || until.saturating_duration_since(Instant::now());
    // One that is not found, or takes no queries, is not waited for.
    let patience = if desk.lamps.is_bot_amiss() { Duration::ZERO } else { left() };
    let bot = desk.bot(patience).await.ok_or(Trouble::BotSilent)?;
    if left().is_zero() {
        return Err(Trouble::BotSilent);
    }
    let query = format!("keypad:{call}");
    let found = telegram::ask_bot(&desk.account, &bot, Some(person), &query, left()).await;
    match &found {
        Ok(_) => desk.lamps.bot(BotFact::Open),
        Err(Trouble::BotSilent) => {
            desk.lamps.bot(BotFact::Amiss { red: false, reason: Trouble::BotSilent.said() });
            desk.visit.notify_one();
        }
        Err(_) => desk.visit.notify_one(),
    }
    found?.ok_or(Trouble::Refused { word: "the bot offers no keypad".to_owned() })
}

/// Waits, but not beyond the call.
async fn rest(over: &mut watch::Receiver<bool>, time: Duration) {
    tokio::select! {
        () = sleep(time) => {}
        _ = over.wait_for(|over| *over) => {}
    }
}

impl Keypad {
    /// Goes on with a keypad that another process, or an earlier connection, began.
    async fn take_up(&mut self, asked: Option<Asked>) {
        let mut pause = FIRST_PAUSE;
        while self.row.message_id.is_none() && !*self.over.borrow() {
            match self.find().await {
                Ok(true) => return,
                Ok(false) => return self.put(asked).await,
                Err(trouble @ Trouble::Unknown { .. }) => {
                    debug!("a keypad that was begun is not found yet: {trouble}");
                    self.rest(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(trouble) => return warn!("a keypad that was begun is not found: {trouble}"),
            }
        }
    }

    /// Sends it, as long as the call lives and there is hope.
    async fn put(&mut self, asked: Option<Asked>) {
        let mut asked = asked;
        let (mut pause, mut offers) = (FIRST_PAUSE, 1);
        loop {
            let Some(draft) = self.draft(asked.take()).await else { return };
            let trouble = match self.send(&draft).await {
                Ok(Some(id)) => return self.stands(id).await,
                // Telegram said that it was sent, and not as what.
                Ok(None) | Err(Trouble::Repeated) => {
                    self.maybe_sent = true;
                    if let Err(trouble) = self.find().await {
                        debug!("a keypad that was sent is not found: {trouble}");
                    }
                    return;
                }
                Err(trouble) => trouble,
            };
            // What was offered once is sent again.
            asked = match draft {
                Draft::Offer(offer) => Some(Ok(offer)),
                Draft::Text(_) => None,
            };
            match trouble {
                Trouble::Flood { seconds } if is_short(seconds) => {
                    info!(seconds, "the keypad waits as Telegram asks");
                    self.rest(Duration::from_secs(seconds.into())).await;
                }
                Trouble::Unknown { cause } => {
                    if !self.maybe_sent {
                        warn!("Telegram gave no answer whether the keypad was sent ({cause}), trying again");
                    }
                    self.desk.lamps.unanswered();
                    self.maybe_sent = true;
                    self.rest(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Trouble::Stale if offers < OFFERS => {
                    offers += 1;
                    asked = None;
                }
                Trouble::Stranger if !self.is_anew => {
                    if let Err(trouble) = self.look_up_anew().await {
                        return warn!("the caller gets no keypad: {trouble}");
                    }
                }
                trouble if self.may_become_text(&trouble) => {
                    if !self.become_text(&trouble).await {
                        return;
                    }
                }
                trouble => {
                    self.desk.lamps.limited(&trouble);
                    return warn!("the caller gets no keypad: {trouble}");
                }
            }
        }
    }

    /// What is to be sent: the bot's offer, or a text where the bot has none to give in time. Nothing here reaches the
    /// chat. None if the call is over, or the account may not write.
    async fn draft(&mut self, asked: Option<Asked>) -> Option<Draft> {
        let mut asked = asked;
        let mut pause = ASK_PAUSE;
        loop {
            if *self.over.borrow() || self.desk.lamps.is_limited() {
                return None;
            }
            if let Way::Text(text) = &self.row.way {
                return Some(Draft::Text(text.clone()));
            }
            let answer = match asked.take() {
                Some(answer) => answer,
                None => {
                    let now = Instant::now();
                    let is_late = self.maybe_sent || self.text_at <= now;
                    let until = if is_late { now + BOT_LIMIT } else { self.text_at };
                    ask(&self.desk, &self.person, self.row.call, until).await
                }
            };
            let trouble = match answer {
                Ok(offer) => return Some(Draft::Offer(offer)),
                Err(trouble) => trouble,
            };
            if trouble.is_of_account() {
                self.desk.lamps.limited(&trouble);
                warn!("the caller gets no keypad: {trouble}");
                return None;
            }
            if trouble == Trouble::Stranger && !self.is_anew && self.look_up_anew().await.is_ok() {
                continue;
            }
            let wait = match &trouble {
                Trouble::Flood { seconds } => Some(Duration::from_secs((*seconds).into())),
                Trouble::Unknown { .. } => Some(pause),
                // What may be in the chat is the bot's, and only with its offer is it known whether it is.
                _ => self.maybe_sent.then_some(pause),
            };
            pause = (pause * 2).min(LONGEST_PAUSE);
            match wait {
                Some(wait) if self.maybe_sent || Instant::now() + wait < self.text_at => {
                    self.rest(wait).await
                }
                _ => {
                    if !self.become_text(&trouble).await {
                        return None;
                    }
                }
            }
        }
    }

    async fn send(&mut self, draft: &Draft) -> Result<Option<i32>, Trouble> {
        let account = &self.desk.account;
        let sent = match draft {
            Draft::Offer(offer) => {
                telegram::send_offer(account, &self.person, self.row.random_id, offer).await
            }
            Draft::Text(text) => telegram::send_text(account, &self.person, self.row.random_id, text).await,
        };
        if sent.is_ok() {
            self.desk.lamps.sent();
        }
        sent
    }

    async fn look_up_anew(&mut self) -> Result<(), Trouble> {
        self.is_anew = true;
        self.person = self.desk.person_anew(self.row.person).await?;
        Ok(())
    }

    /// A bot's keypad may become a text while it is certain that it is not in the chat, and a text would fare better.
    fn may_become_text(&self, trouble: &Trouble) -> bool {
        self.row.way == Way::Bot && !self.maybe_sent && !trouble.is_of_account() && !trouble.is_of_person()
    }

    async fn become_text(&mut self, trouble: &Trouble) -> bool {
        warn!("the caller is asked to type digits: {trouble}");
        let name = self.person.first_name.as_deref().unwrap_or_default();
        self.row.way = Way::Text(self.manner.say(TextKey::TypeDigits, name));
        self.row.random_id = clock::random_id();
        let kept = self.desk.store.change_keypad(&self.row).await;
        if let Err(error) = &kept {
            warn!(%error, "no text is sent, for it could not be remembered");
        }
        kept.is_ok()
    }

    async fn stands(&mut self, id: i32) {
        self.desk.lamps.sent();
        self.row.message_id = Some(id);
        if let Err(error) = self.desk.store.keypad_stands(self.row.call, id).await {
            warn!(%error, "the number of a keypad could not be remembered");
        }
    }

    /// Looks for it in the chat; true if it is there.
    async fn find(&mut self) -> Result<bool, Trouble> {
        let found = find(&self.desk, &self.row, &self.person).await?;
        if let Some(id) = found.first() {
            self.stands(*id).await;
        }
        Ok(!found.is_empty())
    }

    async fn rest(&mut self, time: Duration) {
        rest(&mut self.over, time).await;
    }
}

/// Takes a keypad away for both sides; one that cannot be deleted says that the call is over. Its row stays until
/// then, also when Telegram holds the account back.
pub(crate) async fn clear(desk: &Desk, row: KeypadRow, maybe_sent: bool) {
    let give_up = Instant::now() + AFTERMATH;
    let (mut pause, mut long_pause) = (FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        let trouble = match take_away(desk, &row).await {
            Ok(0) if maybe_sent && row.message_id.is_none() && Instant::now() < give_up => {
                sleep(FIRST_PAUSE * 4).await;
                continue;
            }
            Ok(_) => return forget(desk, row.call).await,
            Err(trouble) => trouble,
        };
        if clock::unix_s() - row.began_s > HOPELESS_S {
            warn!("a keypad is left in its chat: {trouble}");
            return forget(desk, row.call).await;
        }
        match trouble {
            Trouble::Flood { seconds } => {
                warn!(seconds, "a keypad stays until Telegram lets it be deleted");
                sleep(Duration::from_secs(seconds.into())).await;
            }
            Trouble::Unknown { cause } => {
                debug!(cause, "a keypad could not be deleted yet");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            // Its row stays, and with the next login it is cleared.
            Trouble::Unauthorized => return,
            trouble @ (Trouble::Frozen { .. } | Trouble::PeerFlood | Trouble::Stranger) => {
                warn!(again_s = long_pause.as_secs(), "a keypad stays for now: {trouble}");
                tokio::select! {
                    () = sleep(long_pause) => {}
                    () = desk.green_again() => {}
                }
                long_pause = (long_pause * 2).min(STUCK_PAUSE);
            }
            trouble => {
                warn!("a keypad could not be taken away: {trouble}");
                return forget(desk, row.call).await;
            }
        }
    }
}

/// How many messages were taken away.
async fn take_away(desk: &Desk, row: &KeypadRow) -> Result<usize, Trouble> {
    let ids = match row.message_id {
        Some(id) => vec![id],
        None => find(desk, row, &desk.person(row.person).await?).await?,
    };
    if ids.is_empty() {
        return Ok(0);
    }
    match telegram::delete(&desk.account, &ids).await {
        Ok(()) | Err(Trouble::Missing) => {}
        Err(trouble @ (Trouble::Flood { .. } | Trouble::Unknown { .. })) => return Err(trouble),
        Err(trouble) if trouble.is_of_account() => return Err(trouble),
        Err(trouble) => {
            warn!("a keypad cannot be deleted, so that it says that the call is over: {trouble}");
            let person = desk.person(row.person).await?;
            let ended =
                desk.manner().say(TextKey::CallEnded, person.first_name.as_deref().unwrap_or_default());
            for id in &ids {
                telegram::edit(&desk.account, &person, *id, &ended).await?;
            }
        }
    }
    Ok(ids.len())
}

async fn find(desk: &Desk, row: &KeypadRow, person: &Resolved) -> Result<Vec<i32>, Trouble> {
    let messages = telegram::last_messages(&desk.account, person).await?;
    Ok(messages.iter().filter(|message| is_of(message, row)).map(|message| message.id).collect())
}

/// Whether a message is the keypad of a row. The bot's buttons name their call; a text is known by its words, and by
/// being no older than its row, but for clocks that disagree.
fn is_of(message: &Message, row: &KeypadRow) -> bool {
    const DISAGREEMENT_S: i64 = 600;
    let Content::Text { text, via_bot, buttons } = &message.content else { return false };
    if !message.is_ours || message.person != row.person {
        return false;
    }
    match &row.way {
        Way::Bot => {
            let start = format!("d:{}:", row.call);
            via_bot.is_some() && buttons.iter().any(|pressed| pressed.starts_with(start.as_bytes()))
        }
        Way::Text(said) => {
            via_bot.is_none() && text == said && message.date_s + DISAGREEMENT_S >= row.began_s
        }
    }
}

async fn forget(desk: &Desk, call: CallId) {
    if let Err(error) = desk.store.keypad_gone(call).await {
        warn!(%error, "a keypad that is gone could not be forgotten");
    }
}

fn word(way: &Way) -> &'static str {
    match way {
        Way::Bot => "bot",
        Way::Text(_) => "text",
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bots_keypad_is_known_by_the_call_that_its_buttons_name() {
        let row = row(Way::Bot);
        let buttons = vec![b"d:00000000000000a1:1".to_vec(), b"d:00000000000000a1:2".to_vec()];
        let keypad = message(true, 100, drawn(buttons));
        assert!(is_of(&keypad, &row));
        let other = message(true, 100, drawn(vec![b"d:00000000000000a2:1".to_vec()]));
        assert!(!is_of(&other, &row), "the keypad of another call");
        let card = message(true, 100, drawn(vec![b"c:+79060000000:5".to_vec()]));
        assert!(!is_of(&card, &row), "the business card");
        assert!(!is_of(&Message { is_ours: false, ..keypad.clone() }, &row));
        assert!(!is_of(&Message { person: 6, ..keypad }, &row));
    }

    #[test]
    fn a_text_is_known_by_its_words_and_not_taken_for_an_old_one() {
        let row = row(Way::Text("Type digits".into()));
        assert!(is_of(&message(true, 10_000, text("Type digits")), &row));
        assert!(is_of(&message(true, 9_500, text("Type digits")), &row), "clocks may disagree");
        assert!(!is_of(&message(true, 9_000, text("Type digits")), &row), "of an earlier call");
        assert!(!is_of(&message(true, 10_000, text("Hello")), &row));
        assert!(!is_of(&message(true, 10_000, drawn(vec![])), &row));
    }

    fn row(way: Way) -> KeypadRow {
        KeypadRow { call: CallId(0xa1), person: 5, random_id: 1, way, message_id: None, began_s: 10_000 }
    }

    fn message(is_ours: bool, date_s: i64, content: Content) -> Message {
        Message { id: 7, person: 5, is_ours, date_s, content }
    }

    fn drawn(buttons: Vec<Vec<u8>>) -> Content {
        Content::Text { text: "Type digits".into(), via_bot: Some(77), buttons }
    }

    fn text(text: &str) -> Content {
        Content::Text { text: text.into(), via_bot: None, buttons: vec![] }
    }
}
