//! Keys of calls that nobody negotiates by DTLS.

use std::net::SocketAddrV4;

use anyhow::Context as _;
use tgcall::srtp::{self, MasterKey, Receiver, Sender};

use super::ends::Keys;

/// How packets on Telegram's side are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// AES-256 in Galois/counter mode, which our end of DTLS chooses.
    Gcm,
    /// AES-128 in counter mode with HMAC-SHA1, which libwebrtc's chooses.
    Cm,
}

impl Profile {
    /// As the floor calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gcm => "gcm256",
            Self::Cm => "cm",
        }
    }

    /// As SDES calls it (RFC 4568, RFC 7714).
    pub(super) fn suite(self) -> &'static str {
        match self {
            Self::Gcm => "AEAD_AES_256_GCM",
            Self::Cm => "AES_CM_128_HMAC_SHA1_80",
        }
    }

    fn srtp(self) -> srtp::Profile {
        match self {
            Self::Gcm => srtp::Profile::AeadAes256Gcm,
            Self::Cm => srtp::Profile::Aes128CmSha1_80,
        }
    }
}

/// A key and its salt, of one direction.
pub(super) struct Master(pub(super) Vec<u8>);

impl Master {
    pub(super) fn random(profile: Profile) -> anyhow::Result<Self> {
        let mut bytes = vec![0; profile.srtp().key_len() + profile.srtp().salt_len()];
        getrandom::fill(&mut bytes).ok().context("the system has random bytes")?;
        Ok(Self(bytes))
    }

    /// Key and salt.
    pub(super) fn parts(&self, profile: Profile) -> (&[u8], &[u8]) {
        self.0.split_at(profile.srtp().key_len().min(self.0.len()))
    }

    fn key(&self, profile: Profile) -> anyhow::Result<MasterKey<'_>> {
        let (key, salt) = self.parts(profile);
        Ok(MasterKey::new(profile.srtp(), key, salt)?)
    }
}

/// The keys of an end that sends with the one and hears the other.
pub(super) fn keys(
    profile: Profile,
    ours: &Master,
    theirs: &Master,
    remote: SocketAddrV4,
) -> anyhow::Result<Keys> {
    let (sender, receiver) = (Sender::new(ours.key(profile)?), Receiver::new(theirs.key(profile)?));
    Ok(Keys { sender, receiver, remote, format: None })
}
