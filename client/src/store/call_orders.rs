//! Calls that programs ordered, by the keys they gave: a key places one call, whatever happens in between.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::Store;
use super::calls::{number, unsigned};

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderRow {
    /// The program's key.
    pub(crate) key: String,
    /// What the gateway knows the order by.
    pub(crate) gateway_key: String,
    /// What was ordered.
    pub(crate) request: String,
    pub(crate) asked_ms: u64,
    /// The process that was asked: another one knows nothing of it.
    pub(crate) gateway_pid: u32,
    /// The call, once it is known to be placed.
    pub(crate) call: Option<String>,
}

impl Store {
    /// The order under a key.
    pub(crate) async fn call_order(&self, key: &str) -> Result<Option<OrderRow>, sqlx::Error> {
        let query = sqlx::query("SELECT * FROM cl_call_order WHERE key = $1").bind(key);
        query.fetch_optional(&self.pool).await?.as_ref().map(read).transpose()
    }

    /// Writes an order down before it is given, or what is newly known of it.
    pub(crate) async fn put_call_order(&self, order: &OrderRow) -> Result<(), sqlx::Error> {
        let note = "INSERT INTO cl_call_order (key, gateway_key, request, asked_ms, gateway_pid, call)
            VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (key) DO UPDATE SET gateway_key = excluded.gateway_key, request = excluded.request,
                asked_ms = excluded.asked_ms, gateway_pid = excluded.gateway_pid, call = excluded.call";
        sqlx::query(note)
            .bind(&order.key)
            .bind(&order.gateway_key)
            .bind(&order.request)
            .bind(number(order.asked_ms))
            .bind(i64::from(order.gateway_pid))
            .bind(&order.call)
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// Nobody was called: the key is free again.
    pub(crate) async fn drop_call_order(&self, key: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM cl_call_order WHERE key = $1").bind(key).execute(&self.pool).await.map(drop)
    }

    /// When a call was ordered; none where it was not.
    pub(crate) async fn ordered_ms(&self, call: &str) -> Result<Option<u64>, sqlx::Error> {
        let query = sqlx::query("SELECT asked_ms FROM cl_call_order WHERE call = $1").bind(call);
        let row = query.fetch_optional(&self.pool).await?;
        row.map(|row| row.try_get("asked_ms").map(unsigned)).transpose()
    }

    /// Whether a call was placed for an order.
    pub(crate) async fn is_ordered(&self, call: &str) -> Result<bool, sqlx::Error> {
        let query = sqlx::query("SELECT 1 FROM cl_call_order WHERE call = $1").bind(call);
        Ok(query.fetch_optional(&self.pool).await?.is_some())
    }
}

fn read(row: &SqliteRow) -> Result<OrderRow, sqlx::Error> {
    Ok(OrderRow {
        key: row.try_get("key")?,
        gateway_key: row.try_get("gateway_key")?,
        request: row.try_get("request")?,
        asked_ms: unsigned(row.try_get("asked_ms")?),
        gateway_pid: u32::try_from(row.try_get::<i64, _>("gateway_pid")?).unwrap_or(0),
        call: row.try_get("call")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn an_order_outlives_a_kill_with_what_is_known_of_it() {
        let room = Room::new();
        let (store, database) = room.open().await;
        let order = OrderRow {
            key: "k".into(),
            gateway_key: "g".into(),
            request: "r".into(),
            asked_ms: 1_000_000_000,
            gateway_pid: 7,
            call: None,
        };
        store.put_call_order(&order).await.unwrap();
        drop(store);
        database.close().await;
        let (store, _database) = room.open().await;
        assert_eq!(store.call_order("k").await.unwrap(), Some(order.clone()));
        let placed = OrderRow { call: Some("a1".into()), ..order };
        store.put_call_order(&placed).await.unwrap();
        assert_eq!(store.call_order("k").await.unwrap(), Some(placed));
        assert_eq!(store.ordered_ms("a1").await.unwrap(), Some(1_000_000_000));
        assert_eq!(store.ordered_ms("a2").await.unwrap(), None);
        assert!(store.is_ordered("a1").await.unwrap() && !store.is_ordered("a2").await.unwrap());
        store.drop_call_order("k").await.unwrap();
        assert_eq!(store.call_order("k").await.unwrap(), None);
    }
}
