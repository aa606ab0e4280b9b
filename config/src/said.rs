//! A sentence for people, in both languages.

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
}
