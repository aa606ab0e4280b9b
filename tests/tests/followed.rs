//! A program that follows the gateway: through a call, a kill in the middle of it, and the restart.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tgtrunk_config::UserId;
use tgtrunk_config::control::{Answer, Ask, CallState, Event};
use tgtrunk_shell::asking::{AskError, Follower, Told};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::light_user;
use tgtrunk_tests::pbx;
use tgtrunk_tests::player::circle;
use tgtrunk_tests::stage::Stage;
use tokio::sync::mpsc;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_killed_in_a_call_is_gone_and_comes_back_without_it() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line("+79060000000").unwrap();
    let phone = stage.desk(&line, pbx::Options::playing(circle(440, 20).unwrap())).await.unwrap();
    let app = light_user::Options::playing(circle(880, 60).unwrap());
    let mut anna = stage.person(NewUser::new("+79161111111", "Anna"), app).unwrap();
    let (follower, mut news) = Follower::start(stage.installation.state.join("gateway.sock"));
    assert_eq!(next(&mut news).await, Told::Gone, "it does not run yet");
    let gateway = stage.run(&[&line]).await.unwrap();
    let Told::Up { calls, .. } = next(&mut news).await else { panic!("not up") };
    assert!(calls.is_empty());

    anna.call(line.account).await.unwrap();
    let first = loop {
        if let Told::Event(Event::Call(call)) = next(&mut news).await {
            break call;
        }
    };
    assert_eq!(first.state, CallState::Incoming);
    assert_eq!(first.peer.id.map(UserId::number), Some(anna.id), "known from the very first");
    assert!(first.telegram_call.is_some());
    anna.connected(LIMIT).await.unwrap();
    let digits = "5".parse().unwrap();
    let press = Ask::SendDigits { call: first.call, digits, tone_ms: None, pause_ms: None, key: None };
    assert_eq!(follower.ask(press.clone()).await, Ok(Answer::Done));

    gateway.kill().await.unwrap();
    while next(&mut news).await != Told::Gone {}
    assert_eq!(follower.ask(press.clone()).await, Err(AskError::Gone));
    let gateway = stage.run(&[&line]).await.unwrap();
    let Told::Up { calls, .. } = next(&mut news).await else { panic!("not up") };
    assert!(calls.is_empty(), "{calls:?}");
    assert!(matches!(follower.ask(press).await, Err(AskError::Refused(_))));
    gateway.stop().await.unwrap();
    drop(phone);
    stage.done();
}

async fn next(news: &mut mpsc::Receiver<Told>) -> Told {
    timeout(LIMIT, news.recv()).await.unwrap().unwrap()
}
