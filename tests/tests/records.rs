//! What the gateway remembers of calls, through a kill too, and how loud they are while somebody watches.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tgtrunk_config::CallId;
use tgtrunk_config::control::{
    Answer, Ask, CallRecord, CallResult, CallState, Direction, Ender, Event, Levels, RecordFilter,
    RefusalCode,
};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::clock::now;
use tgtrunk_tests::control::Control;
use tgtrunk_tests::light_user;
use tgtrunk_tests::pbx;
use tgtrunk_tests::player::circle;
use tgtrunk_tests::stage::Stage;
use tokio::time::sleep;

/// How long anything may take that should take no time.
const LIMIT: Duration = Duration::from_secs(10);
const COMPANY: &str = "+79060000000";
const ANNA: &str = "+79161111111";
/// A name that breaks rows, spreadsheets and terminals.
const ODD: &str = "=1+1\",\u{202e}🦊\n";

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_remembered_over_a_kill_and_their_levels_are_told_while_somebody_watches() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line(COMPANY).unwrap();
    let phone = pbx::Options::playing(circle(700, 20).unwrap());
    let mut phone = stage.desk(&line, phone).await.unwrap();
    let app = light_user::Options::playing(circle(1_100, 60).unwrap());
    let anna = stage.person(NewUser::new(ANNA, ODD).username("anna"), app).unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut control = gateway.control().await.unwrap();
    control.subscribe().await.unwrap();

    anna.call(line.account).await.unwrap();
    let first = control.call_state(CallState::Answered, LIMIT).await.unwrap().call;
    let told = records(&mut control, RecordFilter::default()).await;
    assert_eq!((told.len(), told[0].call, told[0].result), (1, first, CallResult::Running));
    let Answer::Done = control.ask(Ask::WatchLevels { call: first }).await.unwrap() else { panic!() };
    let began = now();
    for _ in 0..20 {
        let loud = |event: &Event| match event {
            Event::Levels(Levels { call, telegram, pbx, .. }) if *telegram < 60 && *pbx < 60 => Some(*call),
            _ => None,
        };
        assert_eq!(control.wait_for("levels", LIMIT, loud).await.unwrap(), first);
    }
    let lasted = now() - began;
    assert!((1_500..5_000).contains(&lasted.as_millis()), "20 levels in {lasted:?}");
    let refused = control.refusal(Ask::WatchLevels { call: CallId(1) }).await.unwrap();
    assert_eq!(refused.code, RefusalCode::UnknownCall);
    // Quality is known with the first reports.
    sleep(Duration::from_secs(4)).await;
    control.hang_up(first).await.unwrap();
    control.call_state(CallState::Ended, LIMIT).await.unwrap();

    let told = ended(&mut control, first).await;
    assert_eq!((told.result, told.direction), (CallResult::Answered, Direction::TelegramToPbx));
    assert_eq!(told.end.as_ref().unwrap().by, Ender::Gateway);
    assert!(told.telegram_call.is_some() && told.emoji.is_some() && told.ended_ms > told.answered_ms);
    assert_eq!(told.quality.as_ref().unwrap().telegram.codec, "opus");
    assert!(told.mos_tenths.iter().all(|mos| (30..=50).contains(mos)), "{:?}", told.mos_tenths);
    assert!(!told.mos_tenths.is_empty());
    let name = told.peer.name.clone().unwrap();
    assert!(name.starts_with("=1+1\",\u{202e}🦊") && !name.contains('\n'), "{name:?}");

    // A second call is up when the gateway is killed.
    phone.forget();
    phone.call(ANNA).await.unwrap();
    let second = control.call_state(CallState::Answered, LIMIT).await.unwrap().call;
    assert_eq!(records(&mut control, RecordFilter::default()).await.len(), 2);
    drop(control);
    gateway.kill().await.unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut control = gateway.control().await.unwrap();
    // The line's opening closes what was up.
    let mut told = records(&mut control, RecordFilter::default()).await;
    for _ in 0..100 {
        if told[0].result != CallResult::Running {
            break;
        }
        sleep(Duration::from_millis(50)).await;
        told = records(&mut control, RecordFilter::default()).await;
    }
    let seen: Vec<_> = told.iter().map(|record| (record.call, record.result)).collect();
    assert_eq!(seen, [(second, CallResult::Interrupted), (first, CallResult::Answered)]);
    assert!(told[0].ended_ms >= told[0].answered_ms && told[0].dialled.as_deref() == Some(ANNA));

    let found =
        RecordFilter { text: Some("ANNA".into()), limit: Some(1), skip: 1, ..RecordFilter::default() };
    assert_eq!(records(&mut control, found).await[0].call, first);
    gateway.stop().await.unwrap();
    // No gateway is needed to look.
    let (status, said, _) = stage.installation.ask(&["records", "--csv"], LIMIT).await.unwrap();
    assert!(status.success() && said.contains(",\"'=1+1\"\",\u{202e}🦊"), "{said}");
    assert_eq!(said.lines().count(), 3);
    stage.done();
}

/// The record of a call that is over, as soon as it is written.
async fn ended(control: &mut Control, call: CallId) -> CallRecord {
    let until = now() + LIMIT;
    loop {
        let told = records(control, RecordFilter::default()).await;
        if let Some(over) = told.into_iter().find(|record| record.call == call && record.ended_ms.is_some()) {
            return over;
        }
        assert!(now() < until, "the end of the call is not written");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn records(control: &mut Control, filter: RecordFilter) -> Vec<CallRecord> {
    match control.ask(Ask::Records { filter }).await.unwrap() {
        Answer::Records { records, .. } => records,
        other => panic!("{other:?}"),
    }
}
