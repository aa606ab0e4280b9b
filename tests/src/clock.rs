//! The one place where far ends read the clock.

use std::time::Instant;

/// Now.
#[expect(clippy::disallowed_methods, reason = "a far end reads its own clock")]
pub fn now() -> Instant {
    Instant::now()
}
