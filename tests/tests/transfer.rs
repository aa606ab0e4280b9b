//! The PBX sends running calls on: REFER blind and attended, and calls of its own that take a place. The person on
//! Telegram stays in the call and hears the new party, and the old one no more.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, CallRecord, RecordFilter, TransferKind};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::baresip::{self, Baresip, Plays};
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::ffmpeg;
use tgtrunk_tests::light_user::{self, Answering, LightUser, Reason};
use tgtrunk_tests::linphone::{self, Linphone};
use tgtrunk_tests::pcm::Pcm;
use tgtrunk_tests::player::circle;
use tgtrunk_tests::ports;
use tgtrunk_tests::sip_capture::SipCapture;
use tgtrunk_tests::sipp_transfer::Transferor;
use tgtrunk_tests::stage::{self, Stage};
use tgtrunk_tests::tone::Meter;
use tgtrunk_tests::wire_pbx::{self, WireCall, WirePbx};
use tgtrunk_tests::wire_stage::{PBX_HZ, USER_HZ, WireStage, phone_of};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(20);
const TALK: Duration = Duration::from_millis(1500);
/// What the colleague plays to whom a call goes.
const COLLEAGUE_HZ: u32 = 660;
/// The ringing tone of most of Europe, which is also Russia's.
const RINGBACK_HZ: u32 = 425;
/// Share of what is heard that must be the tone that is played.
const LEAST_SHARE: f64 = 0.9;
/// What packets under way get.
const TAIL: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn a_blind_transfer_rings_for_the_person_and_joins_them_with_the_colleague() {
    let mut scene = Scene::open("+79060000001").await;
    let (mut user, call, mut desk) = scene.talking(1).await;
    assert!(scene.hears(&user, call, PBX_HZ).await > LEAST_SHARE);

    desk.ask("REFER", &[&scene.refer_to(""), "Referred-By: <sip:100@127.0.0.1>"]);
    let accepted = answer_to(&mut desk, "REFER").await;
    assert_eq!(accepted, 202);
    let trying = desk.notified("SIP/2.0 100", LIMIT).await.unwrap();
    assert_eq!(trying.header("Event"), Some("refer"));
    let mut colleague = scene.colleague.incoming(LIMIT).await.unwrap();
    let invite = colleague.invite().unwrap();
    assert!(invite.start.starts_with("INVITE sip:200@127.0.0.1:"), "{}", invite.start);
    assert_eq!(invite.header("Referred-By"), Some("<sip:100@127.0.0.1>"));
    assert_eq!(invite.header("X-TG-ID"), Some(user.id.to_string().as_str()), "the colleague sees who it is");
    colleague.respond(180, "Ringing", &[]);
    desk.notified("SIP/2.0 180", LIMIT).await.unwrap();
    assert!(scene.hears(&user, call, RINGBACK_HZ).await > 0.5, "the person hears that it rings");

    colleague.answer().unwrap();
    let told = desk.notified("SIP/2.0 200", LIMIT).await.unwrap();
    assert_eq!(told.header("Subscription-State"), Some("terminated;reason=noresource"));
    desk.bye(&[]);
    assert!(scene.hears(&user, call, COLLEAGUE_HZ).await > LEAST_SHARE);
    assert!(share(&colleague.heard().payloads, USER_HZ) > LEAST_SHARE, "and is heard there");
    colleague.bye(&[]);
    assert_eq!(user.discarded(LIMIT).await.unwrap().0, Some(Reason::Hangup));
    let told = scene.last_transfer().await;
    assert_eq!(told, (TransferKind::Blind, "200".to_owned(), Some(200)));
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_fails_leaves_the_call_as_it_was_and_no_call_goes_elsewhere() {
    let mut scene = Scene::open("+79060000002").await;
    let (mut user, call, mut desk) = scene.talking(1).await;
    for target in ["<sip:+12025550123@203.0.113.9>", "<sip:200@elsewhere.example>", "<tel:+12025550123>"] {
        desk.ask("REFER", &[&format!("Refer-To: {target}")]);
        let wanted = if target.starts_with("<tel:") { 416 } else { 403 };
        assert_eq!(answer_to(&mut desk, "REFER").await, wanted, "{target}");
    }
    let line = scene.post().sip;
    desk.ask("REFER", &[&format!("Refer-To: <sip:{}@{line}>", phone_of(2))]);
    assert_eq!(answer_to(&mut desk, "REFER").await, 403, "no transfer to somebody on Telegram");

    desk.ask("REFER", &[&scene.refer_to("")]);
    assert_eq!(answer_to(&mut desk, "REFER").await, 202);
    let mut colleague = scene.colleague.incoming(LIMIT).await.unwrap();
    colleague.respond(180, "Ringing", &[]);
    desk.notified("SIP/2.0 180", LIMIT).await.unwrap();
    sleep(TALK).await;
    colleague.respond(486, "Busy Here", &[]);
    let told = desk.notified("SIP/2.0 486", LIMIT).await.unwrap();
    assert_eq!(told.header("Subscription-State"), Some("terminated;reason=noresource"));
    colleague.request("ACK", LIMIT).await.unwrap();
    sleep(TAIL).await;
    assert!(scene.hears(&user, call, PBX_HZ).await > LEAST_SHARE, "the desk is heard again");
    desk.bye(&[]);
    user.discarded(LIMIT).await.unwrap();
    assert_eq!(scene.last_transfer().await, (TransferKind::Blind, "200".to_owned(), Some(486)));
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attended_transfer_names_the_call_that_it_takes_and_a_person_who_hangs_up_ends_all_of_it() {
    let mut scene = Scene::open("+79060000003").await;
    let (user, call, mut desk) = scene.talking(1).await;
    desk.ask(
        "REFER",
        &[&scene.refer_to("?Replaces=abc%40pbx%3Bto-tag%3Dt1%3Bfrom-tag%3Df1"), "Refer-Sub: false"],
    );
    let accepted = desk.wait_for("answer", LIMIT, |message| message.cseq().1 == "REFER").await.unwrap();
    assert_eq!((accepted.status(), accepted.header("Refer-Sub")), (Some(202), Some("false")));
    let mut colleague = scene.colleague.incoming(LIMIT).await.unwrap();
    let invite = colleague.invite().unwrap();
    assert_eq!(invite.header("Replaces"), Some("abc@pbx;to-tag=t1;from-tag=f1"));
    colleague.answer().unwrap();
    assert!(scene.hears(&user, call, COLLEAGUE_HZ).await > LEAST_SHARE);
    // The desk says nothing more: the line ends its leg after a while.
    desk.request("BYE", LIMIT).await.unwrap();
    assert!(desk.seen().iter().all(|message| message.method() != Some("NOTIFY")), "no word was wanted");
    user.hang_up(call, Reason::Hangup).await;
    colleague.request("BYE", LIMIT).await.unwrap();
    assert_eq!(scene.last_transfer().await, (TransferKind::Attended, "200".to_owned(), Some(200)));
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_hangs_up_while_the_colleague_rings_leaves_no_call_behind() {
    let mut scene = Scene::open("+79060000004").await;
    let (user, call, mut desk) = scene.talking(1).await;
    desk.ask("REFER", &[&scene.refer_to("")]);
    let mut colleague = scene.colleague.incoming(LIMIT).await.unwrap();
    colleague.respond(180, "Ringing", &[]);
    desk.notified("SIP/2.0 180", LIMIT).await.unwrap();
    user.hang_up(call, Reason::Hangup).await;
    colleague.request("CANCEL", LIMIT).await.unwrap();
    desk.request("BYE", LIMIT).await.unwrap();
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desk_that_hangs_up_before_the_colleague_answers_leaves_the_person_waiting_for_them() {
    let mut scene = Scene::open("+79060000005").await;
    for answers in [true, false] {
        let (mut user, call, mut desk) = scene.talking(1 + usize::from(answers)).await;
        desk.ask("REFER", &[&scene.refer_to("")]);
        let mut colleague = scene.colleague.incoming(LIMIT).await.unwrap();
        colleague.respond(180, "Ringing", &[]);
        desk.notified("SIP/2.0 180", LIMIT).await.unwrap();
        desk.bye(&[]);
        assert!(scene.hears(&user, call, RINGBACK_HZ).await > 0.5);
        if answers {
            colleague.answer().unwrap();
            assert!(scene.hears(&user, call, COLLEAGUE_HZ).await > LEAST_SHARE);
            colleague.bye(&[]);
        } else {
            colleague.respond(486, "Busy Here", &[]);
        }
        user.discarded(LIMIT).await.unwrap();
    }
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_the_pbx_takes_the_place_of_an_answered_one_and_of_one_that_rings() {
    let mut scene = Scene::open("+79060000006").await;
    let (mut user, call, mut desk) = scene.talking(1).await;
    let replaces = format!("Replaces: {}", desk.replaces().unwrap());
    let mut colleague = scene.colleague.call_with("anybody", &[replaces]).await.unwrap();
    colleague.answered(LIMIT).await.unwrap();
    desk.request("BYE", LIMIT).await.unwrap();
    assert!(scene.hears(&user, call, COLLEAGUE_HZ).await > LEAST_SHARE);
    assert!(share(&colleague.heard().payloads, USER_HZ) > LEAST_SHARE);
    colleague.bye(&[]);
    user.discarded(LIMIT).await.unwrap();
    let (kind, to, status) = scene.last_transfer().await;
    assert_eq!((kind, to.as_str(), status), (TransferKind::Replaced, "100", Some(200)));

    let mut user = scene.person(2);
    let call = user.call(scene.stage.post.line.account).await.unwrap();
    let mut desk = scene.stage.post.pbx.incoming(LIMIT).await.unwrap();
    desk.respond(180, "Ringing", &[]);
    sleep(TAIL).await;
    let replaces = format!("Replaces: {};early-only", desk.replaces().unwrap());
    let mut colleague = scene.colleague.call_with("anybody", &[replaces]).await.unwrap();
    colleague.answered(LIMIT).await.unwrap();
    let cancel = desk.request("CANCEL", LIMIT).await.unwrap();
    let reasons: Vec<_> = cancel.all("Reason").collect();
    assert!(reasons.contains(&"SIP;cause=200;text=\"Call completed elsewhere\""), "{reasons:?}");
    user.connected(LIMIT).await.unwrap();
    assert!(scene.hears(&user, call, COLLEAGUE_HZ).await > LEAST_SHARE);
    colleague.bye(&[]);
    user.discarded(LIMIT).await.unwrap();

    let mut stranger =
        scene.colleague.call_with("x", &["Replaces: x;to-tag=1;from-tag=2".to_owned()]).await.unwrap();
    assert_eq!(stranger.final_answer(LIMIT).await.unwrap().status(), Some(481));
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_transfers_and_gets_its_notifies_in_order() {
    sipp_transfers("+79060000007", "", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_transfers_to_a_call_that_is_to_be_replaced() {
    let more = "?Replaces=abc%40pbx%3Bto-tag%3Dt1%3Bfrom-tag%3Df1";
    sipp_transfers("+79060000012", more, Some("abc@pbx;to-tag=t1;from-tag=f1")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_transfers_a_person_to_another_baresip_in_another_codec() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line("+79060000008").unwrap();
    let desk = baresip::Options { codec: Codec::Opus, plays: Plays::Tone(PBX_HZ), ..Default::default() };
    let other =
        baresip::Options { codec: Codec::Pcma, plays: Plays::Tone(COLLEAGUE_HZ), ..Default::default() };
    let (mut desk, mut colleague) =
        (Baresip::start(&desk).await.unwrap(), Baresip::start(&other).await.unwrap());
    let settings = stage::draft(&line).unwrap().set("pbx_user", baresip::USER);
    stage.open(&line, desk.sip, settings).await.unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut user = person(&stage, 1);
    let call = user.call(line.account).await.unwrap();
    user.connected(LIMIT).await.unwrap();
    desk.wait_for("CALL_ESTABLISHED", LIMIT).await.unwrap();
    assert!(hears(&user, call, PBX_HZ).await > LEAST_SHARE);
    desk.transfer(&format!("sip:{}@{}", baresip::USER, colleague.sip)).await.unwrap();
    colleague.wait_for("CALL_ESTABLISHED", LIMIT).await.unwrap();
    desk.wait_for("CALL_CLOSED", LIMIT).await.unwrap();
    sleep(TAIL).await;
    assert!(hears(&user, call, COLLEAGUE_HZ).await > LEAST_SHARE);
    colleague.hang_up().await.unwrap();
    user.discarded(LIMIT).await.unwrap();
    let heard = colleague.finish().await.unwrap();
    assert!(tgtrunk_tests::tone::share_of(&heard.samples, heard.rate_hz, &[USER_HZ]) > LEAST_SHARE);
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn linphone_transfers_a_person_to_a_baresip() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line("+79060000009").unwrap();
    let plays = Pcm::silence(20_000, ffmpeg::RATE_HZ);
    let mut desk = Linphone::start(&linphone::Options::new(Codec::Pcma, plays)).await.unwrap();
    let other =
        baresip::Options { codec: Codec::Opus, plays: Plays::Tone(COLLEAGUE_HZ), ..Default::default() };
    let mut colleague = Baresip::start(&other).await.unwrap();
    stage.open(&line, desk.sip, stage::draft(&line).unwrap()).await.unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut user = person(&stage, 1);
    let call = user.call(line.account).await.unwrap();
    user.connected(LIMIT).await.unwrap();
    desk.established(LIMIT).await.unwrap();
    sleep(TALK).await;
    desk.transfer(&format!("sip:{}@{}", baresip::USER, colleague.sip)).await.unwrap();
    colleague.wait_for("CALL_ESTABLISHED", LIMIT).await.unwrap();
    sleep(TAIL).await;
    assert!(hears(&user, call, COLLEAGUE_HZ).await > LEAST_SHARE);
    user.hang_up(call, Reason::Hangup).await;
    colleague.wait_for("CALL_CLOSED", LIMIT).await.unwrap();
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn linphone_asks_a_colleague_first_whose_linphone_lets_the_person_take_its_place() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line("+79060000013").unwrap();
    let phone = |hz| linphone::Options::new(Codec::Pcma, Pcm::tone(&[hz], 60_000, ffmpeg::RATE_HZ));
    let mut desk = Linphone::start(&phone(PBX_HZ)).await.unwrap();
    let mut colleague = Linphone::start(&phone(COLLEAGUE_HZ)).await.unwrap();
    // linphonec names its colleague without a port, which is then the PBX's.
    stage.open(&line, colleague.sip, stage::draft(&line).unwrap()).await.unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let capture = SipCapture::start(colleague.sip).unwrap();
    let app = light_user::Options::playing(circle(USER_HZ, 20).unwrap());
    let mut user = stage.person(NewUser::new(phone_of(1), "Somebody"), app).unwrap();
    desk.dial(&format!("sip:{}@{}", phone_of(1), line.sip)).await.unwrap();
    let call = user.connected(LIMIT).await.unwrap();
    desk.established(LIMIT).await.unwrap();
    assert!(hears(&user, call, PBX_HZ).await > LEAST_SHARE);

    desk.hold().await.unwrap();
    sleep(TAIL).await;
    desk.dial(&format!("sip:200@{}", colleague.sip)).await.unwrap();
    colleague.established(LIMIT).await.unwrap();
    desk.established(LIMIT).await.unwrap();
    assert!(hears(&user, call, COLLEAGUE_HZ).await < 0.1, "they talk among themselves");
    desk.transfer_to_second().await.unwrap();
    colleague.established(LIMIT).await.unwrap();
    // It is with the desk until the line's call has taken its place.
    sleep(TAIL).await;
    assert!(hears(&user, call, COLLEAGUE_HZ).await > LEAST_SHARE);
    let messages = capture.messages();
    let asks = messages.iter().find(|message| message.source == line.sip && message.asks("INVITE")).unwrap();
    let replaced = asks.header("Replaces").unwrap().split(';').next().unwrap();
    let asked = messages.iter().find(|message| message.source == desk.sip && message.asks("INVITE")).unwrap();
    assert_eq!(Some(replaced), asked.header("Call-ID"), "the call that the desk made");
    user.hang_up(call, Reason::Hangup).await;
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_takes_no_transfers() {
    let scene = Scene::open("+79060000010").await;
    let post = scene
        .stage
        .post("+79060000011", |draft| draft.set("transfer", serde_json::json!({ "refer": false })))
        .await
        .unwrap();
    scene.stage.reload(&[&post]).await.unwrap();
    let mut user = scene.person(1);
    user.call(post.line.account).await.unwrap();
    let mut desk = post.pbx.incoming(LIMIT).await.unwrap();
    desk.answer().unwrap();
    user.connected(LIMIT).await.unwrap();
    desk.ask("REFER", &[&scene.refer_to("")]);
    assert_eq!(answer_to(&mut desk, "REFER").await, 603);
    desk.bye(&[]);
    user.discarded(LIMIT).await.unwrap();
    scene.close().await;
}

/// A line whose PBX has a desk and, at another port, a colleague.
struct Scene {
    stage: WireStage,
    colleague: Arc<WirePbx>,
}

impl Scene {
    async fn open(phone: &str) -> Self {
        let stage = WireStage::open(phone, stage::Options::default()).await.unwrap();
        let line = stage.post.line.sip;
        let options = wire_pbx::Options::playing(COLLEAGUE_HZ).unwrap();
        let colleague = Arc::new(WirePbx::switch_on(line, options).await.unwrap());
        Self { stage, colleague }
    }

    fn post(&self) -> &stage::Line {
        &self.stage.post.line
    }

    fn person(&self, number: usize) -> LightUser {
        person(&self.stage.stage, number)
    }

    /// A person who called and talks to the desk.
    async fn talking(&mut self, number: usize) -> (LightUser, i64, WireCall) {
        let mut user = self.person(number);
        let call = user.call(self.stage.post.line.account).await.unwrap();
        let mut desk = self.stage.post.pbx.incoming(LIMIT).await.unwrap();
        desk.answer().unwrap();
        user.connected(LIMIT).await.unwrap();
        (user, call, desk)
    }

    fn refer_to(&self, more: &str) -> String {
        format!("Refer-To: <sip:200@{}{more}>", self.colleague.sip)
    }

    /// How much of what a person hears now is this tone.
    async fn hears(&self, user: &LightUser, call: i64, hz: u32) -> f64 {
        hears(user, call, hz).await
    }

    /// The last transfer of the last call, as its record tells it.
    async fn last_transfer(&self) -> (TransferKind, String, Option<u16>) {
        self.stage.no_calls_of(self.post()).await.unwrap();
        let told = last_record(&self.stage).await.pbx.unwrap().transfers.pop().unwrap();
        (told.kind, told.to, told.status)
    }

    async fn close(self) {
        let complaints = self.colleague.complaints();
        assert!(complaints.is_empty(), "{complaints:?}");
        self.stage.close().await.unwrap();
    }
}

async fn last_record(stage: &WireStage) -> CallRecord {
    let filter = RecordFilter { limit: Some(1), ..RecordFilter::default() };
    for _ in 0..40 {
        let mut control = stage.gateway.control().await.unwrap();
        let answer = control.ask(Ask::Records { filter: filter.clone() }).await.unwrap();
        let Answer::Records { mut records, .. } = answer else { panic!("{answer:?}") };
        if let Some(record) = records.pop().filter(|record| record.ended_ms.is_some()) {
            return record;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("no record of the call")
}

/// SIPp sends a person on to a colleague, at an address with `more` behind it.
async fn sipp_transfers(phone: &str, more: &str, replaces: Option<&str>) {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line(phone).unwrap();
    let colleague =
        WirePbx::switch_on(line.sip, wire_pbx::Options::playing(COLLEAGUE_HZ).unwrap()).await.unwrap();
    let port = ports::free().unwrap();
    let pbx = SocketAddr::from(([127, 0, 0, 1], port));
    stage.open(&line, pbx, stage::draft(&line).unwrap()).await.unwrap();
    let target = format!("sip:200@{}{more}", colleague.sip);
    let sipp = Transferor::start(port, &target).unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut user = person(&stage, 1);
    let call = user.call(line.account).await.unwrap();
    user.connected(LIMIT).await.unwrap();
    let mut picked_up = colleague.incoming(LIMIT).await.unwrap();
    let invite = picked_up.invite().unwrap();
    assert_eq!(invite.header("Replaces"), replaces);
    picked_up.respond(180, "Ringing", &[]);
    sleep(TAIL).await;
    picked_up.answer().unwrap();
    sipp.finished().await.unwrap();
    assert!(hears(&user, call, COLLEAGUE_HZ).await > LEAST_SHARE);
    picked_up.bye(&[]);
    user.discarded(LIMIT).await.unwrap();
    gateway.stop().await.unwrap();
    stage.done();
}

fn person(stage: &Stage, number: usize) -> LightUser {
    let options = light_user::Options::playing(circle(USER_HZ, 20).unwrap()).answering(Answering::Silent);
    stage.person(NewUser::new(phone_of(number), "Somebody"), options).unwrap()
}

async fn hears(user: &LightUser, call: i64, hz: u32) -> f64 {
    sleep(TAIL).await;
    let before = user.heard(call).payloads.len();
    sleep(TALK).await;
    share(&user.heard(call).payloads[before..], hz)
}

fn share(payloads: &[Vec<u8>], hz: u32) -> f64 {
    let mut meter = Meter::new(hz).unwrap();
    for payload in payloads {
        meter.feed(payload).unwrap();
    }
    meter.share()
}

/// The status that a request in a call's dialog got.
async fn answer_to(call: &mut WireCall, method: &str) -> u16 {
    let picked = |message: &wire_pbx::Message| message.status().is_some() && message.cseq().1 == method;
    call.wait_for("answer", LIMIT, picked).await.unwrap().status().unwrap()
}
