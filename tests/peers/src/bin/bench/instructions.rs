//! Instructions for each packet of the gateway that people install, beside the floor's.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use tgtrunk_tests::load::{Report, instructions};

pub(crate) async fn run(part: &str, report: &mut Report) -> anyhow::Result<()> {
    let floor = env::var_os("TGTRUNK_FLOOR").map(PathBuf::from).context("TGTRUNK_FLOOR names no program")?;
    let program = floor.with_file_name("instructions");
    let counted = tokio::task::spawn_blocking(move || instructions::count(&program, true)).await??;
    println!("{part}: {counted}");
    report.instructions = Some(counted);
    ensure!(counted.is_expected(), "{}", counted.told(instructions::file(true)));
    Ok(())
}
