//! T15: Telegram goes away in the middle of calls: its connections are reset, nothing comes by them, it wants no calls for a
//! while, it takes the key away. Sound needs none of it and goes on; who hangs up meanwhile is heard afterwards.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::world::{Action, Match};
use tokio::time::sleep;

use crate::clock::now;
use crate::light_user::{Answering, Reason};
use crate::load::Passage;
use crate::stage;
use crate::torture::chance::Chance;
use crate::torture::rig::{LIMIT, Rig, by_address, phone_of};
use crate::torture::talks::{Balance, Talk};
use crate::torture::{Plan, Tally};

/// Calls at a time.
const CALLS: usize = 20;
const FEW_CALLS: usize = 6;
/// From so many troubles on it is a whole run.
const WHOLE: u64 = 20;
/// How soon the line calls again after Telegram came back.
const BACK_LIMIT: Duration = Duration::from_secs(5);
/// A wait that Telegram asks for.
const FLOOD_S: u32 = 3;
const LOOK: Duration = Duration::from_millis(20);

/// What Telegram does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Reset,
    /// For so many seconds.
    Refuses(u64),
    Stalls(u64),
    Flood,
}

/// What troubles came to.
#[derive(Default)]
struct Seen {
    /// The slowest: calling again, telling of a hang-up.
    back: Duration,
    told: Duration,
    floods: u64,
}

pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut rig = Rig::open_by_detours(&[by_address]).await?;
    let mut chance = Chance::new(plan.seed);
    let is_whole = plan.amount >= WHOLE;
    let calls = if is_whole { CALLS } else { FEW_CALLS };
    let mut talks = Vec::new();
    for number in 0..calls {
        talks.push(settled(Talk::begin(&rig, 0, number).await?).await?);
    }
    let kinds = [Trouble::Reset, Trouble::Stalls(1), Trouble::Refuses(3), Trouble::Flood];
    let mut seen = Seen::default();
    for number in 0..plan.amount {
        let trouble = match chance.below(10) {
            0 if is_whole => Trouble::Stalls(30),
            1 if is_whole => Trouble::Refuses(30),
            _ => kinds[number as usize % kinds.len()],
        };
        let at = chance.below(talks.len());
        let (balance, talk) = talks.swap_remove(at);
        balance.judge(&talk, &mut tally, &format!("before trouble {number}"));
        let another =
            async { settled(one(&rig, trouble, calls + number as usize, talk, &mut seen).await?).await };
        match another.await {
            Ok(talk) => talks.push(talk),
            Err(error) => {
                tally.fail(format!("trouble {number}, {trouble:?}: {error:#}"));
                open(&rig, Passage::Open);
                stage::logged_in(&rig.gateway, &rig.posts[0].line, LIMIT * 2).await?;
            }
        }
        for (balance, talk) in &talks {
            balance.judge(talk, &mut tally, &format!("trouble {number}, {trouble:?}"));
        }
        tally.amount += 1;
        // Each connection has two buffers of a megabyte. What is left of former ones stays with the allocator, in pieces: memory
        // rises with the first few and is level when it finds room for the next ones among them. A leak goes on.
        if number == plan.amount / 2 {
            rig.warmed()?;
        }
    }
    if is_whole {
        rig.memory_is_level(&mut tally)?;
    }
    let all = talks.into_iter().map(|(_, talk)| talk);
    if let Err(error) = loses_its_key(&rig, all.collect()).await {
        tally.fail(format!("a key that is revoked: {error:#}"));
    }
    // A login happens once, and needs what it needs.
    rig.warmed()?;
    tally.note(&format!(
        "{calls} calls; calling again within {} ms of Telegram's return, hang-ups told within {} ms of it, {} flood waits kept; \
         at most 180 ms of sound under way",
        seen.back.as_millis(),
        seen.told.as_millis(),
        seen.floods
    ));
    rig.close(&mut tally).await?;
    Ok(tally)
}

fn open(rig: &Rig, passage: Passage) {
    for detour in &rig.detours {
        detour.set_passage(passage);
    }
}

/// Telegram makes trouble, one call ends meanwhile, and another one comes about once it is over.
async fn one(
    rig: &Rig,
    trouble: Trouble,
    number: usize,
    mut talk: Talk,
    seen: &mut Seen,
) -> anyhow::Result<Talk> {
    let post = &rig.posts[0];
    match trouble {
        Trouble::Reset => {
            open(rig, Passage::Reset);
            sleep(LOOK).await;
        }
        Trouble::Refuses(seconds) | Trouble::Stalls(seconds) => {
            let is_reset = trouble == Trouble::Refuses(seconds);
            open(rig, if is_reset { Passage::Reset } else { Passage::Stalled });
            sleep(Duration::from_secs(seconds) / 2).await;
            talk.wire.bye(&[]);
            sleep(Duration::from_secs(seconds) / 2).await;
        }
        Trouble::Flood => return flood(rig, number, talk, seen).await,
    }
    let began = now();
    open(rig, Passage::Open);
    if trouble == Trouble::Reset {
        talk.wire.bye(&[]);
    }
    let (reason, _) = talk.user.discarded(LIMIT).await.context("the hang-up")?;
    seen.told = seen.told.max(now() - began);
    ensure!(reason == Some(Reason::Hangup), "the person saw {reason:?}");
    ensure!(now() - began <= BACK_LIMIT, "the hang-up was told after {:?}", now() - began);
    let user = rig.person(number, Answering::After(Duration::ZERO))?;
    let talk = loop {
        let mut wire = post.pbx.call(&phone_of(number)).await?;
        let answer = wire.final_answer(LIMIT).await?;
        if answer.status() == Some(200) {
            break Talk::of(user, wire).await?;
        }
        let passed = now() - began;
        ensure!(passed < BACK_LIMIT, "{} after {passed:?}", answer.start);
        sleep(LOOK).await;
    };
    seen.back = seen.back.max(now() - began);
    ensure!(now() - began <= BACK_LIMIT, "called again after {:?}", now() - began);
    Ok(talk)
}

/// Telegram wants no calls for a while: nothing is asked of it so long, the PBX is told for how long, and afterwards it calls.
async fn flood(rig: &Rig, number: usize, talk: Talk, seen: &mut Seen) -> anyhow::Result<Talk> {
    let post = &rig.posts[0];
    let account = post.line.account;
    let user = rig.person(number, Answering::After(Duration::ZERO))?;
    let error = Action::Error { code: 420, message: format!("FLOOD_WAIT_{FLOOD_S}") };
    rig.stage.world().add_fault(Match::method("phone.requestCall").user(account).once(), error);
    let asked = || rig.stage.world().count(account, "phone.requestCall");
    let before = asked();
    let began = now();
    let wait = Duration::from_secs(FLOOD_S.into());
    loop {
        let mut wire = post.pbx.call(&phone_of(number)).await?;
        let answer = wire.final_answer(LIMIT).await?;
        let passed = now() - began;
        if answer.status() == Some(200) {
            ensure!(passed >= wait, "called after {passed:?} of a wait of {wait:?}");
            ensure!(passed <= wait + BACK_LIMIT, "called after {passed:?} of a wait of {wait:?}");
            seen.floods += 1;
            talk.end().await?;
            return Talk::of(user, wire).await;
        }
        ensure!(answer.status() == Some(503), "{} meanwhile", answer.start);
        let told = answer.header("Retry-After").and_then(|told| told.parse().ok()).unwrap_or(0_u64);
        ensure!(
            told > 0 && passed + Duration::from_secs(told) + Duration::from_secs(1) >= wait,
            "Retry-After {told}"
        );
        // The first try is the one that is told to wait.
        ensure!(asked() <= before + 1, "asked {} times", asked() - before);
        ensure!(passed <= wait + BACK_LIMIT, "{} after {passed:?}", answer.start);
        sleep(Duration::from_millis(200)).await;
    }
}

/// Telegram takes the key away: whoever threw the device out has ended its calls, which the PBX is told at once, and the line
/// comes back with another key.
async fn loses_its_key(rig: &Rig, talks: Vec<Talk>) -> anyhow::Result<()> {
    let line = &rig.posts[0].line;
    rig.stage.world().revoke_user(line.account, "AUTH_KEY_UNREGISTERED");
    let began = now();
    for mut talk in talks {
        let bye = talk.wire.request("BYE", BACK_LIMIT.saturating_sub(now() - began)).await?;
        let reason = bye.header("Reason").unwrap_or_default();
        ensure!(reason.starts_with("Q.850;cause=38;"), "BYE says {reason:?}");
        // The line cannot say so any more: the person hears nothing, and hangs up.
        talk.user.hang_up(talk.call, Reason::Hangup).await;
    }
    rig.stage.log_in(line).await.context("a new login")?;
    stage::logged_in(&rig.gateway, line, LIMIT * 2).await.map(drop)
}

/// Waits until both ends of a new call hear each other: what is lost before is nobody's loss.
async fn settled(talk: Talk) -> anyhow::Result<(Balance, Talk)> {
    let until = now() + BACK_LIMIT;
    while talk.heard_ms().contains(&0) {
        ensure!(now() < until, "nothing is heard: {:?}", talk.heard_ms());
        sleep(LOOK).await;
    }
    sleep(Duration::from_millis(200)).await;
    Ok((Balance::of(&talk), talk))
}
