//! The envelope around every signaling packet: a message key, then AES-256 in counter mode.
//!
//! Like MTProto 2.0, with other offsets, no padding, and the sender's role in the place of the
//! direction.

use std::fmt;

use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::key::SharedKey;

/// Bytes of the message key in front of every packet.
pub(crate) const MESSAGE_KEY_BYTES: usize = 16;

/// Shortest packet: message key, sequence word, one byte.
const MIN_PACKET_BYTES: usize = 21;

/// Longest packet that is looked at.
const MAX_PACKET_BYTES: usize = 128 * 1024;

/// Offset into the key for signaling; the callee's packets add [`CALLEE_OFFSET`].
const SIGNALING_OFFSET: usize = 128;
const CALLEE_OFFSET: usize = 8;

/// Why a packet cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EnvelopeError {
    #[error("signaling packet of {0} bytes: want 21 to 131072")]
    Size(usize),
    #[error("signaling packet of {0} bytes is not sealed with this call's key by the peer")]
    MessageKey(usize),
}

/// Seals our packets and opens the peer's.
#[derive(Clone)]
pub(crate) struct Envelope {
    key: SharedKey,
    ours: usize,
    theirs: usize,
}

impl Envelope {
    pub(crate) fn new(key: &SharedKey, is_caller: bool) -> Self {
        let caller = SIGNALING_OFFSET;
        let callee = SIGNALING_OFFSET + CALLEE_OFFSET;
        let (ours, theirs) = if is_caller { (caller, callee) } else { (callee, caller) };
        Self { key: key.clone(), ours, theirs }
    }

    /// Seals a plaintext as the sender we are.
    pub(crate) fn seal(&self, plaintext: &[u8]) -> Vec<u8> {
        seal(&self.key, self.ours, plaintext)
    }

    /// Opens a packet of the peer.
    pub(crate) fn open(&self, packet: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        open(&self.key, self.theirs, packet)
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").finish_non_exhaustive()
    }
}

fn seal(key: &SharedKey, offset: usize, plaintext: &[u8]) -> Vec<u8> {
    let message_key = message_key(key, offset, plaintext);
    let mut packet = Vec::with_capacity(MESSAGE_KEY_BYTES + plaintext.len());
    packet.extend_from_slice(&message_key);
    packet.extend_from_slice(plaintext);
    cipher(key, offset, &message_key).apply_keystream(&mut packet[MESSAGE_KEY_BYTES..]);
    packet
}

fn open(key: &SharedKey, offset: usize, packet: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let size = EnvelopeError::Size(packet.len());
    if !(MIN_PACKET_BYTES..=MAX_PACKET_BYTES).contains(&packet.len()) {
        return Err(size);
    }
    let (message_key_sent, sealed) = packet.split_first_chunk().ok_or(size)?;
    let mut plaintext = sealed.to_vec();
    cipher(key, offset, message_key_sent).apply_keystream(&mut plaintext);
    let genuine = message_key(key, offset, &plaintext).ct_eq(message_key_sent);
    bool::from(genuine).then_some(plaintext).ok_or(EnvelopeError::MessageKey(packet.len()))
}

fn message_key(key: &SharedKey, offset: usize, plaintext: &[u8]) -> [u8; MESSAGE_KEY_BYTES] {
    let digest =
        Sha256::new().chain_update(&key.bytes()[88 + offset..][..32]).chain_update(plaintext).finalize();
    let mut message_key = [0; MESSAGE_KEY_BYTES];
    message_key.copy_from_slice(&digest[8..24]);
    message_key
}

fn cipher(key: &SharedKey, offset: usize, message_key: &[u8; MESSAGE_KEY_BYTES]) -> Ctr128BE<Aes256> {
    let (aes_key, iv) = key_and_iv(key, offset, message_key);
    Ctr128BE::new(&aes_key.into(), &iv.into())
}

fn key_and_iv(key: &SharedKey, offset: usize, message_key: &[u8; MESSAGE_KEY_BYTES]) -> ([u8; 32], [u8; 16]) {
    let a = Sha256::new().chain_update(message_key).chain_update(&key.bytes()[offset..][..36]).finalize();
    let b =
        Sha256::new().chain_update(&key.bytes()[40 + offset..][..36]).chain_update(message_key).finalize();
    let mut aes_key = [0; 32];
    aes_key[..8].copy_from_slice(&a[..8]);
    aes_key[8..24].copy_from_slice(&b[8..24]);
    aes_key[24..].copy_from_slice(&a[24..]);
    let mut iv = [0; 16];
    iv[..4].copy_from_slice(&b[..4]);
    iv[4..12].copy_from_slice(&a[8..16]);
    iv[12..].copy_from_slice(&b[24..28]);
    (aes_key, iv)
}
