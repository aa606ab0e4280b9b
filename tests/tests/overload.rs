//! More than a line, or the gateway, is to take on: what comes on top is sent away with 503 and a time to come back, and the
//! calls that run notice nothing.
//!
//! How quickly that is at full speed is measured by `make torture`; here it is shown that it happens at all.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tgtrunk_test_telegram::canary::TRUNK_PASSWORD;
use tgtrunk_tests::gateway::Gateway;
use tgtrunk_tests::light_user::{Answering, LightUser};
use tgtrunk_tests::load::machine;
use tgtrunk_tests::sipp::{Plan, Sipp};
use tgtrunk_tests::stage::{self, GREEN_LIMIT};
use tgtrunk_tests::wire_pbx::{Message, WireCall};
use tgtrunk_tests::wire_stage::{Post, WireStage, phone_of};
use tgtrunk_tests::{ports, prometheus};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take that should take no time.
const LIMIT: Duration = Duration::from_secs(20);
/// How long calls may go on being refused when there is room again.
const RECOVERY: Duration = Duration::from_secs(10);
/// For so long nothing comes where nothing is to come.
const NEVER: Duration = Duration::from_millis(1_500);
/// How often the gateway counts what it has open, and more.
const COUNTED: Duration = Duration::from_millis(700);
/// And where none has begun for a while.
const LOOKED: Duration = Duration::from_millis(2_500);
/// Nobody has it.
const NOBODY: &str = "+79991234567";

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_as_many_new_calls_as_a_line_takes_are_sent_away_and_running_ones_go_on_whole() {
    const PER_SECOND: u32 = 10;
    const CROWD: u32 = 800;
    let metrics = SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
    let scene = open("+79060004001", &format!("metrics = \"{metrics}\"")).await;
    let busy =
        scene.post("+79060004002", |draft| draft.set("max_new_calls_per_s", PER_SECOND)).await.unwrap();
    scene.reload(&[&busy]).await.unwrap();
    let (mut users, mut talks) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        let (user, talk) = talk(&scene, &busy, number).await;
        users.push(user);
        talks.push(talk);
        sleep(Duration::from_millis(200)).await;
    }

    let crowd = Sipp::start(&Plan {
        scenario: "crowd.xml",
        line: Some(busy.line.sip),
        port: ports::free().unwrap(),
        calls: CROWD,
        per_second: 10 * PER_SECOND,
        at_once: CROWD,
        talk: Duration::ZERO,
        people: vec![NOBODY.to_owned()],
        limit: Duration::from_secs(40),
    });
    let crowd = crowd.unwrap();
    sleep(Duration::from_secs(2)).await;
    let (began, before): (_, Vec<_>) =
        (Instant::now(), talks.iter().map(|talk| talk.heard().received_ms).collect());
    // Whoever hangs up, or is asked for, is heard in the middle of it.
    let mut leaves = talks.remove(0);
    leaves.bye(&[]);
    users.remove(0).discarded(LIMIT).await.unwrap();
    leaves.wait_for("the answer to BYE", LIMIT, |message| message.cseq().1 == "BYE").await.unwrap();
    let options = busy.pbx.ask_options(LIMIT).await.unwrap();
    assert_eq!(options.status(), Some(200), "the line is there");
    sleep(Duration::from_secs(4)).await;
    for (talk, before) in talks.iter().zip(&before[1..]) {
        let (came_ms, lasted) = (talk.heard().received_ms - before, began.elapsed());
        assert!(u128::from(came_ms) + 200 >= lasted.as_millis(), "{came_ms} ms of sound in {lasted:?}");
        assert!(!talk.is_over());
    }
    let outcome = crowd.finished().await.unwrap();
    assert_eq!((outcome.succeeded, outcome.failed), (u64::from(CROWD), 0), "{}", outcome.errors);
    sleep(Duration::from_secs(6)).await;
    let page = prometheus::page(metrics).await.unwrap();
    let port = format!("line=\"{}\"", busy.line.sip.port());
    let refused = prometheus::sum(&page, "tgtrunk_overload_refusals_total", &[&port]);
    assert!((f64::from(CROWD) * 0.6..f64::from(CROWD) * 0.99).contains(&refused), "{refused} were refused");
    place_again(&scene, &busy, 5).await.unwrap();
    for (mut user, mut talk) in users.into_iter().zip(talks) {
        hang_up(&mut user, &mut talk).await;
    }
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_does_not_keep_up_refuses_new_calls_until_it_does_and_says_why() {
    let metrics = SocketAddr::from(([127, 0, 0, 1], ports::free().unwrap()));
    let scene = open("+79060004011", &format!("metrics = \"{metrics}\"\nmax_lag_ms = 10")).await;
    let (mut user, mut talk) = talk(&scene, &scene.post, 1).await;
    let starved = Starved::begin(scene.gateway.pid().unwrap());
    let until = Instant::now() + LIMIT;
    loop {
        let mut call = scene.post.pbx.call(NOBODY).await.unwrap();
        let answer = call.final_answer(LIMIT).await.unwrap();
        if answer.status() == Some(503) {
            check_overload(&answer).unwrap();
            break;
        }
        assert_eq!(answer.status(), Some(404), "{}", answer.start);
        assert!(Instant::now() < until, "a starved gateway takes call after call");
        sleep(Duration::from_millis(100)).await;
    }
    wait_for_problem(&scene, "the machine does not keep up", true).await.unwrap();
    assert!(!talk.is_over(), "the running call goes on");
    starved.end().await;
    place_again(&scene, &scene.post, 2).await.unwrap();
    wait_for_problem(&scene, "the machine does not keep up", false).await.unwrap();
    let page = prometheus::page(metrics).await.unwrap();
    let refused = prometheus::sum(&page, "tgtrunk_overload_refusals_total", &["why=\"lag\""]);
    assert!(refused >= 1.0, "{page}");
    hang_up(&mut user, &mut talk).await;
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_near_its_limit_of_open_files_refuses_new_calls_and_running_ones_go_on() {
    let scene = open("+79060004021", "").await;
    let (mut user, mut talk) = talk(&scene, &scene.post, 1).await;
    let pid = scene.gateway.pid().unwrap();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let mut crowd = Vec::new();
    machine::limit_descriptors(pid, open).unwrap();
    sleep(LOOKED).await;
    for more in (0..70).step_by(7) {
        machine::limit_descriptors(pid, open + more).unwrap();
        sleep(COUNTED).await;
        let before = talk.heard().received_ms;
        let mut call = scene.post.pbx.call(&phone_of(2)).await.unwrap();
        let answer = call.final_answer(LIMIT).await.unwrap();
        check_overload(&answer)
            .with_context(|| format!("{open} files are open, and {more} more allowed"))
            .unwrap();
        crowd.push(call);
        sleep(Duration::from_millis(500)).await;
        assert!(talk.heard().received_ms > before + 250, "the running call is heard with {more} files left");
    }
    wait_for_problem(&scene, "LimitNOFILE", true).await.unwrap();
    machine::limit_descriptors(pid, 4096).unwrap();
    place_again(&scene, &scene.post, 2).await.unwrap();
    assert!(!talk.is_over());
    hang_up(&mut user, &mut talk).await;
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_places_no_more_calls_in_an_hour_than_it_may_and_asks_telegram_about_none_beyond() {
    let scene = open("+79060004031", "").await;
    let rules = json!({"calls_per_minute": 0, "calls_per_hour": 3});
    let post = scene.post("+79060004032", |draft| draft.set("to_telegram", rules)).await.unwrap();
    scene.reload(&[&post]).await.unwrap();
    for _ in 0..3 {
        let answer = post.pbx.call(NOBODY).await.unwrap().final_answer(LIMIT).await.unwrap();
        assert_eq!(answer.status(), Some(404), "{}", answer.start);
    }
    let last = scene.world().journal(0).last().map_or(0, |entry| entry.number);
    for _ in 0..5 {
        let answer = post.pbx.call(&phone_of(1)).await.unwrap().final_answer(LIMIT).await.unwrap();
        check_cap(&answer, "Too many calls in an hour", 3_500..=3_600).unwrap();
    }
    let asked = scene.world().journal(last);
    let asked: Vec<_> = asked.iter().filter(|entry| entry.user == Some(post.line.account)).collect();
    let of_calls = |name: &str| name.starts_with("phone.") || name.starts_with("contacts.");
    assert!(!asked.iter().any(|entry| of_calls(entry.method)), "Telegram was asked: {asked:?}");
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_minutes_of_a_day_are_those_of_all_calls_together_and_a_kill_gives_none_back() {
    const CALLS: usize = 6;
    let mut scene = open("+79060004041", "").await;
    let rules = json!({"calls_per_minute": 0, "minutes_per_day": 1});
    let post = scene.post("+79060004042", |draft| draft.set("to_telegram", rules)).await.unwrap();
    scene.reload(&[&post]).await.unwrap();
    let (mut users, mut talks) = (Vec::new(), Vec::new());
    for number in 1..=CALLS {
        let (user, talk) = talk(&scene, &post, number).await;
        users.push(user);
        talks.push(talk);
    }
    // Six calls have talked for a minute after ten seconds.
    let until = Instant::now() + LIMIT;
    let answer = loop {
        let answer = post.pbx.call(NOBODY).await.unwrap().final_answer(LIMIT).await.unwrap();
        if answer.status() != Some(404) {
            break answer;
        }
        assert!(Instant::now() < until, "minutes without end");
        sleep(Duration::from_millis(500)).await;
    };
    check_cap(&answer, "The minutes of the day are used up", 1..=90_001).unwrap();
    for (user, talk) in users.iter_mut().zip(&mut talks) {
        assert!(!talk.is_over(), "running calls go on");
        hang_up(user, talk).await;
    }
    scene.no_calls_of(&post.line).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    scene.gateway.kill().await.unwrap();
    scene.gateway = Gateway::start(&scene.stage.installation).await.unwrap();
    for post in [&scene.post, &post] {
        stage::green(&scene.gateway, &post.line, GREEN_LIMIT).await.unwrap();
    }
    let answer = post.pbx.call(&phone_of(1)).await.unwrap().final_answer(LIMIT).await.unwrap();
    check_cap(&answer, "The minutes of the day are used up", 1..=90_001).unwrap();
    place_again(&scene, &scene.post, 7).await.context("another line has minutes of its own").unwrap();
    scene.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_a_lines_password_ten_times_is_not_answered_any_more_and_nobody_else_is_silenced() {
    let scene = open("+79060004051", "").await;
    let trunk = json!({"any_source": true, "auth_user": "pbx", "auth_password": TRUNK_PASSWORD});
    let post = scene.post("+79060004052", |draft| draft.set("trunk", trunk)).await.unwrap();
    scene.reload(&[&post]).await.unwrap();
    let mut guesser = Stranger::at([127, 0, 0, 9], post.line.sip).await;
    let challenge = guesser.invite("").await.unwrap();
    assert!(challenge.starts_with("SIP/2.0 401 "), "{challenge}");
    let sha = challenge.find("algorithm=SHA-256").unwrap();
    assert!(sha < challenge.find("algorithm=MD5").unwrap(), "the better hash is asked for first");
    for guess in 0..10 {
        let answer = guesser.guess(&challenge).await;
        assert!(answer.is_some_and(|answer| answer.starts_with("SIP/2.0 401 ")), "guess {guess}");
    }
    assert_eq!(guesser.guess(&challenge).await, None, "an eleventh guess");
    assert_eq!(guesser.invite("").await, None, "a call without any proof");
    let mut other = Stranger::at([127, 0, 0, 10], post.line.sip).await;
    assert!(other.invite("").await.unwrap().starts_with("SIP/2.0 401 "), "somebody else is asked");
    let asked = post.pbx.call(NOBODY).await.unwrap().final_answer(LIMIT).await.unwrap();
    assert_eq!(asked.status(), Some(401), "and so is the PBX");
    // A line that listens to its PBX alone tells others nothing at all, whoever they say they are.
    let mut liar = Stranger::at([127, 0, 0, 11], scene.post.line.sip).await;
    let pretends = format!("P-Asserted-Identity: <sip:100@{}>\r\n", scene.post.pbx.sip);
    assert_eq!(liar.invite(&pretends).await, None, "a stranger");
    let calls = scene.gateway.control().await.unwrap().calls().await.unwrap();
    assert!(calls.is_empty(), "{calls:?}");
    scene.close().await.unwrap();
}

/// Somebody who writes SIP by hand from an address that is not the PBX's.
struct Stranger {
    socket: UdpSocket,
    line: SocketAddr,
    number: u32,
}

impl Stranger {
    async fn at(ip: [u8; 4], line: SocketAddr) -> Self {
        Self { socket: UdpSocket::bind((std::net::Ipv4Addr::from(ip), 0)).await.unwrap(), line, number: 0 }
    }

    /// Calls with more headers; the first answer, if there is any.
    async fn invite(&mut self, more: &str) -> Option<String> {
        self.number += 1;
        let (here, there, number) = (self.socket.local_addr().unwrap(), self.line, self.number);
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 9 RTP/AVP 107\r\n\
             a=rtpmap:107 opus/48000/2\r\na=ptime:20\r\na=sendrecv\r\n",
            ip = here.ip()
        );
        let invite = format!(
            "INVITE sip:{NOBODY}@{there} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bK{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:100@{here}>;tag=s\r\nTo: <sip:{NOBODY}@{there}>\r\n\
             Call-ID: {number}@{here}\r\nCSeq: 1 INVITE\r\nContact: <sip:100@{here}>\r\n{more}\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        self.socket.send_to(invite.as_bytes(), there).await.unwrap();
        let mut buffer = [0; 4096];
        let received = timeout(NEVER, self.socket.recv_from(&mut buffer)).await.ok()?;
        Some(String::from_utf8_lossy(&buffer[..received.unwrap().0]).into_owned())
    }

    /// The same with a guess at the password.
    async fn guess(&mut self, challenge: &str) -> Option<String> {
        let nonce = challenge.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
        let proof = format!(
            "Authorization: Digest username=\"pbx\", realm=\"tgtrunk\", nonce=\"{nonce}\", \
             uri=\"sip:{NOBODY}@{}\", response=\"{}\", algorithm=SHA-256\r\n",
            self.line,
            "0".repeat(64)
        );
        self.invite(&proof).await
    }
}

/// A process that gets no more than a part of its time: it is stopped, and goes on, again and again.
struct Starved {
    process: Pid,
    task: tokio::task::JoinHandle<()>,
}

impl Starved {
    fn begin(pid: u32) -> Self {
        let process = Pid::from_raw(pid.try_into().unwrap());
        let task = tokio::spawn(async move {
            loop {
                kill(process, Signal::SIGSTOP).ok();
                sleep(Duration::from_millis(60)).await;
                kill(process, Signal::SIGCONT).ok();
                sleep(Duration::from_millis(20)).await;
            }
        });
        Self { process, task }
    }

    async fn end(self) {
        self.task.abort();
        let Self { process, task } = self;
        task.await.ok();
        kill(process, Signal::SIGCONT).unwrap();
    }
}

/// A call of the PBX that was answered.
async fn talk(scene: &WireStage, post: &Post, number: usize) -> (LightUser, WireCall) {
    let mut user = scene.person(number, Answering::After(Duration::ZERO)).unwrap();
    let mut talk = post.pbx.call(&phone_of(number)).await.unwrap();
    talk.answered(LIMIT).await.unwrap();
    user.connected(LIMIT).await.unwrap();
    (user, talk)
}

async fn hang_up(user: &mut LightUser, talk: &mut WireCall) {
    talk.bye(&[]);
    user.discarded(LIMIT).await.unwrap();
}

/// Calls until somebody rings, which has to be soon.
async fn place_again(scene: &WireStage, post: &Post, number: usize) -> anyhow::Result<()> {
    let mut user = scene.person(number, Answering::Rings)?;
    let until = Instant::now() + RECOVERY;
    loop {
        let mut call = post.pbx.call(&phone_of(number)).await?;
        if call.rings(Duration::from_secs(2)).await.is_ok() {
            call.cancel(&[]);
            call.final_answer(LIMIT).await?;
            user.discarded(LIMIT).await?;
            return Ok(());
        }
        ensure!(Instant::now() < until, "no call gets through: {:?}", call.seen());
    }
}

/// Waits until the gateway says so, or no more.
async fn wait_for_problem(scene: &WireStage, words: &str, is_there: bool) -> anyhow::Result<()> {
    let until = Instant::now() + LIMIT;
    loop {
        let problems = scene.gateway.control().await?.status().await?.problems;
        if problems.iter().any(|problem| problem.en.contains(words)) == is_there {
            return Ok(());
        }
        ensure!(Instant::now() < until, "{problems:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// 503 with a time to come back and Q.850's word for congestion (RFC 3261 section 21.5.4, RFC 3326).
fn check_overload(answer: &Message) -> anyhow::Result<()> {
    check_cap(answer, "Switching equipment congestion", 2..=5)
}

fn check_cap(answer: &Message, words: &str, wait_s: std::ops::RangeInclusive<u32>) -> anyhow::Result<()> {
    ensure!(answer.start == "SIP/2.0 503 Service Unavailable", "{}", answer.start);
    let told: u32 = answer.header("Retry-After").context("no Retry-After")?.parse()?;
    ensure!(wait_s.contains(&told), "Retry-After: {told}");
    let reason = answer.header("Reason").unwrap_or_default();
    ensure!(reason == format!("Q.850;cause=42;text=\"{words}\""), "{reason}");
    Ok(())
}

async fn open(phone: &str, settings: &str) -> WireStage {
    let settings = settings.to_owned();
    WireStage::open(phone, stage::Options { settings, ..Default::default() }).await.unwrap()
}
