//! One call's signaling, whatever its framing.

use std::collections::VecDeque;
use std::time::Instant;

use super::carrier::Carrier;
use super::crypto::Envelope;
use super::message::Message;
use super::parameters::CustomParameters;
use super::raw::RawPackets;
use super::records::{Records, TakeError};
use crate::key::SharedKey;
use crate::version::{Framing, Version};

/// Why signaling cannot go on. Media that already flows need not end with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignalingError {
    /// A billion packets were sent; the call must end.
    #[error("the counter of signaling packets is used up")]
    CounterExhausted,
    /// The peer ended the SCTP association, or broke it.
    #[error("the peer ended the signaling association")]
    CarrierClosed,
    /// A message does not fit into a packet.
    #[error("signaling message of {0} bytes is too long for one packet")]
    TooLong(usize),
    /// The peer has acknowledged nothing for very long.
    #[error("{0} signaling messages wait for acknowledgement")]
    Unanswered(usize),
}

/// Carries messages to the peer and back.
///
/// Bytes from [`Signaling::poll_packet`] are for `phone.sendSignalingData`; those of
/// `updatePhoneCallSignalingData` go to [`Signaling::handle_packet`].
#[derive(Debug)]
pub struct Signaling {
    framing: Inner,
    messages: VecDeque<Message>,
    error: Option<SignalingError>,
}

#[derive(Debug)]
enum Inner {
    Records(Box<Records>),
    Sctp(Box<Carrier>, RawPackets),
    Direct(RawPackets, VecDeque<Vec<u8>>),
}

impl Signaling {
    /// Begins the signaling of a call; a caller with SCTP has its first packet ready at once.
    #[must_use]
    pub fn new(
        version: Version,
        key: &SharedKey,
        is_caller: bool,
        parameters: &CustomParameters,
        now: Instant,
    ) -> Self {
        let envelope = Envelope::new(key, is_caller);
        let framing = match version.framing() {
            Framing::Records => Inner::Records(Box::new(Records::new(envelope))),
            Framing::Sctp if parameters.signaling_without_sctp => {
                Inner::Direct(RawPackets::new(envelope), VecDeque::new())
            }
            Framing::Sctp => {
                let carrier = Carrier::new(is_caller, parameters, now);
                Inner::Sctp(Box::new(carrier), RawPackets::new(envelope))
            }
        };
        Self { framing, messages: VecDeque::new(), error: None }
    }

    /// Sends a message. What goes wrong is in [`Signaling::error`].
    pub fn send(&mut self, now: Instant, message: &Message) {
        let json = message.to_json();
        let sent = match &mut self.framing {
            Inner::Records(records) => records.send(now, &json),
            Inner::Sctp(carrier, packets) => packets
                .seal(&json)
                .map(|packet| carrier.send(now, packet))
                .ok_or(SignalingError::CounterExhausted),
            Inner::Direct(packets, outbox) => packets
                .seal(&json)
                .map(|packet| outbox.push_back(packet))
                .ok_or(SignalingError::CounterExhausted),
        };
        self.note(sent);
        self.settle();
    }

    /// Takes the bytes of one `updatePhoneCallSignalingData`. Bad ones are dropped.
    pub fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        match &mut self.framing {
            Inner::Records(records) => match records.handle_packet(now, packet) {
                Ok(()) => {}
                Err(TakeError::Packet(error)) => {
                    tracing::debug!(%error, "signaling packet dropped");
                }
                Err(TakeError::Fatal(error)) => self.note(Err(error)),
            },
            Inner::Sctp(carrier, _) => carrier.handle_packet(now, packet),
            Inner::Direct(packets, _) => match packets.open(packet) {
                Ok(document) => accept(&document, &mut self.messages),
                Err(error) => tracing::debug!(%error, "signaling packet dropped"),
            },
        }
        self.settle();
    }

    /// Repeats what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let done = match &mut self.framing {
            Inner::Records(records) => records.handle_timeout(now),
            Inner::Sctp(carrier, _) => {
                carrier.handle_timeout(now);
                Ok(())
            }
            Inner::Direct(..) => Ok(()),
        };
        self.note(done);
        self.settle();
    }

    /// When [`Signaling::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.framing {
            Inner::Records(records) => records.poll_timeout(),
            Inner::Sctp(carrier, _) => carrier.poll_timeout(),
            Inner::Direct(..) => None,
        }
    }

    /// The next bytes for `phone.sendSignalingData`.
    #[must_use]
    pub fn poll_packet(&mut self) -> Option<Vec<u8>> {
        match &mut self.framing {
            Inner::Records(records) => records.poll_packet(),
            Inner::Sctp(carrier, _) => carrier.poll_packet(),
            Inner::Direct(_, outbox) => outbox.pop_front(),
        }
    }

    /// The next message of the peer.
    #[must_use]
    pub fn poll_message(&mut self) -> Option<Message> {
        self.messages.pop_front()
    }

    /// What ended the signaling, if anything did.
    #[must_use]
    pub fn error(&self) -> Option<&SignalingError> {
        self.error.as_ref()
    }

    fn note(&mut self, outcome: Result<(), SignalingError>) {
        if let Err(error) = outcome {
            self.error.get_or_insert(error);
        }
    }

    /// Moves what the framing has received into the queue of messages.
    fn settle(&mut self) {
        match &mut self.framing {
            Inner::Records(records) => {
                while let Some(document) = records.poll_document() {
                    accept(&document, &mut self.messages);
                }
            }
            Inner::Sctp(carrier, packets) => {
                while let Some(packet) = carrier.poll_message() {
                    match packets.open(&packet) {
                        Ok(document) => accept(&document, &mut self.messages),
                        Err(error) => tracing::debug!(%error, "signaling packet dropped"),
                    }
                }
                if carrier.is_closed() {
                    self.note(Err(SignalingError::CarrierClosed));
                }
            }
            Inner::Direct(..) => {}
        }
    }
}

fn accept(document: &[u8], messages: &mut VecDeque<Message>) {
    match Message::parse(document) {
        Ok(message) => messages.push_back(message),
        Err(error) => tracing::debug!(%error, "signaling message dropped"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::signaling::message::Candidates;

    #[test]
    fn every_version_carries_messages_both_ways() {
        for version in Version::OURS {
            for direct in [false, true] {
                let mut line = Line::new(version, direct, Faults::NONE, 1);
                line.talk(20, Duration::from_secs(5));
                assert_eq!(line.got, [numbered(20), numbered(20)], "{version}");
            }
        }
    }

    #[test]
    fn messages_survive_a_channel_that_loses_repeats_and_reorders() {
        let bad = Faults { loss_percent: 20, repeat_percent: 10, delay_ms: 10..400 };
        for version in [Version::V9, Version::V13] {
            for seed in 1..=60 {
                let mut line = Line::new(version, false, bad.clone(), seed);
                line.talk(20, Duration::from_secs(90));
                assert_eq!(line.got, [numbered(20), numbered(20)], "{version}, seed {seed}");
                assert!(line.ends.iter().all(|end| end.error().is_none()));
            }
        }
    }

    #[test]
    fn first_messages_get_through_20_percent_loss_before_a_peer_gives_up() {
        let bad = Faults { loss_percent: 20, repeat_percent: 0, delay_ms: 20..120 };
        let mut slow = [0; 2];
        for seed in 1..=200 {
            for (index, version) in [Version::V9, Version::V13].into_iter().enumerate() {
                let mut line = Line::new(version, false, bad.clone(), seed);
                line.talk(4, Duration::from_secs(10));
                let complete = line.got.iter().all(|got| got.len() == 4);
                slow[index] += usize::from(!complete);
            }
        }
        assert!(slow.iter().all(|slow| *slow <= 4), "{slow:?} of 200 calls are late with records, SCTP");
    }

    #[test]
    fn without_sctp_each_packet_is_a_sealed_message() {
        let parameters = CustomParameters { signaling_without_sctp: true, ..CustomParameters::default() };
        let now = Instant::now();
        let mut callee = Signaling::new(Version::V13, &vector_key(), false, &parameters, now);
        let published = "f55d964e7d4f169574da86905464e2c71b2caec5e1c9cdd2c97bab42c3e69025524c\
            d0b52569b4ddc5215851da24e15e015cb864cafcce66386367a4aa0ce28b265c0b3765";
        let packet = hex::decode(published).unwrap();
        callee.handle_packet(now, &packet);
        let empty = Message::Candidates(Candidates { candidates: Vec::new() });
        assert_eq!(callee.poll_message(), Some(empty.clone()));
        callee.handle_packet(now, &packet);
        assert_eq!(callee.poll_message(), None);
        assert_eq!(callee.poll_timeout(), None);
        callee.send(now, &empty);
        let mut caller = Signaling::new(Version::V12, &vector_key(), true, &parameters, now);
        assert!(caller.poll_packet().is_none());
        caller.handle_packet(now, &callee.poll_packet().unwrap());
        assert_eq!(caller.poll_message(), Some(empty));
    }

    #[test]
    fn an_uncompressed_message_is_read_in_the_later_versions() {
        let parameters = CustomParameters { signaling_without_sctp: true, ..CustomParameters::default() };
        let now = Instant::now();
        let mut callee = Signaling::new(Version::V13, &vector_key(), false, &parameters, now);
        let published = "0761ea84e393c1af7b3b26fc5564cd8d4e23d3b70582646821c7fa971a5f6139f5c8\
            bdde1f9b81d5a7b857fba43b6a758fd61c83ce5dd7cbea93";
        callee.handle_packet(now, &hex::decode(published).unwrap());
        let empty = Message::Candidates(Candidates { candidates: Vec::new() });
        assert_eq!(callee.poll_message(), Some(empty));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let now = Instant::now();
        let mut random = Random(0xdead_beef_cafe_f00d);
        for version in [Version::V8, Version::V12] {
            for is_caller in [true, false] {
                let parameters = CustomParameters::default();
                let mut end = Signaling::new(version, &vector_key(), is_caller, &parameters, now);
                let peer = Envelope::new(&vector_key(), !is_caller);
                for _ in 0..5_000 {
                    let bytes: Vec<u8> = (0..random.below(80)).map(|_| random.below(256) as u8).collect();
                    end.handle_packet(now, &bytes);
                    end.handle_packet(now, &peer.seal(&bytes));
                    while end.poll_packet().is_some() {}
                    while end.poll_message().is_some() {}
                }
            }
        }
    }

    #[derive(Clone)]
    struct Faults {
        loss_percent: usize,
        repeat_percent: usize,
        delay_ms: std::ops::Range<usize>,
    }

    impl Faults {
        const NONE: Self = Self { loss_percent: 0, repeat_percent: 0, delay_ms: 30..31 };
    }

    /// Two ends and the packets between them, in simulated time.
    struct Line {
        ends: [Signaling; 2],
        flying: Vec<(Instant, usize, Vec<u8>)>,
        got: [Vec<Message>; 2],
        faults: Faults,
        random: Random,
        now: Instant,
    }

    impl Line {
        fn new(version: Version, direct: bool, faults: Faults, seed: u64) -> Self {
            let now = Instant::now();
            let parameters =
                CustomParameters { signaling_without_sctp: direct, ..CustomParameters::default() };
            let end = |is_caller| Signaling::new(version, &vector_key(), is_caller, &parameters, now);
            Self {
                ends: [end(true), end(false)],
                flying: Vec::new(),
                got: [Vec::new(), Vec::new()],
                faults,
                random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                now,
            }
        }

        /// Sends so many messages each way, one every 50 ms, and lets them arrive.
        fn talk(&mut self, count: usize, limit: Duration) {
            let start = self.now;
            let mut sent = 0;
            let mut next_send = start;
            while self.now < start + limit && self.got.iter().any(|got| got.len() < count) {
                if sent < count && self.now >= next_send {
                    for end in &mut self.ends {
                        end.send(self.now, &numbered(count)[sent]);
                    }
                    sent += 1;
                    next_send = self.now + Duration::from_millis(50);
                }
                self.exchange();
                let timers = self.ends.iter().filter_map(Signaling::poll_timeout);
                let arrivals = self.flying.iter().map(|(at, ..)| *at);
                let sending = (sent < count).then_some(next_send);
                let Some(at) = timers.chain(arrivals).chain(sending).min() else {
                    return;
                };
                self.now = self.now.max(at);
            }
        }

        fn exchange(&mut self) {
            let due: Vec<_> = self.flying.extract_if(.., |(at, ..)| *at <= self.now).collect();
            for (_, to, packet) in due {
                self.ends[to].handle_packet(self.now, &packet);
            }
            for from in 0..2 {
                if self.ends[from].poll_timeout().is_some_and(|at| at <= self.now) {
                    self.ends[from].handle_timeout(self.now);
                }
                while let Some(packet) = self.ends[from].poll_packet() {
                    let copies = 1 + usize::from(self.random.below(100) < self.faults.repeat_percent);
                    for _ in 0..copies {
                        if self.random.below(100) < self.faults.loss_percent {
                            continue;
                        }
                        let span = self.faults.delay_ms.len();
                        let delay_ms = self.faults.delay_ms.start + self.random.below(span);
                        let at = self.now + Duration::from_millis(delay_ms as u64);
                        self.flying.push((at, 1 - from, packet.clone()));
                    }
                }
                while let Some(message) = self.ends[from].poll_message() {
                    self.got[from].push(message);
                }
            }
        }
    }

    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as usize % bound
        }
    }

    fn numbered(count: usize) -> Vec<Message> {
        (0..count).map(|index| Message::Candidates(Candidates::one(format!("candidate:{index}")))).collect()
    }

    fn vector_key() -> SharedKey {
        SharedKey::from_bytes(std::array::from_fn(|index| (7 * index + 3) as u8))
    }
}
