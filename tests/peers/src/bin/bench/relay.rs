//! What a packet costs the gateway between RTP and SRTP, beside the barest relay and rtpengine: in turns, on one core, with the
//! same packets.

use std::env;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_tests::load::{
    Bridge, BridgeOptions, Ends, Floor, MOST_CALLS, Mode, Plan, Profile, Report, Rounds, Rtpengine, Window,
    machine, report,
};

use crate::{NO_RTPENGINE, SLOW, THEIRS, is_full};

/// Nobody forwards more calls at once without a tick, and what a usual run measures of that.
const MOST_IMMEDIATE: usize = 1000;
const USUAL_IMMEDIATE: usize = 500;

/// The process of calls that nobody relays.
const NOBODY: u32 = 0;

/// Of the whole matrix.
const WHOLE: &str = "1 10 100 500 1000 2000 3000";

/// How much is measured.
struct Extent {
    calls: Vec<usize>,
    rounds: usize,
    /// Rounds in which the generator is measured alone.
    generator_rounds: usize,
    /// Up to how many calls the arms without a tick are measured too.
    most_immediate: usize,
    warm_up: Duration,
    length: Duration,
}

/// With so many calls there are several rounds, whatever else is left out.
const MANY_ROUNDS: RangeInclusive<usize> = 50..=700;
/// A window that the machine or the generator disturbed is measured again so often, and so many of a number of calls at most.
const AGAIN: usize = 2;
const MOST_AGAIN: usize = 6;

impl Extent {
    fn of_environment(profile: Profile) -> anyhow::Result<Self> {
        let (rounds, length) = match profile {
            _ if is_full() => (5, 10),
            Profile::Gcm => (3, 2),
            Profile::Cm => (2, 2),
        };
        let (name, usual) = match profile {
            Profile::Gcm if is_full() => ("BENCH_CALLS", WHOLE),
            Profile::Gcm => ("BENCH_CALLS", "1 10 100 500 1000"),
            Profile::Cm if is_full() => ("BENCH_CM_CALLS", WHOLE),
            Profile::Cm => ("BENCH_CM_CALLS", "100 500"),
        };
        let calls = env::var(name).unwrap_or_else(|_| usual.to_owned());
        let calls = calls.split_whitespace().map(str::parse).collect::<Result<Vec<_>, _>>();
        let calls = calls.with_context(|| format!("{name}: want numbers of calls, as \"1 10 100\""))?;
        ensure!(
            calls.is_sorted() && calls.iter().all(|calls| (1..=MOST_CALLS).contains(calls)),
            "{name}: want 1 to {MOST_CALLS}, the fewest first"
        );
        let most_immediate = match profile {
            _ if is_full() => MOST_IMMEDIATE,
            Profile::Gcm => USUAL_IMMEDIATE,
            Profile::Cm => 0,
        };
        Ok(Self {
            calls,
            rounds,
            generator_rounds: if is_full() { rounds } else { 1 },
            most_immediate,
            warm_up: Duration::from_millis(500),
            length: Duration::from_secs(length),
        })
    }

    /// So few calls cost the same each time, for so many the generator rarely has time; ratios are wanted between.
    fn rounds_of(&self, calls: usize) -> usize {
        if is_full() || MANY_ROUNDS.contains(&calls) { self.rounds } else { 1 }
    }

    /// Floors with other sockets than the barest: the one with the gateway's stands beside it wherever ratios are wanted.
    fn other_floors(&self, calls: usize) -> &'static [(&'static str, Mode)] {
        match calls {
            _ if is_full() => &[(report::FLOOR_MIXED, Mode::Mixed), (report::FLOOR_LEGS, Mode::Legs)],
            calls if MANY_ROUNDS.contains(&calls) => &[(report::FLOOR_MIXED, Mode::Mixed)],
            _ => &[],
        }
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
    let most = extent.calls.last().copied().unwrap_or_default();
    let options = BridgeOptions { calls: most, ..BridgeOptions::of(Mode::Tick, profile) };
    let mut bridge = Bridge::start(options).await?;
    machine::pin(bridge.pid()?, THEIRS)?;
    let mut at_once = None;
    if extent.most_immediate > 0 {
        let gateway = Bridge::start(BridgeOptions::of(Mode::Immediate, profile)).await?;
        machine::pin(gateway.pid()?, THEIRS)?;
        at_once = Some(gateway);
    }
    let idle_kb = machine::resident_kb(bridge.pid()?)?;
    let mut rows = Vec::new();
    for &calls in &extent.calls {
        bridge.grow(calls).await?;
        let mut at_once = at_once.as_mut().filter(|_| calls <= extent.most_immediate);
        if let Some(gateway) = &mut at_once {
            gateway.grow(calls).await?;
        }
        let tick = Floor::start(&ends, calls, Mode::Tick, profile)?;
        let mut others = Vec::new();
        for &(name, mode) in extent.other_floors(calls) {
            others.push((name, Floor::start(&ends, calls, mode, profile)?));
        }
        // Without a tick the gateway is measured beside rtpengine, which has none.
        let immediate = match at_once {
            Some(_) if is_full() => Some(Floor::start(&ends, calls, Mode::Immediate, profile)?),
            Some(_) | None => None,
        };
        let rtpengine = has_rtpengine.then(|| Rtpengine::start(&ends, calls, profile));
        let rtpengine = match rtpengine.transpose() {
            // More than it may have descriptors for.
            Err(error) if calls > 1000 => {
                report.notice(part, &format!("rtpengine does not take {calls} calls: {error:#}"));
                None
            }
            started => started?,
        };
        let mut arms = vec![(report::FLOOR, &ends, tick.pid(), tick.ends())];
        // What the generator alone does is of its profile least of all.
        if is_full() || profile == Profile::Gcm {
            arms.insert(0, (report::GENERATOR, &ends, NOBODY, ends.without_relay(calls, profile)?));
        }
        arms.extend(others.iter().map(|(name, floor)| (*name, &ends, floor.pid(), floor.ends())));
        arms.extend(
            immediate.iter().map(|floor| (report::FLOOR_IMMEDIATE, &ends, floor.pid(), floor.ends())),
        );
        arms.extend(rtpengine.iter().map(|engine| (report::RTPENGINE, &ends, engine.pid(), engine.ends())));
        arms.push((report::GATEWAY, bridge.generator(), bridge.pid()?, bridge.ends()));
        if let Some(gateway) = &at_once {
            arms.push((report::GATEWAY_IMMEDIATE, gateway.generator(), gateway.pid()?, gateway.ends()));
        }
        for (_, _, pid, _) in arms.iter().filter(|(_, _, pid, _)| *pid != NOBODY) {
            machine::pin(*pid, THEIRS)?;
            if !machine::prefer(*pid) {
                report.notice(part, SLOW);
            }
        }
        let mut rounds = Rounds { calls, profile, rounds: Vec::new(), again: Vec::new(), idle_kb };
        let mut again = if MANY_ROUNDS.contains(&calls) || is_full() { MOST_AGAIN } else { 0 };
        for number in 1..=extent.rounds_of(calls) {
            let mut round = report::Round::new();
            for (name, ends, pid, (trunk, telegram)) in &arms {
                if *name == report::GENERATOR && rounds.counted(name) >= extent.generator_rounds {
                    continue;
                }
                let mut window = measure(&extent, ends, *pid, trunk, telegram).await.context(*name)?;
                show(part, name, number, &window);
                for _ in 0..AGAIN {
                    let Some(why) = window.disturbance().filter(|_| again > 0 && *name != report::GENERATOR)
                    else {
                        break;
                    };
                    again -= 1;
                    rounds.again.push(format!("round {number}, {name}, measured again: {why}"));
                    window = measure(&extent, ends, *pid, trunk, telegram).await.context(*name)?;
                    show(part, name, number, &window);
                }
                round.insert(name, window);
            }
            rounds.rounds.push(round);
        }
        rows.push(rounds.sum_up());
    }
    report::slope(&mut rows);
    report.relay.extend(rows);
    report.relay.sort_by_key(|row| (row.profile == Profile::Cm, row.calls));
    bridge.stop().await?;
    if let Some(gateway) = at_once {
        gateway.stop().await?;
    }
    Ok(())
}

async fn measure(
    extent: &Extent,
    ends: &Ends,
    pid: u32,
    trunk: &Range<u16>,
    telegram: &Range<u16>,
) -> anyhow::Result<Window> {
    let plan = Plan { warm_up: extent.warm_up, length: extent.length, pid, ..Plan::default() };
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
