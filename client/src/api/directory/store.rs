//! `directory.db`: what belongs to no number. Plain SQL, which PostgreSQL takes too.
//!
//! What a write returned for is on the disk.

mod browsed;
mod notifications;
mod organisations;
mod recipients;
mod tokens;
mod turns;

use sqlx::SqlitePool;
use tgtrunk_config::StateDir;
use tgtrunk_messages::{Lifted, lift};
use tgtrunk_telegram::{Database, DatabaseError};

pub(super) use notifications::{Channel, MOST_OPEN, NewNotification, Notification, State};
pub(super) use organisations::Organisation;
pub(super) use recipients::Recipient;
pub(super) use tokens::TokenRow;

/// What makes each version of the one before. A step that was delivered is never changed: what is new comes after it.
const STEPS: [&[&str]; 5] = [
    &[
        // With which programs call the API. Of a token only its hash is kept. `instance` is null for one that is for all.
        "CREATE TABLE token (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        instance BIGINT,
        line TEXT,
        hash TEXT NOT NULL UNIQUE,
        label TEXT NOT NULL,
        created_s BIGINT NOT NULL,
        last_used_s BIGINT,
        revoked_s BIGINT)",
        // `sender` is a line's phone number, or an instance's own number.
        "CREATE TABLE organisation (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        sender TEXT,
        bot TEXT,
        api_id BIGINT,
        api_hash_sha256 TEXT,
        created_s BIGINT NOT NULL)",
        "CREATE TABLE recipient (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        key_code TEXT UNIQUE,
        title TEXT NOT NULL,
        phone TEXT UNIQUE,
        dialog TEXT UNIQUE,
        organisation BIGINT,
        notify BIGINT NOT NULL,
        blocked BIGINT NOT NULL,
        first_seen_s BIGINT,
        last_seen_s BIGINT,
        created_s BIGINT NOT NULL)",
        // What was to be sent to whom, and what became of it. `scope` and `idem_key` say which request it was. `asked` is
        // the hash of what that said. `word` is its name to bots: numbers come again where this file is lost, and bots remember
        // longer.
        "CREATE TABLE notification (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        created_s BIGINT NOT NULL,
        updated_s BIGINT NOT NULL,
        scope TEXT NOT NULL,
        idem_key TEXT,
        asked TEXT NOT NULL,
        word TEXT NOT NULL,
        recipient BIGINT,
        organisation BIGINT,
        channel TEXT NOT NULL,
        sender TEXT,
        target TEXT NOT NULL,
        text TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT,
        code TEXT,
        message BIGINT,
        doubtful BIGINT NOT NULL,
        tries BIGINT NOT NULL,
        next_s BIGINT NOT NULL)",
        "CREATE UNIQUE INDEX notification_idem ON notification (scope, idem_key)",
        "CREATE INDEX notification_open ON notification (next_s) WHERE state IN ('waiting', 'sending', 'queued')",
        "CREATE INDEX notification_message ON notification (sender, message)",
        "CREATE INDEX notification_created ON notification (created_s)",
    ],
    // The latest of each state, and of a line.
    &[
        "CREATE INDEX notification_state ON notification (state, id)",
        "CREATE INDEX notification_scope ON notification (scope, id)",
        "CREATE INDEX notification_sender ON notification (sender, id)",
    ],
    // Those whose time has come, by the state that they are in: one of all open ones is not chosen beside that of states.
    &["DROP INDEX notification_open", "CREATE INDEX notification_open ON notification (state, next_s, id)"],
    // By which way an organisation writes to whom both ways are known.
    &["ALTER TABLE organisation ADD COLUMN channel TEXT"],
    // What goes to somebody before another one does.
    &[
        "CREATE INDEX notification_ahead ON notification (target, channel, id) WHERE state IN ('waiting', 'sending')",
    ],
];

/// The database. Clones share the connection.
#[derive(Clone, Debug)]
pub(super) struct Store {
    database: Database,
    pool: SqlitePool,
}

/// The database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// It cannot be opened.
    #[error(transparent)]
    Closed(#[from] DatabaseError),
    /// It is from a newer program.
    #[error(
        "directory.db is of version {found}, which a newer tgtrunk has made; this one knows it up to version {known}: install the newer one again"
    )]
    Newer {
        /// Its version.
        found: i64,
        /// The newest that this program knows.
        known: usize,
    },
    /// SQLite refused.
    #[error("directory.db: {0}")]
    Sql(#[from] sqlx::Error),
}

impl Store {
    /// Opens the database, makes it (0600) where it is missing, and lifts an older one.
    pub(super) async fn open(state: &StateDir) -> Result<Self, StoreError> {
        let database = Database::open(state.directory_db()).await?;
        let pool = database.pool().clone();
        let mut transaction = pool.begin().await?;
        if let Lifted::Newer { found, known } = lift(&mut transaction, "directory_schema", &STEPS).await? {
            return Err(StoreError::Newer { found, known });
        }
        // What was being handed over when the program ended: nobody knows how far that came.
        sqlx::query("UPDATE notification SET state = 'waiting', doubtful = 1 WHERE state = 'sending'")
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Self { database, pool })
    }

    /// Waits for running statements and closes the file.
    pub(super) async fn close(self) {
        self.database.close().await;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use sqlx::Row as _;

    use super::*;

    #[tokio::test]
    async fn the_file_is_its_owners_alone_and_a_newer_ones_is_left_as_it_is() {
        let (room, store) = store().await;
        let state = StateDir::at(room.path());
        let mode = std::fs::metadata(state.directory_db()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        sqlx::query("UPDATE directory_schema SET version = 99").execute(&store.pool).await.unwrap();
        store.close().await;
        let refused = Store::open(&state).await.unwrap_err();
        assert!(matches!(refused, StoreError::Newer { found: 99, .. }), "{refused}");
    }

    #[tokio::test]
    async fn the_file_of_the_version_before_is_lifted_and_keeps_what_it_has() {
        let (room, store) = store().await;
        store.add_token(None, None, "hash", "1C", 1_000).await.unwrap();
        for undone in [
            "DROP INDEX notification_state",
            "DROP INDEX notification_scope",
            "DROP INDEX notification_sender",
            "ALTER TABLE organisation DROP COLUMN channel",
            "DROP INDEX notification_ahead",
        ] {
            sqlx::query(undone).execute(&store.pool).await.unwrap();
        }
        sqlx::query("UPDATE directory_schema SET version = 1").execute(&store.pool).await.unwrap();
        store.close().await;
        let store = Store::open(&StateDir::at(room.path())).await.unwrap();
        assert_eq!(store.tokens().await.unwrap().len(), 1);
        let indices = "SELECT COUNT(*) FROM sqlite_master WHERE name LIKE 'notification_s%'";
        let found: i64 = sqlx::query(indices).fetch_one(&store.pool).await.unwrap().get(0);
        assert_eq!(found, 3);
    }

    pub(crate) async fn store() -> (tempfile::TempDir, Store) {
        let room = tempfile::tempdir().unwrap();
        let store = Store::open(&StateDir::at(room.path())).await.unwrap();
        (room, store)
    }
}
