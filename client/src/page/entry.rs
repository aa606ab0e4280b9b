//! Who may see the page: one password, kept as Argon2id (RFC 9106), and the browsers that are logged in, in `page.db`.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sqlx::{ConnectOptions as _, Row as _, SqlitePool};
use tgtrunk_config::{Said, StateDir};
use tgtrunk_shell::clock::random;
use tokio::sync::Semaphore;

use crate::clock::unix_s;

/// How long a browser that does not come back stays logged in, in seconds.
const STAY_S: i64 = 30 * 24 * 3600;
/// Browsers that are logged in at once; the one that came longest ago makes room.
const SESSIONS: u32 = 100;
/// How often a visit is noted, in seconds.
const NOTE_S: i64 = 300;
/// Passwords that are tried at the same time: each takes 19 MiB and a processor for a moment.
const TRIES: usize = 2;
/// Length of a password, in characters.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 8..=128;
/// How long a statement waits for the file.
const PATIENCE: Duration = Duration::from_secs(5);

const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS page_password (
        id BIGINT PRIMARY KEY,
        hash TEXT NOT NULL)",
    // Of a session only the hash of its token is kept: whoever reads the file gets in nowhere.
    "CREATE TABLE IF NOT EXISTS page_session (
        token_hash TEXT PRIMARY KEY,
        begun_s BIGINT NOT NULL,
        seen_s BIGINT NOT NULL)",
];

/// The page's door.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pool: SqlitePool,
    /// The first password for whoever sets the installation up, until it was used.
    first: Option<PathBuf>,
    tries: Arc<Semaphore>,
    /// Hashes of the tokens of browsers that came while nothing could be written.
    unwritten: Arc<Mutex<VecDeque<String>>>,
}

/// A browser that is logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// What its cookie holds.
    token: String,
}

impl Entry {
    /// Opens the door in a state directory; gives the password too where there was none and one was made.
    ///
    /// # Errors
    /// When the database cannot be opened.
    pub(crate) async fn open(state: &StateDir) -> anyhow::Result<(Self, Option<String>)> {
        let options = SqliteConnectOptions::new()
            .filename(state.page_db())
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal);
        // The file is the owner's alone from its first moment.
        let empty = OpenOptions::new().append(true).create(true).mode(0o600).open(state.page_db());
        empty.with_context(|| format!("cannot write {}", state.page_db().display()))?;
        let mut entry = Self::with(options).await?;
        entry.first = Some(state.page_password());
        let password = entry.begin().await?;
        if let Some(password) = &password {
            let text = format!("{password}\n");
            state.replace(&state.page_password(), text.as_bytes())?;
        }
        Ok((entry, password))
    }

    /// A door that is forgotten with this process, for a state directory that cannot be written.
    ///
    /// # Errors
    /// When there is no memory.
    pub(crate) async fn in_memory() -> anyhow::Result<(Self, Option<String>)> {
        let entry = Self::with(SqliteConnectOptions::from_str("sqlite::memory:")?).await?;
        let password = entry.begin().await?;
        Ok((entry, password))
    }

    async fn with(options: SqliteConnectOptions) -> anyhow::Result<Self> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_release(|connection, _| Box::pin(tgtrunk_telegram::is_out_of_transactions(connection)))
            .connect_with(options.busy_timeout(PATIENCE).disable_statement_logging())
            .await
            .context("page.db cannot be opened")?;
        for table in TABLES {
            sqlx::query(table).execute(&pool).await.context("page.db cannot be used")?;
        }
        Ok(Self { pool, first: None, tries: Arc::new(Semaphore::new(TRIES)), unwritten: Arc::default() })
    }

    /// Makes the first password where there is none.
    async fn begin(&self) -> anyhow::Result<Option<String>> {
        let known = sqlx::query("SELECT hash FROM page_password").fetch_optional(&self.pool).await?;
        if known.is_some() {
            return Ok(None);
        }
        self.renew().await.map(Some)
    }

    /// Makes a new password and ends every session.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn renew(&self) -> anyhow::Result<String> {
        let password = made_up();
        self.set(&password).await?;
        Ok(password)
    }

    /// Sets the password and ends every session.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn set(&self, password: &str) -> anyhow::Result<()> {
        let typed = password.to_owned();
        let _turn = self.tries.acquire().await?;
        let hash = tokio::task::spawn_blocking(move || hashed(&typed)).await??;
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM page_password").execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO page_password (id, hash) VALUES (1, $1)")
            .bind(hash)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM page_session").execute(&mut *transaction).await?;
        transaction.commit().await?;
        self.change_unwritten(VecDeque::clear);
        self.forget_first();
        Ok(())
    }

    /// Whether this is the password.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn is_password(&self, password: &str) -> anyhow::Result<bool> {
        if password.chars().count() > *PASSWORD_CHARS.end() {
            return Ok(false);
        }
        let row = sqlx::query("SELECT hash FROM page_password").fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(false) };
        let (hash, typed): (String, String) = (row.try_get(0)?, password.to_owned());
        let _turn = self.tries.acquire().await?;
        let fits = move || {
            let hash = PasswordHash::new(&hash).ok();
            hash.is_some_and(|hash| argon2().verify_password(typed.as_bytes(), &hash).is_ok())
        };
        Ok(tokio::task::spawn_blocking(fits).await?)
    }

    /// Begins a session of somebody who knew the password. Where the database cannot be written it lasts as long as this
    /// process: whoever has to make room on the disk must get in.
    pub(crate) async fn log_in(&self) -> Session {
        let session = Session { token: URL_SAFE_NO_PAD.encode(random::<32>()) };
        match self.keep(&session).await {
            Ok(()) => self.forget_first(),
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "a login at the page lasts until the next start"
                );
                self.change_unwritten(|unwritten| {
                    unwritten.push_front(session.hash());
                    unwritten.truncate(usize::try_from(SESSIONS).unwrap_or(usize::MAX));
                });
            }
        }
        session
    }

    async fn keep(&self, session: &Session) -> anyhow::Result<()> {
        let now_s = unix_s();
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM page_session WHERE seen_s < $1")
            .bind(now_s - STAY_S)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM page_session WHERE token_hash IN
                (SELECT token_hash FROM page_session ORDER BY seen_s DESC LIMIT -1 OFFSET $1)",
        )
        .bind(i64::from(SESSIONS) - 1)
        .execute(&mut *transaction)
        .await?;
        sqlx::query("INSERT INTO page_session (token_hash, begun_s, seen_s) VALUES ($1, $2, $2)")
            .bind(session.hash())
            .bind(now_s)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The session of a cookie's token, if there is one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) async fn session(&self, token: &str) -> anyhow::Result<Option<Session>> {
        if token.len() != 43 {
            return Ok(None);
        }
        let (session, now_s) = (Session { token: token.to_owned() }, unix_s());
        if self.change_unwritten(|unwritten| unwritten.contains(&session.hash())) {
            return Ok(Some(session));
        }
        let row = sqlx::query("SELECT seen_s FROM page_session WHERE token_hash = $1")
            .bind(session.hash())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let seen_s: i64 = row.try_get(0)?;
        if seen_s < now_s - STAY_S {
            return Ok(None);
        }
        if seen_s < now_s - NOTE_S {
            let noted = sqlx::query("UPDATE page_session SET seen_s = $1 WHERE token_hash = $2")
                .bind(now_s)
                .bind(session.hash())
                .execute(&self.pool)
                .await;
            if let Err(error) = noted {
                tracing::debug!(%error, "a visit was not noted");
            }
        }
        Ok(Some(session))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn log_out(&self, session: &Session) -> anyhow::Result<()> {
        self.change_unwritten(|unwritten| unwritten.retain(|hash| *hash != session.hash()));
        sqlx::query("DELETE FROM page_session WHERE token_hash = $1")
            .bind(session.hash())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Whether a password may be one.
    ///
    /// # Errors
    /// What is wanted instead.
    pub(crate) fn judge(password: &str) -> Result<(), Said> {
        let length = password.chars().count();
        if PASSWORD_CHARS.contains(&length) && !password.chars().any(char::is_control) {
            return Ok(());
        }
        let (least, most) = (PASSWORD_CHARS.start(), PASSWORD_CHARS.end());
        Err(Said::new(
            format!("A password has {least} to {most} characters."),
            format!("В пароле от {least} до {most} знаков."),
        ))
    }

    fn change_unwritten<T>(&self, change: impl FnOnce(&mut VecDeque<String>) -> T) -> T {
        change(&mut self.unwritten.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn forget_first(&self) {
        if let Some(first) = &self.first {
            std::fs::remove_file(first).ok();
        }
    }
}

impl Session {
    /// What its cookie holds.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// What every form of this browser carries, and no other site can know.
    pub(crate) fn csrf(&self) -> String {
        let hash = Sha256::new().chain_update(b"form of ").chain_update(&self.token).finalize();
        URL_SAFE_NO_PAD.encode(&hash[..18])
    }

    fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.token))
    }
}

/// Argon2id with 19 MiB and two passes, the first of OWASP's recommendations.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

fn hashed(password: &str) -> anyhow::Result<String> {
    let salt = SaltString::encode_b64(&random::<16>()).map_err(|error| anyhow::anyhow!("salt: {error}"))?;
    let hash = argon2().hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(|error| anyhow::anyhow!("the password cannot be hashed: {error}"))?.to_string())
}

/// A password that a person can read aloud: 16 of 32 characters, 80 bits.
fn made_up() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letters: Vec<char> =
        random::<16>().iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect();
    letters.chunks(4).map(|four| four.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn the_first_password_is_made_once_and_lies_there_until_it_was_used() {
        let (room, state) = state();
        let (entry, made) = Entry::open(&state).await.unwrap();
        let made = made.unwrap();
        assert_eq!((made.len(), made.matches('-').count()), (19, 3));
        assert_eq!(std::fs::read_to_string(state.page_password()).unwrap(), format!("{made}\n"));
        assert_eq!(std::fs::metadata(state.page_db()).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(entry.is_password(&made).await.unwrap());
        assert!(!entry.is_password("another").await.unwrap());
        drop(entry);
        let (entry, again) = Entry::open(&state).await.unwrap();
        assert_eq!(again, None);
        assert!(entry.is_password(&made).await.unwrap() && state.page_password().exists());
        entry.log_in().await;
        assert!(!state.page_password().exists());
        assert!(state.too_open().unwrap().is_empty());
        drop(room);
    }

    #[tokio::test]
    async fn a_session_lasts_until_it_ends_or_the_password_changes() {
        let (entry, _) = Entry::in_memory().await.unwrap();
        let (first, second) = (entry.log_in().await, entry.log_in().await);
        assert_ne!(first.csrf(), second.csrf());
        assert_eq!(entry.session(first.token()).await.unwrap(), Some(first.clone()));
        entry.log_out(&first).await.unwrap();
        assert_eq!(entry.session(first.token()).await.unwrap(), None);
        assert_eq!(entry.session("' OR 1=1 --").await.unwrap(), None);
        assert!(entry.session(second.token()).await.unwrap().is_some());
        entry.set("another password").await.unwrap();
        assert_eq!(entry.session(second.token()).await.unwrap(), None);
        assert!(entry.is_password("another password").await.unwrap());
    }

    #[tokio::test]
    async fn no_more_than_a_hundred_browsers_are_remembered() {
        let (entry, _) = Entry::in_memory().await.unwrap();
        for _ in 0..105 {
            entry.log_in().await;
        }
        let row = sqlx::query("SELECT count(*) FROM page_session").fetch_one(&entry.pool).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), 100);
    }

    #[tokio::test]
    async fn whoever_comes_while_nothing_can_be_written_gets_in_until_they_leave() {
        let (entry, _) = Entry::in_memory().await.unwrap();
        sqlx::query("PRAGMA query_only = ON").execute(&entry.pool).await.unwrap();
        let (first, second) = (entry.log_in().await, entry.log_in().await);
        assert_eq!(entry.session(first.token()).await.unwrap(), Some(first.clone()));
        // What is kept on the disk cannot be ended now; what is not, can.
        assert!(entry.log_out(&first).await.is_err());
        assert_eq!(entry.session(first.token()).await.unwrap(), None);
        sqlx::query("PRAGMA query_only = OFF").execute(&entry.pool).await.unwrap();
        assert!(entry.session(second.token()).await.unwrap().is_some());
        entry.set("another password").await.unwrap();
        assert_eq!(entry.session(second.token()).await.unwrap(), None);
    }

    #[test]
    fn short_long_and_strange_passwords_are_refused_with_a_sentence() {
        assert_eq!(Entry::judge("12345678"), Ok(()));
        for wrong in ["1234567", "12345\n678", &"x".repeat(129)] {
            assert_eq!(Entry::judge(wrong).unwrap_err().en, "A password has 8 to 128 characters.");
        }
    }

    fn state() -> (tempfile::TempDir, StateDir) {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        (room, state)
    }
}
