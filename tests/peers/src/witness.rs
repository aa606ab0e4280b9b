//! What the gateway itself tells of calls: how often each ended, and what was written down of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, CallRecord, CallResult, CallState, Event, RecordFilter};
use tgtrunk_config::{CallId, Phone};
use tokio::task::JoinHandle;

use crate::control::Control;
use crate::gateway::Gateway;

/// For so long a day's events may be waited for.
const FOR_EVER: Duration = Duration::from_secs(86_400);
/// Records told at once.
const PAGE: u32 = 100;

/// Hears of every call from the gateway's own mouth.
pub(crate) struct Witness {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
pub(crate) struct Seen {
    /// How often each call ended.
    pub(crate) ends: BTreeMap<CallId, u32>,
    /// Calls of before somebody listened.
    pub(crate) earlier: BTreeSet<CallId>,
    /// Events that were told too fast to be heard.
    pub(crate) missed: u64,
}

impl Witness {
    pub(crate) async fn begin(gateway: &Gateway) -> anyhow::Result<Self> {
        let mut control = gateway.control().await?;
        control.subscribe().await?;
        let earlier = records(&mut control).await?.iter().map(|record| record.call).collect();
        let seen = Arc::new(Mutex::new(Seen { earlier, ..Seen::default() }));
        let task = tokio::spawn(listen(control, Arc::clone(&seen)));
        Ok(Self { seen, task })
    }

    /// What it heard so far.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(mut control: Control, seen: Arc<Mutex<Seen>>) {
    while let Ok(event) = control.wait_for("event", FOR_EVER, |event| Some(event.clone())).await {
        match event {
            Event::Call(call) => {
                *lock(&seen).ends.entry(call.call).or_default() += u32::from(call.state == CallState::Ended);
            }
            Event::Lagged { missed } => lock(&seen).missed += missed,
            _ => {}
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a record says that its call is over.
pub(crate) fn is_over(record: &CallRecord) -> bool {
    record.result != CallResult::Running && record.ended_ms.is_some() && record.end.is_some()
}

/// All records.
pub(crate) async fn records(control: &mut Control) -> anyhow::Result<Vec<CallRecord>> {
    newest(control, None, usize::MAX).await
}

/// The newest of them, of one line or of all, so many at least where there are.
pub(crate) async fn newest(
    control: &mut Control,
    line: Option<&Phone>,
    wanted: usize,
) -> anyhow::Result<Vec<CallRecord>> {
    let mut all = Vec::new();
    while all.len() < wanted {
        let skip = u32::try_from(all.len())?;
        let filter = RecordFilter { line: line.cloned(), skip, limit: Some(PAGE), ..RecordFilter::default() };
        match control.ask(Ask::Records { filter }).await? {
            Answer::Records { records, .. } if records.is_empty() => break,
            Answer::Records { records, .. } => all.extend(records),
            other => anyhow::bail!("want records, got {other:?}"),
        }
    }
    Ok(all)
}
