//! Growing pauses with jitter between attempts, so that many lines do not knock at the same instant.

use std::time::Duration;

/// Doubles from `first` to `ceiling`; each pause is cut by up to a half at random.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    ceiling: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, ceiling: Duration) -> Self {
        Self { first, ceiling, next: first }
    }

    /// Begins again with the shortest pause.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// The pause to make now.
    pub(crate) fn pause(&mut self) -> Duration {
        self.pause_with(random_share())
    }

    /// `share` is 0 for the full pause, 1 for half of it.
    fn pause_with(&mut self, share: f64) -> Duration {
        let full = self.next;
        self.next = (full * 2).min(self.ceiling);
        full.mul_f64(1.0 - share.clamp(0.0, 1.0) / 2.0)
    }
}

/// Zero if the system has no randomness, in which case pauses are merely not jittered.
pub(crate) fn random_u32() -> u32 {
    getrandom::u32().unwrap_or_default()
}

fn random_share() -> f64 {
    f64::from(random_u32()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_ceiling_and_begin_again_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        let pauses: Vec<_> = (0..4).map(|_| backoff.pause_with(0.0).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 350, 350]);
        backoff.reset();
        assert_eq!(backoff.pause_with(1.0).as_millis(), 50);
    }

    #[test]
    fn jitter_takes_away_at_most_half() {
        let mut backoff = Backoff::new(Duration::from_millis(80), Duration::from_millis(80));
        for _ in 0..200 {
            let pause = backoff.pause();
            assert!((40..=80).contains(&pause.as_millis()), "{pause:?}");
        }
    }
}
