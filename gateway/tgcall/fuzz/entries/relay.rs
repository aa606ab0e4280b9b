//! What STUN and TURN servers and Telegram's reflectors send, over UDP and over streams, to a call that may use relays
//! alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use md5::{Digest, Md5};
use tgcall::signaling::message::{Candidates, Fingerprint, InitialSetup, Setup};
use tgcall::signaling::{CustomParameters, Message, Signaling};
use tgcall::{Call, Certificate, Parameters, Route, Server, SharedKey, StreamId, StreamOrder, Version};

use super::script::Script;
use super::stun::{attribute, plain, signed};

static CERTIFICATE: LazyLock<Arc<Certificate>> = LazyLock::new(|| Arc::new(Certificate::generate().unwrap()));

const PEER_TAG: [u8; 16] = [0x5a; 16];
const TURN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const REFLECTOR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// Plays a script as all servers of a call.
pub fn take(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let how = script.byte();
    let mut line = Line::new(how & 1 != 0, how & 2 != 0);
    if how & 4 != 0 {
        line.introduce();
    }
    while let Some(step) = script.step() {
        let which = step >> 4;
        match step % 10 {
            0 => line.throw(which, script.bytes()),
            1 => {
                let (kind, attributes) = (script.word(), script.bytes());
                let kind = line.answer_to(kind);
                line.reply(&plain(kind, &line.transaction, attributes));
            }
            2 => {
                let (kind, attributes) = (script.word(), script.bytes());
                let key = Md5::digest("user:realm:password");
                let kind = line.answer_to(kind);
                line.reply(&signed(kind, &line.transaction, attributes, &key));
            }
            3 => {
                let code = [0, 0, 4, script.byte() % 100];
                let more = script.bytes();
                let attributes = [
                    attribute(0x0009, &code),
                    attribute(0x0014, b"realm"),
                    attribute(0x0015, b"nonce"),
                    more.to_vec(),
                ];
                let kind = line.asked & 0x3eef | 0x0110;
                line.reply(&plain(kind, &line.transaction, &attributes.concat()));
            }
            4 => {
                let packet = [&line.greeting[..], script.bytes()].concat();
                line.reflect(which, &packet);
            }
            5 => {
                let (tag, data) = (script.byte(), script.bytes());
                let header =
                    [&line.greeting[..], &[tag, 2, 3, 4], &(data.len() as u32).to_be_bytes()].concat();
                line.reflect(which, &[&header, data].concat());
            }
            6 => line.stream(which, |call, now, stream| call.handle_stream_opened(now, stream)),
            7 => line.stream(which, |call, now, stream| call.handle_stream_closed(now, stream)),
            8 => {
                let bytes = script.bytes();
                line.stream(which, |call, now, stream| call.handle_stream_data(now, stream, bytes));
            }
            _ => {
                if which == 15 {
                    line.introduce();
                }
                line.sleep(script.word().into());
            }
        }
        line.settle();
    }
    line.call.close(line.now);
}

/// A call between its servers, and its peer's signaling.
struct Line {
    call: Call,
    peer: Signaling,
    now: Instant,
    streams: Vec<StreamId>,
    /// Kind, transaction and way of the newest STUN request.
    asked: u16,
    transaction: [u8; 12],
    route: Option<Route>,
    /// The tag of the newest greeting of a reflector.
    greeting: [u8; 16],
}

impl Line {
    fn new(is_caller: bool, only_streams: bool) -> Self {
        let now = Instant::now();
        let key = || SharedKey::from_bytes(std::array::from_fn(|at| (at * 3 + 1) as u8));
        let webrtc = |port, is_turn, is_stun| Server::Webrtc {
            ipv4: Some(TURN),
            ipv6: None,
            port,
            username: "user".to_owned(),
            password: "password".to_owned(),
            is_turn,
            is_stun,
        };
        let reflector = |id, is_tcp| Server::Reflector {
            id,
            ipv4: Some(REFLECTOR),
            ipv6: None,
            port: 599,
            peer_tag: PEER_TAG,
            is_tcp,
        };
        let parameters = Parameters {
            key: key(),
            is_caller,
            version: Version::V9,
            p2p_allowed: false,
            servers: vec![
                webrtc(3478, true, true),
                webrtc(3479, false, true),
                reflector(1, false),
                reflector(2, true),
            ],
            only_streams,
            custom_parameters: None,
            local_addresses: vec![here().into()],
            certificate: Arc::clone(&CERTIFICATE),
            seed: [9; 32],
        };
        let peer = Signaling::new(Version::V9, &key(), !is_caller, &CustomParameters::default(), now);
        let mut line = Self {
            call: Call::new(now, parameters).unwrap(),
            peer,
            now,
            streams: Vec::new(),
            asked: 0,
            transaction: [0; 12],
            route: None,
            greeting: [0; 16],
        };
        line.settle();
        line
    }

    /// Hears what the call has to say.
    fn settle(&mut self) {
        while let Some(transmit) = self.call.poll_transmit() {
            match transmit.contents.as_slice() {
                [0, kind, _, _, 0x21, 0x12, 0xa4, 0x42, rest @ ..] if rest.len() >= 12 => {
                    self.asked = u16::from(*kind);
                    self.transaction.copy_from_slice(&rest[..12]);
                    self.route = Some(transmit.route);
                }
                contents => {
                    for tag in contents.windows(16).filter(|tag| tag[..12] == PEER_TAG[..12]) {
                        self.greeting.copy_from_slice(tag);
                    }
                }
            }
        }
        while let Some(order) = self.call.poll_stream_order() {
            match order {
                StreamOrder::Open { stream, .. } => self.streams.push(stream),
                StreamOrder::Close(stream) => self.streams.retain(|one| *one != stream),
            }
        }
        assert!(self.streams.len() < 1000);
        while self.call.poll_stream_media(self.now).is_some() {}
        while let Some(packet) = self.call.poll_signaling() {
            self.peer.handle_packet(self.now, &packet);
        }
        while self.peer.poll_message().is_some() {}
        while self.call.poll_event().is_some() {}
    }

    /// The peer says who it is and where: behind the reflectors, and at an address.
    fn introduce(&mut self) {
        let setup = Message::InitialSetup(InitialSetup {
            ufrag: "peer".to_owned(),
            pwd: "a password of the peer's".to_owned(),
            renomination: true,
            fingerprints: vec![Fingerprint {
                hash: "sha-256".to_owned(),
                setup: Setup::Passive,
                fingerprint: ["CD"; 32].join(":"),
            }],
        });
        let place = |text: &str| Message::Candidates(Candidates::one(text));
        let places = [
            place("candidate:1 1 udp 2130706431 reflector-1-67305985.reflector 599 typ relay"),
            place("candidate:2 1 udp 2130706430 192.0.2.9 4000 typ relay raddr 0.0.0.0 rport 0"),
        ];
        for message in [setup].into_iter().chain(places) {
            self.peer.send(self.now, &message);
        }
        while let Some(packet) = self.peer.poll_packet() {
            self.call.handle_signaling(self.now, &packet);
        }
        self.settle();
    }

    fn answer_to(&self, kind: u16) -> u16 {
        if kind == 0 { self.asked & 0x3eef | 0x0100 } else { kind & 0x3fff }
    }

    /// A packet comes back on the way of the newest request.
    fn reply(&mut self, packet: &[u8]) {
        match self.route {
            Some(Route::Datagram { destination, .. }) => self.arrive(destination, packet),
            Some(Route::Stream(stream)) => self.call.handle_stream_data(self.now, stream, packet),
            None => self.throw(0, packet),
        }
    }

    fn throw(&mut self, which: u8, packet: &[u8]) {
        let (ip, port) = match which % 4 {
            0 => (TURN, 3478),
            1 => (TURN, 3479),
            2 => (REFLECTOR, 599),
            _ => (Ipv4Addr::new(203, 0, 113, 1), 9),
        };
        self.arrive((ip, port).into(), packet);
    }

    fn arrive(&mut self, source: SocketAddr, packet: &[u8]) {
        let mut datagram = packet.to_vec();
        self.call.accepts(source, &datagram);
        self.call.handle_datagram(self.now, source, here(), &mut datagram);
    }

    fn reflect(&mut self, which: u8, packet: &[u8]) {
        if which < 8 {
            return self.throw(2, packet);
        }
        let framed = [&(packet.len() as u32).to_le_bytes()[..], packet].concat();
        self.stream(which, |call, now, stream| call.handle_stream_data(now, stream, &framed));
    }

    fn stream(&mut self, which: u8, does: impl FnOnce(&mut Call, Instant, StreamId)) {
        if let Some(&stream) = self.streams.get(usize::from(which) % self.streams.len().max(1)) {
            does(&mut self.call, self.now, stream);
        }
    }

    fn sleep(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        for _ in 0..100 {
            if self.call.poll_timeout().is_none_or(|due| due > self.now) {
                break;
            }
            self.call.handle_timeout(self.now);
        }
    }
}

fn here() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 4000))
}
