//! Databases of the programs, changed by another program's hand: what is old need not be waited for.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

const SCRIPT: &str = "import sqlite3, sys; base = sqlite3.connect(sys.argv[1]); \
    print(base.execute(sys.argv[2], [int(value) for value in sys.argv[3:]]).rowcount); base.commit()";

/// What is wrong with a database that no program has open; "ok" where nothing is.
///
/// # Errors
/// What Python's SQLite said.
pub fn integrity(database: &Path) -> anyhow::Result<String> {
    const SCRIPT: &str = "import sqlite3, sys; \
        print('; '.join(row[0] for row in sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check')))";
    let told = Command::new("/usr/bin/python3").args(["-c", SCRIPT]).arg(database).output()?;
    ensure!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    Ok(String::from_utf8(told.stdout)?.trim().to_owned())
}

/// Runs a statement with numbers for its question marks on a database that no program has open; gives how many rows it
/// changed.
///
/// # Errors
/// What Python's SQLite said.
pub fn change(database: &Path, statement: &str, values: &[i64]) -> anyhow::Result<usize> {
    let values = values.iter().map(i64::to_string);
    let mut python = Command::new("/usr/bin/python3");
    let told = python.args(["-c", SCRIPT]).arg(database).arg(statement).args(values).output()?;
    ensure!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    String::from_utf8(told.stdout)?.trim().parse().context("the number of rows")
}
