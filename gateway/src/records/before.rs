//! What a process finds of the calls of those before it, which were killed or lost power: what is to be ended at the PBX and at
//! Telegram, and what was over though Telegram may not know so. It is read before anything is written: a disk that takes
//! nothing tells it as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlitePool};
use tgtrunk_config::CallId;
use tgtrunk_config::control::{CallEnd, CallRecord, CallResult, Direction, Ender};

use super::row::Row;
use super::store::{Store, StoreError, failed, json, number, word};
use crate::telegram::CallRef;

/// Calls of each kind that are read at most: no line has more at once.
const MOST: i64 = 1_000;
/// Whether a call that is over by the word of an earlier start is still to be ended: one start after the other, each killed
/// before that was done, would say more and more to everybody otherwise. Trying takes 35 s, and rows tell of the last 10 s before
/// a kill.
const STILL_TRIED_MS: u64 = 120_000;

/// A table of before has no such index: then it is read once it is opened to be written to.
const FIND_LEFT: &str =
    "SELECT call_id, direction, person, telegram_call, telegram_hash, answered_ms, sip_remains,
    max(started_ms, ifnull(ringing_ms, 0), ifnull(answered_ms, 0), ifnull(ended_ms, 0)) AS seen_ms
    FROM call_record INDEXED BY call_record_left WHERE (sip_remains IS NOT NULL OR telegram_hash IS NOT NULL)
    AND (result = $1 OR result = $2 AND ended_ms >= $3) ORDER BY started_ms DESC, call_id DESC LIMIT $4";
/// As `was_ended_here`.
const FIND_OVER: &str = "SELECT telegram_call FROM call_record
    WHERE started_ms >= $1 AND ended_ms >= $2 AND result <> $3
    AND direction = $4 AND telegram_call IS NOT NULL AND ifnull(ending ->> '$.by', '') <> $5
    AND (sip_call_id IS NOT NULL OR result NOT IN ($6, $7)) ORDER BY started_ms DESC LIMIT $8";
/// Nothing is left to be ended of them.
const BURY: &str = "UPDATE call_record SET sip_remains = NULL, telegram_hash = NULL
    WHERE result = $1 AND (sip_remains IS NOT NULL OR telegram_hash IS NOT NULL)";

/// Calls of before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) left: Vec<Left>,
    /// Telegram's ids of calls from there that were ended here lately: it offers one again where it has not heard so.
    pub(crate) over: BTreeSet<i64>,
}

/// A call that a kill cut short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) call: CallId,
    pub(crate) direction: Direction,
    pub(crate) sip: Option<tgtrunk_sip::Remains>,
    pub(crate) telegram: Option<CallRef>,
    /// Telegram id of who was to be called, or called.
    pub(crate) callee: Option<i64>,
    /// How long it was known to be up since it was answered; none where it was not.
    pub(crate) talked: Option<Duration>,
}

impl Before {
    /// Reads a database, and rows that a process before did not come to write there; none where there is no table yet.
    pub(super) async fn read(file: &Path, rows: &[Row], now_ms: u64) -> Result<Self, StoreError> {
        let Some(store) = Store::open_to_read(file).await? else {
            let mut found = Self::default();
            rows.iter().for_each(|row| found.take(row));
            return Ok(found);
        };
        let found = store.remains(rows, now_ms).await;
        store.close().await;
        found
    }

    /// Takes a row that the database does not have, or has as it was before.
    fn take(&mut self, row: &Row) {
        let record = &row.record;
        let known = self.left.iter().position(|left| left.call == record.call);
        let known = known.map(|at| self.left.remove(at));
        if record.result == CallResult::Running {
            let mut left = Left::of(row);
            if let (Some(left), Some(known)) = (&mut left, known) {
                // Rows beside the database do not say how long a call is up.
                left.talked = left.talked.max(known.talked);
            }
            self.left.extend(left);
        } else if was_ended_here(record) {
            self.over.extend(record.telegram_call);
        }
    }
}

/// Whether Telegram heard of the end from here, or was to. One that did not reach the PBX and was missed, or taken elsewhere, is
/// its people's and may ring on.
fn was_ended_here(record: &CallRecord) -> bool {
    record.direction == Direction::TelegramToPbx
        && record.end.as_ref().is_none_or(|end| end.by != Ender::Telegram)
        && (record.trunk.sip_call_id.is_some()
            || !matches!(record.result, CallResult::Missed | CallResult::Elsewhere))
}

impl Left {
    fn of(row: &Row) -> Option<Self> {
        let Row { record, legs, .. } = row;
        if legs.sip.is_none() && legs.hash().is_none() {
            return None;
        }
        let CallRecord { started_ms, ringing_ms, answered_ms, ended_ms, .. } = record;
        let seen_ms = [Some(*started_ms), *ringing_ms, *answered_ms, *ended_ms].into_iter().flatten().max();
        let talked_ms = answered_ms.zip(seen_ms).map(|(from, to)| to.saturating_sub(from));
        Some(Self {
            call: record.call,
            direction: record.direction,
            sip: legs.sip.clone(),
            telegram: legs.telegram,
            callee: record.peer.id.map(|id| id.number()),
            talked: talked_ms.map(Duration::from_millis),
        })
    }

    fn read(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let (id, hash): (Option<i64>, Option<i64>) =
            (row.try_get("telegram_call")?, row.try_get("telegram_hash")?);
        let (answered, seen): (Option<i64>, i64) = (row.try_get("answered_ms")?, row.try_get("seen_ms")?);
        let talked_ms = answered.map(|from| seen.saturating_sub(from));
        let sip: Option<String> = row.try_get("sip_remains")?;
        Ok(Self {
            call: CallId(u64::try_from(row.try_get::<i64, _>("call_id")?).unwrap_or(0)),
            direction: word(row, "direction")?,
            sip: sip.and_then(|text| text.parse().ok()),
            telegram: id.zip(hash).map(|(id, access_hash)| CallRef { id, access_hash }),
            callee: row.try_get("person")?,
            talked: talked_ms.and_then(|ms| ms.try_into().ok()).map(Duration::from_millis),
        })
    }
}

impl Store {
    /// What is to be ended of calls that a kill cut short, and of those that a process before did not come to end; which were
    /// over. Rows are those that the database does not have, the oldest first: what it knows of a call that is over says
    /// more than they do.
    pub(super) async fn remains(&self, rows: &[Row], now_ms: u64) -> Result<Before, StoreError> {
        let failed = |error| failed(Path::new("gateway.db"))(error);
        let oldest_ms = number(now_ms.saturating_sub(STILL_TRIED_MS));
        let query =
            sqlx::query(FIND_LEFT).bind(CallResult::Running.as_str()).bind(CallResult::Interrupted.as_str());
        let found = query.bind(oldest_ms).bind(MOST).fetch_all(&self.pool).await.map_err(failed)?;
        let left = found.iter().map(Left::read).collect::<Result<_, _>>().map_err(failed)?;
        // Whoever talked for longer is not offered again.
        let query =
            sqlx::query(FIND_OVER).bind(oldest_ms.saturating_sub(number(STILL_TRIED_MS))).bind(oldest_ms);
        let query = query.bind(CallResult::Running.as_str()).bind(Direction::TelegramToPbx.as_str());
        let query = query.bind(Ender::Telegram.as_str());
        let query = query.bind(CallResult::Missed.as_str()).bind(CallResult::Elsewhere.as_str());
        let found = query.bind(MOST).fetch_all(&self.pool).await.map_err(failed)?;
        let over = found.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed)?;
        let mut before = Before { left, over };
        let last: BTreeMap<CallId, &Row> = rows.iter().map(|row| (row.record.call, row)).collect();
        for row in last.into_values() {
            if !is_over(&self.pool, row.record.call).await.map_err(failed)? {
                before.take(row);
            }
        }
        Ok(before)
    }

    /// Closes the rows of calls that went on when a process before this one was killed. They ended when they were last
    /// known to be up.
    pub(super) async fn interrupt(&self, now_ms: u64) -> Result<(), StoreError> {
        let failed = |error| failed(Path::new("gateway.db"))(error);
        let end = CallEnd {
            by: Ender::Gateway,
            cause: "The gateway was restarted".to_owned(),
            sip_status: None,
            q850: Some(41),
        };
        let forget = "UPDATE call_record SET sip_remains = NULL, telegram_hash = NULL
            WHERE result = $1 AND (sip_remains IS NOT NULL OR telegram_hash IS NOT NULL) AND ended_ms < $2";
        let query = sqlx::query(forget).bind(CallResult::Interrupted.as_str());
        let oldest_ms = number(now_ms.saturating_sub(STILL_TRIED_MS));
        query.bind(oldest_ms).execute(&self.pool).await.map_err(failed)?;
        let note = "UPDATE call_record SET result = $1, ending = $2,
            ended_ms = max(started_ms, ifnull(ringing_ms, 0), ifnull(answered_ms, 0), ifnull(ended_ms, 0))
            WHERE result = 'running'";
        let query = sqlx::query(note).bind(CallResult::Interrupted.as_str()).bind(json(&end));
        let done = query.execute(&self.pool).await;
        let closed = done.map_err(failed)?.rows_affected();
        if closed > 0 {
            tracing::warn!(closed, "calls were up when the gateway ended before: their records are closed");
        }
        Ok(())
    }

    /// Nothing is left to be ended of calls that a kill cut short.
    pub(super) async fn bury(&self) -> Result<(), StoreError> {
        let query = sqlx::query(BURY).bind(CallResult::Interrupted.as_str());
        query.execute(&self.pool).await.map(drop).map_err(failed(Path::new("gateway.db")))
    }
}

/// Whether the database knows how a call ended.
async fn is_over(pool: &SqlitePool, call: CallId) -> Result<bool, sqlx::Error> {
    let find = "SELECT 1 FROM call_record WHERE call_id = $1 AND result <> $2";
    let query = sqlx::query(find).bind(number(call.0)).bind(CallResult::Running.as_str());
    Ok(query.fetch_optional(pool).await?.is_some())
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;
    use tgtrunk_config::control::TrunkEnd;

    use super::*;
    use crate::records::row::Legs;
    use crate::records::store::tests::{line, room, sample};

    const BYE: &str = "talking UDP 127.0.0.1:5060\r\nBYE sip:a@b SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
        Call-ID: x\r\nCSeq: 3 BYE\r\n";

    #[tokio::test]
    async fn what_ends_a_call_after_a_kill_is_told_until_that_is_done_and_never_of_a_call_that_is_over() {
        let (_room, state) = room();
        let store = Store::open(&state.gateway_db(&line())).await.unwrap();
        let legs =
            Legs { sip: BYE.parse().ok(), telegram: Some(CallRef { id: 7, access_hash: 9 }), calls: false };
        let up = |call| CallRecord { result: CallResult::Running, ended_ms: None, end: None, ..sample(call) };
        let row = |record| Row { record, legs: legs.clone(), done: None };
        store.put(&[row(up(1)), row(up(2)), up(3).into()]).await.unwrap();
        let requested = Legs { calls: true, ..Legs::default() };
        store
            .put(&[
                sample(2).into(),
                Row { record: CallRecord { telegram_call: None, ..up(4) }, legs: requested, done: None },
            ])
            .await
            .unwrap();
        let left = interrupt(&store, 0).await;
        let told: Vec<_> = left.iter().map(|left| (left.call.0, left.telegram, left.sip.is_some())).collect();
        assert_eq!(told, [(4, None, false), (1, legs.telegram, true)]);
        assert_eq!((left[1].talked, left[1].callee), (Some(Duration::ZERO), Some(5_123_456_789)));
        assert_eq!(store.record(&line(), 1).await.unwrap().unwrap().end.unwrap().by, Ender::Gateway);
        assert_eq!(interrupt(&store, 0).await, left, "another kill came before that was done");
        let ended_ms = store.record(&line(), 1).await.unwrap().unwrap().ended_ms.unwrap();
        let soon = ended_ms + STILL_TRIED_MS;
        assert_eq!(interrupt(&store, soon).await, left);
        store.put(&[row(up(5))]).await.unwrap();
        let later = interrupt(&store, soon + 1).await;
        let told: Vec<_> = later.iter().map(|left| left.call.0).collect();
        assert_eq!(told, [5], "the others were tried by starts of before, however long this one was down");
        assert_eq!(interrupt(&store, soon).await, later);
        store.bury().await.unwrap();
        assert_eq!(interrupt(&store, 0).await, []);
    }

    #[tokio::test]
    async fn a_call_of_telegram_that_was_over_lately_is_known_to_be_and_what_the_database_says_of_one_counts()
    {
        let (_room, state) = room();
        let file = state.gateway_db(&line());
        let incoming = |call: u64| CallRecord {
            direction: Direction::TelegramToPbx,
            telegram_call: Some(i64::try_from(call).unwrap()),
            ..sample(call)
        };
        let ended_ms = sample(1).ended_ms.unwrap();
        let row = |record| Row {
            record,
            legs: Legs { sip: BYE.parse().ok(), telegram: None, calls: false },
            done: None,
        };
        let up = |call| CallRecord { result: CallResult::Running, ended_ms: None, ..incoming(call) };
        let rows = [row(up(5)), row(incoming(5)), row(up(1)), row(up(6)), row(up(7)), row(incoming(8))];
        let told = |before: &Before| {
            let left: BTreeSet<u64> = before.left.iter().map(|left| left.call.0).collect();
            (left, before.over.clone())
        };
        let found = Before::read(&file, &rows, ended_ms).await.unwrap();
        assert_eq!(told(&found), ([1, 6, 7].into(), [5, 8].into()), "there is no table yet");

        let end = |by| Some(CallEnd { by, ..sample(1).end.unwrap() });
        let without = |call, result| CallRecord { trunk: TrunkEnd::default(), result, ..incoming(call) };
        // Those that ring on at their people's, are over at Telegram, or began long ago; and one that was refused at once.
        let rings_on = [without(11, CallResult::Missed), without(12, CallResult::Elsewhere)];
        let is_over = CallRecord { end: end(Ender::Telegram), ..incoming(13) };
        let talked = CallRecord { started_ms: ended_ms - 2 * STILL_TRIED_MS - 1, ..incoming(14) };
        let refused = without(15, CallResult::Busy);
        let others: Vec<Row> =
            rings_on.into_iter().chain([is_over, talked, refused]).map(Row::from).collect();
        let read = Before::read(&file, &others, ended_ms).await.unwrap();
        assert_eq!(told(&read), ([].into(), [14, 15].into()), "rows have no index by time");
        let store = Store::open(&file).await.unwrap();
        store.put(&[incoming(1), incoming(2), sample(4)].map(Row::from)).await.unwrap();
        store.put(&others).await.unwrap();
        store.put(&[row(up(7)), row(up(8)), row(up(9))]).await.unwrap();
        store.still_up(ended_ms + 60_000).await.unwrap();
        let expected: (BTreeSet<u64>, BTreeSet<i64>) = ([6, 7, 9].into(), [1, 2, 5, 8, 15].into());
        let found = store.remains(&rows, ended_ms).await.unwrap();
        assert_eq!(told(&found), expected);
        assert_eq!(told(&Before::read(&file, &others, ended_ms).await.unwrap()).1, [1, 2, 15].into());
        let talked = |left: &[Left], call| left.iter().find(|left| left.call == CallId(call)).unwrap().talked;
        assert_eq!(talked(&found.left, 7), Some(Duration::from_secs(61)), "a row beside it says less");
        let late = store.remains(&[], ended_ms + STILL_TRIED_MS + 1).await.unwrap();
        assert_eq!(told(&late), ([7, 8, 9].into(), [].into()));
        // What is read and what is written say the same.
        let by_call = |mut left: Vec<Left>| {
            left.sort_by_key(|left| left.call);
            left
        };
        store.take_up(&rows).await.unwrap();
        let written = store.remains(&[], ended_ms).await.unwrap();
        assert_eq!((by_call(written.left), written.over), (by_call(found.left), found.over));
        store.interrupt(ended_ms).await.unwrap();
        let kept = store.remains(&[], ended_ms).await.unwrap();
        assert_eq!(told(&kept), (expected.0, [1, 2, 5, 6, 7, 8, 9, 15].into()));
    }

    #[tokio::test]
    async fn calls_that_are_left_are_found_without_reading_all_that_ever_were() {
        let (_room, state) = room();
        let store = Store::open(&state.gateway_db(&line())).await.unwrap();
        let up = "UPDATE call_record SET ended_ms = $1 WHERE result = 'running'";
        for (statement, index) in
            [(FIND_LEFT, "left"), (FIND_OVER, "started"), (BURY, "left"), (up, "running")]
        {
            let explain = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}")));
            let plan = explain.fetch_all(&store.pool).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|step| step.get("detail")).collect();
            assert!(plan[0].contains(&format!("INDEX call_record_{index}")), "{statement}: {plan:?}");
            assert!(index != "started" || plan[0].contains("SEARCH"), "{statement}: {plan:?}");
        }
    }

    async fn interrupt(store: &Store, now_ms: u64) -> Vec<Left> {
        let left = store.remains(&[], now_ms).await.unwrap().left;
        store.interrupt(now_ms).await.unwrap();
        left
    }
}
