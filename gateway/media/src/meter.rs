//! How loud a side is, by a decoded copy of what it sends. It exists only while somebody watches.
//!
//! A level is that of RFC 6464 section 3: 0 is the loudest that the codec can say, 127 is silence, in steps of 1 dB down
//! from overload (-dBov).

use crate::codec::{Codec, Decoder, OPUS};

/// No sound at all (RFC 6464 section 3).
pub(crate) const SILENCE: u8 = 127;
/// A telephone's rate tells how loud a voice is, and is the cheapest that Opus has.
const RATE_HZ: u32 = 8_000;
/// The largest value of a sample, which is overload.
const OVERLOAD: f64 = 32_768.0;

/// The level of one side.
#[derive(Debug)]
pub(crate) struct Meter {
    codec: &'static Codec,
    decoder: Option<Box<dyn Decoder>>,
    pcm: Vec<i16>,
    /// Of the samples since the level was last taken.
    squares: f64,
    samples: u32,
    last: u8,
    /// Nothing came between the last two times.
    was_empty: bool,
}

impl Meter {
    pub(crate) fn new(codec: &'static Codec) -> Self {
        let mut meter = Self {
            codec,
            decoder: None,
            pcm: Vec::new(),
            squares: 0.0,
            samples: 0,
            last: SILENCE,
            was_empty: true,
        };
        meter.open();
        meter
    }

    /// The side speaks another codec from now on.
    pub(crate) fn set_codec(&mut self, codec: &'static Codec) {
        if self.codec != codec {
            self.codec = codec;
            self.open();
        }
    }

    /// A payload of the side's sound.
    pub(crate) fn handle_payload(&mut self, payload: &[u8]) {
        let Some(decoder) = &mut self.decoder else { return };
        self.pcm.clear();
        if decoder.decode(payload, &mut self.pcm).is_err() {
            return;
        }
        self.squares += self.pcm.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
        self.samples = self.samples.saturating_add(u32::try_from(self.pcm.len()).unwrap_or(u32::MAX));
    }

    /// The level since it was last taken. Long packets leave gaps: a single one is bridged.
    pub(crate) fn take(&mut self) -> u8 {
        let is_empty = self.samples == 0;
        if !is_empty {
            self.last = level((self.squares / f64::from(self.samples)).sqrt());
        } else if self.was_empty {
            self.last = SILENCE;
        }
        (self.was_empty, self.squares, self.samples) = (is_empty, 0.0, 0);
        self.last
    }

    fn open(&mut self) {
        let rate = if *self.codec == OPUS { RATE_HZ } else { self.codec.sample_hz };
        self.decoder = self.codec.decoder(rate).ok();
    }
}

fn level(rms: f64) -> u8 {
    let below_db = -20.0 * (rms / OVERLOAD).log10();
    // Nothing at all is infinitely far below.
    below_db.round().clamp(0.0, f64::from(SILENCE)) as u8
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::codec::{EncoderSettings, G722, L16, PCMA, PCMU};

    #[test]
    fn a_sine_of_each_codec_has_its_level_whatever_the_codec() {
        for codec in [&OPUS, &G722, &PCMA, &PCMU, &L16] {
            for (amplitude, wanted) in [(32_000.0, 3_u8), (3_200.0, 23), (320.0, 43)] {
                let mut meter = Meter::new(codec);
                for payload in sine(codec, amplitude) {
                    meter.handle_payload(&payload);
                }
                let level = meter.take();
                assert!(level.abs_diff(wanted) <= 1, "{codec:?} at {amplitude}: {level}, not {wanted}");
            }
        }
    }

    #[test]
    fn silence_and_what_nobody_can_decode_is_127() {
        let mut meter = Meter::new(&L16);
        assert_eq!(meter.take(), SILENCE);
        meter.handle_payload(&[0; 160]);
        assert_eq!(meter.take(), SILENCE);
        let mut meter = Meter::new(&OPUS);
        meter.handle_payload(&[]);
        meter.handle_payload(&[3, 0]);
        assert_eq!(meter.take(), SILENCE);
    }

    #[test]
    fn one_gap_between_long_packets_is_bridged_and_a_second_is_silence() {
        let mut meter = Meter::new(&PCMA);
        meter.handle_payload(&sine(&PCMA, 3_200.0)[0]);
        let level = meter.take();
        assert!(level < 30);
        assert_eq!([meter.take(), meter.take()], [level, SILENCE]);
    }

    #[test]
    fn another_codec_is_decoded_by_its_own_decoder() {
        let mut meter = Meter::new(&OPUS);
        meter.set_codec(&PCMU);
        for payload in sine(&PCMU, 3_200.0) {
            meter.handle_payload(&payload);
        }
        assert!(meter.take().abs_diff(23) <= 1);
    }

    /// A second of 400 Hz.
    fn sine(codec: &'static Codec, amplitude: f64) -> Vec<Vec<u8>> {
        let rate = codec.sample_hz;
        let mut encoder = codec.encoder(rate, EncoderSettings::default()).unwrap();
        let samples: Vec<i16> = (0..rate)
            .map(|at| (amplitude * (TAU * 400.0 * f64::from(at) / f64::from(rate)).sin()) as i16)
            .collect();
        let frames = samples.chunks(rate as usize / 50).map(|pcm| {
            let mut payload = Vec::new();
            encoder.encode(pcm, &mut payload);
            payload
        });
        // What an encoder says first it has not heard yet.
        frames.skip(5).collect()
    }
}
