//! pcap files (draft-ietf-opsawg-pcap): RTP as SIPp plays it, datagrams as tcpdump saw them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::capture;

/// Ethernet.
const LINK: u32 = 1;
const LONGEST: u32 = 65_535;
/// The first word of a file whose times have nanoseconds.
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const FILE_HEADER_BYTES: usize = 24;
const PACKET_HEADER_BYTES: usize = 16;
const FRAME_HEADER_BYTES: usize = 14;

/// Writes RTP packets and the milliseconds at which they leave. Addresses and ports are of no matter: SIPp writes its own.
///
/// # Errors
/// When the file cannot be written.
pub fn write(file: &Path, packets: &[(u32, Vec<u8>)]) -> anyhow::Result<()> {
    let mut out = Vec::new();
    out.extend(0xa1b2_c3d4_u32.to_le_bytes());
    out.extend(2_u16.to_le_bytes());
    out.extend(4_u16.to_le_bytes());
    out.extend([0; 8]);
    out.extend(LONGEST.to_le_bytes());
    out.extend(LINK.to_le_bytes());
    for (at_ms, rtp) in packets {
        let udp_bytes = u16::try_from(rtp.len() + 8)?;
        let mut frame = vec![0; 12];
        frame.extend([0x08, 0x00]);
        frame.extend([0x45, 0]);
        frame.extend((udp_bytes + 20).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        frame.extend(4000_u16.to_be_bytes());
        frame.extend(4000_u16.to_be_bytes());
        frame.extend(udp_bytes.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(rtp);
        let frame_bytes = u32::try_from(frame.len())?;
        for value in [at_ms / 1000, at_ms % 1000 * 1000, frame_bytes, frame_bytes] {
            out.extend(value.to_le_bytes());
        }
        out.extend(frame);
    }
    Ok(fs::write(file, out)?)
}

/// UDP over IPv4 in a file with nanoseconds: when each datagram passed, since 1970, and its payload.
///
/// # Errors
/// When it is no such file.
pub fn read(file: &Path) -> anyhow::Result<Vec<(Duration, Vec<u8>)>> {
    let bytes = fs::read(file)?;
    let number = |at: usize| -> anyhow::Result<u32> {
        let field = bytes.get(at..at + 4).context("a pcap file ends too early")?;
        Ok(u32::from_le_bytes(field.try_into()?))
    };
    ensure!(number(0)? == NANOSECONDS && number(20)? == LINK, "no pcap file of an Ethernet with nanoseconds");
    let (mut passed, mut at) = (Vec::new(), FILE_HEADER_BYTES);
    while at < bytes.len() {
        let (seconds, ns, length) = (number(at)?, number(at + 4)?, number(at + 8)? as usize);
        let frame = at + PACKET_HEADER_BYTES;
        at = frame + length;
        let packet = bytes.get(frame + FRAME_HEADER_BYTES..at).context("a packet was cut")?;
        if let Some(datagram) = capture::udp(packet) {
            passed.push((Duration::new(seconds.into(), ns), datagram.payload.to_vec()));
        }
    }
    Ok(passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_to_its_end_or_refused() {
        let udp = [&[0x10, 0, 0x20, 0, 0, 11, 0, 0][..], b"one"].concat();
        let ip = [&[0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1][..], &udp].concat();
        let frame = [&[0; FRAME_HEADER_BYTES][..], &ip].concat();
        let arp = [0; 42];
        let mut bytes =
            [NANOSECONDS.to_le_bytes(), [2, 0, 4, 0], [0; 4], [0; 4], [0xff; 4], [1, 0, 0, 0]].concat();
        for (second, frame) in [(7_u32, &frame[..]), (8, &arp), (9, &frame)] {
            let length = (frame.len() as u32).to_le_bytes();
            bytes.extend([second.to_le_bytes(), 5_u32.to_le_bytes(), length, length].concat());
            bytes.extend(frame);
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let read_bytes = |bytes: &[u8]| {
            fs::write(file.path(), bytes).unwrap();
            read(file.path())
        };
        let expected = [7, 9].map(|second| (Duration::new(second, 5), b"one".to_vec()));
        assert_eq!(read_bytes(&bytes).unwrap(), expected);
        for cut in [0, 10, 23, bytes.len() - 1, bytes.len() - frame.len() - 3] {
            assert!(read_bytes(&bytes[..cut]).is_err(), "{cut}");
        }
        bytes[0] = 0xd4;
        assert!(read_bytes(&bytes).is_err());
    }
}
