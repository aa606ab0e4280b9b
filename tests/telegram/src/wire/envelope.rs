//! Encrypted messages of MTProto 2.0 (core.telegram.org/mtproto/description): `msg_key`, AES-IGE, padding.

use grammers_crypto::aes::{ige_decrypt, ige_encrypt};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::wire::random;

/// `auth_key_id` and `msg_key`.
const HEAD: usize = 24;
/// Salt, session, message id, sequence number, length.
pub(crate) const INNER_HEAD: usize = 32;

/// An authorization key and its name.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AuthKey {
    bytes: [u8; 256],
    id: i64,
}

impl AuthKey {
    pub(crate) fn new(bytes: [u8; 256]) -> Self {
        let digest = Sha1::digest(bytes);
        let id = i64::from_le_bytes(std::array::from_fn(|at| digest[12 + at]));
        Self { bytes, id }
    }

    /// The low 64 bits of SHA-1 of the key.
    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    /// The high 64 bits of SHA-1 of the key, which the key exchange proves knowledge with.
    pub(crate) fn aux_hash(&self) -> [u8; 8] {
        let digest = Sha1::digest(self.bytes);
        std::array::from_fn(|at| digest[at])
    }
}

/// Which way a message goes: the offset `x` into the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    ToServer,
    ToClient,
}

impl Direction {
    fn x(self) -> usize {
        match self {
            Self::ToServer => 0,
            Self::ToClient => 8,
        }
    }
}

/// What an envelope held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) salt: i64,
    pub(crate) session_id: i64,
    pub(crate) msg_id: i64,
    pub(crate) seqno: i32,
    pub(crate) body: Vec<u8>,
    /// What a quick acknowledgment of this message says.
    pub(crate) quick_ack: u32,
}

/// Why an envelope does not open. All of them end the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unopened {
    #[error("the envelope has {0} bytes, too few for one message")]
    Short(usize),
    #[error("msg_key does not fit the contents")]
    MsgKey,
    #[error("a body of {0} bytes does not leave 12 to 1024 bytes of padding")]
    Length(i32),
}

/// The key an envelope names.
pub(crate) fn key_id(frame: &[u8]) -> Option<i64> {
    Some(i64::from_le_bytes(frame.get(..8)?.try_into().ok()?))
}

/// Opens an envelope. Bytes beyond a whole AES block belong to the framing and are ignored.
pub(crate) fn open(key: &AuthKey, direction: Direction, frame: &[u8]) -> Result<Opened, Unopened> {
    let whole = frame.len().saturating_sub(HEAD) / 16 * 16;
    if whole < INNER_HEAD + 16 {
        return Err(Unopened::Short(frame.len()));
    }
    let msg_key: [u8; 16] = std::array::from_fn(|at| frame[8 + at]);
    let mut plain = frame[HEAD..HEAD + whole].to_vec();
    let (aes_key, iv) = aes_keys(key, &msg_key, direction);
    ige_decrypt(&mut plain, &aes_key, &iv);

    let large = msg_key_large(key, direction, &plain);
    if large[8..24] != msg_key {
        return Err(Unopened::MsgKey);
    }
    let length = int(&plain, 28);
    let padding = (plain.len() - INNER_HEAD) as i64 - i64::from(length);
    if length < 0 || length % 4 != 0 || !(12..=1024).contains(&padding) {
        return Err(Unopened::Length(length));
    }
    Ok(Opened {
        salt: long(&plain, 0),
        session_id: long(&plain, 8),
        msg_id: long(&plain, 16),
        seqno: int(&plain, 24),
        body: plain[INNER_HEAD..INNER_HEAD + length as usize].to_vec(),
        quick_ack: int(&large, 0) as u32 | 0x8000_0000,
    })
}

/// Seals salt, session, one message and its body into an envelope.
pub(crate) fn seal(key: &AuthKey, direction: Direction, mut plain: Vec<u8>) -> Vec<u8> {
    let padding = 12 + (16 - (plain.len() + 12) % 16) % 16;
    let start = plain.len();
    plain.resize(start + padding, 0);
    random::fill(&mut plain[start..]);

    let large = msg_key_large(key, direction, &plain);
    let msg_key: [u8; 16] = std::array::from_fn(|at| large[8 + at]);
    let (aes_key, iv) = aes_keys(key, &msg_key, direction);
    ige_encrypt(&mut plain, &aes_key, &iv);

    let mut frame = key.id.to_le_bytes().to_vec();
    frame.extend(msg_key);
    frame.extend(plain);
    frame
}

fn msg_key_large(key: &AuthKey, direction: Direction, plain: &[u8]) -> [u8; 32] {
    let x = direction.x();
    Sha256::new().chain_update(&key.bytes[88 + x..120 + x]).chain_update(plain).finalize().into()
}

fn aes_keys(key: &AuthKey, msg_key: &[u8; 16], direction: Direction) -> ([u8; 32], [u8; 32]) {
    let x = direction.x();
    let a = Sha256::new().chain_update(msg_key).chain_update(&key.bytes[x..x + 36]).finalize();
    let b = Sha256::new().chain_update(&key.bytes[40 + x..76 + x]).chain_update(msg_key).finalize();
    let mix = |outer: &[u8], inner: &[u8]| {
        std::array::from_fn(|at| if (8..24).contains(&at) { inner[at] } else { outer[at] })
    };
    (mix(&a, &b), mix(&b, &a))
}

fn long(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

fn int(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]))
}

#[cfg(test)]
mod tests {
    use grammers_crypto::{DequeBuffer, decrypt_data_v2, encrypt_data_v2};

    use super::*;

    #[test]
    fn a_foreign_clients_envelope_opens() {
        let key = key();
        let mut buffer = DequeBuffer::<u8>::with_capacity(256, 64);
        buffer.extend(plain(b"twelve bytes"));
        encrypt_data_v2(&mut buffer, &grammers_crypto::AuthKey::from_bytes(key.bytes));
        let opened = open(&key, Direction::ToServer, &buffer[..]).unwrap();
        assert_eq!((opened.salt, opened.session_id, opened.msg_id, opened.seqno), (11, 22, 44, 5));
        assert_eq!(opened.body, b"twelve bytes");
        assert!(opened.quick_ack & 0x8000_0000 != 0);
    }

    #[test]
    fn a_foreign_client_opens_ours() {
        let key = key();
        let mut sealed = seal(&key, Direction::ToClient, plain(b"twelve bytes"));
        let opened = decrypt_data_v2(&mut sealed, &grammers_crypto::AuthKey::from_bytes(key.bytes)).unwrap();
        assert_eq!(opened[..INNER_HEAD + 12], plain(b"twelve bytes"));
    }

    #[test]
    fn bytes_of_the_framing_behind_the_last_block_are_ignored() {
        let key = key();
        let mut sealed = seal(&key, Direction::ToServer, plain(b"four"));
        sealed.extend([1, 2, 3]);
        assert_eq!(open(&key, Direction::ToServer, &sealed).unwrap().body, b"four");
    }

    #[test]
    fn a_changed_bit_or_the_wrong_direction_does_not_open() {
        let key = key();
        let sealed = seal(&key, Direction::ToServer, plain(b"four"));
        assert_eq!(open(&key, Direction::ToClient, &sealed), Err(Unopened::MsgKey));
        for at in [8, 30, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 0x10;
            assert_eq!(open(&key, Direction::ToServer, &changed), Err(Unopened::MsgKey));
        }
        assert_eq!(open(&key, Direction::ToServer, &sealed[..40]), Err(Unopened::Short(40)));
    }

    #[test]
    fn a_length_beyond_the_envelope_is_refused() {
        let key = key();
        for length in [-4, 3, 24, 4000] {
            let mut bytes = plain(b"four");
            bytes[28..32].copy_from_slice(&i32::to_le_bytes(length));
            let sealed = seal(&key, Direction::ToServer, bytes);
            assert_eq!(open(&key, Direction::ToServer, &sealed), Err(Unopened::Length(length)));
        }
    }

    fn key() -> AuthKey {
        AuthKey::new(std::array::from_fn(|at| (at * 7 + 3) as u8))
    }

    fn plain(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for long in [11i64, 22, 44] {
            out.extend(long.to_le_bytes());
        }
        out.extend(5i32.to_le_bytes());
        out.extend((body.len() as i32).to_le_bytes());
        out.extend(body);
        out
    }
}
