//! What calls cost until they are answered, and how long they take.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::load::Delay;
use crate::load::statistics::{line, quantile};

/// Calls of SIPp to people who answer at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Signalling {
    /// Calls to be begun per second, and those that were, where tcpdump saw them.
    pub per_second: u32,
    #[serde(default)]
    pub begun_per_second: Option<f64>,
    pub calls: u64,
    pub failed: u64,
    /// The gateway's processor time for a call, from its INVITE to the end after its BYE.
    pub cpu_ms_per_call: f64,
    /// The two 2048-bit powers of a call's key agreement, measured alone in the same run.
    pub two_powers_ms: f64,
    /// Calls of this cost that one core has time for: a projection.
    pub calls_per_core_second: f64,
    pub invite_to_100_ms: Times,
    /// Until Telegram has taken `phone.requestCall`, and from its taking `phone.acceptCall`, each to the millisecond; where tcpdump
    /// saw the calls.
    #[serde(default)]
    pub invite_to_request_ms: Option<Times>,
    #[serde(default)]
    pub acceptance_to_200_ms: Option<Times>,
    pub invite_to_200_ms: Times,
}

/// In milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Times {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Times {
    /// Of microseconds; `None` of nothing.
    pub fn of(mut microseconds: Vec<u64>) -> Option<Self> {
        microseconds.sort_unstable();
        let at = |share| quantile(&microseconds, share).map(|us| us as f64 / 1000.0);
        Some(Self { p50: at(0.5)?, p99: at(0.99)?, max: at(1.0)? })
    }
}

/// Time from INVITE to 200 against the round trip between the gateway and Telegram's servers: a + b x round trip. People and
/// media are on loopback, so b counts the round trips of MTProto one after the other.
///
/// There are four of them at least for whoever waits for each answer that the next message needs: `requestCall`
/// until the callee has accepted, `confirmCall` until Telegram has taken it, INIT until INIT ACK, and COOKIE ECHO with the offer
/// until its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setup {
    /// Round trip and median, both in milliseconds.
    pub points: Vec<(f64, f64)>,
    pub a_ms: f64,
    pub b: f64,
    /// What b cannot be below.
    #[serde(default = "least")]
    pub least: f64,
}

/// Of a call that the gateway begins, with an end that signals over SCTP.
const LEAST_ROUND_TRIPS: f64 = 4.0;

fn least() -> f64 {
    LEAST_ROUND_TRIPS
}

impl Setup {
    /// `None` where the round trips do not differ.
    pub fn of(points: Vec<(f64, f64)>) -> Option<Self> {
        let (a_ms, b) = line(&points)?;
        Some(Self { points, a_ms, b, least: LEAST_ROUND_TRIPS })
    }
}

/// Calls that talk while others are set up on the same core.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Busy {
    /// Those that talk.
    pub calls: usize,
    /// Calls to be begun per second, and those that were, where tcpdump saw them.
    pub per_second: u32,
    #[serde(default)]
    pub begun_per_second: Option<f64>,
    pub set_up: u32,
    pub failed: u64,
    pub invite_to_100_ms: Times,
    pub invite_to_200_ms: Times,
    /// Of the talking calls' packets, without set-ups and with them.
    pub alone_delay_us: Delay,
    pub delay_us: Delay,
    /// Share of their packets that did not come out, 0 to 1.
    pub loss: f64,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, per_second, begun_per_second, set_up, failed, loss, .. } = self;
        let begun = begun_per_second.map_or(String::new(), |begun| format!(", {begun:.1} begun"));
        let delay =
            |delay: &Delay| format!("{:.1}/{:.1}/{:.1}", delay.p50 / 1e3, delay.p99 / 1e3, delay.p999 / 1e3);
        write!(
            f,
            "{calls} calls talk while {per_second} a second are set up{begun} ({failed} of {set_up} failed, 100 after {:.1}/{:.1} ms, 200 after {:.0}/{:.0} ms): \
             their packets are delayed by {} ms, without set-ups by {} ms, {:.4} % are lost",
            self.invite_to_100_ms.p50,
            self.invite_to_100_ms.p99,
            self.invite_to_200_ms.p50,
            self.invite_to_200_ms.p99,
            delay(&self.delay_us),
            delay(&self.alone_delay_us),
            loss * 100.0
        )
    }
}

/// The sections of the page.
pub(super) fn html(signalling: &[Signalling], busy: Option<&Busy>, setup: Option<&Setup>) -> String {
    let mut html = String::new();
    if !signalling.is_empty() {
        html += "<h2>Calls per second</h2><table><tr><th>calls/s</th><th>calls</th><th>failed</th><th>CPU ms/call</th>\
                 <th>two powers ms</th><th>calls/s of a core</th><th>100 p50/p99 ms</th><th>request p50/p99 ms</th>\
                 <th>200 after acceptance p50/p99 ms</th><th>200 p50/p99 ms</th></tr>";
    }
    for row in signalling {
        let (trying, answer) = (row.invite_to_100_ms, row.invite_to_200_ms);
        let short = |times: Option<Times>| {
            times.map_or("–".to_owned(), |times| format!("{:.1}/{:.1}", times.p50, times.p99))
        };
        write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{:.2}</td><td>{:.2}</td><td>{:.0}</td><td>{:.1}/{:.1}</td><td>{}</td><td>{}</td><td>{:.0}/{:.0}</td></tr>",
            row.per_second,
            row.calls,
            row.failed,
            row.cpu_ms_per_call,
            row.two_powers_ms,
            row.calls_per_core_second,
            trying.p50,
            trying.p99,
            short(row.invite_to_request_ms),
            short(row.acceptance_to_200_ms),
            answer.p50,
            answer.p99
        )
        .ok();
    }
    if !signalling.is_empty() {
        html += "</table>";
    }
    if let Some(busy) = busy {
        write!(html, "<p>{busy}.</p>").ok();
    }
    if let Some(setup) = setup {
        write!(
            html,
            "<h2>INVITE to 200</h2><p>{:.1} ms + {:.2} round trips to Telegram's servers; the protocol needs {}.</p>",
            setup.a_ms, setup.b, setup.least
        )
        .ok();
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_the_slope_and_times_are_milliseconds() {
        let setup = Setup::of(vec![(0.0, 10.0), (50.0, 110.0), (300.0, 610.0)]).unwrap();
        assert!((setup.a_ms - 10.0).abs() < 1e-6 && (setup.b - 2.0).abs() < 1e-9, "{setup:?}");
        assert!(html(&[], None, Some(&setup)).contains("2.00 round trips"));
        assert_eq!(Times::of(vec![3000, 1000, 2000]), Some(Times { p50: 2.0, p99: 3.0, max: 3.0 }));
        assert_eq!(Times::of(Vec::new()), None);
    }

    #[test]
    fn what_an_earlier_version_did_not_measure_is_a_dash() {
        let times = Times { p50: 2.0, p99: 3.0, max: 3.0 };
        let row = Signalling {
            per_second: 10,
            begun_per_second: None,
            calls: 40,
            failed: 0,
            cpu_ms_per_call: 3.0,
            two_powers_ms: 2.0,
            calls_per_core_second: 333.0,
            invite_to_100_ms: times,
            invite_to_request_ms: Some(Times { p50: 1.5, ..times }),
            acceptance_to_200_ms: Some(times),
            invite_to_200_ms: times,
        };
        assert!(html(std::slice::from_ref(&row), None, None).contains("<td>1.5/3.0</td><td>2.0/3.0</td>"));
        let mut old = serde_json::to_value(&row).unwrap();
        for new in ["invite_to_request_ms", "acceptance_to_200_ms"] {
            old.as_object_mut().unwrap().remove(new).unwrap();
        }
        let old: Signalling = serde_json::from_value(old).unwrap();
        assert!(html(&[old], None, None).contains("<td>–</td><td>–</td>"));
    }
}
