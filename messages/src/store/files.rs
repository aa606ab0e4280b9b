//! Files by the secret in their links.

use sqlx::{Row as _, SqliteConnection};

use super::Store;

/// A file as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileRow {
    pub(crate) secret: String,
    pub(crate) name: String,
    pub(crate) mime: String,
    pub(crate) size: i64,
    /// By what the messenger finds it at Telegram.
    pub(crate) remote: Option<String>,
    /// Whether its body is on the disk.
    pub(crate) is_here: bool,
    pub(crate) created_s: i64,
}

impl Store {
    pub(crate) async fn keep_file(&self, file: &FileRow) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        insert(&mut connection, file).await
    }

    pub(crate) async fn file(&self, secret: &str) -> Result<Option<FileRow>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM ms_file WHERE secret = $1").bind(secret.to_owned());
        let Some(row) = row.fetch_optional(&self.pool).await? else { return Ok(None) };
        Ok(Some(FileRow {
            secret: row.try_get("secret")?,
            name: row.try_get("name")?,
            mime: row.try_get("mime")?,
            size: row.try_get("size")?,
            remote: row.try_get("remote")?,
            is_here: row.try_get::<i64, _>("is_here")? != 0,
            created_s: row.try_get("created_s")?,
        }))
    }

    /// Its body is on the disk.
    pub(crate) async fn file_is_here(&self, secret: &str, size: i64) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE ms_file SET is_here = 1, size = $2 WHERE secret = $1")
            .bind(secret.to_owned())
            .bind(size)
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// Forgets a few files whose time is over, and those that the queue does not need; gives their secrets.
    pub(crate) async fn forget_files(&self, before_s: i64) -> Result<Vec<String>, sqlx::Error> {
        let rows = sqlx::query(
            "DELETE FROM ms_file WHERE secret IN (SELECT secret FROM ms_file WHERE created_s < $1
                AND NOT EXISTS (SELECT 1 FROM ms_outgoing WHERE ms_outgoing.draft LIKE '%' || ms_file.secret || '%')
                LIMIT 100) RETURNING secret",
        )
        .bind(before_s)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }
}

pub(super) async fn insert(connection: &mut SqliteConnection, file: &FileRow) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO ms_file (secret, name, mime, size, remote, is_here, created_s) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(file.secret.clone())
    .bind(file.name.clone())
    .bind(file.mime.clone())
    .bind(file.size)
    .bind(file.remote.clone())
    .bind(i64::from(file.is_here))
    .bind(file.created_s)
    .execute(connection)
    .await
    .map(drop)
}
