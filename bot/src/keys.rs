//! What a person says to the bot, and what the bot answers: a greeting, their key, or that it did not understand.
//!
//! A key is the person's own Telegram id: it never changes, and nothing has to be asked of anybody to know it.

use tgtrunk_config::{Language, TextKey, Texts, Words};

use crate::telegram::Person;

/// What a person wants of the bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// `/start`.
    Greeting,
    /// `/key`, «мой ключ», "my key", or what stands on the button.
    Key,
    /// Anything else.
    Unknown,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// What stands on the button that the person gets in place of letters.
    pub(crate) button: String,
}

const KEY_WORDS: [&str; 6] = ["мой ключ", "ключ", "my key", "key", "/key", "/ключ"];

/// The commands that Telegram's apps offer, each with the text that explains it.
pub(crate) const COMMANDS: [(&str, TextKey); 1] = [("key", TextKey::KeyButton)];

/// Reads what a person wrote, however they wrote it.
pub(crate) fn wish(text: &str, texts: &Texts) -> Wish {
    let said = plain(text);
    let command = said.split('@').next().unwrap_or_default();
    let button = |language| plain(&texts.say(TextKey::KeyButton, language, &Words::default()));
    let first = text.split_whitespace().next().unwrap_or_default();
    let first = first.split('@').next().unwrap_or_default();
    if first.eq_ignore_ascii_case("/start") || first.eq_ignore_ascii_case("/help") {
        Wish::Greeting
    } else if KEY_WORDS.iter().any(|word| plain(word) == command)
        || Language::ALL.into_iter().any(|language| button(language) == said)
    {
        Wish::Key
    } else {
        Wish::Unknown
    }
}

/// The answer, in the person's language.
pub(crate) fn answer(
    wish: Wish,
    person: &Person,
    language: Language,
    texts: &Texts,
    company: &str,
) -> Answer {
    let words = Words {
        company: company.to_owned(),
        name: person.name.clone(),
        key: person.id.to_string(),
        ..Words::default()
    };
    let say = |key| texts.say(key, language, &words);
    let text = match wish {
        Wish::Greeting => format!("{}\n\n{}", say(TextKey::Greeting), say(TextKey::KeyHint)),
        Wish::Key => say(TextKey::Key),
        Wish::Unknown => say(TextKey::UnknownCommand),
    };
    Answer { text, button: say(TextKey::KeyButton) }
}

/// Letters and digits alone, small, with е for ё: how people write differs in nothing else.
fn plain(text: &str) -> String {
    let letters = text.chars().take(100).flat_map(char::to_lowercase);
    let letters = letters.filter(|c| c.is_alphanumeric() || matches!(c, '/' | '@'));
    letters.map(|c| if c == 'ё' { 'е' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tgtrunk_config::UserId;

    use super::*;

    #[test]
    fn the_key_is_given_however_it_is_asked_for() {
        for said in [
            "мой ключ",
            "  МОЙ   Ключ! ",
            "мойключ",
            "«Мой ключ»",
            "My key",
            "/key",
            "/KEY",
            "/key@acme_bot",
            "ключ",
        ] {
            assert_eq!(wish(said, &Texts::default()), Wish::Key, "{said}");
        }
    }

    #[test]
    fn the_button_of_a_line_is_understood_with_and_without_its_dots() {
        let texts = Texts::parse("[ru]\nkey_button = \"Ещё ключ\"\n", Path::new("texts.toml")).unwrap();
        assert_eq!(wish("еще ключ", &texts), Wish::Key);
        assert_eq!(wish("Ещё ключ", &texts), Wish::Key);
        assert_eq!(wish("My key", &texts), Wish::Key);
    }

    #[test]
    fn a_start_with_anything_behind_it_is_greeted_and_the_rest_is_not_understood() {
        for said in ["/start", "/START x", "/start@acme_bot", "/help"] {
            assert_eq!(wish(said, &Texts::default()), Wish::Greeting, "{said}");
        }
        for said in ["", "hello", "/startle", "/stop", "my keys are lost", "👋"] {
            assert_eq!(wish(said, &Texts::default()), Wish::Unknown, "{said}");
        }
    }

    #[test]
    fn answers_hold_the_key_in_the_persons_language() {
        let texts = Texts::default();
        let id = UserId::new(5_123_456_789).unwrap();
        let anna = Person { id, name: "Анна".into(), username: None, language: None };
        let key = answer(Wish::Key, &anna, Language::Russian, &texts, "Acme");
        assert_eq!(key, Answer { text: "Ваш ключ: 5123456789".into(), button: "Мой ключ".into() });
        let greeting = answer(Wish::Greeting, &anna, Language::English, &texts, "Acme");
        assert!(greeting.text.starts_with("Hello!") && greeting.text.contains("My key"), "{greeting:?}");
    }
}
