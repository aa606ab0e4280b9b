//! The client of one of Telegram's reflectors: relays that know no addresses, only tags.
//!
//! The first twelve bytes of the tag that the server gave are the call's, the last four are chosen by each end for each
//! of its ways there. Over UDP the server is greeted until it answers; over a stream it needs no answer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Inbound, ReflectorName};

const GREET_FIRST: Duration = Duration::from_millis(500);
const GREET_LATER: Duration = Duration::from_secs(10);
const CALL_TAG_BYTES: usize = 12;
const HEADER_BYTES: usize = 24;
/// Behind the tag of a greeting over UDP: a request to the server, with a number that it echoes.
const GREETING: [u8; 24] =
    *b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\0\0\0\0\0\0\0\x7b";

pub(super) struct Reflector {
    number: u8,
    port: u16,
    call_tag: [u8; CALL_TAG_BYTES],
    own: u32,
    is_stream: bool,
    is_ready: bool,
    is_told: bool,
    greet_at: Instant,
    transmits: VecDeque<Vec<u8>>,
}

impl Reflector {
    /// Greets the server at once.
    pub(super) fn new(
        now: Instant,
        number: u8,
        port: u16,
        peer_tag: &[u8; 16],
        own: u32,
        is_stream: bool,
    ) -> Self {
        let mut call_tag = [0; CALL_TAG_BYTES];
        call_tag.copy_from_slice(&peer_tag[..CALL_TAG_BYTES]);
        let mut reflector = Reflector {
            number,
            port,
            call_tag,
            own,
            is_stream,
            is_ready: is_stream,
            is_told: false,
            greet_at: now,
            transmits: VecDeque::new(),
        };
        reflector.handle_timeout(now);
        reflector
    }

    /// Our place behind it.
    pub(super) fn address(&self) -> SocketAddr {
        ReflectorName { number: self.number, tag: self.own }.address(self.port)
    }

    /// Our place, once, when it can be reached.
    pub(super) fn poll_ready(&mut self) -> Option<SocketAddr> {
        let is_news = self.is_ready && !self.is_told;
        self.is_told |= is_news;
        is_news.then(|| self.address())
    }

    /// Takes a packet of the server.
    pub(super) fn unwrap(&mut self, now: Instant, packet: &[u8]) -> Inbound {
        if packet.len() < 16 || packet[..CALL_TAG_BYTES] != self.call_tag {
            return Inbound::Control;
        }
        if !self.is_ready {
            self.is_ready = true;
            self.greet_at = now + GREET_LATER;
        }
        let is_of_server = packet.get(16..28).is_none_or(|bytes| bytes == [0xff; 12]);
        match packet {
            [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, t0, t1, t2, t3, l0, l1, l2, l3, rest @ ..]
                if !is_of_server =>
            {
                let tag = u32::from_le_bytes([*t0, *t1, *t2, *t3]);
                let length = u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize;
                if length == 0 || length > rest.len() {
                    return Inbound::Control;
                }
                let from = ReflectorName { number: self.number, tag }.address(self.port);
                Inbound::Data { from, range: HEADER_BYTES..HEADER_BYTES + length }
            }
            _ => Inbound::Control,
        }
    }

    /// Makes of a packet for `peer`, a place behind this reflector, one for the server, in place.
    pub(super) fn wrap(&self, peer: SocketAddr, packet: &mut Vec<u8>) -> bool {
        let Some(name) = ReflectorName::of(peer).filter(|name| name.number == self.number) else {
            return false;
        };
        let mut header = [0; HEADER_BYTES];
        header[..12].copy_from_slice(&self.call_tag);
        header[12..16].copy_from_slice(&name.tag.to_le_bytes());
        header[16..20].copy_from_slice(&self.own.to_le_bytes());
        header[20..].copy_from_slice(&(packet.len() as u32).to_be_bytes());
        packet.splice(..0, header);
        packet.resize(packet.len().next_multiple_of(4), 0);
        true
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if now < self.greet_at {
            return;
        }
        let mut greeting = self.call_tag.to_vec();
        greeting.extend_from_slice(&self.own.to_le_bytes());
        greeting.extend_from_slice(if self.is_stream { &[0; 4] } else { &GREETING });
        self.transmits.push_back(greeting);
        self.greet_at = now + if self.is_ready { GREET_LATER } else { GREET_FIRST };
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.greet_at
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tag and packets of ntgcalls 3.0.5.
    const PEER_TAG: &str = "002122232425262728292a2b2c2d2e2f";
    const OWN: u32 = 4_001_738_912;

    #[test]
    fn greetings_and_headers_are_those_of_ntgcalls() {
        let start = Instant::now();
        let mut reflector = reflector(start, false);
        let golden = "002122232425262728292a2ba0b085eefffffffffffffffffffffffffeffffff000000000000007b";
        assert_eq!(reflector.poll_transmit(), Some(hex::decode(golden).unwrap()));
        let peer =
            ReflectorName { number: 1, tag: u32::from_le_bytes([0xfa, 0x59, 0xdb, 0x67]) }.address(599);
        let mut packet = vec![1; 95];
        assert!(reflector.wrap(peer, &mut packet));
        let header = hex::decode("002122232425262728292a2bfa59db67a0b085ee0000005f").unwrap();
        assert_eq!(packet[..24], header);
        assert_eq!(packet[24..], [[1; 95].as_slice(), &[0]].concat());
    }

    #[test]
    fn greetings_are_rare_once_they_are_answered() {
        let start = Instant::now();
        let mut reflector = reflector(start, false);
        let mut now = start;
        for _ in 0..3 {
            assert_eq!(reflector.poll_timeout(), now + GREET_FIRST);
            now = reflector.poll_timeout();
            reflector.handle_timeout(now);
        }
        assert_eq!(reflector.poll_ready(), None);
        reflector.unwrap(now, &[1; 40]);
        assert_eq!(reflector.poll_ready(), None, "another call's");
        let greeting = reflector.poll_transmit().unwrap();
        assert_eq!(reflector.unwrap(now, &greeting), Inbound::Control);
        assert_eq!(reflector.poll_ready(), Some(reflector.address()));
        assert_eq!((reflector.poll_ready(), reflector.poll_timeout()), (None, now + GREET_LATER));
    }

    #[test]
    fn what_a_peer_sends_comes_from_its_place() {
        let start = Instant::now();
        let mut reflector = reflector(start, false);
        let mut packet =
            hex::decode("002122232425262728292a2ba0b085eefa59db67000000050102030405000000").unwrap();
        let from = ReflectorName { number: 1, tag: 0x67db_59fa }.address(599);
        assert_eq!(reflector.unwrap(start, &packet), Inbound::Data { from, range: 24..29 });
        for length in [0, 9] {
            packet[23] = length;
            assert_eq!(reflector.unwrap(start, &packet), Inbound::Control);
        }
        for end in 0..packet.len() {
            assert_eq!(reflector.unwrap(start, &packet[..end]), Inbound::Control);
        }
    }

    #[test]
    fn a_stream_needs_no_answer() {
        let start = Instant::now();
        let mut reflector = reflector(start, true);
        assert_eq!(reflector.poll_ready(), Some(reflector.address()));
        let golden = "002122232425262728292a2ba0b085ee00000000";
        assert_eq!(reflector.poll_transmit(), Some(hex::decode(golden).unwrap()));
    }

    #[test]
    fn only_its_own_places_are_served() {
        let reflector = reflector(Instant::now(), false);
        let elsewhere = ReflectorName { number: 2, tag: 7 }.address(599);
        assert!(!reflector.wrap(elsewhere, &mut vec![1]));
        assert!(!reflector.wrap("192.0.2.1:1".parse().unwrap(), &mut vec![1]));
    }

    fn reflector(now: Instant, is_stream: bool) -> Reflector {
        let tag = hex::decode(PEER_TAG).unwrap().try_into().unwrap();
        Reflector::new(now, 1, 599, &tag, OWN, is_stream)
    }
}
