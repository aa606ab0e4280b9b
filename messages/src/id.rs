//! The numbers by which programs name an instance and a message.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An instance's number, ten digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(i64);

/// A message's number, which it has before Telegram gives it another: thirteen digits, growing within an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(i64);

/// Where the numbers of instances begin and end.
const INSTANCES: std::ops::Range<i64> = 4_100_000_000..4_200_000_000;

impl InstanceId {
    /// The number, if it can be an instance's.
    #[must_use]
    pub fn new(number: i64) -> Option<Self> {
        (1_000_000_000..10_000_000_000).contains(&number).then_some(Self(number))
    }

    /// Any number for a new instance.
    #[must_use]
    pub fn random() -> Self {
        let span = INSTANCES.end - INSTANCES.start;
        let chance = i64::from(u32::from_le_bytes(crate::clock::random()));
        Self(INSTANCES.start + chance % span)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl MessageId {
    /// The number as it is stored.
    #[must_use]
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number of a message that comes after `last`, at `now_ms`.
    #[must_use]
    pub fn after(last: i64, now_ms: i64) -> Self {
        Self(now_ms.max(last + 1))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for InstanceId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        text.parse().ok().and_then(Self::new).ok_or(())
    }
}

impl FromStr for MessageId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        ungrouped(text.trim()).parse().ok().filter(|number| *number > 0).map(Self).ok_or(())
    }
}

/// A number without what groups its digits, as in 1C's texts of numbers.
pub(crate) fn ungrouped(text: &str) -> String {
    text.chars().filter(|letter| !matches!(letter, ' ' | '\u{a0}' | '\u{202f}')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_ten_digits() {
        assert_eq!("4100000001".parse(), Ok(InstanceId(4_100_000_001)));
        for wrong in ["", "410", "41000000012", "4100000o01", "-4100000001"] {
            assert_eq!(wrong.parse::<InstanceId>(), Err(()), "{wrong}");
        }
        assert_eq!(InstanceId::random().to_string().len(), 10);
    }

    #[test]
    fn a_message_is_named_as_1c_writes_its_number() {
        for said in [
            "1763115112345",
            " 1763115112345",
            "1\u{a0}763\u{a0}115\u{a0}112\u{a0}345",
            "1\u{202f}763 115 112 345",
        ] {
            assert_eq!(said.parse(), Ok(MessageId(1_763_115_112_345)), "{said}");
        }
        for wrong in ["", " ", "0", "-1", "1,5", "1-2"] {
            assert_eq!(wrong.parse::<MessageId>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn messages_of_one_millisecond_have_numbers_that_grow() {
        let first = MessageId::after(0, 1_763_115_112_345);
        let second = MessageId::after(first.get(), 1_763_115_112_345);
        assert_eq!((first.get(), second.get()), (1_763_115_112_345, 1_763_115_112_346));
    }
}
