//! The answer to a person who writes: a text of the line, at most once in a while.

use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::TextKey;
use tgtrunk_telegram::Resolved;
use tokio::time::sleep;
use tracing::warn;

use crate::clock;
use crate::desk::Desk;
use crate::lamps::is_short;
use crate::telegram::{self, Content, News};
use crate::trouble::Trouble;

/// A person gets one answer within this time, in seconds.
pub(crate) const ONCE_IN_S: i64 = 30;
/// An older message is not answered, in seconds: the client was not there, and the person went on.
const FRESH_S: i64 = 120;
/// How often an answer whose fate is unknown is sent.
const ATTEMPTS: u32 = 3;

/// Whether a message is one that a person hopes to be answered.
pub(crate) fn hopes(news: &News, now_s: i64) -> bool {
    let message = &news.message;
    // Short messages come without their writer, who is looked at before the answer.
    let is_person = news.writer.as_ref().is_none_or(|writer| writer.is_person);
    let is_text = matches!(message.content, Content::Text { via_bot: None, .. });
    is_person && is_text && !message.is_ours && now_s - message.date_s <= FRESH_S
}

/// Sends the answer, or another text of which a person gets few. It was noted before, so that it is not sent twice.
pub(crate) async fn send(desk: Arc<Desk>, person: i64, is_known: bool, key: TextKey) {
    if desk.lamps.is_limited() {
        return;
    }
    let random_id = clock::random_id();
    let found = match find(&desk, person, is_known).await {
        Ok(Some(found)) => found,
        Ok(None) => return,
        Err(trouble) => return warn!("a person is not answered: {trouble}"),
    };
    let text = desk.manner().say(key, found.first_name.as_deref().unwrap_or_default());
    let mut attempt = 1;
    loop {
        let trouble = match telegram::send_text(&desk.account, &found, random_id, &text).await {
            Ok(_) | Err(Trouble::Repeated) => return desk.lamps.sent(),
            Err(trouble) => trouble,
        };
        match trouble {
            Trouble::Flood { seconds } if is_short(seconds) && attempt < ATTEMPTS => {
                sleep(Duration::from_secs(seconds.into())).await;
            }
            Trouble::Unknown { .. } if attempt < ATTEMPTS => sleep(Duration::from_secs(1)).await,
            trouble => {
                desk.lamps.limited(&trouble);
                return warn!("a person is not answered: {trouble}");
            }
        }
        attempt += 1;
    }
}

/// Whom to answer; nobody if it turns out that no person wrote.
async fn find(desk: &Desk, person: i64, is_known: bool) -> Result<Option<Resolved>, Trouble> {
    let found = desk.person(person).await?;
    let is_person = is_known || telegram::traits(&desk.account, &found).await?.is_person;
    Ok(is_person.then_some(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telegram::{Message, Writer};

    const NOW_S: i64 = 1_800_000_000;

    #[test]
    fn people_who_write_are_answered_and_nobody_else() {
        assert!(hopes(&news(), NOW_S));
        let bot = Writer { is_person: false };
        assert!(!hopes(&News { writer: Some(bot), ..news() }, NOW_S), "a bot, or Telegram itself");
        assert!(hopes(&News { writer: None, ..news() }, NOW_S), "who, is found out later");
        let ours = Message { is_ours: true, ..news().message };
        assert!(!hopes(&News { message: ours, ..news() }, NOW_S), "the account itself");
        let drawn = Content::Text { text: "Hello".into(), via_bot: Some(7), buttons: vec![] };
        for content in [drawn, Content::Service, Content::Call { call: 1, is_missed: true }] {
            let message = Message { content, ..news().message };
            assert!(!hopes(&News { message, ..news() }, NOW_S), "nobody wrote it themselves");
        }
    }

    #[test]
    fn a_message_that_waited_too_long_is_not_answered() {
        assert!(hopes(&news(), NOW_S + 120));
        assert!(!hopes(&news(), NOW_S + 121));
    }

    fn news() -> News {
        let content = Content::Text { text: "Hello".into(), via_bot: None, buttons: vec![] };
        News {
            message: Message { id: 1, person: 5, is_ours: false, date_s: NOW_S, content },
            writer: Some(Writer { is_person: true }),
        }
    }
}
