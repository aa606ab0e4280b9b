//! What programs have done by actions: each a row from before it is begun until a day after it is done.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::holds::HELD;
use super::journal::{self, json, parsed};
use super::{Fault, Store, Teller, malformed, outgoing};
use crate::id::MessageId;
use crate::job::{Job, JobId, NewJob, Outcome};
use crate::record::{Record, SendStatus};

/// How long a job is remembered after it is done, and its key with it.
pub(crate) const KEPT_MS: i64 = 24 * 3_600_000;

/// Whether a job may be begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// It is a new one.
    New,
    /// It was begun before.
    Before(JobId),
    /// Its key is another's.
    Taken,
    /// Too many wait.
    Full,
}

/// A job, and what its messages came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kept {
    pub(crate) job: Job,
    pub(crate) records: Vec<Record>,
}

impl Store {
    /// Begins a job that sends nothing. The keys of those that were done before `before_ms` are free.
    pub(crate) async fn begin(
        &self,
        new: &NewJob,
        now_ms: i64,
        before_ms: i64,
    ) -> Result<Begun, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let begun = begin(&mut transaction, new, now_ms, before_ms).await?;
        transaction.commit().await?;
        Ok(begun)
    }

    /// What is known of a job's key, if it is not a new one.
    pub(crate) async fn begun(&self, new: &NewJob, before_ms: i64) -> Result<Option<Begun>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        Ok(key_is(&mut connection, new, before_ms).await?.1)
    }

    /// When a job's messages are to be sent, if that is not at once: milliseconds since 1970.
    pub(crate) async fn due_ms(&self, id: &JobId) -> Result<Option<i64>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT MAX(o.due_ms) FROM ms_job_message m JOIN ms_outgoing o ON o.id = m.id WHERE m.job = $1 AND o.due_ms > 0",
        );
        row.bind(id.as_str().to_owned()).fetch_one(&self.pool).await?.try_get(0)
    }

    /// A job, and its messages in their order.
    pub(crate) async fn job(&self, id: &JobId) -> Result<Option<Kept>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query("SELECT * FROM ms_job WHERE id = $1").bind(id.as_str().to_owned());
        let Some(row) = row.fetch_optional(&mut *transaction).await? else { return Ok(None) };
        let records = records(&mut transaction, id.as_str()).await?;
        Ok(Some(Kept { job: job(&row)?, records }))
    }

    /// The jobs that send nothing and may be done now, in their order: the first of each chat, and those of none.
    pub(crate) async fn jobs_to_do(&self, now_ms: i64) -> Result<Vec<Job>, sqlx::Error> {
        let query = sqlx::query(TO_DO).bind(now_ms);
        query.fetch_all(&self.pool).await?.iter().map(job).collect()
    }

    /// When the next of those that wait may be done: milliseconds since 1970.
    pub(crate) async fn job_at_ms(&self, now_ms: i64) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query(NEXT_AT).bind(now_ms).fetch_one(&self.pool).await?.try_get(0)
    }

    /// Jobs that send nothing and that nobody was promised, after a place in their order, each with its own.
    pub(crate) async fn jobs_waited_for(&self, after: i64) -> Result<Vec<(i64, JobId)>, sqlx::Error> {
        let rows = sqlx::query(WAITED_FOR).bind(after).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, JobId::kept(row.try_get(1)?)))).collect()
    }

    /// Jobs that are done and of which nobody has written down what came.
    pub(crate) async fn jobs_to_tell(&self) -> Result<Vec<Kept>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        let mut all = Vec::new();
        for row in sqlx::query(TO_TELL).fetch_all(&mut *connection).await? {
            let job = job(&row)?;
            let records = records(&mut connection, job.id.as_str()).await?;
            all.push(Kept { job, records });
        }
        Ok(all)
    }

    /// A program was told that a job is done by itself: nothing but what forbids it for good ends it.
    pub(crate) async fn promise(&self, id: &JobId) -> Result<(), sqlx::Error> {
        let query = sqlx::query("UPDATE ms_job SET is_queued = 1 WHERE id = $1 AND finished_ms IS NULL");
        query.bind(id.as_str().to_owned()).execute(&self.pool).await.map(drop)
    }

    /// What the messages of a job wait for, if they rest, and until when: milliseconds since 1970.
    pub(crate) async fn job_rests(
        &self,
        id: &JobId,
        now_ms: i64,
    ) -> Result<Option<(String, i64)>, sqlx::Error> {
        let text = format!(
            "SELECT h.what, h.until_ms FROM ms_job_message m JOIN ms_outgoing o ON o.id = m.id JOIN ms_hold h ON {HELD}
             WHERE m.job = $2 ORDER BY h.until_ms DESC LIMIT 1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(now_ms).bind(id.as_str().to_owned());
        let row = row.fetch_optional(&self.pool).await?;
        row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
    }

    /// Takes all messages of a job out of the queue, if Telegram cannot have anything of any of them; whether it did.
    pub(crate) async fn withdraw_job(
        &self,
        id: &JobId,
        fault: &Fault,
        teller: &dyn Teller,
        now_ms: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let rows = sqlx::query(
            "SELECT m.id, COALESCE(o.claimed = 0 AND o.parts_done = 0, 0) FROM ms_job_message m
             LEFT JOIN ms_outgoing o ON o.id = m.id WHERE m.job = $1 ORDER BY m.number",
        );
        let rows = rows.bind(id.as_str().to_owned()).fetch_all(&mut *transaction).await?;
        for row in &rows {
            if row.try_get::<i64, _>(1)? == 0 {
                return Ok(false);
            }
        }
        for row in &rows {
            let message = MessageId::new(row.try_get(0)?);
            let left = sqlx::query("DELETE FROM ms_outgoing WHERE id = $1").bind(message.get());
            left.execute(&mut *transaction).await?;
            outgoing::fail(&mut transaction, message, fault, teller, now_ms).await?;
        }
        transaction.commit().await?;
        Ok(!rows.is_empty())
    }

    /// It was not done, and is tried again after a pause.
    pub(crate) async fn postpone(&self, id: &JobId, now_ms: i64, pause_ms: i64) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE ms_job SET not_before_ms = $2, pause_ms = $3, attempts = attempts + 1 WHERE id = $1",
        )
        .bind(id.as_str().to_owned())
        .bind(now_ms + pause_ms)
        .bind(pause_ms)
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// What came of it; the first that is said holds.
    pub(crate) async fn conclude(
        &self,
        id: &JobId,
        outcome: &Outcome,
        now_ms: i64,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE ms_job SET outcome = $2, finished_ms = COALESCE(finished_ms, $3), is_passing = $4
             WHERE id = $1 AND outcome IS NULL",
        )
        .bind(id.as_str().to_owned())
        .bind(json("outcome", &outcome.told)?)
        .bind(now_ms)
        .bind(i64::from(outcome.is_passing))
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// Forgets what was done before a time, a little at a time; true while there is more.
    pub(crate) async fn forget_jobs(&self, before_ms: i64) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let mut gone = 0;
        for old in [OLD_JOB_MESSAGES, OLD_JOBS] {
            let done = sqlx::query(old).bind(before_ms).execute(&mut *transaction).await?;
            gone = done.rows_affected();
        }
        transaction.commit().await?;
        Ok(gone > 0)
    }
}

/// One that waits holds up those of its chat alone.
const TO_DO: &str = "SELECT * FROM ms_job WHERE finished_ms IS NULL AND sends = 0 AND not_before_ms <= $1
     AND (dialog IS NULL OR seq IN (SELECT MIN(seq) FROM ms_job WHERE finished_ms IS NULL AND sends = 0 GROUP BY dialog))
     ORDER BY seq LIMIT 256";
const NEXT_AT: &str = "SELECT MIN(not_before_ms) FROM ms_job WHERE finished_ms IS NULL AND sends = 0 AND not_before_ms > $1
     AND (dialog IS NULL OR seq IN (SELECT MIN(seq) FROM ms_job WHERE finished_ms IS NULL AND sends = 0 GROUP BY dialog))";
const WAITED_FOR: &str =
    "SELECT seq, id FROM ms_job WHERE finished_ms IS NULL AND sends = 0 AND is_queued = 0 AND seq > $1
     ORDER BY seq LIMIT 256";
const TO_TELL: &str =
    "SELECT * FROM ms_job WHERE finished_ms IS NOT NULL AND outcome IS NULL ORDER BY seq LIMIT 64";
const OLD_JOB_MESSAGES: &str = "DELETE FROM ms_job_message WHERE job IN
     (SELECT id FROM ms_job WHERE finished_ms < $1 ORDER BY finished_ms LIMIT 500)";
const OLD_JOBS: &str = "DELETE FROM ms_job WHERE seq IN (SELECT seq FROM ms_job WHERE finished_ms < $1 ORDER BY finished_ms LIMIT 500)";
/// Most jobs that may wait to be done.
const MOST: i64 = 10_000;

/// Writes a job down, unless its key says that it was begun before.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    new: &NewJob,
    now_ms: i64,
    before_ms: i64,
) -> Result<Begun, sqlx::Error> {
    let (before, known) = key_is(connection, new, before_ms).await?;
    if let Some(known) = known {
        return Ok(known);
    }
    if !new.sends {
        let row = sqlx::query("SELECT COUNT(*) FROM ms_job WHERE finished_ms IS NULL AND sends = 0");
        if row.fetch_one(&mut *connection).await?.try_get::<i64, _>(0)? >= MOST {
            return Ok(Begun::Full);
        }
    }
    if let Some(before) = before {
        let release = sqlx::query("UPDATE ms_job SET idempotency_key = NULL WHERE id = $1");
        release.bind(before.as_str().to_owned()).execute(&mut *connection).await?;
    }
    sqlx::query(
        "INSERT INTO ms_job (id, action, request, dialog, sends, idempotency_key, is_queued, not_before_ms, attempts,
             is_passing, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, $8)",
    )
    .bind(new.id.as_str().to_owned())
    .bind(new.action)
    .bind(json("request", &new.request)?)
    .bind(new.dialog.clone())
    .bind(i64::from(new.sends))
    .bind(new.key.clone())
    .bind(i64::from(new.is_queued))
    .bind(now_ms)
    .execute(connection)
    .await?;
    Ok(Begun::New)
}

/// The job that has a job's key, and what that means for it; none if it may be begun.
async fn key_is(
    connection: &mut SqliteConnection,
    new: &NewJob,
    before_ms: i64,
) -> Result<(Option<JobId>, Option<Begun>), sqlx::Error> {
    let Some(key) = &new.key else { return Ok((None, None)) };
    let Some(row) = by_key(connection, key).await? else { return Ok((None, None)) };
    let before = job(&row)?;
    let is_old = before.finished_ms.is_some_and(|at_ms| at_ms < before_ms);
    let is_same = before.action == new.action && before.request == new.request;
    let known = match (is_old, is_same) {
        (true, _) => None,
        (false, false) => Some(Begun::Taken),
        (false, true) if may_begin_anew(connection, &before).await? => None,
        (false, true) => Some(Begun::Before(before.id.clone())),
    };
    Ok((Some(before.id), known))
}

/// A message of the queue is one of a job's.
pub(super) async fn bind(
    connection: &mut SqliteConnection,
    job: &JobId,
    number: usize,
    message: MessageId,
) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO ms_job_message (id, job, number) VALUES ($1, $2, $3)")
        .bind(message.get())
        .bind(job.as_str().to_owned())
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .execute(connection)
        .await
        .map(drop)
}

/// A message has left the queue: the job is done with its last one.
pub(super) async fn settle(
    connection: &mut SqliteConnection,
    message: MessageId,
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE ms_job SET finished_ms = $2 WHERE finished_ms IS NULL
         AND id = (SELECT job FROM ms_job_message WHERE id = $1)
         AND NOT EXISTS (SELECT 1 FROM ms_job_message m JOIN ms_outgoing o ON o.id = m.id WHERE m.job = ms_job.id)",
    )
    .bind(message.get())
    .bind(now_ms)
    .execute(connection)
    .await
    .map(drop)
}

/// Whether a job that was done may be done again under its key: nothing of it was or may be, and another time it may be.
async fn may_begin_anew(connection: &mut SqliteConnection, job: &Job) -> Result<bool, sqlx::Error> {
    let records = records(connection, job.id.as_str()).await?;
    if records.is_empty() {
        return Ok(job.is_passing);
    }
    Ok(records.iter().all(|record| {
        let is_passing =
            record.reason.as_ref().is_some_and(|reason| reason.is_passing() && !reason.may_be_sent);
        record.status == SendStatus::Failed && is_passing
    }))
}

async fn by_key(connection: &mut SqliteConnection, key: &str) -> Result<Option<SqliteRow>, sqlx::Error> {
    let row = sqlx::query("SELECT * FROM ms_job WHERE idempotency_key = $1").bind(key.to_owned());
    row.fetch_optional(connection).await
}

async fn records(connection: &mut SqliteConnection, job: &str) -> Result<Vec<Record>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT m.* FROM ms_job_message j JOIN ms_message m ON m.id = j.id WHERE j.job = $1 ORDER BY j.number",
    );
    let rows = rows.bind(job.to_owned()).fetch_all(connection).await?;
    rows.iter().map(journal::record).collect()
}

fn job(row: &SqliteRow) -> Result<Job, sqlx::Error> {
    let outcome: Option<String> = row.try_get("outcome")?;
    let attempts: i64 = row.try_get("attempts")?;
    Ok(Job {
        id: JobId::kept(row.try_get("id")?),
        action: row.try_get("action")?,
        request: parsed("request", &row.try_get::<String, _>("request")?)?,
        is_queued: row.try_get::<i64, _>("is_queued")? != 0,
        has_key: row.try_get::<Option<String>, _>("idempotency_key")?.is_some(),
        not_before_ms: row.try_get("not_before_ms")?,
        attempts: u32::try_from(attempts).map_err(|error| malformed("attempts", error))?,
        is_passing: row.try_get::<i64, _>("is_passing")? != 0,
        dialog: row.try_get("dialog")?,
        sends: row.try_get::<i64, _>("sends")? != 0,
        outcome: outcome.map(|outcome| parsed("outcome", &outcome)).transpose()?,
        created_ms: row.try_get("created_ms")?,
        finished_ms: row.try_get("finished_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn however_many_wait_for_one_chat_the_others_are_done_and_whoever_waits_is_found() {
        let room = Room::new();
        let store = room.open().await;
        let begin = async |action: &'static str, dialog: Option<&str>, is_queued| {
            let new = NewJob {
                id: JobId::new(),
                action,
                request: serde_json::Value::Null,
                dialog: dialog.map(str::to_owned),
                sends: false,
                key: None,
                is_queued,
            };
            assert_eq!(store.begin(&new, 1_000, 0).await.unwrap(), Begun::New);
            new.id
        };
        let first = begin("edit_message", Some("5"), true).await;
        for _ in 0..300 {
            begin("edit_message", Some("5"), true).await;
        }
        // Telegram asked to wait with these.
        for _ in 0..300 {
            let id = begin("get_dialogs", None, true).await;
            store.postpone(&id, 8_000, 1_000).await.unwrap();
        }
        let other = begin("edit_message", Some("6"), false).await;
        let profile = begin("get_profile", None, false).await;
        let ids = async |now_ms| -> Vec<JobId> {
            store.jobs_to_do(now_ms).await.unwrap().into_iter().map(|job| job.id).collect()
        };
        assert_eq!(ids(2_000).await, [first.clone(), other.clone(), profile.clone()]);
        store.postpone(&first, 4_000, 1_000).await.unwrap();
        assert_eq!(ids(2_000).await, [other.clone(), profile.clone()], "those of its chat wait with it");
        assert_eq!(store.job_at_ms(2_000).await.unwrap(), Some(5_000));
        let waited = store.jobs_waited_for(0).await.unwrap();
        assert_eq!(waited.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>(), [other, profile.clone()]);
        assert_eq!(store.jobs_waited_for(waited[0].0).await.unwrap()[0].1, profile);
    }
}
