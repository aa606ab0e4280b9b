//! For how long the calls of the PBX have lasted today, where the line's settings say for how long they may.
//!
//! The sum is kept in the number's `gateway.db`, so that a restart forgives nothing; it begins anew at midnight here.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::Local;
use sqlx::{Row as _, SqlitePool};
use tgtrunk_bridge::Cause;

use super::Line;
use super::day::Day;
use crate::clock;

/// How often what running calls have lasted is written down.
const WRITE_EVERY: Duration = Duration::from_secs(30);

const TABLE: &str = "CREATE TABLE IF NOT EXISTS talked (
    day TEXT PRIMARY KEY,
    talked_ms BIGINT NOT NULL)";

/// A line's minutes of today.
#[derive(Debug)]
pub(crate) struct Minutes {
    pool: SqlitePool,
    /// In milliseconds; 0 is any number.
    most_ms: u64,
    today: Mutex<Today>,
}

#[derive(Debug)]
struct Today {
    day: Day,
    /// Of calls that have ended.
    ended_ms: u64,
    write_at: Instant,
}

impl Minutes {
    /// Reads how far today is.
    ///
    /// # Errors
    /// What the database said.
    pub(crate) async fn open(pool: SqlitePool, per_day: u32) -> Result<Self, sqlx::Error> {
        sqlx::query(TABLE).execute(&pool).await?;
        let day = Day::at(clock::unix_ms(), &Local);
        sqlx::query("DELETE FROM talked WHERE day <> $1").bind(day.name.clone()).execute(&pool).await?;
        let row = sqlx::query("SELECT talked_ms FROM talked").fetch_optional(&pool).await?;
        let ended_ms = row.map(|row| row.try_get::<i64, _>("talked_ms")).transpose()?;
        let ended_ms = ended_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
        let today = Mutex::new(Today { day, ended_ms, write_at: clock::now() + WRITE_EVERY });
        Ok(Self { pool, most_ms: u64::from(per_day) * 60_000, today })
    }

    /// Why no further call may begin today; `running` says for how long calls that are up have lasted since a moment.
    fn refusal(&self, now_ms: u64, running: impl Fn(u64) -> u64) -> Option<Cause> {
        if self.most_ms == 0 {
            return None;
        }
        let today = self.today(now_ms);
        let talked_ms = today.ended_ms.saturating_add(running(today.day.begins_ms));
        (talked_ms >= self.most_ms).then(|| Cause::MinutesUsed { wait_s: today.day.left_s(now_ms) })
    }

    /// Counts a call that ended.
    fn ended(&self, now_ms: u64, answered_ms: u64) {
        let mut today = self.today(now_ms);
        let lasted_ms = now_ms.saturating_sub(answered_ms.max(today.day.begins_ms));
        today.ended_ms = today.ended_ms.saturating_add(lasted_ms);
    }

    /// What is to be written of it, if that is due.
    fn due(&self, now: Instant, now_ms: u64, running: impl Fn(u64) -> u64) -> Option<(String, u64)> {
        let mut today = self.today(now_ms);
        if self.most_ms == 0 || today.write_at > now {
            return None;
        }
        today.write_at = now + WRITE_EVERY;
        let talked_ms = today.ended_ms.saturating_add(running(today.day.begins_ms));
        (talked_ms > 0).then(|| (today.day.name.clone(), talked_ms))
    }

    fn today(&self, now_ms: u64) -> MutexGuard<'_, Today> {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms >= today.day.ends_ms {
            (today.day, today.ended_ms) = (Day::at(now_ms, &Local), 0);
        }
        today
    }
}

impl Line {
    /// Why the PBX may begin no further call today.
    pub(super) fn minutes_used(&self) -> Option<Cause> {
        let now_ms = clock::unix_ms();
        self.minutes.refusal(now_ms, |since_ms| self.calls.lasted_ms(now_ms, since_ms))
    }

    /// Counts what a call of the PBX has lasted, and writes that down at once.
    pub(super) fn count_minutes(&mut self, answered_ms: u64) {
        self.minutes.ended(clock::unix_ms(), answered_ms);
        self.minutes.today(clock::unix_ms()).write_at = clock::now();
        self.write_minutes();
    }

    /// Writes down what running calls have lasted, if that is due.
    pub(super) fn write_minutes(&self) {
        let now_ms = clock::unix_ms();
        let running = |since_ms| self.calls.lasted_ms(now_ms, since_ms);
        if let Some((day, talked_ms)) = self.minutes.due(clock::now(), now_ms, running) {
            tokio::spawn(write(self.minutes.pool.clone(), day, talked_ms));
        }
    }
}

/// The sum only grows: of two writes the later one may come first.
async fn write(pool: SqlitePool, day: String, talked_ms: u64) {
    let insert = sqlx::query(
        "INSERT INTO talked (day, talked_ms) VALUES ($1, $2)
         ON CONFLICT (day) DO UPDATE SET talked_ms = MAX(talked_ms, excluded.talked_ms)",
    );
    let insert = insert.bind(day).bind(i64::try_from(talked_ms).unwrap_or(i64::MAX));
    if let Err(error) = insert.execute(&pool).await {
        tracing::warn!(%error, "the minutes of the day could not be written");
    }
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    #[tokio::test]
    async fn minutes_of_ended_and_of_running_calls_count_and_the_last_one_may_go_on() {
        let minutes = Minutes::open(pool().await, 2).await.unwrap();
        let now_ms = clock::unix_ms();
        assert_eq!(minutes.refusal(now_ms, |_| 119_999), None);
        let Some(Cause::MinutesUsed { wait_s }) = minutes.refusal(now_ms, |_| 120_000) else { panic!() };
        assert!(wait_s <= 25 * 3_600, "{wait_s}");
        let begins_ms = minutes.today(now_ms).day.begins_ms;
        let talked_ms = (now_ms - begins_ms).min(90_000);
        minutes.ended(now_ms, now_ms - 90_000);
        assert_eq!(minutes.today(now_ms).ended_ms, talked_ms, "what was said yesterday is yesterday's");
        assert!(minutes.refusal(now_ms, |_| 120_000 - talked_ms).is_some());
        assert_eq!(Minutes::open(pool().await, 0).await.unwrap().refusal(now_ms, |_| u64::MAX), None);
    }

    #[tokio::test]
    async fn a_restart_forgives_nothing_and_a_new_day_everything() {
        let pool = pool().await;
        let minutes = Minutes::open(pool.clone(), 1).await.unwrap();
        let now = clock::now() + WRITE_EVERY;
        let (day, talked_ms) = minutes.due(now, clock::unix_ms(), |_| 60_000).unwrap();
        assert_eq!(minutes.due(now, clock::unix_ms(), |_| 60_001), None, "not yet again");
        write(pool.clone(), day.clone(), talked_ms).await;
        write(pool.clone(), day, 30_000).await;
        let again = Minutes::open(pool.clone(), 1).await.unwrap();
        assert!(again.refusal(clock::unix_ms(), |_| 0).is_some());
        sqlx::query("UPDATE talked SET day = '2001-01-01'").execute(&pool).await.unwrap();
        let next = Minutes::open(pool, 1).await.unwrap();
        assert_eq!(next.refusal(clock::unix_ms(), |_| 0), None);
    }

    async fn pool() -> SqlitePool {
        SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap()
    }
}
