//! What rests until a time, because Telegram said so.

use sqlx::Row as _;

use super::Store;
use crate::chat::ChatId;

/// What rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Everything.
    All,
    /// Messages whose chat is still to be looked up.
    Lookups,
    /// Messages to those who have not written to the account.
    Strangers,
    /// Messages to a chat.
    Chat(ChatId),
}

/// Whether a row of the queue, `o`, is held at $1 (milliseconds since 1970) by the row `h`.
pub(super) const HELD: &str = "h.until_ms > $1 AND (h.what = 'all' OR h.chat = o.chat
     OR (h.what = 'lookups' AND o.chat IS NULL)
     OR (h.what = 'strangers' AND NOT EXISTS
         (SELECT 1 FROM ms_message m WHERE m.chat = o.chat AND m.direction = 'incoming')))";

impl Store {
    /// Something rests until a time: milliseconds since 1970.
    pub(crate) async fn hold(&self, what: Hold, until_ms: i64, cause: &str) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO ms_hold (what, chat, until_ms, cause) VALUES ($1, $2, $3, $4)
             ON CONFLICT (what) DO UPDATE SET until_ms = excluded.until_ms, cause = excluded.cause",
        )
        .bind(what.name())
        .bind(what.chat().map(|chat| chat.0))
        .bind(until_ms)
        .bind(cause.to_owned())
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// Until when something rests, if it does: milliseconds since 1970.
    pub(crate) async fn held_until_ms(&self, what: Hold, now_ms: i64) -> Result<Option<i64>, sqlx::Error> {
        let row = sqlx::query("SELECT until_ms FROM ms_hold WHERE what = $1 AND until_ms > $2")
            .bind(what.name())
            .bind(now_ms)
            .fetch_optional(&self.pool);
        row.await?.map(|row| row.try_get(0)).transpose()
    }

    /// Until when everything rests, if it does.
    pub(crate) async fn rest_until_ms(&self, now_ms: i64) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query("DELETE FROM ms_hold WHERE until_ms <= $1").bind(now_ms).execute(&self.pool).await?;
        let row = sqlx::query("SELECT until_ms FROM ms_hold WHERE what = 'all'").fetch_optional(&self.pool);
        row.await?.map(|row| row.try_get(0)).transpose()
    }
}

impl Hold {
    fn name(self) -> String {
        match self {
            Self::All => "all".to_owned(),
            Self::Lookups => "lookups".to_owned(),
            Self::Strangers => "strangers".to_owned(),
            Self::Chat(chat) => format!("chat:{chat}"),
        }
    }

    /// What a row calls it.
    pub(super) fn read(name: &str, chat: Option<ChatId>) -> Option<Self> {
        match (name, chat) {
            ("all", _) => Some(Self::All),
            ("lookups", _) => Some(Self::Lookups),
            ("strangers", _) => Some(Self::Strangers),
            (_, chat) => chat.map(Self::Chat),
        }
    }

    fn chat(self) -> Option<ChatId> {
        match self {
            Self::All | Self::Lookups | Self::Strangers => None,
            Self::Chat(chat) => Some(chat),
        }
    }
}
