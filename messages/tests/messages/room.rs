//! What is kept when the disk fills: the oldest files go, then no files are kept, then no texts; the queues work.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use sqlx::SqlitePool;
use tgtrunk_messages::{Direction, Dropped, Instance, News, SendStatus, StoredFile};
use tokio::time::sleep;

use super::support::{Room, draft, from_anna, switch_on, text_of, until};
use super::webhook::Hook;

#[tokio::test]
async fn the_oldest_files_give_way_and_those_that_the_queue_needs_do_not() {
    let mut room = Room::new();
    room.options.files_most_bytes = 2_500;
    let instance = room.open().await;
    let mut kept = Vec::new();
    for name in ["1", "2", "3", "4"] {
        if name == "4" {
            // Ages are whole seconds.
            sleep(Duration::from_millis(1100)).await;
        }
        kept.push(lay(&instance, name).await.unwrap());
    }
    until("two files are left", async || left(&room) == 2).await;
    let mut stored = Vec::new();
    for file in &kept {
        stored.push(instance.stored(&file.key).await.is_ok());
    }
    assert_eq!(stored.iter().filter(|is| **is).count(), 2);
    assert!(stored[3], "the newest is there");
    // What nobody knows of is not kept either.
    std::fs::write(room.options.files.join("0123456789abcdef0123456789abcdef"), "x").unwrap();
    drop(instance);
    let _instance = room.open().await;
    assert_eq!(left(&room), 2);
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_has_no_room_for_files_and_texts_of_the_journal_and_queues_go_on() {
    let mut room = Room::new();
    // As if no disk had so much.
    room.options.disk_reserve_bytes = u64::MAX;
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    let refused = lay(&instance, "a").await.unwrap_err();
    assert!(refused.contains("disk_reserve_mb"), "{refused}");
    instance.take(News::New(Box::new(from_anna(7, "secret")))).await.unwrap();
    let (_, told) = instance.receive(Duration::from_secs(5)).await.unwrap().unwrap();
    assert_eq!(told["messageData"]["textMessageData"]["textMessage"], "secret");
    let kept = instance.journal(Direction::Incoming, 60).await.unwrap();
    assert_eq!(text_of(&kept[0].content), "");
    instance.send(draft(5, "answer")).await.unwrap();
    until("the answer is sent", async || room.telegram.texts() == ["answer"]).await;
}

#[tokio::test]
async fn the_oldest_notifications_give_way_when_nobody_fetches_them_and_are_counted() {
    let mut room = Room::new();
    room.options.notification_limit = 3;
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    assert_eq!(instance.dropped().await.unwrap(), Dropped::default());
    let head = async |instance: &Instance| {
        let (receipt, body) = instance.receive(Duration::ZERO).await.unwrap().unwrap();
        let text = &body["messageData"]["textMessageData"]["textMessage"];
        (receipt, text.as_str().unwrap().to_owned())
    };
    for tg_id in 1..=5 {
        instance.take(News::New(Box::new(from_anna(tg_id, &tg_id.to_string())))).await.unwrap();
    }
    assert_eq!(instance.notifications_len().await.unwrap(), 3);
    drop(instance);
    let instance = room.open().await;
    let (receipt, text) = head(&instance).await;
    assert_eq!(text, "3");
    let dropped = instance.dropped().await.unwrap();
    assert_eq!((dropped.count, dropped.last_ms.is_some()), (2, true));
    // What was fetched makes room by itself.
    assert!(instance.confirm(receipt).await.unwrap());
    instance.take(News::New(Box::new(from_anna(6, "6")))).await.unwrap();
    assert_eq!((head(&instance).await.1, instance.dropped().await.unwrap()), ("4".to_owned(), dropped));
    drop(instance);
    room.options.notification_limit = 1;
    let instance = room.open().await;
    instance.take(News::New(Box::new(from_anna(7, "7")))).await.unwrap();
    assert_eq!((head(&instance).await.1, instance.dropped().await.unwrap().count), ("7".to_owned(), 5));
    assert_eq!(instance.journal(Direction::Incoming, 60).await.unwrap().len(), 7, "the journal has them all");
}

/// The disk refuses what is said, until it is taken back.
async fn refuse(room: &Room, what: &str) -> SqlitePool {
    let disk = room.pool().await;
    let full = format!("CREATE TRIGGER full BEFORE {what} BEGIN SELECT RAISE(ABORT, 'disk is full'); END");
    sqlx::query(sqlx::AssertSqlSafe(full)).execute(&disk).await.unwrap();
    disk
}

async fn make_room(disk: SqlitePool) {
    sqlx::query("DROP TRIGGER full").execute(&disk).await.unwrap();
    disk.close().await;
}

#[tokio::test]
async fn what_a_bot_sent_is_not_sent_again_while_the_disk_does_not_take_note_of_it() {
    let room = Room::new();
    room.telegram.is_forgetful.store(true, Ordering::Relaxed);
    let instance = room.open().await;
    let disk = refuse(&room, "UPDATE OF status ON ms_message").await;
    let id = instance.send(draft(5, "once")).await.unwrap().id;
    until("Telegram has it", async || room.telegram.texts() == ["once"]).await;
    // So long that it would have been tried again, and again.
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(instance.queue_len().await.unwrap(), 1);
    make_room(disk).await;
    until("it is noted", async || instance.queue_len().await.unwrap() == 0).await;
    assert_eq!(room.telegram.texts(), ["once"]);
    let record = &instance.journal(Direction::Outgoing, 60).await.unwrap()[0];
    assert_eq!((record.id, record.status, record.tg_id), (id, SendStatus::Sent, Some(100)));
}

#[tokio::test]
async fn a_webhook_is_not_brought_again_what_it_took_while_the_disk_does_not_take_note_of_it() {
    let hook = Arc::new(Hook::default());
    hook.is_up.store(true, Ordering::SeqCst);
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    let disk = refuse(&room, "DELETE ON ms_notification").await;
    let settings = json!({ "webhookUrl": hook.listen().await, "webhookUrlToken": "secret" });
    instance.change_settings(settings.as_object().unwrap()).await.unwrap();
    for tg_id in 1..=2 {
        instance.take(News::New(Box::new(from_anna(tg_id, &tg_id.to_string())))).await.unwrap();
    }
    until("it came", async || !hook.texts().is_empty()).await;
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(hook.texts(), ["1"]);
    make_room(disk).await;
    until("both are told", async || instance.notifications_len().await.unwrap() == 0).await;
    assert_eq!(hook.texts(), ["1", "2"]);
}

async fn lay(instance: &Instance, name: &str) -> Result<StoredFile, String> {
    let mut writer = instance.new_file(name, None).await.map_err(|error| error.to_string())?;
    writer.write(&[b'x'; 1000]).await.map_err(|error| error.to_string())?;
    writer.finish().await.map_err(|error| error.to_string())
}

fn left(room: &Room) -> usize {
    std::fs::read_dir(&room.options.files).unwrap().count()
}
