//! The journal of messages as a table for a spreadsheet (RFC 4180).

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use chrono::{Local, TimeZone as _};
use hyper::body::{Body as HttpBody, Bytes, Frame};
use tgtrunk_config::Language;
use tgtrunk_messages::{Bookmark, Browse, Direction, Instance, Leaf, Record, Refused};
use tgtrunk_shell::web::PATIENCE;
use tokio::sync::mpsc;
use tokio::time::timeout;

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

/// The messages that are looked for, the newest first, handed out as they are found: a filter that few fit is a long way.
///
/// # Errors
/// [`Refused::Storage`].
pub(super) async fn of(instance: &Instance, browse: Browse, language: Language) -> Result<Body, Refused> {
    let first = instance.leaf(&browse, Bookmark::NEWEST, AT_ONCE).await?;
    let instance = instance.clone();
    let read = move |at| -> Read {
        let (instance, browse) = (instance.clone(), browse.clone());
        Box::pin(async move { instance.leaf(&browse, at, AT_ONCE).await.map_err(std::io::Error::other) })
    };
    Ok(written(first, read, language))
}

/// The same of messages that are read otherwise; the first of them are there.
pub(super) fn written(
    first: Leaf,
    read: impl Fn(Bookmark) -> Read + Send + 'static,
    language: Language,
) -> Body {
    let (send, receive) = mpsc::channel(1);
    tokio::spawn(async move {
        if let Err(error) = hand_out(first, read, language, &send).await {
            // Whoever reads sees that the table is broken off, and does not take it for the whole.
            timeout(PATIENCE, send.send(Err(error))).await.ok();
        }
    });
    Body::new(Rows(receive))
}

/// A page of the journal that is being read.
pub(super) type Read = Pin<Box<dyn Future<Output = std::io::Result<Leaf>> + Send>>;
/// Rows, or why there are no more.
type Portion = std::io::Result<Bytes>;

async fn hand_out(
    first: Leaf,
    read: impl Fn(Bookmark) -> Read,
    language: Language,
    send: &mpsc::Sender<Portion>,
) -> std::io::Result<()> {
    let mut table = Table::new(language);
    let column = usize::from(language == Language::English);
    table.row(&HEADINGS.map(|heading| heading[column].to_owned()));
    let (mut rows, mut leaf) = (0, first);
    loop {
        for record in &leaf.records {
            table.row(&row(record, language));
        }
        rows += leaf.records.len();
        let at = leaf.older.filter(|_| rows < ROWS);
        if leaf.older.is_some() && at.is_none() {
            table.row(&[cut(language)]);
        }
        let portion = Bytes::from(std::mem::take(&mut table.text));
        if !portion.is_empty() {
            let sent = timeout(PATIENCE, send.send(Ok(portion))).await;
            // Nobody reads any more.
            let Ok(Ok(())) = sent else { return Ok(()) };
        }
        let Some(at) = at.filter(|_| !send.is_closed()) else { return Ok(()) };
        leaf = read(at).await?;
    }
}

/// The body of a table that is being written.
struct Rows(mpsc::Receiver<Portion>);

impl HttpBody for Rows {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(context).map(|portion| portion.map(|portion| portion.map(Frame::data)))
    }
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
    let failure = words::failure(language, record);
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

    fn found(older: Option<Bookmark>) -> Leaf {
        Leaf { older, ..Leaf::default() }
    }

    /// However long the rest takes.
    #[tokio::test]
    async fn a_table_begins_before_the_whole_journal_is_looked_through() {
        let (send, mut rows) = mpsc::channel(1);
        let read = |_| -> Read { Box::pin(std::future::pending()) };
        let first = found(Some(Bookmark::NEWEST));
        let task = tokio::spawn(async move { hand_out(first, read, Language::English, &send).await });
        let portion = timeout(PATIENCE, rows.recv()).await.unwrap().unwrap().unwrap();
        assert!(std::str::from_utf8(&portion).unwrap().contains("Time,Direction,Chat"), "{portion:?}");
        task.abort();
    }

    #[tokio::test]
    async fn a_table_that_cannot_be_read_to_its_end_is_broken_off() {
        let (send, rows) = mpsc::channel(2);
        let read = |_| -> Read { Box::pin(async { Err(std::io::Error::other("full")) }) };
        let done = hand_out(found(Some(Bookmark::NEWEST)), read, Language::English, &send).await;
        assert_eq!(done.unwrap_err().to_string(), "full");
        drop(rows);
        hand_out(found(Some(Bookmark::NEWEST)), read, Language::English, &send).await.unwrap();
    }

    #[test]
    fn a_table_without_all_messages_says_so() {
        assert!(cut(Language::Russian).starts_with("Здесь 20000 сообщений"));
        assert!(cut(Language::English).starts_with("These are 20000 messages"));
    }
}
