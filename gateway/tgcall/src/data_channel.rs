//! The data channel of a call (RFC 8831): text messages over SCTP over DTLS, which tell whether microphones are on.
//!
//! The caller opens the one channel, on stream 0 (RFC 8832). Sound needs none of it: a channel that never opens, or
//! breaks, leaves a call that merely shows nobody as muted.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::sctp::{Association, Limits, PayloadProtocolIdentifier, UserMessage};
use crate::signaling::Message;
use crate::signaling::message::MediaState;

const LIMITS: Limits = Limits {
    first_rto: Duration::from_millis(400),
    max_rto: Duration::from_secs(3),
    // A minute and a half.
    max_init_repetitions: Some(30),
    // A message has some 130 bytes.
    max_message_bytes: 16 * 1024,
    max_held_bytes: 64 * 1024,
};

/// Message types of the Data Channel Establishment Protocol (RFC 8832 section 8.2.1).
const DATA_CHANNEL_ACK: u8 = 2;
const DATA_CHANNEL_OPEN: u8 = 3;

/// The name that both ends know the channel by.
const LABEL: &str = "data";
/// Normal (RFC 8831 section 6.4).
const PRIORITY: u16 = 256;

/// Beyond this the peer is not listening at the moment: only the latest state is worth telling then.
const MAX_UNACKNOWLEDGED_BYTES: usize = 1024;

/// One end of the channel.
#[derive(Debug)]
pub(crate) struct DataChannel {
    /// `None` in a caller until there is a path.
    association: Option<Association>,
    /// The peer has opened the channel.
    is_accepted: bool,
    is_muted: bool,
    told: Option<bool>,
    messages: VecDeque<Message>,
}

impl DataChannel {
    /// A callee's end listens from here on, a caller's waits for [`DataChannel::open`].
    pub(crate) fn new(now: Instant, is_caller: bool) -> Self {
        DataChannel {
            association: (!is_caller).then(|| Association::new(false, LIMITS, now)),
            is_accepted: false,
            is_muted: false,
            told: None,
            messages: VecDeque::new(),
        }
    }

    /// DTLS is up and has a path: a caller begins.
    pub(crate) fn open(&mut self, now: Instant) {
        if self.association.is_none() {
            let mut association = Association::new(true, LIMITS, now);
            association.send(now, PayloadProtocolIdentifier::Dcep, open_message());
            self.association = Some(association);
            self.is_accepted = true;
        }
    }

    /// Has the peer know whether our microphone is off: now, or once the channel is open.
    pub(crate) fn set_muted(&mut self, now: Instant, is_muted: bool) {
        self.is_muted = is_muted;
        self.tell(now);
    }

    /// Takes an SCTP packet.
    pub(crate) fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        let Some(association) = &mut self.association else { return };
        association.handle_packet(now, packet);
        while let Some(UserMessage { stream, protocol, bytes }) = association.poll_message() {
            match protocol {
                PayloadProtocolIdentifier::Dcep
                    if stream == 0 && bytes.first() == Some(&DATA_CHANNEL_OPEN) =>
                {
                    // Answered once, so that a peer cannot have answers heaped up here.
                    if !self.is_accepted {
                        self.is_accepted = true;
                        association.send(now, PayloadProtocolIdentifier::Dcep, vec![DATA_CHANNEL_ACK]);
                    }
                }
                PayloadProtocolIdentifier::String => match Message::parse(&bytes) {
                    Ok(message) => self.messages.push_back(message),
                    Err(error) => tracing::debug!(%error, "message of the data channel dropped"),
                },
                // Telegram's applications drop binary ones too.
                PayloadProtocolIdentifier::Dcep
                | PayloadProtocolIdentifier::Binary
                | PayloadProtocolIdentifier::StringEmpty
                | PayloadProtocolIdentifier::BinaryEmpty
                | PayloadProtocolIdentifier::Unknown => {}
            }
        }
        self.tell(now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Some(association) = &mut self.association {
            association.handle_timeout(now);
        }
        self.tell(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.association.as_ref()?.poll_timeout()
    }

    /// The next SCTP packet for DTLS.
    pub(crate) fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.association.as_mut()?.poll_packet()
    }

    /// The next message of the peer.
    pub(crate) fn poll_message(&mut self) -> Option<Message> {
        self.messages.pop_front()
    }

    /// DTLS carries nothing any more.
    pub(crate) fn close(&mut self) {
        if let Some(association) = &mut self.association {
            association.close();
        }
    }

    fn tell(&mut self, now: Instant) {
        let Some(association) = &mut self.association else { return };
        if self.is_accepted
            && self.told != Some(self.is_muted)
            && association.is_open()
            && association.unacknowledged_bytes() < MAX_UNACKNOWLEDGED_BYTES
        {
            self.told = Some(self.is_muted);
            let state = Message::MediaState(MediaState { muted: self.is_muted, ..MediaState::default() });
            association.send(now, PayloadProtocolIdentifier::String, state.to_json());
        }
    }
}

/// DATA_CHANNEL_OPEN of an ordered and reliable channel without a subprotocol (RFC 8832 section 5.1).
fn open_message() -> Vec<u8> {
    const RELIABLE: u8 = 0;
    let mut message = vec![DATA_CHANNEL_OPEN, RELIABLE];
    message.extend_from_slice(&PRIORITY.to_be_bytes());
    message.extend_from_slice(&0_u32.to_be_bytes());
    message.extend_from_slice(&(LABEL.len() as u16).to_be_bytes());
    message.extend_from_slice(&0_u16.to_be_bytes());
    message.extend_from_slice(LABEL.as_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opening_message_is_that_of_the_standard() {
        // RFC 8832 section 5.1: type, channel type, priority, reliability, two lengths, label.
        assert_eq!(open_message(), b"\x03\x00\x01\x00\x00\x00\x00\x00\x00\x04\x00\x00data");
    }

    #[test]
    fn both_ends_tell_their_state_once_the_channel_opens_and_at_every_change() {
        let mut line = Line::new();
        line.ends[0].set_muted(line.now, true);
        line.run(Duration::from_secs(1));
        assert_eq!(line.heard(), [vec![false], vec![true]]);
        for muted in [true, false, true] {
            line.ends[1].set_muted(line.now, muted);
            line.run(Duration::from_secs(1));
        }
        assert_eq!(line.heard(), [vec![false, true, false, true], vec![true]]);
    }

    #[test]
    fn lost_packets_delay_a_state_and_do_not_lose_it() {
        for lost in 0..12 {
            let mut line = Line::new();
            line.lost = vec![lost, lost + 1];
            line.ends[1].set_muted(line.now, true);
            line.run(Duration::from_secs(10));
            assert_eq!(line.heard().map(|heard| heard.last().copied()), [Some(true), Some(false)], "{lost}");
            let last = line.last_packet - line.start;
            assert!(last < Duration::from_secs(6), "{lost}: {last:?}");
        }
    }

    #[test]
    fn a_peer_that_does_not_listen_gets_the_latest_state_later() {
        let mut line = Line::new();
        line.run(Duration::from_secs(1));
        line.is_cut = true;
        for number in 0..10_001 {
            line.ends[0].set_muted(line.now, number % 2 == 0);
        }
        let unacknowledged = line.ends[0].association.as_mut().unwrap().unacknowledged_bytes();
        assert!(unacknowledged < MAX_UNACKNOWLEDGED_BYTES + 200, "{unacknowledged}");
        line.run(Duration::from_secs(2));
        line.is_cut = false;
        line.run(Duration::from_secs(10));
        assert_eq!(line.heard()[1].last(), Some(&true));
        line.ends[0].set_muted(line.now, false);
        line.run(Duration::from_secs(1));
        assert_eq!(line.heard()[1].last(), Some(&false));
    }

    #[test]
    fn nothing_is_sent_to_nobody_for_ever() {
        let mut line = Line::new();
        line.is_cut = true;
        line.run(Duration::from_secs(600));
        assert!(line.ends.iter().all(|end| end.poll_timeout().is_none()));
        assert!(line.last_packet - line.start < Duration::from_secs(100));
        line.ends[0].set_muted(line.now, true);
        assert!(line.ends[0].poll_packet().is_none());
    }

    #[test]
    fn a_silent_open_channel_has_no_timers() {
        let mut line = Line::new();
        line.run(Duration::from_secs(2));
        assert_eq!(line.ends.each_ref().map(DataChannel::poll_timeout), [None, None]);
        assert!(line.last_packet - line.start < Duration::from_secs(1));
    }

    #[test]
    fn other_messages_are_passed_over() {
        let mut line = Line::new();
        line.run(Duration::from_secs(1));
        let (state, now) = (Message::MediaState(MediaState::default()).to_json(), line.now);
        for (protocol, bytes) in [
            (PayloadProtocolIdentifier::Binary, state.clone()),
            (PayloadProtocolIdentifier::String, b"{\"@type\":\"MediaState\",\"muted\":1}".to_vec()),
            (PayloadProtocolIdentifier::String, vec![0xff; 10_000]),
            (PayloadProtocolIdentifier::Dcep, open_message()),
            (PayloadProtocolIdentifier::Dcep, vec![99]),
        ] {
            line.ends[0].association.as_mut().unwrap().send(now, protocol, bytes);
        }
        line.run(Duration::from_secs(2));
        assert_eq!(line.heard(), [vec![false], vec![false]], "only the first state of each");
        line.ends[0].set_muted(line.now, true);
        line.run(Duration::from_secs(1));
        assert_eq!(line.heard()[1], [false, true]);
    }

    #[test]
    fn a_message_beyond_the_limit_ends_the_channel_and_nothing_else() {
        let mut line = Line::new();
        line.run(Duration::from_secs(1));
        let now = line.now;
        let patient = Limits { max_message_bytes: 256 * 1024, ..LIMITS };
        let mut loud = Association::new(true, patient, now);
        let mut listener = DataChannel::new(now, false);
        loud.send(now, PayloadProtocolIdentifier::String, vec![b' '; 200_000]);
        for step in 0..100 {
            let now = now + Duration::from_millis(100 * step);
            loud.handle_timeout(now);
            listener.handle_timeout(now);
            while let Some(packet) = loud.poll_packet() {
                listener.handle_packet(now, &packet);
            }
            while let Some(packet) = listener.poll_packet() {
                loud.handle_packet(now, &packet);
            }
        }
        assert!(listener.association.as_ref().unwrap().is_closed());
        assert!(listener.poll_message().is_none() && listener.poll_timeout().is_none());
    }

    #[test]
    fn no_packet_makes_it_panic() {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as usize
        };
        let mut line = Line::new();
        line.run(Duration::from_secs(1));
        for _ in 0..2_000 {
            let junk: Vec<u8> = (0..next() % 100).map(|_| next() as u8).collect();
            line.ends[next() % 2].handle_packet(line.now, &junk);
        }
        line.ends[0].set_muted(line.now, true);
        line.run(Duration::from_secs(1));
        assert_eq!(line.heard()[1].last(), Some(&true), "junk without a tag harms nothing");
    }

    /// Two ends, 20 ms apart, in simulated time.
    struct Line {
        ends: [DataChannel; 2],
        flying: VecDeque<(Instant, usize, Vec<u8>)>,
        states: [Vec<bool>; 2],
        start: Instant,
        now: Instant,
        last_packet: Instant,
        packets: usize,
        lost: Vec<usize>,
        is_cut: bool,
    }

    impl Line {
        fn new() -> Self {
            let now = Instant::now();
            let mut ends = [DataChannel::new(now, true), DataChannel::new(now, false)];
            ends.iter_mut().for_each(|end| end.open(now));
            Line {
                ends,
                flying: VecDeque::new(),
                states: [Vec::new(), Vec::new()],
                start: now,
                now,
                last_packet: now,
                packets: 0,
                lost: Vec::new(),
                is_cut: false,
            }
        }

        /// What each end has heard of the other so far.
        fn heard(&self) -> [Vec<bool>; 2] {
            self.states.clone()
        }

        fn run(&mut self, time: Duration) {
            let until = self.now + time;
            loop {
                self.exchange();
                let timers = self.ends.iter().filter_map(DataChannel::poll_timeout);
                let arrivals = self.flying.iter().map(|(at, ..)| *at);
                match timers.chain(arrivals).min().filter(|at| *at <= until) {
                    Some(at) => self.now = self.now.max(at),
                    None => break,
                }
            }
            self.now = until;
        }

        fn exchange(&mut self) {
            while self.flying.front().is_some_and(|(at, ..)| *at <= self.now) {
                let Some((_, to, packet)) = self.flying.pop_front() else { return };
                self.ends[to].handle_packet(self.now, &packet);
            }
            for at in 0..2 {
                if self.ends[at].poll_timeout().is_some_and(|due| due <= self.now) {
                    self.ends[at].handle_timeout(self.now);
                }
                while let Some(packet) = self.ends[at].poll_packet() {
                    self.last_packet = self.now;
                    if !self.is_cut && !self.lost.contains(&self.packets) {
                        self.flying.push_back((self.now + Duration::from_millis(20), 1 - at, packet));
                    }
                    self.packets += 1;
                }
                while let Some(message) = self.ends[at].poll_message() {
                    let Message::MediaState(state) = message else { panic!("{message:?}") };
                    self.states[at].push(state.muted);
                }
            }
        }
    }
}
