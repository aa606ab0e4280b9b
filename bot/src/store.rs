//! `bots/<username>/bot.db`: who wrote to the bot, what it still has to send, what it has told. Plain SQL.
//!
//! What a write returned for is on the disk. Nothing here stands between a pressed button and the gateway.

use std::collections::BTreeMap;
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Row as _, SqlitePool};
use tgtrunk_config::{CallId, Language, Phone, UserId};

use crate::notices::Trouble;
use crate::telegram::Person;

/// How long a statement waits for the file, or a caller for the connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long Telegram repeats an update that was not confirmed (core.telegram.org/bots/api#getting-updates).
const REPEATED_MS: i64 = 24 * 3_600_000;

const TABLES: [&str; 7] = [
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
    // Call-backs that are under way, one per person.
    "CREATE TABLE IF NOT EXISTS call_back (
        user_id BIGINT PRIMARY KEY,
        line TEXT NOT NULL,
        name TEXT NOT NULL,
        message TEXT,
        language TEXT NOT NULL,
        asked_ms BIGINT NOT NULL,
        tries BIGINT NOT NULL,
        call_id TEXT,
        talked BIGINT NOT NULL)",
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

/// A person who came near the bot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) username: Option<String>,
    pub(crate) language: Option<Language>,
    pub(crate) first_ms: u64,
    pub(crate) last_ms: u64,
    pub(crate) blocked: bool,
}

/// A message that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) id: i64,
    pub(crate) to: UserId,
    pub(crate) text: String,
    pub(crate) button: Option<String>,
    pub(crate) made_ms: u64,
}

/// A call-back that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) person: UserId,
    pub(crate) name: String,
    pub(crate) line: Phone,
    /// The message with the button, if it can be edited.
    pub(crate) message: Option<String>,
    pub(crate) language: Language,
    pub(crate) asked_ms: u64,
    /// How often the gateway was asked for the call.
    pub(crate) tries: u32,
    /// The call, once the gateway has it.
    pub(crate) call: Option<CallId>,
    /// Whether both talked.
    pub(crate) talked: bool,
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
            .busy_timeout(PATIENCE)
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
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

    /// Waits for running statements and closes the file.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Notes people, and that they wrote to the bot if they `wrote`; whoever writes does not block it.
    pub(crate) async fn see(&self, people: &[Person], wrote: bool, now_ms: u64) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        for person in people {
            see(&mut transaction, person, wrote, now_ms).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Notes a person who wrote, together with what they will be answered.
    pub(crate) async fn see_and_owe(
        &self,
        person: &Person,
        text: &str,
        button: Option<&str>,
        now_ms: u64,
    ) -> Result<Letter, StoreError> {
        let letter = self.letter(person.id, text, button, now_ms);
        let mut transaction = self.pool.begin().await?;
        see(&mut transaction, person, true, now_ms).await?;
        owe(&mut transaction, &letter).await?;
        transaction.commit().await?;
        Ok(letter)
    }

    /// Notes whether a person blocks the bot.
    pub(crate) async fn block(&self, person: UserId, blocked: bool) -> Result<(), StoreError> {
        let query = sqlx::query("UPDATE person SET blocked = $1 WHERE user_id = $2");
        query.bind(i64::from(blocked)).bind(person.number()).execute(&self.pool).await?;
        Ok(())
    }

    /// Those who wrote to the bot, the latest first.
    pub(crate) async fn seen(&self) -> Result<Vec<Seen>, StoreError> {
        let rows = sqlx::query("SELECT * FROM person WHERE wrote = 1 ORDER BY last_ms DESC");
        let mut seen = Vec::new();
        for row in rows.fetch_all(&self.pool).await? {
            let Some(id) = user(&row, "user_id")? else { continue };
            seen.push(Seen {
                id,
                name: row.try_get("name")?,
                username: row.try_get("username")?,
                language: language(&row)?,
                first_ms: whole(&row, "first_ms")?,
                last_ms: whole(&row, "last_ms")?,
                blocked: row.try_get::<i64, _>("blocked")? != 0,
            });
        }
        Ok(seen)
    }

    /// The languages of all people of whom one is known.
    pub(crate) async fn languages(&self) -> Result<BTreeMap<UserId, Language>, StoreError> {
        let rows = sqlx::query("SELECT user_id, language FROM person WHERE language IS NOT NULL");
        let mut languages = BTreeMap::new();
        for row in rows.fetch_all(&self.pool).await? {
            if let (Some(id), Some(language)) = (user(&row, "user_id")?, language(&row)?) {
                languages.insert(id, language);
            }
        }
        Ok(languages)
    }

    /// What is not sent yet, the oldest first.
    pub(crate) async fn owed(&self) -> Result<Vec<Letter>, StoreError> {
        let rows = sqlx::query("SELECT * FROM letter ORDER BY letter_id").fetch_all(&self.pool).await?;
        let mut owed = Vec::new();
        for row in rows {
            let Some(to) = user(&row, "user_id")? else { continue };
            owed.push(Letter {
                id: row.try_get("letter_id")?,
                to,
                text: row.try_get("text")?,
                button: row.try_get("button")?,
                made_ms: whole(&row, "made_ms")?,
            });
        }
        Ok(owed)
    }

    /// A message is sent, or never will be.
    pub(crate) async fn sent(&self, letter: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM letter WHERE letter_id = $1").bind(letter).execute(&self.pool).await?;
        Ok(())
    }

    /// Notes that operators are told of a trouble or of its end, together with the messages that tell it.
    pub(crate) async fn tell(
        &self,
        trouble: &Trouble,
        over: bool,
        letters: &[(UserId, String)],
        now_ms: u64,
    ) -> Result<Vec<Letter>, StoreError> {
        let letters = letters.iter().map(|(to, text)| self.letter(*to, text, None, now_ms));
        let letters: Vec<Letter> = letters.collect();
        let mut transaction = self.pool.begin().await?;
        let note = if over {
            sqlx::query("DELETE FROM told WHERE trouble = $1").bind(trouble.to_word())
        } else {
            let note = "INSERT INTO told (trouble, at_ms) VALUES ($1, $2) ON CONFLICT (trouble) DO NOTHING";
            sqlx::query(note).bind(trouble.to_word()).bind(number(now_ms))
        };
        note.execute(&mut *transaction).await?;
        for letter in &letters {
            owe(&mut transaction, letter).await?;
        }
        transaction.commit().await?;
        Ok(letters)
    }

    /// The troubles that operators were told of and that are not over.
    pub(crate) async fn told(&self) -> Result<Vec<Trouble>, StoreError> {
        let rows = sqlx::query("SELECT trouble FROM told").fetch_all(&self.pool).await?;
        let words: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        Ok(words?.iter().filter_map(|word| Trouble::from_word(word)).collect())
    }

    /// Notes updates that are dealt with, and forgets those that Telegram does not repeat any more.
    pub(crate) async fn take(&self, updates: &[u32], now_ms: u64) -> Result<(), StoreError> {
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
        let old = number(now_ms).saturating_sub(REPEATED_MS);
        sqlx::query("DELETE FROM taken WHERE at_ms < $1").bind(old).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// The updates that were dealt with lately.
    pub(crate) async fn taken(&self) -> Result<Vec<u32>, StoreError> {
        let rows =
            sqlx::query("SELECT update_id FROM taken ORDER BY update_id").fetch_all(&self.pool).await?;
        let ids: Result<Vec<i64>, _> = rows.iter().map(|row| row.try_get(0)).collect();
        Ok(ids?.into_iter().filter_map(|id| u32::try_from(id).ok()).collect())
    }

    /// Writes a call-back as it is now, with the press that asked for it.
    pub(crate) async fn ask(&self, asked: &Asked) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO call_back (user_id, line, name, message, language, asked_ms, tries, call_id, talked)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (user_id) DO UPDATE SET line = excluded.line, name = excluded.name,
                message = excluded.message, language = excluded.language, asked_ms = excluded.asked_ms,
                tries = excluded.tries, call_id = excluded.call_id, talked = excluded.talked",
        )
        .bind(asked.person.number())
        .bind(asked.line.as_str())
        .bind(&asked.name)
        .bind(&asked.message)
        .bind(asked.language.as_str())
        .bind(number(asked.asked_ms))
        .bind(i64::from(asked.tries))
        .bind(asked.call.map(|call| call.to_string()))
        .bind(i64::from(asked.talked))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A call-back is over.
    pub(crate) async fn answered(&self, person: UserId) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM call_back WHERE user_id = $1")
            .bind(person.number())
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The call-backs that are under way.
    pub(crate) async fn asked(&self) -> Result<Vec<Asked>, StoreError> {
        let rows = sqlx::query("SELECT * FROM call_back ORDER BY asked_ms").fetch_all(&self.pool).await?;
        let mut asked = Vec::new();
        for row in rows {
            let line: String = row.try_get("line")?;
            let call: Option<String> = row.try_get("call_id")?;
            let (Some(person), Ok(line)) = (user(&row, "user_id")?, line.parse()) else { continue };
            asked.push(Asked {
                person,
                name: row.try_get("name")?,
                line,
                message: row.try_get("message")?,
                language: language(&row)?.unwrap_or_default(),
                asked_ms: whole(&row, "asked_ms")?,
                tries: u32::try_from(row.try_get::<i64, _>("tries")?).unwrap_or(u32::MAX),
                call: call.and_then(|call| call.parse().ok()),
                talked: row.try_get::<i64, _>("talked")? != 0,
            });
        }
        Ok(asked)
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

    fn letter(&self, to: UserId, text: &str, button: Option<&str>, made_ms: u64) -> Letter {
        let id = self.last_letter.fetch_add(1, Ordering::Relaxed) + 1;
        Letter { id, to, text: text.to_owned(), button: button.map(str::to_owned), made_ms }
    }
}

async fn see(
    connection: &mut sqlx::SqliteConnection,
    person: &Person,
    wrote: bool,
    now_ms: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO person (user_id, name, username, language, first_ms, last_ms, wrote, blocked)
         VALUES ($1, $2, $3, $4, $5, $5, $6, 0)
         ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, username = excluded.username,
            language = COALESCE(excluded.language, person.language), last_ms = excluded.last_ms,
            wrote = CASE WHEN excluded.wrote = 1 THEN 1 ELSE person.wrote END,
            blocked = CASE WHEN excluded.wrote = 1 THEN 0 ELSE person.blocked END",
    )
    .bind(person.id.number())
    .bind(&person.name)
    .bind(&person.username)
    .bind(person.language.map(Language::as_str))
    .bind(number(now_ms))
    .bind(i64::from(wrote))
    .execute(connection)
    .await
    .map(drop)
}

async fn owe(connection: &mut sqlx::SqliteConnection, letter: &Letter) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO letter (letter_id, user_id, text, button, made_ms) VALUES ($1, $2, $3, $4, $5)")
        .bind(letter.id)
        .bind(letter.to.number())
        .bind(&letter.text)
        .bind(&letter.button)
        .bind(number(letter.made_ms))
        .execute(connection)
        .await
        .map(drop)
}

fn number(ms: u64) -> i64 {
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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[tokio::test]
    async fn people_keep_what_is_known_of_them_and_unblock_by_writing() {
        let (_room, store) = store().await;
        store.see(&[person(5, None)], false, 100).await.unwrap();
        assert_eq!(store.seen().await.unwrap(), []);
        let anna = person(5, Some(Language::Russian));
        store.see_and_owe(&anna, "hello", Some("My key"), 200).await.unwrap();
        store.see(&[person(5, None)], false, 300).await.unwrap();
        store.block(anna.id, true).await.unwrap();
        let seen = store.seen().await.unwrap();
        assert_eq!((seen[0].first_ms, seen[0].last_ms, seen[0].blocked), (100, 300, true));
        assert_eq!(seen[0].language, Some(Language::Russian));
        assert_eq!(store.languages().await.unwrap()[&anna.id], Language::Russian);
        store.see(&[anna], true, 400).await.unwrap();
        assert!(!store.seen().await.unwrap()[0].blocked);
    }

    #[tokio::test]
    async fn what_is_owed_outlives_the_program_and_is_sent_in_order() {
        let (room, store) = store().await;
        let first = store.see_and_owe(&person(5, None), "one", Some("b"), 1).await.unwrap();
        let told = store.tell(&Trouble::Gateway, false, &[(first.to, "two".into())], 2).await.unwrap();
        store.close().await;
        let store = Store::open(&room.path().join("bot.db")).await.unwrap();
        assert_eq!(store.owed().await.unwrap(), [first.clone(), told[0].clone()]);
        assert_eq!(store.told().await.unwrap(), [Trouble::Gateway]);
        store.sent(first.id).await.unwrap();
        let third = store.tell(&Trouble::Gateway, true, &[(first.to, "three".into())], 3).await.unwrap();
        assert!(third[0].id > told[0].id);
        assert_eq!(store.owed().await.unwrap(), [told[0].clone(), third[0].clone()]);
        assert_eq!(store.told().await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_call_back_is_one_row_a_person_until_it_is_over() {
        let (_room, store) = store().await;
        let mut asked = asked();
        store.ask(&asked).await.unwrap();
        (asked.tries, asked.call, asked.talked) = (1, Some(CallId(0xa1)), true);
        store.ask(&asked).await.unwrap();
        assert_eq!(store.asked().await.unwrap(), [asked.clone()]);
        store.answered(asked.person).await.unwrap();
        assert_eq!(store.asked().await.unwrap(), []);
    }

    #[tokio::test]
    async fn updates_are_remembered_as_long_as_telegram_repeats_them() {
        let (_room, store) = store().await;
        store.take(&[7, 8, 7], 1_000).await.unwrap();
        assert_eq!(store.taken().await.unwrap(), [7, 8]);
        store.take(&[9], 1_001 + 24 * 3_600_000).await.unwrap();
        assert_eq!(store.taken().await.unwrap(), [9]);
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

    fn person(id: i64, language: Option<Language>) -> Person {
        Person {
            id: UserId::new(id).unwrap(), name: "Анна".into(), username: Some("anna".into()), language
        }
    }

    fn asked() -> Asked {
        Asked {
            person: UserId::new(5).unwrap(),
            name: "Анна".into(),
            line: "+79060000000".parse().unwrap(),
            message: Some("AgAB".into()),
            language: Language::Russian,
            asked_ms: 1,
            tries: 0,
            call: None,
            talked: false,
        }
    }
}
