//! Times as Telegram and people have them, and numbers that do not repeat.

use chrono::{Local, TimeZone as _};
pub(crate) use tgtrunk_shell::clock::unix_ms;

/// Seconds since 1970, as Telegram dates messages.
pub(crate) fn unix_s() -> i64 {
    i64::try_from(unix_ms() / 1000).unwrap_or(i64::MAX)
}

/// The time of day here, as "14:05". Empty for a time that no calendar has.
pub(crate) fn time_of_day(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    Local.timestamp_millis_opt(ms).single().map_or_else(String::new, |time| time.format("%H:%M").to_string())
}

/// A number that Telegram knows a message of ours by (`random_id`): one that repeats would be taken for a repetition.
pub(crate) fn random_id() -> i64 {
    i64::from_le_bytes(tgtrunk_shell::clock::random())
}
