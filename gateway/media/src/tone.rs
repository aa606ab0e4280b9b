//! Call progress tones that we make ourselves (ITU-T E.180): ringback for a caller whose call only rings.

use std::f64::consts::TAU;
use std::time::Duration;

/// How long the tone takes to rise and to fall.
const EDGE: Duration = Duration::from_millis(10);
/// How long it takes to make room for real sound.
const FADE: Duration = Duration::from_millis(20);
/// Amplitude of a sine of 0 dBm0 (ITU-T G.711 section 4).
const SINE_0_DBM0: f64 = 22_749.0;

/// A sine that comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tone {
    /// Its frequency.
    pub frequency_hz: u16,
    /// So many dB below 0 dBm0.
    pub below_dbm0: u8,
    /// How long it sounds.
    pub on: Duration,
    /// How long it is silent then; zero sounds without a break.
    pub off: Duration,
}

impl Tone {
    /// Ringback as most of Europe and Russia have it: 425 Hz, one second of five (ITU-T E.180 supplement 2).
    pub const RINGBACK: Self =
        Self { frequency_hz: 425, below_dbm0: 15, on: Duration::from_secs(1), off: Duration::from_secs(4) };
}

/// A tone that is being played.
#[derive(Debug)]
pub(crate) struct Player {
    tone: Tone,
    sample_hz: u32,
    at: u64,
    /// Samples left of the fade that ends it.
    ending: Option<u32>,
}

impl Player {
    pub(crate) fn new(tone: Tone, sample_hz: u32) -> Self {
        Self { tone, sample_hz, at: 0, ending: None }
    }

    /// Which tone it is.
    pub(crate) fn tone(&self) -> Tone {
        self.tone
    }

    /// Lets it fade away from the next sample on.
    pub(crate) fn end(&mut self) {
        let fade = self.samples(FADE) as u32;
        self.ending.get_or_insert(fade);
    }

    /// Whether nothing of it is left.
    pub(crate) fn is_over(&self) -> bool {
        self.ending == Some(0)
    }

    /// Overwrites `pcm` with what comes next.
    pub(crate) fn fill(&mut self, pcm: &mut [i16]) {
        let (on, edge) = (self.samples(self.tone.on), self.samples(EDGE).max(1));
        let period = (on + self.samples(self.tone.off)).max(1);
        let breaks = !self.tone.off.is_zero();
        let peak = SINE_0_DBM0 * 10_f64.powf(-f64::from(self.tone.below_dbm0) / 20.0);
        let fade = self.samples(FADE).max(1) as f64;
        for sample in pcm {
            let at = self.at % period;
            let inside = if breaks { at.min(on.saturating_sub(at)) } else { self.at };
            let swell = inside.min(edge) as f64 / edge as f64;
            let left = match &mut self.ending {
                Some(left) => {
                    *left = left.saturating_sub(1);
                    f64::from(*left) / fade
                }
                None => 1.0,
            };
            let turns = self.at as f64 * f64::from(self.tone.frequency_hz) / f64::from(self.sample_hz);
            *sample = (peak * swell * left * (TAU * turns.fract()).sin()) as i16;
            self.at += 1;
        }
    }

    fn samples(&self, time: Duration) -> u64 {
        (time.as_micros() * u128::from(self.sample_hz) / 1_000_000) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ringback_sounds_for_one_second_of_five_and_nothing_of_it_clicks() {
        let mut player = Player::new(Tone::RINGBACK, 8000);
        let mut pcm = vec![0; 8000 * 11];
        for frame in pcm.chunks_mut(160) {
            player.fill(frame);
        }
        let loud = |from_ms: usize, to_ms: usize| {
            pcm[from_ms * 8..to_ms * 8].iter().map(|sample| sample.unsigned_abs()).max().unwrap()
        };
        for second in [0, 5, 10] {
            assert!((3900..4100).contains(&loud(second * 1000 + 20, second * 1000 + 980)), "second {second}");
        }
        assert_eq!((loud(1000, 5000), loud(6001, 9999)), (0, 0));
        let steady_step = 4045.0 * TAU * 425.0 / 8000.0;
        let largest = pcm.windows(2).map(|pair| (pair[1] - pair[0]).unsigned_abs()).max().unwrap();
        assert!(f64::from(largest) <= steady_step * 1.02, "{largest} {steady_step}");
    }

    #[test]
    fn a_tone_that_is_ended_fades_within_20_ms() {
        let mut player = Player::new(Tone::RINGBACK, 8000);
        let mut pcm = [0; 400];
        player.fill(&mut pcm);
        player.end();
        assert!(!player.is_over());
        player.fill(&mut pcm[..170]);
        assert!(player.is_over() && pcm[159..170].iter().all(|sample| *sample == 0));
        assert!(pcm[..80].iter().any(|sample| sample.abs() > 1000));
    }
}
