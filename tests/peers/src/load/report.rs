//! What relays came to beside each other: `report.json`, and a page with the curves drawn.

mod instructions;
mod ntgcalls;
pub mod page;
mod setup;
mod small;
mod soak;
mod transcode;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

pub use self::instructions::Instructions;
pub use self::ntgcalls::{Ntgcalls, NtgcallsRow};
pub use self::setup::{Busy, Setup, Signalling, Times};
pub use self::small::{Allocations, Idle};
pub use self::soak::{Soak, SoakSample};
pub use self::transcode::Transcode;
use super::master::Profile;
use super::statistics::Spread;
use super::window::{Delay, QUANTILES, Window};

/// The gateway's arm.
pub const GATEWAY: &str = "gateway";
/// The gateway's that never ticks.
pub const GATEWAY_IMMEDIATE: &str = "gateway_immediate";
/// The floor's, with a tick and without; with a tick and two sockets for each call, or one for each and one for many.
pub const FLOOR: &str = "floor";
pub const FLOOR_LEGS: &str = "floor_legs";
pub const FLOOR_MIXED: &str = "floor_mixed";
pub const FLOOR_IMMEDIATE: &str = "floor_immediate";
pub const RTPENGINE: &str = "rtpengine";
/// Calls that nobody relays: what of delays is the generator's own.
pub const GENERATOR: &str = "generator";

/// Windows of one round, one of each arm.
pub type Round = BTreeMap<&'static str, Window>;

/// All rounds with so many calls.
#[derive(Debug, Clone)]
pub struct Rounds {
    pub calls: usize,
    pub profile: Profile,
    pub rounds: Vec<Round>,
    /// Windows that did not count and were measured again, and why.
    pub again: Vec<String>,
    /// The gateway's resident size without calls.
    pub idle_kb: u64,
}

const JSON: &str = "report.json";
const PAGE: &str = "report.html";

/// `report.json`. Each part of the benchmarks replaces its own section and leaves the others alone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    pub relay: Vec<Relay>,
    pub transcode: Vec<Transcode>,
    pub setup: Option<Setup>,
    pub signalling: Vec<Signalling>,
    pub busy: Option<Busy>,
    pub idle: Option<Idle>,
    pub soak: Option<Soak>,
    pub instructions: Option<Instructions>,
    pub allocations: Vec<Allocations>,
    pub ntgcalls: Option<Ntgcalls>,
    /// When each part was measured last.
    pub measured: BTreeMap<String, Measured>,
    /// What each part left out, and why.
    pub notices: BTreeMap<String, Vec<String>>,
    /// What other programs wrote.
    #[serde(flatten)]
    pub others: BTreeMap<String, serde_json::Value>,
}

/// When, in UTC, and how long it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    pub at: String,
    pub took_s: f64,
}

impl Report {
    /// Reads what earlier parts wrote; empty where there was none.
    ///
    /// # Errors
    /// When it cannot be read, or another version wrote it.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(JSON);
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is of another version: remove it", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// Writes it, and the page.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let mut report = self.clone();
        // Counting costs time, so it has a run of its own.
        for row in report.relay.iter_mut().filter(|row| row.profile == Profile::Gcm) {
            let counted = self.allocations.iter().find(|counted| counted.calls == row.calls);
            row.allocations_per_packet = counted.map(|counted| counted.per_packet);
        }
        fs::create_dir_all(folder)?;
        fs::write(folder.join(JSON), serde_json::to_string_pretty(&report)? + "\n")?;
        Ok(fs::write(folder.join(PAGE), page::draw(&report))?)
    }

    /// Notes once what a part left out.
    pub fn notice(&mut self, part: &str, notice: &str) {
        let notices = self.notices.entry(part.to_owned()).or_default();
        if !notices.iter().any(|known| known == notice) {
            notices.push(notice.to_owned());
        }
    }
}

/// A line of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Relay {
    pub calls: usize,
    pub profile: Profile,
    pub cpu_us_per_packet: Option<f64>,
    /// Without the tick.
    pub immediate_us_per_packet: Option<f64>,
    pub floor_us_per_packet: Option<f64>,
    pub floor_legs_us_per_packet: Option<f64>,
    pub floor_mixed_us_per_packet: Option<f64>,
    pub floor_immediate_us_per_packet: Option<f64>,
    pub rtpengine_us_per_packet: Option<f64>,
    /// The gateway's processor time divided by another's in the same round.
    pub ratio_to_floor: Option<Spread>,
    /// To the floor that has a socket of each call on either side, and to the one with the gateway's: one of each call towards its
    /// trunk, shared ones towards Telegram.
    pub ratio_to_floor_legs: Option<Spread>,
    #[serde(default)]
    pub ratio_to_floor_mixed: Option<Spread>,
    pub ratio_to_rtpengine: Option<Spread>,
    /// The same of the gateway without the tick, to the floor without it.
    pub immediate_ratio_to_floor: Option<Spread>,
    pub immediate_ratio_to_rtpengine: Option<Spread>,
    pub cpu_s_per_call_minute: Option<f64>,
    /// What a whole core would carry at this cost: a projection.
    pub calls_per_core: Option<f64>,
    pub added_delay_us: Option<Delay>,
    pub immediate_added_delay_us: Option<Delay>,
    /// The gateway's `jitter_p99_us` less that of the generator alone.
    #[serde(default)]
    pub added_jitter_p99_us: Option<f64>,
    pub loss: Option<f64>,
    pub reordered: u64,
    pub context_switches_per_packet: Option<f64>,
    /// The gateway's, with these calls.
    #[serde(default)]
    pub resident_kb: Option<f64>,
    /// What is resident with these calls and is not without any, for each of them.
    pub kb_per_call: Option<f64>,
    /// What each further call makes resident, from the fewest calls of the run to the most; `null` where there is one number alone.
    #[serde(default)]
    pub kb_per_further_call: Option<f64>,
    /// Heap allocations of the whole process in steady state, keeping of the path included; `null` where nobody counted them.
    pub allocations_per_packet: Option<f64>,
    /// All arms, each by the medians of its rounds.
    pub arms: BTreeMap<String, Arm>,
    /// Windows that do not count, and why.
    pub voids: Vec<String>,
}

/// One arm's medians.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arm {
    pub cpu_us_per_packet: Spread,
    pub switches_per_packet: f64,
    /// Of the worse way.
    pub delay_us: Delay,
    #[serde(default)]
    pub delay_to_telegram_us: Delay,
    #[serde(default)]
    pub delay_to_trunk_us: Delay,
    /// `delay_us` in more places: the share of packets that was no later, and how late.
    #[serde(default)]
    pub delay_distribution_us: Vec<(f64, f64)>,
    /// After the packet left, where `delay_us` is after it should have.
    pub delay_from_sending_us: Delay,
    pub jitter_p99_us: f64,
    pub loss: f64,
}

impl Rounds {
    /// Medians of what counts.
    pub fn sum_up(&self) -> Relay {
        let voids = self.rounds.iter().zip(1..).flat_map(|(round, number)| {
            round
                .iter()
                .filter_map(move |(arm, window)| Some(format!("round {number}, {arm}: {}", window.void()?)))
        });
        let names = [
            GATEWAY,
            GATEWAY_IMMEDIATE,
            FLOOR,
            FLOOR_LEGS,
            FLOOR_MIXED,
            FLOOR_IMMEDIATE,
            RTPENGINE,
            GENERATOR,
        ];
        let arms: BTreeMap<_, _> = names
            .into_iter()
            .filter_map(|name| Some((name.to_owned(), Arm::of(&self.windows(name))?)))
            .collect();
        let cost = |name: &str| arms.get(name).map(|arm: &Arm| arm.cpu_us_per_packet.median);
        let ours = arms.get(GATEWAY);
        let jitter = |name: &str| arms.get(name).map(|arm: &Arm| arm.jitter_p99_us);
        let resident = self.windows(GATEWAY);
        let resident = Spread::of(resident.iter().map(|window| window.resident_kb as f64));
        let resident_kb = resident.map(|kb| kb.median);
        // A call is two streams of 50 packets a second.
        let us_per_call_second = cost(GATEWAY).map(|us| us * 100.0);
        Relay {
            calls: self.calls,
            profile: self.profile,
            cpu_us_per_packet: cost(GATEWAY),
            immediate_us_per_packet: cost(GATEWAY_IMMEDIATE),
            floor_us_per_packet: cost(FLOOR),
            floor_legs_us_per_packet: cost(FLOOR_LEGS),
            floor_mixed_us_per_packet: cost(FLOOR_MIXED),
            floor_immediate_us_per_packet: cost(FLOOR_IMMEDIATE),
            rtpengine_us_per_packet: cost(RTPENGINE),
            ratio_to_floor: self.ratio(GATEWAY, FLOOR),
            ratio_to_floor_legs: self.ratio(GATEWAY, FLOOR_LEGS),
            ratio_to_floor_mixed: self.ratio(GATEWAY, FLOOR_MIXED),
            ratio_to_rtpengine: self.ratio(GATEWAY, RTPENGINE),
            immediate_ratio_to_floor: self.ratio(GATEWAY_IMMEDIATE, FLOOR_IMMEDIATE),
            immediate_ratio_to_rtpengine: self.ratio(GATEWAY_IMMEDIATE, RTPENGINE),
            cpu_s_per_call_minute: us_per_call_second.map(|us| us * 60.0 / 1e6),
            calls_per_core: us_per_call_second.map(|us| 1e6 / us),
            added_delay_us: ours.map(|arm| arm.delay_us),
            immediate_added_delay_us: arms.get(GATEWAY_IMMEDIATE).map(|arm| arm.delay_us),
            added_jitter_p99_us: Option::zip(jitter(GATEWAY), jitter(GENERATOR))
                .map(|(all, own)| (all - own).max(0.0)),
            loss: ours.map(|arm| arm.loss),
            reordered: self.windows(GATEWAY).iter().map(|window| window.reordered).sum(),
            context_switches_per_packet: ours.map(|arm| arm.switches_per_packet),
            resident_kb,
            kb_per_call: resident_kb.map(|kb| (kb - self.idle_kb as f64) / self.calls as f64),
            kb_per_further_call: None,
            allocations_per_packet: None,
            arms,
            voids: voids.chain(self.again.iter().cloned()).collect(),
        }
    }

    /// How many of an arm's windows count.
    pub fn counted(&self, arm: &str) -> usize {
        self.windows(arm).len()
    }

    /// An arm's windows that count.
    fn windows(&self, arm: &str) -> Vec<&Window> {
        self.rounds
            .iter()
            .filter_map(|round| round.get(arm))
            .filter(|window| window.void().is_none())
            .collect()
    }

    /// One arm's cost over another's, round by round, since the machine drifts between rounds.
    fn ratio(&self, one: &str, other: &str) -> Option<Spread> {
        let cost = |round: &Round, arm| {
            round.get(arm).filter(|window| window.void().is_none()).map(|window| window.cpu_us_per_packet)
        };
        Spread::of(self.rounds.iter().filter_map(|round| Some(cost(round, one)? / cost(round, other)?)))
    }
}

/// Fewer calls are in memory that was there before them.
const FEWEST_OF_A_SLOPE: usize = 100;

/// Notes in the rows of one run what each further call makes resident.
pub fn slope(rows: &mut [Relay]) {
    let many = rows.iter().filter(|row| row.calls >= FEWEST_OF_A_SLOPE);
    let sizes: Vec<(usize, f64)> = many.filter_map(|row| Some((row.calls, row.resident_kb?))).collect();
    let (fewest, most) =
        (sizes.iter().min_by_key(|(calls, _)| *calls), sizes.iter().max_by_key(|(calls, _)| *calls));
    let slope = Option::zip(fewest, most)
        .filter(|(fewest, most)| fewest.0 < most.0)
        .map(|(fewest, most)| (most.1 - fewest.1) / (most.0 - fewest.0) as f64);
    for row in rows {
        row.kb_per_further_call = slope;
    }
}

impl Arm {
    fn of(windows: &[&Window]) -> Option<Self> {
        let over = |value: &dyn Fn(&Window) -> f64| Spread::of(windows.iter().map(|window| value(window)));
        let median = |value: &dyn Fn(&Window) -> f64| over(value).map_or(0.0, |spread| spread.median);
        let delay = |pick: &dyn Fn(&Window) -> Delay| Delay {
            p50: median(&|window| pick(window).p50),
            p99: median(&|window| pick(window).p99),
            p999: median(&|window| pick(window).p999),
            max: over(&|window| pick(window).max).map_or(0.0, |spread| spread.max),
        };
        let distribution = QUANTILES.into_iter().enumerate().filter_map(|(at, share)| {
            let all = windows.iter().filter_map(|window| Some(window.distribution.get(at)?.1));
            Some((share, Spread::of(all)?.median))
        });
        Some(Self {
            cpu_us_per_packet: over(&|window| window.cpu_us_per_packet)?,
            switches_per_packet: median(&|window| window.switches_per_packet),
            delay_us: delay(&Window::delay),
            delay_to_telegram_us: delay(&|window| window.to_telegram),
            delay_to_trunk_us: delay(&|window| window.to_trunk),
            delay_distribution_us: distribution.collect(),
            delay_from_sending_us: delay(&|window| window.from_sending),
            jitter_p99_us: median(&|window| window.jitter_p99_us),
            loss: over(&Window::loss).map_or(0.0, |spread| spread.max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_taken_round_by_round_and_without_what_is_void() {
        let window = |us, late| Window {
            calls: 100,
            sent: 1000,
            received: 1000,
            late,
            cpu_us_per_packet: us,
            resident_kb: 30_000,
            ..Window::default()
        };
        let round = |ours, theirs, late| {
            let (immediate, theirs) = (window(ours * 2.0, 0), window(theirs, late));
            Round::from([(GATEWAY, window(ours, 0)), (GATEWAY_IMMEDIATE, immediate), (RTPENGINE, theirs)])
        };
        let rounds = Rounds {
            calls: 100,
            profile: Profile::Gcm,
            rounds: vec![round(5.0, 10.0, 0), round(12.0, 20.0, 0), round(90.0, 1.0, 500)],
            again: Vec::new(),
            idle_kb: 20_000,
        };
        let relay = rounds.sum_up();
        let ratio = relay.ratio_to_rtpengine.unwrap();
        assert_eq!((ratio.min, ratio.max, ratio.rounds), (0.5, 0.6, 2));
        let immediate = relay.immediate_ratio_to_rtpengine.unwrap();
        assert_eq!((immediate.min, immediate.max, immediate.rounds), (1.0, 1.2, 2));
        assert_eq!(relay.immediate_us_per_packet, Some(24.0));
        assert_eq!(relay.voids.len(), 1, "{:?}", relay.voids);
        assert_eq!((relay.cpu_us_per_packet, relay.rtpengine_us_per_packet), (Some(12.0), Some(15.0)));
        assert_eq!((relay.kb_per_call, relay.floor_us_per_packet), (Some(100.0), None));
        assert!((relay.cpu_s_per_call_minute.unwrap() - 0.072).abs() < 1e-9);
    }

    #[test]
    fn an_arm_has_each_way_and_a_distribution_and_jitter_is_less_that_of_the_generator() {
        let window = |us: u32, jitter_p99_us| {
            let mut window = Window { calls: 1, sent: 10, received: 10, jitter_p99_us, ..Window::default() };
            window.count_delays(vec![us * 1000; 5], vec![us * 2000; 5]);
            window
        };
        let round = |us| Round::from([(GATEWAY, window(us, 300.0)), (FLOOR, window(us / 2, 900.0))]);
        let mut rounds = vec![round(100), round(200), round(600)];
        let rounds_of = |rounds: &[Round]| Rounds {
            calls: 1,
            profile: Profile::Gcm,
            rounds: rounds.to_vec(),
            again: vec!["round 1, floor, measured again: late".to_owned()],
            idle_kb: 0,
        };
        assert_eq!(rounds_of(&rounds).sum_up().added_jitter_p99_us, None);
        // The generator alone is in one round, and used no process.
        rounds[0].insert(GENERATOR, window(10, 120.0));
        let counted = [GATEWAY, GENERATOR, RTPENGINE].map(|arm| rounds_of(&rounds).counted(arm));
        assert_eq!(counted, [3, 1, 0]);
        let relay = rounds_of(&rounds).sum_up();
        assert_eq!(relay.added_jitter_p99_us, Some(180.0));
        assert_eq!(relay.voids, ["round 1, floor, measured again: late"]);
        let (ours, generator) = (&relay.arms[GATEWAY], &relay.arms[GENERATOR]);
        assert_eq!(
            (ours.delay_to_telegram_us.p50, ours.delay_to_trunk_us.p50, ours.delay_us.p50),
            (200.0, 400.0, 400.0)
        );
        assert_eq!(ours.delay_distribution_us, QUANTILES.map(|share| (share, 400.0)));
        assert_eq!((generator.cpu_us_per_packet.median, generator.jitter_p99_us), (0.0, 120.0));
        rounds[0].insert(GENERATOR, window(10, 400.0));
        assert_eq!(rounds_of(&rounds).sum_up().added_jitter_p99_us, Some(0.0));
    }

    #[test]
    fn a_further_call_costs_what_the_most_take_more_than_a_hundred() {
        let row = |calls, resident_kb| {
            let window = Window { calls, sent: 9, received: 9, resident_kb, ..Window::default() };
            let rounds = vec![Round::from([(GATEWAY, window)])];
            Rounds { calls, profile: Profile::Gcm, rounds, again: Vec::new(), idle_kb: 1000 }.sum_up()
        };
        let mut rows = [row(1, 90_000), row(100, 30_000), row(500, 31_000), row(1000, 57_000)];
        assert_eq!((rows[1].kb_per_call, rows[1].kb_per_further_call), (Some(290.0), None));
        slope(&mut rows);
        assert_eq!(rows.map(|row| row.kb_per_further_call), [Some(30.0); 4]);
        let mut single = [row(10, 9), row(100, 30_000)];
        slope(&mut single);
        assert_eq!(single.map(|row| row.kb_per_further_call), [None; 2]);
    }

    #[test]
    fn a_row_of_an_earlier_version_is_read() {
        let window = Window { sent: 10, received: 10, ..Window::default() };
        let rounds = vec![Round::from([(GATEWAY, window)])];
        let relay =
            Rounds { calls: 1, profile: Profile::Gcm, rounds, again: Vec::new(), idle_kb: 0 }.sum_up();
        let mut row = serde_json::to_value(&relay).unwrap();
        for new in ["added_jitter_p99_us", "resident_kb", "kb_per_further_call", "ratio_to_floor_mixed"] {
            row.as_object_mut().unwrap().remove(new).unwrap();
        }
        for new in ["delay_to_telegram_us", "delay_to_trunk_us", "delay_distribution_us"] {
            row["arms"][GATEWAY].as_object_mut().unwrap().remove(new).unwrap();
        }
        let read: Relay = serde_json::from_value(row).unwrap();
        assert!(read.arms[GATEWAY].delay_distribution_us.is_empty());
    }

    #[test]
    fn a_report_keeps_what_other_parts_wrote() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Report::read(folder.path()).unwrap().relay.is_empty());
        let window = Window { sent: 10, received: 10, cpu_us_per_packet: 5.0, ..Window::default() };
        let round = Round::from([(GATEWAY, window)]);
        let rounds =
            Rounds { calls: 1, profile: Profile::Cm, rounds: vec![round], again: Vec::new(), idle_kb: 0 };
        let mut report = Report { relay: vec![rounds.sum_up()], ..Report::default() };
        report.notice("relay", "alone");
        report.notice("relay", "alone");
        report.others.insert("messages".to_owned(), serde_json::json!({"accepted": 7}));
        report.write(folder.path()).unwrap();
        let read = Report::read(folder.path()).unwrap();
        assert_eq!(read.others, report.others);
        assert_eq!((read.relay[0].profile, read.relay[0].cpu_us_per_packet), (Profile::Cm, Some(5.0)));
        assert_eq!(read.notices["relay"], ["alone"]);
        assert!(folder.path().join("report.html").exists());
        fs::write(folder.path().join("report.json"), "[1]").unwrap();
        assert!(Report::read(folder.path()).is_err());
    }
}
