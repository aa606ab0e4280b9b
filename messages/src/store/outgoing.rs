//! The outgoing queue.

#[cfg(test)]
mod tests;
mod withdrawal;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::holds::HELD;
use super::journal::{self, json, parsed};
use super::notifications::{self, Told};
use super::{Begun, Store, echoes, jobs, malformed};
use crate::chat::ChatId;
use crate::content::{Attachment, Content};
use crate::id::MessageId;
use crate::instance::QueueLine;
use crate::job::NewJob;
use crate::messenger::Sent;
use crate::outbox::Letter;
use crate::record::{Reason, Record, SendStatus};

/// A message of the queue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outgoing {
    pub(crate) seq: i64,
    pub(crate) id: MessageId,
    pub(crate) letter: Letter,
    pub(crate) random_id: i64,
    /// Where it goes, once that is known.
    pub(crate) chat: Option<ChatId>,
    pub(crate) not_before_ms: i64,
    pub(crate) attempts: u32,
    /// Whether Telegram may have it, or its next part.
    pub(crate) is_doubtful: bool,
    /// How many of its parts Telegram has.
    pub(crate) parts_done: u32,
}

/// The next row of the queue.
#[derive(Debug)]
pub(crate) enum Next {
    /// What it says.
    Message(Box<Outgoing>),
    /// It says what it cannot say.
    Unreadable(MessageId, sqlx::Error),
}

/// What goes into the queue beside the messages themselves.
#[derive(Debug)]
pub(crate) struct Accept {
    pub(crate) method: &'static str,
    pub(crate) request: serde_json::Value,
    /// Longest queue.
    pub(crate) limit: i64,
    /// The job that they are of.
    pub(crate) job: Option<NewJob>,
    /// The keys of jobs that were done before are free: milliseconds since 1970.
    pub(crate) keys_before_ms: i64,
}

/// What became of messages for the queue.
#[derive(Debug)]
pub(crate) enum Taken {
    /// They are in it.
    In(Letters),
    /// It is too long.
    Full,
    /// Their job was begun before, or its key is another's.
    Known(Begun),
}

/// Why a message will not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// For people.
    pub(crate) sentence: String,
    /// For programs.
    pub(crate) reason: Reason,
}

impl Fault {
    /// The same for a row of the queue: whether Telegram may have something of it.
    pub(super) fn with_doubt(&self, claimed: i64, parts_done: i64) -> Self {
        let mut fault = self.clone();
        if is_doubtful(claimed, parts_done) {
            fault.sentence.push_str("; Telegram may have it");
            fault.reason.may_be_sent = true;
        }
        fault
    }
}

/// Whether Telegram may have something of a message: one that is being handed over and is refused, it has not.
const fn is_doubtful(claimed: i64, parts_done: i64) -> bool {
    claimed % 2 == 1 || parts_done > 0
}

/// Messages for the queue: as the journal keeps them, as they are sent, and what Telegram knows them by.
pub(crate) type Letters = Vec<(Record, Letter, i64)>;

/// What is told of messages of the queue.
pub(crate) trait Teller: Sync {
    /// Of one that Telegram has.
    fn of_sent(&self, record: &Record) -> Vec<Told>;
    /// Of one that will not be sent.
    fn of_failed(&self, record: &Record) -> Vec<Told>;
    /// Of one that was written at another device.
    fn of_device(&self, record: &Record) -> Option<Told>;
}

/// What came of taking a message out of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withdrawn {
    /// It is out; whether Telegram may have it, or a part of it.
    Out {
        /// Of one message.
        may_be_sent: bool,
    },
    /// Telegram is being handed it.
    UnderWay,
    /// It is not in the queue.
    Absent,
}

/// A pause that those behind wait for.
const SHORT_MS: i64 = 60_000;
/// Those that failed often, whose time has come.
const LAST: &str = "attempts > $2 AND not_before_ms <= $1 ORDER BY not_before_ms, seq";

/// Those that GREEN-API's clients mean by their queue, at $1 (milliseconds since 1970); all where that is null. What is to
/// be sent at its own time, and notifications, are other programs', which ask what became of them.
const THEIRS: &str = "($1 IS NULL OR (due_ms <= $1 AND method <> 'notify'))";

const LAST_SENT: &str = "SELECT MAX(kept_s) FROM ms_message WHERE kept_s >= $1 AND origin = 'api'
    AND status IN ('sent', 'read')";

impl Store {
    /// What was being handed over when the program ended: nobody knows whether Telegram has it. Where it does not know
    /// repeats, it is said of each when that begins ([`Self::hand_over`]).
    pub(crate) async fn lose_hold(&self, knows_repeats: bool) -> Result<(), sqlx::Error> {
        let lose = match knows_repeats {
            true => "UPDATE ms_outgoing SET claimed = 1 WHERE claimed > 1",
            false => {
                "UPDATE ms_outgoing SET claimed = CASE WHEN claimed > 3 THEN 1 ELSE claimed % 2 END WHERE claimed > 1"
            }
        };
        sqlx::query(lose).execute(&self.pool).await.map(drop)
    }

    /// A message, or the next part of it, goes to Telegram this moment.
    pub(crate) async fn hand_over(&self, seq: i64) -> Result<(), sqlx::Error> {
        let query = sqlx::query("UPDATE ms_outgoing SET claimed = claimed % 2 + 4 WHERE seq = $1");
        query.bind(seq).execute(&self.pool).await.map(drop)
    }

    /// The message that is to be sent next, whether its time has come or not: the first in the queue that does not rest.
    /// Those that failed more often than `tries`, or wait longer than a short pause, let the others pass; where `is_last` is
    /// said, also when their time has come.
    pub(crate) async fn next(
        &self,
        now_ms: i64,
        tries: u32,
        is_last: bool,
    ) -> Result<Option<Next>, sqlx::Error> {
        // Each in the order of the rows, so that the first that fits ends the search.
        let fits: &[&str] = match is_last {
            true => &["attempts <= $2 AND not_before_ms <= $3 ORDER BY seq", LAST],
            false => &["(not_before_ms <= $1 OR attempts <= $2 AND not_before_ms <= $3) ORDER BY seq"],
        };
        for fit in fits {
            let text = format!(
                "SELECT * FROM ms_outgoing o WHERE due_ms <= $1
                 AND NOT EXISTS (SELECT 1 FROM ms_hold h WHERE {HELD}) AND {fit} LIMIT 1"
            );
            let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(now_ms).bind(i64::from(tries));
            if let Some(row) = row.bind(now_ms + SHORT_MS).fetch_optional(&self.pool).await? {
                let id = MessageId::new(row.try_get("id")?);
                return Ok(Some(outgoing(&row).map_or_else(
                    |error| Next::Unreadable(id, error),
                    |outgoing| Next::Message(Box::new(outgoing)),
                )));
            }
        }
        Ok(None)
    }

    /// When the next of those that wait or rest may be tried: milliseconds since 1970.
    pub(crate) async fn next_at_ms(&self, now_ms: i64) -> Result<Option<i64>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT MIN(at_ms) FROM (SELECT MIN(not_before_ms) AS at_ms FROM ms_outgoing WHERE not_before_ms > $1
             UNION ALL SELECT MIN(until_ms) FROM ms_hold WHERE until_ms > $1)",
        );
        row.bind(now_ms).fetch_one(&self.pool).await?.try_get(0)
    }

    /// When the last message of a program's was sent, if that was after `since_ms`: milliseconds since 1970, not too early by
    /// more than the second that the journal counts in.
    pub(crate) async fn last_sent_ms(&self, since_ms: i64) -> Result<Option<i64>, sqlx::Error> {
        let query = sqlx::query(LAST_SENT).bind(since_ms / 1000).fetch_one(&self.pool);
        let sent_s: Option<i64> = query.await?.try_get(0)?;
        Ok(sent_s.map(|sent_s| (sent_s + 1) * 1000))
    }

    /// A message is about to be handed to Telegram; from now on nobody knows whether it has it. False if it is not in the
    /// queue any more.
    pub(crate) async fn claim(&self, seq: i64) -> Result<bool, sqlx::Error> {
        let query = sqlx::query(
            "UPDATE ms_outgoing SET claimed = claimed % 2 + 2, attempts = attempts + 1 WHERE seq = $1",
        );
        Ok(query.bind(seq).execute(&self.pool).await?.rows_affected() > 0)
    }

    /// It is known whose chat a message goes to.
    pub(crate) async fn located(&self, outgoing: &Outgoing, chat: ChatId) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        for query in [
            "UPDATE ms_outgoing SET chat = $2 WHERE id = $1",
            "UPDATE ms_message SET chat = $2 WHERE id = $1",
        ] {
            sqlx::query(query).bind(outgoing.id.get()).bind(chat.0).execute(&mut *transaction).await?;
        }
        transaction.commit().await
    }

    /// One of its files was fetched from the web.
    pub(crate) async fn fetched(
        &self,
        outgoing: &Outgoing,
        number: usize,
        file: &Attachment,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query("SELECT * FROM ms_outgoing WHERE id = $1").bind(outgoing.id.get());
        let Some(row) = row.fetch_optional(&mut *transaction).await? else { return Ok(()) };
        let mut letter = self::outgoing(&row)?.letter;
        if let Some(kept) = letter.content.files_mut().nth(number) {
            kept.clone_from(file);
        }
        keep_letter(&mut transaction, outgoing.id, &letter).await?;
        transaction.commit().await
    }

    /// Less is sent of it than it was to be.
    pub(crate) async fn keep_content(
        &self,
        outgoing: &Outgoing,
        content: &Content,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query("SELECT * FROM ms_outgoing WHERE id = $1").bind(outgoing.id.get());
        let Some(row) = row.fetch_optional(&mut *transaction).await? else { return Ok(()) };
        let letter = Letter { content: content.clone(), ..self::outgoing(&row)?.letter };
        keep_letter(&mut transaction, outgoing.id, &letter).await?;
        transaction.commit().await
    }

    /// Telegram has other parts of it, the first `done` now; their numbers, where they are known.
    pub(crate) async fn parts_done(
        &self,
        outgoing: &Outgoing,
        done: usize,
        sent: &[(usize, Sent)],
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("UPDATE ms_outgoing SET parts_done = $2, claimed = claimed % 2 + 2 WHERE seq = $1")
            .bind(outgoing.seq)
            .bind(i64::try_from(done).unwrap_or(i64::MAX))
            .execute(&mut *transaction)
            .await?;
        for (number, sent) in sent {
            note_part(&mut transaction, outgoing.id, *number, sent).await?;
        }
        transaction.commit().await
    }

    /// It is to be tried again. `is_lost`: whether Telegram may have it nevertheless, as it may if it was so before.
    pub(crate) async fn later(
        &self,
        outgoing: &Outgoing,
        not_before_ms: i64,
        error: &str,
        is_lost: bool,
        teller: &dyn Teller,
        now_ms: i64,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query(
            "UPDATE ms_outgoing SET not_before_ms = $2, last_error = $3, claimed = MAX(claimed % 2, $4), pause_ms = $5
             WHERE seq = $1 RETURNING claimed",
        )
        .bind(outgoing.seq)
        .bind(not_before_ms)
        .bind(error.to_owned())
        .bind(i64::from(is_lost))
        .bind((not_before_ms - now_ms).max(0))
        .fetch_optional(&mut *transaction)
        .await?;
        settle_known(&mut transaction, outgoing.id, row, teller, now_ms).await?;
        transaction.commit().await
    }

    /// It was not taken, and that is not counted as an attempt: it rests until a time, or the account is not authorized.
    pub(crate) async fn unclaim(
        &self,
        outgoing: &Outgoing,
        not_before_ms: i64,
        error: &str,
        teller: &dyn Teller,
        now_ms: i64,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query(
            "UPDATE ms_outgoing SET attempts = attempts - 1, not_before_ms = $2, claimed = claimed % 2, last_error = $3,
                 pause_ms = $4
             WHERE seq = $1 AND claimed > 1 RETURNING claimed",
        )
        .bind(outgoing.seq)
        .bind(not_before_ms)
        .bind(error.to_owned())
        .bind((not_before_ms - now_ms).max(0))
        .fetch_optional(&mut *transaction)
        .await?;
        settle_known(&mut transaction, outgoing.id, row, teller, now_ms).await?;
        transaction.commit().await
    }

    /// Telegram has it: its first part, and those of its last step after the first.
    pub(crate) async fn sent(
        &self,
        id: MessageId,
        sent: Option<&Sent>,
        rest: &[(usize, Sent)],
        teller: &dyn Teller,
        now_ms: i64,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let left =
            sqlx::query("DELETE FROM ms_outgoing WHERE id = $1").bind(id.get()).execute(&mut *transaction);
        if left.await?.rows_affected() == 0 {
            return Ok(());
        }
        let Some(mut record) = journal::by_id(&mut transaction, id).await? else {
            return transaction.commit().await;
        };
        record.status = SendStatus::Sent;
        if let Some(sent) = sent {
            echoes::forget(&mut transaction, sent.chat.id, sent.tg_id).await?;
            record.chat = Some(sent.chat.id);
            record.chat_kind = sent.chat.kind;
            record.chat_title.clone_from(&sent.chat.title);
            record.tg_id = Some(sent.tg_id);
            record.date_s = sent.date_s;
        }
        journal::mark(&mut transaction, &mut record).await?;
        sqlx::query(
            "UPDATE ms_message SET status = $7, chat = $2, chat_kind = $3, chat_title = $4, tg_id = $5, date_s = $6,
                 kept_s = $8 WHERE id = $1",
        )
        .bind(id.get())
        .bind(record.chat.map(|chat| chat.0))
        .bind(record.chat_kind.as_str())
        .bind(record.chat_title.clone())
        .bind(record.tg_id)
        .bind(record.date_s)
        .bind(record.status.as_str())
        .bind(now_ms / 1000)
        .execute(&mut *transaction)
        .await?;
        for (number, sent) in rest {
            note_part(&mut transaction, id, *number, sent).await?;
        }
        echoes::settle(&mut transaction, id, |record| teller.of_device(record), now_ms).await?;
        for told in teller.of_sent(&record) {
            notifications::insert(&mut transaction, &told, now_ms).await?;
        }
        jobs::settle(&mut transaction, id, now_ms).await?;
        transaction.commit().await
    }

    /// They will not be sent.
    pub(crate) async fn failed(
        &self,
        ids: &[MessageId],
        fault: &Fault,
        teller: &dyn Teller,
        now_ms: i64,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        for id in ids {
            let left = sqlx::query("DELETE FROM ms_outgoing WHERE id = $1 RETURNING claimed, parts_done");
            if let Some(row) = left.bind(id.get()).fetch_optional(&mut *transaction).await? {
                let fault = fault.with_doubt(row.try_get(0)?, row.try_get(1)?);
                fail(&mut transaction, *id, &fault, teller, now_ms).await?;
            }
        }
        transaction.commit().await
    }

    /// Changes the content of a message that waits and that Telegram cannot have; false if it is not such a one.
    pub(crate) async fn rewrite(
        &self,
        id: MessageId,
        change: impl FnOnce(&mut Content),
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query("SELECT * FROM ms_outgoing WHERE id = $1 AND claimed = 0 AND parts_done = 0");
        let Some(row) = row.bind(id.get()).fetch_optional(&mut *transaction).await? else {
            return Ok(false);
        };
        let mut letter = outgoing(&row)?.letter;
        change(&mut letter.content);
        keep_letter(&mut transaction, id, &letter).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Those accepted before `before_ms`, or due before it, at most 500 of each: they are in the order in which they were
    /// accepted. What went wrong the last time stands beside.
    pub(crate) async fn expired(
        &self,
        before_ms: i64,
    ) -> Result<Vec<(MessageId, Option<String>)>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT id, last_error, accepted_ms FROM ms_outgoing WHERE claimed < 2 AND due_ms = 0 ORDER BY seq LIMIT 500",
        );
        let mut old = Vec::new();
        for row in rows.fetch_all(&self.pool).await? {
            if row.try_get::<i64, _>(2)? >= before_ms {
                break;
            }
            old.push((MessageId::new(row.try_get(0)?), row.try_get(1)?));
        }
        let rows = sqlx::query(
            "SELECT id, last_error FROM ms_outgoing WHERE claimed < 2 AND due_ms > 0 AND due_ms < $1 ORDER BY due_ms
             LIMIT 500",
        );
        for row in rows.bind(before_ms).fetch_all(&self.pool).await? {
            old.push((MessageId::new(row.try_get(0)?), row.try_get(1)?));
        }
        Ok(old)
    }

    /// The message of the queue that a request was for: what it called, and what one of its keys said.
    pub(crate) async fn queued(
        &self,
        method: &str,
        key: &str,
        value: i64,
    ) -> Result<Option<MessageId>, sqlx::Error> {
        let query = sqlx::query(
            "SELECT id FROM ms_outgoing WHERE method = $1 AND json_extract(request, '$.' || $2) = $3",
        );
        let row = query.bind(method.to_owned()).bind(key.to_owned()).bind(value).fetch_optional(&self.pool);
        row.await?.map(|row| row.try_get(0).map(MessageId::new)).transpose()
    }

    /// The queue, and when each of it is tried: its own time, or when its rest ends.
    pub(crate) async fn queue(&self, now_ms: i64) -> Result<Vec<QueueLine>, sqlx::Error> {
        let text = format!(
            "SELECT o.*, (SELECT MAX(h.until_ms) FROM ms_hold h WHERE {HELD}) AS held_ms,
             (SELECT h.cause FROM ms_hold h WHERE {HELD} ORDER BY h.until_ms DESC LIMIT 1) AS held_cause
             FROM ms_outgoing o ORDER BY seq LIMIT 10000"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(text)).bind(now_ms).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                Ok(QueueLine {
                    id: MessageId::new(row.try_get("id")?),
                    method: row.try_get("method")?,
                    request: parsed("request", &row.try_get::<String, _>("request")?)?,
                    attempts: attempts(row)?,
                    not_before_ms: row
                        .try_get::<i64, _>("not_before_ms")?
                        .max(row.try_get::<Option<i64>, _>("held_ms")?.unwrap_or(0)),
                    last_error: match row.try_get("last_error")? {
                        Some(error) => Some(error),
                        None => row.try_get("held_cause")?,
                    },
                })
            })
            .collect()
    }

    /// How many wait; where `due_by_ms` is said, of those that GREEN-API's clients mean ([`THEIRS`]).
    pub(crate) async fn queue_len(&self, due_by_ms: Option<i64>) -> Result<u64, sqlx::Error> {
        let text = format!("SELECT COUNT(*) FROM ms_outgoing WHERE {THEIRS}");
        let row = sqlx::query(sqlx::AssertSqlSafe(text)).bind(due_by_ms).fetch_one(&self.pool).await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
    }
}

/// If Telegram cannot have a message, what came meanwhile is told of.
async fn settle_known(
    connection: &mut SqliteConnection,
    id: MessageId,
    row: Option<SqliteRow>,
    teller: &dyn Teller,
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    match row {
        Some(row) if row.try_get::<i64, _>("claimed")? == 0 => {
            echoes::settle(connection, id, |record| teller.of_device(record), now_ms).await
        }
        _ => Ok(()),
    }
}

async fn keep_letter(
    connection: &mut SqliteConnection,
    id: MessageId,
    letter: &Letter,
) -> Result<(), sqlx::Error> {
    for (query, text) in [
        ("UPDATE ms_outgoing SET draft = $2 WHERE id = $1", json("draft", letter)?),
        ("UPDATE ms_message SET content = $2 WHERE id = $1", json("content", &letter.content)?),
    ] {
        sqlx::query(query).bind(id.get()).bind(text).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn note_part(
    connection: &mut SqliteConnection,
    id: MessageId,
    number: usize,
    sent: &Sent,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO ms_part (id, number, chat, tg_id, date_s) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
    )
    .bind(id.get())
    .bind(i64::try_from(number).unwrap_or(i64::MAX))
    .bind(sent.chat.id.0)
    .bind(sent.tg_id)
    .bind(sent.date_s)
    .execute(connection)
    .await
    .map(drop)
}

/// A message that left the queue was not sent.
pub(super) async fn fail(
    connection: &mut SqliteConnection,
    id: MessageId,
    fault: &Fault,
    teller: &dyn Teller,
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE ms_message SET status = 'failed', failure = $2, reason = $3, kept_s = $4 WHERE id = $1",
    )
    .bind(id.get())
    .bind(fault.sentence.clone())
    .bind(json("reason", &fault.reason)?)
    .bind(now_ms / 1000)
    .execute(&mut *connection)
    .await?;
    echoes::settle(connection, id, |record| teller.of_device(record), now_ms).await?;
    jobs::settle(connection, id, now_ms).await?;
    if let Some(record) = journal::by_id(connection, id).await? {
        for told in teller.of_failed(&record) {
            notifications::insert(connection, &told, now_ms).await?;
        }
    }
    Ok(())
}

fn attempts(row: &SqliteRow) -> Result<u32, sqlx::Error> {
    let attempts: i64 = row.try_get("attempts")?;
    u32::try_from(attempts).map_err(|error| malformed("attempts", error))
}

fn outgoing(row: &SqliteRow) -> Result<Outgoing, sqlx::Error> {
    let parts: i64 = row.try_get("parts_done")?;
    Ok(Outgoing {
        seq: row.try_get("seq")?,
        id: MessageId::new(row.try_get("id")?),
        letter: parsed("draft", &row.try_get::<String, _>("draft")?)?,
        random_id: row.try_get("random_id")?,
        chat: row.try_get::<Option<i64>, _>("chat")?.map(ChatId),
        not_before_ms: row.try_get("not_before_ms")?,
        attempts: attempts(row)?,
        is_doubtful: row.try_get::<i64, _>("claimed")? % 2 == 1,
        parts_done: u32::try_from(parts).map_err(|error| malformed("parts_done", error))?,
    })
}
