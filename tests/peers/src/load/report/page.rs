//! The page: curves and tables in one file that needs no other.

use std::fmt::Write as _;

use super::{
    Arm, FLOOR, FLOOR_IMMEDIATE, FLOOR_LEGS, FLOOR_MIXED, GATEWAY, GATEWAY_IMMEDIATE, GENERATOR, Measured,
    RTPENGINE, Relay, Report,
};
use crate::load::Profile;
use crate::load::statistics::Spread;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid #8884}\
th:first-child,td:first-child{text-align:left}svg{max-width:100%;height:auto}svg text{font:13px system-ui,sans-serif;fill:currentColor}\
.grid{stroke:#8884}.void{color:#a00}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}.void{color:#f88}}";
const ARMS: [(&str, &str, &str); 8] = [
    (GATEWAY, "tgtrunk", "#0a7"),
    (GATEWAY_IMMEDIATE, "tgtrunk, immediate", "#a3c"),
    (FLOOR, "floor, 1 ms tick", "#888"),
    (FLOOR_LEGS, "floor, 1 ms tick, sockets of calls", "#b90"),
    (FLOOR_MIXED, "floor, 1 ms tick, a socket of each call and shared ones", "#850"),
    (FLOOR_IMMEDIATE, "floor, immediate", "#36c"),
    (RTPENGINE, "rtpengine", "#d60"),
    (GENERATOR, "the generator alone", "#c37"),
];
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const EDGE: f64 = 60.0;

/// The whole page.
pub fn draw(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>tgtrunk: figures</title><style>{STYLE}</style><h1>Figures of the relay</h1>\
         <p>All arms in one run on one core, in turns; medians over rounds. Figures of one machine at one time: what carries over is how \
         the arms stand to each other.</p>"
    );
    let parts: Vec<String> = report
        .measured
        .iter()
        .map(|(part, Measured { at, took_s })| format!("{part} {at} ({took_s:.0} s)"))
        .collect();
    if !parts.is_empty() {
        write!(page, "<p>Measured: {}.</p>", escape(&parts.join(", "))).ok();
    }
    for (part, notices) in &report.notices {
        for notice in notices {
            write!(page, "<p class=\"void\">{part}: {}</p>", escape(notice)).ok();
        }
    }
    for (profile, name) in [(Profile::Gcm, "AES-GCM"), (Profile::Cm, "AES-CM with HMAC-SHA1")] {
        let rows: Vec<&Relay> = report.relay.iter().filter(|row| row.profile == profile).collect();
        if !rows.is_empty() {
            write!(page, "<h2>RTP to SRTP and back, {name}</h2>").ok();
            page += &costs(&rows);
            page += &distributions(&rows);
            page += &ratios(&rows);
            page += &table(&rows);
        }
    }
    page += &super::transcode::html(&report.transcode);
    page += &report.instructions.as_ref().map(super::instructions::html).unwrap_or_default();
    page += &super::setup::html(&report.signalling, report.busy.as_ref(), report.setup.as_ref());
    page += &report.ntgcalls.as_ref().map(super::ntgcalls::html).unwrap_or_default();
    page += &super::small::html(report.idle.as_ref(), &report.allocations);
    page += &report.soak.as_ref().map(super::soak::html).unwrap_or_default();
    page += "</html>\n";
    page
}

/// Its name, its colour and its points.
type Curve<'a> = (&'a str, &'a str, Vec<(f64, f64)>);

/// Processor time per packet against calls, both by powers of ten.
fn costs(rows: &[&Relay]) -> String {
    let points = |name: &str| -> Vec<(f64, f64)> {
        let cost = |row: &&Relay| Some((row.calls as f64, row.arms.get(name)?.cpu_us_per_packet.median));
        // Where nobody relays, nothing is passed on.
        rows.iter().filter_map(cost).filter(|(_, us)| *us > 0.0).collect()
    };
    let curves: Vec<_> = ARMS.iter().map(|(name, shown, colour)| (*shown, *colour, points(name))).collect();
    chart("Processor time for each packet passed on (µs) against calls", "calls", |calls| calls, &curves)
}

/// How delays are distributed, for each number of calls; of earlier versions' rows what they know of it.
fn distributions(rows: &[&Relay]) -> String {
    if !rows.iter().any(|row| has_distribution(row)) {
        return delays(rows);
    }
    let charts = rows.iter().filter(|row| has_distribution(row)).map(|row| {
        let points = |arm: &Arm| -> Vec<(f64, f64)> {
            let points = arm.delay_distribution_us.iter().map(|(share, us)| (odds(*share), *us));
            points.filter(|(_, us)| *us > 0.0).collect()
        };
        let curves = ARMS
            .iter()
            .filter_map(|(name, shown, colour)| Some((*shown, *colour, points(row.arms.get(*name)?))));
        let title = format!("Delay at {} calls (µs, from the time scheduled, of the worse way)", row.calls);
        chart(&title, "% of packets within", percent, &curves.collect::<Vec<_>>())
    });
    charts.collect()
}

fn has_distribution(row: &Relay) -> bool {
    row.arms.values().any(|arm| !arm.delay_distribution_us.is_empty())
}

/// How many packets are within for each that is not, which spreads a share's nines as far as its tenths.
fn odds(share: f64) -> f64 {
    share / (1.0 - share)
}

/// The share with these odds, in percent with two places.
fn percent(odds: f64) -> f64 {
    (odds / (1.0 + odds) * 1e4).round() / 100.0
}

/// How far quantiles of the delay lie apart, at the most calls that all arms carry.
fn delays(rows: &[&Relay]) -> String {
    let Some(row) = rows.iter().max_by_key(|row| (row.arms.len(), row.calls)) else { return String::new() };
    let quantiles = |arm: &Arm| {
        let delay = arm.delay_us;
        vec![(50.0, delay.p50), (99.0, delay.p99), (999.0, delay.p999)]
    };
    let curves = ARMS
        .iter()
        .filter_map(|(name, shown, colour)| Some((*shown, *colour, quantiles(row.arms.get(*name)?))));
    let title = format!(
        "Delay at {} calls (µs, from the time scheduled): half, 99 %, 99.9 % of packets within",
        row.calls
    );
    chart(&title, "50 %, 99 %, 99.9 %", |place| place, &curves.collect::<Vec<_>>())
}

/// Curves by powers of ten; `label` makes what is written below a point of where it is.
fn chart(title: &str, below: &str, label: impl Fn(f64) -> f64, curves: &[Curve<'_>]) -> String {
    let all = || curves.iter().flat_map(|(_, _, points)| points).filter(|(x, y)| *x > 0.0 && *y > 0.0);
    let decades = |values: &mut dyn Iterator<Item = f64>| {
        let (low, high) =
            values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
        let (low, high) = (low.log10().floor(), high.log10().ceil());
        (low, high.max(low + 1.0))
    };
    if all().next().is_none() {
        return String::new();
    }
    let (left, right) = decades(&mut all().map(|(x, _)| *x));
    let (bottom, top) = decades(&mut all().map(|(_, y)| *y));
    let at_x = |x: f64| EDGE + (x.log10() - left) / (right - left) * (WIDTH - EDGE - 20.0);
    let at_y = |y: f64| HEIGHT - EDGE + (bottom - y.log10()) / (top - bottom) * (HEIGHT - EDGE - 30.0);
    let mut svg = format!(
        "<figure><svg viewBox=\"0 0 {:.0} {HEIGHT}\" role=\"img\" aria-label=\"{title}\"><text x=\"{EDGE}\" y=\"16\">{title}</text>",
        WIDTH + 160.0
    );
    let mut decade = bottom;
    while decade <= top {
        let (value, y) = (10_f64.powf(decade), at_y(10_f64.powf(decade)));
        let end = WIDTH - 20.0;
        write!(svg, "<line class=\"grid\" x1=\"{EDGE}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{value}</text>", EDGE - 6.0, y + 4.0).ok();
        decade += 1.0;
    }
    let mut ticks: Vec<f64> = all().map(|(x, _)| *x).collect();
    ticks.sort_by(f64::total_cmp);
    ticks.dedup();
    for tick in ticks {
        let (x, y) = (at_x(tick), HEIGHT - EDGE + 18.0);
        write!(svg, "<text x=\"{x:.1}\" y=\"{y:.0}\" text-anchor=\"middle\">{}</text>", label(tick)).ok();
    }
    write!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{below}</text>",
        WIDTH / 2.0,
        HEIGHT - 20.0
    )
    .ok();
    for (number, (shown, colour, points)) in
        curves.iter().filter(|(_, _, points)| !points.is_empty()).enumerate()
    {
        let path: Vec<String> =
            points.iter().map(|(x, y)| format!("{:.1},{:.1}", at_x(*x), at_y(y.max(1e-9)))).collect();
        write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            path.join(" ")
        )
        .ok();
        for (x, y) in points {
            write!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"><title>{shown}: {y:.1}</title></circle>", at_x(*x), at_y(*y)).ok();
        }
        let y = 50 + number * 22;
        write!(svg, "<rect x=\"{WIDTH}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{colour}\"/><text x=\"{:.0}\" y=\"{y}\">{shown}</text>", y - 11, WIDTH + 18.0).ok();
    }
    svg + "</svg></figure>"
}

/// What the gateway takes beside others, round by round, and what a call takes.
fn ratios(rows: &[&Relay]) -> String {
    let mut table = "<table><tr><th>calls</th><th>of the floor</th><th>of the floor with its sockets</th><th>of rtpengine</th>\
                     <th>immediate, of its floor</th><th>immediate, of rtpengine</th><th>calls of a core</th><th>kB/call</th>\
                     <th>kB/further call</th><th>allocations/packet</th></tr>"
        .to_owned();
    let ratio = |spread: Option<Spread>| match spread {
        Some(Spread { median, min, max, rounds }) if rounds > 1 => {
            format!("{median:.2} ({min:.2}–{max:.2})")
        }
        Some(one) => format!("{:.2} (one round)", one.median),
        None => "–".to_owned(),
    };
    let figure = |figure: Option<f64>, places: usize| {
        figure.map_or("–".to_owned(), |figure| format!("{figure:.places$}"))
    };
    for row in rows {
        let cells = [
            row.calls.to_string(),
            ratio(row.ratio_to_floor),
            ratio(row.ratio_to_floor_mixed),
            ratio(row.ratio_to_rtpengine),
            ratio(row.immediate_ratio_to_floor),
            ratio(row.immediate_ratio_to_rtpengine),
            figure(row.calls_per_core, 0),
            figure(row.kb_per_call, 1),
            figure(row.kb_per_further_call, 1),
            figure(row.allocations_per_packet, 3),
        ];
        write!(table, "<tr><td>{}</td></tr>", cells.join("</td><td>")).ok();
    }
    table + "</table>"
}

fn table(rows: &[&Relay]) -> String {
    let mut table = "<table><tr><th>calls</th><th>arm</th><th>µs/packet</th><th>min–max</th><th>switches/packet</th><th>p50 µs</th>\
                     <th>p99 µs</th><th>p99.9 µs</th><th>loss</th></tr>"
        .to_owned();
    for row in rows {
        for (name, shown, _) in ARMS {
            let Some(arm) = row.arms.get(name) else { continue };
            let (cost, delay) = (arm.cpu_us_per_packet, arm.delay_us);
            // The generator alone has no process that would cost something.
            let cost = if cost.max > 0.0 {
                format!(
                    "<td>{:.2}</td><td>{:.2}–{:.2}</td><td>{:.3}</td>",
                    cost.median, cost.min, cost.max, arm.switches_per_packet
                )
            } else {
                "<td>–</td>".repeat(3)
            };
            write!(
                table,
                "<tr><td>{}</td><td>{shown}</td>{cost}<td>{:.0}</td><td>{:.0}</td><td>{:.0}</td><td>{:.4} %</td></tr>",
                row.calls,
                delay.p50,
                delay.p99,
                delay.p999,
                arm.loss * 100.0
            )
            .ok();
        }
        for void in &row.voids {
            write!(
                table,
                "<tr><td colspan=\"9\" class=\"void\">{} calls: {} (not counted)</td></tr>",
                row.calls,
                escape(void)
            )
            .ok();
        }
    }
    table + "</table>"
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::{Round, Rounds};
    use crate::load::window::Window;

    #[test]
    fn the_page_holds_a_curve_of_each_arm_and_asks_for_nothing() {
        let window = |us| Window { sent: 10, received: 10, cpu_us_per_packet: us, ..Window::default() };
        let rounds = |calls, void| Rounds {
            calls,
            profile: Profile::Gcm,
            rounds: vec![
                Round::from([(GATEWAY, window(5.0)), (FLOOR, window(2.0))]),
                Round::from([(GATEWAY, Window { forged: void, ..window(6.0) })]),
            ],
            again: Vec::new(),
            idle_kb: 0,
        };
        let relay = vec![rounds(1, 0).sum_up(), rounds(100, 3).sum_up()];
        let page = draw(&Report {
            relay,
            notices: [("relay".to_owned(), vec!["no <rtpengine>".to_owned()])].into(),
            measured: [("relay".to_owned(), Measured { at: "2026-11-29".to_owned(), took_s: 7.4 })].into(),
            ..Report::default()
        });
        assert_eq!(page.matches("<polyline").count(), 2);
        assert!(
            page.contains("no &lt;rtpengine>") && page.contains("3 packets failed their check (not counted)")
        );
        assert!(page.contains("Measured: relay 2026-11-29 (7 s)."), "{page}");
        assert!(page.contains("<td>100</td><td>2.50 (one round)</td><td>–</td>"), "{page}");
        assert!(!page.contains("http") && !page.contains("NaN") && !page.contains("inf"), "{page}");
    }

    #[test]
    fn delays_are_a_curve_of_each_arm_for_each_number_of_calls_and_shares_stand_below() {
        let window = |us, cpu_us_per_packet| {
            let mut window = Window { sent: 10, received: 10, cpu_us_per_packet, ..Window::default() };
            window.count_delays(vec![us; 5], vec![us; 5]);
            window
        };
        let row = |calls| {
            let round = Round::from([(GATEWAY, window(90_000, 5.0)), (GENERATOR, window(20_000, 0.0))]);
            Rounds { calls, profile: Profile::Cm, rounds: vec![round], again: Vec::new(), idle_kb: 0 }
                .sum_up()
        };
        let page = draw(&Report { relay: vec![row(1), row(100)], ..Report::default() });
        // One more for the gateway's cost; the generator alone has none.
        assert_eq!(page.matches("<polyline").count(), 2 * 2 + 1);
        for share in ["5", "50", "75", "99", "99.5", "99.99"] {
            assert_eq!(page.matches(&format!("\"middle\">{share}</text>")).count(), 2, "{share}");
        }
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        assert_eq!([0.01, 0.25, 0.995, 0.9999].map(|share| percent(odds(share))), [1.0, 25.0, 99.5, 99.99]);
    }
}
