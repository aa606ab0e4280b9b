//! What a call costs whose sides speak PCMA and Opus, beside rtpengine: the same clip in the same calls, in turns on one core,
//! and what both made of it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::load::{
    Bridge, BridgeOptions, Clip, Ends, Mode, Plan, Profile, Report, Rtpengine, machine, report,
};

use crate::{NO_RTPENGINE, SLOW, THEIRS, is_full};

const CALLS: [usize; 3] = [5, 20, 35];
/// With `BENCH=full` alone.
const FEWEST: usize = 5;
const CODEC: Codec = Codec::Pcma;
/// Longer than the clip, whichever part of it comes first.
const LENGTH: Duration = Duration::from_secs(10);

pub(crate) async fn run(part: &str, report: &mut Report) -> anyhow::Result<()> {
    report.transcode.clear();
    let rounds = if is_full() { 5 } else { 1 };
    let has_rtpengine = Rtpengine::is_there();
    if !has_rtpengine {
        println!("{part}: {NO_RTPENGINE}");
        report.notice(part, NO_RTPENGINE);
    }
    let clip = Clip::speech(CODEC)?;
    let ends = Ends::start()?;
    let options = BridgeOptions { codec: CODEC, ..BridgeOptions::of(Mode::Tick, Profile::Gcm) };
    let mut gateway = Bridge::start(options).await?;
    machine::pin(gateway.pid()?, THEIRS)?;
    for calls in CALLS.into_iter().filter(|calls| is_full() || *calls != FEWEST) {
        gateway.grow(calls).await?;
        let rtpengine = if has_rtpengine {
            Some(Rtpengine::transcoding(&ends, calls, Profile::Gcm, CODEC)?)
        } else {
            None
        };
        let mut arms = vec![(report::GATEWAY, gateway.generator(), gateway.pid()?, gateway.ends())];
        arms.extend(rtpengine.iter().map(|engine| (report::RTPENGINE, &ends, engine.pid(), engine.ends())));
        for (_, _, pid, _) in &arms {
            machine::pin(*pid, THEIRS)?;
            if !machine::prefer(*pid) {
                report.notice(part, SLOW);
            }
        }
        let (mut all, mut heard) = (Vec::new(), BTreeMap::new());
        for number in 1..=rounds {
            let mut round = report::Round::new();
            for (name, ends, pid, (trunk, telegram)) in &arms {
                let plan = Plan {
                    warm_up: Duration::from_millis(500),
                    length: LENGTH,
                    pid: *pid,
                    clip: Some(clip.clone()),
                    ..Plan::default()
                };
                let mut window = ends.measure(trunk.clone(), telegram.clone(), plan).await.context(*name)?;
                println!(
                    "{part}: {calls:4} calls, round {number}, {name:20} {:.3} CPU s/call minute, {:.2} switches/packet, {} of {} packets{}",
                    window.cpu_s_per_call_minute(),
                    window.switches_per_packet,
                    window.received,
                    window.sent,
                    window.void().map_or_else(String::new, |why| format!("; VOID: {why}"))
                );
                if window.void().is_none() {
                    heard.extend(window.heard.take().map(|heard| (*name, heard)));
                }
                round.insert(name, window);
            }
            all.push(round);
        }
        let mut qualities = BTreeMap::new();
        for (name, heard) in heard {
            match clip.quality(&heard) {
                Ok(quality) => {
                    println!(
                        "{part}: {calls:4} calls, {name:20} MOS {:.2} at Telegram, {:.2} at the trunk",
                        quality.at_telegram_mos, quality.at_trunk_mos
                    );
                    qualities.insert(name, quality);
                }
                Err(error) => {
                    report.notice(part, &format!("{calls} calls of {name} have no score: {error:#}"))
                }
            }
        }
        report.transcode.push(report::Transcode::of(calls, &all, &qualities));
    }
    gateway.stop().await
}
