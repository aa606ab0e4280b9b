//! `bots/<username>/bot.db`: who wrote to the bot, what it still has to send, what it has told. Plain SQL.
//!
//! What a write returned for is on the disk. Nothing here stands between a pressed button and the gateway.

mod call_backs;
mod errands;
mod letters;
mod people;
mod programs;
mod tokens;

use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _, SqliteConnection, SqlitePool};
use tgtrunk_config::{Language, Phone, UserId};

pub(crate) use call_backs::Asked;
pub(crate) use errands::{Outcome, Taken};
pub(crate) use letters::Letter;
pub(crate) use people::Seen;
pub(crate) use programs::Incoming;

/// How long a statement waits for the file, or a caller for the connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long Telegram repeats an update that was not confirmed (core.telegram.org/bots/api#getting-updates).
pub(crate) const REPEATED_MS: i64 = 24 * 3_600_000;

const TABLES: [&str; 16] = [
    "CREATE TABLE IF NOT EXISTS person (
        user_id BIGINT PRIMARY KEY,
        name TEXT NOT NULL,
        username TEXT,
        language TEXT,
        first_ms BIGINT NOT NULL,
        last_ms BIGINT NOT NULL,
        wrote BIGINT NOT NULL,
        blocked BIGINT NOT NULL)",
    // What is not sent yet. `button` stands in place of the person's letters.
    "CREATE TABLE IF NOT EXISTS letter (
        letter_id BIGINT PRIMARY KEY,
        user_id BIGINT NOT NULL,
        text TEXT NOT NULL,
        button TEXT,
        made_ms BIGINT NOT NULL)",
    // Updates that are dealt with; Telegram may repeat them after a crash.
    "CREATE TABLE IF NOT EXISTS taken (
        update_id BIGINT PRIMARY KEY,
        at_ms BIGINT NOT NULL)",
    // Call-backs that are under way, and those whose outcome is not shown yet.
    "CREATE TABLE IF NOT EXISTS ordered (
        key TEXT PRIMARY KEY,
        user_id BIGINT NOT NULL,
        operator_id BIGINT,
        line TEXT NOT NULL,
        name TEXT NOT NULL,
        message TEXT,
        language TEXT NOT NULL,
        asked_ms BIGINT NOT NULL,
        tries BIGINT NOT NULL,
        call_id TEXT,
        talked BIGINT NOT NULL,
        outcome TEXT)",
    "CREATE TABLE IF NOT EXISTS told (
        trouble TEXT PRIMARY KEY,
        at_ms BIGINT NOT NULL)",
    // Whose a line is, for when the gateway cannot tell.
    "CREATE TABLE IF NOT EXISTS account (
        line TEXT PRIMARY KEY,
        user_id BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS secret (
        word TEXT PRIMARY KEY,
        value TEXT NOT NULL)",
    // What programs had written, by their own keys: `waiting` as long as the letter is there, then `sent` or `failed`.
    "CREATE TABLE IF NOT EXISTS errand (
        key TEXT PRIMARY KEY,
        user_id BIGINT NOT NULL,
        text_sha256 TEXT NOT NULL,
        letter_id BIGINT NOT NULL,
        state TEXT NOT NULL,
        message BIGINT,
        reason TEXT,
        blocked BIGINT NOT NULL,
        made_ms BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS errand_waiting ON errand (letter_id) WHERE state = 'waiting'",
    "CREATE INDEX IF NOT EXISTS errand_made ON errand (made_ms)",
    // What other programs are told. Without its text an update was fetched, and Telegram may repeat it all the same.
    "CREATE TABLE IF NOT EXISTS news (
        number BIGINT PRIMARY KEY,
        update_id BIGINT NOT NULL UNIQUE,
        chat BIGINT NOT NULL,
        text TEXT,
        at_ms BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS news_waits ON news (number) WHERE text IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS news_of_chat ON news (chat, number) WHERE text IS NOT NULL",
    // What other programs have settled: their webhook, the kinds of updates that they want, when they asked last.
    "CREATE TABLE IF NOT EXISTS settled (
        word TEXT PRIMARY KEY,
        value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS api_token (
        token_id BIGINT PRIMARY KEY,
        hash TEXT NOT NULL UNIQUE,
        label TEXT NOT NULL,
        made_ms BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS api_token_use (
        token_id BIGINT PRIMARY KEY,
        used_ms BIGINT NOT NULL)",
];

/// A bot's database. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pool: SqlitePool,
    last_letter: Arc<AtomicI64>,
}

/// The database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The database file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// SQLite refused.
    #[error("bot.db: {0}")]
    Sql(#[from] sqlx::Error),
}

impl Store {
    /// Opens the file and makes it (0600) and its tables where they are missing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = file.open(path).map_err(io)?;
        file.set_permissions(Permissions::from_mode(0o600)).map_err(io)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // Of a new file; another one stays as it is.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|connection, _| Box::pin(is_out_of_transactions(connection)))
            .connect_with(options)
            .await?;
        let mut transaction = pool.begin().await?;
        for table in TABLES {
            sqlx::query(table).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        let last = sqlx::query("SELECT COALESCE(MAX(letter_id), 0) FROM letter").fetch_one(&pool).await?;
        Ok(Self { last_letter: Arc::new(AtomicI64::new(last.try_get(0)?)), pool })
    }

    /// The tables of the bot's messages, in the same file.
    ///
    /// # Errors
    /// They are a newer program's, or what SQLite said.
    pub(crate) async fn messages(&self) -> Result<tgtrunk_messages::Store, tgtrunk_messages::StoreError> {
        tgtrunk_messages::Store::open(self.pool.clone()).await
    }

    /// Waits for running statements and closes the file.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Notes updates that are dealt with, and forgets those from before `old_ms`, which Telegram does not repeat any more.
    pub(crate) async fn take(&self, updates: &[u32], now_ms: u64, old_ms: i64) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        for update in updates {
            let note =
                "INSERT INTO taken (update_id, at_ms) VALUES ($1, $2) ON CONFLICT (update_id) DO NOTHING";
            sqlx::query(note)
                .bind(i64::from(*update))
                .bind(number(now_ms))
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query("DELETE FROM taken WHERE at_ms < $1").bind(old_ms).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// The updates that were dealt with lately.
    pub(crate) async fn taken(&self) -> Result<Vec<u32>, StoreError> {
        let rows =
            sqlx::query("SELECT update_id FROM taken ORDER BY update_id").fetch_all(&self.pool).await?;
        let ids: Result<Vec<i64>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        Ok(ids?.into_iter().filter_map(|id| u32::try_from(id).ok()).collect())
    }

    /// Notes whose a line is.
    pub(crate) async fn own(&self, line: &Phone, account: UserId) -> Result<(), StoreError> {
        let note = "INSERT INTO account (line, user_id) VALUES ($1, $2)
            ON CONFLICT (line) DO UPDATE SET user_id = excluded.user_id";
        sqlx::query(note).bind(line.as_str()).bind(account.number()).execute(&self.pool).await?;
        Ok(())
    }

    /// Whose the lines are.
    pub(crate) async fn accounts(&self) -> Result<BTreeMap<Phone, UserId>, StoreError> {
        let mut accounts = BTreeMap::new();
        for row in sqlx::query("SELECT * FROM account").fetch_all(&self.pool).await? {
            let line: String = row.try_get("line")?;
            if let (Ok(line), Some(account)) = (line.parse(), user(&row, "user_id")?) {
                accounts.insert(line, account);
            }
        }
        Ok(accounts)
    }

    /// A secret of this bot, `made` the first time it is asked for.
    pub(crate) async fn secret(&self, word: &str, made: String) -> Result<String, StoreError> {
        let note = "INSERT INTO secret (word, value) VALUES ($1, $2) ON CONFLICT (word) DO NOTHING";
        sqlx::query(note).bind(word).bind(made).execute(&self.pool).await?;
        let row = sqlx::query("SELECT value FROM secret WHERE word = $1").bind(word);
        Ok(row.fetch_one(&self.pool).await?.try_get(0)?)
    }
}

/// As the database has it.
pub(crate) fn number(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

fn whole(row: &SqliteRow, column: &str) -> Result<u64, sqlx::Error> {
    Ok(u64::try_from(row.try_get::<i64, _>(column)?).unwrap_or(0))
}

fn user(row: &SqliteRow, column: &str) -> Result<Option<UserId>, sqlx::Error> {
    Ok(UserId::new(row.try_get(column)?).ok())
}

fn language(row: &SqliteRow) -> Result<Option<Language>, sqlx::Error> {
    let code: Option<String> = row.try_get("language")?;
    Ok(code.and_then(|code| code.parse().ok()))
}

/// Whether a connection that is given back is in no transaction any more; another one takes its place. A full disk ends one by
/// itself, and sqlx goes on to count it: what is written after that could stay in a transaction that nobody commits.
async fn is_out_of_transactions(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if !connection.is_in_transaction() {
        return Ok(true);
    }
    // What was dropped is rolled back by then.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::programs::tests::fill_disk;
    use super::*;

    #[tokio::test]
    async fn updates_are_remembered_as_long_as_telegram_repeats_them() {
        let (_room, store) = store().await;
        store.take(&[7, 8, 7], 1_000, 0).await.unwrap();
        assert_eq!(store.taken().await.unwrap(), [7, 8]);
        store.take(&[9], 5_000, 1_001).await.unwrap();
        assert_eq!(store.taken().await.unwrap(), [9]);
    }

    #[tokio::test]
    async fn what_is_written_after_the_disk_was_full_is_there_for_others() {
        let (room, store) = store().await;
        sqlx::query("CREATE TABLE own (x BLOB)").execute(&store.pool).await.unwrap();
        let mut transaction = store.pool.begin().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 10").execute(&mut *transaction).await.unwrap();
        let large = sqlx::query("INSERT INTO own VALUES (randomblob(1000000))");
        let error = large.execute(&mut *transaction).await.unwrap_err();
        assert!(error.to_string().contains("full"), "{error}");
        drop(transaction);
        // Somebody gives up what they began.
        drop(store.pool.begin().await.unwrap());
        store.take(&[7], 1_000, 0).await.unwrap();
        let other = Store::open(&room.path().join("bot.db")).await.unwrap();
        assert_eq!(other.taken().await.unwrap(), [7]);
    }

    #[tokio::test]
    async fn a_secret_is_made_once_and_the_file_is_its_owners_alone() {
        let (room, store) = store().await;
        assert_eq!(store.secret("webhook", "a".into()).await.unwrap(), "a");
        assert_eq!(store.secret("webhook", "b".into()).await.unwrap(), "a");
        let mode = std::fs::metadata(room.path().join("bot.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let line: Phone = "+79060000000".parse().unwrap();
        store.own(&line, UserId::new(42).unwrap()).await.unwrap();
        assert_eq!(store.accounts().await.unwrap()[&line].number(), 42);
    }

    pub(crate) async fn store() -> (tempfile::TempDir, Store) {
        let room = tempfile::tempdir().unwrap();
        let store = Store::open(&room.path().join("bot.db")).await.unwrap();
        (room, store)
    }
}
