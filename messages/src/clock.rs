//! The time of day, and chance.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Seconds since 1970.
pub(crate) fn unix_s() -> i64 {
    unix_ms() / 1000
}

/// What Telegram knows a message by before it has a number.
pub(crate) fn random_id() -> i64 {
    i64::from_le_bytes(random())
}

/// Bytes that nobody guesses.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Without the system's source of chance nothing here can be done safely.
    getrandom::fill(&mut bytes).expect("the system has no source of randomness");
    bytes
}
