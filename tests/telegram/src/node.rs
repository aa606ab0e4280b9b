//! The independent clients of JavaScript, installed on first use under the target directory.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

use crate::venv::{run, target_directory};

const PACKAGE: &str = include_str!("../../node/package.json");
const LOCK: &str = include_str!("../../node/package-lock.json");

/// The folder whose `node_modules` holds what `tests/node/package-lock.json` pins.
///
/// It is `node` in the target directory; it is made or brought up to date if needed, by one process at a time.
///
/// # Errors
/// No `node` or `npm`, or packages that cannot be installed; the message has npm's own words.
pub fn modules() -> anyhow::Result<PathBuf> {
    for program in ["node", "npm"] {
        let missing = || format!("{program} is missing: install the Debian packages nodejs and npm");
        run(Command::new(program).arg("--version")).with_context(missing)?;
    }
    let target = target_directory();
    fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
    let lock = File::create(target.join("node.lock")).context("cannot open the lock of node's packages")?;
    lock.lock().context("cannot lock node's packages")?;

    let folder = target.join("node");
    // What the Makefile knows its own finished work by.
    let complete = folder.join(".complete");
    let is_there = |name: &str, wanted: &str| {
        fs::read_to_string(folder.join(name)).is_ok_and(|installed| installed == wanted)
    };
    if complete.exists() && is_there("package.json", PACKAGE) && is_there("package-lock.json", LOCK) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder)?;
    fs::remove_file(&complete).ok();
    fs::write(folder.join("package.json"), PACKAGE)?;
    fs::write(folder.join("package-lock.json"), LOCK)?;
    let quiet = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"];
    run(Command::new("npm").args(quiet).current_dir(&folder))?;
    File::create(&complete)?;
    Ok(folder)
}
