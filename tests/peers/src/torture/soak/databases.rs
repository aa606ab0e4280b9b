//! T18: the disk of the databases fails: the gateway is killed at its n-th write or fsync, in the middle of a write, with all lost
//! that no fsync has made safe, or is told that writes failed. Whatever happens, the next start finds a whole database with
//! everything that was ever told of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_config::CallId;
use tgtrunk_config::control::CallResult;
use tokio::time::sleep;

use super::kills::{judge, takes_many};
use super::kills_scene::Traffic;
use super::preload::Preload;
use crate::clock::now;
use crate::database;
use crate::stage::{self, GREEN_LIMIT};
use crate::torture::chance::Chance;
use crate::torture::rig::Rig;
use crate::torture::{Plan, Tally};
use crate::witness::records;

/// What a disk does that fails, as `disk_fault.c` knows it; writes that fail go on to fail for a while.
const FAULTS: [&str; 5] = ["kill", "torn", "power", "eio", "enospc"];
/// At which write or fsync, counted from the start of the program, which makes some itself.
const MOST_WRITES: usize = 90;
const MOST_FAILING: usize = 12;
/// How long a program lives that is not killed by its disk.
const LIFE: Duration = Duration::from_millis(1_500);
const LOOK: Duration = Duration::from_millis(20);
const BURIED: Duration = Duration::from_secs(36);
const SOURCE: &str = include_str!("disk_fault.c");

#[derive(Default)]
struct Seen {
    /// Records by how they were told last.
    told: BTreeMap<CallId, CallResult>,
    /// Points of each fault that came about.
    points: BTreeMap<&'static str, u64>,
    early: u64,
}

pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let disk = Preload::build(SOURCE)?;
    let mut rig = Rig::open(&[takes_many]).await?;
    let mut chance = Chance::new(plan.seed);
    let traffic = Traffic::begin(&rig, &mut chance)?;
    let scene = Arc::clone(&traffic.scene);
    let mut seen = Seen::default();
    let mut most = plan.amount * 3;
    while tally.amount < plan.amount && most > 0 {
        most -= 1;
        let fault = FAULTS[(plan.amount * 3 - most) as usize % FAULTS.len()];
        let at = 1 + chance.below(MOST_WRITES);
        let plan = format!("{fault} {at} {}", 1 + chance.below(MOST_FAILING));
        disk.tell(0)?;
        rig.stage.installation.environment = disk.environment("TGTRUNK_DISK_FAULT", plan.clone());
        let told = ("TGTRUNK_DISK_FAULT_TOLD".to_owned(), disk.told.display().to_string());
        rig.stage.installation.environment.push(told);
        match one(&mut rig, &traffic, (fault, &disk), &mut seen).await {
            Ok(true) => tally.amount += 1,
            Ok(false) => {}
            Err(error) => {
                tally.amount += 1;
                tally.fail(format!("{plan}: {error:#}"));
                traffic.scene.freeze(false);
            }
        }
    }
    if let Err(error) = traffic.end(&rig).await {
        tally.fail(format!("{error:#}"));
    }
    sleep(BURIED).await;
    rig.kill().await?;
    rig.start().await?;
    rig.watch().await?;
    rig.database_grew()?;
    let told = records(&mut rig.gateway.control().await?).await?;
    let mut strict = Tally::default();
    let calls: Vec<_> = rig
        .stage
        .world()
        .calls()
        .into_iter()
        .filter(|call| traffic_has(&rig, call.caller, call.callee))
        .collect();
    judge(&mut strict, &told, &calls, &scene.at_pbx());
    // A disk that refused a row, or forgot it, may have lost that of a call whose program was killed then.
    let missing = strict.failures.iter().filter(|words| words.starts_with("no record of")).count();
    for failure in strict.failures.iter().filter(|words| !words.starts_with("no record of")) {
        tally.fail(failure.clone());
    }
    tally.note(&format!(
        "{:?}, {} of them while the program started; {} records, none that was told is gone; {missing} calls without one \
         whose disk refused it",
        seen.points,
        seen.early,
        told.len()
    ));
    rig.measure_anew(&mut tally).await?;
    rig.close(&mut tally).await?;
    Ok(tally)
}

fn traffic_has(rig: &Rig, caller: i64, callee: i64) -> bool {
    [caller, callee].contains(&rig.posts[0].line.account)
}

/// Hears what a gateway tells of calls that are over until it has ended, or has lived long enough; whether it has ended.
async fn lives(rig: &mut Rig, seen: &mut Seen) -> bool {
    let began = now();
    while now() - began < LIFE {
        if let Ok(mut control) = rig.gateway.control().await {
            for record in records(&mut control).await.unwrap_or_default() {
                if record.result != CallResult::Running {
                    seen.told.insert(record.call, record.result);
                }
            }
        }
        if rig.gateway.ended(LOOK).await.is_ok() {
            return true;
        }
    }
    false
}

/// Lets a gateway run on a disk that fails, and the next one on one that does not; whether it failed at all.
async fn one(
    rig: &mut Rig,
    traffic: &Traffic,
    (fault, disk): (&'static str, &Preload),
    seen: &mut Seen,
) -> anyhow::Result<bool> {
    let scene = &traffic.scene;
    scene.freeze(true);
    rig.kill().await?;
    let runs = rig.start().await.is_ok();
    scene.freeze(false);
    if runs && !lives(rig, seen).await {
        rig.kill().await?;
    }
    // A program that wrote less than so often met no fault.
    let came_about = disk.told()? > 0;
    seen.early += u64::from(!runs);
    scene.freeze(true);
    rig.stage.installation.environment.clear();
    let said = database::integrity(&rig.database())?;
    ensure!(said == "ok", "the database: {said}");
    rig.start().await?;
    stage::green(&rig.gateway, &rig.posts[0].line, GREEN_LIMIT).await?;
    let told = records(&mut rig.gateway.control().await?).await?;
    let after: BTreeMap<CallId, CallResult> =
        told.iter().map(|record| (record.call, record.result)).collect();
    for (call, result) in &seen.told {
        let is =
            after.get(call).with_context(|| format!("the record of {call} is gone: it was {result:?}"))?;
        ensure!(*result == CallResult::Running || is == result, "{call} was {result:?}, is {is:?}");
    }
    seen.told = after;
    if came_about {
        *seen.points.entry(fault).or_default() += 1;
    }
    scene.freeze(false);
    // What is told between two faults is to be there after the next one.
    sleep(Duration::from_millis(300)).await;
    for record in records(&mut rig.gateway.control().await?).await? {
        if record.result != CallResult::Running {
            seen.told.insert(record.call, record.result);
        }
    }
    Ok(came_about)
}
