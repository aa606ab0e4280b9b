//! What a call's task does to be recorded: it copies packets into a buffer, and hands that over now and then.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tgtrunk_media::Side;
use tgtrunk_media::rtp::Packet;

use super::Shared;
use super::orders::{Order, Orders, Stage, Standing};

/// A buffer is handed over after this time: so much is lost in a kill, and what the writer has not put into a page.
const HAND_OVER: Duration = Duration::from_millis(200);
/// Or when it holds so many bytes.
const FULL_BYTES: usize = 8_192;
/// Buffers that are kept for later.
const KEPT: usize = 256;

/// Buffers that were written and wait for new sound.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

impl Pool {
    fn take(&self) -> Vec<u8> {
        let kept = self.0.try_lock().ok().and_then(|mut kept| kept.pop());
        kept.unwrap_or_else(|| Vec::with_capacity(2 * FULL_BYTES))
    }

    pub(super) fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        if let Ok(mut kept) = self.0.lock()
            && kept.len() < KEPT
        {
            kept.push(buffer);
        }
    }
}

/// One call's way to its recording. Dropped, it ends it.
#[derive(Debug)]
pub(crate) struct Tap {
    call: u64,
    began: Instant,
    buffer: Vec<u8>,
    since: Option<Instant>,
    orders: Orders,
    pool: Pool,
    shared: Arc<Shared>,
    stage: Stage,
}

/// One packet in a buffer: when it came, whose it is, its numbers, and its payload.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Since the recording began.
    pub(super) came: Duration,
    pub(super) side: Side,
    pub(super) ssrc: u32,
    pub(super) timestamp: u32,
    pub(super) payload: &'a [u8],
}

const HEADER_BYTES: usize = 19;

impl Piece<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        let came_us = u64::try_from(self.came.as_micros()).unwrap_or(u64::MAX);
        out.extend_from_slice(&came_us.to_le_bytes());
        out.push(u8::from(self.side == Side::Telegram));
        out.extend_from_slice(&self.ssrc.to_le_bytes());
        out.extend_from_slice(&self.timestamp.to_le_bytes());
        out.extend_from_slice(&u16::try_from(self.payload.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(self.payload);
    }
}

/// The packets of a buffer.
pub(super) fn pieces(mut buffer: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    std::iter::from_fn(move || {
        let (header, rest) = buffer.split_first_chunk::<HEADER_BYTES>()?;
        let word = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
        let came_us = u64::from_le_bytes(header[..8].try_into().ok()?);
        let (payload, rest) =
            rest.split_at_checked(usize::from(u16::from_le_bytes([header[17], header[18]])))?;
        buffer = rest;
        Some(Piece {
            came: Duration::from_micros(came_us),
            side: if header[8] == 1 { Side::Telegram } else { Side::Trunk },
            ssrc: word(9)?,
            timestamp: word(13)?,
            payload,
        })
    })
}

impl Tap {
    pub(super) fn new(
        call: u64,
        began: Instant,
        (orders, pool, shared): (Orders, Pool, Arc<Shared>),
        stage: Stage,
    ) -> Self {
        let buffer = pool.take();
        Self { call, began, buffer, since: None, orders, pool, shared, stage }
    }

    /// How far the recording is.
    pub(crate) fn standing(&self) -> Standing {
        self.stage.standing()
    }

    /// Whether nothing more is recorded: the disk became full meanwhile, or cannot be written.
    pub(crate) fn is_over(&self) -> bool {
        self.standing() == Standing::Over
    }

    /// Takes an RTP packet of one side's sound.
    pub(crate) fn take(&mut self, now: Instant, side: Side, rtp: &[u8]) {
        let Ok(packet) = Packet::read(rtp) else { return };
        if packet.payload.is_empty() || packet.payload.len() > usize::from(u16::MAX) {
            return;
        }
        let came = now.saturating_duration_since(self.began);
        let (ssrc, timestamp, payload) = (packet.ssrc, packet.timestamp, packet.payload);
        Piece { came, side, ssrc, timestamp, payload }.write(&mut self.buffer);
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= HAND_OVER || self.buffer.len() >= FULL_BYTES {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        if self.since.take().is_none() {
            return;
        }
        let buffer = std::mem::replace(&mut self.buffer, self.pool.take());
        let order = Order::Sound { call: self.call, buffer };
        if !self.orders.offer(order) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.hand_over();
        let lasted = crate::clock::now().saturating_duration_since(self.began);
        self.orders.end(self.call, lasted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_read_back_from_a_buffer_and_a_cut_one_is_left_out() {
        let piece = |came_ms, side, payload| Piece {
            came: Duration::from_millis(came_ms),
            side,
            ssrc: 0xdead_beef,
            timestamp: u32::MAX,
            payload,
        };
        let sent = [piece(20, Side::Telegram, &b"one"[..]), piece(40, Side::Trunk, b"two")];
        let mut buffer = Vec::new();
        sent.iter().for_each(|piece| piece.write(&mut buffer));
        assert_eq!(pieces(&buffer).collect::<Vec<_>>(), sent);
        for length in 0..buffer.len() {
            assert_eq!(pieces(&buffer[..length]).count(), usize::from(length >= HEADER_BYTES + 3));
        }
    }
}
