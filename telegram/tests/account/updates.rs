//! Call news: at once, in order, once, and none lost.

use std::time::Duration;

use tgtrunk_telegram::{Account, Notice, Policy, tl};
use tgtrunk_test_telegram::world::{Action, Ending, Match, Puppet, Stage, Wrap};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{Open, SOON, Scene, eventually, state};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_told_in_every_wrapper_with_its_users_where_they_come_along() {
    let scene = Scene::new().await;
    let mut open = scene.anna().await;
    let boris = scene.boris_device();
    for wrap in [Wrap::Short, Wrap::Updates, Wrap::Sequenced] {
        scene.world().configure(|settings| settings.call_updates = wrap);
        let call = boris.dial(scene.anna, false).await.unwrap();
        let notice = open.next_call_news().await;
        let Notice::PhoneCall { users, .. } = &notice else { panic!("{notice:?}") };
        assert_eq!((state(&notice), users.is_empty()), ("requested", wrap == Wrap::Short), "{wrap:?}");
        boris.discard(call, Ending::Missed, 0).await.unwrap();
        assert_eq!(state(&open.next_call_news().await), "discarded", "{wrap:?}");
    }
    assert_eq!(open.call_news_within(Duration::from_millis(500)).await, [], "each state is told once");
    assert_eq!(open.account.known(scene.boris).unwrap().first_name.as_deref(), Some("Boris"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_the_stream_drops_for_its_number_is_told_at_once() {
    let scene = Scene::new().await;
    let mut open = scene.anna().await;
    scene.world().configure(|settings| settings.call_updates = Wrap::Sequenced);
    scene.world().add_fault(Match::method("updates.getDifference"), Action::Silence);
    scene.world().skip_seq(scene.anna, 3);
    let boris = scene.boris_device();
    let began = Instant::now();
    let call = boris.dial(scene.anna, false).await.unwrap();
    assert_eq!(state(&open.next_call_news().await), "requested");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    boris.discard(call, Ending::Missed, 0).await.unwrap();
    assert_eq!(state(&open.next_call_news().await), "discarded");
    eventually("a difference was asked for", || scene.world().count(scene.anna, "updates.getDifference") > 0)
        .await;
    scene.world().clear_faults();
    assert_eq!(open.call_news_within(Duration::from_secs(3)).await, [], "the difference repeats nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_updates_arrives_whole_and_in_order_at_a_program_that_does_not_read() {
    const MESSAGES: u32 = 5000;
    const BATCH: u32 = 250;
    let scene = Scene::new().await;
    let mut options = scene.options("anna").await;
    options.notices = 1;
    let mut open = scene.logged_in(options).await;
    let (boris, call_id) = active_call(&scene, &mut open).await;
    for number in 0..MESSAGES {
        boris.signal(call_id, number.to_le_bytes().to_vec()).await.unwrap();
        if number % BATCH == BATCH - 1 {
            // The server keeps so many for a client that acknowledges nothing; a request brings acknowledgments.
            open.account.invoke(&crate::connection::get_me(), Policy::call()).await.unwrap();
        }
    }
    boris.discard(call_id, Ending::Hangup, 1).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    for number in 0..MESSAGES {
        let notice = open.next_call_news().await;
        assert_eq!(notice, Notice::Signaling { call_id, data: number.to_le_bytes().to_vec() });
    }
    assert_eq!(state(&open.next_call_news().await), "discarded");
    assert_eq!(open.call_news_within(Duration::from_millis(300)).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_are_told_state_by_state() {
    let scene = Scene::new().await;
    let mut open = scene.anna().await;
    let boris = scene.boris_device();
    scene.world().configure(|settings| settings.call_updates = Wrap::Sequenced);
    let mut expected = Vec::new();
    for _ in 0..200 {
        let call = boris.dial(scene.anna, false).await.unwrap();
        boris.discard(call, Ending::Missed, 0).await.unwrap();
        expected.extend([(call, "requested"), (call, "discarded")]);
    }
    for (call, what) in expected {
        let notice = open.next_call_news().await;
        let Notice::PhoneCall { call: told, .. } = &notice else { panic!("{notice:?}") };
        let id = match told {
            tl::enums::PhoneCall::Requested(call) => call.id,
            tl::enums::PhoneCall::Discarded(call) => call.id,
            _ => 0,
        };
        assert_eq!((id, state(&notice)), (call, what));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicated_update_is_told_once() {
    let scene = Scene::new().await;
    let mut open = scene.anna().await;
    scene.world().add_fault(Match::method("updatePhoneCall").user(scene.anna), Action::DuplicatePush);
    let boris = scene.boris_device();
    let call = boris.dial(scene.anna, false).await.unwrap();
    boris.discard(call, Ending::Missed, 0).await.unwrap();
    let told = open.call_news_within(Duration::from_secs(1)).await;
    assert_eq!(told.iter().map(state).collect::<Vec<_>>(), ["requested", "discarded"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_missed_on_a_lost_connection_is_told_after_the_reconnection() {
    let scene = Scene::new().await;
    let mut open = scene.anna().await;
    let boris = scene.boris_device();
    scene.world().add_fault(Match::method("phoneCallRequested").user(scene.anna).once(), Action::DropPush);
    boris.dial(scene.anna, false).await.unwrap();
    assert_eq!(open.call_news_within(Duration::from_millis(300)).await, []);
    scene.world().drop_connections(scene.anna);
    assert_eq!(state(&open.next_call_news().await), "requested");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_rings_while_the_program_starts_is_told() {
    let scene = Scene::new().await;
    let open = scene.anna().await;
    open.close().await;
    scene.boris_device().dial(scene.anna, false).await.unwrap();
    let boris = scene.boris_device();
    boris.dial(scene.anna, false).await.unwrap();
    let mut open = scene.open("anna").await;
    assert_eq!(state(&open.next_call_news().await), "requested");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_of_updates_is_kept_so_that_a_restart_goes_on_where_it_was() {
    let scene = Scene::new().await;
    let mut open = scene.anna().await;
    missed_call(&scene, &mut open).await;
    open.close().await;
    scene.world().clear_journal();
    let open = scene.open("anna").await;
    open.until_green().await;
    eventually("a difference", || scene.world().count(scene.anna, "updates.getDifference") > 0).await;
    let asked = scene
        .world()
        .journal(0)
        .into_iter()
        .find_map(|entry| entry.request::<tl::functions::updates::GetDifference>());
    let known: tl::enums::updates::State =
        open.account.invoke(&tl::functions::updates::GetState {}, Policy::call()).await.unwrap();
    let tl::enums::updates::State::State(known) = known;
    assert_eq!(asked.unwrap().pts, known.pts, "nothing that was seen is asked for again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_that_is_never_answered_is_asked_for_again() {
    let scene = Scene::new().await;
    let mut open = scene.anna().await;
    scene.world().add_fault(Match::method("updates.getDifference").once(), Action::Silence);
    scene.world().add_fault(Match::method("phoneCallRequested").user(scene.anna).once(), Action::DropPush);
    scene.boris_device();
    let boris = scene.boris_device();
    boris.dial(scene.anna, false).await.unwrap();
    scene.world().push_too_long(scene.anna);
    assert_eq!(state(&open.next_call_news().await), "requested");
    assert!(scene.world().count(scene.anna, "updates.getDifference") >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_reads_no_notices_keeps_its_account() {
    let scene = Scene::new().await;
    let Open { account, notices, .. } = scene.anna().await;
    drop(notices);
    let boris = scene.boris_device();
    boris.dial(scene.anna, false).await.unwrap();
    sleep(Duration::from_millis(300)).await;
    account.invoke(&crate::connection::get_me(), Policy::call()).await.unwrap();
}

/// A call from Boris that Anna has answered; its news is read.
async fn active_call(scene: &Scene, open: &mut Open) -> (Puppet, i64) {
    let boris = scene.boris_device();
    let call = boris.dial(scene.anna, false).await.unwrap();
    let notice = open.next_call_news().await;
    let Notice::PhoneCall { call: tl::enums::PhoneCall::Requested(requested), .. } = notice else {
        panic!("{notice:?}")
    };
    accept(&open.account, &requested).await;
    assert_eq!(state(&open.next_call_news().await), "active");
    let active = async {
        while boris.call(call).unwrap().stage != Stage::Active {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, active).await.unwrap();
    (boris, call)
}

async fn accept(account: &Account, call: &tl::types::PhoneCallRequested) {
    let peer = tl::types::InputPhoneCall { id: call.id, access_hash: call.access_hash };
    let request = tl::functions::phone::AcceptCall {
        peer: peer.into(),
        g_b: vec![0x55; 256],
        protocol: call.protocol.clone(),
    };
    account.invoke(&request, Policy::call()).await.unwrap();
}

async fn missed_call(scene: &Scene, open: &mut Open) {
    let boris = scene.boris_device();
    let call = boris.dial(scene.anna, false).await.unwrap();
    assert_eq!(state(&open.next_call_news().await), "requested");
    boris.discard(call, Ending::Missed, 0).await.unwrap();
    assert_eq!(state(&open.next_call_news().await), "discarded");
    // Its message in the chat history moves the state on.
    sleep(Duration::from_millis(300)).await;
}
