//! Far ends and connections that go in mid-call, for good or for a while.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::world::{Action, Match};
use tgtrunk_tests::light_user::{Answering, LightUser, Reason};
use tgtrunk_tests::measure::Way;
use tgtrunk_tests::stage::GREEN_LIMIT;
use tgtrunk_tests::stories::Stories;
use tgtrunk_tests::wire_pbx::WireCall;
use tgtrunk_tests::wire_stage::{PBX_HZ, Post, USER_HZ, WireStage};
use tokio::time::{Instant, sleep};

use crate::talk::{END_LIMIT, LIMIT, ended_at_telegram, open, talk, talk_muted};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_vanishes_in_mid_call_releases_the_other_within_its_timer() {
    let scene = open("+79060002001").await.unwrap();
    let brief = scene.post("+79060002002", |draft| draft.set("media_timeout_s", 5)).await.unwrap();
    let mute = scene.post("+79060002003", |draft| draft).await.unwrap();
    let gone = scene.post("+79060002004", |draft| draft).await.unwrap();
    let dropped = scene.post("+79060002005", |draft| draft).await.unwrap();
    let deaf = scene.post("+79060002006", |draft| draft).await.unwrap();
    let away = scene.post("+79060002007", |draft| draft).await.unwrap();
    let out = scene.post("+79060002008", |draft| draft).await.unwrap();
    scene.reload(&[&brief, &mute, &gone, &dropped, &deaf, &away, &out]).await.unwrap();
    let scene = Arc::new(scene);
    let mut stories = Stories::default();
    let it = || Arc::clone(&scene);
    stories.begin("the PBX loses power", pbx_vanishes(it(), brief));
    stories.begin("a BYE that nobody answers", bye_unanswered(it(), mute));
    stories.begin("the Telegram user loses power", user_vanishes(it(), gone));
    stories.begin("the Telegram connection drops and comes back", connection_drops(it(), dropped));
    stories.begin("the Telegram connection turns deaf and comes back", connection_turns_deaf(it(), deaf));
    stories.begin("the PBX hangs up while Telegram is away", pbx_leaves_in_an_outage(it(), away));
    stories.begin("the user hangs up while Telegram is away", user_leaves_in_an_outage(it(), out));
    stories.end().await.unwrap();
    Arc::into_inner(scene).unwrap().close().await.unwrap();
}

/// No RTP for `media_timeout_s`, no answer to anything.
async fn pbx_vanishes(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    for (person, pbx_calls) in [(20, true), (21, false)] {
        let mut user = scene.person(person, Answering::After(Duration::ZERO))?;
        let (call, _) = talk(&post, &mut user, person, pbx_calls).await?;
        sleep(Duration::from_secs(1)).await;
        post.pbx.silence(true);
        call.mute(true);
        let began = Instant::now();
        let (reason, duration_s) = user.discarded(LIMIT).await?;
        let waited = began.elapsed();
        ensure!(reason == Some(Reason::Disconnect), "the user saw {reason:?}");
        ensure!((4500..7000).contains(&waited.as_millis()), "5 s of silence were noticed after {waited:?}");
        ensure!((5..=8).contains(&duration_s), "the call lasted {duration_s} s");
        scene.no_calls_of(&post.line).await?;
        // The next caller finds the line in order.
        post.pbx.silence(false);
        post.pbx.line_answers(200, LIMIT).await?;
    }
    Ok(())
}

async fn bye_unanswered(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut user = scene.person(30, Answering::After(Duration::ZERO))?;
    let (_call, telegram) = talk(&post, &mut user, 30, true).await?;
    post.pbx.silence(true);
    user.hang_up(telegram, Reason::Hangup).await;
    ended_at_telegram(&scene, telegram).await?;
    let left = scene.no_calls_of(&post.line).await?;
    ensure!(left < END_LIMIT, "the call was listed for another {left:?}");
    // It is said again nevertheless: after 0.5, 1.5 and 3.5 s (timer E, RFC 3261 section 17.1.2.2).
    sleep(Duration::from_secs(5)).await;
    let unheard = post.pbx.unheard();
    let byes = unheard.iter().filter(|line| line.starts_with("BYE ")).count();
    ensure!(byes == 4, "BYE was said {byes} times in 5 s");
    post.pbx.silence(false);
    Ok(())
}

/// ICE consent ends: the pair is lost after 8 s of silence, the call 20 s after the last word.
async fn user_vanishes(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut user = scene.person(40, Answering::After(Duration::ZERO))?;
    let (mut call, telegram) = talk(&post, &mut user, 40, true).await?;
    user.vanish().await;
    let began = Instant::now();
    let bye = call.request("BYE", Duration::from_secs(32)).await?;
    let waited = began.elapsed();
    ensure!((18..26).contains(&waited.as_secs()), "the user's absence was noticed after {waited:?}");
    let reason = bye.header("Reason").unwrap_or_default();
    ensure!(reason.starts_with("Q.850;cause=41;"), "BYE says {reason:?}");
    ended_at_telegram(&scene, telegram).await?;
    scene.no_calls_of(&post.line).await?;
    Ok(())
}

/// The connection is closed, and the next tries are too. The sound needs none of it.
async fn connection_drops(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    for (person, pbx_calls) in [(50, true), (51, false)] {
        let mut user = scene.person(person, Answering::After(Duration::ZERO))?;
        let (mut call, telegram) = talk_muted(&post, &mut user, person, pbx_calls).await?;
        user.mute(false).await;
        call.mute(false);
        sleep(Duration::from_secs(1)).await;
        let refusals = Match { times: Some(3), ..Match::default().user(post.line.account) };
        let fault = scene.world().add_fault(refusals, Action::Close);
        scene.world().drop_connections(post.line.account);
        scene.wait_for_lamp(&post.line, "Orange", LIMIT).await?;
        scene.wait_for_lamp(&post.line, "Green", GREEN_LIMIT).await?;
        scene.world().remove_fault(fault);
        sleep(Duration::from_secs(1)).await;
        sound_was_whole(&call, &user, telegram).await?;
        // The call is still both sides' to end.
        let began = Instant::now();
        if pbx_calls {
            user.hang_up(telegram, Reason::Hangup).await;
            call.request("BYE", END_LIMIT).await?;
        } else {
            call.bye(&[]);
            ensure!(user.discarded(END_LIMIT).await?.0 == Some(Reason::Hangup), "a hang-up was seen");
        }
        ensure!(began.elapsed() < END_LIMIT, "the end took {:?}", began.elapsed());
        scene.no_calls_of(&post.line).await?;
    }
    Ok(())
}

/// Nothing is answered on the connection any more; only a watchdog notices.
async fn connection_turns_deaf(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut user = scene.person(60, Answering::After(Duration::ZERO))?;
    let (mut call, telegram) = talk_muted(&post, &mut user, 60, true).await?;
    user.mute(false).await;
    call.mute(false);
    sleep(Duration::from_secs(1)).await;
    scene.world().black_hole(post.line.account);
    scene.wait_for_lamp(&post.line, "Orange", Duration::from_secs(60)).await?;
    scene.wait_for_lamp(&post.line, "Green", GREEN_LIMIT).await?;
    sound_was_whole(&call, &user, telegram).await?;
    user.hang_up(telegram, Reason::Hangup).await;
    call.request("BYE", END_LIMIT).await?;
    scene.no_calls_of(&post.line).await?;
    Ok(())
}

/// The goodbye reaches Telegram when it is back.
async fn pbx_leaves_in_an_outage(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut user = scene.person(61, Answering::After(Duration::ZERO))?;
    let (call, telegram) = talk(&post, &mut user, 61, true).await?;
    let outage = begin_outage(&scene, &post).await?;
    call.bye(&[]);
    sleep(Duration::from_secs(2)).await;
    scene.world().remove_fault(outage);
    scene.wait_for_lamp(&post.line, "Green", GREEN_LIMIT).await?;
    let (reason, _) = user.discarded(LIMIT).await?;
    ensure!(reason == Some(Reason::Hangup), "the user saw {reason:?}");
    ended_at_telegram(&scene, telegram).await?;
    scene.no_calls_of(&post.line).await?;
    Ok(())
}

/// The word of it is lost, but the sound has ended too.
async fn user_leaves_in_an_outage(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let mut user = scene.person(62, Answering::After(Duration::ZERO))?;
    let (mut call, telegram) = talk(&post, &mut user, 62, false).await?;
    let outage = begin_outage(&scene, &post).await?;
    user.hang_up(telegram, Reason::Hangup).await;
    sleep(Duration::from_secs(2)).await;
    scene.world().remove_fault(outage);
    call.request("BYE", Duration::from_secs(26)).await?;
    scene.no_calls_of(&post.line).await?;
    Ok(())
}

/// No connection of the line's account lives, until the fault is removed.
async fn begin_outage(scene: &WireStage, post: &Post) -> anyhow::Result<u64> {
    let fault = scene.world().add_fault(Match::default().user(post.line.account), Action::Close);
    scene.world().drop_connections(post.line.account);
    scene.wait_for_lamp(&post.line, "Orange", LIMIT).await?;
    Ok(fault)
}

/// Everything that was played so far arrived, and is the tone.
async fn sound_was_whole(call: &WireCall, user: &LightUser, telegram: i64) -> anyhow::Result<()> {
    user.mute(true).await;
    call.mute(true);
    sleep(Duration::from_millis(300)).await;
    let (at_pbx, at_user) = (call.heard(), user.heard(telegram));
    let least = Duration::from_secs(1);
    Way::between(&at_user, &at_pbx, USER_HZ)?.check(least).context("to the PBX")?;
    Way::between(&at_pbx, &at_user, PBX_HZ)?.check(least).context("to Telegram")
}
