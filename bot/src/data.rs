//! What a button holds and what an inline query asks: the words that come back from Telegram.
//!
//! ```text
//! d:00000000000000a1:101          press 101 in a call         (button of the keypad)
//! c:+79060000000:5123456789       call this person back       (button of the card)
//! o:00000000000000a1:5            press 5 for the operator    (button of an operator's card)
//! h:00000000000000a1:             hang up                     (button of an operator's card)
//! a:+79060000000:5123456789       call this person again      (button of an operator's card)
//! keypad:00000000000000a1         the keypad of a call        (inline query)
//! card:+79060000000:5123456789    the card for a person       (inline query)
//! ```
//!
//! Anybody may send any of it, so it proves nothing.

use tgtrunk_config::{CallId, Digits, Phone, UserId};

/// Most that a button may hold (core.telegram.org/bots/api#inlinekeyboardbutton).
const MOST_BYTES: usize = 64;

/// What a pressed button asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pressed {
    /// Keys in a call.
    Digits { call: CallId, digits: Digits },
    /// To be called back.
    CallBack { line: Phone, person: UserId },
    /// Keys in a call that an operator watches.
    Lead { call: CallId, digits: Digits },
    /// The end of a call that an operator watches.
    HangUp { call: CallId },
    /// Another call to a person, by an operator.
    Again { line: Phone, person: UserId },
}

/// What an inline query asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The keypad of a call.
    Keypad(CallId),
    /// The business card of a line, for a person.
    Card { line: Phone, person: UserId },
}

impl Pressed {
    /// The button's data. At most 64 bytes: a call's number is 16, and a menu row has at most 32 keys.
    pub(crate) fn to_data(&self) -> String {
        match self {
            Self::Digits { call, digits } => format!("d:{call}:{digits}"),
            Self::CallBack { line, person } => format!("c:{line}:{person}"),
            Self::Lead { call, digits } => format!("o:{call}:{digits}"),
            Self::HangUp { call } => format!("h:{call}:"),
            Self::Again { line, person } => format!("a:{line}:{person}"),
        }
    }

    /// Reads a button's data.
    pub(crate) fn from_data(data: &str) -> Option<Self> {
        if data.len() > MOST_BYTES {
            return None;
        }
        let (word, rest) = data.split_once(':')?;
        let (what, whom) = rest.split_once(':')?;
        match word {
            "d" => Some(Self::Digits { call: what.parse().ok()?, digits: whom.parse().ok()? }),
            "c" => Some(Self::CallBack { line: what.parse().ok()?, person: whom.parse().ok()? }),
            "o" => Some(Self::Lead { call: what.parse().ok()?, digits: whom.parse().ok()? }),
            "h" if whom.is_empty() => Some(Self::HangUp { call: what.parse().ok()? }),
            "a" => Some(Self::Again { line: what.parse().ok()?, person: whom.parse().ok()? }),
            _ => None,
        }
    }
}

impl Wanted {
    /// Reads an inline query.
    pub(crate) fn from_query(text: &str) -> Option<Self> {
        let (word, rest) = text.split_once(':')?;
        match word {
            "keypad" => rest.parse().ok().map(Self::Keypad),
            "card" => {
                let (line, person) = rest.split_once(':')?;
                Some(Self::Card { line: line.parse().ok()?, person: person.parse().ok()? })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_buttons_fit_and_read_back() {
        for pressed in [
            Pressed::Digits {
                call: CallId(u64::MAX),
                digits: "0123456789*#ABCD0123456789*#ABCD".parse().unwrap(),
            },
            Pressed::CallBack {
                line: "+123456789012345".parse().unwrap(),
                person: UserId::new(9_007_199_254_740_991).unwrap(),
            },
            Pressed::Lead { call: CallId(1), digits: "5".parse().unwrap() },
            Pressed::HangUp { call: CallId(1) },
            Pressed::Again { line: "+79060000000".parse().unwrap(), person: UserId::new(5).unwrap() },
        ] {
            let data = pressed.to_data();
            assert!(data.len() <= MOST_BYTES, "{data}");
            assert_eq!(Pressed::from_data(&data), Some(pressed));
        }
    }

    #[test]
    fn what_somebody_made_up_is_no_button_and_no_query() {
        for data in [
            "",
            "d",
            "d:",
            "d:1:5",
            "d:00000000000000a1:",
            "d:00000000000000a1:5:",
            "x:1:2",
            "c:79060000000:5",
        ] {
            assert_eq!(Pressed::from_data(data), None, "{data}");
        }
        assert_eq!(Pressed::from_data(&format!("d:00000000000000a1:{}", "5".repeat(64))), None);
        for text in
            ["", "keypad", "keypad:", "keypad:1", "card:+79060000000", "card:+79060000000:0", "any words"]
        {
            assert_eq!(Wanted::from_query(text), None, "{text}");
        }
        assert_eq!(Wanted::from_query("keypad:00000000000000a1"), Some(Wanted::Keypad(CallId(0xa1))));
        let card = Wanted::Card { line: "+79060000000".parse().unwrap(), person: UserId::new(5).unwrap() };
        assert_eq!(Wanted::from_query("card:+79060000000:5"), Some(card));
    }
}
