//! How much time packets have left when they arrive: the least of the last seconds says whether playout may hurry.

use std::time::{Duration, Instant};

/// How long one window is, of which the last four are remembered.
const WINDOW: Duration = Duration::from_secs(2);
const WINDOWS: usize = 4;
/// No packet yet.
const NONE: i64 = i64::MAX;

/// The least slack of the last windows, in whatever unit is noted.
#[derive(Debug)]
pub(crate) struct Slack {
    /// The newest first.
    least: [i64; WINDOWS],
    turns: Option<Instant>,
}

impl Slack {
    pub(crate) fn new() -> Self {
        Self { least: [NONE; WINDOWS], turns: None }
    }

    /// A packet came with so much time left; below zero it came too late by that much.
    pub(crate) fn note(&mut self, now: Instant, slack: i64) {
        let turns = *self.turns.get_or_insert(now + WINDOW);
        if now >= turns {
            self.least.rotate_right(1);
            self.least[0] = NONE;
            self.turns = Some(now + WINDOW);
        }
        self.least[0] = self.least[0].min(slack);
    }

    /// The least of the last two to four seconds; `None` before the first packet.
    pub(crate) fn recent(&self) -> Option<i64> {
        Some(self.least[0].min(self.least[1])).filter(|least| *least != NONE)
    }

    /// The least of the last six to eight seconds; `None` before so much time has passed.
    pub(crate) fn lasting(&self) -> Option<i64> {
        self.least.into_iter().min().filter(|_| self.least[WINDOWS - 1] != NONE)
    }

    /// Playout was put off by so much, or brought forward if it is below zero: what was noted counts anew.
    pub(crate) fn shift(&mut self, by: i64) {
        for least in self.least.iter_mut().filter(|least| **least != NONE) {
            *least = least.saturating_add(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_late_packet_is_remembered_for_six_seconds_at_least_and_eight_at_most() {
        let start = Instant::now();
        let mut slack = Slack::new();
        assert_eq!((slack.recent(), slack.lasting()), (None, None));
        let mut forgotten = None;
        for ms in (0..20_000).step_by(20) {
            let now = start + Duration::from_millis(ms);
            slack.note(now, if ms == 9_000 { -7 } else { 50 });
            if ms == 9_000 {
                assert_eq!((slack.recent(), slack.lasting()), (Some(-7), Some(-7)));
            }
            if ms > 9_000 && slack.lasting() == Some(50) {
                forgotten.get_or_insert(ms - 9_000);
            }
        }
        assert!(forgotten.is_some_and(|ms| (6_000..=8_100).contains(&ms)), "{forgotten:?}");
    }

    #[test]
    fn a_shift_of_playout_moves_what_was_noted_and_nothing_else() {
        let mut slack = Slack::new();
        slack.note(Instant::now(), 30);
        slack.shift(-12);
        assert_eq!((slack.recent(), slack.lasting()), (Some(18), None));
    }
}
