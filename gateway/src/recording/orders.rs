//! The way to the thread that writes recordings: sound waits for it in a queue that has an end, and how a recording ends is
//! always heard, in its turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tgtrunk_config::control::Recording;

use super::files::Place;

/// Orders that may wait for the thread; more are given up.
const ORDERS: usize = 1_024;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum Order {
    Begin { call: u64, place: Place, recording: Recording, stage: Stage },
    Sound { call: u64, buffer: Vec<u8> },
    End { call: u64, lasted: Duration },
}

/// Gives orders. Clones share the queue.
#[derive(Debug, Clone)]
pub(super) struct Orders {
    sender: Sender<Order>,
    waiting: Arc<AtomicUsize>,
}

/// The thread's end.
#[derive(Debug)]
pub(super) struct Given {
    receiver: Receiver<Order>,
    waiting: Arc<AtomicUsize>,
}

/// How far a recording is, for the thread and the call.
#[derive(Debug, Clone, Default)]
pub(super) struct Stage(Arc<AtomicU8>);

/// The same in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its files are not there yet.
    Opening,
    /// They are.
    Open,
    /// Nothing more is written.
    Over,
}

impl Orders {
    pub(super) fn channel() -> (Self, Given) {
        let (sender, receiver) = channel();
        let waiting = Arc::<AtomicUsize>::default();
        (Self { sender, waiting: Arc::clone(&waiting) }, Given { receiver, waiting })
    }

    /// Gives an order to begin, or sound; false where too many wait, or nobody works any more.
    pub(super) fn offer(&self, order: Order) -> bool {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= ORDERS {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        self.sender.send(order).is_ok()
    }

    /// Ends a recording that was begun. No queue is too full for that: there are never more such orders than recordings.
    pub(super) fn end(&self, call: u64, lasted: Duration) {
        self.sender.send(Order::End { call, lasted }).ok();
    }
}

impl Given {
    /// The next order, however long it takes where there is no limit.
    ///
    /// # Errors
    /// When none comes in time, or nobody is left to give any.
    pub(super) fn next(&self, limit: Option<Duration>) -> Result<Order, RecvTimeoutError> {
        let order = match limit {
            Some(limit) => self.receiver.recv_timeout(limit)?,
            None => self.receiver.recv()?,
        };
        if !matches!(order, Order::End { .. }) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(order)
    }
}

impl Stage {
    pub(super) fn open(&self) {
        self.0.store(1, Ordering::Relaxed);
    }

    pub(super) fn over(&self) {
        self.0.store(2, Ordering::Relaxed);
    }

    pub(super) fn standing(&self) -> Standing {
        match self.0.load(Ordering::Relaxed) {
            0 => Standing::Opening,
            1 => Standing::Open,
            2.. => Standing::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_takes_no_sound_any_more_takes_the_end_of_each_recording() {
        let (orders, given) = Orders::channel();
        let sound = || Order::Sound { call: 1, buffer: Vec::new() };
        assert_eq!((0..2_000).filter(|_| orders.offer(sound())).count(), ORDERS);
        orders.end(1, Duration::from_secs(5));
        let next = || given.next(Some(Duration::ZERO));
        for _ in 0..ORDERS {
            assert!(matches!(next(), Ok(Order::Sound { .. })));
        }
        assert!(matches!(next(), Ok(Order::End { call: 1, .. })), "after the sound that came before it");
        assert!(orders.offer(sound()) && next().is_ok());
        drop(orders);
        assert!(matches!(next(), Err(RecvTimeoutError::Disconnected)));
    }
}
