//! Two callers on one line, under each setting of `parallel_incoming`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_tests::light_user::{Answering, Event, LightUser, Reason};
use tgtrunk_tests::stories::Stories;
use tgtrunk_tests::wire_stage::{Post, WireStage};
use tokio::time::{Instant, sleep};

use crate::talk::{END_LIMIT, LIMIT, open};

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_on_one_line_fare_as_parallel_incoming_says() {
    let scene = open("+79060003001").await.unwrap();
    let always = scene.post("+79060003002", |draft| draft.set("parallel_incoming", "always")).await.unwrap();
    let off = scene.post("+79060003003", |draft| draft.set("parallel_incoming", "off")).await.unwrap();
    scene.reload(&[&always, &off]).await.unwrap();
    let scene = Arc::new(scene);
    let mut stories = Stories::default();
    let it = || Arc::clone(&scene);
    stories.begin("auto", auto_lets_in_until_it_rings_for_5_s(it(), scene.post.clone()));
    stories.begin("always", always_lets_in_and_gives_up_after_15_s(it(), always));
    stories.begin("off", off_lets_in_one(it(), off));
    stories.end().await.unwrap();
    Arc::into_inner(scene).unwrap().close().await.unwrap();
}

async fn auto_lets_in_until_it_rings_for_5_s(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let company = post.line.account;
    let mut users = Vec::new();
    for person in 70..76 {
        users.push(scene.person(person, Answering::Silent)?);
    }
    let [first, second, third, fourth, fifth, sixth] = &mut users[..] else { anyhow::bail!("six users") };

    // Answered at once, as a queue does: the second gets in, both talk.
    let one = first.call(company).await?;
    let mut queue_one = post.pbx.incoming(LIMIT).await?;
    queue_one.answer()?;
    first.connected(LIMIT).await?;
    let two = second.call(company).await?;
    let mut queue_two = post.pbx.incoming(LIMIT).await.context("the second caller gets in")?;
    queue_two.answer()?;
    second.connected(LIMIT).await?;

    // Two more ring, for less than 5 s: nobody is told, and both get in.
    let began = Instant::now();
    let three = third.call(company).await?;
    let mut ringing_three = post.pbx.incoming(LIMIT).await?;
    ringing_three.respond(180, "Ringing", &[]);
    let four = fourth.call(company).await?;
    let ringing_four = post.pbx.incoming(LIMIT).await.context("the fourth caller gets in")?;
    ringing_four.respond(180, "Ringing", &[]);
    ensure!(began.elapsed() < Duration::from_secs(4), "this machine is too slow: {:?}", began.elapsed());
    ensure!(scene.world().count(company, "phone.receivedCall") == 0, "Telegram was told too early");

    // One that rings for 5 s: its caller is told, and the next one is busy.
    rings(third, three, Duration::from_secs(7)).await?;
    let told = began.elapsed();
    ensure!((4800..6500).contains(&told.as_millis()), "the caller was told after {told:?}, want 5 s");
    let five = fifth.call(company).await?;
    ensure!(fifth.discarded(LIMIT).await?.0 == Some(Reason::Busy), "the fifth caller {five} is busy");
    ensure!(post.pbx.incoming(Duration::from_millis(300)).await.is_err(), "the PBX heard of the fifth");

    // They are over: a further one gets in.
    third.hang_up(three, Reason::Missed).await;
    fourth.hang_up(four, Reason::Missed).await;
    ringing_three.request("CANCEL", END_LIMIT).await?;
    first.hang_up(one, Reason::Hangup).await;
    queue_one.request("BYE", END_LIMIT).await?;
    second.hang_up(two, Reason::Hangup).await;
    queue_two.request("BYE", END_LIMIT).await?;
    scene.no_calls_of(&post.line).await?;
    let six = sixth.call(company).await?;
    let mut last = post.pbx.incoming(LIMIT).await.context("the sixth caller gets in")?;
    sixth.hang_up(six, Reason::Missed).await;
    last.respond(180, "Ringing", &[]);
    last.request("CANCEL", END_LIMIT).await?;
    scene.no_calls_of(&post.line).await?;
    Ok(())
}

async fn always_lets_in_and_gives_up_after_15_s(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let company = post.line.account;
    let (mut first, mut second) =
        (scene.person(80, Answering::Silent)?, scene.person(81, Answering::Silent)?);
    let began = Instant::now();
    first.call(company).await?;
    let mut one = post.pbx.incoming(LIMIT).await?;
    one.respond(180, "Ringing", &[]);
    sleep(Duration::from_secs(7)).await;
    let two = second.call(company).await?;
    let mut answered = post.pbx.incoming(LIMIT).await.context("the second caller gets in after 7 s too")?;
    answered.answer()?;
    second.connected(LIMIT).await?;
    let cancel = one.request("CANCEL", LIMIT).await?;
    let waited = began.elapsed();
    ensure!((14_800..16_500).contains(&waited.as_millis()), "the PBX had {waited:?}, want 15 s");
    ensure!(
        cancel.header("Reason").is_some_and(|reason| reason.starts_with("Q.850;cause=19;")),
        "{cancel:?}"
    );
    ensure!(first.discarded(END_LIMIT).await?.0 == Some(Reason::Missed), "the first call is missed");
    ensure!(scene.world().count(company, "phone.receivedCall") == 0, "Telegram is never told");
    second.hang_up(two, Reason::Hangup).await;
    answered.request("BYE", END_LIMIT).await?;
    scene.no_calls_of(&post.line).await?;
    Ok(())
}

async fn off_lets_in_one(scene: Arc<WireStage>, post: Post) -> anyhow::Result<()> {
    let company = post.line.account;
    let (mut first, mut second) =
        (scene.person(90, Answering::Silent)?, scene.person(91, Answering::Silent)?);
    let one = first.call(company).await?;
    let mut call = post.pbx.incoming(LIMIT).await?;
    rings(&mut first, one, END_LIMIT).await?;
    for stage in ["rings", "talks"] {
        second.call(company).await?;
        let ended = second.discarded(LIMIT).await.with_context(|| stage.to_owned())?;
        ensure!(ended.0 == Some(Reason::Busy), "while the first {stage} the second saw {ended:?}");
        if stage == "rings" {
            call.answer()?;
            first.connected(LIMIT).await?;
        }
    }
    ensure!(post.pbx.incoming(Duration::from_millis(300)).await.is_err(), "the PBX heard of the second");
    first.hang_up(one, Reason::Hangup).await;
    call.request("BYE", END_LIMIT).await?;
    scene.no_calls_of(&post.line).await?;
    let two = second.call(company).await?;
    let mut free = post.pbx.incoming(LIMIT).await.context("the line is free again")?;
    free.respond(180, "Ringing", &[]);
    second.hang_up(two, Reason::Missed).await;
    free.request("CANCEL", END_LIMIT).await?;
    scene.no_calls_of(&post.line).await?;
    Ok(())
}

async fn rings(user: &mut LightUser, telegram: i64, limit: Duration) -> anyhow::Result<()> {
    user.wait_for("ringing", limit, |event| (*event == Event::Ringing { call: telegram }).then_some(())).await
}
