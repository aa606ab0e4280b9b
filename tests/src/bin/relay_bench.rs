//! What a packet costs the gateway between RTP and SRTP, beside the barest relay and rtpengine: in turns, on one core, with the
//! same packets. Part of `make bench`, which names the programs in `TGTRUNK_GATEWAY` and `TGTRUNK_FLOOR`; `BENCH=full` measures
//! longer. Writes `report.json` and `report.html` into the folder that is its first argument.

#![expect(clippy::print_stdout, reason = "figures are for the terminal")]

use std::env;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_tests::load::{
    Bridge, Ends, Floor, Mode, Plan, Profile, Report, Rounds, Rtpengine, Window, machine, page, report,
};

/// Where the generator runs with everything else, and where the relay under measurement does alone.
const OURS: usize = 0;
const THEIRS: usize = 1;

const SLOW: &str = "no real-time priority is to be had: whatever else runs here is in the figures";

/// How much is measured.
struct Extent {
    calls: Vec<usize>,
    rounds: usize,
    warm_up: Duration,
    length: Duration,
}

impl Extent {
    fn of_environment() -> anyhow::Result<Self> {
        let is_full = env::var("BENCH").is_ok_and(|extent| extent == "full");
        let (rounds, length) = if is_full { (5, 10) } else { (3, 2) };
        let calls = env::var("BENCH_CALLS").unwrap_or_else(|_| "1 10 100 500 1000".to_owned());
        let calls = calls.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>();
        let calls = calls.context("BENCH_CALLS: want numbers of calls, as \"1 10 100\"")?;
        ensure!(
            calls.is_sorted() && calls.iter().all(|calls| (1..=1000).contains(calls)),
            "BENCH_CALLS: want 1 to 1000, the fewest first"
        );
        Ok(Self { calls, rounds, warm_up: Duration::from_millis(500), length: Duration::from_secs(length) })
    }
}

fn main() -> ExitCode {
    match begin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("relay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn begin() -> anyhow::Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).context("want a folder for the report")?);
    fs::create_dir_all(&folder)?;
    ensure!(machine::processors()? > THEIRS, "want two processors: one for the generator, one for the relay");
    // Threads that begin from now on inherit it.
    machine::pin(std::process::id(), OURS)?;
    let report = tokio::runtime::Runtime::new()?.block_on(run(&Extent::of_environment()?))?;
    fs::write(folder.join("report.json"), serde_json::to_string_pretty(&report)? + "\n")?;
    fs::write(folder.join("report.html"), page::draw(&report))?;
    println!("relay: written to {}", folder.display());
    Ok(())
}

async fn run(extent: &Extent) -> anyhow::Result<Report> {
    let mut report = Report::default();
    let has_rtpengine = Rtpengine::is_there();
    if !has_rtpengine {
        let notice = "rtpengine is not installed: ITS ARM IS LEFT OUT (Debian's package is rtpengine-daemon)";
        println!("relay: {notice}");
        report.notices.push(notice.to_owned());
    }
    let ends = Ends::start()?;
    let mut bridge = Bridge::start(Mode::Tick).await?;
    let mut at_once = Bridge::start(Mode::Immediate).await?;
    for gateway in [&bridge, &at_once] {
        machine::pin(gateway.pid()?, THEIRS)?;
    }
    let idle_kb = machine::resident_kb(bridge.pid()?)?;
    for &calls in &extent.calls {
        bridge.grow(calls).await?;
        at_once.grow(calls).await?;
        let profile = Profile::Gcm;
        let tick = Floor::start(&ends, calls, Mode::Tick, profile)?;
        let immediate = Floor::start(&ends, calls, Mode::Immediate, profile)?;
        let rtpengine = if has_rtpengine { Some(Rtpengine::start(&ends, calls, profile)?) } else { None };
        let mut arms = vec![
            (report::FLOOR, &ends, tick.pid(), tick.ends()),
            (report::FLOOR_IMMEDIATE, &ends, immediate.pid(), immediate.ends()),
        ];
        arms.extend(rtpengine.iter().map(|engine| (report::RTPENGINE, &ends, engine.pid(), engine.ends())));
        for (name, gateway) in [(report::GATEWAY, &bridge), (report::GATEWAY_IMMEDIATE, &at_once)] {
            arms.push((name, gateway.generator(), gateway.pid()?, gateway.ends()));
        }
        for (_, _, pid, _) in &arms {
            machine::pin(*pid, THEIRS)?;
            if !machine::prefer(*pid) && !report.notices.iter().any(|notice| notice == SLOW) {
                report.notices.push(SLOW.to_owned());
            }
        }
        let mut rounds = Rounds { calls, profile, rounds: Vec::new(), idle_kb };
        for number in 1..=extent.rounds {
            let mut round = report::Round::new();
            for (name, ends, pid, (trunk, telegram)) in &arms {
                let window = measure(extent, ends, *pid, trunk, telegram).await.context(*name)?;
                show(name, number, &window);
                round.insert(name, window);
            }
            rounds.rounds.push(round);
        }
        report.relay.push(rounds.sum_up());
    }
    bridge.stop().await?;
    at_once.stop().await?;
    Ok(report)
}

async fn measure(
    extent: &Extent,
    ends: &Ends,
    pid: u32,
    trunk: &Range<u16>,
    telegram: &Range<u16>,
) -> anyhow::Result<Window> {
    let plan = Plan { warm_up: extent.warm_up, length: extent.length, pid };
    ends.measure(trunk.clone(), telegram.clone(), plan).await
}

fn show(arm: &str, round: usize, window: &Window) {
    let delay = window.delay();
    println!(
        "relay: {:4} calls, round {round}, {arm:17} {:6.2} us/packet, {:.3} switches/packet, delay {:.0}/{:.0}/{:.0} us, loss {:.4} %, \
         generator {:.0} % busy{}",
        window.calls,
        window.cpu_us_per_packet,
        window.switches_per_packet,
        delay.p50,
        delay.p99,
        delay.p999,
        window.loss() * 100.0,
        window.generator_busy * 100.0,
        window.void().map_or_else(String::new, |why| format!("; VOID: {why}"))
    );
}
