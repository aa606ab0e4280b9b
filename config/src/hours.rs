//! `[hours]` of `line.toml`: when the PBX takes calls, and when nobody is called.

use chrono_tz::Tz;

use crate::keys::{self, Section};
use crate::policy::{Refused, read_refused};

/// The hours of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Whose clock they are told by; the machine's, if it is none.
    pub time_zone: Option<Tz>,
    /// When the PBX takes calls from Telegram; always, if there are none.
    pub work: Vec<WeekSpan>,
    /// Days without work.
    pub holidays: Vec<Holiday>,
    /// What a caller gets at other times; `None`: the PBX, as at work.
    pub outside: Option<Refused>,
    /// Whether they get a message, too.
    pub outside_message: bool,
    /// When nobody is called at Telegram.
    pub quiet: Vec<WeekSpan>,
}

/// A span of hours on days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekSpan {
    /// On which it begins, Monday first.
    pub days: [bool; 7],
    /// When, in minutes after midnight, 0 to 1439.
    pub from_min: u16,
    /// When it ends, 1 to 1440; on the next day, if that is before `from_min`. Never the same.
    pub to_min: u16,
}

/// A day without work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holiday {
    /// The year; every one, if it is none.
    pub year: Option<i32>,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
}

/// Most spans and days of a list.
const MOST: usize = 100;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const WANTED_ZONE: &str = r#"the name of a time zone, as "Europe/Moscow", or "" for the machine's"#;
const WANTED_SPANS: &str =
    r#"a list of days and hours, as ["mon-fri 09:00-18:00", "sat,sun 10:00-14:00", "daily 22:00-08:00"]"#;
const WANTED_HOLIDAYS: &str = r#"a list of days in quotes, as ["2026-12-31", "01-01"]"#;

pub(crate) fn read(mut section: Section<'_, '_>) -> Hours {
    let time_zone = section
        .optional("time_zone", WANTED_ZONE, |value| keys::or_none(value, |name| name.parse().ok()))
        .flatten();
    let work = spans(&mut section, "work");
    let holidays = section
        .optional("holidays", WANTED_HOLIDAYS, |value| {
            keys::list(value, |day| holiday(keys::text(day)?)).filter(|list| list.len() <= MOST)
        })
        .unwrap_or_default();
    let outside = read_refused(&mut section, "outside", "outside_extension", &[("ring", None)]);
    let outside_message = section.switch("outside_message", false);
    let quiet = spans(&mut section, "quiet");
    section.finish();
    Hours { time_zone, work, holidays, outside, outside_message, quiet }
}

fn spans(section: &mut Section<'_, '_>, key: &'static str) -> Vec<WeekSpan> {
    section
        .optional(key, WANTED_SPANS, |value| {
            keys::list(value, |text| span(keys::text(text)?)).filter(|list| list.len() <= MOST)
        })
        .unwrap_or_default()
}

fn span(text: &str) -> Option<WeekSpan> {
    let (days, hours) = text.trim().split_once(' ')?;
    let (from, to) = hours.trim().split_once('-')?;
    let (from_min, to_min) = (minute(from)?, minute(to)?);
    let fits = from_min < 1_440 && to_min > 0 && from_min != to_min;
    fits.then_some(WeekSpan { days: week(days)?, from_min, to_min })
}

/// `mon-fri`, `sat,sun`, `fri-mon`, `daily`.
fn week(text: &str) -> Option<[bool; 7]> {
    let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
    let mut week = [false; 7];
    for piece in text.split(',') {
        let (first, last) = match piece.split_once('-') {
            None if piece.eq_ignore_ascii_case("daily") => (0, 6),
            None => (day(piece)?, day(piece)?),
            Some((first, last)) => (day(first)?, day(last)?),
        };
        let days = if first <= last { last - first } else { last + 7 - first };
        (first..=first + days).for_each(|day| week[day % 7] = true);
    }
    Some(week)
}

/// Minutes after midnight of `09:00`, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>| {
        let sound = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| sound)
    };
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (number(hours, 1..=2)?, number(minutes, 2..=2)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= 1_440).then_some(minute)
}

/// `2026-12-31` or `01-01`.
fn holiday(text: &str) -> Option<Holiday> {
    let number = |text: &str, digits: usize| {
        let sound = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|_| sound)
    };
    let pieces: Vec<&str> = text.trim().split('-').collect();
    let (year, month, day) = match pieces[..] {
        [year, month, day] => (Some(i32::try_from(number(year, 4)?).ok()?), month, day),
        [month, day] => (None, month, day),
        _ => return None,
    };
    let (month, day) = (number(month, 2)?, number(day, 2)?);
    // Of every year: also the day that only some have.
    let is_day = chrono::NaiveDate::from_ymd_opt(year.unwrap_or(2_024), month, day).is_some();
    is_day.then_some(Holiday { year, month, day })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::keys::Problem;
    use crate::line::Line;

    const SMALLEST: &str = "phone = \"+79060000000\"\nsip_port = 30001\npbx = \"127.0.0.1\"\n";

    #[test]
    fn a_line_without_hours_always_works() {
        let hours = parse("").unwrap();
        assert_eq!((hours.time_zone, hours.outside, hours.outside_message), (None, None, false));
        assert!(hours.work.is_empty() && hours.quiet.is_empty() && hours.holidays.is_empty());
    }

    #[test]
    fn every_key_is_read() {
        let hours = parse(
            "time_zone = \"Europe/Moscow\"\nwork = [\"mon-fri 09:00-18:00\", \"sat 10:00-14:00\"]\n\
             holidays = [\"2026-12-31\", \"01-01\"]\noutside = \"extension\"\noutside_extension = \"900\"\n\
             outside_message = true\nquiet = [\"daily 22:00-08:00\"]\n",
        )
        .unwrap();
        assert_eq!(hours.time_zone, Some(Tz::Europe__Moscow));
        let weekdays = [true, true, true, true, true, false, false];
        let saturday = [false, false, false, false, false, true, false];
        let span = |days, from_min, to_min| WeekSpan { days, from_min, to_min };
        assert_eq!(hours.work, [span(weekdays, 540, 1_080), span(saturday, 600, 840)]);
        assert_eq!(hours.quiet, [span([true; 7], 1_320, 480)]);
        let day = |year, month, day| Holiday { year, month, day };
        assert_eq!(hours.holidays, [day(Some(2026), 12, 31), day(None, 1, 1)]);
        assert_eq!((hours.outside, hours.outside_message), (Some(Refused::Extension("900".into())), true));
    }

    #[test]
    fn days_are_read_in_every_form_and_a_week_may_be_left_at_its_end() {
        for (text, days) in [
            ("sat,sun", [5, 6].as_slice()),
            ("fri-mon", &[0, 4, 5, 6]),
            ("Mon,wed-thu", &[0, 2, 3]),
            ("sun-sun", &[6]),
            ("daily", &[0, 1, 2, 3, 4, 5, 6]),
        ] {
            assert_eq!(week(text), Some(std::array::from_fn(|day| days.contains(&day))), "{text}");
        }
        for wrong in ["", "monday", "mon-", "mon,,tue", "1-5", "daily-sun"] {
            assert_eq!(week(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn hours_are_within_a_day_and_never_nothing() {
        for (text, hours) in [("mon 9:00-24:00", (540, 1_440)), ("mon 22:00-00:30", (1_320, 30))] {
            assert_eq!(span(text).map(|span| (span.from_min, span.to_min)), Some(hours), "{text}");
        }
        for wrong in [
            "mon",
            "mon 9-18",
            "mon 09:00",
            "mon 09:00-09:00",
            "mon 24:00-08:00",
            "mon 22:00-00:00",
            "mon 08:00-24:01",
            "mon 08:60-09:00",
            "mon +8:00-09:00",
            "09:00-18:00",
        ] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
        for (text, sound) in
            [("02-29", true), ("2026-02-29", false), ("13-01", false), ("1-1", false), ("2026-04-31", false)]
        {
            assert_eq!(holiday(text).is_some(), sound, "{text}");
        }
    }

    #[test]
    fn every_mistake_is_told_with_line_key_value_and_what_is_allowed() {
        let told = parse(
            "time_zone = \"Moscow\"\nwork = [\"weekdays 9-18\"]\nholidays = [\"31.12\"]\noutside = \"extension\"\nquiet = \"night\"\n",
        );
        let told: Vec<String> = told.unwrap_err().iter().map(Problem::to_string).collect();
        assert_eq!(
            told,
            [
                format!(r#"l.toml:5: hours.time_zone = "Moscow": want {WANTED_ZONE}"#),
                format!(r#"l.toml:6: hours.work = ["weekdays 9-18"]: want {WANTED_SPANS}"#),
                format!(r#"l.toml:7: hours.holidays = ["31.12"]: want {WANTED_HOLIDAYS}"#),
                r#"l.toml:8: hours.outside = "extension": want outside_extension beside it"#.to_owned(),
                format!(r#"l.toml:9: hours.quiet = "night": want {WANTED_SPANS}"#),
            ]
        );
    }

    fn parse(text: &str) -> Result<Hours, Vec<Problem>> {
        let text = format!("{SMALLEST}[hours]\n{text}");
        Line::parse(&text, Path::new("l.toml"), "+79060000000", &BTreeMap::new()).map(|line| line.hours)
    }
}
