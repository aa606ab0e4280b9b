//! The bridge that people build from ntgcalls in Python, beside the gateway at many calls and at few: calls whose Opus passes,
//! and the same clip in PCMA, which both of them have to encode.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::load::statistics::Spread;
use tgtrunk_tests::load::{
    Bridge, BridgeOptions, Clip, Ends, Mode, NtgcallsBridge, Plan, Profile, Report, Window, machine, report,
};

use crate::{SLOW, THEIRS, is_full};

const CALLS: [usize; 4] = [1, 5, 10, 20];
/// With `BENCH=full` alone: it never is the best.
const BETWEEN: usize = 5;
const FEW: usize = 10;
const MANY: usize = 1000;

pub(crate) async fn run(part: &str, report: &mut Report) -> anyhow::Result<()> {
    report.ntgcalls = None;
    let (rounds, length) = if is_full() { (5, 10) } else { (1, 4) };
    let clip = Clip::speech(Codec::Pcma)?;
    let ends = Ends::start()?;
    let mut rows = Vec::new();
    for calls in CALLS.into_iter().filter(|calls| is_full() || *calls != BETWEEN) {
        let bridge = NtgcallsBridge::start(&ends, calls).await.with_context(|| format!("{calls} calls"))?;
        let pid = bridge.pid()?;
        machine::pin(pid, THEIRS)?;
        if !machine::prefer(pid) {
            report.notice(part, SLOW);
        }
        let (mut windows, mut heard) = (Vec::<Window>::new(), None);
        for round in 1..=rounds {
            let (trunk, telegram) = bridge.ends();
            let warm_up = Duration::from_millis(1500);
            let plan = Plan {
                warm_up,
                length: Duration::from_secs(length),
                pid,
                clip: Some(clip.clone()),
                ..Plan::default()
            };
            let mut window = ends.measure(trunk, telegram, plan).await?;
            println!(
                "{part}: {calls:4} calls, round {round}, {:.3} CPU s/call minute, {} of {} packets{}",
                window.cpu_s_per_call_minute(),
                window.received,
                window.sent,
                window.void().map_or_else(String::new, |why| format!("; VOID: {why}"))
            );
            heard = window.heard.take();
            windows.push(window);
        }
        let mut row = report::NtgcallsRow::of(calls, &windows);
        // A shorter window holds a part of the clip.
        if is_full()
            && let Some(heard) = heard
        {
            row.quality = clip.quality(&heard).ok();
            println!("{part}: {calls:4} calls, MOS {:?}", row.quality);
        }
        rows.push(row);
    }
    let length = Duration::from_secs(length);
    let encoding = gateway(part, Codec::Pcma, &[FEW], Some(clip), (rounds, length), report).await?;
    let passing = gateway(part, Codec::Opus, &[FEW, MANY], None, (rounds, length), report).await?;
    let [few, many, encoded] =
        [passing.first(), passing.last(), encoding.first()].map(|cost| cost.copied().flatten());
    let found = report::Ntgcalls::of(rows, few, many, encoded);
    let shown = |ratio: Option<f64>| ratio.map_or("?".to_owned(), |ratio| format!("{ratio:.1}"));
    println!(
        "{part}: at {FEW} calls that both encode the gateway takes {} times less, {} times where Opus passes, and at {MANY} {} times less than \
         ntgcalls at its best",
        shown(found.times_less_at_10_encoding),
        shown(found.times_less_at_10),
        shown(found.times_less_at_1000)
    );
    report.ntgcalls = Some(found);
    Ok(())
}

/// Processor time for a minute of a call, with so many calls each: the median of the windows that count.
async fn gateway(
    part: &str,
    codec: Codec,
    calls: &[usize],
    clip: Option<Arc<Clip>>,
    (rounds, length): (usize, Duration),
    report: &mut Report,
) -> anyhow::Result<Vec<Option<f64>>> {
    let mut bridge =
        Bridge::start(BridgeOptions { codec, ..BridgeOptions::of(Mode::Tick, Profile::Gcm) }).await?;
    let pid = bridge.pid()?;
    machine::pin(pid, THEIRS)?;
    if !machine::prefer(pid) {
        report.notice(part, SLOW);
    }
    let mut costs = Vec::new();
    for &calls in calls {
        bridge.grow(calls).await?;
        let (trunk, telegram) = bridge.ends();
        let warm_up = Duration::from_millis(1500);
        let mut counted = Vec::new();
        for round in 1..=rounds {
            let plan = Plan { warm_up, length, pid, clip: clip.clone(), ..Plan::default() };
            let window = bridge.generator().measure(trunk.clone(), telegram.clone(), plan).await?;
            let cost = window.cpu_s_per_call_minute();
            println!(
                "{part}: {calls:4} calls, round {round}, the gateway with {codec:?}, {cost:.4} CPU s/call minute, {} of {} packets{}",
                window.received,
                window.sent,
                window.void().map_or_else(String::new, |why| format!("; VOID: {why}"))
            );
            match window.void() {
                None => counted.push(cost),
                Some(why) => {
                    report.notice(part, &format!("{calls} calls of the gateway, round {round}: {why}"))
                }
            }
        }
        costs.push(Spread::of(counted).map(|cost| cost.median));
    }
    bridge.stop().await?;
    Ok(costs)
}
