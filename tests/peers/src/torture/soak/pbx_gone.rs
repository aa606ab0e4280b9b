//! T16: the PBX starts anew in the middle of calls, is gone for long, moves to another address, or would forget the line amid
//! calls. The people at Telegram are released by the limit of silence, and the line registers again as soon as the PBX is there,
//! with few words until then, and before it is forgotten.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tgtrunk_config::control::Ask;
use tgtrunk_config::{Change, LineDraft, Lines, StateDir};
use tokio::time::sleep;

use crate::clock::now;
use crate::light_user::{LightUser, Reason};
use crate::stage;
use crate::torture::chance::Chance;
use crate::torture::rig::{LIMIT, Rig, by_address};
use crate::torture::talks::{Balance, Talk, end_all};
use crate::torture::{Plan, Tally};
use crate::wire_pbx::{self, WirePbx};
use crate::wire_stage::PBX_HZ;

/// Calls at a time.
const CALLS: usize = 4;
/// The line's limit of silence, and how exactly it is kept.
const SILENCE_S: i64 = 5;
const EXACT: Duration = Duration::from_secs(1);
/// How soon the line is registered again after the PBX came back.
const BACK_LIMIT: Duration = Duration::from_secs(5);
/// How long the PBX is gone, and how long once in a whole run.
const GONE: Duration = Duration::from_secs(15);
const GONE_LONG: Duration = Duration::from_secs(300);
const WHOLE: u64 = 50;
/// How long the PBX knows the line.
const EXPIRES: Duration = Duration::from_secs(60);
/// The longest pause between two REGISTERs that are not answered, with what passes until the one before is given up, and how long
/// one is at least once there were some.
const LONGEST_PAUSE: Duration = Duration::from_secs(62);
const PAUSE_AT_LAST: Duration = Duration::from_secs(10);
/// So many REGISTERs a second are no storm (RFC 3261 repeats one for 32 s, each 4 s at last), and so many more at first.
const REGISTERS_A_SECOND: f64 = 0.5;
const REGISTERS_AT_FIRST: f64 = 12.0;
const LOOK: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Restart,
    Gone(Duration),
    Moves,
    Expires,
}

#[derive(Default)]
struct Seen {
    released: Duration,
    back: Duration,
    registers: f64,
    /// The longest pauses: between REGISTERs that nobody answered, and between those that were.
    pause: Duration,
    renewed: Duration,
}

pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut rig = Rig::open(&[registering]).await?;
    let mut chance = Chance::new(plan.seed);
    let mut seen = Seen::default();
    let mut people = 0;
    for number in 0..plan.amount {
        let trouble = match chance.below(6) {
            _ if plan.amount >= WHOLE && number == plan.amount / 2 => Trouble::Gone(GONE_LONG),
            _ if number < 4 => {
                [Trouble::Restart, Trouble::Gone(GONE), Trouble::Moves, Trouble::Expires][number as usize]
            }
            0 | 1 => Trouble::Restart,
            2 => Trouble::Gone(GONE),
            3 => Trouble::Expires,
            _ => Trouble::Moves,
        };
        if let Err(error) = one(&mut rig, trouble, people, &mut seen, &mut tally).await {
            tally.fail(format!("trouble {number}, {trouble:?}: {error:#}"));
        }
        people += CALLS;
        tally.amount += 1;
        if number == plan.amount / 2 {
            rig.warmed()?;
        }
    }
    tally.note(&format!(
        "people released {} ms after the limit of {SILENCE_S} s at most; registered again within {} ms of the PBX's return, \
         with {:.2} REGISTERs a second until then at most, {} ms apart at most; {} ms apart where they are answered",
        seen.released.as_millis(),
        seen.back.as_millis(),
        seen.registers,
        seen.pause.as_millis(),
        seen.renewed.as_millis()
    ));
    rig.remembers();
    rig.close(&mut tally).await?;
    Ok(tally)
}

fn registering(draft: LineDraft) -> LineDraft {
    by_address(draft)
        .set("media_timeout_s", SILENCE_S)
        .set("trunk", json!({ "register": true, "register_expires_s": EXPIRES.as_secs() }))
}

async fn one(
    rig: &mut Rig,
    trouble: Trouble,
    people: usize,
    seen: &mut Seen,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let mut talks = Vec::new();
    for number in 0..CALLS {
        talks.push(Talk::begin(rig, 0, people + number).await?);
    }
    sleep(Duration::from_millis(500)).await;
    match trouble {
        Trouble::Restart => {
            let pbx = &rig.posts[0].pbx;
            pbx.silence(true);
            let began = now();
            let people = talks.into_iter().map(|talk| talk.user).collect();
            sleep(EXACT).await;
            pbx.silence(false);
            released(people, began, seen).await
        }
        Trouble::Gone(gone) => {
            let pbx = &rig.posts[0].pbx;
            let before = pbx.registers().len();
            pbx.silence(true);
            let began = now();
            released(talks.into_iter().map(|talk| talk.user).collect(), began, seen).await?;
            sleep(gone.saturating_sub(now() - began)).await;
            let tried = (pbx.registers().len() - before) as f64;
            let passed = gone.as_secs_f64();
            seen.registers = seen.registers.max(tried / passed);
            ensure!(
                tried <= REGISTERS_AT_FIRST + passed * REGISTERS_A_SECOND,
                "{tried} REGISTERs in {passed} s"
            );
            let times = pbx.registers();
            let pauses = times[before..].windows(2).map(|pair| pair[1] - pair[0]);
            let longest = pauses.max().unwrap_or_default();
            seen.pause = seen.pause.max(longest);
            ensure!(longest <= LONGEST_PAUSE, "{longest:?} between two REGISTERs");
            ensure!(
                gone < GONE_LONG || longest >= PAUSE_AT_LAST,
                "no longer pause than {longest:?} in {gone:?} without an answer"
            );
            let before = pbx.registers().len();
            pbx.silence(false);
            registered(rig, before, seen).await
        }
        Trouble::Expires => {
            let balances: Vec<_> = talks.iter().map(Balance::of).collect();
            let pbx = &rig.posts[0].pbx;
            let before = pbx.registers();
            let last = before.last().context("the line never registered")?;
            let next = loop {
                if let Some(next) = pbx.registers().get(before.len()) {
                    break *next;
                }
                ensure!(last.elapsed() < EXPIRES, "not registered again within {EXPIRES:?}");
                sleep(LOOK).await;
            };
            seen.renewed = seen.renewed.max(next - *last);
            for (balance, talk) in balances.iter().zip(&talks) {
                balance.judge(talk, tally, "amid registrations");
            }
            end_all(talks).await?;
            rig.calls_both_ways(0).await.map(drop)
        }
        Trouble::Moves => {
            let phone = rig.posts[0].line.phone.parse()?;
            let pbx = WirePbx::switch_on(rig.posts[0].line.sip, wire_pbx::Options::playing(PBX_HZ)?).await?;
            let state = StateDir::open(&rig.stage.installation.state)?;
            Lines::change(&state, &phone, &[Change::new("pbx", pbx.sip.to_string())])?;
            let old = std::mem::replace(&mut rig.posts[0].pbx, pbx.into());
            old.silence(true);
            let began = now();
            let people = talks.into_iter().map(|talk| talk.user).collect();
            rig.gateway.control().await?.ask(Ask::Reload).await?;
            registered(rig, 0, seen).await?;
            released(people, began, seen).await
        }
    }
}

/// The people are told of the end in time.
async fn released(people: Vec<LightUser>, began: std::time::Instant, seen: &mut Seen) -> anyhow::Result<()> {
    let limit = Duration::from_secs(SILENCE_S.unsigned_abs());
    for mut person in people {
        let (reason, _) = person.discarded(limit + LIMIT).await.context("the other leg")?;
        let after = now() - began;
        seen.released = seen.released.max(after.saturating_sub(limit));
        ensure!(after <= limit + EXACT, "the other leg ended after {after:?}");
        ensure!(matches!(reason, Some(Reason::Disconnect | Reason::Hangup)), "the person saw {reason:?}");
    }
    Ok(())
}

/// The line registers at a PBX that came back, and calls pass both ways.
async fn registered(rig: &mut Rig, before: usize, seen: &mut Seen) -> anyhow::Result<()> {
    let began = now();
    while rig.posts[0].pbx.registers().len() == before {
        ensure!(now() - began <= BACK_LIMIT * 8, "not registered again within {:?}", now() - began);
        sleep(LOOK).await;
    }
    let took = now() - began;
    seen.back = seen.back.max(took);
    ensure!(took <= BACK_LIMIT, "registered again after {took:?}");
    stage::green(&rig.gateway, &rig.posts[0].line, BACK_LIMIT).await?;
    rig.calls_both_ways(0).await.map(drop)
}
