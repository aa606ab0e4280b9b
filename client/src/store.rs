//! What the client has done and still has to do, on the disk: `client.db`, beside the session's own tables.
//!
//! A row is written before what it stands for is done at Telegram, with the number that Telegram knows it by
//! (`random_id`), so that whatever happens in between can be finished or taken back, and nothing is sent twice.
//! Plain SQL, which PostgreSQL takes too.

mod call_orders;
mod calls;
mod cards;
mod keypads;
mod notes;
mod presses;

use sqlx::SqlitePool;

pub(crate) use call_orders::OrderRow;
pub(crate) use calls::{CallRow, EventRow, Fate};
pub(crate) use cards::{CardPart, CardRow};
pub(crate) use keypads::{KeypadRow, Way};
pub(crate) use presses::Press;

/// How long what was done is remembered, in seconds. Longer than any setting looks back.
const MEMORY_S: i64 = 31 * 24 * 3600;

const TABLES: [&str; 14] = [
    // Keypads that stand, or may stand, in a chat.
    "CREATE TABLE IF NOT EXISTS cl_keypad (
        call TEXT PRIMARY KEY,
        person BIGINT NOT NULL,
        random_id BIGINT NOT NULL,
        way TEXT NOT NULL,
        said TEXT NOT NULL,
        message_id BIGINT,
        began_s BIGINT NOT NULL)",
    // Business cards by the message that tells of the missed call. What is null of the numbers was sent or is not wanted.
    "CREATE TABLE IF NOT EXISTS cl_card (
        message_id BIGINT PRIMARY KEY,
        person BIGINT NOT NULL,
        began_s BIGINT NOT NULL,
        photo_random_id BIGINT,
        contact_random_id BIGINT,
        text_random_id BIGINT)",
    "CREATE TABLE IF NOT EXISTS cl_answer (
        person BIGINT PRIMARY KEY,
        answered_s BIGINT NOT NULL)",
    // Callers who were told that their calls are not taken.
    "CREATE TABLE IF NOT EXISTS cl_refusal (
        person BIGINT PRIMARY KEY,
        told_s BIGINT NOT NULL)",
    // Messages of typed digits: 0 to be pressed, 1 pressed and to be deleted, 2 done, and kept for a while so as not to
    // be pressed again.
    "CREATE TABLE IF NOT EXISTS cl_press (
        message_id BIGINT PRIMARY KEY,
        call TEXT NOT NULL,
        keys TEXT NOT NULL,
        state BIGINT NOT NULL,
        typed_s BIGINT NOT NULL)",
    // Bots with which an account has opened its dialog.
    "CREATE TABLE IF NOT EXISTS cl_dialog (
        bot BIGINT NOT NULL,
        account BIGINT NOT NULL,
        random_id BIGINT NOT NULL,
        opened BIGINT NOT NULL,
        PRIMARY KEY (bot, account))",
    // Telegram's ids of calls that were placed because the person asked for them.
    "CREATE TABLE IF NOT EXISTS cl_call_back (
        telegram_call BIGINT PRIMARY KEY,
        placed_s BIGINT NOT NULL)",
    // Calls that programs are told of or asked for, as they were last known.
    "CREATE TABLE IF NOT EXISTS cl_call (
        call TEXT PRIMARY KEY,
        started_ms BIGINT NOT NULL,
        ended_ms BIGINT,
        is_over BIGINT NOT NULL,
        info TEXT NOT NULL)",
    // What programs are told of calls: 0 to be told, 1 told, 2 given up. Each of a call's events is there once.
    "CREATE TABLE IF NOT EXISTS cl_call_event (
        seq BIGINT PRIMARY KEY,
        call TEXT NOT NULL,
        kind TEXT NOT NULL,
        body TEXT NOT NULL,
        noted_s BIGINT NOT NULL,
        attempts BIGINT NOT NULL,
        fate BIGINT NOT NULL,
        UNIQUE (call, kind))",
    // Since when programs are told of calls, and up to which call nothing is missing.
    "CREATE TABLE IF NOT EXISTS cl_call_mark (
        name TEXT PRIMARY KEY,
        at_ms BIGINT NOT NULL)",
    // Calls that programs ordered under keys of theirs. Without a call nobody knows whether it was placed.
    "CREATE TABLE IF NOT EXISTS cl_call_order (
        key TEXT PRIMARY KEY,
        gateway_key TEXT NOT NULL,
        request TEXT NOT NULL,
        asked_ms BIGINT NOT NULL,
        gateway_pid BIGINT NOT NULL,
        call TEXT)",
    // What is looked for again and again is few among all that ever was.
    "CREATE INDEX IF NOT EXISTS cl_call_event_waits ON cl_call_event (seq) WHERE fate = 0",
    "CREATE INDEX IF NOT EXISTS cl_call_up ON cl_call (started_ms) WHERE is_over = 0",
    "CREATE INDEX IF NOT EXISTS cl_call_order_call ON cl_call_order (call)",
];

/// The client's tables.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Makes the tables that are not there yet, and forgets what is too old to matter.
    pub(crate) async fn open(pool: SqlitePool, now_s: i64) -> Result<Self, sqlx::Error> {
        let mut transaction = pool.begin().await?;
        for table in TABLES {
            sqlx::query(table).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        let store = Self { pool };
        store.forget(now_s).await?;
        Ok(store)
    }

    /// Forgets what is too old to matter.
    pub(crate) async fn forget(&self, now_s: i64) -> Result<(), sqlx::Error> {
        for old in [
            "DELETE FROM cl_card WHERE began_s < $1",
            "DELETE FROM cl_answer WHERE answered_s < $1",
            "DELETE FROM cl_refusal WHERE told_s < $1",
            "DELETE FROM cl_press WHERE typed_s < $1",
            "DELETE FROM cl_call_back WHERE placed_s < $1",
            "DELETE FROM cl_call WHERE is_over = 1 AND started_ms < $1 * 1000",
            "DELETE FROM cl_call_event WHERE fate <> 0 AND noted_s < $1",
            "DELETE FROM cl_call_order WHERE asked_ms < $1 * 1000",
        ] {
            sqlx::query(old).bind(now_s - MEMORY_S).execute(&self.pool).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tgtrunk_telegram::Database;

    use super::*;

    /// A store on a disk of its own, which may be opened again as after a crash.
    pub(crate) struct Room {
        folder: tempfile::TempDir,
    }

    impl Room {
        pub(crate) fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        pub(crate) async fn open(&self) -> (Store, Database) {
            let database = Database::open(self.folder.path().join("client.db")).await.unwrap();
            (Store::open(database.pool().clone(), 1_000_000).await.unwrap(), database)
        }
    }
}
