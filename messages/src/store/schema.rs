//! The versions of an instance's tables: ordered steps, each of which lifts a database from the version before.

use sqlx::{Row as _, SqliteConnection};

use super::TABLES;

/// What makes each version of the one before. A step that was delivered is never changed: what is new comes after it.
///
/// The first one finds its tables there in databases from before the versions.
const STEPS: [&[&str]; 13] = [
    &TABLES,
    // Whether a message was only read in its chat by a program, and not told of by Telegram yet.
    &["ALTER TABLE ms_message ADD COLUMN recalled BIGINT NOT NULL DEFAULT 0"],
    // Up to where the other side of a chat has read.
    &["CREATE TABLE ms_read (chat BIGINT PRIMARY KEY, up_to BIGINT NOT NULL)"],
    // One row: the first number that was given to a message, an edit or the like, and the last one.
    &[
        "CREATE TABLE ms_number (one BIGINT PRIMARY KEY, first_id BIGINT NOT NULL, last_id BIGINT NOT NULL)",
        "INSERT INTO ms_number (one, first_id, last_id)
             SELECT 1, COALESCE((SELECT MIN(created_s) FROM ms_instance), 0) * 1000, id FROM ms_message
             ORDER BY id DESC LIMIT 1",
    ],
    // When a message came into the journal, which may be long after it was written.
    &[
        "ALTER TABLE ms_message ADD COLUMN kept_s BIGINT NOT NULL DEFAULT 0",
        "UPDATE ms_message SET kept_s = id / 1000",
        "CREATE INDEX ms_message_kept ON ms_message (kept_s)",
        "CREATE INDEX ms_told_told ON ms_told (told_s)",
    ],
    // Telegram's number of the account whose messages these are; none where it is not known yet.
    &["ALTER TABLE ms_instance ADD COLUMN account BIGINT"],
    // The journal one way and a chat's history, in the order in which they are asked for.
    &[
        "DROP INDEX ms_message_date",
        "CREATE INDEX ms_message_way ON ms_message (direction, date_s, id)",
        "CREATE INDEX ms_message_chat ON ms_message (chat, date_s, id)",
        "CREATE INDEX ms_notification_created ON ms_notification (created_ms)",
    ],
    // What programs have done by actions: the message that each becomes, or what came of it.
    &[
        "ALTER TABLE ms_message ADD COLUMN is_silent BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE ms_message ADD COLUMN reason TEXT",
        // When a message is due that is not sent at once.
        "ALTER TABLE ms_outgoing ADD COLUMN due_ms BIGINT NOT NULL DEFAULT 0",
        "CREATE INDEX ms_outgoing_due ON ms_outgoing (due_ms) WHERE due_ms > 0",
        "CREATE TABLE ms_job (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            action TEXT NOT NULL,
            request TEXT NOT NULL,
            dialog TEXT,
            sends BIGINT NOT NULL,
            idempotency_key TEXT UNIQUE,
            is_queued BIGINT NOT NULL,
            not_before_ms BIGINT NOT NULL,
            attempts BIGINT NOT NULL,
            outcome TEXT,
            is_passing BIGINT NOT NULL,
            created_ms BIGINT NOT NULL,
            finished_ms BIGINT)",
        "CREATE INDEX ms_job_finished ON ms_job (finished_ms)",
        "CREATE INDEX ms_job_todo ON ms_job (seq) WHERE finished_ms IS NULL AND sends = 0",
        "CREATE INDEX ms_job_untold ON ms_job (seq) WHERE finished_ms IS NOT NULL AND outcome IS NULL",
        "CREATE TABLE ms_job_message (
            id BIGINT PRIMARY KEY,
            job TEXT NOT NULL,
            number BIGINT NOT NULL,
            UNIQUE (job, number))",
    ],
    // One row: what the webhook answered last that was not well.
    &["CREATE TABLE ms_webhook_fault (
            one BIGINT PRIMARY KEY,
            at_ms BIGINT NOT NULL,
            status BIGINT,
            sentence TEXT NOT NULL)"],
    // The first job of each chat, and parts by their age.
    &[
        "CREATE INDEX ms_job_dialog ON ms_job (finished_ms, sends, dialog, seq)",
        "CREATE INDEX ms_part_date ON ms_part (date_s)",
    ],
    // One row: how many notifications may wait, how many were dropped for others since ever, and when the last one was.
    &[
        "CREATE TABLE ms_notification_limit (
            one BIGINT PRIMARY KEY,
            most BIGINT NOT NULL,
            dropped BIGINT NOT NULL,
            dropped_ms BIGINT NOT NULL)",
        "INSERT INTO ms_notification_limit (one, most, dropped, dropped_ms) VALUES (1, 100000, 0, 0)",
    ],
    // How long something rests at most, whatever the clock says: milliseconds. Of what rested before a day.
    &[
        "ALTER TABLE ms_hold ADD COLUMN length_ms BIGINT NOT NULL DEFAULT 86400000",
        "ALTER TABLE ms_outgoing ADD COLUMN pause_ms BIGINT NOT NULL DEFAULT 86400000",
        "ALTER TABLE ms_job ADD COLUMN pause_ms BIGINT NOT NULL DEFAULT 86400000",
    ],
    // Whom the account knows, though they have not written to it within the journal: they are no strangers.
    &["CREATE TABLE ms_acquaintance (chat BIGINT PRIMARY KEY)"],
];

/// Why the tables cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is from a newer program.
    #[error(
        "the messages' tables are of version {found}, which a newer tgtrunk has made; this one knows them up to version \
         {known}: install the newer one again, or put back the number's folder as it was before"
    )]
    Newer {
        /// The version of the tables.
        found: i64,
        /// The newest that this program knows.
        known: usize,
    },
    /// What SQLite said.
    #[error(transparent)]
    Sqlite(#[from] sqlx::Error),
}

/// How far a database was lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifted {
    /// It is of the newest version.
    Newest,
    /// It is of one that this program does not know, and is left as it is.
    Newer {
        /// Its version.
        found: i64,
        /// The newest that this program knows.
        known: usize,
    },
}

/// Lifts an instance's tables to the newest version, whichever they are of.
pub(super) async fn lift_own(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    match lift(connection, "ms_schema", &STEPS).await? {
        Lifted::Newest => Ok(()),
        Lifted::Newer { found, known } => Err(StoreError::Newer { found, known }),
    }
}

/// Lifts tables by the steps that they have not had; `version_table` holds how many those are.
///
/// # Errors
/// What SQLite said.
pub async fn lift(
    connection: &mut SqliteConnection,
    version_table: &'static str,
    steps: &'static [&'static [&'static str]],
) -> Result<Lifted, sqlx::Error> {
    let say = |text: String| sqlx::query(sqlx::AssertSqlSafe(text));
    say(format!("CREATE TABLE IF NOT EXISTS {version_table} (version BIGINT NOT NULL)"))
        .execute(&mut *connection)
        .await?;
    let row = say(format!("SELECT version FROM {version_table}")).fetch_optional(&mut *connection).await?;
    let found: i64 = row.map_or(Ok(0), |row| row.try_get(0))?;
    let known = steps.len();
    let Some(missing) = usize::try_from(found).ok().and_then(|done| steps.get(done..)) else {
        return Ok(Lifted::Newer { found, known });
    };
    for step in missing {
        for statement in *step {
            sqlx::query(*statement).execute(&mut *connection).await?;
        }
    }
    if !missing.is_empty() {
        say(format!("DELETE FROM {version_table}")).execute(&mut *connection).await?;
        say(format!("INSERT INTO {version_table} (version) VALUES ($1)"))
            .bind(i64::try_from(known).unwrap_or(i64::MAX))
            .execute(&mut *connection)
            .await?;
    }
    Ok(Lifted::Newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn a_database_from_before_the_versions_is_lifted_and_keeps_what_it_has() {
        let room = Room::new();
        let pool = room.pool().await;
        for table in TABLES {
            sqlx::query(table).execute(&pool).await.unwrap();
        }
        for id in [1_700_000_000_123_i64, 1_700_000_000_125] {
            sqlx::query(
                "INSERT INTO ms_message (id, direction, origin, chat, address, chat_kind, chat_title, tg_id, date_s, content,
                     is_forwarded, status)
                 VALUES ($1, 'incoming', 'peer', 5, '5', 'user', 'Anna', $2, 1699999999,
                     '{\"kind\":\"text\",\"text\":\"hello\"}', 0, 'read')",
            )
            .bind(id)
            .bind(id % 1000)
            .execute(&pool)
            .await
            .unwrap();
        }
        pool.close().await;
        for _ in 0..2 {
            let store = room.open().await;
            assert_eq!(version(&store).await, i64::try_from(STEPS.len()).unwrap());
            let row = sqlx::query("SELECT COUNT(*) FROM ms_message").fetch_one(&store.pool).await.unwrap();
            assert_eq!(row.get::<i64, _>(0), 2);
            assert!(store.next_id(5).await.unwrap().get() > 1_700_000_000_125);
        }
    }

    #[tokio::test]
    async fn a_database_of_a_newer_program_is_refused_and_left_as_it_is() {
        let room = Room::new();
        let store = room.open().await;
        sqlx::query("UPDATE ms_schema SET version = 99").execute(&store.pool).await.unwrap();
        let error = Store::open(store.pool.clone()).await.unwrap_err();
        assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
        assert!(error.to_string().contains("install the newer one"), "{error}");
        assert_eq!(version(&store).await, 99);
    }

    async fn version(store: &Store) -> i64 {
        let rows = sqlx::query("SELECT version FROM ms_schema").fetch_all(&store.pool).await.unwrap();
        assert_eq!(rows.len(), 1);
        rows[0].get(0)
    }
}
