//! The one place that reads clocks and takes chance from the system.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock, handed to every pure room as an argument.
#[expect(clippy::disallowed_methods, reason = "the shell's one reading of the monotonic clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, for what people and files see.
#[expect(clippy::disallowed_methods, reason = "the shell's one reading of the wall clock")]
pub fn unix_ms() -> u64 {
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
/// When the operating system has no randomness to give: no key, secret or number that must not repeat may be made then.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}
