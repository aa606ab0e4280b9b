//! Instructions for each packet on its way through the gateway, from memory to memory, beside the floor's: a figure that is the
//! same on a busy machine. What the tree says that their ratio is stands in `tests/floor`, for each way of building.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

use super::report::Instructions;

/// Packets each way.
const PACKETS: u32 = 2000;
/// The function that is counted.
const COUNTED: &str = "*carry_in_memory*";
/// Built as people install it.
const RELEASE: &str = "instructions.ratio";
/// Built as the tests are, in one go.
const DEV: &str = "instructions.dev.ratio";

/// Counts in a `program` that is built as the gateway is; `is_release` says how that is.
///
/// # Errors
/// When valgrind is missing, or the program or the tree's ratio cannot be read.
pub fn count(program: &Path, is_release: bool) -> anyhow::Result<Instructions> {
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("../floor").join(file(is_release));
    let expected = fs::read_to_string(&expected)?.trim().parse().context("a ratio")?;
    Ok(Instructions::of(per_packet(program, "path")?, per_packet(program, "floor")?, expected))
}

/// Where the tree says what the ratio is.
pub fn file(is_release: bool) -> &'static str {
    if is_release { RELEASE } else { DEV }
}

fn per_packet(program: &Path, name: &str) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let counts = folder.path().join("counts");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--collect-atstart=no"]).arg(format!("--toggle-collect={COUNTED}"));
    command.arg(format!("--callgrind-out-file={}", counts.display()));
    command.arg(program).args([name, &PACKETS.to_string()]);
    let output = command.output().context("valgrind cannot be run: Debian's package is valgrind")?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let counts = fs::read_to_string(&counts)?;
    let total =
        counts.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    let total: f64 = total.context("callgrind tells no total")?.trim().parse()?;
    ensure!(total > 0.0, "callgrind found no function {COUNTED}");
    Ok(total / f64::from(2 * PACKETS))
}
