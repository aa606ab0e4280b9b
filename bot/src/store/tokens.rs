//! Tokens of this machine's Bot API: what other programs show in place of the bot's own. Only their hashes are kept.

use sqlx::Row as _;
use tgtrunk_config::control::ApiTokenInfo;

use super::{Store, StoreError, number, whole};

impl Store {
    /// Keeps a token by its hash; gives its number. None where another one has the label already, if it is not empty.
    pub(crate) async fn admit_token(
        &self,
        hash: &str,
        label: &str,
        now_ms: u64,
    ) -> Result<Option<i64>, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let same = sqlx::query("SELECT 1 FROM api_token WHERE label = $1 AND label <> ''").bind(label);
        if same.fetch_optional(&mut *transaction).await?.is_some() {
            return Ok(None);
        }
        // A number is not given twice, so that nobody who looks at an old list ends another's token.
        let last = sqlx::query(
            "SELECT MAX((SELECT COALESCE(MAX(token_id), 0) FROM api_token),
                (SELECT COALESCE(MAX(token_id), 0) FROM api_token_use))",
        );
        let id = last.fetch_one(&mut *transaction).await?.try_get::<i64, _>(0)? + 1;
        let note =
            sqlx::query("INSERT INTO api_token (token_id, hash, label, made_ms) VALUES ($1, $2, $3, $4)");
        note.bind(id).bind(hash).bind(label).bind(number(now_ms)).execute(&mut *transaction).await?;
        // What was kept of one that is dead is its number alone.
        sqlx::query("DELETE FROM api_token_use WHERE token_id NOT IN (SELECT token_id FROM api_token)")
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some(id))
    }

    /// The number of the token with this hash, if it is good.
    pub(crate) async fn token_with(&self, hash: &str) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query("SELECT token_id FROM api_token WHERE hash = $1").bind(hash);
        Ok(row.fetch_optional(&self.pool).await?.map(|row| row.try_get(0)).transpose()?)
    }

    /// A token was used.
    pub(crate) async fn note_token(&self, id: i64, now_ms: u64) -> Result<(), StoreError> {
        let note = sqlx::query(
            "INSERT INTO api_token_use (token_id, used_ms) VALUES ($1, $2)
             ON CONFLICT (token_id) DO UPDATE SET used_ms = excluded.used_ms",
        );
        note.bind(id).bind(number(now_ms)).execute(&self.pool).await?;
        Ok(())
    }

    /// All tokens, the oldest first.
    pub(crate) async fn tokens(&self) -> Result<Vec<ApiTokenInfo>, StoreError> {
        let rows = sqlx::query(
            "SELECT token_id, label, made_ms, used_ms FROM api_token LEFT JOIN api_token_use USING (token_id)
             ORDER BY token_id",
        );
        let mut tokens = Vec::new();
        for row in rows.fetch_all(&self.pool).await? {
            let used_ms: Option<i64> = row.try_get("used_ms")?;
            tokens.push(ApiTokenInfo {
                number: row.try_get("token_id")?,
                label: row.try_get("label")?,
                made_ms: whole(&row, "made_ms")?,
                used_ms: used_ms.and_then(|ms| u64::try_from(ms).ok()),
            });
        }
        Ok(tokens)
    }

    /// Ends the tokens with this label; the one with this number where it is one. Tells how many.
    pub(crate) async fn revoke_token(&self, which: &str) -> Result<u64, StoreError> {
        self.end_tokens(Some(which), which.parse().ok()).await
    }

    /// Ends the token with this number. False when there is none.
    pub(crate) async fn end_token(&self, id: i64) -> Result<bool, StoreError> {
        Ok(self.end_tokens(None, Some(id)).await? > 0)
    }

    async fn end_tokens(&self, label: Option<&str>, id: Option<i64>) -> Result<u64, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let kept = sqlx::query(
            "INSERT INTO api_token_use (token_id, used_ms)
             SELECT token_id, made_ms FROM api_token WHERE label = $1 OR token_id = $2
             ON CONFLICT (token_id) DO NOTHING",
        );
        kept.bind(label).bind(id).execute(&mut *transaction).await?;
        let gone = sqlx::query("DELETE FROM api_token WHERE label = $1 OR token_id = $2");
        let gone = gone.bind(label).bind(id).execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::store;

    #[tokio::test]
    async fn a_token_is_good_until_it_is_revoked_by_its_label_or_its_number() {
        let (_room, store) = store().await;
        let first = store.admit_token("aa", "1C", 5).await.unwrap().unwrap();
        store.admit_token("bb", "Zabbix", 6).await.unwrap();
        assert_eq!(store.token_with("aa").await.unwrap(), Some(first));
        assert_eq!(store.token_with("cc").await.unwrap(), None);
        let labels: Vec<String> =
            store.tokens().await.unwrap().into_iter().map(|token| token.label).collect();
        assert_eq!(labels, ["1C", "Zabbix"]);
        assert_eq!(store.revoke_token(&first.to_string()).await.unwrap(), 1);
        assert_eq!(store.revoke_token("Zabbix").await.unwrap(), 1);
        assert_eq!(store.revoke_token("Zabbix").await.unwrap(), 0);
        assert_eq!(store.token_with("aa").await.unwrap(), None);
        assert_eq!(store.token_with("bb").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_label_is_one_tokens_alone_and_a_number_is_never_given_again() {
        let (_room, store) = store().await;
        assert_eq!(store.admit_token("aa", "1C", 5).await.unwrap(), Some(1));
        assert_eq!(store.admit_token("bb", "1C", 5).await.unwrap(), None);
        assert_eq!(store.admit_token("bb", "", 5).await.unwrap(), Some(2));
        // One whose label is another's number.
        assert_eq!(store.admit_token("cc", "2", 5).await.unwrap(), Some(3));
        assert!(store.end_token(2).await.unwrap() && !store.end_token(2).await.unwrap());
        assert!(store.end_token(3).await.unwrap(), "it is there still");
        assert_eq!(store.admit_token("dd", "", 5).await.unwrap(), Some(4));
        assert_eq!(store.admit_token("ee", "", 5).await.unwrap(), Some(5));
    }

    #[tokio::test]
    async fn it_is_known_when_a_token_was_used_last() {
        let (_room, store) = store().await;
        let first = store.admit_token("aa", "1C", 5).await.unwrap().unwrap();
        store.admit_token("bb", "Zabbix", 6).await.unwrap();
        store.note_token(first, 70).await.unwrap();
        store.note_token(first, 80).await.unwrap();
        let used: Vec<_> = store.tokens().await.unwrap().into_iter().map(|token| token.used_ms).collect();
        assert_eq!(used, [Some(80), None]);
    }
}
