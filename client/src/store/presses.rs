//! Digits that people typed as a message, until their keys are pressed and the message is gone.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use tgtrunk_config::{CallId, Digits};

use super::Store;

/// A message of typed digits that is not done yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PressRow {
    pub(crate) message_id: i32,
    /// During which call it was typed.
    pub(crate) call: CallId,
    pub(crate) keys: Digits,
    pub(crate) state: Press,
}

/// How far a message of typed digits came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Press {
    /// Its keys are still to be pressed.
    Due,
    /// They were pressed; the message is still to be deleted.
    Pressed,
    /// Nothing more happens to it.
    Done,
}

impl Press {
    fn number(self) -> i64 {
        match self {
            Self::Due => 0,
            Self::Pressed => 1,
            Self::Done => 2,
        }
    }
}

impl Store {
    /// Notes that a message's keys are to be pressed. False if the message is known already.
    pub(crate) async fn begin_press(
        &self,
        message_id: i32,
        call: CallId,
        keys: &Digits,
        now_s: i64,
    ) -> Result<bool, sqlx::Error> {
        let done = sqlx::query(
            "INSERT INTO cl_press (message_id, call, keys, state, typed_s) VALUES ($1, $2, $3, 0, $4)
             ON CONFLICT (message_id) DO NOTHING",
        )
        .bind(message_id)
        .bind(call.to_string())
        .bind(keys.to_string())
        .bind(now_s)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Whether a message is known as one of typed digits.
    pub(crate) async fn is_press(&self, message_id: i32) -> Result<bool, sqlx::Error> {
        let row = sqlx::query("SELECT 1 FROM cl_press WHERE message_id = $1")
            .bind(message_id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }

    /// Notes how far a message came.
    pub(crate) async fn press_came(&self, message_id: i32, state: Press) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE cl_press SET state = $2 WHERE message_id = $1")
            .bind(message_id)
            .bind(state.number())
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// Messages that are not done, in their order.
    pub(crate) async fn presses(&self) -> Result<Vec<PressRow>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM cl_press WHERE state < 2 ORDER BY message_id")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(press).collect()
    }
}

fn press(row: &SqliteRow) -> Result<PressRow, sqlx::Error> {
    let (call, keys): (String, String) = (row.try_get("call")?, row.try_get("keys")?);
    let state: i64 = row.try_get("state")?;
    Ok(PressRow {
        message_id: row.try_get("message_id")?,
        call: call.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        keys: keys.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        state: if state == 0 { Press::Due } else { Press::Pressed },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn digits_are_pressed_once_and_their_message_is_deleted_even_after_a_crash() {
        let room = Room::new();
        let (store, database) = room.open().await;
        let row =
            PressRow { message_id: 7, call: CallId(0xa1), keys: "20#".parse().unwrap(), state: Press::Due };
        assert!(!store.is_press(7).await.unwrap());
        assert!(store.begin_press(7, row.call, &row.keys, 1_000_000).await.unwrap());
        drop(store);
        database.close().await;
        let (store, _database) = room.open().await;
        assert!(!store.begin_press(7, row.call, &row.keys, 1_000_001).await.unwrap());
        assert_eq!(store.presses().await.unwrap(), std::slice::from_ref(&row));
        store.press_came(7, Press::Pressed).await.unwrap();
        assert_eq!(store.presses().await.unwrap(), [PressRow { state: Press::Pressed, ..row }]);
        store.press_came(7, Press::Done).await.unwrap();
        assert_eq!(store.presses().await.unwrap(), []);
        assert!(store.is_press(7).await.unwrap());
    }
}
