//! Server transaction for everything but INVITE (RFC 3261 section 17.2.2): our one answer, given again on demand.

use std::time::{Duration, Instant};

use super::timer::PATIENCE;
use crate::hop::Transport;

/// Such a transaction. Every request but INVITE is answered at once, so it begins with its final answer.
#[derive(Debug)]
pub(crate) struct Server {
    answer: Vec<u8>,
    /// Timer J.
    ends_at: Instant,
}

impl Server {
    pub(crate) fn new(now: Instant, answer: Vec<u8>, transport: Transport) -> Self {
        let linger = if transport.is_reliable() { Duration::ZERO } else { PATIENCE };
        Self { answer, ends_at: now + linger }
    }

    /// The answer for a retransmitted request.
    pub(crate) fn again(&self) -> &[u8] {
        &self.answer
    }

    /// When it ends.
    pub(crate) fn deadline(&self) -> Instant {
        self.ends_at
    }
}
