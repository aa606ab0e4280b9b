//! SRTP of one source of one direction, as short as it can be (RFC 3711, RFC 7714): no replay window, headers of twelve bytes.
//! Nothing of the gateway's own, so that a change there does not move the floor.

use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Aes256Enc};
use anyhow::ensure;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sha1::{Digest, Sha1};

const HEADER: usize = 12;
const GCM_TAG: usize = 16;
const CM_TAG: usize = 10;
/// Blocks of key stream made at once: the longest datagram.
const BLOCKS: usize = 32;

/// What protects packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Gcm128,
    Gcm256,
    Cm,
}

impl Profile {
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "gcm128" => Self::Gcm128,
            "gcm256" => Self::Gcm256,
            "cm" => Self::Cm,
            _ => return None,
        })
    }
}

/// The keys of one direction, and how far its packets are.
pub struct Context {
    cipher: Cipher,
    rollovers: u32,
    last: u16,
}

#[expect(clippy::large_enum_variant, reason = "keys lie next to each other; all calls have the same profile")]
enum Cipher {
    Gcm { key: LessSafeKey, salt: [u8; 12] },
    Cm { key: Aes128Enc, salt: [u8; 16], inner: Sha1, outer: Sha1 },
}

impl Context {
    /// # Errors
    /// When key or salt have not the profile's length.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> anyhow::Result<Self> {
        let wanted = match profile {
            Profile::Gcm128 => (16, 12),
            Profile::Gcm256 => (32, 12),
            Profile::Cm => (16, 14),
        };
        ensure!((key.len(), salt.len()) == wanted, "want {wanted:?} bytes of key and salt");
        let cipher = if profile == Profile::Cm {
            let [mut session, mut auth, mut own_salt] = [[0; 32]; 3];
            derive(key, salt, 0, &mut session[..16]);
            derive(key, salt, 1, &mut auth[..20]);
            derive(key, salt, 2, &mut own_salt[..14]);
            let padded = |pad: u8| {
                let mut block = [pad; 64];
                block.iter_mut().zip(&auth[..20]).for_each(|(byte, key)| *byte ^= key);
                Sha1::new_with_prefix(block)
            };
            let mut salt = [0; 16];
            salt[..14].copy_from_slice(&own_salt[..14]);
            let key = Aes128Enc::new_from_slice(&session[..16])?;
            Cipher::Cm { key, salt, inner: padded(0x36), outer: padded(0x5c) }
        } else {
            let mut session = vec![0; key.len()];
            let mut own_salt = [0; 12];
            derive(key, salt, 0, &mut session);
            derive(key, salt, 2, &mut own_salt);
            let algorithm = if profile == Profile::Gcm128 { &AES_128_GCM } else { &AES_256_GCM };
            let key = UnboundKey::new(algorithm, &session).map_err(|_| anyhow::anyhow!("not a key"))?;
            Cipher::Gcm { key: LessSafeKey::new(key), salt: own_salt }
        };
        Ok(Self { cipher, rollovers: 0, last: 0 })
    }

    /// Protects the packet in the buffer's first bytes: its new length.
    pub fn seal(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let index = self.index(buffer, length)?;
        let (header, rest) = buffer.split_at_mut(HEADER);
        let ssrc = [header[8], header[9], header[10], header[11]];
        let (payload, behind) = rest.split_at_mut_checked(length - HEADER)?;
        match &self.cipher {
            Cipher::Gcm { key, salt } => {
                let tag =
                    key.seal_in_place_separate_tag(nonce(*salt, ssrc, index), Aad::from(&*header), payload);
                behind.get_mut(..GCM_TAG)?.copy_from_slice(tag.ok()?.as_ref());
                Some(length + GCM_TAG)
            }
            Cipher::Cm { key, salt, inner, outer } => {
                stream(key, *salt, ssrc, index, payload);
                let tag = tag(inner, outer, [header, payload], index);
                behind.get_mut(..CM_TAG)?.copy_from_slice(&tag[..CM_TAG]);
                Some(length + CM_TAG)
            }
        }
    }

    /// Opens the packet in the buffer's first bytes: its new length, if it is authentic.
    pub fn open(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let index = self.index(buffer, length)?;
        let (header, payload) = buffer.get_mut(..length)?.split_at_mut(HEADER);
        let ssrc = [header[8], header[9], header[10], header[11]];
        match &self.cipher {
            Cipher::Gcm { key, salt } => {
                let plain =
                    key.open_in_place(nonce(*salt, ssrc, index), Aad::from(&*header), payload).ok()?;
                Some(HEADER + plain.len())
            }
            Cipher::Cm { key, salt, inner, outer } => {
                let (payload, given) = payload.split_at_mut_checked(payload.len().checked_sub(CM_TAG)?)?;
                let tag = tag(inner, outer, [header, payload], index);
                if tag[..CM_TAG] != *given {
                    return None;
                }
                stream(key, *salt, ssrc, index, payload);
                Some(length - CM_TAG)
            }
        }
    }

    /// The packet's index: its sequence number and how often that began anew.
    fn index(&mut self, packet: &[u8], length: usize) -> Option<u64> {
        if length < HEADER {
            return None;
        }
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        if sequence < self.last && self.last - sequence > 0x8000 {
            self.rollovers += 1;
        }
        self.last = sequence;
        Some(u64::from(self.rollovers) << 16 | u64::from(sequence))
    }
}

fn nonce(mut salt: [u8; 12], ssrc: [u8; 4], index: u64) -> Nonce {
    salt[2..6].iter_mut().zip(ssrc).for_each(|(byte, x)| *byte ^= x);
    salt[6..].iter_mut().zip(&index.to_be_bytes()[2..]).for_each(|(byte, x)| *byte ^= x);
    Nonce::assume_unique_for_key(salt)
}

fn stream(key: &Aes128Enc, mut salt: [u8; 16], ssrc: [u8; 4], index: u64, payload: &mut [u8]) {
    salt[4..8].iter_mut().zip(ssrc).for_each(|(byte, x)| *byte ^= x);
    salt[8..14].iter_mut().zip(&index.to_be_bytes()[2..]).for_each(|(byte, x)| *byte ^= x);
    let mut blocks = [Array::from(salt); BLOCKS];
    let blocks = &mut blocks[..payload.len().div_ceil(16).min(BLOCKS)];
    for (number, block) in (0_u16..).zip(blocks.iter_mut()) {
        block[14..].copy_from_slice(&number.to_be_bytes());
    }
    key.encrypt_blocks(blocks);
    for (chunk, block) in payload.chunks_mut(16).zip(blocks.iter()) {
        chunk.iter_mut().zip(block).for_each(|(byte, x)| *byte ^= x);
    }
}

fn tag(inner: &Sha1, outer: &Sha1, parts: [&[u8]; 2], index: u64) -> [u8; 20] {
    let mut inner = inner.clone();
    parts.iter().for_each(|part| inner.update(part));
    inner.update(&(index >> 16).to_be_bytes()[4..]);
    outer.clone().chain_update(inner.finalize()).finalize().into()
}

/// RFC 3711 section 4.3.
fn derive(key: &[u8], salt: &[u8], label: u8, out: &mut [u8]) {
    let mut input = [0; 16];
    input[..salt.len()].copy_from_slice(salt);
    input[7] ^= label;
    for (counter, chunk) in (0_u16..).zip(out.chunks_mut(16)) {
        let mut block = Array::from(input);
        block[14..].copy_from_slice(&counter.to_be_bytes());
        if let Ok(cipher) = Aes128Enc::new_from_slice(key) {
            cipher.encrypt_block(&mut block);
        } else if let Ok(cipher) = Aes256Enc::new_from_slice(key) {
            cipher.encrypt_block(&mut block);
        }
        chunk.copy_from_slice(&block[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 3711 appendix B.3.
    #[test]
    fn session_keys_are_those_of_the_standard() {
        let key = hex::decode("E1F97A0D3E018BE0D64FA32C06DE4139").unwrap();
        let salt = hex::decode("0EC675AD498AFEEBB6960B3AABE6").unwrap();
        let derived = |label, length| {
            let mut out = vec![0; length];
            derive(&key, &salt, label, &mut out);
            hex::encode_upper(out)
        };
        assert_eq!(derived(0, 16), "C61E7A93744F39EE10734AFE3FF7A087");
        assert_eq!(derived(2, 14), "30CBBC08863D8C85D49DB34A9AE1");
        assert_eq!(derived(1, 20), "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4");
    }

    #[test]
    fn what_is_sealed_is_opened_over_a_rollover_and_nothing_else() {
        for profile in [Profile::Gcm128, Profile::Gcm256, Profile::Cm] {
            let (key, salt) = match profile {
                Profile::Gcm128 => (16, 12),
                Profile::Gcm256 => (32, 12),
                Profile::Cm => (16, 14),
            };
            let context = || Context::new(profile, &vec![7; key], &vec![9; salt]).unwrap();
            let (mut from, mut to) = (context(), context());
            for sequence in [0xfffe_u16, 0xffff, 0, 1] {
                let mut buffer = [3; 256];
                buffer[2..4].copy_from_slice(&sequence.to_be_bytes());
                let plain = buffer;
                let length = from.seal(&mut buffer, 92).unwrap();
                assert_ne!(buffer[12..92], plain[12..92]);
                assert_eq!(to.open(&mut buffer, length), Some(92), "{profile:?} {sequence}");
                assert_eq!(buffer[..92], plain[..92]);
            }
            let mut buffer = [3; 256];
            let length = from.seal(&mut buffer, 92).unwrap();
            buffer[20] ^= 1;
            assert_eq!(to.open(&mut buffer, length), None);
        }
    }
}
