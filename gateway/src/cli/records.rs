//! `calls`: calls that were and are, for people, spreadsheets and programs. The gateway need not run for those that were.

use anyhow::bail;
use chrono::{Local, NaiveDate, NaiveDateTime, TimeZone as _};
use clap::{Args, ValueEnum};
use tgtrunk_config::control::{Answer, Ask, CSV_HEADER, CallRecord, CallResult, Direction, RecordFilter};
use tgtrunk_config::{Phone, StateDir};
use tgtrunk_shell::keyboard::say;

use super::ask;
use crate::records;

/// Records that people are shown where they do not ask for a span of time.
const SHOWN: u64 = 50;

#[derive(Args)]
pub(crate) struct Wanted {
    /// Of this number alone, as +79060000000.
    #[arg(long)]
    line: Option<Phone>,
    /// From this day or time on, as 2026-03-01 or 2026-03-01T14:05.
    #[arg(long, visible_alias = "from", value_parser = time_ms)]
    since: Option<u64>,
    /// Before this day or time.
    #[arg(long, visible_alias = "to", value_parser = time_ms)]
    until: Option<u64>,
    /// Of today.
    #[arg(long, conflicts_with = "since")]
    today: bool,
    /// Of this direction alone.
    #[arg(long, value_enum)]
    direction: Option<Way>,
    /// With this in the person's name, username, phone number or id, or in what was dialled.
    #[arg(long, visible_alias = "text")]
    peer: Option<String>,
    /// That ended with this cause: a part of its words, its number of Q.850, or the SIP status.
    #[arg(long)]
    cause: Option<String>,
    /// That were answered.
    #[arg(long, conflicts_with_all = ["missed", "running"])]
    answered: bool,
    /// That nobody answered.
    #[arg(long, conflicts_with = "running")]
    missed: bool,
    /// That are up now, as the running gateway sees them.
    #[arg(long)]
    running: bool,
    /// So many of the newest at most.
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// As CSV, for spreadsheets.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// As JSON, for programs: one object a line.
    #[arg(long)]
    json: bool,
}

/// Who called whom.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Way {
    TelegramToPbx,
    PbxToTelegram,
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::TelegramToPbx => Self::TelegramToPbx,
            Way::PbxToTelegram => Self::PbxToTelegram,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Sentence,
    Csv,
    Json,
}

/// Prints records, the newest first.
///
/// # Errors
/// When there is no such line, its records cannot be read, or no gateway runs that knows what is up.
pub(crate) async fn list(state: &StateDir, wanted: Wanted) -> anyhow::Result<()> {
    let form = match (wanted.csv, wanted.json) {
        (true, _) => Form::Csv,
        (_, true) => Form::Json,
        (false, false) => Form::Sentence,
    };
    if let Form::Csv = form {
        say(CSV_HEADER.trim_end());
    }
    if wanted.running {
        list_running(state, wanted, form).await
    } else {
        list_records(state, wanted, form).await
    }
}

async fn list_records(state: &StateDir, wanted: Wanted, form: Form) -> anyhow::Result<()> {
    let is_span = wanted.since.is_some() || wanted.until.is_some() || wanted.today;
    let some = matches!(form, Form::Sentence) && !is_span;
    let most = wanted.limit.unwrap_or(if some { SHOWN } else { u64::MAX });
    let is_whole = wanted.limit.is_some();
    let mut reader = records::Reader::open(state, wanted.filter()).await?;
    let mut shown = 0;
    while let Some(record) = reader.next().await? {
        if shown >= most {
            if !is_whole {
                say("and more: --since, --until and --limit show them");
            }
            break;
        }
        show(&record, form)?;
        shown += 1;
    }
    reader.close().await;
    if shown == 0 && matches!(form, Form::Sentence) {
        say("no calls");
    }
    Ok(())
}

async fn list_running(state: &StateDir, wanted: Wanted, form: Form) -> anyhow::Result<()> {
    let Answer::Calls(calls) = ask::ask(state, Ask::Calls).await? else {
        bail!("the gateway answered something else")
    };
    let most = usize::try_from(wanted.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let filter = wanted.filter();
    let mut calls: Vec<CallRecord> =
        calls.into_iter().map(records::running).filter(|record| fits(record, &filter)).collect();
    calls.sort_unstable_by_key(|record| std::cmp::Reverse(record.started_ms));
    if calls.is_empty() && matches!(form, Form::Sentence) {
        say("no calls");
    }
    calls.iter().take(most).try_for_each(|record| show(record, form))
}

impl Wanted {
    fn filter(self) -> RecordFilter {
        let result = match (self.answered, self.missed) {
            (true, _) => Some(CallResult::Answered),
            (_, true) => Some(CallResult::Missed),
            (false, false) => None,
        };
        RecordFilter {
            line: self.line,
            from_ms: if self.today { midnight_ms() } else { self.since },
            to_ms: self.until,
            direction: self.direction.map(Direction::from),
            result,
            text: self.peer,
            cause: self.cause,
            ..RecordFilter::default()
        }
    }
}

/// Whether a call that is up is wanted.
fn fits(record: &CallRecord, filter: &RecordFilter) -> bool {
    let CallRecord { peer, dialled, .. } = record;
    let id = peer.id.map(|id| id.to_string());
    let words = [&peer.name, &peer.username, &peer.phone, dialled, &id];
    let has = |text: &String| {
        words.into_iter().flatten().any(|word| word.to_lowercase().contains(&text.trim().to_lowercase()))
    };
    filter.line.as_ref().is_none_or(|line| *line == record.line)
        && filter.direction.is_none_or(|direction| direction == record.direction)
        && filter.from_ms.is_none_or(|from_ms| record.started_ms >= from_ms)
        && filter.to_ms.is_none_or(|to_ms| record.started_ms < to_ms)
        && filter.text.as_ref().is_none_or(has)
        && filter.cause.is_none()
}

fn show(record: &CallRecord, form: Form) -> anyhow::Result<()> {
    say(&match form {
        Form::Csv => record.to_csv().trim_end().to_owned(),
        Form::Json => serde_json::to_string(record)?,
        Form::Sentence => sentence(record),
    });
    Ok(())
}

fn sentence(record: &CallRecord) -> String {
    let CallRecord { call, line, direction, peer, dialled, answered_ms, ended_ms, result, .. } = record;
    let who = [&peer.name, &peer.username, &peer.phone, dialled].into_iter().flatten().next();
    let who = who.cloned().or_else(|| peer.id.map(|id| id.to_string())).unwrap_or_else(|| "-".to_owned());
    let who: String = who.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let arrow = match direction {
        Direction::TelegramToPbx => "<-",
        Direction::PbxToTelegram => "->",
    };
    let talked_s = answered_ms.zip(*ended_ms).map(|(from, to)| to.saturating_sub(from) / 1_000);
    let talked = talked_s.map_or_else(String::new, |s| format!(" {}:{:02}", s / 60, s % 60));
    let taken = record.trunk.taken_by.as_ref().map_or_else(String::new, |who| format!(" by {who}"));
    let cause = match (result, &record.end) {
        (CallResult::Answered | CallResult::Running | CallResult::Interrupted | CallResult::Elsewhere, _)
        | (_, None) => String::new(),
        (CallResult::Missed | CallResult::Busy | CallResult::Failed, Some(end)) => {
            format!(" ({})", end.cause)
        }
    };
    let began = date(record.started_ms);
    format!("{began} {call} {line} {arrow} {who} {}{taken}{talked}{cause}", result.as_str())
}

fn date(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let time = Local.timestamp_millis_opt(ms).single();
    time.map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// When today began here, in milliseconds since 1970 (UTC).
fn midnight_ms() -> Option<u64> {
    let midnight = Local::now().date_naive().and_hms_opt(0, 0, 0)?;
    let here = Local.from_local_datetime(&midnight).earliest()?;
    here.timestamp_millis().try_into().ok()
}

/// A day or a time here, in milliseconds since 1970 (UTC).
fn time_ms(text: &str) -> Result<u64, String> {
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let time = |format| NaiveDateTime::parse_from_str(text, format).ok();
    let time = day().or_else(|| time("%Y-%m-%dT%H:%M")).or_else(|| time("%Y-%m-%dT%H:%M:%S"));
    time.and_then(|time| Local.from_local_datetime(&time).earliest())
        .and_then(|time| u64::try_from(time.timestamp_millis()).ok())
        .ok_or_else(|| "want a day or a time, as 2026-03-01 or 2026-03-01T14:05".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_read_as_they_are_here_and_others_are_told() {
        let day = time_ms("2026-03-01").unwrap();
        assert_eq!(time_ms("2026-03-01T00:00").unwrap(), day);
        assert_eq!(time_ms("2026-03-01T14:05:30").unwrap(), day + (14 * 3_600 + 5 * 60 + 30) * 1_000);
        for wrong in ["", "yesterday", "2026-13-01", "2026-03-01 25:00", "1900-01-01"] {
            assert!(time_ms(wrong).unwrap_err().starts_with("want a day"), "{wrong}");
        }
        assert_eq!(date(day), "2026-03-01 00:00:00");
    }
}
