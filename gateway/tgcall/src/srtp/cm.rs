//! AES in counter mode with HMAC-SHA1 (RFC 3711 sections 4.1.1 and 4.2.1), one half (RTP or RTCP) of one direction.
//!
//! The two states of the HMAC after its padded key are kept, so a packet costs two hash blocks less.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use super::kdf::{Label, derive};
use super::profile::MasterKey;
use super::transform::{Forged, Tag};

/// Bytes of the truncated tag (RFC 5764 section 4.1.2), on RTCP always.
pub(super) const TAG_LEN: usize = 10;
/// The index word at the end of an SRTCP packet, ahead of the tag (RFC 3711 section 3.4).
pub(super) const INDEX_LEN: usize = 4;
/// "Encrypted" in the index word.
const E_FLAG: u32 = 1 << 31;

pub(super) struct Cm {
    cipher: Aes128Enc,
    salt: [u8; 14],
    /// Bytes of the tag on RTP.
    rtp_tag_len: usize,
    inner: Sha1,
    outer: Sha1,
}

impl Cm {
    pub(super) fn new(master: &MasterKey<'_>, key: Label, auth: Label, salt: Label) -> Self {
        let (mut session_key, mut auth_key, mut session_salt) = ([0; 16], [0; 20], [0; 14]);
        derive(master, key, &mut session_key);
        derive(master, auth, &mut auth_key);
        derive(master, salt, &mut session_salt);
        Cm::from_session_keys(session_key, auth_key, session_salt)
    }

    fn from_session_keys(key: [u8; 16], auth: [u8; 20], salt: [u8; 14]) -> Self {
        let padded = |pad: u8| {
            let mut block = [pad; 64];
            block.iter_mut().zip(auth).for_each(|(byte, key)| *byte ^= key);
            Sha1::new_with_prefix(block)
        };
        let (inner, outer) = (padded(0x36), padded(0x5c));
        Cm { cipher: Aes128Enc::new(&key.into()), salt, rtp_tag_len: TAG_LEN, inner, outer }
    }

    /// With tags of so many bytes on RTP, at most ten.
    pub(super) fn with_rtp_tag(self, rtp_tag_len: usize) -> Self {
        Cm { rtp_tag_len: rtp_tag_len.min(TAG_LEN), ..self }
    }

    pub(super) fn seal_rtp(&self, header_len: usize, ssrc: u32, index: u64, packet: &mut [u8]) -> Tag {
        self.apply_keystream(ssrc, index, &mut packet[header_len..]);
        let tag = self.tag(packet, rollover(index));
        Tag::new(&tag[..self.rtp_tag_len])
    }

    /// Opens in place; the length of the plain packet.
    pub(super) fn open_rtp(
        &self,
        header_len: usize,
        ssrc: u32,
        index: u64,
        packet: &mut [u8],
    ) -> Result<usize, Forged> {
        let plain_len = packet.len().checked_sub(self.rtp_tag_len);
        let plain_len = plain_len.filter(|len| *len >= header_len).ok_or(Forged)?;
        let (packet, tag) = packet.split_at_mut(plain_len);
        self.verify(packet, rollover(index), tag)?;
        self.apply_keystream(ssrc, index, &mut packet[header_len..]);
        Ok(plain_len)
    }

    /// `header_len` is that of the compound's first packet: 8 bytes stay in the clear.
    pub(super) fn seal_rtcp(&self, header_len: usize, ssrc: u32, index: u32, packet: &mut Vec<u8>) {
        self.apply_keystream(ssrc, index.into(), &mut packet[header_len..]);
        packet.extend_from_slice(&(index | E_FLAG).to_be_bytes());
        let tag = self.tag(packet, [0; 0]);
        packet.extend_from_slice(&tag);
    }

    /// Opens in place; the length of the plain packet.
    pub(super) fn open_rtcp(
        &self,
        header_len: usize,
        ssrc: u32,
        index: u32,
        packet: &mut [u8],
    ) -> Result<usize, Forged> {
        let trailer = INDEX_LEN + TAG_LEN;
        let plain_len = packet.len().checked_sub(trailer).filter(|len| *len >= header_len).ok_or(Forged)?;
        let (authenticated, tag) = packet.split_at_mut(plain_len + INDEX_LEN);
        self.verify(authenticated, [0; 0], tag)?;
        if authenticated[plain_len] & 0x80 != 0 {
            self.apply_keystream(ssrc, index.into(), &mut authenticated[header_len..plain_len]);
        }
        Ok(plain_len)
    }

    fn tag<const N: usize>(&self, authenticated: &[u8], rollover: [u8; N]) -> [u8; TAG_LEN] {
        let mut inner = self.inner.clone();
        inner.update(authenticated);
        inner.update(rollover);
        let mut outer = self.outer.clone();
        outer.update(inner.finalize());
        let full: [u8; 20] = outer.finalize().into();
        let [tag @ .., _, _, _, _, _, _, _, _, _, _] = full;
        tag
    }

    fn verify<const N: usize>(
        &self,
        authenticated: &[u8],
        rollover: [u8; N],
        tag: &[u8],
    ) -> Result<(), Forged> {
        if self.tag(authenticated, rollover)[..tag.len().min(TAG_LEN)].ct_eq(tag).into() {
            Ok(())
        } else {
            Err(Forged)
        }
    }

    /// XORs the keystream whose counter starts at salt * 2^16 ^ SSRC * 2^64 ^ index * 2^16 (RFC 3711 section 4.1.1).
    fn apply_keystream(&self, ssrc: u32, index: u64, data: &mut [u8]) {
        let mut start = [0; 16];
        start[..14].copy_from_slice(&self.salt);
        start[4..8].iter_mut().zip(ssrc.to_be_bytes()).for_each(|(byte, x)| *byte ^= x);
        start[6..14].iter_mut().zip(index.to_be_bytes()).for_each(|(byte, x)| *byte ^= x);
        let mut counter = 0_u16;
        for chunk in data.chunks_mut(8 * 16) {
            let mut blocks = [Block::from(start); 8];
            for block in &mut blocks {
                block[14..].copy_from_slice(&counter.to_be_bytes());
                counter = counter.wrapping_add(1);
            }
            let used = chunk.len().div_ceil(16);
            self.cipher.encrypt_blocks(&mut blocks[..used]);
            chunk.iter_mut().zip(blocks.iter().flatten()).for_each(|(byte, key)| *byte ^= key);
        }
    }
}

/// The upper 32 bits of a packet's index, which the tag covers too.
fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
    use aws_lc_rs::hmac;
    use aws_lc_rs::iv::FixedLength;

    use super::*;

    const RTP: &str = "8040f17b8041f8d35501a0b247616c6c696120";

    #[test]
    fn keystream_is_that_of_rfc_3711_appendix_b_2() {
        let key = hex::decode("2B7E151628AED2A6ABF7158809CF4F3C").unwrap().try_into().unwrap();
        let salt = hex::decode("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").unwrap().try_into().unwrap();
        let half = Cm::from_session_keys(key, [0; 20], salt);
        let mut stream = vec![0; 16 * 0xff02];
        half.apply_keystream(0, 0, &mut stream);
        let block = |counter: usize| hex::encode_upper(&stream[16 * counter..][..16]);
        assert_eq!(block(0), "E03EAD0935C95E80E166B16DD92B4EB4");
        assert_eq!(block(1), "D23513162B02D0F72A43A2FE4A5F97AB");
        assert_eq!(block(2), "41E95B3BB0A2E8DD477901E4FCA894C0");
        assert_eq!(block(0xfeff), "EC8CDF7398607CB0F2D21675EA9EA1E4");
        assert_eq!(block(0xff00), "362B7C3C6773516318A077D7FC5073AE");
        assert_eq!(block(0xff01), "6A2CC3787889374FBEB4C81B17BA6C44");
    }

    #[test]
    fn packets_equal_those_that_another_library_protects() {
        let (key, auth, salt) = ([7; 16], [9; 20], [0x55; 14]);
        let half = Cm::from_session_keys(key, auth, salt);
        for (payload_len, index) in
            [(0, 1_u64), (1, 0xffff), (15, 0x1_0000), (160, 0x12_3456), (1200, 0x7fff_ffff_ffff)]
        {
            let mut packet = hex::decode(RTP).unwrap();
            packet.truncate(12);
            packet.extend((0..payload_len).map(|at| at as u8));
            let (mut ours, mut theirs) = (packet.clone(), packet.clone());
            let tag = half.seal_rtp(12, 0x5501_a0b2, index, &mut ours);
            ours.extend_from_slice(tag.bytes());

            let mut counter = [0_u8; 16];
            counter[..14].copy_from_slice(&salt);
            let start = u128::from_be_bytes(counter) ^ (0x5501_a0b2_u128 << 64) ^ (u128::from(index) << 16);
            let context = EncryptionContext::Iv128(FixedLength::from(start.to_be_bytes()));
            let unbound = UnboundCipherKey::new(&AES_128, &key).unwrap();
            EncryptingKey::ctr(unbound).unwrap().less_safe_encrypt(&mut theirs[12..], context).unwrap();
            let mut mac =
                hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth));
            mac.update(&theirs);
            mac.update(&((index >> 16) as u32).to_be_bytes());
            theirs.extend_from_slice(&mac.sign().as_ref()[..10]);
            assert_eq!(hex::encode(&ours), hex::encode(&theirs), "{payload_len} bytes, index {index:x}");

            let plain_len = half.open_rtp(12, 0x5501_a0b2, index, &mut ours).unwrap();
            assert_eq!(ours[..plain_len], packet);
        }
    }

    #[test]
    fn control_packets_in_the_clear_are_taken_when_authentic() {
        let half = Cm::from_session_keys([7; 16], [9; 20], [0x55; 14]);
        let plain = hex::decode("80c9000155010203").unwrap();
        let mut packet = plain.clone();
        packet.extend_from_slice(&5_u32.to_be_bytes());
        let tag = half.tag(&packet, [0; 0]);
        packet.extend_from_slice(&tag);
        assert_eq!(half.open_rtcp(8, 0x5501_0203, 5, &mut packet).unwrap(), 8);
        assert_eq!(packet[..8], plain);
    }
}
