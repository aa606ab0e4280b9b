//! What an operator looks at: the journal by pages and by what is looked for, the queues' heads, and why they stand.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use serde_json::json;
use tgtrunk_messages::{
    Bookmark, Browse, Cancelled, Chat, ChatId, ChatKind, Direction, Failure, Instance, Leaf, News, Record,
    RestKind, Seen, SendStatus, Standing,
};
use tokio::net::TcpListener;

use crate::support::{Room, Say, draft, from_anna, switch_on, text_of, until};

#[tokio::test]
async fn the_journal_is_read_page_by_page_and_each_message_is_seen_once() {
    let room = Room::new();
    let instance = room.open().await;
    for tg_id in 1..=120 {
        let mut message = from_anna(tg_id, &format!("message {tg_id}"));
        // Many of the same second, and one way or the other.
        message.date_s = 1_000 + i64::from(tg_id / 7);
        message.is_ours = tg_id % 3 == 0;
        instance.take(News::New(Box::new(message))).await.unwrap();
    }
    let all = pages(&instance, &Browse::default(), 50).await;
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20]);
    let ids: Vec<i32> = all.concat().iter().map(|record| record.tg_id.unwrap()).collect();
    assert_eq!(ids, (1..=120).rev().collect::<Vec<_>>());
    let ours = Browse { direction: Some(Direction::Outgoing), ..Browse::default() };
    assert_eq!(pages(&instance, &ours, 40).await.concat().len(), 40);
    assert_eq!(pages(&instance, &ours, 40).await.len(), 1, "there is nothing after the last one");
    let of_chat = Browse { chat: Some(all[0][0].chat.unwrap()), ..ours };
    assert_eq!(pages(&instance, &of_chat, 7).await.concat().len(), 40);
}

#[tokio::test]
async fn the_journal_is_searched_by_whom_and_words_in_any_case() {
    let room = Room::new();
    let instance = room.open().await;
    for (tg_id, text) in [(1, "Счёт на оплату"), (2, "hello"), (3, "ещё СЧЁТ")] {
        let mut message = from_anna(tg_id, text);
        if tg_id == 3 {
            message.chat = Chat {
                id: ChatId(-42),
                kind: ChatKind::Group,
                title: "Бухгалтерия".to_owned(),
                username: None,
                phone: None,
                is_archived: false,
            };
        }
        instance.take(News::New(Box::new(message))).await.unwrap();
    }
    let found = async |browse: Browse| -> Vec<i32> {
        let leaf = instance.leaf(&browse, Bookmark::NEWEST, 50).await.unwrap();
        leaf.records.iter().map(|record| record.tg_id.unwrap()).collect()
    };
    let nothing = Browse::default;
    assert_eq!(found(Browse { text: "счёт".to_owned(), ..nothing() }).await, [3, 1]);
    assert_eq!(found(Browse { whom: "бухгалт".to_owned(), ..nothing() }).await, [3]);
    assert_eq!(found(Browse { kind: Some("image".to_owned()), ..nothing() }).await, [0; 0]);
    assert_eq!(found(Browse { kind: Some("text".to_owned()), ..nothing() }).await.len(), 3);
    assert_eq!(found(Browse { status: Some(SendStatus::Failed), ..nothing() }).await, [0; 0]);
}

/// An open page reads of a long journal no more than what is new, and what it shows.
#[tokio::test]
async fn a_page_that_is_seen_learns_what_is_new_and_what_became_of_the_rest() {
    let room = Room::new();
    let instance = room.open().await;
    let take = async |tg_id: i32, text: &str| {
        let mut message = from_anna(tg_id, text);
        message.date_s = 1_000 + i64::from(tg_id) * 60;
        message.is_ours = tg_id % 2 == 0;
        instance.take(News::New(Box::new(message))).await.unwrap();
    };
    for tg_id in 1..=6 {
        take(tg_id, if tg_id == 4 { "hello" } else { "bill" }).await;
    }
    let bills = Browse { text: "BILL".to_owned(), ..Browse::default() };
    assert!(bills.is_filter() && !Browse::default().is_filter());
    let ids = |leaf: &Leaf| leaf.records.iter().map(|record| record.tg_id.unwrap()).collect::<Vec<_>>();
    let first = instance.leaf(&bills, Bookmark::NEWEST, 4).await.unwrap();
    assert_eq!(ids(&first), [6, 5, 3, 2]);
    let seen = first.seen().unwrap();
    assert_eq!(instance.leaf_again(&bills, &seen, 4).await.unwrap(), first);
    // One is another now, one came that fits and one that does not, and an older one that the page shows would not.
    let mut edited = from_anna(5, "nothing");
    edited.date_s = 1_000 + 5 * 60;
    edited.edited_s = Some(9_000);
    instance.take(News::Edited(Box::new(edited))).await.unwrap();
    take(7, "another bill").await;
    take(8, "hello").await;
    let again = instance.leaf_again(&bills, &seen, 4).await.unwrap();
    assert_eq!(ids(&again), [7, 6, 3, 2]);
    assert_eq!(again.older, first.older);
    assert_eq!(again.seen().unwrap().newest.date_s, 1_000 + 8 * 60);
    // More than a page of new ones.
    for tg_id in 9..=12 {
        take(tg_id, "bill").await;
    }
    let again = instance.leaf_again(&bills, &again.seen().unwrap(), 3).await.unwrap();
    assert_eq!(ids(&again), [12, 11, 10]);
    let older = instance.leaf(&bills, again.older.unwrap(), 50).await.unwrap();
    assert_eq!(ids(&older), [9, 7, 6, 3, 2, 1]);
    // What is older than what was seen is not read, though it would fit.
    let newest = seen.newest;
    let nothing = Seen { newest, messages: Vec::new(), older: None };
    assert_eq!(ids(&instance.leaf_again(&bills, &nothing, 50).await.unwrap()), [12, 11, 10, 9, 7, 6]);
}

#[tokio::test]
async fn the_head_of_the_queue_says_why_it_stands_and_is_taken_out() {
    let room = Room::new();
    room.telegram.stands(Standing::Authorized);
    room.telegram.say([Say::Fail(Failure::Flood { seconds: 300 })]);
    let instance = room.open().await;
    let before = instance.revision();
    let mut ids = Vec::new();
    for text in ["first", "second"] {
        ids.push(instance.send(draft(1001, text)).await.unwrap().id);
    }
    until("it rests", async || !instance.resting().await.unwrap().is_empty()).await;
    let rests = instance.resting().await.unwrap();
    assert_eq!((rests.len(), rests[0].what), (1, RestKind::All));
    assert!(rests[0].cause.contains("300 s"), "{rests:?}");
    until("the head is told of", async || instance.waiting(0, 50).await.unwrap()[0].stuck().is_some()).await;
    let queue = instance.waiting(0, 50).await.unwrap();
    assert_eq!(
        queue.iter().map(|one| (one.position, one.id)).collect::<Vec<_>>(),
        [(1, ids[0]), (2, ids[1])]
    );
    assert_eq!(text_of(&queue[0].content), "first");
    assert!(queue[0].stuck().is_some_and(|cause| cause.contains("300 s")), "{queue:?}");
    assert_eq!(queue[0].next_ms, rests[0].until_ms);
    assert_eq!(instance.waiting(1, 50).await.unwrap()[0].position, 2);
    assert!(instance.revision() > before);
    assert_eq!(instance.cancel(ids[0]).await.unwrap(), Cancelled::Out { may_be_sent: false });
    assert_eq!(instance.cancel(ids[0]).await.unwrap(), Cancelled::Gone);
    assert_eq!(instance.waiting(0, 50).await.unwrap()[0].id, ids[1]);
    let failed = Browse { status: Some(SendStatus::Failed), ..Browse::default() };
    let failed = instance.leaf(&failed, Bookmark::NEWEST, 50).await.unwrap().records;
    assert_eq!(failed.iter().map(|record| record.id).collect::<Vec<_>>(), [ids[0]]);
}

#[tokio::test]
async fn a_webhook_that_fails_is_told_of_with_its_status_and_its_next_try() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new().fallback(async || StatusCode::INTERNAL_SERVER_ERROR);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let room = Room::new();
    let instance = room.open().await;
    switch_on(&instance, &["incomingWebhook"]).await;
    instance.take(News::New(Box::new(from_anna(1, "hello")))).await.unwrap();
    let head = instance.head().await.unwrap().unwrap();
    assert_eq!((head.kind.as_str(), head.attempts), ("incomingMessageReceived", 0));
    let settings = json!({ "webhookUrl": url });
    instance.change_settings(settings.as_object().unwrap()).await.unwrap();
    until("it waits", async || instance.webhook_state().await.unwrap().next_ms.is_some()).await;
    let state = instance.webhook_state().await.unwrap();
    let fault = state.fault.unwrap();
    assert_eq!((fault.status, state.taken_ms), (Some(500), None));
    assert_eq!(fault.sentence, "it answers 500 Internal Server Error");
    let after_ms = state.next_ms.unwrap() - fault.at_ms;
    assert!((900..=2_500).contains(&after_ms), "{after_ms} ms");
    let head = instance.head().await.unwrap().unwrap();
    assert!(head.attempts > 0 && head.last_error.as_deref() == Some(fault.sentence.as_str()), "{head:?}");
    instance.tell_standing().await.unwrap();
    assert_eq!(instance.notifications_len().await.unwrap(), 2);
    assert!(instance.confirm(head.receipt).await.unwrap());
    let head = instance.head().await.unwrap().unwrap();
    assert_eq!(head.kind, "stateInstanceChanged");
    tokio::time::timeout(Duration::from_secs(10), async {
        while instance.head().await.unwrap().is_some_and(|head| head.attempts == 0) {
            instance.push_now();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
}

async fn pages(instance: &Instance, browse: &Browse, count: usize) -> Vec<Vec<Record>> {
    let (mut pages, mut before) = (Vec::new(), Some(Bookmark::NEWEST));
    while let Some(at) = before {
        let leaf = instance.leaf(browse, at, count).await.unwrap();
        before = leaf.older;
        pages.push(leaf.records);
    }
    pages
}
