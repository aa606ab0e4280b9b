//! The handle by which others reach a connection: it wakes it and leaves orders.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// What a connection is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Close with FIN.
    Close,
    /// Close with RST.
    Reset,
    /// Read on, send nothing more.
    BlackHole,
    /// Send a transport error, then close.
    TransportError(i32),
}

/// One connection's mailbox.
#[derive(Debug, Default)]
pub(crate) struct Line {
    wake: Notify,
    orders: Mutex<Option<Order>>,
    halted: AtomicBool,
}

impl Line {
    /// Something waits to be sent.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Leaves an order for when everything queued so far is sent. The first one stands.
    pub(crate) fn order(&self, order: Order) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(order);
        self.wake();
    }

    /// Leaves an order that comes before anything queued.
    pub(crate) fn order_at_once(&self, order: Order) {
        self.halted.store(true, Ordering::Release);
        self.order(order);
    }

    /// Nothing more is to be sent.
    pub(crate) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Acquire)
    }

    /// Waits for the next wake-up.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// The order, once.
    pub(crate) fn take_order(&self) -> Option<Order> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
