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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_packets_seal_to_the_same_bytes() {
        for vector in VECTORS {
            let key = vector_key();
            let plaintext = hex::decode(vector.plaintext).unwrap();
            let message_key = message_key(&key, vector.offset, &plaintext);
            assert_eq!(hex::encode(message_key), vector.message_key);
            let (aes_key, iv) = key_and_iv(&key, vector.offset, &message_key);
            assert_eq!(hex::encode(aes_key), vector.aes_key);
            assert_eq!(hex::encode(iv), vector.iv);
            let packet = seal(&key, vector.offset, &plaintext);
            assert_eq!(hex::encode(&packet), vector.packet);
            assert_eq!(open(&key, vector.offset, &packet), Ok(plaintext));
        }
    }

    #[test]
    fn a_packet_opens_at_the_other_end_and_not_at_its_own() {
        let caller = Envelope::new(&vector_key(), true);
        let callee = Envelope::new(&vector_key(), false);
        let packet = caller.seal(b"hello");
        assert_eq!(callee.open(&packet).unwrap(), b"hello");
        let refused = Err(EnvelopeError::MessageKey(packet.len()));
        assert_eq!(caller.open(&packet), refused);
        let answer = callee.seal(b"hello");
        assert_ne!(answer, packet);
        assert_eq!(caller.open(&answer).unwrap(), b"hello");
    }

    #[test]
    fn a_packet_changed_anywhere_is_refused() {
        let caller = Envelope::new(&vector_key(), true);
        let callee = Envelope::new(&vector_key(), false);
        let packet = caller.seal(b"some plaintext");
        for index in 0..packet.len() {
            let mut changed = packet.clone();
            changed[index] ^= 0x10;
            assert!(callee.open(&changed).is_err(), "byte {index}");
        }
    }

    #[test]
    fn sizes_out_of_bounds_are_refused() {
        let callee = Envelope::new(&vector_key(), false);
        for bytes in [0, 1, 16, 20, 131_073] {
            assert_eq!(callee.open(&vec![0; bytes]), Err(EnvelopeError::Size(bytes)));
        }
        let caller = Envelope::new(&vector_key(), true);
        assert!(callee.open(&caller.seal(&[1; 5])).is_ok());
        assert!(callee.open(&caller.seal(&vec![1; 131_056])).is_ok());
    }

    struct Vector {
        offset: usize,
        plaintext: &'static str,
        message_key: &'static str,
        aes_key: &'static str,
        iv: &'static str,
        packet: &'static str,
    }

    const VECTORS: [Vector; 6] = [
        // V2, caller sends J, seq 0x40000001
        Vector {
            offset: 128,
            plaintext: "400000017f000000267b224074797065223a2243616e64696461746573222c2263616e64696461746573223a5b5d7d",
            message_key: "520b02707125433f643abbf61fe98c75",
            aes_key: "d0c91d09b22e9c5008378d9bcfb99647c2bfa7c24918d93314480d351784bacc",
            iv: "eba893dc5b285a7e297caefe27e5831d",
            packet: "520b02707125433f643abbf61fe98c75eeac8bc7337674e8508c5fcbebd263cc5e3497c6d97d0236943e101adad7d446b0af4a21ab24d168728f1483e5502f",
        },
        // V2, callee sends the same plaintext
        Vector {
            offset: 136,
            plaintext: "400000017f000000267b224074797065223a2243616e64696461746573222c2263616e64696461746573223a5b5d7d",
            message_key: "9f86963b57e04c4a5ca09033f632b752",
            aes_key: "9341fb3722500b99af638a011ea60b51b0d345d551dded4580d149c1787bd4aa",
            iv: "3c0ef44bddb003b3c276c48e7cf5a2ed",
            packet: "9f86963b57e04c4a5ca09033f632b7524788d2421a9d8513853c77a817d683be0eb4c884fff39990bcdca7735ab66af9f5fdcbcc60dcfb035ca361dcd70fae",
        },
        // V2, callee service packet: empty
        Vector {
            offset: 136,
            plaintext: "00000002fe40000001ff",
            message_key: "8ef08193f045f0faa5bf34dce12cae10",
            aes_key: "97db67d359b054ddbbd2c410cc8fa9c31d63429c7b6bb0e62984906fa3d0403c",
            iv: "6b3d01091428e7231da86f21a4a783ad",
            packet: "8ef08193f045f0faa5bf34dce12cae1039a91f81eff9f12a5ea1",
        },
        // V1 raw, caller, counter 1, J uncompressed
        Vector {
            offset: 128,
            plaintext: "000000017b224074797065223a2243616e64696461746573222c2263616e64696461746573223a5b5d7d",
            message_key: "0761ea84e393c1af7b3b26fc5564cd8d",
            aes_key: "d3cf9d0f8d2f7020a7fa347b3f8e3c29c38b9ef24d63b2629fa2f88ffb1a53f9",
            iv: "0145496501b0335033aad3b9e49b02a2",
            packet: "0761ea84e393c1af7b3b26fc5564cd8d4e23d3b70582646821c7fa971a5f6139f5c8bdde1f9b81d5a7b857fba43b6a758fd61c83ce5dd7cbea93",
        },
        // V3 raw + gzip, caller, counter 1
        Vector {
            offset: 128,
            plaintext: "000000011f8b0800000000000203ab567228a92c4855b252724ecc4bc94c492c492d56d2514a4670aca2636b01c3e098a726000000",
            message_key: "f55d964e7d4f169574da86905464e2c7",
            aes_key: "865dbe0951fa6e6263f5ca7306d1957c22829bbaa25912834e920fe87186ee18",
            iv: "df8cebb76164ba638295ae43773f5acc",
            packet: "f55d964e7d4f169574da86905464e2c71b2caec5e1c9cdd2c97bab42c3e69025524cd0b52569b4ddc5215851da24e15e015cb864cafcce66386367a4aa0ce28b265c0b3765",
        },
        // Transport envelope, one RTP packet
        Vector {
            offset: 0,
            plaintext: "800000017f0000000f80ef0001000003c00000002af8fffe",
            message_key: "b3d9c347923b0327260fc9a90c22c6ea",
            aes_key: "5b7422cb32af2d9a16b1d0140d177b64be8bd12df2e25006d9e2692ab137f5ce",
            iv: "cf44faeceef017fc616f27fbfddce2b0",
            packet: "b3d9c347923b0327260fc9a90c22c6ea85548f672096aa287ab1a9123e418756b3f37e82bed22daa",
        },
    ];

    fn vector_key() -> SharedKey {
        let key = std::array::from_fn(|index| (7 * index + 3) as u8);
        let digest = hex::encode(Sha256::digest(key));
        assert!(digest.starts_with("d9c76fa34978cb96"));
        SharedKey::from_bytes(key)
    }
}
