//! What a program has done by an action, from before it is begun until a day after it is done.
//!
//! A job that sends is done when the messages that it put into the outgoing queue have left it. Others change or ask
//! something: those of one chat are done in their order, so that what was said last holds; those that a program does not
//! wait for are tried until they are done or refused.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tgtrunk_shell::caught::caught;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, error, warn};

use crate::actions::{self, Failed};
use crate::instance::inner::Inner;
use crate::instance::{Instance, InstanceKind};
use crate::standing::Standing;
use crate::store::StorageError;
use crate::{clock, pause};

/// How long what waits for a message to be sent is waited for, if nobody was promised more: milliseconds.
const UNDER_WAY_MS: i64 = 600_000;
/// How long nothing is done at most, whatever is waited for.
const LOOK: Duration = Duration::from_secs(30);
/// How long the disk is left alone when it refuses.
const REST: Duration = Duration::from_secs(1);
/// So many are done beside each other.
const TOGETHER: usize = 8;

/// A job's name: 24 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct JobId(String);

/// A job to be begun.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NewJob {
    pub(crate) id: JobId,
    pub(crate) action: &'static str,
    /// What it was asked, in an order that is always the same.
    pub(crate) request: Value,
    /// The chat whose jobs are done in their order; none where that is of no weight.
    pub(crate) dialog: Option<String>,
    /// Whether it sends messages.
    pub(crate) sends: bool,
    /// What the program knows it by, so that it is not done twice.
    pub(crate) key: Option<String>,
    /// Whether nobody waits for it.
    pub(crate) is_queued: bool,
}

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) action: String,
    pub(crate) request: Value,
    pub(crate) dialog: Option<String>,
    pub(crate) sends: bool,
    /// Whether nobody waits for it, or not any more: it is done by itself.
    pub(crate) is_queued: bool,
    /// Whether its program knows it by a key.
    pub(crate) has_key: bool,
    /// Milliseconds since 1970.
    pub(crate) not_before_ms: i64,
    pub(crate) attempts: u32,
    /// What is answered, `{"result": ...}` or `{"error": ...}`.
    pub(crate) outcome: Option<Value>,
    /// Whether it was not done, and may be at another time.
    pub(crate) is_passing: bool,
    /// Milliseconds since 1970.
    pub(crate) created_ms: i64,
    /// Milliseconds since 1970.
    pub(crate) finished_ms: Option<i64>,
}

/// What came of a job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    /// `{"result": ...}` or `{"error": ...}`.
    pub(crate) told: Value,
    /// Whether it was not done, and may be at another time.
    pub(crate) is_passing: bool,
}

/// Those who wait for jobs, each woken by its own.
#[derive(Default)]
pub(crate) struct Bells(Mutex<HashMap<JobId, Arc<Notify>>>);

impl JobId {
    /// A new one, which nobody guesses.
    pub(crate) fn new() -> Self {
        Self(hex::encode(clock::random::<12>()))
    }

    pub(crate) const fn kept(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Bells {
    /// The bell of a job.
    pub(crate) fn of(&self, id: &JobId) -> Arc<Notify> {
        let mut bells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bells.retain(|_, bell| Arc::strong_count(bell) > 1);
        Arc::clone(bells.entry(id.clone()).or_default())
    }

    fn ring(&self, id: &JobId) {
        if let Some(bell) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            bell.notify_waiters();
        }
    }

    pub(crate) fn ring_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|bell| bell.notify_waiters());
    }
}

/// Where jobs are done.
struct Desk {
    inner: Arc<Inner>,
    /// When it began: milliseconds since 1970. Older jobs may have been done before.
    began_ms: i64,
    /// Those under way: their chats, and for how long Telegram asks to wait after them.
    under_way: JoinSet<(JobId, Option<u32>)>,
    busy: HashMap<JobId, Option<String>>,
    rests_until: Option<Instant>,
}

/// Does the jobs that send nothing, and writes down what came of all, until it is dropped.
pub(crate) async fn run(inner: Arc<Inner>) {
    // It may have broken off while Telegram asked to wait.
    let left_ms = inner.jobs_rest_until_ms.load(Ordering::Relaxed) - clock::unix_ms();
    let mut desk = Desk {
        inner: Arc::clone(&inner),
        began_ms: clock::unix_ms(),
        under_way: JoinSet::new(),
        busy: HashMap::new(),
        rests_until: u64::try_from(left_ms).ok().map(|ms| Instant::now() + Duration::from_millis(ms)),
    };
    let mut is_told = false;
    loop {
        let (jobs, standing) = (inner.jobs.notified(), inner.messenger.standing_changed());
        tokio::pin!(jobs, standing);
        jobs.as_mut().enable();
        let wait = match desk.step().await {
            Ok(wait) => {
                is_told = false;
                wait
            }
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    warn!(%error, "what programs have asked to be done cannot be read or written: it waits until it can");
                }
                REST
            }
        };
        tokio::select! {
            () = sleep(wait.min(LOOK)) => {}
            () = jobs => {}
            () = standing => {}
            Some(done) = desk.under_way.join_next() => desk.note(done),
        }
    }
}

impl Desk {
    /// Begins what can be begun; how long there is nothing else.
    async fn step(&mut self) -> Result<Duration, StorageError> {
        self.tell().await?;
        let is_bot = self.inner.options.kind == InstanceKind::Bot;
        match self.inner.messenger.standing() {
            // What Telegram tells no bot needs no Telegram.
            Standing::Starting if is_bot => {}
            Standing::Starting => return Ok(LOOK),
            Standing::Authorized | Standing::Suspended => self.inner.see_account().await?,
            standing => {
                let failed = actions::stands(standing);
                self.refuse(&failed).await?;
                return Ok(LOOK);
            }
        }
        if let Some(left) = self.rests_until.and_then(|until| until.checked_duration_since(Instant::now())) {
            let seconds = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            self.refuse(&actions::floods(seconds)).await?;
            return Ok(left);
        }
        let (now_ms, mut wait) = (clock::unix_ms(), LOOK);
        let mut passed: HashSet<String> = self.busy.values().flatten().cloned().collect();
        let jobs = self.inner.store.jobs_to_do(now_ms).await?;
        // The account may have been logged out while they were read.
        let is_there = match self.inner.messenger.standing() {
            Standing::Authorized | Standing::Suspended => true,
            Standing::Starting if is_bot => false,
            Standing::Starting | Standing::NotAuthorized | Standing::PendingPassword | Standing::Blocked => {
                return Ok(Duration::ZERO);
            }
        };
        for job in jobs {
            if !is_there && !actions::is_of_journal(&job.action) {
                continue;
            }
            if self.under_way.len() >= TOGETHER {
                break;
            }
            let is_free = job.dialog.clone().is_none_or(|dialog| passed.insert(dialog));
            if !is_free || self.busy.contains_key(&job.id) {
                continue;
            }
            self.busy.insert(job.id.clone(), job.dialog.clone());
            let (inner, is_again) =
                (Arc::clone(&self.inner), job.attempts > 0 || job.created_ms < self.began_ms);
            self.under_way.spawn(async move { work(&inner, job, is_again).await }.in_current_span());
        }
        if let Some(at_ms) = self.inner.store.job_at_ms(now_ms).await? {
            let left = u64::try_from(at_ms - now_ms).unwrap_or(0);
            wait = wait.min(Duration::from_millis(left.max(1)));
        }
        Ok(wait)
    }

    /// Writes down what came of those whose messages have left the queue.
    async fn tell(&self) -> Result<(), StorageError> {
        loop {
            let all = self.inner.store.jobs_to_tell().await?;
            if all.is_empty() {
                return Ok(());
            }
            let instance = Instance::of(Arc::clone(&self.inner));
            for kept in all {
                let parts = instance.parts_of_all(&kept.records).await?;
                let outcome = actions::outcome(&instance, &kept, &parts);
                self.inner.store.conclude(&kept.job.id, &outcome, clock::unix_ms()).await?;
                self.inner.bells.ring(&kept.job.id);
            }
        }
    }

    /// Whoever waits is told why it is not done now; what was promised is done later.
    async fn refuse(&self, failed: &Failed) -> Result<(), StorageError> {
        let (outcome, mut after) = (actions::undone(failed), 0);
        loop {
            let waited_for = self.inner.store.jobs_waited_for(after).await?;
            let Some((last, _)) = waited_for.last() else { return Ok(()) };
            after = *last;
            for (_, id) in waited_for.into_iter().filter(|(_, id)| !self.busy.contains_key(id)) {
                self.inner.store.conclude(&id, &outcome, clock::unix_ms()).await?;
                self.inner.bells.ring(&id);
            }
        }
    }

    fn note(&mut self, done: Result<(JobId, Option<u32>), tokio::task::JoinError>) {
        match done {
            Ok((id, flood_s)) => {
                self.busy.remove(&id);
                if let Some(seconds) = flood_s {
                    self.rests_until = Some(Instant::now() + Duration::from_secs(u64::from(seconds) + 1));
                    let until_ms = clock::unix_ms() + (i64::from(seconds) + 1) * 1000;
                    self.inner.jobs_rest_until_ms.store(until_ms, Ordering::Relaxed);
                    self.inner.touch();
                }
            }
            Err(error) => {
                warn!(%error, "something that a program has asked for broke off");
                // Nobody knows which; those that go on are begun anew when they are through.
                if self.under_way.is_empty() {
                    self.busy.clear();
                }
            }
        }
    }
}

/// Does one, and writes down what came of it; for how long Telegram asks to wait.
async fn work(inner: &Arc<Inner>, job: Job, is_again: bool) -> (JobId, Option<u32>) {
    let instance = Instance::of(Arc::clone(inner));
    let performed = caught(actions::perform(&instance, &job.action, &job.request, is_again)).await;
    // Whoever asked for it hears of it; it is tried again as it is after a fault of the disk.
    let done = performed.unwrap_or_else(|broke| {
        error!(%broke, action = job.action, "something that a program has asked for broke off");
        Err(actions::broke())
    });
    let flood_s = done.as_ref().err().and_then(|failed| failed.flood_s);
    loop {
        let written = match &done {
            Ok(result) => inner.store.conclude(&job.id, &actions::done(result), clock::unix_ms()).await,
            Err(failed) => end(inner, &job, failed).await,
        };
        match written {
            Ok(()) => break,
            Err(error) => {
                warn!(%error, "what came of something that a program has asked for cannot be written down");
                sleep(REST).await;
            }
        }
    }
    inner.bells.ring(&job.id);
    (job.id, flood_s)
}

/// It was not done: later, if that was promised and may help, or not at all.
async fn end(inner: &Inner, job: &Job, failed: &Failed) -> Result<(), StorageError> {
    let now_ms = clock::unix_ms();
    // Whoever waited may have been promised more meanwhile.
    let is_queued = inner.store.job(&job.id).await?.is_some_and(|kept| kept.job.is_queued);
    let life_ms = if is_queued { inner.options.outgoing_ms() } else { UNDER_WAY_MS };
    let may_help = if is_queued { failed.is_passing() } else { failed.is_under_way };
    if !may_help || job.created_ms <= inner.ages.before_ms(life_ms) {
        return inner.store.conclude(&job.id, &actions::undone(failed), now_ms).await;
    }
    let pause_ms = match (failed.is_under_way, failed.retry_after_s) {
        (true, _) => pause::FIRST_MS,
        (false, Some(seconds)) => (i64::from(seconds) + 1) * 1000,
        (false, None) => pause::after_ms(job.attempts),
    };
    inner.store.postpone(&job.id, now_ms, pause_ms).await
}
