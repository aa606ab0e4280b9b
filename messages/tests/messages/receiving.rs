//! What Telegram tells: journal, notifications, repeats.

use std::sync::Arc;
use std::time::Duration;

use tgtrunk_messages::{
    Attachment, ChatId, Content, Direction, FileKind, Instance, Messenger, News, Received, SendStatus,
    Standing, Store,
};
use tokio::time::{Instant, sleep};

use crate::support::{Room, draft, from_anna, now_s, ours, switch_on, text, text_of, until};

const DAY_MIN: u32 = 60 * 24;

#[tokio::test]
async fn a_message_is_in_the_journal_and_told_once_however_often_telegram_tells_it() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    for _ in 0..3 {
        instance.take(News::New(Box::new(from_anna(7, "hello")))).await.unwrap();
    }
    instance.take(News::New(Box::new(from_anna(8, "again")))).await.unwrap();
    let journal = instance.journal(Direction::Incoming, DAY_MIN).await.unwrap();
    assert_eq!(journal.len(), 2);
    let (receipt, body) = instance.receive(Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(
        instance.receive(Duration::ZERO).await.unwrap(),
        Some((receipt, body)),
        "the same until it is taken away"
    );
    assert!(instance.confirm(receipt).await.unwrap());
    // Killed and told again by Telegram.
    drop(instance);
    let instance = room.open().await;
    instance.take(News::New(Box::new(from_anna(7, "hello")))).await.unwrap();
    assert_eq!(instance.notifications_len().await.unwrap(), 1);
    assert_eq!(instance.journal(Direction::Incoming, DAY_MIN).await.unwrap().len(), 2);
}

#[tokio::test]
async fn whoever_waits_is_told_at_once_and_nobody_is_told_in_vain() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    let began = Instant::now();
    assert_eq!(instance.receive(Duration::from_millis(300)).await.unwrap(), None);
    assert!(began.elapsed() >= Duration::from_millis(300));
    let waiting = tokio::spawn({
        let instance = instance.clone();
        async move { instance.receive(Duration::from_secs(20)).await.unwrap() }
    });
    sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    instance.take(News::New(Box::new(from_anna(7, "hello")))).await.unwrap();
    assert!(waiting.await.unwrap().is_some());
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn messages_are_edited_deleted_and_read() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["editedMessageWebhook", "deletedMessageWebhook", "outgoingWebhook"]).await;
    instance.take(News::New(Box::new(from_anna(7, "helo")))).await.unwrap();
    let mut edited = from_anna(7, "hello");
    let edited_s = now_s() + 1;
    edited.edited_s = Some(edited_s);
    for _ in 0..2 {
        instance.take(News::Edited(Box::new(edited.clone()))).await.unwrap();
    }
    for _ in 0..2 {
        instance.take(News::Deleted { chat: None, tg_ids: vec![7, 999] }).await.unwrap();
    }
    assert_eq!(instance.notifications_len().await.unwrap(), 2, "one of each");
    let record = &instance.journal(Direction::Incoming, DAY_MIN).await.unwrap()[0];
    assert_eq!((text_of(&record.content), record.edited_s), ("hello".to_owned(), Some(edited_s)));
    assert!(record.deleted_s.is_some());
    instance.send(draft(5, "read me")).await.unwrap();
    until("it is sent", async || instance.queue_len().await.unwrap() == 0).await;
    for _ in 0..2 {
        instance.take(News::Read { chat: ChatId(5), up_to: 100 }).await.unwrap();
    }
    assert_eq!(instance.journal(Direction::Outgoing, DAY_MIN).await.unwrap()[0].status, SendStatus::Read);
    assert_eq!(instance.notifications_len().await.unwrap(), 5, "sent, delivered, read");
}

#[tokio::test]
async fn what_the_owner_writes_elsewhere_is_told_as_theirs_and_what_programs_send_is_not() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["outgoingMessageWebhook"]).await;
    instance.send(draft(5, "by a program")).await.unwrap();
    until("it is sent", async || instance.queue_len().await.unwrap() == 0).await;
    instance.take(News::New(Box::new(ours(100, "by a program")))).await.unwrap();
    instance.take(News::New(Box::new(ours(101, "by hand")))).await.unwrap();
    assert_eq!(instance.notifications_len().await.unwrap(), 1);
    let (_, body) = instance.receive(Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(body["typeWebhook"], "outgoingMessageReceived");
}

#[tokio::test]
async fn how_the_instance_stands_is_told_though_it_changes_while_the_last_change_is_written_down() {
    let room = Room::new();
    let pool = room.pool().await;
    let store = Store::open(pool.clone()).await.unwrap();
    let telegram = Arc::clone(&room.telegram) as Arc<dyn Messenger>;
    let instance = Instance::open(store, telegram, room.options.clone()).await.unwrap();
    switch_on(&instance, &["stateWebhook"]).await;
    let busy = pool.acquire().await.unwrap();
    for standing in [Standing::NotAuthorized, Standing::PendingPassword] {
        room.telegram.stands(standing);
        sleep(Duration::from_millis(200)).await;
    }
    drop(busy);
    // Sooner than it is looked without being told.
    until("both are told", async || instance.notifications_len().await.unwrap() == 2).await;
}

#[tokio::test]
async fn chats_are_marked_read_as_the_settings_say() {
    let room = Room::new();
    let instance = room.open().await;
    instance.take(News::New(Box::new(from_anna(1, "one")))).await.unwrap();
    switch_on(&instance, &["markIncomingMessagesReaded"]).await;
    instance.take(News::New(Box::new(from_anna(2, "two")))).await.unwrap();
    until("it is read", async || *room.telegram.reads.lock().unwrap() == [(ChatId(5), Some(2))]).await;
    switch_on(&instance, &["markIncomingMessagesReadedOnReply"]).await;
    instance.take(News::New(Box::new(from_anna(3, "three")))).await.unwrap();
    instance.send(draft(5, "reply")).await.unwrap();
    until("it is read", async || {
        *room.telegram.reads.lock().unwrap() == [(ChatId(5), Some(2)), (ChatId(5), None)]
    })
    .await;
}

#[tokio::test]
async fn the_queue_of_notifications_is_emptied_once_a_minute() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    instance.take(News::New(Box::new(from_anna(1, "one")))).await.unwrap();
    assert_eq!(instance.clear_notifications().await.unwrap(), Ok(()));
    assert_eq!(instance.notifications_len().await.unwrap(), 0);
    assert!(matches!(instance.clear_notifications().await.unwrap(), Err(1..=60)));
}

#[tokio::test]
async fn a_link_to_a_file_fetches_it_from_telegram_when_somebody_asks() {
    let room = Room::new();
    let instance = room.open().await;
    let message = Received { content: document("счёт.pdf", "doc:1"), ..from_anna(9, "") };
    instance.take(News::New(Box::new(message))).await.unwrap();
    let record = instance.journal(Direction::Incoming, DAY_MIN).await.unwrap().remove(0);
    let of = tgtrunk_messages::Address::Chat(ChatId(5));
    let link = instance.file_link(&of, record.id).await.unwrap();
    assert_eq!(Some(&link), instance.link_of(&record.content).as_ref());
    let file = instance.stored(secret_of(&link)).await.unwrap();
    assert_eq!((&*file.name, &*file.mime), ("счёт.pdf", "application/pdf"));
    for _ in 0..2 {
        let path = instance.body_of(&file).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"doc:1");
        // A backup may be without it.
        std::fs::remove_file(path).unwrap();
    }
    assert_ne!(record.content, text(""));
}

#[tokio::test]
async fn the_link_that_is_told_of_a_file_leads_to_it_though_a_program_saw_the_message_before() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    let message = Received { content: document("счёт.pdf", "doc:1"), ..from_anna(9, "") };
    room.telegram.history.lock().unwrap().push(message.clone());
    let of = tgtrunk_messages::Address::Chat(ChatId(5));
    let seen = instance.history(&of, 10).await.unwrap().remove(0);
    instance.take(News::New(Box::new(message))).await.unwrap();
    let (_, body) = instance.receive(Duration::ZERO).await.unwrap().unwrap();
    let told = body["messageData"]["fileMessageData"]["downloadUrl"].as_str().unwrap().to_owned();
    for link in [told, instance.link_of(&seen.content).unwrap()] {
        let file = instance.stored(secret_of(&link)).await.unwrap();
        assert_eq!(std::fs::read(instance.body_of(&file).await.unwrap()).unwrap(), b"doc:1");
    }
}

#[tokio::test]
async fn an_edit_tells_of_a_file_only_where_people_read_another_and_under_a_name_that_leads_nowhere() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["editedMessageWebhook"]).await;
    let name = "..\\..\\x/../счёт.pdf";
    let message = Received { content: document(name, "doc:1"), ..from_anna(9, "") };
    instance.take(News::New(Box::new(message.clone()))).await.unwrap();
    let link = async || {
        let record = instance.journal(Direction::Incoming, DAY_MIN).await.unwrap().remove(0);
        assert!(matches!(&record.content, Content::File { file, .. } if file.name == "счёт.pdf"));
        instance.link_of(&record.content).unwrap()
    };
    let first = link().await;
    // Somebody reacted: the same file under another right to fetch it.
    let edit = |at_s: i64, content| {
        let edited_s = Some(now_s() + at_s);
        News::Edited(Box::new(Received { content, edited_s, ..message.clone() }))
    };
    instance.take(edit(1, document(name, "doc:1 again"))).await.unwrap();
    assert_eq!((instance.notifications_len().await.unwrap(), link().await), (0, first.clone()));
    let Content::File { file, .. } = document(name, "doc:2") else { panic!() };
    let other = Content::file(Attachment { size: 4, ..file }, "for you");
    instance.take(edit(2, other)).await.unwrap();
    assert_eq!(instance.notifications_len().await.unwrap(), 1);
    assert_ne!(link().await, first, "it leads to the file that was replaced");
    let file = instance.stored(secret_of(&link().await)).await.unwrap();
    assert_eq!(std::fs::read(instance.body_of(&file).await.unwrap()).unwrap(), b"doc:2");
}

#[tokio::test]
async fn a_webhook_that_leads_elsewhere_takes_nothing() {
    let room = Room::new();
    let instance = room.open().await;
    let (asked, heard) = (Arc::new(std::sync::Mutex::new(0)), Arc::new(std::sync::Mutex::new(0)));
    let (asking, hearing) = (Arc::clone(&asked), Arc::clone(&heard));
    let app = axum::Router::new()
        .route(
            "/hook",
            axum::routing::post(async move || {
                *asking.lock().unwrap() += 1;
                (axum::http::StatusCode::FOUND, [("location", "/login")])
            }),
        )
        .route("/login", axum::routing::any(async move || *hearing.lock().unwrap() += 1));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    switch_on(&instance, &["incomingWebhook"]).await;
    let values = [("webhookUrl".to_owned(), serde_json::Value::from(url))].into_iter().collect();
    instance.change_settings(&values).await.unwrap();
    instance.take(News::New(Box::new(from_anna(7, "hello")))).await.unwrap();
    until("it was tried twice", async || *asked.lock().unwrap() >= 2).await;
    assert_eq!(*heard.lock().unwrap(), 0, "nobody follows it");
    assert_eq!(instance.notifications_len().await.unwrap(), 1, "the notification is still there");
}

/// A document at Telegram.
fn document(name: &str, remote: &str) -> Content {
    let file = Attachment {
        is_plain: false,
        kind: FileKind::Document,
        name: name.to_owned(),
        mime: "application/pdf".to_owned(),
        size: 3,
        stored: None,
        url: None,
        remote: Some(remote.to_owned()),
        thumbnail: None,
    };
    Content::file(file, "for you")
}

/// What a link to a file is known by.
fn secret_of(link: &str) -> &str {
    link.strip_prefix("http://127.0.0.1:1/files/").unwrap().split('/').next().unwrap()
}
