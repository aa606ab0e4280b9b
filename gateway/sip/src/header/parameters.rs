//! Header parameters: `;name`, `;name=value`, `;name="value"` (RFC 3261 section 7.3.1).

use crate::text::{split_outside, unquoted};

/// Parameters in order, names as written, values without quotes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(String, Option<String>)>);

impl Parameters {
    /// Reads what follows the first semicolon of a header value.
    pub(crate) fn parse(text: &str) -> Self {
        let pair = |piece: &str| match piece.split_once('=') {
            Some((name, value)) => (name.trim().to_owned(), Some(unquoted(value))),
            None => (piece.to_owned(), None),
        };
        Self(split_outside(text, b';').into_iter().map(pair).collect())
    }

    /// Reads a list with commas between, as a challenge has them (RFC 3261 section 25.1).
    pub(crate) fn parse_list(text: &str) -> Self {
        let pairs = split_outside(text, b',').into_iter().filter_map(|piece| piece.split_once('='));
        Self(pairs.map(|(name, value)| (name.trim().to_owned(), Some(unquoted(value)))).collect())
    }

    /// Whether the parameter stands there, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// The parameter's value; `None` too when it stands without one.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_values_without_quotes() {
        let parameters = Parameters::parse(r#" Branch = z9 ; rport;text="a;\"b" ;; received="#);
        assert_eq!(parameters.value("branch"), Some("z9"));
        assert!(parameters.has("RPORT") && parameters.value("rport").is_none());
        assert_eq!(parameters.value("text"), Some(r#"a;"b"#));
        assert_eq!(parameters.value("received"), Some(""));
        assert!(!parameters.has("lr"));
    }
}
