//! Whether the PBX takes Opus, as its latest description of a call showed (RFC 3264); kept in the number's `gateway.db`.

use sqlx::{Row as _, SqlitePool};
use tgtrunk_config::CodecName;
use tgtrunk_sip::RemoteAudio;

use super::Line;
use crate::rules;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS line_fact (name TEXT PRIMARY KEY, value BIGINT NOT NULL)";
const NAME: &str = "opus_taken";

/// What is known of the PBX.
#[derive(Debug)]
pub(crate) struct Opus {
    pool: SqlitePool,
    seen: Option<bool>,
}

impl Opus {
    /// Reads what was seen before.
    ///
    /// # Errors
    /// What the database said.
    pub(crate) async fn open(pool: SqlitePool) -> Result<Self, sqlx::Error> {
        sqlx::query(TABLE).execute(&pool).await?;
        let row = sqlx::query("SELECT value FROM line_fact WHERE name = $1")
            .bind(NAME)
            .fetch_optional(&pool)
            .await?;
        let seen = row.map(|row| row.try_get::<i64, _>(0)).transpose()?.map(|value| value != 0);
        Ok(Self { pool, seen })
    }

    /// Whether the PBX took Opus last time; none while no call has shown that.
    pub(crate) fn seen(&self) -> Option<bool> {
        self.seen
    }

    /// Whether the line itself takes Opus.
    pub(crate) fn is_among(codecs: &[CodecName]) -> bool {
        codecs.contains(&CodecName::Opus)
    }

    /// Takes note of the codec that both sides settled on. Another one says something only where Opus is what the line
    /// likes best.
    pub(crate) fn note(&mut self, settled: &str, codecs: &[CodecName]) {
        let took = settled == rules::codec(CodecName::Opus).name;
        if (!took && codecs.first() != Some(&CodecName::Opus)) || self.seen == Some(took) {
            return;
        }
        self.seen = Some(took);
        let pool = self.pool.clone();
        tokio::spawn(async move {
            let insert = sqlx::query(
                "INSERT INTO line_fact (name, value) VALUES ($1, $2)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            );
            if let Err(error) = insert.bind(NAME).bind(i64::from(took)).execute(&pool).await {
                tracing::warn!(%error, "whether the PBX takes Opus could not be kept");
            }
        });
    }
}

impl Line {
    /// Takes note of what the PBX settled on.
    pub(super) fn note_codec(&mut self, remote: Option<&RemoteAudio>) {
        if let Some(remote) = remote {
            self.opus.note(remote.codec.name, &self.settings.audio.codecs);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    #[tokio::test]
    async fn what_the_latest_call_showed_outlives_a_restart() {
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        let mut opus = Opus::open(pool.clone()).await.unwrap();
        assert_eq!(opus.seen(), None);
        opus.note("PCMA", &[CodecName::Pcma, CodecName::Opus]);
        assert_eq!(opus.seen(), None, "the line itself likes PCMA better");
        opus.note("opus", &CodecName::ALL);
        opus.note("PCMA", &CodecName::ALL);
        assert_eq!(opus.seen(), Some(false));
        for _ in 0..100 {
            if Opus::open(pool.clone()).await.unwrap().seen() == Some(false) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("what was seen was not kept");
    }
}
