//! What a line remembers of its calls, in its `gateway.db`: a row when a call begins, completed at each step and when it
//! ends, closed by the next start after a kill. While a call is up its row holds what ends both halves of it.
//!
//! A task of its own writes. A line never waits for the disk; a call waits a moment at most, so that whoever is called is
//! written down first.

mod reader;
mod row;
mod search;
mod sparkline;
mod store;

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tgtrunk_bridge::{Cause, Record};
use tgtrunk_config::CallId;
use tgtrunk_config::control::{CallInfo, CallRecord, CallResult, CallState};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::clock;
use crate::recording::{self, Place};
pub(crate) use reader::Reader;
pub(crate) use row::{Left, Legs, Row};
pub(crate) use search::{answer, of_call};
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
const DAY_MS: u64 = 24 * 3_600_000;

/// The records of one line. It never waits.
pub(crate) struct Records {
    words: mpsc::Sender<Word>,
    left: Option<oneshot::Receiver<Vec<Left>>>,
    task: JoinHandle<()>,
    /// Rows did not fit into the queue, and that was told.
    is_late: bool,
}

#[derive(Debug)]
enum Word {
    Row(Box<Row>),
    /// Calls that a kill cut short are ended.
    Buried,
}

impl Records {
    /// Remembers calls for so many days in a number's database, which is there already. Rows of a process that was
    /// killed are closed. Recordings are kept no longer than records, and as long as `kept` says at most.
    pub(crate) fn open(file: PathBuf, days: u32, kept: (Place, Duration)) -> Self {
        let (words, heard) = mpsc::channel(ROWS);
        let (tell, left) = oneshot::channel();
        let (owed, up) = (VecDeque::new(), BTreeSet::new());
        let keeper = Keeper { file, days, kept, tell: Some(tell), store: None, owed, up, is_well: true };
        let task = tokio::spawn(tracing::Instrument::in_current_span(keeper.run(heard)));
        Self { words, left: Some(left), task, is_late: false }
    }

    /// Notes how a call is now; its last word is noted by [`Records::ended`]. Whoever waits for `done` gets it when the
    /// row is on the disk, or is not going to be soon.
    pub(crate) fn note(&mut self, info: &CallInfo, legs: Legs, done: Option<oneshot::Sender<()>>) {
        let record = record(info.clone(), CallResult::Running, Sparkline::default());
        self.put(Word::Row(Box::new(Row { record, legs, done })));
    }

    /// Notes how a call was.
    pub(crate) fn ended(&mut self, info: CallInfo, result: CallResult, mos: Sparkline) {
        let record = CallRecord { ended_ms: Some(clock::unix_ms()), ..record(info, result, mos) };
        self.put(Word::Row(Box::new(record.into())));
    }

    /// The calls that a kill cut short, once; pends when they are told.
    pub(crate) async fn left(&mut self) -> Vec<Left> {
        let Some(told) = &mut self.left else { return std::future::pending().await };
        let left = told.await.unwrap_or_default();
        self.left = None;
        left
    }

    /// Nothing is left of those.
    pub(crate) fn buried(&mut self) {
        self.put(Word::Buried);
    }

    fn put(&mut self, word: Word) {
        let was_late = std::mem::replace(&mut self.is_late, self.words.try_send(word).is_err());
        if self.is_late && !was_late {
            tracing::warn!("call records are lost: the disk is too slow");
        }
    }

    /// Writes what is on its way, as far as that takes no long time.
    pub(crate) async fn close(self) {
        let Self { words, mut task, .. } = self;
        drop(words);
        if timeout(GOODBYE, &mut task).await.is_err() {
            tracing::warn!("the last call records are not written");
            task.abort();
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

/// Has the rows written, in order, and again where that failed.
struct Keeper {
    file: PathBuf,
    days: u32,
    /// Where recordings are, and how long they may be there.
    kept: (Place, Duration),
    /// Who wants to know of calls that a kill cut short.
    tell: Option<oneshot::Sender<Vec<Left>>>,
    store: Option<Store>,
    owed: VecDeque<Row>,
    /// Calls whose rows say that they go on.
    up: BTreeSet<CallId>,
    is_well: bool,
}

impl Keeper {
    async fn run(mut self, mut heard: mpsc::Receiver<Word>) {
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
                _ = again.tick(), if !self.owed.is_empty() || self.store.is_none() => self.pay().await,
                _ = still_up.tick(), if !self.up.is_empty() => self.note_still_up().await,
            }
        }
        self.pay().await;
        if let Some(store) = self.store {
            store.close().await;
        }
    }

    async fn take(&mut self, words: &mut Vec<Word>) {
        let mut are_buried = false;
        for word in words.drain(..) {
            match word {
                Word::Row(row) => {
                    if self.owed.len() >= OWED {
                        self.owed.pop_front();
                    }
                    self.owed.push_back(*row);
                }
                Word::Buried => are_buried = true,
            }
        }
        self.pay().await;
        if are_buried && let Some(store) = &self.store {
            let done = store.bury().await;
            self.judge(done);
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
        let store = open(&mut self.store, &self.file, &mut self.tell).await?;
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
        let done = match open(&mut self.store, &self.file, &mut self.tell).await {
            Ok(store) => store.forget(oldest_ms).await,
            Err(error) => Err(error),
        };
        self.judge(done);
        let (place, mut age) = self.kept.clone();
        if self.days > 0 {
            age = age.min(Duration::from_millis(u64::from(self.days) * DAY_MS));
        }
        match tokio::task::spawn_blocking(move || recording::forget_before(&place, age)).await {
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
    tell: &mut Option<oneshot::Sender<Vec<Left>>>,
) -> Result<&'store Store, StoreError> {
    let opened = match store.take() {
        Some(opened) => opened,
        None => {
            let opened = Store::open(file).await?;
            // Whatever goes on here was begun by a process that is no more.
            let left = opened.interrupt(clock::unix_ms()).await?;
            if let Some(tell) = tell.take() {
                tell.send(left).ok();
            }
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
        let (owed, up) = (VecDeque::new(), BTreeSet::new());
        let mut keeper = Keeper { file, days: 90, kept, tell: None, store: None, owed, up, is_well: true };
        let row = |result| {
            let record = CallRecord { result, ..sample(1) };
            vec![Word::Row(Box::new(Row { record, legs: Legs::default(), done: None }))]
        };
        keeper.take(&mut row(CallResult::Running)).await;
        keeper.take(&mut row(CallResult::Running)).await;
        assert_eq!(keeper.up, BTreeSet::from([CallId(1)]));
        keeper.take(&mut row(CallResult::Answered)).await;
        assert_eq!(keeper.up, BTreeSet::new());
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
