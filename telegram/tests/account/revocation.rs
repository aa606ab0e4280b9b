//! Sessions that end, and what may and may not happen then.

use std::time::Duration;

use tgtrunk_telegram::{InvokeError, Notice, Person, Policy, Red, ResolveError, Status, tl};
use tgtrunk_test_telegram::wire::KeyRing;
use tgtrunk_test_telegram::world::{Action, Match};
use tokio::time::{Instant, sleep, timeout};

use crate::connection::get_me;
use crate::support::{ANNA, Open, Scene, stored};

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_is_red_within_five_seconds_and_asks_no_more() {
    let scene = Scene::new().await;
    let mut options = scene.options("anna").await;
    // As in production: the revocation is noticed without waiting for the next ping.
    options.ping_every = Duration::from_secs(15);
    let mut open = scene.logged_in(options).await;
    let began = Instant::now();
    scene.world().revoke_user(scene.anna, "SESSION_REVOKED");
    open.until_red().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let reason = Red::Revoked("SESSION_REVOKED".into());
    assert_eq!(open.lamp(), Status::Red { reason: reason.clone() });
    assert_eq!(next_revocation(&mut open).await, reason);

    sleep(Duration::from_millis(300)).await;
    let asked = scene.world().journal(0).len();
    let error = open.account.invoke(&get_me(), Policy::patient().idempotent()).await.unwrap_err();
    assert_eq!(error, InvokeError::Revoked { reason: reason.clone() });
    sleep(Duration::from_secs(2)).await;
    assert_eq!(scene.world().journal(0).len(), asked, "nothing is asked on a revoked session");
    open.close().await;

    let again = scene.open("anna").await;
    assert_eq!(again.lamp(), Status::Red { reason });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.world().journal(0).len(), asked, "nor after a restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_end_when_the_session_does() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    scene.world().add_fault(Match::method("users.getUsers"), Action::Silence);
    let revoked = Action::Error { code: 401, message: "AUTH_KEY_UNREGISTERED".into() };
    scene.world().add_fault(Match::method("contacts.resolveUsername"), revoked);
    let account = open.account.clone();
    let waiting = tokio::spawn(async move { account.invoke(&get_me(), Policy::patient()).await });
    sleep(Duration::from_millis(200)).await;
    let reason = Red::Revoked("AUTH_KEY_UNREGISTERED".into());
    let found = open.account.resolve(Person::Username("boris".into())).await;
    assert_eq!(found.unwrap_err(), ResolveError::Invoke(InvokeError::Revoked { reason: reason.clone() }));
    let error = timeout(Duration::from_secs(1), waiting).await.unwrap().unwrap().unwrap_err();
    assert_eq!(error, InvokeError::Revoked { reason });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_loop_ends_with_the_session() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let refuse = Action::Error { code: 401, message: "AUTH_KEY_UNREGISTERED".into() };
    scene.world().add_fault(Match::method("upload.getFile"), refuse);
    let request = tl::functions::upload::GetFile {
        precise: false,
        cdn_supported: false,
        location: tl::types::InputDocumentFileLocation {
            id: 1,
            access_hash: 1,
            file_reference: vec![],
            thumb_size: String::new(),
        }
        .into(),
        offset: 0,
        limit: 4096,
    };
    // Whoever downloads in a loop sees the first failure, and every later one at once.
    for _ in 0..1000 {
        let error = open.account.invoke(&request, Policy::patient().idempotent()).await.unwrap_err();
        assert!(matches!(error, InvokeError::Revoked { .. }), "{error:?}");
    }
    let asked = scene.world().journal(0).iter().filter(|entry| entry.method == "upload.getFile").count();
    assert_eq!(asked, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_red_and_kept_and_good_again_once_telegram_knows_it() {
    let scene = Scene::new().await;
    let mut open = scene.anna().await;
    let key_id = scene.key_of(scene.anna);
    scene.telegram.keys().forget(key_id);
    assert_eq!(next_revocation(&mut open).await, Red::KeyUnknown);
    open.close().await;
    let key = stored::<Vec<u8>>(&scene.database("anna"), HOME_KEY).await;
    assert_eq!(KeyRing::id_of(key.clone().try_into().unwrap()), key_id);

    // A restart tries the same key, and only that.
    let open = scene.open("anna").await;
    open.until("red", |status| *status == Status::Red { reason: Red::KeyUnknown }).await;
    open.close().await;
    assert_eq!(stored::<Vec<u8>>(&scene.database("anna"), HOME_KEY).await, key);

    scene.telegram.keys().add(2, key.try_into().unwrap());
    let open = scene.open("anna").await;
    open.until_green().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_with_an_unknown_key_takes_the_next_one_and_keeps_the_first() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let key_id = scene.key_of(scene.anna);
    scene.telegram.keys().forget(key_id);
    open.until_red().await;
    scene.log_in(&open.account, ANNA).await;
    open.until_green().await;
    open.close().await;
    let id = |key: Vec<u8>| KeyRing::id_of(key.try_into().unwrap());
    assert_ne!(id(stored::<Vec<u8>>(&scene.database("anna"), HOME_KEY).await), key_id);
    let kept = "SELECT auth_key FROM tg_old_key WHERE dc_id = 2";
    assert_eq!(id(stored::<Vec<u8>>(&scene.database("anna"), kept).await), key_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_used_from_two_places_is_red() {
    let scene = Scene::new().await;
    let mut open = scene.anna().await;
    let duplicated = Action::Error { code: 406, message: "AUTH_KEY_DUPLICATED".into() };
    scene.world().add_fault(Match::method("users.getUsers").once(), duplicated);
    let error = open.account.invoke(&get_me(), Policy::call()).await.unwrap_err();
    assert_eq!(error, InvokeError::Revoked { reason: Red::KeyDuplicated });
    assert_eq!(next_revocation(&mut open).await, Red::KeyDuplicated);
    open.close().await;
    assert_eq!(scene.open("anna").await.lamp(), Status::Red { reason: Red::KeyDuplicated });
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_revocation_the_same_account_logs_in_again_and_takes_calls() {
    let scene = Scene::new().await;
    let mut open = scene.anna().await;
    scene.world().revoke_user(scene.anna, "SESSION_REVOKED");
    open.until_red().await;
    scene.log_in(&open.account, ANNA).await;
    open.until_green().await;
    scene.boris_device().dial(scene.anna, false).await.unwrap();
    loop {
        match open.next_call_news().await {
            Notice::Revoked { .. } => {}
            notice => {
                assert_eq!(crate::support::state(&notice), "requested");
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_out_is_told_to_telegram_and_the_next_login_takes_the_next_key() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let first = scene.key_of(scene.anna);
    open.account.log_out().await.unwrap();
    assert_eq!(open.lamp(), Status::Red { reason: Red::LoggedOut });
    assert_eq!(open.account.me(), None);
    assert!(scene.world().keys_of(scene.anna).is_empty());
    scene.log_in(&open.account, ANNA).await;
    open.until_green().await;
    assert_ne!(scene.key_of(scene.anna), first);
}

async fn next_revocation(open: &mut Open) -> Red {
    loop {
        if let Notice::Revoked { reason } = open.next_call_news().await {
            return reason;
        }
    }
}

const HOME_KEY: &str = "SELECT auth_key FROM tg_dc WHERE dc_id = 2";
