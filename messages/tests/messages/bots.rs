//! Messages where Telegram does not know what it is handed twice, as that of a bot: each is handed over once.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tgtrunk_messages::{Address, ChatId, Direction, Draft, Failure, Instance, Record, Refused, SendStatus};

use crate::support::{Room, Say, draft, until};

fn room() -> Room {
    let room = Room::new();
    room.telegram.is_forgetful.store(true, Ordering::Relaxed);
    room
}

async fn all(instance: &Instance) -> Vec<Record> {
    instance.journal(Direction::Outgoing, 60 * 24).await.unwrap()
}

async fn failed(instance: &Instance) -> Record {
    until("it is given up", async || all(instance).await[0].status == SendStatus::Failed).await;
    all(instance).await.remove(0)
}

#[tokio::test]
async fn what_telegram_may_have_is_not_handed_over_again() {
    let room = room();
    let instance = room.open().await;
    room.telegram.say([Say::SentUnheard]);
    instance.send(draft(5, "once")).await.unwrap();
    let record = failed(&instance).await;
    assert!(record.reason.as_ref().is_some_and(|reason| reason.may_be_sent), "{record:?}");
    assert!(record.failure.unwrap().contains("Telegram may have it"));
    instance.send(draft(5, "next")).await.unwrap();
    until("the next is sent", async || room.telegram.texts() == ["once", "next"]).await;
    assert_eq!(room.telegram.orders.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_was_on_its_way_in_a_crash_is_not_handed_over_again() {
    let room = room();
    let instance = room.open().await;
    room.telegram.say([Say::SentLate(Duration::from_secs(600))]);
    instance.send(draft(5, "under way")).await.unwrap();
    instance.send(draft(5, "waits")).await.unwrap();
    until("it is handed over", async || room.telegram.texts() == ["under way"]).await;
    instance.close();
    drop(instance);
    let instance = room.open().await;
    until("the other is sent", async || room.telegram.texts() == ["under way", "waits"]).await;
    let told = all(&instance).await;
    let may_be = |record: &Record| record.reason.as_ref().is_some_and(|reason| reason.may_be_sent);
    assert!(told.iter().any(|record| record.status == SendStatus::Failed && may_be(record)), "{told:?}");
}

#[tokio::test]
async fn what_is_on_its_way_at_an_orderly_end_is_waited_for() {
    let room = room();
    let instance = room.open().await;
    room.telegram.say([Say::SentLate(Duration::from_secs(1))]);
    instance.send(draft(5, "under way")).await.unwrap();
    instance.send(draft(5, "waits")).await.unwrap();
    until("it is handed over", async || room.telegram.texts() == ["under way"]).await;
    instance.finish(Duration::from_secs(20)).await;
    instance.close();
    drop(instance);
    assert_eq!(room.telegram.texts(), ["under way"]);
    let instance = room.open().await;
    until("the other is sent", async || room.telegram.texts() == ["under way", "waits"]).await;
    until("both are written down", async || {
        all(&instance).await.iter().all(|record| record.status == SendStatus::Sent)
    })
    .await;
}

#[tokio::test]
async fn what_never_reached_telegram_is_tried_again() {
    let room = room();
    let instance = room.open().await;
    room.telegram.say([Say::Fail(Failure::Undone("no connection".to_owned()))]);
    instance.send(draft(5, "hello")).await.unwrap();
    until("it is sent", async || room.telegram.texts() == ["hello"]).await;
    until("that is written down", async || all(&instance).await[0].status == SendStatus::Sent).await;
}

#[tokio::test]
async fn whoever_was_found_is_not_looked_up_again_where_telegram_says_that_it_is_still_them() {
    let mut room = room();
    room.options.checks_per_day = 1;
    let instance = room.open().await;
    let anna = Address::Phone("79990000005".to_owned());
    assert_eq!(instance.chat(&anna).await.unwrap(), ChatId(5));
    assert_eq!(instance.chat(&anna).await.unwrap(), ChatId(5));
    let found = || room.telegram.found.load(Ordering::Relaxed);
    assert_eq!(found(), 1);
    // It is out of date, and Telegram does not say whose it is: that costs another look-up.
    room.telegram.is_renamed.store(true, Ordering::Relaxed);
    let spent = instance.chat(&anna).await;
    assert!(matches!(spent, Err(Refused::Spent { .. })), "{spent:?}");
    assert!(matches!(instance.check(&anna, false).await, Err(Refused::Spent { .. })));
    // Somebody's still, or again.
    *room.telegram.confirms.lock().unwrap() = Some(ChatId(6));
    assert_eq!(instance.chat(&anna).await.unwrap(), ChatId(6));
    assert_eq!(instance.check(&anna, false).await.unwrap(), (Some(ChatId(6)), true));
    assert_eq!(found(), 1);
}

#[tokio::test]
async fn where_names_change_hands_it_is_asked_each_time_whose_one_is_and_counted_once() {
    let mut room = room();
    (room.options.found_life, room.options.checks_per_day) = (Duration::ZERO, 1);
    let instance = room.open().await;
    let anna = Address::Phone("79990000005".to_owned());
    for said in ["first", "second", "third"] {
        instance.send(Draft { buttons: None, to: anna.clone(), ..draft(5, said) }).await.unwrap();
    }
    until("they are sent", async || room.telegram.texts() == ["first", "second", "third"]).await;
    assert!(room.telegram.found.load(Ordering::Relaxed) >= 3, "it is asked for each");
    assert_eq!(instance.checks().await.unwrap(), (1, 1));
    // Nobody is written to of whom that cannot be known.
    room.telegram.finds.lock().unwrap().extend([Failure::Undone("no network".to_owned())]);
    let asked = instance.chat(&anna).await;
    assert!(matches!(asked, Err(Refused::Telegram(Failure::Undone(_)))), "{asked:?}");
    assert_eq!(instance.chat(&anna).await.unwrap(), ChatId(5));
    assert_eq!(instance.checks().await.unwrap(), (1, 1));
}
