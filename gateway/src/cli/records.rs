//! `records`: calls that were, for people, spreadsheets and programs. The gateway need not run for it.

use chrono::{Local, NaiveDate, NaiveDateTime, TimeZone as _};
use clap::Args;
use tgtrunk_config::control::{CSV_HEADER, CallRecord, CallResult, Direction, RecordFilter};
use tgtrunk_config::{Phone, StateDir};
use tgtrunk_shell::keyboard::say;

use crate::records;

/// Records that are read at a time.
const PAGE: u32 = 100;
/// Records that people are shown where they do not ask for a span of time.
const SHOWN: usize = 50;

#[derive(Args)]
pub(crate) struct Wanted {
    /// Of this number alone, as +79060000000.
    #[arg(long)]
    line: Option<Phone>,
    /// From this day or time on, as 2026-03-01 or 2026-03-01T14:05.
    #[arg(long, value_parser = time_ms)]
    from: Option<u64>,
    /// Before this day or time.
    #[arg(long, value_parser = time_ms)]
    to: Option<u64>,
    /// With this in the person's name, username, phone number or id, or in what was dialled.
    #[arg(long)]
    text: Option<String>,
    /// As CSV, for spreadsheets.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// As JSON, for programs: one object a line.
    #[arg(long)]
    json: bool,
}

/// Prints records, the newest first.
///
/// # Errors
/// When there is no such line, or its records cannot be read.
pub(crate) async fn list(state: &StateDir, wanted: Wanted) -> anyhow::Result<()> {
    let Wanted { line, from, to, text, csv, json } = wanted;
    let most = if csv || json || from.is_some() || to.is_some() { usize::MAX } else { SHOWN };
    let mut filter =
        RecordFilter { line, from_ms: from, to_ms: to, text, limit: Some(PAGE), ..RecordFilter::default() };
    if csv {
        say(CSV_HEADER.trim_end());
    }
    let mut shown = 0;
    loop {
        let (page, total) = records::find(state, filter.clone()).await?;
        for record in page.iter().take(most - shown) {
            say(&match (csv, json) {
                (true, _) => record.to_csv().trim_end().to_owned(),
                (_, true) => serde_json::to_string(record)?,
                (false, false) => sentence(record),
            });
            shown += 1;
        }
        if page.is_empty() || shown >= most {
            if shown == 0 && !csv && !json {
                say("no calls");
            } else if total > shown as u64 && !csv && !json {
                say(&format!("{total} calls in all; --from and --to show more of them"));
            }
            return Ok(());
        }
        filter.skip = filter.skip.saturating_add(PAGE);
    }
}

fn sentence(record: &CallRecord) -> String {
    let CallRecord { line, direction, peer, dialled, answered_ms, ended_ms, result, .. } = record;
    let who = [&peer.name, &peer.username, &peer.phone, dialled].into_iter().flatten().next();
    let who = who.cloned().or_else(|| peer.id.map(|id| id.to_string())).unwrap_or_else(|| "-".to_owned());
    let arrow = match direction {
        Direction::TelegramToPbx => "<-",
        Direction::PbxToTelegram => "->",
    };
    let talked_s = answered_ms.zip(*ended_ms).map(|(from, to)| to.saturating_sub(from) / 1_000);
    let talked = talked_s.map_or_else(String::new, |s| format!(" {}:{:02}", s / 60, s % 60));
    let cause = match (result, &record.end) {
        (CallResult::Answered | CallResult::Running | CallResult::Interrupted, _) | (_, None) => {
            String::new()
        }
        (CallResult::Missed | CallResult::Busy | CallResult::Failed, Some(end)) => {
            format!(" ({})", end.cause)
        }
    };
    format!("{} {line} {arrow} {who} {}{talked}{cause}", date(record.started_ms), result.as_str())
}

fn date(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let time = Local.timestamp_millis_opt(ms).single();
    time.map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M:%S").to_string())
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
