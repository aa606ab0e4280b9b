//! What Telegram has told and the disk would not take: it waits here in its order, what comes after it waits behind it, and
//! all of it is written down once the disk takes writes again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Pauses between attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
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

    /// What is to be written down now, if anything is.
    pub(crate) fn due(&self, now: Instant) -> Option<T> {
        let (_, news) = self.waiting.front().filter(|_| now >= self.again)?;
        news.front().cloned()
    }

    /// What was due is written down.
    pub(crate) fn kept(&mut self) {
        self.pause = FIRST_PAUSE;
        if let Some((_, news)) = self.waiting.front_mut() {
            news.pop_front();
        }
    }

    /// The disk does not take it: nothing is due for a while.
    pub(crate) fn refused(&mut self, now: Instant) {
        self.again = now + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// The next notice of which everything is written down.
    pub(crate) fn next_whole(&mut self) -> Option<N> {
        self.waiting.front().filter(|(_, news)| news.is_empty())?;
        self.waiting.pop_front().map(|(notice, _)| notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes down what is due as long as `keep` says that it is; gives the notices that are whole.
    fn work<N>(backlog: &mut Backlog<N, u32>, now: Instant, mut keep: impl FnMut(u32) -> bool) -> Vec<N> {
        let mut whole = Vec::new();
        loop {
            whole.extend(backlog.next_whole());
            match backlog.due(now) {
                Some(news) if keep(news) => backlog.kept(),
                Some(_) => backlog.refused(now),
                None => match backlog.next_whole() {
                    Some(notice) => whole.push(notice),
                    None => return whole,
                },
            }
        }
    }

    #[test]
    fn what_the_disk_refuses_is_kept_later_in_its_order_and_what_comes_meanwhile_after_it() {
        let mut now = Instant::now();
        let mut written = Vec::new();
        let mut backlog = Backlog::new(now);
        backlog.push("first", vec![1]);
        backlog.push("second", vec![2, 3]);
        // The disk fills in the middle of a notice.
        let until_three = |written: &mut Vec<u32>, news| {
            let is_kept = news != 3;
            if is_kept {
                written.push(news);
            }
            is_kept
        };
        assert_eq!(work(&mut backlog, now, |news| until_three(&mut written, news)), ["first"]);
        backlog.push("third", vec![4]);
        // Nothing is tried before its time, whatever comes.
        assert_eq!(work(&mut backlog, now, |_| panic!("too early")), [""; 0]);
        for _ in 0..30 {
            now = backlog.again();
            assert_eq!(work(&mut backlog, now, |news| until_three(&mut written, news)), [""; 0]);
            assert!(backlog.again() > now && backlog.again() <= now + LONGEST_PAUSE);
        }
        assert_eq!(written, [1, 2]);
        now = backlog.again();
        let taken = |news| {
            written.push(news);
            true
        };
        assert_eq!(work(&mut backlog, now, taken), ["second", "third"]);
        assert_eq!(written, [1, 2, 3, 4]);
        assert!(backlog.is_empty());
    }

    #[test]
    fn no_more_is_read_than_memory_is_meant_for() {
        let now = Instant::now();
        let mut backlog = Backlog::new(now);
        for number in 0..MOST {
            assert!(backlog.has_room());
            backlog.push(number, vec![1]);
        }
        assert!(!backlog.has_room());
        assert_eq!(work(&mut backlog, now, |_| true).len(), MOST);
        assert!(backlog.has_room());
    }
}
