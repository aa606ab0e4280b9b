//! One side of a call as a stream without holes: RTP packets of Opus put where they belong, and silence where there is
//! nothing.

use std::time::Duration;

use super::Writer;
use crate::comfort::Silent;
use crate::opus::Shape;

const CLOCK_HZ: u64 = 48_000;
/// Packets wait so long for those that they overtook, in samples.
const HOLD: u64 = CLOCK_HZ / 5;
/// Silence is written when nothing came for so long, in samples: what came later may still be on its way here.
const LAG: u64 = CLOCK_HZ / 2;
/// Packets that wait at most.
const MOST_WAITING: usize = 32;
/// Steps of a timestamp that are believed.
const LEAP: i64 = 5 * CLOCK_HZ as i64;
/// How far a timestamp may lead away from when its packet came.
const ASTRAY: u64 = CLOCK_HZ;
/// A packet that comes so much too late is left out.
const OVERLAP: u64 = 60 * CLOCK_HZ / 1000;
/// A hole up to this long is for the decoder to conceal (RFC 7845 section 4.1); a longer one is silence.
const CONCEALED: u64 = CLOCK_HZ / 10;

/// Writes the sound of one side.
#[derive(Debug)]
pub struct Track {
    writer: Writer,
    /// Source, timestamp and place of the newest packet.
    newest: Option<(u32, u32, u64)>,
    waiting: Vec<Waiting>,
    /// What is left out: packets that came twice or far too late.
    dropped: u64,
}

#[derive(Debug)]
struct Waiting {
    at: u64,
    shape: Shape,
    payload: Vec<u8>,
}

impl Track {
    /// A track of this stream.
    pub fn new(writer: Writer) -> Self {
        Self { writer, newest: None, waiting: Vec::new(), dropped: 0 }
    }

    /// Takes a packet that came so long after the recording's beginning; pages that are full are appended to `out`.
    pub fn put(&mut self, came: Duration, ssrc: u32, timestamp: u32, payload: &[u8], out: &mut Vec<u8>) {
        let Some(shape) = Shape::read(payload).filter(|shape| shape.ticks() > 0) else {
            self.dropped += 1;
            return;
        };
        let came = samples(came).saturating_sub(shape.ticks().into());
        let by_timestamp = self.newest.and_then(|(source, last, at)| {
            let step = i64::from(timestamp.wrapping_sub(last) as i32);
            let is_believed = source == ssrc && step.abs() <= LEAP;
            at.checked_add_signed(step).filter(|at| is_believed && at.abs_diff(came) <= ASTRAY)
        });
        let at = by_timestamp.unwrap_or(came);
        if self
            .newest
            .is_none_or(|(source, _, newest)| at > newest || source != ssrc || by_timestamp.is_none())
        {
            self.newest = Some((ssrc, timestamp, at));
        }
        let place = self.waiting.partition_point(|waiting| waiting.at < at);
        if self.waiting.get(place).is_some_and(|waiting| waiting.at == at) {
            self.dropped += 1;
            return;
        }
        self.waiting.insert(place, Waiting { at, shape, payload: payload.to_vec() });
        let last = self.waiting.last().map_or(0, |waiting| waiting.at);
        let ripe = self.waiting.partition_point(|waiting| waiting.at + HOLD <= last);
        let ripe = ripe.max(self.waiting.len().saturating_sub(MOST_WAITING));
        self.settle(ripe, out);
    }

    /// Appends what came up to a moment ago, and silence where nothing did.
    pub fn flush(&mut self, now: Duration, out: &mut Vec<u8>) {
        let now = samples(now);
        let ripe = self.waiting.partition_point(|waiting| waiting.at + HOLD < now);
        self.settle(ripe, out);
        if self.waiting.is_empty() {
            self.fill(now.saturating_sub(LAG), None, out);
        }
        self.writer.flush(out);
    }

    /// Ends the stream, which lasted so long, with what waits.
    pub fn end(&mut self, lasted: Duration, out: &mut Vec<u8>) {
        self.settle(self.waiting.len(), out);
        self.fill(samples(lasted), None, out);
        self.writer.end(out);
    }

    /// How much sound is written, in samples at 48 kHz.
    pub fn samples(&self) -> u64 {
        self.writer.samples()
    }

    /// Packets that were left out.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn settle(&mut self, count: usize, out: &mut Vec<u8>) {
        let mut waiting = std::mem::take(&mut self.waiting);
        for Waiting { at, shape, payload } in waiting.drain(..count) {
            if at + OVERLAP < self.writer.samples() {
                self.dropped += 1;
                continue;
            }
            self.fill(at, payload.first().copied(), out);
            self.writer.push(&payload, shape.ticks(), out);
        }
        self.waiting = waiting;
    }

    /// Fills the hole up to a place: packets that ask for concealment where it is short, as the next packet's, silence
    /// else.
    fn fill(&mut self, until: u64, next: Option<u8>, out: &mut Vec<u8>) {
        let hole = until.saturating_sub(self.writer.samples());
        let lost = next.map(|toc| [toc & !0b11]);
        let frame = lost.and_then(|lost| Shape::read(&lost)).map_or(0, |shape| u64::from(shape.ticks()));
        if let Some(lost) = lost.filter(|_| frame > 0 && hole <= CONCEALED && self.writer.samples() > 0) {
            for _ in 0..hole / frame {
                self.writer.push(&lost, frame as u32, out);
            }
        }
        for ptime_ms in [60, 20, 10] {
            let silent = Silent::new(ptime_ms);
            let samples = silent.lasts_ms * (CLOCK_HZ as u32 / 1000);
            while until.saturating_sub(self.writer.samples()) >= u64::from(samples) {
                self.writer.push(silent.payload(), samples, out);
            }
        }
    }
}

fn samples(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX / CLOCK_HZ) * (CLOCK_HZ / 1000) / 1000
}

#[cfg(test)]
mod tests {
    use super::super::{Packet, packets};
    use super::*;

    /// CELT, full band, mono, 20 ms, with a mark.
    fn packet(mark: u8) -> Vec<u8> {
        vec![31 << 3, mark, mark]
    }

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn packets_stand_where_their_timestamps_say_and_overtakers_wait() {
        let (mut track, mut out) = track();
        for at in [0_u32, 1, 3, 2, 5, 4, 4, 6] {
            track.put(MS(20 + 20 * u64::from(at)), 1, 9_000 + at * 960, &packet(at as u8), &mut out);
        }
        track.end(Duration::ZERO, &mut out);
        let marks: Vec<u8> = packets(&out).map(|packet| packet.payload[1]).collect();
        assert_eq!((marks, track.dropped()), (vec![0, 1, 2, 3, 4, 5, 6], 1));
    }

    #[test]
    fn a_lost_packet_is_concealed_and_a_pause_is_silence() {
        let (mut track, mut out) = track();
        track.put(MS(1_020), 1, 0, &packet(1), &mut out);
        track.put(MS(1_060), 1, 1_920, &packet(2), &mut out);
        track.put(MS(3_060), 1, 1_920 + 96_000, &packet(3), &mut out);
        track.end(Duration::ZERO, &mut out);
        let found: Vec<Packet> = packets(&out).collect();
        let at = |mark: u8| found.iter().find(|packet| packet.payload == self::packet(mark)).unwrap().at;
        assert_eq!((at(1), at(2), at(3)), (48_000, 48_000 + 1_920, 48_000 + 1_920 + 96_000));
        let concealed: Vec<u64> =
            found.iter().filter(|packet| packet.payload.len() == 1).map(|packet| packet.at).collect();
        assert_eq!(concealed, [48_000 + 960]);
        assert!(found.iter().map(|packet| packet.at).is_sorted());
    }

    #[test]
    fn another_source_or_a_wild_timestamp_is_placed_by_its_coming() {
        let (mut track, mut out) = track();
        track.put(MS(20), 1, 500, &packet(1), &mut out);
        track.put(MS(520), 2, 7, &packet(2), &mut out);
        track.put(MS(1_020), 2, 7 + 3_000_000_000, &packet(3), &mut out);
        track.put(MS(1_040), 2, 7 + 3_000_000_000 + 960, &packet(4), &mut out);
        // The sender's clock stood still meanwhile.
        track.put(MS(9_040), 2, 7 + 3_000_000_000 + 1_920, &packet(5), &mut out);
        track.end(Duration::ZERO, &mut out);
        let places: Vec<(u8, u64)> = packets(&out)
            .filter(|packet| packet.payload.len() == 3 && packet.payload[1] < 9)
            .map(|packet| (packet.payload[1], packet.at / 480))
            .collect();
        assert_eq!(places, [(1, 0), (2, 50), (3, 100), (4, 102), (5, 902)]);
    }

    #[test]
    fn noise_is_left_out_and_a_flush_brings_the_track_up_to_now() {
        let (mut track, mut out) = track();
        track.put(MS(20), 1, 0, &[], &mut out);
        track.put(MS(20), 1, 0, &[3, 0], &mut out);
        assert_eq!(track.dropped(), 2);
        track.put(MS(20), 1, 0, &packet(1), &mut out);
        track.flush(MS(3_500), &mut out);
        assert_eq!(track.samples(), 3 * 48_000);
        track.put(MS(3_220), 1, 3 * 48_000 + 9_600, &packet(2), &mut out);
        track.end(Duration::ZERO, &mut out);
        assert_eq!(packets(&out).last().unwrap().at, 3 * 48_000 + 9_600);
    }

    fn track() -> (Track, Vec<u8>) {
        let mut out = Vec::new();
        let writer = Writer::begin(1, &[], &mut out);
        (Track::new(writer), out)
    }
}
