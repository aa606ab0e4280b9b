//! What is measured, and when it counts.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clip::{Clip, Heard};
use super::machine::Usage;
use super::statistics::quantile;

/// Packets may leave so much later than they should.
pub(super) const LATE_NS: u64 = 2_000_000;
const MOST_LATE: f64 = 0.001;
const MOST_BUSY: f64 = 0.8;
const MOST_STOLEN: f64 = 0.05;

/// Where the distribution of delays is read.
pub(super) const QUANTILES: [f64; 12] =
    [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999];

/// How long ends talk, and whose processor time counts.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Talk that does not count yet.
    pub warm_up: Duration,
    pub length: Duration,
    /// The relay's process; 0 where nobody relays.
    pub pid: u32,
    /// What is played; stamps without it, which tell of delays.
    pub clip: Option<Arc<Clip>>,
    /// Whether the generator sleeps where nothing is due, so that others have its processor meanwhile. What it measures is 0.1 ms
    /// longer then, and a relay pays for waking it up.
    pub sleeps: bool,
}

/// One measurement.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Window {
    pub calls: usize,
    pub seconds: f64,
    /// Packets that were sent, and came out on the other side.
    pub sent: u64,
    pub received: u64,
    /// Those behind a later one of their stream.
    pub reordered: u64,
    /// Sent more than 2 ms after their time.
    pub late: u64,
    /// Those that the generator's own socket did not take.
    pub unsent: u64,
    /// Packets whose protection did not fit.
    pub forged: u64,
    /// Share of the time that the generator worked, 0 to 1.
    pub generator_busy: f64,
    /// Share of the machine's time that others took, 0 to 1.
    pub stolen: f64,
    pub receive_buffer_errors: u64,
    /// The relay's processor time for each packet that it passed on, in microseconds.
    pub cpu_us_per_packet: f64,
    /// All of it.
    pub cpu_ns: u64,
    pub switches_per_packet: f64,
    /// After the time that was scheduled.
    pub to_telegram: Delay,
    pub to_trunk: Delay,
    /// The same at each of the quantiles, in microseconds, of the worse way; empty where packets carry no stamps.
    pub distribution: Vec<(f64, f64)>,
    /// After the time that the packet left, both ways.
    pub from_sending: Delay,
    /// How far apart packets of a stream came, less 20 ms: 99 of 100 within, in microseconds.
    pub jitter_p99_us: f64,
    pub resident_kb: u64,
    /// What one call's ends heard of the clip.
    #[serde(skip)]
    pub heard: Option<Heard>,
}

/// Delay of packets in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Delay {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Delay {
    pub(super) fn of(mut nanoseconds: Vec<u32>) -> Self {
        nanoseconds.sort_unstable();
        let at = |share| quantile(&nanoseconds, share).map_or(0.0, |ns| f64::from(ns) / 1000.0);
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

impl Plan {
    /// The relay's process, where there is one.
    pub(super) fn process(&self) -> Option<u32> {
        (self.pid > 0).then_some(self.pid)
    }
}

impl Window {
    /// The share of packets that did not come out, 0 to 1.
    pub fn loss(&self) -> f64 {
        1.0 - self.received as f64 / self.sent.max(1) as f64
    }

    /// The relay's processor time for a minute of one call.
    pub fn cpu_s_per_call_minute(&self) -> f64 {
        self.cpu_ns as f64 / 1e9 / self.seconds / self.calls as f64 * 60.0
    }

    /// The worse of both ways.
    pub fn delay(&self) -> Delay {
        let (one, other) = (self.to_telegram, self.to_trunk);
        Delay {
            p50: one.p50.max(other.p50),
            p99: one.p99.max(other.p99),
            p999: one.p999.max(other.p999),
            max: one.max.max(other.max),
        }
    }

    /// Why it does not count, if it does not.
    pub fn void(&self) -> Option<String> {
        if self.received == 0 {
            return Some("nothing came out".to_owned());
        }
        self.disturbance().or_else(|| {
            if self.receive_buffer_errors > 0 {
                Some(format!("{} datagrams found no room", self.receive_buffer_errors))
            } else if self.forged > 0 {
                Some(format!("{} packets failed their check", self.forged))
            } else {
                None
            }
        })
    }

    /// What kept the generator from its schedule, if something did: none of it is the relay's.
    pub fn disturbance(&self) -> Option<String> {
        let late = self.late as f64 / self.sent.max(1) as f64;
        let percent = |share: f64| format!("{:.2} %", share * 100.0);
        if self.unsent > 0 {
            Some(format!("{} packets could not be sent", self.unsent))
        } else if late > MOST_LATE {
            Some(format!(
                "the generator was late with {} of its packets, {} of its core in use",
                percent(late),
                percent(self.generator_busy)
            ))
        } else if self.generator_busy > MOST_BUSY {
            Some(format!("the generator worked {} of the time", percent(self.generator_busy)))
        } else if self.stolen > MOST_STOLEN {
            Some(format!("others took {} of the machine", percent(self.stolen)))
        } else {
            None
        }
    }

    /// Takes how long packets were on their way after the time that was scheduled, in nanoseconds.
    pub(super) fn count_delays(&mut self, mut to_telegram: Vec<u32>, mut to_trunk: Vec<u32>) {
        to_telegram.sort_unstable();
        to_trunk.sort_unstable();
        let worse = |share| {
            let ns = quantile(&to_telegram, share).max(quantile(&to_trunk, share))?;
            Some((share, f64::from(ns) / 1000.0))
        };
        self.distribution = QUANTILES.into_iter().filter_map(worse).collect();
        self.to_telegram = Delay::of(to_telegram);
        self.to_trunk = Delay::of(to_trunk);
    }

    pub(super) fn count_usage(&mut self, used: Usage) {
        let packets = self.received.max(1) as f64;
        self.cpu_ns = used.cpu_ns;
        self.cpu_us_per_packet = used.cpu_ns as f64 / 1000.0 / packets;
        self.switches_per_packet = used.switches as f64 / packets;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_voids_a_window_that_is_well_otherwise() {
        let well = Window {
            sent: 10_000,
            received: 9_990,
            late: 10,
            generator_busy: 0.8,
            stolen: 0.05,
            ..Window::default()
        };
        assert_eq!(well.void(), None);
        let broken: [fn(&mut Window); 7] = [
            |window| window.received = 0,
            |window| window.unsent = 1,
            |window| window.late = 11,
            |window| window.generator_busy = 0.81,
            |window| window.receive_buffer_errors = 1,
            |window| window.forged = 1,
            |window| window.stolen = 0.06,
        ];
        for (number, break_it) in broken.iter().enumerate() {
            let mut window = well.clone();
            break_it(&mut window);
            assert!(window.void().is_some(), "rule {number}");
            let is_relays = [0, 4, 5].contains(&number);
            assert_eq!(window.disturbance().is_none(), is_relays, "rule {number}");
        }
    }

    #[test]
    fn delays_are_told_in_microseconds_of_the_worse_way() {
        let slow = Delay::of((1..=1000).map(|ms| ms * 1_000_000).collect());
        assert_eq!(slow, Delay { p50: 500_000.0, p99: 990_000.0, p999: 999_000.0, max: 1_000_000.0 });
        let window = Window { to_trunk: slow, sent: 4, received: 3, ..Window::default() };
        assert_eq!((window.delay(), window.loss()), (slow, 0.25));
    }

    #[test]
    fn a_distribution_is_that_of_the_worse_way_and_each_way_has_its_own_delay() {
        let mut window = Window::default();
        window.count_delays((1..=1000).rev().map(|us| us * 1000).collect(), vec![20_000; 10]);
        let at = |share: f64| window.distribution.iter().find(|(known, _)| *known == share).unwrap().1;
        assert_eq!([0.01, 0.05, 0.5, 0.995, 0.9999].map(at), [20.0, 50.0, 500.0, 995.0, 1000.0]);
        assert_eq!(window.distribution.len(), QUANTILES.len());
        assert_eq!((window.to_telegram.p50, window.to_telegram.max), (500.0, 1000.0));
        assert_eq!((window.to_trunk.p50, window.to_trunk.max), (20.0, 20.0));
        window.count_delays(Vec::new(), Vec::new());
        assert!(window.distribution.is_empty());
    }
}
