//! Small things that were done: answers, dialogs with bots, calls that people asked for.

use sqlx::Row as _;

use super::Store;

impl Store {
    /// Notes that a person is answered now. False if they were answered since `since_s`.
    pub(crate) async fn begin_answer(
        &self,
        person: i64,
        now_s: i64,
        since_s: i64,
    ) -> Result<bool, sqlx::Error> {
        let note = "INSERT INTO cl_answer (person, answered_s) VALUES ($1, $2)
            ON CONFLICT (person) DO UPDATE SET answered_s = excluded.answered_s WHERE cl_answer.answered_s <= $3";
        self.begin(note, person, now_s, since_s).await
    }

    /// Notes that a refused caller is told now. False if they were told since `since_s`.
    pub(crate) async fn begin_refusal(
        &self,
        person: i64,
        now_s: i64,
        since_s: i64,
    ) -> Result<bool, sqlx::Error> {
        let note = "INSERT INTO cl_refusal (person, told_s) VALUES ($1, $2)
            ON CONFLICT (person) DO UPDATE SET told_s = excluded.told_s WHERE cl_refusal.told_s <= $3";
        self.begin(note, person, now_s, since_s).await
    }

    /// Notes when something was done for a person last. False if that was since `since_s`.
    async fn begin(
        &self,
        note: &'static str,
        person: i64,
        now_s: i64,
        since_s: i64,
    ) -> Result<bool, sqlx::Error> {
        let query = sqlx::query(note).bind(person).bind(now_s).bind(since_s);
        Ok(query.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Whether the account has opened its dialog with a bot; if not, the number to open it with, which stays the same
    /// until it is opened.
    pub(crate) async fn begin_dialog(
        &self,
        bot: i64,
        account: i64,
        random_id: i64,
    ) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query(
            "INSERT INTO cl_dialog (bot, account, random_id, opened) VALUES ($1, $2, $3, 0)
             ON CONFLICT (bot, account) DO NOTHING",
        )
        .bind(bot)
        .bind(account)
        .bind(random_id)
        .execute(&self.pool)
        .await?;
        let row = sqlx::query("SELECT random_id, opened FROM cl_dialog WHERE bot = $1 AND account = $2")
            .bind(bot)
            .bind(account)
            .fetch_one(&self.pool)
            .await?;
        let (kept, opened): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        Ok((opened == 0).then_some(kept))
    }

    /// The dialog is open.
    pub(crate) async fn dialog_open(&self, bot: i64, account: i64) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE cl_dialog SET opened = 1 WHERE bot = $1 AND account = $2")
            .bind(bot)
            .bind(account)
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// The dialog is to be opened again: the bot says that it was not.
    pub(crate) async fn dialog_closed(&self, bot: i64, account: i64) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM cl_dialog WHERE bot = $1 AND account = $2")
            .bind(bot)
            .bind(account)
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// A call was placed because the person asked for it.
    pub(crate) async fn note_call_back(&self, telegram_call: i64, now_s: i64) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO cl_call_back (telegram_call, placed_s) VALUES ($1, $2)
             ON CONFLICT (telegram_call) DO NOTHING",
        )
        .bind(telegram_call)
        .bind(now_s)
        .execute(&self.pool)
        .await
        .map(drop)
    }

    /// Whether a call was placed because the person asked for it.
    pub(crate) async fn is_call_back(&self, telegram_call: i64) -> Result<bool, sqlx::Error> {
        let row = sqlx::query("SELECT 1 FROM cl_call_back WHERE telegram_call = $1")
            .bind(telegram_call)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.is_some())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::Room;

    #[tokio::test]
    async fn a_person_is_answered_once_in_a_while() {
        let (store, _database) = Room::new().open().await;
        assert!(store.begin_answer(5, 100, 70).await.unwrap());
        assert!(!store.begin_answer(5, 129, 99).await.unwrap());
        assert!(store.begin_answer(6, 129, 99).await.unwrap());
        assert!(store.begin_answer(5, 130, 100).await.unwrap());
    }

    #[tokio::test]
    async fn a_refused_caller_is_told_once_in_a_while_also_after_a_restart() {
        let room = Room::new();
        let (store, database) = room.open().await;
        assert!(store.begin_refusal(5, 1_000_000, 996_400).await.unwrap());
        drop(store);
        database.close().await;
        let (store, _database) = room.open().await;
        assert!(!store.begin_refusal(5, 1_003_599, 999_999).await.unwrap());
        assert!(store.begin_refusal(6, 1_003_599, 999_999).await.unwrap());
        assert!(store.begin_refusal(5, 1_003_600, 1_000_000).await.unwrap());
    }

    #[tokio::test]
    async fn a_dialog_is_opened_once_per_bot_and_account_with_one_number() {
        let (store, _database) = Room::new().open().await;
        assert_eq!(store.begin_dialog(1, 5, 10).await.unwrap(), Some(10));
        assert_eq!(store.begin_dialog(1, 5, 11).await.unwrap(), Some(10));
        store.dialog_open(1, 5).await.unwrap();
        assert_eq!(store.begin_dialog(1, 5, 12).await.unwrap(), None);
        assert_eq!(store.begin_dialog(2, 5, 13).await.unwrap(), Some(13));
        assert_eq!(store.begin_dialog(1, 6, 14).await.unwrap(), Some(14));
        store.dialog_closed(1, 5).await.unwrap();
        assert_eq!(store.begin_dialog(1, 5, 15).await.unwrap(), Some(15));
    }

    #[tokio::test]
    async fn a_call_back_is_known_as_one() {
        let (store, _database) = Room::new().open().await;
        store.note_call_back(-7, 1_000_000).await.unwrap();
        store.note_call_back(-7, 1_000_000).await.unwrap();
        assert!(store.is_call_back(-7).await.unwrap() && !store.is_call_back(7).await.unwrap());
    }
}
