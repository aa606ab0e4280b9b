//! Sound made a little shorter or longer without a step or a change of pitch, by whole periods of it (overlap-add).

/// How alike two stretches of sound must be to be taken for one period; below it we wait for a better moment.
const ALIKE: f32 = 0.85;
/// So often a better moment is waited for.
const PATIENCE: u32 = 12;
/// Root mean square below which sound is silence, and any period will do.
const QUIET: f32 = 60.0;

/// Changes the length of sound.
#[derive(Debug)]
pub(crate) struct Pacer {
    window: usize,
    shortest: usize,
    longest: usize,
    /// Sums skip so many samples: what matters lies below 4 kHz.
    stride: usize,
    waited: u32,
}

impl Pacer {
    pub(crate) fn new(sample_hz: u32) -> Self {
        let per_ms = sample_hz as usize / 1000;
        Self {
            window: 5 * per_ms,
            shortest: 5 * per_ms / 2,
            longest: 25 * per_ms / 2,
            stride: (per_ms / 8).max(1),
            waited: 0,
        }
    }

    /// How many samples a change needs to look at.
    pub(crate) fn needs(&self) -> usize {
        self.longest + self.window
    }

    /// Takes one period out at the beginning of `pcm`; says how many samples that was.
    pub(crate) fn shorten(&mut self, pcm: &mut Vec<i16>) -> usize {
        let Some(period) = self.period(pcm) else { return 0 };
        for at in 0..self.window {
            pcm[at] = self.blend(pcm[at], pcm[at + period], at);
        }
        pcm.drain(self.window..self.window + period);
        period
    }

    /// Repeats one period at the beginning of `pcm`; says how many samples that was.
    pub(crate) fn stretch(&mut self, pcm: &mut Vec<i16>) -> usize {
        let Some(period) = self.period(pcm) else { return 0 };
        let length = pcm.len();
        pcm.resize(length + period, 0);
        pcm.copy_within(..length, period);
        // Now the first period stands at the beginning, and the sound begins anew behind it.
        // The old sound went on at `period`, which is two periods from the beginning by now.
        for at in 0..self.window {
            let old = pcm.get(2 * period + at).copied().unwrap_or_default();
            pcm[period + at] = self.blend(old, pcm[period + at], at);
        }
        period
    }

    fn blend(&self, from: i16, to: i16, at: usize) -> i16 {
        let share = (at + 1) as f32 / (self.window + 1) as f32;
        (f32::from(from) * (1.0 - share) + f32::from(to) * share) as i16
    }

    /// The lag at which the beginning of `pcm` is most like itself.
    fn period(&mut self, pcm: &[i16]) -> Option<usize> {
        if pcm.len() < self.needs() {
            return None;
        }
        let head = || pcm[..self.window].iter().step_by(self.stride).map(|sample| f32::from(*sample));
        let power: f32 = head().map(|sample| sample * sample).sum();
        let count = self.window.div_ceil(self.stride) as f32;
        if power < QUIET * QUIET * count {
            self.waited = 0;
            return Some(self.longest);
        }
        let (mut best, mut best_likeness) = (self.shortest, -1.0_f32);
        for lag in self.shortest..=self.longest {
            let (mut cross, mut other_power) = (0.0_f32, 1.0_f32);
            for (sample, other) in head().zip(pcm[lag..].iter().step_by(self.stride)) {
                let other = f32::from(*other);
                cross += sample * other;
                other_power += other * other;
            }
            let likeness = cross / (power * other_power).sqrt();
            if likeness > best_likeness {
                (best, best_likeness) = (lag, likeness);
            }
        }
        if best_likeness < ALIKE && self.waited < PATIENCE {
            self.waited += 1;
            return None;
        }
        self.waited = 0;
        Some(best)
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::TAU;

    use super::*;

    #[test]
    fn a_tone_stays_the_same_tone_at_every_rate() {
        for rate in [8000_u32, 16_000, 48_000] {
            let tone = sine(rate, 440.0, rate as usize / 20);
            let largest_step = step(&tone);
            let mut pacer = Pacer::new(rate);
            let mut shorter = tone.clone();
            let removed = pacer.shorten(&mut shorter);
            let mut longer = tone.clone();
            let added = pacer.stretch(&mut longer);
            assert!(removed >= rate as usize / 400 && added == removed, "{rate}: {removed} {added}");
            assert_eq!((shorter.len(), longer.len()), (tone.len() - removed, tone.len() + added));
            for changed in [&shorter, &longer] {
                assert!(step(changed) <= largest_step * 11 / 10, "{rate}: {} {largest_step}", step(changed));
            }
            let window = rate as usize / 200;
            assert!(shorter[window..] == tone[window + removed..], "{rate}: the rest is untouched");
            assert!(longer[..removed] == tone[..removed], "{rate}");
            assert!(longer[removed + window..] == tone[window..], "{rate}");
        }
    }

    #[test]
    fn in_silence_the_longest_piece_goes_at_once() {
        let mut pacer = Pacer::new(8000);
        let mut pcm = vec![3; 400];
        assert_eq!(pacer.shorten(&mut pcm), 100);
    }

    #[test]
    fn noise_waits_for_a_better_moment_and_not_for_ever() {
        let mut pacer = Pacer::new(8000);
        let mut state = 1_u32;
        let mut tries = 0;
        loop {
            let mut pcm: Vec<i16> = (0..320)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 16) as i16
                })
                .collect();
            if pacer.stretch(&mut pcm) > 0 {
                break;
            }
            tries += 1;
        }
        assert_eq!(tries, PATIENCE);
    }

    #[test]
    fn too_little_sound_is_left_alone() {
        let mut pacer = Pacer::new(8000);
        let mut pcm = vec![0; pacer.needs() - 1];
        assert_eq!((pacer.shorten(&mut pcm), pacer.stretch(&mut pcm)), (0, 0));
    }

    fn sine(rate: u32, hz: f32, samples: usize) -> Vec<i16> {
        (0..samples).map(|at| (8000.0 * (TAU * hz * at as f32 / rate as f32).sin()) as i16).collect()
    }

    fn step(pcm: &[i16]) -> i32 {
        pcm.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap()
    }
}
