//! How often a media thread looks for packets: at once when one comes, or once in a tick where many come.

use std::time::{Duration, Instant};

/// From one look to the next where many packets come; the system adds some 50 us to a sleep.
pub(super) const TICK: Duration = Duration::from_micros(900);
/// How long packets are counted before it is decided anew.
const WINDOW: Duration = Duration::from_millis(20);
/// Packets of a window from which on ticks pay: 1,500 in a second.
const MANY: f64 = 30.0;
/// And below which they do not any more.
const FEW: f64 = 24.0;

/// The pace of one thread.
#[derive(Debug)]
pub(super) struct Pace {
    packets: usize,
    since: Instant,
    looked: Instant,
    may_tick: bool,
    is_ticking: bool,
}

impl Pace {
    pub(super) fn new(now: Instant, may_tick: bool) -> Self {
        Self { packets: 0, since: now, looked: now, may_tick, is_ticking: false }
    }

    /// Packets came.
    pub(super) fn count(&mut self, packets: usize) {
        self.packets += packets;
    }

    /// It is looked for packets now, after a pause.
    pub(super) fn looks(&mut self, now: Instant) {
        self.looked = now;
    }

    /// How long to rest from now before it is looked for packets; `None` where each is waited for.
    pub(super) fn pause(&mut self, now: Instant) -> Option<Duration> {
        let counted = now.saturating_duration_since(self.since);
        if counted >= WINDOW {
            #[expect(clippy::cast_precision_loss, reason = "a count of some milliseconds")]
            let in_window = self.packets as f64 * WINDOW.as_secs_f64() / counted.as_secs_f64();
            self.is_ticking = self.may_tick && in_window >= if self.is_ticking { FEW } else { MANY };
            (self.packets, self.since) = (0, now);
        }
        if !self.is_ticking {
            self.looked = now;
            return None;
        }
        let pause = TICK.saturating_sub(now.saturating_duration_since(self.looked));
        if pause.is_zero() {
            self.looked = now;
        }
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    /// Packets at a rate for a while, looked for each millisecond; the pauses.
    fn run(pace: &mut Pace, now: &mut Instant, per_second: usize, ms: usize) -> Vec<Option<Duration>> {
        (0..ms)
            .map(|at| {
                *now += Duration::from_millis(1);
                pace.count((at + 1) * per_second / 1000 - at * per_second / 1000);
                let pause = pace.pause(*now);
                if pause.is_some_and(|pause| !pause.is_zero()) {
                    pace.looks(*now);
                }
                pause
            })
            .collect()
    }

    #[test]
    fn few_packets_are_taken_at_once_and_many_once_in_a_tick() {
        let mut now = clock::now();
        let mut pace = Pace::new(now, true);
        assert!(run(&mut pace, &mut now, 1_400, 1_000).iter().all(Option::is_none));
        run(&mut pace, &mut now, 1_800, 41);
        assert!(pace.is_ticking);
        run(&mut pace, &mut now, 1_300, 200);
        assert!(pace.is_ticking, "it does not waver");
        run(&mut pace, &mut now, 1_000, 41);
        assert!(!pace.is_ticking);
    }

    #[test]
    fn one_that_may_not_tick_takes_all_at_once() {
        let mut now = clock::now();
        let mut pace = Pace::new(now, false);
        assert!(run(&mut pace, &mut now, 50_000, 1_000).iter().all(Option::is_none));
    }

    #[test]
    fn what_was_done_since_the_last_look_is_part_of_the_tick() {
        let mut now = clock::now();
        let mut pace = Pace::new(now, true);
        run(&mut pace, &mut now, 50_000, 60);
        let pause = pace.pause(now + Duration::from_micros(300));
        assert_eq!(pause, Some(TICK - Duration::from_micros(300)));
        assert_eq!(pace.pause(now + TICK), Some(Duration::ZERO), "too late to rest");
        let pause = pace.pause(now + TICK + Duration::from_micros(100));
        assert_eq!(pause, Some(TICK - Duration::from_micros(100)));
    }

    #[test]
    fn a_thread_that_was_idle_for_long_begins_at_once() {
        let mut now = clock::now();
        let mut pace = Pace::new(now, true);
        run(&mut pace, &mut now, 50_000, 60);
        assert_eq!(pace.pause(now + Duration::from_secs(5)), None);
    }
}
