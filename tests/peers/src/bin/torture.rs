//! Throws at a gateway what breaks gateways: `torture FOLDER [soak] [ROW…]` runs those rows, without one all that take minutes,
//! or with `soak` those that take hours, and writes `report.json` in the folder. A row is T3, or T3=20000 for another amount
//! than the whole one; `short` stands for every row's short form. `SEED=n` throws what an earlier run with that seed threw,
//! `HOURS=n` lets T22 last so long. What rows that mutate threw is added to `tests/fuzz/thrown.toml`.
//!
//! Part of `make torture` and `make soak`, which name the program in `TGTRUNK_GATEWAY`.

#![expect(clippy::print_stdout, reason = "figures are for the terminal")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use tgtrunk_tests::torture::{self, Plan, ROWS, Report, Row, SOAK};

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
    let rows = chosen(&arguments.collect::<Vec<_>>())?;
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
    let mut all = Vec::new();
    for (row, amount) in rows {
        println!("{}: {amount} {}, seed {seed}: {}", row.test, row.unit, row.what);
        let done = runtime.block_on(torture::run(row, Plan { amount, seed }));
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

/// Rows with their amounts.
fn chosen(words: &[String]) -> anyhow::Result<Vec<(Row, u64)>> {
    let is_short = words.iter().any(|word| word == "short");
    let hours: Option<u64> =
        env::var("HOURS").ok().filter(|hours| !hours.is_empty()).map(|hours| hours.parse()).transpose()?;
    let usual = |row: Row| match hours {
        Some(hours) if row.test == "T22" => hours * 60,
        _ if is_short => row.short,
        _ => row.whole,
    };
    let mut chosen = Vec::new();
    for word in words.iter().filter(|word| !["short", "soak"].contains(&word.as_str())) {
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
    if chosen.is_empty() {
        let rows: &[Row] = if words.iter().any(|word| word == "soak") { &SOAK } else { &ROWS };
        chosen = rows.iter().map(|row| (*row, usual(*row))).collect();
    }
    Ok(chosen)
}
