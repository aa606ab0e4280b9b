//! The Python with the independent clients (Telethon, ntgcalls), made on first use under the target directory.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

const REQUIREMENTS: &str = include_str!("../../requirements.txt");

/// The interpreter of a virtual environment that holds what `tests/requirements.txt` pins.
///
/// The environment is `venv` in the target directory; it is made or brought up to date if needed, by one process
/// at a time.
///
/// # Errors
/// No `python3` with `venv`, or packages that cannot be installed; the message has pip's own words.
pub fn python() -> anyhow::Result<PathBuf> {
    let target = target_directory();
    fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
    let lock =
        File::create(target.join("venv.lock")).context("cannot open the lock of the virtual environment")?;
    lock.lock().context("cannot lock the virtual environment")?;

    let venv = target.join("venv");
    let python = venv.join("bin/python");
    let stamp = venv.join("requirements.txt");
    // What the Makefile knows its own finished work by.
    let complete = venv.join(".complete");
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Ok(python);
    }
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    let requirements = venv.join("requirements.wanted");
    fs::write(&requirements, REQUIREMENTS)?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"];
    run(Command::new(&python).args(pip).arg(&requirements))?;
    fs::rename(&requirements, &stamp)?;
    File::create(&complete)?;
    Ok(python)
}

pub(crate) fn target_directory() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
    root.join("target")
}

pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
