//! The clock of everything here. Whoever has a program's days pass in minutes has Telegram's pass with them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static AHEAD_MS: AtomicU64 = AtomicU64::new(0);

/// Sets how far every Telegram of this program is ahead of the machine's clock. Timers go on as they are.
pub fn set(by: Duration) {
    AHEAD_MS.store(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
}

/// Time since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "the test Telegram's one reading of the clock")]
pub(crate) fn unix_now() -> Duration {
    let machine = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    machine + Duration::from_millis(AHEAD_MS.load(Ordering::SeqCst))
}
