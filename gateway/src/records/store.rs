//! The table of call records in a number's `gateway.db`. Plain SQL, over a connection of its own: neither the account's
//! session nor a call waits for it longer than SQLite takes for one row.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, QueryBuilder, Row as _, Sqlite, SqliteConnection, SqlitePool,
};
use tgtrunk_config::control::{
    CallRecord, CallResult, PbxSide, Peer, RecordFilter, TRANSFERS_TOLD, TransferInfo, TrunkEnd,
};
use tgtrunk_config::{CallId, Phone, UserId};

use super::row::Row;

/// How long a statement waits for the file, or a caller for the connection.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is kept of a stranger's words, in bytes: a hundred records fit into one answer.
const NAME_BYTES: usize = 256;
const WORD_BYTES: usize = 64;
const NUMBER_BYTES: usize = 32;

const TABLES: [&str; 3] = [
    // `words` is what is searched: in small letters, which SQLite makes of Latin ones alone.
    "CREATE TABLE IF NOT EXISTS call_record (
        call_id BIGINT PRIMARY KEY,
        direction TEXT NOT NULL,
        result TEXT NOT NULL,
        started_ms BIGINT NOT NULL,
        answered_ms BIGINT,
        ended_ms BIGINT,
        person BIGINT,
        name TEXT,
        username TEXT,
        phone TEXT,
        dialled TEXT,
        extension TEXT,
        telegram_call BIGINT,
        emoji TEXT,
        ending TEXT,
        quality TEXT,
        mos_tenths BLOB,
        words TEXT NOT NULL,
        pbx TEXT)",
    "CREATE INDEX IF NOT EXISTS call_record_started ON call_record (started_ms, call_id)",
    // Calls that are up are few among all that ever were.
    "CREATE INDEX IF NOT EXISTS call_record_running ON call_record (call_id) WHERE result = 'running'",
];

/// Columns that came later; a table of before gets them when it is opened.
const LATER: [(&str, &str); 7] = [
    ("ringing_ms", "BIGINT"),
    ("sip_call_id", "TEXT"),
    ("taken_by", "TEXT"),
    ("recording", "TEXT"),
    ("pbx", "TEXT"),
    // What ends the call after a kill: there only while it is up, and until that is done.
    ("sip_remains", "TEXT"),
    ("telegram_hash", "BIGINT"),
];
/// Calls whose halves are to be ended after a kill are few, too.
const LEFT: &str = "CREATE INDEX IF NOT EXISTS call_record_left ON call_record (call_id)
    WHERE sip_remains IS NOT NULL OR telegram_hash IS NOT NULL";

/// One line's records.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) pool: SqlitePool,
}

/// The database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub(crate) struct StoreError {
    path: PathBuf,
    source: sqlx::Error,
}

/// Where in time a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) started_ms: i64,
    pub(super) call: i64,
}

impl Store {
    /// Opens the file, which the account made, and makes the table where it is missing.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = options(path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(PATIENCE);
        let store = Self { pool: connect(options).await.map_err(failed(path))? };
        for table in TABLES {
            sqlx::query(table).execute(&store.pool).await.map_err(failed(path))?;
        }
        let columns = sqlx::query("SELECT name FROM pragma_table_info('call_record')");
        let rows = columns.fetch_all(&store.pool).await.map_err(failed(path))?;
        let known: Vec<String> =
            rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(failed(path))?;
        for (name, kind) in LATER.iter().filter(|(name, _)| !known.iter().any(|known| known == name)) {
            let add = format!("ALTER TABLE call_record ADD COLUMN {name} {kind}");
            sqlx::raw_sql(AssertSqlSafe(add)).execute(&store.pool).await.map_err(failed(path))?;
        }
        sqlx::query(LEFT).execute(&store.pool).await.map_err(failed(path))?;
        Ok(store)
    }

    /// Opens the file for reading; none where there are no records in it.
    pub(super) async fn open_to_read(path: &Path) -> Result<Option<Self>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        let options = options(path).read_only(true).busy_timeout(PATIENCE);
        let store = Self { pool: connect(options).await.map_err(failed(path))? };
        let table = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'call_record'";
        let row = sqlx::query(table).fetch_one(&store.pool).await.map_err(failed(path))?;
        let is_there = row.try_get::<i64, _>(0).map_err(failed(path))? > 0;
        Ok(is_there.then_some(store))
    }

    pub(super) async fn close(self) {
        self.pool.close().await;
    }

    /// Writes records over what was known of their calls, all or none.
    pub(super) async fn put(&self, rows: impl IntoIterator<Item = &Row>) -> Result<(), StoreError> {
        let failed = |error| failed(Path::new("gateway.db"))(error);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        for row in rows {
            write(row, &mut transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// Takes up rows that a process before did not come to write, all or none. What is known of a call that is over says
    /// more than they do, and a call that is up lasted as long as it was seen to.
    pub(super) async fn take_up(&self, rows: impl IntoIterator<Item = &Row>) -> Result<(), StoreError> {
        let failed = |error| failed(Path::new("gateway.db"))(error);
        let mut transaction = self.pool.begin().await.map_err(failed)?;
        for row in rows {
            let find = "SELECT result, ended_ms FROM call_record WHERE call_id = $1";
            let query = sqlx::query(find).bind(number(row.record.call.0));
            let known = query.fetch_optional(&mut *transaction).await.map_err(failed)?;
            let Some(known) = known else {
                write(row, &mut transaction).await.map_err(failed)?;
                continue;
            };
            if word::<CallResult>(&known, "result").map_err(failed)? != CallResult::Running {
                continue;
            }
            let seen: Option<i64> = known.try_get("ended_ms").map_err(failed)?;
            write(row, &mut transaction).await.map_err(failed)?;
            let note = "UPDATE call_record SET ended_ms = max(ifnull(ended_ms, 0), $2)
                WHERE call_id = $1 AND $2 IS NOT NULL";
            let query = sqlx::query(note).bind(number(row.record.call.0)).bind(seen);
            query.execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)
    }

    /// Forgets one call.
    pub(super) async fn remove(&self, call: CallId) -> Result<(), StoreError> {
        let query = sqlx::query("DELETE FROM call_record WHERE call_id = $1").bind(number(call.0));
        query.execute(&self.pool).await.map(drop).map_err(failed(Path::new("gateway.db")))
    }

    /// Notes that the calls that are up still are: as long they lasted at least.
    pub(super) async fn still_up(&self, now_ms: u64) -> Result<(), StoreError> {
        let note = "UPDATE call_record SET ended_ms = $1 WHERE result = 'running'";
        let query = sqlx::query(note).bind(number(now_ms));
        query.execute(&self.pool).await.map(drop).map_err(failed(Path::new("gateway.db")))
    }

    /// Forgets calls that began before `oldest_ms` and are over.
    pub(super) async fn forget(&self, oldest_ms: u64) -> Result<(), StoreError> {
        let note = "DELETE FROM call_record WHERE started_ms < $1 AND result <> $2";
        let query = sqlx::query(note).bind(number(oldest_ms)).bind(CallResult::Running.as_str());
        query.execute(&self.pool).await.map(drop).map_err(failed(Path::new("gateway.db")))
    }

    /// How many records a filter finds, its `skip` and `limit` aside, and where the newest `most` of them stand.
    pub(super) async fn places(
        &self,
        filter: &RecordFilter,
        most: i64,
    ) -> Result<(u64, Vec<Place>), StoreError> {
        let failed = |error| failed(Path::new("gateway.db"))(error);
        let mut count = QueryBuilder::new("SELECT COUNT(*) FROM call_record");
        only(&mut count, filter);
        let row = count.build().fetch_one(&self.pool).await.map_err(failed)?;
        let total = u64::try_from(row.try_get::<i64, _>(0).map_err(failed)?).unwrap_or(0);
        let mut query = QueryBuilder::new("SELECT started_ms, call_id FROM call_record");
        only(&mut query, filter);
        query.push(" ORDER BY started_ms DESC, call_id DESC LIMIT ").push_bind(most);
        let mut places = Vec::new();
        for row in query.build().fetch_all(&self.pool).await.map_err(failed)? {
            let (started_ms, call) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
            places.push(Place { started_ms, call });
        }
        Ok((total, places))
    }

    /// The newest records that a filter finds, its `skip` and `limit` aside, which stand before a place, and where they
    /// stand.
    pub(super) async fn page(
        &self,
        line: &Phone,
        filter: &RecordFilter,
        before: Option<Place>,
        most: i64,
    ) -> Result<Vec<(Place, CallRecord)>, StoreError> {
        let failed = |error| failed(Path::new("gateway.db"))(error);
        let mut query = QueryBuilder::new("SELECT * FROM call_record");
        only(&mut query, filter);
        if let Some(Place { started_ms, call }) = before {
            query.push(" AND (started_ms, call_id) < (").push_bind(started_ms);
            query.push(", ").push_bind(call).push(")");
        }
        query.push(" ORDER BY started_ms DESC, call_id DESC LIMIT ").push_bind(most);
        let mut found = Vec::new();
        for row in query.build().fetch_all(&self.pool).await.map_err(failed)? {
            let (started_ms, call) =
                (row.try_get("started_ms").map_err(failed)?, row.try_get("call_id").map_err(failed)?);
            found.push((Place { started_ms, call }, read(line, &row).map_err(failed)?));
        }
        Ok(found)
    }

    /// The record of a call; none where it is forgotten meanwhile.
    pub(super) async fn record(&self, line: &Phone, call: i64) -> Result<Option<CallRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM call_record WHERE call_id = $1").bind(call);
        let row = query.fetch_optional(&self.pool).await.map_err(failed(Path::new("gateway.db")))?;
        row.map(|row| read(line, &row)).transpose().map_err(failed(Path::new("gateway.db")))
    }
}

async fn write(row: &Row, transaction: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let Row { record, legs, .. } = row;
    let CallRecord { peer, trunk, .. } = record;
    let name = peer.name.as_deref().map(|name| kept(name, NAME_BYTES));
    let word = |text: &Option<String>| text.as_deref().map(|text| kept(text, WORD_BYTES));
    let (username, phone, dialled) = (word(&peer.username), word(&peer.phone), word(&record.dialled));
    let id = peer.id.map(|id| id.to_string());
    let words: Vec<&str> =
        [&name, &username, &phone, &dialled, &id].into_iter().flatten().map(String::as_str).collect();
    let note = "INSERT OR REPLACE INTO call_record (call_id, direction, result, started_ms, answered_ms, ended_ms,
        person, name, username, phone, dialled, extension, telegram_call, emoji, ending, quality, mos_tenths, words,
        ringing_ms, sip_call_id, taken_by, sip_remains, telegram_hash, recording, pbx)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
        $24, $25)";
    sqlx::query(note)
        .bind(number(record.call.0))
        .bind(record.direction.as_str())
        .bind(record.result.as_str())
        .bind(number(record.started_ms))
        .bind(record.answered_ms.map(number))
        .bind(record.ended_ms.map(number))
        .bind(peer.id.map(UserId::number))
        .bind(&name)
        .bind(&username)
        .bind(&phone)
        .bind(&dialled)
        .bind(word(&record.extension))
        .bind(legs.telegram.map(|call| call.id).or(record.telegram_call))
        .bind(word(&record.emoji))
        .bind(record.end.as_ref().map(json))
        .bind(record.quality.as_ref().map(json))
        .bind(&record.mos_tenths)
        .bind(words.join("\n").to_lowercase())
        .bind(record.ringing_ms.map(number))
        .bind(trunk.sip_call_id.as_deref().map(|id| kept(id, NAME_BYTES)))
        .bind(word(&trunk.taken_by))
        .bind(legs.sip.as_ref().map(ToString::to_string))
        .bind(legs.hash())
        .bind(record.recording.as_ref().map(json))
        .bind(record.pbx.as_deref().map(|side| json(&kept_side(side))))
        .execute(transaction)
        .await
        .map(drop)
}

fn options(path: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new().filename(path).disable_statement_logging();
    options.pragma("cache_size", tgtrunk_telegram::CACHE)
}

async fn connect(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let pool =
        SqlitePoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).test_before_acquire(false);
    let pool =
        pool.after_release(|connection, _| Box::pin(tgtrunk_telegram::is_out_of_transactions(connection)));
    pool.idle_timeout(None).max_lifetime(None).connect_with(options).await
}

pub(super) fn failed(path: &Path) -> impl FnOnce(sqlx::Error) -> StoreError + use<> {
    let path = path.to_owned();
    |source| StoreError { path, source }
}

fn only(query: &mut QueryBuilder<Sqlite>, filter: &RecordFilter) {
    let RecordFilter { line: _, from_ms, to_ms, direction, result, text, cause, skip: _, limit: _ } = filter;
    query.push(" WHERE 1");
    if let Some(from_ms) = from_ms {
        query.push(" AND started_ms >= ").push_bind(number(*from_ms));
    }
    if let Some(to_ms) = to_ms {
        query.push(" AND started_ms < ").push_bind(number(*to_ms));
    }
    if let Some(direction) = direction {
        query.push(" AND direction = ").push_bind(direction.as_str());
    }
    if let Some(result) = result {
        query.push(" AND result = ").push_bind(result.as_str());
    }
    if let Some(text) = text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        query.push(" AND instr(words, ").push_bind(text.to_lowercase()).push(") > 0");
    }
    if let Some(cause) = cause.as_deref().map(str::trim).filter(|cause| !cause.is_empty()) {
        query.push(" AND (instr(lower(ending ->> '$.cause'), ").push_bind(cause.to_lowercase());
        query.push(") > 0 OR ending ->> '$.q850' = ").push_bind(cause.parse::<i64>().ok());
        query.push(" OR ending ->> '$.sip_status' = ").push_bind(cause.parse::<i64>().ok()).push(")");
    }
}

fn read(line: &Phone, row: &SqliteRow) -> Result<CallRecord, sqlx::Error> {
    let time = |column| row.try_get::<Option<i64>, _>(column).map(|ms| ms.and_then(|ms| ms.try_into().ok()));
    let ringing_ms: Option<i64> = later(row, "ringing_ms")?;
    let person: Option<i64> = row.try_get("person")?;
    let result = word(row, "result")?;
    Ok(CallRecord {
        call: CallId(u64::try_from(row.try_get::<i64, _>("call_id")?).unwrap_or(0)),
        line: line.clone(),
        direction: word(row, "direction")?,
        peer: Peer {
            id: person.and_then(|id| UserId::new(id).ok()),
            name: row.try_get("name")?,
            username: row.try_get("username")?,
            phone: row.try_get("phone")?,
        },
        dialled: row.try_get("dialled")?,
        extension: row.try_get("extension")?,
        telegram_call: row.try_get("telegram_call")?,
        emoji: row.try_get("emoji")?,
        trunk: TrunkEnd { sip_call_id: later(row, "sip_call_id")?, taken_by: later(row, "taken_by")? },
        ringing_ms: ringing_ms.and_then(|ms| ms.try_into().ok()),
        recording: object(row, "recording")?,
        started_ms: time("started_ms")?.unwrap_or(0),
        answered_ms: time("answered_ms")?,
        // Of a call that is up, it is when it was last known to be.
        ended_ms: time("ended_ms")?.filter(|_| result != CallResult::Running),
        result,
        end: object(row, "ending")?,
        quality: object(row, "quality")?,
        mos_tenths: row.try_get::<Option<Vec<u8>>, _>("mos_tenths")?.unwrap_or_default(),
        // A table that nothing was written to since an older version has no such column.
        pbx: if row.try_column("pbx").is_ok() { object(row, "pbx")? } else { None },
    })
}

pub(super) fn word<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    serde_json::from_value(text.into()).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// What a table of before does not have.
fn later<T>(row: &SqliteRow, column: &str) -> Result<Option<T>, sqlx::Error>
where
    Option<T>: for<'row> sqlx::Decode<'row, Sqlite> + sqlx::Type<Sqlite>,
{
    match row.try_get(column) {
        Err(sqlx::Error::ColumnNotFound(_)) => Ok(None),
        read => read,
    }
}

/// A later version may have written what this one cannot read.
fn object<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Result<Option<T>, sqlx::Error> {
    let text: Option<String> = later(row, column)?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The PBX's end with its words cut.
fn kept_side(side: &PbxSide) -> PbxSide {
    let word = |text: &Option<String>, most| text.as_deref().map(|text| kept(text, most));
    let transfer = |told: &TransferInfo| TransferInfo { to: kept(&told.to, NUMBER_BYTES), ..told.clone() };
    PbxSide {
        number: word(&side.number, NUMBER_BYTES),
        name: word(&side.name, WORD_BYTES),
        private: side.private,
        first_diverter: word(&side.first_diverter, NUMBER_BYTES),
        last_diverter: word(&side.last_diverter, NUMBER_BYTES),
        transfers: side.transfers.iter().take(TRANSFERS_TOLD).map(transfer).collect(),
    }
}

/// The beginning of a stranger's words, in one line.
fn kept(text: &str, most_bytes: usize) -> String {
    let mut kept = String::with_capacity(text.len().min(most_bytes));
    for letter in text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }) {
        if kept.len() + letter.len_utf8() > most_bytes {
            break;
        }
        kept.push(letter);
    }
    kept
}

#[cfg(test)]
pub(super) mod tests {
    use tgtrunk_config::StateDir;
    use tgtrunk_config::control::{
        Answer, CallEnd, Direction, Ender, LONGEST_LINE_BYTES, LegQuality, Quality, Recording, Reply,
        TransferKind, to_line,
    };

    use super::*;

    #[tokio::test]
    async fn a_record_reads_back_as_it_was_written_last() {
        let (_room, state) = room();
        let store = Store::open(&state.gateway_db(&line())).await.unwrap();
        let begun = CallRecord { answered_ms: None, ended_ms: None, end: None, quality: None, ..sample(1) };
        store.put(&[begun.clone().into()]).await.unwrap();
        assert_eq!(store.record(&line(), 1).await.unwrap(), Some(begun));
        store.put(&[sample(1).into()]).await.unwrap();
        assert_eq!(store.record(&line(), 1).await.unwrap(), Some(sample(1)));
        assert_eq!(store.record(&line(), 2).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_call_that_was_cut_short_lasted_until_it_was_last_known_to_be_up() {
        let (_room, state) = room();
        let store = Store::open(&state.gateway_db(&line())).await.unwrap();
        let up = CallRecord { result: CallResult::Running, ended_ms: None, ..sample(1) };
        let known_ms = up.started_ms + 61_000;
        store.put(&[up.clone().into()]).await.unwrap();
        store.put(&[sample(2).into()]).await.unwrap();
        store.still_up(known_ms).await.unwrap();
        assert_eq!(store.record(&line(), 1).await.unwrap(), Some(up));
        store.interrupt(0).await.unwrap();
        let told = store.record(&line(), 1).await.unwrap().unwrap();
        assert_eq!((told.result, told.ended_ms), (CallResult::Interrupted, Some(known_ms)));
        assert_eq!(store.record(&line(), 2).await.unwrap(), Some(sample(2)));
    }

    #[tokio::test]
    async fn a_row_that_is_written_is_on_the_disk() {
        let (_room, state) = room();
        let store = Store::open(&state.gateway_db(&line())).await.unwrap();
        let row = sqlx::query("PRAGMA synchronous").fetch_one(&store.pool).await.unwrap();
        assert_eq!(row.get::<i64, _>(0), 2, "FULL: what is wiped from the slate is here, whatever comes");
    }

    #[tokio::test]
    async fn a_table_of_before_is_read_as_it_is_and_gets_its_columns_when_it_is_written() {
        let (_room, state) = room();
        let file = state.gateway_db(&line());
        let before = Store::open(&file).await.unwrap();
        before.put(&[sample(1).into()]).await.unwrap();
        sqlx::raw_sql("DROP INDEX call_record_left").execute(&before.pool).await.unwrap();
        for (name, _) in LATER {
            let drop = format!("ALTER TABLE call_record DROP COLUMN {name}");
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(&before.pool).await.unwrap();
        }
        before.close().await;
        let reader = Store::open_to_read(&file).await.unwrap().unwrap();
        let plain = CallRecord {
            trunk: TrunkEnd::default(),
            ringing_ms: None,
            recording: None,
            pbx: None,
            ..sample(1)
        };
        assert_eq!(reader.record(&line(), 1).await.unwrap(), Some(plain));
        reader.close().await;
        let after = Store::open(&file).await.unwrap();
        after.put(&[sample(1).into()]).await.unwrap();
        assert_eq!(after.record(&line(), 1).await.unwrap(), Some(sample(1)));
    }

    #[tokio::test]
    async fn a_person_is_found_by_any_part_of_what_is_known_of_them_in_any_case() {
        let (_room, state) = room();
        let store = Store::open(&state.gateway_db(&line())).await.unwrap();
        store.put(&[CallRecord { dialled: Some("tg#Someone".into()), ..sample(1) }.into()]).await.unwrap();
        for (text, found) in [
            ("аННа", 1),
            ("", 1),
            (" карен ", 1),
            ("ANNA_K", 1),
            ("6111", 1),
            ("512345", 1),
            ("TG#some", 1),
            ("%", 0),
            ("нет", 0),
        ] {
            let filter = RecordFilter { text: Some(text.into()), ..RecordFilter::default() };
            assert_eq!(store.places(&filter, 10).await.unwrap().0, found, "{text:?}");
        }
    }

    #[tokio::test]
    async fn each_condition_leaves_others_out_and_old_calls_are_forgotten() {
        let (_room, state) = room();
        let store = Store::open(&state.gateway_db(&line())).await.unwrap();
        for call in 1..=3 {
            store.put(&[CallRecord { started_ms: call * 1_000, ..sample(call) }.into()]).await.unwrap();
        }
        let direction = Direction::TelegramToPbx;
        store.put(&[CallRecord { started_ms: 500, direction, ..sample(9) }.into()]).await.unwrap();
        store
            .put(&[CallRecord { started_ms: 600, result: CallResult::Running, ended_ms: None, ..sample(8) }
                .into()])
            .await
            .unwrap();
        let found = async |filter: RecordFilter| {
            let (total, places) = store.places(&filter, 2).await.unwrap();
            (total, places.iter().map(|place| place.call).collect::<Vec<_>>())
        };
        assert_eq!(found(RecordFilter::default()).await, (5, vec![3, 2]));
        let span = RecordFilter { from_ms: Some(1_000), to_ms: Some(3_000), ..RecordFilter::default() };
        assert_eq!(found(span).await, (2, vec![2, 1]));
        let other = RecordFilter { direction: Some(direction), ..RecordFilter::default() };
        assert_eq!(found(other).await, (1, vec![9]));
        let running = RecordFilter { result: Some(CallResult::Running), ..RecordFilter::default() };
        assert_eq!(found(running.clone()).await, (1, vec![8]));
        store.forget(2_000).await.unwrap();
        assert_eq!(found(RecordFilter::default()).await, (3, vec![3, 2]));
        assert_eq!(found(running).await.0, 1, "a call that goes on is not forgotten");
    }

    #[tokio::test]
    async fn a_hundred_records_of_the_longest_and_oddest_words_fit_into_one_answer() {
        let (_room, state) = room();
        let store = Store::open(&state.gateway_db(&line())).await.unwrap();
        let mut records = Vec::new();
        for (call, odd) in (1..).zip(["\"", "\\", "\u{0}\r\n", "\u{202e}🦊", "é"].iter().cycle().take(100))
        {
            let long = Some(odd.repeat(400));
            let peer =
                Peer { name: long.clone(), username: long.clone(), phone: long.clone(), ..sample(1).peer };
            let mut record =
                CallRecord { peer, dialled: long.clone(), extension: long.clone(), ..sample(call) };
            if let Some(side) = &mut record.pbx {
                (side.number, side.name) = (long.clone(), long.clone());
                (side.first_diverter, side.last_diverter) = (long.clone(), long.clone());
                side.transfers.iter_mut().for_each(|told| told.to = odd.repeat(400));
            }
            store.put(&[CallRecord { emoji: long, ..record }.into()]).await.unwrap();
            records.push(store.record(&line(), call.try_into().unwrap()).await.unwrap().unwrap());
        }
        let name = records[3].peer.name.as_deref().unwrap();
        assert!(name.starts_with("\u{202e}🦊\u{202e}🦊") && name.len() > 250, "{name}");
        for same in &records {
            let answer =
                Reply::ok(u64::MAX, Answer::Records { records: vec![same.clone(); 100], total: 100 });
            assert!(to_line(&answer).len() <= LONGEST_LINE_BYTES, "{}", to_line(&answer).len());
        }
    }

    pub(in crate::records) fn room() -> (tempfile::TempDir, StateDir) {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        let folder = state.make_phone_dir(&line()).unwrap();
        // As the account does.
        std::fs::File::create(folder.join("gateway.db")).unwrap();
        (room, state)
    }

    pub(in crate::records) fn line() -> Phone {
        "+79060000000".parse().unwrap()
    }

    /// A record with everything in it, as long as it gets.
    pub(in crate::records) fn sample(call: u64) -> CallRecord {
        let leg = LegQuality {
            codec: "telephone".into(),
            ptime_ms: 20,
            packets_in: 9_999_999_999,
            packets_out: 9_999_999_999,
            lost: 9_999_999_999,
            reordered: 9_999_999_999,
            refused: 9_999_999_999,
            jitter_ms: 99_999,
            round_trip_ms: Some(99_999),
            remote_lost_permille: Some(1_000),
            concealed_permille: 1_000,
            mos_hundredths: Some(431),
            path: Some(tgtrunk_config::control::MediaPath::Reflector),
            transport: Some(tgtrunk_config::control::MediaTransport::Tcp),
        };
        CallRecord {
            call: CallId(call),
            line: line(),
            direction: Direction::PbxToTelegram,
            peer: Peer {
                id: UserId::new(5_123_456_789).ok(),
                name: Some("Анна Каренина".into()),
                username: Some("Anna_Karenina".into()),
                phone: Some("+79061112233".into()),
            },
            dialled: None,
            extension: Some("2001".into()),
            telegram_call: Some(i64::MIN),
            emoji: Some("🦊🐻🐼🐨".into()),
            trunk: TrunkEnd {
                sip_call_id: Some("b1c2d3e4-0000-4000-8000-123456789abc@192.0.2.1".into()),
                taken_by: Some("2001".into()),
            },
            ringing_ms: Some(1_800_000_000_500),
            recording: Some(Recording {
                telegram: "20270115T080000Z-00000000000000a1-telegram.ogg".into(),
                pbx: "20270115T080000Z-00000000000000a1-pbx.ogg".into(),
            }),
            started_ms: 1_800_000_000_000,
            answered_ms: Some(1_800_000_001_000),
            ended_ms: Some(1_800_000_002_000),
            result: CallResult::Answered,
            end: Some(CallEnd {
                by: Ender::Gateway,
                cause: "the longest of all the causes that there are in Q.850".into(),
                sip_status: Some(503),
                q850: Some(127),
            }),
            quality: Some(Box::new(Quality { telegram: leg.clone(), pbx: leg })),
            mos_tenths: vec![43; 60],
            pbx: Some(Box::new(PbxSide {
                number: Some("203".into()),
                name: Some("Анна".into()),
                private: false,
                first_diverter: Some("100".into()),
                last_diverter: Some("101".into()),
                transfers: vec![
                    TransferInfo {
                        kind: TransferKind::Attended,
                        to: "204".into(),
                        at_ms: 1_800_000_001_500,
                        status: Some(200),
                    };
                    TRANSFERS_TOLD
                ],
            })),
        }
    }
}
