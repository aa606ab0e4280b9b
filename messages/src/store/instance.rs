//! The instance's own row.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::journal::{json, record};
use super::notifications::{self, Told};
use super::{Fault, Store, malformed};
use crate::chat::ChatId;
use crate::house::Starting;
use crate::id::InstanceId;
use crate::instance::InstanceKind;
use crate::record::{Reason, Record};
use crate::settings::Settings;

/// How long it is waited for a database that somebody else writes.
const PATIENCE: Duration = Duration::from_secs(1);

/// The instance that a database holds which is not open.
pub(crate) async fn held(file: &Path) -> Result<Option<Starting>, sqlx::Error> {
    let options =
        SqliteConnectOptions::new().filename(file).busy_timeout(PATIENCE).disable_statement_logging();
    let mut connection = options.connect().await?;
    let row = sqlx::query("SELECT id, kind, name, token_hash, created_s FROM ms_instance LIMIT 1");
    let row = row.fetch_optional(&mut connection).await;
    connection.close().await?;
    let Some(row) = row? else { return Ok(None) };
    let id: i64 = row.try_get("id")?;
    let kind: String = row.try_get("kind")?;
    Ok(Some(Starting {
        id: InstanceId::new(id).ok_or_else(|| malformed("id", id))?,
        name: row.try_get("name")?,
        kind: if kind == InstanceKind::Bot.as_str() { InstanceKind::Bot } else { InstanceKind::User },
        created_s: row.try_get("created_s")?,
        token_hash: Some(row.try_get("token_hash")?),
    }))
}

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

    /// The messages are those of this account from now on; true if they were another's. Telegram's numbers begin anew then
    /// and mean other messages: the journal forgets the old ones, and so does what was told and read by them. What waits
    /// in the queue was for the other one to send, and fails.
    pub(crate) async fn begin_account(
        &self,
        account: ChatId,
        fault: &Fault,
        told: impl Fn(&Record) -> Vec<Told>,
        now_ms: i64,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let row = sqlx::query("SELECT account FROM ms_instance").fetch_optional(&mut *transaction).await?;
        let before: Option<i64> = row.map_or(Ok(None), |row| row.try_get(0))?;
        if before == Some(account.0) {
            return Ok(false);
        }
        let keep = sqlx::query("UPDATE ms_instance SET account = $1").bind(account.0);
        keep.execute(&mut *transaction).await?;
        if before.is_some() {
            let failed = sqlx::query(
                "UPDATE ms_message SET status = 'failed', failure = $1, kept_s = $3, reason = CASE
                     WHEN id IN (SELECT id FROM ms_outgoing WHERE claimed % 2 = 1 OR parts_done > 0) THEN $4 ELSE $2 END
                 WHERE id IN (SELECT id FROM ms_outgoing) RETURNING *",
            );
            let failed = failed.bind(fault.sentence.clone()).bind(json("reason", &fault.reason)?);
            let doubtful = Reason { may_be_sent: true, ..fault.reason.clone() };
            let failed = failed.bind(now_ms / 1000).bind(json("reason", &doubtful)?);
            let mut failed = failed.fetch_all(&mut *transaction).await?;
            failed.sort_by_key(|row| row.get::<i64, _>("id"));
            // What came of them is told by whoever does them.
            let ended = sqlx::query("UPDATE ms_job SET finished_ms = $1 WHERE finished_ms IS NULL");
            ended.bind(now_ms).execute(&mut *transaction).await?;
            for statement in FORGOTTEN {
                sqlx::query(statement).execute(&mut *transaction).await?;
            }
            for row in &failed {
                for told in told(&record(row)?) {
                    notifications::insert(&mut transaction, &told, now_ms).await?;
                }
            }
        }
        transaction.commit().await?;
        Ok(before.is_some())
    }
}

/// What goes by the numbers of an account.
const FORGOTTEN: [&str; 10] = [
    "DELETE FROM ms_outgoing",
    "DELETE FROM ms_acquaintance",
    "DELETE FROM ms_hold",
    "DELETE FROM ms_part",
    "DELETE FROM ms_echo",
    "UPDATE ms_message SET tg_id = NULL WHERE tg_id IS NOT NULL",
    "UPDATE ms_notification SET dedupe = 'before:' || receipt || ':' || dedupe",
    "DELETE FROM ms_told",
    "DELETE FROM ms_read",
    "DELETE FROM ms_check",
];
