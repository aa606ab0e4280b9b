//! What is heard instead of a lost packet of a codec that has no concealment of its own (after ITU-T G.711 appendix I).
//!
//! The last pitch period is repeated, at full loudness for 10 ms and fading to silence until 60 ms; the sound that comes
//! after a loss is blended in. Unlike the appendix nothing is delayed for it: the sound before a loss has been given out.

use super::{Decoder, Malformed};

/// Pitch periods from 200 Hz down to 66 Hz are looked for, in parts of a second.
const SHORTEST_PERIOD: usize = 200;
const LONGEST_PERIOD: usize = 66;
/// How much sound is compared with itself, one period shifted: 20 ms.
const WINDOW: usize = 50;
/// Loudness stays for 10 ms and is gone after 60 ms.
const FULL_MS: usize = 10;
const GONE_MS: usize = 60;

/// A codec's bare arithmetic, without memory of losses.
pub(super) trait Expand: std::fmt::Debug + Send {
    /// Encoding name, for errors.
    const NAME: &'static str;

    /// How many samples a payload of so many bytes sounds; `None` when there is no such payload.
    fn samples(bytes: usize) -> Option<usize>;

    /// Appends the sound of a payload whose length is right.
    fn expand(&mut self, payload: &[u8], pcm: &mut Vec<i16>);
}

/// A decoder out of a codec's arithmetic and the concealment.
#[derive(Debug)]
pub(super) struct Concealed<E> {
    codec: E,
    concealment: Concealment,
}

impl<E: Expand> Concealed<E> {
    pub(super) fn new(codec: E, sample_hz: u32) -> Self {
        Self { codec, concealment: Concealment::new(sample_hz) }
    }
}

impl<E: Expand> Decoder for Concealed<E> {
    fn decode(&mut self, payload: &[u8], pcm: &mut Vec<i16>) -> Result<(), Malformed> {
        E::samples(payload.len()).ok_or(Malformed { codec: E::NAME, bytes: payload.len() })?;
        let before = pcm.len();
        self.codec.expand(payload, pcm);
        self.concealment.hear(&mut pcm[before..]);
        Ok(())
    }

    fn conceal(&mut self, samples: usize, _next: Option<&[u8]>, pcm: &mut Vec<i16>) {
        self.concealment.fill(samples, pcm);
    }

    fn samples(&self, payload: &[u8]) -> Option<usize> {
        E::samples(payload.len())
    }
}

/// The last 40 ms of a stream, and the loss it may be in.
#[derive(Debug)]
struct Concealment {
    sample_hz: usize,
    /// Oldest first; always full.
    heard: Vec<i16>,
    /// One pitch period, made when a loss begins so that its end runs into its beginning.
    period: Vec<i16>,
    /// Where the loss left the sound at its beginning: how far the period's start is off.
    step: f32,
    /// How many samples of the loss have been filled; 0 is no loss.
    filled: usize,
}

impl Concealment {
    fn new(sample_hz: u32) -> Self {
        let sample_hz = sample_hz as usize;
        Self {
            sample_hz,
            heard: vec![0; sample_hz / 25],
            period: Vec::with_capacity(sample_hz / LONGEST_PERIOD + 1),
            step: 0.0,
            filled: 0,
        }
    }

    /// Takes real sound; its beginning is blended with what a loss before it would go on with.
    fn hear(&mut self, pcm: &mut [i16]) {
        if self.filled > 0 {
            let most = self.samples(10).min(self.samples(4) + self.filled / 4);
            let blended = most.min(pcm.len());
            for (at, sample) in pcm[..blended].iter_mut().enumerate() {
                let share = (at + 1) as f32 / (blended + 1) as f32;
                *sample = (f32::from(*sample) * share + self.next() * (1.0 - share)) as i16;
            }
            self.filled = 0;
        }
        self.remember(pcm);
    }

    /// Appends sound for a loss.
    fn fill(&mut self, samples: usize, pcm: &mut Vec<i16>) {
        if samples > 0 && self.filled == 0 {
            self.find_period();
        }
        let before = pcm.len();
        for _ in 0..samples {
            let sample = self.next();
            pcm.push(sample as i16);
        }
        self.remember(&pcm[before..]);
    }

    fn next(&mut self) -> f32 {
        let at = self.filled;
        self.filled = self.filled.saturating_add(1);
        let (full, gone) = (self.samples(FULL_MS), self.samples(GONE_MS));
        if at >= gone || self.period.is_empty() {
            return 0.0;
        }
        let gain = if at < full { 1.0 } else { (gone - at) as f32 / (gone - full) as f32 };
        let blended = self.period.len() / 4;
        let step = if at < blended { self.step * (blended - at) as f32 / blended as f32 } else { 0.0 };
        let sample = f32::from(self.period[at % self.period.len()]);
        ((sample + step) * gain).clamp(i16::MIN.into(), i16::MAX.into())
    }

    fn remember(&mut self, pcm: &[i16]) {
        let kept = self.heard.len();
        if let Some(begin) = pcm.len().checked_sub(kept) {
            self.heard.copy_from_slice(&pcm[begin..]);
        } else {
            self.heard.copy_within(pcm.len().., 0);
            self.heard[kept - pcm.len()..].copy_from_slice(pcm);
        }
    }

    fn find_period(&mut self) {
        // Coarsely at 8 kHz, then to the sample.
        let stride = (self.sample_hz / 8000).max(1);
        let (shortest, longest) = (self.sample_hz / SHORTEST_PERIOD, self.sample_hz / LONGEST_PERIOD);
        let coarse = self.most_alike((shortest..=longest).step_by(stride), stride);
        let around = coarse.saturating_sub(stride - 1).max(shortest)..=(coarse + stride - 1).min(longest);
        let length = if stride > 1 { self.most_alike(around, 1) } else { coarse };

        let end = self.heard.len();
        self.period.clear();
        self.period.extend_from_slice(&self.heard[end - length..]);
        let blended = length / 4;
        for at in 0..blended {
            let share = (at + 1) as f32 / (blended + 1) as f32;
            let earlier = f32::from(self.heard[end - length - blended + at]);
            let sample = &mut self.period[length - blended + at];
            *sample = (f32::from(*sample) * (1.0 - share) + earlier * share) as i16;
        }
        self.step = f32::from(self.heard[end - 1]) - f32::from(self.heard[end - length - 1]);
    }

    /// The shift at which the newest sound is most like what was before it.
    fn most_alike(&self, lengths: impl Iterator<Item = usize>, stride: usize) -> usize {
        let newest = self.heard.len() - self.sample_hz / WINDOW;
        let likeness = |length: usize| {
            let new = self.heard[newest..].iter().step_by(stride);
            let old = self.heard[newest - length..].iter().step_by(stride);
            let (product, power) = new.zip(old).fold((0.0_f32, 1.0_f32), |(product, power), (&new, &old)| {
                let (new, old) = (f32::from(new), f32::from(old));
                (product + new * old, power + old * old)
            });
            product / power.sqrt()
        };
        let first = self.sample_hz / SHORTEST_PERIOD;
        let best = lengths.map(|length| (length, likeness(length))).max_by(|a, b| a.1.total_cmp(&b.1));
        best.map_or(first, |(length, _)| length)
    }

    fn samples(&self, ms: usize) -> usize {
        self.sample_hz * ms / 1000
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    const RATES_HZ: [u32; 3] = [8_000, 16_000, 48_000];

    #[test]
    fn a_steady_voice_goes_on_through_a_lost_packet() {
        for sample_hz in RATES_HZ {
            for pitch_hz in [75.0, 100.0, 133.7, 190.0] {
                let voice = voice(sample_hz, pitch_hz, 120);
                let ms = sample_hz as usize / 1000;
                let mut heard = voice[..100 * ms].to_vec();
                let mut concealment = Concealment::new(sample_hz);
                concealment.hear(&mut heard);
                concealment.fill(10 * ms, &mut heard);
                let (lost, original) = (&heard[100 * ms..], &voice[100 * ms..110 * ms]);
                let error = distance(lost, original) / distance(original, &vec![0; original.len()]);
                assert!(error < 0.25, "{sample_hz} {pitch_hz}: {error}");
            }
        }
    }

    #[test]
    fn a_long_loss_fades_to_silence_in_60_ms() {
        for sample_hz in RATES_HZ {
            let ms = sample_hz as usize / 1000;
            let mut heard = voice(sample_hz, 120.0, 100);
            let mut concealment = Concealment::new(sample_hz);
            concealment.hear(&mut heard);
            for _ in 0..20 {
                concealment.fill(5 * ms, &mut heard);
            }
            let lost = &heard[100 * ms..];
            let peak = |from: usize, to: usize| {
                lost[from * ms..to * ms].iter().map(|s| i32::from(s.abs())).max().unwrap()
            };
            assert!(peak(0, 10) > 6000);
            assert!(peak(35, 50) < peak(0, 10) * 6 / 10);
            assert_eq!(peak(60, 100), 0);
        }
    }

    #[test]
    fn neither_edge_of_a_loss_clicks() {
        for sample_hz in RATES_HZ {
            let ms = sample_hz as usize / 1000;
            for lost_ms in [10, 20, 40, 60, 200] {
                let voice = voice(sample_hz, 110.0, 400);
                let usual = steepest(&voice);
                let mut heard = voice[..90 * ms].to_vec();
                let mut concealment = Concealment::new(sample_hz);
                concealment.hear(&mut heard);
                concealment.fill(lost_ms * ms, &mut heard);
                let mut after = voice[(90 + lost_ms) * ms..(110 + lost_ms) * ms].to_vec();
                concealment.hear(&mut after);
                heard.extend(after);
                assert!(steepest(&heard) <= usual * 3 / 2, "{sample_hz} {lost_ms}: {}", steepest(&heard));
            }
        }
    }

    #[test]
    fn sound_after_the_blend_is_untouched() {
        let mut concealment = Concealment::new(8000);
        let voice = voice(8000, 110.0, 100);
        concealment.hear(&mut voice.clone());
        concealment.fill(160, &mut Vec::new());
        let mut after = voice.clone();
        concealment.hear(&mut after);
        assert_ne!(after[..40], voice[..40]);
        assert_eq!(after[80..], voice[80..]);
        let mut later = voice.clone();
        concealment.hear(&mut later);
        assert_eq!(later, voice);
    }

    #[test]
    fn before_anything_was_heard_a_loss_is_silence() {
        let mut pcm = Vec::new();
        Concealment::new(16_000).fill(640, &mut pcm);
        assert_eq!(pcm, [0; 640]);
    }

    #[test]
    fn the_loudest_sound_and_every_length_are_survived() {
        for sample_hz in RATES_HZ {
            let mut concealment = Concealment::new(sample_hz);
            for length in [0, 1, 2, 159, 5000, 3] {
                let mut square: Vec<i16> =
                    (0..length).map(|at| if at % 100 < 50 { i16::MAX } else { i16::MIN }).collect();
                concealment.hear(&mut square);
                let before = square.len();
                concealment.fill(length, &mut square);
                assert_eq!(square.len(), before + length);
            }
        }
    }

    fn voice(sample_hz: u32, pitch_hz: f32, ms: u32) -> Vec<i16> {
        (0..sample_hz * ms / 1000)
            .map(|at| {
                let phase = TAU * pitch_hz * at as f32 / sample_hz as f32;
                let buzz: f32 = (1..8).map(|n| (phase * n as f32 + n as f32).sin() / n as f32).sum();
                (5000.0 * buzz) as i16
            })
            .collect()
    }

    fn distance(one: &[i16], other: &[i16]) -> f32 {
        let pairs = one.iter().zip(other);
        pairs.map(|(a, b)| (f32::from(*a) - f32::from(*b)).powi(2)).sum::<f32>().sqrt()
    }

    fn steepest(pcm: &[i16]) -> i32 {
        pcm.windows(2).map(|two| (i32::from(two[1]) - i32::from(two[0])).abs()).max().unwrap()
    }
}
