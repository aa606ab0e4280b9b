//! Days as a line counts them: from midnight to midnight here.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone};

/// A day whose end nobody can tell is taken to be so long, in milliseconds.
const DAY_MS: u64 = 86_400_000;

/// One day. Times are in milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Day {
    /// As 2026-11-27.
    pub(super) name: String,
    pub(super) begins_ms: u64,
    pub(super) ends_ms: u64,
}

impl Day {
    /// The one that `now_ms` lies in.
    pub(super) fn at<Z: TimeZone>(now_ms: u64, zone: &Z) -> Self {
        let (begins_ms, ends_ms) = (now_ms.saturating_sub(DAY_MS), now_ms.saturating_add(DAY_MS));
        let now = i64::try_from(now_ms).ok().and_then(|ms| zone.timestamp_millis_opt(ms).earliest());
        let Some(now) = now else { return Self { begins_ms, ends_ms, ..Self::default() } };
        let date = now.date_naive();
        let ms = |at: Option<DateTime<Z>>| u64::try_from(at?.timestamp_millis()).ok();
        let begins = ms(midnight(date, zone)).filter(|begins_ms| *begins_ms <= now_ms);
        let next = date.checked_add_days(Days::new(1)).and_then(|next| midnight(next, zone));
        let ends = ms(next).filter(|ends_ms| *ends_ms > now_ms);
        Self {
            name: date.to_string(),
            begins_ms: begins.unwrap_or(begins_ms),
            ends_ms: ends.unwrap_or(ends_ms),
        }
    }

    /// Seconds until it ends.
    pub(super) fn left_s(&self, now_ms: u64) -> u32 {
        u32::try_from(self.ends_ms.saturating_sub(now_ms) / 1_000).unwrap_or(u32::MAX)
    }
}

/// The first moment of a day: where clocks are put forward at midnight, that is an hour later.
fn midnight<Z: TimeZone>(date: NaiveDate, zone: &Z) -> Option<DateTime<Z>> {
    let midnight = date.and_time(NaiveTime::MIN);
    (0..24)
        .find_map(|hours| zone.from_local_datetime(&(midnight + chrono::TimeDelta::hours(hours))).earliest())
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::*;

    #[test]
    fn a_day_lasts_from_midnight_to_midnight_here() {
        let moscow = FixedOffset::east_opt(3 * 3_600).unwrap();
        // 2026-11-26 23:59:30 in Moscow.
        let now_ms = 1_795_726_770_000;
        let today = Day::at(now_ms, &moscow);
        assert_eq!((today.name.as_str(), today.ends_ms), ("2026-11-26", now_ms + 30_000));
        assert_eq!((today.begins_ms, today.left_s(now_ms)), (now_ms + 30_000 - DAY_MS, 30));
        let next = Day::at(today.ends_ms, &moscow);
        assert_eq!((next.name.as_str(), next.begins_ms), ("2026-11-27", today.ends_ms));
    }
}
