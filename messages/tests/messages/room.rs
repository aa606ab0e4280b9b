//! What is kept when the disk fills: the oldest files go, then no files are kept, then no texts; the queues work.

use std::time::Duration;

use tgtrunk_messages::{Direction, Instance, News, StoredFile};
use tokio::time::sleep;

use super::support::{Room, draft, from_anna, switch_on, text_of, until};

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

async fn lay(instance: &Instance, name: &str) -> Result<StoredFile, String> {
    let mut writer = instance.new_file(name, None).await.map_err(|error| error.to_string())?;
    writer.write(&[b'x'; 1000]).await.map_err(|error| error.to_string())?;
    writer.finish().await.map_err(|error| error.to_string())
}

fn left(room: &Room) -> usize {
    std::fs::read_dir(&room.options.files).unwrap().count()
}
