//! The texts as Telegram would show them: a chat with the keypad, the card and the answer.
//!
//! Each place that follows a text carries its key in `data-fill`, so that the script can fill it while somebody types.

use maud::{Markup, html};
use tgtrunk_config::{Language, TextKey, Words};

use crate::page::model::{Frame, TextsPage};
use crate::page::view::texts::effective;

/// The preview beside the editor.
pub(crate) fn aside(frame: &Frame, page: &TextsPage) -> Markup {
    html! {
        aside.chat aria-label=(frame.say("Как это выглядит в Telegram", "What it looks like in Telegram")) lang=(page.language.as_str()) {
            p.day { (frame.say("как в Telegram", "as in Telegram")) }
            div.bubble.in {
                (fill(page, TextKey::Keypad))
                span.at { (page.words.time) }
            }
            div.keys {
                @for row in &page.menu { div.key-row { span.key { (row.name) } } }
                @for row in ["123", "456", "789", "*0#"] {
                    div.key-row { @for key in row.chars() { span.key { (key) } } }
                }
            }
            div.bubble.in {
                @if page.call_back { (fill(page, TextKey::Card)) } @else { (fill(page, TextKey::CardPlain)) }
                span.at { (page.words.time) }
            }
            @if page.call_back {
                div.keys { div.key-row { span.key { (fill(page, TextKey::CardButton)) } } }
            }
            div.bubble.out { (frame.say("Здравствуйте! Вы работаете?", "Hello! Are you open?")) span.at { (page.words.time) } }
            div.bubble.in { (fill(page, TextKey::AutoAnswer)) span.at { (page.words.time) } }
        }
    }
}

/// What the script fills in, as JSON.
pub(crate) fn words_json(words: &Words) -> String {
    serde_json::json!({
        "company": words.company, "line": words.line, "name": words.name, "time": words.time,
        "digits": words.digits, "key": words.key, "reason": words.reason,
    })
    .to_string()
}

fn fill(page: &TextsPage, key: TextKey) -> Markup {
    let entry = page.texts.iter().find(|entry| entry.key == key);
    let text = entry.map_or(key.default_text(page.language), |entry| effective(entry, page.language));
    html! { span.fill data-fill=(key.word()) { (filled(text, &page.words)) } }
}

/// The text with its places filled, as [`tgtrunk_config::Texts::say`] does.
fn filled(text: &str, words: &Words) -> String {
    let places = [
        ("company", &words.company),
        ("line", &words.line),
        ("name", &words.name),
        ("time", &words.time),
        ("digits", &words.digits),
        ("key", &words.key),
        ("reason", &words.reason),
    ];
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
            out.push_str(&rest[..1]);
            rest = after;
            continue;
        }
        let place = places.iter().find_map(|(name, word)| {
            let after = rest.strip_prefix('{')?.strip_prefix(name)?.strip_prefix('}')?;
            Some((word, after))
        });
        match place {
            Some((word, after)) => {
                out.push_str(word);
                rest = after;
            }
            None => {
                out.push_str(&rest[..1]);
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// The words of a preview: a line's own, and an example of each of the others.
pub(crate) fn example(words: Words, language: Language) -> Words {
    let (name, reason) = match language {
        Language::Russian => ("Анна", "нет ответа на OPTIONS"),
        Language::English => ("Anna", "no answer to OPTIONS"),
    };
    Words {
        name: name.to_owned(),
        time: "14:05".to_owned(),
        digits: "204".to_owned(),
        key: "K7PQ-3M".to_owned(),
        reason: reason.to_owned(),
        ..words
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tgtrunk_config::Texts;

    use super::*;

    #[test]
    fn the_preview_says_what_the_programs_say() {
        let words = example(
            Words { company: "Акме".into(), line: "+79060000000".into(), ..Words::default() },
            Language::Russian,
        );
        for text in ["{name}, это {company}. {{Номер}} {line}?", "в {time}", "{}", "{na{name}", "}", "яя{"]
        {
            let file = format!("[ru]\nkeypad = {text:?}\n");
            let Ok(texts) = Texts::parse(&file, Path::new("x.toml")) else { continue };
            assert_eq!(filled(text, &words), texts.say(TextKey::Keypad, Language::Russian, &words), "{text}");
        }
        for key in TextKey::ALL {
            let text = key.default_text(Language::Russian);
            assert_eq!(filled(text, &words), Texts::default().say(key, Language::Russian, &words));
        }
    }
}
