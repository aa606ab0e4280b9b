//! Session-Expires and Min-SE: how long a session lasts that nobody refreshes, and who refreshes it (RFC 4028 section 4).

use std::fmt;

use super::Parameters;

/// Who refreshes, seen from the request that carries the header or is answered by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refresher {
    /// Whoever sent the request.
    Uac,
    /// Whoever answers it.
    Uas,
}

/// A Session-Expires value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionExpires {
    pub(crate) seconds: u32,
    /// Unknown words count as none.
    pub(crate) refresher: Option<Refresher>,
}

impl SessionExpires {
    /// `None` when it does not begin with a number.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (seconds, parameters) = text.split_once(';').unwrap_or((text, ""));
        let refresher = match Parameters::parse(parameters).value("refresher") {
            Some(word) if word.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(word) if word.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) | None => None,
        };
        Some(Self { seconds: delta_seconds(seconds)?, refresher })
    }

    /// Reads Min-SE. `None` when it does not begin with a number.
    pub(crate) fn parse_min_se(text: &str) -> Option<u32> {
        delta_seconds(text.split(';').next().unwrap_or(text))
    }
}

/// The header's value.
impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

/// A number of seconds; one above 2^31 counts as 2^31 (RFC 3261 section 20.19).
fn delta_seconds(text: &str) -> Option<u32> {
    const LONGEST: u32 = 1 << 31;
    let digits = text.trim();
    let numeric = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    numeric.then(|| digits.parse().map_or(LONGEST, |seconds: u32| seconds.min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_refresher_are_read_and_written() {
        let value = SessionExpires::parse(" 1800 ; Refresher = UAS;x=y").unwrap();
        assert_eq!((value.seconds, value.refresher), (1800, Some(Refresher::Uas)));
        assert_eq!(value.to_string(), "1800;refresher=uas");
        assert_eq!(SessionExpires::parse("90").unwrap().to_string(), "90");
        assert_eq!(SessionExpires::parse("90;refresher=me").unwrap().refresher, None);
        assert_eq!(SessionExpires::parse("99999999999999").unwrap().seconds, 1 << 31);
        assert_eq!(SessionExpires::parse_min_se("300;x"), Some(300));
        for wrong in ["", "-1", "soon", ";refresher=uac"] {
            assert_eq!(SessionExpires::parse(wrong), None, "{wrong}");
        }
    }
}
