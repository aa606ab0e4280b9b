//! News of groups and channels, which Telegram counts each by itself: none lost, whatever was known of them before.

use std::collections::BTreeSet;
use std::time::Duration;

use tgtrunk_telegram::{MessageNews, MessageNotice, tl};
use tgtrunk_test_telegram::world::{Action, GroupKind, Match, NewGroup};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::messages::{anna, next};
use crate::support::{Scene, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_in_a_group_while_the_connection_was_lost_is_told() {
    let scene = Scene::new().await;
    let (_open, mut messages) = anna(&scene).await;
    let group = group(&scene);
    scene.world().say(scene.boris, group, "one").unwrap();
    until(&mut messages, "one").await;
    lose_next(&scene, "updateNewChannelMessage");
    scene.world().say(scene.boris, group, "two").unwrap();
    scene.world().drop_connections(scene.anna);
    until(&mut messages, "two").await;
    scene.world().say(scene.boris, group, "three").unwrap();
    until(&mut messages, "three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_word_of_a_group_is_told_though_it_was_said_while_nobody_was_there() {
    let scene = Scene::new().await;
    let group = group(&scene);
    let (open, _messages) = anna(&scene).await;
    open.close().await;
    scene.world().say(scene.boris, group, "one").unwrap();
    let (_open, mut messages) = anna(&scene).await;
    until(&mut messages, "one").await;
    scene.world().say(scene.boris, group, "two").unwrap();
    until(&mut messages, "two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_word_of_a_group_is_told_before_the_next_one_though_the_connection_was_lost() {
    let scene = Scene::new().await;
    let group = group(&scene);
    let (_open, mut messages) = anna(&scene).await;
    lose_next(&scene, "updateNewChannelMessage");
    scene.world().say(scene.boris, group, "one").unwrap();
    let asked = scene.world().count(scene.anna, "updates.getDifference");
    let held = scene.world().add_fault(Match::method("updates.getDifference"), Action::Silence);
    scene.world().drop_connections(scene.anna);
    eventually("it is asked", || scene.world().count(scene.anna, "updates.getDifference") > asked).await;
    scene.world().say(scene.boris, group, "two").unwrap();
    scene.world().remove_fault(held);
    until(&mut messages, "one").await;
    until(&mut messages, "two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_difference_brings_is_read_from_the_chats() {
    let scene = Scene::new().await;
    let (group, silent) = (group(&scene), group(&scene));
    let (open, mut messages) = anna(&scene).await;
    scene.world().say(scene.boris, group, "first").unwrap();
    until(&mut messages, "first").await;
    open.close().await;
    scene.world().configure(|settings| settings.difference_too_long = 20);
    let said = |what: &str, number: usize| format!("{what} {number}");
    for number in 0..150 {
        for (place, what) in [(group, "group"), (silent, "silent"), (scene.anna, "private")] {
            scene.world().say(scene.boris, place, &said(what, number)).unwrap();
        }
    }
    let (_open, mut messages) = anna(&scene).await;
    let mut told = Vec::new();
    while told.iter().filter(|text| *text != "first").count() < 450 {
        told.push(text(&mut messages).await);
    }
    for what in ["group", "silent", "private"] {
        let of_it: Vec<_> = told.iter().filter(|text| text.starts_with(what)).cloned().collect();
        assert_eq!(of_it, (0..150).map(|number| said(what, number)).collect::<Vec<_>>());
    }
    scene.world().say(scene.boris, silent, "last").unwrap();
    until(&mut messages, "last").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_said_is_told_though_telegram_does_not_take_the_state() {
    let scene = Scene::new().await;
    let (open, mut messages) = anna(&scene).await;
    scene.world().say(scene.boris, scene.anna, "one").unwrap();
    until(&mut messages, "one").await;
    open.close().await;
    scene.world().say(scene.boris, scene.anna, "two").unwrap();
    no_difference(&scene);
    let (_open, mut messages) = anna(&scene).await;
    until(&mut messages, "two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_closed_to_the_account_holds_up_no_other() {
    let scene = Scene::new().await;
    let (open, mut messages) = anna(&scene).await;
    let (closed, other) = (group(&scene), group(&scene));
    for place in [closed, other] {
        scene.world().say(scene.boris, place, "one").unwrap();
        until(&mut messages, "one").await;
    }
    open.close().await;
    for place in [closed, other] {
        scene.world().say(scene.boris, place, "two").unwrap();
    }
    let spoilt = Action::Error { code: 406, message: "CHANNEL_PRIVATE".to_owned() };
    scene.world().add_fault(Match::method("updates.getChannelDifference").user(scene.anna).once(), spoilt);
    let (_open, mut messages) = anna(&scene).await;
    until(&mut messages, "two").await;
    scene.world().say(scene.boris, scene.anna, "three").unwrap();
    until(&mut messages, "three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_cannot_be_read_is_tried_again_and_holds_up_no_other() {
    let scene = Scene::new().await;
    let silent = group(&scene);
    let (open, _messages) = anna(&scene).await;
    open.close().await;
    scene.world().say(scene.boris, silent, "one").unwrap();
    scene.world().add_fault(Match::method("messages.getHistory").user(scene.anna).once(), unwell());
    let (_open, mut messages) = anna(&scene).await;
    eventually("it is asked for", || scene.world().count(scene.anna, "messages.getHistory") > 0).await;
    scene.world().say(scene.boris, scene.anna, "two").unwrap();
    until(&mut messages, "two").await;
    until(&mut messages, "one").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_telegram_never_takes_is_not_asked_with_without_end() {
    let scene = Scene::new().await;
    let (open, mut messages) = anna(&scene).await;
    scene.world().say(scene.boris, scene.anna, "one").unwrap();
    until(&mut messages, "one").await;
    open.close().await;
    let spoilt = Action::Error { code: 400, message: "PERSISTENT_TIMESTAMP_INVALID".to_owned() };
    let fault = scene.world().add_fault(Match::method("updates.getDifference").user(scene.anna), spoilt);
    let (_open, mut messages) = anna(&scene).await;
    sleep(Duration::from_secs(2)).await;
    let asked = scene.world().count(scene.anna, "updates.getDifference");
    assert!((2..30).contains(&asked), "{asked}");
    scene.world().remove_fault(fault);
    scene.world().say(scene.boris, scene.anna, "two").unwrap();
    until(&mut messages, "two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_in_a_group_before_it_is_read_does_not_hide_what_was_said_before() {
    let scene = Scene::new().await;
    begin(&scene).await;
    let silent = group(&scene);
    scene.world().say(scene.boris, silent, "one").unwrap();
    // Telegram tells of groups in which something happened in this second.
    sleep(Duration::from_secs(2)).await;
    no_difference(&scene);
    let dialogs = Match::method("messages.getDialogs").user(scene.anna).once();
    scene.world().add_fault(dialogs, unwell());
    let (_open, mut messages) = anna(&scene).await;
    eventually("it is asked for", || scene.world().count(scene.anna, "messages.getDialogs") > 0).await;
    scene.world().say(scene.boris, silent, "two").unwrap();
    all(&mut messages, &["one", "two"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_wait_while_chats_are_read_holds_up_nothing_that_is_new() {
    let scene = Scene::new().await;
    begin(&scene).await;
    scene.world().say(scene.boris, scene.anna, "one").unwrap();
    no_difference(&scene);
    let flood = Action::Error { code: 420, message: "FLOOD_WAIT_30".to_owned() };
    scene.world().add_fault(Match::method("messages.getDialogs").user(scene.anna).once(), flood);
    let (_open, mut messages) = anna(&scene).await;
    eventually("it is asked for", || scene.world().count(scene.anna, "messages.getDialogs") > 0).await;
    scene.world().say(scene.boris, scene.anna, "two").unwrap();
    until(&mut messages, "two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_wait_of_a_group_holds_up_no_other_message_and_is_waited_out() {
    let scene = Scene::new().await;
    begin(&scene).await;
    let (open, mut messages) = anna(&scene).await;
    let group = group(&scene);
    scene.world().say(scene.boris, group, "one").unwrap();
    until(&mut messages, "one").await;
    open.close().await;
    scene.world().say(scene.boris, group, "two").unwrap();
    let flood = Action::Error { code: 420, message: "FLOOD_WAIT_3".to_owned() };
    let method = "updates.getChannelDifference";
    scene.world().add_fault(Match::method(method).user(scene.anna).once(), flood);
    let asked = scene.world().count(scene.anna, method);
    let (_open, mut messages) = anna(&scene).await;
    eventually("it is asked for", || scene.world().count(scene.anna, method) > asked).await;
    scene.world().say(scene.boris, scene.anna, "three").unwrap();
    until(&mut messages, "three").await;
    assert_eq!(scene.world().count(scene.anna, method), asked + 1);
    until(&mut messages, "two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_tells_nothing_now_is_asked_again_though_nothing_new_comes() {
    let scene = Scene::new().await;
    begin(&scene).await;
    let (open, mut messages) = anna(&scene).await;
    let group = group(&scene);
    scene.world().say(scene.boris, group, "one").unwrap();
    until(&mut messages, "one").await;
    open.close().await;
    scene.world().say(scene.boris, group, "two").unwrap();
    scene.world().add_fault(Match::method("updates.getChannelDifference").user(scene.anna).once(), unwell());
    let (_open, mut messages) = anna(&scene).await;
    until(&mut messages, "two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_were_read_are_told_though_the_next_one_is_refused() {
    let scene = Scene::new().await;
    begin(&scene).await;
    let silent = group(&scene);
    for number in 0..150 {
        scene.world().say(scene.boris, silent, &number.to_string()).unwrap();
    }
    let second = Match { nth: Some(2), ..Match::method("messages.getHistory").user(scene.anna) };
    scene.world().add_fault(second, Action::Error { code: 406, message: "CHANNEL_PRIVATE".to_owned() });
    let (_open, mut messages) = anna(&scene).await;
    let mut first = text(&mut messages).await;
    while first == "begin" {
        first = text(&mut messages).await;
    }
    assert_eq!(first, "50", "older ones are on the page that was refused");
    for number in 51..150 {
        assert_eq!(text(&mut messages).await, number.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_was_read_is_asked_again_while_others_are_being_read() {
    let scene = Scene::new().await;
    begin(&scene).await;
    let groups = [group(&scene), group(&scene)];
    for (number, group) in groups.iter().enumerate() {
        scene.world().say(scene.boris, *group, &number.to_string()).unwrap();
    }
    // The first one has two pages, an empty one at last.
    let others = Match { nth: Some(3), ..Match::method("messages.getHistory").user(scene.anna) };
    let fault = scene.world().add_fault(others, unwell());
    let (_open, mut messages) = anna(&scene).await;
    let mut first = text(&mut messages).await;
    while first == "begin" {
        first = text(&mut messages).await;
    }
    let read: usize = first.parse().unwrap();
    lose_next(&scene, "updateNewChannelMessage");
    scene.world().say(scene.boris, groups[read], "two").unwrap();
    scene.world().drop_connections(scene.anna);
    until(&mut messages, "two").await;
    scene.world().remove_fault(fault);
    until(&mut messages, &(1 - read).to_string()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_lost_just_after_one_of_another_group_is_asked_for_too() {
    let scene = Scene::new().await;
    let (_open, mut messages) = anna(&scene).await;
    let groups = [group(&scene), group(&scene)];
    for group in groups {
        scene.world().say(scene.boris, group, "begin").unwrap();
        until(&mut messages, "begin").await;
    }
    for (number, group) in groups.iter().enumerate() {
        lose_next(&scene, "updateNewChannelMessage");
        scene.world().say(scene.boris, *group, &format!("{number} lost")).unwrap();
        scene.world().say(scene.boris, *group, &format!("{number} next")).unwrap();
        sleep(Duration::from_millis(250)).await;
    }
    all(&mut messages, &["0 lost", "0 next", "1 lost", "1 next"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_private_message_is_asked_for_while_a_group_is_in_a_flood_wait() {
    let scene = Scene::new().await;
    let (_open, mut messages) = anna(&scene).await;
    let group = group(&scene);
    scene.world().say(scene.boris, group, "begin").unwrap();
    until(&mut messages, "begin").await;
    let flood = Action::Error { code: 420, message: "FLOOD_WAIT_60".to_owned() };
    let method = "updates.getChannelDifference";
    scene.world().add_fault(Match::method(method).user(scene.anna), flood);
    let asked = scene.world().count(scene.anna, method);
    lose_next(&scene, "updateNewChannelMessage");
    scene.world().say(scene.boris, group, "lost").unwrap();
    scene.world().say(scene.boris, group, "next").unwrap();
    eventually("it is asked for", || scene.world().count(scene.anna, method) > asked).await;
    lose_next(&scene, "updateNewMessage");
    scene.world().say(scene.boris, scene.anna, "one").unwrap();
    scene.world().say(scene.boris, scene.anna, "two").unwrap();
    all(&mut messages, &["one", "two"]).await;
    assert_eq!(scene.world().count(scene.anna, method), asked + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_before_too_much_came_in_a_group_is_read() {
    let scene = Scene::new().await;
    let (_open, mut messages) = anna(&scene).await;
    let group = group(&scene);
    scene.world().say(scene.boris, group, "begin").unwrap();
    until(&mut messages, "begin").await;
    scene.world().configure(|settings| settings.difference_too_long = 20);
    let flood = Action::Error { code: 420, message: "FLOOD_WAIT_8".to_owned() };
    let method = "updates.getChannelDifference";
    scene.world().add_fault(Match::method(method).user(scene.anna).once(), flood);
    let asked = scene.world().count(scene.anna, method);
    lose_next(&scene, "updateNewChannelMessage");
    scene.world().say(scene.boris, group, "lost").unwrap();
    scene.world().say(scene.boris, group, "next").unwrap();
    eventually("it is asked for", || scene.world().count(scene.anna, method) > asked).await;
    // More than slack between clocks.
    sleep(Duration::from_secs(6)).await;
    for number in 0..30 {
        scene.world().say(scene.boris, group, &number.to_string()).unwrap();
    }
    all(&mut messages, &["lost", "next", "0", "29"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chats_that_were_still_to_be_read_are_read_after_a_restart() {
    let scene = Scene::new().await;
    begin(&scene).await;
    scene.world().say(scene.boris, scene.anna, "one").unwrap();
    no_difference(&scene);
    let fault = scene.world().add_fault(Match::method("messages.getDialogs").user(scene.anna), unwell());
    let (open, _messages) = anna(&scene).await;
    eventually("it is asked for", || scene.world().count(scene.anna, "messages.getDialogs") > 0).await;
    // The state would have been saved by then.
    sleep(Duration::from_millis(500)).await;
    open.close().await;
    scene.world().remove_fault(fault);
    let (_open, mut messages) = anna(&scene).await;
    until(&mut messages, "one").await;
}

/// A supergroup of Boris's with Anna.
fn group(scene: &Scene) -> i64 {
    let new = NewGroup {
        creator: scene.boris,
        title: "Orders".to_owned(),
        members: vec![scene.anna],
        kind: GroupKind::Supergroup,
        username: None,
    };
    scene.world().add_group(new).unwrap()
}

/// Telegram cannot answer now.
fn unwell() -> Action {
    Action::Error { code: 500, message: "INTERDC_2_CALL_ERROR".to_owned() }
}

/// The next push of this kind never comes to Anna.
fn lose_next(scene: &Scene, push: &str) {
    scene.world().add_fault(Match::method(push).user(scene.anna).once(), Action::DropPush);
}

/// Anna is told of one message and goes.
async fn begin(scene: &Scene) {
    let (open, mut messages) = anna(scene).await;
    scene.world().say(scene.boris, scene.anna, "begin").unwrap();
    until(&mut messages, "begin").await;
    open.close().await;
}

/// Telegram does not go on from the saved state: all chats are read.
fn no_difference(scene: &Scene) {
    let spoilt = Action::Error { code: 400, message: "PERSISTENT_TIMESTAMP_INVALID".to_owned() };
    scene.world().add_fault(Match::method("updates.getDifference").user(scene.anna).once(), spoilt);
}

/// Waits for texts, in whatever order.
async fn all(messages: &mut mpsc::Receiver<MessageNotice>, wanted: &[&str]) {
    let mut missing: BTreeSet<_> = wanted.iter().map(|text| (*text).to_owned()).collect();
    while !missing.is_empty() {
        missing.remove(&text(messages).await);
    }
}

/// Waits for a text; what came while chats were read may be told a second time before it.
async fn until(messages: &mut mpsc::Receiver<MessageNotice>, wanted: &str) {
    while text(messages).await != wanted {}
}

/// The next text, taken in with what came before it.
async fn text(messages: &mut mpsc::Receiver<MessageNotice>) -> String {
    loop {
        let notice = next(messages).await;
        let said = match &notice.news {
            MessageNews::New(tl::enums::Message::Message(message)) => Some(message.message.clone()),
            _ => None,
        };
        notice.taken();
        if let Some(said) = said {
            return said;
        }
    }
}
