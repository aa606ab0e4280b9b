//! Prepared Opus packets, played in a circle as RTP on a steady beat.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tgtrunk_media::{opus, rtp};

use crate::tone::Generator;

/// Length of a circle: long enough that its seam is rarely heard.
const CIRCLE_MS: usize = 10_000;

/// A tone as Opus packets that may be played in a circle. For hertz that are a multiple of ten the wave has no jump.
///
/// # Errors
/// When libopus fails.
pub fn circle(hz: u32, packet_ms: usize) -> anyhow::Result<Arc<[Vec<u8>]>> {
    let mut generator = Generator::with_packets_of(hz, packet_ms)?;
    (0..CIRCLE_MS / packet_ms).map(|_| generator.packet()).collect()
}

/// One stream of RTP packets.
pub struct Player {
    plays: Arc<[Vec<u8>]>,
    muted: bool,
    next: Option<Instant>,
    played: usize,
    spurt: bool,
    sequence: u16,
    timestamp: u32,
}

impl Player {
    /// A player that begins with [`Player::start`]; its counters begin with the seed's bytes.
    pub fn new(plays: Arc<[Vec<u8>]>, muted: bool, seed: [u8; 32]) -> Self {
        let sequence = u16::from_le_bytes([seed[0], seed[1]]);
        let timestamp = u32::from_le_bytes([seed[2], seed[3], seed[4], seed[5]]);
        Self { plays, muted, next: None, played: 0, spurt: true, sequence, timestamp }
    }

    /// The first packet is due now.
    pub fn start(&mut self, now: Instant) {
        self.next.get_or_insert(now);
    }

    /// No further packet is due.
    pub fn stop(&mut self) {
        self.next = None;
    }

    /// Sends nothing while muted; time goes on.
    pub fn mute(&mut self, muted: bool) {
        self.muted = muted;
    }

    /// When [`Player::packet`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// The packet that is due, unless muted, and how long it sounds.
    pub fn packet(&mut self, now: Instant, payload_type: u8, ssrc: u32) -> Option<(Vec<u8>, Duration)> {
        let due = self.next.filter(|next| *next <= now)?;
        let payload = &self.plays[self.played % self.plays.len()];
        let shape = opus::Shape::read(payload)?;
        let duration = shape.duration();
        // A late wake-up does not shift the beat; a very late one does not cause a burst.
        self.next = Some(if now > due + Duration::from_secs(1) { now } else { due } + duration);
        let timestamp = self.timestamp;
        self.timestamp = timestamp.wrapping_add(shape.ticks());
        self.played += 1;
        if self.muted {
            self.spurt = true;
            return None;
        }
        let (marker, sequence) = (std::mem::take(&mut self.spurt), self.sequence);
        self.sequence = sequence.wrapping_add(1);
        let mut packet = Vec::with_capacity(rtp::HEADER_BYTES + payload.len() + 16);
        rtp::Packet { marker, payload_type, sequence, timestamp, ssrc, payload }.write(&mut packet);
        Some((packet, duration))
    }
}
