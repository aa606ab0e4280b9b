//! The outgoing queue: order, repeats, crashes, rests.

use std::time::Duration;

use tgtrunk_messages::{Address, Direction, Failure, News, SendStatus, Standing};
use tokio::time::Instant;

use crate::support::{Room, Say, draft, ours, switch_on, until};

#[tokio::test]
async fn what_is_accepted_goes_out_in_its_order_and_is_told() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["outgoingWebhook", "outgoingAPIMessageWebhook"]).await;
    let first = instance.send(draft(5, "one")).await.unwrap().id;
    let second = instance.send(draft(5, "two")).await.unwrap().id;
    assert!(second > first, "numbers grow");
    until("both are sent", async || room.telegram.texts() == ["one", "two"]).await;
    until("the queue is empty", async || instance.queue_len().await.unwrap() == 0).await;
    let journal = instance.journal(Direction::Outgoing, 60 * 24).await.unwrap();
    assert_eq!(journal.iter().map(|record| record.id).collect::<Vec<_>>(), [second, first]);
    assert!(journal.iter().all(|record| record.status == SendStatus::Sent && record.tg_id.is_some()));
    let mut told = Vec::new();
    while let Some((receipt, body)) = instance.receive(Duration::ZERO).await.unwrap() {
        let status = body["status"].as_str().unwrap_or_default().to_owned();
        told.push((body["typeWebhook"].as_str().unwrap().to_owned(), status));
        assert!(instance.confirm(receipt).await.unwrap());
    }
    let one = [
        ("outgoingAPIMessageReceived", ""),
        ("outgoingMessageStatus", "sent"),
        ("outgoingMessageStatus", "delivered"),
    ];
    let expected: Vec<_> =
        one.iter().chain(&one).map(|(kind, status)| ((*kind).to_owned(), (*status).to_owned())).collect();
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_message_whose_fate_is_unknown_is_handed_over_again_and_is_there_once() {
    let room = Room::new();
    let instance = room.open().await;
    room.telegram.say([Say::SentUnheard]);
    let id = instance.send(draft(5, "once")).await.unwrap().id;
    until("it is known to be sent", async || instance.queue_len().await.unwrap() == 0).await;
    assert_eq!(room.telegram.texts(), ["once"]);
    let orders = room.telegram.orders.lock().unwrap().clone();
    assert_eq!(orders.len(), 2, "it was handed over again");
    assert_eq!(orders[0].random_id, orders[1].random_id);
    let record = instance.message(&Address::Chat(tgtrunk_messages::ChatId(5)), id).await.unwrap();
    assert_eq!((record.status, record.tg_id), (SendStatus::Sent, Some(100)), "its number was found");
}

#[tokio::test]
async fn a_crash_between_telegrams_having_it_and_our_knowing_doubles_nothing() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["outgoingMessageWebhook", "outgoingAPIMessageWebhook"]).await;
    room.telegram.say([Say::SentUnheard]);
    let id = instance.send(draft(5, "once")).await.unwrap().id;
    until("Telegram has it", async || room.telegram.texts() == ["once"]).await;
    drop(instance);
    // The next process hears of it from the stream of updates before it tries again.
    room.telegram.stands(Standing::Starting);
    let instance = room.open().await;
    assert_eq!(instance.queue_len().await.unwrap(), 1);
    instance.take(News::New(Box::new(ours(100, "once")))).await.unwrap();
    assert_eq!(instance.queue_len().await.unwrap(), 0);
    room.telegram.stands(Standing::Authorized);
    instance.take(News::New(Box::new(ours(100, "once")))).await.unwrap();
    let journal = instance.journal(Direction::Outgoing, 60 * 24).await.unwrap();
    assert_eq!(journal.iter().map(|record| (record.id, record.tg_id)).collect::<Vec<_>>(), [(id, Some(100))]);
    assert_eq!(instance.notifications_len().await.unwrap(), 1, "told once, as sent by a program");
    assert_eq!(room.telegram.orders.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_queue_outlives_a_crash_and_waits_for_the_login() {
    let room = Room::new();
    room.telegram.stands(Standing::NotAuthorized);
    let instance = room.open().await;
    for said in ["one", "two", "three"] {
        instance.send(draft(5, said)).await.unwrap();
    }
    let id = instance.id();
    drop(instance);
    let instance = room.open().await;
    assert_eq!(instance.id(), id, "it is the same instance");
    assert_eq!(instance.queue_len().await.unwrap(), 3);
    assert_eq!(instance.queue().await.unwrap()[0].request["message"], "one");
    assert!(room.telegram.orders.lock().unwrap().is_empty());
    room.telegram.stands(Standing::Authorized);
    until("all are sent", async || room.telegram.texts() == ["one", "two", "three"]).await;
}

#[tokio::test]
async fn what_telegram_refuses_fails_with_a_word_whatever_the_settings_say_and_holds_nobody_up() {
    let room = Room::new();
    let instance = room.open().await;
    let sentence = "the person takes messages from contacts only".to_owned();
    room.telegram
        .say([Say::Fail(Failure::Refused { word: "privacy_restricted", sentence: sentence.clone() })]);
    let refused = instance.send(draft(5, "no")).await.unwrap().id;
    instance.send(draft(5, "yes")).await.unwrap();
    until("the next is sent", async || room.telegram.texts() == ["yes"]).await;
    let (_, body) = instance.receive(Duration::from_secs(1)).await.unwrap().unwrap();
    assert_eq!(
        (body["status"].as_str(), body["idMessage"].as_str()),
        (Some("failed"), Some(&*refused.to_string()))
    );
    let record = instance.message(&Address::Chat(tgtrunk_messages::ChatId(5)), refused).await.unwrap();
    assert_eq!((record.status, record.failure), (SendStatus::Failed, Some(sentence)));
}

#[tokio::test]
async fn a_flood_wait_rests_the_whole_queue_for_as_long_as_telegram_said() {
    let room = Room::new();
    let instance = room.open().await;
    room.telegram.say([Say::Fail(Failure::Flood { seconds: 1 })]);
    let began = Instant::now();
    instance.send(draft(5, "one")).await.unwrap();
    instance.send(draft(6, "two")).await.unwrap();
    until("both are sent", async || room.telegram.texts() == ["one", "two"]).await;
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(room.telegram.orders.lock().unwrap().len(), 3, "nothing was asked meanwhile");
}

#[tokio::test]
async fn messages_too_old_are_not_sent_any_more_and_a_long_text_becomes_several() {
    let mut room = Room::new();
    room.telegram.stands(Standing::NotAuthorized);
    room.options.queue_life = Duration::from_millis(50);
    let instance = room.open().await;
    let id = instance.send(draft(5, "late")).await.unwrap().id;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(instance);
    let instance = room.open().await;
    until("it is too old", async || instance.queue_len().await.unwrap() == 0).await;
    let record = instance.message(&Address::Chat(tgtrunk_messages::ChatId(5)), id).await.unwrap();
    assert_eq!(record.status, SendStatus::Failed);
    drop(instance);
    room.options.queue_life = Duration::from_secs(60);
    let instance = room.open().await;
    room.telegram.stands(Standing::Authorized);
    let long = "word ".repeat(1_000);
    instance.send(draft(5, &long)).await.unwrap();
    until("it is sent", async || instance.queue_len().await.unwrap() == 0).await;
    let texts = room.telegram.texts();
    assert_eq!(texts.len(), 2);
    assert_eq!(texts.join(" ").trim_end(), long.trim_end());
}
