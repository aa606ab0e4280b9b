//! Pauses after a failure of which nobody knows whether the next try fails too.

/// After the first: milliseconds.
pub(crate) const FIRST_MS: i64 = 1_000;
const LONGEST_MS: i64 = 60_000;

/// After so many tries that failed before: milliseconds.
pub(crate) fn after_ms(attempts: u32) -> i64 {
    FIRST_MS.saturating_mul(1 << attempts.min(6)).min(LONGEST_MS)
}
