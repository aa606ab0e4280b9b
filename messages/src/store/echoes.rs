//! Messages of the account's own that come while one of the queue is under way to the same chat.
//!
//! Nobody knows yet whether they are that one or were written at another device. They are in the journal at once, and told
//! of when it is known; once the queue's message has its numbers, those with the same numbers are what it became.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::journal;
use super::notifications::{self, Told};
use super::{Store, malformed};
use crate::chat::ChatId;
use crate::id::MessageId;
use crate::record::Record;

/// A message of Telegram's that is a part of one that programs know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) number: usize,
    pub(crate) tg_id: i32,
    pub(crate) date_s: i64,
}

impl Store {
    /// All parts of a message that Telegram has and whose numbers are known.
    pub(crate) async fn parts_of(&self, id: MessageId) -> Result<Vec<Part>, sqlx::Error> {
        let rows = sqlx::query("SELECT number, tg_id, date_s FROM ms_part WHERE id = $1 ORDER BY number");
        let rows = rows.bind(id.get()).fetch_all(&self.pool).await?;
        let part = |row: &SqliteRow| {
            let number: i64 = row.try_get(0)?;
            let number = usize::try_from(number).map_err(|error| malformed("number", error))?;
            Ok(Part { number, tg_id: row.try_get(1)?, date_s: row.try_get(2)? })
        };
        rows.iter().map(part).collect()
    }

    /// The parts of a message after the first that Telegram has: their numbers there.
    pub(crate) async fn parts(&self, id: MessageId) -> Result<Vec<i32>, sqlx::Error> {
        let rows = sqlx::query("SELECT tg_id FROM ms_part WHERE id = $1 AND number > 0 ORDER BY number")
            .bind(id.get())
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    /// The first part of a message that Telegram has: its chat, its number and when it was sent.
    pub(crate) async fn first_part(&self, id: MessageId) -> Result<Option<(ChatId, i32, i64)>, sqlx::Error> {
        let row = sqlx::query("SELECT chat, tg_id, date_s FROM ms_part WHERE id = $1 AND number = 0");
        let row = row.bind(id.get()).fetch_optional(&self.pool).await?;
        row.map(|row| Ok((ChatId(row.try_get(0)?), row.try_get(1)?, row.try_get(2)?))).transpose()
    }

    /// Whether a message of Telegram's is a part of a message that programs know.
    pub(crate) async fn is_part(&self, chat: ChatId, tg_id: i32) -> Result<bool, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        is_part(&mut connection, Some(chat), Some(tg_id)).await
    }

    /// What came while a message was under way, as the journal holds it.
    pub(crate) async fn echoes(&self, id: MessageId) -> Result<Vec<Record>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        echoes(&mut connection, id).await
    }
}

/// The message that programs know of which one of Telegram's is a part.
pub(super) async fn whole_of(
    connection: &mut SqliteConnection,
    chat: Option<ChatId>,
    tg_id: Option<i32>,
) -> Result<Option<MessageId>, sqlx::Error> {
    let (Some(chat), Some(tg_id)) = (chat, tg_id) else { return Ok(None) };
    let row = sqlx::query("SELECT id FROM ms_part WHERE chat = $1 AND tg_id = $2").bind(chat.0).bind(tg_id);
    let row = row.fetch_optional(connection).await?;
    row.map(|row| Ok(MessageId::new(row.try_get(0)?))).transpose()
}

/// Whether a message of Telegram's is a part of a message that programs know.
pub(super) async fn is_part(
    connection: &mut SqliteConnection,
    chat: Option<ChatId>,
    tg_id: Option<i32>,
) -> Result<bool, sqlx::Error> {
    let (Some(chat), Some(tg_id)) = (chat, tg_id) else { return Ok(false) };
    let row = sqlx::query("SELECT 1 FROM ms_part WHERE chat = $1 AND tg_id = $2").bind(chat.0).bind(tg_id);
    Ok(row.fetch_optional(connection).await?.is_some())
}

/// Notes a message of the account's own that may be one of the queue; false if none is under way to its chat.
pub(super) async fn note(
    connection: &mut SqliteConnection,
    chat: Option<ChatId>,
    tg_id: Option<i32>,
) -> Result<bool, sqlx::Error> {
    let (Some(chat), Some(tg_id)) = (chat, tg_id) else { return Ok(false) };
    let done = sqlx::query(
        "INSERT INTO ms_echo (id, chat, tg_id) SELECT id, $1, $2 FROM ms_outgoing WHERE claimed > 0 AND chat = $1
         ORDER BY seq LIMIT 1 ON CONFLICT (chat, tg_id) DO NOTHING",
    )
    .bind(chat.0)
    .bind(tg_id)
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// It is known what became of a message: what came meanwhile and is not it was written at another device, and is told of.
pub(super) async fn settle(
    connection: &mut SqliteConnection,
    id: MessageId,
    of_device: impl Fn(&Record) -> Option<Told>,
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    for record in echoes(connection, id).await? {
        let (Some(chat), Some(tg_id)) = (record.chat, record.tg_id) else {
            return Err(malformed("ms_echo", "a message without its number"));
        };
        if is_part(connection, Some(chat), Some(tg_id)).await? {
            forget(connection, chat, tg_id).await?;
        } else if let Some(told) = of_device(&record) {
            notifications::insert(connection, &told, now_ms).await?;
        }
    }
    sqlx::query("DELETE FROM ms_echo WHERE id = $1").bind(id.get()).execute(connection).await.map(drop)
}

/// Takes what stands for the same message out of the journal, if anything does, and what was told of it.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    chat: ChatId,
    tg_id: i32,
) -> Result<(), sqlx::Error> {
    let done = sqlx::query("DELETE FROM ms_message WHERE chat = $1 AND tg_id = $2")
        .bind(chat.0)
        .bind(tg_id)
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() > 0 {
        notifications::take_back(connection, &crate::inbox::dedupe("new", chat, tg_id)).await?;
    }
    sqlx::query("DELETE FROM ms_echo WHERE chat = $1 AND tg_id = $2")
        .bind(chat.0)
        .bind(tg_id)
        .execute(connection)
        .await
        .map(drop)
}

async fn echoes(connection: &mut SqliteConnection, id: MessageId) -> Result<Vec<Record>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT m.* FROM ms_echo e JOIN ms_message m ON m.chat = e.chat AND m.tg_id = e.tg_id WHERE e.id = $1 ORDER BY m.tg_id",
    )
    .bind(id.get())
    .fetch_all(connection)
    .await?;
    rows.iter().map(journal::record).collect()
}
