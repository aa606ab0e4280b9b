//! The end of a program's log, for whoever watches it.

use serde::{Deserialize, Serialize};

/// Lines of a log, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogTail {
    /// The oldest first. Secrets, numbers and addresses are masked as in the log itself.
    pub lines: Vec<LogLine>,
    /// What to ask for `after` next time.
    pub last: u64,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Counts lines from 1 since the program started.
    pub number: u64,
    /// When, in milliseconds since 1970 (UTC).
    pub time_ms: u64,
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub level: String,
    /// What it says, with its fields.
    pub text: String,
}
