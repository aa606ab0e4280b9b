//! The step of a login that is under way, in the database: a login goes on after a restart where it stood.

use sqlx::{Row as _, SqlitePool};

use crate::login::{Stage, Via};

/// The stored step. A flood wait is kept here though no login is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) phone: String,
    /// Telegram's name of the code that was sent; empty where none was.
    pub(crate) code_hash: String,
    pub(crate) via: Via,
    pub(crate) length: Option<u32>,
    pub(crate) next: Option<Via>,
    pub(crate) sent_ms: u64,
    pub(crate) resend_ms: Option<u64>,
    /// The password alone is missing.
    pub(crate) password: bool,
    pub(crate) hint: Option<String>,
    pub(crate) flood_until_s: i64,
    /// A QR code is shown until then; 0 where none is.
    pub(crate) qr_until_ms: u64,
}

impl Step {
    /// A login whose password alone is missing, however it came so far.
    pub(crate) fn of_password(hint: Option<String>) -> Self {
        Self { password: true, hint, ..Self::default() }
    }

    pub(crate) fn code_stage(self) -> Stage {
        Stage::Code {
            phone: self.phone,
            via: self.via,
            length: self.length,
            next: self.next,
            sent_ms: self.sent_ms,
            resend_ms: self.resend_ms,
        }
    }

    pub(crate) async fn load(pool: &SqlitePool) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query("SELECT * FROM tg_login_step WHERE id = 1").fetch_optional(pool).await?;
        let Some(row) = row else { return Ok(None) };
        let next: Option<String> = row.try_get("next_via")?;
        let time = |ms: i64| u64::try_from(ms).unwrap_or(0);
        Ok(Some(Self {
            phone: row.try_get("phone")?,
            code_hash: row.try_get("code_hash")?,
            via: Via::from_word(row.try_get("via")?),
            length: row.try_get("code_length")?,
            next: next.map(Via::from_word),
            sent_ms: time(row.try_get("sent_at")?),
            resend_ms: row.try_get::<Option<i64>, _>("resend_at")?.map(time),
            password: row.try_get::<i64, _>("password")? != 0,
            hint: row.try_get("hint")?,
            flood_until_s: row.try_get("flood_until")?,
            qr_until_ms: time(row.try_get("qr_until")?),
        }))
    }

    pub(crate) async fn save(&self, pool: &SqlitePool) -> Result<(), sqlx::Error> {
        let time = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        sqlx::query(
            "INSERT INTO tg_login_step (id, phone, code_hash, via, code_length, next_via, sent_at, resend_at, password,
                hint, flood_until, qr_until)
             VALUES (1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (id) DO UPDATE SET phone = excluded.phone, code_hash = excluded.code_hash, via = excluded.via,
                code_length = excluded.code_length, next_via = excluded.next_via, sent_at = excluded.sent_at,
                resend_at = excluded.resend_at, password = excluded.password, hint = excluded.hint,
                flood_until = excluded.flood_until, qr_until = excluded.qr_until",
        )
        .bind(self.phone.clone())
        .bind(self.code_hash.clone())
        .bind(self.via.word())
        .bind(self.length)
        .bind(self.next.map(Via::word))
        .bind(time(self.sent_ms))
        .bind(self.resend_ms.map(time))
        .bind(i64::from(self.password))
        .bind(self.hint.clone())
        .bind(self.flood_until_s)
        .bind(time(self.qr_until_ms))
        .execute(pool)
        .await
        .map(drop)
    }

    pub(crate) async fn forget(pool: &SqlitePool) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM tg_login_step").execute(pool).await.map(drop)
    }
}

impl Via {
    const WORDS: [(Self, &str); 8] = [
        (Self::App, "app"),
        (Self::Sms, "sms"),
        (Self::SmsWord, "sms word"),
        (Self::SmsPhrase, "sms phrase"),
        (Self::Call, "call"),
        (Self::MissedCall, "missed call"),
        (Self::Email, "email"),
        (Self::Fragment, "fragment"),
    ];

    fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(via, _)| *via == self).map_or("app", |(_, word)| word)
    }

    fn from_word(word: String) -> Self {
        Self::WORDS.iter().find(|(_, known)| *known == word).map_or(Self::App, |(via, _)| *via)
    }
}
