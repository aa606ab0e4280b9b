//! A bucket of places that fills again evenly. What is in it lets a crowd in that comes together.

use std::time::{Duration, Instant};

/// So much of a second's places may be taken at once.
const FULL: Duration = Duration::from_secs(2);

/// A bucket of places.
#[derive(Debug)]
pub struct Bucket {
    /// What one place takes of a second.
    place: Duration,
    filled: Duration,
    since: Option<Instant>,
}

impl Bucket {
    /// A full one: two seconds' worth of places, of which there are at least one and at most 1,000,000,000 in a second.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let place = Duration::from_secs(1) / per_second.clamp(1, 1_000_000_000);
        Self { place, filled: FULL, since: None }
    }

    /// Whether there is a place.
    #[must_use]
    pub fn has_place(&self, now: Instant) -> bool {
        self.filled_at(now) >= self.place
    }

    /// Takes a place, if there is one.
    pub fn admit(&mut self, now: Instant) -> bool {
        self.filled = self.filled_at(now);
        self.since = Some(now);
        let left = self.filled.checked_sub(self.place);
        self.filled = left.unwrap_or(self.filled);
        left.is_some()
    }

    fn filled_at(&self, now: Instant) -> Duration {
        let passed = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        (self.filled + passed).min(FULL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seconds_worth_come_at_once_and_then_as_many_as_the_rate_says() {
        let (mut bucket, start) = (Bucket::new(50), Instant::now());
        let admitted = |bucket: &mut Bucket, at| (0..1000).filter(|_| bucket.admit(at)).count();
        assert_eq!(admitted(&mut bucket, start), 100);
        assert!(!bucket.has_place(start) && bucket.has_place(start + Duration::from_millis(20)));
        assert_eq!(admitted(&mut bucket, start + Duration::from_secs(1)), 50);
        assert_eq!(admitted(&mut bucket, start + Duration::from_secs(60)), 100);
        let steady = (1..=500_u32)
            .filter(|n| bucket.admit(start + Duration::from_secs(100) + Duration::from_millis(20) * *n));
        assert_eq!(steady.count(), 500);
    }
}
