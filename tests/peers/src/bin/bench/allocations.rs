//! What the whole gateway takes from the heap while calls talk, path kept alive and all: counted before glibc's `malloc`.

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_tests::load::{Bridge, BridgeOptions, Mode, Plan, Profile, Report, allocations, machine, report};

use crate::{THEIRS, is_full};

const CALLS: [usize; 3] = [10, 100, 1000];
const FEW: usize = 2;
const WARM_UP: Duration = Duration::from_secs(1);
const LENGTH: Duration = Duration::from_secs(4);

/// Runs this program anew with the counter before it and all that it starts.
pub(crate) async fn begin(folder: &Path) -> anyhow::Result<()> {
    let counters = tempfile::tempdir()?;
    let library = allocations::build(counters.path())?;
    let mut command = Command::new(env::current_exe()?);
    command.arg(folder).arg("allocations");
    command.env("LD_PRELOAD", library).env(allocations::FOLDER, counters.path());
    let status = tokio::task::spawn_blocking(move || command.status()).await??;
    ensure!(status.success(), "the counted run ended with {status}");
    Ok(())
}

/// Whether this is the run that is counted.
pub(crate) fn is_counted() -> bool {
    env::var_os(allocations::FOLDER).is_some()
}

pub(crate) async fn run(part: &str, report: &mut Report) -> anyhow::Result<()> {
    report.allocations.clear();
    let mut bridge = Bridge::start(BridgeOptions::of(Mode::Tick, Profile::Gcm)).await?;
    let pid = bridge.pid()?;
    machine::pin(pid, THEIRS)?;
    let rows = if is_full() { CALLS.len() } else { FEW };
    for calls in CALLS.into_iter().take(rows) {
        bridge.grow(calls).await?;
        let (trunk, telegram) = bridge.ends();
        let mut between = [0, 0];
        // What is made once is made in the first of them.
        for taken in &mut between {
            let before = allocations::taken(pid)?;
            let plan = Plan { warm_up: WARM_UP, length: LENGTH, pid, ..Plan::default() };
            let window = bridge.generator().measure(trunk.clone(), telegram.clone(), plan).await?;
            ensure!(window.received > 0, "nothing came out");
            *taken = allocations::taken(pid)?.saturating_sub(before);
        }
        let [_, taken] = between;
        let seconds = (WARM_UP + LENGTH).as_secs_f64();
        let row = report::Allocations {
            calls,
            per_packet: taken as f64 / (calls as f64 * 100.0 * seconds),
            per_second: taken as f64 / seconds,
        };
        println!(
            "{part}: {calls:4} calls, {:.5} allocations per packet, {:.1} a second",
            row.per_packet, row.per_second
        );
        report.allocations.push(row);
    }
    bridge.stop().await.context("the gateway")
}
