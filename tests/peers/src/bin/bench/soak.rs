//! What is left behind by calls that come and go beside others that talk: memory, descriptors and threads after each wave, and
//! sound of those that talk that did not come out.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tgtrunk_tests::clock::now;
use tgtrunk_tests::load::report::{Soak, SoakSample};
use tgtrunk_tests::load::{Bridge, BridgeOptions, Mode, Plan, Profile, Report, Window, machine};
use tokio::time::sleep;

use crate::{THEIRS, is_full};

const TALKING: usize = 20;
const PEOPLE: usize = 60;
const PER_SECOND: u32 = 20;
const TALK: Duration = Duration::from_millis(200);
/// What ended lets go of everything within this time.
const SETTLE: Duration = Duration::from_secs(3);
const WAVES: usize = 2;
const WAVES_IN_FULL: usize = 60;

pub(crate) async fn run(part: &str, report: &mut Report) -> anyhow::Result<()> {
    report.soak = None;
    let options =
        BridgeOptions { calls: TALKING, people: PEOPLE, ..BridgeOptions::of(Mode::Tick, Profile::Gcm) };
    let mut bridge = Bridge::start(options).await?;
    let pid = bridge.pid()?;
    machine::pin(pid, THEIRS)?;
    bridge.grow(TALKING).await?;
    // Whom it has called once it knows, and what it needs once it has.
    wave(&bridge, pid).await.context("the first calls")?;
    let (began, mut soak) = (now(), Soak { talking: TALKING, ..Soak::default() });
    soak.samples.push(sample(pid, began, 0)?);
    for number in 1..=if is_full() { WAVES_IN_FULL } else { WAVES } {
        let (failed, window) = wave(&bridge, pid).await?;
        soak.failed += failed;
        let sent = window.sent.saturating_sub(window.unsent);
        soak.packets += sent;
        soak.lost += sent.saturating_sub(window.received);
        if let Some(why) = window.void() {
            report
                .notice(part, &format!("wave {number}: {why}: SIPp, Telegram and the people share its core"));
        }
        soak.calls += u64::from(wave_calls());
        soak.samples.push(sample(pid, began, soak.calls)?);
        if number % 10 == 0 {
            println!("{part}: {number} waves");
        }
    }
    println!("{part}: {soak}");
    report.soak = Some(soak);
    bridge.stop().await
}

fn wave_calls() -> u32 {
    PEOPLE as u32 * 2
}

/// How many of its calls failed, and what became of the sound beside them.
async fn wave(bridge: &Bridge, pid: u32) -> anyhow::Result<(u64, Window)> {
    let (trunk, telegram) = bridge.ends();
    let plan = Plan {
        // SIPp begins a little later.
        length: Duration::from_secs(u64::from(wave_calls() / PER_SECOND) + 2),
        pid,
        // SIPp, Telegram and the people share its core.
        sleeps: true,
        ..Plan::default()
    };
    let (window, outcome) = tokio::join!(
        bridge.generator().measure(trunk, telegram, plan),
        bridge.set_up(wave_calls(), PER_SECOND, TALK)
    );
    sleep(SETTLE).await;
    Ok((outcome?.failed, window?))
}

fn sample(pid: u32, began: Instant, calls: u64) -> anyhow::Result<SoakSample> {
    Ok(SoakSample {
        seconds: (now() - began).as_secs_f64(),
        calls,
        resident_kb: machine::resident_kb(pid)?,
        descriptors: machine::descriptors(pid)?,
        threads: machine::Threads::of(pid)?.count(),
    })
}
