//! Keys as sound: two sines each, rising and falling without a click (ITU-T Q.23).

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::time::Duration;

use super::sender::QueueFull;
use super::{Digit, LONGEST, SHORTEST};

/// Amplitude of a sine of 0 dBm0, whose full scale lies 3.17 dB above (ITU-T G.711 section 4).
pub(super) const SINE_0_DBM0: f64 = 22_749.0;
/// The low tone, and the high tone 2 dB above it: so they leave a telephone, and arrive alike after a line.
const LEVELS_DBM0: (f64, f64) = (-10.0, -8.0);
/// How long a tone takes to rise, and to fall; its duration counts from half to half.
const EDGE: Duration = Duration::from_millis(4);
/// How many keys may wait.
const QUEUE: usize = 256;

/// Sounds keys one after the other.
#[derive(Debug)]
pub struct Generator {
    sample_hz: u32,
    waiting: VecDeque<Key>,
    sounding: Option<Key>,
    /// Samples since the sounding key began.
    at: u32,
}

#[derive(Debug, Clone, Copy)]
struct Key {
    digit: Digit,
    /// Samples from the begin of the rise to the end of the fall.
    tone: u32,
    /// Samples from one key's begin to the next one's.
    whole: u32,
}

impl Generator {
    /// A silent generator.
    pub fn new(sample_hz: u32) -> Self {
        Self { sample_hz, waiting: VecDeque::new(), sounding: None, at: 0 }
    }

    /// Appends a key to the queue. `tone` and `pause` are held within [`SHORTEST`] and [`LONGEST`].
    ///
    /// # Errors
    /// [`QueueFull`] takes nothing.
    pub fn push(&mut self, digit: Digit, tone: Duration, pause: Duration) -> Result<(), QueueFull> {
        if self.waiting.len() >= QUEUE {
            return Err(QueueFull);
        }
        let (tone, pause) = (tone.clamp(SHORTEST, LONGEST), pause.clamp(SHORTEST, LONGEST));
        self.waiting.push_back(Key {
            digit,
            tone: self.samples(tone + EDGE),
            whole: self.samples(tone + pause),
        });
        Ok(())
    }

    /// Forgets the keys that wait; the one that sounds ends as it was meant to.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// How many more digits may wait.
    pub fn room(&self) -> usize {
        QUEUE.saturating_sub(self.waiting.len())
    }

    /// Whether a key waits, sounds, or has its pause after it.
    pub fn is_active(&self) -> bool {
        self.sounding.is_some() || !self.waiting.is_empty()
    }

    /// Overwrites `pcm` with what comes next: tones, pauses, and silence when there is nothing more.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            if self.sounding.is_none() {
                (self.sounding, self.at) = (self.waiting.pop_front(), 0);
            }
            let Some(key) = self.sounding else {
                *sample = 0;
                continue;
            };
            *sample = self.sample(key);
            self.at += 1;
            self.sounding = Some(key).filter(|key| self.at < key.whole);
        }
    }

    fn sample(&self, key: Key) -> i16 {
        let from_end = key.tone.saturating_sub(self.at);
        let edge = self.samples(EDGE);
        let from_edge = f64::from(self.at.min(from_end).min(edge)) / f64::from(edge.max(1));
        let swell = 0.5 - 0.5 * (TAU / 2.0 * from_edge).cos();
        let sine = |hz: f32, level_dbm0: f64| {
            let turns = f64::from(self.at) * f64::from(hz) / f64::from(self.sample_hz);
            SINE_0_DBM0 * 10_f64.powf(level_dbm0 / 20.0) * (TAU * turns.fract()).sin()
        };
        let (low, high) = key.digit.frequencies_hz();
        (swell * (sine(low, LEVELS_DBM0.0) + sine(high, LEVELS_DBM0.1))).round() as i16
    }

    fn samples(&self, time: Duration) -> u32 {
        (time.as_micros() * u128::from(self.sample_hz) / 1_000_000) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tones_and_pauses_have_their_lengths_at_any_rate() {
        for sample_hz in [8000, 16_000, 48_000] {
            let mut generator = Generator::new(sample_hz);
            for letter in ['1', '#'] {
                push(&mut generator, letter, 100, 60);
            }
            let pcm = take(&mut generator, sample_hz as usize / 2);
            let per_ms = sample_hz as usize / 1000;
            let loud = |from_ms: usize, to_ms: usize| {
                let slot = &pcm[from_ms * per_ms..to_ms * per_ms];
                slot.iter().map(|sample| sample.unsigned_abs()).max().unwrap()
            };
            for begin in [0, 160] {
                assert!(loud(begin + 5, begin + 15) > 9000 && loud(begin + 88, begin + 98) > 9000);
                assert_eq!(loud(begin + 105, begin + 160), 0);
            }
            assert_eq!(loud(320, 500), 0);
            assert!(!generator.is_active());
        }
    }

    #[test]
    fn a_tone_rises_and_falls_without_a_click() {
        for code in 0..16 {
            let mut generator = Generator::new(48_000);
            let digit = Digit::from_event_code(code).unwrap();
            generator.push(digit, Duration::from_millis(73), Duration::from_millis(50)).unwrap();
            let pcm = take(&mut generator, 48_000 / 5);
            let edges = [0..48, 76 * 48..78 * 48];
            for edge in edges {
                assert!(pcm[edge].iter().all(|sample| sample.unsigned_abs() < 2500), "{digit}");
            }
            let steepest = pcm.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max().unwrap();
            let tones = f64::from(steepest);
            assert!(tones < TAU * (7200.0 * 941.0 + 9100.0 * 1633.0) / 48_000.0, "{digit}: {steepest}");
        }
    }

    #[test]
    fn the_pieces_in_which_it_is_fetched_do_not_matter() {
        let whole = {
            let mut generator = Generator::new(16_000);
            push(&mut generator, '7', 80, 40);
            push(&mut generator, 'A', 80, 40);
            take(&mut generator, 4000)
        };
        let mut generator = Generator::new(16_000);
        push(&mut generator, '7', 80, 40);
        push(&mut generator, 'A', 80, 40);
        let mut pieces = vec![0; 4000];
        pieces.chunks_mut(77).for_each(|piece| generator.fill(piece));
        assert_eq!(pieces, whole);
    }

    #[test]
    fn a_full_queue_takes_no_more() {
        let mut generator = Generator::new(8000);
        let digit = Digit::from_char('1').unwrap();
        let pushed = (0..1000).take_while(|_| generator.push(digit, SHORTEST, SHORTEST).is_ok()).count();
        assert_eq!(pushed, QUEUE);
        generator.clear();
        assert!(!generator.is_active());
    }

    fn push(generator: &mut Generator, letter: char, tone_ms: u64, pause_ms: u64) {
        let [tone, pause] = [tone_ms, pause_ms].map(Duration::from_millis);
        generator.push(Digit::from_char(letter).unwrap(), tone, pause).unwrap();
    }

    fn take(generator: &mut Generator, samples: usize) -> Vec<i16> {
        let mut pcm = vec![1; samples];
        generator.fill(&mut pcm);
        pcm
    }
}
