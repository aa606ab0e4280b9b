//! How much the whole gateway takes on at once, over all its lines: calls that are up, new ones in a second, and no more than
//! it keeps up with. What comes on top is sent away with 503 and Retry-After, and running calls notice nothing.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tgtrunk_config::{Overload, Trouble};
use tgtrunk_shell::Health;
use tgtrunk_sip::Bucket;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout_at};

use crate::strain::Strain;
use crate::{clock, metrics};

/// So long after calls were sent away it is looked again.
const LOOK: Duration = Duration::from_millis(500);
/// For so long after the last one it is told that calls are sent away.
const TOLD_FOR: Duration = Duration::from_secs(5);

/// What the lines of one gateway share of it.
#[derive(Debug, Clone)]
pub(crate) struct Rush(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most_calls: u32,
    per_second: u32,
    calls: AtomicUsize,
    /// Calls sent away, in the order of [`OVERLOADS`].
    refused: [AtomicU64; 4],
    news: Notify,
    new_calls: Mutex<Bucket>,
    strain: Strain,
}

/// Why calls are sent away, in the words of figures.
const OVERLOADS: [&str; 4] = ["calls", "rate", "lag", "files"];

/// A call that counts; dropped, it counts no more.
#[derive(Debug)]
pub(crate) struct Place(Arc<Inner>);

impl Rush {
    pub(crate) fn new(most_calls: u32, per_second: u32, strain: Strain) -> Self {
        Self(Arc::new(Inner {
            most_calls,
            per_second,
            calls: AtomicUsize::new(0),
            refused: Default::default(),
            news: Notify::new(),
            new_calls: Mutex::new(Bucket::new(per_second)),
            strain,
        }))
    }

    /// A place for one more call of a PBX; none where there is too much to do.
    pub(crate) fn admit(&self, now: Instant) -> Option<Place> {
        let inner = &self.0;
        let why = inner.overload().or_else(|| (!inner.takes_another(now)).then(|| inner.rate()));
        if let Some(why) = why {
            self.refuse(why);
            return None;
        }
        Some(self.place())
    }

    /// A place for a call that nobody asks whether there is room for.
    pub(crate) fn place(&self) -> Place {
        self.0.strain.takes_descriptors();
        self.place_of_record()
    }

    /// A place for what only keeps a record.
    pub(crate) fn place_of_record(&self) -> Place {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        self.0.strain.begin();
        Place(Arc::clone(&self.0))
    }

    /// Why no call finds room now, wherever it comes from.
    pub(crate) fn overload(&self) -> Option<Overload> {
        self.0.overload()
    }

    /// Whether no call finds room now.
    pub(crate) fn is_full(&self) -> bool {
        self.overload().is_some()
    }

    /// Counts a call that was sent away.
    pub(crate) fn refuse(&self, why: Overload) {
        self.0.refused[index(why)].fetch_add(1, Ordering::Relaxed);
        self.0.news.notify_one();
    }

    /// Tells whoever looks, as long as it goes on, that calls are sent away and why. Ends never.
    pub(crate) async fn tell(self, health: Health) {
        let (mut known, mut told) = (self.counts(), None::<(usize, Instant)>);
        loop {
            // The first time whoever collects figures has begun by then.
            sleep(LOOK).await;
            self.publish();
            match told {
                Some((_, until)) => drop(timeout_at(until.into(), self.0.news.notified()).await),
                None => self.0.news.notified().await,
            }
            let (now, counts) = (clock::now(), self.counts());
            let is_new = |at: &usize| counts[*at] > known[*at];
            // What was told before goes first: of two reasons at once nobody is told in turns.
            let before = told.map(|(at, _)| at).into_iter();
            let news = before.chain(0..OVERLOADS.len()).find(is_new);
            known = counts;
            if let Some(at) = news {
                health.note("overload", Some(Trouble::Overloaded(self.overload_at(at))));
                told = Some((at, now + TOLD_FOR));
            } else if told.take_if(|(_, until)| *until <= now).is_some() {
                health.note("overload", None);
            }
        }
    }

    fn publish(&self) {
        OVERLOADS.into_iter().zip(self.counts()).for_each(|(why, count)| metrics::overload(why, count));
    }

    fn counts(&self) -> [u64; 4] {
        std::array::from_fn(|at| self.0.refused[at].load(Ordering::Relaxed))
    }

    fn overload_at(&self, at: usize) -> Overload {
        let all = [Overload::Calls(self.0.most_calls), self.0.rate(), Overload::Lag, Overload::Files];
        all[at]
    }
}

fn index(why: Overload) -> usize {
    match why {
        Overload::Calls(_) => 0,
        Overload::Rate(_) => 1,
        Overload::Lag => 2,
        Overload::Files => 3,
    }
}

impl Inner {
    fn overload(&self) -> Option<Overload> {
        if self.calls.load(Ordering::Relaxed) >= self.most_calls as usize {
            return Some(Overload::Calls(self.most_calls));
        }
        self.strain.overload()
    }

    fn rate(&self) -> Overload {
        Overload::Rate(self.per_second)
    }

    fn takes_another(&self, now: Instant) -> bool {
        self.new_calls.lock().unwrap_or_else(PoisonError::into_inner).admit(now)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
        self.0.strain.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_while_they_last_and_no_more_than_the_limit_get_in() {
        let (rush, now) = (Rush::new(3, 1000, Strain::none()), clock::now());
        let mut places: Vec<_> = (0..5).filter_map(|_| rush.admit(now)).collect();
        assert_eq!((places.len(), rush.counts(), rush.is_full()), (3, [2, 0, 0, 0], true));
        assert_eq!(rush.overload(), Some(Overload::Calls(3)));
        places.pop();
        assert!(!rush.is_full());
        assert!(rush.admit(now).is_some());
    }

    #[test]
    fn a_crowd_gets_in_as_fast_as_the_rate_says() {
        let (rush, start) = (Rush::new(10_000, 10, Strain::none()), clock::now());
        let admitted = |at| (0..100).filter_map(|_| rush.admit(at)).count();
        assert_eq!(admitted(start), 20);
        assert_eq!(admitted(start + Duration::from_secs(1)), 10);
        assert_eq!(rush.counts(), [0, 170, 0, 0]);
    }
}
