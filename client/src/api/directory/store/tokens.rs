//! Tokens by their hashes.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use tgtrunk_config::Phone;
use tgtrunk_messages::InstanceId;

use super::{Store, StoreError};

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::directory) struct TokenRow {
    pub(in crate::api::directory) id: i64,
    /// For which instance; none if it is for all.
    pub(in crate::api::directory) instance: Option<InstanceId>,
    /// That instance's number, when the token was made.
    pub(in crate::api::directory) line: Option<Phone>,
    pub(in crate::api::directory) hash: String,
    pub(in crate::api::directory) label: String,
    pub(in crate::api::directory) created_s: i64,
    pub(in crate::api::directory) last_used_s: Option<i64>,
    pub(in crate::api::directory) revoked_s: Option<i64>,
}

impl Store {
    /// All of them, those that were revoked among them.
    pub(in crate::api::directory) async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM token WHERE kind = 'action' ORDER BY id");
        let rows = rows.fetch_all(&self.pool).await?;
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    /// Keeps a new one; its number.
    pub(in crate::api::directory) async fn add_token(
        &self,
        instance: Option<InstanceId>,
        line: Option<&Phone>,
        hash: &str,
        label: &str,
        now_s: i64,
    ) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "INSERT INTO token (kind, instance, line, hash, label, created_s) VALUES ('action', $1, $2, $3, $4, $5)
             RETURNING id",
        )
        .bind(instance.map(InstanceId::get))
        .bind(line.map(Phone::as_str))
        .bind(hash)
        .bind(label)
        .bind(now_s)
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get(0)?)
    }

    /// Calls one that holds otherwise; false if it does not hold, or is not there.
    pub(in crate::api::directory) async fn rename_token(
        &self,
        id: i64,
        label: &str,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query("UPDATE token SET label = $2 WHERE id = $1 AND revoked_s IS NULL");
        Ok(query.bind(id).bind(label).execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Notes that one is dead; false if it was, or is not there.
    pub(in crate::api::directory) async fn revoke_token(
        &self,
        id: i64,
        now_s: i64,
    ) -> Result<bool, StoreError> {
        let query = sqlx::query("UPDATE token SET revoked_s = $2 WHERE id = $1 AND revoked_s IS NULL");
        Ok(query.bind(id).bind(now_s).execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Notes when one was last used.
    pub(in crate::api::directory) async fn use_token(&self, id: i64, now_s: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE token SET last_used_s = $2 WHERE id = $1")
            .bind(id)
            .bind(now_s)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets those that were revoked before `before_s`.
    pub(in crate::api::directory) async fn forget_tokens(&self, before_s: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM token WHERE revoked_s < $1").bind(before_s).execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets one, as its line was.
    pub(in crate::api::directory) async fn forget_token(&self, id: i64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM token WHERE id = $1").bind(id).execute(&self.pool).await?;
        Ok(())
    }
}

fn row(row: &SqliteRow) -> Result<TokenRow, sqlx::Error> {
    let instance: Option<i64> = row.try_get("instance")?;
    let line: Option<String> = row.try_get("line")?;
    Ok(TokenRow {
        id: row.try_get("id")?,
        // One whose number somebody has spoilt is good for nothing, and not for everything.
        instance: match instance {
            Some(number) => Some(InstanceId::new(number).ok_or_else(|| {
                sqlx::Error::Decode(format!("token.instance = {number}: want ten digits").into())
            })?),
            None => None,
        },
        line: line.and_then(|line| line.parse().ok()),
        hash: row.try_get("hash")?,
        label: row.try_get("label")?,
        created_s: row.try_get("created_s")?,
        last_used_s: row.try_get("last_used_s")?,
        revoked_s: row.try_get("revoked_s")?,
    })
}
