//! What is left behind by calls that come and go beside others that talk: memory, descriptors and threads after each wave.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use tgtrunk_tests::clock::now;
use tgtrunk_tests::load::report::{Soak, SoakSample};
use tgtrunk_tests::load::{Bridge, BridgeOptions, Mode, Profile, Report, machine};
use tokio::time::sleep;

use crate::{THEIRS, is_full};

const TALKING: usize = 20;
const PEOPLE: usize = 60;
const PER_SECOND: u32 = 20;
const TALK: Duration = Duration::from_millis(200);
/// What ended lets go of everything within this time.
const SETTLE: Duration = Duration::from_secs(3);
const WAVES: usize = 3;
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
    wave(&bridge).await.context("the first calls")?;
    let (began, mut soak) = (now(), Soak { talking: TALKING, ..Soak::default() });
    soak.samples.push(sample(pid, began, 0)?);
    for number in 1..=if is_full() { WAVES_IN_FULL } else { WAVES } {
        soak.failed += wave(&bridge).await?;
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

/// How many of its calls failed.
async fn wave(bridge: &Bridge) -> anyhow::Result<u64> {
    let outcome = bridge.set_up(wave_calls(), PER_SECOND, TALK).await?;
    sleep(SETTLE).await;
    Ok(outcome.failed)
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
