//! Replaces: the dialog whose place a new call takes (RFC 3891 section 6.1).

use std::fmt;

use super::Parameters;
use crate::text::is_token;

/// Longest Call-ID that is passed on, in bytes.
const CALL_ID_LIMIT_BYTES: usize = 512;

/// A Replaces value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replaces {
    pub(crate) call_id: String,
    /// The tag of whoever gets the header.
    pub(crate) to_tag: String,
    /// The tag of the other side.
    pub(crate) from_tag: String,
    /// Whether only a call that nobody has answered is to be replaced.
    pub(crate) early_only: bool,
}

impl Replaces {
    /// `None` without a Call-ID or one of the tags, and where one of them could not stand in a header.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (call_id, parameters) = text.split_once(';')?;
        let call_id = call_id.trim();
        let fit = |byte: u8| byte.is_ascii_graphic() && byte != b',';
        if call_id.is_empty() || call_id.len() > CALL_ID_LIMIT_BYTES || !call_id.bytes().all(fit) {
            return None;
        }
        let parameters = Parameters::parse(parameters);
        let tag = |name: &str| parameters.value(name).filter(|tag| is_token(tag)).map(str::to_owned);
        Some(Self {
            call_id: call_id.to_owned(),
            to_tag: tag("to-tag")?,
            from_tag: tag("from-tag")?,
            early_only: parameters.has("early-only"),
        })
    }
}

/// The header's value.
impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        if self.early_only { f.write_str(";early-only") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_and_both_tags_are_read_in_any_order_and_written() {
        // The example of RFC 3891 section 6.1.
        let text = "98732@sip.example.com;from-tag=r33th4x0r;to-tag=ff87ff";
        let replaces = Replaces::parse(text).unwrap();
        assert_eq!(replaces.to_string(), "98732@sip.example.com;to-tag=ff87ff;from-tag=r33th4x0r");
        let early = Replaces::parse("12adf2f34456gs5;to-tag=12345;from-tag=54321;early-only").unwrap();
        assert!(early.early_only && early.to_string().ends_with(";early-only"));
    }

    #[test]
    fn what_names_no_dialog_or_would_break_a_header_is_none() {
        for wrong in [
            "",
            "a@b",
            "a@b;to-tag=1",
            "a@b;from-tag=1",
            ";to-tag=1;from-tag=2",
            "a@b;to-tag=;from-tag=2",
            "a@b;to-tag=1\r\nX-Evil: 1;from-tag=2",
            "a@b\r\nX-Evil: 1;to-tag=1;from-tag=2",
            "a b;to-tag=1;from-tag=2",
        ] {
            assert_eq!(Replaces::parse(wrong), None, "{wrong:?}");
        }
        let long = format!("{};to-tag=1;from-tag=2", "a".repeat(CALL_ID_LIMIT_BYTES + 1));
        assert_eq!(Replaces::parse(&long), None);
    }
}
