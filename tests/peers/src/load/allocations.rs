//! What a process takes from the heap: counted by a small library that stands before glibc's `malloc`, and is built where it is
//! needed.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

const SOURCE: &str = include_str!("allocations.c");
/// The folder with the counters.
pub const FOLDER: &str = "ALLOCATIONS";

/// Builds the library in a folder.
///
/// # Errors
/// When there is no C compiler.
pub fn build(folder: &Path) -> anyhow::Result<PathBuf> {
    let (source, library) = (folder.join("allocations.c"), folder.join("allocations.so"));
    fs::write(&source, SOURCE)?;
    let mut compiler = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    // It is to be malloc, and not to be taken for it.
    compiler.args(["-shared", "-fPIC", "-O2", "-fno-builtin", "-o"]).arg(&library).arg(&source);
    let output = compiler.output().with_context(|| format!("{compiler:?} cannot be run"))?;
    ensure!(output.status.success(), "{compiler:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(library)
}

/// What a process took so far, that was started with the library before it.
///
/// # Errors
/// When it was started without.
pub fn taken(pid: u32) -> anyhow::Result<u64> {
    let folder = env::var_os(FOLDER).with_context(|| format!("{FOLDER} names no folder"))?;
    let path = Path::new(&folder).join(pid.to_string());
    let bytes = fs::read(&path).with_context(|| format!("{} holds a counter", path.display()))?;
    Ok(u64::from_le_bytes(bytes.get(..8).context("eight bytes")?.try_into()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_takes_more_is_counted_with_more() {
        let folder = tempfile::tempdir().unwrap();
        let library = build(folder.path()).unwrap();
        let takes = |lines: u32| {
            let script = format!("i=0; while [ $i -lt {lines} ]; do export V$i=$i; i=$((i+1)); done");
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(script).env("LD_PRELOAD", &library).env(FOLDER, folder.path());
            let mut child = shell.spawn().unwrap();
            assert!(child.wait().unwrap().success());
            let bytes = fs::read(folder.path().join(child.id().to_string())).unwrap();
            u64::from_le_bytes(bytes[..8].try_into().unwrap())
        };
        let (few, many) = (takes(1), takes(2000));
        assert!(few > 0 && many > few + 2000, "{few} and {many}");
    }
}
