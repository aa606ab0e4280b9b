//! How long a side may say nothing before its call is given up.
//!
//! A muted Telegram user sends no packet at all and a held phone need not either: both are excused, not forgotten.

use std::time::{Duration, Instant};

/// Watches one side for the loss of its media.
#[derive(Debug)]
pub struct Silence {
    limit: Duration,
    heard: Instant,
    excused: bool,
}

impl Silence {
    /// Gives a side `limit` from `now` for its first packet, and from each packet for the next.
    pub fn new(now: Instant, limit: Duration) -> Self {
        Self { limit, heard: now, excused: false }
    }

    /// A packet came.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Expects nothing while `excused`; afterwards the limit counts from `now`.
    pub fn excuse(&mut self, now: Instant, excused: bool) {
        if self.excused && !excused {
            self.heard = now;
        }
        self.excused = excused;
    }

    /// When the side is given up if nothing comes until then.
    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.excused).then(|| self.heard + self.limit)
    }

    /// Whether the side is to be given up.
    pub fn is_over(&self, now: Instant) -> bool {
        self.poll_timeout().is_some_and(|limit| now >= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[test]
    fn a_side_is_given_up_at_the_limit_and_not_before() {
        let start = Instant::now();
        let mut silence = Silence::new(start, LIMIT);
        assert_eq!(silence.poll_timeout(), Some(start + LIMIT));
        silence.heard(start + LIMIT / 2);
        assert!(!silence.is_over(start + LIMIT), "a packet came in between");
        assert!(silence.is_over(start + LIMIT * 3 / 2));
    }

    #[test]
    fn an_excused_side_may_be_silent_for_ever_and_gets_the_whole_limit_afterwards() {
        let start = Instant::now();
        let mut silence = Silence::new(start, LIMIT);
        silence.excuse(start, true);
        assert_eq!(silence.poll_timeout(), None);
        assert!(!silence.is_over(start + LIMIT * 100));
        silence.excuse(start + LIMIT * 100, false);
        assert_eq!(silence.poll_timeout(), Some(start + LIMIT * 101));
        silence.excuse(start + LIMIT * 100 + LIMIT / 2, false);
        assert_eq!(silence.poll_timeout(), Some(start + LIMIT * 101), "a second word changes nothing");
    }
}
