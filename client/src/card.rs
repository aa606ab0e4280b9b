//! The business card: what a person finds in the chat after a call that they did not answer.
//!
//! Its cause is the message that Telegram itself puts into the account's box, which waits there however often this
//! program is restarted. Each part's number is written down before the part is sent, and Telegram refuses a repetition.

use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::TextKey;
use tgtrunk_telegram::{Person, Resolved};
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::clock;
use crate::desk::{Desk, Manner};
use crate::store::{CardPart, CardRow, Way};
use crate::telegram::{self, Content, News};
use crate::trouble::Trouble;

/// An older missed call gets no card, in seconds.
const FRESH_S: i64 = 24 * 3600;
/// How long the bot may take to offer the card's button.
const BOT_LIMIT: Duration = Duration::from_secs(5);
/// A card that cannot be sent within this time is not sent.
const HOPE: Duration = Duration::from_secs(3600);
/// Pauses between attempts whose fate is unknown.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Telegram's id of the call that a message is about, if that call is a cause for a card.
pub(crate) fn cause(news: &News, now_s: i64) -> Option<i64> {
    let message = &news.message;
    let Content::Call { call, is_missed: true } = message.content else { return None };
    let is_person = news.writer.as_ref().is_none_or(|writer| writer.is_person);
    (is_person && message.is_ours && now_s - message.date_s <= FRESH_S).then_some(call)
}

/// The card for a missed call as the settings want it.
pub(crate) fn row(manner: &Manner, message_id: i32, person: i64, now_s: i64) -> CardRow {
    let chat = &manner.line.chat;
    CardRow {
        message_id,
        person,
        began_s: now_s,
        photo: chat.card_photo.as_ref().map(|_| clock::random_id()),
        contact: chat.card_contact.as_ref().map(|_| clock::random_id()),
        text: Some(clock::random_id()),
    }
}

/// Sends what of a card is still to be sent.
pub(crate) async fn send(desk: Arc<Desk>, row: CardRow) {
    let give_up = Instant::now() + HOPE;
    let mut pause = FIRST_PAUSE;
    let mut row = row;
    loop {
        let trouble = match send_parts(&desk, &mut row).await {
            Ok(()) => {
                info!("business card sent");
                return;
            }
            Err(trouble) => trouble,
        };
        let wait = match &trouble {
            Trouble::Flood { seconds } => {
                desk.lamps.limited(&trouble);
                Duration::from_secs((*seconds).into())
            }
            Trouble::Unknown { .. } => {
                pause = (pause * 2).min(LONGEST_PAUSE);
                pause
            }
            // With the next login it is taken up again.
            Trouble::Unauthorized => return,
            _ => HOPE,
        };
        if Instant::now() + wait >= give_up {
            desk.lamps.limited(&trouble);
            warn!("the business card is not sent: {trouble}");
            if let Err(error) = desk.store.card_done(row.message_id).await {
                warn!(%error, "a card that is given up could not be noted");
            }
            return;
        }
        debug!("the business card waits: {trouble}");
        sleep(wait).await;
    }
}

async fn send_parts(desk: &Desk, row: &mut CardRow) -> Result<(), Trouble> {
    let manner = desk.manner();
    let person = desk.account.resolve(Person::Id(row.person)).await?;
    if let Some(random_id) = row.photo {
        optional("picture", photo(desk, &manner, &person, random_id).await)?;
        done(desk, row, CardPart::Photo).await;
        row.photo = None;
    }
    if let Some(random_id) = row.contact {
        if let Some(contact) = &manner.line.chat.card_contact {
            optional("contact", telegram::send_contact(&desk.account, &person, random_id, contact).await)?;
        }
        done(desk, row, CardPart::Contact).await;
        row.contact = None;
    }
    if let Some(random_id) = row.text {
        match text(desk, &manner, &person, random_id).await {
            Ok(way) => debug!(?way, "the card's text is sent"),
            Err(Trouble::Repeated) => {}
            Err(trouble) => return Err(trouble),
        }
        done(desk, row, CardPart::Text).await;
        row.text = None;
        desk.lamps.sent();
    }
    Ok(())
}

/// A picture or a contact that this once cannot be sent does not keep the text back.
fn optional(what: &str, sent: Result<(), Trouble>) -> Result<(), Trouble> {
    match sent {
        Ok(()) | Err(Trouble::Repeated) => Ok(()),
        Err(trouble @ (Trouble::Refused { .. } | Trouble::Missing | Trouble::Stale)) => {
            warn!("the business card goes without its {what}: {trouble}");
            Ok(())
        }
        Err(trouble) => Err(trouble),
    }
}

async fn photo(desk: &Desk, manner: &Manner, person: &Resolved, random_id: i64) -> Result<(), Trouble> {
    let Some(path) = &manner.line.chat.card_photo else { return Ok(()) };
    let picture = telegram::upload(&desk.account, path).await?;
    telegram::send_picture(&desk.account, person, random_id, picture).await
}

/// With a button if the bot offers one, else plain. The number is the same, so that it can never be both.
async fn text(desk: &Desk, manner: &Manner, person: &Resolved, random_id: i64) -> Result<Way, Trouble> {
    let chat = &manner.line.chat;
    if chat.bot.is_some() && chat.call_back.is_some() {
        let query = format!("card:{}:{}", manner.line.phone, person.id);
        let offer = match desk.bot(BOT_LIMIT).await {
            Some(bot) => telegram::ask_bot(&desk.account, &bot, Some(person), &query, BOT_LIMIT).await,
            None => Err(Trouble::BotSilent),
        };
        let sent = match offer {
            Ok(Some(offer)) => telegram::send_offer(&desk.account, person, random_id, &offer).await,
            Ok(None) => Err(Trouble::Refused { word: "the bot offers no card".to_owned() }),
            Err(trouble) => Err(trouble),
        };
        match sent {
            Ok(_) => return Ok(Way::Bot),
            Err(
                trouble @ (Trouble::Refused { .. }
                | Trouble::Stale
                | Trouble::BotSilent
                | Trouble::BotNotInline
                | Trouble::Missing),
            ) => {
                warn!("the business card goes without its button: {trouble}");
                desk.visit.notify_one();
            }
            Err(trouble) => return Err(trouble),
        }
    }
    let said = manner.say(TextKey::CardPlain, person.first_name.as_deref().unwrap_or_default());
    telegram::send_text(&desk.account, person, random_id, &said).await?;
    Ok(Way::Text(said))
}

async fn done(desk: &Desk, row: &CardRow, part: CardPart) {
    if let Err(error) = desk.store.card_part_done(row.message_id, part).await {
        warn!(%error, "a card's part that was sent could not be noted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telegram::{Message, Writer};

    const NOW_S: i64 = 1_800_000_000;

    #[test]
    fn our_call_that_a_person_missed_is_a_cause_and_theirs_is_not() {
        assert_eq!(cause(&missed(), NOW_S), Some(-9));
        let message = missed().message;
        let theirs = Message { is_ours: false, ..message.clone() };
        assert_eq!(cause(&News { message: theirs, ..missed() }, NOW_S), None);
        let talked = Message { content: Content::Call { call: -9, is_missed: false }, ..message.clone() };
        assert_eq!(cause(&News { message: talked, ..missed() }, NOW_S), None);
        let text = Content::Text { text: "Call me".into(), via_bot: None, buttons: vec![] };
        assert_eq!(cause(&News { message: Message { content: text, ..message }, ..missed() }, NOW_S), None);
        let bot = Writer { is_person: false };
        assert_eq!(cause(&News { writer: Some(bot), ..missed() }, NOW_S), None);
    }

    #[test]
    fn a_missed_call_of_the_day_before_is_too_old() {
        assert!(cause(&missed(), NOW_S + 24 * 3600).is_some());
        assert!(cause(&missed(), NOW_S + 24 * 3600 + 1).is_none());
    }

    #[test]
    fn a_card_goes_without_a_picture_but_not_past_a_limit() {
        assert_eq!(optional("picture", Err(Trouble::Refused { word: "PHOTO_INVALID".into() })), Ok(()));
        assert_eq!(optional("picture", Err(Trouble::Repeated)), Ok(()));
        assert_eq!(optional("picture", Err(Trouble::PeerFlood)), Err(Trouble::PeerFlood));
        let flood = Trouble::Flood { seconds: 5 };
        assert_eq!(optional("picture", Err(flood.clone())), Err(flood));
    }

    fn missed() -> News {
        let content = Content::Call { call: -9, is_missed: true };
        News { message: Message { id: 1, person: 5, is_ours: true, date_s: NOW_S, content }, writer: None }
    }
}
