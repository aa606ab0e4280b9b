//! Inline queries: a line's own account asks for the keypad or the card, to send it in the bot's name.

use std::time::{Duration, Instant};

use tgtrunk_config::control::CallInfo;
use tgtrunk_config::{CallId, Phone, TextKey, UserId, Words};
use tokio::time::sleep;

use crate::bot::Desk;
use crate::clock;
use crate::data::{Pressed, Wanted};
use crate::keypad;
use crate::telegram::{Article, Button, Failure, Keyboard, Query};

/// How long a call may be unknown: whoever asks heard of it at the same moment.
const EVENT: Duration = Duration::from_secs(1);
/// How long whoever asks waits for an answer, and a pause between two attempts to give it.
const WAITED_FOR: Duration = Duration::from_millis(1_500);
const PAUSE: Duration = Duration::from_millis(100);

/// Answers a query, with nothing for whomever it is not meant.
pub(crate) async fn answer(desk: &Desk, query: Query, arrived: Instant) {
    let article = match Wanted::from_query(query.text.trim()) {
        Some(Wanted::Keypad(call)) => keypad(desk, call, query.person.id, arrived + EVENT).await,
        Some(Wanted::Card { line, person }) => card(desk, &line, person, query.person.id),
        None => None,
    };
    if article.is_none() {
        tracing::debug!(person = %query.person.id, text = query.text, "an inline query is answered with nothing");
    }
    while let Err(failure) = desk.api.answer_query(&query.id, article.clone()).await {
        let rest = if let Failure::Flood { wait } = failure { wait } else { PAUSE };
        if !failure.passes() || clock::now() + rest >= arrived + WAITED_FOR {
            tracing::warn!(%failure, "an inline query is not answered: the line's client sends a plain text instead");
            return;
        }
        sleep(rest).await;
    }
}

async fn keypad(desk: &Desk, call: CallId, asker: UserId, limit: Instant) -> Option<Article> {
    let CallInfo { line, peer, .. } = desk.gateway.call(call, limit).await?;
    let roster = desk.roster();
    let served = roster.line(&line).filter(|served| served.chat.keypad && desk.is_account(&line, asker))?;
    let language = peer.id.and_then(|person| desk.languages.of(person)).unwrap_or(served.chat.language);
    let words = Words {
        name: peer.name.unwrap_or_default(),
        time: clock::time_of_day(clock::unix_ms()),
        ..Words::default()
    };
    Some(Article {
        title: served.say(TextKey::KeypadTitle, language, words.clone()),
        text: served.say(TextKey::Keypad, language, words),
        keyboard: keypad::keyboard(&served.chat.menu, |digits| Pressed::Digits { call, digits }),
    })
}

fn card(desk: &Desk, line: &Phone, person: UserId, asker: UserId) -> Option<Article> {
    let roster = desk.roster();
    let served = roster.line(line).filter(|_| desk.is_account(line, asker))?;
    // Without somebody to ring there is nothing to press.
    served.chat.call_back.as_ref()?;
    let language = desk.languages.of(person).unwrap_or(served.chat.language);
    let name = desk.gateway.calls().name(person).unwrap_or_default();
    let words = Words { name, time: clock::time_of_day(clock::unix_ms()), ..Words::default() };
    let data = Pressed::CallBack { line: line.clone(), person }.to_data();
    Some(Article {
        title: served.say(TextKey::CardTitle, language, words.clone()),
        text: served.say(TextKey::Card, language, words.clone()),
        keyboard: Keyboard(vec![vec![Button::new(served.say(TextKey::CardButton, language, words), data)]]),
    })
}
