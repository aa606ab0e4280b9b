//! What crosses, vanishes and comes back in the middle of a call. After each story nothing is left of it: no call in
//! the gateway, no far end that still believes in it.

mod crossing;
mod parallel_incoming;
mod talk;
mod vanishing;

use std::time::Duration;

use tgtrunk_tests::light_user::{Answering, Reason};
use tgtrunk_tests::measure::Way;
use tgtrunk_tests::wire_stage::{PBX_HZ, WireStage, phone_of};
use tokio::time::{Instant, sleep};

use talk::{END_LIMIT, LIMIT, open, talk};

#[tokio::test(flavor = "multi_thread")]
async fn one_line_calls_another_of_the_same_gateway_and_both_hear_each_other() {
    let scene = open("+79060004001").await.unwrap();
    let far = scene.post("+79060004002", |draft| draft).await.unwrap();
    scene.reload(&[&far]).await.unwrap();
    let near = scene.post.clone();
    for hangs_up in ["the caller", "the callee"] {
        let mut here = near.pbx.call(&far.line.phone).await.unwrap();
        here.mute(true);
        let mut there = far.pbx.incoming(LIMIT).await.unwrap();
        there.mute(true);
        let invite = there.invite().unwrap();
        assert_eq!(invite.header("X-TG-ID"), Some(near.line.account.to_string().as_str()));
        there.respond(180, "Ringing", &[]);
        there.answer().unwrap();
        here.answered(LIMIT).await.unwrap();
        here.mute(false);
        there.mute(false);
        sleep(Duration::from_secs(2)).await;
        here.mute(true);
        there.mute(true);
        sleep(Duration::from_millis(300)).await;
        let least = Duration::from_millis(1800);
        let (here_heard, there_heard) = (here.heard(), there.heard());
        Way::between(&here_heard, &there_heard, PBX_HZ).unwrap().check(least).unwrap();
        Way::between(&there_heard, &here_heard, PBX_HZ).unwrap().check(least).unwrap();
        let (quitter, other) = if hangs_up == "the caller" { (here, &mut there) } else { (there, &mut here) };
        quitter.bye(&[]);
        other.request("BYE", END_LIMIT).await.unwrap();
        scene.no_calls_of(&near.line).await.unwrap();
        scene.no_calls_of(&far.line).await.unwrap();
    }
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_running_calls_with_a_goodbye_on_both_sides() {
    let scene = open("+79060005001").await.unwrap();
    let post = scene.post.clone();
    let mut users = Vec::new();
    for person in 1..=2 {
        users.push(scene.person(person, Answering::After(Duration::ZERO)).unwrap());
    }
    let mut ringing = scene.person(3, Answering::Rings).unwrap();
    let mut waiting = scene.person(4, Answering::Silent).unwrap();
    let (mut out, _) = talk(&post, &mut users[0], 1, true).await.unwrap();
    let (mut back, _) = talk(&post, &mut users[1], 2, false).await.unwrap();
    let mut unanswered = post.pbx.call(&phone_of(3)).await.unwrap();
    unanswered.rings(LIMIT).await.unwrap();
    waiting.call(post.line.account).await.unwrap();
    let mut untaken = post.pbx.incoming(LIMIT).await.unwrap();
    untaken.respond(180, "Ringing", &[]);
    sleep(Duration::from_millis(500)).await;

    let WireStage { stage, gateway, .. } = scene;
    let began = Instant::now();
    let (stopped, ()) = tokio::join!(gateway.stop(), async {
        // No new calls; those that run have the grace of 2 s.
        sleep(Duration::from_millis(300)).await;
        let refused = post.pbx.call(&phone_of(1)).await.unwrap().final_answer(END_LIMIT).await.unwrap();
        assert_eq!(refused.status(), Some(503), "a new call while stopping");
        let refused = post.pbx.ask_options(END_LIMIT).await.unwrap();
        assert_eq!(refused.status(), Some(503), "OPTIONS while stopping");
        for call in [&mut out, &mut back] {
            let bye = call.request("BYE", LIMIT).await.unwrap();
            let reason = bye.header("Reason").unwrap_or_default().to_owned();
            assert!(reason.starts_with("Q.850;cause="), "BYE says {reason:?}");
        }
        assert!(
            began.elapsed() > Duration::from_millis(1900),
            "the grace was cut short: {:?}",
            began.elapsed()
        );
        assert_eq!(unanswered.final_answer(LIMIT).await.unwrap().status(), Some(503));
        untaken.request("CANCEL", LIMIT).await.unwrap();
    });
    stopped.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?} to end", began.elapsed());
    for user in users.iter_mut().chain([&mut ringing, &mut waiting]) {
        let (reason, _) = user.discarded(END_LIMIT).await.unwrap();
        assert_eq!(reason, Some(Reason::Hangup), "user {}", user.id);
    }
    stage.done();
}
