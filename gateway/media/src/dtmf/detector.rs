//! Keys heard in sound, within the limits of ITU-T Q.24 for levels, twist, frequencies and times.
//!
//! Sound is cut into slots of 5 ms. A Goertzel filter per slot and frequency keeps its phase, so that three slots
//! together make one window of 15 ms, whose nulls lie near the neighbours in the keypad's rows; and the phase from
//! window to window tells how far a tone is off its frequency. What is heard is a key if nearly all of the energy lies
//! in one row and one column for long enough, which speech and music do not do.

use std::collections::VecDeque;
use std::f32::consts::TAU;
use std::time::Duration;

use super::digit::{COLUMNS_HZ, ROWS_HZ};
use super::generator::SINE_0_DBM0;
use super::{Digit, LONGEST, Press};

const SLOT_MS: u64 = 5;
/// Slots in a window.
const WINDOW: usize = 3;
/// Rows, then columns.
const TONES: usize = 8;
/// The weakest tone that is heard, each of the two.
const WEAKEST_DBM0: f32 = -36.0;
/// The high tone may be so much stronger, and so much weaker: 4 and 8 dB of Q.24 table A.1, and some room.
const TWIST_DB: (f32, f32) = (6.0, 10.0);
/// By how much the second of a group must be weaker than the first.
const APART_DB: f32 = 5.0;
/// Share of the window's energy that the two tones must hold, with noise.
const SHARE: f32 = 0.7;
/// A tone may be off by this share of its frequency, on the whole: Q.24 wants 1.8 % taken, 3 % refused; from 2.15 % on,
/// harmonics of one voice make keys.
const DETUNED: f32 = 0.021;
/// The same in one window, where the other tone shows.
const DETUNED_WINDOW: f32 = 0.03;
/// Windows in a row that must hear the key before it counts: with the slots of the first, 30 ms.
const HITS: u32 = 5;
/// Windows in a row that do not hear it and end it; 10 ms of interruption are bridged, 40 ms of pause are not.
const MISSES: u32 = 5;
/// A key that was shorter is none: Q.24 wants 40 ms taken, 23 ms refused.
const SHORTEST_TONE: Duration = Duration::from_millis(30);
/// Keys that nobody fetched; more are dropped.
const QUEUE: usize = 64;
/// Where the filters' phases are the same again: every frequency is a whole number of Hz.
const PHASE_PERIOD: u64 = 1000 / SLOT_MS;

/// Hears keys in one stream of sound.
#[derive(Debug)]
pub struct Detector {
    slot_samples: u32,
    coefficients: [f32; TONES],
    /// By slot within [`PHASE_PERIOD`] the filters' turn is this times the slot's number.
    turns: [f32; TONES],
    /// The slot that is being filled.
    filters: [[f32; TONES]; 2],
    energy: f32,
    filled: u32,
    number: u64,
    /// The newest window's, and the one before it.
    slots: [Slot; 1 + WINDOW],
    before: Option<[Complex; TONES]>,
    key: Option<Key>,
    presses: VecDeque<Press>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Complex {
    re: f32,
    im: f32,
}

/// What was heard in 5 ms.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    tones: [Complex; TONES],
    energy: f32,
}

/// What one window holds.
#[derive(Debug, Clone, Copy)]
struct Heard {
    digit: Digit,
    strength: f32,
    /// How far its tones are off, as shares of their frequencies.
    off: [f32; 2],
}

/// A key that is perhaps held.
#[derive(Debug)]
struct Key {
    digit: Digit,
    hits: u32,
    misses: u32,
    /// Windows since the first one, that included, and the same at the last hit.
    windows: u32,
    until: u32,
    /// Strength of the tones in whole windows, summed over the hits.
    strength: f32,
    /// How far its tones are off, summed over the hits.
    off: [f32; 2],
    /// Strength by slot: of the first window and the slot before it.
    first: [f32; 1 + WINDOW],
    /// Of the last window but its first slot, and of the slot after it.
    last: [f32; WINDOW],
}

impl Detector {
    /// A detector for sound of so many samples per second, which 200 divides.
    pub fn new(sample_hz: u32) -> Self {
        let hz = |tone: usize| if tone < 4 { ROWS_HZ[tone] } else { COLUMNS_HZ[tone - 4] };
        Self {
            slot_samples: (sample_hz / 200).max(1),
            coefficients: std::array::from_fn(|tone| 2.0 * (TAU * hz(tone) / sample_hz.max(1) as f32).cos()),
            turns: std::array::from_fn(|tone| hz(tone) * SLOT_MS as f32 / 1000.0),
            filters: [[0.0; TONES]; 2],
            energy: 0.0,
            filled: 0,
            number: 0,
            slots: [Slot::default(); 1 + WINDOW],
            before: None,
            key: None,
            presses: VecDeque::new(),
        }
    }

    /// Sound that follows what was handled before.
    pub fn handle_pcm(&mut self, pcm: &[i16]) {
        let mut rest = pcm;
        while !rest.is_empty() {
            let room = (self.slot_samples - self.filled) as usize;
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.filter(now);
            self.filled += now.len() as u32;
            if self.filled == self.slot_samples {
                self.end_slot();
            }
            rest = later;
        }
    }

    /// The stream ends: a key that is held is released.
    pub fn end(&mut self) {
        self.release();
    }

    /// The next key that was released.
    pub fn poll_press(&mut self) -> Option<Press> {
        self.presses.pop_front()
    }

    /// The key that is heard now.
    pub fn held(&self) -> Option<Digit> {
        self.key.as_ref().filter(|key| key.counts()).map(|key| key.digit)
    }

    fn filter(&mut self, pcm: &[i16]) {
        let [mut newer, mut older] = self.filters;
        for &sample in pcm {
            let sample = f32::from(sample);
            self.energy += sample * sample;
            for tone in 0..TONES {
                let newest = sample + self.coefficients[tone] * newer[tone] - older[tone];
                (older[tone], newer[tone]) = (newer[tone], newest);
            }
        }
        self.filters = [newer, older];
    }

    fn end_slot(&mut self) {
        let [newer, older] = std::mem::take(&mut self.filters);
        let tones = std::array::from_fn(|tone| {
            let cos = self.coefficients[tone] / 2.0;
            let sin = (1.0 - cos * cos).max(0.0).sqrt();
            let here = Complex { re: newer[tone] - older[tone] * cos, im: older[tone] * sin };
            here.turned(-(self.turns[tone] * (self.number % PHASE_PERIOD) as f32).fract())
        });
        self.slots.rotate_left(1);
        self.slots[WINDOW] = Slot { tones, energy: std::mem::take(&mut self.energy) };
        (self.filled, self.number) = (0, self.number + 1);

        let window: [Complex; TONES] = std::array::from_fn(|tone| {
            self.slots[1..].iter().fold(Complex::default(), |sum, slot| sum.plus(slot.tones[tone]))
        });
        let before = self.before.replace(window);
        self.follow(before.and_then(|before| self.hear(&window, &before)));
    }

    fn hear(&self, window: &[Complex; TONES], before: &[Complex; TONES]) -> Option<Heard> {
        let powers = window.map(Complex::power);
        let (rows, columns) = powers.split_at(4);
        let (row, column) = (strongest(rows)?, strongest(columns)?);
        let turns = |tone: usize| window[tone].turns_since(before[tone]);
        let (low, high) = (turns(row), turns(4 + column));
        let off =
            [low / ROWS_HZ[row], high / COLUMNS_HZ[column]].map(|share| share * 1000.0 / SLOT_MS as f32);

        let strength = (rows[row] + columns[column]).sqrt() / WINDOW as f32;
        let (low, high) = (rows[row] / passed(low), columns[column] / passed(high));
        let samples = (self.slot_samples * WINDOW as u32) as f32;
        let weakest = SINE_0_DBM0 as f32 * 10_f32.powf(WEAKEST_DBM0 / 20.0) * samples / 2.0;
        let twist_db = 10.0 * (high / low).log10();
        let energy: f32 = self.slots[1..].iter().map(|slot| slot.energy).sum();
        let key = off.iter().all(|share| share.abs() <= DETUNED_WINDOW)
            && low.min(high) >= weakest * weakest
            && (-TWIST_DB.1..=TWIST_DB.0).contains(&twist_db)
            && 2.0 * (low + high) >= SHARE * samples * energy;
        Digit::at(row, column).filter(|_| key).map(|digit| Heard { digit, strength, off })
    }

    fn follow(&mut self, heard: Option<Heard>) {
        if let Some(key) = &mut self.key {
            let slots = self.slots.map(|slot| slot.strength(key.digit));
            match heard {
                Some(heard) if heard.digit == key.digit => key.hit(heard, slots),
                Some(_) | None => key.miss(slots),
            }
            if !key.may_go_on() {
                self.release();
            }
        }
        if let (Some(heard), None) = (heard, &self.key) {
            self.key = Some(Key::new(heard, self.slots.map(|slot| slot.strength(heard.digit))));
        }
    }

    fn release(&mut self) {
        let Some(key) = self.key.take().filter(Key::counts) else { return };
        let duration = key.duration();
        if duration >= SHORTEST_TONE && self.presses.len() < QUEUE {
            self.presses.push_back(Press { digit: key.digit, duration: duration.min(LONGEST) });
        }
    }
}

impl Key {
    fn new(heard: Heard, slots: [f32; 1 + WINDOW]) -> Self {
        let Heard { digit, strength, off } = heard;
        let last = [slots[2], slots[3], 0.0];
        Self { digit, hits: 1, misses: 0, windows: 1, until: 1, strength, off, first: slots, last }
    }

    fn hit(&mut self, heard: Heard, slots: [f32; 1 + WINDOW]) {
        self.windows += 1;
        self.until = self.windows;
        self.hits += 1;
        self.misses = 0;
        self.strength += heard.strength;
        self.off = [self.off[0] + heard.off[0], self.off[1] + heard.off[1]];
        self.last = [slots[2], slots[3], 0.0];
    }

    fn miss(&mut self, slots: [f32; 1 + WINDOW]) {
        self.windows += 1;
        self.misses += 1;
        if self.misses == 1 {
            self.last[WINDOW - 1] = slots[WINDOW];
        }
    }

    fn may_go_on(&self) -> bool {
        self.misses < if self.hits < HITS { 2 } else { MISSES }
    }

    /// Whether it was heard for long enough, and in tune.
    fn counts(&self) -> bool {
        self.hits >= HITS && self.off.iter().all(|sum| sum.abs() <= DETUNED * self.hits as f32)
    }

    /// The slots at both ends count by their share of the tone's whole strength, those between count whole.
    fn duration(&self) -> Duration {
        let whole = self.strength / self.hits as f32;
        let share = |strength: &f32| (strength / whole).min(1.0);
        let ends: f32 = self.first.iter().chain(&self.last).map(share).sum();
        // The first window ends at slot 1, the last one's own two at the end are `until - 1` and `until`.
        let between = self.until as f32 - 3.0;
        Duration::from_secs_f32((ends + between).max(0.0) * SLOT_MS as f32 / 1000.0)
    }
}

impl Slot {
    /// Root of the power in the two tones of a key.
    fn strength(&self, digit: Digit) -> f32 {
        let (low, high) = digit.frequencies_hz();
        let of = |hz: f32, group: &[f32; 4]| group.iter().position(|known| *known == hz).unwrap_or_default();
        let (row, column) = (of(low, &ROWS_HZ), of(high, &COLUMNS_HZ));
        (self.tones[row].power() + self.tones[4 + column].power()).sqrt()
    }
}

impl Complex {
    fn plus(self, other: Self) -> Self {
        Self { re: self.re + other.re, im: self.im + other.im }
    }

    fn power(self) -> f32 {
        self.re * self.re + self.im * self.im
    }

    fn turned(self, turns: f32) -> Self {
        let (sin, cos) = (TAU * turns).sin_cos();
        Self { re: self.re * cos - self.im * sin, im: self.re * sin + self.im * cos }
    }

    /// How far it turned from `other`, -0.5 to 0.5.
    fn turns_since(self, other: Self) -> f32 {
        let re = self.re * other.re + self.im * other.im;
        let im = self.im * other.re - self.re * other.im;
        im.atan2(re) / TAU
    }
}

/// The share of its power that a tone keeps in a window, if it turns so far from slot to slot.
fn passed(turns: f32) -> f32 {
    let half = TAU / 2.0 * turns.abs().max(1e-4) * WINDOW as f32;
    (half.sin() / half).powi(2).max(0.1)
}

/// Where the strongest of a group lies, if the others are far enough below.
fn strongest(powers: &[f32]) -> Option<usize> {
    let (place, first) = powers.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1))?;
    let limit = first * 10_f32.powf(-APART_DB / 10.0);
    let alone = powers.iter().enumerate().all(|(other, power)| other == place || *power <= limit);
    (alone && *first > 0.0).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::super::Generator;
    use super::*;

    const RATES_HZ: [u32; 3] = [8000, 16_000, 48_000];

    #[test]
    fn every_generated_key_is_heard_once_with_its_duration_at_every_rate() {
        for sample_hz in RATES_HZ {
            for held_ms in [40, 53, 80, 100, 240, 1000] {
                for code in 0..16 {
                    let digit = Digit::from_event_code(code).unwrap();
                    let pcm = keys(sample_hz, &[digit], held_ms, 50);
                    // At every phase of the slots.
                    for offset_ms in 0..5 {
                        let mut sound = vec![0; (offset_ms * sample_hz / 1000 + 3) as usize];
                        sound.extend(&pcm);
                        let heard = listen(sample_hz, &sound);
                        assert_eq!(heard.len(), 1, "{digit} {held_ms} ms at {sample_hz} Hz: {heard:?}");
                        assert_eq!(heard[0].0, digit.to_char());
                        assert!(
                            heard[0].1.abs_diff(held_ms) <= 3,
                            "{digit} {held_ms} ms at {sample_hz} Hz: {heard:?}"
                        );
                    }
                }
            }
        }
    }

    /// SoX 14.4.2: `sox -n -r 8000 -b 16 5.wav synth 0.08 sine 770 sine 1336 remix - gain -9 pad 0.03 0.06`, the same
    /// with 941 and 1477, and both one after the other as `-t s16 -L`.
    #[test]
    fn tones_of_another_synthesizer_are_heard() {
        let bytes = include_bytes!("../../testdata/dtmf-5-hash-8000.s16");
        let pcm: Vec<_> = bytes.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
        let heard = listen(8000, &pcm);
        assert_eq!(heard.iter().map(|(letter, _)| letter).collect::<String>(), "5#");
        assert!(heard.iter().all(|(_, held_ms)| held_ms.abs_diff(80) <= 2), "{heard:?}");
    }

    #[test]
    fn a_hundred_keys_in_noise_are_heard_in_order_to_ten_milliseconds() {
        for sample_hz in RATES_HZ {
            for snr_db in [30.0, 15.0] {
                let mut random = u64::from(sample_hz);
                let digits: Vec<_> =
                    (0..100).map(|_| Digit::from_event_code(step(&mut random) as u8 & 15).unwrap()).collect();
                let mut pcm = keys(sample_hz, &digits, 60, 50);
                // Both tones together have 10 log (0.1 + 0.158) dBm0.
                let noise_dbm0 = -5.9 - snr_db;
                add_noise(&mut pcm, sample_hz, noise_dbm0, &mut random);
                let heard = listen(sample_hz, &pcm);
                let letters: String = heard.iter().map(|(letter, _)| letter).collect();
                assert_eq!(letters, digits.iter().map(|digit| digit.to_char()).collect::<String>());
                let worst = heard.iter().map(|(_, ms)| ms.abs_diff(60)).max().unwrap();
                assert!(worst <= 8, "{sample_hz} Hz {snr_db} dB: {worst} ms off");
            }
        }
    }

    #[test]
    fn twist_level_and_frequency_are_taken_within_q_24_and_refused_far_beyond() {
        let tuned = |low_dbm0, high_dbm0, share| {
            let tone = Pair { low_dbm0, high_dbm0, tuned: 1.0 + share, held_ms: 60 };
            RATES_HZ.map(|sample_hz| all_heard(sample_hz, tone))
        };
        for (low_dbm0, high_dbm0) in
            [(-10.0, -6.0), (-6.0, -14.0), (-30.0, -28.0), (-3.5, -3.5), (-33.0, -33.0)]
        {
            for share in [-0.018, -0.015, 0.0, 0.015, 0.018] {
                assert_eq!(tuned(low_dbm0, high_dbm0, share), [16; 3], "{low_dbm0} {high_dbm0} {share}");
            }
        }
        for (low_dbm0, high_dbm0, share) in [
            (-20.0, -10.0, 0.0),
            (-6.0, -20.0, 0.0),
            (-42.0, -42.0, 0.0),
            (-10.0, -10.0, 0.035),
            (-10.0, -10.0, -0.035),
        ] {
            assert_eq!(tuned(low_dbm0, high_dbm0, share), [0; 3], "{low_dbm0} {high_dbm0} {share}");
        }
    }

    #[test]
    fn twenty_three_milliseconds_are_no_key_and_forty_are() {
        for sample_hz in RATES_HZ {
            let tone = |held_ms| Pair { low_dbm0: -10.0, high_dbm0: -8.0, tuned: 1.0, held_ms };
            assert_eq!(all_heard(sample_hz, tone(23)), 0);
            assert_eq!(all_heard(sample_hz, tone(40)), 16);
        }
    }

    #[test]
    fn a_gap_of_ten_milliseconds_is_bridged_and_a_pause_of_forty_is_not() {
        for sample_hz in RATES_HZ {
            let per_ms = sample_hz as usize / 1000;
            let five = Digit::from_char('5').unwrap();
            for offset in 0..5 {
                let mut pcm = vec![0; offset * per_ms];
                pcm.extend(keys(sample_hz, &[five], 200, 50));
                pcm[80 * per_ms..90 * per_ms].fill(0);
                let heard = listen(sample_hz, &pcm);
                assert!(heard.len() == 1 && heard[0].1.abs_diff(200) <= 3, "{heard:?}");
                pcm[70 * per_ms..110 * per_ms].fill(0);
                assert_eq!(listen(sample_hz, &pcm).len(), 2);
            }
        }
    }

    #[test]
    fn the_pieces_in_which_sound_comes_do_not_matter_and_a_held_key_is_known() {
        let digits: Vec<_> = "159D".chars().filter_map(Digit::from_char).collect();
        let pcm = keys(16_000, &digits, 70, 60);
        let mut detector = Detector::new(16_000);
        let mut held = Vec::new();
        for piece in pcm.chunks(91) {
            detector.handle_pcm(piece);
            held.extend(detector.held());
        }
        let mut heard: Vec<_> =
            std::iter::from_fn(|| detector.poll_press()).map(|press| press.digit).collect();
        held.dedup();
        assert_eq!((&held, &heard), (&digits, &digits));

        detector.handle_pcm(&keys(16_000, &digits[..1], 200, 50)[..2000]);
        assert_eq!((detector.held(), detector.poll_press()), (Some(digits[0]), None));
        detector.end();
        heard = detector.poll_press().map(|press| press.digit).into_iter().collect();
        assert_eq!(heard, digits[..1]);
    }

    #[test]
    fn ten_minutes_of_vowels_gliding_through_the_keypad_hold_no_key() {
        for sample_hz in [8000, 16_000] {
            let mut speech = Speech::new(sample_hz, 7);
            let mut detector = Detector::new(sample_hz);
            for _ in 0..600 {
                detector.handle_pcm(&speech.take(sample_hz as usize));
            }
            let heard: Vec<_> = std::iter::from_fn(|| detector.poll_press()).collect();
            assert_eq!(heard, []);
        }
    }

    #[test]
    fn single_tones_chords_clipping_and_noise_hold_no_key() {
        let sample_hz = 8000;
        let mut random = 3;
        let mut noise = vec![0; 8000 * 60];
        add_noise(&mut noise, sample_hz, -10.0, &mut random);
        assert_eq!(listen(sample_hz, &noise), []);
        let sines = |tones: &[f64]| -> Vec<i16> {
            let at = |sample: u32| -> f64 {
                let sine = |hz: &f64| (std::f64::consts::TAU * hz * f64::from(sample) / 8000.0).sin();
                tones.iter().map(sine).sum::<f64>() * 9000.0
            };
            (0..8000).map(|sample| at(sample) as i16).collect()
        };
        for tones in [
            &[697.0][..],
            &[1209.0],
            &[425.0],
            &[350.0, 440.0],
            &[440.0, 480.0],
            &[697.0, 770.0],
            &[1209.0, 1336.0],
            &[697.0, 1209.0, 1477.0],
            &[660.0, 1320.0],
            &[1400.0, 2060.0],
            &[2100.0],
        ] {
            assert_eq!(listen(sample_hz, &sines(tones)), [], "{tones:?}");
        }
        let square: Vec<i16> =
            (0..8000).map(|at| if at / 5 % 2 == 0 { i16::MIN } else { i16::MAX }).collect();
        assert_eq!(listen(sample_hz, &square), []);
    }

    /// Two tones that need not be as they should.
    #[derive(Clone, Copy)]
    struct Pair {
        low_dbm0: f64,
        high_dbm0: f64,
        tuned: f64,
        held_ms: u64,
    }

    /// How many of the sixteen keys are heard.
    fn all_heard(sample_hz: u32, pair: Pair) -> usize {
        let heard = |code: &u8| {
            let digit = Digit::from_event_code(*code).unwrap();
            let (low, high) = digit.frequencies_hz();
            let sine = |hz: f32, dbm0: f64, at: u64| {
                let turns = f64::from(hz) * pair.tuned * at as f64 / f64::from(sample_hz);
                SINE_0_DBM0 * 10_f64.powf(dbm0 / 20.0) * (std::f64::consts::TAU * turns).sin()
            };
            let begin = u64::from(sample_hz) / 100 + 7;
            let held = pair.held_ms * u64::from(sample_hz) / 1000;
            let pcm: Vec<i16> = (0..u64::from(sample_hz) / 4)
                .map(|at| match at.checked_sub(begin).filter(|at| *at < held) {
                    Some(at) => (sine(low, pair.low_dbm0, at) + sine(high, pair.high_dbm0, at)) as i16,
                    None => 0,
                })
                .collect();
            let heard = listen(sample_hz, &pcm);
            assert!(heard.len() <= 1);
            heard.iter().all(|(letter, _)| *letter == digit.to_char()) && heard.len() == 1
        };
        (0..16).filter(heard).count()
    }

    fn keys(sample_hz: u32, digits: &[Digit], tone_ms: u64, pause_ms: u64) -> Vec<i16> {
        let mut generator = Generator::new(sample_hz);
        for digit in digits {
            let [tone, pause] = [tone_ms, pause_ms].map(Duration::from_millis);
            generator.push(*digit, tone, pause).unwrap();
        }
        let mut pcm =
            vec![0; sample_hz as usize * (digits.len() * (tone_ms + pause_ms) as usize + 50) / 1000];
        generator.fill(&mut pcm);
        pcm
    }

    fn listen(sample_hz: u32, pcm: &[i16]) -> Vec<(char, u64)> {
        let mut detector = Detector::new(sample_hz);
        let mut heard = Vec::new();
        for piece in pcm.chunks(sample_hz as usize) {
            detector.handle_pcm(piece);
            heard.extend(std::iter::from_fn(|| detector.poll_press()));
        }
        detector.end();
        heard.extend(detector.poll_press());
        heard
            .iter()
            .map(|press| (press.digit.to_char(), press.duration.as_micros().div_ceil(1000) as u64))
            .collect()
    }

    /// White noise below 4 kHz of so many dBm0, nearly Gaussian.
    fn add_noise(pcm: &mut [i16], sample_hz: u32, dbm0: f64, random: &mut u64) {
        let rms = SINE_0_DBM0 / 2_f64.sqrt() * 10_f64.powf(dbm0 / 20.0);
        // At higher rates the same density reaches further up.
        let rms = rms * (f64::from(sample_hz) / 8000.0).sqrt();
        for sample in pcm {
            let sum: f64 = (0..12).map(|_| (step(random) >> 11) as f64 / (1_u64 << 53) as f64).sum();
            *sample = (f64::from(*sample) + (sum - 6.0) * rms).clamp(-32_768.0, 32_767.0) as i16;
        }
    }

    /// Glottal pulses through three formants that glide from vowel to vowel, some of them held like song.
    struct Speech {
        sample_hz: f64,
        random: u64,
        pulse: f64,
        pitch_hz: f64,
        pitch_aim_hz: f64,
        formants_hz: [f64; 3],
        aims_hz: [f64; 3],
        states: [[f64; 2]; 3],
        left: u32,
    }

    impl Speech {
        fn new(sample_hz: u32, seed: u64) -> Self {
            Self {
                sample_hz: sample_hz.into(),
                random: seed,
                pulse: 0.0,
                pitch_hz: 120.0,
                pitch_aim_hz: 120.0,
                formants_hz: [700.0, 1220.0, 2600.0],
                aims_hz: [700.0, 1220.0, 2600.0],
                states: [[0.0; 2]; 3],
                left: 0,
            }
        }

        fn take(&mut self, samples: usize) -> Vec<i16> {
            (0..samples).map(|_| self.sample()).collect()
        }

        fn sample(&mut self) -> i16 {
            if self.left == 0 {
                let held_ms = self.between(50.0, 400.0);
                self.left = (held_ms * self.sample_hz / 1000.0) as u32;
                self.pitch_aim_hz = self.between(80.0, 500.0);
                // The first two formants as near to the keypad as mouths come.
                self.aims_hz =
                    [self.between(600.0, 1000.0), self.between(1150.0, 1700.0), self.between(2200.0, 3000.0)];
            }
            self.left -= 1;
            let glide = 60.0 / self.sample_hz;
            self.pitch_hz += (self.pitch_aim_hz - self.pitch_hz) * glide;
            self.pulse += self.pitch_hz / self.sample_hz;
            let mut sound = if self.pulse >= 1.0 { 1.0 } else { 0.0 };
            self.pulse = self.pulse.fract();
            for formant in 0..3 {
                self.formants_hz[formant] += (self.aims_hz[formant] - self.formants_hz[formant]) * glide;
                let width_hz = [60.0, 90.0, 150.0][formant];
                let radius = (-std::f64::consts::PI * width_hz / self.sample_hz).exp();
                let turn = std::f64::consts::TAU * self.formants_hz[formant] / self.sample_hz;
                let [one, two] = self.states[formant];
                let out = sound + 2.0 * radius * turn.cos() * one - radius * radius * two;
                self.states[formant] = [out, one];
                sound = out * (1.0 - radius);
            }
            (sound * 2e6).clamp(-32_768.0, 32_767.0) as i16
        }

        fn between(&mut self, low: f64, high: f64) -> f64 {
            low + (high - low) * (step(&mut self.random) >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    /// One step of SplitMix64.
    fn step(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
