//! What a packet costs the gateway between RTP and SRTP, beside the barest relay and rtpengine: in turns, on one core, with the
//! same packets.

use std::env;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_tests::load::{
    Bridge, BridgeOptions, Ends, Floor, Mode, Plan, Profile, Report, Rounds, Rtpengine, Window, machine,
    report,
};

use crate::{NO_RTPENGINE, SLOW, THEIRS, is_full};

/// How much is measured.
struct Extent {
    calls: Vec<usize>,
    rounds: usize,
    warm_up: Duration,
    length: Duration,
}

impl Extent {
    fn of_environment(profile: Profile) -> anyhow::Result<Self> {
        let (rounds, length) = if is_full() { (5, 10) } else { (3, 2) };
        let (name, usual) = match profile {
            Profile::Gcm => ("BENCH_CALLS", "1 10 100 500 1000"),
            Profile::Cm => ("BENCH_CM_CALLS", "100 500"),
        };
        let calls = env::var(name).unwrap_or_else(|_| usual.to_owned());
        let calls = calls.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>();
        let calls = calls.with_context(|| format!("{name}: want numbers of calls, as \"1 10 100\""))?;
        ensure!(
            calls.is_sorted() && calls.iter().all(|calls| (1..=1000).contains(calls)),
            "{name}: want 1 to 1000, the fewest first"
        );
        Ok(Self { calls, rounds, warm_up: Duration::from_millis(500), length: Duration::from_secs(length) })
    }
}

/// Measures all arms with a profile, and writes its rows.
pub(crate) async fn run(part: &str, profile: Profile, report: &mut Report) -> anyhow::Result<()> {
    let extent = Extent::of_environment(profile)?;
    report.relay.retain(|row| row.profile != profile);
    let has_rtpengine = Rtpengine::is_there();
    if !has_rtpengine {
        println!("{part}: {NO_RTPENGINE}");
        report.notice(part, NO_RTPENGINE);
    }
    let ends = Ends::start()?;
    let mut bridge = Bridge::start(BridgeOptions::of(Mode::Tick, profile)).await?;
    let mut at_once = Bridge::start(BridgeOptions::of(Mode::Immediate, profile)).await?;
    for gateway in [&bridge, &at_once] {
        machine::pin(gateway.pid()?, THEIRS)?;
    }
    let idle_kb = machine::resident_kb(bridge.pid()?)?;
    for &calls in &extent.calls {
        bridge.grow(calls).await?;
        at_once.grow(calls).await?;
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
            if !machine::prefer(*pid) {
                report.notice(part, SLOW);
            }
        }
        let mut rounds = Rounds { calls, profile, rounds: Vec::new(), idle_kb };
        for number in 1..=extent.rounds {
            let mut round = report::Round::new();
            for (name, ends, pid, (trunk, telegram)) in &arms {
                let window = measure(&extent, ends, *pid, trunk, telegram).await.context(*name)?;
                show(part, name, number, &window);
                round.insert(name, window);
            }
            rounds.rounds.push(round);
        }
        report.relay.push(rounds.sum_up());
    }
    report.relay.sort_by_key(|row| (row.profile == Profile::Cm, row.calls));
    bridge.stop().await?;
    at_once.stop().await?;
    Ok(())
}

async fn measure(
    extent: &Extent,
    ends: &Ends,
    pid: u32,
    trunk: &Range<u16>,
    telegram: &Range<u16>,
) -> anyhow::Result<Window> {
    let plan = Plan { warm_up: extent.warm_up, length: extent.length, pid, clip: None };
    ends.measure(trunk.clone(), telegram.clone(), plan).await
}

fn show(part: &str, arm: &str, round: usize, window: &Window) {
    let delay = window.delay();
    println!(
        "{part}: {:4} calls, round {round}, {arm:17} {:6.2} us/packet, {:.3} switches/packet, delay {:.0}/{:.0}/{:.0} us, loss {:.4} %, \
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
