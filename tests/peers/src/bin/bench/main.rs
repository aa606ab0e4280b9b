//! Benchmarks of the gateway beside others, each part of which writes its section of `report.json` and draws `report.html` anew,
//! in the folder that is its first argument. The parts are its further arguments; all of them without any.
//!
//! Part of `make bench`, which names the programs in `TGTRUNK_GATEWAY` and `TGTRUNK_FLOOR`; `BENCH=full` measures longer.

#![expect(clippy::print_stdout, reason = "figures are for the terminal")]

mod allocations;
mod idle;
mod instructions;
mod ntgcalls;
mod relay;
mod setup;
mod soak;
mod telegram_side;
mod transcode;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use chrono::{SecondsFormat, Utc};
use tgtrunk_tests::clock::now;
use tgtrunk_tests::load::{Profile, Report, machine, report};

/// Where generators run with everything else, and where what is measured does alone.
const OURS: usize = 0;
const THEIRS: usize = 1;

const SLOW: &str = "no real-time priority is to be had: whatever else runs here is in the figures";
const NO_RTPENGINE: &str =
    "rtpengine is not installed: ITS ARM IS LEFT OUT (Debian's package is rtpengine-daemon)";

/// Names of the parts, in the order in which they run.
const PARTS: [&str; 9] =
    ["relay", "cm", "transcode", "idle", "setup", "soak", "ntgcalls", "allocations", "instructions"];

/// Whether `BENCH=full` asks for the whole matrix.
fn is_full() -> bool {
    env::var("BENCH").is_ok_and(|extent| extent == "full")
}

fn main() -> ExitCode {
    match begin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn begin() -> anyhow::Result<()> {
    let mut arguments = env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().context("want a folder for the report")?);
    let mut parts: Vec<String> = arguments.map(|part| part.to_string_lossy().into_owned()).collect();
    let unknown = parts.iter().find(|part| !PARTS.contains(&part.as_str()));
    ensure!(unknown.is_none(), "no part {unknown:?}: want some of {PARTS:?}");
    if parts.is_empty() {
        parts = PARTS.map(str::to_owned).to_vec();
    }
    // Instructions are counted, whoever else runs.
    if parts.iter().any(|part| part != "instructions") {
        // The counted run has its place from the one that began it.
        ensure!(
            allocations::is_counted() || machine::processors()? > THEIRS,
            "want two processors: one for the generator, one for the relay"
        );
        // Threads that begin from now on inherit it.
        machine::pin(std::process::id(), OURS)?;
    }
    let runtime = tokio::runtime::Runtime::new()?;
    let mut failed = Vec::new();
    for part in &parts {
        let began = now();
        if let Err(error) = runtime.block_on(run(part, &folder)) {
            println!("{part}: FAILED: {error:#}");
            failed.push(part.as_str());
        }
        println!("{part}: took {:.0} s", (now() - began).as_secs_f64());
    }
    println!("bench: written to {}", folder.display());
    ensure!(failed.is_empty(), "without {}", failed.join(", "));
    Ok(())
}

async fn run(part: &str, folder: &Path) -> anyhow::Result<()> {
    if part == "allocations" && !allocations::is_counted() {
        return allocations::begin(folder).await;
    }
    let mut report = Report::read(folder)?;
    report.notices.remove(part);
    report.measured.remove(part);
    let (at, began) = (Utc::now(), now());
    let ran = measure(part, &mut report).await;
    // What an earlier run had of it is not of this one.
    match &ran {
        Ok(()) => {
            let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
            let took_s = (now() - began).as_secs_f64();
            report.measured.insert(part.to_owned(), report::Measured { at, took_s });
        }
        Err(error) => report.notice(part, &format!("it failed: {error:#}")),
    }
    report.write(folder)?;
    ran
}

async fn measure(part: &str, report: &mut Report) -> anyhow::Result<()> {
    match part {
        "relay" => relay::run(part, Profile::Gcm, report).await,
        "cm" => relay::run(part, Profile::Cm, report).await,
        "transcode" => transcode::run(part, report).await,
        "idle" => idle::run(part, report).await,
        "ntgcalls" => ntgcalls::run(part, report).await,
        "allocations" => allocations::run(part, report).await,
        "setup" => setup::run(part, report).await,
        "soak" => soak::run(part, report).await,
        "instructions" => instructions::run(part, report).await,
        _ => Ok(()),
    }
}
