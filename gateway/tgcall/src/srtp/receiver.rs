//! The receiving direction (RFC 3711 section 3.3): state for a source comes only from authentic packets.

use super::packet::{PacketError, RTCP_CLEAR_LEN, rtcp_ssrc, rtp_header_len, rtp_sequence, rtp_ssrc};
use super::profile::MasterKey;
use super::replay::Replay;
use super::transform::{Forged, Transform};

/// Sources that one peer may open; a call needs audio and perhaps its retransmissions.
const MAX_SOURCES: usize = 16;

/// Why a packet was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("not a protected packet: {0}")]
    Packet(#[from] PacketError),
    #[error("the tag does not fit")]
    Forged,
    #[error("came before, or is older than the window of 64 packets")]
    Replayed,
    #[error("{MAX_SOURCES} sources are enough")]
    TooManySources,
}

impl From<Forged> for OpenError {
    fn from(_: Forged) -> Self {
        OpenError::Forged
    }
}

/// Opens packets with the keys of one direction.
pub struct Receiver {
    rtp: Transform,
    rtcp: Transform,
    rtp_sources: Vec<(u32, Replay)>,
    rtcp_sources: Vec<(u32, Replay)>,
}

impl Receiver {
    /// A receiver that has seen nothing yet.
    pub fn new(master: MasterKey<'_>) -> Self {
        Receiver {
            rtp: Transform::rtp(&master),
            rtcp: Transform::rtcp(&master),
            rtp_sources: Vec::new(),
            rtcp_sources: Vec::new(),
        }
    }

    /// Decrypts an SRTP packet in place: the RTP packet inside it.
    ///
    /// # Errors
    /// [`OpenError`]; the bytes are undefined then.
    pub fn open_rtp<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a [u8], OpenError> {
        let header_len = rtp_header_len(packet)?;
        let (sequence, ssrc) = (rtp_sequence(packet), rtp_ssrc(packet));
        let known = self.rtp_sources.iter().position(|(known, _)| *known == ssrc);
        let index = match known {
            None => sequence.into(),
            Some(at) => self.rtp_sources[at].1.index_of(sequence).ok_or(OpenError::Replayed)?,
        };
        check_fresh(&self.rtp_sources, known, index)?;
        let len = self.rtp.open_rtp(header_len, ssrc, index, packet)?;
        take(&mut self.rtp_sources, known, ssrc, index);
        Ok(&packet[..len])
    }

    /// Decrypts an SRTCP packet in place: the compound RTCP packet inside it.
    ///
    /// # Errors
    /// [`OpenError`]; the bytes are undefined then.
    pub fn open_rtcp<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a [u8], OpenError> {
        let ssrc = rtcp_ssrc(packet)?;
        let index = self.rtcp.claimed_rtcp_index(packet).ok_or(PacketError::Short(packet.len()))?;
        let known = self.rtcp_sources.iter().position(|(known, _)| *known == ssrc);
        check_fresh(&self.rtcp_sources, known, index.into())?;
        let len = self.rtcp.open_rtcp(RTCP_CLEAR_LEN, ssrc, index, packet)?;
        take(&mut self.rtcp_sources, known, ssrc, index.into());
        Ok(&packet[..len])
    }
}

fn check_fresh(sources: &[(u32, Replay)], known: Option<usize>, index: u64) -> Result<(), OpenError> {
    match known {
        Some(at) if !sources[at].1.is_fresh(index) => Err(OpenError::Replayed),
        None if sources.len() >= MAX_SOURCES => Err(OpenError::TooManySources),
        Some(_) | None => Ok(()),
    }
}

fn take(sources: &mut Vec<(u32, Replay)>, known: Option<usize>, ssrc: u32, index: u64) {
    match known {
        Some(at) => sources[at].1.take(index),
        None => sources.push((ssrc, Replay::starting_at(index))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::{Profile, ProtectError, Sender, TAIL_BYTES, key_pair};

    const PROFILES: [Profile; 4] =
        [Profile::Aes128CmSha1_80, Profile::Aes128CmSha1_32, Profile::AeadAes128Gcm, Profile::AeadAes256Gcm];

    #[test]
    fn both_directions_open_what_the_other_protects() {
        for profile in PROFILES {
            let (mut client, mut server) = pair(profile);
            for (from, to) in [(&mut client.0, &mut server.1), (&mut server.0, &mut client.1)] {
                for sequence in [0, 1, 5, 3, 60] {
                    let plain = rtp(7, sequence, &[sequence as u8; 80]);
                    let mut packet = plain.clone();
                    from.protect_rtp(&mut packet).unwrap();
                    assert_eq!(packet.len(), plain.len() + profile.rtp_overhead());
                    assert_ne!(packet[12..20], plain[12..20]);
                    assert_eq!(to.open_rtp(&mut packet).unwrap(), plain, "{profile:?} {sequence}");
                    let mut control = rtcp(7);
                    from.protect_rtcp(&mut control).unwrap();
                    assert_eq!(to.open_rtcp(&mut control).unwrap(), rtcp(7), "{profile:?}");
                }
            }
        }
    }

    #[test]
    fn a_packet_in_a_room_is_protected_like_one_that_grows() {
        for profile in PROFILES {
            let ((mut growing, _), (_, mut receiver)) = pair(profile);
            let ((mut fixed, _), _) = pair(profile);
            for sequence in 0..100 {
                let plain = rtp(7, sequence, &vec![sequence as u8; sequence.into()]);
                let mut packet = plain.clone();
                growing.protect_rtp(&mut packet).unwrap();
                let mut room = [&plain[..], &[0xee; TAIL_BYTES + 3]].concat();
                let length = fixed.protect_rtp_in(&mut room, plain.len()).unwrap();
                assert_eq!(room[..length], packet, "{profile:?} {sequence}");
                assert!(room[plain.len() + TAIL_BYTES..] == [0xee; 3], "what is not its own stays");
                assert_eq!(receiver.open_rtp(&mut room[..length]).unwrap(), plain);
            }
            let mut narrow = [&rtp(7, 100, b"voice")[..], &[0; TAIL_BYTES - 1]].concat();
            assert_eq!(fixed.protect_rtp_in(&mut narrow, 17), Err(ProtectError::NoRoom));
            assert_eq!(fixed.protect_rtp_in(&mut narrow, 99), Err(ProtectError::NoRoom));
            assert_eq!(narrow[..17], rtp(7, 100, b"voice"));
            narrow.push(0);
            fixed.protect_rtp_in(&mut narrow, 17).unwrap();
            assert_eq!(fixed.protect_rtp_in(&mut narrow, 17), Err(ProtectError::Repeated(100)));
        }
    }

    #[test]
    fn sequence_numbers_wrap_and_late_packets_still_open() {
        for profile in PROFILES {
            let ((mut sender, _), (_, mut receiver)) = pair(profile);
            let mut late = None;
            for step in 0..200_u16 {
                let sequence = 65_480_u16.wrapping_add(step);
                let mut packet = rtp(7, sequence, b"voice");
                sender.protect_rtp(&mut packet).unwrap();
                if sequence == 65_530 {
                    late = Some(packet);
                } else {
                    receiver.open_rtp(&mut packet).unwrap();
                }
                if sequence == 20 {
                    receiver.open_rtp(&mut late.take().unwrap()).unwrap();
                }
            }
        }
    }

    #[test]
    fn repeated_and_forged_packets_are_refused_and_change_nothing() {
        for profile in PROFILES {
            let ((mut sender, _), (_, mut receiver)) = pair(profile);
            let mut sent = Vec::new();
            for sequence in 0..100 {
                let mut packet = rtp(7, sequence, b"voice");
                sender.protect_rtp(&mut packet).unwrap();
                sent.push(packet);
            }
            for packet in &sent {
                for at in 0..packet.len() {
                    let mut forged = packet.clone();
                    forged[at] ^= 1;
                    assert!(receiver.open_rtp(&mut forged).is_err(), "{profile:?} byte {at}");
                }
                receiver.open_rtp(&mut packet.clone()).unwrap();
                assert_eq!(receiver.open_rtp(&mut packet.clone()), Err(OpenError::Replayed));
            }
            assert_eq!(receiver.rtp_sources.len(), 1, "no forged source left a trace");
        }
    }

    #[test]
    fn repeated_control_packets_are_refused() {
        for profile in PROFILES {
            let ((mut sender, _), (_, mut receiver)) = pair(profile);
            let mut packet = rtcp(9);
            sender.protect_rtcp(&mut packet).unwrap();
            for at in 0..packet.len() {
                let mut forged = packet.clone();
                forged[at] ^= 1;
                assert!(receiver.open_rtcp(&mut forged).is_err(), "{profile:?} byte {at}");
            }
            receiver.open_rtcp(&mut packet.clone()).unwrap();
            assert_eq!(receiver.open_rtcp(&mut packet), Err(OpenError::Replayed));
        }
    }

    #[test]
    fn sender_refuses_a_second_packet_under_one_number() {
        let ((mut sender, _), _) = pair(Profile::AeadAes128Gcm);
        sender.protect_rtp(&mut rtp(7, 500, b"one")).unwrap();
        let mut second = rtp(7, 500, b"two");
        assert_eq!(sender.protect_rtp(&mut second), Err(ProtectError::Repeated(500)));
        assert_eq!(second, rtp(7, 500, b"two"));
        sender.protect_rtp(&mut rtp(8, 500, b"another source")).unwrap();
    }

    #[test]
    fn a_peer_cannot_open_sources_without_end() {
        let ((mut sender, _), (_, mut receiver)) = pair(Profile::Aes128CmSha1_80);
        for ssrc in 0..20 {
            let mut packet = rtp(ssrc, 1, b"voice");
            sender.protect_rtp(&mut packet).unwrap();
            let opened = receiver.open_rtp(&mut packet).map(|_| ());
            let expected = if ssrc < 16 { Ok(()) } else { Err(OpenError::TooManySources) };
            assert_eq!(opened, expected, "{ssrc}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        for profile in PROFILES {
            let (_, (_, mut receiver)) = pair(profile);
            for len in 0..300 {
                let mut bytes: Vec<u8> = (0..len).map(|_| next()).collect();
                if let Some(first) = bytes.first_mut() {
                    *first = *first & 0x3f | 0x80;
                }
                assert!(receiver.open_rtp(&mut bytes.clone()).is_err());
                assert!(receiver.open_rtcp(&mut bytes).is_err());
            }
        }
    }

    type End = (Sender, Receiver);

    fn pair(profile: Profile) -> (End, End) {
        let material: Vec<u8> = (0..profile.keying_len()).map(|at| at as u8).collect();
        (key_pair(profile, &material, true).unwrap(), key_pair(profile, &material, false).unwrap())
    }

    fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, 111];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&960_u32.to_be_bytes());
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(payload);
        packet
    }

    fn rtcp(ssrc: u32) -> Vec<u8> {
        let mut packet = vec![0x81, 201, 0, 7];
        packet.extend_from_slice(&ssrc.to_be_bytes());
        packet.extend_from_slice(&[3; 24]);
        packet
    }
}
