//! The bridge made of ntgcalls in Python.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::load::clip::Quality;
use crate::load::statistics::Spread;
use crate::load::window::Window;

/// Calls between PCMA and Telegram through ntgcalls, which decodes and encodes Opus in each, beside the gateway's in GCM: those
/// whose Opus passes, and those that it has to decode and encode, too.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ntgcalls {
    pub rows: Vec<NtgcallsRow>,
    pub gateway_cpu_s_per_call_minute_at_10: Option<f64>,
    pub gateway_cpu_s_per_call_minute_at_1000: Option<f64>,
    #[serde(default)]
    pub gateway_encoding_cpu_s_per_call_minute_at_10: Option<f64>,
    /// ntgcalls at 10 calls over the gateway at 10.
    pub times_less_at_10: Option<f64>,
    /// The same where the gateway encodes.
    #[serde(default)]
    pub times_less_at_10_encoding: Option<f64>,
    /// ntgcalls at the number of calls that is its best over the gateway at 1000.
    pub times_less_at_1000: Option<f64>,
}

/// So many calls.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NtgcallsRow {
    pub calls: usize,
    pub cpu_s_per_call_minute: Option<Spread>,
    /// Share of the packets sent that others came out for: its Opus packets are three times as long as those it gets.
    pub received: Option<f64>,
    /// Where windows are long enough for the whole clip.
    pub quality: Option<Quality>,
    /// Windows that do not count, and why.
    pub voids: Vec<String>,
}

impl NtgcallsRow {
    pub fn of(calls: usize, windows: &[Window]) -> Self {
        let counted = || windows.iter().filter(|window| window.void().is_none());
        let voids = windows
            .iter()
            .zip(1..)
            .filter_map(|(window, round)| Some(format!("round {round}: {}", window.void()?)));
        Self {
            calls,
            cpu_s_per_call_minute: Spread::of(counted().map(Window::cpu_s_per_call_minute)),
            received: Spread::of(counted().map(|window| 1.0 - window.loss())).map(|share| share.median),
            quality: None,
            voids: voids.collect(),
        }
    }
}

impl Ntgcalls {
    /// `at_10` and `at_1000` are the gateway's where Opus passes, `encoding_at_10` where it is encoded.
    pub fn of(
        rows: Vec<NtgcallsRow>,
        at_10: Option<f64>,
        at_1000: Option<f64>,
        encoding_at_10: Option<f64>,
    ) -> Self {
        let cost = |row: &NtgcallsRow| row.cpu_s_per_call_minute.map(|cost| cost.median);
        let ten = rows.iter().find(|row| row.calls == 10).and_then(cost);
        let best = rows.iter().filter_map(cost).min_by(f64::total_cmp);
        Self {
            times_less_at_10: Option::zip(ten, at_10).map(|(theirs, ours)| theirs / ours),
            times_less_at_10_encoding: Option::zip(ten, encoding_at_10).map(|(theirs, ours)| theirs / ours),
            times_less_at_1000: Option::zip(best, at_1000).map(|(theirs, ours)| theirs / ours),
            gateway_cpu_s_per_call_minute_at_10: at_10,
            gateway_cpu_s_per_call_minute_at_1000: at_1000,
            gateway_encoding_cpu_s_per_call_minute_at_10: encoding_at_10,
            rows,
        }
    }
}

/// The section of the page.
pub(super) fn html(section: &Ntgcalls) -> String {
    let mut html = "<h2>A bridge of ntgcalls in Python</h2><table><tr><th>calls</th><th>arm</th><th>CPU s/call minute</th></tr>".to_owned();
    let mut row = |calls: usize, name: &str, cost: Option<f64>| {
        let cost = cost.map_or("–".to_owned(), |cost| format!("{cost:.4}"));
        write!(html, "<tr><td>{calls}</td><td>{name}</td><td>{cost}</td></tr>").ok();
    };
    for one in &section.rows {
        row(one.calls, "ntgcalls, PCMA to Opus", one.cpu_s_per_call_minute.map(|cost| cost.median));
    }
    row(10, "tgtrunk, PCMA to Opus", section.gateway_encoding_cpu_s_per_call_minute_at_10);
    row(10, "tgtrunk, Opus that passes", section.gateway_cpu_s_per_call_minute_at_10);
    row(1000, "tgtrunk, Opus that passes", section.gateway_cpu_s_per_call_minute_at_1000);
    html + "</table>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_at_ten_calls_stands_beside_ten_and_at_a_thousand_beside_the_best() {
        let window = |calls, cpu_s: u64| Window {
            calls,
            seconds: 60.0,
            sent: 9,
            received: 9,
            cpu_ns: cpu_s * 1_000_000_000,
            ..Window::default()
        };
        let rows = [(1, 2), (10, 15), (20, 20)]
            .map(|(calls, cpu_s)| NtgcallsRow::of(calls, &[window(calls, cpu_s)]))
            .to_vec();
        let found = Ntgcalls::of(rows, Some(0.5), Some(0.01), Some(0.75));
        assert_eq!((found.times_less_at_10, found.times_less_at_1000), (Some(3.0), Some(100.0)));
        assert_eq!(found.times_less_at_10_encoding, Some(2.0));
        assert!(html(&found).contains("1.5000"));
        let void = NtgcallsRow::of(1, &[Window { unsent: 1, ..window(1, 1) }]);
        assert_eq!((void.cpu_s_per_call_minute, void.voids.len()), (None, 1));
    }
}
