//! Keys on their way to a peer as RTP events (RFC 4733 sections 2.3 and 2.5.1).
//!
//! A packet goes out each packet time: the first with the marker, all with the timestamp of the tone's begin and the
//! duration up to the packet's own end, as a packet of sound would cover it; the last three times with the end bit.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Digit, Format, LONGEST, SHORTEST};

/// How many keys may wait.
const QUEUE: usize = 256;
/// The end of an event goes out this often, one packet time apart (RFC 4733 section 2.5.1.4).
const ENDS: u8 = 3;
/// The longest duration that one event can state (RFC 4733 section 2.3.5).
const SEGMENT_TICKS: u32 = 0xffff;
/// What a packet time is held within, whatever was agreed.
const PTIMES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(60));

/// Loudness as an event states it: so many dB below 0 dBm0, 0 to 63 (RFC 4733 section 2.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume(pub u8);

impl Default for Volume {
    /// What most telephones say.
    fn default() -> Self {
        Self(10)
    }
}

/// What a packet of one event carries; sequence number, source and payload type are those of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventPacket {
    /// Set on the first packet of a key.
    pub marker: bool,
    /// When the tone, or its segment, began.
    pub timestamp: u32,
    /// Event, end bit and volume, duration.
    pub payload: [u8; 4],
}

/// Too many keys wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{QUEUE} digits wait to be sent")]
pub struct QueueFull;

/// Sends keys to one peer, one after the other.
#[derive(Debug)]
pub struct Sender {
    format: Format,
    ptime: Duration,
    waiting: VecDeque<Key>,
    /// When the next key may begin, if one waits or the last one's pause runs.
    free: Option<Instant>,
    event: Option<Event>,
    packets: VecDeque<EventPacket>,
    volume: Volume,
}

#[derive(Debug, Clone, Copy)]
struct Key {
    digit: Digit,
    tone: Duration,
    pause: Duration,
}

/// The key whose packets are being sent.
#[derive(Debug)]
struct Event {
    key: Key,
    clock_hz: u32,
    ptime: Duration,
    begin: Instant,
    /// When the next packet is due: a whole number of packet times after `begin`.
    due: Instant,
    /// Whether nothing went out yet.
    first: bool,
    /// Timestamp of the segment, and the ticks of the tone before it.
    timestamp: u32,
    past_ticks: u32,
    ends_left: u8,
}

impl Sender {
    /// A sender with nothing to send. `ptime` is the stream's packet time.
    pub fn new(format: Format, ptime: Duration) -> Self {
        Self {
            format,
            ptime: ptime.clamp(PTIMES.0, PTIMES.1),
            waiting: VecDeque::new(),
            free: None,
            event: None,
            packets: VecDeque::new(),
            volume: Volume::default(),
        }
    }

    /// What was agreed anew. A key that sounds already ends as it began.
    pub fn set_format(&mut self, format: Format, ptime: Duration) {
        self.format = format;
        self.ptime = ptime.clamp(PTIMES.0, PTIMES.1);
    }

    /// Appends a key to the queue; the first begins at once. `tone` and `pause` are held within
    /// [`SHORTEST`] and [`LONGEST`].
    ///
    /// # Errors
    /// [`QueueFull`] takes nothing.
    pub fn push(
        &mut self,
        now: Instant,
        digit: Digit,
        tone: Duration,
        pause: Duration,
    ) -> Result<(), QueueFull> {
        if self.waiting.len() >= QUEUE {
            return Err(QueueFull);
        }
        let (tone, pause) = (tone.clamp(SHORTEST, LONGEST), pause.clamp(SHORTEST, LONGEST));
        self.waiting.push_back(Key { digit, tone, pause });
        if self.event.is_none() {
            self.free.get_or_insert(now);
        }
        Ok(())
    }

    /// Forgets the keys that wait; one that sounds ends as it was meant to.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// How many more digits may wait.
    pub fn room(&self) -> usize {
        QUEUE.saturating_sub(self.waiting.len())
    }

    /// Whether a key waits, sounds, or has its pause after it.
    pub fn is_active(&self) -> bool {
        self.free.is_some() || self.event.is_some() || !self.packets.is_empty()
    }

    /// Whether events take the place of sound now: from a key's first packet to its last end.
    pub fn is_sounding(&self) -> bool {
        self.event.is_some() || !self.packets.is_empty()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.event.as_ref().map(|event| event.due).or(self.free)
    }

    /// Makes the packets that are due. `timestamp` is what a packet of sound sent now would carry, in ticks of the
    /// event's clock; a key that begins now takes it.
    pub fn handle_timeout(&mut self, now: Instant, timestamp: u32) {
        if let Some(mut event) = self.event.take_if(|event| event.due <= now) {
            event.send(now, self.volume, &mut self.packets);
            if event.ends_left > 0 {
                self.event = Some(event);
            } else {
                // Never before the last end had its own packet time.
                self.free = Some(event.due.max(event.begin + event.key.tone + event.key.pause));
            }
        }
        if self.event.is_none() && self.free.is_some_and(|free| free <= now) {
            self.free = None;
            if let Some(key) = self.waiting.pop_front() {
                let mut event = Event::new(now, key, self.format.clock_hz, self.ptime, timestamp);
                event.send(now, self.volume, &mut self.packets);
                self.event = Some(event);
            }
        }
    }

    /// The next packet to send now.
    pub fn poll_packet(&mut self) -> Option<EventPacket> {
        self.packets.pop_front()
    }
}

impl Event {
    fn new(begin: Instant, key: Key, clock_hz: u32, ptime: Duration, timestamp: u32) -> Self {
        Self {
            key,
            clock_hz,
            ptime,
            begin,
            due: begin,
            first: true,
            timestamp,
            past_ticks: 0,
            ends_left: ENDS,
        }
    }

    fn send(&mut self, now: Instant, volume: Volume, out: &mut VecDeque<EventPacket>) {
        // After a late wake-up one packet says what the missed ones would have said.
        while self.due <= now {
            self.due += self.ptime;
        }
        let covered = self.due.saturating_duration_since(self.begin);
        let ends = covered >= self.key.tone;
        let ticks = ticks(covered.min(self.key.tone), self.clock_hz);
        while ticks - self.past_ticks > SEGMENT_TICKS {
            out.push_back(self.packet(false, SEGMENT_TICKS as u16, volume));
            self.past_ticks += SEGMENT_TICKS;
            self.timestamp = self.timestamp.wrapping_add(SEGMENT_TICKS);
        }
        out.push_back(self.packet(ends, (ticks - self.past_ticks) as u16, volume));
        if ends {
            self.ends_left -= 1;
        }
    }

    fn packet(&mut self, end: bool, duration: u16, volume: Volume) -> EventPacket {
        let [high, low] = duration.to_be_bytes();
        let flags = u8::from(end) << 7 | volume.0.min(63);
        EventPacket {
            marker: std::mem::take(&mut self.first),
            timestamp: self.timestamp,
            payload: [self.key.digit.event_code(), flags, high, low],
        }
    }
}

fn ticks(time: Duration, clock_hz: u32) -> u32 {
    let ticks = time.as_micros() * u128::from(clock_hz) / 1_000_000;
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PTIME: Duration = Duration::from_millis(20);

    #[test]
    fn a_key_is_sent_with_rising_durations_and_three_ends() {
        let mut line = Line::new(8000);
        line.push('5', 100, 60);
        line.run(300);
        let sent: Vec<_> =
            line.sent.iter().map(|(at, packet)| (*at, packet.marker, packet.payload)).collect();
        let expected = [
            (0, true, [5, 10, 0, 160]),
            (20, false, [5, 10, 1, 64]),
            (40, false, [5, 10, 1, 224]),
            (60, false, [5, 10, 2, 128]),
            (80, false, [5, 0x8a, 3, 32]),
            (100, false, [5, 0x8a, 3, 32]),
            (120, false, [5, 0x8a, 3, 32]),
        ];
        assert_eq!(sent, expected);
        assert!(line.sent.iter().all(|(_, packet)| packet.timestamp == Line::TIMESTAMP));
        assert!(!line.sender.is_active());
        assert_eq!(line.sender.poll_timeout(), None);
    }

    #[test]
    fn durations_are_exact_in_the_events_clock_whatever_the_packet_time() {
        for clock_hz in [8000, 16_000, 48_000] {
            for (tone_ms, ptime_ms) in [(40, 20), (85, 20), (99, 30), (160, 60), (1000, 10)] {
                let mut line = Line::new(clock_hz);
                line.sender.set_format(format(clock_hz), Duration::from_millis(ptime_ms));
                line.push('#', tone_ms, 50);
                line.run(1500);
                let ends: Vec<_> =
                    line.sent.iter().filter(|(_, packet)| packet.payload[1] & 0x80 != 0).collect();
                assert_eq!(ends.len(), 3, "{tone_ms} ms in {clock_hz} Hz");
                for (_, packet) in ends {
                    assert_eq!(u64::from(duration(packet)), tone_ms * u64::from(clock_hz) / 1000);
                }
            }
        }
    }

    #[test]
    fn keys_wait_for_each_other_and_for_their_pauses() {
        let mut line = Line::new(8000);
        for letter in "12*".chars() {
            line.push(letter, 80, 70);
        }
        line.run(1000);
        let begins: Vec<_> = line
            .sent
            .iter()
            .filter(|(_, packet)| packet.marker)
            .map(|(at, packet)| (*at, packet.payload[0], packet.timestamp.wrapping_sub(Line::TIMESTAMP)))
            .collect();
        assert_eq!(begins, [(0, 1, 0), (150, 2, 1200), (300, 10, 2400)]);
        assert_eq!(line.sent.len(), 18);
    }

    #[test]
    fn the_last_end_is_out_before_the_next_key_begins_however_short_the_pause() {
        let mut line = Line::new(8000);
        line.sender.set_format(format(8000), Duration::from_millis(60));
        line.push('1', 40, 0);
        line.push('2', 40, 0);
        line.run(1000);
        let codes: Vec<_> = line.sent.iter().map(|(at, packet)| (*at, packet.payload[0])).collect();
        assert_eq!(codes, [(0, 1), (60, 1), (120, 1), (180, 2), (240, 2), (300, 2)]);
        assert!(line.sent[0].1.marker && line.sent[0].1.payload[1] & 0x80 != 0, "first and last at once");
    }

    #[test]
    fn a_key_held_longer_than_the_field_counts_goes_on_in_a_segment_without_marker_or_end() {
        let mut line = Line::new(48_000);
        line.push('7', 3000, 50);
        line.run(4000);
        let markers = line.sent.iter().filter(|(_, packet)| packet.marker).count();
        assert_eq!(markers, 1);
        let mut segments: Vec<(u32, u16, bool)> = Vec::new();
        for (_, packet) in &line.sent {
            let begin = packet.timestamp.wrapping_sub(Line::TIMESTAMP);
            let end = packet.payload[1] & 0x80 != 0;
            match segments.last_mut().filter(|last| last.0 == begin) {
                Some(last) => *last = (begin, duration(packet), end),
                None => segments.push((begin, duration(packet), end)),
            }
        }
        let rest = 3 * 48_000 - 2 * 0xffff;
        assert_eq!(segments, [(0, 0xffff, false), (0xffff, 0xffff, false), (2 * 0xffff, rest as u16, true)]);
    }

    #[test]
    fn a_late_wake_up_neither_lengthens_a_tone_nor_sends_what_was_missed() {
        let mut line = Line::new(8000);
        line.push('9', 100, 50);
        line.sender.handle_timeout(line.begin, 0);
        line.sender.handle_timeout(line.begin + Duration::from_millis(70), 0);
        line.sender.handle_timeout(line.begin + Duration::from_millis(500), 0);
        let sent: Vec<_> =
            std::iter::from_fn(|| line.sender.poll_packet()).map(|sent| sent.payload).collect();
        assert_eq!(sent, [[9, 10, 0, 160], [9, 10, 2, 128], [9, 0x8a, 3, 32]]);
        assert_eq!(line.sender.poll_timeout(), Some(line.begin + Duration::from_millis(520)));
    }

    #[test]
    fn a_queue_that_is_full_takes_no_more_and_one_that_is_cleared_ends_its_key() {
        let mut line = Line::new(8000);
        let digit = Digit::from_char('0').unwrap();
        let pushed =
            (0..1000).take_while(|_| line.sender.push(line.begin, digit, PTIME, PTIME).is_ok()).count();
        assert_eq!(pushed, QUEUE);
        line.run(20);
        line.sender.clear();
        line.run(1000);
        let keys = line.sent.iter().filter(|(_, packet)| packet.marker).count();
        let ends = line.sent.iter().filter(|(_, packet)| packet.payload[1] & 0x80 != 0).count();
        assert_eq!((keys, ends), (1, 3));
    }

    /// A sender whose wake-ups come in time, and what it sent, by milliseconds from the begin.
    struct Line {
        sender: Sender,
        begin: Instant,
        clock_hz: u32,
        sent: Vec<(u64, EventPacket)>,
    }

    impl Line {
        /// So near the end that longer tones wrap it.
        const TIMESTAMP: u32 = u32::MAX - 1000;

        fn new(clock_hz: u32) -> Self {
            let sender = Sender::new(format(clock_hz), PTIME);
            Self { sender, begin: Instant::now(), clock_hz, sent: Vec::new() }
        }

        fn push(&mut self, letter: char, tone_ms: u64, pause_ms: u64) {
            let [tone, pause] = [tone_ms, pause_ms].map(Duration::from_millis);
            self.sender.push(self.begin, Digit::from_char(letter).unwrap(), tone, pause).unwrap();
        }

        fn run(&mut self, until_ms: u64) {
            while let Some(due) = self.sender.poll_timeout() {
                let past = due - self.begin;
                if past > Duration::from_millis(until_ms) {
                    break;
                }
                self.sender.handle_timeout(due, Self::TIMESTAMP.wrapping_add(ticks(past, self.clock_hz)));
                let at = past.as_millis() as u64;
                self.sent.extend(std::iter::from_fn(|| self.sender.poll_packet()).map(|packet| (at, packet)));
            }
        }
    }

    fn duration(packet: &EventPacket) -> u16 {
        u16::from_be_bytes([packet.payload[2], packet.payload[3]])
    }

    fn format(clock_hz: u32) -> Format {
        Format { payload_type: 101, receive_payload_type: 101, clock_hz }
    }
}
