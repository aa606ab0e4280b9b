//! How many calls in a minute, or in an hour. A restart forgets what was counted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// A number of calls in any minute or hour, and when the latest were.
#[derive(Debug, Clone)]
pub struct Rate {
    most: usize,
    window: Duration,
    latest: VecDeque<Instant>,
}

impl Rate {
    /// So many in a minute; 0 is any number.
    pub fn new(per_minute: u32) -> Self {
        Self { most: per_minute as usize, window: MINUTE, latest: VecDeque::new() }
    }

    /// So many in an hour; 0 is any number.
    pub fn hourly(per_hour: u32) -> Self {
        Self { window: HOUR, ..Self::new(per_hour) }
    }

    /// Counts a call.
    ///
    /// # Errors
    /// How long until one more fits; this one is not counted.
    pub fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        self.look(now)?;
        if self.most > 0 {
            self.latest.push_back(now);
        }
        Ok(())
    }

    /// Whether one more fits.
    ///
    /// # Errors
    /// How long until it does.
    pub fn look(&mut self, now: Instant) -> Result<(), Duration> {
        let window = self.window;
        while self.latest.pop_front_if(|at| *at + window <= now).is_some() {}
        if self.most == 0 || self.latest.len() < self.most {
            return Ok(());
        }
        let free = self.latest.front().map_or(now, |at| *at + window);
        Err(free.saturating_duration_since(now))
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
    fn an_hour_is_counted_as_a_minute_is_and_a_look_counts_nothing() {
        let (mut rate, start) = (Rate::hourly(2), Instant::now());
        let at = |s: u64| start + Duration::from_secs(s);
        for s in [0, 1_800] {
            assert_eq!((rate.look(at(s)), rate.admit(at(s))), (Ok(()), Ok(())));
        }
        assert_eq!(rate.look(at(1_801)), Err(Duration::from_secs(1_799)));
        assert_eq!(rate.admit(at(3_599)), Err(Duration::from_secs(1)));
        assert_eq!(rate.admit(at(3_600)), Ok(()));
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
