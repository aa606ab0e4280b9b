//! Digits as named events in RTP (RFC 4733), read from a capture and written for a peer to play. Nothing here is the
//! gateway's, so it may judge the gateway.

use std::time::{Duration, Instant};

use crate::capture::Passed;

/// Events 0 to 15 (RFC 4733 section 3.2).
pub const KEYS: &str = "0123456789*#ABCD";
/// Bytes of a payload.
const BYTES: usize = 4;
/// Power level in -dBm0, as usual.
const VOLUME: u8 = 10;
/// The final packet is sent so often (section 2.5.1.4).
const LAST_SENT: usize = 3;

/// A digit as it passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    pub digit: char,
    /// By the duration field of its final packet, in the clock of the stream.
    pub duration_ms: f64,
    /// From the end of the digit before to its beginning, by the timestamps.
    pub pause_ms: Option<f64>,
    /// When its first packet passed.
    pub began: Instant,
    /// How long its packets took to pass, to the first one that says the end.
    pub took: Duration,
    /// Packets in all, and those that say the end.
    pub packets: (usize, usize),
    /// Whether its first packet and no other has the marker.
    pub marked: bool,
    /// Whether a final packet came.
    pub ended: bool,
}

/// The digits of a stream, in the order in which they began. Packets of another payload type are passed over.
///
/// # Errors
/// With what is wrong with a packet.
pub fn read(packets: &[Passed], payload_type: u8, clock_hz: u32) -> anyhow::Result<Vec<Event>> {
    let mut events: Vec<Event> = Vec::new();
    let mut open: Option<(u32, u32)> = None;
    let milliseconds = |ticks: u32| f64::from(ticks) * 1000.0 / f64::from(clock_hz);
    let mut after: Option<u32> = None;
    for packet in packets.iter().filter(|packet| packet.payload_type == payload_type) {
        let payload: [u8; BYTES] = packet.payload[..]
            .try_into()
            .map_err(|_| anyhow::anyhow!("no event: {:02x?}", packet.payload))?;
        let digit = KEYS.chars().nth(usize::from(payload[0]));
        let digit = digit.ok_or_else(|| anyhow::anyhow!("event {} is no digit", payload[0]))?;
        let ends = payload[1] & 0x80 != 0;
        let ticks = u32::from(u16::from_be_bytes([payload[2], payload[3]]));
        // One event has one timestamp (section 2.2).
        if open.is_none_or(|(timestamp, _)| timestamp != packet.timestamp) {
            let pause_ms = after.map(|end| milliseconds(packet.timestamp.wrapping_sub(end)));
            events.push(Event {
                digit,
                duration_ms: 0.0,
                pause_ms,
                began: packet.at,
                took: Duration::ZERO,
                packets: (0, 0),
                marked: packet.marker,
                ended: false,
            });
            open = Some((packet.timestamp, 0));
        }
        let (Some(event), Some((timestamp, longest))) = (events.last_mut(), open.as_mut()) else { continue };
        anyhow::ensure!(event.digit == digit, "{} became {digit} under one timestamp", event.digit);
        event.packets.0 += 1;
        event.packets.1 += usize::from(ends);
        event.marked &= packet.marker == (event.packets.0 == 1);
        if !event.ended {
            event.took = packet.at - event.began;
        }
        event.ended |= ends;
        *longest = ticks.max(*longest);
        event.duration_ms = milliseconds(*longest);
        after = Some(timestamp.wrapping_add(*longest));
    }
    Ok(events)
}

/// What RTP packets of digits are made of.
#[derive(Debug, Clone, Copy)]
pub struct Script<'a> {
    pub digits: &'a str,
    pub tone_ms: u32,
    pub pause_ms: u32,
    pub payload_type: u8,
    pub clock_hz: u32,
    /// Silence in the pauses: payload type and payload of 20 ms.
    pub silence: (u8, &'a [u8]),
}

/// RTP packets and when they leave, in milliseconds, a packet every 20 ms; half a second of silence before and after.
pub fn written(script: &Script<'_>) -> Vec<(u32, Vec<u8>)> {
    let mut out = Writer { script, packets: Vec::new(), at_ms: 0, sequence: 1000 };
    out.silence(500);
    for digit in script.digits.chars() {
        out.event(KEYS.find(digit).unwrap_or_default() as u8);
        out.silence(script.pause_ms);
    }
    out.silence(500);
    out.packets
}

const SSRC: [u8; 4] = 0x7467_7431_u32.to_be_bytes();
const STEP_MS: u32 = 20;

struct Writer<'a> {
    script: &'a Script<'a>,
    packets: Vec<(u32, Vec<u8>)>,
    at_ms: u32,
    sequence: u16,
}

impl Writer<'_> {
    fn silence(&mut self, length_ms: u32) {
        let (payload_type, payload) = self.script.silence;
        for _ in 0..length_ms / STEP_MS {
            self.packet(self.at_ms, self.at_ms, false, payload_type, payload);
            self.at_ms += STEP_MS;
        }
    }

    fn event(&mut self, event: u8) {
        let (began, tone_ms) = (self.at_ms, self.script.tone_ms);
        let ticks = |length_ms: u32| (length_ms * self.script.clock_hz / 1000) as u16;
        let payload_type = self.script.payload_type;
        for sounded in (STEP_MS..tone_ms).step_by(STEP_MS as usize) {
            let [high, low] = ticks(sounded).to_be_bytes();
            self.packet(
                began + sounded,
                began,
                sounded == STEP_MS,
                payload_type,
                &[event, VOLUME, high, low],
            );
        }
        let [high, low] = ticks(tone_ms).to_be_bytes();
        for _ in 0..LAST_SENT {
            self.packet(began + tone_ms, began, false, payload_type, &[event, 0x80 | VOLUME, high, low]);
        }
        self.at_ms = began + tone_ms;
    }

    fn packet(&mut self, leaves_ms: u32, stamp_ms: u32, marker: bool, payload_type: u8, payload: &[u8]) {
        let mut packet = vec![0x80, payload_type | u8::from(marker) << 7];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend((90_000 + stamp_ms * (self.script.clock_hz / 1000)).to_be_bytes());
        packet.extend(SSRC);
        packet.extend(payload);
        self.sequence += 1;
        self.packets.push((leaves_ms, packet));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now;

    fn passed(packets: &[(u32, Vec<u8>)]) -> Vec<Passed> {
        let began = now();
        let passed = |(at_ms, packet): &(u32, Vec<u8>)| Passed {
            interface: 1,
            at: began + Duration::from_millis(u64::from(*at_ms)),
            source: "192.0.2.1:1000".parse().unwrap(),
            destination: "192.0.2.2:1000".parse().unwrap(),
            marker: packet[1] & 0x80 != 0,
            payload_type: packet[1] & 0x7f,
            ssrc: 7,
            sequence: u16::from_be_bytes([packet[2], packet[3]]),
            timestamp: u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]),
            bytes: packet.len(),
            payload: packet[12..].into(),
        };
        packets.iter().map(passed).collect()
    }

    fn script(digits: &str) -> Script<'_> {
        let silence = (8, &[0xd5; 160][..]);
        Script { digits, tone_ms: 100, pause_ms: 80, payload_type: 101, clock_hz: 8000, silence }
    }

    #[test]
    fn what_is_written_is_read_digit_by_digit() {
        let events = read(&passed(&written(&script("1100*#D"))), 101, 8000).unwrap();
        assert_eq!(events.iter().map(|event| event.digit).collect::<String>(), "1100*#D");
        for (at, event) in events.iter().enumerate() {
            assert_eq!((event.duration_ms, event.packets), (100.0, (7, 3)));
            assert_eq!(event.pause_ms, (at > 0).then_some(80.0));
            assert_eq!(event.took, Duration::from_millis(80));
            assert!(event.marked && event.ended);
        }
    }

    #[test]
    fn a_digit_without_end_or_marker_and_a_changed_one_are_seen() {
        let packets = written(&script("5"));
        let is_event = |packet: &[u8]| packet[1] & 0x7f == 101;
        let endless: Vec<_> =
            packets.iter().filter(|(_, packet)| !is_event(packet) || packet[13] < 0x80).cloned().collect();
        let events = read(&passed(&endless), 101, 8000).unwrap();
        assert_eq!((events[0].ended, events[0].duration_ms), (false, 80.0));
        let first = packets.iter().position(|(_, packet)| is_event(packet)).unwrap();
        let mut unmarked = packets.clone();
        unmarked[first].1[1] &= 0x7f;
        assert!(!read(&passed(&unmarked), 101, 8000).unwrap()[0].marked);
        let mut changed = packets;
        changed[first].1[12] = 6;
        assert!(read(&passed(&changed), 101, 8000).unwrap_err().to_string().contains("6 became 5"));
    }
}
