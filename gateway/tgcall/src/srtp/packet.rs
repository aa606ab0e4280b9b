//! What SRTP needs to know of the packets it covers (RFC 3550 sections 5.1 and 6.4).

/// Bytes of an RTCP packet that stay in the clear: header and SSRC (RFC 3711 section 3.4).
pub(super) const RTCP_CLEAR_LEN: usize = 8;

/// Bytes that are no RTP or RTCP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    #[error("{0} bytes are too few")]
    Short(usize),
    #[error("the version is {0}, not 2")]
    Version(u8),
}

/// Bytes of a packet's header with its contributing sources and its extension, which are not encrypted.
///
/// # Errors
/// [`PacketError`] if the bytes end before the header does or are of another version.
pub fn rtp_header_len(packet: &[u8]) -> Result<usize, PacketError> {
    let short = PacketError::Short(packet.len());
    let first = *packet.first().ok_or(short)?;
    if first >> 6 != 2 {
        return Err(PacketError::Version(first >> 6));
    }
    let mut len = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(len + 2..len + 4).ok_or(short)?;
        len += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    if packet.len() < len { Err(short) } else { Ok(len) }
}

pub(super) fn rtp_sequence(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[2], packet[3]])
}

/// The source of a packet whose header was measured before.
pub(super) fn rtp_ssrc(packet: &[u8]) -> u32 {
    u32::from_be_bytes([packet[8], packet[9], packet[10], packet[11]])
}

/// The sender of a compound RTCP packet.
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, PacketError> {
    let (header, _) = packet.split_first_chunk::<RTCP_CLEAR_LEN>().ok_or(PacketError::Short(packet.len()))?;
    if header[0] >> 6 != 2 {
        return Err(PacketError::Version(header[0] >> 6));
    }
    Ok(u32::from_be_bytes([header[4], header[5], header[6], header[7]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_covers_contributing_sources_and_extension() {
        let mut packet = vec![0x80 | 0x10 | 2, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend([0; 8]);
        packet.extend([0xbe, 0xde, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(rtp_header_len(&packet), Ok(32));
        packet.push(1);
        assert_eq!(rtp_header_len(&packet), Ok(32));
    }

    #[test]
    fn cut_headers_and_other_versions_are_refused() {
        let mut packet = vec![0x90, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 0, 0, 0, 0];
        for len in 0..packet.len() {
            assert_eq!(rtp_header_len(&packet[..len]), Err(PacketError::Short(len)));
        }
        packet[0] = 0x50;
        assert_eq!(rtp_header_len(&packet), Err(PacketError::Version(1)));
        assert_eq!(rtcp_ssrc(&packet[..7]), Err(PacketError::Short(7)));
    }
}
