//! T28: all of it at random: kills, bad paths, Telegram and the PBX away, more calls than the line takes. Between two troubles every
//! call comes about and is heard, and in the end all calls are accounted for.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::bad_path::Treatment;
use tgtrunk_test_telegram::world::CallInfo;
use tokio::time::sleep;

use super::kills::{self, judge, takes_many};
use super::kills_scene::Traffic;
use crate::clock::now;
use crate::light_user::Reason;
use crate::load::Passage;
use crate::stage::{self, GREEN_LIMIT};
use crate::torture::chance::Chance;
use crate::torture::rig::{LIMIT, NOBODY, Rig};
use crate::torture::talks::Talk;
use crate::torture::{Plan, Tally};
use crate::witness::records;

/// Calls between two troubles, which nothing hits.
const CALLS: usize = 6;
const FIRST_PERSON: usize = 1_000;
/// Calls at once, far more than a line gets.
const CROWD: usize = 200;
const LONGEST_MS: usize = 3_000;
/// What a trouble began, it may take so long to be over.
const SETTLES: Duration = Duration::from_secs(1);
const BURIED: Duration = Duration::from_secs(36);

#[derive(Debug, Clone, Copy)]
enum Trouble {
    Kill,
    Resets,
    Stalls,
    PbxAway,
    Crowd,
    BadPath,
}

const TROUBLES: [Trouble; 6] =
    [Trouble::Kill, Trouble::Resets, Trouble::Stalls, Trouble::PbxAway, Trouble::Crowd, Trouble::BadPath];

pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut rig = Rig::open_by_detours(&[takes_many]).await?;
    let mut chance = Chance::new(plan.seed);
    let traffic = Traffic::begin(&rig, &mut chance)?;
    let mut seen = kills::Seen::default();
    let mut came = 0;
    let mut people = FIRST_PERSON;
    for number in 0..plan.amount {
        let trouble = *chance.pick(&TROUBLES);
        let lasts = Duration::from_millis(200 + chance.below(LONGEST_MS) as u64);
        if let Err(error) = makes(&mut rig, &traffic, &mut seen, trouble, lasts, &mut people).await {
            tally.fail(format!("trouble {number}, {trouble:?} of {lasts:?}: {error:#}"));
            restore(&rig);
            traffic.scene.freeze(false);
        }
        sleep(SETTLES).await;
        for _ in 0..CALLS {
            people += 1;
            match unhit(&rig, people).await {
                Ok(()) => came += 1,
                Err(error) => tally.fail(format!("a call after trouble {number}, {trouble:?}: {error:#}")),
            }
        }
        tally.amount += 1;
    }
    traffic.scene.freeze(false);
    let scene = Arc::clone(&traffic.scene);
    if let Err(error) = traffic.end(&rig).await {
        tally.fail(format!("{error:#}"));
    }
    let told = records(&mut rig.gateway.control().await?).await?;
    // Of a call that came and went while Telegram was away the line never heard.
    let account = rig.posts[0].line.account;
    let is_heard = |call: &CallInfo| scene.has(call) && !(call.callee == account && call.versions.is_empty());
    let calls: Vec<_> = rig.stage.world().calls().into_iter().filter(is_heard).collect();
    judge(&mut tally, &told, &calls, &scene.at_pbx());
    tally.note(&format!(
        "{came} of {} calls between troubles came about; {} calls in all, each with its record",
        plan.amount as usize * CALLS,
        told.len()
    ));
    sleep(BURIED).await;
    rig.kill().await?;
    rig.start().await?;
    rig.watch().await?;
    rig.close(&mut tally).await?;
    Ok(tally)
}

fn restore(rig: &Rig) {
    rig.posts[0].pbx.silence(false);
    for detour in &rig.detours {
        detour.set_passage(Passage::Open);
    }
}

/// Makes trouble and takes it away; the line is green then.
async fn makes(
    rig: &mut Rig,
    traffic: &Traffic,
    seen: &mut kills::Seen,
    trouble: Trouble,
    lasts: Duration,
    people: &mut usize,
) -> anyhow::Result<()> {
    let passage = |rig: &Rig, passage| rig.detours.iter().for_each(|detour| detour.set_passage(passage));
    match trouble {
        Trouble::Kill => {
            traffic.scene.freeze(true);
            kills::one(rig, &traffic.scene, seen, None).await?;
            traffic.release(rig, seen).await;
            traffic.scene.freeze(false);
        }
        Trouble::Resets => {
            passage(rig, Passage::Reset);
            sleep(lasts).await;
        }
        Trouble::Stalls => {
            passage(rig, Passage::Stalled);
            sleep(lasts).await;
        }
        Trouble::PbxAway => {
            rig.posts[0].pbx.silence(true);
            sleep(lasts).await;
        }
        Trouble::Crowd => {
            let mut crowd = Vec::new();
            for _ in 0..CROWD {
                crowd.push(rig.posts[0].pbx.call(NOBODY).await?);
            }
            for mut call in crowd {
                let answer = call.final_answer(LIMIT).await.context("one of a crowd")?;
                ensure!(matches!(answer.status(), Some(404 | 503)), "one of a crowd got {}", answer.start);
            }
        }
        Trouble::BadPath => {
            *people += 1;
            let talk = Talk::begin(rig, 0, *people * 2).await?;
            let bad = Treatment { loss: 0.1, duplicates: 0.05, reorder: 0.05, ..Treatment::default() };
            talk.wire.treat(bad);
            talk.user.treat(talk.call, bad).await;
            sleep(lasts).await;
            ensure!(!talk.wire.is_over(), "a call on a bad path was torn down");
            talk.end().await?;
        }
    }
    restore(rig);
    stage::green(&rig.gateway, &rig.posts[0].line, GREEN_LIMIT).await.map(drop)
}

/// A call that nothing hits: both hear each other, and it ends. The PBX's incoming calls are the traffic's.
async fn unhit(rig: &Rig, number: usize) -> anyhow::Result<()> {
    let mut talk = Talk::begin(rig, 0, number * 2).await?;
    let until = now() + LIMIT;
    while talk.heard_ms().contains(&0) {
        ensure!(now() < until, "heard {:?} ms", talk.heard_ms());
        sleep(Duration::from_millis(20)).await;
    }
    talk.user.hang_up(talk.call, Reason::Hangup).await;
    talk.wire.request("BYE", LIMIT).await.map(drop)
}
