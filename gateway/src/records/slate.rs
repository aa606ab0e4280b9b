//! Rows on their way into the database, in a file beside it: a process that is killed forgets none of them, however long the
//! database lets itself be waited for.
//!
//! A row waits for the session there, whose writes lie in the same file, each with an fsync of its own: on a busy machine for
//! longer than a call may wait. What is written to a file is there after the end of the process, without an fsync; what
//! outlives the machine is in the database alone. The file holds one row a line, as JSON, and is emptied when all are on the
//! disk there.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tgtrunk_config::control::CallRecord;

use super::row::{Legs, Row};
use crate::telegram::CallRef;

/// A database that takes nothing for so long is waited for no longer: calls go on without.
const MOST_BYTES: usize = 4 << 20;
/// From so many on it is worth a rest to have the slate emptied.
const LONG_BYTES: usize = 256 << 10;

/// The file, and what is in it.
#[derive(Debug)]
pub(super) struct Slate {
    path: PathBuf,
    /// There from the first row on.
    file: Option<File>,
    bytes: usize,
}

#[derive(Serialize, Deserialize)]
struct Line {
    record: CallRecord,
    sip: Option<String>,
    telegram: Option<(i64, i64)>,
    calls: bool,
}

impl Slate {
    /// The slate of a database, and the rows that a process before left on it.
    pub(super) fn open(database: &Path) -> (Self, Vec<Row>) {
        let path = database.with_extension("calls");
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                tracing::error!(%error, "calls that a kill cut short cannot be read: {}", path.display());
                Vec::new()
            }
        };
        let rows = read(&text);
        (Self { path, file: None, bytes: text.len() }, rows)
    }

    /// Adds rows. They outlive the process when this returns.
    ///
    /// # Errors
    /// The disk does not take them, or there are too many.
    pub(super) fn write<'row>(&mut self, rows: impl IntoIterator<Item = &'row Row>) -> io::Result<()> {
        let mut text = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut text, &Line::of(row))?;
            text.push(b'\n');
        }
        if self.bytes + text.len() > MOST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut options = OpenOptions::new();
                let mut file = options.create(true).append(true).mode(0o600).open(&self.path)?;
                // The process before may have been killed within a line.
                if self.bytes > 0 {
                    file.write_all(b"\n")?;
                }
                none.insert(file)
            }
        };
        // Half of a row that the disk had no room for is no row.
        self.bytes += text.len();
        file.write_all(&text).inspect_err(|_| self.file = None)
    }

    pub(super) fn is_long(&self) -> bool {
        self.bytes >= LONG_BYTES
    }

    /// Forgets all rows: they are in the database.
    pub(super) fn wipe(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let wiped = match &self.file {
            Some(file) => file.set_len(0),
            None => std::fs::remove_file(&self.path),
        };
        match wiped {
            Ok(()) => self.bytes = 0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.bytes = 0,
            Err(error) => {
                tracing::warn!(%error, "rows of calls that are written cannot be forgotten beside them")
            }
        }
    }
}

impl Line {
    fn of(row: &Row) -> Self {
        let Row { record, legs: Legs { sip, telegram, calls }, done: _ } = row;
        Self {
            record: record.clone(),
            sip: sip.as_ref().map(ToString::to_string),
            telegram: telegram.map(|call| (call.id, call.access_hash)),
            calls: *calls,
        }
    }

    fn row(self) -> Row {
        let Self { record, sip, telegram, calls } = self;
        let telegram = telegram.map(|(id, access_hash)| CallRef { id, access_hash });
        let sip = sip.and_then(|sip| sip.parse().ok());
        Row { record, legs: Legs { sip, telegram, calls }, done: None }
    }
}

/// The rows of a text; what is no row was not wholly written.
fn read(text: &[u8]) -> Vec<Row> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.filter_map(|line| serde_json::from_slice::<Line>(line).ok()).map(Line::row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::store::tests::{line, room, sample};

    const BYE: &str = "talking UDP 127.0.0.1:5060\r\nBYE sip:a@b SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
        Call-ID: x\r\nCSeq: 3 BYE\r\n";

    #[test]
    fn rows_are_there_as_they_were_written_until_they_are_wiped() {
        let (_room, state) = room();
        let database = state.gateway_db(&line());
        let (mut slate, none) = Slate::open(&database);
        assert!(none.is_empty());
        let legs = Legs {
            sip: BYE.parse().ok(),
            telegram: Some(CallRef { id: i64::MIN, access_hash: 9 }),
            calls: true,
        };
        let first = Row { record: sample(1), legs: legs.clone(), done: None };
        slate.write([&first]).unwrap();
        slate.write([&sample(2).into()]).unwrap();
        drop(slate);
        let (mut slate, left) = Slate::open(&database);
        assert_eq!((left.len(), &left[0].record, &left[0].legs), (2, &first.record, &legs));
        assert!(legs.sip.is_some());
        assert_eq!((&left[1].record, &left[1].legs), (&sample(2), &Legs::default()));
        slate.write([&first]).unwrap();
        slate.wipe();
        slate.write([&sample(3).into()]).unwrap();
        let (mut slate, left) = Slate::open(&database);
        assert_eq!(left.iter().map(|row| row.record.call.0).collect::<Vec<_>>(), [3]);
        slate.wipe();
        assert!(!database.with_extension("calls").exists());
    }

    #[test]
    fn a_row_that_a_kill_cut_is_none_and_those_beside_it_are_whole() {
        let (_room, state) = room();
        let database = state.gateway_db(&line());
        let (mut slate, _) = Slate::open(&database);
        slate.write([&sample(1).into(), &sample(2).into()]).unwrap();
        let path = database.with_extension("calls");
        let text = std::fs::read(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - 9]).unwrap();
        let (mut slate, left) = Slate::open(&database);
        assert_eq!(left.len(), 1);
        slate.write([&sample(3).into()]).unwrap();
        let (_, left) = Slate::open(&database);
        assert_eq!(left.iter().map(|row| row.record.call.0).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn a_database_that_takes_nothing_for_long_is_waited_for_no_longer() {
        let (_room, state) = room();
        let (mut slate, _) = Slate::open(&state.gateway_db(&line()));
        let row = sample(1).into();
        let written = (0..10_000).take_while(|_| slate.write([&row]).is_ok()).count();
        assert!((1_000..5_000).contains(&written), "{written}");
        slate.wipe();
        slate.write([&row]).unwrap();
    }
}
