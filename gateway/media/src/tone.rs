//! Call progress tones that we make ourselves (ITU-T E.180): ringback for a caller whose call only rings.

use std::f64::consts::TAU;
use std::time::Duration;

/// How long the tone takes to rise and to fall.
const EDGE: Duration = Duration::from_millis(10);
/// How long it takes to make room for real sound.
const FADE: Duration = Duration::from_millis(20);
/// Amplitude of a sine of 0 dBm0 (ITU-T G.711 section 4).
const SINE_0_DBM0: f64 = 22_749.0;

/// A sine, or two at once, that come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tone {
    /// Of the sine.
    pub frequency_hz: u16,
    /// Of a second one at the same level.
    pub second_hz: Option<u16>,
    /// Each of them lies so many dB below 0 dBm0.
    pub below_dbm0: u8,
    /// How long it sounds and is silent then, twice in a row; without any silence it goes on for ever.
    pub cadence: [(Duration, Duration); 2],
}

impl Tone {
    /// Ringback as most of Europe and Russia have it: 425 Hz, one second of five (ITU-T E.180 supplement 2).
    pub const RINGBACK: Self = Self {
        frequency_hz: 425,
        second_hz: None,
        below_dbm0: 15,
        cadence: [(Duration::from_secs(1), Duration::from_secs(4)); 2],
    };
    /// Says that a call is recorded: 1400 Hz for half a second, as recorders of telephones have it.
    pub const RECORDED: Self = Self {
        frequency_hz: 1400,
        second_hz: None,
        below_dbm0: 18,
        cadence: [(Duration::from_millis(500), Duration::ZERO); 2],
    };
    /// Ringback of North America: 440 and 480 Hz, two seconds of six.
    pub const RINGBACK_US: Self = Self {
        frequency_hz: 440,
        second_hz: Some(480),
        below_dbm0: 19,
        cadence: [(Duration::from_secs(2), Duration::from_secs(4)); 2],
    };
    /// Ringback of the United Kingdom: 400 and 450 Hz, two short ones every three seconds.
    pub const RINGBACK_UK: Self = Self {
        frequency_hz: 400,
        second_hz: Some(450),
        below_dbm0: 19,
        cadence: [
            (Duration::from_millis(400), Duration::from_millis(200)),
            (Duration::from_millis(400), Duration::from_secs(2)),
        ],
    };
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
        let [first, second] = self.tone.cadence.map(|(on, off)| (self.samples(on), self.samples(off)));
        let breaks = first.1 + second.1 > 0;
        let (half, period) = (first.0 + first.1, (first.0 + first.1 + second.0 + second.1).max(1));
        let edge = self.samples(EDGE).max(1);
        let peak = SINE_0_DBM0 * 10_f64.powf(-f64::from(self.tone.below_dbm0) / 20.0);
        let fade = self.samples(FADE).max(1) as f64;
        for sample in pcm {
            let at = self.at % period;
            let (at, on) = if at < half { (at, first.0) } else { (at - half, second.0) };
            let inside = if breaks { at.min(on.saturating_sub(at)) } else { self.at };
            let swell = inside.min(edge) as f64 / edge as f64;
            let left = match &mut self.ending {
                Some(left) => {
                    *left = left.saturating_sub(1);
                    f64::from(*left) / fade
                }
                None => 1.0,
            };
            let sines =
                self.sine(self.tone.frequency_hz) + self.tone.second_hz.map_or(0.0, |hz| self.sine(hz));
            *sample = (peak * swell * left * sines) as i16;
            self.at += 1;
        }
    }

    fn sine(&self, frequency_hz: u16) -> f64 {
        let turns = self.at as f64 * f64::from(frequency_hz) / f64::from(self.sample_hz);
        (TAU * turns.fract()).sin()
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
    fn each_country_rings_in_its_own_rhythm() {
        for (tone, sounds_ms) in [
            (Tone::RINGBACK_US, &[(0, 2000), (6000, 8000)][..]),
            (Tone::RINGBACK_UK, &[(0, 400), (600, 1000), (3000, 3400), (3600, 4000)][..]),
        ] {
            let mut player = Player::new(tone, 8000);
            let mut pcm = vec![0; 8000 * 9];
            player.fill(&mut pcm);
            for (block, samples) in pcm[..8000 * 6].chunks(800).enumerate() {
                let from_ms = block * 100;
                let sounds = sounds_ms.iter().any(|&(on, off)| (on..off).contains(&from_ms));
                let is_loud = samples.iter().any(|sample| sample.abs() > 1500);
                assert_eq!(is_loud, sounds, "{tone:?} at {from_ms} ms");
            }
        }
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
