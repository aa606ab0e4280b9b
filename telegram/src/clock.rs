//! The one place of this crate that reads the wall clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The present moment.
#[expect(clippy::disallowed_methods, reason = "the crate's one wall clock")]
pub(crate) fn wall_now() -> SystemTime {
    SystemTime::now()
}

/// Time since 1970.
pub(crate) fn since_1970() -> Duration {
    wall_now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Seconds since 1970, as the database keeps times.
pub(crate) fn unix_now_s() -> i64 {
    i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX)
}

/// Milliseconds since 1970, as programs tell each other times.
pub(crate) fn unix_now_ms() -> u64 {
    u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}
