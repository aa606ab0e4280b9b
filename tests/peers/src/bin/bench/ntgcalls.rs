//! The bridge that people build from ntgcalls in Python, beside the gateway at many calls and at few.

use std::time::Duration;

use anyhow::Context as _;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::load::{Clip, Ends, NtgcallsBridge, Plan, Profile, Report, Window, machine, report};

use crate::{SLOW, THEIRS, is_full};

const CALLS: [usize; 4] = [1, 5, 10, 20];

pub(crate) async fn run(part: &str, report: &mut Report) -> anyhow::Result<()> {
    report.ntgcalls = None;
    let (rounds, length) = if is_full() { (5, 10) } else { (1, 4) };
    let clip = Clip::speech(Codec::Pcma)?;
    let ends = Ends::start()?;
    let mut rows = Vec::new();
    for calls in CALLS {
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
    // The gateway's figures are those of this run's other part.
    let gateway = |calls| {
        let mut rows = report.relay.iter().filter(|row| row.profile == Profile::Gcm);
        rows.find(|row| row.calls == calls).and_then(|row| row.cpu_s_per_call_minute)
    };
    let found = report::Ntgcalls::of(rows, gateway(10), gateway(1000));
    let shown = |ratio: Option<f64>| ratio.map_or("?".to_owned(), |ratio| format!("{ratio:.1}"));
    println!(
        "{part}: the gateway takes {} times less at 10 calls, and at 1000 {} times less than ntgcalls at its best",
        shown(found.times_less_at_10),
        shown(found.times_less_at_1000)
    );
    report.ntgcalls = Some(found);
    Ok(())
}
