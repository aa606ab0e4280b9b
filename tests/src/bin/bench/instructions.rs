//! Instructions for each packet on its way through the gateway, from memory to memory, beside the floor's: a figure that is the
//! same on a busy machine. What the tree says that their ratio is stands in `tests/floor/instructions.ratio`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use tgtrunk_tests::load::{Report, report};

/// Packets each way.
const PACKETS: u32 = 2000;
/// The function that is counted.
const COUNTED: &str = "*carry_in_memory*";

pub(crate) async fn run(part: &str, report: &mut Report) -> anyhow::Result<()> {
    let expected = Path::new(env!("CARGO_MANIFEST_DIR")).join("floor/instructions.ratio");
    let expected = fs::read_to_string(&expected)?.trim().parse().context("a ratio")?;
    let [gateway, floor] = tokio::task::spawn_blocking(|| -> anyhow::Result<_> {
        Ok([per_packet("path")?, per_packet("floor")?])
    })
    .await??;
    let counted = report::Instructions::of(gateway, floor, expected);
    println!(
        "{part}: {gateway:.1} for each packet of the gateway, {floor:.1} of the floor: {:.4} times as many, and the tree says {expected}",
        counted.ratio
    );
    report.instructions = Some(counted);
    ensure!(
        counted.is_expected(),
        "the ratio is {:.4}, and tests/floor/instructions.ratio says {expected}: say in the commit why it changed, and change it there",
        counted.ratio
    );
    Ok(())
}

/// Counted in a program that is built as the gateway is, and stands beside the floor.
fn per_packet(name: &str) -> anyhow::Result<f64> {
    let floor = env::var_os("TGTRUNK_FLOOR").map(PathBuf::from).context("TGTRUNK_FLOOR names no program")?;
    let program = floor.with_file_name("instructions");
    let folder = tempfile::tempdir()?;
    let counts = folder.path().join("counts");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--collect-atstart=no"]).arg(format!("--toggle-collect={COUNTED}"));
    command.arg(format!("--callgrind-out-file={}", counts.display()));
    command.arg(&program).args([name, &PACKETS.to_string()]);
    let output = command.output().context("valgrind cannot be run: Debian's package is valgrind")?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let counts = fs::read_to_string(&counts)?;
    let total =
        counts.lines().find_map(|line| line.strip_prefix("totals: ").or(line.strip_prefix("summary: ")));
    let total: f64 = total.context("callgrind tells no total")?.trim().parse()?;
    ensure!(total > 0.0, "callgrind found no function {COUNTED}");
    Ok(total / f64::from(2 * PACKETS))
}
