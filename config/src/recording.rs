//! `[recording]` in `line.toml`: whether and where calls are recorded.

use std::path::PathBuf;
use std::time::Duration;

use crate::keys::{self, Section};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// How a line records its calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingRule {
    /// Every call from when both can hear each other; without it those for which somebody asks.
    pub enabled: bool,
    /// Where the files go, in a folder that is called as the line's number; without it the folder `recordings` beside
    /// `line.toml`.
    pub directory: Option<PathBuf>,
    /// How long a recording is kept.
    pub keep: Duration,
    /// What both hear of it.
    pub consent_tone: ConsentTone,
}

/// What both sides of a call hear when it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsentTone {
    /// Nothing.
    Off,
    /// A short tone in the beginning.
    Start,
    /// The same every 15 seconds.
    Repeat,
}

/// Takes the keys out of the section.
pub(crate) fn read(mut section: Section<'_, '_>) -> RecordingRule {
    let enabled = section.switch("enabled", false);
    let directory = section
        .optional(
            "directory",
            r#"the whole path of a folder, or "" for recordings beside line.toml"#,
            |value| {
                let path = PathBuf::from(keys::text(value)?);
                let is_none = path.as_os_str().is_empty();
                (is_none || path.is_absolute()).then_some((!is_none).then_some(path))
            },
        )
        .flatten();
    let days: u32 = section.number("keep_days", 30, 1..=3_650, " (days)");
    let words = [("off", ConsentTone::Off), ("start", ConsentTone::Start), ("repeat", ConsentTone::Repeat)];
    let consent_tone = section.word("consent_tone", &words);
    section.finish();
    RecordingRule { enabled, directory, keep: DAY * days, consent_tone }
}
