//! The one place that reads clocks and takes chance from the system.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{Local, TimeZone as _};

/// The monotonic clock, handed to every decision as an argument.
#[expect(clippy::disallowed_methods, reason = "the shell's one reading of the monotonic clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

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

/// Fills an array from the operating system's random source.
///
/// # Panics
/// When the operating system has no randomness to give: no secret may be made then.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

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
