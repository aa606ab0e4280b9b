//! Times as people have them, and how old things are.

use std::time::{Duration, Instant};

use chrono::{Local, TimeZone as _};
pub(crate) use tgtrunk_shell::clock::{now, random, unix_ms};

/// How old something is: by the machine's clock when it was taken up, from then on by what passes. A clock that is set
/// meanwhile makes nothing older.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age {
    then: Duration,
    since: Instant,
}

impl Age {
    /// Of what was made at a time: milliseconds since 1970.
    pub(crate) fn of(made_ms: u64) -> Self {
        Self::at(made_ms, unix_ms(), now())
    }

    fn at(made_ms: u64, now_ms: u64, since: Instant) -> Self {
        Self { then: Duration::from_millis(now_ms.saturating_sub(made_ms)), since }
    }

    pub(crate) fn now(&self) -> Duration {
        self.then + self.since.elapsed()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_up_grows_older_by_what_passes_alone() {
        let hour = Duration::from_secs(3_600);
        let age = |made_ms| Age::at(made_ms, 10 * 3_600_000, now()).now();
        let two = age(8 * 3_600_000);
        assert!((hour * 2..hour * 2 + Duration::from_secs(60)).contains(&two), "{two:?}");
        // It was made while the clock was three hours ahead.
        assert!(age(13 * 3_600_000) < Duration::from_secs(60));
    }
}
