//! Silence as Opus packets that need no encoder, for a side whose sound pauses while packets pass undecoded.

/// CELT frames, full band, mono, of 10 and 20 ms (RFC 6716 section 3.1, configurations 30 and 31).
const TOC_10_MS: u8 = 30 << 3;
const TOC_20_MS: u8 = 31 << 3;
/// A range-coded frame whose first symbol, the silence flag, is set (RFC 6716 section 4.3).
const SILENT_FRAME: [u8; 2] = [0xff, 0xfe];

/// A packet of silence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silent {
    bytes: [u8; 8],
    length: usize,
    /// How long it sounds.
    pub(crate) lasts_ms: u32,
}

impl Silent {
    /// 10, 20, 40 or 60 ms of silence, whichever is the longest within `ptime_ms`.
    pub(crate) fn new(ptime_ms: u32) -> Self {
        let frames = (ptime_ms / 20).clamp(1, 3) as usize;
        let (toc, lasts_ms) = if ptime_ms < 20 { (TOC_10_MS, 10) } else { (TOC_20_MS, 20 * frames as u32) };
        let mut silent = Self { bytes: [0; 8], length: 0, lasts_ms };
        match frames {
            1 => silent.push(&[toc]),
            _ => silent.push(&[toc | 3, frames as u8]),
        }
        for _ in 0..frames {
            silent.push(&SILENT_FRAME);
        }
        silent
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }
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
            let silent = Silent::new(ptime_ms);
            let packet = silent.payload();
            assert_eq!(silent.lasts_ms, expected_ms);
            let shape = opus::Shape::read(packet).unwrap();
            assert_eq!(shape.duration().as_millis(), u128::from(expected_ms), "{packet:02x?}");
            let mut decoder = OPUS.decoder(48_000).unwrap();
            let mut pcm = Vec::new();
            decoder.decode(packet, &mut pcm).unwrap();
            assert_eq!(pcm.len() as u32, expected_ms * 48);
            assert!(pcm.iter().all(|sample| sample.abs() <= 1), "{packet:02x?}");
        }
    }
}
