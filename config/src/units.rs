//! Words that all three programs share: a line's phone number, a Telegram user's id, a call's id, keys of a phone.
//!
//! Each is checked once, when it is read; afterwards the type is the proof.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A phone number as ITU-T E.164 writes it: `+`, then 7 to 15 digits, the first of them not 0.
///
/// It names a line, and its folder in the state directory: `<state>/+79060000000/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Phone(String);

/// A Telegram user's id. Positive, and below 2^53, so that JSON readers of every kind keep it whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct UserId(i64);

/// The gateway's own name for a call, unique while the gateway lives: 16 hexadecimal digits in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CallId(pub u64);

/// A key of a phone: 0 to 9, `*`, `#`, A to D.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "char", into = "char")]
pub struct Digit(char);

/// 1 to 64 keys in the order in which they are pressed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digits(Vec<Digit>);

/// A word that is not what its place asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a phone number in international form.
    #[error("phone number {0:?}: want + and 7 to 15 digits with the country code first, as +79060000000")]
    Phone(String),
    /// Not a Telegram user id.
    #[error("Telegram id {0:?}: want a whole number from 1 to 9007199254740991")]
    UserId(String),
    /// Not a call id.
    #[error("call id {0:?}: want 16 hexadecimal digits, as the gateway printed them")]
    CallId(String),
    /// Not a key, or not as many as may be pressed at once.
    #[error("digits {0:?}: want 1 to 64 of 0 to 9, *, #, A to D")]
    Digits(String),
}

impl Phone {
    /// The number with its `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a number as people write it, with or without its `+`: with blanks, dots, hyphens and brackets, and Russian mobile
    /// numbers as they are dialled at home.
    ///
    /// # Errors
    /// [`UnitError::Phone`] where no number is left.
    pub fn written(text: &str) -> Result<Self, UnitError> {
        let mut digits: String =
            text.trim().chars().filter(|sign| !" -.()\u{a0}\u{202f}".contains(*sign)).collect();
        if !digits.starts_with('+') {
            digits.insert(0, '+');
        }
        // No country's code begins so.
        if digits.len() == 12 && digits.starts_with("+89") {
            digits.replace_range(1..2, "7");
        }
        digits.parse().map_err(|_| UnitError::Phone(shortened(text)))
    }

    /// The number without its `+`, as Telegram writes it.
    pub fn digits(&self) -> &str {
        &self.0[1..]
    }
}

impl Digit {
    /// The key of a character; small letters count as capital ones.
    pub fn new(key: char) -> Option<Self> {
        let key = key.to_ascii_uppercase();
        matches!(key, '0'..='9' | '*' | '#' | 'A'..='D').then_some(Self(key))
    }

    /// The character on the key.
    pub fn char(self) -> char {
        self.0
    }
}

impl Digits {
    /// Most keys that are pressed at once.
    pub const MOST: usize = 64;

    /// The keys, in order.
    pub fn keys(&self) -> &[Digit] {
        &self.0
    }
}

impl FromStr for Phone {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let fits = (7..=15).contains(&digits.len());
        if fits && !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(UnitError::Phone(shortened(text)))
        }
    }
}

impl UserId {
    const LARGEST: i64 = (1 << 53) - 1;

    /// Checks an id that came from Telegram.
    ///
    /// # Errors
    /// [`UnitError::UserId`] for zero, a negative number, and one above 2^53 - 1.
    pub fn new(id: i64) -> Result<Self, UnitError> {
        if (1..=Self::LARGEST).contains(&id) { Ok(Self(id)) } else { Err(UnitError::UserId(id.to_string())) }
    }

    /// The bare number, as Telegram's schema takes it.
    pub fn number(self) -> i64 {
        self.0
    }
}

impl FromStr for UserId {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::UserId(shortened(text));
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        text.parse().map_err(|_| wrong()).and_then(Self::new)
    }
}

impl FromStr for CallId {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::CallId(shortened(text));
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| wrong())
    }
}

impl FromStr for Digits {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let wrong = || UnitError::Digits(shortened(text));
        if !(1..=Self::MOST).contains(&text.len()) {
            return Err(wrong());
        }
        text.chars().map(Digit::new).collect::<Option<_>>().map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Digit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|digit| digit.fmt(out))
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl TryFrom<String> for Phone {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Phone> for String {
    fn from(phone: Phone) -> Self {
        phone.0
    }
}

impl TryFrom<i64> for UserId {
    type Error = UnitError;

    fn try_from(id: i64) -> Result<Self, UnitError> {
        Self::new(id)
    }
}

impl From<UserId> for i64 {
    fn from(id: UserId) -> Self {
        id.0
    }
}

impl TryFrom<String> for CallId {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<CallId> for String {
    fn from(id: CallId) -> Self {
        id.to_string()
    }
}

impl TryFrom<char> for Digit {
    type Error = UnitError;

    fn try_from(key: char) -> Result<Self, UnitError> {
        Self::new(key).ok_or_else(|| UnitError::Digits(key.to_string()))
    }
}

impl From<Digit> for char {
    fn from(digit: Digit) -> Self {
        digit.0
    }
}

impl TryFrom<String> for Digits {
    type Error = UnitError;

    fn try_from(text: String) -> Result<Self, UnitError> {
        text.parse()
    }
}

impl From<Digits> for String {
    fn from(digits: Digits) -> Self {
        digits.to_string()
    }
}

/// Enough of a wrong word to recognise it by; the rest could be megabytes.
pub(crate) fn shortened(text: &str) -> String {
    if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(39).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phone_keeps_the_plus_and_gives_its_digits() {
        let phone: Phone = "+79060000000".parse().unwrap();
        assert_eq!((phone.as_str(), phone.digits()), ("+79060000000", "79060000000"));
    }

    #[test]
    fn phone_refuses_what_is_not_in_international_form() {
        for wrong in [
            "",
            "+",
            "79060000000",
            "+7906",
            "+0906000000",
            "+7906000000a",
            "+7 906 000",
            "+1234567890123456",
        ] {
            assert!(wrong.parse::<Phone>().is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn phone_error_names_the_value_and_an_example() {
        let error = "8906".parse::<Phone>().unwrap_err().to_string();
        assert_eq!(
            error,
            r#"phone number "8906": want + and 7 to 15 digits with the country code first, as +79060000000"#
        );
    }

    #[test]
    fn phone_cannot_leave_the_state_directory() {
        assert!("+../../etc".parse::<Phone>().is_err());
        assert!(serde_json::from_str::<Phone>(r#""+/79060000000""#).is_err());
    }

    #[test]
    fn user_id_takes_what_telegram_gives_and_nothing_else() {
        assert_eq!("5123456789".parse::<UserId>().unwrap().number(), 5_123_456_789);
        for wrong in ["0", "-5", "+5", "9007199254740992", "five", ""] {
            assert!(wrong.parse::<UserId>().is_err(), "{wrong:?} was taken");
        }
        let error = "five".parse::<UserId>().unwrap_err().to_string();
        assert_eq!(error, r#"Telegram id "five": want a whole number from 1 to 9007199254740991"#);
        assert!(serde_json::from_str::<UserId>("-1").is_err());
    }

    #[test]
    fn call_id_reads_back_what_it_printed() {
        let call = CallId(0xabc);
        assert_eq!(call.to_string(), "0000000000000abc");
        assert_eq!("0000000000000abc".parse::<CallId>().unwrap(), call);
        assert_eq!(serde_json::to_string(&call).unwrap(), r#""0000000000000abc""#);
        let error = "abc".parse::<CallId>().unwrap_err().to_string();
        assert_eq!(error, r#"call id "abc": want 16 hexadecimal digits, as the gateway printed them"#);
        assert!("+00000000000000a".parse::<CallId>().is_err());
    }

    #[test]
    fn digits_are_the_sixteen_keys_and_at_most_64_of_them() {
        assert_eq!("0189*#AbcD".parse::<Digits>().unwrap().to_string(), "0189*#ABCD");
        assert_eq!("1".repeat(64).parse::<Digits>().unwrap().keys().len(), 64);
        for wrong in ["", "1 2", "E", "+7", "\u{0661}", &"1".repeat(65)] {
            let error = wrong.parse::<Digits>().unwrap_err().to_string();
            assert!(error.ends_with("want 1 to 64 of 0 to 9, *, #, A to D"), "{error}");
        }
        assert!(serde_json::from_str::<Digit>("\"x\"").is_err());
    }

    #[test]
    fn long_nonsense_is_quoted_in_part() {
        let error = "x".repeat(5_000).parse::<Phone>().unwrap_err().to_string();
        assert!(error.len() < 200, "{error}");
    }
}
