//! Whom a call is to reach at Telegram, as programs and people write it.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::{Phone, UserId};

/// A person at Telegram, by one of their names. In JSON an id is a number; a phone number and a username are texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Callee {
    /// By Telegram's id, which an account can call once it has met the person.
    Id(UserId),
    /// By phone number.
    Phone(Phone),
    /// By username, without its `@`.
    Username(String),
}

/// Not a person's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("person {0:?}: want a phone number as +79990000000, a username as @anna, or a Telegram id")]
pub struct CalleeError(String);

impl FromStr for Callee {
    type Err = CalleeError;

    fn from_str(text: &str) -> Result<Self, CalleeError> {
        let text = text.trim();
        let wrong = || CalleeError(text.chars().take(40).collect());
        if let Some(name) = text.strip_prefix('@') {
            let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            return (is_name && (4..=32).contains(&name.len()))
                .then(|| Self::Username(name.to_owned()))
                .ok_or_else(wrong);
        }
        // Digits alone are an id; with what stands between the digits of a phone number they are none.
        let is_home = text.starts_with('8') && text.contains(|sign: char| !sign.is_ascii_digit());
        if text.starts_with('+') || is_home {
            let phone =
                Phone::written(text).ok().filter(|phone| !is_home || phone.digits().starts_with("79"));
            return phone.map(Self::Phone).ok_or_else(wrong);
        }
        text.parse().map(Self::Id).map_err(|_| wrong())
    }
}

impl fmt::Display for Callee {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(out),
            Self::Phone(phone) => phone.fmt(out),
            Self::Username(name) => write!(out, "@{name}"),
        }
    }
}

impl From<UserId> for Callee {
    fn from(id: UserId) -> Self {
        Self::Id(id)
    }
}

impl Serialize for Callee {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Id(id) => id.serialize(out),
            Self::Phone(_) | Self::Username(_) => out.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Callee {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        input.deserialize_any(Names)
    }
}

struct Names;

impl Visitor<'_> for Names {
    type Value = Callee;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a phone number as \"+79990000000\", a username as \"@anna\", or a Telegram id")
    }

    fn visit_i64<E: Error>(self, id: i64) -> Result<Callee, E> {
        UserId::new(id).map(Callee::Id).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<Callee, E> {
        self.visit_i64(i64::try_from(id).unwrap_or(i64::MAX))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Callee, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_written_as_people_write_numbers_and_names() {
        let id = UserId::new(5).unwrap();
        for (text, callee, json) in [
            ("+7 (999) 000-00-00", Callee::Phone("+79990000000".parse().unwrap()), "\"+79990000000\""),
            ("@anna_k", Callee::Username("anna_k".into()), "\"@anna_k\""),
            ("5", Callee::Id(id), "5"),
        ] {
            assert_eq!(text.parse::<Callee>().as_ref(), Ok(&callee), "{text}");
            assert_eq!(serde_json::to_string(&callee).unwrap(), json);
            assert_eq!(serde_json::from_str::<Callee>(json).unwrap(), callee);
        }
        assert_eq!(serde_json::from_str::<Callee>("\"5\"").unwrap(), Callee::Id(id));
        // As people dial at home, and as 1C groups digits.
        let phone = Callee::Phone("+79991234567".parse().unwrap());
        for written in [
            "+8 (999) 123-45-67",
            "8 (999) 123-45-67",
            "8-999-123-45-67",
            "+89991234567",
            "+7\u{202f}999\u{202f}123\u{202f}45\u{202f}67",
            "8\u{a0}999.123.45.67",
        ] {
            assert_eq!(written.parse().as_ref(), Ok(&phone), "{written}");
        }
        // An id is one however it looks, and other countries' codes begin with 8.
        assert_eq!("89991234567".parse(), Ok(Callee::Id(UserId::new(89_991_234_567).unwrap())));
        assert_eq!("+84 91 234 56 78".parse(), Ok(Callee::Phone("+84912345678".parse().unwrap())));
    }

    #[test]
    fn what_is_nobody_is_told_with_what_is_allowed() {
        for text in [
            "",
            "anna",
            "@an",
            "@anna k",
            "+7",
            "0",
            "-5",
            "9007199254740992",
            "8 999",
            "8 (499) 123-45-67",
            "+7 999 x",
        ] {
            let told = text.parse::<Callee>().unwrap_err().to_string();
            assert!(told.starts_with(&format!("person {text:?}: want a phone number as +7")), "{told}");
        }
        let told = serde_json::from_str::<Callee>("true").unwrap_err().to_string();
        assert!(told.contains("a username as \"@anna\""), "{told}");
    }
}
