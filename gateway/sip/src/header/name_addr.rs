//! A name and an address: From, To, Contact, Route, Record-Route, Refer-To (RFC 3261 section 20.10).

use super::Parameters;
use crate::text::{split_outside, unquoted};

/// One value of such a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameAddr {
    /// Display name without quotes and escapes; empty when there is none.
    pub(crate) display: String,
    /// The address as written, without brackets.
    pub(crate) uri: String,
    /// What stands behind the brackets; without brackets, every parameter (RFC 3261 section 20).
    pub(crate) parameters: Parameters,
}

impl NameAddr {
    /// `None` when quotes or brackets do not close or no address stands there.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (display, rest) = match bracket(text)? {
            Some(at) => (unquoted(&text[..at]), &text[at + 1..]),
            None => {
                let (uri, parameters) = text.split_once(';').unwrap_or((text, ""));
                return Self::checked(String::new(), uri.trim(), parameters);
            }
        };
        let (uri, after) = rest.split_once('>')?;
        let parameters = match after.trim_start().strip_prefix(';') {
            Some(parameters) => parameters,
            None if after.trim().is_empty() => "",
            None => return None,
        };
        Self::checked(display, uri.trim(), parameters)
    }

    fn checked(display: String, uri: &str, parameters: &str) -> Option<Self> {
        let (scheme, rest) = uri.split_once(':')?;
        let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        if !named
            || rest.is_empty()
            || uri.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"'))
        {
            return None;
        }
        Some(Self { display, uri: uri.to_owned(), parameters: Parameters::parse(parameters) })
    }

    /// The dialog tag (RFC 3261 section 19.3).
    pub(crate) fn tag(&self) -> Option<&str> {
        self.parameters.value("tag").filter(|tag| !tag.is_empty())
    }

    /// Each value of a header that may list several, as written.
    pub(crate) fn split_list(text: &str) -> Vec<&str> {
        split_outside(text, b',')
    }
}

/// Where the opening bracket stands outside quotes; `None` when quotes do not close.
#[expect(clippy::option_option, reason = "unclosed quotes are not the same as no bracket")]
fn bracket(text: &str) -> Option<Option<usize>> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'<' if !quoted => return Some(Some(at)),
            _ => {}
        }
    }
    (!quoted).then_some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_brackets_and_parameters_stay_apart() {
        let from = NameAddr::parse(r#""Ivan \"<x>\", 2" <sip:+7906@pbx;user=phone>;tag=1;x="a;b""#).unwrap();
        assert_eq!(from.display, r#"Ivan "<x>", 2"#);
        assert_eq!(from.uri, "sip:+7906@pbx;user=phone");
        assert_eq!((from.tag(), from.parameters.value("x")), (Some("1"), Some("a;b")));
    }

    #[test]
    fn without_brackets_parameters_belong_to_the_header() {
        let to = NameAddr::parse("sip:100@pbx;tag=7").unwrap();
        assert_eq!((to.uri.as_str(), to.tag()), ("sip:100@pbx", Some("7")));
        assert_eq!(NameAddr::parse("Bob Two <sip:b@c>").unwrap().display, "Bob Two");
    }

    #[test]
    fn what_does_not_close_is_no_address() {
        for wrong in ["", "\"Bob <sip:b@c>", "<sip:b@c", "Bob", "<sip:b@c> x", "<>", "<sip:>", "<sip:a b@c>"]
        {
            assert_eq!(NameAddr::parse(wrong), None, "{wrong}");
        }
    }
}
