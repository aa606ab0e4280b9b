//! The program's one database file for a number: locked against a second process, readable by its owner alone.
//!
//! One SQLite connection, write-ahead log, `synchronous = FULL`: what a write returned for is on the disk. Files are made with
//! `auto_vacuum = INCREMENTAL`, so that whoever forgets much can make them smaller.
//! The program keeps its own tables beside this crate's `tg_` ones, through the same pool.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};
use tgtrunk_config::{Said, Trouble};

/// How long a statement waits for the file, or a caller for the connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// A child process holds our locks for a moment, between its birth and its own program.
const LOCK_TRIES: u32 = 10;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// An open database file. Clones share the connection and the lock; closing gives the lock back, or else the last one.
#[derive(Debug, Clone)]
pub struct Database {
    pool: SqlitePool,
    path: PathBuf,
    lock: Arc<File>,
}

/// Why a database did not open.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Another process, or another part of this one, has it open.
    #[error("{path} is in use by another process{}: one process per session", held_by(*.pid))]
    InUse {
        /// The database file.
        path: PathBuf,
        /// Who holds it, where the lock file tells.
        pid: Option<u32>,
    },
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite refused.
    #[error("{path}: {source}")]
    Sql {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
}

/// The same in both languages.
impl From<&DatabaseError> for Said {
    fn from(error: &DatabaseError) -> Self {
        if let Some(trouble) = trouble(error) {
            return trouble.into();
        }
        let ru = match error {
            DatabaseError::InUse { path, pid } => format!(
                "{} занят другим процессом{}: на одну сессию один процесс",
                path.display(),
                held_by(*pid)
            ),
            DatabaseError::Io { path, source } => format!("{}: {source}", path.display()),
            DatabaseError::Sql { path, source } => format!("{}: {source}", path.display()),
        };
        Self::new(error.to_string(), ru)
    }
}

/// What an operator can mend.
fn trouble(error: &DatabaseError) -> Option<Trouble> {
    match error {
        DatabaseError::InUse { .. } => None,
        DatabaseError::Io { path, source } => Trouble::of_file(source, path),
        DatabaseError::Sql { path, source } => {
            // Primary result codes of SQLite; the rest of the number says more exactly what was tried.
            let code: i32 = source.as_database_error()?.code()?.parse().ok()?;
            match code & 0xff {
                8 => Some(Trouble::NotAllowed { path: path.clone() }),
                13 => Some(Trouble::DiskFull { path: path.clone() }),
                // It cannot be opened although it is there.
                14 if path.exists() => Some(Trouble::NotAllowed { path: path.clone() }),
                _ => None,
            }
        }
    }
}

/// What a connection keeps of a file's pages in memory (`PRAGMA cache_size`), in KiB with the sign turned: a line has several
/// connections, and by itself each grows to 2 MiB as the file does.
pub const CACHE: &str = "-256";

impl Database {
    /// Opens the file, makes it (0600) and its folder (0700) where they are missing, and locks it by `<file>.lock`.
    ///
    /// # Errors
    /// [`DatabaseError::InUse`] when someone else has it, otherwise what the file system or SQLite said.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, DatabaseError> {
        let path = path.as_ref().to_path_buf();
        let lock = prepare(&path).await?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // Of a new file; another one stays as it is.
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .foreign_keys(true)
            .pragma("cache_size", CACHE)
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            // Its other end is a thread of ours, and a question that is given up costs the connection.
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|connection, _| Box::pin(is_out_of_transactions(connection)))
            .connect_with(options)
            .await
            .map_err(|source| DatabaseError::Sql { path: path.clone(), source })?;
        Ok(Self { pool, path, lock: Arc::new(lock) })
    }

    /// The one connection, as a pool of one.
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for running statements, closes the connection, folds the write-ahead log into the file and gives the lock
    /// back. Whoever has a clone can do nothing with it any more.
    pub async fn close(self) {
        self.pool.close().await;
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "a database's lock cannot be given back");
        }
    }
}

/// Whether a connection that is given back to its pool is in no transaction any more; another one takes its place. For
/// `after_release` of every pool.
///
/// A full disk ends a transaction by itself (sqlite.org/lang_transaction.html, "Response To Errors Within A Transaction").
/// sqlx goes on to count it: what it begins after that is a savepoint to it, and the first that is given up leaves a
/// transaction open, in which everything that is written later is lost when the program ends.
///
/// # Errors
/// The connection is broken.
pub async fn is_out_of_transactions(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if !connection.is_in_transaction() {
        return Ok(true);
    }
    // What was dropped is rolled back by then.
    connection.ping().await?;
    let is_out = !connection.is_in_transaction();
    if !is_out {
        tracing::debug!("SQLite has ended a transaction by itself, as it does on a full disk");
    }
    Ok(is_out)
}

async fn prepare(path: &Path) -> Result<File, DatabaseError> {
    let io = |at: &Path| {
        let path = at.to_path_buf();
        move |source| DatabaseError::Io { path, source }
    };
    if let Some(folder) = path.parent()
        && !folder.as_os_str().is_empty()
        && !folder.exists()
    {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io(folder))?;
    }
    let lock = take_lock(path).await?;
    let file = owner_only().open(path).map_err(io(path))?;
    file.set_permissions(Permissions::from_mode(0o600)).map_err(io(path))?;
    Ok(lock)
}

async fn take_lock(path: &Path) -> Result<File, DatabaseError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock_path = PathBuf::from(name);
    let io = |source| DatabaseError::Io { path: lock_path.clone(), source };
    let mut lock = owner_only().open(&lock_path).map_err(io)?;
    let mut tries = 1;
    loop {
        match lock.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                tries += 1;
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let pid = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(DatabaseError::InUse { path: path.to_path_buf(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
    }
    lock.set_len(0).and_then(|()| lock.rewind()).map_err(io)?;
    writeln!(lock, "{}", std::process::id()).map_err(io)?;
    Ok(lock)
}

fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

fn held_by(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (pid {pid})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_opening_is_refused_and_names_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("line").join("gateway.db");
        let first = Database::open(&path).await.unwrap();
        let refused = Database::open(&path).await.unwrap_err();
        assert!(matches!(refused, DatabaseError::InUse { pid: Some(pid), .. } if pid == std::process::id()));
        assert!(refused.to_string().contains("in use by another process"), "{refused}");
        let clone = first.clone();
        first.close().await;
        Database::open(&path).await.unwrap();
        assert!(sqlx::query("SELECT 1").execute(clone.pool()).await.is_err());
    }

    #[tokio::test]
    async fn file_and_folder_are_for_the_owner_alone_even_if_they_were_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("line").join("gateway.db");
        drop(Database::open(&path).await.unwrap());
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let database = Database::open(&path).await.unwrap();
        sqlx::query("CREATE TABLE own (x BIGINT)").execute(database.pool()).await.unwrap();
        let mode = |name: &Path| std::fs::metadata(name).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            assert_eq!(mode(Path::new(&name)), 0o600, "{suffix}");
        }
    }

    #[tokio::test]
    async fn what_is_written_after_the_disk_was_full_is_there_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path().join("gateway.db")).await.unwrap();
        let pool = database.pool();
        let say = async |text: &'static str| sqlx::query(text).execute(pool).await.map(drop);
        say("CREATE TABLE own (x BLOB)").await.unwrap();
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 10").execute(&mut *transaction).await.unwrap();
        let large = sqlx::query("INSERT INTO own VALUES (randomblob(1000000))");
        let error = large.execute(&mut *transaction).await.unwrap_err();
        assert!(error.to_string().contains("full"), "{error}");
        drop(transaction);
        say("PRAGMA max_page_count = 100000").await.unwrap();
        // Somebody looks, and gives up what they began.
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("SELECT * FROM own").fetch_all(&mut *transaction).await.unwrap();
        drop(transaction);
        say("INSERT INTO own VALUES (1)").await.unwrap();
        let mut transaction = pool.begin().await.unwrap();
        sqlx::query("INSERT INTO own VALUES (2)").execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
        let other = SqliteConnectOptions::new().filename(database.path()).read_only(true);
        let mut other = SqliteConnection::connect_with(&other).await.unwrap();
        let (count,): (i64,) =
            sqlx::query_as("SELECT COUNT(*) FROM own").fetch_one(&mut other).await.unwrap();
        assert_eq!(count, 2);
    }

    #[tokio::test]
    async fn writes_are_synchronous_and_logged_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path().join("gateway.db")).await.unwrap();
        let (journal,): (String,) =
            sqlx::query_as("PRAGMA journal_mode").fetch_one(database.pool()).await.unwrap();
        let (full,): (i64,) = sqlx::query_as("PRAGMA synchronous").fetch_one(database.pool()).await.unwrap();
        let (cache,): (i64,) = sqlx::query_as("PRAGMA cache_size").fetch_one(database.pool()).await.unwrap();
        assert_eq!(cache.to_string(), CACHE);
        assert_eq!((journal.as_str(), full), ("wal", 2));
        let (incremental,): (i64,) =
            sqlx::query_as("PRAGMA auto_vacuum").fetch_one(database.pool()).await.unwrap();
        assert_eq!(incremental, 2, "what is forgotten can be given back to the disk");
    }
}
