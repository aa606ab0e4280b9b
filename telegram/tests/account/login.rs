//! Every way a login can go.

use std::io::Cursor;

use tgtrunk_config::control::{LoginMethod, LoginStage, Peer};
use tgtrunk_config::{Phone, UserId};
use tgtrunk_telegram::terminal::{self, TerminalError};
use tgtrunk_telegram::{
    Account, Database, DatabaseError, Language, LoginDesk, LoginError, LoginWord, OpenError, Red, Stage,
    Status, Via,
};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::canary::PASSWORD;
use tgtrunk_test_telegram::world::{Action, CodeWay, Match, Unregistered};

use crate::support::{ANNA, API_HASH, API_ID, BORIS, Open, Scene, stored};

#[tokio::test(flavor = "multi_thread")]
async fn a_code_logs_in_and_the_lamp_turns_green() {
    let scene = Scene::new().await;
    let open = scene.open("anna").await;
    assert_eq!(open.lamp(), Status::Red { reason: Red::NotLoggedIn });
    let login = open.account.login();
    assert_eq!(login.stage().await.unwrap(), Stage::Phone);
    let stage = login.send_code("+7 900 111-22-33").await.unwrap();
    let Stage::Code { phone, via: Via::Sms, length: Some(5), next, sent_ms, resend_ms } = stage else {
        panic!("{stage:?}")
    };
    assert_eq!((phone.as_str(), next, resend_ms), (ANNA, Some(Via::Call), Some(sent_ms + 60_000)));
    let code = scene.world().pending_login_code(ANNA).unwrap();
    let Stage::Done(me) = login.enter_code(&format!(" {}-{} ", &code[..2], &code[2..])).await.unwrap() else {
        panic!("not done")
    };
    assert_eq!(me.id, scene.anna);
    open.until_green().await;
    assert_eq!(login.stage().await.unwrap(), Stage::Done(me));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_went_by_e_mail_is_given_back_as_one() {
    let scene = Scene::new().await;
    let phone = "79007778811";
    let vera = scene.world().add_user(NewUser::new(phone, "Vera").email("vera@acme.example")).unwrap();
    let open = scene.open("vera").await;
    let stage = open.account.login().send_code(phone).await.unwrap();
    assert!(matches!(stage, Stage::Code { via: Via::Email, length: Some(5), next: None, .. }), "{stage:?}");
    assert_eq!(open.account.login().enter_code("x").await.unwrap_err(), LoginError::CodeWrong);
    open.close().await;
    // The way of a code is kept too.
    let open = scene.open("vera").await;
    let code = scene.world().pending_login_code(phone).unwrap();
    let Stage::Done(me) = open.account.login().enter_code(&code).await.unwrap() else { panic!("not done") };
    assert_eq!(me.id, vera);
    open.until_green().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_several_words_keeps_the_spaces_between_them() {
    let scene = Scene::new().await;
    scene.world().configure(|settings| settings.code_ways = vec![CodeWay::Phrase]);
    let open = scene.open("anna").await;
    let login = open.account.login();
    let stage = login.send_code(ANNA).await.unwrap();
    assert!(matches!(stage, Stage::Code { via: Via::SmsPhrase, length: None, .. }), "{stage:?}");
    let code = scene.world().pending_login_code(ANNA).unwrap();
    assert!(code.contains(' '));
    let stage = login.enter_code(&format!("  {}\n", code.replace(' ', "  "))).await.unwrap();
    assert!(matches!(stage, Stage::Done(_)), "{stage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_survives_a_restart_between_its_steps() {
    let scene = Scene::new().await;
    scene.world().set_password(scene.anna, Some(PASSWORD));
    let open = scene.open("anna").await;
    open.account.login().send_code(ANNA).await.unwrap();
    open.close().await;

    let open = scene.open("anna").await;
    assert!(matches!(open.account.login().stage().await.unwrap(), Stage::Code { .. }));
    let code = scene.world().pending_login_code(ANNA).unwrap();
    let stage = open.account.login().enter_code(&code).await.unwrap();
    assert!(matches!(stage, Stage::Password { .. }), "{stage:?}");
    open.close().await;

    let open = scene.open("anna").await;
    assert_eq!(open.account.login().stage().await.unwrap(), stage);
    let stage = open.account.login().enter_password(PASSWORD).await.unwrap();
    assert!(matches!(stage, Stage::Done(_)), "{stage:?}");
    open.until_green().await;
    open.close().await;
    assert_eq!(stored::<i64>(&scene.database("anna"), "SELECT COUNT(*) FROM tg_login_step").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_may_be_mended_and_an_old_one_may_not() {
    let scene = Scene::new().await;
    let open = scene.open("anna").await;
    let login = open.account.login();
    assert_eq!(login.enter_code("12345").await.unwrap_err(), LoginError::CodeNotSent);
    login.send_code(ANNA).await.unwrap();
    let code = scene.world().pending_login_code(ANNA).unwrap();
    let wrong = if code == "00000" { "11111" } else { "00000" };
    assert_eq!(login.enter_code(wrong).await.unwrap_err(), LoginError::CodeWrong);
    assert!(matches!(login.stage().await.unwrap(), Stage::Code { .. }));
    assert!(scene.world().expire_login_code(ANNA));
    assert_eq!(login.enter_code(&code).await.unwrap_err(), LoginError::CodeExpired);
    assert_eq!(login.stage().await.unwrap(), Stage::Phone);
    scene.log_in(&open.account, ANNA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_may_be_mended() {
    let scene = Scene::new().await;
    scene.world().set_password(scene.anna, Some(PASSWORD));
    let open = scene.open("anna").await;
    let login = open.account.login();
    assert_eq!(login.enter_password("early").await.unwrap_err(), LoginError::PasswordNotAsked);
    login.send_code(ANNA).await.unwrap();
    login.enter_code(&scene.world().pending_login_code(ANNA).unwrap()).await.unwrap();
    assert_eq!(login.enter_password("battery staple").await.unwrap_err(), LoginError::PasswordWrong);
    assert_eq!(login.enter_password("").await.unwrap_err(), LoginError::PasswordWrong);
    let flood = Action::Error { code: 420, message: "FLOOD_WAIT_31".into() };
    scene.world().add_fault(Match::method("auth.checkPassword").once(), flood);
    let wait = login.enter_password(PASSWORD).await.unwrap_err();
    assert_eq!(wait, LoginError::FloodWait { seconds: 31 });
    assert!(wait.to_string().contains("31 seconds"), "{wait}");
    assert!(matches!(login.enter_password(PASSWORD).await.unwrap(), Stage::Done(_)));
    open.until_green().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_sent_again_on_demand_and_given_up_on_demand() {
    let scene = Scene::new().await;
    let open = scene.open("anna").await;
    let login = open.account.login();
    assert_eq!(login.resend_code().await.unwrap_err(), LoginError::CodeNotSent);
    login.send_code(ANNA).await.unwrap();
    assert!(matches!(login.resend_code().await.unwrap(), Stage::Code { .. }));
    login.resend_code().await.unwrap();
    assert_eq!(login.resend_code().await.unwrap_err(), LoginError::CodeNotResent);
    assert_eq!(login.cancel().await.unwrap(), Stage::Phone);
    assert_eq!(scene.world().pending_login_code(ANNA), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_at_another_data_centre_is_followed_there() {
    let scene = Scene::new().await;
    let vera = NewUser { dc: Some(4), ..NewUser::new("79007778899", "Vera") };
    let vera = scene.world().add_user(vera).unwrap();
    let open = scene.open("vera").await;
    scene.log_in(&open.account, "79007778899").await;
    open.until_green().await;
    let keys: Vec<_> = scene.world().keys().into_iter().filter(|key| key.user == Some(vera)).collect();
    assert_eq!(keys.iter().map(|key| key.dc).collect::<Vec<_>>(), [4]);
    open.close().await;
    let open = scene.open("vera").await;
    open.until_green().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_sentence() {
    let scene = Scene::new().await;
    let open = scene.open("anna").await;
    let login = open.account.login();
    let begins = |error: LoginError, beginning: &str| {
        assert!(error.to_string().starts_with(beginning), "{error}");
        assert!(error.to_string().ends_with('.'), "{error}");
    };
    begins(login.send_code("office").await.unwrap_err(), "This is not a phone number");
    scene.world().ban_phone(ANNA);
    begins(login.send_code(ANNA).await.unwrap_err(), "Telegram has banned this number");
    scene.world().configure(|settings| settings.app = Some((API_ID + 1, API_HASH.into())));
    begins(login.send_code(BORIS).await.unwrap_err(), "Telegram does not accept api_id");
    scene.world().configure(|settings| settings.app = None);
    for (code, word, beginning) in [
        (400, "PHONE_NUMBER_INVALID", "This is not a phone number"),
        (400, "PHONE_NUMBER_FLOOD", "Too many attempts with this number"),
        (406, "UPDATE_APP_TO_LOGIN", "Telegram lets this number log in from its own app only"),
        (400, "API_ID_PUBLISHED_FLOOD", "Telegram does not accept this api_id any more"),
        (500, "AUTH_RESTART", "Telegram wants the login to begin again"),
        (400, "SOMETHING_NEW", "Telegram refused: Telegram: 400 SOMETHING_NEW"),
    ] {
        let action = Action::Error { code, message: word.into() };
        scene.world().add_fault(Match::method("auth.sendCode").once(), action);
        begins(login.send_code(BORIS).await.unwrap_err(), beginning);
    }
    scene.world().set_deactivated(scene.boris, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_without_account_is_told_so_in_both_forms_of_the_answer() {
    let scene = Scene::new().await;
    let open = scene.open("anna").await;
    for form in [Unregistered::SignUpRequired, Unregistered::Unoccupied] {
        scene.world().configure(|settings| settings.unregistered = form);
        let login = open.account.login();
        login.send_code("79990001122").await.unwrap();
        let code = scene.world().pending_login_code("79990001122").unwrap();
        assert_eq!(login.enter_code(&code).await.unwrap_err(), LoginError::NumberUnregistered);
        assert_eq!(login.stage().await.unwrap(), Stage::Phone);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_telegram_asks_for_is_kept_over_a_restart() {
    let scene = Scene::new().await;
    let open = scene.open("anna").await;
    let flood = Action::Error { code: 420, message: "FLOOD_WAIT_300".into() };
    scene.world().add_fault(Match::method("auth.sendCode").once(), flood);
    assert_eq!(
        open.account.login().send_code(ANNA).await.unwrap_err(),
        LoginError::FloodWait { seconds: 300 }
    );
    open.close().await;
    let open = scene.open("anna").await;
    let asked = scene.world().journal(0).len();
    let LoginError::FloodWait { seconds } = open.account.login().send_code(ANNA).await.unwrap_err() else {
        panic!("no wait")
    };
    assert!((290..=300).contains(&seconds), "{seconds}");
    assert_eq!(scene.world().journal(0).len(), asked, "nothing was asked");
    // Another number is another matter.
    scene.log_in(&open.account, BORIS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_may_begin_again_while_somebody_is_logged_in() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let first = scene.key_of(scene.anna);
    scene.log_in(&open.account, ANNA).await;
    open.until_green().await;
    let second = scene.key_of(scene.anna);
    assert_ne!(first, second, "the old session is logged out, the new one has its own key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_cannot_reach_telegram_does_not_cost_the_session_that_is_there() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let key = scene.key_of(scene.anna);
    scene.world().add_fault(Match::method("auth.logOut"), Action::Silence);
    assert_eq!(open.account.login().send_code(ANNA).await.unwrap_err(), LoginError::NoAnswer);
    open.until_green().await;
    assert_eq!(scene.key_of(scene.anna), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_that_is_used_up_is_said_to_be() {
    let scene = Scene::new().await;
    for nth in 0..8 {
        scene.open(&format!("line {nth}")).await.close().await;
    }
    let options = scene.options("one too many").await;
    let error = Account::open(options).await.unwrap_err();
    assert!(matches!(error, OpenError::Seed(_)), "{error:?}");
    assert!(error.to_string().contains("no unused key is left for home data centre 2"), "{error}");
    scene.telegram.write_dc_seed(scene.seed().parent().unwrap(), 1).unwrap();
    let open = scene.open("at last").await;
    scene.log_in(&open.account, ANNA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_session_is_refused() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let error = Database::open(scene.database("anna")).await.unwrap_err();
    assert!(matches!(error, DatabaseError::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("one process per session"), "{error}");
    drop(open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_asks_for_what_is_needed_and_forgives_mistakes() {
    let scene = Scene::new().await;
    scene.world().set_password(scene.anna, Some(PASSWORD));
    scene.world().configure(|settings| settings.code_length = 5);
    let open = scene.open("anna").await;
    let (me, said) = typed(&scene, &open, &["@wrong", "@code", "oops", PASSWORD]).await;
    assert_eq!(me.unwrap().id.map(UserId::number), Some(scene.anna));
    let lines: Vec<_> = said.lines().collect();
    assert!(said.starts_with("Code from the text message (5 characters)"), "{said}");
    assert!(said.contains("The code is wrong."), "{said}");
    assert!(said.contains("The password is wrong."), "{said}");
    assert!(lines.last().unwrap().contains("Logged in as Anna"), "{said}");
    open.until_green().await;

    let (me, said) = typed(&scene, &open, &["n"]).await;
    assert_eq!(me.unwrap().id.map(UserId::number), Some(scene.anna));
    assert!(said.starts_with("Anna K is logged in. Log out and log in again? [y/N]"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_keeps_a_half_done_login_and_begins_again_when_its_code_is_too_old() {
    let scene = Scene::new().await;
    let open = scene.open("anna").await;
    let (nobody, said) = typed(&scene, &open, &[]).await;
    assert!(matches!(nobody.unwrap_err(), TerminalError::Ended), "{said}");
    let sent = || scene.world().journal(0).iter().filter(|entry| entry.method == "auth.sendCode").count();
    assert!(scene.world().expire_login_code(ANNA));
    let (me, said) = typed(&scene, &open, &["00000", "y", "@code"]).await;
    assert_eq!(me.unwrap().id.map(UserId::number), Some(scene.anna));
    assert!(said.contains("The code is too old. Ask for a new one.\nBegin the login again? [y/N]"), "{said}");
    assert_eq!(sent(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_ends_when_only_time_helps() {
    let scene = Scene::new().await;
    let open = scene.open("anna").await;
    let flood = Action::Error { code: 420, message: "FLOOD_WAIT_31".into() };
    scene.world().add_fault(Match::method("auth.sendCode"), flood);
    let (nobody, said) = typed(&scene, &open, &["never read"]).await;
    assert!(matches!(nobody.unwrap_err(), TerminalError::Refused(_)));
    assert!(said.contains("Telegram asks to wait 31 seconds."), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_draws_a_qr_code_and_goes_on_when_another_device_scanned_it() {
    let scene = Scene::new().await;
    let open = scene.open("anna").await;
    let desk = LoginDesk::open(open.account.clone(), line(), ()).await;
    let mut shown = desk.watch();
    let (world, anna) = (scene.world().clone(), scene.anna);
    let phone = tokio::spawn(async move {
        let info = shown.wait_for(|info| matches!(info.stage, LoginStage::Qr { .. })).await.unwrap();
        let LoginStage::Qr { token, .. } = &info.stage else { panic!("{info:?}") };
        world.accept_login_token(anna, &token.bytes()).unwrap();
    });
    let (me, said) = talked(&scene, &desk, LoginMethod::Qr, &[]).await;
    phone.await.unwrap();
    assert_eq!(me.unwrap().id.map(UserId::number), Some(scene.anna));
    assert!(said.contains("\ntg://login?token=") && said.contains('█'), "{said}");
    assert!(said.ends_with("Logged in as Anna K.\n"), "{said}");
}

/// Runs the terminal's login with these lines typed; `@code` is the code that was sent, `@wrong` another one.
async fn typed(
    scene: &Scene,
    open: &Open,
    lines: &[&str],
) -> (Result<Peer, TerminalError<&'static str>>, String) {
    let desk = LoginDesk::open(open.account.clone(), line(), ()).await;
    let talked = talked(scene, &desk, LoginMethod::Code, lines).await;
    desk.end().await;
    talked
}

async fn talked(
    scene: &Scene,
    desk: &LoginDesk,
    method: LoginMethod,
    lines: &[&str],
) -> (Result<Peer, TerminalError<&'static str>>, String) {
    let mut input =
        Keyboard { world: scene.world().clone(), lines: lines.iter().map(|line| line.to_string()).collect() };
    let mut output = Cursor::new(Vec::new());
    let talk = async |ask| {
        let (_, word) = LoginWord::of(&ask).ok_or("no step")?;
        desk.say(word).await.ok_or("closed")
    };
    let result = terminal::log_in(talk, &line(), method, Language::English, &mut input, &mut output).await;
    (result, String::from_utf8(output.into_inner()).unwrap())
}

fn line() -> Phone {
    format!("+{ANNA}").parse().unwrap()
}

/// A person who looks at their phone before typing the code.
struct Keyboard {
    world: tgtrunk_test_telegram::World,
    lines: std::collections::VecDeque<String>,
}

impl std::io::Read for Keyboard {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        unreachable!("lines are read")
    }
}

impl std::io::BufRead for Keyboard {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        unreachable!("lines are read")
    }

    fn consume(&mut self, _: usize) {}

    fn read_line(&mut self, line: &mut String) -> std::io::Result<usize> {
        let Some(next) = self.lines.pop_front() else { return Ok(0) };
        let sent = || self.world.pending_login_code(ANNA).unwrap();
        let typed = match next.as_str() {
            "@code" => sent(),
            "@wrong" => sent().chars().rev().map(|digit| if digit == '9' { '0' } else { '9' }).collect(),
            _ => next,
        };
        line.push_str(&typed);
        line.push('\n');
        Ok(typed.len() + 1)
    }
}
