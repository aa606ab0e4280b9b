//! What a line remembers of its calls, in its `gateway.db`: a row when a call begins, completed at each step and when it
//! ends, closed by the next start after a kill. While a call is up its row holds what ends both halves of it.
//!
//! A task of its own writes. A line waits for it where the PBX is to hear of a step, and a call where a person is: both hear
//! of nothing that would be forgotten by a kill. What is waited for is a line in a file beside the database, for which they
//! would wait longer; a disk that takes too long even for that holds nobody up.

mod before;
mod reader;
mod row;
mod search;
mod slate;
mod sparkline;
mod store;

use std::collections::{BTreeSet, VecDeque};
use std::future::pending;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tgtrunk_bridge::{Cause, Record};
use tgtrunk_config::CallId;
use tgtrunk_config::control::{CallInfo, CallRecord, CallResult, CallState};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::clock;
use crate::recording::{self, Place};
pub(crate) use before::{Before, Left};
pub(crate) use reader::Reader;
pub(crate) use row::{Legs, Row};
pub(crate) use search::{answer, of_call};
use slate::Slate;
pub(crate) use sparkline::Sparkline;
use store::{Store, StoreError};

/// Rows on their way to the disk.
const ROWS: usize = 1_024;
/// Rows that a disk would not take, kept for a better time; the oldest are given up first.
const OWED: usize = 1_024;
/// Rows that are written at once.
const AT_ONCE: usize = 64;
/// How often such rows are tried again.
const AGAIN: Duration = Duration::from_secs(20);
/// How often calls that are up are noted to be.
const STILL_UP: Duration = Duration::from_secs(10);
/// How often old rows are looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(6 * 3_600);
/// How long the last rows of a line that ends may take.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long rows wait for the database to have all those before them, where they come faster than it takes them.
const REST: Duration = Duration::from_millis(250);
/// How long a call waits for its row to be written: a disk that takes longer does not hold it up. It is a line in a file, which
/// waits for nobody else; only a machine that has no time for its programs takes so long otherwise.
pub(crate) const ROW_LIMIT: Duration = Duration::from_secs(1);
const DAY_MS: u64 = 24 * 3_600_000;

/// The records of one line.
pub(crate) struct Records {
    words: mpsc::Sender<Word>,
    left: Option<oneshot::Receiver<Before>>,
    /// Ends with this: a line that is opened anew has the files for itself.
    tasks: JoinSet<()>,
    /// Rows did not fit into the queue, and that was told.
    is_late: bool,
    /// The last row that is to be written before anything is said, and whether that took too long.
    first: Option<oneshot::Receiver<()>>,
    is_stuck: bool,
}

#[derive(Debug)]
enum Word {
    Row(Box<Row>),
    /// Calls that a kill cut short are ended.
    Buried,
    /// Somebody wants to read what was noted until now.
    Wanted(oneshot::Sender<()>),
}

impl Records {
    /// Remembers calls for so many days in a number's database, which is there already. Rows of a process that was
    /// killed are closed. Recordings are kept no longer than records, and as long as `kept` says at most.
    pub(crate) fn open(file: PathBuf, days: u32, kept: (Place, Duration)) -> Self {
        let (words, heard) = mpsc::channel(ROWS);
        let (tell, left) = oneshot::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(tracing::Instrument::in_current_span(async move {
            let (pass, passed) = mpsc::channel(ROWS);
            let (paid, is_paid) = watch::channel(None);
            let database = file.clone();
            let Ok((slate, unwritten)) = spawn_blocking(move || Slate::open(&database)).await else { return };
            let keeper = Keeper { tell: Some(tell), unwritten, paid, ..Keeper::new(file, days, kept) };
            tokio::join!(scribe(slate, heard, pass, is_paid), keeper.run(passed));
        }));
        Self { words, left: Some(left), tasks, is_late: false, first: None, is_stuck: false }
    }

    /// Notes how a call is now; its last word is noted by [`Records::ended`]. Whoever waits for `done` gets it when the
    /// row is on the disk, or is not going to be soon.
    pub(crate) fn note(&mut self, info: &CallInfo, legs: Legs, done: Option<oneshot::Sender<()>>) {
        let record = record(info.clone(), CallResult::Running, Sparkline::default());
        self.put(Word::Row(Box::new(Row { record, legs, done })));
    }

    /// What [`Records::note`] is given for a step that nobody is to hear of before it is written: see [`Records::first_rows`].
    pub(crate) fn first(&mut self) -> oneshot::Sender<()> {
        let (done, written) = oneshot::channel();
        self.first = Some(written);
        done
    }

    /// Returns when such steps are written. That takes no longer than a row at its place in a file; where it does, the line
    /// goes on without, and waits again when the disk does its part again.
    pub(crate) async fn first_rows(&mut self) {
        let Some(written) = &mut self.first else { return };
        let is_written = match self.is_stuck {
            true => written.try_recv() != Err(oneshot::error::TryRecvError::Empty),
            false => timeout(ROW_LIMIT, written).await.is_ok(),
        };
        self.is_stuck = !is_written;
        if is_written {
            self.first = None;
        }
    }

    /// Notes how a call was.
    pub(crate) fn ended(&mut self, info: CallInfo, result: CallResult, mos: Sparkline) {
        let record = CallRecord { ended_ms: Some(clock::unix_ms()), ..record(info, result, mos) };
        self.put(Word::Row(Box::new(record.into())));
    }

    /// What is found of calls of before, once; pends when it is told.
    pub(crate) async fn left(&mut self) -> Before {
        let Some(told) = &mut self.left else { return pending().await };
        let left = told.await.unwrap_or_default();
        self.left = None;
        left
    }

    /// Nothing is left of those.
    pub(crate) fn buried(&mut self) {
        self.put(Word::Buried);
    }

    /// Answers when all that was noted until now is in the database, or is not going to be soon.
    pub(crate) fn written(&self, answer: oneshot::Sender<()>) {
        self.words.try_send(Word::Wanted(answer)).ok();
    }

    fn put(&mut self, word: Word) {
        let was_late = std::mem::replace(&mut self.is_late, self.words.try_send(word).is_err());
        if self.is_late && !was_late {
            tracing::warn!("call records are lost: the disk is too slow");
        }
    }

    /// Writes what is on its way, as far as that takes no long time.
    pub(crate) async fn close(self) {
        let Self { words, mut tasks, .. } = self;
        drop(words);
        if timeout(GOODBYE, tasks.join_next()).await.is_err() {
            tracing::warn!("the last call records are not written");
        }
    }
}

/// What became of a call.
pub(crate) fn result(info: &CallInfo, record: &Record) -> CallResult {
    if info.answered_ms.is_some() {
        return CallResult::Answered;
    }
    match record.cause {
        Cause::Normal | Cause::GivenUp | Cause::NoAnswer => CallResult::Missed,
        Cause::AnsweredElsewhere => CallResult::Elsewhere,
        Cause::Busy | Cause::Declined => CallResult::Busy,
        Cause::Disconnected
        | Cause::Privacy
        | Cause::Blocked
        | Cause::Deactivated
        | Cause::NotFound
        | Cause::BadNumber
        | Cause::Incompatible
        | Cause::Flood { .. }
        | Cause::PeerFlood
        | Cause::Strangers { .. }
        | Cause::NotAllowed
        | Cause::TooOften { .. }
        | Cause::TooManyInHour { .. }
        | Cause::MinutesUsed { .. }
        | Cause::QuietHours { .. }
        | Cause::OutsideHours
        | Cause::LineDown
        | Cause::LineFull
        | Cause::NoMedia
        | Cause::MediaLost
        | Cause::TrunkDead
        | Cause::TrunkRefused { .. }
        | Cause::Overloaded
        | Cause::Stopping
        | Cause::Internal => CallResult::Failed,
    }
}

/// A call that is up, as a record.
pub(crate) fn running(info: CallInfo) -> CallRecord {
    let quality = info.quality.clone();
    CallRecord { quality, ..record(info, CallResult::Running, Sparkline::default()) }
}

fn record(info: CallInfo, result: CallResult, mos: Sparkline) -> CallRecord {
    debug_assert!((info.state == CallState::Ended) == (result != CallResult::Running));
    CallRecord {
        call: info.call,
        line: info.line,
        direction: info.direction,
        peer: info.peer,
        dialled: info.dialled,
        extension: info.extension,
        telegram_call: info.telegram_call,
        emoji: info.emoji,
        trunk: info.trunk,
        ringing_ms: info.ringing_ms,
        recording: info.recording,
        started_ms: info.started_ms,
        answered_ms: info.answered_ms,
        ended_ms: None,
        result,
        end: info.end,
        quality: info.quality,
        mos_tenths: mos.into_tenths(),
        pbx: info.pbx,
    }
}

/// Has rows written on the slate at once, before they are passed on with their numbers; empties it when all that are on it are
/// paid.
async fn scribe(
    mut slate: Slate,
    mut heard: mpsc::Receiver<Word>,
    pass: mpsc::Sender<(u64, Word)>,
    mut is_paid: watch::Receiver<Option<u64>>,
) {
    // The last row, and the last one that is on the slate.
    let (mut last, mut kept) = (0, 0);
    let (mut may_rest, mut is_full) = (true, false);
    let mut words = Vec::with_capacity(AT_ONCE);
    loop {
        // Where rows come during each commit, a long slate is emptied by a rest: they wait for one of those.
        if slate.is_long() && may_rest {
            let rest = timeout(REST, is_paid.wait_for(|paid| *paid >= Some(kept)));
            may_rest = matches!(rest.await, Ok(Ok(_)));
            if may_rest {
                (slate, words, ()) = blocking(slate, words, |slate, _| slate.wipe()).await;
            }
        }
        let count = tokio::select! {
            biased;
            count = heard.recv_many(&mut words, AT_ONCE) => count,
            Ok(()) = is_paid.changed() => {
                may_rest = true;
                if *is_paid.borrow_and_update() >= Some(kept) {
                    (slate, words, ()) = blocking(slate, words, |slate, _| slate.wipe()).await;
                }
                continue;
            }
        };
        if count == 0 {
            break;
        }
        // Whoever asks takes no row's place when they have gone.
        words.retain(|word| !matches!(word, Word::Wanted(answer) if answer.is_closed()));
        if words.iter().any(|word| matches!(word, Word::Row(_))) {
            let written;
            (slate, words, written) = blocking(slate, words, |slate, words| {
                let rows = words.iter().filter_map(|word| match word {
                    Word::Row(row) => Some(&**row),
                    Word::Buried | Word::Wanted(_) => None,
                });
                // Whoever waits needs no more than that.
                slate.write(rows).inspect(|()| words.iter_mut().for_each(Word::is_safe))
            })
            .await;
            if let Err(error) = &written
                && !is_full
            {
                tracing::warn!(%error, "calls wait for the database: their rows cannot be written beside it");
            }
            is_full = written.is_err();
            if !is_full {
                kept = last + words.len() as u64;
            }
        }
        for word in words.drain(..) {
            last += 1;
            pass.send((last, word)).await.ok();
        }
    }
    drop(pass);
    // The rest is written within the time that a goodbye may take.
    while is_paid.changed().await.is_ok() {}
    if *is_paid.borrow() >= Some(kept) {
        blocking(slate, words, |slate, _| slate.wipe()).await;
    }
}

/// Works on the slate off the runtime's threads.
async fn blocking<T: Send + 'static>(
    mut slate: Slate,
    mut words: Vec<Word>,
    work: impl FnOnce(&mut Slate, &mut [Word]) -> T + Send + 'static,
) -> (Slate, Vec<Word>, T) {
    let done = spawn_blocking(move || {
        let done = work(&mut slate, &mut words);
        (slate, words, done)
    });
    match done.await.map_err(JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => resume_unwind(panic),
        // The runtime ends.
        Err(Err(_)) => pending().await,
    }
}

impl Word {
    /// Nobody has to wait for the database any more.
    fn is_safe(&mut self) {
        if let Self::Row(row) = self {
            row.done = None;
        }
    }
}

/// Has the rows written, in order, and again where that failed.
struct Keeper {
    file: PathBuf,
    days: u32,
    /// Where recordings are, and how long they may be there.
    kept: (Place, Duration),
    /// Who wants to know of calls that a kill cut short.
    tell: Option<oneshot::Sender<Before>>,
    store: Option<Store>,
    /// Rows that a process before this one did not come to write.
    unwritten: Vec<Row>,
    owed: VecDeque<Row>,
    /// Some were given up.
    is_short: bool,
    /// Nothing is left of the calls of before, which the database does not know yet.
    is_buried: bool,
    /// The number of the last row that was heard of, and what is told of it when it and all before it are written.
    last: u64,
    paid: watch::Sender<Option<u64>>,
    /// Calls whose rows say that they go on.
    up: BTreeSet<CallId>,
    is_well: bool,
}

impl Keeper {
    fn new(file: PathBuf, days: u32, kept: (Place, Duration)) -> Self {
        Self {
            file,
            days,
            kept,
            tell: None,
            store: None,
            unwritten: Vec::new(),
            owed: VecDeque::new(),
            is_short: false,
            is_buried: false,
            last: 0,
            paid: watch::Sender::new(None),
            up: BTreeSet::new(),
            is_well: true,
        }
    }

    async fn run(mut self, mut heard: mpsc::Receiver<(u64, Word)>) {
        let [mut again, mut housekeeping, mut still_up] = [AGAIN, HOUSEKEEPING, STILL_UP].map(interval);
        again.set_missed_tick_behavior(MissedTickBehavior::Delay);
        still_up.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut words = Vec::with_capacity(AT_ONCE);
        loop {
            tokio::select! {
                biased;
                count = heard.recv_many(&mut words, AT_ONCE) => {
                    if count == 0 {
                        break;
                    }
                    self.take(&mut words).await;
                }
                _ = housekeeping.tick() => self.prune().await,
                _ = again.tick(), if !self.owed.is_empty() || self.store.is_none() || self.is_buried => self.pay().await,
                _ = still_up.tick(), if !self.up.is_empty() => self.note_still_up().await,
            }
        }
        self.pay().await;
        if let Some(store) = self.store {
            store.close().await;
        }
    }

    async fn take(&mut self, words: &mut Vec<(u64, Word)>) {
        let mut wanted = Vec::new();
        for (number, word) in words.drain(..) {
            self.last = number;
            match word {
                Word::Row(row) => {
                    if self.owed.len() >= OWED {
                        // The slate may have it still, for the next start.
                        self.is_short |= self.owed.pop_front().is_some();
                    }
                    self.owed.push_back(*row);
                }
                Word::Buried => self.is_buried = true,
                Word::Wanted(answer) => wanted.push(answer),
            }
        }
        self.pay().await;
        for answer in wanted {
            answer.send(()).ok();
        }
    }

    /// Writes what is owed.
    async fn pay(&mut self) {
        let done = self.try_pay().await;
        self.judge(done);
        // Nobody waits for a disk that does not do its part.
        self.owed.iter_mut().for_each(|row| drop(row.done.take()));
    }

    async fn try_pay(&mut self) -> Result<(), StoreError> {
        let store = open(&mut self.store, &self.file, &mut self.unwritten, &mut self.tell).await?;
        while !self.owed.is_empty() {
            let count = self.owed.len().min(AT_ONCE);
            store.put(self.owed.iter().take(count)).await?;
            for row in self.owed.drain(..count) {
                if row.record.result == CallResult::Running {
                    self.up.insert(row.record.call);
                } else {
                    self.up.remove(&row.record.call);
                }
                // What is not to be remembered is known while the call is up, so that a kill does not leave it up.
                if self.days == 0 && row.record.result != CallResult::Running {
                    store.remove(row.record.call).await?;
                }
            }
        }
        if self.is_buried {
            store.bury().await?;
            self.is_buried = false;
        }
        if !self.is_short {
            self.paid.send_replace(Some(self.last));
        }
        Ok(())
    }

    /// A call that a kill cuts short is known to have lasted until then.
    async fn note_still_up(&mut self) {
        if let Some(store) = &self.store {
            let done = store.still_up(clock::unix_ms()).await;
            self.judge(done);
        }
    }

    /// Forgets what is too old.
    async fn prune(&mut self) {
        let oldest_ms = clock::unix_ms().saturating_sub(u64::from(self.days) * DAY_MS);
        self.pay().await;
        if let Some(store) = &self.store {
            let done = store.forget(oldest_ms).await;
            self.judge(done);
        }
        let (place, mut age) = self.kept.clone();
        if self.days > 0 {
            age = age.min(Duration::from_millis(u64::from(self.days) * DAY_MS));
        }
        match spawn_blocking(move || recording::forget_before(&place, age)).await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(files)) => tracing::info!(files, "old recordings are deleted"),
            Ok(Err(error)) => tracing::error!(%error, "old recordings cannot be deleted"),
        }
    }

    /// Tells once of a disk that does not do its part, and once when it does again.
    fn judge(&mut self, done: Result<(), StoreError>) {
        match (done, self.is_well) {
            (Ok(()), false) => tracing::info!("call records are written again"),
            (Err(error), true) => tracing::error!(%error, "call records are not written: calls go on"),
            (Ok(()), true) | (Err(_), false) => return,
        }
        self.is_well = !self.is_well;
    }
}

async fn open<'store>(
    store: &'store mut Option<Store>,
    file: &Path,
    unwritten: &mut Vec<Row>,
    tell: &mut Option<oneshot::Sender<Before>>,
) -> Result<&'store Store, StoreError> {
    let opened = match store.take() {
        Some(opened) => opened,
        None => {
            // Whoever waits for it takes no calls until then.
            if let Some(told) = tell.take() {
                match Before::read(file, unwritten, clock::unix_ms()).await {
                    Ok(found) => drop(told.send(found)),
                    // As of a table of an older version, until it is opened to be written to.
                    Err(error) => {
                        tracing::debug!(%error, "calls of before are not read yet");
                        *tell = Some(told);
                    }
                }
            }
            let opened = Store::open(file).await?;
            opened.take_up(unwritten.iter()).await?;
            if tell.is_some() {
                let found = opened.remains(&[], clock::unix_ms()).await?;
                tell.take().and_then(|told| told.send(found).ok());
            }
            // Whatever goes on here was begun by a process that is no more.
            opened.interrupt(clock::unix_ms()).await?;
            unwritten.clear();
            opened
        }
    };
    Ok(store.insert(opened))
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::StateDir;
    use tgtrunk_config::control::RecordFilter;
    use tokio::time::sleep;

    use super::store::tests::{line, room, sample};
    use super::*;

    #[tokio::test]
    async fn a_call_that_was_up_when_the_process_was_killed_has_one_record_closed_by_the_next_start() {
        let (_room, state) = room();
        let mut records = open(&state, 90);
        records.note(&info(1), Legs::default(), None);
        records.note(&CallInfo { answered_ms: Some(1_500), ..info(1) }, Legs::default(), None);
        records.close().await;
        assert_eq!(found(&state).await[0].result, CallResult::Running);

        let mut records = open(&state, 90);
        records.note(&CallInfo { started_ms: clock::unix_ms(), ..info(2) }, Legs::default(), None);
        records.close().await;
        let told = found(&state).await;
        assert_eq!(told.len(), 2);
        assert_eq!((told[0].call, told[0].result), (CallId(2), CallResult::Running));
        assert_eq!((told[1].call, told[1].result), (CallId(1), CallResult::Interrupted));
        assert_eq!(
            (told[1].answered_ms, told[1].ended_ms),
            (Some(1_500), Some(1_500)),
            "nobody saw it later"
        );
    }

    #[tokio::test]
    async fn a_call_is_noted_as_up_from_its_first_row_to_its_last_and_an_idle_line_writes_nothing() {
        let (_room, state) = room();
        let file = state.gateway_db(&line());
        let kept = (Place(state.phone_dir(&line())), Duration::ZERO);
        let mut keeper = Keeper::new(file, 90, kept);
        let row = |result| {
            let record = CallRecord { result, ..sample(1) };
            vec![(1, Word::Row(Box::new(Row { record, legs: Legs::default(), done: None })))]
        };
        keeper.take(&mut row(CallResult::Running)).await;
        keeper.take(&mut row(CallResult::Running)).await;
        assert_eq!(keeper.up, BTreeSet::from([CallId(1)]));
        keeper.take(&mut row(CallResult::Answered)).await;
        assert_eq!(keeper.up, BTreeSet::new());
    }

    #[tokio::test]
    async fn what_is_buried_while_the_disk_takes_nothing_is_so_once_it_does() {
        let (_room, state) = room();
        let file = state.gateway_db(&line());
        let telegram = crate::telegram::CallRef { id: 7, access_hash: 9 };
        let info = CallInfo { started_ms: clock::unix_ms(), ..info(1) };
        let legs = Legs { telegram: Some(telegram), ..Legs::default() };
        let store = Store::open(&file).await.unwrap();
        store.put(&[Row { record: running(info), legs, done: None }]).await.unwrap();
        store.close().await;
        let kept = (Place(state.phone_dir(&line())), Duration::ZERO);
        let mut keeper = Keeper::new(file.clone(), 90, kept);
        let away = file.with_extension("away");
        std::fs::rename(&file, &away).unwrap();
        keeper.take(&mut vec![(1, Word::Buried)]).await;
        assert!(keeper.is_buried && keeper.store.is_none());
        std::fs::rename(&away, &file).unwrap();
        keeper.pay().await;
        assert!(!keeper.is_buried);
        let left = keeper.store.unwrap().remains(&[], clock::unix_ms()).await.unwrap().left;
        assert_eq!(left, []);
    }

    #[tokio::test]
    async fn whoever_asks_for_records_finds_what_is_on_its_way_to_the_database() {
        let (_room, state) = room();
        let file = state.gateway_db(&line());
        let mut records = open(&state, 90);
        records.left().await;
        let other = tgtrunk_telegram::Database::open(&file).await.unwrap();
        let mut session = other.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::query("CREATE TABLE theirs (id BIGINT)").execute(&mut *session).await.unwrap();
        records.note(&info(1), Legs::default(), None);
        let (answer, mut written) = oneshot::channel();
        records.written(answer);
        let early = timeout(Duration::from_millis(100), &mut written).await;
        assert!(early.is_err(), "the database is another's");
        session.rollback().await.unwrap();
        timeout(Duration::from_secs(5), written).await.unwrap().unwrap();
        assert_eq!(found(&state).await.len(), 1);
    }

    #[tokio::test]
    async fn what_a_kill_left_is_told_while_the_database_takes_nothing() {
        let (_room, state) = room();
        let file = state.gateway_db(&line());
        let mut records = open(&state, 90);
        let telegram = crate::telegram::CallRef { id: 7, access_hash: 9 };
        let info = CallInfo { started_ms: clock::unix_ms(), ..info(1) };
        records.note(&info, Legs { telegram: Some(telegram), ..Legs::default() }, None);
        records.close().await;
        let other = tgtrunk_telegram::Database::open(&file).await.unwrap();
        let mut session = other.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::query("CREATE TABLE theirs (id BIGINT)").execute(&mut *session).await.unwrap();
        let mut records = open(&state, 90);
        let before = timeout(Duration::from_secs(1), records.left()).await.expect("it waits for the session");
        assert_eq!(before.left.iter().map(|left| left.telegram).collect::<Vec<_>>(), [Some(telegram)]);
        // It is ended before the database can be told so.
        records.buried();
        session.rollback().await.unwrap();
        records.close().await;
        let before = open(&state, 90).left().await;
        assert_eq!(before.left, [], "it is ended once more");
    }

    #[tokio::test]
    async fn a_row_outlives_a_kill_while_others_hold_the_database_and_is_written_by_the_next_start() {
        let (_room, state) = room();
        let file = state.gateway_db(&line());
        let slate = file.with_extension("calls");
        let mut records = open(&state, 90);
        let noted = async |records: &mut Records, call| {
            let (done, written) = oneshot::channel();
            let info = CallInfo { started_ms: clock::unix_ms(), ..info(call) };
            records.note(&info, Legs::default(), Some(done));
            timeout(Duration::from_millis(200), written).await.map(drop)
        };
        noted(&mut records, 1).await.unwrap();
        let until = clock::now() + Duration::from_secs(5);
        while std::fs::metadata(&slate).unwrap().len() > 0 {
            assert!(clock::now() < until, "a row that is written is still on the slate");
            sleep(Duration::from_millis(5)).await;
        }
        let other = tgtrunk_telegram::Database::open(&file).await.unwrap();
        let mut session = other.pool().begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::query("CREATE TABLE theirs (id BIGINT)").execute(&mut *session).await.unwrap();
        for call in 2..9 {
            noted(&mut records, call).await.expect("a call waits for the session");
        }
        // As a kill does.
        records.tasks.abort_all();
        sleep(Duration::from_millis(50)).await;
        session.rollback().await.unwrap();
        let told = found(&state).await;
        assert!(told.len() < 8, "the database took rows while it was held: {}", told.len());
        let mut records = open(&state, 90);
        assert_eq!(records.left().await.left.len(), 0, "there is nothing to end of them");
        records.close().await;
        let told = found(&state).await;
        assert_eq!(told.len(), 8);
        assert!(told.iter().all(|record| record.result == CallResult::Interrupted), "{told:?}");
        assert_eq!(std::fs::metadata(&slate).map_or(0, |file| file.len()), 0);
    }

    #[tokio::test]
    async fn a_row_beside_the_database_takes_nothing_back_of_what_is_in_it() {
        let (_room, state) = room();
        let mut records = open(&state, 90);
        let now_ms = clock::unix_ms();
        let info = |call| CallInfo { started_ms: now_ms, answered_ms: Some(now_ms), ..info(call) };
        records.ended(
            CallInfo { state: CallState::Ended, ..info(1) },
            CallResult::Answered,
            Sparkline::default(),
        );
        records.note(&info(2), Legs::default(), None);
        records.close().await;
        let store = Store::open(&state.gateway_db(&line())).await.unwrap();
        store.still_up(now_ms + 9_000).await.unwrap();
        store.close().await;
        // What a kill, a loss of power or an older version can leave.
        let (mut slate, _) = Slate::open(&state.gateway_db(&line()));
        let rows = [1, 2, 3].map(|call| Row::from(running(info(call))));
        slate.write(&rows).unwrap();
        let mut records = open(&state, 90);
        assert_eq!(records.left().await.left.len(), 0);
        records.close().await;
        let mut told = found(&state).await;
        told.sort_by_key(|record| record.call.0);
        let told: Vec<_> = told.iter().map(|record| (record.call.0, record.result)).collect();
        assert_eq!(
            told,
            [(1, CallResult::Answered), (2, CallResult::Interrupted), (3, CallResult::Interrupted)]
        );
        let lasted =
            found(&state).await.iter().find(|record| record.call.0 == 2).and_then(|record| record.ended_ms);
        assert_eq!(lasted, Some(now_ms + 9_000));
    }

    #[tokio::test]
    async fn the_slate_is_emptied_also_where_rows_never_cease() {
        let (_room, state) = room();
        let slate = state.gateway_db(&line()).with_extension("calls");
        let mut records = open(&state, 90);
        let (mut longest, mut emptied) = (0, 0);
        let until = clock::now() + Duration::from_secs(5);
        let mut call = 0;
        while clock::now() < until && emptied < 2 {
            for _ in 0..50 {
                call += 1;
                records.note(&info(call), Legs::default(), None);
            }
            sleep(Duration::from_millis(2)).await;
            let length = std::fs::metadata(&slate).map_or(0, |file| file.len());
            emptied += u32::from(length < longest / 2);
            longest = if length < longest / 2 { 0 } else { longest.max(length) };
        }
        assert!(emptied >= 2, "{call} rows, {longest} bytes");
    }

    #[tokio::test]
    async fn a_step_that_is_to_be_written_first_is_waited_for_and_a_disk_that_does_nothing_is_once() {
        let (_room, state) = room();
        let mut records = open(&state, 90);
        records.first_rows().await;
        let first = |records: &mut Records, call| {
            let done = records.first();
            records.note(&info(call), Legs::default(), Some(done));
        };
        first(&mut records, 1);
        records.first_rows().await;
        let slate = state.gateway_db(&line()).with_extension("calls");
        assert!(slate.exists() && records.first.is_none() && !records.is_stuck);
        // Whoever hears of rows does nothing.
        let (words, _heard) = mpsc::channel(ROWS);
        records.words = words;
        let began = clock::now();
        first(&mut records, 2);
        records.first_rows().await;
        assert!(clock::now() - began >= ROW_LIMIT && records.is_stuck);
        first(&mut records, 3);
        records.first_rows().await;
        assert!(clock::now() - began < ROW_LIMIT * 2, "the line waits for each step");
    }

    #[tokio::test]
    async fn rows_that_the_disk_does_not_take_are_written_when_it_does() {
        let (_room, state) = room();
        let folder = state.phone_dir(&line());
        let elsewhere = state.root().join("elsewhere");
        std::fs::rename(&folder, &elsewhere).unwrap();
        let mut records = open(&state, 90);
        records.note(&info(1), Legs::default(), None);
        sleep(Duration::from_millis(200)).await;
        assert!(!folder.exists());
        std::fs::rename(&elsewhere, &folder).unwrap();
        records.ended(
            CallInfo { state: CallState::Ended, ..info(1) },
            CallResult::Missed,
            Sparkline::default(),
        );
        records.close().await;
        let told = found(&state).await;
        assert_eq!((told.len(), told[0].result), (1, CallResult::Missed));
    }

    #[tokio::test]
    async fn with_no_days_nothing_is_remembered_and_what_was_is_forgotten() {
        let (_room, state) = room();
        let mut records = open(&state, 90);
        records.ended(
            CallInfo { state: CallState::Ended, ..info(1) },
            CallResult::Missed,
            Sparkline::default(),
        );
        records.close().await;
        assert_eq!(found(&state).await.len(), 1);
        let mut records = open(&state, 0);
        records.note(&info(2), Legs::default(), None);
        sleep(Duration::from_millis(200)).await;
        assert_eq!(found(&state).await.len(), 1, "a call that is up is known");
        records.ended(
            CallInfo { state: CallState::Ended, ..info(2) },
            CallResult::Missed,
            Sparkline::default(),
        );
        records.close().await;
        assert_eq!(found(&state).await, []);
    }

    #[test]
    fn what_became_of_a_call_is_told_by_its_cause() {
        let record = |cause| Record {
            caller: tgtrunk_bridge::Leg::Trunk,
            cause,
            ended_by: tgtrunk_bridge::Ender::Gateway,
            rang_after: None,
            answered_after: None,
            talked: Duration::ZERO,
            lasted: Duration::ZERO,
        };
        assert_eq!(result(&info(1), &record(Cause::NoAnswer)), CallResult::Missed);
        assert_eq!(result(&info(1), &record(Cause::Declined)), CallResult::Busy);
        assert_eq!(result(&info(1), &record(Cause::Privacy)), CallResult::Failed);
        let answered = CallInfo { answered_ms: Some(1), ..info(1) };
        assert_eq!(result(&answered, &record(Cause::MediaLost)), CallResult::Answered);
    }

    fn open(state: &StateDir, days: u32) -> Records {
        let place = Place(state.phone_dir(&line()).join("recordings"));
        Records::open(state.gateway_db(&line()), days, (place, Duration::from_secs(86_400)))
    }

    async fn found(state: &StateDir) -> Vec<CallRecord> {
        search::find(state, RecordFilter::default()).await.unwrap().0
    }

    fn info(call: u64) -> CallInfo {
        let CallRecord { line, direction, peer, dialled, extension, telegram_call, emoji, pbx, .. } =
            sample(call);
        CallInfo {
            call: CallId(call),
            line,
            direction,
            state: CallState::Ringing,
            peer,
            dialled,
            extension,
            refused_by: None,
            telegram_call,
            emoji,
            trunk: Default::default(),
            ringing_ms: None,
            recording: None,
            started_ms: 1_000,
            answered_ms: None,
            duration_ms: None,
            end: None,
            quality: None,
            muted: Default::default(),
            pbx,
        }
    }
}
