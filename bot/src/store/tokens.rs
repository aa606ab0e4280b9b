//! Tokens of this machine's Bot API: what other programs show in place of the bot's own. Only their hashes are kept.

use sqlx::Row as _;

use super::{Store, StoreError, number, whole};

/// A token that was given to a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) id: i64,
    /// Whom it was given to.
    pub(crate) label: String,
    pub(crate) made_ms: u64,
}

impl Store {
    /// Keeps a token by its hash; gives its number.
    pub(crate) async fn admit_token(&self, hash: &str, label: &str, now_ms: u64) -> Result<i64, StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let last = sqlx::query("SELECT COALESCE(MAX(token_id), 0) FROM api_token");
        let id = last.fetch_one(&mut *transaction).await?.try_get::<i64, _>(0)? + 1;
        let note =
            sqlx::query("INSERT INTO api_token (token_id, hash, label, made_ms) VALUES ($1, $2, $3, $4)");
        note.bind(id).bind(hash).bind(label).bind(number(now_ms)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// Whether a token with this hash is good.
    pub(crate) async fn is_token(&self, hash: &str) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT token_id FROM api_token WHERE hash = $1").bind(hash);
        Ok(row.fetch_optional(&self.pool).await?.is_some())
    }

    /// All tokens, the oldest first.
    pub(crate) async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let mut tokens = Vec::new();
        for row in sqlx::query("SELECT * FROM api_token ORDER BY token_id").fetch_all(&self.pool).await? {
            let (id, label) = (row.try_get("token_id")?, row.try_get("label")?);
            tokens.push(Token { id, label, made_ms: whole(&row, "made_ms")? });
        }
        Ok(tokens)
    }

    /// Ends the tokens with this label; the one with this number where it is one. Tells how many.
    pub(crate) async fn revoke_token(&self, which: &str) -> Result<u64, StoreError> {
        let id: i64 = which.parse().unwrap_or(-1);
        let gone = sqlx::query("DELETE FROM api_token WHERE label = $1 OR token_id = $2");
        Ok(gone.bind(which).bind(id).execute(&self.pool).await?.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::store;

    #[tokio::test]
    async fn a_token_is_good_until_it_is_revoked_by_its_label_or_its_number() {
        let (_room, store) = store().await;
        let first = store.admit_token("aa", "1C", 5).await.unwrap();
        store.admit_token("bb", "Zabbix", 6).await.unwrap();
        assert!(store.is_token("aa").await.unwrap() && !store.is_token("cc").await.unwrap());
        let labels: Vec<String> =
            store.tokens().await.unwrap().into_iter().map(|token| token.label).collect();
        assert_eq!(labels, ["1C", "Zabbix"]);
        assert_eq!(store.revoke_token(&first.to_string()).await.unwrap(), 1);
        assert_eq!(store.revoke_token("Zabbix").await.unwrap(), 1);
        assert_eq!(store.revoke_token("Zabbix").await.unwrap(), 0);
        assert!(!store.is_token("aa").await.unwrap() && !store.is_token("bb").await.unwrap());
    }
}
