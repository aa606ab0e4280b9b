//! Times as messages carry them, how old things are, and chance.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// A time as ISO 8601 writes it: milliseconds since 1970 in UTC.
pub(crate) fn iso(unix_ms: i64) -> String {
    let (days, ms) = (unix_ms.div_euclid(86_400_000), unix_ms.rem_euclid(86_400_000));
    // Days are counted in years that begin in March, so that a leap day is the last of its year.
    let since = days + 719_468;
    let (era, day_of_era) = (since.div_euclid(146_097), since.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// By how much the machine's clock may be off its course before that counts as set: milliseconds.
const TOLERANCE_MS: i64 = 1_000;
/// How often it may be set within a life; of more the oldest is forgotten.
const MOST_STEPS: usize = 16;

/// How old things are, also where the machine's clock is set meanwhile, as one without a battery is some time after it began:
/// nothing grows older by that.
#[derive(Debug)]
pub struct Ages {
    began: Instant,
    /// Since when the clock was so far ahead of this program's own count, in milliseconds.
    steps: Mutex<Vec<(Instant, i64)>>,
}

impl Default for Ages {
    fn default() -> Self {
        Self::new()
    }
}

impl Ages {
    /// Nothing is known of the clock before.
    pub fn new() -> Self {
        Self { began: tgtrunk_shell::clock::now(), steps: Mutex::default() }
    }

    /// What has a time before this one is older than `life_ms`: milliseconds since 1970. To be asked more often than things
    /// grow old.
    pub fn before_ms(&self, life_ms: i64) -> i64 {
        self.at(tgtrunk_shell::clock::now(), unix_ms(), life_ms)
    }

    /// The same by a clock that is shown: `now_ms` since 1970.
    pub fn at(&self, now: Instant, now_ms: i64, life_ms: i64) -> i64 {
        let ran_ms = i64::try_from(now.duration_since(self.began).as_millis()).unwrap_or(i64::MAX);
        let ahead_ms = now_ms - ran_ms;
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if steps
            .last()
            .is_none_or(|(_, before_ms)| before_ms.abs_diff(ahead_ms) > TOLERANCE_MS.unsigned_abs())
        {
            steps.push((now, ahead_ms));
        }
        if steps.len() > MOST_STEPS {
            steps.remove(0);
        }
        // Whatever is young enough was written while the clock was as it is, or as it was at some time within the life.
        let life = Duration::from_millis(u64::try_from(life_ms).unwrap_or(0));
        let since = now.checked_sub(life);
        let ends = steps.iter().skip(1).map(|(from, _)| Some(*from)).chain([None]);
        let within =
            steps.iter().zip(ends).filter(|(_, end)| end.is_none_or(|end| since.is_none_or(|at| end > at)));
        let least_ms = within.map(|((_, ahead_ms), _)| *ahead_ms).fold(ahead_ms, i64::min);
        (least_ms + ran_ms).saturating_sub(life_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const DAY_MS: i64 = 24 * HOUR_MS;

    #[test]
    fn nothing_is_older_because_the_clock_was_set() {
        let (ages, minute) = (Ages::new(), Duration::from_secs(60));
        let (began, start_ms) = (ages.began, 1_000 * DAY_MS);
        assert_eq!(ages.at(began, start_ms, DAY_MS), start_ms - DAY_MS);
        // Three days ahead, as when the network tells the time: what was written before is a minute old.
        let set_ms = start_ms + 3 * DAY_MS;
        assert_eq!(ages.at(began + minute, set_ms + 60_000, DAY_MS), start_ms + 60_000 - DAY_MS);
        // A day later nothing is left of that time.
        let later = Duration::from_secs(86_400) + minute * 2;
        let later_ms = set_ms + DAY_MS + 120_000;
        assert_eq!(ages.at(began + later, later_ms, DAY_MS), later_ms - DAY_MS);
        assert_eq!(ages.at(began + later, later_ms, 30 * DAY_MS), start_ms + DAY_MS + 120_000 - 30 * DAY_MS);
        // Set back by three hours: what is written now looks as if it were three hours old already.
        let back_ms = later_ms - 3 * HOUR_MS;
        assert_eq!(ages.at(began + later, back_ms, HOUR_MS), back_ms - HOUR_MS);
    }

    #[test]
    fn a_clock_that_is_set_again_and_again_fills_no_memory() {
        let ages = Ages::new();
        for step in 0..1_000_i64 {
            ages.at(ages.began, step * HOUR_MS, DAY_MS);
        }
        assert_eq!(ages.steps.lock().unwrap().len(), MOST_STEPS);
    }

    #[test]
    fn times_are_written_in_utc() {
        for (unix_ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_755_781_336_247, "2025-08-21T13:02:16.247Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(iso(unix_ms), text);
        }
    }
}
