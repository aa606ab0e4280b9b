//! How many strangers a line approached today: whom it looked up at Telegram, or called, and who did not know it.
//!
//! Telegram takes an account that approaches many of them for a spammer, and a ban takes the line with it. The count is
//! kept in the number's `gateway.db`, so that a restart forgives nothing; it begins anew at midnight here.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use chrono::{Local, TimeZone};
use sqlx::{Row as _, SqlitePool};
use tgtrunk_bridge::Cause;
use tgtrunk_config::StrangerBudget;
use tgtrunk_config::control::{CallInfo, CallState};
use tgtrunk_telegram::{Account, Person, Stranger};
use tokio::sync::OnceCell;

use super::Line;
use super::day::Day;
use crate::clock;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS stranger (
    day TEXT NOT NULL,
    who TEXT NOT NULL,
    counted BIGINT NOT NULL,
    PRIMARY KEY (day, who))";

/// A line's strangers of today.
#[derive(Debug)]
pub(crate) struct Strangers {
    pool: SqlitePool,
    limit: u32,
    today: Mutex<Today>,
    /// The account's contacts were asked for.
    contacts: OnceCell<()>,
}

#[derive(Debug, Default)]
struct Today {
    day: Day,
    /// Whoever was counted, by what they were looked up and by their ids.
    met: BTreeSet<String>,
    used: u32,
}

impl Strangers {
    /// Reads how far today is.
    ///
    /// # Errors
    /// What the database said.
    pub(crate) async fn open(pool: SqlitePool, limit: u32) -> Result<Self, sqlx::Error> {
        sqlx::query(TABLE).execute(&pool).await?;
        let mut today = Today::at(clock::unix_ms(), &Local);
        sqlx::query("DELETE FROM stranger WHERE day <> $1")
            .bind(today.day.name.clone())
            .execute(&pool)
            .await?;
        for row in sqlx::query("SELECT who, counted FROM stranger").fetch_all(&pool).await? {
            today.used += u32::from(row.try_get::<i64, _>("counted")? != 0);
            today.met.insert(row.try_get("who")?);
        }
        Ok(Self { pool, limit, today: Mutex::new(today), contacts: OnceCell::new() })
    }

    /// Who the person is counted as; none where they know the account. Before the first one is counted, the account's
    /// contacts are taken in.
    pub(crate) async fn judge(&self, account: &Account, person: &Person) -> Option<Stranger> {
        let stranger = account.stranger(person)?;
        if self.contacts.initialized() {
            return Some(stranger);
        }
        self.meet_contacts(account).await;
        account.stranger(person)
    }

    /// Takes in the account's contacts, unless that was done.
    pub(crate) async fn meet_contacts(&self, account: &Account) {
        if let Err(error) = self.contacts.get_or_try_init(|| account.meet_contacts()).await {
            tracing::warn!(%error, "the account's contacts are not told");
        }
    }

    /// Counts somebody, once a day.
    ///
    /// # Errors
    /// The cause with which the call ends: nobody new may be approached before midnight.
    pub(crate) async fn admit(&self, who: &str) -> Result<(), Cause> {
        let now_ms = clock::unix_ms();
        let day = {
            let mut today = self.today(now_ms);
            if today.met.contains(who) {
                return Ok(());
            }
            if today.used >= self.limit {
                return Err(today.refusal(now_ms));
            }
            today.used += 1;
            today.met.insert(who.to_owned());
            today.day.name.clone()
        };
        self.keep(day, who, true).await;
        Ok(())
    }

    /// Whoever was counted under one name is the same under another.
    pub(crate) async fn also(&self, who: &str) {
        let day = {
            let mut today = self.today(clock::unix_ms());
            if !today.met.insert(who.to_owned()) {
                return;
            }
            today.day.name.clone()
        };
        self.keep(day, who, false).await;
    }

    /// Why this stranger cannot be approached any more today.
    pub(crate) fn refusal(&self, who: &str) -> Option<Cause> {
        let now_ms = clock::unix_ms();
        let today = self.today(now_ms);
        (!today.met.contains(who) && today.used >= self.limit).then(|| today.refusal(now_ms))
    }

    /// How far today is, for the line's status.
    pub(crate) fn budget(&self) -> StrangerBudget {
        let today = self.today(clock::unix_ms());
        StrangerBudget { used: today.used, limit: self.limit, resets_ms: today.day.ends_ms }
    }

    fn today(&self, now_ms: u64) -> std::sync::MutexGuard<'_, Today> {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if now_ms >= today.day.ends_ms {
            *today = Today::at(now_ms, &Local);
        }
        today
    }

    async fn keep(&self, day: String, who: &str, counted: bool) {
        let insert = sqlx::query(
            "INSERT INTO stranger (day, who, counted) VALUES ($1, $2, $3) ON CONFLICT (day, who) DO NOTHING",
        );
        let insert = insert.bind(day).bind(who.to_owned()).bind(i64::from(counted));
        if let Err(error) = insert.execute(&self.pool).await {
            tracing::warn!(%error, "a stranger could not be counted on the disk");
        }
    }
}

impl Line {
    /// Whoever took a call of the line is a stranger no more.
    pub(super) fn acquaint(&self, call: &CallInfo) {
        let (Some(person), CallState::Answered) = (call.peer.id, call.state) else { return };
        if self.account.stranger(&Person::Id(person.number())).is_some() {
            let account = self.account.clone();
            tokio::spawn(async move { account.acquaint(person.number()).await });
        }
    }
}

impl Today {
    /// The day that `now_ms` lies in, with nobody met.
    fn at<Z: TimeZone>(now_ms: u64, zone: &Z) -> Self {
        Self { day: Day::at(now_ms, zone), ..Self::default() }
    }

    fn refusal(&self, now_ms: u64) -> Cause {
        Cause::Strangers { wait_s: self.day.left_s(now_ms) }
    }
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;
    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    #[tokio::test]
    async fn each_stranger_counts_once_a_day_and_the_day_ends_with_a_cause_that_says_when_to_come_back() {
        let strangers = Strangers::open(pool().await, 2).await.unwrap();
        strangers.admit("phone:79001112233").await.unwrap();
        strangers.also("id:5").await;
        strangers.admit("id:5").await.unwrap();
        strangers.admit("phone:79001112233").await.unwrap();
        assert_eq!((strangers.budget().used, strangers.budget().limit), (1, 2));
        assert_eq!(strangers.refusal("id:6"), None);
        strangers.admit("id:6").await.unwrap();
        let Err(Cause::Strangers { wait_s }) = strangers.admit("id:7").await else { panic!() };
        assert!(wait_s <= 25 * 3_600, "{wait_s}");
        assert!(matches!(strangers.refusal("id:7"), Some(Cause::Strangers { .. })));
        strangers.admit("id:6").await.unwrap();
        assert_eq!(strangers.budget().used, 2);
    }

    #[tokio::test]
    async fn a_restart_forgives_nothing_and_a_new_day_everything() {
        let pool = pool().await;
        let strangers = Strangers::open(pool.clone(), 5).await.unwrap();
        strangers.admit("id:5").await.unwrap();
        strangers.also("username:anna").await;
        let again = Strangers::open(pool.clone(), 1).await.unwrap();
        assert_eq!(again.budget().used, 1);
        again.admit("username:anna").await.unwrap();
        assert!(again.admit("id:6").await.is_err());
        sqlx::query("UPDATE stranger SET day = '2001-01-01'").execute(&pool).await.unwrap();
        assert_eq!(Strangers::open(pool, 1).await.unwrap().budget().used, 0);
    }

    #[tokio::test]
    async fn a_line_with_a_budget_of_none_approaches_nobody() {
        let strangers = Strangers::open(pool().await, 0).await.unwrap();
        assert!(strangers.admit("id:5").await.is_err());
    }

    #[test]
    fn a_day_ends_at_midnight_here() {
        let moscow = FixedOffset::east_opt(3 * 3_600).unwrap();
        // 2026-11-26 23:59:30 in Moscow.
        let now_ms = 1_795_726_770_000;
        let today = Today::at(now_ms, &moscow);
        assert_eq!((today.day.name.as_str(), today.day.ends_ms), ("2026-11-26", now_ms + 30_000));
        assert_eq!(today.refusal(now_ms), Cause::Strangers { wait_s: 30 });
        assert_eq!(Today::at(today.day.ends_ms, &moscow).day.name, "2026-11-27");
    }

    async fn pool() -> SqlitePool {
        SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap()
    }
}
