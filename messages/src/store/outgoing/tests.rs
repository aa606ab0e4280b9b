//! Which message of the queue is the next.

use super::*;
use crate::store::tests::Room;

/// Tells nobody.
struct Nobody;

impl Teller for Nobody {
    fn of_sent(&self, _: &Record) -> Vec<Told> {
        Vec::new()
    }

    fn of_failed(&self, _: &Record) -> Vec<Told> {
        Vec::new()
    }

    fn of_device(&self, _: &Record) -> Option<Told> {
        None
    }
}

const NOW_MS: i64 = 1_000_000;
const TRIES: u32 = 3;

#[tokio::test]
async fn those_that_failed_often_go_last_unless_it_is_their_turn() {
    let room = Room::new();
    let store = room.open().await;
    let next = async |is_last| match store.next(NOW_MS, TRIES, is_last).await.unwrap() {
        Some(Next::Message(next)) => Some(next.id.get()),
        Some(Next::Unreadable(..)) => panic!("it can be read"),
        None => None,
    };
    assert_eq!(next(true).await, None);
    // Number, attempts, when it may be tried again, when it is due.
    for (id, attempts, not_before_ms, due_ms) in [
        (1, 0, 0, NOW_MS + 1),
        (2, 9, NOW_MS - 5, 0),
        (3, 9, NOW_MS - 7, 0),
        (4, 1, NOW_MS + 90_000, 0),
        (5, 9, NOW_MS + 1, 0),
    ] {
        sqlx::query(
            "INSERT INTO ms_outgoing (id, method, request, draft, random_id, accepted_ms, not_before_ms, attempts, claimed,
                 parts_done, due_ms)
             VALUES ($1, '', '', '{\"to\":\"5\",\"content\":{\"kind\":\"text\",\"text\":\"\"}}', 0, 0, $2, $3, 0, 0, $4)",
        )
        .bind(id)
        .bind(not_before_ms)
        .bind(attempts)
        .bind(due_ms)
        .execute(&store.pool)
        .await
        .unwrap();
    }
    assert_eq!(next(true).await, Some(3), "the one that waits longest");
    assert_eq!(next(false).await, Some(2), "the first of the queue");
    // A short pause keeps those behind.
    sqlx::query("UPDATE ms_outgoing SET not_before_ms = $1 WHERE id = 4")
        .bind(NOW_MS + 30_000)
        .execute(&store.pool)
        .await
        .unwrap();
    assert_eq!(next(true).await, Some(4));
    assert_eq!(next(false).await, Some(2));
}

#[tokio::test]
async fn what_is_due_later_and_notifications_are_in_no_other_programs_queue() {
    let room = Room::new();
    let store = room.open().await;
    for (id, method, due_ms) in [
        (1, "sendMessage", 0),
        (2, "notify", 0),
        (3, "send_message", NOW_MS + 1),
        (4, "send_message", NOW_MS),
    ] {
        sqlx::query(
            "INSERT INTO ms_outgoing (id, method, request, draft, random_id, accepted_ms, not_before_ms, attempts, claimed,
                 parts_done, due_ms) VALUES ($1, $2, '', '', 0, 0, 0, 0, 0, 0, $3)",
        )
        .bind(id)
        .bind(method)
        .bind(due_ms)
        .execute(&store.pool)
        .await
        .unwrap();
    }
    let count = async |due_by_ms| store.queue_len(due_by_ms).await.unwrap();
    assert_eq!((count(None).await, count(Some(NOW_MS)).await), (4, 2));
    let fault = Fault { sentence: "taken out".to_owned(), reason: Reason::of("message_not_found") };
    let take_out = async |due_by_ms| store.withdraw_first(i64::MAX, due_by_ms, &fault, &Nobody, NOW_MS).await;
    while take_out(Some(NOW_MS)).await.unwrap() {}
    assert_eq!((count(None).await, count(Some(NOW_MS)).await), (2, 0));
    while take_out(None).await.unwrap() {}
    assert_eq!(count(None).await, 0);
}
