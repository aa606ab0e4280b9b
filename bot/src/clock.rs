//! Times as people have them.

use chrono::{Local, TimeZone as _};
pub(crate) use tgtrunk_shell::clock::{now, random, unix_ms};

/// The time of day here, as "14:05". Empty for a time that no calendar has.
pub(crate) fn time_of_day(unix_ms: u64) -> String {
    local(unix_ms, "%H:%M")
}

/// A day and time here, as "2026-03-01 14:05".
pub(crate) fn date(unix_ms: u64) -> String {
    local(unix_ms, "%Y-%m-%d %H:%M")
}

fn local(unix_ms: u64, format: &str) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    Local.timestamp_millis_opt(ms).single().map_or_else(String::new, |time| time.format(format).to_string())
}
