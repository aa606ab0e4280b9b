//! What the HTTP doors for programs have in common: who asks, and how a sentence shows what they said.

use axum::http::{HeaderMap, header};
use serde_json::Value;

use crate::chat::Address;

/// Longest value that is shown in a sentence: characters.
pub(crate) const SHOWN: usize = 60;

/// The token that somebody bears (RFC 6750 section 2.1).
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let said = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = said.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A value as a sentence shows it.
#[must_use]
pub fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What is said of a number without plus, which is somebody's id or key, where it looks like a Russian phone number.
#[must_use]
pub fn phone_hint(digits: &str) -> String {
    match Address::read(&format!("+{digits}")) {
        Ok(Address::Phone(phone)) if digits.len() == 11 && digits.starts_with(['7', '8']) => {
            format!("; if it is a phone number, write +{phone}")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_leaves_the_plus_out_of_a_phone_number_is_told() {
        for phone in ["79991234567", "89991234567"] {
            assert_eq!(phone_hint(phone), "; if it is a phone number, write +79991234567");
        }
        for id in ["987654", "7999123456", "39991234567", "-79991234567", "K7PQ"] {
            assert_eq!(phone_hint(id), "", "{id}");
        }
    }

    #[test]
    fn a_token_is_read_as_http_writes_it() {
        let bearer = |said: &str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, said.parse().unwrap())]);
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(bearer("Bearer tga.x").as_deref(), Some("tga.x"));
        assert_eq!(bearer("bearer  tga.x ").as_deref(), Some("tga.x"));
        for wrong in ["", "tga.x", "Basic dTpw", "Bearer"] {
            assert_eq!(bearer(wrong), None, "{wrong}");
        }
    }
}
