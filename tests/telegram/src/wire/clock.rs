//! The wire's one reading of the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since the Unix epoch, of which message identifiers and salts are made.
#[expect(clippy::disallowed_methods, reason = "the shell's one reading of the wall clock")]
pub(crate) fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
