//! Sequence numbers and timestamps of one stream that we send, whoever's sound it carries (RFC 3550 section 5.1).

use std::time::{Duration, Instant};

use crate::jitter;

/// Where the next packet of a stream stands.
#[derive(Debug)]
pub(crate) struct Numbers {
    clock_hz: u32,
    next_sequence: u16,
    /// Of the newest packet sent, or where the first one begins.
    timestamp: u32,
    /// When the newest packet was sent, and how many ticks it sounds.
    last_sent: Option<(Instant, u32)>,
}

impl Numbers {
    /// Begins somewhere at random.
    pub(crate) fn new(random: u64, clock_hz: u32) -> Self {
        let [a, b, c, d, e, f, ..] = random.to_be_bytes();
        Self {
            clock_hz,
            next_sequence: u16::from_be_bytes([a, b]),
            timestamp: u32::from_be_bytes([c, d, e, f]),
            last_sent: None,
        }
    }

    /// Timestamps count in another clock from the next packet on.
    pub(crate) fn set_clock(&mut self, clock_hz: u32) {
        if clock_hz == self.clock_hz {
            return;
        }
        // What was sent ends in the old clock, and the new one counts from there.
        if let (Some(until), Some((_, sounds))) = (self.sounds_until(), self.last_sent) {
            self.timestamp = self.timestamp.wrapping_add(sounds);
            self.last_sent = Some((until, 0));
        }
        self.clock_hz = clock_hz;
    }

    /// Of the newest packet.
    pub(crate) fn timestamp(&self) -> u32 {
        self.timestamp
    }

    /// Whether anything was sent.
    pub(crate) fn has_begun(&self) -> bool {
        self.last_sent.is_some()
    }

    pub(crate) fn next_sequence(&self) -> u16 {
        self.next_sequence
    }

    /// The timestamp of sound that begins now: as far on as the clock is, and never inside what was sent last.
    pub(crate) fn follows(&self, now: Instant) -> u32 {
        match self.last_sent {
            Some((sent, sounds)) => {
                let quiet = self.ticks(now.saturating_duration_since(sent));
                self.timestamp.wrapping_add(sounds.max(quiet))
            }
            None => self.timestamp,
        }
    }

    /// When the sound of the last packet ends.
    pub(crate) fn sounds_until(&self) -> Option<Instant> {
        self.last_sent.map(|(sent, sounds)| sent + jitter::duration(self.clock_hz, sounds))
    }

    /// Gives out `count` sequence numbers and says which is the first.
    pub(crate) fn take_sequences(&mut self, count: u16) -> u16 {
        let first = self.next_sequence;
        self.next_sequence = first.wrapping_add(count);
        first
    }

    /// Notes the newest packet: its timestamp and how many ticks it sounds.
    pub(crate) fn sent(&mut self, now: Instant, timestamp: u32, ticks: u32) {
        self.timestamp = timestamp;
        self.last_sent = Some((now, ticks));
    }

    /// Notes that the newest packet sounds on.
    pub(crate) fn sounds(&mut self, ticks: u32) {
        if let Some((_, sounds)) = &mut self.last_sent {
            *sounds = ticks;
        }
    }

    /// A time in ticks, taken around as often as it has to be.
    pub(crate) fn ticks(&self, time: Duration) -> u32 {
        jitter::long_ticks(self.clock_hz, time) as u32
    }

    /// The same where more than a wrap is no number at all.
    pub(crate) fn ticks_at_most(&self, time: Duration) -> u32 {
        jitter::ticks(self.clock_hz, time)
    }
}
