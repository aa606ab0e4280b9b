//! What people look at: the journal and the outgoing queue by pages, what rests, the head of the notifications, and what a
//! webhook answered last.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::holds::{HELD, Hold};
use super::journal::{parsed, record};
use super::{Store, malformed};
use crate::browse::{Bookmark, Dropped, Head, Rest, Waiting, WebhookFault};
use crate::chat::ChatId;
use crate::id::MessageId;
use crate::outbox::Letter;
use crate::record::{Direction, Record};

const ONE_WAY: &str =
    "SELECT * FROM ms_message WHERE direction = $1 AND (date_s, id) < ($2, $3) AND date_s >= $4
    ORDER BY date_s DESC, id DESC LIMIT $5";
const OF_CHAT: &str = "SELECT * FROM ms_message WHERE chat = $1 AND (date_s, id) < ($2, $3) AND date_s >= $4
    ORDER BY date_s DESC, id DESC LIMIT $5";
/// Among the newest of a chat, so that none with very many that know nothing of it takes long.
const TITLE: &str = "SELECT chat_title FROM
    (SELECT chat_title FROM ms_message WHERE chat = $1 ORDER BY date_s DESC, id DESC LIMIT 1000)
    WHERE chat_title <> '' LIMIT 1";
const LAST: &str = "SELECT date_s FROM ms_message WHERE direction = $1 ORDER BY date_s DESC, id DESC LIMIT 1";

/// A part of the journal that is read in the order of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// What went one way.
    Way(Direction),
    /// What is of a chat, both ways.
    Chat(ChatId),
}

impl Store {
    /// Messages of a shelf before a place and not older than `since_s`, the newest first.
    pub(crate) async fn browse(
        &self,
        shelf: Shelf,
        before: Bookmark,
        since_s: i64,
        count: usize,
    ) -> Result<Vec<Record>, sqlx::Error> {
        let query = match shelf {
            Shelf::Way(direction) => sqlx::query(ONE_WAY).bind(direction.as_str().to_owned()),
            Shelf::Chat(chat) => sqlx::query(OF_CHAT).bind(chat.0),
        };
        let query = query.bind(before.date_s).bind(before.id.get()).bind(since_s);
        let query = query.bind(i64::try_from(count).unwrap_or(i64::MAX));
        query.fetch_all(&self.pool).await?.iter().map(record).collect()
    }

    /// What a chat was called last; empty where nothing tells.
    pub(crate) async fn chat_title(&self, chat: ChatId) -> Result<String, sqlx::Error> {
        let row = sqlx::query(TITLE).bind(chat.0).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or_default())
    }

    /// When the newest message one way was written: seconds since 1970.
    pub(crate) async fn last_message_s(&self, direction: Direction) -> Result<Option<i64>, sqlx::Error> {
        let row = sqlx::query(LAST).bind(direction.as_str()).fetch_optional(&self.pool).await?;
        row.map(|row| row.try_get(0)).transpose()
    }

    /// A page of the outgoing queue, in its order.
    pub(crate) async fn waiting(
        &self,
        skip: u32,
        count: u32,
        now_ms: i64,
    ) -> Result<Vec<Waiting>, sqlx::Error> {
        let text = format!(
            "SELECT o.*, (SELECT MAX(h.until_ms) FROM ms_hold h WHERE {HELD}) AS held_ms,
             (SELECT h.cause FROM ms_hold h WHERE {HELD} ORDER BY h.until_ms DESC LIMIT 1) AS held_cause
             FROM (SELECT * FROM ms_outgoing ORDER BY seq LIMIT $2 OFFSET $3) o ORDER BY o.seq"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(text)).bind(now_ms).bind(i64::from(count));
        let rows = query.bind(i64::from(skip)).fetch_all(&self.pool).await?;
        rows.iter().zip(u64::from(skip) + 1..).map(|(row, position)| waiting(row, position)).collect()
    }

    /// What rests, and until when.
    pub(crate) async fn rests(&self, now_ms: i64) -> Result<Vec<Rest>, sqlx::Error> {
        let query = sqlx::query("SELECT * FROM ms_hold WHERE until_ms > $1 ORDER BY until_ms");
        let rows = query.bind(now_ms).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let chat: Option<i64> = row.try_get("chat")?;
                let what: String = row.try_get("what")?;
                Ok(Rest {
                    what: Hold::read(&what, chat.map(ChatId)).ok_or_else(|| malformed("what", &what))?.into(),
                    until_ms: row.try_get("until_ms")?,
                    cause: row.try_get("cause")?,
                })
            })
            .collect()
    }

    /// The head of the queue of notifications, which stays where it is.
    pub(crate) async fn look_at_head(&self, since_ms: i64) -> Result<Option<Head>, sqlx::Error> {
        let query =
            sqlx::query("SELECT * FROM ms_notification WHERE created_ms >= $1 ORDER BY receipt LIMIT 1");
        let Some(row) = query.bind(since_ms).fetch_optional(&self.pool).await? else { return Ok(None) };
        let attempts: i64 = row.try_get("attempts")?;
        Ok(Some(Head {
            receipt: row.try_get("receipt")?,
            kind: row.try_get("kind")?,
            body: parsed("body", &row.try_get::<String, _>("body")?)?,
            created_ms: row.try_get("created_ms")?,
            attempts: u32::try_from(attempts).map_err(|error| malformed("attempts", error))?,
            last_error: row.try_get("last_error")?,
            fetched: 0,
            fetched_ms: None,
        }))
    }

    /// How many notifications were dropped for newer ones.
    pub(crate) async fn dropped(&self) -> Result<Dropped, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM ms_notification_limit").fetch_one(&self.pool).await?;
        let (count, last_ms): (i64, i64) = (row.try_get("dropped")?, row.try_get("dropped_ms")?);
        Ok(Dropped { count: u64::try_from(count).unwrap_or(0), last_ms: (count > 0).then_some(last_ms) })
    }

    /// What the webhook answered last that was not well.
    pub(crate) async fn webhook_fault(&self) -> Result<Option<WebhookFault>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM ms_webhook_fault").fetch_optional(&self.pool).await?;
        row.map(|row| {
            let status: Option<i64> = row.try_get("status")?;
            Ok(WebhookFault {
                at_ms: row.try_get("at_ms")?,
                status: status.and_then(|status| u16::try_from(status).ok()),
                sentence: row.try_get("sentence")?,
            })
        })
        .transpose()
    }
}

fn waiting(row: &SqliteRow, position: u64) -> Result<Waiting, sqlx::Error> {
    let letter: Letter = parsed("draft", &row.try_get::<String, _>("draft")?)?;
    let attempts: i64 = row.try_get("attempts")?;
    let held_ms: Option<i64> = row.try_get("held_ms")?;
    Ok(Waiting {
        position,
        id: MessageId::new(row.try_get("id")?),
        to: letter.to,
        chat: row.try_get::<Option<i64>, _>("chat")?.map(ChatId),
        content: letter.content,
        method: row.try_get("method")?,
        accepted_ms: row.try_get("accepted_ms")?,
        attempts: u32::try_from(attempts).map_err(|error| malformed("attempts", error))?,
        next_ms: row
            .try_get::<i64, _>("not_before_ms")?
            .max(row.try_get("due_ms")?)
            .max(held_ms.unwrap_or(0)),
        is_under_way: row.try_get::<i64, _>("claimed")? > 1,
        rests: row.try_get("held_cause")?,
        last_error: row.try_get("last_error")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn a_page_of_the_journal_is_read_by_an_index_and_not_sorted() {
        let room = Room::new();
        let store = room.open().await;
        for query in [ONE_WAY, OF_CHAT, TITLE, LAST] {
            let explained = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}")));
            let rows = explained.bind(1).bind(1).bind(1).bind(1).bind(1).fetch_all(&store.pool).await;
            let plan: Vec<String> = rows.unwrap().iter().map(|row| row.get("detail")).collect();
            let is_by_index = plan.iter().any(|step| step.contains("INDEX ms_message_"));
            // Of a subquery the rows that it found are looked through.
            let is_through_all = |step: &String| step.contains("SCAN") && !step.starts_with("SCAN (subquery");
            let is_sorted = plan.iter().any(|step| is_through_all(step) || step.contains("TEMP B-TREE"));
            assert!(is_by_index && !is_sorted, "{query}: {plan:?}");
            assert!(
                [TITLE, LAST].contains(&query) || plan.iter().any(|step| step.contains("date_s,id)<(?,?)")),
                "{plan:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_rests_is_told_until_its_time_is_over() {
        let room = Room::new();
        let store = room.open().await;
        let all = [Hold::All, Hold::Lookups, Hold::Strangers, Hold::Chat(ChatId(-42))];
        for (hold, until_ms) in all.into_iter().zip([400, 300, 200, 100]) {
            store.hold(hold, 0, until_ms, "Telegram asks to wait").await.unwrap();
        }
        let rests = store.rests(100).await.unwrap();
        let whats: Vec<_> = rests.iter().map(|rest| (rest.what, rest.until_ms)).collect();
        let expected = [(Hold::Strangers, 200), (Hold::Lookups, 300), (Hold::All, 400)];
        assert_eq!(whats, expected.map(|(hold, until_ms)| (hold.into(), until_ms)));
        assert_eq!(store.rests(99).await.unwrap()[0].what, Hold::Chat(ChatId(-42)).into());
    }

    #[tokio::test]
    async fn the_last_fault_of_a_webhook_is_kept_over_a_restart() {
        let room = Room::new();
        let store = room.open().await;
        assert_eq!(store.webhook_fault().await.unwrap(), None);
        let fault = |at_ms, status| WebhookFault { at_ms, status, sentence: "no answer".to_owned() };
        for fault in [fault(1, Some(500)), fault(2, None)] {
            store.push_failed(7, &fault).await.unwrap();
        }
        drop(store);
        assert_eq!(room.open().await.webhook_fault().await.unwrap(), Some(fault(2, None)));
    }
}
