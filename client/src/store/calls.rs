//! Calls as programs are told of them, and what is still to be told.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::Store;

/// A call as it was last known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallRow {
    pub(crate) call: String,
    pub(crate) started_ms: u64,
    pub(crate) ended_ms: Option<u64>,
    pub(crate) is_over: bool,
    /// As the gateway's contract writes it.
    pub(crate) info: String,
}

/// Something that programs are to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventRow {
    pub(crate) seq: i64,
    pub(crate) call: String,
    pub(crate) kind: String,
    pub(crate) body: String,
    pub(crate) noted_s: i64,
    /// How often it was tried.
    pub(crate) attempts: u32,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Told,
    GivenUp,
}

impl Store {
    /// Writes down how a call is, and what is to be told of it, in one step. `due` gives the events that are due, by their
    /// names, when it is told which were noted before; it is not asked of a call that was over already. True where
    /// something is to be told.
    pub(crate) async fn note_call(
        &self,
        row: &CallRow,
        now_s: i64,
        due: impl FnOnce(&[String]) -> Vec<(String, String)>,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let note =
            "INSERT INTO cl_call (call, started_ms, ended_ms, is_over, info) VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (call) DO UPDATE SET ended_ms = excluded.ended_ms, is_over = excluded.is_over,
                info = excluded.info WHERE cl_call.is_over = 0";
        let query = sqlx::query(note)
            .bind(&row.call)
            .bind(number(row.started_ms))
            .bind(row.ended_ms.map(number))
            .bind(i64::from(row.is_over))
            .bind(&row.info);
        if query.execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let find = sqlx::query("SELECT kind FROM cl_call_event WHERE call = $1").bind(&row.call);
        let told = find.fetch_all(&mut *transaction).await?;
        let told: Vec<String> = told.iter().map(|row| row.try_get("kind")).collect::<Result<_, _>>()?;
        let due = due(&told);
        for (kind, body) in &due {
            let note = "INSERT INTO cl_call_event (seq, call, kind, body, noted_s, attempts, fate)
                SELECT COALESCE(MAX(seq), 0) + 1, $1, $2, $3, $4, 0, 0 FROM cl_call_event";
            let query = sqlx::query(note).bind(&row.call).bind(kind).bind(body).bind(now_s);
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(!due.is_empty())
    }

    /// A call as it was last known.
    pub(crate) async fn call(&self, call: &str) -> Result<Option<CallRow>, sqlx::Error> {
        let query = sqlx::query("SELECT * FROM cl_call WHERE call = $1").bind(call);
        query.fetch_optional(&self.pool).await?.as_ref().map(read_call).transpose()
    }

    /// The calls that are up, as far as is known.
    pub(crate) async fn open_calls(&self) -> Result<Vec<CallRow>, sqlx::Error> {
        let query = sqlx::query("SELECT * FROM cl_call WHERE is_over = 0 ORDER BY started_ms");
        query.fetch_all(&self.pool).await?.iter().map(read_call).collect()
    }

    /// What is to be told next.
    pub(crate) async fn next_event(&self) -> Result<Option<EventRow>, sqlx::Error> {
        let query = sqlx::query("SELECT * FROM cl_call_event WHERE fate = 0 ORDER BY seq LIMIT 1");
        query.fetch_optional(&self.pool).await?.as_ref().map(read_event).transpose()
    }

    /// How much is to be told.
    pub(crate) async fn waiting_events(&self) -> Result<u64, sqlx::Error> {
        let query = sqlx::query("SELECT COUNT(*) FROM cl_call_event WHERE fate = 0");
        Ok(u64::try_from(query.fetch_one(&self.pool).await?.try_get::<i64, _>(0)?).unwrap_or(0))
    }

    /// It was tried to tell an event once more, and not taken.
    pub(crate) async fn event_failed(&self, event: &EventRow) -> Result<(), sqlx::Error> {
        let query = sqlx::query("UPDATE cl_call_event SET attempts = attempts + 1 WHERE seq = $1");
        query.bind(event.seq).execute(&self.pool).await.map(drop)
    }

    /// An event is not to be told any more. That it was is remembered, and what it said is not.
    pub(crate) async fn event_done(&self, event: &EventRow, fate: Fate) -> Result<(), sqlx::Error> {
        let fate = match fate {
            Fate::Told => 1_i64,
            Fate::GivenUp => 2,
        };
        let query = sqlx::query("UPDATE cl_call_event SET fate = $1, body = '' WHERE seq = $2");
        query.bind(fate).bind(event.seq).execute(&self.pool).await.map(drop)
    }

    /// An event that waits is not to be told any more. False where it waits no more.
    pub(crate) async fn skip_event(&self, seq: i64) -> Result<bool, sqlx::Error> {
        let note = "UPDATE cl_call_event SET fate = 2, body = '' WHERE seq = $1 AND fate = 0";
        Ok(sqlx::query(note).bind(seq).execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Nobody is to be told of calls: what waits is given up, and what happens from now on is never told.
    pub(crate) async fn forget_events(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM cl_call_mark").execute(&mut *transaction).await?;
        let query = sqlx::query("UPDATE cl_call_event SET fate = 2, body = '' WHERE fate = 0");
        query.execute(&mut *transaction).await?;
        transaction.commit().await
    }

    /// A time that is remembered under a name; `first` where there was none, which is remembered then.
    pub(crate) async fn call_mark(&self, name: &str, first: u64) -> Result<u64, sqlx::Error> {
        let note = "INSERT INTO cl_call_mark (name, at_ms) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        sqlx::query(note).bind(name).bind(number(first)).execute(&self.pool).await?;
        let query = sqlx::query("SELECT at_ms FROM cl_call_mark WHERE name = $1").bind(name);
        Ok(unsigned(query.fetch_one(&self.pool).await?.try_get("at_ms")?))
    }

    /// Forgets such a time.
    pub(crate) async fn drop_call_mark(&self, name: &str) -> Result<(), sqlx::Error> {
        let query = sqlx::query("DELETE FROM cl_call_mark WHERE name = $1").bind(name);
        query.execute(&self.pool).await.map(drop)
    }

    /// Moves such times back to `now_ms` that are later than that.
    pub(crate) async fn cap_call_marks(&self, now_ms: u64) -> Result<(), sqlx::Error> {
        let note = "UPDATE cl_call_mark SET at_ms = $1 WHERE at_ms > $1";
        sqlx::query(note).bind(number(now_ms)).execute(&self.pool).await.map(drop)
    }

    /// Moves such a time on; never back.
    pub(crate) async fn move_call_mark(&self, name: &str, at_ms: u64) -> Result<(), sqlx::Error> {
        let note = "UPDATE cl_call_mark SET at_ms = $2 WHERE name = $1 AND at_ms < $2";
        sqlx::query(note).bind(name).bind(number(at_ms)).execute(&self.pool).await.map(drop)
    }
}

fn read_call(row: &SqliteRow) -> Result<CallRow, sqlx::Error> {
    Ok(CallRow {
        call: row.try_get("call")?,
        started_ms: unsigned(row.try_get("started_ms")?),
        ended_ms: row.try_get::<Option<i64>, _>("ended_ms")?.map(unsigned),
        is_over: row.try_get::<i64, _>("is_over")? != 0,
        info: row.try_get("info")?,
    })
}

fn read_event(row: &SqliteRow) -> Result<EventRow, sqlx::Error> {
    Ok(EventRow {
        seq: row.try_get("seq")?,
        call: row.try_get("call")?,
        kind: row.try_get("kind")?,
        body: row.try_get("body")?,
        noted_s: row.try_get("noted_s")?,
        attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or(0),
    })
}

pub(super) fn number(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn events_are_told_in_order_and_each_once_though_a_process_dies_in_between() {
        let room = Room::new();
        let (store, database) = room.open().await;
        assert!(store.note_call(&row("a", false), 1_000_000, |_| events(&["s"])).await.unwrap());
        assert!(store.note_call(&row("b", false), 1_000_000, |_| events(&["s"])).await.unwrap());
        let ended = |told: &[String]| {
            assert_eq!(told, ["s"]);
            events(&["e"])
        };
        assert!(store.note_call(&row("a", true), 1_000_001, ended).await.unwrap());
        assert!(!store.note_call(&row("a", true), 1_000_002, |_| events(&["s", "e"])).await.unwrap());
        let first = store.next_event().await.unwrap().unwrap();
        assert_eq!((first.call.as_str(), first.kind.as_str(), first.attempts), ("a", "s", 0));
        store.event_failed(&first).await.unwrap();
        drop(store);
        database.close().await;
        let (store, _database) = room.open().await;
        let again = store.next_event().await.unwrap().unwrap();
        assert_eq!((again.call.as_str(), again.attempts, again.body.as_str()), ("a", 1, "body of s"));
        assert_eq!(store.waiting_events().await.unwrap(), 3);
        let mut told = Vec::new();
        while let Some(event) = store.next_event().await.unwrap() {
            store.event_done(&event, Fate::Told).await.unwrap();
            told.push(format!("{}{}", event.call, event.kind));
        }
        assert_eq!(told, ["as", "bs", "ae"]);
        assert_eq!(store.open_calls().await.unwrap(), [row("b", false)]);
        assert_eq!(store.call("a").await.unwrap(), Some(row("a", true)));
        assert_eq!(store.call("c").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_time_is_moved_on_alone_and_forgotten_with_what_waits() {
        let (store, _database) = Room::new().open().await;
        assert_eq!(store.call_mark("seen", 50).await.unwrap(), 50);
        store.move_call_mark("seen", 40).await.unwrap();
        assert_eq!(store.call_mark("seen", 60).await.unwrap(), 50);
        store.move_call_mark("seen", 70).await.unwrap();
        assert_eq!(store.call_mark("seen", 60).await.unwrap(), 70);
        store.cap_call_marks(65).await.unwrap();
        assert_eq!(store.call_mark("seen", 60).await.unwrap(), 65);
        store.cap_call_marks(80).await.unwrap();
        assert_eq!(store.call_mark("seen", 60).await.unwrap(), 65);
        store.drop_call_mark("seen").await.unwrap();
        assert_eq!(store.call_mark("seen", 65).await.unwrap(), 65);
        store.note_call(&row("a", false), 1_000_000, |_| events(&["s"])).await.unwrap();
        store.forget_events().await.unwrap();
        assert_eq!((store.next_event().await.unwrap(), store.waiting_events().await.unwrap()), (None, 0));
        assert_eq!(store.call_mark("seen", 60).await.unwrap(), 60);
    }

    #[tokio::test]
    async fn an_event_is_skipped_once_and_only_while_it_waits() {
        let (store, _database) = Room::new().open().await;
        store.note_call(&row("a", false), 1_000_000, |_| events(&["s", "e"])).await.unwrap();
        let first = store.next_event().await.unwrap().unwrap();
        assert!(store.skip_event(first.seq).await.unwrap());
        let second = store.next_event().await.unwrap().unwrap();
        assert_eq!((second.kind.as_str(), store.waiting_events().await.unwrap()), ("e", 1));
        assert!(!store.skip_event(first.seq).await.unwrap());
        store.event_done(&second, Fate::Told).await.unwrap();
        assert!(!store.skip_event(second.seq).await.unwrap());
    }

    #[tokio::test]
    async fn what_waits_and_what_is_up_is_found_without_reading_all_that_was() {
        let (store, _database) = Room::new().open().await;
        for (query, index) in [
            ("SELECT * FROM cl_call_event WHERE fate = 0 ORDER BY seq LIMIT 1", "cl_call_event_waits"),
            ("SELECT COUNT(*) FROM cl_call_event WHERE fate = 0", "cl_call_event_waits"),
            ("SELECT * FROM cl_call WHERE is_over = 0 ORDER BY started_ms", "cl_call_up"),
            ("SELECT 1 FROM cl_call_order WHERE call = 'a'", "cl_call_order_call"),
        ] {
            let explain = format!("EXPLAIN QUERY PLAN {query}");
            let plan = sqlx::query(sqlx::AssertSqlSafe(explain)).fetch_all(&store.pool).await.unwrap();
            let plan: Vec<String> = plan.iter().map(|row| row.try_get("detail").unwrap()).collect();
            assert!(plan.len() == 1 && plan[0].contains(index), "{query}: {plan:?}");
        }
    }

    #[tokio::test]
    async fn what_is_over_for_long_is_forgotten_and_what_waits_or_is_up_is_not() {
        let (store, _database) = Room::new().open().await;
        for (call, is_over) in [("told", true), ("waits", true), ("up", false)] {
            store.note_call(&row(call, is_over), 1_000_000, |_| events(&[call])).await.unwrap();
        }
        let told = store.next_event().await.unwrap().unwrap();
        store.event_done(&told, Fate::Told).await.unwrap();
        store.forget(1_000_000 + super::super::MEMORY_S + 1).await.unwrap();
        assert_eq!(store.waiting_events().await.unwrap(), 2);
        assert_eq!(store.open_calls().await.unwrap(), [row("up", false)]);
        assert_eq!(store.call("told").await.unwrap(), None);
    }

    fn row(call: &str, is_over: bool) -> CallRow {
        let ended_ms = is_over.then_some(1_000_001_000);
        CallRow { call: call.to_owned(), started_ms: 1_000_000_000, ended_ms, is_over, info: "{}".to_owned() }
    }

    fn events(kinds: &[&str]) -> Vec<(String, String)> {
        kinds.iter().map(|kind| ((*kind).to_owned(), format!("body of {kind}"))).collect()
    }
}
