//! What a call costs whose sides speak different codecs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::{GATEWAY, RTPENGINE, Round};
use crate::load::clip::Quality;
use crate::load::statistics::Spread;
use crate::load::window::Window;

/// Calls between PCMA and Opus in GCM, all arms in turns.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Transcode {
    pub calls: usize,
    pub cpu_s_per_call_minute: Option<f64>,
    pub rtpengine_cpu_s_per_call_minute: Option<f64>,
    /// The gateway's processor time divided by rtpengine's in the same round.
    pub ratio_to_rtpengine: Option<Spread>,
    pub arms: BTreeMap<String, Arm>,
    /// Windows that do not count, and why.
    pub voids: Vec<String>,
}

/// One arm's median, and what one of its calls sounded like in the last round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arm {
    pub cpu_s_per_call_minute: Spread,
    /// The share of packets that came out; a codec that pauses sends fewer.
    pub received: f64,
    pub quality: Option<Quality>,
}

impl Transcode {
    /// Medians of what counts.
    pub fn of(calls: usize, rounds: &[Round], qualities: &BTreeMap<&'static str, Quality>) -> Self {
        let counted = |name: &str| -> Vec<&Window> {
            let all = rounds.iter().filter_map(|round| round.get(name));
            all.filter(|window| window.void().is_none()).collect()
        };
        let arm = |name: &'static str| {
            let windows = counted(name);
            let cost = Spread::of(windows.iter().map(|window| window.cpu_s_per_call_minute()))?;
            let received = Spread::of(windows.iter().map(|window| 1.0 - window.loss()))?.median;
            let quality = qualities.get(name).copied();
            Some((name.to_owned(), Arm { cpu_s_per_call_minute: cost, received, quality }))
        };
        let arms: BTreeMap<_, _> = [GATEWAY, RTPENGINE].into_iter().filter_map(arm).collect();
        let cost = |name: &str| arms.get(name).map(|arm| arm.cpu_s_per_call_minute.median);
        let of = |round: &Round, name: &str| {
            round.get(name).filter(|window| window.void().is_none()).map(Window::cpu_s_per_call_minute)
        };
        let ratios = rounds.iter().filter_map(|round| Some(of(round, GATEWAY)? / of(round, RTPENGINE)?));
        let voids = rounds.iter().zip(1..).flat_map(|(round, number)| {
            round
                .iter()
                .filter_map(move |(arm, window)| Some(format!("round {number}, {arm}: {}", window.void()?)))
        });
        Self {
            calls,
            cpu_s_per_call_minute: cost(GATEWAY),
            rtpengine_cpu_s_per_call_minute: cost(RTPENGINE),
            ratio_to_rtpengine: Spread::of(ratios),
            voids: voids.collect(),
            arms,
        }
    }
}

/// The section of the page.
pub(super) fn html(rows: &[Transcode]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut html = "<h2>PCMA to Opus and back</h2><table><tr><th>calls</th><th>arm</th><th>CPU s/call minute</th><th>min–max</th>\
                    <th>MOS at Telegram</th><th>MOS at the trunk</th></tr>"
        .to_owned();
    for row in rows {
        for (name, arm) in &row.arms {
            let cost = arm.cpu_s_per_call_minute;
            let mos = |pick: fn(&Quality) -> f64| {
                arm.quality.as_ref().map_or("–".to_owned(), |quality| format!("{:.2}", pick(quality)))
            };
            write!(
                html,
                "<tr><td>{}</td><td>{name}</td><td>{:.3}</td><td>{:.3}–{:.3}</td><td>{}</td><td>{}</td></tr>",
                row.calls,
                cost.median,
                cost.min,
                cost.max,
                mos(|quality| quality.at_telegram_mos),
                mos(|quality| quality.at_trunk_mos)
            )
            .ok();
        }
        for void in &row.voids {
            let void = super::page::escape(void);
            write!(
                html,
                "<tr><td colspan=\"6\" class=\"void\">{} calls: {void} (not counted)</td></tr>",
                row.calls
            )
            .ok();
        }
    }
    html + "</table>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_those_of_a_minute_of_one_call_and_ratios_of_one_round() {
        let window = |cpu_ms: u64| Window {
            calls: 5,
            seconds: 6.0,
            sent: 3000,
            received: 3000,
            cpu_ns: cpu_ms * 1_000_000,
            ..Window::default()
        };
        let round = |ours, theirs| Round::from([(GATEWAY, window(ours)), (RTPENGINE, window(theirs))]);
        let quality = Quality { at_telegram_mos: 4.0, at_trunk_mos: 3.9 };
        let row = Transcode::of(5, &[round(100, 1000), round(150, 1000)], &[(GATEWAY, quality)].into());
        assert!((row.cpu_s_per_call_minute.unwrap() - 0.25).abs() < 1e-9);
        let ratio = row.ratio_to_rtpengine.unwrap();
        assert!((ratio.min - 0.1).abs() < 1e-9 && (ratio.max - 0.15).abs() < 1e-9, "{ratio:?}");
        assert_eq!(row.arms[GATEWAY].quality, Some(quality));
        assert_eq!(row.arms.len(), 2);
        assert!(html(&[row]).contains("0.250"));
    }
}
