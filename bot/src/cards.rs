//! Calls as an operator sees them in their own chat with the bot: who, on which line, keys, hang up, call again.
//!
//! Operators ask for them with `/calls`; to everybody else that is a word like any other.

use tgtrunk_config::control::{CallInfo, CallState, Direction};
use tgtrunk_config::{Language, Phone};

use crate::calls::Calls;
use crate::data::Pressed;
use crate::keypad;
use crate::telegram::{Button, Keyboard};

/// A message with buttons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) text: String,
    pub(crate) keyboard: Keyboard,
}

/// Calls that are shown at once.
const MOST: usize = 10;

/// Whether somebody asks for the calls that are up.
pub(crate) fn are_asked(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default().to_lowercase();
    let word = first.split('@').next().unwrap_or_default();
    ["/calls", "calls", "звонки"].contains(&word)
}

/// The calls on lines that somebody `leads`, the oldest first, or that there is none.
pub(crate) fn all(calls: &Calls, leads: impl Fn(&Phone) -> bool, language: Language) -> Vec<Card> {
    let mut live: Vec<&CallInfo> = calls.all().filter(|call| leads(&call.line)).collect();
    live.sort_by_key(|call| call.started_ms);
    let cards: Vec<Card> = live.into_iter().take(MOST).map(|call| card(call, language)).collect();
    if !cards.is_empty() {
        return cards;
    }
    let text = match language {
        Language::Russian => "Сейчас нет звонков.",
        Language::English => "No calls now.",
    };
    vec![Card { text: text.to_owned(), keyboard: Keyboard::default() }]
}

fn card(call: &CallInfo, language: Language) -> Card {
    let hang_up = match language {
        Language::Russian => "Завершить",
        Language::English => "Hang up",
    };
    let mut keyboard = keypad::keyboard(&[], |digits| Pressed::Lead { call: call.call, digits });
    keyboard.0.push(vec![Button::new(hang_up, Pressed::HangUp { call: call.call }.to_data())]);
    Card { text: format!("{}\n{}: {}", who(call), call.line, how(call, language)), keyboard }
}

/// What the card of a call becomes when its operator has ended it; `again` where somebody can ring for another one.
pub(crate) fn over(call: &CallInfo, again: bool, language: Language) -> Card {
    let (ended, call_again) = match language {
        Language::Russian => ("завершён", "Позвонить снова"),
        Language::English => ("ended", "Call again"),
    };
    let person = call.peer.id.filter(|_| again);
    let button = person.map(|person| {
        vec![Button::new(call_again, Pressed::Again { line: call.line.clone(), person }.to_data())]
    });
    let keyboard = Keyboard(button.into_iter().collect());
    Card { text: format!("{}\n{}: {ended}", who(call), call.line), keyboard }
}

/// What the operator reads over the chat when a call is ordered.
pub(crate) fn ordered(language: Language) -> &'static str {
    match language {
        Language::Russian => "Звоним",
        Language::English => "Calling",
    }
}

/// What the operator reads over the chat when a call does not end, for a reason in English.
pub(crate) fn stays(language: Language, reason: &str) -> String {
    match language {
        Language::Russian => "Не получилось завершить звонок".to_owned(),
        Language::English => format!("The call does not end: {reason}"),
    }
}

fn who(call: &CallInfo) -> String {
    let peer = &call.peer;
    let name = peer.name.clone().or_else(|| peer.username.as_ref().map(|name| format!("@{name}")));
    let name = name.or_else(|| peer.id.map(|id| id.to_string())).unwrap_or_else(|| "?".to_owned());
    peer.phone.as_ref().map_or_else(|| name.clone(), |phone| format!("{name}, {phone}"))
}

fn how(call: &CallInfo, language: Language) -> &'static str {
    let incoming = call.direction == Direction::TelegramToPbx;
    match (call.state, incoming, language) {
        (CallState::Answered, _, Language::Russian) => "разговор",
        (CallState::Answered, _, Language::English) => "talking",
        (CallState::Ended, _, Language::Russian) => "завершён",
        (CallState::Ended, _, Language::English) => "ended",
        (CallState::Incoming | CallState::Dialling | CallState::Ringing, true, Language::Russian) => {
            "входящий"
        }
        (CallState::Incoming | CallState::Dialling | CallState::Ringing, true, Language::English) => {
            "incoming"
        }
        (CallState::Incoming | CallState::Dialling | CallState::Ringing, false, Language::Russian) => {
            "исходящий"
        }
        (CallState::Incoming | CallState::Dialling | CallState::Ringing, false, Language::English) => {
            "outgoing"
        }
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::control::Event;
    use tgtrunk_shell::asking::Told;

    use super::*;
    use crate::calls::tests::{call, line};

    #[test]
    fn a_card_tells_who_on_which_line_and_has_keys_and_a_way_out() {
        let mut calls = Calls::default();
        assert_eq!(all(&calls, |_| true, Language::English)[0].text, "No calls now.");
        let mut info = call(1, 7, CallState::Answered);
        info.peer.name = Some("Анна".into());
        calls.handle(Told::Event(Event::Call(info.clone())));
        let [card] = &all(&calls, |of| *of == line(), Language::Russian)[..] else { panic!() };
        assert_eq!(card.text, "Анна\n+79060000000: разговор");
        assert_eq!(card.keyboard.0[0][1].data, "o:0000000000000001:2");
        assert_eq!(card.keyboard.0[4], [Button::new("Завершить", "h:0000000000000001:")]);
        assert_eq!(all(&calls, |_| false, Language::Russian)[0].text, "Сейчас нет звонков.");
        let over = over(&info, true, Language::English);
        assert_eq!(over.keyboard.0, [[Button::new("Call again", "a:+79060000000:7")]]);
    }

    #[test]
    fn calls_are_asked_for_in_three_words() {
        for text in ["/calls", "/CALLS@acme_bot", " Звонки "] {
            assert!(are_asked(text), "{text}");
        }
        assert!(!are_asked("/call") && !are_asked(""));
    }
}
