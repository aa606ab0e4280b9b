//! Whom phone numbers and names belong to, and how often Telegram was asked: it limits accounts that ask much.

use sqlx::Row as _;

use super::Store;
use crate::chat::ChatId;

/// Seconds of a day.
const DAY_S: i64 = 86_400;

impl Store {
    /// What was found of an address, and when: seconds since 1970.
    pub(crate) async fn checked(&self, address: &str) -> Result<Option<(Option<ChatId>, i64)>, sqlx::Error> {
        let row =
            sqlx::query("SELECT chat, checked_s FROM ms_check WHERE address = $1").bind(address.to_owned());
        let Some(row) = row.fetch_optional(&self.pool).await? else { return Ok(None) };
        Ok(Some((row.try_get::<Option<i64>, _>(0)?.map(ChatId), row.try_get(1)?)))
    }

    pub(crate) async fn keep_check(
        &self,
        address: &str,
        chat: Option<ChatId>,
        now_s: i64,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO ms_check (address, chat, checked_s) VALUES ($1, $2, $3)
             ON CONFLICT (address) DO UPDATE SET chat = excluded.chat, checked_s = excluded.checked_s",
        )
        .bind(address.to_owned())
        .bind(chat.map(|chat| chat.0))
        .bind(now_s)
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// Forgets what was found before `before_s`, which nobody believes any more.
    pub(crate) async fn forget_checks(&self, before_s: i64) -> Result<(), sqlx::Error> {
        let query = sqlx::query("DELETE FROM ms_check WHERE checked_s < $1").bind(before_s);
        query.execute(&self.pool).await.map(drop)
    }

    /// Counts a question to Telegram; false if the day's `budget` is spent.
    pub(crate) async fn may_ask(&self, budget: u32, now_s: i64) -> Result<bool, sqlx::Error> {
        let day = now_s / DAY_S;
        let done = sqlx::query(
            "INSERT INTO ms_check_day (day, asked) SELECT $1, 1 WHERE $2 > 0
             ON CONFLICT (day) DO UPDATE SET asked = asked + 1 WHERE asked < $2",
        )
        .bind(day)
        .bind(i64::from(budget))
        .execute(&self.pool)
        .await?;
        sqlx::query("DELETE FROM ms_check_day WHERE day < $1").bind(day).execute(&self.pool).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Telegram was not asked after all, or did not want to be.
    pub(crate) async fn unask(&self, now_s: i64) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE ms_check_day SET asked = asked - 1 WHERE day = $1 AND asked > 0")
            .bind(now_s / DAY_S)
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// How often Telegram was asked today (UTC).
    pub(crate) async fn asked_today(&self, now_s: i64) -> Result<u32, sqlx::Error> {
        let row = sqlx::query("SELECT COALESCE(SUM(asked), 0) FROM ms_check_day WHERE day = $1")
            .bind(now_s / DAY_S);
        Ok(u32::try_from(row.fetch_one(&self.pool).await?.try_get::<i64, _>(0)?).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn what_was_found_long_ago_is_forgotten() {
        let room = Room::new();
        let store = room.open().await;
        for (address, at_s) in [("79990000001", 100), ("79990000002", 200)] {
            store.keep_check(address, Some(ChatId(5)), at_s).await.unwrap();
        }
        store.forget_checks(200).await.unwrap();
        assert_eq!(store.checked("79990000001").await.unwrap(), None);
        assert_eq!(store.checked("79990000002").await.unwrap(), Some((Some(ChatId(5)), 200)));
    }

    #[tokio::test]
    async fn a_days_budget_is_spent_once_and_there_again_the_next_day() {
        let room = Room::new();
        let store = room.open().await;
        for expected in [true, true, false, false] {
            assert_eq!(store.may_ask(2, 100).await.unwrap(), expected);
        }
        assert_eq!(store.asked_today(100).await.unwrap(), 2);
        store.unask(100).await.unwrap();
        assert!(store.may_ask(2, 100).await.unwrap());
        assert!(store.may_ask(2, 100 + DAY_S).await.unwrap());
        assert!(!store.may_ask(0, 100 + 2 * DAY_S).await.unwrap());
    }
}
