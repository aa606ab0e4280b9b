//! Organisations in whose names people are notified.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Channel, Store, StoreError};

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::directory) struct Organisation {
    /// 0 before it is kept.
    pub(in crate::api::directory) id: i64,
    pub(in crate::api::directory) name: String,
    /// Whose account writes for it: a line's phone number, or an instance's number.
    pub(in crate::api::directory) sender: Option<String>,
    /// Which bot writes for it.
    pub(in crate::api::directory) bot: Option<String>,
    /// Which of the two writes to whom both can; else the account does.
    pub(in crate::api::directory) channel: Option<Channel>,
    pub(in crate::api::directory) api_id: Option<i64>,
    /// What is kept of its `api_hash`, which has 128 bits of chance.
    pub(in crate::api::directory) api_hash_sha256: Option<String>,
    pub(in crate::api::directory) created_s: i64,
}

impl Store {
    /// All of them, by their names.
    pub(in crate::api::directory) async fn organisations(&self) -> Result<Vec<Organisation>, StoreError> {
        let rows = sqlx::query("SELECT * FROM organisation ORDER BY id").fetch_all(&self.pool).await?;
        let mut all = rows.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        all.sort_by_key(|one| one.name.to_lowercase());
        Ok(all)
    }

    /// One of them.
    pub(in crate::api::directory) async fn organisation(
        &self,
        id: i64,
    ) -> Result<Option<Organisation>, StoreError> {
        let found = sqlx::query("SELECT * FROM organisation WHERE id = $1").bind(id);
        Ok(found.fetch_optional(&self.pool).await?.as_ref().map(row).transpose()?)
    }

    /// Keeps a new one, or what was changed of one; its number.
    pub(in crate::api::directory) async fn keep_organisation(
        &self,
        kept: &Organisation,
    ) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "INSERT INTO organisation (id, name, sender, bot, channel, api_id, api_hash_sha256, created_s)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (id) DO UPDATE SET name = excluded.name, sender = excluded.sender, bot = excluded.bot,
                channel = excluded.channel, api_id = excluded.api_id, api_hash_sha256 = excluded.api_hash_sha256
             RETURNING id",
        )
        .bind(Some(kept.id).filter(|id| *id > 0))
        .bind(&kept.name)
        .bind(&kept.sender)
        .bind(&kept.bot)
        .bind(kept.channel.map(Channel::as_str))
        .bind(kept.api_id)
        .bind(&kept.api_hash_sha256)
        .bind(kept.created_s)
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get(0)?)
    }

    /// Forgets one; its people stay, and belong to none. False if it is not there.
    pub(in crate::api::directory) async fn forget_organisation(&self, id: i64) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let gone = sqlx::query("DELETE FROM organisation WHERE id = $1").bind(id);
        let gone = gone.execute(&mut *transaction).await?.rows_affected() > 0;
        sqlx::query("UPDATE recipient SET organisation = NULL WHERE organisation = $1")
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(gone)
    }
}

fn row(row: &SqliteRow) -> Result<Organisation, sqlx::Error> {
    Ok(Organisation {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        sender: row.try_get("sender")?,
        bot: row.try_get("bot")?,
        channel: row.try_get::<Option<String>, _>("channel")?.as_deref().and_then(Channel::read),
        api_id: row.try_get("api_id")?,
        api_hash_sha256: row.try_get("api_hash_sha256")?,
        created_s: row.try_get("created_s")?,
    })
}
