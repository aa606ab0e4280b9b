//! STUN messages of a peer or a server that knows a password (RFC 8489).

use sha1::{Digest, Sha1};

/// An attribute with its padding.
pub fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_be_bytes(), (value.len() as u16).to_be_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A message with these attributes and nothing behind them.
pub fn plain(kind: u16, transaction: &[u8; 12], attributes: &[u8]) -> Vec<u8> {
    let mut message = [&kind.to_be_bytes()[..], &[0, 0, 0x21, 0x12, 0xa4, 0x42], transaction].concat();
    message.extend_from_slice(attributes);
    message.resize(message.len().next_multiple_of(4), 0);
    state_length(&mut message, 0);
    message
}

/// The same with MESSAGE-INTEGRITY and FINGERPRINT (sections 14.5 and 14.7).
pub fn signed(kind: u16, transaction: &[u8; 12], attributes: &[u8], key: &[u8]) -> Vec<u8> {
    let mut message = plain(kind, transaction, attributes);
    state_length(&mut message, 24);
    let integrity = hmac(key, &message);
    message.extend(attribute(0x0008, &integrity));
    state_length(&mut message, 8);
    let sum = !message.iter().fold(!0_u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| sum >> 1 ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    message.extend(attribute(0x8028, &(sum ^ 0x5354_554e).to_be_bytes()));
    message
}

fn state_length(message: &mut [u8], more: usize) {
    let length = (message.len() - 20 + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

/// HMAC-SHA1 with a key of at most 64 bytes (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 20] {
    let pad = |with: u8| -> [u8; 64] { std::array::from_fn(|at| key.get(at).copied().unwrap_or(0) ^ with) };
    let inner = Sha1::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha1::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}
