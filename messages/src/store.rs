//! Queues and journals on the disk, in the one database file of a number beside the session's own tables.
//!
//! A row is there before anybody is told of what it stands for. Plain SQL, which PostgreSQL takes too, the two growing
//! keys apart.

mod browse;
mod checks;
mod echoes;
mod files;
mod holds;
mod instance;
mod intake;
mod jobs;
mod journal;
mod notifications;
mod outgoing;
mod room;
mod schema;

use sqlx::SqlitePool;

use crate::clock;
use crate::id::InstanceId;
use crate::instance::InstanceKind;
use crate::settings::Settings;
use crate::token::Token;

pub(crate) use browse::Shelf;
pub(crate) use echoes::Part;
pub(crate) use files::{FileRow, PICTURE};
pub(crate) use holds::Hold;
pub(crate) use instance::{InstanceRow, held};
pub(crate) use jobs::{Begun, KEPT_MS, Kept};
pub(crate) use journal::PICTURED;
pub(crate) use notifications::{Notification, Told};
pub(crate) use outgoing::{Accept, Fault, Letters, Next, Outgoing, Taken, Teller, Withdrawn};
pub use schema::{Lifted, StoreError, lift};
/// What SQLite said.
pub(crate) use sqlx::Error as StorageError;

/// The first version's. What came later is in the steps of [`schema`].
const TABLES: [&str; 16] = [
    // One row: the database is one number's.
    "CREATE TABLE IF NOT EXISTS ms_instance (
        id BIGINT PRIMARY KEY,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        token_hash TEXT NOT NULL,
        settings TEXT NOT NULL,
        created_s BIGINT NOT NULL,
        suspended_until_s BIGINT)",
    "CREATE TABLE IF NOT EXISTS ms_message (
        id BIGINT PRIMARY KEY,
        direction TEXT NOT NULL,
        origin TEXT NOT NULL,
        chat BIGINT,
        address TEXT NOT NULL,
        chat_kind TEXT NOT NULL,
        chat_title TEXT NOT NULL,
        tg_id BIGINT,
        date_s BIGINT NOT NULL,
        sender TEXT,
        content TEXT NOT NULL,
        quoted TEXT,
        is_forwarded BIGINT NOT NULL,
        status TEXT NOT NULL,
        failure TEXT,
        edited_s BIGINT,
        deleted_s BIGINT)",
    // Telegram tells of a message more than once.
    "CREATE UNIQUE INDEX IF NOT EXISTS ms_message_tg ON ms_message (chat, tg_id)",
    "CREATE INDEX IF NOT EXISTS ms_message_tg_id ON ms_message (tg_id)",
    "CREATE INDEX IF NOT EXISTS ms_message_date ON ms_message (date_s)",
    "CREATE TABLE IF NOT EXISTS ms_outgoing (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id BIGINT NOT NULL UNIQUE,
        method TEXT NOT NULL,
        request TEXT NOT NULL,
        draft TEXT NOT NULL,
        random_id BIGINT NOT NULL,
        accepted_ms BIGINT NOT NULL,
        not_before_ms BIGINT NOT NULL,
        attempts BIGINT NOT NULL,
        claimed BIGINT NOT NULL,
        parts_done BIGINT NOT NULL,
        chat BIGINT,
        last_error TEXT)",
    "CREATE INDEX IF NOT EXISTS ms_outgoing_claimed ON ms_outgoing (chat) WHERE claimed > 0",
    // What rests: everything, what needs a lookup, what goes to strangers, or what goes to a chat.
    "CREATE TABLE IF NOT EXISTS ms_hold (
        what TEXT PRIMARY KEY,
        chat BIGINT,
        until_ms BIGINT NOT NULL,
        cause TEXT NOT NULL)",
    // The parts that a long text was sent as.
    "CREATE TABLE IF NOT EXISTS ms_part (
        id BIGINT NOT NULL,
        number BIGINT NOT NULL,
        chat BIGINT NOT NULL,
        tg_id BIGINT NOT NULL,
        date_s BIGINT NOT NULL,
        PRIMARY KEY (id, number),
        UNIQUE (chat, tg_id))",
    // Messages of the account's own that came while one of the queue was under way to their chat, and may be that one.
    "CREATE TABLE IF NOT EXISTS ms_echo (
        id BIGINT NOT NULL,
        chat BIGINT NOT NULL,
        tg_id BIGINT NOT NULL,
        PRIMARY KEY (chat, tg_id))",
    // A receipt's number is never used again.
    "CREATE TABLE IF NOT EXISTS ms_notification (
        receipt INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        dedupe TEXT NOT NULL UNIQUE,
        body TEXT NOT NULL,
        created_ms BIGINT NOT NULL,
        attempts BIGINT NOT NULL,
        last_error TEXT)",
    // What was told that the journal does not know, so that it is not told again when Telegram repeats it.
    "CREATE TABLE IF NOT EXISTS ms_told (
        dedupe TEXT PRIMARY KEY,
        told_s BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS ms_file (
        secret TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        mime TEXT NOT NULL,
        size BIGINT NOT NULL,
        remote TEXT,
        is_here BIGINT NOT NULL,
        created_s BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS ms_file_created ON ms_file (created_s)",
    // Whom a phone number or a name belongs to; nobody where null.
    "CREATE TABLE IF NOT EXISTS ms_check (
        address TEXT PRIMARY KEY,
        chat BIGINT,
        checked_s BIGINT NOT NULL)",
    // How often Telegram was asked for phone numbers, by the day.
    "CREATE TABLE IF NOT EXISTS ms_check_day (
        day BIGINT PRIMARY KEY,
        asked BIGINT NOT NULL)",
];

/// The tables of an instance. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
    intake: intake::Intake,
}

impl Store {
    /// Makes the tables that are not there yet, and lifts older ones.
    ///
    /// # Errors
    /// The tables are a newer program's, or what SQLite said.
    pub async fn open(pool: SqlitePool) -> Result<Self, StoreError> {
        let mut transaction = pool.begin().await?;
        schema::lift_own(&mut transaction).await?;
        transaction.commit().await?;
        Ok(Self { pool, intake: intake::Intake::default() })
    }

    /// Makes the instance of a database that has none, with a token and settings: it is there when this returns.
    ///
    /// # Errors
    /// What SQLite said.
    pub async fn found(
        &self,
        id: InstanceId,
        name: &str,
        token: &Token,
        settings: Settings,
    ) -> Result<(), sqlx::Error> {
        let new = InstanceRow {
            id,
            kind: InstanceKind::User.as_str().to_owned(),
            name: name.to_owned(),
            token_hash: token.hash(),
            settings,
            created_s: clock::unix_s(),
            suspended_until_s: None,
        };
        if self.instance(new.clone()).await? == new {
            Ok(())
        } else {
            Err(malformed("id", "it is another's"))
        }
    }
}

/// Whether the disk has no room (SQLITE_FULL, of which the code is the last byte: sqlite.org/rescode.html).
pub(crate) fn is_full(error: &StorageError) -> bool {
    match error {
        StorageError::Database(error) => {
            error.code().and_then(|code| code.parse::<i32>().ok()).is_some_and(|code| code & 0xff == 13)
        }
        StorageError::Io(error) => error.kind() == std::io::ErrorKind::StorageFull,
        _ => false,
    }
}

/// What a row holds that is none of ours: somebody has changed the file.
fn malformed(column: &str, error: impl std::fmt::Display) -> sqlx::Error {
    sqlx::Error::Decode(format!("{column}: {error}").into())
}

#[cfg(test)]
pub(crate) mod tests {
    use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqlitePoolOptions};

    use super::*;

    /// A store on a disk of its own, which may be opened again as after a crash.
    pub(crate) struct Room {
        folder: tempfile::TempDir,
    }

    impl Room {
        pub(crate) fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        pub(crate) fn file(&self) -> std::path::PathBuf {
            self.folder.path().join("messages.db")
        }

        pub(crate) async fn pool(&self) -> SqlitePool {
            let options = SqliteConnectOptions::new().filename(self.file()).create_if_missing(true);
            let options = options.auto_vacuum(SqliteAutoVacuum::Incremental);
            SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap()
        }

        pub(crate) async fn open(&self) -> Store {
            Store::open(self.pool().await).await.unwrap()
        }
    }
}
