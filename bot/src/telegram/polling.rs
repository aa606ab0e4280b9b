//! Updates by long polling (core.telegram.org/bots/api#getupdates).
//!
//! Asking for the next updates confirms the ones before, so the next question waits until those were taken in: a
//! press is taken in when the gateway has it, anything else when it is on the disk. What other programs are told is on the
//! disk before it is confirmed in any case.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::api::Api;
use super::failure::Failure;
use super::news::{self, News};
use crate::clock;
use crate::programs::Queue;

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
    loop {
        let asked = clock::now();
        match api.updates(offset, MOST, wait).await {
            Ok(updates) => {
                pause = FIRST_PAUSE;
                let (quiet, full) = (updates.is_empty(), updates.len() >= usize::from(MOST));
                let others = queue.as_ref().map(|queue| (queue, queue.sort(&updates)));
                let (open, taken) = Open::new();
                let (next, news) = sort(updates);
                if out.send(Poll::Batch(Batch { news, open })).await.is_err() {
                    return;
                }
                let kept = async {
                    match &others {
                        Some((queue, news)) => queue.keep(news).await,
                        None => true,
                    }
                };
                let (_, kept) = tokio::join!(taken.wait(TAKING_IN), kept);
                // Behind a full answer presses would wait for a disk that is full.
                if kept || full {
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
    use serde_json::json;

    use super::*;

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
