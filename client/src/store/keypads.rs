//! Keypads that stand, or may stand, in a chat.

use sqlx::Row as _;
use tgtrunk_config::CallId;

use super::Store;

/// A keypad that was begun and not cleared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeypadRow {
    pub(crate) call: CallId,
    /// To whom.
    pub(crate) person: i64,
    /// Telegram knows the message by it.
    pub(crate) random_id: i64,
    pub(crate) way: Way,
    /// The message's number, once Telegram told it.
    pub(crate) message_id: Option<i32>,
    pub(crate) began_s: i64,
}

/// How a keypad is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Drawn by the bot.
    Bot,
    /// A text that asks to type digits.
    Text(String),
}

impl Store {
    /// Writes a keypad down before it is sent. False if the call has one already.
    pub(crate) async fn begin_keypad(&self, row: &KeypadRow) -> Result<bool, sqlx::Error> {
        let (way, said) = words(&row.way);
        let done = sqlx::query(
            "INSERT INTO cl_keypad (call, person, random_id, way, said, message_id, began_s)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (call) DO NOTHING",
        )
        .bind(row.call.to_string())
        .bind(row.person)
        .bind(row.random_id)
        .bind(way)
        .bind(said.to_owned())
        .bind(row.message_id)
        .bind(row.began_s)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() > 0)
    }

    /// The keypad is sent by another way, as another message.
    pub(crate) async fn change_keypad(&self, row: &KeypadRow) -> Result<(), sqlx::Error> {
        let (way, said) = words(&row.way);
        sqlx::query(
            "UPDATE cl_keypad SET random_id = $2, way = $3, said = $4, message_id = NULL WHERE call = $1",
        )
        .bind(row.call.to_string())
        .bind(row.random_id)
        .bind(way)
        .bind(said.to_owned())
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// Telegram told the message's number.
    pub(crate) async fn keypad_stands(&self, call: CallId, message_id: i32) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE cl_keypad SET message_id = $2 WHERE call = $1")
            .bind(call.to_string())
            .bind(message_id)
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// The keypad is gone from the chat, or was never there.
    pub(crate) async fn keypad_gone(&self, call: CallId) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM cl_keypad WHERE call = $1")
            .bind(call.to_string())
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// The keypad of a call, if it was begun.
    pub(crate) async fn keypad(&self, call: CallId) -> Result<Option<KeypadRow>, sqlx::Error> {
        Ok(self.keypads().await?.into_iter().find(|row| row.call == call))
    }

    /// All that were begun and not cleared.
    pub(crate) async fn keypads(&self) -> Result<Vec<KeypadRow>, sqlx::Error> {
        let rows = sqlx::query("SELECT * FROM cl_keypad ORDER BY began_s").fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let call: String = row.try_get("call")?;
                let (way, said): (String, String) = (row.try_get("way")?, row.try_get("said")?);
                Ok(KeypadRow {
                    call: call.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
                    person: row.try_get("person")?,
                    random_id: row.try_get("random_id")?,
                    way: if way == BOT { Way::Bot } else { Way::Text(said) },
                    message_id: row.try_get("message_id")?,
                    began_s: row.try_get("began_s")?,
                })
            })
            .collect()
    }
}

const BOT: &str = "bot";

fn words(way: &Way) -> (&'static str, &str) {
    match way {
        Way::Bot => (BOT, ""),
        Way::Text(said) => ("text", said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn a_begun_keypad_is_there_after_a_crash_until_it_is_gone() {
        let room = Room::new();
        let (store, database) = room.open().await;
        let row = row();
        assert!(store.begin_keypad(&row).await.unwrap());
        assert!(!store.begin_keypad(&KeypadRow { random_id: 8, ..row.clone() }).await.unwrap());
        drop(store);
        database.close().await;
        let (store, _database) = room.open().await;
        assert_eq!(store.keypad(row.call).await.unwrap(), Some(row.clone()));
        store.keypad_stands(row.call, 77).await.unwrap();
        assert_eq!(store.keypads().await.unwrap(), [KeypadRow { message_id: Some(77), ..row.clone() }]);
        store.keypad_gone(row.call).await.unwrap();
        assert_eq!(store.keypads().await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_keypad_that_becomes_a_text_is_another_message() {
        let (store, _database) = Room::new().open().await;
        store.begin_keypad(&row()).await.unwrap();
        let text = KeypadRow { random_id: 9, way: Way::Text("Type digits".into()), ..row() };
        store.change_keypad(&text).await.unwrap();
        assert_eq!(store.keypads().await.unwrap(), [text]);
    }

    fn row() -> KeypadRow {
        KeypadRow {
            call: CallId(0xa1),
            person: 5,
            random_id: -7,
            way: Way::Bot,
            message_id: None,
            began_s: 100,
        }
    }
}
