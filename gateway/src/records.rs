//! What a line remembers of its calls, in its `gateway.db`: a row when a call begins, completed when it is answered and
//! when it ends, closed by the next start after a kill.
//!
//! A task of its own writes. A call never waits for the disk, nor does its line.

mod search;
mod sparkline;
mod store;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tgtrunk_bridge::{Cause, Record};
use tgtrunk_config::control::{CallInfo, CallRecord, CallResult, CallState};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{interval, timeout};

use crate::clock;
pub(crate) use search::{answer, find};
pub(crate) use sparkline::Sparkline;
use store::{Store, StoreError};

/// Rows on their way to the disk.
const ROWS: usize = 1_024;
/// Rows that a disk would not take, kept for a better time; the oldest are given up first.
const OWED: usize = 1_024;
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
    rows: mpsc::Sender<CallRecord>,
    task: JoinHandle<()>,
    /// Rows did not fit into the queue, and that was told.
    is_late: bool,
}

impl Records {
    /// Remembers calls for so many days in a number's database, which is there already. Rows of a process that was
    /// killed are closed.
    pub(crate) fn open(file: PathBuf, days: u32) -> Self {
        let (rows, noted) = mpsc::channel(ROWS);
        let keeper = Keeper {
            file,
            days,
            opened_ms: clock::unix_ms(),
            store: None,
            owed: VecDeque::new(),
            is_well: true,
        };
        let task = tokio::spawn(tracing::Instrument::in_current_span(keeper.run(noted)));
        Self { rows, task, is_late: false }
    }

    /// Notes how a call is now; its last word is noted by [`Records::ended`].
    pub(crate) fn note(&mut self, info: &CallInfo) {
        self.put(record(info.clone(), CallResult::Running, Sparkline::default()));
    }

    /// Notes how a call was.
    pub(crate) fn ended(&mut self, info: CallInfo, result: CallResult, mos: Sparkline) {
        self.put(CallRecord { ended_ms: Some(clock::unix_ms()), ..record(info, result, mos) });
    }

    fn put(&mut self, record: CallRecord) {
        let was_late = std::mem::replace(&mut self.is_late, self.rows.try_send(record).is_err());
        if self.is_late && !was_late {
            tracing::warn!("call records are lost: the disk is too slow");
        }
    }

    /// Writes what is on its way, as far as that takes no long time.
    pub(crate) async fn close(self) {
        let Self { rows, mut task, .. } = self;
        drop(rows);
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
        Cause::Normal | Cause::GivenUp | Cause::AnsweredElsewhere | Cause::NoAnswer => CallResult::Missed,
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
        | Cause::QuietHours { .. }
        | Cause::OutsideHours
        | Cause::LineDown
        | Cause::LineFull
        | Cause::NoMedia
        | Cause::MediaLost
        | Cause::TrunkDead
        | Cause::TrunkRefused { .. }
        | Cause::Stopping
        | Cause::Internal => CallResult::Failed,
    }
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
        started_ms: info.started_ms,
        answered_ms: info.answered_ms,
        ended_ms: None,
        result,
        end: info.end,
        quality: info.quality,
        mos_tenths: mos.into_tenths(),
    }
}

/// Has the rows written, in order, and again where that failed.
struct Keeper {
    file: PathBuf,
    days: u32,
    /// Whatever began before and goes on was killed.
    opened_ms: u64,
    store: Option<Store>,
    owed: VecDeque<CallRecord>,
    is_well: bool,
}

impl Keeper {
    async fn run(mut self, mut noted: mpsc::Receiver<CallRecord>) {
        let mut again = interval(AGAIN);
        let mut housekeeping = interval(HOUSEKEEPING);
        let mut still_up = interval(STILL_UP);
        loop {
            tokio::select! {
                biased;
                record = noted.recv() => match record {
                    Some(record) if self.days > 0 => {
                        if self.owed.len() >= OWED {
                            self.owed.pop_front();
                        }
                        self.owed.push_back(record);
                        self.pay().await;
                    }
                    Some(_) => {}
                    None => break,
                },
                _ = housekeeping.tick() => self.prune().await,
                _ = again.tick(), if !self.owed.is_empty() || self.store.is_none() => self.pay().await,
                _ = still_up.tick(), if self.days > 0 => self.note_still_up().await,
            }
        }
        self.pay().await;
        if let Some(store) = self.store {
            store.close().await;
        }
    }

    /// Writes what is owed.
    async fn pay(&mut self) {
        let done = self.try_pay().await;
        self.judge(done);
    }

    async fn try_pay(&mut self) -> Result<(), StoreError> {
        let store = open(&mut self.store, &self.file, self.opened_ms).await?;
        while let Some(record) = self.owed.front() {
            store.put(record).await?;
            self.owed.pop_front();
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
        let done = match open(&mut self.store, &self.file, self.opened_ms).await {
            Ok(store) => store.forget(oldest_ms).await,
            Err(error) => Err(error),
        };
        self.judge(done);
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
    opened_ms: u64,
) -> Result<&'store Store, StoreError> {
    let opened = match store.take() {
        Some(opened) => opened,
        None => {
            let opened = Store::open(file).await?;
            opened.interrupt(opened_ms).await?;
            opened
        }
    };
    Ok(store.insert(opened))
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::control::RecordFilter;
    use tgtrunk_config::{CallId, StateDir};
    use tokio::time::sleep;

    use super::store::tests::{line, room, sample};
    use super::*;

    #[tokio::test]
    async fn a_call_that_was_up_when_the_process_was_killed_has_one_record_closed_by_the_next_start() {
        let (_room, state) = room();
        let mut records = Records::open(state.gateway_db(&line()), 90);
        records.note(&info(1));
        records.note(&CallInfo { answered_ms: Some(1_500), ..info(1) });
        records.close().await;
        assert_eq!(found(&state).await[0].result, CallResult::Running);

        let mut records = Records::open(state.gateway_db(&line()), 90);
        records.note(&CallInfo { started_ms: clock::unix_ms(), ..info(2) });
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
    async fn rows_that_the_disk_does_not_take_are_written_when_it_does() {
        let (_room, state) = room();
        let folder = state.phone_dir(&line());
        let elsewhere = state.root().join("elsewhere");
        std::fs::rename(&folder, &elsewhere).unwrap();
        let mut records = Records::open(state.gateway_db(&line()), 90);
        records.note(&info(1));
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
        let mut records = Records::open(state.gateway_db(&line()), 90);
        records.ended(
            CallInfo { state: CallState::Ended, ..info(1) },
            CallResult::Missed,
            Sparkline::default(),
        );
        records.close().await;
        assert_eq!(found(&state).await.len(), 1);
        let mut records = Records::open(state.gateway_db(&line()), 0);
        records.note(&info(2));
        sleep(Duration::from_millis(200)).await;
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

    async fn found(state: &StateDir) -> Vec<CallRecord> {
        find(state, RecordFilter::default()).await.unwrap().0
    }

    fn info(call: u64) -> CallInfo {
        let CallRecord { line, direction, peer, dialled, extension, telegram_call, emoji, .. } = sample(call);
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
            started_ms: 1_000,
            answered_ms: None,
            duration_ms: None,
            end: None,
            quality: None,
            muted: Default::default(),
        }
    }
}
