//! What other programs that lead the bot are told: updates that wait for them, and what they have settled.

use sqlx::{Row as _, SqliteConnection};

use super::{Store, StoreError, number, whole};

/// Updates that are kept for programs at most. The oldest give way.
const MOST: i64 = 100_000;

/// An update on its way to programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    /// Telegram's number.
    pub(crate) update: u32,
    /// Whose it is: what is of one chat stays in order.
    pub(crate) chat: i64,
    /// All of it but the number, as a JSON object.
    pub(crate) text: String,
}

impl Store {
    /// Keeps updates, and tells how many of them were not known yet.
    ///
    /// Programs have a number of our own, which grows whatever Telegram does: it repeats updates, brings some of them out
    /// of order to a webhook, and begins anew at any number after a quiet week. Mostly the two are the same.
    pub(crate) async fn keep_news(&self, news: &[Incoming], now_ms: u64) -> Result<usize, StoreError> {
        // One that only reads at first is refused at once where another process has written meanwhile.
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let last = sqlx::query("SELECT COALESCE(MAX(number), 0) FROM news");
        let mut last: i64 = last.fetch_one(&mut *transaction).await?.try_get(0)?;
        let mut new = 0;
        for Incoming { update, chat, text } in news {
            let next = (last + 1).max(i64::from(*update));
            let kept = sqlx::query(
                "INSERT INTO news (number, update_id, chat, text, at_ms) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (update_id) DO NOTHING",
            );
            let kept = kept.bind(next).bind(i64::from(*update)).bind(chat).bind(text).bind(number(now_ms));
            if kept.execute(&mut *transaction).await?.rows_affected() > 0 {
                (last, new) = (next, new + 1);
            }
        }
        transaction.commit().await?;
        Ok(new)
    }

    /// The first updates that wait, the oldest first.
    pub(crate) async fn first_news(&self, most: u8) -> Result<Vec<(i64, String)>, StoreError> {
        let rows =
            sqlx::query("SELECT number, text FROM news WHERE text IS NOT NULL ORDER BY number LIMIT $1");
        let rows = rows.bind(i64::from(most)).fetch_all(&self.pool).await?;
        Ok(rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_, sqlx::Error>>()?)
    }

    /// The first update that waits of each chat, the oldest first.
    pub(crate) async fn first_of_chats(&self) -> Result<Vec<(i64, i64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT chat, MIN(number) AS first FROM news WHERE text IS NOT NULL GROUP BY chat ORDER BY first LIMIT 1000",
        );
        let rows = rows.fetch_all(&self.pool).await?;
        Ok(rows
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_, sqlx::Error>>()?)
    }

    /// An update, if it still waits.
    pub(crate) async fn news(&self, number: i64) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT text FROM news WHERE number = $1").bind(number);
        let row = row.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?.flatten())
    }

    /// How many updates wait.
    pub(crate) async fn count_news(&self) -> Result<u64, StoreError> {
        let row = sqlx::query("SELECT COUNT(*) AS waiting FROM news WHERE text IS NOT NULL");
        Ok(whole(&row.fetch_one(&self.pool).await?, "waiting")?)
    }

    /// An update was fetched.
    pub(crate) async fn hand_over(&self, number: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE news SET text = NULL WHERE number = $1").bind(number).execute(&self.pool).await?;
        Ok(())
    }

    /// All before this one were fetched.
    pub(crate) async fn hand_over_before(&self, number: i64) -> Result<(), StoreError> {
        Ok(hand_over_before(&mut *self.pool.acquire().await?, number).await?)
    }

    /// All but the last so many were fetched.
    pub(crate) async fn hand_over_but(&self, last: i64) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        let first = sqlx::query(
            "SELECT number FROM news WHERE text IS NOT NULL ORDER BY number DESC LIMIT 1 OFFSET $1",
        );
        let first = first.bind(last - 1).fetch_optional(&mut *connection).await?;
        match first {
            Some(row) => Ok(hand_over_before(&mut connection, row.try_get(0)?).await?),
            None => Ok(()),
        }
    }

    /// Forgets updates that nobody fetched since `before_ms`, the oldest where there are too many, and those that were
    /// fetched and are repeated no more. Tells how many nobody will have. The last number stays, so that the next one is higher.
    pub(crate) async fn forget_news(
        &self,
        before_ms: i64,
        fetched_before_ms: i64,
    ) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let lost = sqlx::query("UPDATE news SET text = NULL WHERE text IS NOT NULL AND at_ms < $1");
        let mut lost = lost.bind(before_ms).execute(&mut *transaction).await?.rows_affected();
        let many = sqlx::query(
            "UPDATE news SET text = NULL WHERE text IS NOT NULL AND number <=
                (SELECT number FROM news WHERE text IS NOT NULL ORDER BY number DESC LIMIT 1 OFFSET $1)",
        );
        lost += many.bind(MOST).execute(&mut *transaction).await?.rows_affected();
        let fetched = sqlx::query(
            "DELETE FROM news WHERE text IS NULL AND at_ms < $1 AND number < (SELECT MAX(number) FROM news)",
        );
        fetched.bind(fetched_before_ms).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(lost)
    }

    /// What programs have settled, by its name.
    pub(crate) async fn settled(&self, word: &str) -> Result<Option<String>, StoreError> {
        let row = sqlx::query("SELECT value FROM settled WHERE word = $1").bind(word);
        let row = row.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Keeps what programs settle; forgets it without a value.
    pub(crate) async fn settle(&self, word: &str, value: Option<&str>) -> Result<(), StoreError> {
        let settled = match value {
            None => sqlx::query("DELETE FROM settled WHERE word = $1").bind(word),
            Some(value) => sqlx::query(
                "INSERT INTO settled (word, value) VALUES ($1, $2)
                 ON CONFLICT (word) DO UPDATE SET value = excluded.value",
            )
            .bind(word)
            .bind(value),
        };
        settled.execute(&self.pool).await?;
        Ok(())
    }
}

async fn hand_over_before(connection: &mut SqliteConnection, number: i64) -> Result<(), sqlx::Error> {
    let handed = sqlx::query("UPDATE news SET text = NULL WHERE number < $1 AND text IS NOT NULL");
    handed.bind(number).execute(connection).await.map(drop)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::tests::store;

    const DAY_MS: i64 = 24 * 3_600_000;

    #[tokio::test]
    async fn numbers_grow_whatever_telegram_does_and_nothing_is_kept_twice() {
        let (_room, store) = store().await;
        assert_eq!(store.keep_news(&[of(1, 105, "a"), of(1, 104, "b")], 1).await.unwrap(), 2);
        assert_eq!(store.keep_news(&[of(1, 104, "b"), of(1, 106, "c")], 1).await.unwrap(), 1);
        assert_eq!(store.keep_news(&[of(2, 7, "d")], 1).await.unwrap(), 1);
        let kept = store.first_news(100).await.unwrap();
        assert_eq!(kept, [(105, "a".into()), (106, "b".into()), (107, "c".into()), (108, "d".into())]);
        assert_eq!(store.first_of_chats().await.unwrap(), [(1, 105), (2, 108)]);
        assert_eq!((store.count_news().await.unwrap(), store.first_news(1).await.unwrap().len()), (4, 1));
    }

    #[tokio::test]
    async fn what_was_fetched_is_given_no_more_though_telegram_repeats_it() {
        let (_room, store) = store().await;
        let news: Vec<Incoming> = (1..=5).map(|update| of(1, update, "x")).collect();
        store.keep_news(&news, 1).await.unwrap();
        store.hand_over_before(2).await.unwrap();
        store.hand_over(3).await.unwrap();
        assert_eq!(numbers(&store).await, [2, 4, 5]);
        store.hand_over_but(2).await.unwrap();
        store.hand_over_but(9).await.unwrap();
        assert_eq!(numbers(&store).await, [4, 5]);
        assert_eq!((store.news(4).await.unwrap(), store.news(3).await.unwrap()), (Some("x".into()), None));
        assert_eq!(store.keep_news(&news, 2).await.unwrap(), 0);
        assert_eq!(numbers(&store).await, [4, 5]);
    }

    #[tokio::test]
    async fn what_nobody_fetches_is_forgotten_in_time_and_numbers_grow_on() {
        let (_room, store) = store().await;
        store.keep_news(&[of(1, 500, "a")], 1_000).await.unwrap();
        store.keep_news(&[of(1, 501, "b")], 5_000).await.unwrap();
        assert_eq!(store.forget_news(5_000, 6_000 - DAY_MS).await.unwrap(), 1);
        assert_eq!(numbers(&store).await, [501]);
        assert_eq!(store.forget_news(5_001 + DAY_MS, 6_000).await.unwrap(), 1);
        store.keep_news(&[of(1, 3, "c")], 90_000_000).await.unwrap();
        assert_eq!(numbers(&store).await, [502]);
    }

    #[tokio::test]
    async fn what_is_settled_outlives_the_program() {
        let (room, store) = store().await;
        store.settle("webhook", Some("a")).await.unwrap();
        store.settle("webhook", Some("b")).await.unwrap();
        store.close().await;
        let store = Store::open(&room.path().join("bot.db")).await.unwrap();
        assert_eq!(store.settled("webhook").await.unwrap().as_deref(), Some("b"));
        store.settle("webhook", None).await.unwrap();
        assert_eq!(store.settled("webhook").await.unwrap(), None);
    }

    /// A disk that is full can be read, and no update can be written to it.
    pub(crate) async fn fill_disk(store: &Store, is_full: bool) {
        for what in ["INSERT", "UPDATE"] {
            let change = match is_full {
                true => format!(
                    "CREATE TRIGGER full_{what} BEFORE {what} ON news BEGIN SELECT RAISE(ABORT, 'full'); END"
                ),
                false => format!("DROP TRIGGER full_{what}"),
            };
            sqlx::query(sqlx::AssertSqlSafe(change)).execute(&store.pool).await.unwrap();
        }
    }

    async fn numbers(store: &Store) -> Vec<i64> {
        store.first_news(100).await.unwrap().into_iter().map(|(number, _)| number).collect()
    }

    fn of(chat: i64, update: u32, text: &str) -> Incoming {
        Incoming { update, chat, text: text.to_owned() }
    }
}
