//! Hours of a week, by the clock on the wall: spans may cross midnight, and clocks may be put forward and back.

use std::time::Duration;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};

const DAY_MIN: u16 = 1_440;
/// Spans that follow one another are looked through for so many steps; more never ends.
const STEPS: usize = 64;
/// An hour that clocks put forward leave out ends within so many quarters.
const GAP_QUARTERS: i64 = 12;

/// A span of hours on some days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// On which days it begins, Monday first.
    days: [bool; 7],
    /// When, in minutes after midnight.
    from_min: u16,
    /// When it ends; on the next day, unless it is after `from_min`.
    to_min: u16,
}

/// A day without work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holiday {
    /// One day.
    Once(NaiveDate),
    /// The same every year.
    Yearly {
        /// 1 to 12.
        month: u32,
        /// 1 to 31.
        day: u32,
    },
}

/// Some spans, and days on which none of them begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans {
    spans: Vec<Span>,
    holidays: Vec<Holiday>,
}

impl Span {
    /// From a minute after midnight, 0 to 1439, to another one, 1 to 1440, that is not the same.
    pub fn new(days: [bool; 7], from_min: u16, to_min: u16) -> Option<Self> {
        let fits = from_min < DAY_MIN && (1..=DAY_MIN).contains(&to_min) && from_min != to_min;
        fits.then_some(Self { days, from_min, to_min })
    }

    /// Where the span that begins on `day` ends, if `at` is in it.
    fn end_on(&self, day: NaiveDate, at: NaiveDateTime) -> Option<NaiveDateTime> {
        let midnight = day.and_time(NaiveTime::MIN);
        let crosses = if self.to_min < self.from_min { DAY_MIN } else { 0 };
        let from = midnight.checked_add_signed(TimeDelta::minutes(self.from_min.into()))?;
        let to =
            midnight.checked_add_signed(TimeDelta::minutes(i64::from(self.to_min) + i64::from(crosses)))?;
        let begins = self.days[day.weekday().num_days_from_monday() as usize];
        (begins && from <= at && at < to).then_some(to)
    }
}

impl Spans {
    /// These spans, but none that begins on one of these days.
    pub fn new(spans: Vec<Span>, holidays: Vec<Holiday>) -> Self {
        Self { spans, holidays }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Whether this time of day is in one of them.
    pub fn hold<Z: TimeZone>(&self, local: &DateTime<Z>) -> bool {
        self.end(local.naive_local()).is_some()
    }

    /// How long until none of them holds any more; `None` where none does now.
    pub fn left<Z: TimeZone>(&self, local: &DateTime<Z>) -> Option<Duration> {
        let mut end = self.end(local.naive_local())?;
        for _ in 0..STEPS {
            let Some(next) = self.end(end) else { break };
            end = next;
        }
        let zone = local.timezone();
        // Clocks that are put back show the end twice; those put forward may leave it out.
        let after = |end: &NaiveDateTime| {
            let shown = zone.from_local_datetime(end);
            [shown.clone().earliest(), shown.latest()].into_iter().flatten().find(|end| end > local)
        };
        let quarters = (0..=GAP_QUARTERS).map(|quarters| end + TimeDelta::minutes(15 * quarters));
        let end = quarters.into_iter().find_map(|end| after(&end))?;
        end.signed_duration_since(local.clone()).to_std().ok()
    }

    /// The latest end of the spans that this time is in.
    fn end(&self, at: NaiveDateTime) -> Option<NaiveDateTime> {
        let today = at.date();
        let days = [Some(today), today.checked_sub_days(Days::new(1))];
        let days = days.into_iter().flatten().filter(|day| !self.is_holiday(*day));
        days.flat_map(|day| self.spans.iter().filter_map(move |span| span.end_on(day, at))).max()
    }

    fn is_holiday(&self, day: NaiveDate) -> bool {
        self.holidays.iter().any(|holiday| match holiday {
            Holiday::Once(date) => *date == day,
            Holiday::Yearly { month, day: of_month } => (day.month(), day.day()) == (*month, *of_month),
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::Weekday;
    use chrono_tz::Tz;

    use super::*;

    const H: u64 = 3_600;

    #[test]
    fn an_office_is_open_on_its_days_from_its_first_minute_to_before_its_last() {
        let office = Spans::new(
            vec![span("mon-fri", "09:00", "18:00"), span("sat", "10:00", "14:00")],
            vec![Holiday::Yearly { month: 1, day: 1 }, Holiday::Once(date(2026, 12, 31))],
        );
        let moscow = Tz::Europe__Moscow;
        // 2026-11-26 is a Thursday.
        for (at, open) in [
            ("2026-11-26 08:59:59", false),
            ("2026-11-26 09:00:00", true),
            ("2026-11-26 17:59:59", true),
            ("2026-11-26 18:00:00", false),
            ("2026-11-28 10:00:00", true),
            ("2026-11-28 14:00:00", false),
            ("2026-11-29 12:00:00", false),
            ("2026-12-31 12:00:00", false),
            ("2027-01-01 12:00:00", false),
            ("2030-01-01 12:00:00", false),
            ("2027-12-31 12:00:00", true),
        ] {
            assert_eq!(office.hold(&local(moscow, at)), open, "{at}");
        }
    }

    #[test]
    fn a_night_belongs_to_the_day_it_begins_on() {
        let night = Spans::new(vec![span("fri", "22:00", "08:00")], vec![]);
        for (at, holds) in [
            ("2026-11-27 21:59:00", false),
            ("2026-11-27 22:00:00", true),
            ("2026-11-28 07:59:00", true),
            ("2026-11-28 08:00:00", false),
            ("2026-11-28 22:30:00", false),
            ("2026-11-27 03:00:00", false),
        ] {
            assert_eq!(night.hold(&local(Tz::UTC, at)), holds, "{at}");
        }
        let feast =
            Spans::new(vec![span("daily", "22:00", "08:00")], vec![Holiday::Once(date(2026, 12, 31))]);
        assert!(!feast.hold(&local(Tz::UTC, "2027-01-01 03:00:00")), "the night of the feast");
        assert!(feast.hold(&local(Tz::UTC, "2026-12-31 03:00:00")), "the night before it goes on");
    }

    #[test]
    fn what_is_left_runs_on_through_spans_that_follow_one_another() {
        let night = Spans::new(vec![span("daily", "22:00", "08:00")], vec![]);
        assert_eq!(left(&night, Tz::UTC, "2026-11-26 22:00:00"), Some(10 * H));
        assert_eq!(left(&night, Tz::UTC, "2026-11-27 07:59:59"), Some(1));
        assert_eq!(left(&night, Tz::UTC, "2026-11-27 08:00:00"), None);
        let halves =
            Spans::new(vec![span("daily", "22:00", "24:00"), span("daily", "00:00", "08:00")], vec![]);
        assert_eq!(left(&halves, Tz::UTC, "2026-11-26 22:00:00"), Some(10 * H));
        let always = Spans::new(vec![span("daily", "00:00", "24:00")], vec![]);
        assert!(left(&always, Tz::UTC, "2026-11-26 22:00:00").unwrap() > 30 * 24 * H);
    }

    #[test]
    fn a_night_in_which_clocks_are_put_forward_is_an_hour_shorter_and_back_an_hour_longer() {
        let night = Spans::new(vec![span("daily", "22:00", "08:00")], vec![]);
        let berlin = Tz::Europe__Berlin;
        assert_eq!(left(&night, berlin, "2026-03-28 22:00:00"), Some(9 * H));
        assert_eq!(left(&night, berlin, "2026-10-24 22:00:00"), Some(11 * H));
        assert_eq!(left(&night, Tz::Europe__Moscow, "2026-03-28 22:00:00"), Some(10 * H));
    }

    #[test]
    fn an_end_that_clocks_leave_out_is_where_they_go_on_and_one_shown_twice_comes_twice() {
        let berlin = Tz::Europe__Berlin;
        let short = Spans::new(vec![span("daily", "01:00", "02:30")], vec![]);
        // 2026-03-29: after 01:59:59 comes 03:00:00.
        assert_eq!(left(&short, berlin, "2026-03-29 01:30:00"), Some(H / 2));
        // 2026-10-25: 02:00 to 03:00 comes twice.
        let first = berlin.from_local_datetime(&naive("2026-10-25 02:10:00")).earliest().unwrap();
        let second = berlin.from_local_datetime(&naive("2026-10-25 02:10:00")).latest().unwrap();
        assert_eq!(short.left(&first), Some(Duration::from_secs(H / 3)));
        assert_eq!(short.left(&second), Some(Duration::from_secs(H / 3)));
        // Lord Howe's clocks are put back by half an hour, Samoa left out a whole day.
        let howe = Spans::new(vec![span("daily", "01:00", "05:00")], vec![]);
        assert_eq!(left(&howe, Tz::Australia__Lord_Howe, "2026-04-05 01:00:00"), Some(4 * H + H / 2));
        let samoa = Spans::new(vec![span("daily", "22:00", "02:00")], vec![]);
        assert!(samoa.hold(&local(Tz::Pacific__Apia, "2011-12-29 23:00:00")));
        samoa.left(&local(Tz::Pacific__Apia, "2011-12-29 23:00:00"));
    }

    #[test]
    fn the_same_moment_is_work_in_one_zone_and_night_in_another() {
        let office = Spans::new(vec![span("mon-fri", "09:00", "18:00")], vec![]);
        let moment = Tz::UTC.from_utc_datetime(&naive("2026-11-26 07:00:00"));
        assert!(office.hold(&moment.with_timezone(&Tz::Europe__Moscow)));
        assert!(!office.hold(&moment.with_timezone(&Tz::Europe__London)));
        assert!(office.hold(&moment.with_timezone(&Tz::Asia__Vladivostok)), "17:00 there");
    }

    #[test]
    fn no_hours_are_no_span() {
        for (from, to) in [(0, 0), (60, 60), (1_440, 60), (0, 1_441), (5, 0)] {
            assert_eq!(Span::new([true; 7], from, to), None, "{from} to {to}");
        }
    }

    fn span(days: &str, from: &str, to: &str) -> Span {
        let minutes = |text: &str| {
            let (hours, minutes) = text.split_once(':').unwrap();
            hours.parse::<u16>().unwrap() * 60 + minutes.parse::<u16>().unwrap()
        };
        let day = |text: &str| text.parse::<Weekday>().unwrap().num_days_from_monday() as usize;
        let (first, last) = match days.split_once('-') {
            _ if days == "daily" => (0, 6),
            Some((first, last)) => (day(first), day(last)),
            None => (day(days), day(days)),
        };
        Span::new(std::array::from_fn(|at| (first..=last).contains(&at)), minutes(from), minutes(to)).unwrap()
    }

    fn left(spans: &Spans, zone: Tz, at: &str) -> Option<u64> {
        spans.left(&local(zone, at)).map(|left| left.as_secs())
    }

    fn local(zone: Tz, at: &str) -> DateTime<Tz> {
        zone.from_local_datetime(&naive(at)).unwrap()
    }

    fn naive(at: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(at, "%Y-%m-%d %H:%M:%S").unwrap()
    }

    fn date(year: i32, month: u32, day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(year, month, day).unwrap()
    }
}
