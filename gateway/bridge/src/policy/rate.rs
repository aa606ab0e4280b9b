//! How many calls in a minute. A restart forgets what was counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// A number of calls in any minute, and when the latest were.
#[derive(Debug, Clone)]
pub struct Rate {
    per_minute: usize,
    latest: VecDeque<Instant>,
}

impl Rate {
    /// So many in a minute; 0 is any number.
    pub fn new(per_minute: u32) -> Self {
        Self { per_minute: per_minute as usize, latest: VecDeque::new() }
    }

    /// Counts a call.
    ///
    /// # Errors
    /// How long until one more fits; this one is not counted.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        if self.per_minute == 0 {
            return Ok(());
        }
        while self.latest.pop_front_if(|at| *at + MINUTE <= now).is_some() {}
        if self.latest.len() >= self.per_minute {
            let free = self.latest.front().map_or(now, |at| *at + MINUTE);
            return Err(free.saturating_duration_since(now));
        }
        self.latest.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_slides_and_what_is_refused_does_not_count() {
        let (mut rate, start) = (Rate::new(3), Instant::now());
        let at = |s: u64| start + Duration::from_secs(s);
        for s in [0, 20, 40] {
            assert_eq!(rate.admit(at(s)), Ok(()));
        }
        for s in 41..60 {
            assert_eq!(rate.admit(at(s)), Err(Duration::from_secs(60 - s)));
        }
        assert_eq!(rate.admit(at(60)), Ok(()));
        assert_eq!(rate.admit(at(61)), Err(Duration::from_secs(19)));
        assert_eq!(rate.latest.len(), 3);
    }

    #[test]
    fn zero_is_any_number_and_remembers_nothing() {
        let (mut rate, now) = (Rate::new(0), Instant::now());
        for _ in 0..10_000 {
            assert_eq!(rate.admit(now), Ok(()));
        }
        assert!(rate.latest.is_empty());
    }
}
