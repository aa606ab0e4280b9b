//! How a program logs, as its section of `tgtrunk.toml` says.

use crate::keys::Section;

/// Shape of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Plain,
    /// One JSON object a line.
    Json,
}

/// The least serious record that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// The program must stop.
    Error,
    /// Someone should look.
    Warn,
    /// Calls begin, join, end.
    Info,
    /// Off the happy path; numbers and addresses appear from here on.
    Debug,
    /// Every packet.
    Trace,
}

const FORMATS: [(&str, LogFormat); 2] = [("plain", LogFormat::Plain), ("json", LogFormat::Json)];
const LEVELS: [LogLevel; 5] =
    [LogLevel::Info, LogLevel::Error, LogLevel::Warn, LogLevel::Debug, LogLevel::Trace];

impl LogLevel {
    /// The word for it in settings and log filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Reads the two keys of the gateway.
pub(crate) fn read(section: &mut Section<'_, '_>) -> (LogFormat, LogLevel) {
    let levels = LEVELS.map(|level| (level.as_str(), level));
    (section.word("log", &FORMATS), section.word("log_level", &levels))
}

/// Reads the two keys of another program, whose "" is what the gateway has.
pub(crate) fn read_as(
    section: &mut Section<'_, '_>,
    gateway: (LogFormat, LogLevel),
) -> (LogFormat, LogLevel) {
    let mut formats = vec![("", gateway.0)];
    formats.extend(FORMATS);
    let mut levels = vec![("", gateway.1)];
    levels.extend(LEVELS.map(|level| (level.as_str(), level)));
    (section.word("log", &formats), section.word("log_level", &levels))
}
