//! The queue of notifications: what programs are told, in the order in which it happened, until they have taken it away.

use serde_json::Value;
use sqlx::{Row as _, SqliteConnection};

use super::Store;
use super::journal::{json, parsed};
use crate::browse::WebhookFault;

/// Something to be told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    /// GREEN-API's `typeWebhook`.
    pub(crate) kind: &'static str,
    /// By what it is known to be the same as something told before.
    pub(crate) dedupe: String,
    pub(crate) body: Value,
}

/// A notification in the queue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notification {
    pub(crate) receipt: i64,
    pub(crate) body: Value,
    pub(crate) attempts: i64,
    pub(crate) last_error: Option<String>,
}

impl Store {
    /// Puts something at the end of the queue, unless it was told before.
    pub(crate) async fn tell(&self, told: &Told, now_ms: i64) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        insert(&mut transaction, told, now_ms).await?;
        transaction.commit().await
    }

    /// The head of the queue. What is older than `since_ms` is thrown away first.
    pub(crate) async fn head(&self, since_ms: i64) -> Result<Option<Notification>, sqlx::Error> {
        let row =
            sqlx::query("SELECT * FROM ms_notification ORDER BY receipt LIMIT 1").fetch_optional(&self.pool);
        let Some(mut row) = row.await? else { return Ok(None) };
        if row.try_get::<i64, _>("created_ms")? < since_ms {
            sqlx::query("DELETE FROM ms_notification WHERE created_ms < $1")
                .bind(since_ms)
                .execute(&self.pool)
                .await?;
            let next = sqlx::query("SELECT * FROM ms_notification ORDER BY receipt LIMIT 1")
                .fetch_optional(&self.pool);
            let Some(next) = next.await? else { return Ok(None) };
            row = next;
        }
        loop {
            let receipt = row.try_get("receipt")?;
            let body = row.try_get::<String, _>("body").and_then(|body| parsed("body", &body));
            match body {
                Ok(body) => {
                    let (attempts, last_error) = (row.try_get("attempts")?, row.try_get("last_error")?);
                    return Ok(Some(Notification { receipt, body, attempts, last_error }));
                }
                // Nobody could take it away, and nothing would pass it.
                Err(error) => {
                    tracing::error!(receipt, %error, "a notification cannot be read, and is not told");
                    self.confirm(receipt).await?;
                }
            }
            let next = sqlx::query("SELECT * FROM ms_notification ORDER BY receipt LIMIT 1");
            let Some(next) = next.fetch_optional(&self.pool).await? else { return Ok(None) };
            row = next;
        }
    }

    /// Takes a notification away; false if there is none of this number.
    pub(crate) async fn confirm(&self, receipt: i64) -> Result<bool, sqlx::Error> {
        let query = sqlx::query("DELETE FROM ms_notification WHERE receipt = $1").bind(receipt);
        Ok(query.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// A webhook did not take the head.
    pub(crate) async fn push_failed(&self, receipt: i64, fault: &WebhookFault) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("UPDATE ms_notification SET attempts = attempts + 1, last_error = $2 WHERE receipt = $1")
            .bind(receipt)
            .bind(fault.sentence.clone())
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO ms_webhook_fault (one, at_ms, status, sentence) VALUES (1, $1, $2, $3)
             ON CONFLICT (one) DO UPDATE SET at_ms = $1, status = $2, sentence = $3",
        )
        .bind(fault.at_ms)
        .bind(fault.status.map(i64::from))
        .bind(fault.sentence.clone())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await
    }

    /// At most so many wait from now on.
    pub(crate) async fn limit_notifications(&self, most: u32) -> Result<(), sqlx::Error> {
        let query = sqlx::query("UPDATE ms_notification_limit SET most = $1").bind(i64::from(most));
        query.execute(&self.pool).await.map(drop)
    }

    /// How many wait. No more than `most` are counted.
    pub(crate) async fn notifications_len(&self, since_ms: i64, most: u64) -> Result<u64, sqlx::Error> {
        let row = sqlx::query(LEN).bind(since_ms).bind(i64::try_from(most).unwrap_or(i64::MAX));
        Ok(u64::try_from(row.fetch_one(&self.pool).await?.try_get::<i64, _>(0)?).unwrap_or(0))
    }

    pub(crate) async fn clear_notifications(&self) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM ms_notification").execute(&self.pool).await.map(drop)
    }
}

const LEN: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM ms_notification WHERE created_ms >= $1 ORDER BY created_ms LIMIT $2)";

/// After so many that were dropped it is said again.
const SAID_EVERY: i64 = 10_000;

/// What the journal itself keeps from being told twice, by how [`Told::dedupe`] begins: a message is there or not, sent or
/// not. Everything else that Telegram may repeat is remembered for as long as the journal reaches.
const KNOWN_BY_JOURNAL: [&str; 4] = ["new:", "api:", "status:", "standing:"];

pub(super) async fn insert(
    connection: &mut SqliteConnection,
    told: &Told,
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    if !KNOWN_BY_JOURNAL.iter().any(|start| told.dedupe.starts_with(start)) {
        let memory = sqlx::query(
            "INSERT INTO ms_told (dedupe, told_s) VALUES ($1, $2) ON CONFLICT (dedupe) DO NOTHING",
        )
        .bind(told.dedupe.clone())
        .bind(now_ms / 1000)
        .execute(&mut *connection)
        .await?;
        if memory.rows_affected() == 0 {
            return Ok(());
        }
    }
    sqlx::query(
        "INSERT INTO ms_notification (kind, dedupe, body, created_ms, attempts) VALUES ($1, $2, $3, $4, 0)
         ON CONFLICT (dedupe) DO NOTHING",
    )
    .bind(told.kind)
    .bind(told.dedupe.clone())
    .bind(json("body", &told.body)?)
    .bind(now_ms)
    .execute(&mut *connection)
    .await?;
    keep_within(connection, now_ms).await
}

/// How many may wait, and how many do at most: their numbers have gaps, so that they are counted only where that may be too
/// many. Each question looks at one end alone.
const SPAN: &str = "SELECT most, COALESCE((SELECT MAX(receipt) FROM ms_notification)
    - (SELECT MIN(receipt) FROM ms_notification) + 1, 0) FROM ms_notification_limit";

/// Drops the oldest where more wait than may.
async fn keep_within(connection: &mut SqliteConnection, now_ms: i64) -> Result<(), sqlx::Error> {
    let row = sqlx::query(SPAN).fetch_one(&mut *connection).await?;
    let (most, span): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if span <= most {
        return Ok(());
    }
    let row = sqlx::query("SELECT COUNT(*) FROM ms_notification").fetch_one(&mut *connection).await?;
    let excess = row.try_get::<i64, _>(0)? - most;
    if excess <= 0 {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM ms_notification WHERE receipt IN (SELECT receipt FROM ms_notification ORDER BY receipt LIMIT $1)",
    )
    .bind(excess)
    .execute(&mut *connection)
    .await?;
    let note = sqlx::query(
        "UPDATE ms_notification_limit SET dropped = dropped + $1, dropped_ms = $2 RETURNING dropped",
    );
    let row = note.bind(excess).bind(now_ms).fetch_one(connection).await?;
    let dropped: i64 = row.try_get(0)?;
    if dropped / SAID_EVERY != (dropped - excess) / SAID_EVERY || dropped == excess {
        tracing::warn!(
            dropped,
            most,
            "notifications that no program fetched are dropped for newer ones ([api] notification_limit)"
        );
    }
    Ok(())
}

/// Takes back what was not fetched yet.
pub(super) async fn take_back(connection: &mut SqliteConnection, dedupe: &str) -> Result<(), sqlx::Error> {
    let query = sqlx::query("DELETE FROM ms_notification WHERE dedupe = $1").bind(dedupe.to_owned());
    query.execute(connection).await.map(drop)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::store::Told;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn the_head_stays_until_it_is_taken_away_and_is_not_told_again() {
        let room = Room::new();
        let store = room.open().await;
        let told = |number: u32| Told {
            kind: "incomingMessageReceived",
            dedupe: format!("edited:{number}"),
            body: json!({ "n": number }),
        };
        for number in [1, 2, 1] {
            store.tell(&told(number), 1_000).await.unwrap();
        }
        assert_eq!(store.notifications_len(0, u64::MAX).await.unwrap(), 2);
        let head = store.head(0).await.unwrap().unwrap();
        assert_eq!(store.head(0).await.unwrap().unwrap(), head, "the same until it is taken away");
        assert!(!store.confirm(head.receipt + 7).await.unwrap());
        assert!(store.confirm(head.receipt).await.unwrap());
        drop(store);
        let store = room.open().await;
        store.tell(&told(1), 2_000).await.unwrap();
        let next = store.head(0).await.unwrap().unwrap();
        assert_eq!((next.body["n"].as_u64(), next.receipt), (Some(2), head.receipt + 1));
        assert!(store.confirm(next.receipt).await.unwrap());
        assert_eq!(store.head(0).await.unwrap(), None, "the first was told before");
        store.tell(&told(3), 3_000).await.unwrap();
        assert!(
            store.head(0).await.unwrap().unwrap().receipt > next.receipt,
            "a receipt's number is never used again"
        );
    }

    #[tokio::test]
    async fn what_cannot_be_read_holds_nobody_up() {
        let room = Room::new();
        let store = room.open().await;
        for number in 1..=3 {
            let told = Told { kind: "x", dedupe: number.to_string(), body: json!(number) };
            store.tell(&told, 1_000).await.unwrap();
        }
        sqlx::query("UPDATE ms_notification SET body = '{' WHERE receipt < 3")
            .execute(&store.pool)
            .await
            .unwrap();
        assert_eq!(store.head(0).await.unwrap().unwrap().body, json!(3));
        assert_eq!(store.notifications_len(0, u64::MAX).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn what_nobody_fetched_for_too_long_is_thrown_away() {
        let room = Room::new();
        let store = room.open().await;
        for (number, at) in [(1, 1_000), (2, 5_000)] {
            let told = Told { kind: "x", dedupe: number.to_string(), body: json!(number) };
            store.tell(&told, at).await.unwrap();
        }
        assert_eq!(store.notifications_len(0, 1).await.unwrap(), 1, "counted no further than is asked");
        assert_eq!(store.notifications_len(5_000, u64::MAX).await.unwrap(), 1);
        assert_eq!(store.head(2_000).await.unwrap().unwrap().body, json!(2));
        assert_eq!(store.notifications_len(0, u64::MAX).await.unwrap(), 1);
    }
}
