//! Hang-ups, answers and cancels that meet on their way.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::world::Stage as Progress;
use tgtrunk_tests::light_user::{Answering, Event, LightUser, Reason};
use tgtrunk_tests::stories::Stories;
use tgtrunk_tests::wire_stage::{Post, WireStage, phone_of};
use tokio::time::sleep;

use crate::talk::{END_LIMIT, LIMIT, ended_at_telegram, open, talk};

/// How often each crossing is tried, each time a little differently.
const REPEATS: usize = 60;
const ALICE: usize = 1;

#[tokio::test(flavor = "multi_thread")]
async fn hang_ups_answers_and_cancels_may_cross_in_any_order() {
    let scene = open("+79060001001").await.unwrap();
    let mut posts = Vec::new();
    for number in 2..=5 {
        posts.push(scene.post(&format!("+7906000100{number}"), |draft| draft).await.unwrap());
    }
    scene.reload(&posts.iter().collect::<Vec<_>>()).await.unwrap();
    let scene = Arc::new(scene);
    let mut stories = Stories::default();
    let mut post = || posts.pop().unwrap();
    let it = || Arc::clone(&scene);
    stories.begin("a caller gives up while the PBX rings", caller_gives_up(it(), scene.post.clone()));
    stories.begin("both hang up, the PBX called", both_hang_up(it(), post(), ALICE + 1, true));
    stories.begin("both hang up, Telegram called", both_hang_up(it(), post(), ALICE + 2, false));
    stories.begin("the PBX cancels while Telegram answers", cancel_meets_answer(it(), post(), ALICE + 3));
    stories.begin("Telegram gives up while the PBX answers", give_up_meets_200(it(), post(), ALICE + 4));
    stories.end().await.unwrap();
    let open = scene.world().calls().into_iter().filter(|call| call.stage != Progress::Ended).count();
    assert_eq!(open, 0, "calls are left at Telegram");
    Arc::into_inner(scene).unwrap().close().await.unwrap();
}

async fn caller_gives_up(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let user = scene.person(ALICE, Answering::Silent)?;
    for reason in [Reason::Missed, Reason::Hangup, Reason::Busy] {
        let telegram = user.call(post.line.account).await?;
        let mut call = post.pbx.incoming(LIMIT).await?;
        call.respond(180, "Ringing", &[]);
        sleep(Duration::from_millis(50)).await;
        user.hang_up(telegram, reason).await;
        let cancel = call.request("CANCEL", END_LIMIT).await?;
        let told: Vec<&str> = cancel.all("Reason").collect();
        ensure!(told == ["Q.850;cause=16;text=\"Normal call clearing\""], "CANCEL says {told:?}");
        call.request("ACK", END_LIMIT).await.context("the ACK of our 487")?;
        scene.no_calls_of(&post.line).await?;
    }
    // Given up before the PBX said a word: the CANCEL waits for it (RFC 3261 section 9.1).
    let telegram = user.call(post.line.account).await?;
    let mut call = post.pbx.incoming(LIMIT).await?;
    user.hang_up(telegram, Reason::Missed).await;
    sleep(Duration::from_millis(200)).await;
    ensure!(call.seen().iter().all(|message| message.method() != Some("CANCEL")), "CANCEL came too early");
    call.respond(180, "Ringing", &[]);
    call.request("CANCEL", END_LIMIT).await?;
    call.request("ACK", END_LIMIT).await?;
    scene.no_calls_of(&post.line).await?;
    Ok(())
}

async fn both_hang_up(
    scene: Arc<WireStage>,
    post: Post,
    person: usize,
    pbx_calls: bool,
) -> anyhow::Result<()> {
    let mut user = scene.person(person, Answering::After(Duration::ZERO))?;
    let mut jitter = Jitter(7);
    for round in 0..REPEATS {
        let (call, telegram) = talk(&post, &mut user, person, pbx_calls).await?;
        let (mut call, at_pbx, at_user) = (call, jitter.below(4), jitter.below(4));
        tokio::join!(
            async {
                sleep(at_pbx).await;
                call.bye(&[]);
            },
            async {
                sleep(at_user).await;
                user.hang_up(telegram, Reason::Hangup).await;
            }
        );
        let answer = call.wait_for("answer to BYE", END_LIMIT, |message| {
            message.cseq().1 == "BYE" && message.status().is_some()
        });
        let status = answer.await.with_context(|| format!("round {round}"))?.status();
        ensure!(status == Some(200) || status == Some(481), "BYE is answered {status:?}");
        ended_at_telegram(&scene, telegram).await?;
        scene.no_calls_of(&post.line).await?;
    }
    Ok(())
}

async fn cancel_meets_answer(scene: Arc<WireStage>, post: Post, person: usize) -> anyhow::Result<()> {
    let mut user = scene.person(person, Answering::Rings)?;
    let mut jitter = Jitter(11);
    let (mut cancelled, mut answered) = (0, 0);
    for round in 0..REPEATS {
        let mut call = post.pbx.call(&phone_of(person)).await?;
        let telegram = incoming(&mut user).await?;
        call.rings(LIMIT).await?;
        // From the user's answer to the 200 some 20 ms pass.
        let (at_user, at_pbx) = (jitter.below(10), jitter.below(60));
        tokio::join!(
            async {
                sleep(at_user).await;
                user.answer(telegram).await;
            },
            async {
                sleep(at_pbx).await;
                if !call.has_answer() {
                    call.cancel(&[]);
                }
            }
        );
        let answer = call.final_answer(LIMIT).await.with_context(|| format!("round {round}"))?;
        match answer.status() {
            Some(487) => cancelled += 1,
            Some(200) => {
                answered += 1;
                call.bye(&[]);
                call.wait_for("200 to BYE", END_LIMIT, |message| {
                    message.cseq().1 == "BYE" && message.status() == Some(200)
                })
                .await?;
            }
            _ => anyhow::bail!("round {round}: {}", answer.start),
        }
        ended_at_telegram(&scene, telegram).await.with_context(|| format!("round {round}"))?;
        let (reason, _) = user.discarded(END_LIMIT).await.with_context(|| format!("round {round}"))?;
        ensure!(matches!(reason, Some(Reason::Missed | Reason::Hangup)), "the user saw {reason:?}");
        scene.no_calls_of(&post.line).await?;
    }
    ensure!(cancelled > 2 && answered > 2, "no race: {cancelled} cancelled and {answered} answered");
    Ok(())
}

async fn give_up_meets_200(scene: Arc<WireStage>, post: Post, person: usize) -> anyhow::Result<()> {
    let user = scene.person(person, Answering::Silent)?;
    let mut jitter = Jitter(13);
    let (mut too_late, mut answered) = (0, 0);
    for round in 0..REPEATS {
        let telegram = user.call(post.line.account).await?;
        let mut call = post.pbx.incoming(LIMIT).await?;
        call.respond(180, "Ringing", &[]);
        let (at_user, at_pbx) = (jitter.below(8), jitter.below(8));
        let (_, sent) = tokio::join!(
            async {
                sleep(at_user).await;
                user.hang_up(telegram, Reason::Missed).await;
            },
            async {
                sleep(at_pbx).await;
                call.answer()
            }
        );
        if sent? {
            // Whether or not a CANCEL crossed it: the 200 is acknowledged, and the call ended in its dialog.
            answered += 1;
            call.request("ACK", END_LIMIT).await.with_context(|| format!("round {round}"))?;
            call.request("BYE", END_LIMIT).await.with_context(|| format!("round {round}"))?;
        } else {
            too_late += 1;
            call.request("CANCEL", END_LIMIT).await?;
            call.request("ACK", END_LIMIT).await.context("the ACK of our 487")?;
        }
        ended_at_telegram(&scene, telegram).await?;
        scene.no_calls_of(&post.line).await?;
    }
    ensure!(too_late > 2 && answered > 2, "no race: {too_late} cancelled and {answered} answered");
    Ok(())
}

async fn incoming(user: &mut LightUser) -> anyhow::Result<i64> {
    user.wait_for("incoming call", LIMIT, |event| match event {
        Event::Incoming { call, .. } => Some(*call),
        _ => None,
    })
    .await
}

/// Pauses that differ from round to round, and not from run to run.
struct Jitter(u64);

impl Jitter {
    /// Up to so many milliseconds (Lehmer's generator).
    fn below(&mut self, ms: u64) -> Duration {
        self.0 = self.0 * 48_271 % 0x7fff_ffff;
        Duration::from_micros(self.0 % (ms * 1000))
    }
}
