//! T11: calls of a PBX on a path that loses three of ten packets each way: CANCEL that crosses the answer, re-INVITEs that cross
//! each other, answers that nobody acknowledges, BYE of a call that is over. Each request gets one final answer, and of no call
//! anything is left.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::json;
use tgtrunk_config::LineDraft;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::chance::Chance;
use super::lossy::{LossyCall, Path, T1};
use super::mouth::stranger;
use super::rig::{NOBODY, Rig, by_address, phone_of};
use super::{Plan, Tally};
use crate::clock::now;
use crate::light_user::Answering;

const NEIGHBOUR: u8 = 11;
/// What becomes of datagrams each way.
const PATH: Path = Path { loses: 30, repeats: 5, holds_back: 5 };
/// Calls at once.
const AT_ONCE: usize = 100;
/// How long people let it ring.
const RINGS_MS: [u64; 6] = [0, 0, 100, 300, 600, 1_500];

/// How a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    /// Answered, talked, hung up by us.
    Talks,
    /// Nobody has that number.
    Nobody,
    /// Given up after a moment, which may be the moment of the answer.
    GivesUp,
    /// The answer is never acknowledged: the line gives up and hangs up.
    NeverAcknowledges,
    /// Two offers at once.
    Glare,
    /// Hung up twice.
    HangsUpTwice,
}

const STORIES: [Story; 12] = [
    Story::Talks,
    Story::Talks,
    Story::Talks,
    Story::Nobody,
    Story::Nobody,
    Story::GivesUp,
    Story::GivesUp,
    Story::GivesUp,
    Story::Glare,
    Story::Glare,
    Story::HangsUpTwice,
    Story::NeverAcknowledges,
];

/// Places so many calls.
pub(super) async fn run(plan: Plan) -> anyhow::Result<Tally> {
    let mut rig = Rig::open(&[with_neighbour]).await?;
    rig.remembers();
    let line = rig.posts[0].line.sip;
    let mut people = Vec::new();
    for number in 1..=AT_ONCE {
        let rings = Duration::from_millis(RINGS_MS[number % RINGS_MS.len()]);
        people.push(rig.person(number, Answering::After(rings))?);
    }
    // Who is in a call is busy for others.
    let idle = Arc::new(Mutex::new((1..=AT_ONCE).collect::<VecDeque<usize>>()));
    let mut tally = Tally::default();
    let mut chance = Chance::new(plan.seed);
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let (mut calls, began) = (JoinSet::new(), now());
    let (mut answers, mut slowest) = (BTreeMap::new(), Duration::ZERO);
    for number in 0..plan.amount {
        let place = Arc::clone(&places).acquire_owned().await?;
        let (seed, story) = (chance.next(), *chance.pick(&STORIES));
        let person = lock(&idle).pop_front().unwrap_or(1);
        let user = if story == Story::Nobody { NOBODY.to_owned() } else { phone_of(person) };
        let call = LossyCall::open(stranger(NEIGHBOUR), line, &user, PATH, seed).await?;
        let idle = Arc::clone(&idle);
        calls.spawn(async move {
            let told = tell(call, story).await;
            lock(&idle).push_back(person);
            drop(place);
            (story, seed, told)
        });
        if number == plan.amount / 2 {
            rig.warmed()?;
        }
        while let Some(Ok(call)) = calls.try_join_next() {
            take(call, &mut tally, &mut answers, &mut slowest);
        }
    }
    while let Some(call) = calls.join_next().await {
        take(call?, &mut tally, &mut answers, &mut slowest);
    }
    tally.note(&format!(
        "answers {answers:?} (0: all copies of the INVITE or of its answer lost), in {} s, the slowest call took {:.1} s",
        (now() - began).as_secs(),
        slowest.as_secs_f64()
    ));
    // Seven copies of an INVITE are lost once in 4,600 calls.
    let swallowed = answers.remove(&0).unwrap_or_default();
    if swallowed > 2 + plan.amount / 1_000 {
        tally.fail(format!("{swallowed} INVITEs had no final answer that arrived"));
    }
    drop(people);
    rig.close(&mut tally).await?;
    Ok(tally)
}

fn with_neighbour(draft: LineDraft) -> LineDraft {
    by_address(draft).set("allowed_sources", json!([stranger(NEIGHBOUR).to_string()]))
}

/// What came of a call.
struct Told {
    status: Option<u16>,
    took: Duration,
    complaints: Vec<String>,
}

fn take(
    (story, seed, told): (Story, u64, Told),
    tally: &mut Tally,
    answers: &mut BTreeMap<u16, u64>,
    slowest: &mut Duration,
) {
    tally.amount += 1;
    *answers.entry(told.status.unwrap_or_default()).or_default() += 1;
    *slowest = told.took.max(*slowest);
    for complaint in told.complaints {
        tally.fail(format!("{story:?}, seed {seed}: {complaint}"));
    }
}

/// Leads a call to its end.
async fn tell(mut call: LossyCall, story: Story) -> Told {
    let began = now();
    let mut complaints = Vec::new();
    call.acknowledges = story != Story::NeverAcknowledges;
    let (invite, first) = call.request("INVITE");
    let status = if story == Story::GivesUp {
        give_up(&mut call, &invite, first).await
    } else {
        call.ask(&invite, first, "INVITE").await
    };
    match status {
        None if call.is_swallowed(first, "INVITE") => {}
        None => complaints.push("INVITE without a final answer".to_owned()),
        Some(200) => {
            let pause = Duration::from_millis(call.chance.below(400) as u64);
            call.listen(now() + pause).await;
            match story {
                Story::NeverAcknowledges => {
                    // The line hangs up once it has repeated its answer for 64 times T1 (RFC 3261 section 13.3.1.4).
                    let until = now() + T1 * 64 + T1 * 24;
                    while !call.is_over && now() < until {
                        call.listen(until.min(now() + T1)).await;
                    }
                    if !call.is_over && !call.is_bye_swallowed() {
                        complaints.push("an answer that nobody acknowledged is never taken back".to_owned());
                    }
                }
                Story::Glare => {
                    let ((one, number), (other, next)) = (call.request("INVITE"), call.request("INVITE"));
                    call.say(&other).await;
                    for (text, cseq) in [(one, number), (other, next)] {
                        let status = call.ask(&text, cseq, "INVITE").await;
                        let is_lost = status.is_none() && call.is_swallowed(cseq, "INVITE");
                        if !is_lost && !matches!(status, Some(200 | 491 | 500)) {
                            complaints.push(format!("one of two offers got {status:?}"));
                        }
                    }
                }
                Story::Talks | Story::Nobody | Story::GivesUp | Story::HangsUpTwice => {}
            }
            if story != Story::NeverAcknowledges {
                hang_up(&mut call, &mut complaints).await;
            }
            if story == Story::HangsUpTwice {
                hang_up(&mut call, &mut complaints).await;
            }
        }
        Some(404 | 480 | 486 | 487 | 500 | 603) => {}
        Some(status) => complaints.push(format!("INVITE got {status}")),
    }
    // Copies of answers are still on their way.
    call.listen(now() + T1).await;
    if call.doubled() > 0 {
        complaints.push(format!("{} requests got two final answers", call.doubled()));
    }
    Told { status, took: now() - began, complaints }
}

/// Calls, and gives up once the line has said anything, at once or a moment later.
async fn give_up(call: &mut LossyCall, invite: &str, cseq: u32) -> Option<u16> {
    let patience = now() + Duration::from_millis(call.chance.below(1_200) as u64);
    let until = now() + T1 * 64;
    let (mut again, mut pause, mut proceeds, mut cancelled) = (now(), T1, false, false);
    let cancel = call.cancel();
    while now() < until {
        if let Some(status) = call.final_of(cseq, "INVITE") {
            return Some(status);
        }
        if now() >= again {
            if !proceeds {
                call.say(invite).await;
            } else if now() >= patience && call.final_of(cseq, "CANCEL").is_none() {
                call.say(&cancel).await;
                pause = if cancelled { (pause * 2).min(T1 * 8) } else { T1 };
                cancelled = true;
            }
            again = now() + pause;
        }
        proceeds |= call.listen(again.min(now() + T1 / 5)).await.is_some();
    }
    call.final_of(cseq, "INVITE")
}

async fn hang_up(call: &mut LossyCall, complaints: &mut Vec<String>) {
    let (bye, cseq) = call.request("BYE");
    let status = call.ask(&bye, cseq, "BYE").await;
    let is_lost = status.is_none() && call.is_swallowed(cseq, "BYE");
    if !is_lost && !matches!(status, Some(200 | 481)) {
        complaints.push(format!("BYE got {status:?}"));
    }
}

fn lock(idle: &Mutex<VecDeque<usize>>) -> MutexGuard<'_, VecDeque<usize>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
