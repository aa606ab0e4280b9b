//! What the gateway itself tells of calls: how often each ended, and what was written down of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use tgtrunk_config::CallId;
use tgtrunk_config::control::{Answer, Ask, CallRecord, CallResult, CallState, Event, RecordFilter};
use tokio::task::JoinHandle;

use crate::control::Control;
use crate::gateway::Gateway;

/// For so long a day's events may be waited for.
const FOR_EVER: Duration = Duration::from_secs(86_400);
/// Records told at once.
const PAGE: u32 = 100;

/// Hears of every call from the gateway's own mouth.
pub(super) struct Witness {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// How often each call ended.
    ends: BTreeMap<CallId, u32>,
    /// Events that were told too fast to be heard.
    missed: u64,
}

impl Witness {
    pub(super) async fn begin(gateway: &Gateway) -> anyhow::Result<Self> {
        let mut control = gateway.control().await?;
        control.subscribe().await?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(listen(control, Arc::clone(&seen)));
        Ok(Self { seen, task })
    }

    /// A call ended once, as far as that could be heard.
    pub(super) fn ended_once(&self, call: CallId) -> anyhow::Result<()> {
        let seen = lock(&self.seen);
        let ends = seen.ends.get(&call).copied().unwrap_or_default();
        ensure!(
            ends == 1 || ends == 0 && seen.missed > 0,
            "call {call} came to its final state {ends} times"
        );
        Ok(())
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

/// The newest records, a page of them.
pub(super) async fn newest(gateway: &Gateway, line: &str) -> anyhow::Result<Vec<CallRecord>> {
    page(&mut gateway.control().await?, Some(line), 0).await
}

/// All records.
pub(super) async fn all(gateway: &Gateway) -> anyhow::Result<Vec<CallRecord>> {
    let (mut control, mut all) = (gateway.control().await?, Vec::new());
    loop {
        let records = page(&mut control, None, u32::try_from(all.len())?).await?;
        if records.is_empty() {
            return Ok(all);
        }
        all.extend(records);
    }
}

async fn page(control: &mut Control, line: Option<&str>, skip: u32) -> anyhow::Result<Vec<CallRecord>> {
    let line = line.map(str::parse).transpose()?;
    let filter = RecordFilter { line, skip, limit: Some(PAGE), ..RecordFilter::default() };
    match control.ask(Ask::Records { filter }).await? {
        Answer::Records { records, .. } => Ok(records),
        other => anyhow::bail!("want records, got {other:?}"),
    }
}

/// Whether it says how its call ended.
pub(super) fn is_whole(record: &CallRecord) -> bool {
    let has_cause = record.end.as_ref().is_some_and(|end| !end.cause.is_empty());
    record.result != CallResult::Running && record.ended_ms.is_some() && has_cause
}

/// No call of either side is written down twice, and none as going on.
pub(super) fn one_each(records: &[CallRecord], witness: &Witness) -> anyhow::Result<()> {
    let (mut by_telegram, mut by_sip) = (BTreeMap::<i64, u32>::new(), BTreeMap::<&str, u32>::new());
    for record in records {
        ensure!(is_whole(record), "a record does not say how its call ended: {record:?}");
        witness.ended_once(record.call)?;
        if let Some(call) = record.telegram_call {
            *by_telegram.entry(call).or_default() += 1;
        }
        if let Some(call) = record.trunk.sip_call_id.as_deref() {
            *by_sip.entry(call).or_default() += 1;
        }
    }
    by_telegram.retain(|_, records| *records > 1);
    by_sip.retain(|_, records| *records > 1);
    ensure!(
        by_telegram.is_empty() && by_sip.is_empty(),
        "records of the same calls: {by_telegram:?}, {by_sip:?}"
    );
    Ok(())
}
