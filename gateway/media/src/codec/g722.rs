//! G.722 (ITU-T G.722, 64 kbit/s, mode 1) in RTP: 7 kHz speech, one byte for two samples.
//!
//! RFC 3551 section 4.5.2 keeps an old mistake: the RTP clock says 8000, while the samples are 16000 a second.

use super::concealment::{Concealed, Expand};
use super::{Codec, Encoder};

mod band;

use band::{Band, HIGH, LOW};

/// The row of G.722.
pub static G722: Codec = Codec {
    name: "G722",
    clock_hz: 8_000,
    channels: 1,
    static_payload_type: Some(9),
    offered_payload_type: 111,
    fmtp: "",
    sample_hz: 16_000,
    default_ptime_ms: 20,
    open_decoder: |sample_hz| {
        (sample_hz == G722.sample_hz).then(|| Box::new(Concealed::new(G722Decoder::new(), sample_hz)) as _)
    },
    open_encoder: |sample_hz, _| (sample_hz == G722.sample_hz).then(|| Box::new(G722Encoder::new()) as _),
};

/// Half of the quadrature mirror filter, and the other half, which is the same backwards (G.722 table 4).
const FORTH: [i16; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];
const BACK: [i16; 12] = [-11, 53, -156, 362, -805, 3876, 951, -210, 32, 12, -11, 3];

/// The last 24 values that went through the quadrature mirror filter, those of even and of odd places apart.
///
/// Each stands there twice, so that twelve in a row always lie together.
#[derive(Debug)]
struct Mirror {
    even: [i16; 24],
    odd: [i16; 24],
    next: usize,
}

impl Mirror {
    fn new() -> Self {
        Self { even: [0; 24], odd: [0; 24], next: 0 }
    }

    /// Takes two values and gives the sums over the even and the odd places.
    fn turn(&mut self, even: i16, odd: i16) -> (i32, i32) {
        for at in [self.next, self.next + 12] {
            (self.even[at], self.odd[at]) = (even, odd);
        }
        self.next = (self.next + 1) % 12;
        (sum(&self.even[self.next..], &FORTH), sum(&self.odd[self.next..], &BACK))
    }
}

fn sum(values: &[i16], weights: &[i16; 12]) -> i32 {
    values.iter().zip(weights).map(|(&value, &weight)| i32::from(value) * i32::from(weight)).sum()
}

#[derive(Debug)]
struct G722Decoder {
    low: Band,
    high: Band,
    mirror: Mirror,
}

impl G722Decoder {
    fn new() -> Self {
        Self { low: Band::new(&LOW), high: Band::new(&HIGH), mirror: Mirror::new() }
    }
}

impl Expand for G722Decoder {
    const NAME: &'static str = "G722";

    fn samples(bytes: usize) -> Option<usize> {
        (bytes > 0).then_some(bytes * 2)
    }

    fn expand(&mut self, payload: &[u8], pcm: &mut Vec<i16>) {
        let before = pcm.len();
        pcm.resize(before + payload.len() * 2, 0);
        let (pairs, _) = pcm[before..].as_chunks_mut();
        for (pair, &byte) in pairs.iter_mut().zip(payload) {
            let low = self.low.decode(byte & 0x3f);
            let high = self.high.decode(byte >> 6);
            let (even, odd) = self.mirror.turn((low + high) as i16, (low - high) as i16);
            *pair = [odd, even].map(|sum| saturated(sum >> 11) as i16);
        }
    }
}

#[derive(Debug)]
struct G722Encoder {
    low: Band,
    high: Band,
    mirror: Mirror,
}

impl G722Encoder {
    fn new() -> Self {
        Self { low: Band::new(&LOW), high: Band::new(&HIGH), mirror: Mirror::new() }
    }
}

impl Encoder for G722Encoder {
    fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) {
        let (pairs, _) = pcm.as_chunks::<2>();
        out.extend(pairs.iter().map(|&[first, second]| {
            let (even, odd) = self.mirror.turn(first, second);
            self.high.encode((odd - even) >> 14) << 6 | self.low.encode((odd + even) >> 14)
        }));
    }
}

fn saturated(value: i32) -> i32 {
    value.clamp(i16::MIN.into(), i16::MAX.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::EncoderSettings;

    /// A sweep, noise loud and soft, a square wave at full scale, two tones; what ffmpeg 5.1 makes of it (`-trellis 0`),
    /// and what it hears in that.
    const SOUND: &[u8] = include_bytes!("../../testdata/g722/sound.s16be");
    const GOLDEN: &[u8] = include_bytes!("../../testdata/g722/sound.g722");
    const HEARD: &[u8] = include_bytes!("../../testdata/g722/sound-expanded.s16be");

    #[test]
    fn sound_becomes_the_bytes_that_another_encoder_writes() {
        let mut encoder = G722.encoder(16_000, EncoderSettings::default()).unwrap();
        let mut out = Vec::new();
        for frame in samples(SOUND).chunks(320) {
            encoder.encode(frame, &mut out);
        }
        assert_eq!(out.len(), GOLDEN.len());
        assert_eq!(out.iter().zip(GOLDEN).position(|(a, b)| a != b), None);
    }

    #[test]
    fn bytes_sound_as_another_decoder_hears_them() {
        let mut decoder = G722.decoder(16_000).unwrap();
        let mut pcm = Vec::new();
        for payload in GOLDEN.chunks(160) {
            assert_eq!(decoder.samples(payload), Some(payload.len() * 2));
            decoder.decode(payload, &mut pcm).unwrap();
        }
        let heard = samples(HEARD);
        assert_eq!(pcm.len(), heard.len());
        assert_eq!(pcm.iter().zip(&heard).position(|(a, b)| a != b), None);
    }

    #[test]
    fn a_lost_packet_is_concealed_and_the_sound_comes_back() {
        let (mut whole, mut broken) = (G722.decoder(16_000).unwrap(), G722.decoder(16_000).unwrap());
        let (mut original, mut heard) = (Vec::new(), Vec::new());
        let mut payload = Vec::new();
        let mut encoder = G722.encoder(16_000, EncoderSettings::default()).unwrap();
        for at in 0..20_i32 {
            let tone = |n: i32| (8000.0 * (n as f32 * 0.2).sin()) as i16;
            let frame: Vec<_> = (at * 320..(at + 1) * 320).map(tone).collect();
            payload.clear();
            encoder.encode(&frame, &mut payload);
            whole.decode(&payload, &mut original).unwrap();
            if at == 10 {
                broken.conceal(320, None, &mut heard);
            } else {
                broken.decode(&payload, &mut heard).unwrap();
            }
        }
        let energy = |pcm: &[i16]| pcm.iter().map(|&s| f32::from(s).powi(2)).sum::<f32>();
        let off = |at: usize| -> Vec<i16> {
            let frame = at * 320..(at + 1) * 320;
            original[frame.clone()].iter().zip(&heard[frame]).map(|(a, b)| a.saturating_sub(*b)).collect()
        };
        assert!(energy(&heard[10 * 320..11 * 320]) > energy(&original[10 * 320..11 * 320]) / 2.0);
        assert!(energy(&off(19)) < energy(&original[19 * 320..]) / 100.0);
    }

    #[test]
    fn any_bytes_are_heard_without_overflow() {
        for seed in 0..64_u32 {
            let mut state = seed;
            let payload: Vec<u8> = (0..4000)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if seed % 2 == 0 {
                        (state >> 24) as u8
                    } else {
                        [0x04, 0x3f, 0x84, 0xc4][(state >> 30) as usize]
                    }
                })
                .collect();
            let mut pcm = Vec::new();
            G722.decoder(16_000).unwrap().decode(&payload, &mut pcm).unwrap();
            let mut out = Vec::new();
            G722.encoder(16_000, EncoderSettings::default()).unwrap().encode(&pcm, &mut out);
            assert_eq!((pcm.len(), out.len()), (8000, 4000));
        }
    }

    fn samples(bytes: &[u8]) -> Vec<i16> {
        bytes.as_chunks().0.iter().map(|&pair| i16::from_be_bytes(pair)).collect()
    }
}
