//! AES in Galois/counter mode (RFC 7714 sections 8 and 9), one half (RTP or RTCP) of one direction.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::kdf::{Label, derive};
use super::profile::MasterKey;
use super::transform::{Forged, Tag};

/// Bytes of the tag.
pub(super) const TAG_LEN: usize = 16;
/// The index word at the end of an SRTCP packet, after the tag (RFC 7714 section 9).
pub(super) const INDEX_LEN: usize = 4;
/// "Encrypted" in the index word.
const E_FLAG: u32 = 1 << 31;

pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Gcm {
    pub(super) fn new(master: &MasterKey<'_>, key: Label, salt: Label) -> Self {
        let (mut session_key, mut session_salt) = ([0; 32], [0; 12]);
        let session_key = &mut session_key[..master.key.len()];
        derive(master, key, session_key);
        derive(master, salt, &mut session_salt);
        Gcm::from_session_keys(session_key, session_salt)
    }

    fn from_session_keys(key: &[u8], salt: [u8; 12]) -> Self {
        let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        let key = UnboundKey::new(algorithm, key).expect("MasterKey checked the length");
        Gcm { key: LessSafeKey::new(key), salt }
    }

    pub(super) fn seal_rtp(&self, header_len: usize, ssrc: u32, index: u64, packet: &mut [u8]) -> Tag {
        let (header, payload) = packet.split_at_mut(header_len);
        let tag = self
            .key
            .seal_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(header), payload)
            .expect("a datagram is below the limit of the cipher");
        Tag::new(tag.as_ref())
    }

    /// Opens in place; the length of the plain packet.
    pub(super) fn open_rtp(
        &self,
        header_len: usize,
        ssrc: u32,
        index: u64,
        packet: &mut [u8],
    ) -> Result<usize, Forged> {
        let (header, payload) = packet.split_at_mut_checked(header_len).ok_or(Forged)?;
        let plain = self
            .key
            .open_in_place(self.nonce(ssrc, index), Aad::from(header), payload)
            .map_err(|_| Forged)?;
        Ok(header_len + plain.len())
    }

    /// `header_len` is that of the compound's first packet: 8 bytes stay in the clear.
    pub(super) fn seal_rtcp(&self, header_len: usize, ssrc: u32, index: u32, packet: &mut Vec<u8>) {
        let word = (index | E_FLAG).to_be_bytes();
        let aad = with_index(&packet[..header_len], word);
        let tag = self
            .key
            .seal_in_place_separate_tag(
                self.nonce(ssrc, index.into()),
                Aad::from(aad),
                &mut packet[header_len..],
            )
            .expect("a datagram is below the limit of the cipher");
        packet.extend_from_slice(tag.as_ref());
        packet.extend_from_slice(&word);
    }

    /// Opens in place; the length of the plain packet. Packets in the clear are refused: nobody sends them
    /// (RFC 7714 section 9.3 permits, no profile of ours asks for it).
    pub(super) fn open_rtcp(
        &self,
        header_len: usize,
        ssrc: u32,
        index: u32,
        packet: &mut [u8],
    ) -> Result<usize, Forged> {
        let (sealed, word) = packet.split_last_chunk_mut::<INDEX_LEN>().ok_or(Forged)?;
        if u32::from_be_bytes(*word) & E_FLAG == 0 || sealed.len() < header_len + TAG_LEN {
            return Err(Forged);
        }
        let aad = with_index(&sealed[..header_len], *word);
        let plain = self
            .key
            .open_in_place(self.nonce(ssrc, index.into()), Aad::from(aad), &mut sealed[header_len..])
            .map_err(|_| Forged)?;
        Ok(header_len + plain.len())
    }

    /// 16 zero bits, SSRC, 48 bits of index, XOR salt (RFC 7714 sections 8.1 and 9.1).
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = self.salt;
        nonce[2..6].iter_mut().zip(ssrc.to_be_bytes()).for_each(|(byte, x)| *byte ^= x);
        nonce[4..].iter_mut().zip(index.to_be_bytes()).for_each(|(byte, x)| *byte ^= x);
        Nonce::assume_unique_for_key(nonce)
    }
}

/// The associated data of a control packet (RFC 7714 section 9.2).
fn with_index(header: &[u8], word: [u8; 4]) -> [u8; 12] {
    let mut aad = [0; 12];
    aad[..8].copy_from_slice(header);
    aad[8..].copy_from_slice(&word);
    aad
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: &[u8; 12] = b"Quid pro quo";
    const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const RTP: &str = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e69732064697669736120696e2070617274657320\
                       74726573";
    const RTCP: &str = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeef\
                        deadbeefdeadbeef";

    #[test]
    fn rtp_is_protected_as_in_rfc_7714_section_16() {
        let sealed_128 = "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b\
                          36de3adf8833899d7f27beb16a9152cf765ee4390cce";
        let sealed_256 = "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f\
                          1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13";
        for (key_len, expected) in [(16, sealed_128), (32, sealed_256)] {
            let half = half(key_len);
            let mut packet = hex::decode(RTP).unwrap();
            let tag = half.seal_rtp(12, 0x5501_a0b2, 0xf17b, &mut packet);
            packet.extend_from_slice(tag.bytes());
            assert_eq!(hex::encode(&packet), expected, "{key_len} byte key");
            let plain_len = half.open_rtp(12, 0x5501_a0b2, 0xf17b, &mut packet).unwrap();
            assert_eq!(hex::encode(&packet[..plain_len]), RTP);
        }
    }

    #[test]
    fn rtcp_is_protected_as_in_rfc_7714_section_17() {
        let sealed_128 = "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b46\
                          86303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4";
        let sealed_256 = "81c8000d4d617273d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658\
                          c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be800005d4";
        for (key_len, expected) in [(16, sealed_128), (32, sealed_256)] {
            let half = half(key_len);
            let mut packet = hex::decode(RTCP).unwrap();
            half.seal_rtcp(8, 0x4d61_7273, 0x5d4, &mut packet);
            assert_eq!(hex::encode(&packet), expected, "{key_len} byte key");
            let plain_len = half.open_rtcp(8, 0x4d61_7273, 0x5d4, &mut packet).unwrap();
            assert_eq!(hex::encode(&packet[..plain_len]), RTCP);
        }
    }

    fn half(key_len: usize) -> Gcm {
        Gcm::from_session_keys(&hex::decode(KEY_256).unwrap()[..key_len], *SALT)
    }
}
