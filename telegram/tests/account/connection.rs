//! Connections that end, hang, or say what they should not.

use std::time::Duration;

use tgtrunk_telegram::{InvokeError, Notice, Options, Orange, Policy, Status, tl};
use tgtrunk_test_telegram::world::{Action, Match};
use tokio::time::{Instant, sleep, timeout};

use crate::proxy::{Mode, Proxy};
use crate::support::{SOON, Scene, eventually, state, stored};

const DC: i32 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_connection_comes_back_by_itself_and_both_are_told() {
    let scene = Scene::new().await;
    let mut options = scene.options("anna").await;
    options.ping_every = Duration::from_secs(3600);
    let mut open = scene.logged_in(options).await;
    assert_eq!(open.notices.recv().await, Some(Notice::Connected));
    scene.world().drop_connections(scene.anna);
    let told = async { [open.notices.recv().await, open.notices.recv().await] };
    let told = timeout(SOON, told).await.unwrap();
    assert_eq!(told, [Some(Notice::Disconnected), Some(Notice::Connected)]);
    eventually("one connection", || scene.connections_of(scene.anna) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_base_state_fetches_it_and_then_reconnects_by_itself() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    open.close().await;
    let forget = "UPDATE tg_session SET pts = 0, qts = 0, date = 0, seq = 0 RETURNING pts";
    assert_eq!(stored::<i64>(&scene.database("anna"), forget).await, 0);
    let mut options = scene.options("anna").await;
    options.ping_every = Duration::from_secs(3600);
    let mut open = crate::support::Open::with(options).await;
    open.until_green().await;
    eventually("the base state", || scene.world().count(scene.anna, "updates.getState") > 0).await;
    scene.world().drop_connections(scene.anna);
    eventually("a connection anew", || scene.connections_of(scene.anna) == 1).await;
    let call = scene.boris_device().dial(scene.anna, false).await;
    assert!(call.is_ok());
    assert_eq!(state(&open.next_call_news().await), "requested");
    open.close().await;
    assert!(stored::<i64>(&scene.database("anna"), "SELECT pts FROM tg_session").await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_given_up_after_an_unanswered_ping() {
    let scene = Scene::new().await;
    let open = scene.logged_in(watchful(&scene).await).await;
    let began = Instant::now();
    scene.world().black_hole(scene.anna);
    open.until("no answer", |status| *status == Status::Orange { reason: Orange::NoAnswer }).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    open.until_green().await;
    open.account.invoke(&get_me(), Policy::call()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_never_answered_does_not_block_the_account_for_good() {
    let scene = Scene::new().await;
    let proxy = Proxy::before(scene.telegram.address(DC).unwrap()).await;
    proxy.stand_in(&scene.seed(), i64::from(DC));
    let open = scene.logged_in(watchful(&scene).await).await;
    proxy.set(Mode::Swallow);
    open.until("no answer", |status| *status == Status::Orange { reason: Orange::NoAnswer }).await;
    // By now a new connection waits for its first answer, and would for long.
    sleep(Duration::from_secs(2)).await;
    proxy.set(Mode::Pass);
    open.until_green().await;
    open.close().await;
    proxy.set(Mode::Swallow);

    let mut options = scene.options("boris").await;
    options.login_limit = Duration::from_secs(1);
    let open = crate::support::Open::with(options).await;
    let error = open.account.login().send_code(crate::support::BORIS).await.unwrap_err();
    assert_eq!(
        error,
        tgtrunk_telegram::LoginError::NoAnswer,
        "connecting through the proxy is never answered"
    );
    proxy.set(Mode::Pass);
    scene.log_in(&open.account, crate::support::BORIS).await;
    open.until_green().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_another_session_costs_the_connection_and_nothing_else() {
    let scene = Scene::new().await;
    let proxy = Proxy::before(scene.telegram.address(DC).unwrap()).await;
    proxy.stand_in(&scene.seed(), i64::from(DC));
    let options = scene.options("anna").await;
    let database = options.database.clone();
    let open = scene.logged_in(options).await;
    let (key,): (Vec<u8>,) = sqlx::query_as("SELECT auth_key FROM tg_dc WHERE dc_id = 2")
        .fetch_one(database.pool())
        .await
        .unwrap();
    proxy.set(Mode::WrongSession(key));
    open.until("offline", |status| matches!(status, Status::Orange { .. })).await;
    proxy.set(Mode::Pass);
    open.until_green().await;
    let mut open = open;
    open.account.invoke(&get_me(), Policy::call()).await.unwrap();
    scene.boris_device().dial(scene.anna, false).await.unwrap();
    assert_eq!(state(&open.next_call_news().await), "requested", "updates come on the new connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_garbled_frame_costs_the_connection_and_nothing_else() {
    let scene = Scene::new().await;
    let proxy = Proxy::before(scene.telegram.address(DC).unwrap()).await;
    proxy.stand_in(&scene.seed(), i64::from(DC));
    let open = scene.anna().await;
    proxy.set(Mode::Garble);
    open.until("offline", |status| matches!(status, Status::Orange { .. })).await;
    proxy.set(Mode::Pass);
    open.until_green().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_connection_is_made_anew() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    scene.world().add_fault(Match::method("users.getUsers").once(), Action::Reset);
    let error = open.account.invoke(&get_me(), Policy::call()).await.unwrap_err();
    assert!(matches!(error, InvokeError::Offline { .. }), "{error:?}");
    open.until_green().await;
    open.account.invoke(&get_me(), Policy::call()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_telegram_is_tried_again_with_growing_pauses() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    open.close().await;
    let Scene { telegram, .. } = &scene;
    let address = telegram.address(DC).unwrap();
    // Nobody listens any more at the stored address: another proxy counts the attempts.
    let counter = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = counter.local_addr().unwrap();
    assert_ne!(port, address);
    let database = tgtrunk_telegram::Database::open(scene.database("anna")).await.unwrap();
    sqlx::query("UPDATE tg_dc SET ipv4 = $1 WHERE dc_id = 2")
        .bind(port.to_string())
        .execute(database.pool())
        .await
        .unwrap();
    database.close().await;
    let mut options = scene.options("anna").await;
    options.ping_limit = Duration::from_millis(200);
    let open = crate::support::Open::with(options).await;
    let mut attempts = 0;
    let end = Instant::now() + Duration::from_secs(4);
    while let Ok(Ok((stream, _))) = tokio::time::timeout_at(end, counter.accept()).await {
        attempts += 1;
        drop(stream);
    }
    assert!((2..40).contains(&attempts), "{attempts} attempts in 4 s");
    assert!(matches!(open.lamp(), Status::Orange { .. }), "{:?}", open.lamp());
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_connections_are_made_when_telegram_asks_for_that() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    scene.world().add_fault(Match::method("updates.getState").once(), Action::TransportError { code: -429 });
    scene.world().drop_connections(scene.anna);
    open.until("crowded", |status| *status == Status::Orange { reason: Orange::Crowded }).await;
    open.until_green().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_with_errors_of_its_own_is_orange_and_left_connected() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let fault = scene.world().add_fault(
        Match::method("updates.getState"),
        Action::Error { code: 500, message: "INTERNAL".into() },
    );
    scene.world().drop_connections(scene.anna);
    open.until("refused", |status| matches!(status, Status::Orange { reason: Orange::Refused { .. } })).await;
    scene.world().remove_fault(fault);
    open.until_green().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn green_tells_when_telegram_last_answered() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    let Status::Green { since, last } = open.lamp() else { panic!("{:?}", open.lamp()) };
    sleep(Duration::from_millis(1200)).await;
    let Status::Green { since: same, last: later } = open.lamp() else { panic!("{:?}", open.lamp()) };
    assert_eq!(since, same);
    assert!(later > last, "pings keep it fresh");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_account_answers_at_once_and_leaves_its_file_to_others() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    scene.world().add_fault(Match::method("users.getUsers"), Action::Silence);
    let account = open.account.clone();
    let waiting = tokio::spawn(async move { account.invoke(&get_me(), Policy::patient()).await });
    sleep(Duration::from_millis(200)).await;
    open.account.shutdown().await;
    assert_eq!(timeout(SOON, waiting).await.unwrap().unwrap().unwrap_err(), InvokeError::Closed);
    assert_eq!(open.lamp(), Status::Orange { reason: Orange::Stopped });
    open.close().await;
    let again = scene.open("anna").await;
    again.until_green().await;
}

/// Gives up soon, which a busy machine may turn into too soon.
async fn watchful(scene: &Scene) -> Options {
    let mut options = scene.options("anna").await;
    options.ping_limit = Duration::from_secs(1);
    options
}

pub(crate) fn get_me() -> tl::functions::users::GetUsers {
    tl::functions::users::GetUsers { id: vec![tl::enums::InputUser::UserSelf] }
}
