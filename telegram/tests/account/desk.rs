//! Logins that are led by words, as pages and terminals lead them.

use std::sync::{Arc, Mutex};

use tgtrunk_config::control::{CodeVia, LoginInfo, LoginMethod, LoginStage};
use tgtrunk_config::{LoginCode, Password, Phone, Said};
use tgtrunk_telegram::{LoginDesk, LoginHouse, LoginWord, Status};
use tgtrunk_test_telegram::canary::PASSWORD;
use tgtrunk_test_telegram::world::{Action, Match, Unregistered};
use tokio::time::timeout;

use crate::support::{ANNA, BORIS, Open, SOON, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_told_with_its_ways_and_times_and_a_wrong_one_may_be_mended() {
    let room = Room::new().await;
    assert_eq!(room.desk.info().stage, LoginStage::Start);
    let asked_ms = unix_ms();
    let info = room.say(LoginWord::Start(LoginMethod::Code)).await;
    let LoginStage::Code { via, length, next, resend_ms, sent_ms } = info.stage else { panic!("{info:?}") };
    assert_eq!((via, length, next), (CodeVia::Sms, Some(5), Some(CodeVia::Call)));
    assert!((asked_ms..asked_ms + 20_000).contains(&sent_ms) && resend_ms == Some(sent_ms + 60_000));
    let code = room.code();
    let wrong =
        room.say(LoginWord::Code(LoginCode::new(if code == "00000" { "11111" } else { "00000" }))).await;
    assert!(matches!(wrong.stage, LoginStage::Code { .. }), "{wrong:?}");
    let problem = wrong.problem.unwrap();
    assert_eq!(problem.en, "The code is wrong. Look at it again.");
    assert_eq!(problem.ru, "Код неверный. Проверьте его ещё раз.");
    let again = room.say(LoginWord::Resend).await;
    assert!(again.problem.is_none() && matches!(again.stage, LoginStage::Code { .. }), "{again:?}");
    let mut last = again;
    while last.problem.is_none() {
        last = room.say(LoginWord::Resend).await;
    }
    assert!(matches!(last.stage, LoginStage::Code { next: None, resend_ms: None, .. }), "{last:?}");
    let done = room.say(LoginWord::Code(LoginCode::new(code))).await;
    let LoginStage::Done { account } = &done.stage else { panic!("{done:?}") };
    assert_eq!((account.name.as_deref(), account.phone.as_deref()), (Some("Anna K"), Some(ANNA)));
    room.open.until_green().await;
    let told = room.said();
    assert!(told.windows(2).all(|two| two[0] != two[1]) && told.last() == Some(&done), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_code_and_a_number_without_account_end_at_the_start_with_the_reason() {
    let room = Room::new().await;
    room.say(LoginWord::Start(LoginMethod::Code)).await;
    let code = room.code();
    room.scene.world().expire_login_code(ANNA);
    let late = room.say(LoginWord::Code(LoginCode::new(code))).await;
    assert_eq!(
        (late.stage, late.problem.unwrap().en.as_str()),
        (LoginStage::Start, "The code is too old. Ask for a new one.")
    );

    let nobody = Room::of(Scene::new().await, "79990001122").await;
    for form in [Unregistered::SignUpRequired, Unregistered::Unoccupied] {
        nobody.scene.world().configure(|settings| settings.unregistered = form);
        nobody.say(LoginWord::Start(LoginMethod::Code)).await;
        let code = nobody.scene.world().pending_login_code("79990001122").unwrap();
        let refused = nobody.say(LoginWord::Code(LoginCode::new(code))).await;
        let problem = refused.problem.unwrap();
        assert_eq!(refused.stage, LoginStage::Start);
        assert!(problem.en.starts_with("No Telegram account has this number."), "{problem:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_goes_on_after_a_restart_at_the_code_and_at_the_password_with_its_hint() {
    let room = Room::new().await;
    room.scene.world().set_password(room.scene.anna, Some(PASSWORD));
    let sent = room.say(LoginWord::Start(LoginMethod::Code)).await;
    let room = room.restarted().await;
    assert_eq!(room.desk.info(), sent);
    let asked = room.say(LoginWord::Code(LoginCode::new(room.code()))).await;
    assert!(matches!(asked.stage, LoginStage::Password { .. }), "{asked:?}");
    let room = room.restarted().await;
    assert_eq!(room.desk.info(), asked);
    let wrong = room.say(LoginWord::Password(Password::new("battery staple"))).await;
    assert_eq!((&wrong.stage, wrong.problem.unwrap().ru.as_str()), (&asked.stage, "Пароль неверный."));
    assert_eq!(room.desk.late_password(), None);
    let done = room.say(LoginWord::Password(Password::new(PASSWORD))).await;
    assert!(matches!(done.stage, LoginStage::Done { .. }), "{done:?}");
    assert_eq!(room.desk.late_password(), Some(Password::new(PASSWORD)));
    assert!(!format!("{:?}", room.desk).contains(PASSWORD));
    room.open.until_green().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_is_given_up_at_each_step_and_begins_again() {
    let room = Room::new().await;
    room.scene.world().set_password(room.scene.anna, Some(PASSWORD));
    assert_eq!(room.say(LoginWord::Cancel).await.stage, LoginStage::Start);
    room.say(LoginWord::Start(LoginMethod::Code)).await;
    assert_eq!(room.say(LoginWord::Cancel).await.stage, LoginStage::Start);
    assert_eq!(room.scene.world().pending_login_code(ANNA), None);
    assert!(matches!(room.say(LoginWord::Start(LoginMethod::Qr)).await.stage, LoginStage::Qr { .. }));
    assert_eq!(room.say(LoginWord::Cancel).await.stage, LoginStage::Start);
    room.say(LoginWord::Start(LoginMethod::Code)).await;
    let asked = room.say(LoginWord::Code(LoginCode::new(room.code()))).await;
    assert!(matches!(asked.stage, LoginStage::Password { .. }), "{asked:?}");
    let given_up = room.say(LoginWord::Cancel).await;
    assert_eq!((given_up.stage, given_up.problem), (LoginStage::Start, None));
    assert!(matches!(room.say(LoginWord::Start(LoginMethod::Qr)).await.stage, LoginStage::Qr { .. }));
    assert!(matches!(room.say(LoginWord::Start(LoginMethod::Code)).await.stage, LoginStage::Code { .. }));
    room.say(LoginWord::Code(LoginCode::new(room.code()))).await;
    let done = room.say(LoginWord::Password(Password::new(PASSWORD))).await;
    assert!(matches!(done.stage, LoginStage::Done { .. }), "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qr_code_that_another_session_accepts_logs_in_by_itself_also_after_a_restart() {
    let scene = Scene::new().await;
    let phone = scene.open("phone").await;
    scene.log_in(&phone.account, ANNA).await;
    phone.until_green().await;
    scene.world().set_password(scene.anna, Some(PASSWORD));
    let room = Room::of(scene, ANNA).await;
    let shown = room.say(LoginWord::Start(LoginMethod::Qr)).await;
    let LoginStage::Qr { expires_ms, .. } = shown.stage else { panic!("{shown:?}") };
    assert!(expires_ms > unix_ms() && expires_ms < unix_ms() + 60_000);
    let room = room.restarted().await;
    let shown = room.until("a code", |info| matches!(info.stage, LoginStage::Qr { .. })).await;
    let LoginStage::Qr { token, .. } = shown.stage else { panic!("{shown:?}") };
    phone.account.accept_login_token(&token.bytes()).await.unwrap();
    room.until("a password", |info| matches!(info.stage, LoginStage::Password { .. })).await;
    let done = room.say(LoginWord::Password(Password::new(PASSWORD))).await;
    assert!(matches!(done.stage, LoginStage::Done { .. }), "{done:?}");
    room.open.until_green().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_qr_code_is_refreshed_before_it_is_too_old_and_an_unreachable_telegram_does_not_end_it() {
    let scene = Scene::new().await;
    scene.world().set_timers_scale(0.2);
    let room = Room::of(scene, ANNA).await;
    let first = room.say(LoginWord::Start(LoginMethod::Qr)).await;
    let LoginStage::Qr { token: first, expires_ms } = first.stage else { panic!("{first:?}") };
    assert!(expires_ms <= unix_ms() + 6_500);
    room.scene.world().add_fault(Match::method("auth.exportLoginToken").once(), Action::Close);
    let second = room
        .until("a fresh code", |info| matches!(&info.stage, LoginStage::Qr { token, .. } if *token != first))
        .await;
    assert!(unix_ms() < expires_ms + 6_000);
    let LoginStage::Qr { token, .. } = second.stage else { panic!("{second:?}") };
    room.scene.world().accept_login_token(room.scene.anna, &token.bytes()).unwrap();
    room.until("done", |info| matches!(info.stage, LoginStage::Done { .. })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_of_another_number_is_not_taken() {
    let room = Room::new().await;
    let shown = room.say(LoginWord::Start(LoginMethod::Qr)).await;
    let LoginStage::Qr { token, .. } = shown.stage else { panic!("{shown:?}") };
    room.scene.world().accept_login_token(room.scene.boris, &token.bytes()).unwrap();
    let refused = room.until("a refusal", |info| info.problem.is_some()).await;
    assert_eq!(refused.stage, LoginStage::Start);
    assert!(refused.problem.unwrap().en.contains(BORIS));
    assert!(room.scene.world().keys_of(room.scene.boris).is_empty(), "its session is ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_begins_while_somebody_is_logged_in_leaves_the_old_session_until_the_new_one_is_in() {
    let room = Room::new().await;
    room.log_in().await;
    let old = room.scene.key_of(room.scene.anna);
    room.say(LoginWord::Start(LoginMethod::Code)).await;
    assert!(matches!(room.open.lamp(), Status::Green { .. }), "{:?}", room.open.lamp());
    assert!(matches!(room.say(LoginWord::Cancel).await.stage, LoginStage::Done { .. }));
    assert_eq!(room.scene.key_of(room.scene.anna), old, "nothing was lost");

    room.say(LoginWord::Start(LoginMethod::Code)).await;
    let room = room.restarted().await;
    room.open.until_green().await;
    let info = room.desk.info();
    assert!(matches!(info.stage, LoginStage::Code { .. }), "{info:?}");
    let done = room.say(LoginWord::Code(LoginCode::new(room.code()))).await;
    assert!(matches!(done.stage, LoginStage::Done { .. }), "{done:?}");
    room.open.until_green().await;
    assert_ne!(room.scene.key_of(room.scene.anna), old, "one session, and it is the new one");
    assert_eq!(*room.partings.lock().unwrap(), 1, "calls were ended first");
    let room = room.restarted().await;
    room.open.until_green().await;
    // The new session hears of calls.
    let mut room = room;
    room.scene.boris_device().dial(room.scene.anna, false).await.unwrap();
    assert_eq!(crate::support::state(&room.open.next_call_news().await), "requested");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_revoked_elsewhere_ends_at_the_start_with_the_reason() {
    let room = Room::new().await;
    room.log_in().await;
    room.scene.world().revoke_user(room.scene.anna, "SESSION_REVOKED");
    let ended = room.until("the start", |info| info.stage == LoginStage::Start).await;
    let problem = ended.problem.unwrap();
    assert!(problem.en.contains("closed from another device of the account"), "{problem:?}");
    assert!(problem.ru.contains("закрыли с другого устройства аккаунта"), "{problem:?}");
    room.log_in().await;
    room.open.until_green().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_is_told_to_telegram_and_a_reset_is_not() {
    let room = Room::new().await;
    room.log_in().await;
    let out = room.say(LoginWord::LogOut).await;
    assert_eq!((out.stage, out.problem), (LoginStage::Start, None));
    assert!(room.scene.world().keys_of(room.scene.anna).is_empty());
    room.log_in().await;
    let key = room.scene.key_of(room.scene.anna);
    let reset = room.say(LoginWord::Forget).await;
    assert_eq!((reset.stage, reset.problem), (LoginStage::Start, None));
    assert_eq!(room.scene.key_of(room.scene.anna), key, "Telegram was not asked");
    room.log_in().await;
    room.desk.end().await;
    room.open.close().await;
    let database = room.scene.database("line");
    let kept = crate::support::stored::<i64>(&database, "SELECT COUNT(*) FROM tg_old_key").await;
    assert_eq!(kept, 0, "no key of it is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_session_lets_this_one_in_with_the_password_it_knows_and_its_refusal_is_told() {
    let scene = Scene::new().await;
    let first = scene.open("first").await;
    scene.log_in(&first.account, ANNA).await;
    first.until_green().await;
    scene.world().set_password(scene.anna, Some(PASSWORD));
    let room = Room::of(scene, ANNA).await;
    let refused = room
        .desk
        .let_in(Box::new(|_| Box::pin(async { Err(Said::new("it sleeps", "он спит")) })))
        .await
        .unwrap();
    let problem = refused.problem.unwrap();
    assert!(problem.en.contains("it sleeps") && problem.ru.contains("он спит"), "{problem:?}");
    assert_eq!(refused.stage, LoginStage::Start);
    let account = first.account.clone();
    let accept = move |token: tgtrunk_config::LoginToken| async move {
        account.accept_login_token(&token.bytes()).await.map_err(|error| Said::from(error.to_string()))?;
        Ok(Some(Password::new(PASSWORD)))
    };
    let done = room.desk.let_in(Box::new(|token| Box::pin(accept(token)))).await.unwrap();
    assert!(matches!(done.stage, LoginStage::Done { .. }), "{done:?}");
    room.open.until_green().await;
}

/// A line's account with its desk.
struct Room {
    scene: Scene,
    open: Open,
    desk: LoginDesk,
    phone: Phone,
    told: Arc<Mutex<Vec<LoginInfo>>>,
    partings: Arc<Mutex<u32>>,
}

struct House {
    told: Arc<Mutex<Vec<LoginInfo>>>,
    partings: Arc<Mutex<u32>>,
}

impl LoginHouse for House {
    fn told(&self, info: &LoginInfo) {
        self.told.lock().unwrap().push(info.clone());
    }

    async fn parting(&self) {
        *self.partings.lock().unwrap() += 1;
    }
}

impl Room {
    async fn new() -> Self {
        Self::of(Scene::new().await, ANNA).await
    }

    async fn of(scene: Scene, phone: &str) -> Self {
        let open = scene.open("line").await;
        let phone: Phone = format!("+{phone}").parse().unwrap();
        let (told, partings) = (Arc::default(), Arc::default());
        let house = House { told: Arc::clone(&told), partings: Arc::clone(&partings) };
        let desk = LoginDesk::open(open.account.clone(), phone.clone(), house).await;
        Self { scene, open, desk, phone, told, partings }
    }

    /// The program ends and begins again.
    async fn restarted(self) -> Self {
        let phone = self.phone.as_str().trim_start_matches('+').to_owned();
        self.desk.end().await;
        self.open.close().await;
        drop(self.desk);
        Self::of(self.scene, &phone).await
    }

    async fn say(&self, word: LoginWord) -> LoginInfo {
        timeout(SOON, self.desk.say(word)).await.unwrap().unwrap()
    }

    fn said(&self) -> Vec<LoginInfo> {
        self.told.lock().unwrap().clone()
    }

    fn code(&self) -> String {
        self.scene.world().pending_login_code(ANNA).unwrap()
    }

    async fn log_in(&self) {
        self.say(LoginWord::Start(LoginMethod::Code)).await;
        let done = self.say(LoginWord::Code(LoginCode::new(self.code()))).await;
        assert!(matches!(done.stage, LoginStage::Done { .. }), "{done:?}");
        self.open.until_green().await;
    }

    async fn until(&self, what: &str, wanted: impl Fn(&LoginInfo) -> bool) -> LoginInfo {
        let mut shown = self.desk.watch();
        let found = timeout(SOON, shown.wait_for(|info| wanted(info))).await;
        let Ok(Ok(info)) = found else { panic!("no {what} but {:?}", self.desk.info()) };
        info.clone()
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's clock")]
fn unix_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}
