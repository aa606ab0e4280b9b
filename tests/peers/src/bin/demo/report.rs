//! `target/demo/report.json`, and the same figures as a sentence.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use tgtrunk_tests::measure::{Way, Ways};

const FILE: &str = "report.json";
/// How much each end must have played.
const LEAST_SENT: Duration = Duration::from_millis(2500);

/// The whole demo.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub calls: Vec<Call>,
}

/// One call.
#[derive(Debug, Serialize)]
pub(crate) struct Call {
    pub direction: Direction,
    /// From the caller's first word to sound that can flow both ways.
    pub setup_ms: u64,
    #[serde(flatten)]
    pub ways: Ways,
}

/// Who called whom.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Direction {
    TelegramToPbx,
    PbxToTelegram,
}

impl Report {
    /// An empty report; the file of an earlier demo is taken away.
    pub(crate) fn begin() -> anyhow::Result<Self> {
        fs::remove_file(directory()?.join(FILE)).or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        Ok(Self { calls: Vec::new() })
    }

    /// Adds a call and tells its figures.
    pub(crate) fn add(&mut self, direction: Direction, setup: Duration, ways: Ways) -> String {
        let setup_ms = u64::try_from(setup.as_millis()).unwrap_or(u64::MAX);
        self.calls.push(Call { direction, setup_ms, ways });
        let told = |way: &Way| {
            format!(
                "{} ms of {} ms arrived, {:.1} % of it the tone of {} Hz",
                way.received_ms,
                way.sent_ms,
                way.tone_share * 100.0,
                way.tone_hz
            )
        };
        format!(
            "Set up in {setup_ms} ms. To the phone {}; to Telegram {}.",
            told(&ways.to_pbx),
            told(&ways.to_telegram)
        )
    }

    /// Writes the file and says where it is.
    pub(crate) fn write(&self) -> anyhow::Result<PathBuf> {
        let dir = directory()?;
        fs::create_dir_all(&dir)?;
        fs::write(dir.join(FILE), serde_json::to_string_pretty(self)? + "\n")?;
        Ok(Path::new("target/demo").join(FILE))
    }

    /// Whether every call sounded as it should.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        for call in &self.calls {
            call.ways.check(LEAST_SENT).with_context(|| format!("{:?}", call.direction))?;
        }
        Ok(())
    }
}

fn directory() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace")?;
    Ok(root.join("target/demo"))
}
