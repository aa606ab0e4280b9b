//! Protection profiles and the layout of their keys (RFC 5764 section 4.1.2, RFC 7714 section 14.2).

use super::{Receiver, Sender};

/// How packets are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// AES in counter mode with an 80-bit HMAC-SHA1 tag (RFC 5764 section 4.1.2).
    Aes128CmSha1_80,
    /// The same with tags of 32 bits on RTP; on RTCP they have 80 (RFC 4568 section 6.2). SDES alone negotiates it here.
    Aes128CmSha1_32,
    /// AES-128 in Galois/counter mode with a 128-bit tag (RFC 7714).
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode with a 128-bit tag (RFC 7714).
    AeadAes256Gcm,
}

impl Profile {
    /// Bytes of the master key.
    pub fn key_len(self) -> usize {
        match self {
            Profile::Aes128CmSha1_80 | Profile::Aes128CmSha1_32 | Profile::AeadAes128Gcm => 16,
            Profile::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    pub fn salt_len(self) -> usize {
        match self {
            Profile::Aes128CmSha1_80 | Profile::Aes128CmSha1_32 => 14,
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 12,
        }
    }

    /// Bytes that protection adds to an RTP packet.
    pub fn rtp_overhead(self) -> usize {
        match self {
            Profile::Aes128CmSha1_80 => 10,
            Profile::Aes128CmSha1_32 => 4,
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 16,
        }
    }

    /// Bytes of the keying material of both directions (RFC 5764 section 4.2).
    pub fn keying_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }
}

/// Master key and master salt of one direction (RFC 3711 section 3.2.1).
#[derive(Clone, Copy)]
pub struct MasterKey<'a> {
    pub(super) profile: Profile,
    pub(super) key: &'a [u8],
    pub(super) salt: &'a [u8],
}

impl<'a> MasterKey<'a> {
    /// # Errors
    /// [`KeyingError`] if a length is not the profile's.
    pub fn new(profile: Profile, key: &'a [u8], salt: &'a [u8]) -> Result<Self, KeyingError> {
        let wanted = profile.key_len() + profile.salt_len();
        if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
            return Err(KeyingError { profile, wanted, came: key.len() + salt.len() });
        }
        Ok(MasterKey { profile, key, salt })
    }
}

/// Keying material of a length that its profile does not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{profile:?} takes {wanted} bytes of keying material, {came} came")]
pub struct KeyingError {
    profile: Profile,
    wanted: usize,
    came: usize,
}

/// Both directions of a DTLS-SRTP session: `material` is client key, server key, client salt, server salt
/// (RFC 5764 section 4.2), and the DTLS client sends with the client's half.
///
/// # Errors
/// [`KeyingError`] if `material` has not the length of `profile`.
pub fn key_pair(
    profile: Profile,
    material: &[u8],
    is_client: bool,
) -> Result<(Sender, Receiver), KeyingError> {
    if material.len() != profile.keying_len() {
        return Err(KeyingError { profile, wanted: profile.keying_len(), came: material.len() });
    }
    let (keys, salts) = material.split_at(2 * profile.key_len());
    let (client_key, server_key) = keys.split_at(profile.key_len());
    let (client_salt, server_salt) = salts.split_at(profile.salt_len());
    let client = MasterKey::new(profile, client_key, client_salt)?;
    let server = MasterKey::new(profile, server_key, server_salt)?;
    let (ours, theirs) = if is_client { (client, server) } else { (server, client) };
    Ok((Sender::new(ours), Receiver::new(theirs)))
}
