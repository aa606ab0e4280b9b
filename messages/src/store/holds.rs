//! What rests until a time, because Telegram said so.

use sqlx::Row as _;

use super::Store;
use crate::chat::ChatId;
use crate::id::MessageId;

/// What rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Everything.
    All,
    /// Messages whose chat is still to be looked up.
    Lookups,
    /// Messages to those who have not written to the account, and whom it does not know otherwise.
    Strangers,
    /// Messages to a chat.
    Chat(ChatId),
}

/// Whether a row of the queue, `o`, is held at $1 (milliseconds since 1970) by the row `h`.
pub(super) const HELD: &str = "h.until_ms > $1 AND (h.what = 'all' OR h.chat = o.chat
     OR (h.what = 'lookups' AND o.chat IS NULL)
     OR (h.what = 'strangers' AND NOT EXISTS
         (SELECT 1 FROM ms_message m WHERE m.chat = o.chat AND m.direction = 'incoming')
         AND NOT EXISTS (SELECT 1 FROM ms_acquaintance a WHERE a.chat = o.chat)))";

/// Whose messages rest as those to strangers.
const RESTING: &str = "SELECT DISTINCT o.chat FROM ms_outgoing o WHERE o.chat IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM ms_message m WHERE m.chat = o.chat AND m.direction = 'incoming')
     AND NOT EXISTS (SELECT 1 FROM ms_acquaintance a WHERE a.chat = o.chat)";

/// What ends each kind of rest that is longer than it was to be. Messages that are due at a time are not resting.
const OVERLONG: [&str; 3] = [
    "DELETE FROM ms_hold WHERE until_ms - $1 > length_ms",
    "UPDATE ms_outgoing SET not_before_ms = due_ms WHERE not_before_ms > due_ms AND not_before_ms - $1 > pause_ms",
    "UPDATE ms_job SET not_before_ms = 0 WHERE finished_ms IS NULL AND not_before_ms - $1 > pause_ms",
];

/// What lets nothing that is kept for a while be of a later time than now.
const OVERDATED: [&str; 3] = [
    "UPDATE ms_job SET finished_ms = $1 WHERE finished_ms > $1",
    "UPDATE ms_notification SET created_ms = $1 WHERE created_ms > $1",
    "UPDATE ms_outgoing SET accepted_ms = $1 WHERE accepted_ms > $1",
];

impl Store {
    /// Something rests from now until a time: milliseconds since 1970.
    pub(crate) async fn hold(
        &self,
        what: Hold,
        now_ms: i64,
        until_ms: i64,
        cause: &str,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO ms_hold (what, chat, until_ms, cause, length_ms) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (what) DO UPDATE SET until_ms = excluded.until_ms, cause = excluded.cause,
                 length_ms = excluded.length_ms",
        )
        .bind(what.name())
        .bind(what.chat().map(|chat| chat.0))
        .bind(until_ms)
        .bind(cause.to_owned())
        .bind(until_ms - now_ms)
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// The chats with messages that rest, or would, as those to strangers.
    pub(crate) async fn strangers(&self) -> Result<Vec<ChatId>, sqlx::Error> {
        let rows = sqlx::query(RESTING).fetch_all(&self.pool).await?;
        rows.iter().map(|row| row.try_get(0).map(ChatId)).collect()
    }

    /// The account knows who that is: they are no stranger from now on.
    pub(crate) async fn acquaint(&self, chat: ChatId) -> Result<(), sqlx::Error> {
        let query = sqlx::query("INSERT INTO ms_acquaintance (chat) VALUES ($1) ON CONFLICT DO NOTHING");
        query.bind(chat.0).execute(&self.pool).await.map(drop)
    }

    /// Telegram limits writing to somebody whom the account knows: to all of those it knows in that way, who are strangers
    /// again. False where that one was none of them.
    pub(crate) async fn estrange(&self, chat: ChatId) -> Result<bool, sqlx::Error> {
        let query = sqlx::query(
            "DELETE FROM ms_acquaintance WHERE EXISTS (SELECT 1 FROM ms_acquaintance a WHERE a.chat = $1)",
        );
        Ok(query.bind(chat.0).execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Where a message of the queue goes, once that is known.
    pub(crate) async fn place_of(&self, id: MessageId) -> Result<Option<ChatId>, sqlx::Error> {
        let query = sqlx::query("SELECT chat FROM ms_outgoing WHERE id = $1").bind(id.get());
        let row = query.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get::<Option<i64>, _>(0)).transpose()?.flatten().map(ChatId))
    }

    /// Ends what would rest for longer than it was to, and keeps nothing for longer: the clock said a later time when that
    /// was written.
    pub(crate) async fn end_overlong(&self, now_ms: i64) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        for end in OVERLONG.iter().chain(&OVERDATED) {
            sqlx::query(*end).bind(now_ms).execute(&mut *transaction).await?;
        }
        transaction.commit().await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Room;

    const HOUR_MS: i64 = 3_600_000;

    #[tokio::test]
    async fn nothing_rests_for_longer_than_it_was_to_when_the_clock_is_set_back() {
        let room = Room::new();
        let store = room.open().await;
        let (now_ms, ahead_ms) = (10 * HOUR_MS, 13 * HOUR_MS);
        let all = [Hold::All, Hold::Lookups, Hold::Chat(ChatId(5))];
        for hold in all {
            store.hold(hold, ahead_ms, ahead_ms + 30_000, "FLOOD_WAIT").await.unwrap();
        }
        store.hold(Hold::Strangers, now_ms, now_ms + HOUR_MS, "PEER_FLOOD").await.unwrap();
        for (id, not_before_ms, pause_ms, due_ms) in [
            (1, ahead_ms + 30_000, 30_000, 0),
            (2, now_ms + 60_000, 60_000, 0),
            // It is to be sent in a day, and rests besides.
            (3, ahead_ms + 24 * HOUR_MS, 0, ahead_ms + 24 * HOUR_MS),
        ] {
            sqlx::query(
                "INSERT INTO ms_outgoing (id, method, request, draft, random_id, accepted_ms, not_before_ms, attempts, claimed,
                     parts_done, due_ms, pause_ms) VALUES ($1, 'x', '{}', '{}', 0, 0, $2, 1, 0, 0, $4, $3)",
            )
            .bind(id)
            .bind(not_before_ms)
            .bind(pause_ms)
            .bind(due_ms)
            .execute(&store.pool)
            .await
            .unwrap();
        }
        store.end_overlong(ahead_ms).await.unwrap();
        assert_eq!(
            store.rest_until_ms(ahead_ms).await.unwrap(),
            Some(ahead_ms + 30_000),
            "the clock is right"
        );
        store.end_overlong(now_ms).await.unwrap();
        for hold in all {
            assert_eq!(store.held_until_ms(hold, now_ms).await.unwrap(), None, "{hold:?}");
        }
        let rows = sqlx::query("SELECT not_before_ms FROM ms_outgoing ORDER BY id").fetch_all(&store.pool);
        let rows: Vec<i64> = rows.await.unwrap().iter().map(|row| row.get(0)).collect();
        assert_eq!(rows, [0, now_ms + 60_000, ahead_ms + 24 * HOUR_MS]);
    }

    #[tokio::test]
    async fn what_rests_as_long_as_it_was_to_goes_on_resting() {
        let room = Room::new();
        let store = room.open().await;
        store.hold(Hold::Strangers, HOUR_MS, 2 * HOUR_MS, "PEER_FLOOD").await.unwrap();
        for now_ms in [HOUR_MS, HOUR_MS + HOUR_MS / 2] {
            store.end_overlong(now_ms).await.unwrap();
            assert_eq!(store.held_until_ms(Hold::Strangers, now_ms).await.unwrap(), Some(2 * HOUR_MS));
        }
    }
}
