//! Session timers (RFC 4028) with SIPp and linphonec, in real time: whoever refreshes, two refreshes pass the wire and the
//! call goes on. Hours of it pass in the trunk room's own tests. Needs root, for the capture.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::figures::show;
use tgtrunk_tests::light_user::{self, LightUser};
use tgtrunk_tests::linphone::{self, Linphone, SessionTimer};
use tgtrunk_tests::pcm::Pcm;
use tgtrunk_tests::player::circle;
use tgtrunk_tests::sip_capture::{Message, SipCapture};
use tgtrunk_tests::sipp_script::SippScript;
use tgtrunk_tests::stage::{self, Line, Stage};
use tgtrunk_tests::{ffmpeg, ports};
use tokio::time::sleep;

const LIMIT: Duration = Duration::from_secs(15);
/// The shortest interval there is (RFC 4028 section 4).
const INTERVAL_S: u64 = 90;
/// Two refreshes at half the interval each, and a word afterwards, though the call may have come about slowly.
const LONG_ENOUGH: Duration = Duration::from_secs(INTERVAL_S + 13);
const TONE_HZ: u32 = 440;

/// Who refreshes, and who places the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    SippCalls { gateway_refreshes: bool },
    SippIsCalled { gateway_refreshes: bool },
    LinphoneCalls { gateway_refreshes: bool },
}

const WAYS: [Way; 6] = [
    Way::SippCalls { gateway_refreshes: false },
    Way::SippCalls { gateway_refreshes: true },
    Way::SippIsCalled { gateway_refreshes: false },
    Way::SippIsCalled { gateway_refreshes: true },
    Way::LinphoneCalls { gateway_refreshes: false },
    Way::LinphoneCalls { gateway_refreshes: true },
];

#[tokio::test(flavor = "multi_thread")]
async fn two_refreshes_pass_whoever_makes_them_and_the_call_goes_on() {
    let stage = Stage::on_loopback().await.unwrap();
    let mut rooms = Vec::new();
    for (number, way) in WAYS.into_iter().enumerate() {
        let line = stage.line(&format!("+7906000000{number}")).unwrap();
        let phone_port = ports::free_pair().unwrap();
        // SIPp says nothing on its media port.
        let draft = stage::draft(&line).unwrap().set("media_timeout_s", 600);
        stage.open(&line, SocketAddr::from(([127, 0, 0, 1], phone_port)), draft).await.unwrap();
        let user = NewUser::new(format!("+7916111111{number}"), "Anna").username(format!("anna{number}"));
        let user = stage.person(user, light_user::Options::playing(circle(TONE_HZ, 60).unwrap())).unwrap();
        let dials = format!("tg%23anna{number}");
        rooms.push(Room { way, line, phone_port, user, dials });
    }
    let gateway = stage.run(&[]).await.unwrap();
    // Their phones are not there yet.
    for room in &rooms {
        stage::logged_in(&gateway, &room.line, LIMIT).await.unwrap();
    }
    let calls: Vec<_> = rooms.into_iter().map(|room| (room.way, tokio::spawn(room.call()))).collect();
    let mut wrong = Vec::new();
    for (way, call) in calls {
        match call.await.unwrap() {
            Ok(refreshes) => show(&format!("{way:?}: {refreshes}")),
            Err(error) => wrong.push(format!("{way:?}: {error:#}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    gateway.stop().await.unwrap();
    stage.done();
}

/// A line with a phone at its one end and a person at its other.
struct Room {
    way: Way,
    line: Line,
    phone_port: u16,
    user: LightUser,
    dials: String,
}

impl Room {
    /// How the session was refreshed.
    async fn call(mut self) -> anyhow::Result<String> {
        let capture = SipCapture::start(self.line.sip)?;
        let gateway_refreshes = match self.way {
            Way::SippCalls { gateway_refreshes } => {
                let steps = sipp_calls(&self.dials, gateway_refreshes);
                let sipp =
                    SippScript::start(&steps, self.phone_port, Some(self.line.sip), LONG_ENOUGH + LIMIT)?;
                self.over(sipp).await?;
                gateway_refreshes
            }
            Way::SippIsCalled { gateway_refreshes } => {
                let steps = sipp_is_called(gateway_refreshes);
                let sipp = SippScript::start(&steps, self.phone_port, None, LONG_ENOUGH + LIMIT * 2)?;
                sleep(Duration::from_secs(1)).await;
                self.user.call(self.line.account).await?;
                self.over(sipp).await?;
                gateway_refreshes
            }
            Way::LinphoneCalls { gateway_refreshes } => {
                let timer = SessionTimer { interval_s: INTERVAL_S, callee_refreshes: gateway_refreshes };
                let options = linphone::Options {
                    sip_port: Some(self.phone_port),
                    session_timer: Some(timer),
                    ..linphone::Options::new(Codec::Pcma, Pcm::silence(20, ffmpeg::RATE_HZ))
                };
                let mut phone = Linphone::start(&options).await?;
                phone.dial(&format!("sip:{}@{}", self.dials, self.line.sip)).await?;
                self.user.connected(LIMIT).await?;
                phone.established(LIMIT).await?;
                sleep(LONG_ENOUGH).await;
                phone.finish().await?;
                self.lasted(LIMIT).await?;
                gateway_refreshes
            }
        };
        check(&capture.messages(), self.line.sip, gateway_refreshes)
    }
}

impl Room {
    /// Waits until SIPp hangs up.
    async fn over(&mut self, sipp: SippScript) -> anyhow::Result<()> {
        let connected = self.user.connected(LIMIT).await;
        let lasted = if connected.is_ok() { self.lasted(LONG_ENOUGH + LIMIT).await } else { Ok(()) };
        sipp.end().await?;
        connected?;
        lasted
    }

    /// Waits until the call ends, which must be late enough.
    async fn lasted(&mut self, limit: Duration) -> anyhow::Result<()> {
        let (reason, duration_s) = self.user.discarded(limit).await?;
        ensure!(duration_s >= i32::try_from(INTERVAL_S)?, "{reason:?} after {duration_s} s");
        Ok(())
    }
}

/// Two refreshes came from the side that was to make them, a half of the interval apart, and were taken.
fn check(messages: &[Message], line: SocketAddr, gateway_refreshes: bool) -> anyhow::Result<String> {
    let answered = messages
        .iter()
        .find(|message| {
            message.start().starts_with("SIP/2.0 200")
                && message.header("CSeq").is_some_and(|cseq| cseq.ends_with("INVITE"))
        })
        .context("the call was answered")?;
    let wanted = answered.header("Session-Expires").context("Session-Expires in the 200")?;
    ensure!(wanted.starts_with(&INTERVAL_S.to_string()), "Session-Expires: {wanted}");
    let mut refreshes: Vec<&Message> = messages
        .iter()
        .filter(|message| message.at > answered.at && (message.asks("UPDATE") || message.asks("INVITE")))
        .collect();
    refreshes.dedup_by(|later, earlier| later.header("CSeq") == earlier.header("CSeq"));
    let told: Vec<_> = refreshes
        .iter()
        .map(|message| {
            let by = if message.source == line { "gateway" } else { "phone" };
            format!("{by} {} after {:.1} s", message.start(), (message.at - answered.at).as_secs_f32())
        })
        .collect();
    let told = format!("Session-Expires: {wanted}; {}", told.join(", "));
    let by_gateway = refreshes.iter().filter(|message| message.source == line).count();
    let by_phone = refreshes.len() - by_gateway;
    let (of_those, of_others) =
        if gateway_refreshes { (by_gateway, by_phone) } else { (by_phone, by_gateway) };
    ensure!(of_those >= 2 && of_others == 0, "{told}");
    for refresh in refreshes {
        let cseq = refresh.header("CSeq").context("CSeq")?;
        let taken = messages.iter().any(|message| {
            message.start().starts_with("SIP/2.0 200")
                && message.header("CSeq") == Some(cseq)
                && message.at > refresh.at
        });
        ensure!(taken, "{cseq} was not taken: {told}");
    }
    Ok(told)
}

const ALLOW: &str = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE, OPTIONS\nSupported: timer\n";
const AUDIO: &str = "v=0\no=- 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 [media_ip]\nt=0 0\n\
                     m=audio [media_port] RTP/AVP 8\na=rtpmap:8 PCMA/8000\na=sendrecv\n";

fn sipp_calls(dials: &str, gateway_refreshes: bool) -> String {
    // The caller, the UAC, says who refreshes.
    let refresher = if gateway_refreshes { "uas" } else { "uac" };
    let expires = format!("Session-Expires: {INTERVAL_S};refresher={refresher}\n");
    let ours = "From: <sip:100@[local_ip]:[local_port]>;tag=[pid]t\n";
    let request = |method: &str, number: u32, to: &str, more: &str, body: &str| {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\n" };
        format!(
            "<send retrans=\"500\"><![CDATA[\n{method} sip:{dials}@[remote_ip]:[remote_port] SIP/2.0\n\
             Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\n{ours}{to}Call-ID: [call_id]\n\
             CSeq: {number} {method}\nContact: <sip:100@[local_ip]:[local_port]>\nMax-Forwards: 70\n{more}{kind}\
             Content-Length: [len]\n\n{body}]]></send>\n"
        )
    };
    let to = format!("To: <sip:{dials}@[remote_ip]:[remote_port]>\n");
    let ack =
        "<send><![CDATA[\nACK [next_url] SIP/2.0\nVia: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\n";
    let with_timer = format!("{ALLOW}{expires}");
    let between = if gateway_refreshes {
        awaited().repeat(2)
    } else {
        let update = |number| {
            let update = request("UPDATE", number, "To: [$remote]\n", &with_timer, "");
            format!("<pause milliseconds=\"{}\"/>\n{update}{}", INTERVAL_S * 500, answered(&expires))
        };
        format!("{}{}", update(2), update(3))
    };
    format!(
        "{invite}<recv response=\"100\" optional=\"true\"/>\n<recv response=\"180\" optional=\"true\"/>\n\
         <recv response=\"183\" optional=\"true\"/>\n{answered}\
         {ack}{ours}To: [$remote]\nCall-ID: [call_id]\nCSeq: 1 ACK\nMax-Forwards: 70\nContent-Length: 0\n\n]]></send>\n\
         {between}<pause milliseconds=\"8000\"/>\n{bye}<recv response=\"200\"/>\n\
         <Reference variables=\"expires,remote\"/>\n",
        invite = request("INVITE", 1, &to, &with_timer, AUDIO),
        answered = answered(&expires),
        bye = request("BYE", 9, "To: [$remote]\n", "", ""),
    )
}

fn sipp_is_called(gateway_refreshes: bool) -> String {
    // The callee may choose a shorter interval than the gateway offers, and the refresher that it leaves open.
    let refresher = if gateway_refreshes { "uac" } else { "uas" };
    let expires = format!("Session-Expires: {INTERVAL_S};refresher={refresher}\n");
    let own = "Contact: <sip:100@[local_ip]:[local_port]>\n";
    let request = |method: &str, number: u32, more: &str| {
        format!(
            "<send retrans=\"500\"><![CDATA[\n{method} [next_url] SIP/2.0\n\
             Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]\nFrom: [$local];tag=[pid]t\nTo: [$remote]\n\
             [last_Call-ID:]\nCSeq: {number} {method}\n{own}Max-Forwards: 70\n{more}Content-Length: 0\n\n]]></send>\n"
        )
    };
    let between = if gateway_refreshes {
        awaited().repeat(2)
    } else {
        // In its own requests it is the UAC.
        let ours = format!("{ALLOW}Session-Expires: {INTERVAL_S};refresher=uac\n");
        let update = |number| {
            let update = request("UPDATE", number, &ours);
            let answer = answered(&format!("Session-Expires: {INTERVAL_S};refresher=uac\n"));
            format!("<pause milliseconds=\"{}\"/>\n{update}{answer}", INTERVAL_S * 500)
        };
        format!("{}{}", update(1), update(2))
    };
    let response = |status: &str| {
        format!(
            "<send retrans=\"500\"><![CDATA[\nSIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:];tag=[pid]t\n\
             [last_Call-ID:]\n[last_CSeq:]\n{own}"
        )
    };
    let options = "<label id=\"1\"/>\n<send><![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n\
                   [last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]></send>\n<label id=\"2\"/>\n\
                   <pause milliseconds=\"1\"/>\n";
    format!(
        "<recv request=\"OPTIONS\" optional=\"true\" next=\"1\"/>\n<recv request=\"INVITE\" rrs=\"true\"><action>\
         <ereg regexp=\"[^;]*\" search_in=\"hdr\" header=\"To:\" check_it=\"true\" assign_to=\"local\"/>\
         <ereg regexp=\".*\" search_in=\"hdr\" header=\"From:\" check_it=\"true\" assign_to=\"remote\"/>\
         <ereg regexp=\"[0-9]+\" search_in=\"hdr\" header=\"Session-Expires:\" check_it=\"true\" assign_to=\"expires\"/>\
         </action></recv>\n\
         {ok}{ALLOW}Require: timer\n{expires}Content-Type: application/sdp\nContent-Length: [len]\n\n{AUDIO}]]></send>\n\
         <recv request=\"ACK\"/>\n{between}<pause milliseconds=\"8000\"/>\n{bye}<recv response=\"200\" next=\"2\"/>\n{options}\
         <Reference variables=\"expires,local,remote\"/>\n",
        ok = response("200 OK"),
        bye = request("BYE", 9, ""),
    )
}

/// A 200 that agrees to the timer.
fn answered(expires: &str) -> String {
    let (_, wanted) = expires.trim().split_once(": ").unwrap();
    format!(
        "<recv response=\"200\" rrs=\"true\"><action><ereg regexp=\"{wanted}\" search_in=\"hdr\" \
         header=\"Session-Expires:\" check_it=\"true\" assign_to=\"expires\"/>\
         <ereg regexp=\".*\" search_in=\"hdr\" header=\"To:\" check_it=\"true\" assign_to=\"remote\"/>\
         </action></recv>\n"
    )
}

/// A refresh of the gateway, and the answer to it.
fn awaited() -> String {
    let taken = taken();
    format!(
        "<recv request=\"UPDATE\" timeout=\"60000\"><action><ereg regexp=\"{INTERVAL_S};refresher=uac\" \
         search_in=\"hdr\" header=\"Session-Expires:\" check_it=\"true\" assign_to=\"expires\"/></action></recv>\n{taken}"
    )
}

/// A 200 to a refresh of the gateway, which is the UAC of it.
fn taken() -> String {
    format!(
        "<send><![CDATA[\nSIP/2.0 200 OK\n[last_Via:]\n[last_From:]\n[last_To:]\n[last_Call-ID:]\n[last_CSeq:]\n\
         Contact: <sip:100@[local_ip]:[local_port]>\n{ALLOW}Require: timer\n\
         Session-Expires: {INTERVAL_S};refresher=uac\nContent-Length: 0\n\n]]></send>\n"
    )
}
