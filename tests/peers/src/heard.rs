//! What a far end played and heard in its calls, counted in milliseconds of Opus audio.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Audio payloads kept for analysis, per call.
const KEPT: usize = 2000;

/// Opus that says nothing: what a phone gets while the other side is muted.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// One call's audio at one far end.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Milliseconds of Opus audio that left: the sum of the packets' durations.
    pub sent_ms: u64,
    /// Milliseconds of Opus audio that came, comfort silence apart.
    pub received_ms: u64,
    /// Milliseconds of comfort silence that came.
    pub silent_ms: u64,
    /// Packets that came.
    pub packets: u64,
    /// What came, as Opus packets, as many as are kept.
    pub payloads: Vec<Vec<u8>>,
}

/// The audio of all calls of a far end, by its own names for them. Copies are handles of the same one.
#[derive(Debug)]
pub struct Ledger<Call>(Arc<Mutex<HashMap<Call, Heard>>>);

impl<Call: Eq + Hash> Ledger<Call> {
    /// What a call played and heard so far.
    pub fn of(&self, call: &Call) -> Heard {
        self.calls().get(call).cloned().unwrap_or_default()
    }

    /// Notes a packet that left.
    pub fn sent(&self, call: Call, duration: Duration) {
        self.calls().entry(call).or_default().sent_ms += milliseconds(duration);
    }

    /// Notes a packet that came.
    pub fn received(&self, call: Call, duration: Duration, payload: &[u8]) {
        let mut calls = self.calls();
        let heard = calls.entry(call).or_default();
        if payload == SILENCE {
            heard.silent_ms += milliseconds(duration);
            return;
        }
        heard.received_ms += milliseconds(duration);
        heard.packets += 1;
        if heard.payloads.len() < KEPT {
            heard.payloads.push(payload.to_vec());
        }
    }

    /// Forgets a call.
    pub fn forget(&self, call: &Call) {
        self.calls().remove(call);
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, HashMap<Call, Heard>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Call> Clone for Ledger<Call> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Call> Default for Ledger<Call> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
