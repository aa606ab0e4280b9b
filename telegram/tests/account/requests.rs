//! What becomes of a single request.

use std::time::Duration;

use tgtrunk_telegram::{InvokeError, Policy, tl};
use tgtrunk_test_telegram::world::{Action, Match};
use tokio::time::Instant;

use crate::connection::get_me;
use crate::support::{Open, Scene};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_salt_is_mended_under_way() {
    let scene = Scene::new().await;
    // A fresh key begins with salt 0, which is refused too.
    let open = scene.anna().await;
    for _ in 0..3 {
        scene.world().add_fault(Match::method("users.getUsers").once(), Action::BadServerSalt);
        assert_eq!(open.account.invoke(&get_me(), Policy::call()).await.unwrap().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_never_answered_ends_at_its_limit() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    scene.world().add_fault(Match::method("users.getUsers"), Action::Silence);
    let began = Instant::now();
    let limit = Duration::from_millis(300);
    let error = open.account.invoke(&get_me(), Policy::call().within(limit)).await.unwrap_err();
    assert_eq!(error, InvokeError::Timeout { method: "users.getUsers", after: limit });
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    scene.world().clear_faults();
    open.account.invoke(&get_me(), Policy::call()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_told_at_once_to_wait_whatever_the_policy() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    flood(&scene, "phone.requestCall", 31);
    let began = Instant::now();
    for policy in [Policy::call(), Policy::patient()] {
        let error = open.account.invoke(&request_call(), policy).await.unwrap_err();
        assert_eq!(error, InvokeError::Flood { seconds: 31 });
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_request_sleeps_a_short_wait_out_and_leaves_a_long_one_to_its_caller() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    scene.world().add_fault(Match::method("users.getUsers").once(), error(420, "FLOOD_WAIT_1"));
    let began = Instant::now();
    open.account.invoke(&get_me(), Policy::patient()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    flood(&scene, "users.getUsers", 61);
    let error = open.account.invoke(&get_me(), Policy::patient()).await.unwrap_err();
    assert_eq!(error, InvokeError::Flood { seconds: 61 });
}

#[tokio::test(flavor = "multi_thread")]
async fn only_an_idempotent_request_is_sent_again_after_its_connection_was_lost() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    for action in
        [Action::Close, Action::BadMsg { code: 32 }, error(500, "RPC_CALL_FAIL"), error(-503, "Timeout")]
    {
        scene.world().add_fault(Match::method("users.getUsers").once(), action.clone());
        let users = open.account.invoke(&get_me(), Policy::call().idempotent()).await;
        assert_eq!(users.unwrap_or_else(|error| panic!("{action:?}: {error}")).len(), 1);
        open.until_green().await;

        scene.world().add_fault(Match::method("users.getUsers").once(), action.clone());
        let before = asked(&scene);
        open.account.invoke(&get_me(), Policy::call()).await.unwrap_err();
        assert_eq!(asked(&scene), before + 1, "{action:?}");
        open.until_green().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clock_errors_are_mended_under_way() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    for code in [16, 17] {
        scene.world().add_fault(Match::method("users.getUsers").once(), Action::BadMsg { code });
        open.account.invoke(&get_me(), Policy::call()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoilt_connection_is_made_anew() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let before = scene.world().count(scene.anna, "help.getConfig");
    scene.world().add_fault(Match::method("users.getUsers").once(), error(400, "CONNECTION_NOT_INITED"));
    let error = open.account.invoke(&get_me(), Policy::call()).await.unwrap_err();
    assert!(error.is("CONNECTION_NOT_INITED"), "{error:?}");
    open.account.invoke(&get_me(), Policy::call()).await.unwrap();
    assert!(scene.world().count(scene.anna, "help.getConfig") > before, "the connection was opened again");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_come_with_telegrams_own_word() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    scene.world().add_fault(Match::method("users.getUsers").once(), error(403, "USER_PRIVACY_RESTRICTED"));
    let refused = open.account.invoke(&get_me(), Policy::call()).await.unwrap_err();
    assert!(refused.is("USER_PRIVACY_RESTRICTED"), "{refused:?}");
    scene.world().add_fault(Match::method("users.getUsers").once(), error(400, "PEER_FLOOD"));
    assert_eq!(open.account.invoke(&get_me(), Policy::call()).await.unwrap_err(), InvokeError::PeerFlood);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_a_login_nothing_is_sent() {
    let scene = Scene::new().await;
    let open: Open = scene.open("anna").await;
    let error = open.account.invoke(&get_me(), Policy::call()).await.unwrap_err();
    assert_eq!(error, InvokeError::Revoked { reason: tgtrunk_telegram::Red::NotLoggedIn });
    assert!(scene.world().journal(0).is_empty());
}

fn asked(scene: &Scene) -> usize {
    scene.world().count(scene.anna, "users.getUsers")
}

fn flood(scene: &Scene, method: &str, seconds: u32) {
    scene.world().add_fault(Match::method(method), error(420, &format!("FLOOD_WAIT_{seconds}")));
}

fn error(code: i32, message: &str) -> Action {
    Action::Error { code, message: message.to_owned() }
}

fn request_call() -> tl::functions::phone::RequestCall {
    tl::functions::phone::RequestCall {
        video: false,
        user_id: tl::types::InputUser { user_id: 1, access_hash: 1 }.into(),
        random_id: 1,
        g_a_hash: vec![0; 32],
        protocol: tl::types::PhoneCallProtocol {
            udp_p2p: true,
            udp_reflector: true,
            min_layer: 65,
            max_layer: 92,
            library_versions: vec!["9.0.0".to_owned()],
        }
        .into(),
    }
}
