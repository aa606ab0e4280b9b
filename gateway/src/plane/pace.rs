//! How often a media thread looks for packets: at once when one comes, or once in a tick where many come.

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use crate::clock;

/// From one look to the next where many packets come; the system adds some 50 us to a sleep.
const TICK: Duration = Duration::from_micros(900);
/// How long packets are counted before it is decided anew.
const WINDOW: Duration = Duration::from_millis(20);
/// Packets of a window from which on ticks pay: 1,500 in a second.
const MANY: f64 = 30.0;
/// And below which they do not any more.
const FEW: f64 = 24.0;

thread_local! {
    static PACE: RefCell<Pace> = RefCell::new(Pace::new(clock::now()));
}

/// Counts packets that came to this thread.
pub(crate) fn count(packets: usize) {
    PACE.with_borrow_mut(|pace| pace.packets += packets);
}

/// Rests until the thread is to look for packets again. For the moment at which it has nothing else to do.
pub(super) fn rest() {
    let pause = PACE.with_borrow_mut(|pace| pace.pause(clock::now()));
    if !pause.is_zero() {
        thread::sleep(pause);
        PACE.with_borrow_mut(|pace| pace.looked = clock::now());
    }
}

#[cfg(test)]
pub(super) fn is_ticking() -> bool {
    PACE.with_borrow(|pace| pace.is_ticking)
}

/// The pace of one thread.
#[derive(Debug)]
struct Pace {
    packets: usize,
    since: Instant,
    looked: Instant,
    is_ticking: bool,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { packets: 0, since: now, looked: now, is_ticking: false }
    }

    /// How long to rest, from now.
    fn pause(&mut self, now: Instant) -> Duration {
        let counted = now.saturating_duration_since(self.since);
        if counted >= WINDOW {
            #[expect(clippy::cast_precision_loss, reason = "a count of some milliseconds")]
            let in_window = self.packets as f64 * WINDOW.as_secs_f64() / counted.as_secs_f64();
            self.is_ticking = in_window >= if self.is_ticking { FEW } else { MANY };
            (self.packets, self.since) = (0, now);
        }
        if !self.is_ticking {
            self.looked = now;
            return Duration::ZERO;
        }
        let pause = TICK.saturating_sub(now.saturating_duration_since(self.looked));
        if pause.is_zero() {
            self.looked = now;
        }
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets at a rate for a while, looked for each millisecond; the pauses.
    fn run(pace: &mut Pace, now: &mut Instant, per_second: usize, ms: usize) -> Vec<Duration> {
        (0..ms)
            .map(|at| {
                *now += Duration::from_millis(1);
                pace.packets += (at + 1) * per_second / 1000 - at * per_second / 1000;
                let pause = pace.pause(*now);
                if !pause.is_zero() {
                    pace.looked = *now;
                }
                pause
            })
            .collect()
    }

    #[test]
    fn few_packets_are_taken_at_once_and_many_once_in_a_tick() {
        let mut now = clock::now();
        let mut pace = Pace::new(now);
        assert!(run(&mut pace, &mut now, 1_400, 1_000).iter().all(Duration::is_zero));
        run(&mut pace, &mut now, 1_800, 41);
        assert!(pace.is_ticking);
        run(&mut pace, &mut now, 1_300, 200);
        assert!(pace.is_ticking, "it does not waver");
        run(&mut pace, &mut now, 1_000, 41);
        assert!(!pace.is_ticking);
    }

    #[test]
    fn what_was_done_since_the_last_look_is_part_of_the_tick() {
        let mut now = clock::now();
        let mut pace = Pace::new(now);
        run(&mut pace, &mut now, 50_000, 60);
        assert_eq!(pace.pause(now + Duration::from_micros(300)), TICK - Duration::from_micros(300));
        assert_eq!(pace.pause(now + TICK), Duration::ZERO, "too late to rest");
        let pause = pace.pause(now + TICK + Duration::from_micros(100));
        assert_eq!(pause, TICK - Duration::from_micros(100));
    }

    #[test]
    fn a_thread_that_was_idle_for_long_begins_at_once() {
        let mut now = clock::now();
        let mut pace = Pace::new(now);
        run(&mut pace, &mut now, 50_000, 60);
        assert_eq!(pace.pause(now + Duration::from_secs(5)), Duration::ZERO);
        assert!(!pace.is_ticking);
    }
}
