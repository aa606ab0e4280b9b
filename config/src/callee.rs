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
        if text.starts_with('+') {
            // As people write it, with blanks, hyphens and brackets.
            let plain: String = text.chars().filter(|sign| !" -()\u{a0}".contains(*sign)).collect();
            return plain.parse().map(Self::Phone).map_err(|_| wrong());
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
    }

    #[test]
    fn what_is_nobody_is_told_with_what_is_allowed() {
        for text in ["", "anna", "@an", "@anna k", "+7", "0", "-5", "9007199254740992", "8 999"] {
            let told = text.parse::<Callee>().unwrap_err().to_string();
            assert!(told.starts_with(&format!("person {text:?}: want a phone number as +7")), "{told}");
        }
        let told = serde_json::from_str::<Callee>("true").unwrap_err().to_string();
        assert!(told.contains("a username as \"@anna\""), "{told}");
    }
}
