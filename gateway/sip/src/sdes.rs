//! Keys of encrypted audio, said in the session description (SDES, RFC 4568).
//!
//! They are as secret as the signaling is: over TLS, or on one machine. What a `crypto` attribute asks for beyond suite
//! and key, as a key's number in each packet, nobody here does: such an attribute is passed over.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::sdp::Media;

/// Bytes of a master key and the master salt behind it (RFC 4568 section 6.2).
pub const SDES_KEY_BYTES: usize = 30;

/// Whether a line's audio is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Srtp {
    /// Never: an offer of nothing else gets 488.
    Off,
    /// Where the PBX takes it: we offer plain RTP with a key beside it, which who does not know it passes over.
    Offer,
    /// Always: an offer without it gets 488.
    Require,
}

/// How packets are protected (RFC 4568 section 6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CryptoSuite {
    /// `AES_CM_128_HMAC_SHA1_80`, which we offer.
    Sha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`: tags of 32 bits on RTP, 80 on RTCP.
    Sha1_32,
}

/// One direction's master key and master salt.
#[derive(Clone, PartialEq, Eq)]
pub struct SdesKey(pub [u8; SDES_KEY_BYTES]);

impl fmt::Debug for SdesKey {
    /// Keys are in no log.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SdesKey")
    }
}

/// What both sides settled on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SrtpKeys {
    /// For both directions.
    pub suite: CryptoSuite,
    /// For packets to the PBX.
    pub ours: SdesKey,
    /// For packets from it.
    pub theirs: SdesKey,
}

/// One `a=crypto` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crypto {
    /// Which of an offer's it is.
    pub(crate) tag: u32,
    pub(crate) suite: CryptoSuite,
    pub(crate) key: SdesKey,
}

impl CryptoSuite {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::Sha1_32 => "AES_CM_128_HMAC_SHA1_32",
        }
    }
}

impl Crypto {
    /// The first one of a media line that we can do.
    pub(crate) fn first(media: &Media) -> Option<Self> {
        media.values("crypto").find_map(Self::parse)
    }

    /// What this line of theirs and our key come to.
    pub(crate) fn keys(self, ours: &SdesKey) -> SrtpKeys {
        SrtpKeys { suite: self.suite, ours: ours.clone(), theirs: self.key }
    }

    /// Reads an attribute's value: `<tag> <suite> inline:<key>[|lifetime] [parameters]`.
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next()?.parse().ok()?;
        let suite = words.next()?;
        let suite = [CryptoSuite::Sha1_80, CryptoSuite::Sha1_32]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(suite))?;
        let keys = words.next()?;
        // Hints about the window of repeats bind nobody (section 6.3.7); all else changes how packets look.
        if words.any(|parameter| !parameter.to_ascii_uppercase().starts_with("WSH=")) {
            return None;
        }
        let key = keys.get(..7).filter(|method| method.eq_ignore_ascii_case("inline:")).and(keys.get(7..))?;
        let mut parts = key.split('|');
        let text = parts.next()?.trim_end_matches('=');
        // A lifetime is a number; a colon is a key's own number, and a second key needs one.
        if key.contains(';') || parts.any(|part| part.contains(':')) {
            return None;
        }
        let key: [u8; SDES_KEY_BYTES] = STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()?;
        Some(Self { tag, suite, key: SdesKey(key) })
    }
}

impl fmt::Display for Crypto {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = STANDARD.encode(self.key.0);
        write!(out, "{} {} inline:{key}", self.tag, self.suite.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From RFC 4568 section 4.1.
    const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

    #[test]
    fn the_attributes_of_rfc_4568_are_read_and_written() {
        let crypto = Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20")).unwrap();
        assert_eq!((crypto.tag, crypto.suite), (1, CryptoSuite::Sha1_80));
        assert_eq!(&crypto.key.0, b"wDfvg&T+)xG7@fb5jU,RaA}\\|p0%*#");
        assert_eq!(crypto.to_string(), format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"));
        let short = Crypto::parse(&format!("2 aes_cm_128_hmac_sha1_32 INLINE:{KEY}== WSH=128")).unwrap();
        assert_eq!((short.tag, short.suite), (2, CryptoSuite::Sha1_32));
    }

    #[test]
    fn what_nobody_here_does_is_passed_over() {
        for value in [
            "",
            "1",
            "x AES_CM_128_HMAC_SHA1_80 inline:",
            &format!("1 F8_128_HMAC_SHA1_80 inline:{KEY}"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 uri:{KEY}"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4;inline:{KEY}|2:4"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=1"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", &KEY[..36]),
            "1 AES_CM_128_HMAC_SHA1_80 inlin\u{e9}:AAAA",
        ] {
            assert_eq!(Crypto::parse(value), None, "{value}");
        }
    }

    #[test]
    fn no_key_is_shown_to_a_log() {
        let crypto = Crypto { tag: 1, suite: CryptoSuite::Sha1_80, key: SdesKey([65; SDES_KEY_BYTES]) };
        assert!(!format!("{crypto:?}").contains("65"), "{crypto:?}");
    }
}
