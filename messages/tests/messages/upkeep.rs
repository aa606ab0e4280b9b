//! What holds though the disk is full for a while, the queue is long, a row is spoilt, or the program is started anew.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tgtrunk_messages::{Address, ChatId, Direction, Instance, News, SendStatus, Standing};
use tokio::time::{Instant, sleep};

use crate::support::{Room, Say, draft, ours, switch_on, until};

const ANNA: Address = Address::Chat(ChatId(5));

async fn sent(instance: &Instance) {
    until("it is sent", async || instance.queue_len().await.unwrap() == 0).await;
}

#[tokio::test]
async fn how_the_instance_stands_is_told_once_the_disk_takes_it() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["stateWebhook"]).await;
    let disk = room.pool().await;
    let full = "CREATE TRIGGER full BEFORE INSERT ON ms_notification BEGIN SELECT RAISE(ABORT, 'full'); END";
    sqlx::query(full).execute(&disk).await.unwrap();
    room.telegram.stands(Standing::NotAuthorized);
    sleep(Duration::from_millis(300)).await;
    assert_eq!(instance.notifications_len().await.unwrap(), 0);
    sqlx::query("DROP TRIGGER full").execute(&disk).await.unwrap();
    // Sooner than it is looked without being told.
    until("it is told", async || instance.notifications_len().await.unwrap() == 1).await;
    let (_, body) = instance.receive(Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(body["stateInstance"], "notAuthorized");
}

#[tokio::test]
async fn a_message_that_telegram_has_is_looked_for_until_it_is_found_and_told_once() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["outgoingMessageWebhook", "outgoingAPIMessageWebhook"]).await;
    room.telegram.hides.store(2, Ordering::Relaxed);
    room.telegram.say([Say::SentUnheard]);
    let id = instance.send(draft(5, "once")).await.unwrap().id;
    sent(&instance).await;
    let record = instance.message(&ANNA, id).await.unwrap();
    assert_eq!((record.status, record.tg_id), (SendStatus::Sent, Some(100)), "its number was found");
    instance.take(News::New(Box::new(ours(100, "once")))).await.unwrap();
    assert_eq!(instance.journal(Direction::Outgoing, 60).await.unwrap().len(), 1);
    assert_eq!(instance.notifications_len().await.unwrap(), 1, "as sent by a program");
    assert_eq!(room.telegram.texts(), ["once"]);
}

#[tokio::test]
async fn a_long_queue_is_emptied_in_portions_between_which_others_are_served() {
    const LONG: u64 = 2_000;
    let room = Room::new();
    room.telegram.stands(Standing::NotAuthorized);
    let instance = room.open().await;
    let drafts = (0..LONG).map(|_| draft(5, "late")).collect();
    instance.send_all(drafts).await.unwrap();
    let seen = async {
        let mut seen = Vec::new();
        while seen.last() != Some(&0) {
            seen.push(instance.queue_len().await.unwrap());
        }
        seen
    };
    let (cleared, seen) = tokio::join!(instance.clear_queue(), seen);
    cleared.unwrap();
    assert!(seen.iter().any(|left| (1..LONG).contains(left)), "nobody else had the disk: {seen:?}");
    let journal = instance.journal(Direction::Outgoing, 60).await.unwrap();
    assert!(journal.iter().all(|record| record.status == SendStatus::Failed));
}

#[tokio::test]
async fn a_queue_is_emptied_though_whoever_asked_for_it_hangs_up() {
    let room = Room::new();
    room.telegram.stands(Standing::NotAuthorized);
    let instance = room.open().await;
    instance.send_all((0..2_000).map(|_| draft(5, "late")).collect()).await.unwrap();
    let asked = tokio::time::timeout(Duration::ZERO, instance.clear_queue()).await;
    assert!(asked.is_err() && instance.queue_len().await.unwrap() > 0, "nobody waits for it any more");
    sent(&instance).await;
}

#[tokio::test]
async fn a_pause_between_messages_is_kept_to_over_a_restart() {
    let room = Room::new();
    let instance = room.open().await;
    let settings = json!({ "delaySendMessagesMilliseconds": 4_000 });
    instance.change_settings(settings.as_object().unwrap()).await.unwrap();
    let began = Instant::now();
    instance.send(draft(5, "one")).await.unwrap();
    sent(&instance).await;
    drop(instance);
    let instance = room.open().await;
    instance.send(draft(5, "two")).await.unwrap();
    sent(&instance).await;
    assert!(began.elapsed() >= Duration::from_millis(3_900), "{:?}", began.elapsed());
    assert_eq!(room.telegram.texts(), ["one", "two"]);
}

#[tokio::test]
async fn a_message_whose_row_is_spoilt_fails_and_holds_nobody_up() {
    let room = Room::new();
    room.telegram.stands(Standing::NotAuthorized);
    let instance = room.open().await;
    let spoilt = instance.send(draft(5, "one")).await.unwrap().id;
    let other = instance.send(draft(5, "two")).await.unwrap().id;
    let disk = room.pool().await;
    let spoil = sqlx::query("UPDATE ms_outgoing SET draft = '{' WHERE id = $1").bind(spoilt.get());
    spoil.execute(&disk).await.unwrap();
    room.telegram.stands(Standing::Authorized);
    sent(&instance).await;
    assert_eq!(room.telegram.texts(), ["two"]);
    assert_eq!(instance.message(&ANNA, other).await.unwrap().status, SendStatus::Sent);
    let record = instance.message(&ANNA, spoilt).await.unwrap();
    assert_eq!(record.status, SendStatus::Failed);
    assert!(record.failure.unwrap().contains("send it again"));
}
