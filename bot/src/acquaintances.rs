//! The people who wrote to a bot, for whoever asks at a terminal or over the control socket.

use tgtrunk_config::control::{BotPerson, LONGEST_LINE_BYTES, Refusal, to_line};
use tgtrunk_config::{BotName, StateDir};

use crate::admission::{internal, unknown};
use crate::store::{Seen, Store};

/// What one answer may hold, its frame left out.
const ANSWER_BYTES: usize = LONGEST_LINE_BYTES - 1_024;

/// Who wrote to a bot, the latest first. The bot may be at work meanwhile.
///
/// # Errors
/// The refusal, when there is no such bot or its store cannot be read.
pub(crate) async fn seen(state: &StateDir, bot: &BotName) -> Result<Vec<Seen>, Refusal> {
    let file = state.bot_db(bot);
    match (file.exists(), state.bot_file(bot).exists()) {
        (true, _) => {}
        (false, true) => return Ok(Vec::new()),
        (false, false) => return Err(unknown(bot)),
    }
    let store = Store::open(&file).await.map_err(internal)?;
    let seen = store.seen().await.map_err(internal);
    store.close().await;
    seen
}

/// As many of them as fit into one answer, as they are told.
pub(crate) fn told(seen: Vec<Seen>) -> Vec<BotPerson> {
    let mut room = ANSWER_BYTES;
    let people = seen.into_iter().map(|person| BotPerson {
        id: person.id,
        name: Some(person.name).filter(|name| !name.is_empty()),
        username: person.username,
        // What they show to be written to is their Telegram id.
        key: Some(person.id.to_string()),
        blocked: person.blocked,
        since_ms: Some(person.first_ms),
        last_ms: Some(person.last_ms),
    });
    let fits = |person: &BotPerson| {
        let left = room.checked_sub(to_line(person).len());
        room = left.unwrap_or(0);
        left.is_some()
    };
    people.take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::UserId;
    use tgtrunk_config::control::{Answer, Reply};

    use super::*;

    #[test]
    fn however_many_people_wrote_the_latest_of_them_fit_into_one_answer() {
        let person = |id: i64| Seen {
            id: UserId::new(id).unwrap(),
            name: "\u{1}\"".repeat(64),
            username: None,
            language: None,
            first_ms: 1,
            last_ms: 2,
            blocked: id % 2 == 0,
        };
        let told = told((1..10_000).map(person).collect());
        assert_eq!((told[0].id.number(), told[0].key.as_deref(), told[1].blocked), (1, Some("1"), true));
        assert!(told.len() > 300);
        assert!(to_line(&Reply::ok(u64::MAX, Answer::People(told))).len() <= LONGEST_LINE_BYTES);
    }
}
