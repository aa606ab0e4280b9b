//! One half (RTP or RTCP) of one direction under whichever profile was negotiated.

use super::cm::{self, Cm};
use super::gcm::{self, Gcm};
use super::kdf::Label;
use super::profile::{MasterKey, Profile};

/// The tag does not fit the packet; the packet's bytes are undefined from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Forged;

/// Bytes behind a packet of sound that protecting it in place takes at most.
pub const TAIL_BYTES: usize = 16;

/// What is to stand behind a protected packet of sound.
pub(super) struct Tag {
    bytes: [u8; TAIL_BYTES],
    length: usize,
}

impl Tag {
    /// At most [`TAIL_BYTES`] of them count.
    pub(super) fn new(tag: &[u8]) -> Self {
        let (mut bytes, length) = ([0; TAIL_BYTES], tag.len().min(TAIL_BYTES));
        bytes[..length].copy_from_slice(&tag[..length]);
        Tag { bytes, length }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

pub(super) enum Transform {
    Cm(Box<Cm>),
    Gcm(Gcm),
}

impl Transform {
    pub(super) fn rtp(master: &MasterKey<'_>) -> Self {
        match master.profile {
            Profile::Aes128CmSha1_80 | Profile::Aes128CmSha1_32 => {
                let cm = Cm::new(master, Label::RtpKey, Label::RtpAuth, Label::RtpSalt);
                Transform::Cm(Box::new(cm.with_rtp_tag(master.profile.rtp_overhead())))
            }
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => {
                Transform::Gcm(Gcm::new(master, Label::RtpKey, Label::RtpSalt))
            }
        }
    }

    pub(super) fn rtcp(master: &MasterKey<'_>) -> Self {
        match master.profile {
            Profile::Aes128CmSha1_80 | Profile::Aes128CmSha1_32 => {
                Transform::Cm(Box::new(Cm::new(master, Label::RtcpKey, Label::RtcpAuth, Label::RtcpSalt)))
            }
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => {
                Transform::Gcm(Gcm::new(master, Label::RtcpKey, Label::RtcpSalt))
            }
        }
    }

    /// Encrypts in place.
    pub(super) fn seal_rtp(&self, header_len: usize, ssrc: u32, index: u64, packet: &mut [u8]) -> Tag {
        match self {
            Transform::Cm(cm) => cm.seal_rtp(header_len, ssrc, index, packet),
            Transform::Gcm(gcm) => gcm.seal_rtp(header_len, ssrc, index, packet),
        }
    }

    pub(super) fn open_rtp(
        &self,
        header: usize,
        ssrc: u32,
        index: u64,
        packet: &mut [u8],
    ) -> Result<usize, Forged> {
        match self {
            Transform::Cm(cm) => cm.open_rtp(header, ssrc, index, packet),
            Transform::Gcm(gcm) => gcm.open_rtp(header, ssrc, index, packet),
        }
    }

    pub(super) fn seal_rtcp(&self, header_len: usize, ssrc: u32, index: u32, packet: &mut Vec<u8>) {
        match self {
            Transform::Cm(cm) => cm.seal_rtcp(header_len, ssrc, index, packet),
            Transform::Gcm(gcm) => gcm.seal_rtcp(header_len, ssrc, index, packet),
        }
    }

    pub(super) fn open_rtcp(
        &self,
        header: usize,
        ssrc: u32,
        index: u32,
        packet: &mut [u8],
    ) -> Result<usize, Forged> {
        match self {
            Transform::Cm(cm) => cm.open_rtcp(header, ssrc, index, packet),
            Transform::Gcm(gcm) => gcm.open_rtcp(header, ssrc, index, packet),
        }
    }

    /// The 31-bit index that a control packet claims: ahead of the tag in counter mode, after it in GCM.
    pub(super) fn claimed_rtcp_index(&self, packet: &[u8]) -> Option<u32> {
        let behind = match self {
            Transform::Cm(_) => cm::TAG_LEN,
            Transform::Gcm(_) => 0,
        };
        let word = packet
            .len()
            .checked_sub(behind)
            .and_then(|end| packet[..end].last_chunk::<{ gcm::INDEX_LEN }>())?;
        Some(u32::from_be_bytes(*word) & 0x7fff_ffff)
    }
}
