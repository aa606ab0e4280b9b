//! People who are notified.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError};

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api::directory) struct Recipient {
    /// 0 before it is kept.
    pub(in crate::api::directory) id: i64,
    /// What their bot gave them.
    pub(in crate::api::directory) key: Option<String>,
    pub(in crate::api::directory) title: String,
    /// With `+`.
    pub(in crate::api::directory) phone: Option<String>,
    /// A chat's number, or `@name` in small letters.
    pub(in crate::api::directory) dialog: Option<String>,
    pub(in crate::api::directory) organisation: Option<i64>,
    /// Whether they want to be notified.
    pub(in crate::api::directory) is_notified: bool,
    /// Whether they have blocked the bot, as far as was heard.
    pub(in crate::api::directory) is_blocked: bool,
    pub(in crate::api::directory) first_seen_s: Option<i64>,
    pub(in crate::api::directory) last_seen_s: Option<i64>,
    pub(in crate::api::directory) created_s: i64,
}

impl Store {
    /// All of them, in the order in which they came.
    pub(in crate::api::directory) async fn recipients(&self) -> Result<Vec<Recipient>, StoreError> {
        let rows = sqlx::query("SELECT * FROM recipient ORDER BY id").fetch_all(&self.pool).await?;
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    /// One by its number.
    pub(in crate::api::directory) async fn recipient(
        &self,
        id: i64,
    ) -> Result<Option<Recipient>, StoreError> {
        let found = sqlx::query("SELECT * FROM recipient WHERE id = $1").bind(id);
        Ok(found.fetch_optional(&self.pool).await?.as_ref().map(row).transpose()?)
    }

    /// One by the key.
    pub(in crate::api::directory) async fn recipient_by_key(
        &self,
        key: &str,
    ) -> Result<Option<Recipient>, StoreError> {
        let found = sqlx::query("SELECT * FROM recipient WHERE key_code = $1").bind(key);
        Ok(found.fetch_optional(&self.pool).await?.as_ref().map(row).transpose()?)
    }

    /// One by the phone number.
    pub(in crate::api::directory) async fn recipient_by_phone(
        &self,
        phone: &str,
    ) -> Result<Option<Recipient>, StoreError> {
        let found = sqlx::query("SELECT * FROM recipient WHERE phone = $1").bind(phone);
        Ok(found.fetch_optional(&self.pool).await?.as_ref().map(row).transpose()?)
    }

    /// One by the chat.
    pub(in crate::api::directory) async fn recipient_by_dialog(
        &self,
        dialog: &str,
    ) -> Result<Option<Recipient>, StoreError> {
        let found = sqlx::query("SELECT * FROM recipient WHERE dialog = $1").bind(dialog);
        Ok(found.fetch_optional(&self.pool).await?.as_ref().map(row).transpose()?)
    }

    /// Keeps a new one, or what was changed of one; its number.
    pub(in crate::api::directory) async fn keep_recipient(
        &self,
        kept: &Recipient,
    ) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "INSERT INTO recipient (id, key_code, title, phone, dialog, organisation, notify, blocked, first_seen_s,
                last_seen_s, created_s)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (id) DO UPDATE SET key_code = excluded.key_code, title = excluded.title,
                phone = excluded.phone, dialog = excluded.dialog, organisation = excluded.organisation,
                notify = excluded.notify, blocked = excluded.blocked, first_seen_s = excluded.first_seen_s,
                last_seen_s = excluded.last_seen_s
             RETURNING id",
        )
        .bind(Some(kept.id).filter(|id| *id > 0))
        .bind(&kept.key)
        .bind(&kept.title)
        .bind(&kept.phone)
        .bind(&kept.dialog)
        .bind(kept.organisation)
        .bind(i64::from(kept.is_notified))
        .bind(i64::from(kept.is_blocked))
        .bind(kept.first_seen_s)
        .bind(kept.last_seen_s)
        .bind(kept.created_s)
        .fetch_one(&self.pool)
        .await?;
        Ok(row.try_get(0)?)
    }

    /// Notes whether somebody has blocked the bot.
    pub(in crate::api::directory) async fn block_recipient(
        &self,
        id: i64,
        is_blocked: bool,
    ) -> Result<(), StoreError> {
        sqlx::query("UPDATE recipient SET blocked = $2 WHERE id = $1")
            .bind(id)
            .bind(i64::from(is_blocked))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Forgets one; false if it is not there.
    pub(in crate::api::directory) async fn forget_recipient(&self, id: i64) -> Result<bool, StoreError> {
        let gone = sqlx::query("DELETE FROM recipient WHERE id = $1").bind(id);
        Ok(gone.execute(&self.pool).await?.rows_affected() > 0)
    }
}

fn row(row: &SqliteRow) -> Result<Recipient, sqlx::Error> {
    Ok(Recipient {
        id: row.try_get("id")?,
        key: row.try_get("key_code")?,
        title: row.try_get("title")?,
        phone: row.try_get("phone")?,
        dialog: row.try_get("dialog")?,
        organisation: row.try_get("organisation")?,
        is_notified: row.try_get::<i64, _>("notify")? != 0,
        is_blocked: row.try_get::<i64, _>("blocked")? != 0,
        first_seen_s: row.try_get("first_seen_s")?,
        last_seen_s: row.try_get("last_seen_s")?,
        created_s: row.try_get("created_s")?,
    })
}
