//! What strangers throw at running calls changes nothing and is counted: SIP of a dialog that is not theirs, sound, keys
//! and checks of a path at every port of the gateway; and what a person calls themselves at Telegram.

#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;
use tgtrunk_config::control::{CallState, Ender};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::canary::TRUNK_PASSWORD;
use tgtrunk_tests::clock::now;
use tgtrunk_tests::light_user::{self, LightUser, Reason};
use tgtrunk_tests::measure::{self, Tones};
use tgtrunk_tests::pbx::{self, Phone};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::sip_capture::{Message, SipCapture};
use tgtrunk_tests::sockets::datagram_sockets;
use tgtrunk_tests::stage::{self, Line, Stage};
use tgtrunk_tests::{ports, prometheus};
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout};

const LIMIT: Duration = Duration::from_secs(10);
const TALK: Duration = Duration::from_secs(4);
const LEAST_PLAYED: Duration = Duration::from_millis(3800);
const TONES: Tones = Tones::USUAL;
const COMPANY: &str = "+79060000000";
/// A neighbour of the PBX's machine; all of 127.0.0.0/8 is this one.
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 66));
/// How often everything is thrown while both talk.
const ROUNDS: u32 = 20;
/// How often a password is guessed: less often than silences who does it.
const GUESSES: u32 = 3;
/// How long the gateway takes to bring its figures up to date.
const FIGURES: Duration = Duration::from_secs(7);

#[tokio::test(flavor = "multi_thread")]
async fn strangers_change_nothing_in_a_call_and_are_counted() {
    let metrics = SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
    let scene = Scene::open(metrics, NewUser::new("+79161111111", "Anna").username("anna")).await;
    let Scene { stage, line, mut phone, mut anna, wire } = scene;
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut events = gateway.control().await.unwrap();
    events.subscribe().await.unwrap();
    let call = anna.call(line.account).await.unwrap();
    let incoming = phone.incoming(LIMIT).await.unwrap();
    anna.connected(LIMIT).await.unwrap();
    events.call_state(CallState::Answered, LIMIT).await.unwrap();
    let dialog = Dialog::of(&wire.messages());

    let ears = UdpSocket::bind((STRANGER, 0)).await.unwrap();
    let sip = dialog.requests(line.sip, ears.local_addr().unwrap());
    let pid = gateway.pid().unwrap();
    let neighbour = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let throws = async {
        let mut thrown = (0, 0);
        for _ in 0..ROUNDS {
            for message in &sip {
                ears.send_to(message.as_bytes(), line.sip).await.unwrap();
                thrown.0 += 1;
            }
            for address in datagram_sockets(pid).unwrap().into_iter().filter(|address| *address != line.sip) {
                for packet in media(&dialog) {
                    // Also from the PBX's own address: its other programs are strangers, too.
                    for socket in [&ears, &neighbour] {
                        socket.send_to(&packet, address).await.unwrap();
                        thrown.1 += 1;
                    }
                }
            }
            sleep(TALK / ROUNDS).await;
        }
        thrown
    };
    let talk = measure::talk(&anna, call, &phone, incoming.call, TONES, TALK);
    let ((sip_thrown, media_thrown), ways) = tokio::join!(throws, talk);
    ways.unwrap().check(LEAST_PLAYED).unwrap();

    let mut buffer = [0; 2048];
    let answer = timeout(Duration::from_millis(100), ears.recv_from(&mut buffer)).await;
    assert!(answer.is_err(), "a stranger gets silence: {:?}", String::from_utf8_lossy(&buffer[..80]));
    phone.forget();
    sleep(FIGURES).await;
    let page = prometheus::page(metrics).await.unwrap();
    let port = format!("line=\"{}\"", line.sip.port());
    let strangers = prometheus::sum(&page, "tgtrunk_sip_strangers_total", &[&port]);
    assert_eq!(strangers, f64::from(sip_thrown), "each is counted");
    let calls = gateway.control().await.unwrap().calls().await.unwrap();
    assert_eq!(calls.len(), 1, "no call of theirs came about: {calls:?}");
    assert_eq!(calls[0].state, CallState::Answered);

    // The PBX itself ends the call, and nobody else had.
    phone.hang_up(incoming.call).await.unwrap();
    assert_eq!(anna.discarded(LIMIT).await.unwrap().0, Some(Reason::Hangup));
    let ended = events.call_state(CallState::Ended, LIMIT).await.unwrap();
    assert_eq!(ended.end.unwrap().by, Ender::Pbx);
    let refused = ended.quality.unwrap().pbx.refused;
    let page = prometheus::page(metrics).await.unwrap();
    // What comes to a socket that calls share, from nobody's peer, is no call's.
    let strays = prometheus::sum(&page, "tgtrunk_media_strays_total", &[]);
    println!(
        "{sip_thrown} SIP messages, {media_thrown} datagrams at media ports; refused {refused}, strays {strays}"
    );
    let least = u64::from(ROUNDS) * 4;
    assert!(refused >= least && strays >= least as f64, "{refused}, {strays}");
    let side = [port.as_str(), "side=\"pbx\""];
    let counted = prometheus::sum(&page, "tgtrunk_media_datagrams_refused_total", &side);
    assert!(counted >= f64::from(ROUNDS), "{counted}");
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_at_a_line_that_listens_to_everybody_have_to_prove_themselves_and_are_counted() {
    let metrics = SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
    let settings = format!("metrics = \"{metrics}\"");
    let stage = Stage::set_up(stage::Options { settings, ..stage::Options::default() }).await.unwrap();
    let line = stage.line(COMPANY).unwrap();
    let options = pbx::Options::playing(circle(TONES.pbx_hz, 20).unwrap()).muted();
    let phone = Phone::switch_on(line.sip, options).await.unwrap();
    let trunk = json!({"any_source": true, "auth_user": "pbx", "auth_password": TRUNK_PASSWORD});
    stage.open(&line, phone.sip, stage::draft(&line).unwrap().set("trunk", trunk)).await.unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();

    let ears = UdpSocket::bind((STRANGER, 0)).await.unwrap();
    let asks = async |method: &str, number: u32, more: &str| {
        let (here, there) = (ears.local_addr().unwrap(), line.sip);
        let message = format!(
            "{method} sip:tg%23anna@{there} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bK{method}{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:100@{here}>;tag=s\r\nTo: <sip:tg%23anna@{there}>\r\nCall-ID: {number}\r\n\
             CSeq: {number} {method}\r\nContact: <sip:100@{here}>\r\n{more}Content-Length: 0\r\n\r\n"
        );
        ears.send_to(message.as_bytes(), there).await.unwrap();
        let mut buffer = [0; 4096];
        let (length, _) = timeout(LIMIT, ears.recv_from(&mut buffer)).await.unwrap().unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let mut challenge = String::new();
    for round in 0..ROUNDS {
        for (method, status) in [("OPTIONS", "200"), ("REGISTER", "405"), ("BYE", "401"), ("INVITE", "401")] {
            challenge = asks(method, round + 1, "").await;
            assert!(challenge.starts_with(&format!("SIP/2.0 {status} ")), "{method}: {challenge}");
        }
    }
    let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let proof = format!(
        "Authorization: Digest username=\"pbx\", realm=\"tgtrunk\", nonce=\"{nonce}\", uri=\"sip:tg%23anna@{}\", \
         response=\"{}\", algorithm=MD5\r\n",
        line.sip,
        "0".repeat(32)
    );
    for guess in 0..GUESSES {
        let said = asks("INVITE", ROUNDS + 1 + guess, &proof).await;
        assert!(said.starts_with("SIP/2.0 401 "), "{said}");
    }
    sleep(FIGURES).await;
    let page = prometheus::page(metrics).await.unwrap();
    let port = format!("line=\"{}\"", line.sip.port());
    let counted = |name: &str| prometheus::sum(&page, name, &[&port]);
    assert_eq!(counted("tgtrunk_sip_unproven_total"), f64::from(4 * ROUNDS + GUESSES), "each is counted");
    assert_eq!(counted("tgtrunk_sip_wrong_proofs_total"), f64::from(GUESSES));
    assert_eq!(counted("tgtrunk_sip_strangers_total"), 0.0, "each was answered");
    assert!(gateway.control().await.unwrap().calls().await.unwrap().is_empty());
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_people_call_themselves_reaches_the_pbx_as_one_value() {
    let metrics = SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
    let evil = "I\"v\\an\r\nX-Evil: 1\r\n\r\nv=0\0\u{85}\u{2028}<sip:x@y>;tag=z,";
    let user =
        NewUser::new("+79161111111", evil).last_name("\r\nVia: SIP/2.0/UDP 1.2.3.4\u{7f}").username("anna");
    let Scene { stage, line, mut phone, anna, wire } = Scene::open(metrics, user).await;
    let gateway = stage.run(&[&line]).await.unwrap();
    anna.call(line.account).await.unwrap();
    let incoming = phone.incoming(LIMIT).await.unwrap();
    let said = "I\"v\\an X-Evil: 1 v=0 <sip:x@y>;tag=z,";
    assert_eq!(incoming.from_display, format!("{said} Via: SIP/2.0/UDP 1.2.3.4"));
    assert_eq!(incoming.header("X-TG-FirstName"), Some(said));
    let until = now() + LIMIT;
    let invite = loop {
        match wire.messages().into_iter().find(|message| message.asks("INVITE")) {
            Some(invite) => break invite,
            None => assert!(now() < until, "the INVITE was not on the wire"),
        }
        sleep(Duration::from_millis(20)).await;
    };
    let (head, _) = invite.text.split_once("\r\n\r\n").unwrap();
    let names: Vec<&str> = head.split("\r\n").skip(1).map(|line| line.split(':').next().unwrap()).collect();
    assert!(!names.contains(&"X-Evil"), "{head}");
    assert_eq!(names.iter().filter(|name| **name == "Via").count(), 1, "{head}");
    assert!(head.replace("\r\n", "").chars().all(|sign| !sign.is_control()), "{head:?}");
    gateway.stop().await.unwrap();
    stage.done();
}

/// A line with a phone, over a wire that is listened to.
struct Scene {
    stage: Stage,
    line: Line,
    phone: Phone,
    anna: LightUser,
    wire: SipCapture,
}

impl Scene {
    async fn open(metrics: SocketAddr, user: NewUser) -> Self {
        let settings = format!("metrics = \"{metrics}\"");
        let stage = Stage::set_up(stage::Options { settings, ..stage::Options::default() }).await.unwrap();
        let line = stage.line(COMPANY).unwrap();
        let options = pbx::Options::playing(circle(TONES.pbx_hz, 20).unwrap()).muted();
        let phone = stage.desk(&line, options).await.unwrap();
        let wire = SipCapture::start(line.sip).unwrap();
        let app = light_user::Options::playing(circle(TONES.telegram_hz, 60).unwrap()).muted();
        let anna = stage.person(user, app).unwrap();
        Self { stage, line, phone, anna, wire }
    }
}

/// A call as it passed the wire: what somebody needs who wants to meddle with it.
struct Dialog {
    invite: Message,
    to: String,
    ssrc: u32,
}

impl Dialog {
    fn of(wire: &[Message]) -> Self {
        let invite = wire.iter().find(|message| message.asks("INVITE")).unwrap().clone();
        let ok = |message: &&Message| {
            message.start().starts_with("SIP/2.0 200") && message.header("CSeq").unwrap().ends_with("INVITE")
        };
        let to = wire.iter().find(ok).unwrap().header("To").unwrap().to_owned();
        Self { invite, to, ssrc: 0x1234_5678 }
    }

    /// Everything that the PBX might say in this dialog, and a call of the stranger's own.
    fn requests(&self, line: SocketAddr, stranger: SocketAddr) -> Vec<String> {
        let (ours, theirs) = (self.invite.header("From").unwrap(), self.to.as_str());
        let call_id = self.invite.header("Call-ID").unwrap();
        let sdp = format!(
            "v=0\r\no=- 9 9 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 9 RTP/AVP 107\r\n\
             a=rtpmap:107 opus/48000/2\r\n",
            ip = stranger.ip()
        );
        let request = |method: &str, number: u32, to: &str, call_id: &str, more: &str, body: &str| {
            let branch = format!("z9hG4bK{method}{number}");
            format!(
                "{method} sip:tg%23anna@{line} SIP/2.0\r\nVia: SIP/2.0/UDP {stranger};rport;branch={branch}\r\n\
                 Max-Forwards: 70\r\nFrom: {theirs}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\n\
                 Contact: <sip:x@{stranger}>\r\n{more}Content-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let described = "Content-Type: application/sdp\r\n";
        let keys = ("Content-Type: application/dtmf-relay\r\n", "Signal=5\r\nDuration=160\r\n");
        let invite_branch = self.invite.header("Via").unwrap();
        vec![
            request("INVITE", 1, "<sip:tg%23anna@127.0.0.1>", "of-a-stranger", described, &sdp),
            request("BYE", 900, ours, call_id, "", ""),
            request("INVITE", 901, ours, call_id, described, &sdp),
            request("UPDATE", 902, ours, call_id, described, &sdp),
            request("INFO", 903, ours, call_id, keys.0, keys.1),
            request("REFER", 904, ours, call_id, "Refer-To: <sip:evil@127.0.0.66>\r\n", ""),
            request("CANCEL", 1, ours, call_id, "", ""),
            request("OPTIONS", 905, "<sip:127.0.0.1>", "asks", "", ""),
            request("REGISTER", 906, "<sip:100@127.0.0.1>", "registers", "", ""),
            format!(
                "SIP/2.0 486 Busy Here\r\nVia: {invite_branch}\r\nFrom: {ours}\r\nTo: {theirs}\r\nCall-ID: {call_id}\r\n\
                 CSeq: {}\r\nContent-Length: 0\r\n\r\n",
                self.invite.header("CSeq").unwrap()
            ),
            "\r\n\r\n".to_owned(),
            "\0\u{1}garbage".to_owned(),
        ]
    }
}

/// Sound, reports, checks, handshakes and garbage, none with any key.
fn media(dialog: &Dialog) -> Vec<Vec<u8>> {
    let ssrc = dialog.ssrc.to_be_bytes();
    let rtp = [&[0x80, 107, 0x10, 1, 0, 0, 0x10, 0][..], &ssrc, &[0xf8; 40]].concat();
    let goodbye = [&[0x81, 203, 0, 1][..], &ssrc].concat();
    let event = [&[0x80, 0x80 | 101, 0x10, 2, 0, 0, 0x10, 0][..], &ssrc, &[5, 10, 0, 160]].concat();
    // A binding request (RFC 8489) with a name, and an answer to nobody's.
    let binding = [&[0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12], &[0, 6, 0, 4], b"a:b\0"].concat();
    let success = [&[1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &[7; 12]].concat();
    // An alert "close notify" (RFC 6347), in clear.
    let alert = vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0];
    vec![rtp, goodbye, event, binding, success, alert, vec![0xff; 100], Vec::new()]
}
