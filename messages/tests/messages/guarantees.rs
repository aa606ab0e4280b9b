//! What holds whatever happens: parts, twins, rests and ages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tgtrunk_messages::{
    Address, Attachment, ChatId, Content, Direction, Draft, Failure, FileKind, Instance, News, Record,
    SendStatus, Standing,
};
use tokio::io::AsyncWriteExt as _;
use tokio::time::{Instant, sleep, timeout};

use crate::actions::Stage;
use crate::support::{Room, Say, draft, from_anna, ours, switch_on, text_of, until};

const DAY_MIN: u32 = 60 * 24;
const DAY_MS: i64 = 24 * 3600 * 1000;
const ANNA: Address = Address::Chat(ChatId(5));

/// A text that Telegram takes as three.
fn long() -> String {
    ["one ".repeat(900), "two ".repeat(900), "three ".repeat(600)].join("\n")
}

async fn sent(instance: &Instance) {
    until("it is sent", async || instance.queue_len().await.unwrap() == 0).await;
}

async fn outgoing(instance: &Instance) -> Vec<Record> {
    instance.journal(Direction::Outgoing, DAY_MIN).await.unwrap()
}

#[tokio::test]
async fn a_text_in_parts_that_is_killed_midway_keeps_the_number_of_its_first_part() {
    for killed_at in [1, 2] {
        let room = Room::new();
        let instance = room.open().await;
        switch_on(&instance, &["outgoingWebhook", "outgoingMessageWebhook"]).await;
        let mut says = vec![Say::Sent; killed_at];
        says.push(Say::SentUnheard);
        room.telegram.say(says);
        let id = instance.send(draft(5, &long())).await.unwrap().id;
        until("a part is there", async || room.telegram.texts().len() > killed_at).await;
        drop(instance);
        let instance = room.open().await;
        sent(&instance).await;
        let texts = room.telegram.texts();
        assert_eq!(texts.len(), 3, "each part once");
        assert!(texts[0].starts_with("one") && texts[2].ends_with("three "), "in their order");
        let journal = outgoing(&instance).await;
        assert_eq!(journal.iter().map(|one| (one.id, one.tg_id)).collect::<Vec<_>>(), [(id, Some(100))]);
        // The stream of updates tells of all three, as it does after a crash.
        for (number, text) in texts.iter().enumerate() {
            let told = ours(100 + i32::try_from(number).unwrap(), text);
            instance.take(News::New(Box::new(told))).await.unwrap();
        }
        assert_eq!(outgoing(&instance).await.len(), 1, "no part is a message of its own");
        assert_eq!(instance.notifications_len().await.unwrap(), 2, "sent and delivered, once");
        instance.take(News::Read { chat: ChatId(5), up_to: 102 }).await.unwrap();
        assert_eq!(outgoing(&instance).await[0].status, SendStatus::Read);
        instance.edit(&ANNA, id, "short", &[], None).await.unwrap();
        assert_eq!(*room.telegram.deleted.lock().unwrap(), [101, 102], "the text is in the first part now");
        assert_eq!(text_of(&outgoing(&instance).await[0].content), "short");
    }
}

#[tokio::test]
async fn an_outgoing_queue_that_breaks_goes_on_a_moment_later_and_sends_nothing_twice() {
    let room = Room::new();
    let instance = room.open().await;
    room.telegram.say([Say::SentAndBreak]);
    for text in ["one", "two"] {
        instance.send(draft(5, text)).await.unwrap();
    }
    sent(&instance).await;
    assert_eq!(room.telegram.texts(), ["one", "two"]);
    let journal = outgoing(&instance).await;
    let stands: Vec<_> = journal.iter().map(|one| (one.status, one.tg_id)).collect();
    assert_eq!(stands, [(SendStatus::Sent, Some(101)), (SendStatus::Sent, Some(100))]);
}

#[tokio::test]
async fn all_parts_of_a_text_are_deleted_and_forwarded_together() {
    let room = Room::new();
    let instance = room.open().await;
    let id = instance.send(draft(5, &long())).await.unwrap().id;
    sent(&instance).await;
    let mut forward = draft(6, "");
    forward.forward = Some((ChatId(5), id));
    instance.send(forward).await.unwrap();
    sent(&instance).await;
    let orders = room.telegram.orders.lock().unwrap().clone();
    let forwarded: Vec<_> = orders.iter().filter_map(|order| order.forward).collect();
    assert_eq!(forwarded, [(ChatId(5), 100), (ChatId(5), 101), (ChatId(5), 102)]);
    instance.delete(&ANNA, id, true).await.unwrap();
    assert_eq!(*room.telegram.deleted.lock().unwrap(), [100, 101, 102]);
}

#[tokio::test]
async fn what_the_owner_writes_while_a_program_sends_the_same_is_another_message() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["outgoingMessageWebhook"]).await;
    room.telegram.say([Say::SentLate(Duration::from_millis(300))]);
    let id = instance.send(draft(5, "yes")).await.unwrap().id;
    until("Telegram has it", async || room.telegram.texts() == ["yes"]).await;
    // Telegram answers only after it has told of both.
    for tg_id in [100, 77] {
        instance.take(News::New(Box::new(ours(tg_id, "yes")))).await.unwrap();
    }
    sent(&instance).await;
    let mut journal: Vec<_> = outgoing(&instance).await.iter().map(|one| (one.tg_id, one.id == id)).collect();
    journal.sort();
    assert_eq!(journal, [(Some(77), false), (Some(100), true)]);
    assert_eq!(instance.notifications_len().await.unwrap(), 1, "the owner's alone");
}

#[tokio::test]
async fn a_rest_that_telegram_asked_for_outlives_the_process() {
    let room = Room::new();
    let instance = room.open().await;
    room.telegram.say([Say::Fail(Failure::Flood { seconds: 2 })]);
    let began = Instant::now();
    instance.send(draft(5, "one")).await.unwrap();
    instance.send(draft(5, "two")).await.unwrap();
    until("Telegram was asked", async || room.telegram.orders.lock().unwrap().len() == 1).await;
    until("it is noted", async || instance.queue().await.unwrap()[0].not_before_ms > 0).await;
    drop(instance);
    let instance = room.open().await;
    sent(&instance).await;
    assert!(began.elapsed() >= Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(room.telegram.texts(), ["one", "two"]);
    assert_eq!(room.telegram.orders.lock().unwrap().len(), 3, "nothing was asked meanwhile");
}

#[tokio::test]
async fn a_message_of_a_day_ago_is_not_sent_and_one_a_minute_younger_is() {
    let room = Room::new();
    room.telegram.stands(Standing::NotAuthorized);
    let instance = room.open().await;
    let old = instance.send(draft(5, "old")).await.unwrap().id;
    let young = instance.send(draft(5, "young")).await.unwrap().id;
    drop(instance);
    // The clock goes on by a day.
    let pool = room.pool().await;
    for (id, age_ms) in [(old, DAY_MS + 1_000), (young, DAY_MS - 60_000)] {
        sqlx::query("UPDATE ms_outgoing SET accepted_ms = accepted_ms - $2 WHERE id = $1")
            .bind(id.get())
            .bind(age_ms)
            .execute(&pool)
            .await
            .unwrap();
    }
    pool.close().await;
    room.telegram.stands(Standing::Authorized);
    let instance = room.open().await;
    sent(&instance).await;
    assert_eq!(room.telegram.texts(), ["young"]);
    let (_, body) = instance.receive(Duration::ZERO).await.unwrap().unwrap();
    assert_eq!((&body["status"], &body["idMessage"]), (&"failed".into(), &old.to_string().into()));
}

#[tokio::test]
async fn a_notification_of_a_day_ago_is_gone_and_one_a_minute_younger_is_there() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    for (tg_id, said) in [(1, "old"), (2, "young")] {
        instance.take(News::New(Box::new(from_anna(tg_id, said)))).await.unwrap();
    }
    drop(instance);
    let pool = room.pool().await;
    for (receipt, age_ms) in [(1, DAY_MS + 1_000), (2, DAY_MS - 60_000)] {
        sqlx::query("UPDATE ms_notification SET created_ms = created_ms - $2 WHERE receipt = $1")
            .bind(receipt)
            .bind(age_ms)
            .execute(&pool)
            .await
            .unwrap();
    }
    pool.close().await;
    let instance = room.open().await;
    assert_eq!(instance.notifications_len().await.unwrap(), 1);
    let (receipt, body) = instance.receive(Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(body["messageData"]["textMessageData"]["textMessage"], "young");
    assert!(instance.confirm(receipt).await.unwrap());
    assert_eq!(
        instance.journal(Direction::Incoming, DAY_MIN).await.unwrap().len(),
        2,
        "the journal has both"
    );
    // Telegram tells the lost one again: it was told in its time.
    instance.take(News::New(Box::new(from_anna(1, "old")))).await.unwrap();
    assert_eq!(instance.receive(Duration::ZERO).await.unwrap(), None);
}

#[tokio::test]
async fn a_program_that_fetches_the_same_again_and_again_is_seen() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    for (number, said) in [(1, "unreadable"), (2, "behind it")] {
        instance.take(News::New(Box::new(from_anna(number, said)))).await.unwrap();
    }
    let head = async || instance.head().await.unwrap().unwrap();
    assert_eq!((head().await.fetched, head().await.fetched_ms), (0, None));
    for _ in 0..5 {
        instance.receive(Duration::ZERO).await.unwrap().unwrap();
    }
    let left = head().await;
    let since_ms = left.fetched_ms.unwrap();
    assert_eq!(left.fetched, 5);
    assert!(!left.is_left(since_ms + 119_999) && left.is_left(since_ms + 120_000));
    assert!(instance.confirm(left.receipt).await.unwrap());
    assert_eq!(head().await.fetched, 0);
}

#[tokio::test]
async fn two_who_fetch_see_the_same_until_one_takes_it_away() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    let wait = Duration::from_secs(5);
    let (one, other) = (instance.clone(), instance.clone());
    let one = tokio::spawn(async move { one.receive(wait).await.unwrap().unwrap() });
    let other = tokio::spawn(async move { other.receive(wait).await.unwrap().unwrap() });
    sleep(Duration::from_millis(50)).await;
    for tg_id in 1..=2 {
        instance.take(News::New(Box::new(from_anna(tg_id, &tg_id.to_string())))).await.unwrap();
    }
    let (one, other) = (one.await.unwrap(), other.await.unwrap());
    assert_eq!(one, other);
    assert!(instance.confirm(one.0).await.unwrap());
    assert!(!instance.confirm(other.0).await.unwrap(), "it is gone, and the next one is not");
    let (next, body) = instance.receive(wait).await.unwrap().unwrap();
    assert_eq!((next, &body["messageData"]["textMessageData"]["textMessage"]), (one.0 + 1, &"2".into()));
}

#[tokio::test]
async fn a_file_that_comes_slowly_holds_nobody_up_for_long_and_is_not_under_way_to_telegram() {
    let (url, asked) = drips().await;
    let mut room = Room::new();
    room.options.fetch_patience = Duration::from_millis(700);
    room.telegram.is_forgetful.store(true, Ordering::Relaxed);
    let instance = room.open().await;
    switch_on(&instance, &["outgoingMessageWebhook"]).await;
    let content = Content::file(by_link(&url), "");
    let slow = instance.send(Draft { content, ..draft(5, "") }).await.unwrap().id;
    instance.send(draft(6, "a text")).await.unwrap();
    // What the owner writes meanwhile cannot be it.
    let once_asked = async || asked.load(Ordering::Relaxed) > 0;
    until("it is fetched", once_asked).await;
    instance.take(News::New(Box::new(ours(7, "my own words")))).await.unwrap();
    assert_eq!(instance.notifications_len().await.unwrap(), 1);
    // Four tries, and the pauses between them.
    let sent = timeout(Duration::from_secs(60), async {
        while room.telegram.texts() != ["a text"] {
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(sent.await.is_ok(), "nobody gets past it");
    let waiting = instance.queue().await.unwrap();
    assert_eq!(waiting.iter().map(|line| line.id).collect::<Vec<_>>(), [slow], "it was never with Telegram");
    let why = waiting[0].last_error.clone().unwrap_or_default();
    assert!(why.contains("64 kB/s"), "{why}");
}

#[tokio::test]
async fn many_slow_files_of_a_message_have_the_time_of_one_and_are_left_when_it_is_taken_out() {
    let (url, asked) = drips().await;
    let ten = || {
        let mut content = Content::file(by_link(&url), "");
        if let Content::File { more, .. } = &mut content {
            more.extend((1..10).map(|_| by_link(&url)));
        }
        content
    };
    let mut room = Room::new();
    room.options.fetch_patience = Duration::from_millis(700);
    let instance = room.open().await;
    instance.send(Draft { content: ten(), ..draft(5, "") }).await.unwrap();
    instance.send(draft(6, "behind it")).await.unwrap();
    // Four tries, and the pauses between them.
    let passed = timeout(Duration::from_secs(60), async {
        while room.telegram.texts() != ["behind it"] {
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(passed.await.is_ok(), "nobody gets past it");
    let times = asked.load(Ordering::Relaxed);
    assert!(times <= 4, "asked for {times} files, though nothing goes without the first");

    let mut room = Room::new();
    room.options.fetch_patience = Duration::from_secs(600);
    let instance = room.open().await;
    instance.send(Draft { content: ten(), ..draft(5, "") }).await.unwrap();
    let before = asked.load(Ordering::Relaxed);
    until("it is fetched", async || asked.load(Ordering::Relaxed) > before).await;
    instance.clear_queue().await.unwrap();
    instance.send(draft(6, "after it")).await.unwrap();
    until("the text goes", async || room.telegram.texts() == ["after it"]).await;
}

/// A place on the web that gives a byte now and then, for as long as it is asked; and how often it was asked.
async fn drips() -> (String, Arc<AtomicU32>) {
    let web = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/price.pdf", web.local_addr().unwrap());
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = web.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
                let mut told = socket.write_all(head.as_bytes()).await;
                while told.is_ok() {
                    sleep(Duration::from_millis(50)).await;
                    told = socket.write_all(b"x").await;
                }
            });
        }
    });
    (url, asked)
}

fn by_link(url: &str) -> Attachment {
    Attachment {
        is_plain: false,
        kind: FileKind::Document,
        name: "price.pdf".to_owned(),
        mime: String::new(),
        size: 0,
        stored: None,
        url: Some(url.to_owned()),
        remote: None,
        thumbnail: None,
    }
}

#[tokio::test]
async fn what_breaks_is_told_to_whoever_waits_and_tried_again_after_a_pause_where_it_was_promised() {
    let stage = Stage::new().await;
    let sent = stage.done("send_message", json!({"dialog": 5, "text": "one"})).await;
    let id = sent["result"]["id_message"].clone();
    stage.telegram().edits_break.store(2, Ordering::Relaxed);
    let said = json!({"dialog": 5, "message_id": id, "text": "two"});
    let (status, told) = stage.refused("edit_message", said).await;
    assert_eq!((status, &told["error"]["code"]), (500, &json!("internal")), "{told}");
    let said = json!({"dialog": 5, "message_id": id, "text": "three", "mode": "queue"});
    let told = stage.done("edit_message", said).await;
    let job = stage.job_ends(&told["job_id"]).await;
    assert_eq!(
        (&job["state"], stage.telegram().edits_break.load(Ordering::Relaxed)),
        (&json!("done"), 0),
        "{job}"
    );
    assert_eq!(*stage.telegram().edited.lock().unwrap(), ["three"]);
}
