//! RTP packets as bytes: a checked view, and the fixed header of what we send (RFC 3550 section 5.1).

use rtp_rs::{RtpReader, RtpReaderError};

/// Bytes of the fixed header, which is all that the gateway ever writes in front of a payload.
pub const HEADER_BYTES: usize = 12;

/// Why a datagram is no RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Fewer bytes than the header, its contributing sources or its extension claim.
    #[error("{bytes} bytes are fewer than the RTP header needs")]
    Short {
        /// What came.
        bytes: usize,
    },
    /// Not version 2: STUN, DTLS or noise.
    #[error("RTP version {0}, want 2")]
    Version(u8),
    /// The padding count is zero or runs over the header (RFC 3550 section 5.1).
    #[error("{0} bytes of padding do not fit the packet")]
    Padding(u8),
    /// An RTCP packet on the same port (RFC 5761 section 4).
    #[error("an RTCP packet of type {0}")]
    Rtcp(u8),
}

/// One received packet, checked: every field is in range and lies inside the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// First packet of a talk spurt (RFC 3551 section 4.1).
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Counts packets, wraps.
    pub sequence: u16,
    /// Ticks of the codec's clock, wraps.
    pub timestamp: u32,
    /// The source that the sequence and the timestamp belong to.
    pub ssrc: u32,
    /// What is left without contributing sources, extension and padding; empty in a padding-only packet.
    pub payload: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Checks a datagram and reads it.
    ///
    /// # Errors
    /// [`RtpError`] says what the datagram is instead.
    pub fn read(datagram: &'a [u8]) -> Result<Self, RtpError> {
        if let Some(packet_type) = rtcp_type(datagram) {
            return Err(RtpError::Rtcp(packet_type));
        }
        let reader = RtpReader::new(datagram).map_err(|error| match error {
            RtpReaderError::BufferTooShort(bytes) => RtpError::Short { bytes },
            RtpReaderError::UnsupportedVersion(version) => RtpError::Version(version),
            RtpReaderError::HeadersTruncated { .. } => RtpError::Short { bytes: datagram.len() },
            RtpReaderError::PaddingLengthInvalid(count) => RtpError::Padding(count),
        })?;
        Ok(Self {
            marker: reader.mark(),
            payload_type: reader.payload_type(),
            sequence: reader.sequence_number().into(),
            timestamp: reader.timestamp(),
            ssrc: reader.ssrc(),
            payload: reader.payload(),
        })
    }

    /// A bandwidth probe or keep-alive: a header, perhaps padding, and nothing to play.
    pub fn is_padding_only(&self) -> bool {
        self.payload.is_empty()
    }

    /// Appends the packet to `out` with the plain fixed header: no sources, extension or padding.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut header = [0_u8; HEADER_BYTES];
        header[0] = 2 << 6;
        header[1] = u8::from(self.marker) << 7 | self.payload_type & 0x7f;
        header[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        header[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        header[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(self.payload);
    }
}

/// Whether a datagram with RTP's version is RTCP, by its second byte (RFC 5761 section 4).
pub fn is_rtcp(datagram: &[u8]) -> bool {
    rtcp_type(datagram).is_some()
}

fn rtcp_type(datagram: &[u8]) -> Option<u8> {
    match datagram {
        [first, packet_type @ 192..=223, ..] if first >> 6 == 2 => Some(*packet_type),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_packet_is_read_and_written_back_byte_for_byte() {
        let golden = [
            0x80, 0xeb, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 0x01, 0x02, 0x03, 0x04, // header
            0xf8, 0xff, 0xfe, // payload
        ];
        let packet = Packet::read(&golden).unwrap();
        let expected = Packet {
            marker: true,
            payload_type: 107,
            sequence: 0x1234,
            timestamp: 0xdead_beef,
            ssrc: 0x0102_0304,
            payload: &[0xf8, 0xff, 0xfe],
        };
        assert_eq!(packet, expected);
        let mut written = Vec::new();
        packet.write(&mut written);
        assert_eq!(written, golden);
    }

    #[test]
    fn sources_extension_and_padding_are_not_payload() {
        let mut bytes = vec![0xb2, 0x6f, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]; // P, X, CC = 2, PT 111
        bytes.extend([0, 0, 0, 4, 0, 0, 0, 5]); // two contributing sources
        bytes.extend([0xbe, 0xde, 0, 2, 0x22, 1, 2, 3, 0x31, 0, 7, 0]); // RFC 8285, two words
        bytes.extend([0xaa, 0xbb]); // payload
        bytes.extend([0, 0, 3]); // padding
        let packet = Packet::read(&bytes).unwrap();
        assert_eq!(packet.payload, [0xaa, 0xbb]);
        let mut written = Vec::new();
        packet.write(&mut written);
        assert_eq!(written, [0x80, 0x6f, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xaa, 0xbb]);
    }

    #[test]
    fn a_packet_of_padding_alone_is_recognised() {
        let mut bytes = vec![0xa0, 0x6f, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend([0; 254]);
        bytes.push(255);
        assert!(Packet::read(&bytes).unwrap().is_padding_only());
        assert!(Packet::read(&bytes[..12]).is_err(), "the padding bit promises at least its count");
        bytes[0] = 0x80;
        assert!(!Packet::read(&bytes).unwrap().is_padding_only(), "without the bit it is payload");
        assert!(Packet::read(&bytes[..12]).unwrap().is_padding_only(), "a bare header plays nothing either");
    }

    #[test]
    fn what_is_not_rtp_is_named() {
        let plain = [0x80, 0x6f, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        assert_eq!(Packet::read(&[]), Err(RtpError::Short { bytes: 0 }));
        assert_eq!(Packet::read(&plain[..11]), Err(RtpError::Short { bytes: 11 }));
        assert_eq!(Packet::read(&with_first(plain, 0x00)), Err(RtpError::Version(0)), "as in STUN");
        assert_eq!(Packet::read(&with_first(plain, 0x81)), Err(RtpError::Short { bytes: 12 }));
        assert_eq!(Packet::read(&with_first(plain, 0x90)), Err(RtpError::Short { bytes: 12 }));
        assert_eq!(Packet::read(&[&with_first(plain, 0xa0)[..], &[0]].concat()), Err(RtpError::Padding(0)));
        assert_eq!(Packet::read(&[&with_first(plain, 0xa0)[..], &[9]].concat()), Err(RtpError::Padding(9)));
        let report = [0x80, 200, 0, 6, 0, 0, 0, 2, 0, 0, 0, 3];
        assert_eq!(Packet::read(&report), Err(RtpError::Rtcp(200)));
        assert!(is_rtcp(&report) && is_rtcp(&[0x81, 205, 0, 1]) && !is_rtcp(&plain) && !is_rtcp(&[0x80]));
    }

    #[test]
    fn a_marker_on_a_dynamic_payload_type_is_not_taken_for_rtcp() {
        for payload_type in 96..=127_u8 {
            let bytes = [0x80, 0x80 | payload_type, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1];
            assert_eq!(Packet::read(&bytes).unwrap().payload_type, payload_type);
        }
    }

    #[test]
    fn every_first_byte_with_every_short_length_is_answered_without_a_panic() {
        for first in 0..=255 {
            for last in [0, 1, 12, 60, 255] {
                for length in 0..90 {
                    let mut bytes = vec![last; length];
                    if let Some(byte) = bytes.first_mut() {
                        *byte = first;
                    }
                    if let Ok(packet) = Packet::read(&bytes) {
                        assert!(packet.payload.len() + HEADER_BYTES <= length);
                    }
                }
            }
        }
    }

    fn with_first(mut header: [u8; 12], first: u8) -> [u8; 12] {
        header[0] = first;
        header
    }
}
