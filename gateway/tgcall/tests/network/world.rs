//! The simulated network and the two calls on it.

mod doors;
mod junk;
mod seen;
mod streams;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tgcall::signaling::{CustomParameters, Message, Signaling};
use tgcall::{Call, Certificate, Event, Parameters, Received, Route, SharedKey, StreamId, Version};

use super::random::Random;
use super::servers::{Hop, Servers};

const PACKET: Duration = Duration::from_millis(20);

static CERTIFICATES: LazyLock<[Arc<Certificate>; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Arc::new(Certificate::generate().unwrap())));
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

pub fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub fn start() -> Instant {
    *START
}

/// What the network does to what it carries.
#[derive(Clone)]
pub struct Conditions {
    pub loss: f64,
    pub duplicates: f64,
    pub delay: Range<Duration>,
    pub signaling_loss: f64,
    pub signaling_duplicates: f64,
    pub signaling_delay: Range<Duration>,
}

impl Conditions {
    pub const LAN: Self = Conditions {
        loss: 0.0,
        duplicates: 0.0,
        delay: Duration::from_micros(500)..Duration::from_micros(501),
        signaling_loss: 0.0,
        signaling_duplicates: 0.0,
        signaling_delay: Duration::from_millis(5)..Duration::from_millis(6),
    };
    /// Reorders by its spread of delays.
    pub const BAD: Self = Conditions {
        loss: 0.15,
        duplicates: 0.1,
        delay: Duration::from_millis(30)..Duration::from_millis(120),
        signaling_loss: 0.15,
        signaling_duplicates: 0.1,
        signaling_delay: Duration::from_millis(40)..Duration::from_millis(300),
    };
}

struct End {
    call: Call,
    addresses: Vec<SocketAddr>,
    /// Open streams, and where their packets seem to come from.
    streams: BTreeMap<StreamId, (SocketAddr, SocketAddr)>,
    connecting: BTreeSet<StreamId>,
    sequence: u16,
    next_audio: Option<Duration>,
    sent: usize,
    wake_ups: usize,
    received: Vec<u16>,
    control: Vec<Vec<u8>>,
    events: Vec<(Duration, Event)>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Parcel {
    due: Duration,
    number: u64,
    to: usize,
    what: What,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Datagram {
        source: SocketAddr,
        destination: SocketAddr,
        contents: Vec<u8>,
    },
    Signaling(Vec<u8>),
    ToServer(Hop),
    /// The next try of a connection that found nobody, and the wait before the one after that.
    StreamOpening {
        stream: StreamId,
        remote: SocketAddr,
        wait: Duration,
    },
    StreamOpened(StreamId),
    StreamClosed(StreamId),
    StreamData(StreamId, Vec<u8>),
}

/// Two ends and what lies between them.
pub struct World {
    pub conditions: Conditions,
    /// This end hears nothing.
    pub deaf: Option<usize>,
    /// A stranger throws in strangers' datagrams and damaged copies.
    pub forge: bool,
    pub unreachable: Vec<SocketAddr>,
    /// Sound goes no short way.
    pub detours: bool,
    /// Packets that took it, out and in.
    pub short: [usize; 2],
    /// Neither end's DTLS records arrive any more.
    pub without_dtls: bool,
    ends: [End; 2],
    now: Duration,
    random: Random,
    under_way: BinaryHeap<Reverse<Parcel>>,
    parcels: u64,
    /// What an end's address looks like from outside.
    rebound: Option<(usize, SocketAddr, SocketAddr)>,
    interceptors: Option<[Signaling; 2]>,
    swaps_fingerprints: bool,
    /// What interceptors saw.
    pub seen: [Vec<Message>; 2],
    checks: Vec<Vec<u8>>,
    pub servers: Servers,
    /// Nothing comes in but from servers.
    pub walled: bool,
    /// No server accepts streams.
    pub refuse_streams: bool,
    /// Nothing comes of a connection over TCP, and nobody is told.
    pub stalls_streams: bool,
    pub stream_orders: usize,
    /// Datagrams that went from one end to the other with no server between.
    pub direct: usize,
    next_stream_port: u16,
}

pub fn parameters(version: Version, is_caller: bool, seed: u64, addresses: &[&str]) -> Parameters {
    let mut random = Random::new(seed * 2 + u64::from(is_caller));
    Parameters {
        key: key(),
        is_caller,
        version,
        p2p_allowed: true,
        servers: Vec::new(),
        only_streams: false,
        custom_parameters: None,
        local_addresses: addresses
            .iter()
            .map(|address| address.parse::<SocketAddr>().unwrap().into())
            .collect(),
        certificate: Arc::clone(&CERTIFICATES[usize::from(is_caller)]),
        seed: std::array::from_fn(|_| random.below(256) as u8),
    }
}

impl World {
    pub fn new(version: Version, seed: u64, conditions: Conditions) -> Self {
        Self::with_addresses(version, seed, conditions, [&["10.0.0.1:4000"], &["10.0.0.2:5000"]])
    }

    pub fn with_addresses(
        version: Version,
        seed: u64,
        conditions: Conditions,
        addresses: [&[&str]; 2],
    ) -> Self {
        let parameters = [0, 1].map(|at| parameters(version, at == 0, seed, addresses[at]));
        Self::with_parameters(seed, conditions, Servers::default(), parameters)
    }

    /// `custom` is what the server made of `phoneCall.custom_parameters`.
    pub fn with_custom(version: Version, seed: u64, conditions: Conditions, custom: &str) -> Self {
        let addresses = ["10.0.0.1:4000", "10.0.0.2:5000"];
        let parameters = [0, 1].map(|at| Parameters {
            custom_parameters: Some(custom.to_owned()),
            ..parameters(version, at == 0, seed, &[addresses[at]])
        });
        Self::with_parameters(seed, conditions, Servers::default(), parameters)
    }

    pub fn with_parameters(
        seed: u64,
        conditions: Conditions,
        servers: Servers,
        parameters: [Parameters; 2],
    ) -> Self {
        let end = |parameters: Parameters| End {
            addresses: parameters.local_addresses.iter().map(|local| local.address).collect(),
            streams: BTreeMap::new(),
            connecting: BTreeSet::new(),
            call: Call::new(start(), parameters).unwrap(),
            sequence: 100,
            next_audio: None,
            sent: 0,
            wake_ups: 0,
            received: Vec::new(),
            control: Vec::new(),
            events: Vec::new(),
        };
        let [caller, callee] = parameters;
        World {
            conditions,
            deaf: None,
            forge: false,
            unreachable: Vec::new(),
            detours: false,
            short: [0, 0],
            without_dtls: false,
            ends: [end(caller), end(callee)],
            now: Duration::ZERO,
            random: Random::new(seed),
            under_way: BinaryHeap::new(),
            parcels: 0,
            rebound: None,
            interceptors: None,
            swaps_fingerprints: false,
            seen: [Vec::new(), Vec::new()],
            checks: Vec::new(),
            servers,
            walled: false,
            refuse_streams: false,
            stalls_streams: false,
            stream_orders: 0,
            direct: 0,
            next_stream_port: 20_000,
        }
    }

    /// Reads the signaling of both ends with their key, which only works with 13.0.0.
    pub fn listen_in(&mut self) {
        let intercept = |is_caller| {
            Signaling::new(Version::V13, &key(), is_caller, &CustomParameters::default(), start())
        };
        self.interceptors = Some([intercept(false), intercept(true)]);
    }

    /// Another network comes up at one end.
    pub fn plug_in(&mut self, end: usize, address: &str) {
        let address: SocketAddr = address.parse().unwrap();
        self.ends[end].addresses.push(address);
        let now = self.instant();
        self.ends[end].call.add_local_address(now, address).unwrap();
        self.drain(end);
    }

    /// A network goes down; nothing comes or goes there any more.
    pub fn unplug(&mut self, end: usize, address: &str) {
        let address: SocketAddr = address.parse().unwrap();
        self.ends[end].addresses.retain(|local| *local != address);
        let now = self.instant();
        self.ends[end].call.remove_local_address(now, address);
        self.drain(end);
    }

    /// Sits between the ends with their key and names another certificate to both.
    pub fn swap_fingerprints(&mut self) {
        self.listen_in();
        self.swaps_fingerprints = true;
    }

    pub fn start_sequence(&mut self, sequence: u16) {
        self.ends.iter_mut().for_each(|end| end.sequence = sequence);
    }

    /// A router gives this end another address, in both directions.
    pub fn rebind(&mut self, end: usize, seen_as: &str) {
        self.rebound = Some((end, self.ends[end].addresses[0], seen_as.parse().unwrap()));
    }

    /// Nobody speaks any more.
    pub fn hush(&mut self) {
        self.ends.iter_mut().for_each(|end| end.next_audio = None);
    }

    pub fn wake_ups(&self, end: usize) -> usize {
        self.ends[end].wake_ups
    }

    pub fn set_muted(&mut self, end: usize, muted: bool) {
        let now = self.instant();
        self.ends[end].call.set_muted(now, muted);
        self.drain(end);
    }

    /// Sends RTCP, if there is a way.
    pub fn send_control(&mut self, end: usize, mut rtcp: Vec<u8>) -> bool {
        let now = self.instant();
        let way = self.ends[end].call.protect_rtcp(now, &mut rtcp);
        if let Some(route) = way {
            self.send(end, route, rtcp);
        }
        way.is_some()
    }

    pub fn received_control(&self, end: usize) -> &[Vec<u8>] {
        &self.ends[end].control
    }

    pub fn close(&mut self, end: usize) {
        let now = self.instant();
        self.ends[end].call.close(now);
        self.drain(end);
    }

    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        for end in [0, 1] {
            self.drain(end);
        }
        while let Some(next) = self.next_event().filter(|next| *next <= until) {
            assert!(next >= self.now, "time runs forward");
            self.now = next;
            self.step();
        }
        self.now = until;
    }

    fn instant(&self) -> Instant {
        start() + self.now
    }

    fn next_event(&mut self) -> Option<Duration> {
        let now = self.now;
        let parcel = self.under_way.peek().map(|Reverse(parcel)| parcel.due);
        let ends = self.ends.iter_mut().flat_map(|end| {
            let timer = end.call.poll_timeout().map(|at| at.saturating_duration_since(start()));
            [timer, end.next_audio].into_iter().flatten()
        });
        ends.chain(parcel).min().map(|next| next.max(now))
    }

    fn step(&mut self) {
        let now = self.instant();
        for end in [0, 1] {
            if self.ends[end].call.poll_timeout().is_some_and(|due| due <= now) {
                self.ends[end].wake_ups += 1;
                self.ends[end].call.handle_timeout(now);
                self.drain(end);
            }
            if self.ends[end].next_audio.is_some_and(|due| due <= self.now) {
                self.speak(end);
            }
        }
        while self.under_way.peek().is_some_and(|Reverse(parcel)| parcel.due <= self.now) {
            let Some(Reverse(parcel)) = self.under_way.pop() else { return };
            self.deliver(parcel);
        }
    }

    fn speak(&mut self, at: usize) {
        let end = &mut self.ends[at];
        end.next_audio = end.next_audio.map(|due| due + PACKET);
        let Some(format) = end.call.outgoing().filter(|_| !end.events.is_empty()) else { return };
        let mut packet = vec![0x80, format.payload_type];
        packet.extend_from_slice(&end.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(end.sequence) * 960).to_be_bytes());
        packet.extend_from_slice(&format.ssrc.to_be_bytes());
        packet.extend_from_slice(&payload(at, end.sequence));
        // One that is dropped, or waits for its relay, has been encrypted: no other may have its number.
        end.sequence = end.sequence.wrapping_add(1);
        let Some(route) = self.protect(at, &mut packet) else { return };
        self.ends[at].sent += 1;
        self.send(at, route, packet);
    }

    fn deliver(&mut self, parcel: Parcel) {
        let (now, to) = (self.instant(), parcel.to);
        match parcel.what {
            What::Signaling(packet) => self.ends[to].call.handle_signaling(now, &packet),
            What::Datagram { source, destination, mut contents } => {
                if to == 1 && contents.starts_with(&[0, 1]) {
                    self.checks.push(contents.clone());
                }
                if !self.ends[to].addresses.contains(&destination) {
                    return;
                }
                self.take(to, source, destination, &mut contents);
            }
            What::ToServer(hop) => {
                for hop in self.servers.handle(self.now, hop) {
                    self.leave_server(hop);
                }
                return;
            }
            What::StreamOpening { stream, remote, wait } => {
                return self.try_stream(to, stream, remote, wait);
            }
            What::StreamOpened(stream) => self.ends[to].call.handle_stream_opened(now, stream),
            What::StreamClosed(stream) => self.ends[to].call.handle_stream_closed(now, stream),
            What::StreamData(stream, bytes) => {
                let size = 1 + self.random.below(bytes.len() as u64) as usize;
                let end = &mut self.ends[to];
                for piece in bytes.chunks(size) {
                    end.call.handle_stream_data(now, stream, piece);
                    while let Some(received) = end.call.poll_stream_media(now) {
                        match received {
                            Received::Rtp(packet) => end.received.push(heard(to, packet)),
                            Received::Rtcp(packets) => end.control.push(packets.to_vec()),
                        }
                    }
                }
            }
        }
        self.drain(to);
    }

    fn drain(&mut self, at: usize) {
        while let Some(event) = self.ends[at].call.poll_event() {
            if event == Event::Connected {
                self.ends[at].next_audio.get_or_insert(self.now);
            }
            self.ends[at].events.push((self.now, event));
        }
        while let Some(transmit) = self.ends[at].call.poll_transmit() {
            self.send(at, transmit.route, transmit.contents);
        }
        while let Some(order) = self.ends[at].call.poll_stream_order() {
            self.stream_orders += 1;
            self.handle_stream_order(at, order);
        }
        while let Some(packet) = self.ends[at].call.poll_signaling() {
            if self.interceptors.is_some() {
                self.intercept(at, &packet);
            } else {
                self.send_signaling(at, packet);
            }
        }
    }

    fn send(&mut self, from: usize, route: Route, contents: Vec<u8>) {
        let (source, destination) = match route {
            Route::Datagram { source, destination } => (source, destination),
            Route::Stream(stream) => return self.send_stream(from, stream, contents),
        };
        assert!(self.ends[from].addresses.contains(&source), "{source} is one of ours");
        let (mut source, mut destination) = (source, destination);
        if let Some((_, inside, outside)) = self.rebound {
            if source == inside {
                source = outside;
            } else if destination == inside {
                return;
            } else if destination == outside {
                destination = inside;
            }
        }
        if self.without_dtls && (20..64).contains(&contents[0]) {
            return;
        }
        if self.unreachable.contains(&source) || self.unreachable.contains(&destination) {
            return;
        }
        if self.walled && self.ends[1 - from].addresses.contains(&destination) {
            return;
        }
        if self.servers.owns(destination) {
            let hop = Hop { near: source, server: destination, is_stream: false, contents };
            if !self.random.chance(self.conditions.loss) {
                let due = self.now + self.random.within(&self.conditions.delay.clone());
                self.post(due, from, What::ToServer(hop));
            }
            return;
        }
        let to = 1 - from;
        self.direct += 1;
        if !self.ends[to].addresses.contains(&destination) || source.is_ipv4() != destination.is_ipv4() {
            return;
        }
        if self.forge {
            self.throw_in(to, source, destination, &contents);
        }
        let Conditions { loss, duplicates, delay, .. } = self.conditions.clone();
        let copies = 1 + usize::from(self.random.chance(duplicates));
        for _ in 0..copies {
            if self.deaf != Some(to) && !self.random.chance(loss) {
                let due = self.now + self.random.within(&delay);
                let contents = contents.clone();
                self.post(due, to, What::Datagram { source, destination, contents });
            }
        }
    }

    fn leave_server(&mut self, hop: Hop) {
        if hop.is_stream {
            let owner = self.ends.iter().enumerate().find_map(|(at, end)| {
                let (stream, _) = end.streams.iter().find(|(_, (near, _))| *near == hop.near)?;
                Some((at, *stream))
            });
            if let Some((at, stream)) = owner {
                let due = self.now + self.conditions.delay.start;
                self.post(due, at, What::StreamData(stream, hop.contents));
            }
            return;
        }
        let to = self.ends.iter().position(|end| end.addresses.contains(&hop.near));
        let Some(to) = to else { return };
        if self.unreachable.contains(&hop.near) || self.random.chance(self.conditions.loss) {
            return;
        }
        let due = self.now + self.random.within(&self.conditions.delay.clone());
        let what = What::Datagram { source: hop.server, destination: hop.near, contents: hop.contents };
        self.post(due, to, what);
    }

    fn send_signaling(&mut self, from: usize, packet: Vec<u8>) {
        let Conditions { signaling_loss, signaling_duplicates, signaling_delay, .. } =
            self.conditions.clone();
        let copies = 1 + usize::from(self.random.chance(signaling_duplicates));
        for _ in 0..copies {
            if !self.random.chance(signaling_loss) {
                let due = self.now + self.random.within(&signaling_delay);
                self.post(due, 1 - from, What::Signaling(packet.clone()));
            }
        }
    }

    fn post(&mut self, due: Duration, to: usize, what: What) {
        self.parcels += 1;
        self.under_way.push(Reverse(Parcel { due, number: self.parcels, to, what }));
    }

    /// A stranger's alert, junk of each kind, and, once media flows, damaged and repeated copies from the right address.
    fn throw_in(&mut self, to: usize, source: SocketAddr, destination: SocketAddr, genuine: &[u8]) {
        let stranger = "203.0.113.66:6666".parse().unwrap();
        let alert = vec![21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
        let mut junk: Vec<u8> = (0..60).map(|_| self.random.below(256) as u8).collect();
        junk[0] = [0, 22, 128, 200][self.random.below(4) as usize];
        let mut all = vec![(stranger, alert), (stranger, junk), (stranger, genuine.to_vec())];
        if genuine[0] >= 128 {
            let mut damaged = genuine.to_vec();
            let at = 12 + self.random.below(genuine.len() as u64 - 12) as usize;
            damaged[at] ^= 1;
            all.push((source, damaged));
            let again = self.now + self.conditions.delay.end;
            self.post(again, to, What::Datagram { source, destination, contents: genuine.to_vec() });
        }
        for (source, contents) in all {
            self.post(self.now, to, What::Datagram { source, destination, contents });
        }
    }

    fn intercept(&mut self, from: usize, packet: &[u8]) {
        let now = self.instant();
        let Some([caller_side, callee_side]) = &mut self.interceptors else { return };
        let (near, far) = if from == 0 { (caller_side, callee_side) } else { (callee_side, caller_side) };
        near.handle_packet(now, packet);
        while let Some(mut message) = near.poll_message() {
            self.seen[from].push(message.clone());
            if let Message::InitialSetup(setup) = &mut message
                && self.swaps_fingerprints
            {
                setup.fingerprints[0].fingerprint =
                    CERTIFICATES[usize::from(from != 0)].fingerprint().to_owned();
            }
            far.send(now, &message);
        }
        let mut out = Vec::new();
        for (to, side) in self.interceptors.iter_mut().flatten().enumerate() {
            out.extend(std::iter::from_fn(|| side.poll_packet()).map(|packet| (to, packet)));
        }
        for (to, packet) in out {
            self.post(self.now + self.conditions.signaling_delay.start, to, What::Signaling(packet));
        }
    }
}

fn heard(by: usize, packet: &[u8]) -> u16 {
    let sequence = u16::from_be_bytes([packet[2], packet[3]]);
    assert_eq!(packet[12..], payload(1 - by, sequence), "what was said is what is heard");
    sequence
}

fn key() -> SharedKey {
    SharedKey::from_bytes(std::array::from_fn(|at| (7 * at + 3) as u8))
}

fn payload(from: usize, sequence: u16) -> Vec<u8> {
    let mut random = Random::new(u64::from(sequence) << 1 | from as u64);
    (0..80).map(|_| random.below(256) as u8).collect()
}
