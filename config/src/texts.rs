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
