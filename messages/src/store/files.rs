//! Files by the secret in their links.

use std::collections::BTreeSet;

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

/// What the picture of a chat is found by begins with.
pub(crate) const PICTURE: &str = "picture:";

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

    /// The secrets of files whose bodies are on the disk.
    pub(crate) async fn bodies(&self) -> Result<BTreeSet<String>, sqlx::Error> {
        let rows = sqlx::query("SELECT secret FROM ms_file WHERE is_here = 1").fetch_all(&self.pool).await?;
        rows.iter().map(|row| row.try_get(0)).collect()
    }

    /// How much the bodies on the disk hold together: bytes.
    pub(crate) async fn bodies_bytes(&self) -> Result<u64, sqlx::Error> {
        let row = sqlx::query("SELECT COALESCE(SUM(size), 0) FROM ms_file WHERE is_here = 1");
        Ok(u64::try_from(row.fetch_one(&self.pool).await?.try_get::<i64, _>(0)?).unwrap_or(0))
    }

    /// Forgets the oldest bodies, a few at most, which hold `bytes` together; those that the queue needs stay. Gives their
    /// secrets. What lies at Telegram too can be fetched again.
    pub(crate) async fn forget_bodies(&self, bytes: u64) -> Result<Vec<String>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT secret, size, remote FROM ms_file WHERE is_here = 1
             AND NOT EXISTS (SELECT 1 FROM ms_outgoing WHERE ms_outgoing.draft LIKE '%' || ms_file.secret || '%')
             ORDER BY created_s, secret LIMIT 100",
        );
        let rows = rows.fetch_all(&self.pool).await?;
        let (mut gone, mut left) = (Vec::new(), i64::try_from(bytes).unwrap_or(i64::MAX));
        for row in rows {
            if left <= 0 {
                break;
            }
            let (secret, size): (String, i64) = (row.try_get("secret")?, row.try_get("size")?);
            let remote: Option<String> = row.try_get("remote")?;
            let query = if remote.is_some_and(|remote| !remote.starts_with(PICTURE)) {
                sqlx::query("UPDATE ms_file SET is_here = 0 WHERE secret = $1")
            } else {
                sqlx::query("DELETE FROM ms_file WHERE secret = $1")
            };
            query.bind(secret.clone()).execute(&self.pool).await?;
            left = left.saturating_sub(size);
            gone.push(secret);
        }
        Ok(gone)
    }

    /// The newest file that is found by `remote`, whose link is good from now on as if it were new.
    pub(crate) async fn renew_file(&self, remote: &str, now_s: i64) -> Result<Option<FileRow>, sqlx::Error> {
        let row = sqlx::query(
            "UPDATE ms_file SET created_s = $2 WHERE secret =
             (SELECT secret FROM ms_file WHERE remote = $1 AND is_here = 1 ORDER BY created_s DESC LIMIT 1)
             RETURNING secret",
        );
        let row = row.bind(remote.to_owned()).bind(now_s).fetch_optional(&self.pool).await?;
        match row {
            Some(row) => self.file(&row.try_get::<String, _>(0)?).await,
            None => Ok(None),
        }
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
                AND secret NOT IN (SELECT draft.value FROM ms_outgoing, json_tree(ms_outgoing.draft) AS draft
                    WHERE ms_outgoing.draft LIKE '%\"stored\"%' AND draft.key = 'stored')
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

#[cfg(test)]
mod tests {
    use crate::store::tests::Room;

    use super::*;

    #[tokio::test]
    async fn a_file_that_the_queue_needs_outlives_its_time() {
        let room = Room::new();
        let store = room.open().await;
        for secret in ["needed", "named", "old"] {
            let file = FileRow {
                secret: secret.to_owned(),
                name: "price.pdf".to_owned(),
                mime: "application/pdf".to_owned(),
                size: 0,
                remote: None,
                is_here: true,
                created_s: 100,
            };
            insert(&mut store.pool.acquire().await.unwrap(), &file).await.unwrap();
        }
        // What a person writes is not what a file is kept as.
        for (id, draft) in [
            (1, r#"{"to":"5","content":{"kind":"file","file":{"name":"a"},"more":[{"stored":"needed"}]}}"#),
            (2, r#"{"to":"5","content":{"kind":"text","text":"\"stored\":\"named\""}}"#),
        ] {
            sqlx::query(
                "INSERT INTO ms_outgoing (id, method, request, draft, random_id, accepted_ms, not_before_ms, attempts, claimed,
                     parts_done) VALUES ($1, '', '', $2, 0, 0, 0, 0, 0, 0)",
            )
            .bind(id)
            .bind(draft)
            .execute(&store.pool)
            .await
            .unwrap();
        }
        let mut gone = store.forget_files(101).await.unwrap();
        gone.sort();
        assert_eq!(gone, ["named", "old"]);
        assert_eq!(store.forget_files(101).await.unwrap(), [""; 0]);
    }
}
