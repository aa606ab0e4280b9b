//! What a far end played and heard in its calls, counted in milliseconds of Opus audio.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Audio payloads kept for analysis, per call.
const KEPT: usize = 2000;

/// Opus that says nothing: what a phone gets while the other side is muted.
const SILENCE: [u8; 3] = [0xf8, 0xff, 0xfe];

/// Of 20 ms at 48 kHz.
const SAMPLES: u32 = 960;

/// One call's audio at one far end.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Milliseconds of Opus audio that left: the sum of the packets' durations.
    pub sent_ms: u64,
    /// Of it, what a bad path lost.
    pub lost_ms: u64,
    /// Packets whose number had come before, and those whose time is not that of their number.
    pub doubled: u64,
    pub misplaced: u64,
    /// Milliseconds of Opus audio that came, comfort silence apart.
    pub received_ms: u64,
    /// Milliseconds of comfort silence that came.
    pub silent_ms: u64,
    /// Packets that came.
    pub packets: u64,
    /// What came, as Opus packets, as many as are kept.
    pub payloads: Vec<Vec<u8>>,
    pub(crate) numbers: Numbers,
}

/// Which numbers came of late: a bit for each of the 64 up to the highest, and the time of number 0.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Numbers {
    highest: Option<u16>,
    bits: u64,
    origin: u32,
}

impl Numbers {
    /// Whether a number had come before, and whether its time is another than that of its number.
    fn take(&mut self, sequence: u16, origin: u32) -> (bool, bool) {
        let Some(highest) = self.highest else {
            *self = Self { highest: Some(sequence), bits: 1, origin };
            return (false, false);
        };
        let ahead = sequence.wrapping_sub(highest) as i16;
        if ahead > 0 {
            self.bits = if ahead < 64 { self.bits << ahead | 1 } else { 1 };
            self.highest = Some(sequence);
            // Numbers of 16 bits begin anew, and times go on.
            if sequence < highest {
                self.origin = self.origin.wrapping_add(SAMPLES << 16);
            }
        } else {
            let bit = 1 << ahead.unsigned_abs().min(63);
            if self.bits & bit != 0 {
                return (true, false);
            }
            self.bits |= bit;
        }
        (false, origin != self.origin)
    }
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

    /// Notes that a bad path lost of what left.
    pub fn lost(&self, call: Call, duration: Duration) {
        self.calls().entry(call).or_default().lost_ms += milliseconds(duration);
    }

    /// Notes number and time of a packet of 20 ms that came.
    pub fn numbered(&self, call: Call, sequence: u16, timestamp: u32) {
        let mut calls = self.calls();
        let heard = calls.entry(call).or_default();
        let origin = timestamp.wrapping_sub(u32::from(sequence) * SAMPLES);
        let (doubled, misplaced) = heard.numbers.take(sequence, origin);
        heard.doubled += u64::from(doubled);
        heard.misplaced += u64::from(misplaced);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_come_twice_and_times_of_other_numbers_are_seen() {
        let ledger = Ledger::default();
        for (sequence, timestamp) in
            [(65_534, 0), (0, 1_920), (65_535, 960), (65_535, 960), (1, 2_880), (2, 5_000)]
        {
            ledger.numbered(1, sequence, timestamp);
        }
        let heard = ledger.of(&1);
        assert_eq!(heard.doubled, 1);
        // The one that was late over the seam, which is nobody's fault, and the one that is wrong.
        assert_eq!(heard.misplaced, 2);
    }
}
