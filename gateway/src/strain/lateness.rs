//! How late a thread usually comes to what is due.

use std::time::Duration;

/// Beats that are remembered; half of them have to be late. A machine that stood still is late once, however long it stood.
const BEATS: usize = 11;

/// A thread's last beats.
#[derive(Debug)]
pub(super) struct Lateness {
    most: Duration,
    last: [Duration; BEATS],
    at: usize,
    is_behind: bool,
}

impl Lateness {
    /// Of a thread that is behind when it usually comes later than that.
    pub(super) fn new(most: Duration) -> Self {
        Self { most, last: [Duration::ZERO; BEATS], at: 0, is_behind: false }
    }

    /// Notes how late it came.
    pub(super) fn note(&mut self, late: Duration) {
        self.last[self.at] = late;
        self.at = (self.at + 1) % BEATS;
        // It has caught up when it is well below, so that one call more does not put it behind at once.
        let limit = if self.is_behind { self.most / 2 } else { self.most };
        self.is_behind = self.usual() > limit;
    }

    /// The middle of its last beats.
    pub(super) fn usual(&self) -> Duration {
        let mut sorted = self.last;
        sorted.sort_unstable();
        sorted[BEATS / 2]
    }

    /// Whether it is behind.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_thread_is_behind_when_half_of_its_beats_are_late_and_until_they_are_half_as_late() {
        let mut lateness = Lateness::new(ms(10));
        for _ in 0..5 {
            lateness.note(ms(12));
            assert!(!lateness.is_behind());
        }
        lateness.note(ms(12));
        assert!(lateness.is_behind());
        for _ in 0..20 {
            lateness.note(ms(7));
            assert!(lateness.is_behind());
        }
        for _ in 0..6 {
            lateness.note(ms(4));
        }
        assert!(!lateness.is_behind());
        assert_eq!(lateness.usual(), ms(4));
    }

    #[test]
    fn a_machine_that_stands_still_now_and_then_is_not_behind() {
        let mut lateness = Lateness::new(ms(10));
        for beat in 0..100 {
            lateness.note(if beat % 3 == 0 { ms(5_000) } else { ms(1) });
            assert!(!lateness.is_behind());
        }
    }
}
