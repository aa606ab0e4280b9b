//! The journal: what programs read in chats, what becomes of messages that it has not, and whose they are.

use std::time::Duration;

use serde_json::Value;
use tgtrunk_messages::{Address, ChatId, Instance, News};

use crate::support::{Room, from_anna, ours, switch_on, until};

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
