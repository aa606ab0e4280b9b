//! Whether Telegram takes calls of this line now: FLOOD_WAIT and PEER_FLOOD shut its outgoing side for a while.
//!
//! All calls of a line share the pause, so that one that is being placed asks nothing more. It is kept in the number's
//! `gateway.db`: neither a restart nor a line that is opened anew shortens it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{Row as _, SqlitePool};
use tgtrunk_bridge::Cause;
use tgtrunk_config::{LinePause, PauseReason, Said};
use tokio::time::timeout;

use crate::clock;

/// How long nothing is tried after PEER_FLOOD. Each further try makes it worse, and a day is what helps.
const SPAM_PAUSE: Duration = Duration::from_secs(86_400);
/// How long a call waits for the pause to be written down.
const WRITE_LIMIT: Duration = Duration::from_millis(250);

const TABLE: &str = "CREATE TABLE IF NOT EXISTS pause (
    reason TEXT PRIMARY KEY,
    until_ms BIGINT NOT NULL,
    wait_ms BIGINT NOT NULL)";
const FLOOD: &str = "flood";
const PEER_FLOOD: &str = "peer_flood";

/// A pause that Telegram asked for, or none.
#[derive(Debug)]
pub(crate) struct Pause {
    pool: SqlitePool,
    asked: Mutex<Option<Asked>>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    until: Instant,
    /// The same for people, in milliseconds since 1970.
    until_ms: u64,
    wait: Duration,
    cause: Cause,
}

impl Pause {
    /// Reads what is left of a pause of before.
    ///
    /// # Errors
    /// What the database said.
    pub(crate) async fn open(pool: SqlitePool) -> Result<Self, sqlx::Error> {
        sqlx::query(TABLE).execute(&pool).await?;
        let (now, now_ms) = (clock::now(), clock::unix_ms());
        let mut asked: Option<Asked> = None;
        for row in sqlx::query("SELECT reason, until_ms, wait_ms FROM pause").fetch_all(&pool).await? {
            let number = |name| row.try_get::<i64, _>(name).map(|ms| u64::try_from(ms).unwrap_or(0));
            let cause = match row.try_get::<&str, _>("reason")? {
                PEER_FLOOD => Cause::PeerFlood,
                _ => Cause::Flood { wait_s: 0 },
            };
            let (until_ms, wait) = (number("until_ms")?, Duration::from_millis(number("wait_ms")?));
            // A clock that was set back makes nothing longer than it was asked for.
            let left = Duration::from_millis(until_ms.saturating_sub(now_ms)).min(wait);
            if !left.is_zero() && asked.is_none_or(|known| known.until < now + left) {
                let until_ms = now_ms.saturating_add(millis(left));
                asked = Some(Asked { until: now + left, until_ms, wait, cause });
            }
        }
        if asked.is_some() {
            tracing::warn!("Telegram wants no calls for a while, as it said before");
        }
        Ok(Self { pool, asked: Mutex::new(asked) })
    }

    /// Takes note of why Telegram took no request of a call, and gives that back: from now on nobody asks it until the
    /// pause is over, whatever becomes of this process.
    pub(crate) async fn heard(&self, cause: Cause) -> Cause {
        if self.learn(clock::now(), clock::unix_ms(), cause) {
            tracing::warn!(?cause, "Telegram wants no calls for a while");
            let writing = tokio::spawn(write(self.pool.clone(), *self.asked()));
            timeout(WRITE_LIMIT, writing).await.ok();
        }
        cause
    }

    /// True when the line has to pause now, or longer than before.
    fn learn(&self, now: Instant, now_ms: u64, cause: Cause) -> bool {
        let mut known = self.asked();
        let (asked, wait) = match cause {
            Cause::Flood { wait_s } => {
                let asked = Duration::from_secs(wait_s.into());
                (asked, asked + Duration::from_secs(1))
            }
            Cause::PeerFlood if known.is_some_and(|known| known.cause == cause) => return false,
            Cause::PeerFlood => (SPAM_PAUSE, SPAM_PAUSE),
            _ => return false,
        };
        let longer = known.is_none_or(|known| known.until < now + asked);
        if longer {
            let until_ms = now_ms.saturating_add(millis(wait));
            *known = Some(Asked { until: now + wait, until_ms, wait, cause });
        }
        longer
    }

    /// Until when nothing is to be asked of Telegram for calls, if that is so now.
    pub(crate) fn until(&self, now: Instant) -> Option<Instant> {
        self.asked().map(|asked| asked.until).filter(|until| now < *until)
    }

    /// Why a call must not be tried now.
    pub(crate) fn cause(&self, now: Instant) -> Option<Cause> {
        let Asked { until, cause, .. } = self.asked().filter(|asked| now < asked.until)?;
        match cause {
            Cause::Flood { .. } => {
                let wait_s = until.saturating_duration_since(now).as_secs();
                Some(Cause::Flood { wait_s: u32::try_from(wait_s).unwrap_or(u32::MAX) })
            }
            cause => Some(cause),
        }
    }

    /// The same, for whoever is about to ask Telegram.
    ///
    /// # Errors
    /// The cause with which the call ends instead.
    pub(crate) fn check(&self) -> Result<(), Cause> {
        self.cause(clock::now()).map_or(Ok(()), Err)
    }

    /// The pause in words for the line's status.
    pub(crate) fn sentence(&self) -> Option<Said> {
        let cause = self.asked().as_ref()?.cause;
        Some(match cause {
            Cause::PeerFlood => Said::new(
                "limited: Telegram took calls to strangers for spam",
                "ограничена: Telegram принял звонки незнакомым людям за спам",
            ),
            _ => Said::new(
                "limited: Telegram wants no calls for a while",
                "ограничена: Telegram просит пока не звонить",
            ),
        })
    }

    /// The pause as programs are told of it.
    pub(crate) fn told(&self) -> Option<LinePause> {
        let Asked { until_ms, cause, .. } = (*self.asked())?;
        let reason = match cause {
            Cause::PeerFlood => PauseReason::PeerFlood,
            _ => PauseReason::Flood,
        };
        Some(LinePause { reason, until_ms })
    }

    /// When the pause is over.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.asked().map(|asked| asked.until)
    }

    /// True when the pause is over.
    pub(crate) fn handle_timeout(&self, now: Instant) -> bool {
        self.asked().take_if(|asked| asked.until <= now).is_some()
    }

    fn asked(&self) -> MutexGuard<'_, Option<Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(pool: SqlitePool, asked: Option<Asked>) {
    let Some(Asked { until_ms, wait, cause, .. }) = asked else { return };
    let reason = if cause == Cause::PeerFlood { PEER_FLOOD } else { FLOOD };
    let number = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let insert = sqlx::query(
        "INSERT INTO pause (reason, until_ms, wait_ms) VALUES ($1, $2, $3)
         ON CONFLICT (reason) DO UPDATE SET until_ms = excluded.until_ms, wait_ms = excluded.wait_ms
         WHERE excluded.until_ms > pause.until_ms",
    );
    let insert = insert.bind(reason).bind(number(until_ms)).bind(number(millis(wait)));
    if let Err(error) = insert.execute(&pool).await {
        tracing::warn!(%error, "that Telegram wants no calls could not be kept on the disk");
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_flood_wait_shuts_the_line_one_second_longer_than_named_and_counts_down() {
        let (pause, start) = (fresh().await, clock::now());
        assert_eq!(pause.cause(start), None);
        assert!(pause.learn(start, 1_000, Cause::Flood { wait_s: 31 }));
        assert_eq!(pause.cause(start + S * 2), Some(Cause::Flood { wait_s: 30 }));
        assert_eq!(pause.poll_timeout(), Some(start + S * 32));
        assert_eq!(pause.told(), Some(LinePause { reason: PauseReason::Flood, until_ms: 33_000 }));
        assert!(!pause.handle_timeout(start + S * 31));
        assert!(pause.handle_timeout(start + S * 32));
        assert_eq!((pause.cause(start + S * 32), pause.told()), (None, None));
    }

    #[tokio::test]
    async fn calls_that_a_pause_refuses_do_not_make_it_longer() {
        for (cause, wait) in [(Cause::Flood { wait_s: 2 }, S * 3), (Cause::PeerFlood, SPAM_PAUSE)] {
            let (pause, start) = (fresh().await, clock::now());
            assert!(pause.learn(start, 0, cause));
            for at_ms in [5, 1_100, 2_999] {
                let now = start + Duration::from_millis(at_ms);
                let refusal = pause.cause(now).unwrap();
                assert!(!pause.learn(now, 0, refusal), "{refusal:?} at {at_ms} ms");
            }
            assert_eq!(pause.poll_timeout(), Some(start + wait));
            assert_eq!(pause.cause(start + wait), None, "also before the timer has fired");
        }
    }

    #[tokio::test]
    async fn a_longer_wait_of_telegram_makes_a_pause_longer() {
        let (pause, start) = (fresh().await, clock::now());
        assert!(pause.learn(start, 0, Cause::Flood { wait_s: 2 }));
        assert!(pause.learn(start + S, 1_000, Cause::Flood { wait_s: 30 }));
        assert_eq!(pause.poll_timeout(), Some(start + S * 32));
    }

    #[tokio::test]
    async fn a_spam_verdict_outlasts_a_flood_wait_and_other_ends_shut_nothing() {
        let (pause, start) = (fresh().await, clock::now());
        assert!(!pause.learn(start, 0, Cause::Busy));
        assert!(pause.learn(start, 0, Cause::PeerFlood));
        assert!(!pause.learn(start, 0, Cause::Flood { wait_s: 60 }));
        assert_eq!(pause.cause(start + S * 3600), Some(Cause::PeerFlood));
        assert_eq!(pause.told(), Some(LinePause { reason: PauseReason::PeerFlood, until_ms: 86_400_000 }));
        assert!(pause.handle_timeout(start + SPAM_PAUSE));
    }

    #[tokio::test]
    async fn what_telegram_asked_for_outlives_the_line_and_no_clock_makes_it_longer() {
        let pool = pool().await;
        let pause = Pause::open(pool.clone()).await.unwrap();
        assert_eq!(pause.heard(Cause::Busy).await, Cause::Busy);
        assert_eq!(pause.check(), Ok(()));
        pause.heard(Cause::Flood { wait_s: 30 }).await;
        let again = Pause::open(pool.clone()).await.unwrap();
        let Err(Cause::Flood { wait_s: 29..=30 }) = again.check() else { panic!("{:?}", again.check()) };
        assert_eq!(again.told().map(|told| told.reason), Some(PauseReason::Flood));
        again.heard(Cause::PeerFlood).await;
        let again = Pause::open(pool.clone()).await.unwrap();
        assert_eq!(again.check(), Err(Cause::PeerFlood));
        sqlx::query("UPDATE pause SET until_ms = until_ms + 9000000000").execute(&pool).await.unwrap();
        let again = Pause::open(pool.clone()).await.unwrap();
        assert!(again.poll_timeout().is_some_and(|until| until <= clock::now() + SPAM_PAUSE));
        sqlx::query("UPDATE pause SET until_ms = 1").execute(&pool).await.unwrap();
        assert_eq!(Pause::open(pool).await.unwrap().check(), Ok(()));
    }

    async fn fresh() -> Pause {
        Pause::open(pool().await).await.unwrap()
    }

    async fn pool() -> SqlitePool {
        SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap()
    }
}
