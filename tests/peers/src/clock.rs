//! The one place where far ends read the clock.

use std::time::Instant;

/// Now.
#[expect(clippy::disallowed_methods, reason = "a far end reads its own clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// The machine's monotonic clock, which other programs read too, in nanoseconds.
///
/// # Errors
/// When the system has none.
pub fn monotonic_ns() -> anyhow::Result<u64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)?;
    Ok(u64::try_from(now.tv_sec())? * 1_000_000_000 + u64::try_from(now.tv_nsec())?)
}
