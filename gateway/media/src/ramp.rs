//! Gains that change over milliseconds instead of at once, and joints without a step: nothing clicks.

/// A gain from 0 to 1 on its way to where it is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ramp {
    gain: f32,
}

impl Ramp {
    /// Begins silent.
    pub(crate) fn silent() -> Self {
        Self { gain: 0.0 }
    }

    /// Begins at full gain.
    pub(crate) fn full() -> Self {
        Self { gain: 1.0 }
    }

    pub(crate) fn is_silent(self) -> bool {
        self.gain <= 0.0
    }

    /// Applies the gain while it moves to `goal`, which takes `samples` from one end to the other.
    pub(crate) fn apply(&mut self, pcm: &mut [i16], goal: f32, samples: usize) {
        if self.gain >= 1.0 && goal >= 1.0 {
            return;
        }
        let step = 1.0 / samples.max(1) as f32;
        for sample in pcm {
            self.gain =
                if self.gain < goal { (self.gain + step).min(goal) } else { (self.gain - step).max(goal) };
            *sample = (f32::from(*sample) * self.gain) as i16;
        }
    }
}

/// Makes `pcm` begin where the sound before it stopped: the difference fades over `samples`.
pub(crate) fn join(before: i16, pcm: &mut [i16], samples: usize) {
    let Some(&first) = pcm.first() else { return };
    let step = f32::from(before) - f32::from(first);
    for (at, sample) in pcm.iter_mut().take(samples).enumerate() {
        let left = 1.0 - at as f32 / samples as f32;
        *sample = (f32::from(*sample) + step * left) as i16;
    }
}

/// Adds `other` to `pcm`, held within what a sample can be.
pub(crate) fn add(pcm: &mut [i16], other: &[i16]) {
    for (sample, other) in pcm.iter_mut().zip(other) {
        *sample = sample.saturating_add(*other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_goes_to_its_goal_in_even_steps_and_stays() {
        let mut ramp = Ramp::silent();
        let mut pcm = [1000; 15];
        ramp.apply(&mut pcm, 1.0, 10);
        assert!(pcm.windows(2).all(|pair| (0..=101).contains(&(pair[1] - pair[0]))), "{pcm:?}");
        assert_eq!(pcm[10..], [1000; 5]);
        ramp.apply(&mut pcm, 0.0, 5);
        assert!(ramp.is_silent() && pcm[5..] == [0; 10]);
    }

    #[test]
    fn a_joint_begins_at_the_old_sample_and_ends_in_the_new_sound() {
        let mut pcm = [-300; 20];
        join(700, &mut pcm, 10);
        assert_eq!((pcm[0], pcm[10]), (700, -300));
        assert!(pcm.windows(2).all(|pair| (-102..=0).contains(&(pair[1] - pair[0]))), "{pcm:?}");
    }
}
