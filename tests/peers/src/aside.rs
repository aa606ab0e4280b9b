//! A test that must be alone on the machine while it measures lets others run while it merely waits. Without the runner
//! of the suites, which reads and removes the file, it just waits.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::{Instant, sleep};

/// Names the file in which the test says that it waits.
pub const FILE: &str = "TGTRUNK_ASIDE";
/// What it holds when the test measures no more; before, it holds seconds.
pub const DONE: &str = "done";

/// How long the others may take beyond what they usually do.
const OVERTIME: Duration = Duration::from_secs(300);

/// Waits for whole seconds, and then until nothing else runs.
///
/// # Errors
/// When the file cannot be written, or others go on for minutes.
pub async fn wait(span: Duration) -> anyhow::Result<()> {
    let file = say(&span.as_secs().to_string())?;
    sleep(span).await;
    let until = Instant::now() + OVERTIME;
    while file.as_ref().is_some_and(|file| file.exists()) {
        ensure!(Instant::now() < until, "other tests run for {OVERTIME:?} more than they may");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// From now on others may run.
///
/// # Errors
/// When the file cannot be written.
pub fn done() -> anyhow::Result<()> {
    say(DONE).map(drop)
}

fn say(what: &str) -> anyhow::Result<Option<PathBuf>> {
    let file = env::var_os(FILE).map(PathBuf::from);
    if let Some(file) = &file {
        fs::write(file, what).with_context(|| file.display().to_string())?;
    }
    Ok(file)
}
