//! The journal of messages.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::notifications::{self, Told};
use super::{FileRow, Store, echoes, files, malformed};
use crate::chat::{ChatId, ChatKind};
use crate::id::MessageId;
use crate::record::{Direction, Origin, Record, SendStatus};

const JOURNAL: &str =
    "SELECT * FROM ms_message WHERE direction = $1 AND date_s >= $2 AND (date_s, id) < ($3, $4)
    ORDER BY date_s DESC, id DESC LIMIT $5";
const HISTORY: &str = "SELECT * FROM ms_message WHERE chat = $1 ORDER BY date_s DESC, id DESC LIMIT $2";
/// Private chats and basic groups share their numbers.
const ANYWHERE: &str = "SELECT * FROM ms_message WHERE tg_id = $1 AND chat > -1000000000000";
const AT: &str = "SELECT * FROM ms_message WHERE chat = $1 AND tg_id = $2";
const READ: &str = "UPDATE ms_message SET status = 'read'
    WHERE chat = $1 AND tg_id > $2 AND tg_id <= $3 AND direction = 'outgoing' AND status = 'sent' RETURNING *";
const OLD_MESSAGES: &str = "DELETE FROM ms_message WHERE id IN (SELECT id FROM ms_message WHERE kept_s < $1
    AND NOT EXISTS (SELECT 1 FROM ms_outgoing WHERE ms_outgoing.id = ms_message.id) LIMIT 500)";
const OLD_PARTS: &str =
    "DELETE FROM ms_part WHERE (id, number) IN (SELECT id, number FROM ms_part WHERE date_s < $1
    AND NOT EXISTS (SELECT 1 FROM ms_message WHERE ms_message.id = ms_part.id) LIMIT 500)";
/// What is in the queue still is in no chat yet.
const LAST_OF_CHATS: &str = "SELECT m.* FROM
    (SELECT chat, MAX(date_s) AS at_s FROM ms_message WHERE chat IS NOT NULL GROUP BY chat) c JOIN ms_message m
    ON m.id = (SELECT id FROM ms_message l WHERE l.chat = c.chat ORDER BY l.date_s DESC, l.id DESC LIMIT 1)
    ORDER BY c.at_s DESC, m.id DESC LIMIT $1";
const OLD_TOLD: &str =
    "DELETE FROM ms_told WHERE dedupe IN (SELECT dedupe FROM ms_told WHERE told_s < $1 LIMIT 500)";

/// Messages that are given at once, at most.
const LONGEST: usize = 10_000;
/// So many are read at a time.
const BATCH: i64 = 500;
/// So many of a list have their small pictures.
pub(crate) const PICTURED: usize = 500;

impl Store {
    /// The number of the next message.
    pub(crate) async fn next_id(&self, now_ms: i64) -> Result<MessageId, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        next_id(&mut connection, now_ms).await
    }

    /// Writes a message of Telegram's down, with its file and what is told of it; false if it was told of already. One
    /// that a program has read in its chat before keeps the number that it got then.
    pub(crate) async fn receive(
        &self,
        record: &mut Record,
        file: Option<&FileRow>,
        told: impl FnOnce(&Record) -> Option<Told>,
        now_ms: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        if let Some(known) = by_tg_id(&mut transaction, record.chat, record.tg_id).await? {
            let told = sqlx::query("UPDATE ms_message SET recalled = 0 WHERE id = $1 AND recalled = 1");
            let told = told.bind(known.id.get()).execute(&mut *transaction).await?;
            if told.rows_affected() == 0 {
                return Ok(false);
            }
            *record = known;
        } else if echoes::is_part(&mut transaction, record.chat, record.tg_id).await? {
            // The queue has learnt its number since it was looked at.
            return Ok(false);
        } else {
            record.id = next_id(&mut transaction, now_ms).await?;
            mark(&mut transaction, record).await?;
            insert(&mut transaction, record).await?;
        }
        // What is told names it, whichever the program that read the message in its chat was given.
        if let Some(file) = file {
            files::insert(&mut transaction, file).await?;
        }
        // What may be a message of the queue is told of when it is known not to be.
        let is_ours = record.direction == Direction::Outgoing;
        let is_open = is_ours && echoes::note(&mut transaction, record.chat, record.tg_id).await?;
        if let Some(told) = told(record).filter(|_| !is_open) {
            notifications::insert(&mut transaction, &told, now_ms).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Writes down messages that a program reads in their chat, unless they are there; gives what the journal holds of
    /// them, in their order. Telegram may not have told of them yet: what is told of them is told when it does.
    pub(crate) async fn recall(
        &self,
        messages: Vec<(Record, Option<FileRow>)>,
        now_ms: i64,
    ) -> Result<Vec<Record>, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let mut records = Vec::with_capacity(messages.len());
        for (record, file) in messages {
            records.push(recall(&mut transaction, record, file.as_ref(), now_ms).await?.0);
        }
        transaction.commit().await?;
        Ok(records)
    }

    /// The same for one of which something else is told now.
    pub(crate) async fn recall_and_tell(
        &self,
        message: Record,
        file: Option<&FileRow>,
        told: impl FnOnce(&Record) -> Option<Told>,
        now_ms: i64,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let (record, is_new) = recall(&mut transaction, message, file, now_ms).await?;
        if let Some(told) = told(&record).filter(|_| is_new) {
            notifications::insert(&mut transaction, &told, now_ms).await?;
        }
        transaction.commit().await
    }

    /// A message by its number.
    pub(crate) async fn message(&self, id: MessageId) -> Result<Option<Record>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        by_id(&mut connection, id).await
    }

    /// Those of these messages that are there.
    pub(crate) async fn messages(&self, ids: &[MessageId]) -> Result<Vec<Record>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.extend(by_id(&mut connection, *id).await?);
        }
        Ok(found)
    }

    /// A message by Telegram's number; of a private chat or a basic group where the chat is not named, which share theirs.
    pub(crate) async fn message_at(
        &self,
        chat: Option<ChatId>,
        tg_id: i32,
    ) -> Result<Option<Record>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        if chat.is_some() {
            return by_tg_id(&mut connection, chat, Some(tg_id)).await;
        }
        let row = sqlx::query(ANYWHERE).bind(tg_id).fetch_optional(&mut *connection).await?;
        row.as_ref().map(record).transpose()
    }

    /// Messages one way since `since_s`, the newest first, 10,000 at most; only the first of them have small pictures.
    pub(crate) async fn journal(
        &self,
        direction: Direction,
        since_s: i64,
    ) -> Result<Vec<Record>, sqlx::Error> {
        let (mut records, mut before) = (Vec::new(), (i64::MAX, i64::MAX));
        // A batch at a time: the small pictures of all of them together would be much.
        while records.len() < LONGEST {
            let query = sqlx::query(JOURNAL).bind(direction.as_str()).bind(since_s);
            let rows = query.bind(before.0).bind(before.1).bind(BATCH).fetch_all(&self.pool).await?;
            for row in &rows {
                let mut record = record(row)?;
                before = (record.date_s, record.id.get());
                if records.len() >= PICTURED {
                    record.drop_pictures();
                }
                records.push(record);
            }
            if i64::try_from(rows.len()).is_ok_and(|count| count < BATCH) {
                break;
            }
        }
        Ok(records)
    }

    /// The last messages of a chat, the newest first.
    pub(crate) async fn history(&self, chat: ChatId, count: usize) -> Result<Vec<Record>, sqlx::Error> {
        let rows = sqlx::query(HISTORY)
            .bind(chat.0)
            .bind(i64::try_from(count).unwrap_or(i64::MAX))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(record).collect()
    }

    /// The last message of each chat, the newest first.
    pub(crate) async fn last_of_chats(&self, count: usize) -> Result<Vec<Record>, sqlx::Error> {
        let rows = sqlx::query(LAST_OF_CHATS).bind(i64::try_from(count).unwrap_or(i64::MAX));
        rows.fetch_all(&self.pool).await?.iter().map(record).collect()
    }

    /// A message is another one now.
    pub(crate) async fn change(
        &self,
        record: &Record,
        told: Option<&Told>,
        now_ms: i64,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("UPDATE ms_message SET content = $2, edited_s = $3, deleted_s = $4 WHERE id = $1")
            .bind(record.id.get())
            .bind(json("content", &record.content)?)
            .bind(record.edited_s)
            .bind(record.deleted_s)
            .execute(&mut *transaction)
            .await?;
        if let Some(told) = told {
            notifications::insert(&mut transaction, told, now_ms).await?;
        }
        transaction.commit().await
    }

    /// The other side has read our messages of a chat up to a number: tells what is to be told of each that was not read
    /// before, and that Telegram or a program has told of. Those that get their number later are read from the start.
    pub(crate) async fn read(
        &self,
        chat: ChatId,
        up_to: i32,
        told: impl Fn(&Record) -> Option<Told>,
        now_ms: i64,
    ) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let before = read_up_to(&mut transaction, chat).await?.unwrap_or(i64::MIN);
        if before >= i64::from(up_to) {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO ms_read (chat, up_to) VALUES ($1, $2) ON CONFLICT (chat) DO UPDATE SET up_to = $2",
        )
        .bind(chat.0)
        .bind(up_to)
        .execute(&mut *transaction)
        .await?;
        let rows =
            sqlx::query(READ).bind(chat.0).bind(before).bind(up_to).fetch_all(&mut *transaction).await?;
        let mut records = Vec::with_capacity(rows.len());
        for row in &rows {
            if row.try_get::<i64, _>("recalled")? == 0 {
                records.push(record(row)?);
            }
        }
        records.sort_by_key(|record| record.id);
        for told in records.iter().filter_map(told) {
            notifications::insert(&mut transaction, &told, now_ms).await?;
        }
        transaction.commit().await
    }

    /// Forgets what came into the journal before `before_s`, however old it was then, a little at a time; true while there is more.
    pub(crate) async fn forget(&self, before_s: i64) -> Result<bool, sqlx::Error> {
        let mut is_more = false;
        for old in [OLD_MESSAGES, OLD_PARTS, OLD_TOLD] {
            let done = sqlx::query(old).bind(before_s).execute(&self.pool).await?;
            is_more |= done.rows_affected() > 0;
        }
        Ok(is_more)
    }
}

/// The first number that was given away, and the last one.
async fn numbers(connection: &mut SqliteConnection) -> Result<Option<(i64, i64)>, sqlx::Error> {
    let query = sqlx::query("SELECT first_id, last_id FROM ms_number WHERE one = 1");
    query.fetch_optional(connection).await?.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// A number that nothing has had: edits, deletions and reactions have one too, and are not in the journal.
pub(super) async fn next_id(
    connection: &mut SqliteConnection,
    now_ms: i64,
) -> Result<MessageId, sqlx::Error> {
    let last = numbers(connection).await?.map_or(0, |(_, last)| last);
    let id = MessageId::after(last, now_ms);
    sqlx::query(
        "INSERT INTO ms_number (one, first_id, last_id) VALUES (1, $1, $1) ON CONFLICT (one) DO UPDATE SET last_id = $1",
    )
    .bind(id.get())
    .execute(connection)
    .await?;
    Ok(id)
}

/// Writes one down, unless it is there; whether it was not.
async fn recall(
    connection: &mut SqliteConnection,
    mut record: Record,
    file: Option<&FileRow>,
    now_ms: i64,
) -> Result<(Record, bool), sqlx::Error> {
    if let Some(known) = by_tg_id(connection, record.chat, record.tg_id).await? {
        return Ok((known, false));
    }
    // A part of a message of ours is no message of its own in the journal; it has that one's number.
    if let Some(whole) = echoes::whole_of(connection, record.chat, record.tg_id).await? {
        record.id = whole;
        return Ok((record, false));
    }
    record.id = recalled_id(connection, &record, now_ms).await?;
    mark(connection, &mut record).await?;
    insert(connection, &record).await?;
    sqlx::query("UPDATE ms_message SET recalled = 1, kept_s = $2 WHERE id = $1")
        .bind(record.id.get())
        .bind(now_ms / 1000)
        .execute(&mut *connection)
        .await?;
    if let Some(file) = file {
        files::insert(connection, file).await?;
    }
    Ok((record, true))
}

/// The number of a message that a program reads in its chat: as if it had been told of when it was written, if that was
/// before the first number was given away, so that nothing else has it.
async fn recalled_id(
    connection: &mut SqliteConnection,
    record: &Record,
    now_ms: i64,
) -> Result<MessageId, sqlx::Error> {
    let mut number = record.date_s * 1000 + i64::from(record.tg_id.unwrap_or(0)).rem_euclid(1000);
    while by_id(connection, MessageId::new(number)).await?.is_some() {
        number += 1;
    }
    match numbers(connection).await? {
        Some((first, _)) if number < first => Ok(MessageId::new(number)),
        _ => next_id(connection, now_ms).await,
    }
}

/// Up to where the other side of a chat has read.
async fn read_up_to(connection: &mut SqliteConnection, chat: ChatId) -> Result<Option<i64>, sqlx::Error> {
    let query = sqlx::query("SELECT up_to FROM ms_read WHERE chat = $1").bind(chat.0);
    query.fetch_optional(connection).await?.map(|row| row.try_get(0)).transpose()
}

/// A message of ours that Telegram has may have been read before anybody here knew of it.
pub(super) async fn mark(connection: &mut SqliteConnection, record: &mut Record) -> Result<(), sqlx::Error> {
    if let (Some(chat), Some(tg_id), SendStatus::Sent) = (record.chat, record.tg_id, record.status)
        && read_up_to(connection, chat).await?.is_some_and(|up_to| up_to >= i64::from(tg_id))
    {
        record.status = SendStatus::Read;
    }
    Ok(())
}

/// Writes a message down; its number is the time at which that is done.
pub(super) async fn insert(connection: &mut SqliteConnection, record: &Record) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO ms_message (id, direction, origin, chat, address, chat_kind, chat_title, tg_id, date_s, sender,
             content, quoted, is_forwarded, status, failure, edited_s, deleted_s, kept_s, is_silent)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $1 / 1000, $18)",
    )
    .bind(record.id.get())
    .bind(record.direction.as_str())
    .bind(record.origin.as_str())
    .bind(record.chat.map(|chat| chat.0))
    .bind(record.address.clone())
    .bind(record.chat_kind.as_str())
    .bind(record.chat_title.clone())
    .bind(record.tg_id)
    .bind(record.date_s)
    .bind(record.sender.as_ref().map(|sender| json("sender", sender)).transpose()?)
    .bind(json("content", &record.content)?)
    .bind(record.quoted.as_ref().map(|quoted| json("quoted", quoted)).transpose()?)
    .bind(i64::from(record.is_forwarded))
    .bind(record.status.as_str())
    .bind(record.failure.clone())
    .bind(record.edited_s)
    .bind(record.deleted_s)
    .bind(i64::from(record.is_silent))
    .execute(connection)
    .await
    .map(drop)
}

pub(super) async fn by_id(
    connection: &mut SqliteConnection,
    id: MessageId,
) -> Result<Option<Record>, sqlx::Error> {
    let query = sqlx::query("SELECT * FROM ms_message WHERE id = $1").bind(id.get());
    query.fetch_optional(connection).await?.as_ref().map(record).transpose()
}

pub(super) async fn by_tg_id(
    connection: &mut SqliteConnection,
    chat: Option<ChatId>,
    tg_id: Option<i32>,
) -> Result<Option<Record>, sqlx::Error> {
    let (Some(chat), Some(tg_id)) = (chat, tg_id) else { return Ok(None) };
    let query = sqlx::query(AT).bind(chat.0).bind(tg_id);
    query.fetch_optional(connection).await?.as_ref().map(record).transpose()
}

pub(super) fn json(column: &str, value: &impl Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| malformed(column, error))
}

pub(super) fn parsed<T: DeserializeOwned>(column: &str, text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| malformed(column, error))
}

pub(super) fn record(row: &SqliteRow) -> Result<Record, sqlx::Error> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let optional = |column: &str| row.try_get::<Option<String>, _>(column);
    let word = |column: &str| text(column).map_err(|_| malformed(column, "missing"));
    let (direction, origin, status) = (word("direction")?, word("origin")?, word("status")?);
    let kind = format!("\"{}\"", word("chat_kind")?);
    Ok(Record {
        id: MessageId::new(row.try_get("id")?),
        direction: Direction::read(&direction).ok_or_else(|| malformed("direction", direction))?,
        origin: Origin::read(&origin).ok_or_else(|| malformed("origin", origin))?,
        chat: row.try_get::<Option<i64>, _>("chat")?.map(ChatId),
        address: text("address")?,
        chat_kind: parsed::<ChatKind>("chat_kind", &kind)?,
        chat_title: text("chat_title")?,
        tg_id: row.try_get("tg_id")?,
        date_s: row.try_get("date_s")?,
        sender: optional("sender")?.map(|sender| parsed("sender", &sender)).transpose()?,
        content: parsed("content", &text("content")?)?,
        quoted: optional("quoted")?.map(|quoted| parsed("quoted", &quoted)).transpose()?,
        is_forwarded: row.try_get::<i64, _>("is_forwarded")? != 0,
        is_silent: row.try_get::<i64, _>("is_silent")? != 0,
        status: SendStatus::read(&status).ok_or_else(|| malformed("status", status))?,
        failure: optional("failure")?,
        reason: optional("reason")?.map(|reason| parsed("reason", &reason)).transpose()?,
        edited_s: row.try_get("edited_s")?,
        deleted_s: row.try_get("deleted_s")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Content;
    use crate::store::tests::Room;

    /// Thirty days ago is 0.
    const NOW_MS: i64 = 30 * 86_400_000;

    #[tokio::test]
    async fn what_a_program_read_in_a_chat_is_kept_as_long_as_what_came_then() {
        let room = Room::new();
        let store = room.open().await;
        let mut new = message(2, 0);
        assert!(store.receive(&mut new, None, |_| None, NOW_MS).await.unwrap());
        let old = store.recall(vec![(message(1, 5), None)], NOW_MS).await.unwrap().remove(0);
        assert!(old.id < new.id, "as if it had been told of when it was written");
        assert!(!store.forget(NOW_MS / 1000).await.unwrap());
        assert!(store.message(old.id).await.unwrap().is_some());
        assert!(store.forget(NOW_MS / 1000 + 1).await.unwrap());
        assert!(store.message(old.id).await.unwrap().is_none());
        assert!(store.message(new.id).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_history_is_written_down_whole_or_not_at_all() {
        let room = Room::new();
        let store = room.open().await;
        sqlx::query(
            "CREATE TRIGGER full BEFORE INSERT ON ms_message WHEN NEW.tg_id = 4 BEGIN SELECT RAISE(ABORT, 'full'); END",
        )
        .execute(&store.pool)
        .await
        .unwrap();
        let history = |last| (1..=last).rev().map(|tg_id| (message(tg_id, 5), None)).collect();
        store.recall(history(6), NOW_MS).await.unwrap_err();
        assert_eq!(store.history(ChatId(5), 10).await.unwrap(), []);
        let records = store.recall(history(3), NOW_MS).await.unwrap();
        assert_eq!(records.iter().map(|record| record.tg_id.unwrap()).collect::<Vec<_>>(), [3, 2, 1]);
        assert_eq!(store.recall(history(3), NOW_MS).await.unwrap(), records, "they are there");
    }

    #[tokio::test]
    async fn nothing_that_is_asked_often_looks_through_the_whole_journal_or_sorts_it() {
        let room = Room::new();
        let store = room.open().await;
        for query in [JOURNAL, HISTORY, ANYWHERE, AT, READ, OLD_MESSAGES, OLD_PARTS, OLD_TOLD] {
            let explained = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}")));
            let rows = explained.bind(1).bind(1).bind(1).fetch_all(&store.pool).await;
            let plan: Vec<String> = rows.unwrap().iter().map(|row| row.get("detail")).collect();
            assert!(
                plan.iter().all(|step| !step.contains("SCAN") && !step.contains("TEMP B-TREE")),
                "{query}: {plan:?}"
            );
        }
    }

    fn message(tg_id: i32, date_s: i64) -> Record {
        Record {
            id: MessageId::new(0),
            direction: Direction::Incoming,
            origin: Origin::Peer,
            chat: Some(ChatId(5)),
            address: "5".to_owned(),
            chat_kind: ChatKind::User,
            chat_title: "Anna".to_owned(),
            tg_id: Some(tg_id),
            date_s,
            sender: None,
            content: Content::plain("hello"),
            quoted: None,
            is_forwarded: false,
            is_silent: false,
            status: SendStatus::Read,
            failure: None,
            reason: None,
            edited_s: None,
            deleted_s: None,
        }
    }
}
