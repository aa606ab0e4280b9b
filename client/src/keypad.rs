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
/// A message whose sending was not answered may still come into being for so long.
const AFTERMATH: Duration = Duration::from_secs(8);

/// A keypad on its way.
struct Keypad {
    desk: Arc<Desk>,
    manner: Arc<Manner>,
    over: watch::Receiver<bool>,
    row: KeypadRow,
    person: Resolved,
    /// Whether it may be in the chat though Telegram did not say so.
    maybe_sent: bool,
}

/// Sends the keypad, waits for the end of the call, and takes it away.
pub(crate) async fn attend(desk: Arc<Desk>, call: CallId, person: i64, over: watch::Receiver<bool>) {
    let began = Instant::now();
    let manner = desk.manner();
    let way = match &manner.line.chat.bot {
        Some(_) => Way::Bot,
        None => Way::Text(manner.say(TextKey::TypeDigits, "")),
    };
    let random_id = clock::random_id();
    let row = KeypadRow { call, person, random_id, way, message_id: None, began_s: clock::unix_s() };
    let (begun, ready) =
        tokio::join!(desk.store.begin_keypad(&row), ready(&desk, &row, manner.line.chat.bot.is_some()));
    let (row, is_new) = match begun {
        Ok(true) => (row, true),
        Ok(false) => match desk.store.keypad(call).await {
            Ok(Some(known)) => (known, false),
            Ok(None) => return,
            Err(error) => return warn!(%error, "the keypad of a call cannot be looked up"),
        },
        Err(error) => return warn!(%error, "no keypad is sent, for it could not be remembered"),
    };
    let (person, offer) = match ready {
        Ok(ready) => ready,
        Err(trouble) => {
            warn!("the caller gets no keypad: {trouble}");
            return forget(&desk, call).await;
        }
    };
    let mut over = over;
    let mut keypad = Keypad { desk, manner, over: over.clone(), row, person, maybe_sent: !is_new };
    if is_new {
        keypad.put(offer).await;
    } else {
        keypad.take_up(offer).await;
    }
    if keypad.row.message_id.is_some() {
        info!(after_ms = millis(began.elapsed()), way = word(&keypad.row.way), "keypad sent");
    }
    if keypad.row.message_id.is_none() && !keypad.maybe_sent {
        return forget(&keypad.desk, call).await;
    }
    // The sender's end means that the program stops, and then nobody takes the keypad away later.
    let _ = over.wait_for(|over| *over).await.is_ok();
    clear(&keypad.desk, keypad.row, keypad.maybe_sent).await;
}

/// The person, and what the bot offers to send them.
async fn ready(
    desk: &Desk,
    row: &KeypadRow,
    by_bot: bool,
) -> Result<(Resolved, Result<Option<Offer>, Trouble>), Trouble> {
    let person = desk.person(row.person).await?;
    let offer = if by_bot { offer(desk, &person, row.call).await } else { Ok(None) };
    Ok((person, offer))
}

async fn offer(desk: &Desk, person: &Resolved, call: CallId) -> Result<Option<Offer>, Trouble> {
    let until = Instant::now() + BOT_LIMIT;
    // One that is not found, or takes no queries, is not waited for.
    let patience = if desk.lamps.is_bot_amiss() { Duration::ZERO } else { BOT_LIMIT };
    let bot = desk.bot(patience).await.ok_or(Trouble::BotSilent)?;
    let left = until.saturating_duration_since(Instant::now());
    let found = telegram::ask_bot(&desk.account, &bot, Some(person), &format!("keypad:{call}"), left).await;
    match &found {
        Ok(_) => desk.lamps.bot(BotFact::Open),
        Err(Trouble::BotSilent) => {
            desk.lamps.bot(BotFact::Amiss { red: false, reason: Trouble::BotSilent.to_string() });
            desk.visit.notify_one();
        }
        Err(_) => desk.visit.notify_one(),
    }
    found
}

impl Keypad {
    /// Goes on with a keypad that another process, or an earlier connection, began.
    async fn take_up(&mut self, offer: Result<Option<Offer>, Trouble>) {
        if self.row.message_id.is_some() {
            return;
        }
        match self.find().await {
            Ok(true) => {}
            Ok(false) => self.put(offer).await,
            Err(trouble) => debug!("a keypad that was begun is not found: {trouble}"),
        }
    }

    /// Sends it, as long as the call lives and there is hope.
    async fn put(&mut self, offer: Result<Option<Offer>, Trouble>) {
        let mut offer = offer;
        let (mut pause, mut offers, mut is_anew) = (FIRST_PAUSE, 1, false);
        loop {
            if *self.over.borrow() || self.desk.lamps.is_limited() {
                return;
            }
            let trouble = match self.send(offer.clone()).await {
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
                    offer = self::offer(&self.desk, &self.person, self.row.call).await;
                }
                Trouble::Stranger if !is_anew => {
                    is_anew = true;
                    match self.desk.person_anew(self.row.person).await {
                        Ok(person) => self.person = person,
                        Err(trouble) => return warn!("the caller gets no keypad: {trouble}"),
                    }
                }
                trouble if self.may_become_text(&trouble) => {
                    warn!("the caller is asked to type digits: {trouble}");
                    if !self.become_text().await {
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

    async fn send(&mut self, offer: Result<Option<Offer>, Trouble>) -> Result<Option<i32>, Trouble> {
        let account = &self.desk.account;
        let sent = match &self.row.way {
            Way::Bot => {
                let offer = offer?.ok_or(Trouble::Refused { word: "the bot offers no keypad".to_owned() })?;
                telegram::send_offer(account, &self.person, self.row.random_id, &offer).await
            }
            Way::Text(text) => telegram::send_text(account, &self.person, self.row.random_id, text).await,
        };
        if sent.is_ok() {
            self.desk.lamps.sent();
        }
        sent
    }

    /// A bot's keypad may become a text while it is certain that it is not in the chat, and a text would fare better.
    fn may_become_text(&self, trouble: &Trouble) -> bool {
        self.row.way == Way::Bot && !self.maybe_sent && !trouble.is_of_account() && !trouble.is_of_person()
    }

    async fn become_text(&mut self) -> bool {
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

    /// Waits, but not beyond the call.
    async fn rest(&mut self, time: Duration) {
        tokio::select! {
            () = sleep(time) => {}
            _ = self.over.wait_for(|over| *over) => {}
        }
    }
}

/// Takes a keypad away for both sides; one that cannot be deleted says that the call is over.
pub(crate) async fn clear(desk: &Desk, row: KeypadRow, maybe_sent: bool) {
    let give_up = Instant::now() + AFTERMATH;
    let mut pause = FIRST_PAUSE;
    loop {
        let trouble = match take_away(desk, &row).await {
            Ok(0) if maybe_sent && row.message_id.is_none() && Instant::now() < give_up => {
                sleep(FIRST_PAUSE * 4).await;
                continue;
            }
            Ok(_) => return forget(desk, row.call).await,
            Err(trouble) => trouble,
        };
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
            trouble => {
                warn!("a keypad could not be taken away: {trouble}");
                return forget(desk, row.call).await;
            }
        }
    }
}

/// How many messages were taken away.
async fn take_away(desk: &Desk, row: &KeypadRow) -> Result<usize, Trouble> {
    let person = desk.person(row.person).await?;
    let ids = match row.message_id {
        Some(id) => vec![id],
        None => find(desk, row, &person).await?,
    };
    if ids.is_empty() {
        return Ok(0);
    }
    match telegram::delete(&desk.account, &ids).await {
        Ok(()) | Err(Trouble::Missing) => {}
        Err(
            trouble @ (Trouble::Flood { .. }
            | Trouble::Unknown { .. }
            | Trouble::Unauthorized
            | Trouble::Frozen { .. }),
        ) => return Err(trouble),
        Err(trouble) => {
            warn!("a keypad cannot be deleted, so that it says that the call is over: {trouble}");
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
