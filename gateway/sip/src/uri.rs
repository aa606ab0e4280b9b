//! Addresses: `sip:`, `sips:` and `tel:` URIs (RFC 3261 section 19.1, RFC 3966).

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::text::clean;

/// Longest user part, in bytes before escaping, that we write.
const USER_LIMIT_BYTES: usize = 128;

/// What stands before the first colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`, which asks for TLS on every hop.
    Sips,
    /// `tel:`
    Tel,
}

/// An address taken apart. Escapes are undone in `user` and `headers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uri {
    /// Scheme.
    pub scheme: Scheme,
    /// User part without its telephone parameters (`;npdi`); for `tel:` the number without visual separators.
    pub user: Option<String>,
    /// Host as written; IPv6 without its brackets; empty for `tel:`.
    pub host: String,
    /// Port, where one is written.
    pub port: Option<u16>,
    /// Parameters in order, names as written.
    pub parameters: Vec<(String, Option<String>)>,
    /// Headers behind `?`, as `Replaces` in a Refer-To.
    pub headers: Vec<(String, String)>,
}

/// Why a text is not an address that we understand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Answered 416 in a Request-URI (RFC 3261 section 8.2.2.1).
    #[error("URI scheme {0:?}, wanted sip, sips or tel")]
    Scheme(String),
    /// Answered 400.
    #[error("URI host {0:?} is neither a name nor an address")]
    Host(String),
    /// Answered 400.
    #[error("URI port {0:?}, wanted 0 to 65535")]
    Port(String),
    /// Answered 400.
    #[error("no URI in {0:?}")]
    Empty(String),
}

impl Uri {
    /// Reads an address. Brackets around it are dropped.
    ///
    /// # Errors
    /// [`UriError`] says what is wrong; control characters and spaces inside are [`UriError::Empty`].
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let trimmed = text.trim();
        let bare = trimmed.strip_prefix('<').and_then(|t| t.strip_suffix('>')).unwrap_or(trimmed);
        let (scheme, rest) = bare.split_once(':').ok_or_else(|| UriError::Empty(shorten(text)))?;
        if rest.is_empty() || bare.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(UriError::Empty(shorten(text)));
        }
        match scheme.to_ascii_lowercase().as_str() {
            "sip" => Self::parse_sip(Scheme::Sip, rest),
            "sips" => Self::parse_sip(Scheme::Sips, rest),
            "tel" => Ok(Self::parse_tel(rest)),
            _ => Err(UriError::Scheme(shorten(scheme))),
        }
    }

    fn parse_sip(scheme: Scheme, rest: &str) -> Result<Self, UriError> {
        let (user, rest) = match rest.split_once('@') {
            Some((info, rest)) => {
                let name = info.split_once(':').map_or(info, |(name, _password)| name);
                (Some(unescape(name.split(';').next().unwrap_or(name))), rest)
            }
            None => (None, rest),
        };
        let (rest, headers) = rest.split_once('?').map_or((rest, ""), |(rest, headers)| (rest, headers));
        let (address, parameters) =
            rest.split_once(';').map_or((rest, ""), |(address, more)| (address, more));
        let (host, port) = split_host(address)?;
        Ok(Self {
            scheme,
            user: user.filter(|user| !user.is_empty()),
            host,
            port,
            parameters: read_parameters(parameters),
            headers: headers
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (unescape(name), unescape(value)))
                .collect(),
        })
    }

    fn parse_tel(rest: &str) -> Self {
        let (number, parameters) = rest.split_once(';').unwrap_or((rest, ""));
        let number: String =
            unescape(number).chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect();
        Self {
            scheme: Scheme::Tel,
            user: Some(number).filter(|number| !number.is_empty()),
            host: String::new(),
            port: None,
            parameters: read_parameters(parameters),
            headers: Vec::new(),
        }
    }

    /// The host as an address, where it is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// A parameter's value; an empty text for one without a value.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value.as_deref().unwrap_or(""))
    }
}

/// `sip:user@host:port`, the user escaped; without a user when it is empty after cleaning.
pub(crate) fn sip_uri(user: &str, host: SocketAddr) -> String {
    let user = escape(&clean(user, USER_LIMIT_BYTES));
    if user.is_empty() { format!("sip:{host}") } else { format!("sip:{user}@{host}") }
}

/// Escapes everything but unreserved characters and `+` (RFC 3261 section 19.1.2).
fn escape(user: &str) -> String {
    let mut escaped = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()+".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// Undoes `%23`; a `%` that no two hexadecimal digits follow stays, bytes outside UTF-8 become U+FFFD.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |offset: usize| bytes.get(at + offset).and_then(|&b| char::from(b).to_digit(16));
        match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|broken| String::from_utf8_lossy(broken.as_bytes()).into_owned())
}

/// Splits `host`, `host:port`, `[v6]`, `[v6]:port`.
pub(crate) fn split_host(address: &str) -> Result<(String, Option<u16>), UriError> {
    let wrong_host = || UriError::Host(shorten(address));
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(wrong_host)?;
            // The grammar of RFC 3261 lets three colons through where two are meant (RFC 5118 section 4.10).
            let host = host.replacen(":::", "::", 1);
            host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong_host())?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err(wrong_host()),
            }
        }
        None => {
            let (host, port) =
                address.split_once(':').map_or((address, None), |(host, port)| (host, Some(port)));
            let named =
                !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
            if !named {
                return Err(wrong_host());
            }
            (host.to_owned(), port)
        }
    };
    let port = match port.map(str::trim) {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().map_err(|_| UriError::Port(shorten(digits)))?)
        }
        Some(other) => return Err(UriError::Port(shorten(other))),
    };
    Ok((host, port))
}

fn read_parameters(text: &str) -> Vec<(String, Option<String>)> {
    text.split(';')
        .filter(|piece| !piece.is_empty())
        .map(|piece| match piece.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (piece.to_owned(), None),
        })
        .collect()
}

fn shorten(text: &str) -> String {
    clean(text, 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Option<String> {
        Uri::parse(text).unwrap().user
    }

    #[test]
    fn dialled_names_lose_their_escapes() {
        assert_eq!(user("sip:tg%23durov@127.0.0.1:30001").as_deref(), Some("tg#durov"));
        assert_eq!(user("sip:+79060000000@127.0.0.1:30001;transport=udp").as_deref(), Some("+79060000000"));
        assert_eq!(user("sip:+7906;npdi@h;user=phone").as_deref(), Some("+7906"));
        assert_eq!(user("sip:alice:secret@h").as_deref(), Some("alice"));
        assert_eq!(user("<sip:id%235@h>").as_deref(), Some("id#5"), "brackets around a Request-URI");
        assert_eq!(user("sip:%d0%98@h").as_deref(), Some("И"));
        assert_eq!(user("sip:50%@h").as_deref(), Some("50%"));
        assert_eq!(user("sip:127.0.0.1:30001"), None);
    }

    #[test]
    fn a_telephone_uri_gives_its_bare_number() {
        assert_eq!(user("tel:+7-(906)-000.00.00;phone-context=x").as_deref(), Some("+79060000000"));
        assert_eq!(Uri::parse("tel:+7;ext=5").unwrap().parameter("EXT"), Some("5"));
    }

    #[test]
    fn an_ipv6_host_keeps_its_port_apart() {
        let uri = Uri::parse("sip:a@[2001:db8::1]:5070;lr").unwrap();
        assert_eq!((uri.ip(), uri.port), (Some("2001:db8::1".parse().unwrap()), Some(5070)));
        assert_eq!(uri.parameter("lr"), Some(""));
        assert_eq!(
            Uri::parse("sip:a@[2001:db8:::1]").unwrap().host,
            "2001:db8::1",
            "an old grammar's third colon"
        );
        assert_eq!(sip_uri("a", "[::1]:5060".parse().unwrap()), "sip:a@[::1]:5060");
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        for name in ["tg#durov", "+7906", "a b", "Иван", "x@y;z?q", "50%", "a\"<b>\\"] {
            let written = sip_uri(name, "127.0.0.1:5060".parse().unwrap());
            assert_eq!(user(&written).as_deref(), Some(name), "{written}");
        }
        assert_eq!(sip_uri("tg#durov", "127.0.0.1:5060".parse().unwrap()), "sip:tg%23durov@127.0.0.1:5060");
    }

    #[test]
    fn refer_to_keeps_the_replaces_escaped_inside() {
        let uri = Uri::parse("sip:100@pbx?Replaces=abc%40pbx%3Bto-tag%3D1%3Bfrom-tag%3D2&X=1").unwrap();
        assert_eq!(uri.headers[0], ("Replaces".to_owned(), "abc@pbx;to-tag=1;from-tag=2".to_owned()));
        assert_eq!(uri.headers.len(), 2);
    }

    #[test]
    fn each_wrong_address_says_what_is_wrong() {
        assert_eq!(Uri::parse("nobodyKnows:x"), Err(UriError::Scheme("nobodyKnows".to_owned())));
        assert!(matches!(Uri::parse("sip:a@h:99999"), Err(UriError::Port(_))));
        assert!(matches!(Uri::parse("sip:a@h:+5"), Err(UriError::Port(_))));
        assert!(matches!(Uri::parse("sip:a@"), Err(UriError::Host(_))));
        assert!(matches!(Uri::parse("sip:a@[::1"), Err(UriError::Host(_))));
        assert!(matches!(Uri::parse("sip:a@h; lr"), Err(UriError::Empty(_))));
        assert!(matches!(Uri::parse("sip"), Err(UriError::Empty(_))));
    }
}
