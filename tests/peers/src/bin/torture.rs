//! Throws at a gateway what breaks gateways: `torture FOLDER [soak] [ROW…]` runs those rows, without one all that take minutes,
//! or with `soak` those that take hours, and writes `report.json` in the folder. A row is T3, or T3=20000 for another amount
//! than the whole one; `short` stands for every row's short form, and `here` for all rows as `docs/torture.json` has them.
//! `torture FOLDER told ROW[,ROW…] AMOUNT UNIT COMMAND…` runs commands of the shell and writes what they came to as those rows:
//! what other programs throw. `SEED=n` throws what an earlier run with that seed threw, `HOURS=n` lets T22 last so long. What rows that mutate threw is added to `tests/fuzz/thrown.toml`.
//!
//! Part of `make torture` and `make soak`, which name the program in `TGTRUNK_GATEWAY`.

#![expect(clippy::print_stdout, reason = "figures are for the terminal")]

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tgtrunk_tests::clock::now;
use tgtrunk_tests::torture::{self, Plan, ROWS, Report, Row, SOAK, Told};

/// How long a row may take where all are run, and all of them, beside what other programs throw.
const ROW: Duration = Duration::from_secs(30 * 60);
const ALL: Duration = Duration::from_secs(130 * 60);

fn main() -> ExitCode {
    match begin() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("torture: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all held.
fn begin() -> anyhow::Result<bool> {
    let mut arguments = env::args().skip(1);
    let folder = PathBuf::from(arguments.next().context("want a folder for the report")?);
    let words: Vec<_> = arguments.collect();
    if let Some(words) = words.strip_prefix(&["told".to_owned()]) {
        return told(&folder, words);
    }
    let rows = chosen(&words)?;
    let chosen_seed = env::var("SEED").ok();
    let seed = match &chosen_seed {
        Some(seed) => seed.parse().context("SEED")?,
        None => {
            let mut seed = [0; 4];
            getrandom::fill(&mut seed).ok().context("the system has random bytes")?;
            u64::from(u32::from_le_bytes(seed))
        }
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace")?;
    let runtime = tokio::runtime::Runtime::new()?;
    let (began, is_here) = (now(), words.iter().any(|word| word == "here"));
    let mut all = Vec::new();
    for (row, amount) in rows {
        println!("{}: {amount} {}, seed {seed}: {}", row.test, row.unit, row.what);
        let limit = is_here.then(|| ROW.min(ALL.saturating_sub(now() - began)));
        let done = runtime.block_on(torture::run(row, Plan { amount, seed }, limit));
        println!("{}", torture::table(std::slice::from_ref(&done)));
        let mut report = Report::read(&folder)?;
        report.take(&done);
        report.write(&folder)?;
        // What is thrown again was counted.
        if chosen_seed.is_none() {
            torture::add_thrown(root, &done)?;
        }
        all.push(done);
    }
    println!("{}torture: written to {}", torture::table(&all), folder.display());
    Ok(all.iter().all(|done| done.failed == 0))
}

/// Runs what others throw.
fn told(folder: &Path, words: &[String]) -> anyhow::Result<bool> {
    let [tests, amount, unit, commands @ ..] = words else {
        bail!("want told ROW AMOUNT UNIT COMMAND..., got {words:?}")
    };
    let (began, amount) = (now(), amount.parse().with_context(|| format!("an amount: {amount:?}"))?);
    let (mut figures, mut failures) = (Vec::new(), Vec::new());
    for command in commands {
        println!("{tests}: {command}");
        // Their last words may be complaints.
        let both = format!("exec 2>&1; {command}");
        let mut running = Command::new("sh").args(["-c", &both]).stdout(Stdio::piped()).spawn()?;
        let mut last = String::new();
        for line in BufReader::new(running.stdout.take().context("a pipe")?).split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            println!("{line}");
            if !line.trim().is_empty() {
                line.trim().clone_into(&mut last);
            }
        }
        let status = running.wait()?;
        if !status.success() {
            failures.push(format!("{command}: {status}: {last}"));
        }
        figures.push(last);
    }
    let (commands, is_well) = (commands.join("; "), failures.is_empty());
    let told = Told { commands, figure: figures.join("; "), failures, took: now() - began };
    let mut report = Report::read(folder)?;
    for test in tests.split(',') {
        report.take_told(test, amount, unit, &told);
    }
    report.write(folder)?;
    Ok(is_well)
}

/// Rows with their amounts.
fn chosen(words: &[String]) -> anyhow::Result<Vec<(Row, u64)>> {
    let [is_short, is_here] = ["short", "here"].map(|form| words.iter().any(|word| word == form));
    let hours: Option<u64> =
        env::var("HOURS").ok().filter(|hours| !hours.is_empty()).map(|hours| hours.parse()).transpose()?;
    let usual = |row: Row| match hours {
        Some(hours) if row.test == "T22" => hours * 60,
        _ if is_short => row.short,
        _ if is_here => row.here,
        _ => row.whole,
    };
    let mut chosen = Vec::new();
    for word in words.iter().filter(|word| !["short", "here", "soak"].contains(&word.as_str())) {
        let (test, amount) = word.split_once('=').unwrap_or((word, ""));
        let row = torture::row(test);
        let row = row.with_context(|| {
            let known: Vec<_> = ROWS.iter().chain(&SOAK).map(|row| row.test).collect();
            format!("no row {test:?}: want some of {known:?}")
        })?;
        let amount = if amount.is_empty() { usual(row) } else { amount.parse().context(word.clone())? };
        ensure!(amount > 0, "{word}: want more than nothing");
        chosen.push((row, amount));
    }
    if chosen.is_empty() && is_here {
        chosen = ROWS.iter().chain(&SOAK).map(|row| (*row, row.here)).collect();
    } else if chosen.is_empty() {
        let rows: &[Row] = if words.iter().any(|word| word == "soak") { &SOAK } else { &ROWS };
        chosen = rows.iter().map(|row| (*row, usual(*row))).collect();
    }
    Ok(chosen)
}
