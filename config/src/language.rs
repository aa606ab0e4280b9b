//! The two languages in which programs speak to people.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A language that every text and every sentence has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub enum Language {
    /// Russian, `ru`.
    #[serde(rename = "ru")]
    Russian,
    /// English, `en`.
    #[default]
    #[serde(rename = "en")]
    English,
}

/// Not a language that texts are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(r#"want one of "ru", "en""#)]
pub struct LanguageError;

impl Language {
    /// Both, in the order of their columns.
    pub const ALL: [Self; 2] = [Self::Russian, Self::English];

    /// Its ISO 639-1 code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Russian => "ru",
            Self::English => "en",
        }
    }

    /// The language for a person whose app says this IETF language tag, as `ru`, `pt-BR` or `uk_UA`: Russian where
    /// nearly everybody reads it, else English.
    pub fn from_code(code: &str) -> Self {
        let first = code.split(['-', '_', '.', '@']).next().unwrap_or_default().to_ascii_lowercase();
        if ["ru", "uk", "be", "kk", "ky"].contains(&first.as_str()) { Self::Russian } else { Self::English }
    }

    /// The language of messages at a terminal: Russian if the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set
    /// to something (POSIX.1-2017, XBD 8.2) begins with "ru". `variable` looks a name up.
    pub fn of_terminal(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable);
        let locale = set.into_iter().find(|value| !value.is_empty()).unwrap_or_default();
        if locale.to_ascii_lowercase().starts_with("ru") { Self::Russian } else { Self::English }
    }
}

impl FromStr for Language {
    type Err = LanguageError;

    fn from_str(code: &str) -> Result<Self, LanguageError> {
        Self::ALL.into_iter().find(|language| language.as_str() == code).ok_or(LanguageError)
    }
}

impl fmt::Display for Language {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_written_and_read_by_its_code() {
        for language in Language::ALL {
            assert_eq!(language.as_str().parse::<Language>().unwrap(), language);
            let json = serde_json::to_string(&language).unwrap();
            assert_eq!(json, format!("{:?}", language.as_str()));
            assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), language);
        }
        for wrong in ["", "RU", "de", "russian"] {
            assert_eq!(wrong.parse::<Language>().unwrap_err().to_string(), r#"want one of "ru", "en""#);
        }
    }

    #[test]
    fn a_person_gets_russian_where_it_is_read_and_english_elsewhere() {
        for code in ["ru", "RU", "ru-RU", "uk", "be", "kk-KZ", "ky"] {
            assert_eq!(Language::from_code(code), Language::Russian, "{code}");
        }
        for code in ["", "en", "de", "rum", "pt-br", "-ru", "бел"] {
            assert_eq!(Language::from_code(code), Language::English, "{code}");
        }
    }

    #[test]
    fn a_terminal_speaks_the_language_of_its_first_locale_that_is_set() {
        let of = |set: &[(&str, &str)]| {
            Language::of_terminal(|name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(of(&[]), Language::English);
        assert_eq!(of(&[("LANG", "ru_RU.UTF-8")]), Language::Russian);
        assert_eq!(of(&[("LC_ALL", ""), ("LC_MESSAGES", "ru"), ("LANG", "C")]), Language::Russian);
        assert_eq!(of(&[("LC_ALL", "C.UTF-8"), ("LANG", "ru_RU.UTF-8")]), Language::English);
    }
}
