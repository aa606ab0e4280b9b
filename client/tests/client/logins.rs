//! How the client's session is logged in, and what a revoked one says.

use std::process::Stdio;
use std::time::Duration;

use tgtrunk_config::control::{
    Answer, Ask, Event, Heard, LoginMethod, LoginStage, Refusal, RefusalCode, Request, to_line,
};
use tgtrunk_config::{Lamp, LoginCode, Password};
use tgtrunk_shell::asking;
use tgtrunk_test_telegram::canary::PASSWORD;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

use crate::support::{COMPANY, SOON, Scene, eventually, line, phone};

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_lets_the_client_in_and_hands_the_password_over() {
    let scene = Scene::new(line()).await;
    scene.world().set_password(scene.company, Some(PASSWORD));
    let gateway = scene.gateway();
    gateway.told.lock().unwrap().password = Some(Password::new(PASSWORD));
    scene.log_in().await;
    let _client = scene.client().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_gateway_the_code_and_the_password_are_asked_for() {
    let scene = Scene::new(line()).await;
    scene.world().set_password(scene.company, Some(PASSWORD));
    let mut login = scene.command(&["login", &phone().to_string()]);
    let mut child =
        login.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("a code", || scene.world().pending_login_code(COMPANY).is_some()).await;
    let code = scene.world().pending_login_code(COMPANY).unwrap();
    let typed = format!("{code}\n{PASSWORD}\n");
    child.stdin.take().unwrap().write_all(typed.as_bytes()).await.unwrap();
    let done = child.wait_with_output().await.unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success() && told.contains("Going on with a code"), "{told}");
    let _client = scene.client().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_client_is_let_in_without_a_restart() {
    let scene = Scene::new(line()).await;
    scene.world().set_password(scene.company, Some(PASSWORD));
    let _gateway = scene.gateway();
    let _client = scene.run();
    scene.until_lamp("session", Lamp::Red, |status| status.telegram.lamp).await;
    let ask = |password| Ask::ExportLogin { line: phone(), password };
    let socket = scene.state.client_socket();
    let answer = asking::ask(&socket, ask(Some(Password::new(PASSWORD)))).await.unwrap();
    let Answer::LoginToken { token, .. } = answer else { panic!("{answer:?}") };
    scene.world().accept_login_token(scene.company, &token.bytes()).unwrap();
    scene.until_lamp("session", Lamp::Green, |status| status.telegram.lamp).await;
    assert_eq!(asking::ask(&socket, ask(None)).await.unwrap(), Answer::Done, "there is nothing to accept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_export_does_not_break_the_first_off() {
    use tgtrunk_test_telegram::world::{Action, Match};
    let scene = Scene::new(line()).await;
    scene.world().set_password(scene.company, Some(PASSWORD));
    let _gateway = scene.gateway();
    let _client = scene.run();
    scene.until_lamp("session", Lamp::Red, |status| status.telegram.lamp).await;
    let ask = |password| Ask::ExportLogin { line: phone(), password };
    let socket = scene.state.client_socket();
    let token = |answer| match answer {
        Answer::LoginToken { token, .. } => token,
        answer => panic!("{answer:?}"),
    };
    token(asking::ask(&socket, ask(None)).await.unwrap());
    // The one that nobody accepted is not waited for.
    let shown = asking::ask(&socket, ask(Some(Password::new(PASSWORD)))).await.unwrap();
    let slow = Match::method("auth.checkPassword").once();
    scene.world().add_fault(slow, Action::Delay { ms: 1000 });
    scene.world().accept_login_token(scene.company, &token(shown).bytes()).unwrap();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(asking::ask(&socket, ask(None)).await.unwrap(), Answer::Done);
    scene.until_lamp("session", Lamp::Green, |status| status.telegram.lamp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_client_says_that_the_password_is_missing() {
    let scene = Scene::new(line()).await;
    scene.world().set_password(scene.company, Some(PASSWORD));
    let _gateway = scene.gateway();
    let _client = scene.run();
    scene.until_lamp("session", Lamp::Red, |status| status.telegram.lamp).await;
    let mut login = scene.command(&["login", &phone().to_string()]);
    let mut child =
        login.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    sleep(Duration::from_millis(500)).await;
    child.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).await.unwrap();
    let done = child.wait_with_output().await.unwrap();
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && told.contains("Password of the account:"), "{told}{done:?}");
    scene.until_lamp("session", Lamp::Green, |status| status.telegram.lamp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_led_over_the_socket_and_told_to_subscribers() {
    let scene = Scene::new(line()).await;
    scene.world().set_password(scene.company, Some(PASSWORD));
    let _client = scene.run();
    scene.until_lamp("session", Lamp::Red, |status| status.telegram.lamp).await;
    let socket = scene.state.client_socket();
    let mut events = Events::of(&socket).await;
    let say = async |ask| match asking::ask(&socket, ask).await.unwrap() {
        Answer::Login(info) => info,
        answer => panic!("{answer:?}"),
    };
    assert_eq!(say(Ask::Login { line: phone() }).await.stage, LoginStage::Start);
    let sent = say(Ask::StartLogin { line: phone(), method: LoginMethod::Code }).await;
    assert!(matches!(sent.stage, LoginStage::Code { .. }), "{sent:?}");
    let wrong = say(Ask::EnterCode { line: phone(), code: LoginCode::new("x") }).await;
    assert_eq!(wrong.problem.unwrap().ru, "Код неверный. Проверьте его ещё раз.");
    let code = LoginCode::new(scene.world().pending_login_code(COMPANY).unwrap());
    let asked = say(Ask::EnterCode { line: phone(), code }).await;
    assert!(matches!(asked.stage, LoginStage::Password { .. }), "{asked:?}");
    let done = say(Ask::EnterPassword { line: phone(), password: Password::new(PASSWORD) }).await;
    assert!(matches!(done.stage, LoginStage::Done { .. }), "{done:?}");
    scene.until_lamp("session", Lamp::Green, |status| status.telegram.lamp).await;
    for stage in ["code", "code", "password", "done"] {
        assert_eq!(events.next_stage().await, stage);
    }
    let out = say(Ask::LogOut { line: phone() }).await;
    assert_eq!(out.stage, LoginStage::Start);
    scene.until_lamp("session", Lamp::Red, |status| status.telegram.lamp).await;
    let reset = asking::ask(&socket, Ask::ResetLine { line: phone() }).await.unwrap();
    assert_eq!(reset, Answer::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_turns_the_lamp_red_and_says_so() {
    let scene = Scene::new(line()).await;
    let _gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    scene.world().revoke_user(scene.company, "SESSION_REVOKED");
    scene.until_lamp("session", Lamp::Red, |status| status.telegram.lamp).await;
    let status = scene.status();
    let told = &status.telegram.reason;
    assert!(told.contains("closed from another device") && told.ends_with("Log in again"), "{told}");
    assert_eq!(
        (status.keypad.lamp, status.keypad.reason.as_str()),
        (Lamp::Orange, "waiting for the account")
    );
    let shown = scene.command(&["status"]).output().await.unwrap();
    assert!(!shown.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_of_another_program_is_refused() {
    let scene = Scene::new(line()).await;
    let _client = scene.run();
    scene.until_lamp("session", Lamp::Red, |status| status.telegram.lamp).await;
    let error = asking::ask(&scene.state.client_socket(), Ask::Calls).await.unwrap_err();
    let refusal = error.downcast_ref::<Refusal>().unwrap();
    assert_eq!(refusal.code, RefusalCode::BadRequest);
    assert_eq!(refusal.message, "tgtrunk-client has no calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_whose_file_becomes_wrong_goes_on_and_one_that_is_switched_off_and_on_comes_back() {
    let scene = Scene::new(line()).await;
    let _gateway = scene.gateway();
    scene.log_in().await;
    let _client = scene.client().await;
    let file = scene.state.line_file(&phone());
    let text = std::fs::read_to_string(&file).unwrap();
    let socket = scene.state.client_socket();
    let reload = async |text: &str| {
        std::fs::write(&file, text).unwrap();
        let Answer::Clients(report) = asking::ask(&socket, Ask::Reload).await.unwrap() else { panic!() };
        report
    };
    let report = reload(&format!("{text}nonsense = 1\n")).await;
    assert_eq!((report.lines.len(), report.problems.is_empty()), (1, false));
    assert_eq!(report.lines[0].telegram.lamp, Lamp::Green);
    for _ in 0..3 {
        let without = text.replace("enabled = true\n", "");
        assert!(reload(&format!("enabled = false\n{without}")).await.lines.is_empty());
        assert_eq!(reload(&text).await.lines.len(), 1);
    }
    scene.until_lamp("session", Lamp::Green, |status| status.telegram.lamp).await;
    let log = scene.client_log();
    assert!(!log.contains("does not run"), "{log}");
}

/// A subscriber of the client.
struct Events(tokio::io::Lines<BufReader<UnixStream>>);

impl Events {
    async fn of(socket: &std::path::Path) -> Self {
        let mut stream = UnixStream::connect(socket).await.unwrap();
        stream.write_all(to_line(&Request { id: 1, ask: Ask::Subscribe }).as_bytes()).await.unwrap();
        let mut events = Self(BufReader::new(stream).lines());
        while !matches!(events.heard().await, Heard::Reply(_)) {}
        events
    }

    async fn heard(&mut self) -> Heard {
        let line = timeout(SOON, self.0.next_line()).await.unwrap().unwrap().unwrap();
        Heard::from_line(&line).unwrap()
    }

    /// The next stage of the login that is told.
    async fn next_stage(&mut self) -> &'static str {
        loop {
            if let Heard::Event(Event::Login(info)) = self.heard().await {
                return match info.stage {
                    LoginStage::Start => "start",
                    LoginStage::Code { .. } => "code",
                    LoginStage::Qr { .. } => "qr",
                    LoginStage::Password { .. } => "password",
                    LoginStage::Done { .. } => "done",
                };
            }
        }
    }
}
