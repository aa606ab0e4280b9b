//! How the stories begin and what each of them looks at in the end.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::world::Stage as Progress;
use tgtrunk_tests::light_user::LightUser;
use tgtrunk_tests::stage;
use tgtrunk_tests::wire_pbx::WireCall;
use tgtrunk_tests::wire_stage::{Post, WireStage, phone_of};
use tokio::time::{Instant, sleep};

/// How long anything may take that should take no time.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
/// How long the other side may go on believing in a call that is over.
pub(crate) const END_LIMIT: Duration = Duration::from_secs(1);

pub(crate) async fn open(phone: &str) -> anyhow::Result<WireStage> {
    WireStage::open(phone, stage::Options::default()).await
}

/// A call that is answered on both sides: the PBX's end and Telegram's number of it.
pub(crate) async fn talk(
    post: &Post,
    user: &mut LightUser,
    person: usize,
    pbx_calls: bool,
) -> anyhow::Result<(WireCall, i64)> {
    let (call, telegram) = talk_muted(post, user, person, pbx_calls).await?;
    call.mute(false);
    user.mute(false).await;
    Ok((call, telegram))
}

pub(crate) async fn talk_muted(
    post: &Post,
    user: &mut LightUser,
    person: usize,
    pbx_calls: bool,
) -> anyhow::Result<(WireCall, i64)> {
    user.mute(true).await;
    if pbx_calls {
        let mut call = post.pbx.call(&phone_of(person)).await?;
        call.mute(true);
        call.answered(LIMIT).await?;
        let telegram = user.connected(LIMIT).await?;
        return Ok((call, telegram));
    }
    let telegram = user.call(post.line.account).await?;
    let mut call = post.pbx.incoming(LIMIT).await?;
    call.mute(true);
    call.answer()?;
    call.request("ACK", LIMIT).await?;
    user.connected(LIMIT).await?;
    // The gateway's own end of the pair is up a moment after the user's.
    sleep(Duration::from_millis(100)).await;
    Ok((call, telegram))
}

pub(crate) async fn ended_at_telegram(scene: &WireStage, telegram: i64) -> anyhow::Result<()> {
    let until = Instant::now() + END_LIMIT;
    loop {
        let call = scene.world().call_info(telegram).context("Telegram knows the call")?;
        if call.stage == Progress::Ended {
            return Ok(());
        }
        ensure!(Instant::now() < until, "Telegram believes in the call: {call:?}");
        sleep(Duration::from_millis(5)).await;
    }
}
