//! T17: `kill -9` of the gateway at random moments, amid calls that are set up, talk and end, and amid its own start. The next
//! process ends both halves of what was up, and each call has one record that says how it ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tgtrunk_config::LineDraft;
use tgtrunk_config::control::CallRecord;
use tgtrunk_test_telegram::world::{CallInfo, Stage as Progress};
use tokio::time::sleep;

use super::kills_scene::{Scene, Traffic};
use crate::clock::now;
use crate::database;
use crate::stage::{self, GREEN_LIMIT};
use crate::torture::chance::Chance;
use crate::torture::rig::{Rig, by_address};
use crate::torture::{Plan, Tally};
use crate::witness::{is_over, newest, records};

/// A life of the gateway, at most; one in so many ends while it starts.
const LIFE_MS: usize = 1_600;
const EARLY: usize = 8;
const EARLY_MS: usize = 300;
/// How long a start may take until the gateway answers and its line is green: amid other troubles, and on a machine that has
/// nothing else to do.
const READY: Duration = Duration::from_secs(3);
const READY_ALONE: Duration = Duration::from_secs(1);
/// How long the ends of calls may take after the start of the next process.
const END_LIMIT: Duration = Duration::from_secs(5);
/// For so long the ends of calls of before are tried.
const BURIED: Duration = Duration::from_secs(36);
const LOOK: Duration = Duration::from_millis(10);
/// More calls than those among which the gateway is killed.
const RECENT: usize = 300;

/// What kills came to.
#[derive(Default)]
pub(super) struct Seen {
    cut: u64,
    /// Calls of the line that Telegram had, and of which the gateway did not live to write down the id: the people's apps give
    /// them up by themselves.
    pub(super) nameless: BTreeSet<i64>,
    /// The slowest: asked, green, the PBX released, Telegram released; and what was left last when ends took longest.
    slowest: [Duration; 4],
    last: String,
    ready: Vec<Duration>,
}

pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut rig = Rig::open(&[takes_many]).await?;
    let mut chance = Chance::new(plan.seed);
    let traffic = Traffic::begin(&rig, &mut chance)?;
    let scene = Arc::clone(&traffic.scene);
    let mut seen = Seen::default();
    for kill in 0..plan.amount {
        let life = chance.below(LIFE_MS) as u64;
        sleep(Duration::from_millis(life)).await;
        scene.freeze(true);
        let early = if chance.one_in(EARLY) { Some(chance.below(EARLY_MS) as u64) } else { None };
        if let Err(error) = one(&mut rig, &scene, &mut seen, early.map(Duration::from_millis)).await {
            tally.fail(format!("kill {kill}: {error:#}"));
        }
        traffic.release(&rig, &seen).await;
        scene.freeze(false);
        tally.amount += 1 + u64::from(early.is_some());
        if tally.amount >= plan.amount {
            break;
        }
    }
    traffic.end(&rig).await?;
    let told = records(&mut rig.gateway.control().await?).await?;
    let calls: Vec<_> = rig.stage.world().calls().into_iter().filter(|call| scene.has(call)).collect();
    judge(&mut tally, &told, &calls, &scene.at_pbx());
    note(&mut tally, &mut seen, &told);
    let slowest = seen.ready.last().copied().unwrap_or_default();
    tally.hold(slowest <= READY_ALONE, || format!("green only {slowest:?} after a start"));
    match database::integrity(&rig.database()) {
        Ok(said) => tally.hold(said == "ok", || format!("the database: {said}")),
        Err(error) => tally.fail(format!("the database: {error:#}")),
    }
    // Whoever has buried many has needed memory for that: what the dead left is judged by a process that finds nothing to bury.
    sleep(BURIED).await;
    rig.kill().await?;
    rig.start().await?;
    rig.watch().await?;
    rig.database_grew()?;
    rig.measure_anew(&mut tally).await?;
    rig.close(&mut tally).await?;
    Ok(tally)
}

pub(super) fn takes_many(draft: LineDraft) -> LineDraft {
    by_address(draft).set("parallel_incoming", "always")
}

/// Kills the gateway, once more while it starts if it is to be so early, and waits for the ends of what was up.
pub(super) async fn one(
    rig: &mut Rig,
    scene: &Scene,
    seen: &mut Seen,
    early: Option<Duration>,
) -> anyhow::Result<()> {
    let at_telegram = rig.stage.world().calls();
    let at_telegram = at_telegram.iter().filter(|call| scene.is_up(call)).map(|call| call.id);
    let mut at_telegram: Vec<i64> = at_telegram.filter(|call| !seen.nameless.contains(call)).collect();
    let struck = now();
    rig.kill().await?;
    let at_pbx: BTreeSet<String> = scene.up_before(struck).into_iter().collect();
    seen.cut += at_pbx.len().max(at_telegram.len()) as u64;
    if let Some(early) = early {
        rig.start_in_vain(early).await?;
    }
    let began = now();
    let asked = rig.start().await?;
    stage::green(&rig.gateway, &rig.posts[0].line, GREEN_LIMIT).await?;
    let ready = now() - began;
    seen.ready.push(ready);
    // To read all of them would take seconds by and by, which are not the gateway's.
    let told = newest(&mut rig.gateway.control().await?, None, RECENT).await?;
    let known: BTreeSet<i64> = told.iter().filter_map(|record| record.telegram_call).collect();
    seen.nameless.extend(at_telegram.extract_if(.., |call| !known.contains(call)));
    let goes_on = |call: &i64| rig.stage.world().call_info(*call).is_some_and(|call| scene.is_up(&call));
    let pbx = gone(began, || {
        let left = scene.up_before(now());
        left.into_iter()
            .filter(|call| at_pbx.contains(call))
            .map(|call| format!("at the PBX {call}"))
            .collect()
    });
    let telegram = gone(began, || {
        let left = at_telegram.iter().filter(|call| goes_on(call));
        left.map(|call| format!("at Telegram {:?}", rig.stage.world().call_info(*call))).collect()
    });
    let (pbx, telegram) = tokio::join!(pbx, telegram);
    let (pbx, telegram) = (pbx?, telegram?);
    if pbx.0.max(telegram.0) > seen.slowest[2].max(seen.slowest[3]) {
        let last = [pbx.1, telegram.1].into_iter().find(|last| !last.is_empty());
        seen.last = format!("{} (killed early: {early:?})", last.as_deref().unwrap_or("nothing"));
    }
    for (slowest, now) in seen.slowest.iter_mut().zip([asked, ready, pbx.0, telegram.0]) {
        *slowest = (*slowest).max(now);
    }
    anyhow::ensure!(ready <= READY, "green after {ready:?}");
    Ok(())
}

/// Waits until nothing is left, for as long as that may take from then on; gives how long it took, and what was left last.
pub(super) async fn gone(
    began: Instant,
    left: impl Fn() -> Vec<String>,
) -> anyhow::Result<(Duration, String)> {
    let mut last = Vec::new();
    loop {
        let (left, passed) = (left(), now() - began);
        if left.is_empty() {
            return Ok((passed, last.join(", ")));
        }
        anyhow::ensure!(passed < END_LIMIT, "up {passed:?} after the start: {left:?}");
        last = left;
        sleep(LOOK).await;
    }
}

/// One record for each call that either side saw, and nothing that goes on.
pub(super) fn judge(
    tally: &mut Tally,
    told: &[CallRecord],
    at_telegram: &[CallInfo],
    at_pbx: &BTreeSet<String>,
) {
    let mut by_sip: BTreeMap<&str, u64> = BTreeMap::new();
    let mut by_telegram: BTreeMap<i64, u64> = BTreeMap::new();
    // Requested, and killed before Telegram told the id.
    let mut nameless: BTreeMap<i64, u64> = BTreeMap::new();
    for record in told {
        tally.hold(is_over(record), || format!("a record does not end: {record:?}"));
        let times = [Some(record.started_ms), record.ringing_ms, record.answered_ms, record.ended_ms];
        tally.hold(times.iter().flatten().is_sorted(), || format!("times in disorder: {record:?}"));
        if let Some(call) = record.trunk.sip_call_id.as_deref() {
            *by_sip.entry(call).or_default() += 1;
        }
        match (record.telegram_call, record.peer.id) {
            (Some(call), _) => *by_telegram.entry(call).or_default() += 1,
            (None, Some(person)) => *nameless.entry(person.number()).or_default() += 1,
            (None, None) => {}
        }
    }
    for (call, records) in by_sip.iter().filter(|(_, records)| **records > 1) {
        tally.fail(format!("{records} records of the PBX's call {call}"));
    }
    for (call, records) in by_telegram.iter().filter(|(_, records)| **records > 1) {
        let of_call: Vec<_> = told.iter().filter(|record| record.telegram_call == Some(*call)).collect();
        tally.fail(format!("{records} records of Telegram's call {call}: {of_call:?}"));
    }
    for call in at_telegram {
        if by_telegram.contains_key(&call.id) {
            tally.hold(call.stage == Progress::Ended, || format!("goes on at Telegram: {call:?}"));
            continue;
        }
        match nameless.get_mut(&call.callee).filter(|left| **left > 0) {
            Some(left) => *left -= 1,
            None => tally.fail(format!("no record of {call:?}")),
        }
    }
    for call in at_pbx.iter().filter(|call| !by_sip.contains_key(call.as_str())) {
        tally.fail(format!("no record of the PBX's call {call}"));
    }
}

fn note(tally: &mut Tally, seen: &mut Seen, told: &[CallRecord]) {
    let mut results: BTreeMap<&'static str, u64> = BTreeMap::new();
    for record in told {
        *results.entry(record.result.as_str()).or_default() += 1;
    }
    for wanted in ["interrupted", "answered"] {
        tally.hold(results.contains_key(wanted), || format!("no call was {wanted}: {results:?}"));
    }
    seen.ready.sort();
    let half = seen.ready.get(seen.ready.len() / 2).copied().unwrap_or_default();
    let [asked, green, pbx, telegram] = seen.slowest.map(|slowest| slowest.as_millis());
    tally.note(&format!(
        "{} of {} calls cut short, {} of them before Telegram's id was written; asked within {asked} ms, green within {green} ms (half within {} ms), the PBX released \
         within {pbx} ms of the start, Telegram within {telegram} ms, at last {}; records: {results:?}",
        seen.cut,
        told.len(),
        seen.nameless.len(),
        half.as_millis(),
        seen.last
    ));
}
