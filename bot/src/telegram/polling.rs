//! Updates by long polling (core.telegram.org/bots/api#getupdates).
//!
//! Asking for the next updates confirms the ones before, so the next question waits until those were taken in: a
//! press is taken in when the gateway has it, anything else when it is on the disk. What other programs are told is on the
//! disk before it is confirmed. Only when the disk takes nothing and a full answer stands in the way of presses, it is
//! confirmed out of memory, as long as that is not too much.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::api::Api;
use super::failure::Failure;
use super::news::{self, News};
use crate::clock;
use crate::programs::{Arrived, Queue};

/// Longer than that nobody else's presses wait for an update that is not taken in yet.
const TAKING_IN: Duration = Duration::from_millis(250);
/// An empty answer sooner than that is no long poll; without a pause it would be a loop.
const TOO_SOON: Duration = Duration::from_millis(50);
/// The first and the longest pause after a failure that may pass.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After failures that only a person can mend.
const TOKEN_PAUSE: Duration = Duration::from_secs(30);
const CONFLICT_PAUSE: Duration = Duration::from_secs(2);
/// How long Telegram may have nothing new while updates are in memory alone.
const HOLDING: Duration = Duration::from_secs(1);
/// Updates in one answer.
const MOST: u8 = 100;

/// What came of a poll.
pub(crate) enum Poll {
    /// Telegram answered, perhaps with nothing new.
    Batch(Batch),
    /// It did not.
    Failed(Failure),
}

/// Updates in the order in which they happened.
pub(crate) struct Batch {
    /// With their numbers.
    pub(crate) news: Vec<(u32, News)>,
    /// To be held by whoever has not taken them in yet.
    pub(crate) open: Open,
}

/// While anybody holds a clone, an update is not taken in yet, and Telegram keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    _held: mpsc::Sender<Infallible>,
}

/// The other end: knows when nobody holds on any more.
pub(super) struct TakenIn(mpsc::Receiver<Infallible>);

impl Open {
    pub(super) fn new() -> (Self, TakenIn) {
        let (held, all) = mpsc::channel(1);
        (Self { _held: held }, TakenIn(all))
    }
}

impl TakenIn {
    /// Waits until it is taken in, or long enough. True when it is.
    pub(super) async fn wait(mut self, limit: Duration) -> bool {
        timeout(limit, self.0.recv()).await.is_ok()
    }
}

/// Polls until nobody listens any more. What is for other programs goes to their queue.
pub(crate) async fn poll(api: Api, wait: Duration, out: mpsc::Sender<Poll>, queue: Option<Queue>) {
    let mut offset = None;
    let mut pause = FIRST_PAUSE;
    let mut others = queue.map(Keeping::new);
    loop {
        let asked = clock::now();
        let is_holding = others.as_ref().is_some_and(|others| others.queue.is_holding());
        match api.updates(offset, MOST, if is_holding { wait.min(HOLDING) } else { wait }).await {
            Ok(updates) => {
                pause = FIRST_PAUSE;
                let (quiet, full) = (updates.is_empty(), updates.len() >= usize::from(MOST));
                let told = others.as_ref().map(|others| others.queue.sort(&updates)).unwrap_or_default();
                let (open, taken) = Open::new();
                let (next, news) = sort(updates);
                if out.send(Poll::Batch(Batch { news, open })).await.is_err() {
                    return;
                }
                let kept = async {
                    match &mut others {
                        Some(others) => others.keep(told, full).await,
                        None => true,
                    }
                };
                let (_, kept) = tokio::join!(taken.wait(TAKING_IN), kept);
                if kept {
                    offset = next.or(offset);
                } else {
                    sleep(TAKING_IN).await;
                }
                if quiet && asked.elapsed() < TOO_SOON {
                    sleep(TOO_SOON).await;
                }
            }
            Err(failure) => {
                let rest = rest(&failure, &mut pause);
                let webhook = matches!(&failure, Failure::Conflict(why) if why.contains("webhook"));
                if out.send(Poll::Failed(failure)).await.is_err() {
                    return;
                }
                if !webhook || api.delete_webhook().await.is_err() {
                    sleep(rest).await;
                }
            }
        }
    }
}

/// What is on its way to the queue of other programs. Presses do not wait for a disk.
struct Keeping {
    queue: Queue,
    /// What took too long. It is not broken off.
    under_way: Option<JoinHandle<bool>>,
}

impl Keeping {
    fn new(queue: Queue) -> Self {
        Self { queue, under_way: None }
    }

    /// Whether Telegram need not have updates any more, known in [`TAKING_IN`]. They are on the disk; after a full answer,
    /// behind which presses would wait, it is enough that they are held.
    async fn keep(&mut self, news: Arrived, full: bool) -> bool {
        if news.is_empty() && !self.queue.is_holding() {
            return true;
        }
        let kept = timeout(TAKING_IN, self.write(news.clone())).await.unwrap_or(false);
        kept || news.is_empty() || full && self.queue.hold(&news)
    }

    async fn write(&mut self, news: Arrived) -> bool {
        if let Some(before) = &mut self.under_way {
            before.await.ok();
        }
        let queue = self.queue.clone();
        let write = self.under_way.insert(tokio::spawn(async move { queue.keep(&news).await }));
        let kept = write.await.unwrap_or(false);
        self.under_way = None;
        kept
    }
}

/// The number to ask for next, if there is one, and the news.
fn sort(updates: Vec<Value>) -> (Option<i64>, Vec<(u32, News)>) {
    let mut next = None;
    let mut sorted = Vec::with_capacity(updates.len());
    for (id, news) in updates.into_iter().filter_map(news::read) {
        next = Some(i64::from(id) + 1);
        sorted.extend(news.map(|news| (id, news)));
    }
    (next, sorted)
}

/// How long to leave Telegram alone, and the pause after that.
fn rest(failure: &Failure, pause: &mut Duration) -> Duration {
    match failure {
        Failure::Flood { wait } => *wait,
        Failure::Token => TOKEN_PAUSE,
        Failure::Conflict(_) => CONFLICT_PAUSE,
        Failure::Forbidden(_)
        | Failure::Refused { .. }
        | Failure::Down(_)
        | Failure::Unreachable(_)
        | Failure::Unreadable(_) => {
            let now = *pause;
            *pause = (now * 2).min(LONGEST_PAUSE);
            now
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use axum::routing::post;
    use axum::{Json, Router};
    use serde_json::json;

    use super::*;
    use crate::store::tests::{fill_disk, store};

    /// What Telegram has in this test.
    const UPDATES: i64 = 250;

    #[tokio::test]
    async fn a_full_disk_stands_in_nobodys_way_and_loses_nothing() {
        let (_room, store) = store().await;
        let queue = Queue::open(store.clone(), Duration::from_secs(3_600)).await.unwrap();
        let confirmed = Arc::new(AtomicI64::new(0));
        let api = Api::new(&telegram(Arc::clone(&confirmed)).await, None, "42:abc").unwrap();
        fill_disk(&store, true).await;
        let (out, mut polls) = mpsc::channel(1);
        let polling = tokio::spawn(poll(api, Duration::from_secs(1), out, Some(queue.clone())));
        let mut most = async |enough: &dyn Fn(i64) -> bool| {
            timeout(Duration::from_secs(20), async {
                loop {
                    let polled = polls.recv().await.unwrap();
                    assert!(matches!(polled, Poll::Batch(_)));
                    if enough(confirmed.load(Ordering::Relaxed)) {
                        return;
                    }
                }
            })
            .await
            .expect("Telegram is asked for more")
        };
        most(&|offset| offset == 201).await;
        for _ in 0..3 {
            most(&|offset| {
                assert_eq!(offset, 201, "what Telegram can keep it keeps");
                true
            })
            .await;
        }
        assert!(queue.is_holding() && store.count_news().await.unwrap() == 0);
        fill_disk(&store, false).await;
        most(&|offset| offset == UPDATES + 1).await;
        polling.abort();
        assert!(!queue.is_holding());
        let kept = store.first_news(u8::MAX).await.unwrap();
        assert_eq!(
            kept.into_iter().map(|(number, _)| number).collect::<Vec<_>>(),
            (1..=UPDATES).collect::<Vec<_>>()
        );
    }

    /// A Telegram of 250 messages; tells to what offset it was asked.
    async fn telegram(confirmed: Arc<AtomicI64>) -> String {
        let updates = async move |Json(asked): Json<Value>| {
            let offset = asked["offset"].as_i64().unwrap_or(1);
            confirmed.store(offset, Ordering::Relaxed);
            if offset > UPDATES {
                sleep(TAKING_IN).await;
            }
            let all = (offset..=UPDATES).take(usize::from(MOST));
            let all: Vec<_> = all.map(|update| json!({"update_id": update, "poll": {"id": "1"}})).collect();
            Json(json!({"ok": true, "result": all}))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/bot42:abc/{method}", post(updates));
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    #[test]
    fn an_update_that_nobody_can_read_is_confirmed_with_the_others() {
        let updates = vec![json!({"update_id": 5, "new": {}}), json!("nonsense"), json!({"update_id": 9})];
        assert_eq!(sort(updates), (Some(10), Vec::new()));
        assert_eq!(sort(Vec::new()), (None, Vec::new()));
    }

    #[test]
    fn pauses_begin_short_and_telegrams_own_word_counts() {
        let mut pause = FIRST_PAUSE;
        let mut after = |failure: Failure| rest(&failure, &mut pause).as_millis();
        let down: Vec<_> = (0..9).map(|_| after(Failure::Down(502))).collect();
        assert_eq!(down, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(after(Failure::Flood { wait: Duration::from_secs(3) }), 3_000);
    }

    #[tokio::test]
    async fn an_update_is_taken_in_when_the_last_hand_lets_go() {
        let (open, taken) = Open::new();
        let second = open.clone();
        drop(open);
        let waits = tokio::spawn(taken.wait(TAKING_IN));
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        drop(second);
        assert!(waits.await.unwrap());
    }

    #[tokio::test]
    async fn what_is_held_too_long_holds_nobody_else_up() {
        let (_open, taken) = Open::new();
        assert!(!taken.wait(Duration::from_millis(1)).await);
    }
}
