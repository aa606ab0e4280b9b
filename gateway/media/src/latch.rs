//! Whose packets a call takes, and where it sends its own: symmetric RTP with a latch (RFC 4961, against RTP bleed).
//!
//! The address of the peer's SDP is believed first. A peer with several addresses may send from the one that signals
//! instead, from the announced port. Only when both stay silent may another port of these hosts take their place, and
//! whoever it is yields as soon as the announced address speaks. After that nobody else gets in until the peer makes a new
//! offer. A peer may begin with a key: from the announced port, RTP events are its audio, too.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::rtp::Packet;

/// How long the announced port has the call to itself before another port of its host may take it.
pub const PREFERENCE: Duration = Duration::from_secs(1);

/// The one source of a call's media on one side.
#[derive(Debug)]
pub struct Latch {
    signals_from: IpAddr,
    announced: SocketAddr,
    payload_type: u8,
    /// Payload type of RTP events (RFC 4733), where they were agreed on.
    events: Option<u8>,
    since: Instant,
    latched: Option<SocketAddr>,
    intruders: u64,
}

impl Latch {
    /// Expects packets of `payload_type` from the address in the SDP of the peer, who signals from `signals_from`.
    pub fn new(now: Instant, signals_from: IpAddr, announced: SocketAddr, payload_type: u8) -> Self {
        let (events, latched) = (None, None);
        Self { signals_from, announced, payload_type, events, since: now, latched, intruders: 0 }
    }

    /// Expects RTP events under this payload type, too, or none.
    pub fn expect_events(&mut self, payload_type: Option<u8>) {
        self.events = payload_type;
    }

    /// The peer made a new offer or answer. The same address keeps what was latched.
    pub fn expect(&mut self, now: Instant, announced: SocketAddr, payload_type: u8) {
        self.payload_type = payload_type;
        if announced != self.announced {
            (self.announced, self.since, self.latched) = (announced, now, None);
        }
    }

    /// Whether to take this datagram; latches to its source where the rules allow it.
    ///
    /// From the latched source everything is taken, RTCP and other payload types too: the relay sorts it.
    pub fn accept(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> bool {
        if self.latched == Some(source) {
            return true;
        }
        let is_peers = [self.announced.ip(), self.signals_from].contains(&source.ip());
        let is_open = self.latched.is_none() && is_peers;
        let as_announced = source == self.announced || is_open && source.port() == self.announced.port();
        let eligible = as_announced || is_open && now.saturating_duration_since(self.since) >= PREFERENCE;
        let valid = Packet::read(datagram).is_ok_and(|packet| {
            let is_event = as_announced && self.events == Some(packet.payload_type);
            packet.payload_type == self.payload_type || is_event
        });
        if eligible && valid {
            tracing::debug!(%source, announced = %self.announced, "latched");
            self.latched = Some(source);
        } else if source != self.announced {
            self.intruders += 1;
        }
        eligible && valid
    }

    /// Where this side's packets go: the latched source, or the announced address before there is one.
    pub fn target(&self) -> SocketAddr {
        self.latched.unwrap_or(self.announced)
    }

    /// Datagrams from elsewhere that were refused.
    pub fn intruders(&self) -> u64 {
        self.intruders
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPUS: [u8; 13] = [0x80, 107, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xf8];

    #[test]
    fn the_announced_address_is_taken_from_its_first_packet() {
        let (mut latch, start) = latch();
        assert_eq!(latch.target(), announced());
        assert!(latch.accept(start, announced(), &OPUS));
        assert_eq!((latch.target(), latch.intruders()), (announced(), 0));
    }

    #[test]
    fn a_stranger_gets_in_neither_before_nor_after_the_latch() {
        let (mut latch, start) = latch();
        let strangers = [from("127.0.0.1:9"), from("10.0.0.9:4000"), from("[::1]:4000")];
        for stranger in strangers {
            assert!(!latch.accept(start, stranger, &OPUS), "{stranger} before");
        }
        assert!(latch.accept(start, announced(), &OPUS));
        for stranger in strangers {
            assert!(!latch.accept(start + PREFERENCE * 60, stranger, &OPUS), "{stranger} after");
        }
        assert_eq!((latch.target(), latch.intruders()), (announced(), 6));
    }

    #[test]
    fn another_port_of_the_same_host_gets_its_turn_when_the_announced_one_is_silent() {
        let (mut latch, start) = latch();
        let other = from("127.0.0.1:4002");
        assert!(!latch.accept(start + PREFERENCE - Duration::from_millis(1), other, &OPUS));
        assert!(latch.accept(start + PREFERENCE, other, &OPUS));
        assert_eq!(latch.target(), other);
        assert!(!latch.accept(start + PREFERENCE, from("127.0.0.1:4004"), &OPUS), "one alone");
    }

    #[test]
    fn the_announced_address_takes_its_place_back_for_good() {
        let (mut latch, start) = latch();
        let other = from("127.0.0.1:4002");
        let later = start + PREFERENCE;
        assert!(latch.accept(later, other, &OPUS));
        assert!(latch.accept(later, announced(), &OPUS));
        assert!(!latch.accept(later + PREFERENCE, other, &OPUS));
        assert_eq!(latch.target(), announced());
    }

    #[test]
    fn a_peer_with_two_addresses_is_heard_at_once_from_the_one_that_signals() {
        let start = Instant::now();
        let mut latch = Latch::new(start, from("192.0.2.1:0").ip(), announced(), 107);
        assert!(!latch.accept(start, from("192.0.2.1:4002"), &OPUS), "not from another port");
        assert!(latch.accept(start, from("192.0.2.1:4000"), &OPUS));
        assert_eq!(latch.target(), from("192.0.2.1:4000"));
        assert!(latch.accept(start, announced(), &OPUS), "the announced address comes first all the same");
        assert_eq!(latch.target(), announced());
    }

    #[test]
    fn another_host_never_gets_a_turn() {
        let (mut latch, start) = latch();
        assert!(!latch.accept(start + PREFERENCE * 60, from("127.0.0.2:4000"), &OPUS));
    }

    #[test]
    fn what_is_no_rtp_of_the_agreed_type_does_not_latch() {
        let (mut latch, start) = latch();
        let mut other_type = OPUS;
        other_type[1] = 8;
        for datagram in
            [&b"\x00\x01\x00\x00!\x12\xa4B"[..], &OPUS[..8], &[0x80, 200, 0, 1, 0, 0, 0, 0], &other_type]
        {
            assert!(!latch.accept(start, announced(), datagram), "{datagram:02x?}");
        }
        assert_eq!(latch.intruders(), 0, "the peer itself is no intruder");
        assert!(latch.accept(start, announced(), &OPUS));
        assert!(latch.accept(start, announced(), &other_type), "from the latched source everything is taken");
    }

    #[test]
    fn a_key_latches_the_announced_port_before_any_sound_and_no_other() {
        let (mut latch, start) = latch();
        let mut key = OPUS;
        key[1] = 0x80 | 101;
        assert!(!latch.accept(start, announced(), &key), "not agreed on");
        latch.expect_events(Some(101));
        assert!(!latch.accept(start + PREFERENCE, from("127.0.0.1:4002"), &key));
        assert!(latch.accept(start, announced(), &key));
        assert_eq!(latch.target(), announced());

        let mut latch = Latch::new(start, from("192.0.2.1:0").ip(), announced(), 107);
        latch.expect_events(Some(101));
        assert!(latch.accept(start, from("192.0.2.1:4000"), &key), "from the address that signals");
    }

    #[test]
    fn a_new_offer_opens_the_latch_and_the_same_offer_does_not() {
        let (mut latch, start) = latch();
        assert!(latch.accept(start, announced(), &OPUS));
        latch.expect(start, announced(), 107);
        assert!(!latch.accept(start + PREFERENCE, from("127.0.0.1:4002"), &OPUS));
        let moved = from("127.0.0.1:5000");
        latch.expect(start, moved, 107);
        assert_eq!(latch.target(), moved);
        assert!(!latch.accept(start, announced(), &OPUS), "the old address is a stranger now");
        assert!(latch.accept(start, moved, &OPUS));
    }

    fn latch() -> (Latch, Instant) {
        let start = Instant::now();
        (Latch::new(start, announced().ip(), announced(), 107), start)
    }

    fn announced() -> SocketAddr {
        from("127.0.0.1:4000")
    }

    fn from(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }
}
