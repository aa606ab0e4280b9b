//! The journal: what programs read in chats, what becomes of messages that it has not, and whose they are.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use tgtrunk_messages::{
    Address, Attachment, ChatId, Content, Direction, FileKind, Instance, News, Received, SendStatus, Standing,
};

use crate::support::{Room, Say, draft, from_anna, now_s, ours, switch_on, until};

#[tokio::test]
async fn a_message_that_a_program_has_read_in_its_chat_is_told_nevertheless_once_telegram_tells_of_it() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook", "outgoingMessageWebhook", "markIncomingMessagesReaded"]).await;
    *room.telegram.history.lock().unwrap() = vec![ours(8, "by hand"), from_anna(7, "hello")];
    let read = instance.history(&anna(), 10).await.unwrap();
    assert_eq!(instance.notifications_len().await.unwrap(), 0);
    for _ in 0..2 {
        instance.take(News::New(Box::new(from_anna(7, "hello")))).await.unwrap();
        instance.take(News::New(Box::new(ours(8, "by hand")))).await.unwrap();
    }
    let told = all_told(&instance).await;
    let numbers: Vec<_> = told.iter().map(|told| told["idMessage"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        numbers,
        [read[1].id.to_string(), read[0].id.to_string()],
        "with the numbers from the history"
    );
    until("it is read", async || *room.telegram.reads.lock().unwrap() == [(ChatId(5), Some(7))]).await;
    // And what was told is not told again for being read in the chat.
    instance.history(&anna(), 10).await.unwrap();
    instance.take(News::New(Box::new(from_anna(7, "hello")))).await.unwrap();
    assert_eq!(instance.notifications_len().await.unwrap(), 0);
}

#[tokio::test]
async fn a_message_that_is_read_before_its_number_is_known_is_told_as_read() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["outgoingWebhook"]).await;
    // The answer is lost, and the reader is quick.
    room.telegram.say([Say::SentUnheard]);
    instance.send(draft(5, "read me")).await.unwrap();
    until("Telegram has it", async || !room.telegram.has.lock().unwrap().is_empty()).await;
    instance.take(News::Read { chat: ChatId(5), up_to: 100 }).await.unwrap();
    until("it is sent", async || instance.queue_len().await.unwrap() == 0).await;
    let told = all_told(&instance).await;
    let statuses: Vec<_> = told.iter().map(|told| told["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["sent", "delivered", "read"]);
    assert_eq!(instance.history(&anna(), 10).await.unwrap().len(), 0);
    assert_eq!(instance.journal(Direction::Outgoing, 60).await.unwrap()[0].status, SendStatus::Read);
}

#[tokio::test]
async fn nobody_is_told_that_old_messages_are_read_which_a_program_has_only_read_in_their_chat() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["outgoingWebhook"]).await;
    *room.telegram.history.lock().unwrap() = vec![ours(9, "three"), ours(8, "two")];
    instance.history(&anna(), 10).await.unwrap();
    instance.take(News::New(Box::new(ours(10, "by hand")))).await.unwrap();
    instance.take(News::Read { chat: ChatId(5), up_to: 12 }).await.unwrap();
    let told = all_told(&instance).await;
    assert_eq!(told.len(), 1, "of what Telegram has told of: {told:?}");
    assert_eq!(told[0]["status"], "read");
    // They are read all the same, and so is what is read in the chat later, or told late.
    room.telegram.history.lock().unwrap().push(ours(7, "one"));
    instance.take(News::New(Box::new(ours(11, "late")))).await.unwrap();
    instance.history(&anna(), 10).await.unwrap();
    let journal = instance.journal(Direction::Outgoing, 60).await.unwrap();
    assert_eq!(journal.len(), 5);
    assert!(journal.iter().all(|record| record.status == SendStatus::Read), "{journal:?}");
}

#[tokio::test]
async fn an_edit_of_a_message_that_the_journal_has_not_is_told_as_an_edit_and_never_as_a_new_message() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    let month_ago_s = now_s() - 30 * 86_400;
    let edited = |tg_id, edited_s| {
        let mut message = from_anna(tg_id, "the other way round");
        (message.date_s, message.edited_s) = (month_ago_s, Some(edited_s));
        News::Edited(Box::new(message))
    };
    instance.take(edited(7, now_s() + 1)).await.unwrap();
    assert_eq!(all_told(&instance).await, [] as [Value; 0], "edits are not wanted");
    switch_on(&instance, &["editedMessageWebhook"]).await;
    for _ in 0..2 {
        instance.take(edited(8, now_s() + 1)).await.unwrap();
    }
    instance.take(edited(9, month_ago_s + 60)).await.unwrap();
    let told = all_told(&instance).await;
    assert_eq!(told.len(), 1, "once, and not what was edited before there was an instance: {told:?}");
    assert_eq!(told[0]["messageData"]["typeMessage"], "editedMessage");
    // It is a message of its chat now.
    let stanza = &told[0]["messageData"]["editedMessageData"]["stanzaId"];
    let id = stanza.as_str().unwrap().parse().unwrap();
    assert_eq!(instance.message(&anna(), id).await.unwrap().tg_id, Some(8));
    // One that Telegram has still to tell of is told of as new then.
    instance.take(News::New(Box::new(from_anna(8, "the other way round")))).await.unwrap();
    assert_eq!(all_told(&instance).await[0]["messageData"]["typeMessage"], "textMessage");
}

#[tokio::test]
async fn a_change_of_a_long_texts_part_makes_no_message_of_it() {
    let room = Room::new();
    let instance = room.open().await;
    instance.send(draft(5, &"0123456789 ".repeat(600))).await.unwrap();
    until("it is sent", async || instance.queue_len().await.unwrap() == 0).await;
    assert_eq!(room.telegram.texts().len(), 2);
    switch_on(&instance, &["outgoingMessageWebhook", "editedMessageWebhook"]).await;
    let mut part = ours(101, "with a picture of where a link leads");
    part.edited_s = Some(now_s() + 1);
    instance.take(News::Edited(Box::new(part))).await.unwrap();
    assert_eq!(all_told(&instance).await, [] as [Value; 0]);
    assert_eq!(instance.journal(Direction::Outgoing, 60).await.unwrap().len(), 1);
}

#[tokio::test]
async fn no_two_things_that_are_told_have_the_same_number() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook", "editedMessageWebhook", "deletedMessageWebhook"]).await;
    for tg_id in 1..=10 {
        instance.take(News::New(Box::new(from_anna(tg_id, "hello")))).await.unwrap();
        let mut edited = from_anna(tg_id, "hallo");
        edited.edited_s = Some(now_s() + 1);
        instance.take(News::Edited(Box::new(edited))).await.unwrap();
        instance.take(News::Deleted { chat: None, tg_ids: vec![tg_id] }).await.unwrap();
    }
    // What is read in the chat takes nobody's number either, and messages that come later do not take theirs.
    *room.telegram.history.lock().unwrap() = (11..=30).map(|tg_id| from_anna(tg_id, "new")).collect();
    let read = instance.history(&anna(), 20).await.unwrap();
    instance.take(News::New(Box::new(from_anna(31, "hello")))).await.unwrap();
    let told = all_told(&instance).await;
    let told = told.iter().map(|told| told["idMessage"].as_str().unwrap().to_owned());
    let mut numbers: Vec<_> = told.chain(read.iter().map(|record| record.id.to_string())).collect();
    assert_eq!(numbers.len(), 51);
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 51);
}

#[tokio::test]
async fn another_account_of_the_same_number_begins_anew_and_sends_nothing_of_the_old_ones() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    instance.take(News::New(Box::new(from_anna(1, "to the old one")))).await.unwrap();
    instance.take(News::New(Box::new(from_anna(2, "not fetched yet")))).await.unwrap();
    let (receipt, _) = instance.receive(Duration::ZERO).await.unwrap().unwrap();
    assert!(instance.confirm(receipt).await.unwrap());
    instance.take(News::Read { chat: ChatId(5), up_to: 40 }).await.unwrap();
    room.telegram.stands(Standing::NotAuthorized);
    instance.send(draft(5, "in the old one's name")).await.unwrap();
    // Deleted, and registered again: Telegram's numbers begin at 1.
    room.telegram.accounts_before.store(1, Ordering::Relaxed);
    room.telegram.stands(Standing::Authorized);
    until("the queue is empty", async || instance.queue_len().await.unwrap() == 0).await;
    assert_eq!(room.telegram.texts(), [] as [String; 0]);
    for _ in 0..2 {
        instance.take(News::New(Box::new(from_anna(1, "one")))).await.unwrap();
        instance.take(News::New(Box::new(from_anna(2, "two")))).await.unwrap();
        instance.take(News::New(Box::new(ours(3, "not read")))).await.unwrap();
    }
    let told = all_told(&instance).await;
    let said = |told: &Value| match told["status"].as_str() {
        Some(status) => status.to_owned(),
        None => told["messageData"]["textMessageData"]["textMessage"].as_str().unwrap().to_owned(),
    };
    assert_eq!(told.iter().map(said).collect::<Vec<_>>(), ["not fetched yet", "failed", "one", "two"]);
    let journal = instance.journal(Direction::Outgoing, 60).await.unwrap();
    assert_eq!(journal[0].status, SendStatus::Sent, "the old one's was read up to 40");
    assert!(journal[1].failure.as_deref().unwrap().contains("another Telegram account"));
    // The same account again is no other.
    drop(instance);
    let instance = room.open().await;
    instance.take(News::New(Box::new(from_anna(1, "one")))).await.unwrap();
    assert_eq!(instance.notifications_len().await.unwrap(), 0);
    assert_eq!(instance.journal(Direction::Incoming, 60).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_row_that_says_what_it_cannot_say_holds_nothing_up() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook", "editedMessageWebhook"]).await;
    instance.take(News::New(Box::new(from_anna(7, "helo")))).await.unwrap();
    let pool = room.pool().await;
    sqlx::query("UPDATE ms_message SET content = 'nonsense'").execute(&pool).await.unwrap();
    let mut edited = from_anna(7, "hello");
    edited.edited_s = Some(now_s() + 1);
    instance.take(News::Edited(Box::new(edited))).await.unwrap();
    instance.take(News::New(Box::new(from_anna(8, "again")))).await.unwrap();
    assert_eq!(all_told(&instance).await.len(), 2);
    // Whose the messages are concerns all of them, and so does a disk that takes nothing.
    drop(instance);
    sqlx::query("UPDATE ms_instance SET account = 'nonsense'").execute(&pool).await.unwrap();
    let instance = room.open().await;
    instance.take(News::New(Box::new(from_anna(9, "later")))).await.unwrap_err();
    sqlx::query("UPDATE ms_instance SET account = 1").execute(&pool).await.unwrap();
    sqlx::query("DROP TABLE ms_notification").execute(&pool).await.unwrap();
    instance.take(News::New(Box::new(from_anna(9, "later")))).await.unwrap_err();
}

#[tokio::test]
async fn a_long_journal_is_read_whole_and_in_order_and_its_older_part_has_no_small_pictures() {
    let room = Room::new();
    let instance = room.open().await;
    // Several in each second, so that a batch ends in the middle of one.
    let numbers = 1..=1_020;
    for tg_id in numbers.clone() {
        let file = Attachment {
            kind: FileKind::Image,
            is_plain: false,
            name: tg_id.to_string(),
            mime: "image/jpeg".to_owned(),
            size: 1,
            stored: None,
            url: None,
            remote: Some("remote".to_owned()),
            thumbnail: Some("/9j/".to_owned()),
        };
        let date_s = now_s() - 600 + i64::from(tg_id / 7);
        let message = Received { content: Content::file(file, ""), date_s, ..from_anna(tg_id, "") };
        instance.take(News::New(Box::new(message))).await.unwrap();
    }
    let journal = instance.journal(Direction::Incoming, 60).await.unwrap();
    let files = journal.iter().map(|record| match &record.content {
        Content::File { file, .. } => (file.name.clone(), file.thumbnail.is_some()),
        other => panic!("{other:?}"),
    });
    let expected = numbers.rev().enumerate().map(|(at, tg_id): (usize, i32)| (tg_id.to_string(), at < 500));
    assert_eq!(files.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn both_of_two_edits_in_one_second_are_told() {
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["editedMessageWebhook"]).await;
    instance.take(News::New(Box::new(from_anna(7, "helo")))).await.unwrap();
    let edited_s = now_s() + 1;
    let edit = |said| {
        let mut message = from_anna(7, said);
        message.edited_s = Some(edited_s);
        News::Edited(Box::new(message))
    };
    for said in ["hallo", "hallo", "hello", "hello"] {
        instance.take(edit(said)).await.unwrap();
    }
    let told = all_told(&instance).await;
    let said =
        told.iter().map(|told| told["messageData"]["editedMessageData"]["textMessage"].as_str().unwrap());
    assert_eq!(said.collect::<Vec<_>>(), ["hallo", "hello"]);
}

fn anna() -> Address {
    Address::Chat(ChatId(5))
}

/// What the queue of notifications holds, which is empty then.
async fn all_told(instance: &Instance) -> Vec<Value> {
    let mut told = Vec::new();
    while let Some((receipt, body)) = instance.receive(Duration::ZERO).await.unwrap() {
        told.push(body);
        assert!(instance.confirm(receipt).await.unwrap());
    }
    told
}
