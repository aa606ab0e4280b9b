//! T10: whose sound stops, for how long, and what becomes of the call: nothing while it is short, the end of both legs on time
//! when it is not, and nothing at all where silence is what was agreed on.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use tgcall::FAIL_AFTER;
use tgtrunk_config::LineDraft;
use tgtrunk_config::control::CallRecord;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::clock::now;
use crate::light_user::Reason;
use crate::torture::rig::{LIMIT, Rig, by_address};
use crate::torture::talks::Talk;
use crate::torture::{Plan, Tally};
use crate::witness::records;

/// Calls of each kind.
const EACH: usize = 4;
/// A silence that is nothing.
const SHORT: Duration = Duration::from_secs(5);
/// How exactly a limit is kept.
const EXACT: Duration = Duration::from_secs(1);
/// Muted and held calls stay so for this many limits.
const LIMITS: u32 = 4;
/// A device that is gone is noticed within this of its time: consent is asked for every few seconds (RFC 7675 section 5.1).
const CONSENT: Duration = Duration::from_secs(6);

/// Whose sound stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The PBX's, for a while.
    Pauses,
    /// The PBX's, for good.
    Gone,
    /// Both sides', for good.
    BothGone,
    /// The person mutes, for very long: apps send nothing then.
    Muted,
    /// The PBX holds the call, for very long.
    Held,
    /// The person's device loses power.
    Vanishes,
}

const KINDS: [Kind; 6] = [Kind::Pauses, Kind::Gone, Kind::BothGone, Kind::Muted, Kind::Held, Kind::Vanishes];

/// How a call of a kind went: when its sound stopped, and when both legs heard of its end.
struct Told {
    kind: Kind,
    call: i64,
    late: Option<Duration>,
}

pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let limit = Duration::from_secs(plan.amount);
    let brief = |draft: LineDraft| by_address(draft).set("media_timeout_s", plan.amount as i64);
    let mut rig = Rig::open(&[brief]).await?;
    let mut talks = JoinSet::new();
    for (number, kind) in KINDS.into_iter().flat_map(|kind| [kind; EACH]).enumerate() {
        // The PBX holds calls that it placed: every other number.
        let number = if kind == Kind::Held { 200 + number * 2 } else { number };
        let talk = Talk::begin(&rig, 0, number).await?;
        talks.spawn(async move {
            let told = one(kind, limit, talk).await;
            told.with_context(|| format!("{kind:?}, call {number}"))
        });
    }
    let mut ended = Vec::new();
    let mut latest = [Duration::ZERO; 2];
    while let Some(told) = talks.join_next().await {
        match told? {
            Ok(told) => {
                let slot = usize::from(told.kind == Kind::Vanishes);
                latest[slot] = latest[slot].max(told.late.unwrap_or_default());
                ended.push(told);
            }
            Err(error) => tally.fail(format!("{error:#}")),
        }
    }
    sleep(Duration::from_millis(500)).await;
    let told = records(&mut rig.gateway.control().await?).await?;
    for Told { kind, call, .. } in &ended {
        let record = told.iter().find(|record| record.telegram_call == Some(*call));
        if let Err(error) = says_why(*kind, record) {
            tally.fail(format!("{kind:?}: {error:#}"));
        }
    }
    tally.amount = plan.amount;
    tally.note(&format!(
        "{EACH} calls of each of {} kinds; both legs end {} ms after the limit at most, and {} ms after {} s where the device is \
         gone; muted and held calls are heard again after {LIMITS} limits",
        KINDS.len(),
        latest[0].as_millis(),
        latest[1].as_millis(),
        FAIL_AFTER.as_secs()
    ));
    rig.warmed()?;
    rig.close(&mut tally).await?;
    Ok(tally)
}

async fn one(kind: Kind, limit: Duration, mut talk: Talk) -> anyhow::Result<Told> {
    let call = talk.call;
    heard(&mut talk).await.context("before")?;
    let began = now();
    match kind {
        Kind::Pauses => {
            talk.wire.mute(true);
            sleep(SHORT.min(limit.saturating_sub(EXACT * 2))).await;
            talk.wire.mute(false);
        }
        Kind::Gone => talk.wire.mute(true),
        Kind::BothGone => {
            talk.wire.mute(true);
            talk.user.mute(true).await;
        }
        Kind::Muted => {
            talk.user.mute(true).await;
            sleep(limit * LIMITS).await;
            talk.user.mute(false).await;
        }
        Kind::Held => {
            talk.wire.hold(true, LIMIT).await?;
            talk.wire.mute(true);
            sleep(limit * LIMITS).await;
            talk.wire.mute(false);
            talk.wire.hold(false, LIMIT).await?;
        }
        Kind::Vanishes => talk.user.vanish().await,
    }
    match kind {
        Kind::Pauses | Kind::Muted | Kind::Held => {
            sleep(EXACT).await;
            heard(&mut talk).await.context("afterwards")?;
            talk.end().await?;
            Ok(Told { kind, call, late: None })
        }
        Kind::Gone | Kind::BothGone => {
            let late = both_end(&mut talk, began, limit, EXACT).await?;
            Ok(Told { kind, call, late: Some(late) })
        }
        Kind::Vanishes => {
            let bye = talk.wire.request("BYE", FAIL_AFTER + CONSENT * 2).await?;
            let reason = bye.header("Reason").unwrap_or_default();
            ensure!(reason.starts_with("Q.850;cause=41;"), "BYE says {reason:?}");
            let late = (now() - began).saturating_sub(FAIL_AFTER);
            ensure!(late <= CONSENT, "BYE came {late:?} late");
            Ok(Told { kind, call, late: Some(late) })
        }
    }
}

/// Both legs end when the limit is over, and are told why; how long after it.
async fn both_end(
    talk: &mut Talk,
    began: Instant,
    limit: Duration,
    exact: Duration,
) -> anyhow::Result<Duration> {
    let bye = timeout(limit + LIMIT, talk.wire.request("BYE", limit + LIMIT));
    let discarded = talk.user.discarded(limit + LIMIT);
    let (bye, discarded) = tokio::join!(async { anyhow::Ok((bye.await??, now())) }, async {
        anyhow::Ok((discarded.await?, now()))
    });
    let ((bye, pbx), ((reason, _), telegram)) = (bye?, discarded?);
    for (side, at) in [("the PBX", pbx), ("the person", telegram)] {
        let after = at - began;
        ensure!(after + exact >= limit && after <= limit + exact, "{side} was told after {after:?}");
    }
    let cause = bye.header("Reason").unwrap_or_default();
    ensure!(cause.starts_with("Q.850;cause=41;"), "BYE says {cause:?}");
    ensure!(reason == Some(Reason::Disconnect), "the person saw {reason:?}");
    Ok((pbx.max(telegram) - began).saturating_sub(limit))
}

/// The record says why the call ended.
fn says_why(kind: Kind, record: Option<&CallRecord>) -> anyhow::Result<()> {
    let record = record.context("no record")?;
    let end = record.end.as_ref().context("no end")?;
    let wanted = match kind {
        Kind::Pauses | Kind::Muted | Kind::Held => "Normal",
        Kind::Gone | Kind::BothGone => "Sound was lost",
        Kind::Vanishes => "lost",
    };
    ensure!(end.cause.contains(wanted), "the record says {:?}", end.cause);
    Ok(())
}

/// Both sides hear each other.
async fn heard(talk: &mut Talk) -> anyhow::Result<()> {
    talk.listen();
    sleep(EXACT).await;
    let mut tally = Tally::default();
    talk.judge(&mut tally, "while both talk");
    ensure!(tally.failed == 0, "{:?}", tally.failures);
    Ok(())
}
