//! Calls that share sockets, told apart as a gateway's thread does it: by who was heard where, by the name that a check
//! asks for and by the question that an answer is to. Whoever is named from another's source gets a socket beside.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use tgcall::{Addressee, Call, Local, Purpose, Question, Received, Route, Version, question};

use crate::network::{Random, ms, parameters, start};

const S: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(1);
const SOUND_EVERY: usize = 20;

struct End {
    call: Call,
    shared: SocketAddr,
    own: Option<SocketAddr>,
    sequence: u16,
    heard: usize,
    connected: Option<Duration>,
}

#[derive(Default)]
struct Socket {
    sources: BTreeMap<SocketAddr, usize>,
    questions: BTreeMap<[u8; 12], usize>,
    members: Vec<usize>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Parcel {
    due: Duration,
    number: usize,
    /// Who sent it; a stranger otherwise.
    from: Option<usize>,
    what: What,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Datagram { source: SocketAddr, destination: SocketAddr, contents: Vec<u8> },
    Signaling(Vec<u8>),
}

/// Calls, of which two ends each follow one another.
struct Sockets {
    ends: Vec<End>,
    sockets: BTreeMap<SocketAddr, Socket>,
    under_way: BinaryHeap<Reverse<Parcel>>,
    posted: usize,
    now: Duration,
    ticks: usize,
    random: Random,
    loss: f64,
    delay: std::ops::Range<Duration>,
    /// Checks of each end that arrived somewhere.
    checks: Vec<Vec<Vec<u8>>>,
    strays: usize,
    clashes: usize,
}

impl Sockets {
    /// The calls between these addresses; the first ends are callers and callees in turn.
    fn new(between: &[[&str; 2]], loss: f64, delay: std::ops::Range<Duration>) -> Self {
        let mut sockets = Sockets {
            ends: Vec::new(),
            sockets: BTreeMap::new(),
            under_way: BinaryHeap::new(),
            posted: 0,
            now: Duration::ZERO,
            ticks: 0,
            random: Random::new(77),
            loss,
            delay,
            checks: vec![Vec::new(); 2 * between.len()],
            strays: 0,
            clashes: 0,
        };
        for (number, addresses) in between.iter().enumerate() {
            for (side, address) in addresses.iter().enumerate() {
                let mut parameters =
                    parameters(Version::V13, number % 2 == side, 900 + number as u64, &[address]);
                let shared = parameters.local_addresses[0].address;
                parameters.local_addresses = vec![Local { address: shared, purpose: Purpose::Direct }];
                let call = Call::new(start(), parameters).unwrap();
                let (own, connected) = (None, None);
                sockets.sockets.entry(shared).or_default().members.push(sockets.ends.len());
                sockets.ends.push(End { call, shared, own, sequence: 1, heard: 0, connected });
            }
        }
        sockets
    }

    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += TICK;
            self.ticks += 1;
            while self.under_way.peek().is_some_and(|Reverse(parcel)| parcel.due <= self.now) {
                let Some(Reverse(parcel)) = self.under_way.pop() else { break };
                self.deliver(parcel);
            }
            for at in 0..self.ends.len() {
                let now = start() + self.now;
                if self.ends[at].call.poll_timeout().is_some_and(|due| due <= now) {
                    self.ends[at].call.handle_timeout(now);
                }
                if (self.ticks + at).is_multiple_of(SOUND_EVERY) {
                    self.speak(at);
                }
                self.drain(at);
            }
        }
    }

    fn speak(&mut self, at: usize) {
        let end = &mut self.ends[at];
        let Some(format) = end.call.outgoing().filter(|_| end.call.is_connected()) else { return };
        let mut packet = vec![0x80, format.payload_type];
        packet.extend_from_slice(&end.sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(end.sequence) * 960).to_be_bytes());
        packet.extend_from_slice(&format.ssrc.to_be_bytes());
        packet.extend_from_slice(&[at as u8; 40]);
        end.sequence += 1;
        if let Some(route) = end.call.protect(start() + self.now, &mut packet) {
            self.send(at, route, packet);
        }
    }

    fn drain(&mut self, at: usize) {
        while self.ends[at].call.poll_event().is_some() {}
        if self.ends[at].call.is_connected() {
            self.ends[at].connected.get_or_insert(self.now);
        }
        let end = &mut self.ends[at];
        if end.call.take_peers_changed() {
            let socket = self.sockets.get_mut(&end.shared).unwrap();
            let peers: Vec<SocketAddr> = end.call.peers(end.shared).collect();
            socket.sources.retain(|source, owner| *owner != at || peers.contains(source));
            for peer in peers {
                assert_eq!(*socket.sources.entry(peer).or_insert(at), at, "nobody hears where another does");
            }
        }
        while let Some(transmit) = self.ends[at].call.poll_transmit() {
            self.send(at, transmit.route, transmit.contents);
        }
        while let Some(packet) = self.ends[at].call.poll_signaling() {
            self.post(Some(at), What::Signaling(packet));
        }
    }

    fn send(&mut self, from: usize, route: Route, contents: Vec<u8>) {
        let Route::Datagram { source, destination } = route else { panic!("no relays here") };
        let end = &self.ends[from];
        assert!(source == end.shared || Some(source) == end.own, "{source} is a socket of the call's");
        if let (Some(Question { id, .. }), Some(socket)) =
            (question(&contents), self.sockets.get_mut(&source))
        {
            socket.questions.insert(id, from);
        }
        if !self.random.chance(self.loss) {
            self.post(Some(from), What::Datagram { source, destination, contents });
        }
    }

    fn post(&mut self, from: Option<usize>, what: What) {
        self.posted += 1;
        let due = self.now + self.random.within(&self.delay.clone());
        self.under_way.push(Reverse(Parcel { due, number: self.posted, from, what }));
    }

    fn deliver(&mut self, Parcel { from, what, .. }: Parcel) {
        let now = start() + self.now;
        match what {
            What::Signaling(packet) => {
                let to = from.unwrap() ^ 1;
                self.ends[to].call.handle_signaling(now, &packet);
                self.drain(to);
            }
            What::Datagram { source, destination, mut contents } => {
                let Some(to) = self.find(source, destination, &contents) else { return };
                if let Some(from) = from {
                    assert_eq!(to, from ^ 1, "{contents:02x?} from {source} to {destination}");
                }
                if contents.starts_with(&[0, 1]) {
                    self.checks[to].push(contents.clone());
                }
                let received = self.ends[to].call.handle_datagram(now, source, destination, &mut contents);
                if let Some(Received::Rtp(packet)) = received {
                    assert_eq!(packet[12..], [to as u8 ^ 1; 40], "only the own peer is heard");
                    self.ends[to].heard += 1;
                }
                self.drain(to);
            }
        }
    }

    /// Whom a datagram is for.
    fn find(&mut self, source: SocketAddr, destination: SocketAddr, contents: &[u8]) -> Option<usize> {
        if let Some(at) = self.ends.iter().position(|end| end.own == Some(destination)) {
            return Some(at);
        }
        let socket = self.sockets.get(&destination)?;
        let owner = socket.sources.get(&source).copied();
        let called = |name: &[u8]| {
            socket.members.iter().copied().find(|at| self.ends[*at].call.ufrag().as_bytes() == name)
        };
        let named = match Addressee::of(contents) {
            Some(Addressee::Peer) => owner,
            Some(Addressee::Named(name)) => called(name),
            Some(Addressee::Asker(id)) => socket.questions.get(&id).copied(),
            None => None,
        };
        match named {
            Some(named) if owner.is_none_or(|owner| owner == named) => Some(named),
            Some(named) => {
                self.clashes += 1;
                self.open_beside(named);
                None
            }
            None => {
                self.strays += 1;
                None
            }
        }
    }

    fn open_beside(&mut self, at: usize) {
        let end = &mut self.ends[at];
        if end.own.is_none() {
            let own = SocketAddr::new(end.shared.ip(), 20_000 + at as u16);
            end.own = Some(own);
            end.call.add_local_address(start() + self.now, own).unwrap();
            self.drain(at);
        }
    }

    /// All calls have sound both ways, and nobody was given what was another's.
    fn assert_all_talk(&mut self, share: f64) {
        let before: Vec<_> = self.ends.iter().map(|end| end.heard).collect();
        self.run(5 * S);
        for (at, end) in self.ends.iter().enumerate() {
            let heard = (end.heard - before[at]) as f64 / 250.0;
            assert!(heard >= share, "end {at} hears {heard} of all");
            let counters = end.call.counters();
            assert_eq!((counters.forged, counters.malformed), (0, 0), "end {at}");
        }
    }

    fn connected(&self) -> Vec<Duration> {
        self.ends.iter().map(|end| end.connected.expect("all are connected")).collect()
    }
}

#[test]
fn calls_on_one_socket_hear_their_own_peers_and_nobody_else() {
    let far: Vec<String> = (0..12).map(|at| format!("10.0.1.{at}:5000")).collect();
    let between: Vec<[&str; 2]> = far.iter().map(|far| ["10.0.0.1:4000", far.as_str()]).collect();
    let mut sockets = Sockets::new(&between, 0.1, ms(5)..ms(60));
    sockets.run(10 * S);
    sockets.assert_all_talk(0.8);
    assert_eq!(sockets.clashes, 0, "peers that differ need no sockets of their own");
    let mut quiet = Sockets::new(&between, 0.0, ms(1)..ms(2));
    quiet.run(S);
    quiet.assert_all_talk(0.99);
    assert!(quiet.connected().iter().all(|after| *after < ms(150)));
}

#[test]
fn ends_that_share_on_both_sides_get_sockets_beside() {
    // Two gateways, and one that calls itself.
    for addresses in [["10.0.0.1:4000", "10.0.0.2:4000"], ["10.0.0.1:4000", "10.0.0.1:4000"]] {
        for (loss, delay, share, limit) in
            [(0.0, ms(1)..ms(2), 0.99, ms(300)), (0.1, ms(5)..ms(60), 0.8, ms(4_000))]
        {
            let mut sockets = Sockets::new(&[addresses; 5], loss, delay);
            sockets.run(8 * S);
            sockets.assert_all_talk(share);
            assert!(sockets.connected().iter().all(|after| *after < limit), "{:?}", sockets.connected());
            assert!(sockets.clashes > 0);
        }
    }
}

#[test]
fn whoever_takes_a_peers_address_gets_no_further_than_that_peer() {
    let between = [["10.0.0.1:4000", "10.0.1.1:5000"], ["10.0.0.1:4000", "10.0.1.2:5000"]];
    let mut sockets = Sockets::new(&between, 0.0, ms(1)..ms(2));
    sockets.run(2 * S);
    let ours = sockets.ends[0].shared;
    let (first, second) = (sockets.ends[1].shared, sockets.ends[3].shared);
    let recorded = sockets.checks[2].clone();
    assert!(recorded.len() > 2);
    let path = sockets.ends[2].call.path().unwrap();
    // Checks of the second call from where the first one's peer is, then from a stranger's.
    for source in [first, "203.0.113.9:9".parse().unwrap()] {
        for check in &recorded {
            let (destination, contents) = (ours, check.clone());
            sockets.post(None, What::Datagram { source, destination, contents });
        }
        sockets.run(ms(100));
    }
    assert!(sockets.clashes > 0);
    let now = sockets.ends[2].call.path().unwrap();
    assert_eq!(now.remote, path.remote, "a repeated check moves nobody");
    assert_eq!(sockets.sockets[&ours].sources[&first], 0);
    assert_eq!(sockets.sockets[&ours].sources[&second], 2);
    sockets.assert_all_talk(0.99);
    // Bytes at random, from peers' addresses and others.
    let strays = sockets.strays;
    for round in 0..3_000 {
        let mut contents: Vec<u8> = (0..30).map(|_| sockets.random.below(256) as u8).collect();
        contents[0] = [0, 1, 3, 22, 128, 144, 200, 255][sockets.random.below(8) as usize];
        if round % 3 == 0 {
            contents[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        }
        let source = [first, second, "203.0.113.9:10".parse().unwrap()][round % 3];
        sockets.post(None, What::Datagram { source, destination: ours, contents });
        sockets.run(TICK);
    }
    assert!(sockets.strays >= strays + 1_000);
    let before = sockets.ends[0].heard;
    sockets.run(2 * S);
    assert!(sockets.ends[0].heard - before >= 99);
    assert_eq!(sockets.ends[0].call.path().unwrap().remote, first);
}
