//! What Telegram has told and the disk would not take: it waits here in its order, what comes after it waits behind it, and
//! all of it is written down once the disk takes writes again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Notices that wait in memory. No more are read then, and Telegram keeps the rest.
const MOST: usize = 4096;

/// Notices, each with what is still to be written down of it.
#[derive(Debug)]
pub(crate) struct Backlog<N, T> {
    waiting: VecDeque<(N, VecDeque<T>)>,
    pause: Duration,
    again: Instant,
}

impl<N, T: Clone> Backlog<N, T> {
    pub(crate) fn new(now: Instant) -> Self {
        Self { waiting: VecDeque::new(), pause: FIRST_PAUSE, again: now }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < MOST
    }

    /// When the next attempt is due.
    pub(crate) fn again(&self) -> Instant {
        self.again
    }

    pub(crate) fn push(&mut self, notice: N, news: Vec<T>) {
        self.waiting.push_back((notice, news.into()));
    }

    /// Writes down what is due, in its order, until `keep` says that one was not taken; gives those that are down whole.
    pub(crate) async fn work(&mut self, now: Instant, keep: impl AsyncFn(T) -> bool) -> Vec<N> {
        let mut kept = Vec::new();
        if now < self.again {
            return kept;
        }
        while let Some((_, news)) = self.waiting.front_mut() {
            while let Some(one) = news.front() {
                if !keep(one.clone()).await {
                    self.again = now + self.pause;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                    return kept;
                }
                self.pause = FIRST_PAUSE;
                news.pop_front();
            }
            kept.extend(self.waiting.pop_front().map(|(notice, _)| notice));
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[tokio::test]
    async fn what_the_disk_refuses_is_kept_later_in_its_order_and_what_comes_meanwhile_after_it() {
        let mut now = Instant::now();
        let (is_full, written) = (Cell::new(false), RefCell::new(Vec::new()));
        let keep = async |one: u32| {
            // The disk fills in the middle of a notice.
            let is_kept = !is_full.get() && !(one == 3 && written.borrow().len() == 2);
            is_full.set(!is_kept);
            if is_kept {
                written.borrow_mut().push(one);
            }
            is_kept
        };
        let mut backlog = Backlog::new(now);
        backlog.push("first", vec![1]);
        backlog.push("second", vec![2, 3]);
        assert_eq!(backlog.work(now, &keep).await, ["first"]);
        backlog.push("third", vec![4]);
        // Nothing is tried before its time, whatever comes.
        assert_eq!(backlog.work(now, &keep).await, [""; 0]);
        let mut tries = 0;
        while now < backlog.again() && tries < 30 {
            now = backlog.again();
            tries += 1;
            assert_eq!(backlog.work(now, &keep).await, [""; 0]);
        }
        assert_eq!((tries, &*written.borrow()), (30, &vec![1, 2]));
        is_full.set(false);
        written.borrow_mut().push(0);
        now = backlog.again();
        assert_eq!(backlog.work(now, &keep).await, ["second", "third"]);
        assert_eq!(*written.borrow(), [1, 2, 0, 3, 4]);
        assert!(backlog.is_empty());
    }

    #[tokio::test]
    async fn no_more_is_read_than_memory_is_meant_for() {
        let now = Instant::now();
        let mut backlog = Backlog::new(now);
        for number in 0..MOST {
            assert!(backlog.has_room());
            backlog.push(number, vec![()]);
        }
        assert!(!backlog.has_room());
        assert_eq!(backlog.work(now, async |()| true).await.len(), MOST);
        assert!(backlog.has_room());
    }
}
