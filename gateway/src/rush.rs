//! How much the whole gateway takes on at once, over all its lines: calls that are up, and new ones in a second. What comes
//! on top is sent away with 503 and Retry-After, and running calls notice nothing.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tgtrunk_sip::Bucket;

/// What the lines of one gateway share of it.
#[derive(Debug, Clone)]
pub(crate) struct Rush(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most_calls: usize,
    calls: AtomicUsize,
    refused: AtomicU64,
    new_calls: Mutex<Bucket>,
}

/// A call that counts; dropped, it counts no more.
#[derive(Debug)]
pub(crate) struct Place(Arc<Inner>);

impl Rush {
    pub(crate) fn new(most_calls: u32, per_second: u32) -> Self {
        Self(Arc::new(Inner {
            most_calls: most_calls as usize,
            calls: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            new_calls: Mutex::new(Bucket::new(per_second)),
        }))
    }

    /// A place for one more call of a PBX; none where there is too much to do.
    pub(crate) fn admit(&self, now: Instant) -> Option<Place> {
        let inner = &self.0;
        let is_free = inner.calls.load(Ordering::Relaxed) < inner.most_calls && inner.takes_another(now);
        if !is_free {
            inner.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.place())
    }

    /// A place for a call that nobody asks whether there is room for.
    pub(crate) fn place(&self) -> Place {
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        Place(Arc::clone(&self.0))
    }

    /// Whether a caller from Telegram finds room.
    pub(crate) fn is_full(&self) -> bool {
        self.0.calls.load(Ordering::Relaxed) >= self.0.most_calls
    }

    /// How many were sent away so far.
    pub(crate) fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn takes_another(&self, now: Instant) -> bool {
        self.new_calls.lock().unwrap_or_else(PoisonError::into_inner).admit(now)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn calls_are_counted_while_they_last_and_no_more_than_the_limit_get_in() {
        let (rush, now) = (Rush::new(3, 1000), clock::now());
        let mut places: Vec<_> = (0..5).filter_map(|_| rush.admit(now)).collect();
        assert_eq!((places.len(), rush.refused(), rush.is_full()), (3, 2, true));
        places.pop();
        assert!(!rush.is_full());
        assert!(rush.admit(now).is_some());
    }

    #[test]
    fn a_crowd_gets_in_as_fast_as_the_rate_says() {
        let (rush, start) = (Rush::new(10_000, 10), clock::now());
        let admitted = |at| (0..100).filter_map(|_| rush.admit(at)).count();
        assert_eq!(admitted(start), 20);
        assert_eq!(admitted(start + Duration::from_secs(1)), 10);
        assert_eq!(rush.refused(), 170);
    }
}
