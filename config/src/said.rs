//! A sentence for people, in both languages.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::language::Language;

/// One thing said in English and in Russian.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Said {
    /// In English.
    pub en: String,
    /// In Russian; empty where only the English is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub ru: String,
}

impl Said {
    /// A sentence in both languages.
    pub fn new(en: impl Into<String>, ru: impl Into<String>) -> Self {
        Self { en: en.into(), ru: ru.into() }
    }

    /// The sentence in one language; the English one where there is no other.
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::Russian if !self.ru.is_empty() => &self.ru,
            Language::Russian | Language::English => &self.en,
        }
    }

    /// A longer sentence around this one, in each language.
    #[must_use]
    pub fn within(&self, en: impl FnOnce(&str) -> String, ru: impl FnOnce(&str) -> String) -> Self {
        Self { en: en(&self.en), ru: ru(self.in_language(Language::Russian)) }
    }

    /// Several sentences as one, with `between` between them.
    #[must_use]
    pub fn listed(all: &[Self], between: &str) -> Self {
        let joined = |language| {
            let each: Vec<&str> = all.iter().map(|said| said.in_language(language)).collect();
            each.join(between)
        };
        Self { en: joined(Language::English), ru: joined(Language::Russian) }
    }
}

/// In English, as logs have it.
impl fmt::Display for Said {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.en)
    }
}

impl From<&str> for Said {
    fn from(en: &str) -> Self {
        Self::new(en, "")
    }
}

impl From<&String> for Said {
    fn from(en: &String) -> Self {
        Self::new(en.as_str(), "")
    }
}

impl From<String> for Said {
    fn from(en: String) -> Self {
        Self::new(en, "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_that_was_not_translated_is_said_in_english() {
        assert_eq!(Said::from("busy").in_language(Language::Russian), "busy");
        let both = Said::new("busy", "занято");
        assert_eq!(both.in_language(Language::Russian), "занято");
        assert_eq!(both.in_language(Language::English), "busy");
    }

    #[test]
    fn sentences_are_framed_and_listed_in_both_languages() {
        let both = Said::new("busy", "занято");
        let framed = both.within(|en| format!("the line is {en}"), |ru| format!("линия: {ru}"));
        assert_eq!(framed, Said::new("the line is busy", "линия: занято"));
        let untold = Said::from("busy");
        assert_eq!(Said::listed(&[both, untold], "; "), Said::new("busy; busy", "занято; busy"));
    }
}
