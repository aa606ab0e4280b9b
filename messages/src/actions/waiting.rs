//! Waiting for what comes of a job, and what its program is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::error::{Code, Failed};
use super::shape;
use crate::clock;
use crate::id::MessageId;
use crate::instance::{Instance, Refused};
use crate::job::JobId;
use crate::record::{Reason, SendStatus};
use crate::standing::Standing;
use crate::store::{Fault, Kept, Part};

/// How long nothing is looked at, at most.
const LOOK: Duration = Duration::from_secs(10);

/// What comes of a job until a time. What cannot be sent by then, because the account is logged out or Telegram asks to
/// wait longer, is taken out of the queue if `is_ours` and nothing else was promised: whoever waits is told, and may do
/// something else.
///
/// # Errors
/// The disk does not say: the instance is being opened anew, perhaps.
pub(super) async fn outcome(
    instance: &Instance,
    id: &JobId,
    until: Instant,
    is_ours: bool,
) -> Result<Result<Value, Failed>, Refused> {
    let inner = Arc::clone(instance.inner());
    let bell = inner.bells.of(id);
    loop {
        let (rung, rests) = (bell.notified(), inner.rests.notified());
        tokio::pin!(rung, rests);
        rung.as_mut().enable();
        rests.as_mut().enable();
        if inner.is_closed.load(Ordering::Relaxed) {
            return Err(Refused::Standing(Standing::Starting));
        }
        let Some(kept) = instance.job(id).await? else {
            return Ok(Err(Failed::new(Code::Internal, format!("the job {id} is not there any more"))));
        };
        if let Some(told) = told(&kept) {
            return Ok(told);
        }
        if kept.job.sends
            && is_ours
            && !kept.job.is_queued
            && let Some(fault) = hopeless(instance, id, until).await?
            && instance.withdraw(id, &fault).await?
        {
            continue;
        }
        let now = Instant::now();
        if now >= until {
            instance.promise(id).await?;
            return Ok(Err(late(id, kept.job.sends, kept.job.has_key)));
        }
        tokio::select! {
            () = rung => {}
            () = rests => {}
            () = inner.messenger.standing_changed() => {}
            () = sleep_until(until.min(now + LOOK)) => {}
        }
    }
}

/// What came of a job, if that is written down; it is the same from then on, whatever becomes of its messages.
fn told(kept: &Kept) -> Option<Result<Value, Failed>> {
    let outcome = kept.job.outcome.as_ref()?;
    Some(match outcome.get("error") {
        Some(error) => Err(Failed::kept(error)),
        None => Ok(outcome["result"].clone()),
    })
}

/// What came of a job that is done; `parts` are those of each message.
pub(super) fn came_of(instance: &Instance, kept: &Kept, parts: &[Vec<Part>]) -> Result<Value, Failed> {
    if kept.records.is_empty() {
        let sentence =
            "the number has another Telegram account since: it was not done in the other one's name";
        return Err(Failed { is_retryable: false, ..Failed::new(Code::NotAuthorized, sentence) });
    }
    let mut sent = Vec::new();
    for (record, parts) in kept.records.iter().zip(parts) {
        sent.extend(shape::messages(instance, record, parts));
    }
    let failed = kept.records.iter().position(|record| record.status == SendStatus::Failed);
    let Some(number) = failed else { return Ok(answer(&kept.job.action, sent)) };
    let record = &kept.records[number];
    let mut failed = Failed::of_message(record.failure.as_deref(), record.reason.as_ref());
    if kept.records.len() > 1 {
        failed.item = u32::try_from(number).ok();
    }
    failed.may_be_sent |=
        kept.records.iter().any(|record| record.reason.as_ref().is_some_and(|reason| reason.may_be_sent));
    failed.is_retryable &= sent.is_empty() && !failed.may_be_sent;
    failed.sent = sent;
    Err(failed)
}

/// One message as it is, several as a list; forwarded ones are always a list.
fn answer(action: &str, mut sent: Vec<Value>) -> Value {
    match sent.len() {
        1 if action != "forward_message" => sent.remove(0),
        _ => Value::Array(sent),
    }
}

/// Why a job's messages will not be sent in time, if that is known.
async fn hopeless(instance: &Instance, id: &JobId, until: Instant) -> Result<Option<Fault>, Refused> {
    let standing = instance.standing();
    if matches!(standing, Standing::NotAuthorized | Standing::PendingPassword | Standing::Blocked) {
        let sentence = format!("the instance is {}; it was not sent", standing.as_str());
        return Ok(Some(Fault { sentence, reason: Reason::of(Code::NotAuthorized.as_str()) }));
    }
    let now_ms = clock::unix_ms();
    let Some((what, until_ms)) = instance.rests(id, now_ms).await? else { return Ok(None) };
    let left_ms = u64::try_from(until_ms - now_ms).unwrap_or(0);
    if Duration::from_millis(left_ms) < until.saturating_duration_since(Instant::now()) {
        return Ok(None);
    }
    let seconds = left_ms.div_ceil(1000);
    let (code, cause) = match what.as_str() {
        "strangers" => (Code::PeerFlood, "Telegram limits the account for writing to strangers (PEER_FLOOD)"),
        "lookups" => (Code::FloodWait, "no more numbers and names may be looked up for now"),
        _ => (Code::FloodWait, "Telegram asks to wait"),
    };
    let sentence = format!("{cause}: {seconds} s are left; it was not sent");
    let retry_after_s = u32::try_from(seconds).ok();
    Ok(Some(Fault { sentence, reason: Reason { retry_after_s, ..Reason::of(code.as_str()) } }))
}

/// What is told when it takes longer than the program waits.
pub(super) fn late(id: &JobId, sends: bool, has_key: bool) -> Failed {
    let goes_on = match sends {
        false => "it is still to be done, and is done by itself",
        true => "it is still in the outgoing queue, and is sent by itself",
    };
    let sentence = format!("{goes_on}; GET /api/v1/jobs/{id} tells what came of it");
    // Whoever says the same again under a key waits again; without one they would do it twice.
    Failed { is_retryable: has_key, ..Failed::new(Code::Timeout, sentence) }
}

/// A job as `GET /api/v1/jobs/{job_id}` tells of it.
pub(super) fn shown(kept: &Kept) -> Value {
    let job = &kept.job;
    let mut shown = json!({
        "job_id": job.id.as_str(),
        "action": job.action,
        "created": clock::iso(job.created_ms),
        "finished": job.finished_ms.map(clock::iso),
        "id_message": numbers(kept.records.iter().map(|record| record.id)),
    });
    match told(kept) {
        None => shown["state"] = "waiting".into(),
        Some(Ok(result)) => {
            shown["state"] = "done".into();
            shown["result"] = result;
        }
        Some(Err(failed)) => {
            shown["state"] = "failed".into();
            shown["error"] = failed.shown();
        }
    }
    shown
}

/// The numbers of a job's messages: one as it is, several as a list, none as null.
pub(super) fn numbers(ids: impl Iterator<Item = MessageId>) -> Value {
    let mut all: Vec<Value> = ids.map(|id| id.to_string().into()).collect();
    match all.len() {
        0 => Value::Null,
        1 => all.remove(0),
        _ => Value::Array(all),
    }
}
