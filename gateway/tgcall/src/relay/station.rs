//! One relay: a server's client over one socket or one stream, begun again when either is lost.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::reflector::Reflector;
use super::server::Addresses;
use super::stream::{Framing, Inbox};
use super::turn::{Turn, TurnEvent};
use super::{Identifiers, Inbound};
use crate::route::{Route, StreamId, StreamOrder, Transmit};

/// A server that is silent for so long is asked from the next local address; doubled once all were tried, for servers
/// that are far away.
const NEXT_LOCAL_AFTER: Duration = Duration::from_secs(1);
const MAX_NEXT_LOCAL_AFTER: Duration = Duration::from_secs(8);
/// Wait after a loss, doubled with each until the relay is back.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(16);
/// A relay that was there for so long, or brought a peer's packet, is worth a quick retry.
const STEADY_AFTER: Duration = Duration::from_secs(30);
/// The same while the whole call has no path.
const MAX_RETRY_LOST: Duration = Duration::from_secs(2);
/// A stream that brings nothing for so long while the call has no path is dead, or never came to be.
const SILENT_AFTER: Duration = Duration::from_secs(4);
/// The same, from a change of our networks on.
const SILENT_SINCE_CHANGE: Duration = Duration::from_secs(1);

/// What the server asks for; not for logs.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Access {
    Turn { username: String, password: String },
    Reflector { number: u8, peer_tag: [u8; 16] },
}

enum Client {
    Turn(Box<Turn>),
    Reflector(Reflector),
}

enum Carrier {
    Datagrams { local: Option<SocketAddr>, next_local_at: Option<Instant>, rounds: u32 },
    Stream(Link),
}

/// A stream of a relay, if there is one.
#[derive(Default)]
struct Link {
    stream: Option<StreamId>,
    is_open: bool,
    inbox: Inbox,
    /// When it brought something last, or was ordered.
    heard: Option<Instant>,
    /// It is given up then, unless it brings something before.
    proof_due: Option<Instant>,
}

/// What the relay is to ICE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StationEvent {
    Up(SocketAddr),
    Down(SocketAddr),
}

/// What stations share of their call.
pub(super) struct Surroundings<'a> {
    pub(super) locals: &'a [SocketAddr],
    pub(super) streams: &'a mut u32,
    pub(super) orders: &'a mut Vec<StreamOrder>,
}

pub(super) struct Station {
    addresses: Addresses,
    /// The address in use.
    server: SocketAddr,
    access: Access,
    carrier: Carrier,
    identifiers: Identifiers,
    /// The tag that a standalone reflector's ends agree on without a word.
    fixed_tag: Option<u32>,
    /// The tag behind a reflector, kept when the server itself closes a stream.
    tag: Option<u32>,
    /// May be begun.
    is_wanted: bool,
    client: Option<Client>,
    candidate: Option<SocketAddr>,
    /// A candidate that is no more, and nobody was told.
    lost: Option<SocketAddr>,
    /// A stream that is of no more use, and the shell was not told.
    spent: Option<StreamId>,
    losses: u32,
    up_since: Option<Instant>,
    retry_at: Option<Instant>,
    /// The call has no path, so every stream has to prove that it works.
    is_doubted: bool,
}

impl Station {
    /// Of a server that listens somewhere.
    pub(super) fn new(
        addresses: Addresses,
        access: Access,
        is_stream: bool,
        fixed_tag: Option<u32>,
        identifiers: Identifiers,
    ) -> Option<Self> {
        let carrier = if is_stream {
            Carrier::Stream(Link::default())
        } else {
            Carrier::Datagrams { local: None, next_local_at: None, rounds: 0 }
        };
        Some(Station {
            addresses,
            server: addresses.choose(false)?,
            access,
            carrier,
            identifiers,
            fixed_tag,
            tag: None,
            is_wanted: false,
            client: None,
            candidate: None,
            lost: None,
            spent: None,
            losses: 0,
            up_since: None,
            retry_at: None,
            is_doubted: false,
        })
    }

    pub(super) fn is(&self, addresses: Addresses, access: &Access, is_stream: bool) -> bool {
        self.addresses == addresses && self.access == *access && self.is_stream() == is_stream
    }

    pub(super) fn is_at(&self, address: SocketAddr) -> bool {
        self.addresses.contains(address)
    }

    pub(super) fn server(&self) -> SocketAddr {
        self.server
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.carrier, Carrier::Stream(_))
    }

    pub(super) fn is_reflector(&self) -> bool {
        matches!(self.access, Access::Reflector { .. })
    }

    pub(super) fn local(&self) -> Option<SocketAddr> {
        match self.carrier {
            Carrier::Datagrams { local, .. } => local,
            Carrier::Stream(_) => None,
        }
    }

    /// Our address behind the relay, while it works.
    pub(super) fn candidate(&self) -> Option<SocketAddr> {
        self.candidate
    }

    pub(super) fn stream(&self) -> Option<StreamId> {
        match &self.carrier {
            Carrier::Stream(link) => link.stream,
            Carrier::Datagrams { .. } => None,
        }
    }

    /// Begins, if that was not done.
    pub(super) fn want(&mut self, now: Instant, around: &mut Surroundings<'_>) {
        if !self.is_wanted {
            self.is_wanted = true;
            self.begin(now, around);
        }
    }

    /// How packets leave, while there is a socket or a stream.
    pub(super) fn route(&self) -> Option<Route> {
        match &self.carrier {
            Carrier::Datagrams { local, .. } => {
                local.map(|source| Route::Datagram { source, destination: self.server })
            }
            Carrier::Stream(link) => link.stream.filter(|_| link.is_open).map(Route::Stream),
        }
    }

    /// Makes of a packet for `peer` one for the server, in place, if it can go now.
    pub(super) fn wrap(&mut self, now: Instant, peer: SocketAddr, packet: &mut Vec<u8>) -> Option<Route> {
        let route = self.route()?;
        let is_ready = match self.client.as_mut()? {
            Client::Turn(turn) => turn.wrap(now, peer, packet),
            Client::Reflector(reflector) => reflector.wrap(peer, packet),
        };
        if !is_ready {
            return None;
        }
        if self.is_stream() {
            self.framing().frame(packet);
        }
        Some(route)
    }

    /// Takes a packet of the server.
    pub(super) fn unwrap(&mut self, now: Instant, packet: &[u8]) -> Inbound {
        let inbound = match &mut self.client {
            Some(Client::Turn(turn)) => turn.unwrap(now, packet),
            Some(Client::Reflector(reflector)) => reflector.unwrap(now, packet),
            None => Inbound::Control,
        };
        if matches!(inbound, Inbound::Data { .. }) {
            self.losses = 0;
        }
        inbound
    }

    pub(super) fn handle_stream_opened(&mut self, now: Instant) -> Option<Transmit> {
        let framing = self.framing();
        let Carrier::Stream(Link { stream: Some(stream), is_open, .. }) = &mut self.carrier else {
            return None;
        };
        *is_open = true;
        let route = Route::Stream(*stream);
        self.client = Some(self.client(now));
        framing.preamble().map(|contents| Transmit { route, contents })
    }

    pub(super) fn handle_stream_data(&mut self, now: Instant, bytes: &[u8]) {
        let proof_due = self.is_doubted.then(|| now + SILENT_AFTER);
        if let Carrier::Stream(link) = &mut self.carrier {
            link.inbox.push(bytes);
            link.heard = Some(now);
            link.proof_due = proof_due;
        }
    }

    /// The call has lost its path, or has one again.
    pub(super) fn set_doubted(&mut self, now: Instant, is_doubted: bool, around: &mut Surroundings<'_>) {
        self.is_doubted = is_doubted;
        let Carrier::Stream(link) = &mut self.carrier else { return };
        link.proof_due = link.heard.filter(|_| is_doubted).map(|heard| heard + SILENT_AFTER);
        if is_doubted && (self.retry_at.is_some() || self.is_proof_overdue(now)) {
            self.begin(now, around);
        }
    }

    /// Our networks have changed: a stream may be dead, and nothing else would tell.
    pub(super) fn handle_network_change(&mut self, now: Instant, around: &mut Surroundings<'_>) {
        let Carrier::Stream(link) = &mut self.carrier else { return };
        let due = link.heard.map(|heard| (now + SILENT_SINCE_CHANGE).min((heard + SILENT_AFTER).max(now)));
        link.proof_due = [due, link.proof_due].into_iter().flatten().min();
        if self.retry_at.is_some() || self.is_proof_overdue(now) {
            self.begin(now, around);
        }
    }

    /// Our networks have changed, and streams are all there is: no waiting for the old one.
    pub(super) fn renew_stream(&mut self, now: Instant, around: &mut Surroundings<'_>) {
        if self.is_wanted && self.is_stream() {
            self.losses = 0;
            self.begin(now, around);
        }
    }

    /// The next packet in what the stream brought; a stream that cannot be read is given up.
    pub(super) fn next_packet(&mut self, now: Instant) -> Option<Range<usize>> {
        let framing = self.framing();
        let Carrier::Stream(link) = &mut self.carrier else { return None };
        match link.inbox.next(framing) {
            Ok(packet) => packet,
            Err(_) => {
                tracing::debug!(server = %self.server, "a relay's stream makes no sense");
                self.retry_later(now);
                None
            }
        }
    }

    /// What [`Station::next_packet`] points into.
    pub(super) fn inbox_mut(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.carrier {
            Carrier::Stream(link) => Some(link.inbox.bytes_mut()),
            Carrier::Datagrams { .. } => None,
        }
    }

    pub(super) fn inbox(&self) -> &[u8] {
        match &self.carrier {
            Carrier::Stream(link) => link.inbox.bytes(),
            Carrier::Datagrams { .. } => &[],
        }
    }

    pub(super) fn handle_stream_closed(&mut self, now: Instant) {
        if let Carrier::Stream(link) = &mut self.carrier {
            *link = Link::default();
        }
        self.retry_later(now);
    }

    /// Moves away from a local address that is gone.
    pub(super) fn handle_local_removed(&mut self, now: Instant, around: &mut Surroundings<'_>) {
        if self.local().is_some_and(|local| !around.locals.contains(&local)) {
            self.begin(now, around);
        }
    }

    /// Begins where no address would do before.
    pub(super) fn handle_local_added(&mut self, now: Instant, around: &mut Surroundings<'_>) {
        if self.is_wanted && !self.is_stream() && self.local().is_none() {
            self.begin(now, around);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant, around: &mut Surroundings<'_>) {
        match &mut self.client {
            Some(Client::Turn(turn)) => turn.handle_timeout(now),
            Some(Client::Reflector(reflector)) => reflector.handle_timeout(now),
            None => {}
        }
        if self.retry_at.is_some_and(|due| due <= now) || self.is_proof_overdue(now) {
            self.begin(now, around);
        } else if let Carrier::Datagrams { next_local_at: Some(due), .. } = self.carrier
            && due <= now
        {
            self.begin(now, around);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let client = match &self.client {
            Some(Client::Turn(turn)) => turn.poll_timeout(),
            Some(Client::Reflector(reflector)) => Some(reflector.poll_timeout()),
            None => None,
        };
        let carrier = match &self.carrier {
            Carrier::Datagrams { next_local_at, .. } => *next_local_at,
            Carrier::Stream(link) => link.proof_due,
        };
        [client, self.retry_at, carrier].into_iter().flatten().min()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        let route = self.route()?;
        let mut contents = match self.client.as_mut()? {
            Client::Turn(turn) => turn.poll_transmit(),
            Client::Reflector(reflector) => reflector.poll_transmit(),
        }?;
        if self.is_stream() {
            self.framing().frame(&mut contents);
        }
        Some(Transmit { route, contents })
    }

    pub(super) fn poll_event(&mut self, now: Instant) -> Option<StationEvent> {
        if let Some(lost) = self.lost.take() {
            return Some(StationEvent::Down(lost));
        }
        let up = match self.client.as_mut()? {
            Client::Reflector(reflector) => reflector.poll_ready()?,
            Client::Turn(turn) => match turn.poll_event()? {
                TurnEvent::Allocated(relayed) => relayed,
                TurnEvent::Gone { worth_retrying } => {
                    if worth_retrying {
                        self.retry_later(now);
                    } else {
                        self.drop_client();
                    }
                    self.stop_looking();
                    return self.poll_event(now);
                }
            },
        };
        self.up_since = Some(now);
        self.stop_looking();
        self.candidate = Some(up);
        Some(StationEvent::Up(up))
    }

    /// A stream to be closed.
    pub(super) fn poll_spent(&mut self) -> Option<StreamId> {
        self.spent.take()
    }

    /// Gives back what the server holds for us.
    pub(super) fn close(&mut self) -> Option<StreamOrder> {
        if let Some(Client::Turn(turn)) = &mut self.client {
            turn.close();
        }
        self.stream().map(StreamOrder::Close)
    }

    fn framing(&self) -> Framing {
        if self.is_reflector() { Framing::Reflector } else { Framing::Turn }
    }

    fn is_proof_overdue(&self, now: Instant) -> bool {
        match &self.carrier {
            Carrier::Datagrams { .. } => false,
            Carrier::Stream(link) => link.proof_due.is_some_and(|due| due <= now),
        }
    }

    fn stop_looking(&mut self) {
        if let Carrier::Datagrams { next_local_at, rounds, .. } = &mut self.carrier {
            *next_local_at = None;
            *rounds = 0;
        }
    }

    fn drop_client(&mut self) {
        self.client = None;
        self.lost = self.candidate.take().or(self.lost);
        if let Carrier::Stream(link) = &mut self.carrier {
            self.spent = std::mem::take(link).stream.or(self.spent);
        }
    }

    fn retry_later(&mut self, now: Instant) {
        if self.up_since.take().is_some_and(|since| now >= since + STEADY_AFTER) {
            self.losses = 0;
        }
        self.drop_client();
        let longest = if self.is_doubted { MAX_RETRY_LOST } else { MAX_RETRY };
        let wait = FIRST_RETRY.saturating_mul(1 << self.losses.min(8)).min(longest);
        self.losses += 1;
        self.retry_at = Some(now + wait);
    }

    /// From the next local address of the server's family, or over a new stream.
    fn begin(&mut self, now: Instant, around: &mut Surroundings<'_>) {
        self.retry_at = None;
        self.up_since = None;
        if !self.is_stream() || self.stream().is_some() {
            // The server may take the old way for alive.
            self.tag = None;
        }
        self.drop_client();
        if let Some(server) = self.addresses.reachable_from(around.locals) {
            self.server = server;
        }
        let proof_due = self.is_doubted.then(|| now + SILENT_AFTER);
        match &mut self.carrier {
            Carrier::Stream(link) => {
                *around.streams += 1;
                let stream = StreamId(*around.streams);
                *link = Link { stream: Some(stream), heard: Some(now), proof_due, ..Link::default() };
                around.orders.push(StreamOrder::Open { stream, remote: self.server });
            }
            Carrier::Datagrams { local, next_local_at, rounds } => {
                let is_ipv4 = self.server.is_ipv4();
                let fitting = || around.locals.iter().filter(|address| address.is_ipv4() == is_ipv4);
                let tried = fitting().position(|address| Some(*address) == *local);
                let next = tried.map_or(0, |at| at + 1);
                *local = fitting().nth(next).or_else(|| fitting().next()).copied();
                *rounds += u32::from(tried.is_some() && next >= fitting().count());
                let wait = NEXT_LOCAL_AFTER.saturating_mul(1 << (*rounds).min(8)).min(MAX_NEXT_LOCAL_AFTER);
                *next_local_at = (fitting().count() > 1).then(|| now + wait);
                if local.is_some() {
                    self.client = Some(self.client(now));
                }
            }
        }
    }

    fn client(&mut self, now: Instant) -> Client {
        let is_stream = self.is_stream();
        match &self.access {
            Access::Turn { username, password } => {
                let identifiers = self.identifiers.branch();
                Client::Turn(Box::new(Turn::new(now, username, password, is_stream, identifiers)))
            }
            Access::Reflector { number, peer_tag } => {
                let own = self.fixed_tag.or(self.tag).unwrap_or_else(|| self.identifiers.tag());
                self.tag = Some(own);
                let port = self.server.port();
                Client::Reflector(Reflector::new(now, *number, port, peer_tag, own, is_stream))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::Server;

    const LOCALS: [&str; 3] = ["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:3"];

    #[test]
    fn a_server_that_accepts_streams_and_closes_them_is_asked_ever_more_rarely() {
        let start = Instant::now();
        let mut station = station(reflector(), true);
        assert_eq!(closes(&mut station, start, Duration::ZERO, 6), [1, 2, 4, 8, 16, 16]);
    }

    #[test]
    fn a_relay_that_was_there_for_long_or_served_is_asked_again_soon() {
        let start = Instant::now();
        for is_served in [false, true] {
            let mut station = station(reflector(), true);
            closes(&mut station, start, Duration::ZERO, 4);
            let (mut streams, mut orders) = (9, Vec::new());
            let mut around = Surroundings { locals: &[], streams: &mut streams, orders: &mut orders };
            station.begin(start, &mut around);
            station.handle_stream_opened(start);
            station.poll_event(start);
            if is_served {
                let packet = [&[7; 12][..], &[1; 4], &[2; 4], &[0, 0, 0, 4], &[0; 4]].concat();
                assert!(matches!(station.unwrap(start, &packet), Inbound::Data { .. }));
                assert_eq!(closes(&mut station, start, Duration::ZERO, 1), [1]);
            } else {
                assert_eq!(closes(&mut station, start, STEADY_AFTER, 1), [1]);
            }
        }
    }

    #[test]
    fn the_wait_for_a_far_server_grows_with_each_round_of_addresses() {
        let start = Instant::now();
        let mut station = station(Access::Turn { username: "u".into(), password: "p".into() }, false);
        let locals = LOCALS.map(|local| local.parse().unwrap());
        let (mut streams, mut orders) = (0, Vec::new());
        let mut around = Surroundings { locals: &locals, streams: &mut streams, orders: &mut orders };
        station.want(start, &mut around);
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..12 {
            let Carrier::Datagrams { next_local_at: Some(next), .. } = station.carrier else { panic!() };
            waits.push((next - now).as_secs());
            now = next;
            station.handle_timeout(now, &mut around);
        }
        assert_eq!(waits, [1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8]);
    }

    #[test]
    fn the_family_of_the_addresses_that_are_left_is_taken() {
        let start = Instant::now();
        let mut station = station(reflector(), false);
        let [ipv4, ipv6]: [SocketAddr; 2] =
            ["10.0.0.1:1", "[2001:db8::9]:1"].map(|local| local.parse().unwrap());
        let (mut streams, mut orders) = (0, Vec::new());
        let mut server_with = |locals: &[SocketAddr]| {
            let mut around = Surroundings { locals, streams: &mut streams, orders: &mut orders };
            station.want(start, &mut around);
            station.handle_local_removed(start, &mut around);
            station.handle_local_added(start, &mut around);
            (station.local(), station.server().is_ipv4())
        };
        assert_eq!(server_with(&[ipv6]), (Some(ipv6), false));
        assert_eq!(server_with(&[ipv6, ipv4]), (Some(ipv6), false), "what works is kept");
        assert_eq!(server_with(&[ipv4]), (Some(ipv4), true));
        assert_eq!(server_with(&[]), (None, true));
        assert_eq!(server_with(&[ipv6]), (Some(ipv6), false));
    }

    /// Has each of `count` streams closed `after` it was opened; how many seconds the retries come later.
    fn closes(station: &mut Station, start: Instant, after: Duration, count: usize) -> Vec<u64> {
        let (mut streams, mut orders) = (0, Vec::new());
        let mut around = Surroundings { locals: &[], streams: &mut streams, orders: &mut orders };
        station.want(start, &mut around);
        let mut now = start;
        let waits = (0..count).map(|_| {
            station.handle_stream_opened(now);
            while station.poll_event(now).is_some() {}
            now += after;
            station.handle_stream_closed(now);
            let due = station.retry_at.unwrap();
            let wait = (due - now).as_secs();
            now = due;
            station.handle_timeout(now, &mut around);
            wait
        });
        waits.collect()
    }

    fn reflector() -> Access {
        Access::Reflector { number: 1, peer_tag: [7; 16] }
    }

    fn station(access: Access, is_stream: bool) -> Station {
        let server = Server::Reflector {
            id: 1,
            ipv4: Some([192, 0, 2, 1].into()),
            ipv6: Some([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into()),
            port: 599,
            peer_tag: [0; 16],
            is_tcp: is_stream,
        };
        Station::new(server.addresses(), access, is_stream, None, Identifiers::new([1; 32])).unwrap()
    }
}
