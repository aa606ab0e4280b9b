//! The outgoing queue.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::journal::{self, json, parsed};
use super::notifications::{self, Told};
use super::{Store, malformed};
use crate::chat::ChatId;
use crate::content::{Attachment, Content};
use crate::id::MessageId;
use crate::instance::QueueLine;
use crate::messenger::Sent;
use crate::outbox::Letter;
use crate::record::{Record, SendStatus};

/// A message of the queue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outgoing {
    pub(crate) seq: i64,
    pub(crate) id: MessageId,
    pub(crate) letter: Letter,
    pub(crate) random_id: i64,
    pub(crate) accepted_ms: i64,
    pub(crate) not_before_ms: i64,
    pub(crate) attempts: u32,
    /// How many of its parts Telegram has.
    pub(crate) parts_done: u32,
}

/// What goes into the queue beside the message itself.
pub(crate) struct Accept<'a> {
    pub(crate) method: &'a str,
    pub(crate) request: &'a serde_json::Value,
    pub(crate) letter: &'a Letter,
    pub(crate) random_id: i64,
    /// Longest queue.
    pub(crate) limit: i64,
}

impl Store {
    /// Writes a message and its place in the queue down; none if the queue is too long.
    pub(crate) async fn accept(
        &self,
        record: &mut Record,
        accept: Accept<'_>,
        now_ms: i64,
    ) -> Result<Option<MessageId>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let waiting = sqlx::query("SELECT COUNT(*) FROM ms_outgoing").fetch_one(&mut *transaction).await?;
        if waiting.try_get::<i64, _>(0)? >= accept.limit {
            return Ok(None);
        }
        record.id = journal::next_id(&mut transaction, now_ms).await?;
        journal::insert(&mut transaction, record).await?;
        sqlx::query(
            "INSERT INTO ms_outgoing (id, method, request, draft, random_id, accepted_ms, not_before_ms, attempts, claimed,
                 parts_done) VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0)",
        )
        .bind(record.id.get())
        .bind(accept.method.to_owned())
        .bind(json("request", accept.request)?)
        .bind(json("draft", accept.letter)?)
        .bind(accept.random_id)
        .bind(now_ms)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(Some(record.id))
    }

    /// The message that is to be sent next, whether its time has come or not: the first in the queue, or the first after
    /// those that failed more often than `tries`, as long as their time has not come.
    pub(crate) async fn next(&self, now_ms: i64, tries: u32) -> Result<Option<Outgoing>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT * FROM ms_outgoing WHERE attempts <= $2 OR not_before_ms <= $1 ORDER BY seq LIMIT 1",
        )
        .bind(now_ms)
        .bind(i64::from(tries))
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(outgoing).transpose()
    }

    /// When the first of those that wait may be tried again.
    pub(crate) async fn next_at_ms(&self) -> Result<Option<i64>, sqlx::Error> {
        let row = sqlx::query("SELECT MIN(not_before_ms) FROM ms_outgoing").fetch_one(&self.pool).await?;
        row.try_get(0)
    }

    /// A message is about to be handed to Telegram; from now on nobody knows whether it has it.
    pub(crate) async fn claim(&self, seq: i64) -> Result<(), sqlx::Error> {
        let query = sqlx::query("UPDATE ms_outgoing SET claimed = 1, attempts = attempts + 1 WHERE seq = $1");
        query.bind(seq).execute(&self.pool).await.map(drop)
    }

    /// Its file was fetched from the web.
    pub(crate) async fn fetched(&self, outgoing: &Outgoing, file: &Attachment) -> Result<(), sqlx::Error> {
        let mut letter = outgoing.letter.clone();
        if let Content::File { file: kept, .. } = &mut letter.content {
            kept.clone_from(file);
        }
        let mut transaction = self.pool.begin().await?;
        sqlx::query("UPDATE ms_outgoing SET draft = $2 WHERE seq = $1")
            .bind(outgoing.seq)
            .bind(json("draft", &letter)?)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("UPDATE ms_message SET content = $2 WHERE id = $1")
            .bind(outgoing.id.get())
            .bind(json("content", &letter.content)?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await
    }

    /// Telegram has another part of it.
    pub(crate) async fn part_done(&self, seq: i64) -> Result<(), sqlx::Error> {
        let query = sqlx::query("UPDATE ms_outgoing SET parts_done = parts_done + 1 WHERE seq = $1");
        query.bind(seq).execute(&self.pool).await.map(drop)
    }

    /// It is to be tried again. `is_lost`: whether Telegram may have it nevertheless.
    pub(crate) async fn later(
        &self,
        seq: i64,
        not_before_ms: i64,
        error: &str,
        is_lost: bool,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE ms_outgoing SET not_before_ms = $2, last_error = $3, claimed = $4 WHERE seq = $1")
            .bind(seq)
            .bind(not_before_ms)
            .bind(error.to_owned())
            .bind(i64::from(is_lost))
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// It was not counted as an attempt: the account has to rest, or is not authorized.
    pub(crate) async fn unclaim(&self, seq: i64, error: &str) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE ms_outgoing SET attempts = attempts - 1, claimed = 0, last_error = $2 WHERE seq = $1 AND claimed = 1",
        )
        .bind(seq)
        .bind(error.to_owned())
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// Telegram has it.
    pub(crate) async fn sent(
        &self,
        id: MessageId,
        sent: Option<&Sent>,
        told: impl Fn(&Record) -> Vec<Told>,
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
            // Telegram may have told of it as of a message of another device.
            twin(&mut transaction, sent.chat.id, sent.tg_id).await?;
            record.chat = Some(sent.chat.id);
            record.chat_kind = sent.chat.kind;
            record.chat_title.clone_from(&sent.chat.title);
            record.tg_id = Some(sent.tg_id);
            record.date_s = sent.date_s;
        }
        sqlx::query(
            "UPDATE ms_message SET status = 'sent', chat = $2, chat_kind = $3, chat_title = $4, tg_id = $5, date_s = $6
             WHERE id = $1",
        )
        .bind(id.get())
        .bind(record.chat.map(|chat| chat.0))
        .bind(record.chat_kind.as_str())
        .bind(record.chat_title.clone())
        .bind(record.tg_id)
        .bind(record.date_s)
        .execute(&mut *transaction)
        .await?;
        for told in told(&record) {
            notifications::insert(&mut transaction, &told, now_ms).await?;
        }
        transaction.commit().await
    }

    /// It will not be sent.
    pub(crate) async fn failed(
        &self,
        id: MessageId,
        failure: &str,
        told: impl Fn(&Record) -> Vec<Told>,
        now_ms: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let left =
            sqlx::query("DELETE FROM ms_outgoing WHERE id = $1").bind(id.get()).execute(&mut *transaction);
        if left.await?.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("UPDATE ms_message SET status = 'failed', failure = $2 WHERE id = $1")
            .bind(id.get())
            .bind(failure.to_owned())
            .execute(&mut *transaction)
            .await?;
        if let Some(record) = journal::by_id(&mut transaction, id).await? {
            for told in told(&record) {
                notifications::insert(&mut transaction, &told, now_ms).await?;
            }
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Messages that were handed to Telegram, whose fate nobody knows.
    pub(crate) async fn claimed(&self) -> Result<Vec<Outgoing>, sqlx::Error> {
        let rows =
            sqlx::query("SELECT * FROM ms_outgoing WHERE claimed = 1 ORDER BY seq").fetch_all(&self.pool);
        rows.await?.iter().map(outgoing).collect()
    }

    /// Those accepted before `before_ms`.
    pub(crate) async fn expired(&self, before_ms: i64) -> Result<Vec<MessageId>, sqlx::Error> {
        let rows = sqlx::query("SELECT id FROM ms_outgoing WHERE accepted_ms < $1 ORDER BY seq LIMIT 500");
        let rows = rows.bind(before_ms).fetch_all(&self.pool).await?;
        rows.iter().map(|row| row.try_get(0).map(MessageId::new)).collect()
    }

    /// All that wait, except the one that is being sent.
    pub(crate) async fn waiting(&self) -> Result<Vec<MessageId>, sqlx::Error> {
        let rows =
            sqlx::query("SELECT id FROM ms_outgoing WHERE claimed = 0 ORDER BY seq").fetch_all(&self.pool);
        rows.await?.iter().map(|row| row.try_get(0).map(MessageId::new)).collect()
    }

    pub(crate) async fn queue(&self) -> Result<Vec<QueueLine>, sqlx::Error> {
        let rows =
            sqlx::query("SELECT * FROM ms_outgoing ORDER BY seq LIMIT 10000").fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                Ok(QueueLine {
                    id: MessageId::new(row.try_get("id")?),
                    method: row.try_get("method")?,
                    request: parsed("request", &row.try_get::<String, _>("request")?)?,
                    attempts: attempts(row)?,
                    not_before_ms: row.try_get("not_before_ms")?,
                    last_error: row.try_get("last_error")?,
                })
            })
            .collect()
    }

    pub(crate) async fn queue_len(&self) -> Result<u64, sqlx::Error> {
        let row = sqlx::query("SELECT COUNT(*) FROM ms_outgoing").fetch_one(&self.pool).await?;
        Ok(u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0))
    }
}

/// Takes out what stands for the same message, if anything does, and what was told of it.
async fn twin(connection: &mut SqliteConnection, chat: ChatId, tg_id: i32) -> Result<(), sqlx::Error> {
    let done = sqlx::query("DELETE FROM ms_message WHERE chat = $1 AND tg_id = $2")
        .bind(chat.0)
        .bind(tg_id)
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() > 0 {
        notifications::take_back(connection, &crate::inbox::dedupe("new", chat, tg_id)).await?;
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
        accepted_ms: row.try_get("accepted_ms")?,
        not_before_ms: row.try_get("not_before_ms")?,
        attempts: attempts(row)?,
        parts_done: u32::try_from(parts).map_err(|error| malformed("parts_done", error))?,
    })
}
