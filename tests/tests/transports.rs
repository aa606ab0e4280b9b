//! SIP over TCP and TLS, audio in SRTP, and all of it over IPv6; passwords that the line asks for: with SIPp, baresip and
//! linphonec as the PBX, both ways.

#![allow(clippy::unwrap_used)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::json;
use tgtrunk_config::{Lamp, StateDir};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::canary::TRUNK_PASSWORD;
use tgtrunk_tests::baresip::{self, Baresip};
use tgtrunk_tests::clock::now;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::dnsmasq::{Dnsmasq, Service};
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::light_user::{self, LightUser, Reason};
use tgtrunk_tests::linphone::{self, Linphone, Transport};
use tgtrunk_tests::measure::{LEAST_SHARE, Tones};
use tgtrunk_tests::pcm::Pcm;
use tgtrunk_tests::player::circle;
use tgtrunk_tests::sipp_dialog::{Session, SippDialog};
use tgtrunk_tests::sipp_phone::{self, SippPhone};
use tgtrunk_tests::sipp_script::SippScript;
use tgtrunk_tests::stage::{self, Line, Stage};
use tgtrunk_tests::tone::{self, Meter};
use tgtrunk_tests::{ffmpeg, ports, stage as scene};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How long anything may take that should take no time.
const LIMIT: Duration = Duration::from_secs(10);
const TALK: Duration = Duration::from_secs(3);
const TONES: Tones = Tones::USUAL;
/// User and password of whoever calls a line that asks for them.
const PROOF: (&str, &str) = ("phone100", "open-Stieg1itzSip");
const COMPANY: &str = "+79060000000";
const ANNA: &str = "+79161111111";

#[tokio::test(flavor = "multi_thread")]
async fn sipp_is_called_and_calls_over_tcp() {
    sipp_both_ways(Ipv4Addr::LOCALHOST.into(), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_is_called_and_calls_over_ipv6() {
    for tcp in [false, true] {
        sipp_both_ways(Ipv6Addr::LOCALHOST.into(), tcp).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_is_called_and_calls_over_tls_with_encrypted_audio() {
    let trunk = |certificate: &str| json!({"transport": "tls", "tls_trust": certificate});
    baresip_both_ways(baresip::Options { transport: "tls", encrypts: true, ..phone() }, trunk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_is_called_and_calls_over_tcp_in_the_clear() {
    let trunk = |_: &str| json!({"transport": "tcp"});
    baresip_both_ways(baresip::Options { transport: "tcp", ..phone() }, trunk).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn linphone_is_called_and_calls_over_tcp() {
    let mut scene = Studio::open(json!({"transport": "tcp"})).await;
    let options = scene.options(Transport::Tcp);
    let mut phone = Linphone::start(&options).await.unwrap();
    stage::green(&scene.gateway, &scene.line, LIMIT).await.unwrap();
    scene.phone_is_called(&mut phone).await;
    scene.phone_calls(&mut phone, ";transport=tcp").await;
    scene.close(phone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn linphone_is_called_and_calls_over_ipv6() {
    let ip = Ipv6Addr::LOCALHOST.into();
    let mut scene = Studio::open_at(ip, json!({})).await;
    let options = linphone::Options { ip, ..scene.options(Transport::Udp) };
    let mut phone = Linphone::start(&options).await.unwrap();
    stage::green(&scene.gateway, &scene.line, LIMIT).await.unwrap();
    scene.phone_is_called(&mut phone).await;
    scene.phone_calls(&mut phone, "").await;
    scene.close(phone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_is_called_and_calls_over_ipv6() {
    let options = baresip::Options { ip: Ipv6Addr::LOCALHOST.into(), ..phone() };
    baresip_both_ways(options, |_| json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn linphone_calls_over_tls_with_encrypted_audio() {
    let mut scene = Studio::open(json!({"transport": "tls", "tls_trust": "any"})).await;
    let trusted = Transport::Tls(scene.stage.installation.state.join("tls-certificate.pem"));
    let options = linphone::Options { encrypts: true, ..scene.options(trusted) };
    let mut phone = Linphone::start(&options).await.unwrap();
    scene.phone_calls(&mut phone, ";transport=tls").await;
    scene.close(phone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn linphone_proves_who_calls_in_each_algorithm() {
    for algorithm in ["sha-256", "md5", "auto"] {
        let mut scene = Studio::open(asks(algorithm)).await;
        let options = linphone::Options { digest: Some(PROOF), ..scene.options(Transport::Udp) };
        let mut phone = Linphone::start(&options).await.unwrap();
        scene.phone_calls(&mut phone, "").await;
        scene.close(phone).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn baresip_proves_who_calls_where_nothing_but_md5_is_asked_for() {
    let options = baresip::Options { digest: Some(PROOF), ..phone() };
    let mut scene = Scene::open(options, |_| asks("md5")).await;
    scene.phone.dial(&scene.dialled("")).await.unwrap();
    scene.anna.connected(LIMIT).await.unwrap();
    scene.phone.hang_up().await.unwrap();
    scene.anna.discarded(LIMIT).await.unwrap();
    scene.gateway.stop().await.unwrap();
    scene.stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_proves_who_calls_and_is_refused_with_another_password() {
    for (password, calls) in [(PROOF.1, true), ("open-barley", false)] {
        let mut scene = Studio::open(asks("md5")).await;
        let session = Session::both_ways(Codec::Pcma);
        let mut dialog = SippDialog::calls_with_proof("tg%23anna", session, (PROOF.0, password));
        dialog.pauses(500);
        let scenario = dialog.hangs_up();
        let sipp = SippScript::start_with(&scenario, scene.phone_port, Some(scene.line.sip), LIMIT).unwrap();
        if calls {
            scene.anna.connected(LIMIT).await.unwrap();
            scene.anna.discarded(LIMIT).await.unwrap();
            sipp.end().await.unwrap();
        } else {
            assert!(scene.anna.event(Duration::from_secs(2)).await.is_err(), "nobody rings");
            drop(sipp);
        }
        scene.gateway.stop().await.unwrap();
        scene.stage.done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_requires_encryption_refuses_a_call_without_it() {
    let mut scene = Scene::open(phone(), |_| json!({"srtp": "require"})).await;
    scene.phone.dial(&scene.dialled("")).await.unwrap();
    let closed = scene.phone.wait_for("CALL_CLOSED", LIMIT).await.unwrap();
    assert!(closed["param"].as_str().unwrap_or_default().contains("488"), "{closed}");
    scene.gateway.stop().await.unwrap();
    scene.stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_told_by_the_lamp() {
    let options = baresip::Options { transport: "tls", ..phone() };
    let (stage, line) = stage().await;
    let phone = Baresip::start(&options).await.unwrap();
    let trunk = json!({"transport": "tls", "tls_trust": "system"});
    stage.open(&line, phone.tls, draft(&line).set("trunk", trunk)).await.unwrap();
    let gateway = stage.run(&[]).await.unwrap();
    let told = sip_lamp(&gateway, &line, |reason| reason.contains("is not trusted")).await;
    assert!(told.contains("tls_trust in line.toml"), "{told}");
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_are_answered_pinged_and_ended_as_they_deserve() {
    let mut scene = Scene::open(phone(), |_| json!({})).await;
    let line = scene.line.sip;
    let mut stream = TcpStream::connect(line).await.unwrap();
    stream.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    timeout(LIMIT, stream.read_exact(&mut pong)).await.unwrap().unwrap();
    assert_eq!(&pong, b"\r\n");
    // Two requests in one piece, and one in many.
    let options = options(line, "Content-Length: 0\r\n");
    stream.write_all(format!("{options}{options}").replace("branch=", "branch=x").as_bytes()).await.unwrap();
    for byte in options.as_bytes().chunks(7) {
        stream.write_all(byte).await.unwrap();
        sleep(Duration::from_millis(1)).await;
    }
    let said = heard(&mut stream, 3).await;
    assert_eq!(said.matches("SIP/2.0 200 OK").count(), 3, "{said}");
    assert!(said.contains("Via: SIP/2.0/TCP "), "{said}");
    for wrong in ["Content-Length: 18446744073709551615\r\n", "Content-Type: application/sdp\r\n"] {
        let mut stream = TcpStream::connect(line).await.unwrap();
        stream.write_all(self::options(line, wrong).as_bytes()).await.unwrap();
        let mut said = String::new();
        timeout(LIMIT, stream.read_to_string(&mut said)).await.expect("the connection ends").unwrap();
        assert!(said.starts_with("SIP/2.0 5") || said.starts_with("SIP/2.0 4"), "{said}");
    }
    // Who is not the PBX gets no word.
    let stranger = tokio::net::TcpSocket::new_v4().unwrap();
    stranger.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stranger = stranger.connect(line).await.unwrap();
    stranger.write_all(options.as_bytes()).await.ok();
    let mut said = Vec::new();
    timeout(LIMIT, stranger.read_to_end(&mut said)).await.expect("the connection ends").ok();
    assert!(said.is_empty());
    // A call all the same.
    scene.phone.dial(&scene.dialled("")).await.unwrap();
    let call = scene.anna.connected(LIMIT).await.unwrap();
    scene.anna.hang_up(call, Reason::Hangup).await;
    scene.gateway.stop().await.unwrap();
    scene.stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_only_connect_leave_the_pbx_its_places_and_are_let_go() {
    let open = |_: &str| json!({"any_source": true, "auth_user": "pbx", "auth_password": TRUNK_PASSWORD});
    let scene = Scene::open(phone(), open).await;
    let line = scene.line.sip;
    let began = now();
    let mut strangers = Vec::new();
    for number in 0..150 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 10 + number % 15], 0))).unwrap();
        strangers.push(socket.connect(line).await.unwrap());
    }
    let mut pbx = TcpStream::connect(line).await.unwrap();
    let asks = options(line, "Content-Length: 0\r\n");
    pbx.write_all(asks.as_bytes()).await.unwrap();
    let said = heard(&mut pbx, 1).await;
    assert!(said.starts_with("SIP/2.0 200 OK"), "{said}");
    let mut kept = 0;
    for mut stranger in strangers {
        stranger.write_all(b"\r\n\r\n").await.ok();
        let mut said = Vec::new();
        timeout(Duration::from_secs(15), stranger.read_to_end(&mut said))
            .await
            .expect("they are let go")
            .ok();
        kept += usize::from(said == b"\r\n");
    }
    assert!((1..=64).contains(&kept), "{kept} were kept for a while");
    assert!(now() - began >= Duration::from_secs(9), "whoever may be the PBX has time to prove it");
    pbx.write_all(asks.replace("branch=", "branch=y").as_bytes()).await.unwrap();
    let said = heard(&mut pbx, 1).await;
    assert!(said.starts_with("SIP/2.0 200 OK"), "the PBX stays: {said}");
    scene.gateway.stop().await.unwrap();
    scene.stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pbx_that_is_a_name_is_found_by_the_records_of_the_lines_transport() {
    for transport in ["tcp", "tls"] {
        let encrypts = transport == "tls";
        let phone = Baresip::start(&baresip::Options { transport, encrypts, ..phone() }).await.unwrap();
        let names = SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
        // Whoever asks for another transport is led to nobody.
        let to = |kind: &str, place: SocketAddr| if kind == transport { place.port() } else { 9 };
        let zone = [
            service("_sip._udp.pbx.test", "a.pbx.test", to("udp", phone.sip)),
            service("_sip._tcp.pbx.test", "b.pbx.test", to("tcp", phone.sip)),
            service("_sips._tcp.pbx.test", "c.pbx.test", to("tls", phone.tls)),
        ];
        let dns = Dnsmasq::start(names, &zone).await.unwrap();
        let settings = format!("name_servers = [\"{names}\"]\n");
        let stage = Stage::set_up(scene::Options { settings, ..scene::Options::default() }).await.unwrap();
        let line = stage.line(COMPANY).unwrap();
        let mut anna = stage.person(NewUser::new(ANNA, "Anna").username("anna"), app()).unwrap();
        let trust = phone.certificate().display().to_string();
        let trunk = json!({"transport": transport, "tls_trust": trust});
        let draft = draft(&line).set("sip_port", line.sip.port()).set("pbx", "pbx.test").set("trunk", trunk);
        let state = StateDir::open(&stage.installation.state).unwrap();
        tgtrunk_config::Lines::add(&state, draft).unwrap();
        stage.log_in(&line).await.unwrap();
        let gateway = stage.run(&[&line]).await.unwrap();
        let call = anna.call(line.account).await.unwrap();
        anna.connected(LIMIT).await.unwrap();
        anna.hang_up(call, Reason::Hangup).await;
        gateway.stop().await.unwrap();
        dns.stop().await.unwrap();
        stage.done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_without_the_gateway_tries_each_line_by_its_own_transport_and_leaves_nothing() {
    let (stage, line) = stage().await;
    stage.telegram().write_dc_seed(&stage.installation.state, 1).unwrap();
    let phone = Baresip::start(&baresip::Options { transport: "tls", ..phone() }).await.unwrap();
    let nobody = SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
    let certificate = phone.certificate().display().to_string();
    for (pbx, trunk, wanted) in [
        (phone.sip, json!({"transport": "udp"}), format!("PBX {} answers", phone.sip)),
        (phone.sip, json!({"transport": "tcp"}), format!("PBX {} answers", phone.sip)),
        (
            phone.tls,
            json!({"transport": "tls", "tls_trust": certificate}),
            format!("PBX {} answers", phone.tls),
        ),
        (phone.tls, json!({"transport": "tls", "tls_trust": "system"}), "is not trusted".to_owned()),
        (
            phone.sip,
            json!({"transport": "tls"}),
            // A phone may as well answer in its own way what it takes for nonsense.
            format!("the TLS handshake with the PBX at {0} took too long|no TLS is spoken at {0}", phone.sip),
        ),
        (nobody, json!({"transport": "tcp"}), format!("the PBX takes no connection at {nobody}")),
        (nobody, json!({"transport": "tls"}), format!("the PBX takes no connection at {nobody}")),
        (
            phone.tls,
            json!({"transport": "tls", "tls_trust": "/nowhere/pbx.pem"}),
            "/nowhere/pbx.pem cannot be read".to_owned(),
        ),
    ] {
        let told = checked(&stage, &line, pbx, trunk.clone()).await;
        assert!(wanted.split('|').any(|words| told.contains(words)), "{trunk}: want {wanted:?} in {told}");
    }
    let state = StateDir::open(&stage.installation.state).unwrap();
    assert!(!state.tls_certificate().exists(), "a check makes no certificate");
    // Connections have the same port as datagrams, and both must be had.
    let taken = tokio::net::TcpListener::bind(line.sip).await.unwrap();
    let told = checked(&stage, &line, phone.sip, json!({"transport": "tcp"})).await;
    assert!(told.contains(&line.sip.to_string()) && told.contains("sip_port in line.toml"), "{told}");
    drop(taken);
    let config = std::fs::read_to_string(&stage.installation.config).unwrap();
    let named = "[gateway]\ntls_certificate = \"/nowhere/own.pem\"\ntls_key = \"/nowhere/own.key\"";
    std::fs::write(&stage.installation.config, config.replace("[gateway]", named)).unwrap();
    let told = checked(&stage, &line, phone.tls, json!({"transport": "tls", "tls_trust": "any"})).await;
    assert!(told.contains("/nowhere/own.pem cannot be read"), "{told}");
    stage.done();
}

/// What `check` says of a line that goes by such a way to its PBX.
async fn checked(stage: &Stage, line: &Line, pbx: SocketAddr, trunk: serde_json::Value) -> String {
    let state = StateDir::open(&stage.installation.state).unwrap();
    let phone = line.phone.parse().unwrap();
    std::fs::remove_file(state.line_file(&phone)).ok();
    stage.write_line(line, pbx, draft(line).set("trunk", trunk)).unwrap();
    let (_, told, complaint) = stage.installation.ask(&["check"], LIMIT * 3).await.unwrap();
    told + &complaint
}

fn service(name: &'static str, target: &'static str, port: u16) -> Service {
    Service { name, target, port, priority: 10 }
}

async fn sipp_both_ways(ip: IpAddr, tcp: bool) {
    let (stage, line) = stage_at(ip).await;
    let mut anna = stage.person(NewUser::new(ANNA, "Anna").username("anna"), app()).unwrap();
    let options = sipp_phone::Options { ip, tcp, ..sipp_phone::Options::new(Codec::Pcma) };
    let phone = SippPhone::start(&options).unwrap();
    let trunk = json!({"transport": if tcp { "tcp" } else { "udp" }});
    stage.open(&line, phone.sip, draft(&line).set("trunk", trunk)).await.unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let call = anna.call(line.account).await.unwrap();
    anna.connected(LIMIT).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    anna.hang_up(call, Reason::Hangup).await;
    phone.hung_up(LIMIT).await.unwrap();
    let calls = Some(("tg%23anna".to_owned(), line.sip));
    let phone = SippPhone::start(&sipp_phone::Options { calls, ..options }).unwrap();
    let call = anna.connected(LIMIT).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    anna.hang_up(call, Reason::Hangup).await;
    phone.finished().await.unwrap();
    gateway.stop().await.unwrap();
    stage.done();
}

async fn baresip_both_ways(options: baresip::Options, trunk: impl Fn(&str) -> serde_json::Value) {
    let transport = options.transport;
    let mut scene = Scene::open(options, trunk).await;
    let outgoing = scene.anna.call(scene.line.account).await.unwrap();
    scene.anna.connected(LIMIT).await.unwrap();
    sleep(TALK).await;
    scene.anna.hang_up(outgoing, Reason::Hangup).await;
    scene.phone.wait_for("CALL_CLOSED", LIMIT).await.unwrap();
    let dialled = scene.dialled(&format!(";transport={transport}"));
    scene.phone.dial(&dialled).await.unwrap();
    let incoming = scene.anna.connected(LIMIT).await.unwrap();
    sleep(TALK).await;
    scene.phone.hang_up().await.unwrap();
    scene.anna.discarded(LIMIT).await.unwrap();
    for call in [outgoing, incoming] {
        hears_the_phone(&scene.anna, call);
    }
    // The dump is of the last call.
    let heard = scene.phone.finish().await.unwrap();
    let half = &heard.samples[heard.samples.len() / 2..];
    let share = tone::share_of(half, heard.rate_hz, &[TONES.telegram_hz]);
    assert!(share >= LEAST_SHARE, "{share} of what the phone hears is the person");
    assert_eq!(heard.lost, 0);
    scene.gateway.stop().await.unwrap();
    scene.stage.done();
}

fn hears_the_phone(anna: &LightUser, call: i64) {
    let mut meter = Meter::new(TONES.pbx_hz).unwrap();
    let payloads = anna.heard(call).payloads;
    assert!(payloads.len() > 40, "{} packets", payloads.len());
    payloads[10..].iter().for_each(|payload| meter.feed(payload).unwrap());
    assert!(meter.share() >= LEAST_SHARE, "{} of what the person hears is the phone", meter.share());
}

/// What makes the line ask for a password.
fn asks(algorithm: &str) -> serde_json::Value {
    json!({"auth_user": PROOF.0, "auth_password": PROOF.1, "auth_algorithm": algorithm})
}

/// A line whose PBX is a phone that comes later, one user of Telegram, and the gateway between them.
struct Studio {
    stage: Stage,
    line: Line,
    phone_port: u16,
    anna: LightUser,
    gateway: Gateway,
}

impl Studio {
    async fn open(trunk: serde_json::Value) -> Self {
        Self::open_at(Ipv4Addr::LOCALHOST.into(), trunk).await
    }

    async fn open_at(ip: IpAddr, trunk: serde_json::Value) -> Self {
        let (stage, line) = stage_at(ip).await;
        let anna = stage.person(NewUser::new(ANNA, "Anna").username("anna"), app()).unwrap();
        let phone_port = ports::free_pair().unwrap();
        let pbx = SocketAddr::new(ip, phone_port);
        stage.open(&line, pbx, draft(&line).set("trunk", trunk)).await.unwrap();
        let gateway = stage.run(&[]).await.unwrap();
        stage::logged_in(&gateway, &line, LIMIT).await.unwrap();
        Self { stage, line, phone_port, anna, gateway }
    }

    fn options(&self, transport: Transport) -> linphone::Options {
        let plays = Pcm::tone(&[TONES.pbx_hz], 60_000, ffmpeg::RATE_HZ);
        let sip_port = Some(self.phone_port);
        linphone::Options { sip_port, transport, ..linphone::Options::new(Codec::Pcma, plays) }
    }

    /// The person calls, hears the phone, and hangs up.
    async fn phone_is_called(&mut self, phone: &mut Linphone) {
        let call = self.anna.call(self.line.account).await.unwrap();
        self.anna.connected(LIMIT).await.unwrap();
        phone.established(LIMIT).await.unwrap();
        sleep(TALK).await;
        hears_the_phone(&self.anna, call);
        self.anna.hang_up(call, Reason::Hangup).await;
        sleep(Duration::from_millis(500)).await;
    }

    /// The phone calls and hangs up; the person hears it.
    async fn phone_calls(&mut self, phone: &mut Linphone, parameters: &str) {
        phone.dial(&format!("sip:tg%23anna@{}{parameters}", self.line.sip)).await.unwrap();
        let call = self.anna.connected(LIMIT).await.unwrap();
        sleep(TALK).await;
        phone.hang_up().await.unwrap();
        self.anna.discarded(LIMIT).await.unwrap();
        hears_the_phone(&self.anna, call);
    }

    /// The phone heard the person in its last call.
    async fn close(self, phone: Linphone) {
        let heard = phone.finish().await.unwrap();
        let half = &heard.samples[heard.samples.len() / 2..];
        let share = tone::share_of(half, heard.rate_hz, &[TONES.telegram_hz]);
        // What it loses by itself where the machine is busy is judged elsewhere, alone.
        assert!(share >= 0.9, "{share} of what the phone hears is the person");
        self.gateway.stop().await.unwrap();
        self.stage.done();
    }
}

/// A line whose PBX is a baresip, one user of Telegram, and the gateway between them, all green.
struct Scene {
    stage: Stage,
    line: Line,
    phone: Baresip,
    anna: LightUser,
    gateway: Gateway,
}

impl Scene {
    async fn open(options: baresip::Options, trunk: impl Fn(&str) -> serde_json::Value) -> Self {
        let (stage, line) = stage_at(options.ip).await;
        let anna = stage.person(NewUser::new(ANNA, "Anna").username("anna"), app()).unwrap();
        let phone = Baresip::start(&options).await.unwrap();
        let trunk = trunk(&phone.certificate().display().to_string());
        let pbx = if options.transport == "tls" { phone.tls } else { phone.sip };
        stage.open(&line, pbx, draft(&line).set("trunk", trunk)).await.unwrap();
        let gateway = stage.run(&[&line]).await.unwrap();
        Self { stage, line, phone, anna, gateway }
    }

    fn dialled(&self, parameters: &str) -> String {
        format!("sip:tg%23anna@{}{parameters}", self.line.sip)
    }
}

async fn stage() -> (Stage, Line) {
    stage_at(Ipv4Addr::LOCALHOST.into()).await
}

async fn stage_at(ip: IpAddr) -> (Stage, Line) {
    let settings = format!("sip_bind = \"{ip}\"\n");
    let stage = Stage::set_up(scene::Options { settings, ..scene::Options::default() }).await.unwrap();
    let mut line = stage.line(COMPANY).unwrap();
    line.sip.set_ip(ip);
    (stage, line)
}

fn draft(line: &Line) -> tgtrunk_config::LineDraft {
    stage::draft(line).unwrap().set("pbx_user", baresip::USER)
}

fn phone() -> baresip::Options {
    baresip::Options {
        codec: Codec::Pcma,
        plays: baresip::Plays::Tone(TONES.pbx_hz),
        sip_port: Some(ports::free_pair().unwrap()),
        ..baresip::Options::default()
    }
}

fn app() -> light_user::Options {
    light_user::Options::playing(circle(TONES.telegram_hz, 60).unwrap())
}

/// What the line's lamp towards the PBX says, once it says this.
async fn sip_lamp(gateway: &Gateway, line: &Line, says: impl Fn(&str) -> bool) -> String {
    let phone = line.phone.parse().unwrap();
    let mut control = gateway.control().await.unwrap();
    for _ in 0..200 {
        let report = control.status().await.unwrap();
        let light = report.line(&phone).map(|line| line.status.sip.clone());
        if let Some(light) = light.filter(|light| light.lamp == Lamp::Orange && says(&light.reason)) {
            return light.reason;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the lamp does not say so: {:?}", control.status().await.unwrap());
}

fn options(line: SocketAddr, more: &str) -> String {
    format!(
        "OPTIONS sip:x@{line} SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;rport;branch=z9hG4bK{}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:x@{line}>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n{more}\r\n",
        more.len()
    )
}

/// What comes until so many answers have.
async fn heard(stream: &mut TcpStream, answers: usize) -> String {
    let mut said = Vec::new();
    let reading = async {
        while String::from_utf8_lossy(&said).matches("\r\n\r\n").count() < answers {
            if stream.read_buf(&mut said).await.unwrap() == 0 {
                break;
            }
        }
    };
    timeout(LIMIT, reading).await.ok();
    String::from_utf8_lossy(&said).into_owned()
}
