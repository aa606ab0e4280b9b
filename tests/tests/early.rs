//! What is said before an answer, with SIPp and linphonec as the PBX: what they play reaches a caller from
//! Telegram, and provisional answers are acknowledged both ways (RFC 3262). Needs root, for the capture.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::baresip;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::light_user::{self, Answering, LightUser, Reason};
use tgtrunk_tests::linphone::{self, Linphone};
use tgtrunk_tests::pcm::Pcm;
use tgtrunk_tests::player::circle;
use tgtrunk_tests::sip_capture::{Message, SipCapture};
use tgtrunk_tests::sipp_dialog::{Session, SippDialog};
use tgtrunk_tests::sipp_script::SippScript;
use tgtrunk_tests::stage::{self, Line, Stage};
use tgtrunk_tests::tone::Meter;
use tgtrunk_tests::{ffmpeg, ports};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(15);
const MUSIC_HZ: u32 = 660;
const MUSIC_MS: u32 = 3000;
const SETTLE: Duration = Duration::from_millis(800);
const LISTENS: Duration = Duration::from_millis(1500);
const LEAST_SHARE: f64 = 0.9;

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_hears_what_sipp_plays_in_a_reliable_183_and_the_gateway_acknowledges_it() {
    let mut scene = Scene::open(Answering::Silent).await;
    let session = Session::both_ways(Codec::Pcma);
    let mut dialog = SippDialog::is_called_and_plays_early(session, MUSIC_HZ, MUSIC_MS).unwrap();
    dialog.pauses(1000);
    let scenario = dialog.hangs_up();
    let sipp = SippScript::start_with(&scenario, scene.phone_port, None, LIMIT * 2).unwrap();
    sleep(Duration::from_secs(1)).await;
    scene.hears_what_is_played_early(MUSIC_HZ).await;
    scene.user.discarded(LIMIT).await.unwrap();
    sipp.end().await.unwrap();
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_hears_reliably_that_it_rings() {
    let mut scene = Scene::open(Answering::After(Duration::from_secs(1))).await;
    let mut dialog = SippDialog::calls_reliably("tg%23anna", Session::both_ways(Codec::Pcma));
    dialog.pauses(500);
    let scenario = dialog.hangs_up();
    let sipp = SippScript::start_with(&scenario, scene.phone_port, Some(scene.line.sip), LIMIT * 2).unwrap();
    scene.user.connected(LIMIT).await.unwrap();
    scene.user.discarded(LIMIT).await.unwrap();
    sipp.end().await.unwrap();
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_hears_what_linphone_plays_before_it_answers() {
    let mut scene = Scene::open(Answering::Silent).await;
    let options = linphone::Options { answers: false, plays_early: true, ..scene.linphone() };
    let mut phone = Linphone::start(&options).await.unwrap();
    let capture = SipCapture::start(phone.sip).unwrap();
    scene.hears_what_is_played_early(MUSIC_HZ).await;
    assert!(!has_answered(&capture, phone.sip), "that was before its answer");
    phone.accept().await.unwrap();
    sleep(SETTLE).await;
    assert!(has_answered(&capture, phone.sip));
    phone.hang_up().await.unwrap();
    scene.user.discarded(LIMIT).await.unwrap();
    scene.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_acknowledges_what_linphone_says_reliably() {
    let mut scene = Scene::open(Answering::Silent).await;
    let options = linphone::Options { answers: false, wants_prack: true, ..scene.linphone() };
    let mut phone = Linphone::start(&options).await.unwrap();
    let capture = SipCapture::start(phone.sip).unwrap();
    let call = scene.user.call(scene.line.account).await.unwrap();
    phone.rings(LIMIT).await.unwrap();
    sleep(SETTLE).await;
    phone.accept().await.unwrap();
    scene.user.connected(LIMIT).await.unwrap();
    phone.established(LIMIT).await.unwrap();
    scene.user.hang_up(call, Reason::Hangup).await;
    let messages = capture.messages();
    let rings = messages.iter().find(|message| message.start().starts_with("SIP/2.0 180")).unwrap();
    assert_eq!(rings.header("Require"), Some("100rel"));
    let prack = messages.iter().find(|message| message.asks("PRACK")).expect("a PRACK");
    assert_eq!(prack.source, scene.line.sip);
    assert_eq!(prack.header("RAck").unwrap(), format!("{} 1 INVITE", rings.header("RSeq").unwrap()));
    let is_taken = |message: &Message| {
        message.start().starts_with("SIP/2.0 200") && message.header("CSeq") == prack.header("CSeq")
    };
    assert!(messages.iter().any(is_taken));
    scene.close().await;
}

fn has_answered(capture: &SipCapture, phone: SocketAddr) -> bool {
    let is_answer = |message: &Message| {
        let cseq = message.header("CSeq").unwrap_or_default();
        message.source == phone && message.start().starts_with("SIP/2.0 200") && cseq.ends_with("INVITE")
    };
    capture.messages().iter().any(is_answer)
}

struct Scene {
    stage: Stage,
    line: Line,
    phone_port: u16,
    user: LightUser,
    gateway: Gateway,
}

impl Scene {
    async fn open(answering: Answering) -> Self {
        let stage = Stage::on_loopback().await.unwrap();
        let line = stage.line("+79060000020").unwrap();
        let phone_port = ports::free_pair().unwrap();
        let pbx = SocketAddr::from(([127, 0, 0, 1], phone_port));
        let draft = stage::draft(&line).unwrap().set("pbx_user", baresip::USER);
        stage.open(&line, pbx, draft).await.unwrap();
        let app = light_user::Options::playing(circle(880, 60).unwrap()).answering(answering);
        let user = stage.person(NewUser::new("+79160000020", "Anna").username("anna"), app).unwrap();
        let gateway = stage.run(&[]).await.unwrap();
        stage::logged_in(&gateway, &line, LIMIT).await.unwrap();
        Self { stage, line, phone_port, user, gateway }
    }

    fn linphone(&self) -> linphone::Options {
        let plays = Pcm::tone(&[MUSIC_HZ], 60_000, ffmpeg::RATE_HZ);
        linphone::Options { sip_port: Some(self.phone_port), ..linphone::Options::new(Codec::Pcma, plays) }
    }

    /// The person calls and is played something.
    async fn hears_what_is_played_early(&mut self, hz: u32) {
        let call = self.user.call(self.line.account).await.unwrap();
        self.user.connected(LIMIT).await.unwrap();
        sleep(SETTLE).await;
        let before = self.user.heard(call).payloads.len();
        sleep(LISTENS).await;
        let mut meter = Meter::new(hz).unwrap();
        for payload in &self.user.heard(call).payloads[before..] {
            meter.feed(payload).unwrap();
        }
        assert!(meter.share() > LEAST_SHARE, "{} of what the caller hears is played", meter.share());
    }

    async fn close(self) {
        self.gateway.stop().await.unwrap();
        self.stage.done();
    }
}
