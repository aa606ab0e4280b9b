//! The client's own session of an account, let in by the one that logged in at the gateway.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tgtrunk_config::control::{Answer, Ask, LoginMethod, LoginStage, Refusal, RefusalCode};
use tgtrunk_config::{Lamp, LoginCode, LoginToken, Password, Phone};
use tgtrunk_test_telegram::canary::PASSWORD;
use tgtrunk_tests::control::Control;
use tgtrunk_tests::gateway;
use tgtrunk_tests::stage::{self, Line, Stage};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

/// How long a login may take.
const LIMIT: Duration = Duration::from_secs(30);
const COMPANY: &str = "+79060000000";

#[tokio::test(flavor = "multi_thread")]
async fn a_login_at_the_gateway_lets_the_running_client_in_with_the_password_that_was_typed() {
    for (password, locale, said) in
        [(None, "C", "The client is logged in too."), (Some(PASSWORD), "ru_RU.UTF-8", "Клиент тоже вошёл.")]
    {
        let (stage, line) = stage_with_a_line().await;
        stage.world().set_password(line.account, password);
        let client = RunningClient::start(&stage).await;
        let heard = log_in(&stage, password, locale).await;
        assert!(heard.contains(said), "{heard}");
        let ask = Ask::ExportLogin { line: COMPANY.parse().unwrap(), password: None };
        assert_eq!(client.control().await.ask(ask).await.unwrap(), Answer::Done, "it is in");
        assert_eq!(stage.world().keys_of(line.account).len(), 2, "as a session of its own");
        client.stop().await;
        stage.done();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_client_the_login_says_how_its_own_is_done() {
    let (stage, _line) = stage_with_a_line().await;
    let heard = log_in(&stage, None, "C").await;
    assert!(heard.contains("tgtrunk-client login +79060000000"), "{heard}");
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_gateway_accepts_tokens_and_passes_on_what_telegram_says_of_bad_ones() {
    let (stage, line) = stage_with_a_line().await;
    stage.log_in(&line).await.unwrap();
    stage.telegram().write_dc_seed(&stage.installation.state, 2).unwrap();
    let gateway = gateway::Gateway::start(&stage.installation).await.unwrap();
    let mut control = gateway.control().await.unwrap();
    let phone: Phone = COMPANY.parse().unwrap();
    let until = Instant::now() + LIMIT;
    loop {
        let report = control.status().await.unwrap();
        if report.line(&phone).is_some_and(|line| line.status.telegram.lamp == Lamp::Green) {
            break;
        }
        assert!(Instant::now() < until, "{report:?}");
        sleep(Duration::from_millis(50)).await;
    }
    let bad = LoginToken::new(b"not a token of anybody").unwrap();
    let refusal: Refusal =
        control.refusal(Ask::AcceptLogin { line: phone.clone(), token: bad }).await.unwrap();
    assert_eq!(refusal.code, RefusalCode::Telegram);
    assert!(refusal.message.contains("AUTH_TOKEN_INVALID"), "{refusal}");

    let client = RunningClient::start(&stage).await;
    client.until_in(&phone).await;
    client.stop().await;
    gateway.stop().await.unwrap();
    stage.done();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_code_and_one_password_log_both_running_programs_in() {
    let (stage, line) = stage_with_a_line().await;
    stage.world().set_password(line.account, Some(PASSWORD));
    let gateway = gateway::Gateway::start(&stage.installation).await.unwrap();
    let client = RunningClient::start(&stage).await;
    let phone: Phone = COMPANY.parse().unwrap();
    let mut control = gateway.control().await.unwrap();
    assert_eq!(stage_of(&mut control, Ask::Login { line: phone.clone() }).await, LoginStage::Start);
    let start = Ask::StartLogin { line: phone.clone(), method: LoginMethod::Code };
    let sent = stage_of(&mut control, start.clone()).await;
    assert!(matches!(sent, LoginStage::Code { .. }), "{sent:?}");
    let code = |text: &str| Ask::EnterCode { line: phone.clone(), code: LoginCode::new(text) };
    let Answer::Login(wrong) = control.ask(code("none")).await.unwrap() else { panic!("no login") };
    assert_eq!((&wrong.stage, wrong.problem.is_some()), (&sent, true));
    let asked = stage_of(&mut control, code(&stage.world().pending_login_code(COMPANY).unwrap())).await;
    assert!(matches!(asked, LoginStage::Password { .. }), "{asked:?}");
    let password = Ask::EnterPassword { line: phone.clone(), password: Password::new(PASSWORD) };
    let done = stage_of(&mut control, password).await;
    assert!(matches!(done, LoginStage::Done { .. }), "{done:?}");
    client.until_in(&phone).await;
    assert_eq!(stage.world().keys_of(line.account).len(), 2, "each has a session of its own");

    // The client's session is ended on purpose: it waits for a person, whatever the gateway does.
    let mut asker = client.control().await;
    assert_eq!(stage_of(&mut asker, Ask::LogOut { line: phone.clone() }).await, LoginStage::Start);
    // A login that begins anew costs the gateway nothing until it is in.
    let keys = stage.world().keys_of(line.account);
    assert!(matches!(stage_of(&mut control, start).await, LoginStage::Code { .. }));
    let report = control.status().await.unwrap();
    assert_eq!(report.line(&phone).unwrap().status.telegram.lamp, Lamp::Green);
    let kept = stage_of(&mut control, Ask::CancelLogin { line: phone.clone() }).await;
    assert!(matches!(kept, LoginStage::Done { .. }), "{kept:?}");
    assert_eq!(stage.world().keys_of(line.account), keys);
    assert_eq!(stage_of(&mut asker, Ask::Login { line: phone.clone() }).await, LoginStage::Start);
    client.stop().await;
    gateway.stop().await.unwrap();
    stage.done();
}

async fn stage_of(control: &mut Control, ask: Ask) -> LoginStage {
    match control.ask(ask).await.unwrap() {
        Answer::Login(info) => info.stage,
        answer => panic!("{answer:?}"),
    }
}

async fn stage_with_a_line() -> (Stage, Line) {
    let stage = Stage::on_loopback().await.unwrap();
    let line = stage.line(COMPANY).unwrap();
    stage.write_line(&line, ([127, 0, 0, 1], 9).into(), stage::draft(&line).unwrap()).unwrap();
    stage.telegram().write_dc_seed(&stage.installation.state, 6).unwrap();
    (stage, line)
}

/// Logs the line's account in and gives what was said at the terminal.
async fn log_in(stage: &Stage, password: Option<&str>, locale: &str) -> String {
    let mut command = stage.installation.command().unwrap();
    command.args(["login", COMPANY]).env("LC_ALL", locale);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut keyboard = child.stdin.take().unwrap();
    let until = Instant::now() + LIMIT;
    let code = loop {
        if let Some(code) = stage.world().pending_login_code(COMPANY) {
            break code;
        }
        assert!(Instant::now() < until, "no code was sent");
        sleep(Duration::from_millis(20)).await;
    };
    keyboard.write_all(format!("{code}\n").as_bytes()).await.unwrap();
    if let Some(password) = password {
        keyboard.write_all(format!("{password}\n").as_bytes()).await.unwrap();
    }
    let output = timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    drop(keyboard);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// `tgtrunk-client run`, running.
struct RunningClient {
    child: Child,
    socket: PathBuf,
}

impl RunningClient {
    async fn start(stage: &Stage) -> Self {
        let program = gateway::program().unwrap().with_file_name("tgtrunk-client");
        let installation = &stage.installation;
        let log = std::fs::File::options().create(true).append(true).open(&installation.log).unwrap();
        let child = Command::new(program)
            .arg("--config")
            .arg(&installation.config)
            .arg("--state")
            .arg(&installation.state)
            .arg("run")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let client = Self { child, socket: installation.state.join("client.sock") };
        let until = Instant::now() + LIMIT;
        while Control::connect(&client.socket).await.is_err() {
            assert!(Instant::now() < until, "the client does not run");
            sleep(Duration::from_millis(20)).await;
        }
        client
    }

    async fn control(&self) -> Control {
        Control::connect(&self.socket).await.unwrap()
    }

    /// Waits until somebody is logged in there.
    async fn until_in(&self, phone: &Phone) {
        let until = Instant::now() + LIMIT;
        loop {
            let stage = stage_of(&mut self.control().await, Ask::Login { line: phone.clone() }).await;
            if matches!(stage, LoginStage::Done { .. }) {
                return;
            }
            assert!(Instant::now() < until, "the client is not let in: {stage:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn stop(mut self) {
        self.child.kill().await.unwrap();
    }
}
