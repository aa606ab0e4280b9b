//! The sending direction (RFC 3711 section 3.3).

use super::packet::{PacketError, RTCP_CLEAR_LEN, rtcp_ssrc, rtp_header_len, rtp_sequence, rtp_ssrc};
use super::profile::MasterKey;
use super::replay::Replay;
use super::transform::{TAIL_BYTES, Tag, Transform};

/// Control packets one key may protect (RFC 3711 section 9.2).
const MAX_RTCP_INDEX: u32 = 0x7fff_ffff;
/// 48 bits of RTP packets one key may protect (RFC 3711 section 9.2).
const MAX_RTP_INDEX: u64 = (1 << 48) - 1;

/// Why a packet was not protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtectError {
    #[error("not a packet to protect: {0}")]
    Packet(#[from] PacketError),
    #[error("sequence number {0} was sent before; a second packet under it would give both away")]
    Repeated(u16),
    #[error("the key has protected as many packets as it may")]
    KeyWornOut,
    #[error("{TAIL_BYTES} bytes behind the packet are needed")]
    NoRoom,
}

/// Protects packets with the keys of one direction.
pub struct Sender {
    rtp: Transform,
    rtcp: Transform,
    /// A call sends from one or two sources, so a list is the fastest map.
    sources: Vec<(u32, Replay)>,
    /// Counts the control packets of all sources: unique is all that section 3.4 asks for.
    rtcp_index: u32,
}

impl Sender {
    /// A sender with fresh indexes.
    pub fn new(master: MasterKey<'_>) -> Self {
        Sender {
            rtp: Transform::rtp(&master),
            rtcp: Transform::rtcp(&master),
            sources: Vec::new(),
            rtcp_index: 0,
        }
    }

    /// Encrypts an RTP packet in place and appends the tag.
    ///
    /// # Errors
    /// [`ProtectError`]; the packet is unchanged then.
    pub fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> Result<(), ProtectError> {
        let tag = self.encrypt_rtp(packet)?;
        packet.extend_from_slice(tag.bytes());
        Ok(())
    }

    /// The same where the packet is the first `length` bytes of `room`, with [`TAIL_BYTES`] behind it; its new length.
    ///
    /// # Errors
    /// [`ProtectError`]; the packet is unchanged then.
    pub fn protect_rtp_in(&mut self, room: &mut [u8], length: usize) -> Result<usize, ProtectError> {
        let (packet, behind) = room.split_at_mut_checked(length).ok_or(ProtectError::NoRoom)?;
        let behind = behind.first_chunk_mut::<TAIL_BYTES>().ok_or(ProtectError::NoRoom)?;
        let tag = self.encrypt_rtp(packet)?;
        let tag = tag.bytes();
        behind[..tag.len()].copy_from_slice(tag);
        Ok(length + tag.len())
    }

    fn encrypt_rtp(&mut self, packet: &mut [u8]) -> Result<Tag, ProtectError> {
        let header_len = rtp_header_len(packet)?;
        let (sequence, ssrc) = (rtp_sequence(packet), rtp_ssrc(packet));
        let index = match self.sources.iter_mut().find(|(known, _)| *known == ssrc) {
            None => {
                self.sources.push((ssrc, Replay::starting_at(sequence.into())));
                sequence.into()
            }
            Some((_, replay)) => {
                let index = replay.index_of(sequence).ok_or(ProtectError::Repeated(sequence))?;
                if !replay.is_fresh(index) {
                    return Err(ProtectError::Repeated(sequence));
                }
                if index > MAX_RTP_INDEX {
                    return Err(ProtectError::KeyWornOut);
                }
                replay.take(index);
                index
            }
        };
        Ok(self.rtp.seal_rtp(header_len, ssrc, index, packet))
    }

    /// Encrypts a compound RTCP packet in place and appends index and tag.
    ///
    /// # Errors
    /// [`ProtectError`]; the packet is unchanged then.
    pub fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), ProtectError> {
        let ssrc = rtcp_ssrc(packet)?;
        if self.rtcp_index == MAX_RTCP_INDEX {
            return Err(ProtectError::KeyWornOut);
        }
        self.rtcp_index += 1;
        self.rtcp.seal_rtcp(RTCP_CLEAR_LEN, ssrc, self.rtcp_index, packet);
        Ok(())
    }
}
