//! Who the PBX is and where: passwords both ways, registration, names with SRV records, several addresses. The far ends are
//! Kamailio, SIPp and dnsmasq.

#![allow(clippy::unwrap_used)]

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tgtrunk_config::Lamp;
use tgtrunk_test_telegram::NewUser;
use tgtrunk_tests::codec::Codec;
use tgtrunk_tests::dnsmasq::{Dnsmasq, Service};
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::kamailio::{self, Algorithm, Kamailio, Transport, Trust};
use tgtrunk_tests::light_user::{self, Answering, LightUser, Reason};
use tgtrunk_tests::player::circle;
use tgtrunk_tests::ports;
use tgtrunk_tests::sipp::{Plan, Sipp};
use tgtrunk_tests::sipp_dialog::{Session, SippDialog};
use tgtrunk_tests::sipp_script::SippScript;
use tgtrunk_tests::stage::{self, Line, Stage};
use tgtrunk_tests::tone::Meter;
use tokio::time::{Instant, sleep};

const LIMIT: Duration = Duration::from_secs(20);
const PHONE_HZ: u32 = 440;

#[tokio::test(flavor = "multi_thread")]
async fn a_line_registers_at_kamailio_proves_every_request_and_is_called_where_it_registered() {
    let way = behind_kamailio(Transport::Udp, Algorithm::Sha256, "+79060009001").await;
    way.kamailio.says("REGISTER of line1 for 60 s is taken", 2, Duration::from_secs(40)).await.unwrap();
    way.close().await;
    behind_kamailio(Transport::Udp, Algorithm::Md5, "+79060009002").await.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_registers_at_kamailio_and_is_called_there_over_tcp() {
    behind_kamailio(Transport::Tcp, Algorithm::Sha256, "+79060009008").await.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_registers_at_kamailio_and_is_called_there_over_tls() {
    behind_kamailio(Transport::Tls, Algorithm::Md5, "+79060009009").await.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kamailio_and_a_line_trust_each_others_addresses() {
    for (transport, word) in [(Transport::Udp, "udp"), (Transport::Tcp, "tcp"), (Transport::Tls, "tls")] {
        let stage = Stage::on_loopback().await.unwrap();
        let line = stage.line("+79060009010").unwrap();
        let sip = port();
        let trust = Trust::Address(line.sip);
        let options = kamailio::Options { phone: sip, trust, caller: kamailio::CALLER, transport };
        let kamailio = Kamailio::start_with(options).await.unwrap();
        let trust = kamailio.certificate().display().to_string();
        let trunk = json!({"transport": word, "tls_trust": trust, "srtp": "off"});
        let pbx = if transport == Transport::Tls { kamailio.tls } else { kamailio.sip };
        stage.open(&line, pbx, stage::draft(&line).unwrap().set("trunk", trunk)).await.unwrap();
        let gateway = stage.run(&[&line]).await.unwrap();
        let answers = Sipp::start(&plan("answers.xml", None, sip.port())).unwrap();
        let mut user = person(&stage, "+79160009010", Answering::Silent).unwrap();
        let call = user.call(line.account).await.unwrap();
        user.connected(LIMIT).await.unwrap();
        user.hang_up(call, Reason::Hangup).await;
        sleep(Duration::from_millis(300)).await;
        answers.stop().unwrap();
        drop(answers.finished().await);

        let _callee = person(&stage, "+79160009011", Answering::After(Duration::ZERO)).unwrap();
        let mut calls = plan("calls.xml", Some(kamailio.sip), sip.port());
        calls.people = vec!["+79160009011".to_owned()];
        let outcome = Sipp::start(&calls).unwrap().finished().await.unwrap();
        assert_eq!((outcome.succeeded, outcome.failed), (1, 0), "{word}: {outcome:?}\n{}", kamailio.log());
        assert!(!kamailio.log().contains("challenged"), "nobody was asked for a password");
        gateway.stop().await.unwrap();
        stage.done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_through_kamailio_is_held_and_taken_back() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line("+79060009012").unwrap();
    let (sip, transport) = (port(), Transport::Tcp);
    let trust = Trust::Address(line.sip);
    let options = kamailio::Options { phone: sip, trust, caller: kamailio::CALLER, transport };
    let kamailio = Kamailio::start_with(options).await.unwrap();
    let draft = stage::draft(&line).unwrap().set("trunk", json!({"transport": "tcp"}));
    stage.open(&line, kamailio.sip, draft).await.unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut user = person(&stage, "+79160009012", Answering::After(Duration::ZERO)).unwrap();

    let talk = Session::both_ways(Codec::Pcma);
    let mut dialog = SippDialog::calls("+79160009012", talk);
    for (session, answer) in [(talk.going("sendonly"), "a=recvonly"), (talk, "a=sendrecv")] {
        dialog.pauses(500);
        dialog.offers("INVITE", session, answer);
    }
    dialog.plays(Codec::Pcma, PHONE_HZ, 3000).unwrap();
    dialog.pauses(3000);
    let sipp = SippScript::start_with(&dialog.hangs_up(), sip.port(), Some(kamailio.sip), LIMIT * 2).unwrap();
    let call = user.connected(LIMIT).await.unwrap();
    user.discarded(LIMIT).await.unwrap();
    let mut meter = Meter::new(PHONE_HZ).unwrap();
    for payload in user.heard(call).payloads {
        meter.feed(&payload).unwrap();
    }
    assert!(meter.share() > 0.9, "{} of what the person hears is the phone", meter.share());
    sipp.end().await.unwrap();
    gateway.stop().await.unwrap();
    stage.done();
}

/// What is left when the calls of a line behind Kamailio are over.
struct BehindKamailio {
    stage: Stage,
    gateway: Gateway,
    kamailio: Kamailio,
}

impl BehindKamailio {
    async fn close(self) {
        self.gateway.stop().await.unwrap();
        self.stage.done();
    }
}

/// A line that registers at Kamailio, calls from both sides, and proofs of all of it.
async fn behind_kamailio(transport: Transport, algorithm: Algorithm, phone: &str) -> BehindKamailio {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line(phone).unwrap();
    let sip = port();
    let trust = Trust::Password(algorithm);
    let options = kamailio::Options { phone: sip, trust, caller: kamailio::CALLER, transport };
    let kamailio = Kamailio::start_with(options).await.unwrap();
    let (word, pbx) = match transport {
        Transport::Udp => ("udp", kamailio.sip),
        Transport::Tcp => ("tcp", kamailio.sip),
        Transport::Tls => ("tls", kamailio.tls),
    };
    // SIPp behind it has no SRTP.
    let mut trunk = json!({
        "transport": word, "tls_trust": kamailio.certificate().display().to_string(), "srtp": "off",
        "digest_user": kamailio::USER, "register": true, "register_expires_s": 60,
        "auth_user": kamailio::CALLER.0, "auth_password": kamailio::CALLER.1, "auth_algorithm": "md5",
    });
    // The password is in line.toml, or in a file beside it.
    if algorithm == Algorithm::Md5 {
        let file = password_file(&stage, &line, kamailio::PASSWORD, 0o440);
        trunk["digest_password_file"] = file.file_name().unwrap().to_str().into();
    } else {
        trunk["digest_password"] = kamailio::PASSWORD.into();
    }
    stage.open(&line, pbx, stage::draft(&line).unwrap().set("trunk", trunk)).await.unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let words = "the PBX answers, the line is registered there";
    lamp(&gateway, &line, Lamp::Green, words).await.unwrap();
    kamailio.says("REGISTER of line1 for 60 s is taken", 1, LIMIT).await.unwrap();

    // From Telegram, through Kamailio, to a phone; INVITE and BYE are proven.
    let answers = Sipp::start(&plan("answers.xml", None, sip.port())).unwrap();
    let mut user = person(&stage, "+79160009001", Answering::Silent).unwrap();
    for _ in 0..2 {
        let call = user.call(line.account).await.unwrap();
        user.connected(LIMIT).await.unwrap();
        user.hang_up(call, Reason::Hangup).await;
        sleep(Duration::from_millis(300)).await;
    }
    kamailio.says("INVITE is proven", 2, LIMIT).await.unwrap();
    kamailio.says("BYE is proven", 2, LIMIT).await.unwrap();
    assert_eq!(kamailio.log().matches("INVITE is challenged").count(), 1, "one nonce does for both calls");
    answers.stop().unwrap();

    // And the other way: a phone calls somebody, and Kamailio finds the line by its registration.
    let callee = person(&stage, "+79160009002", Answering::After(Duration::ZERO)).unwrap();
    let mut calls = plan("calls.xml", Some(kamailio.sip), sip.port());
    calls.people = vec!["+79160009002".to_owned()];
    drop(answers.finished().await);
    let outcome = Sipp::start(&calls).unwrap().finished().await.unwrap();
    assert_eq!((outcome.succeeded, outcome.failed), (1, 0), "{outcome:?}\n{}", kamailio.log());
    kamailio.says("the line is shown a proof", 1, LIMIT).await.unwrap();
    drop(callee);
    BehindKamailio { stage, gateway, kamailio }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_in_plain_words_and_calls_end_as_the_table_says() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line("+79060009003").unwrap();
    let sip = port();
    let kamailio = Kamailio::start(sip, Algorithm::Md5, (kamailio::CALLER.0, "open barley")).await.unwrap();
    let trunk = json!({"digest_user": kamailio::USER, "digest_password": "closed barley", "register": true});
    stage.open(&line, kamailio.sip, stage::draft(&line).unwrap().set("trunk", trunk)).await.unwrap();
    let gateway = Gateway::start(&stage.installation).await.unwrap();
    let words = "the PBX does not know user line1, or the password is wrong: see digest_user and digest_password in the line's settings";
    let ru = lamp(&gateway, &line, Lamp::Orange, words).await.unwrap();
    assert!(ru.starts_with("АТС не знает имени line1, или пароль неверен"), "{ru}");
    let mut user = person(&stage, "+79160009003", Answering::Silent).unwrap();
    user.call(line.account).await.unwrap();
    assert_eq!(user.discarded(LIMIT).await.unwrap(), (Some(Reason::Disconnect), 0));
    let log = std::fs::read_to_string(&stage.installation.log).unwrap();
    assert!(!log.contains("barley"), "no password is in a log");
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_file_that_everybody_may_read_keeps_its_line_from_opening_until_it_is_closed() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line("+79060009007").unwrap();
    let sip = port();
    let file = password_file(&stage, &line, "open sesame", 0o644);
    let path = file.to_str().unwrap();
    let trunk = json!({"digest_user": kamailio::USER, "digest_password_file": path});
    stage.open(&line, sip, stage::draft(&line).unwrap().set("trunk", trunk)).await.unwrap();
    let answers = Sipp::start(&plan("answers.xml", None, sip.port())).unwrap();
    let wanted = format!(
        "trunk.digest_password_file = \"{path}\": everybody may read it (mode 0644): want a file with 1 to 128 characters in one line that others cannot read (chmod 600)"
    );
    let (status, told, _) = stage.installation.ask(&["check"], LIMIT).await.unwrap();
    assert!(!status.success() && told.contains(&wanted), "{told}");
    let gateway = Gateway::start(&stage.installation).await.unwrap();
    let words = format!("the line does not run: {wanted}");
    let ru = lamp(&gateway, &line, Lamp::Orange, &words).await.unwrap();
    assert!(ru.contains("его может прочесть кто угодно (права 0644); нужно: файл"), "{ru}");
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    stage::green(&gateway, &line, LIMIT).await.unwrap();
    gateway.stop().await.unwrap();
    answers.stop().unwrap();
    let log = std::fs::read_to_string(&stage.installation.log).unwrap();
    assert!(!log.contains("open sesame"), "no password is in a log");
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pbx_that_calls_with_a_wrong_password_is_refused_and_told_of() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line("+79060009006").unwrap();
    let sip = port();
    let kamailio = Kamailio::start(sip, Algorithm::Md5, (kamailio::CALLER.0, "open barley")).await.unwrap();
    let trunk = json!({
        "digest_user": kamailio::USER, "digest_password": kamailio::PASSWORD, "register": true,
        "auth_user": kamailio::CALLER.0, "auth_password": kamailio::CALLER.1, "auth_algorithm": "md5",
    });
    stage.open(&line, kamailio.sip, stage::draft(&line).unwrap().set("trunk", trunk)).await.unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    kamailio.says("s is taken", 1, LIMIT).await.unwrap();
    let mut calls = plan("calls.xml", Some(kamailio.sip), sip.port());
    calls.people = vec!["+79160009007".to_owned()];
    let outcome = Sipp::start(&calls).unwrap().finished().await.unwrap();
    assert_eq!((outcome.succeeded, outcome.failed), (0, 1), "{outcome:?}\n{}", kamailio.log());
    let words = "the PBX calls with a wrong user or password: it has to use auth_user and auth_password of the line's settings";
    let ru = lamp(&gateway, &line, Lamp::Orange, words).await.unwrap();
    assert!(ru.starts_with("АТС звонит с неверным именем или паролем"), "{ru}");
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn sipp_asks_the_line_for_a_proof_and_takes_it() {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line("+79060009004").unwrap();
    let sip = port();
    let trunk = json!({"digest_user": kamailio::USER, "digest_password": kamailio::PASSWORD});
    stage.open(&line, sip, stage::draft(&line).unwrap().set("trunk", trunk)).await.unwrap();
    let doubts = Sipp::start(&plan("doubts.xml", None, sip.port())).unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    let mut user = person(&stage, "+79160009004", Answering::Silent).unwrap();
    let call = user.call(line.account).await.unwrap();
    user.connected(LIMIT).await.unwrap();
    user.hang_up(call, Reason::Hangup).await;

    doubts.stop().unwrap();
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_looked_up_by_srv_and_a_dead_address_is_passed_over_and_named() {
    let names = port();
    let [first, second, third] = [port(), port(), port()];
    let services = |places: &[(&'static str, SocketAddr)]| -> Vec<Service> {
        (10..)
            .zip(places)
            .map(|(priority, (target, place))| Service {
                name: "_sip._udp.pbx.test",
                target,
                port: place.port(),
                priority,
            })
            .collect()
    };
    let zone = services(&[("a.pbx.test", first), ("b.pbx.test", second)]);
    let dns = Dnsmasq::start(names, &zone).await.unwrap();
    let settings = format!("name_servers = [\"{names}\"]\n");
    let stage = Stage::set_up(stage::Options { settings, ..Default::default() }).await.unwrap();
    let line = stage.line("+79060009005").unwrap();
    let draft = stage::draft(&line)
        .unwrap()
        .set("phone", line.phone.as_str())
        .set("sip_port", i64::from(line.sip.port()))
        .set("pbx", "pbx.test");
    let state = tgtrunk_config::StateDir::open(&stage.installation.state).unwrap();
    tgtrunk_config::Lines::add(&state, draft).unwrap();
    stage.log_in(&line).await.unwrap();
    let one = Sipp::start(&plan("answers.xml", None, first.port())).unwrap();
    let two = Sipp::start(&plan("answers.xml", None, second.port())).unwrap();
    let gateway = stage.run(&[&line]).await.unwrap();
    lamp(&gateway, &line, Lamp::Green, "the PBX answers").await.unwrap();
    let mut user = person(&stage, "+79160009006", Answering::Silent).unwrap();
    let call = user.call(line.account).await.unwrap();
    user.connected(LIMIT).await.unwrap();
    user.hang_up(call, Reason::Hangup).await;
    user.discarded(LIMIT).await.ok();

    // The first address dies with nobody told: the next call finds out, and is on the other one in time.
    drop(one);
    let began = Instant::now();
    let call = user.call(line.account).await.unwrap();
    user.connected(LIMIT).await.unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    let words = format!("the PBX answers; there is no answer from {first}, calls go to its other address");
    let ru = lamp(&gateway, &line, Lamp::Green, &words).await.unwrap();
    assert_eq!(ru, format!("АТС отвечает; нет ответа от {first}, звонки идут на другой её адрес"));
    user.hang_up(call, Reason::Hangup).await;
    let began = Instant::now();
    let call = user.call(line.account).await.unwrap();
    user.connected(LIMIT).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(3), "known to be dead by now: {:?}", began.elapsed());
    user.hang_up(call, Reason::Hangup).await;

    // The PBX moves: its name says so, and the line follows.
    dns.stop().await.unwrap();
    let _dns = Dnsmasq::start(names, &services(&[("c.pbx.test", third)])).await.unwrap();
    two.stop().unwrap();
    drop(two);
    let three = Sipp::start(&plan("answers.xml", None, third.port())).unwrap();
    let began = Instant::now();
    lamp(&gateway, &line, Lamp::Green, "the PBX answers").await.unwrap();
    println!("found where it moved after {:?}", began.elapsed());
    let call = user.call(line.account).await.unwrap();
    user.connected(LIMIT).await.unwrap();
    user.hang_up(call, Reason::Hangup).await;
    three.stop().unwrap();
    gateway.stop().await.unwrap();
    stage.done();
}

/// Waits until the PBX's lamp of a line has this colour and these words; gives the Russian ones.
async fn lamp(gateway: &Gateway, line: &Line, wanted: Lamp, words: &str) -> anyhow::Result<String> {
    let phone: tgtrunk_config::Phone = line.phone.parse()?;
    let began = Instant::now();
    loop {
        let report = gateway.control().await?.status().await?;
        let light = report.line(&phone).map(|line| &line.status.sip).context("the line")?;
        if light.lamp == wanted && light.reason == words {
            ensure!(!light.reason_ru.is_empty(), "in Russian too");
            return Ok(light.reason_ru.clone());
        }
        if began.elapsed() > Duration::from_secs(30) {
            bail!("want {wanted:?} {words:?}: {light:?}");
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn plan(scenario: &'static str, line: Option<SocketAddr>, port: u16) -> Plan {
    Plan {
        scenario,
        line,
        port,
        calls: 1,
        per_second: 1,
        at_once: 1,
        talk: Duration::from_millis(500),
        people: Vec::new(),
        limit: Duration::from_secs(60),
    }
}

fn person(stage: &Stage, phone: &str, answering: Answering) -> anyhow::Result<LightUser> {
    let app = light_user::Options::playing(circle(880, 60)?).answering(answering);
    stage.person(NewUser::new(phone, "Person"), app)
}

/// A file with a password beside the line's settings.
fn password_file(stage: &Stage, line: &Line, password: &str, mode: u32) -> PathBuf {
    let file = stage.installation.state.join(&line.phone).join("trunk.password");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, format!("{password}\n")).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
    file
}

fn port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()))
}
