//! T27: the gateway is started anew with live calls, as an upgrade does it: no new calls, running ones go on until their people
//! end them or the grace is over, and the next gateway takes calls at once.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::sleep;

use crate::clock::now;
use crate::stage;
use crate::torture::chance::Chance;
use crate::torture::oracle::Footprint;
use crate::torture::rig::{LIMIT, Rig, by_address, phone_of};
use crate::torture::talks::{Balance, Talk};
use crate::torture::{Plan, Tally};

const CALLS: usize = 4;
/// The grace of every stage, and how exactly it is kept: goodbyes are said within it.
const GRACE: Duration = Duration::from_secs(2);
const EXACT: Duration = Duration::from_millis(2_500);
/// For so long nobody may call.
const DOWN_LIMIT: Duration = Duration::from_secs(2);
/// A PBX repeats its INVITE about so soon (RFC 3261 section 17.1.1.2).
const ANSWER: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Seen {
    ended: Duration,
    down: Duration,
    by_themselves: u64,
    by_grace: u64,
    /// What the first process that was started anew used beside its calls, and what the last one did.
    used: Option<(Footprint, Footprint)>,
}

pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut rig = Rig::open(&[by_address]).await?;
    let mut chance = Chance::new(plan.seed);
    let mut seen = Seen::default();
    for restart in 0..plan.amount {
        let people = restart as usize * (CALLS + 1);
        // All end before the grace is over in one case of three.
        let leave = chance.one_in(3);
        if let Err(error) = one(&mut rig, people, (leave, restart > 0), &mut seen, &mut tally).await {
            tally.fail(format!("restart {restart}: {error:#}"));
            rig.kill().await.ok();
            rig.start().await?;
            rig.watch().await?;
        }
        tally.amount += 1;
    }
    tally.note(&format!(
        "{} calls ended by their people, {} at the end of the grace; the program ended {} ms after its grace at most, and \
         another took calls {} ms later{}",
        seen.by_themselves,
        seen.by_grace,
        seen.ended.saturating_sub(GRACE).as_millis(),
        seen.down.as_millis(),
        seen.used.map_or_else(String::new, |(first, last)| {
            format!("; {} kB beside {CALLS} calls after the last start, {} kB after the first", last.resident_kb, first.resident_kb)
        })
    ));
    rig.close(&mut tally).await?;
    Ok(tally)
}

async fn one(
    rig: &mut Rig,
    people: usize,
    (leave, is_anew): (bool, bool),
    seen: &mut Seen,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut talks = Vec::new();
    for number in 0..CALLS {
        talks.push(Talk::begin(rig, 0, people + number).await?);
    }
    sleep(Duration::from_millis(500)).await;
    let balances: Vec<_> = talks.iter().map(Balance::of).collect();
    if is_anew {
        let used = Footprint::of(rig.pid)?;
        let (first, last) = seen.used.get_or_insert((used, used));
        *last = used;
        tally.hold(used.is_level(first), || {
            format!("{used:?} beside {CALLS} calls, {first:?} after a start before")
        });
    }
    let pbx = std::sync::Arc::clone(&rig.posts[0].pbx);
    let began = now();
    rig.gateway.ask_to_end()?;
    sleep(Duration::from_millis(100)).await;
    let mut refused = pbx.call(&phone_of(people + CALLS)).await?;
    let answer = refused.final_answer(Duration::from_secs(1)).await.context("a new call meanwhile")?;
    ensure!(answer.status() == Some(503), "a new call meanwhile: {}", answer.start);
    sleep(GRACE / 2).await;
    for (balance, talk) in balances.iter().zip(&talks) {
        balance.judge(talk, tally, "in the grace");
    }
    if leave {
        for talk in talks {
            talk.end().await?;
            seen.by_themselves += 1;
        }
    } else {
        for mut talk in talks {
            talk.wire.request("BYE", GRACE + EXACT).await.context("the PBX's goodbye")?;
            talk.user.discarded(LIMIT).await.context("the person's goodbye")?;
            seen.by_grace += 1;
        }
    }
    let status = rig.gateway.ended(GRACE + EXACT).await?;
    let (ended, took) = (now(), now() - began);
    ensure!(status.success(), "it ended with {status}");
    ensure!(took <= GRACE + EXACT, "it ended after {took:?}");
    seen.ended = seen.ended.max(took);
    rig.start().await?;
    loop {
        let mut call = pbx.call(crate::torture::rig::NOBODY).await?;
        // Whoever asks Telegram whose number that is takes calls.
        let answer = call.final_answer(ANSWER).await;
        if answer.is_ok_and(|answer| answer.status() == Some(404)) {
            break;
        }
        ensure!(now() - ended <= LIMIT, "no calls {:?} after the end", now() - ended);
        sleep(LOOK).await;
    }
    let down = now() - ended;
    seen.down = seen.down.max(down);
    ensure!(down <= DOWN_LIMIT, "no calls for {down:?}");
    stage::green(&rig.gateway, &rig.posts[0].line, stage::GREEN_LIMIT).await?;
    rig.watch().await
}
