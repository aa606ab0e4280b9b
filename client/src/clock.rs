//! The one place that reads clocks and takes chance from the system.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{Local, TimeZone as _};

/// Milliseconds since 1970, for what people and files see.
#[expect(clippy::disallowed_methods, reason = "the shell's one reading of the wall clock")]
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_millis()
        .try_into()
        .unwrap_or(u64::MAX)
}

/// Seconds since 1970, as Telegram dates messages.
pub(crate) fn unix_s() -> i64 {
    i64::try_from(unix_ms() / 1000).unwrap_or(i64::MAX)
}

/// The time of day here, as "14:05". Empty for a time that no calendar has.
pub(crate) fn time_of_day(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    Local.timestamp_millis_opt(ms).single().map_or_else(String::new, |time| time.format("%H:%M").to_string())
}

/// A number that Telegram knows a message of ours by (`random_id`).
///
/// # Panics
/// When the operating system has no randomness to give: a number that repeats would be taken for a repetition.
pub(crate) fn random_id() -> i64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    i64::from_le_bytes(bytes)
}
