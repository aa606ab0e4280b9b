//! Keeps what programs are told of a line's calls: from the gateway's news as they come, and from its records where news
//! were missed. What is written down first is told later; nothing is told that is not written down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, CallInfo, CallRecord, CallResult, Direction, RecordFilter};
use tgtrunk_config::{CallId, Phone};
use tgtrunk_messages::{Instance, Refused};
use tgtrunk_shell::asking::Follower;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::Live;
use super::event::{Kind, Known};
use crate::clock;
use crate::store::{CallRow, Store};

/// How soon the gateway's records are read again where that is needed.
const AGAIN: Duration = Duration::from_secs(5);
/// A call that is neither up nor in the records for so long is over.
const LOST: Duration = Duration::from_secs(60);
/// How often it is forgotten what is too old to matter.
const FORGET: Duration = Duration::from_secs(6 * 3600);
/// Records are read from so long before the last call that is known: clocks are set back, in milliseconds.
const SLACK_MS: u64 = 3_600_000;
/// Records in one answer of the gateway.
const PAGE: u32 = 100;
/// Since when programs are told of calls.
const SINCE: &str = "since";
/// When the latest call began before which nothing is missing.
const SEEN: &str = "seen";

/// News of a line's calls.
pub(super) enum Heard {
    /// A call came, moved on or ended.
    Call(Box<CallInfo>),
    /// These are up, and no others.
    Holds(Vec<CallInfo>),
}

/// The keeper of one line's ledger.
pub(super) struct Ledger {
    pub(super) line: Phone,
    pub(super) store: Store,
    pub(super) gateway: Follower,
    /// Whose programs are told of calls beside messages, if they want to.
    pub(super) instance: Option<Instance>,
    /// Whether programs are told of every call, and not only of those they order.
    pub(super) tells_all: bool,
    pub(super) heard: mpsc::Receiver<Heard>,
    /// News were left out: there are more than the disk takes.
    pub(super) is_behind: Arc<AtomicBool>,
    pub(super) live: Live,
    /// Something is to be told.
    pub(super) told: Arc<Notify>,
    /// Everything before now is written down, as far as the gateway knows it.
    pub(super) is_complete: bool,
    /// When the records are read again.
    pub(super) again_at: Option<Instant>,
    /// Calls that nobody knows any more, and since when.
    pub(super) missing: BTreeMap<CallId, Instant>,
}

impl Ledger {
    /// Works until it is dropped.
    pub(super) async fn run(mut self) {
        while let Err(error) = self.begin().await {
            warn!(%error, "what programs are told of calls cannot be read");
            tokio::time::sleep(AGAIN).await;
        }
        let mut forget_at = Instant::now() + FORGET;
        loop {
            if self.is_behind.swap(false, Ordering::AcqRel) {
                self.is_complete = false;
                self.again_at = Some(Instant::now());
            }
            let again_at = self.again_at;
            tokio::select! {
                heard = self.heard.recv() => match heard {
                    None => return std::future::pending().await,
                    Some(Heard::Call(info)) => {
                        let known = Known::heard(*info, clock::unix_ms());
                        if let Err(error) = self.heard_of(&known).await {
                            self.unwritten(&error);
                        }
                    }
                    Some(Heard::Holds(calls)) => {
                        self.is_complete = false;
                        self.catch_up(&calls).await;
                    }
                },
                () = sleep_until(forget_at) => {
                    forget_at = Instant::now() + FORGET;
                    if let Err(error) = self.store.forget(clock::unix_s()).await {
                        warn!(%error, "what is too old to matter cannot be forgotten");
                    }
                }
                () = sleep_until(again_at.unwrap_or_else(Instant::now)), if again_at.is_some() => {
                    let calls: Vec<CallInfo> = self.live.all();
                    self.catch_up(&calls).await;
                }
            }
        }
    }

    async fn begin(&self) -> Result<(), sqlx::Error> {
        if !self.tells_all {
            return self.store.forget_events().await;
        }
        let now_ms = clock::unix_ms();
        // A clock that was ahead would have everything until then passed over.
        self.store.cap_call_marks(now_ms).await?;
        self.store.call_mark(SINCE, now_ms).await?;
        self.store.call_mark(SEEN, now_ms).await.map(drop)
    }

    /// Only what programs ordered, where nobody is told of the others.
    fn is_followed(&self, info: &CallInfo) -> bool {
        let is_wanted = || self.instance.as_ref().is_some_and(Instance::hears_calls);
        self.tells_all
            || info.extension.is_some()
            || info.direction == Direction::TelegramToPbx && is_wanted()
    }

    async fn heard_of(&mut self, known: &Known) -> Result<(), Untold> {
        if !self.is_followed(&known.info) {
            return Ok(());
        }
        self.note(known, true).await?;
        if self.tells_all && self.is_complete && known.is_over() {
            self.store.move_call_mark(SEEN, known.info.started_ms).await?;
        }
        Ok(())
    }

    async fn note(&self, known: &Known, is_live: bool) -> Result<(), Untold> {
        // Before the ledger knows that the call is over, and does not look for it any more.
        if let Some((instance, news)) = self.instance.as_ref().zip(known.news(is_live)) {
            instance.tell_call(&news).await?;
        }
        let row = CallRow {
            call: known.info.call.to_string(),
            started_ms: known.info.started_ms,
            ended_ms: known.ended_ms,
            is_over: known.is_over(),
            info: serde_json::to_string(&known.info).unwrap_or_default(),
        };
        let due = |told: &[String]| {
            if !self.tells_all {
                return Vec::new();
            }
            let told: Vec<Kind> = told.iter().filter_map(|word| Kind::from_word(word)).collect();
            let due = known.due(&told, is_live).into_iter();
            due.map(|kind| (kind.word().to_owned(), known.event(kind, clock::unix_ms()).to_string()))
                .collect()
        };
        if self.store.note_call(&row, clock::unix_s(), due).await? {
            self.told.notify_one();
        }
        Ok(())
    }

    /// The disk does not take what is to be told: the records have it, too.
    fn unwritten(&mut self, error: &Untold) {
        warn!(%error, "what programs are to be told of a call cannot be written down yet");
        self.is_complete = false;
        self.again_at = Some(Instant::now() + AGAIN);
    }

    /// Writes down what happened while nobody listened.
    async fn catch_up(&mut self, up: &[CallInfo]) {
        self.again_at = None;
        match self.try_catch_up(up).await {
            Ok(true) => self.is_complete = true,
            Ok(false) => self.again_at = Some(Instant::now() + AGAIN),
            Err(Behind::Disk(error)) => self.unwritten(&error),
            Err(Behind::Gateway) => {
                debug!("the gateway's records cannot be read now");
                self.again_at = Some(Instant::now() + AGAIN);
            }
        }
    }

    /// True when nothing is missing.
    async fn try_catch_up(&mut self, up: &[CallInfo]) -> Result<bool, Behind> {
        let now_ms = clock::unix_ms();
        for info in up.iter().filter(|info| self.is_followed(info)) {
            self.note(&Known::heard(info.clone(), now_ms), true).await?;
        }
        let open = self.store.open_calls().await?;
        let oldest_ms = open.iter().map(|row| row.started_ms).min();
        let from_ms = if self.tells_all {
            let seen_ms = self.store.call_mark(SEEN, now_ms).await?;
            let since_ms = self.store.call_mark(SINCE, now_ms).await?;
            seen_ms.min(oldest_ms.unwrap_or(u64::MAX)).saturating_sub(SLACK_MS).max(since_ms)
        } else {
            match oldest_ms {
                Some(oldest_ms) => oldest_ms.saturating_sub(SLACK_MS),
                None => return Ok(true),
            }
        };
        // A call that went on when programs began to be told may have begun before.
        let from_ms = from_ms.min(oldest_ms.unwrap_or(u64::MAX));
        let mut seen_ms = 0;
        let opened: BTreeSet<&str> = open.iter().map(|row| row.call.as_str()).collect();
        let (mut over, mut running) = (BTreeSet::new(), BTreeSet::new());
        for record in self.records(from_ms).await? {
            seen_ms = seen_ms.max(record.started_ms);
            let call = record.call.to_string();
            if !self.tells_all && !opened.contains(call.as_str()) {
                continue;
            }
            // A line that did not answer in time has calls all the same.
            if record.result == CallResult::Running {
                running.insert(call);
                continue;
            }
            self.note(&Known::of_record(record), false).await?;
            over.insert(call);
        }
        let up: BTreeSet<String> = up.iter().map(|info| info.call.to_string()).collect();
        let left =
            open.iter().filter(|row| ![&over, &up, &running].iter().any(|known| known.contains(&row.call)));
        let is_all = self.end_lost(left).await? && running.is_subset(&up);
        if is_all && self.tells_all {
            self.store.move_call_mark(SEEN, seen_ms).await?;
        }
        Ok(is_all)
    }

    /// Ends calls that were up, of which the gateway knows nothing any more. True where none is left.
    async fn end_lost(&mut self, left: impl Iterator<Item = &CallRow>) -> Result<bool, Behind> {
        let (now, mut missing) = (Instant::now(), BTreeMap::new());
        for row in left {
            let Ok(info) = serde_json::from_str::<CallInfo>(&row.info) else { continue };
            if self.live.has(info.call) {
                continue;
            }
            let since = *self.missing.get(&info.call).unwrap_or(&now);
            if now.duration_since(since) < LOST {
                missing.insert(info.call, since);
                continue;
            }
            info!(call = %info.call, "a call is over of which the gateway knows nothing");
            self.note(&Known::lost(info), false).await?;
        }
        self.missing = missing;
        Ok(self.missing.is_empty())
    }

    /// The line's calls that began at `from_ms` or later, the oldest first.
    async fn records(&self, from_ms: u64) -> Result<Vec<CallRecord>, Behind> {
        let mut found = BTreeMap::new();
        let mut skip = 0;
        loop {
            let filter = RecordFilter {
                line: Some(self.line.clone()),
                from_ms: Some(from_ms),
                skip,
                limit: Some(PAGE),
                ..RecordFilter::default()
            };
            let answer = self.gateway.ask(Ask::Records { filter }).await;
            let Ok(Answer::Records { records, total }) = answer else { return Err(Behind::Gateway) };
            let is_last = records.is_empty() || u64::from(skip) + u64::from(PAGE) >= total;
            found.extend(records.into_iter().map(|record| ((record.started_ms, record.call), record)));
            if is_last {
                return Ok(found.into_values().collect());
            }
            skip += PAGE;
        }
    }
}

/// Why not all is known.
enum Behind {
    Gateway,
    Disk(Untold),
}

impl From<sqlx::Error> for Behind {
    fn from(error: sqlx::Error) -> Self {
        Self::Disk(error.into())
    }
}

impl From<Untold> for Behind {
    fn from(error: Untold) -> Self {
        Self::Disk(error)
    }
}

/// Why something is not written down.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untold {
    #[error(transparent)]
    Ledger(#[from] sqlx::Error),
    #[error(transparent)]
    Instance(#[from] Refused),
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tgtrunk_config::control::{CallState, Refusal, RefusalCode};
    use tgtrunk_shell::asking::Told;
    use tgtrunk_shell::control::{self, Question};
    use tokio::sync::broadcast;

    use super::super::event::tests::{call, record};
    use super::*;
    use crate::store::tests::Room;

    #[tokio::test]
    async fn a_call_whose_record_runs_is_not_over_though_its_line_does_not_tell_of_it() {
        let (folder, records) = (tempfile::tempdir().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let gateway = gateway(folder.path().join("gateway.sock"), Arc::clone(&records)).await;
        let (store, _database) = Room::new().open().await;
        let (_tell, heard) = mpsc::channel(1);
        let mut ledger = Ledger {
            line: "+79060000000".parse().unwrap(),
            store: store.clone(),
            gateway,
            instance: None,
            tells_all: true,
            heard,
            is_behind: Arc::default(),
            live: Live::default(),
            told: Arc::default(),
            is_complete: false,
            again_at: None,
            missing: BTreeMap::new(),
        };
        ledger.begin().await.unwrap();
        let talking = CallInfo { answered_ms: Some(3_000), ..call(CallState::Answered) };
        ledger.heard_of(&Known::heard(talking.clone(), 0)).await.unwrap();
        // It is missing for long.
        ledger.missing.insert(talking.call, Instant::now().checked_sub(LOST * 2).unwrap());
        let runs = CallRecord { result: CallResult::Running, ended_ms: None, ..record(None) };
        records.lock().unwrap().push(runs);
        let marks = async || store.call_mark(SEEN, 0).await.unwrap();
        let seen_ms = marks().await;
        ledger.catch_up(&[]).await;
        assert!(!ledger.is_complete && ledger.again_at.is_some(), "it is looked at again");
        assert_eq!(kinds(&store).await, ["call.start", "call.answer"]);
        assert_eq!(marks().await, seen_ms);
        *records.lock().unwrap() = vec![record(Some(3_000))];
        ledger.catch_up(&[]).await;
        assert!(ledger.is_complete);
        let told = store.next_event().await.unwrap().unwrap();
        assert_eq!(told.kind, "call.end");
        assert!(told.body.contains("\"duration_ms\":2000"), "its true end: {}", told.body);
    }

    /// What waits to be told, and is told now.
    async fn kinds(store: &Store) -> Vec<String> {
        let mut kinds = Vec::new();
        while let Some(event) = store.next_event().await.unwrap() {
            store.event_done(&event, crate::store::Fate::Told).await.unwrap();
            kinds.push(event.kind);
        }
        kinds
    }

    /// A gateway with records and without calls.
    async fn gateway(socket: std::path::PathBuf, records: Arc<Mutex<Vec<CallRecord>>>) -> Follower {
        let listener = control::listen(&socket).unwrap();
        let (asks, mut questions) = mpsc::channel::<Question>(8);
        let (events, _) = broadcast::channel(8);
        tokio::spawn(async move { control::serve(listener, "tgtrunk-gateway", asks, events).await });
        tokio::spawn(async move {
            while let Some(Question { ask, answer }) = questions.recv().await {
                let told = match ask {
                    Ask::Calls => Ok(Answer::Calls(Vec::new())),
                    Ask::Status => Ok(Answer::Status(Default::default())),
                    Ask::Records { .. } => {
                        let records = records.lock().unwrap().clone();
                        Ok(Answer::Records { total: records.len() as u64, records })
                    }
                    _ => Err(Refusal { code: RefusalCode::BadRequest, message: "what?".into() }),
                };
                answer.send(told).ok();
            }
        });
        let (follower, mut news) = Follower::start(socket);
        while !matches!(news.recv().await, Some(Told::Up { .. })) {}
        tokio::spawn(async move { while news.recv().await.is_some() {} });
        follower
    }
}
