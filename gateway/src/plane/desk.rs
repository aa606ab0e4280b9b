//! Room to work in, which a thread lends to the one of its calls that is at work.

use std::cell::Cell;

use tgtrunk_media::Batch;

use super::inbox::{Inbox, SLOTS};
use crate::net::DATAGRAM_BYTES;

/// Room for what one datagram may become: 120 ms of Opus in packets of 10 ms.
const BATCH_PACKETS: usize = 12;

thread_local! {
    static DESK: Cell<Option<Box<Desk>>> = const { Cell::new(None) };
}

/// A thread's room for packets.
pub(crate) struct Desk {
    pub(crate) inbox: Inbox<SLOTS>,
    pub(crate) batch: Batch,
    pub(crate) outgoing: Vec<u8>,
}

impl Desk {
    /// This thread's desk, to be given back.
    pub(crate) fn borrow() -> Box<Self> {
        DESK.take().unwrap_or_else(|| Box::new(Self::new()))
    }

    pub(super) fn new() -> Self {
        Self {
            inbox: Inbox::new(),
            batch: Batch::with_capacity(BATCH_PACKETS, DATAGRAM_BYTES),
            outgoing: Vec::with_capacity(DATAGRAM_BYTES),
        }
    }

    /// Leaves it to the next.
    pub(crate) fn give_back(self: Box<Self>) {
        DESK.set(Some(self));
    }
}
