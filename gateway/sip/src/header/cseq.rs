//! CSeq: the number that orders requests in a dialog, and their method (RFC 3261 section 20.16).

use crate::message::Method;

/// A CSeq value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CSeq {
    /// Below 2^31 (RFC 3261 section 8.1.1.5).
    pub(crate) number: u32,
    pub(crate) method: Method,
}

impl CSeq {
    /// `None` when it is not a number below 2^31 and a method.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let digits = words.next().filter(|word| word.bytes().all(|b| b.is_ascii_digit()))?;
        let number = digits.parse().ok().filter(|&number: &u32| number < 1 << 31)?;
        let method = Method::parse(words.next()?)?;
        words.next().is_none().then_some(Self { number, method })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_below_two_to_the_31_and_a_method() {
        assert_eq!(CSeq::parse(" 0009\t INVITE "), Some(CSeq { number: 9, method: Method::Invite }));
        for wrong in [
            "2147483648 INVITE",
            "36893488147419103232 REGISTER",
            "-1 BYE",
            "+1 BYE",
            "1",
            "",
            "1 BYE BYE",
            "1 B{E",
        ] {
            assert_eq!(CSeq::parse(wrong), None, "{wrong}");
        }
    }
}
