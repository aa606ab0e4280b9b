//! The journal of messages as a table for a spreadsheet (RFC 4180).

use chrono::{Local, TimeZone as _};
use tgtrunk_config::Language;
use tgtrunk_messages::{Bookmark, Browse, Direction, Instance, Record, Refused};

use crate::page::table::{Table, foreign};
use crate::page::view::messages::words;

/// Most rows of one table.
const ROWS: usize = 20_000;
const AT_ONCE: usize = 500;

const HEADINGS: [[&str; 2]; 12] = [
    ["Время", "Time"],
    ["Направление", "Direction"],
    ["Чат", "Chat"],
    ["Id чата", "Chat id"],
    ["Адрес", "Address"],
    ["Отправитель", "Sender"],
    ["Тип", "Type"],
    ["Текст", "Text"],
    ["Файлы", "Files"],
    ["Состояние", "Status"],
    ["Ошибка", "Error"],
    ["Id сообщения", "Message id"],
];

/// The messages that are looked for, the newest first.
///
/// # Errors
/// [`Refused::Storage`].
pub(super) async fn of(instance: &Instance, browse: &Browse, language: Language) -> Result<String, Refused> {
    let mut table = Table::new(language);
    let column = usize::from(language == Language::English);
    table.row(&HEADINGS.map(|heading| heading[column].to_owned()));
    let (mut rows, mut before) = (0, Some(Bookmark::NEWEST));
    while let Some(at) = before {
        let leaf = instance.leaf(browse, at, AT_ONCE).await?;
        for record in &leaf.records {
            table.row(&row(record, language));
        }
        rows += leaf.records.len();
        before = leaf.older;
        if rows >= ROWS && before.is_some() {
            table.row(&[cut(language)]);
            break;
        }
    }
    Ok(table.text)
}

/// What stands below a table that does not hold all messages.
fn cut(language: Language) -> String {
    match language {
        Language::Russian => format!("Здесь {ROWS} сообщений, новые первыми: остальные — с отбором."),
        Language::English => {
            format!("These are {ROWS} messages, the newest first: the others by a narrower filter.")
        }
    }
}

fn row(record: &Record, language: Language) -> [String; 12] {
    let at = Local.timestamp_opt(record.date_s, 0).single();
    let files: Vec<&str> = record.content.files().map(|file| file.name.as_str()).collect();
    let sender = record.sender.as_ref().map(|sender| sender.name.as_str());
    let failure = record.failure.as_deref().map(|failure| words::cause(language, failure));
    let chat = record.chat.map(|chat| chat.to_string()).unwrap_or_default();
    [
        at.map(|at| at.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default(),
        words::direction(language, record.direction).to_owned(),
        foreign(Some(&record.chat_title)),
        chat,
        address(record),
        foreign(sender),
        words::kind(language, record.content.kind()).to_owned(),
        foreign(Some(record.content.words())),
        foreign(Some(&files.join(", "))),
        match record.direction {
            Direction::Incoming => String::new(),
            Direction::Outgoing => words::status(language, record.status).to_owned(),
        },
        foreign(failure.as_deref()),
        record.id.to_string(),
    ]
}

/// An address without the signs by which spreadsheets know formulas.
fn address(record: &Record) -> String {
    foreign(Some(&record.address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_without_all_messages_says_so() {
        assert!(cut(Language::Russian).starts_with("Здесь 20000 сообщений"));
        assert!(cut(Language::English).starts_with("These are 20000 messages"));
    }
}
