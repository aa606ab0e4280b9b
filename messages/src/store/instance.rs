//! The instance's own row.

use sqlx::Row as _;

use super::{Store, malformed};
use crate::id::InstanceId;
use crate::settings::Settings;

/// The instance as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstanceRow {
    pub(crate) id: InstanceId,
    /// `user` or `bot`.
    pub(crate) kind: String,
    pub(crate) name: String,
    /// Empty while it has no token.
    pub(crate) token_hash: String,
    pub(crate) settings: Settings,
    pub(crate) created_s: i64,
    pub(crate) suspended_until_s: Option<i64>,
}

impl Store {
    /// The instance of this database, made by `new` where there is none.
    pub(crate) async fn instance(&self, new: InstanceRow) -> Result<InstanceRow, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM ms_instance LIMIT 1").fetch_optional(&self.pool).await?;
        let Some(row) = row else {
            sqlx::query(
                "INSERT INTO ms_instance (id, kind, name, token_hash, settings, created_s) VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(new.id.get())
            .bind(new.kind.clone())
            .bind(new.name.clone())
            .bind(new.token_hash.clone())
            .bind(serde_json::to_string(&new.settings).map_err(|error| malformed("settings", error))?)
            .bind(new.created_s)
            .execute(&self.pool)
            .await?;
            return Ok(new);
        };
        let settings: String = row.try_get("settings")?;
        let id: i64 = row.try_get("id")?;
        Ok(InstanceRow {
            id: InstanceId::new(id).ok_or_else(|| malformed("id", id))?,
            kind: row.try_get("kind")?,
            name: row.try_get("name")?,
            token_hash: row.try_get("token_hash")?,
            settings: serde_json::from_str(&settings).map_err(|error| malformed("settings", error))?,
            created_s: row.try_get("created_s")?,
            suspended_until_s: row.try_get("suspended_until_s")?,
        })
    }

    pub(crate) async fn keep_token(&self, hash: &str) -> Result<(), sqlx::Error> {
        let query = sqlx::query("UPDATE ms_instance SET token_hash = $1").bind(hash.to_owned());
        query.execute(&self.pool).await.map(drop)
    }

    pub(crate) async fn keep_settings(&self, settings: &Settings) -> Result<(), sqlx::Error> {
        let text = serde_json::to_string(settings).map_err(|error| malformed("settings", error))?;
        sqlx::query("UPDATE ms_instance SET settings = $1").bind(text).execute(&self.pool).await.map(drop)
    }

    pub(crate) async fn keep_suspension(&self, until_s: Option<i64>) -> Result<(), sqlx::Error> {
        let query = sqlx::query("UPDATE ms_instance SET suspended_until_s = $1").bind(until_s);
        query.execute(&self.pool).await.map(drop)
    }
}
