//! `<phone>/texts.toml`: what people read in Telegram, in both languages. `config/texts.example.toml` shows every key.
//!
//! Texts are plain, without markup. `{company}` and the like are places that are filled in when a text is said; `{{` is a
//! brace that is meant as one. What is not in the file, or empty there, has its default.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::keys::{self, Fault, Page, Problem, Section};
use crate::language::Language;
use crate::line::Line;
use crate::state::StateDir;
use crate::units::Phone;

mod defaults;
mod key;
mod template;

pub use key::TextKey;

/// The texts of a line: the defaults, and over them those of its file.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Texts {
    own: BTreeMap<(Language, TextKey), String>,
}

/// What is filled into the places of a text. A place that a text does not have is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Words {
    /// `{company}`: the company, as the line's settings call it.
    pub company: String,
    /// `{line}`: the line's number. In a notice of the gateway, all lines that it takes along.
    pub line: String,
    /// `{name}`: the person who reads it.
    pub name: String,
    /// `{time}`: the time of day that it is about, as "14:05".
    pub time: String,
    /// `{digits}`: keys that were pressed.
    pub digits: String,
    /// `{key}`: the person's key.
    pub key: String,
    /// `{reason}`: why, as a sentence.
    pub reason: String,
}

impl Texts {
    /// Reads a line's texts. Without a file they are the defaults.
    ///
    /// # Errors
    /// Every mistake in the file, or that it cannot be read.
    pub fn load(state: &StateDir, phone: &Phone) -> Result<Self, Vec<Problem>> {
        let file = state.texts_file(phone);
        match fs::read_to_string(&file) {
            Ok(text) => Self::parse(&text, &file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => {
                let fault = Fault::Unreadable { message: error.to_string() };
                Err(vec![Problem { file, line: None, key: String::new(), fault }])
            }
        }
    }

    /// Checks the text of a file. `file` appears in errors.
    ///
    /// # Errors
    /// Every mistake in the text: an unknown key, a place that the text does not have, a text that is too long.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Vec<Problem>> {
        let page = Page::new(file, text);
        let checked = page.top().map(|mut top| {
            let mut texts = Self::default();
            for language in Language::ALL {
                texts.read(top.section(language.as_str()), language);
            }
            top.finish();
            texts
        });
        page.finish(checked)
    }

    /// A text with its places filled, and cut where it became longer than Telegram takes.
    pub fn say(&self, key: TextKey, language: Language, words: &Words) -> String {
        let text = match self.own.get(&(language, key)) {
            Some(own) => own,
            None => defaults::text(key, language),
        };
        template::cut(template::fill(text, words).trim(), key.limit())
    }

    /// The line's own text, with its places as they are. None where the default holds.
    pub fn own(&self, key: TextKey, language: Language) -> Option<&str> {
        self.own.get(&(language, key)).map(String::as_str)
    }

    fn read(&mut self, mut section: Section<'_, '_>, language: Language) {
        for key in TextKey::ALL {
            let own = section.judged(key.word(), |value| {
                let text = keys::text(value).ok_or_else(|| {
                    ("(not a text)".to_owned(), r#"a text, or "" for the default"#.to_owned())
                })?;
                template::check(text.trim(), key).map(|()| text.trim().to_owned())
            });
            if let Some(own) = own.filter(|own| !own.is_empty()) {
                self.own.insert((language, key), own);
            }
        }
        section.finish();
    }
}

impl Words {
    /// The words that a line knows of itself.
    pub fn of_line(line: &Line) -> Self {
        Self { company: line.chat.company.clone(), line: line.phone.to_string(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_there_in_both_languages_and_has_no_place_that_it_may_not_have() {
        for key in TextKey::ALL {
            for language in Language::ALL {
                let text = defaults::text(key, language);
                assert!(!text.is_empty() && text.trim() == text, "{key:?} in {language}");
                assert_eq!(template::check(text, key), Ok(()), "{key:?} in {language}");
            }
            let russian = defaults::text(key, Language::Russian);
            let cyrillic = russian.chars().any(|c| ('а'..='я').contains(&c));
            assert!(cyrillic || key == TextKey::Pressed, "{russian:?} is not Russian");
            let english = defaults::text(key, Language::English);
            assert!(!english.chars().any(|c| ('а'..='я').contains(&c)), "{english:?} is not English");
            let places = |text: &str| text.matches('{').count();
            assert_eq!(places(russian), places(english), "{key:?}");
        }
    }

    #[test]
    fn the_texts_that_callers_know_stay_as_they_are() {
        let said = |key, language| Texts::default().say(key, language, &Words::default());
        for (key, russian, english) in [
            (
                TextKey::Keypad,
                "Введите внутренний номер абонента",
                "Enter the extension number of the subscriber",
            ),
            (TextKey::CardButton, "Перезвонить", "Call back"),
        ] {
            assert_eq!([said(key, Language::Russian), said(key, Language::English)], [russian, english]);
        }
        assert_eq!(
            said(TextKey::Card, Language::Russian),
            "К сожалению, мы до Вас не дозвонились. Заказать обратный звонок можно по кнопке ниже."
        );
    }

    #[test]
    fn the_shipped_example_holds_every_text_and_each_at_its_default() {
        let example = include_str!("../texts.example.toml");
        let texts = parse(example).unwrap();
        for language in Language::ALL {
            for key in TextKey::ALL {
                let own = texts.own.get(&(language, key)).map(String::as_str);
                assert_eq!(own, Some(defaults::text(key, language)), "config/texts.example.toml");
            }
        }
    }

    #[test]
    fn a_lines_own_text_takes_the_place_of_the_default_in_its_language_alone() {
        let texts = parse("[ru]\nkeypad = \"{name}, это {company}. {{Номер}}?\"\ncard = \"  \"\n").unwrap();
        assert_eq!(texts.own(TextKey::Keypad, Language::Russian), Some("{name}, это {company}. {{Номер}}?"));
        assert_eq!(texts.own(TextKey::Keypad, Language::English), None);
        assert_eq!(TextKey::Keypad.default_text(Language::Russian), "Введите внутренний номер абонента");
        let words = Words { company: "Акме".into(), name: "Анна {line}".into(), ..Words::default() };
        let said = |key, language| texts.say(key, language, &words);
        assert_eq!(said(TextKey::Keypad, Language::Russian), "Анна {line}, это Акме. {Номер}?");
        assert_eq!(said(TextKey::Keypad, Language::English), "Enter the extension number of the subscriber");
        assert!(said(TextKey::Card, Language::Russian).starts_with("К сожалению"));
    }

    #[test]
    fn a_wrong_place_key_or_language_is_told_with_its_line_and_what_is_allowed() {
        let text = "[ru]\nkeypad = \"Здравствуйте!\"\ncard = \"Это {compnay}, {name}\"\ncards = \"\"\n\n[en]\n\
                    pressed = \"{digits} {key}\"\nkeypad = 5\ncall_ended = \"\"\"\nThe {call\nended\"\"\"\n[de]\nkeypad = \"\"\n";
        let told: Vec<String> = parse(text).unwrap_err().iter().map(Problem::to_string).collect();
        let line = "{company}, {line}, {name}, {time}";
        assert_eq!(told.len(), 6, "{told:?}");
        assert_eq!(
            told[0],
            format!(
                "x.toml:3: ru.card = …{{compnay}}…: want no other places than {line} (and {{{{ for a brace)"
            )
        );
        assert!(
            told[1].starts_with("x.toml:4: unknown key ru.cards = \"\": want one of keypad, "),
            "{told:?}"
        );
        assert_eq!(
            told[2],
            format!(
                "x.toml:7: en.pressed = …{{key}}…: want no other places than {line}, {{digits}} (and {{{{ for a brace)"
            )
        );
        assert_eq!(told[3], r#"x.toml:8: en.keypad = (not a text): want a text, or "" for the default"#);
        assert!(told[4].starts_with("x.toml:9: en.call_ended = …{…: want no other places than "), "{told:?}");
        assert_eq!(told[5], "x.toml:12: unknown key de = […]: want one of ru, en");
    }

    #[test]
    fn a_text_longer_than_telegram_takes_is_told_and_one_that_grew_is_cut() {
        let errors = |key: &str, text: &str| {
            let told = parse(&format!("[ru]\n{key} = \"{text}\"\n")).err().unwrap_or_default();
            told.iter().map(Problem::to_string).collect::<Vec<_>>()
        };
        for (key, limit) in [("keypad", 4_096), ("pressed", 200), ("card_button", 64), ("keypad_title", 64)] {
            assert!(errors(key, &"я".repeat(limit)).is_empty(), "{key}");
            assert_eq!(
                errors(key, &"я".repeat(limit + 1)),
                [format!("x.toml:2: ru.{key} = ({} characters): want at most {limit} characters", limit + 1)]
            );
        }
        let texts = parse("[ru]\ncard_button = \"{name} слушает\"\n").unwrap();
        let said = |name: &str| {
            let words = Words { name: name.into(), ..Words::default() };
            texts.say(TextKey::CardButton, Language::Russian, &words)
        };
        assert_eq!(said("Анна"), "Анна слушает");
        assert_eq!(said(&"я".repeat(80)), format!("{}…", "я".repeat(63)));
        // Telegram counts UTF-16: 𝄞 is two of them, and none of it may be cut in half.
        assert_eq!(said(&"𝄞".repeat(80)), format!("{}…", "𝄞".repeat(31)));
    }

    #[test]
    fn a_reason_that_nobody_knows_leaves_no_empty_line() {
        let words = Words { line: "+79060000000".into(), ..Words::default() };
        let said = Texts::default().say(TextKey::NoticePbx, Language::Russian, &words);
        assert_eq!(said, "Линия +79060000000: АТС не отвечает.");
    }

    #[test]
    fn braces_of_every_kind_are_read_without_harm() {
        for (text, filled) in [
            ("{{}}", "{}"),
            ("}", "}"),
            ("}}}", "}}"),
            ("яя{", "яя{"),
            ("{{{name}}}", "{Анна}"),
            ("{name", "{name"),
            ("{na{name}", "{naАнна"),
            ("𝄞{name}𝄞", "𝄞Анна𝄞"),
            ("{}", ""),
        ] {
            let words = Words { name: "Анна".into(), ..Words::default() };
            assert_eq!(template::fill(text, &words), filled, "{text}");
        }
    }

    #[test]
    fn texts_are_read_from_the_lines_folder_where_there_are_some() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path()).unwrap();
        let phone: Phone = "+79060000000".parse().unwrap();
        assert_eq!(Texts::load(&state, &phone), Ok(Texts::default()));
        state.make_phone_dir(&phone).unwrap();
        state.replace(&state.texts_file(&phone), "[en]\nkeypad = \"Dial\"\n".as_bytes()).unwrap();
        let texts = Texts::load(&state, &phone).unwrap();
        assert_eq!(texts.say(TextKey::Keypad, Language::English, &Words::default()), "Dial");
        state.replace(&state.texts_file(&phone), &[0xff]).unwrap();
        let told = Texts::load(&state, &phone).unwrap_err()[0].to_string();
        assert!(told.contains("texts.toml: ") && !told.contains("TOML"), "{told}");
    }

    #[test]
    fn each_text_has_a_word_of_its_own() {
        let words: std::collections::BTreeSet<_> = TextKey::ALL.map(TextKey::word).into_iter().collect();
        assert_eq!(words.len(), TextKey::ALL.len());
    }

    fn parse(text: &str) -> Result<Texts, Vec<Problem>> {
        Texts::parse(text, Path::new("x.toml"))
    }
}
