//! Times as messages carry them, and chance.

pub(crate) use tgtrunk_shell::clock::random;

/// Milliseconds since 1970.
pub(crate) fn unix_ms() -> i64 {
    i64::try_from(tgtrunk_shell::clock::unix_ms()).unwrap_or(i64::MAX)
}

/// Seconds since 1970.
pub(crate) fn unix_s() -> i64 {
    unix_ms() / 1000
}

/// What Telegram knows a message by before it has a number.
pub(crate) fn random_id() -> i64 {
    i64::from_le_bytes(random())
}
