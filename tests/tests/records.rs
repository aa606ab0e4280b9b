//! What the gateway remembers of calls, through a kill too, and how loud they are while somebody watches.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
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
use tgtrunk_tests::ports;
use tgtrunk_tests::stage::{self, Stage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
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
    // It is told that the call is answered beside its being written down.
    let began = now();
    let told = loop {
        let told = records(&mut control, RecordFilter::default()).await;
        if !told.is_empty() || now() - began > LIMIT {
            break told;
        }
        sleep(Duration::from_millis(20)).await;
    };
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

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_of_the_grafana_dashboard_is_one_of_the_gateways() {
    let address = SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
    let settings = format!("metrics = \"{address}\"");
    let stage = Stage::set_up(stage::Options { settings, ..Default::default() }).await.unwrap();
    let line = stage.line(COMPANY).unwrap();
    let phone = pbx::Options::playing(circle(700, 20).unwrap());
    let phone = stage.desk(&line, phone).await.unwrap();
    let app = light_user::Options::playing(circle(1_100, 60).unwrap());
    let anna = stage.person(NewUser::new(ANNA, "Anna"), app).unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut control = gateway.control().await.unwrap();
    control.subscribe().await.unwrap();
    phone.call("receptionist").await.unwrap();
    anna.call(line.account).await.unwrap();
    let call = control.call_state(CallState::Answered, LIMIT).await.unwrap().call;
    // Round trips are known with the first reports.
    sleep(Duration::from_secs(7)).await;
    control.hang_up(call).await.unwrap();
    control.call_state(CallState::Ended, LIMIT).await.unwrap();
    let page = figures(address).await;
    // Not every series of a figure has all its labels.
    let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, _)) = line.rsplit_once(' ') else { continue };
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0));
        known.entry(name).or_default().extend(labels);
    }
    let dashboard = include_str!("../../grafana/tgtrunk.json");
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let mut asked = BTreeSet::new();
    let panels = dashboard["panels"].as_array().unwrap();
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let names = words(query).filter(|word| word.starts_with("tgtrunk_"));
            let labels: BTreeSet<&str> = names
                .flat_map(|name| {
                    asked.insert(name.trim_end_matches("_bucket").to_owned());
                    known
                        .get(name)
                        .unwrap_or_else(|| panic!("{name} of {query} is not in\n{page}"))
                        .iter()
                        .copied()
                })
                .collect();
            let legend = target["legendFormat"].as_str().unwrap();
            let shown = legend.split("{{").skip(1).filter_map(|part| Some(part.split_once("}}")?.0));
            let by = query.split(" by (").skip(1).filter_map(|part| Some(part.split_once(')')?.0));
            let by: Vec<&str> = by.flat_map(|list| list.split(", ")).collect();
            for label in shown.chain(by.iter().copied()) {
                assert!(labels.contains(label), "{label} of {query} is not one of {labels:?}");
            }
        }
    }
    let ours = known.keys().filter(|name| name.starts_with("tgtrunk_"));
    let ours: BTreeSet<String> = ours
        .map(|name| {
            ["_bucket", "_sum", "_count"]
                .iter()
                .fold(*name, |name, end| name.trim_end_matches(end))
                .to_owned()
        })
        .collect();
    assert_eq!(asked, ours, "every figure has its place");
    gateway.stop().await.unwrap();
    stage.done();
}

fn words(query: &str) -> impl Iterator<Item = &str> {
    query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
}

/// The page that Prometheus reads.
async fn figures(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    page
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
