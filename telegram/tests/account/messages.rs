//! News of messages: none lost, however the program ends.

use std::time::Duration;

use tgtrunk_telegram::{MessageNews, MessageNotice, Policy, tl};
use tgtrunk_test_telegram::world::{Action, Ending, Match};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::{Open, SOON, Scene, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_taken_in_is_not_told_again_and_one_that_was_not_is() {
    let scene = Scene::new().await;
    let (open, mut messages) = anna(&scene).await;
    missed_call(&scene).await;
    let first = next(&mut messages).await;
    let first_id = missed(&first);
    first.taken();
    missed_call(&scene).await;
    let second = next(&mut messages).await;
    let second_id = missed(&second);
    assert_ne!(first_id, second_id);
    // As a program that is killed before it has written down what it was told.
    drop(second);
    open.close().await;

    let (open, mut messages) = anna(&scene).await;
    let mut told = vec![missed(&next(&mut messages).await)];
    while let Ok(Some(again)) = timeout(Duration::from_millis(500), messages.recv()).await {
        told.push(missed(&again));
        again.taken();
    }
    assert!(told.contains(&second_id), "{told:?}");
    open.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_took_everything_in_is_told_nothing_twice_after_a_restart() {
    let scene = Scene::new().await;
    let (open, mut messages) = anna(&scene).await;
    for _ in 0..3 {
        missed_call(&scene).await;
        next(&mut messages).await.taken();
    }
    open.close().await;
    let (open, mut messages) = anna(&scene).await;
    open.until_green().await;
    assert!(timeout(Duration::from_secs(1), messages.recv()).await.is_err());
    missed_call(&scene).await;
    missed(&next(&mut messages).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_came_while_nobody_was_there_are_told_at_the_next_start() {
    let scene = Scene::new().await;
    let (open, _messages) = anna(&scene).await;
    open.close().await;
    missed_call(&scene).await;
    let (_open, mut messages) = anna(&scene).await;
    missed(&next(&mut messages).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_takes_no_messages_holds_up_messages_and_not_calls() {
    let scene = Scene::new().await;
    let (mut open, messages) = anna(&scene).await;
    for _ in 0..10 {
        missed_call(&scene).await;
        assert!(matches!(open.next_call_news().await, tgtrunk_telegram::Notice::PhoneCall { .. }));
        assert!(matches!(open.next_call_news().await, tgtrunk_telegram::Notice::PhoneCall { .. }));
    }
    drop(messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_is_known_as_soon_as_the_call_is() {
    let scene = Scene::new().await;
    let (open, _messages) = anna(&scene).await;
    assert_eq!(open.account.known(scene.boris), None);
    scene.world().configure(|settings| settings.call_updates = tgtrunk_test_telegram::world::Wrap::Updates);
    let boris = scene.boris_device();
    let (met, dialled) =
        tokio::join!(open.account.met(scene.boris, SOON), async { boris.dial(scene.anna, false).await });
    dialled.unwrap();
    assert_eq!(met.unwrap().first_name.as_deref(), Some("Boris"));
    assert_eq!(open.account.met(scene.anna + 1000, Duration::from_millis(50)).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_writes_can_be_answered_though_short_messages_name_nobody() {
    let scene = Scene::new().await;
    assert!(scene.world().settings().short_messages);
    let (open, mut messages) = anna(&scene).await;
    assert_eq!(open.account.known(scene.boris), None);
    scene.world().say(scene.boris, scene.anna, "Hello").unwrap();
    let notice = next(&mut messages).await;
    let MessageNews::New(tl::enums::Message::Message(message)) = &notice.news else { panic!("{notice:?}") };
    assert_eq!((message.message.as_str(), message.out), ("Hello", false));
    assert!(notice.users.iter().any(|user| user.id() == scene.boris), "{:?}", notice.users);
    assert_eq!(open.account.known(scene.boris).unwrap().first_name.as_deref(), Some("Boris"));
    notice.taken();

    let asked = scene.world().count(scene.anna, "updates.getDifference");
    scene.world().say(scene.boris, scene.anna, "Are you there?").unwrap();
    next(&mut messages).await.taken();
    assert_eq!(scene.world().count(scene.anna, "updates.getDifference"), asked, "he is known now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_not_lost_if_the_connection_is_made_anew_while_it_is_asked_who_wrote_it() {
    let scene = Scene::new().await;
    let (open, mut messages) = anna(&scene).await;
    let asked = scene.world().count(scene.anna, "updates.getDifference");
    let fault = scene.world().add_fault(Match::method("updates.getDifference"), Action::Silence);
    scene.world().say(scene.boris, scene.anna, "Hello").unwrap();
    eventually("it is asked who wrote", || scene.world().count(scene.anna, "updates.getDifference") > asked)
        .await;
    scene.world().remove_fault(fault);
    let spoilt = Action::Error { code: 400, message: "CONNECTION_NOT_INITED".to_owned() };
    scene.world().add_fault(Match::method("users.getUsers").once(), spoilt);
    let request = tl::functions::users::GetUsers { id: vec![tl::enums::InputUser::UserSelf] };
    open.account.invoke(&request, Policy::call()).await.unwrap_err();

    let notice = next(&mut messages).await;
    let MessageNews::New(tl::enums::Message::Message(message)) = &notice.news else { panic!("{notice:?}") };
    assert_eq!(message.message, "Hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_and_deleted_messages_are_told_also_after_an_absence() {
    let scene = Scene::new().await;
    let (open, mut messages) = anna(&scene).await;
    let first = scene.world().say(scene.boris, scene.anna, "one").unwrap();
    let second = scene.world().say(scene.boris, scene.anna, "two").unwrap();
    next(&mut messages).await.taken();
    next(&mut messages).await.taken();
    scene.world().edit_text(scene.boris, first.id, "three").unwrap();
    let notice = next(&mut messages).await;
    let MessageNews::Edited(tl::enums::Message::Message(message)) = &notice.news else {
        panic!("{notice:?}")
    };
    assert_eq!(message.message, "three");
    notice.taken();
    open.close().await;

    scene.world().delete_messages(scene.boris, &[second.id], true);
    let (_open, mut messages) = anna(&scene).await;
    let notice = next(&mut messages).await;
    assert!(matches!(&notice.news, MessageNews::Deleted(ids) if ids.len() == 1), "{notice:?}");
}

/// Anna's account on a program that wants messages.
pub(crate) async fn anna(scene: &Scene) -> (Open, mpsc::Receiver<MessageNotice>) {
    let (send, messages) = mpsc::channel(4);
    let mut options = scene.options("anna").await;
    options.messages = Some(send);
    options.sync_every = Duration::from_millis(50);
    let open = Open::with(options).await;
    if open.account.me().is_none() {
        scene.log_in(&open.account, crate::support::ANNA).await;
    }
    open.until_green().await;
    (open, messages)
}

/// Boris calls and gives up; the chat keeps a message of it.
async fn missed_call(scene: &Scene) {
    let boris = scene.boris_device();
    let call = boris.dial(scene.anna, false).await.unwrap();
    boris.discard(call, Ending::Missed, 0).await.unwrap();
}

pub(crate) async fn next(messages: &mut mpsc::Receiver<MessageNotice>) -> MessageNotice {
    timeout(SOON, messages.recv()).await.expect("no message").expect("the account is open")
}

/// The id of the message that tells of a missed call.
fn missed(notice: &MessageNotice) -> i32 {
    let MessageNews::New(tl::enums::Message::Service(message)) = &notice.news else { panic!("{notice:?}") };
    let tl::enums::MessageAction::PhoneCall(action) = &message.action else { panic!("{notice:?}") };
    assert!(!message.out && matches!(action.reason, Some(tl::enums::PhoneCallDiscardReason::Missed)));
    message.id
}
