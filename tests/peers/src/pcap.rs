//! RTP in a pcap file (draft-ietf-opsawg-pcap), as SIPp plays it.

use std::fs;
use std::path::Path;

/// Ethernet.
const LINK: u32 = 1;
const LONGEST: u32 = 65_535;

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
