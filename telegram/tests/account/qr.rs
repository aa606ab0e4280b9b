//! Logging in by a token that another session of the account accepts.

use std::time::Duration;

use tgtrunk_telegram::{InvokeError, LoginError, Stage, Status, TokenError, TokenStage};
use tgtrunk_test_telegram::NewUser;
use tgtrunk_test_telegram::canary::PASSWORD;
use tgtrunk_test_telegram::world::{Action, Match};
use tokio::time::{Instant, timeout};

use crate::support::{SOON, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lets_another_one_in() {
    let scene = Scene::new().await;
    let first = scene.anna().await;
    let second = scene.open("second").await;
    let login = second.account.login();
    let TokenStage::Token(token) = login.export_token().await.unwrap() else { panic!("no token") };
    assert!(!format!("{token:?}").contains("bytes"), "tokens are in no log");
    let waiting = tokio::spawn({
        let (login, token) = (login.clone(), token.clone());
        async move { login.until_accepted(&token, None, std::future::pending()).await }
    });
    let began = Instant::now();
    first.account.accept_login_token(&token.bytes).await.unwrap();
    let stage = timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "Telegram's word is heard, not waited out");
    assert!(matches!(&stage, TokenStage::Done(me) if me.id == scene.anna), "{stage:?}");
    second.until_green().await;
    first.until_green().await;
    drop(login);
    second.close().await;
    let second = scene.open("second").await;
    second.until_green().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_came_along_is_entered_and_a_wrong_one_is_asked_for() {
    let scene = Scene::new().await;
    let first = scene.anna().await;
    scene.world().set_password(scene.anna, Some(PASSWORD));
    for (name, brought, is_enough) in
        [("a", Some(PASSWORD), true), ("b", Some("battery staple"), false), ("c", None, false)]
    {
        let second = scene.open(name).await;
        let login = second.account.login();
        let accept = async |token: &tgtrunk_telegram::LoginToken| {
            first.account.accept_login_token(&token.bytes).await?;
            Ok::<_, InvokeError>(brought.map(|password| password.to_owned().into()))
        };
        let stage = login.by_token(accept).await.unwrap();
        assert_eq!(matches!(stage, Stage::Done(_)), is_enough, "{stage:?}");
        if !is_enough {
            assert!(matches!(stage, Stage::Password { .. }), "{stage:?}");
            assert_eq!(login.stage().await.unwrap(), stage, "it survives a restart");
            assert!(matches!(login.enter_password(PASSWORD).await.unwrap(), Stage::Done(_)));
        }
        second.until_green().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_at_another_data_centre_lets_in_there() {
    let scene = Scene::new().await;
    let vera = NewUser { dc: Some(4), ..NewUser::new("79007778899", "Vera") };
    let vera = scene.world().add_user(vera).unwrap();
    let first = scene.open("first").await;
    scene.log_in(&first.account, "79007778899").await;
    first.until_green().await;
    let second = scene.open("second").await;
    let accept = async |token: &tgtrunk_telegram::LoginToken| {
        first.account.accept_login_token(&token.bytes).await.map(|()| None)
    };
    let stage = second.account.login().by_token(accept).await.unwrap();
    assert!(matches!(&stage, Stage::Done(me) if me.id == vera), "{stage:?}");
    second.until_green().await;
    let keys: Vec<_> = scene.world().keys().into_iter().filter(|key| key.user == Some(vera)).collect();
    assert_eq!(keys.iter().map(|key| key.dc).collect::<Vec<_>>(), [4, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_leaves_the_way_by_code_open() {
    let scene = Scene::new().await;
    let second = scene.open("second").await;
    let login = second.account.login();
    let refused = login.by_token(async |_| Err("the gateway does not run")).await.unwrap_err();
    assert_eq!(refused, TokenError::NotAccepted("the gateway does not run"));
    scene.log_in(&second.account, crate::support::ANNA).await;
    second.until_green().await;

    let third = scene.open("third").await;
    scene.world().add_fault(
        Match::method("auth.exportLoginToken").once(),
        Action::Error { code: 420, message: "FLOOD_WAIT_33".into() },
    );
    let flood = third.account.login().export_token().await.unwrap_err();
    assert_eq!(flood, LoginError::FloodWait { seconds: 33 });
    let told = second.account.accept_login_token(b"no token").await.unwrap_err();
    assert!(matches!(told, InvokeError::Rpc { .. }), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_let_in_is_not_given_up_by_an_older_token() {
    let scene = Scene::new().await;
    let first = scene.anna().await;
    let second = scene.open("second").await;
    let login = second.account.login();
    let TokenStage::Token(old) = login.export_token().await.unwrap() else { panic!("no token") };
    let accept = async |token: &tgtrunk_telegram::LoginToken| {
        first.account.accept_login_token(&token.bytes).await.map(|()| None)
    };
    login.by_token(accept).await.unwrap();
    second.until_green().await;
    let over = tgtrunk_telegram::LoginToken { expires_s: 0, ..old };
    let stage = login.until_accepted(&over, None, std::future::pending()).await.unwrap();
    assert!(matches!(stage, TokenStage::Done(_)), "{stage:?}");
    assert!(matches!(second.lamp(), Status::Green { .. }), "{:?}", second.lamp());
}
