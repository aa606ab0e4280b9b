//! Chats and people, by Telegram's numbers as the Bot API writes them (core.telegram.org/api/bots/ids).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::ungrouped;

/// A chat: a person's id, minus a basic group's, or -100 and a channel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChatId(pub i64);

/// What a chat is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChatKind {
    /// A person.
    User,
    /// A bot.
    Bot,
    /// A basic group.
    Group,
    /// A group of many.
    Supergroup,
    /// A channel.
    Channel,
}

/// A chat as programs name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// By its number.
    Chat(ChatId),
    /// The person with this phone number: digits.
    Phone(String),
    /// Whoever has this username: without `@`.
    Username(String),
}

/// Why a text names no chat.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "want a chat's number, as \"10000000\" or \"-1001234567890\", a phone number, as \"79991234567@c.us\" or \"+79991234567\", or a name, as \"@anna\""
)]
pub struct AddressError;

/// A chat, with what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat {
    /// Its number.
    pub id: ChatId,
    /// What it is.
    pub kind: ChatKind,
    /// Its title, or the person's name.
    pub title: String,
    /// Without `@`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The person's phone number: digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Whether it is in the archive.
    #[serde(default)]
    pub is_archived: bool,
}

/// What a person is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersonKind {
    /// A person.
    User,
    /// A bot.
    Bot,
    /// A channel, or a group in its own name.
    Channel,
}

/// Somebody who writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their number.
    pub id: ChatId,
    /// What they are.
    pub kind: PersonKind,
    /// What they call themselves.
    pub name: String,
    /// What the account calls them, if they are among its contacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_name: Option<String>,
    /// Without `@`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Digits, where they show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// Where the numbers of channels begin.
const CHANNELS: i64 = -1_000_000_000_000;

impl ChatId {
    /// Of a person.
    #[must_use]
    pub const fn of_user(id: i64) -> Self {
        Self(id)
    }

    /// Of a basic group.
    #[must_use]
    pub const fn of_group(id: i64) -> Self {
        Self(id.wrapping_neg())
    }

    /// Of a channel, or of a supergroup.
    #[must_use]
    pub const fn of_channel(id: i64) -> Self {
        Self(CHANNELS.wrapping_sub(id))
    }

    /// The person's number, if it is a person.
    #[must_use]
    pub const fn user(self) -> Option<i64> {
        if self.0 > 0 { Some(self.0) } else { None }
    }

    /// The basic group's number, if it is one.
    #[must_use]
    pub const fn group(self) -> Option<i64> {
        if self.0 < 0 && self.0 > CHANNELS { Some(-self.0) } else { None }
    }

    /// The channel's number, if it is one, or a supergroup.
    #[must_use]
    pub const fn channel(self) -> Option<i64> {
        if self.0 < CHANNELS { Some(CHANNELS - self.0) } else { None }
    }

    /// What it is, as far as its number tells.
    pub(crate) const fn guessed_kind(self) -> ChatKind {
        match (self.channel(), self.group()) {
            (Some(_), _) => ChatKind::Supergroup,
            (None, Some(_)) => ChatKind::Group,
            (None, None) => ChatKind::User,
        }
    }

    /// Whether it is a person's chat.
    #[must_use]
    pub const fn is_person(self) -> bool {
        self.0 > 0
    }
}

impl Chat {
    /// One of which only the number is known.
    pub(crate) fn unknown(id: ChatId) -> Self {
        let kind = id.guessed_kind();
        Self { id, kind, title: String::new(), username: None, phone: None, is_archived: false }
    }
}

impl ChatKind {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Bot => "bot",
            Self::Group => "group",
            Self::Supergroup => "supergroup",
            Self::Channel => "channel",
        }
    }
}

impl PersonKind {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Bot => "bot",
            Self::Channel => "channel",
        }
    }
}

impl Address {
    /// Reads what programs write: a number, a number with `@c.us` (a phone) or `@g.us` (a group), `+` and a phone, a name.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn read(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if let Some(phone) = text.strip_suffix("@c.us") {
            return read_phone(phone);
        }
        let text = text.strip_suffix("@g.us").unwrap_or(text);
        if let Some(phone) = text.strip_prefix('+') {
            return read_phone(phone);
        }
        if let Some(name) = text.strip_prefix('@') {
            return read_name(name);
        }
        let number: i64 = ungrouped(text).parse().map_err(|_| AddressError)?;
        if number == 0 { Err(AddressError) } else { Ok(Self::Chat(ChatId(number))) }
    }

    /// What programs are told when nobody is found by it.
    pub(crate) const fn unfound(&self) -> &'static str {
        match self {
            Self::Phone(_) => "no_telegram_account",
            Self::Chat(_) | Self::Username(_) => "dialog_not_found",
        }
    }

    /// As it is kept: what [`Self::read`] reads again.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Chat(id) => id.to_string(),
            Self::Phone(phone) => format!("+{phone}"),
            Self::Username(name) => format!("@{name}"),
        }
    }
}

/// Telegram's numbers have 5 to 15 digits (E.164).
fn read_phone(text: &str) -> Result<Address, AddressError> {
    let mut digits = String::new();
    for character in text.chars() {
        match character {
            '0'..='9' => digits.push(character),
            ' ' | '-' | '(' | ')' | '+' | '.' | '\u{a0}' | '\u{202f}' => {}
            _ => return Err(AddressError),
        }
    }
    // As Russian mobile numbers are dialled at home; no country's code begins so.
    if digits.len() == 11 && digits.starts_with("89") {
        digits.replace_range(..1, "7");
    }
    if (5..=15).contains(&digits.len()) { Ok(Address::Phone(digits)) } else { Err(AddressError) }
}

fn read_name(text: &str) -> Result<Address, AddressError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain && (4..=32).contains(&text.len()) {
        Ok(Address::Username(text.to_owned()))
    } else {
        Err(AddressError)
    }
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_is_named_by_number_phone_or_name() {
        let chat = |number| Ok(Address::Chat(ChatId(number)));
        assert_eq!(Address::read("10000000"), chat(10_000_000));
        assert_eq!(Address::read(" -1001234567890 "), chat(-1_001_234_567_890));
        assert_eq!(Address::read("-4242@g.us"), chat(-4242));
        let phone = || Ok(Address::Phone("79991234567".to_owned()));
        assert_eq!(Address::read("79991234567@c.us"), phone());
        assert_eq!(Address::read("+7 (999) 123-45-67"), phone());
        for at_home in
            ["8 (999) 123-45-67@c.us", "89991234567@c.us", "+8 999 123-45-67", "+8\u{202f}9991234567"]
        {
            assert_eq!(Address::read(at_home), phone(), "{at_home}");
        }
        // Vietnam's code is 84; ten digits may be of any country.
        for other in ["84912345678", "9991234567", "899912345678"] {
            assert_eq!(Address::read(&format!("{other}@c.us")), Ok(Address::Phone(other.to_owned())));
        }
        // As 1C writes numbers.
        assert_eq!(Address::read("10\u{a0}000\u{a0}000"), chat(10_000_000));
        assert_eq!(Address::read("-1 001 234\u{202f}567 890"), chat(-1_001_234_567_890));
        assert_eq!(Address::read("@anna_b"), Ok(Address::Username("anna_b".to_owned())));
        for wrong in ["", "0", "anna", "@a", "@an na", "+12", "12x@c.us", "1.5"] {
            assert_eq!(Address::read(wrong), Err(AddressError), "{wrong}");
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        for text in ["10000000", "-1001234567890", "+79991234567", "@anna"] {
            assert_eq!(Address::read(text).unwrap().text(), text);
        }
    }

    #[test]
    fn a_number_tells_what_kind_of_chat_it_is() {
        assert_eq!(ChatId::of_group(42), ChatId(-42));
        assert_eq!(ChatId::of_channel(1_234_567_890), ChatId(-1_001_234_567_890));
        assert_eq!(ChatId(-1_001_234_567_890).channel(), Some(1_234_567_890));
        assert_eq!((ChatId(-42).group(), ChatId(-42).channel(), ChatId(-42).user()), (Some(42), None, None));
        assert_eq!(ChatId(7).user(), Some(7));
    }
}
