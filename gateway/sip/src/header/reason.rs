//! Reason: why a call ended, in the words of the telephone network (RFC 3326, Q.850).

use std::fmt;

use super::Parameters;
use crate::message::Headers;
use crate::text::{clean, quoted, split_outside};

/// Longest explanation, in bytes, that is written or kept.
const TEXT_LIMIT_BYTES: usize = 128;

/// Non-selected user clearing: somebody else took the call.
const ELSEWHERE_Q850: u16 = 26;

/// Whose causes are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// ITU-T Q.850 causes, 1 to 127.
    Q850,
    /// SIP status codes.
    Sip,
}

/// A cause and its explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Whose cause.
    pub protocol: Protocol,
    /// 16 is normal clearing, 17 busy, 19 no answer, 34 no circuit, 41 temporary failure (Q.850 table 1).
    pub cause: u16,
    /// For people; any text, made safe when written.
    pub text: Option<String>,
}

impl Reason {
    /// A Q.850 cause.
    #[must_use]
    pub fn q850(cause: u16, text: &str) -> Self {
        Self { protocol: Protocol::Q850, cause, text: Some(text.to_owned()) }
    }

    /// Writes it down. Who is told that somebody else took the call is told so in SIP's words too: phones look for those
    /// before they count a missed call.
    pub(crate) fn push_to(&self, headers: &mut Headers) {
        headers.push("Reason", self.to_string());
        if (self.protocol, self.cause) == (Protocol::Q850, ELSEWHERE_Q850) {
            headers.push("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"");
        }
    }

    /// Whether somebody else took the call (RFC 3326 section 3.1, Q.850 cause 26).
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        match self.protocol {
            Protocol::Q850 => self.cause == ELSEWHERE_Q850,
            Protocol::Sip => self.cause == 200,
        }
    }

    /// The best cause among the values: that somebody else took the call, else Q.850 before SIP. Unknown protocols and
    /// causes that are no number are passed over.
    pub(crate) fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Option<Self> {
        let reasons = values.flat_map(|value| split_outside(value, b',')).filter_map(Self::parse_one);
        reasons.min_by_key(|reason| (!reason.is_elsewhere(), reason.protocol == Protocol::Sip))
    }

    fn parse_one(value: &str) -> Option<Self> {
        let (protocol, parameters) = value.split_once(';')?;
        let protocol = match protocol.trim().to_ascii_uppercase().as_str() {
            "Q.850" => Protocol::Q850,
            "SIP" => Protocol::Sip,
            _ => return None,
        };
        let parameters = Parameters::parse(parameters);
        let cause = parameters.value("cause")?.trim().parse().ok()?;
        let text = parameters
            .value("text")
            .map(|text| clean(text, TEXT_LIMIT_BYTES))
            .filter(|text| !text.is_empty());
        Some(Self { protocol, cause, text })
    }
}

/// The header's value.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Q850 => "Q.850",
            Protocol::Sip => "SIP",
        };
        write!(f, "{protocol};cause={}", self.cause)?;
        match self.text.as_deref().map(|text| clean(text, TEXT_LIMIT_BYTES)) {
            Some(text) if !text.is_empty() => write!(f, ";text={}", quoted(&text)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q850_is_preferred_and_quoted_text_is_read() {
        let values =
            [r#"SIP ;cause=200 ;text="Call completed elsewhere", Q.850;cause=26;text="a, \"b\"""#, "junk"];
        let reason = Reason::parse(values.into_iter()).unwrap();
        assert_eq!(reason, Reason::q850(26, r#"a, "b""#));
        let alone = Reason::parse(["SIP;cause=487"].into_iter()).unwrap();
        assert_eq!(alone, Reason { protocol: Protocol::Sip, cause: 487, text: None });
        for wrong in ["", "Q.850", "Q.850;cause=x", "preemption;cause=1", "Q.850;cause=70000"] {
            assert_eq!(Reason::parse([wrong].into_iter()), None, "{wrong}");
        }
    }

    #[test]
    fn text_cannot_leave_its_quotes() {
        let reason = Reason::q850(16, "bye\"\r\nX-Evil: 1");
        assert_eq!(reason.to_string(), "Q.850;cause=16;text=\"bye\\\"  X-Evil: 1\"");
        assert_eq!(Reason::q850(16, "").to_string(), "Q.850;cause=16");
        assert_eq!(Reason::parse([reason.to_string().as_str()].into_iter()).unwrap().cause, 16);
    }
}
