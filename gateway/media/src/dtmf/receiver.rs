//! Keys that a peer presses, out of its RTP events (RFC 4733 sections 2.3 and 2.5.2).
//!
//! A key is told once, when it is released: by the first packet with the end bit, else by the next key, else by
//! silence. Repeated, late and lost packets, segments of long tones (section 2.5.1.3), and peers that count durations
//! in another clock or move the timestamp along with the tone do not change that.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Digit, Format, LONGEST, Press};
use crate::rtp::Packet;

/// A key is released when its packets stay away so long; five of the 50 ms that RFC 4733 section 2.5.1.2 advises.
const SILENCE: Duration = Duration::from_millis(250);
/// What a segment of a long tone counts before the next one begins.
const SEGMENT_TICKS: u32 = 0xffff;
/// Of so many past keys late packets are known again.
const REMEMBERED: usize = 8;
/// Of two packets of one key in a row fewer than this were lost between.
const REPEATED: u16 = 5;
/// Keys that nobody fetched; more are dropped.
const QUEUE: usize = 64;
/// Clocks that peers count in wrongly: the one that every telephone had, and the one of Opus.
const CLOCKS_HZ: [u32; 2] = [8000, 48_000];
/// Sound must have gone on so far beside a key before it tells the key's clock.
const BESIDE: Duration = Duration::from_millis(30);
/// Packet times that are to be believed; a step outside them is counted in another clock.
const BELIEVABLE_MS: (f32, f32) = (9.0, 110.0);
/// What most peers mean by a step.
const USUAL_STEP_MS: f32 = 20.0;

/// Reads the events of one peer.
#[derive(Debug)]
pub struct Receiver {
    clock_hz: u32,
    /// The clock that the peer really counts in, once it shows.
    observed_clock_hz: Option<u32>,
    ssrc: Option<u32>,
    event: Option<Event>,
    past: VecDeque<Past>,
    presses: VecDeque<Press>,
    ignored: u64,
    /// Source, key and number of the last packet that was out of all order.
    astray: Option<(u32, Digit, u16)>,
}

/// A key that is held.
#[derive(Debug, Clone, Copy)]
struct Event {
    digit: Digit,
    /// Timestamp of its present segment.
    timestamp: u32,
    /// Ticks of the segments before.
    past_ticks: u32,
    /// The longest duration that this segment stated.
    ticks: u32,
    /// The newest packet.
    sequence: u16,
    begin: Instant,
    heard: Instant,
    /// The greatest rise from one packet to the next, for want of a packet time.
    step_ticks: u32,
    /// How far the sound that goes on beside the key had come, and which duration was stated then.
    beside: Option<(Duration, u32)>,
}

/// What is left of a key after its release.
#[derive(Debug, Clone, Copy)]
struct Past {
    digit: Digit,
    timestamp: u32,
    ticks: u32,
    sequence: u16,
}

/// The fields of one event packet.
#[derive(Debug, Clone, Copy)]
struct Report {
    digit: Digit,
    end: bool,
    ticks: u32,
    marker: bool,
    timestamp: u32,
    sequence: u16,
}

impl Receiver {
    /// A receiver of what was agreed.
    pub fn new(format: Format) -> Self {
        Self {
            clock_hz: format.clock_hz.max(1),
            observed_clock_hz: None,
            ssrc: None,
            event: None,
            past: VecDeque::with_capacity(REMEMBERED),
            presses: VecDeque::new(),
            ignored: 0,
            astray: None,
        }
    }

    /// What was agreed anew. Past keys stay known.
    pub fn set_format(&mut self, format: Format) {
        if self.clock_hz != format.clock_hz.max(1) {
            self.clock_hz = format.clock_hz.max(1);
            self.observed_clock_hz = None;
        }
    }

    /// A packet whose payload type is that of events. Only the first event in it is read.
    pub fn handle_packet(&mut self, now: Instant, packet: &Packet<'_>) {
        let Some(report) = Report::read(packet) else {
            self.ignored += 1;
            return;
        };
        if self.ssrc.replace(packet.ssrc).is_some_and(|ssrc| ssrc != packet.ssrc) {
            self.release();
            self.past.clear();
        }
        if self.event.as_ref().is_some_and(|event| event.is_same(&report)) {
            self.go_on(now, &report);
        } else if self.is_past(&report) {
            self.ignored += 1;
        } else {
            self.release();
            self.event = Some(Event::new(now, &report));
            self.go_on(now, &report);
        }
    }

    /// The same for a packet that may be out of all order: of such a key the second packet is believed, for every key has
    /// several, and what is thrown at a call at random has not.
    pub(crate) fn hear(&mut self, now: Instant, packet: &Packet<'_>, is_in_order: bool) {
        if is_in_order {
            return self.handle_packet(now, packet);
        }
        let Some(Report { digit, sequence, .. }) = Report::read(packet) else { return };
        let before = self.astray.replace((packet.ssrc, digit, sequence));
        let follows = before.is_some_and(|(ssrc, key, number)| {
            (ssrc, key) == (packet.ssrc, digit) && sequence.wrapping_sub(number) <= REPEATED
        });
        if follows {
            self.handle_packet(now, packet);
        }
    }

    /// A packet of sound, whose timestamp runs at `clock_hz`: beside a key it tells what the key's ticks are worth.
    pub fn handle_sound(&mut self, timestamp: u32, clock_hz: u32) {
        let Some(event) = &mut self.event else { return };
        let ahead = u64::from(timestamp.wrapping_sub(event.timestamp));
        let time = Duration::from_micros(ahead * 1_000_000 / u64::from(clock_hz.max(1)));
        if (BESIDE..=LONGEST).contains(&time) && event.past_ticks == 0 && event.ticks > 0 {
            event.beside = Some((time, event.ticks));
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.event.as_ref().map(|event| event.heard + SILENCE)
    }

    /// Releases a key whose end was lost.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.release();
        }
    }

    /// The next key that was released.
    pub fn poll_press(&mut self) -> Option<Press> {
        self.presses.pop_front()
    }

    /// The key that is held now.
    pub fn held(&self) -> Option<Digit> {
        self.event.as_ref().map(|event| event.digit)
    }

    /// Packets that told nothing new: no key, malformed, or of a key that was told already.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    fn go_on(&mut self, now: Instant, report: &Report) {
        if let Some(event) = &mut self.event {
            event.go_on(now, report);
        }
        if report.end {
            self.release();
        }
    }

    fn release(&mut self) {
        let Some(event) = self.event.take() else { return };
        if let Some(clock_hz) = event.clock_hz(self.clock_hz) {
            self.observed_clock_hz = Some(clock_hz);
        }
        let clock_hz = self.observed_clock_hz.unwrap_or(self.clock_hz);
        let ticks = u64::from(event.past_ticks) + u64::from(event.ticks);
        let stated = Duration::from_micros(ticks * 1_000_000 / u64::from(clock_hz));
        // A duration of zero says nothing (RFC 4733 section 2.3.5).
        let duration = if ticks == 0 { event.heard.saturating_duration_since(event.begin) } else { stated };
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        let Event { digit, timestamp, ticks, sequence, .. } = event;
        self.past.push_back(Past { digit, timestamp, ticks, sequence });
        if self.presses.len() < QUEUE {
            self.presses.push_back(Press { digit, duration: duration.min(LONGEST) });
        }
    }

    /// Whether a packet that does not belong to the held key is of one that was told.
    fn is_past(&self, report: &Report) -> bool {
        let behind_held = self.event.as_ref().is_some_and(|event| {
            is_before(report.timestamp, event.timestamp)
                && is_before_sequence(report.sequence, event.sequence)
        });
        behind_held || self.past.iter().any(|past| past.is_same(report))
    }
}

impl Report {
    fn read(packet: &Packet<'_>) -> Option<Self> {
        let &[code, flags, high, low] = packet.payload.first_chunk()?;
        Some(Self {
            digit: Digit::from_event_code(code)?,
            end: flags & 0x80 != 0,
            ticks: u16::from_be_bytes([high, low]).into(),
            marker: packet.marker,
            timestamp: packet.timestamp,
            sequence: packet.sequence,
        })
    }
}

impl Event {
    fn new(now: Instant, report: &Report) -> Self {
        Self {
            digit: report.digit,
            timestamp: report.timestamp,
            past_ticks: 0,
            ticks: 0,
            sequence: report.sequence,
            begin: now,
            heard: now,
            step_ticks: 0,
            beside: None,
        }
    }

    fn is_same(&self, report: &Report) -> bool {
        if report.digit != self.digit {
            return false;
        }
        let ahead = report.timestamp.wrapping_sub(self.timestamp);
        ahead == 0 || is_next_segment(ahead, report) || self.moves_along(ahead, report)
    }

    /// A peer that stamps each packet of a key with its own time: durations rise on, and no marker begins a key.
    fn moves_along(&self, ahead: u32, report: &Report) -> bool {
        let packets = u32::from(report.sequence.wrapping_sub(self.sequence));
        !report.marker
            && (1..=5).contains(&packets)
            && ahead <= packets * SEGMENT_TICKS / 8
            && report.ticks >= self.ticks
            && self.ticks > 0
    }

    fn go_on(&mut self, now: Instant, report: &Report) {
        let packets = report.sequence.wrapping_sub(self.sequence);
        let newer = (1..0x8000).contains(&packets);
        let ahead = report.timestamp.wrapping_sub(self.timestamp);
        if is_next_segment(ahead, report) {
            self.past_ticks = self.past_ticks.saturating_add(ahead);
            (self.timestamp, self.ticks) = (report.timestamp, report.ticks);
        } else {
            if ahead == 0 && newer && !report.end && self.ticks > 0 && report.ticks > self.ticks {
                let step = (report.ticks - self.ticks) / u32::from(packets);
                self.step_ticks = self.step_ticks.max(step);
            }
            self.timestamp = report.timestamp;
            self.ticks = self.ticks.max(report.ticks);
        }
        if newer {
            self.sequence = report.sequence;
        }
        self.heard = now;
    }

    /// The clock that the steps between packets were counted in, if they tell.
    fn clock_hz(&self, agreed_hz: u32) -> Option<u32> {
        if let Some((time, ticks)) = self.beside {
            let counted_hz = ticks as f32 / time.as_secs_f32();
            let apart = |clock_hz: &u32| (counted_hz / *clock_hz as f32).ln().abs();
            return CLOCKS_HZ
                .into_iter()
                .chain([agreed_hz])
                .min_by(|one, other| apart(one).total_cmp(&apart(other)));
        }
        if self.step_ticks == 0 {
            return None;
        }
        let step_ms = |clock_hz: u32| self.step_ticks as f32 * 1000.0 / clock_hz as f32;
        let believable = |clock_hz: &u32| (BELIEVABLE_MS.0..=BELIEVABLE_MS.1).contains(&step_ms(*clock_hz));
        let unusual = |clock_hz: &u32| (step_ms(*clock_hz) / USUAL_STEP_MS).ln().abs();
        if believable(&agreed_hz) {
            return Some(agreed_hz);
        }
        let others = CLOCKS_HZ.into_iter().filter(believable);
        others.min_by(|one, other| unusual(one).total_cmp(&unusual(other)))
    }
}

impl Past {
    fn is_same(&self, report: &Report) -> bool {
        let ahead = report.timestamp.wrapping_sub(self.timestamp);
        let repeats = report.end
            && !report.marker
            && report.digit == self.digit
            && report.ticks == self.ticks
            && report.sequence.wrapping_sub(self.sequence) <= 2;
        // An older packet that names the key's timestamp, a segment before it, or one after a silence.
        let segments = report.digit == self.digit
            && (is_next_segment(ahead, report) || is_next_segment(ahead.wrapping_neg(), report));
        ahead == 0 || repeats || segments && !report.marker
    }
}

/// Whether a timestamp lies a whole number of full segments ahead, some of whose packets may be lost.
fn is_next_segment(ahead: u32, report: &Report) -> bool {
    !report.marker && (1..=8).any(|segments| ahead == segments * SEGMENT_TICKS)
}

fn is_before(timestamp: u32, other: u32) -> bool {
    (timestamp.wrapping_sub(other) as i32) < 0
}

fn is_before_sequence(sequence: u16, other: u16) -> bool {
    (sequence.wrapping_sub(other) as i16) < 0
}

#[cfg(test)]
mod tests {
    use super::super::Sender;
    use super::*;

    /// A key 5 of 2240 ticks as the capture `dtmf_2833_5.pcap` of SIPp 3.6.1 has it: the last three share a number.
    const SIPP_FIVE: [(u64, [u8; 16]); 10] = [
        (0, [0x80, 0xe5, 0x1f, 0xdb, 0, 0, 0xa8, 0xc0, 0x0e, 0x05, 0x38, 0x4e, 5, 0x0a, 0x00, 0x00]),
        (20, [0x80, 0x65, 0x1f, 0xdc, 0, 0, 0xa8, 0xc0, 0x0e, 0x05, 0x38, 0x4e, 5, 0x0a, 0x01, 0x40]),
        (40, [0x80, 0x65, 0x1f, 0xdd, 0, 0, 0xa8, 0xc0, 0x0e, 0x05, 0x38, 0x4e, 5, 0x0a, 0x02, 0x80]),
        (60, [0x80, 0x65, 0x1f, 0xde, 0, 0, 0xa8, 0xc0, 0x0e, 0x05, 0x38, 0x4e, 5, 0x0a, 0x03, 0xc0]),
        (80, [0x80, 0x65, 0x1f, 0xdf, 0, 0, 0xa8, 0xc0, 0x0e, 0x05, 0x38, 0x4e, 5, 0x0a, 0x05, 0x00]),
        (100, [0x80, 0x65, 0x1f, 0xe0, 0, 0, 0xa8, 0xc0, 0x0e, 0x05, 0x38, 0x4e, 5, 0x0a, 0x06, 0x40]),
        (120, [0x80, 0x65, 0x1f, 0xe1, 0, 0, 0xa8, 0xc0, 0x0e, 0x05, 0x38, 0x4e, 5, 0x0a, 0x07, 0x80]),
        (140, [0x80, 0x65, 0x1f, 0xe2, 0, 0, 0xa8, 0xc0, 0x0e, 0x05, 0x38, 0x4e, 5, 0x8a, 0x08, 0xc0]),
        (140, [0x80, 0x65, 0x1f, 0xe2, 0, 0, 0xa8, 0xc0, 0x0e, 0x05, 0x38, 0x4e, 5, 0x8a, 0x08, 0xc0]),
        (140, [0x80, 0x65, 0x1f, 0xe2, 0, 0, 0xa8, 0xc0, 0x0e, 0x05, 0x38, 0x4e, 5, 0x8a, 0x08, 0xc0]),
    ];

    #[test]
    fn a_captured_key_is_told_once_with_the_duration_it_states() {
        for (clock_hz, held_ms) in [(8000, 280), (16_000, 140)] {
            let mut ear = Ear::new(clock_hz);
            for (at, datagram) in &SIPP_FIVE {
                ear.receiver.handle_packet(ear.at(*at), &Packet::read(datagram).unwrap());
                assert_eq!(ear.receiver.held().is_some(), *at < 140);
            }
            assert_eq!(ear.presses(), [('5', held_ms)]);
            assert_eq!(ear.receiver.poll_timeout(), None);
            assert_eq!(ear.receiver.ignored(), 2);
        }
    }

    #[test]
    fn any_packets_of_a_key_may_be_lost_but_one_end() {
        let sent = press('8', 100, 0);
        for lost in 0..1_u32 << sent.len() {
            let heard: Vec<_> = sent.iter().enumerate().filter(|(at, _)| lost >> at & 1 == 0).collect();
            let mut ear = Ear::new(8000);
            for (at, report) in &heard {
                ear.hear(*at as u64 * 20, **report);
            }
            ear.receiver.handle_timeout(ear.at(10_000));
            match heard.last() {
                None => assert_eq!(ear.presses(), []),
                Some((at, _)) => assert_eq!(ear.presses(), [('8', 100.min((*at as u64 + 1) * 20))]),
            }
        }
    }

    #[test]
    fn packets_of_a_key_may_come_in_any_order_and_twice() {
        let mut sent = press('3', 100, 0);
        sent.extend(sent.clone());
        for seed in 0..200 {
            let mut shuffled = sent.clone();
            shuffle(&mut shuffled, seed);
            // A packet may overtake the end, as long as it does not come when the key is forgotten.
            let mut ear = Ear::new(8000);
            for (at, report) in shuffled.iter().enumerate() {
                ear.hear(at as u64 * 5, *report);
            }
            ear.receiver.handle_timeout(ear.at(10_000));
            assert_eq!(ear.presses(), [('3', 100)], "seed {seed}");
        }
    }

    #[test]
    fn an_end_that_never_comes_is_made_up_by_silence_or_by_the_next_key() {
        let mut ear = Ear::new(8000);
        for (at, report) in press('1', 100, 0)[..4].iter().enumerate() {
            ear.hear(at as u64 * 20, *report);
        }
        assert_eq!(ear.receiver.poll_timeout(), Some(ear.at(60) + SILENCE));
        ear.receiver.handle_timeout(ear.at(309));
        assert_eq!(ear.presses(), []);
        ear.receiver.handle_timeout(ear.at(310));
        assert_eq!(ear.presses(), [('1', 80)]);
        ear.hear(320, press('1', 100, 0)[5]);
        assert_eq!(ear.presses(), [], "a late end tells it no second time");

        let mut ear = Ear::new(8000);
        ear.hear(0, press('1', 100, 0)[2]);
        for (at, report) in press('1', 60, 1600).into_iter().enumerate() {
            ear.hear(200 + at as u64 * 20, report);
        }
        assert_eq!(ear.presses(), [('1', 60), ('1', 60)], "the same key twice");
    }

    #[test]
    fn the_same_key_pressed_again_is_another_press_even_with_its_first_packets_lost() {
        let mut ear = Ear::new(8000);
        for begin in 0..20_u32 {
            for (at, report) in press('0', 80, begin * 1200).into_iter().enumerate().skip(2) {
                ear.hear(u64::from(begin) * 150 + at as u64 * 20, report);
            }
        }
        assert_eq!(ear.presses(), [('0', 80); 20]);
    }

    #[test]
    fn segments_of_a_long_tone_are_one_key() {
        let mut sender = Sender::new(format(48_000), Duration::from_millis(20));
        let mut ear = Ear::new(48_000);
        let digit = Digit::from_char('D').unwrap();
        sender.push(ear.begin, digit, Duration::from_millis(4321), Duration::ZERO).unwrap();
        let mut sequence = 65_500_u16;
        let mut dropped = 0;
        while let Some(due) = sender.poll_timeout() {
            sender.handle_timeout(due, u32::MAX - 50_000);
            while let Some(sent) = sender.poll_packet() {
                sequence = sequence.wrapping_add(1);
                // Some are lost, among them those that end a segment.
                if sent.payload[2..] == [0xff, 0xff] || sequence.is_multiple_of(7) {
                    dropped += 1;
                    continue;
                }
                let packet = Packet {
                    marker: sent.marker,
                    payload_type: 101,
                    sequence,
                    timestamp: sent.timestamp,
                    ssrc: 9,
                    payload: &sent.payload,
                };
                ear.receiver.handle_packet(due, &packet);
            }
        }
        assert!(dropped > 30);
        assert_eq!(ear.presses(), [('D', 4321)]);
    }

    /// baresip 1.0 offers `telephone-event/8000` beside Opus, counts at 48 kHz and sends sound on beside a key.
    #[test]
    fn sound_beside_a_key_tells_what_its_ticks_are_worth() {
        for (agreed_hz, counted_hz) in [(8000, 48_000), (48_000, 8000), (8000, 8000), (48_000, 48_000)] {
            let mut ear = Ear::new(agreed_hz);
            let step = counted_hz / 50;
            for number in 1..=9_u32 {
                let heard = Report { sequence: number as u16 * 2, ..report('4', number * step, number == 9) };
                ear.hear(u64::from(number) * 20, heard);
                ear.receiver.handle_sound(heard.timestamp + number * 960, 48_000);
            }
            assert_eq!(ear.presses(), [('4', 180)], "{counted_hz} Hz for {agreed_hz} Hz");
        }
    }

    #[test]
    fn a_peer_that_counts_in_another_clock_is_seen_through() {
        for (agreed_hz, counted_hz, ptime_ms) in [
            (48_000, 8000, 20),
            (48_000, 8000, 40),
            (48_000, 8000, 50),
            (8000, 48_000, 20),
            (8000, 48_000, 30),
        ] {
            let mut ear = Ear::new(agreed_hz);
            let step = counted_hz / 1000 * ptime_ms;
            for number in 1..=10_u32 {
                let end = number == 10;
                let ticks = if end { 9 * step + step / 2 } else { number * step };
                let sequence = number as u16;
                ear.hear(u64::from(number * ptime_ms), Report { sequence, ..report('6', ticks, end) });
            }
            let held_ms = u64::from(9 * ptime_ms + ptime_ms / 2);
            assert_eq!(ear.presses(), [('6', held_ms)], "{counted_hz} Hz for {agreed_hz} Hz, {ptime_ms} ms");
            // The next key's steps are lost, the clock is known.
            ear.hear(5000, Report { sequence: 90, timestamp: 77_777, ..report('6', step, true) });
            assert_eq!(ear.presses(), [('6', u64::from(ptime_ms))]);
        }
    }

    #[test]
    fn a_burst_after_a_stall_does_not_change_a_duration() {
        let mut ear = Ear::new(8000);
        for report in press('4', 200, 0) {
            ear.hear(0, report);
        }
        for (at, report) in press('4', 200, 8000).into_iter().enumerate() {
            ear.hear(1000 + at as u64 * 200, report);
        }
        assert_eq!(ear.presses(), [('4', 200), ('4', 200)]);
    }

    #[test]
    fn a_timestamp_that_moves_along_with_the_tone_makes_no_second_key() {
        let mut ear = Ear::new(8000);
        for begin in [0, 4000] {
            for (at, mut report) in press('2', 100, begin).into_iter().enumerate() {
                report.timestamp += at as u32 * 160;
                ear.hear(u64::from(begin) + at as u64 * 20, report);
            }
        }
        assert_eq!(ear.presses(), [('2', 100), ('2', 100)]);
    }

    #[test]
    fn a_new_source_begins_anew() {
        let mut ear = Ear::new(8000);
        ear.hear(0, press('1', 100, 0)[0]);
        let payload = [1, 0x8a, 3, 32];
        let packet = Packet {
            marker: true,
            payload_type: 101,
            sequence: 1,
            timestamp: 0,
            ssrc: 10,
            payload: &payload,
        };
        ear.receiver.handle_packet(ear.at(50), &packet);
        assert_eq!(ear.presses(), [('1', 20), ('1', 100)]);
    }

    #[test]
    fn what_is_no_key_is_counted_and_nothing_else() {
        let mut ear = Ear::new(8000);
        for payload in [&[][..], &[1], &[1, 0x8a, 0], &[16, 0x8a, 0, 100], &[255; 4]] {
            let packet =
                Packet { marker: true, payload_type: 101, sequence: 1, timestamp: 0, ssrc: 10, payload };
            ear.receiver.handle_packet(ear.begin, &packet);
        }
        assert_eq!(ear.presses(), []);
        assert_eq!(ear.receiver.ignored(), 5);
    }

    #[test]
    fn noise_as_packets_fills_no_memory_and_tells_no_endless_tone() {
        for seed in 0..20 {
            let mut ear = Ear::new([8000, 48_000][seed as usize % 2]);
            let mut random = seed;
            let mut now = ear.begin;
            for _ in 0..5000 {
                let bits = step(&mut random);
                let bytes = step(&mut random).to_be_bytes();
                let few = bits & 3 != 0;
                let payload = [bytes[0] & if few { 0x11 } else { 0xff }, bytes[1], bytes[2], bytes[3]];
                let packet = Packet {
                    marker: bits & 4 != 0,
                    payload_type: 101,
                    sequence: (bits >> 8) as u16,
                    timestamp: if few { (bits >> 24) as u32 & 0xfff } else { (bits >> 24) as u32 },
                    ssrc: u32::from(bits & 0xff00_0000_0000_0000 == 0),
                    payload: &payload[..bytes[4] as usize % 5],
                };
                now += Duration::from_millis(bits >> 56);
                ear.receiver.handle_timeout(now);
                ear.receiver.handle_packet(now, &packet);
                assert!(ear.receiver.past.len() <= REMEMBERED && ear.receiver.presses.len() <= QUEUE);
                if bits & 0x0f00 == 0 {
                    while let Some(press) = ear.receiver.poll_press() {
                        assert!(press.duration <= LONGEST, "seed {seed}");
                    }
                }
            }
        }
    }

    /// A receiver and the times by its clock.
    struct Ear {
        receiver: Receiver,
        begin: Instant,
    }

    impl Ear {
        fn new(clock_hz: u32) -> Self {
            Self { receiver: Receiver::new(format(clock_hz)), begin: Instant::now() }
        }

        fn at(&self, at_ms: u64) -> Instant {
            self.begin + Duration::from_millis(at_ms)
        }

        fn hear(&mut self, at_ms: u64, report: Report) {
            let [high, low] = (report.ticks as u16).to_be_bytes();
            let flags = u8::from(report.end) << 7 | 10;
            let packet = Packet {
                marker: report.marker,
                payload_type: 101,
                sequence: report.sequence,
                timestamp: report.timestamp,
                ssrc: 9,
                payload: &[report.digit.event_code(), flags, high, low],
            };
            self.receiver.handle_packet(self.at(at_ms), &packet);
        }

        fn presses(&mut self) -> Vec<(char, u64)> {
            std::iter::from_fn(|| self.receiver.poll_press())
                .map(|press| (press.digit.to_char(), press.duration.as_millis() as u64))
                .collect()
        }
    }

    fn format(clock_hz: u32) -> Format {
        Format { payload_type: 101, receive_payload_type: 101, clock_hz }
    }

    fn report(letter: char, ticks: u32, end: bool) -> Report {
        let digit = Digit::from_char(letter).unwrap();
        Report { digit, end, ticks, marker: false, timestamp: 0, sequence: 0 }
    }

    /// The packets of a key in an 8 kHz clock, 20 ms each.
    fn press(letter: char, held_ms: u32, timestamp: u32) -> Vec<Report> {
        let updates = held_ms / 20;
        (1..=updates + 2)
            .map(|number| Report {
                marker: number == 1,
                timestamp,
                sequence: (timestamp / 160 + number) as u16,
                ..report(letter, number.min(updates) * 160, number >= updates)
            })
            .collect()
    }

    fn shuffle(reports: &mut [Report], seed: u64) {
        let mut random = seed;
        for at in (1..reports.len()).rev() {
            reports.swap(at, (step(&mut random) % (at as u64 + 1)) as usize);
        }
    }

    /// One step of SplitMix64.
    fn step(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
