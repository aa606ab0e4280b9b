//! Silence as Opus packets that need no encoder, for a side whose sound pauses while packets pass undecoded.

/// CELT frames, full band, mono, of 10 and 20 ms (RFC 6716 section 3.1, configurations 30 and 31).
const TOC_10_MS: u8 = 30 << 3;
const TOC_20_MS: u8 = 31 << 3;
/// A range-coded frame whose first symbol, the silence flag, is set (RFC 6716 section 4.3).
const SILENT_FRAME: [u8; 2] = [0xff, 0xfe];

/// Writes a packet of `ptime_ms` of silence, 10 to 60 ms in steps of its frames; says how many it became.
pub(crate) fn write(ptime_ms: u32, out: &mut Vec<u8>) -> u32 {
    out.clear();
    if ptime_ms < 20 {
        out.push(TOC_10_MS);
        out.extend(SILENT_FRAME);
        return 10;
    }
    let frames = (ptime_ms / 20).min(3);
    if frames == 1 {
        out.push(TOC_20_MS);
    } else {
        out.extend([TOC_20_MS | 3, frames as u8]);
    }
    for _ in 0..frames {
        out.extend(SILENT_FRAME);
    }
    frames * 20
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::OPUS;
    use crate::opus;

    #[test]
    fn a_packet_of_silence_is_silent_and_as_long_as_it_says() {
        for (ptime_ms, expected_ms) in [(1, 10), (10, 10), (20, 20), (30, 20), (40, 40), (60, 60), (1000, 60)]
        {
            let mut packet = Vec::new();
            assert_eq!(write(ptime_ms, &mut packet), expected_ms);
            let shape = opus::Shape::read(&packet).unwrap();
            assert_eq!(shape.duration().as_millis(), u128::from(expected_ms), "{packet:02x?}");
            let mut decoder = OPUS.decoder(48_000).unwrap();
            let mut pcm = Vec::new();
            decoder.decode(&packet, &mut pcm).unwrap();
            assert_eq!(pcm.len() as u32, expected_ms * 48);
            assert!(pcm.iter().all(|sample| sample.abs() <= 1), "{packet:02x?}");
        }
    }
}
