//! Datagrams of a call's media path: raw ones, STUN messages signed with the call's passwords, and the honest peer's
//! own ones, damaged on their way.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tgcall::signaling::{CustomParameters, Message, Signaling};
use tgcall::{Addressee, Call, Certificate, Parameters, Route, SharedKey, Version, question};

use super::script::Script;
use super::stun::{attribute, signed};

static CERTIFICATES: LazyLock<[Arc<Certificate>; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Arc::new(Certificate::generate().unwrap())));

const BINDING_SUCCESS: u16 = 0x0101;
/// Hundredths of a second after which a network that carries nothing is not looked at so often.
const IDLE: u64 = 30;

/// Plays a script against a call whose peer is honest, on a network that is not.
pub fn take(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let how = script.byte();
    let mut line = Line::new(how & 1 != 0);
    if how & 2 != 0 {
        line.introduce();
    }
    if how & 4 != 0 {
        line.run(200);
    }
    while let Some(step) = script.step() {
        match step % 8 {
            0 => line.throw(&mut script.bytes().to_vec()),
            1 => {
                let kind = script.word();
                let attributes = script.bytes();
                line.ask(kind, attributes);
            }
            2 => {
                let kind = script.word();
                let attributes = script.bytes();
                line.answer(kind, attributes);
            }
            3 => {
                let (at, mask, cut) = (script.word(), script.byte(), script.byte());
                line.damage(at.into(), mask, cut.into());
            }
            4 => line.run(u64::from(script.byte())),
            5 => line.sleep(u64::from(script.word())),
            6 => {
                let packet = script.bytes();
                line.speak(packet);
            }
            _ => line.introduce(),
        }
        line.settle();
    }
    line.end.close(line.now);
}

/// A call and its peer; two more ears on the signaling learn the passwords.
struct Line {
    end: Call,
    peer: Call,
    ears: [Signaling; 2],
    /// User fragment and password of the end and of the peer.
    credentials: [Option<(String, String)>; 2],
    now: Instant,
    /// Transaction of the newest check that the end sent.
    transaction: [u8; 12],
    to_end: Vec<Vec<u8>>,
    to_peer: Vec<Vec<u8>>,
    signals: [Vec<Vec<u8>>; 2],
}

impl Line {
    fn new(is_caller: bool) -> Self {
        let now = Instant::now();
        let key = || SharedKey::from_bytes(std::array::from_fn(|at| (at * 5 + 1) as u8));
        let call = |is_caller: bool, address: SocketAddr| {
            let parameters = Parameters {
                key: key(),
                is_caller,
                version: Version::V9,
                p2p_allowed: true,
                servers: Vec::new(),
                only_streams: false,
                custom_parameters: None,
                local_addresses: vec![address.into()],
                certificate: Arc::clone(&CERTIFICATES[usize::from(is_caller)]),
                seed: [if is_caller { 1 } else { 2 }; 32],
            };
            Call::new(now, parameters).unwrap()
        };
        let ear =
            |is_caller| Signaling::new(Version::V9, &key(), is_caller, &CustomParameters::default(), now);
        let mut line = Self {
            end: call(is_caller, end_address()),
            peer: call(!is_caller, peer_address()),
            ears: [ear(!is_caller), ear(is_caller)],
            credentials: [None, None],
            now,
            transaction: [0; 12],
            to_end: Vec::new(),
            to_peer: Vec::new(),
            signals: [Vec::new(), Vec::new()],
        };
        line.settle();
        line
    }

    /// Gathers what both ends have to say.
    fn settle(&mut self) {
        while let Some(transmit) = self.end.poll_transmit() {
            if let [0, 1, _, _, _, _, _, _, transaction @ ..] = transmit.contents.as_slice()
                && let Some(transaction) = transaction.first_chunk()
            {
                self.transaction = *transaction;
            }
            self.to_peer.push(transmit.contents.to_vec());
        }
        while let Some(transmit) = self.peer.poll_transmit() {
            self.to_end.push(transmit.contents.to_vec());
        }
        for (from, call) in [&mut self.end, &mut self.peer].into_iter().enumerate() {
            while let Some(packet) = call.poll_signaling() {
                self.ears[from].handle_packet(self.now, &packet);
                self.signals[1 - from].push(packet);
            }
            while let Some(message) = self.ears[from].poll_message() {
                if let Message::InitialSetup(setup) = message {
                    self.credentials[from] = Some((setup.ufrag, setup.pwd));
                }
            }
            while call.poll_event().is_some() {}
        }
        assert!(self.to_peer.len() < 100_000);
    }

    /// Hands the signaling over.
    fn introduce(&mut self) {
        for _ in 0..4 {
            if self.signals.iter().all(Vec::is_empty) {
                return;
            }
            for packet in std::mem::take(&mut self.signals[0]) {
                self.end.handle_signaling(self.now, &packet);
            }
            for packet in std::mem::take(&mut self.signals[1]) {
                self.peer.handle_signaling(self.now, &packet);
            }
            self.settle();
        }
    }

    /// Lets an honest network run for so many hundredths of a second.
    fn run(&mut self, hundredths: u64) {
        let mut idle = 0;
        for hundredth in 0..hundredths {
            // Nobody has anything to say before somebody's time is up.
            if idle > IDLE {
                return self.sleep(10 * (hundredths - hundredth));
            }
            self.sleep(10);
            self.settle();
            idle = if self.to_peer.is_empty() && self.to_end.is_empty() { idle + 1 } else { 0 };
            for mut datagram in std::mem::take(&mut self.to_peer) {
                self.peer.handle_datagram(self.now, end_address(), peer_address(), &mut datagram);
            }
            for mut datagram in std::mem::take(&mut self.to_end) {
                self.throw(&mut datagram);
            }
            self.introduce();
        }
    }

    fn sleep(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        for call in [&mut self.end, &mut self.peer] {
            for _ in 0..100 {
                if call.poll_timeout().is_none_or(|due| due > self.now) {
                    break;
                }
                call.handle_timeout(self.now);
            }
        }
    }

    fn throw(&mut self, datagram: &mut [u8]) {
        self.end.accepts(peer_address(), datagram);
        if let Some(Addressee::Named(name)) = Addressee::of(datagram) {
            assert!(name.len() < datagram.len() && question(datagram).is_some());
        }
        self.end.handle_datagram(self.now, peer_address(), end_address(), datagram);
    }

    /// A STUN message that knows the end's password.
    fn ask(&mut self, kind: u16, attributes: &[u8]) {
        let [Some((ours, password)), theirs] = &self.credentials else { return };
        let theirs = theirs.as_ref().map_or("", |(ufrag, _)| ufrag);
        let name = format!("{ours}:{theirs}");
        let mut named = attribute(0x0006, name.as_bytes());
        named.extend_from_slice(attributes);
        let mut message = signed(kind & 0x3fff, &[7; 12], &named, password.as_bytes());
        self.throw(&mut message);
    }

    /// A STUN message of the end's own transaction that knows the peer's password.
    fn answer(&mut self, kind: u16, attributes: &[u8]) {
        let [_, Some((_, password))] = &self.credentials else { return };
        let kind = if kind == 0 { BINDING_SUCCESS } else { kind & 0x3fff };
        let mut message = signed(kind, &self.transaction, attributes, password.as_bytes());
        self.throw(&mut message);
    }

    /// The next datagram of the peer arrives with some bits turned and an end cut off.
    fn damage(&mut self, at: usize, mask: u8, cut: usize) {
        if self.to_end.is_empty() {
            return;
        }
        let mut datagram = self.to_end.remove(0);
        datagram.truncate(datagram.len().saturating_sub(cut % 64));
        let length = datagram.len().max(1);
        if let Some(byte) = datagram.get_mut(at % length) {
            *byte ^= mask;
        }
        self.throw(&mut datagram);
    }

    /// Sound of the peer, whatever its packet is.
    fn speak(&mut self, packet: &[u8]) {
        let mut rtp = packet.to_vec();
        let is_rtcp = rtp.get(1).is_some_and(|kind| (192..=223).contains(kind));
        let route = match is_rtcp {
            true => self.peer.protect_rtcp(self.now, &mut rtp),
            false => self.peer.protect(self.now, &mut rtp),
        };
        if let Some(Route::Datagram { .. }) = route {
            self.throw(&mut rtp);
        }
    }
}

fn end_address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 4000))
}

fn peer_address() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 2], 5000))
}
