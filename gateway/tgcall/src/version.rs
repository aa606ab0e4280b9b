//! The library versions this crate speaks, in Telegram's words, and which framing each puts
//! around the signaling messages.
//!
//! A version names an engine, not a release: 8.0.0 and 9.0.0 are the same on the wire, and so are
//! 12.0.0 and 13.0.0.

use std::fmt;

/// Lowest protocol layer to announce in `phoneCallProtocol`; a constant of a retired engine.
pub const MIN_LAYER: i32 = 65;

/// Highest protocol layer to announce in `phoneCallProtocol`; Telegram refuses any other.
pub const MAX_LAYER: i32 = 92;

/// A library version, as it stands in `phoneCallProtocol.library_versions`.
///
/// The order is the order of preference: the later the version, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// 8.0.0: acknowledged records.
    V8,
    /// 9.0.0: acknowledged records; the widest common denominator.
    V9,
    /// 12.0.0: gzip over SCTP.
    V12,
    /// 13.0.0: gzip over SCTP; what current applications prefer.
    V13,
}

/// How signaling messages travel inside `phone.sendSignalingData`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Encrypted packets of records that the peer acknowledges ("V2").
    Records,
    /// Encrypted, compressed messages on an SCTP association ("V3").
    Sctp,
}

impl Version {
    /// Every version spoken here, the most wanted first: the list to announce.
    pub const OURS: [Self; 4] = [Self::V13, Self::V12, Self::V9, Self::V8];

    /// The version as Telegram writes it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::V8 => "8.0.0",
            Self::V9 => "9.0.0",
            Self::V12 => "12.0.0",
            Self::V13 => "13.0.0",
        }
    }

    /// Reads a version; `None` for one that is not spoken here.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        Self::OURS.into_iter().find(|version| version.text() == text)
    }

    /// The framing of its signaling.
    #[must_use]
    pub fn framing(self) -> Framing {
        match self {
            Self::V8 | Self::V9 => Framing::Records,
            Self::V12 | Self::V13 => Framing::Sctp,
        }
    }

    /// Picks the version of a call from `library_versions` of the final `phoneCall`.
    ///
    /// The first entry wins if it is spoken here, else the greatest that is. With `None` the call
    /// cannot be had and is discarded as disconnected. Lists seen earlier in the call are not to
    /// be used: both sides must choose from the same one.
    #[must_use]
    pub fn choose<T: AsRef<str>>(library_versions: &[T]) -> Option<Self> {
        let mut spoken = library_versions.iter().map(|text| Self::from_text(text.as_ref()));
        spoken.next()?.or_else(|| spoken.flatten().max())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announced_list_prefers_the_newest() {
        let texts = Version::OURS.map(Version::text);
        assert_eq!(texts, ["13.0.0", "12.0.0", "9.0.0", "8.0.0"]);
    }

    #[test]
    fn a_single_common_version_is_taken() {
        for version in Version::OURS {
            assert_eq!(Version::choose(&[version.text()]), Some(version));
        }
    }

    #[test]
    fn the_first_of_several_wins_even_if_it_is_older() {
        assert_eq!(Version::choose(&["9.0.0", "13.0.0", "8.0.0"]), Some(Version::V9));
    }

    #[test]
    fn an_unspoken_first_entry_gives_way_to_the_greatest_spoken_one() {
        let list = ["11.0.0", "9.0.0", "12.0.0", "8.0.0", "18.0.0"].map(String::from);
        assert_eq!(Version::choose(&list), Some(Version::V12));
    }

    #[test]
    fn a_list_without_a_spoken_version_gives_none() {
        assert_eq!(Version::choose::<&str>(&[]), None);
        assert_eq!(Version::choose(&["2.4.4", "10.0.0", "13.0", "13.0.0 "]), None);
    }

    #[test]
    fn only_the_later_versions_ride_on_sctp() {
        assert_eq!(Version::V8.framing(), Framing::Records);
        assert_eq!(Version::V9.framing(), Framing::Records);
        assert_eq!(Version::V12.framing(), Framing::Sctp);
        assert_eq!(Version::V13.framing(), Framing::Sctp);
    }
}
