//! Call records as a table for a spreadsheet (RFC 4180).

use chrono::{Local, TimeZone as _};
use tgtrunk_config::control::{Answer, Ask, CallRecord, CallResult, Direction};
use tgtrunk_config::{Language, Said};

use super::fields::Fields;
use super::load::filter;
use super::model::Part;
use super::office::Office;
use super::programs::odd;

/// Most rows of one table.
const ROWS: u32 = 20_000;
const AT_ONCE: u32 = 100;

const HEADINGS: [[&str; 2]; 12] = [
    ["Начало", "Began"],
    ["Линия", "Line"],
    ["Направление", "Direction"],
    ["Имя", "Name"],
    ["Username", "Username"],
    ["Телефон", "Phone"],
    ["Telegram id", "Telegram id"],
    ["Набрано", "Dialled"],
    ["Итог", "Result"],
    ["Разговор, с", "Talked, s"],
    ["Причина", "Cause"],
    ["Оценка MOS", "MOS"],
];

/// The records that an address asks for.
///
/// # Errors
/// Why they cannot be had.
pub(super) async fn of(office: &Office, asked: &Fields, language: Language) -> Result<String, Said> {
    let (mut filter, _) = filter(asked);
    (filter.skip, filter.limit) = (0, Some(AT_ONCE));
    let mut table = Table::new(language);
    let column = usize::from(language == Language::English);
    table.row(&HEADINGS.map(|heading| heading[column].to_owned()));
    loop {
        let answer = office.ask(Part::Gateway, Ask::Records { filter: filter.clone() }).await?;
        let Answer::Records { records, total } = answer else { return Err(odd(Part::Gateway)) };
        for record in &records {
            table.row(&row(record, language));
        }
        filter.skip += AT_ONCE;
        let is_all = records.is_empty() || u64::from(filter.skip) >= total;
        if !is_all && filter.skip >= ROWS {
            table.row(&[cut(total, language)]);
        }
        if is_all || filter.skip >= ROWS {
            return Ok(table.text);
        }
    }
}

/// What stands below a table that does not hold all records.
fn cut(total: u64, language: Language) -> String {
    match language {
        Language::Russian => {
            format!("Здесь {ROWS} звонков из {total}, новые первыми: остальные — выбрав дни.")
        }
        Language::English => {
            format!("These are {ROWS} calls of {total}, the newest first: choose days to have the others.")
        }
    }
}

/// A table being written.
pub(super) struct Table {
    pub(super) text: String,
    separator: char,
}

impl Table {
    /// An empty one, as spreadsheets of a language take it.
    pub(super) fn new(language: Language) -> Self {
        // A spreadsheet takes the text for Unicode by this mark.
        Self { text: "\u{feff}".to_owned(), separator: separator(language) }
    }

    /// Writes a row down.
    pub(super) fn row(&mut self, cells: &[String]) {
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                self.text.push(self.separator);
            }
            let is_plain = !cell.contains(['"', '\n', '\r', ';', ',']);
            if is_plain {
                self.text.push_str(cell);
            } else {
                self.text.push('"');
                self.text.push_str(&cell.replace('"', "\"\""));
                self.text.push('"');
            }
        }
        self.text.push_str("\r\n");
    }
}

/// What separates cells where the reader's spreadsheet lives.
fn separator(language: Language) -> char {
    match language {
        Language::Russian => ';',
        Language::English => ',',
    }
}

fn row(record: &CallRecord, language: Language) -> [String; 12] {
    let say = |russian: &str, english: &str| match language {
        Language::Russian => russian.to_owned(),
        Language::English => english.to_owned(),
    };
    let began = i64::try_from(record.started_ms).ok().and_then(|ms| Local.timestamp_millis_opt(ms).single());
    let talked = record.answered_ms.zip(record.ended_ms).map(|(from, to)| to.saturating_sub(from) / 1000);
    let score = record.quality.as_ref().and_then(|quality| {
        [quality.telegram.mos_hundredths, quality.pbx.mos_hundredths].into_iter().flatten().min()
    });
    let peer = &record.peer;
    [
        began.map(|began| began.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default(),
        record.line.to_string(),
        match record.direction {
            Direction::TelegramToPbx => say("Из Telegram", "From Telegram"),
            Direction::PbxToTelegram => say("В Telegram", "To Telegram"),
        },
        foreign(peer.name.as_deref()),
        foreign(peer.username.as_deref()),
        foreign(peer.phone.as_deref()).trim_start_matches('\'').to_owned(),
        peer.id.map(|id| id.to_string()).unwrap_or_default(),
        foreign(record.dialled.as_deref()),
        match record.result {
            CallResult::Running => say("идёт", "running"),
            CallResult::Answered => say("отвечен", "answered"),
            CallResult::Missed => say("не отвечен", "missed"),
            CallResult::Elsewhere => say("отвечен в другом месте", "answered elsewhere"),
            CallResult::Busy => say("занято", "busy"),
            CallResult::Failed => say("не удался", "failed"),
            CallResult::Interrupted => say("прерван", "interrupted"),
        },
        talked.map(|talked| talked.to_string()).unwrap_or_default(),
        foreign(record.end.as_ref().map(|end| end.words(language))),
        score.map(|score| format!("{}.{:02}", score / 100, score % 100)).unwrap_or_default(),
    ]
}

/// What somebody else wrote, so that no spreadsheet takes it for a formula.
pub(super) fn foreign(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_all_calls_says_so() {
        assert!(cut(20_001, Language::Russian).starts_with("Здесь 20000 звонков из 20001"));
        assert!(cut(20_001, Language::English).starts_with("These are 20000 calls of 20001"));
    }

    #[test]
    fn cells_are_quoted_where_they_must_be_and_formulas_are_disarmed() {
        let mut table = Table { text: String::new(), separator: ';' };
        table.row(&["a".into(), "b;c".into(), "say \"x\"".into(), foreign(Some("=cmd|'x'!A1"))]);
        assert_eq!(table.text, "a;\"b;c\";\"say \"\"x\"\"\";'=cmd|'x'!A1\r\n");
        assert_eq!((foreign(Some("Анна")), foreign(None)), ("Анна".to_owned(), String::new()));
    }
}
