//! All the servers of one call: which are used, from where, and what ICE gets of them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use super::reflexive::Reflexive;
use super::server::{Addresses, numbers};
use super::station::{Access, Station, StationEvent, Surroundings};
use super::{Identifiers, Inbound, ReflectorName, Server};
use crate::local::Local;
use crate::route::{Route, StreamId, StreamOrder, Transmit};

/// Servers used over UDP, and over streams.
const MAX_STATIONS: usize = 16;
const MAX_STREAMS: usize = 8;
/// Local sockets that look for their address from outside, and servers that each asks.
const MAX_BASES: usize = 4;
const MAX_STUN_SERVERS: usize = 2;

/// What became known of the ways through servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RelayEvent {
    /// A relay works; peers reach us at `candidate`. Its server knows us as a client at `local`, if over UDP.
    Up {
        candidate: SocketAddr,
        local: Option<SocketAddr>,
    },
    Down {
        candidate: SocketAddr,
    },
    /// What a local socket looks like from outside.
    Reflexive {
        mapped: SocketAddr,
        base: SocketAddr,
    },
}

/// What a packet to a peer became.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrapped {
    /// It goes as it is, between the two addresses.
    Direct,
    Relayed(Route),
    /// It waits for its relay, or is dropped.
    Kept,
}

/// A packet of a peer that came through a relay.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Relayed {
    /// Our address behind the relay.
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// Where it lies in what came.
    pub(crate) range: Range<usize>,
}

/// What to do with a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is of no server of ours.
    Direct,
    Relayed(Relayed),
    /// It was the server's own word.
    Handled,
}

/// How a relay's packets travel, for the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RelayInfo {
    pub(crate) is_reflector: bool,
    pub(crate) is_stream: bool,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) server: SocketAddr,
}

/// How servers may be used.
pub(crate) struct RelayPolicy {
    /// Addresses from outside are of use.
    pub(crate) wants_reflexive: bool,
    pub(crate) only_streams: bool,
    /// Tags of a standalone reflector: ours, and the peer's.
    pub(crate) fixed_tag: Option<u32>,
}

pub(crate) struct Relays {
    stations: Vec<Station>,
    reflexive: Vec<Reflexive>,
    stun_servers: Vec<Addresses>,
    identifiers: Identifiers,
    /// Sockets that packets between the two ends may take.
    direct: Vec<SocketAddr>,
    /// Those that servers may be spoken to from, as a client of theirs.
    own: Vec<SocketAddr>,
    streams: u32,
    new_orders: Vec<StreamOrder>,
    orders: VecDeque<StreamOrder>,
    transmits: VecDeque<Transmit>,
    events: VecDeque<RelayEvent>,
    is_closed: bool,
}

impl Relays {
    pub(crate) fn new(
        now: Instant,
        servers: &[Server],
        locals: &[Local],
        policy: &RelayPolicy,
        secret: [u8; 32],
    ) -> Self {
        let mut relays = Relays {
            stations: Vec::new(),
            reflexive: Vec::new(),
            stun_servers: Vec::new(),
            identifiers: Identifiers::new(secret),
            direct: locals.iter().filter(|local| local.is_for_peers()).map(|local| local.address).collect(),
            own: locals.iter().filter(|local| local.is_for_relays()).map(|local| local.address).collect(),
            streams: 0,
            new_orders: Vec::new(),
            orders: VecDeque::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            is_closed: false,
        };
        let ids = numbers(servers);
        for server in servers {
            let addresses = server.addresses();
            match server {
                Server::Webrtc { username, password, is_turn, is_stun, .. } => {
                    if *is_stun && policy.wants_reflexive && relays.stun_servers.len() < MAX_STUN_SERVERS {
                        relays.stun_servers.push(addresses);
                    }
                    if *is_turn {
                        let access = Access::Turn { username: username.clone(), password: password.clone() };
                        if !policy.only_streams {
                            relays.add_station(addresses, access.clone(), false, None);
                        }
                        relays.add_station(addresses, access, true, None);
                    }
                }
                Server::Reflector { id, peer_tag, is_tcp, .. } => {
                    let number = ids.binary_search(id).ok().and_then(|at| u8::try_from(at + 1).ok());
                    if let Some(number) = number.filter(|_| *is_tcp || !policy.only_streams) {
                        let access = Access::Reflector { number, peer_tag: *peer_tag };
                        relays.add_station(addresses, access, *is_tcp, policy.fixed_tag);
                    }
                }
            }
        }
        let has_datagrams =
            relays.stations.iter().any(|station| !station.is_stream()) && !relays.own.is_empty();
        for station in &mut relays.stations {
            if !has_datagrams || !station.is_stream() {
                let (locals, streams) = (&relays.own, &mut relays.streams);
                let mut around = Surroundings { locals, streams, orders: &mut relays.new_orders };
                station.want(now, &mut around);
            }
        }
        for base in relays.direct.clone() {
            relays.ask_outside(now, base);
        }
        relays.orders.extend(relays.new_orders.drain(..));
        relays
    }

    /// UDP alone does not do: streams too from now on.
    pub(crate) fn want_streams(&mut self, now: Instant) {
        self.each(|station, around| station.want(now, around));
    }

    /// The call has lost its path, or has one again: while it has none, streams that bring nothing are replaced.
    pub(crate) fn set_doubted(&mut self, now: Instant, is_doubted: bool) {
        self.each(|station, around| station.set_doubted(now, is_doubted, around));
    }

    /// Replaces every stream at once.
    pub(crate) fn renew_streams(&mut self, now: Instant) {
        self.each(|station, around| station.renew_stream(now, around));
    }

    /// Looks whether a datagram is a server's, and opens it if it is.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &[u8],
    ) -> Arrival {
        let mut arrival = Arrival::Direct;
        for reflexive in &mut self.reflexive {
            if reflexive.server == source && reflexive.base == destination {
                if let Some(news) = reflexive.handle(datagram) {
                    let event = news.map(|mapped| RelayEvent::Reflexive { mapped, base: destination });
                    self.events.extend(event);
                    return Arrival::Handled;
                }
                arrival = Arrival::Handled;
            }
        }
        for station in &mut self.stations {
            if station.server() == source && station.local() == Some(destination) {
                arrival = Arrival::Handled;
                if let (Inbound::Data { from, range }, Some(local)) =
                    (station.unwrap(now, datagram), station.candidate())
                {
                    return Arrival::Relayed(Relayed { local, remote: from, range });
                }
            }
        }
        arrival
    }

    /// Whether a datagram from there may be a server's.
    pub(crate) fn knows(&self, source: SocketAddr) -> bool {
        self.stations.iter().any(|station| station.is_at(source))
            || self.reflexive.iter().any(|reflexive| reflexive.server == source)
    }

    /// Whether packets between one of our sockets and a peer go as they are, and none of them is a server's.
    pub(crate) fn is_direct(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        let is_of_station = |station: &Station| {
            station.candidate() == Some(local) || station.server() == remote && station.local() == Some(local)
        };
        self.direct.contains(&local)
            && !self.stations.iter().any(is_of_station)
            && !self.reflexive.iter().any(|reflexive| reflexive.server == remote && reflexive.base == local)
    }

    /// Makes of a packet from our address `local` to a peer what its relay wants, in place.
    pub(crate) fn wrap(
        &mut self,
        now: Instant,
        local: SocketAddr,
        remote: SocketAddr,
        packet: &mut Vec<u8>,
    ) -> Wrapped {
        let station = self.stations.iter_mut().find(|station| station.candidate() == Some(local));
        match station {
            Some(station) => station.wrap(now, remote, packet).map_or(Wrapped::Kept, Wrapped::Relayed),
            None if self.direct.contains(&local) => Wrapped::Direct,
            None => Wrapped::Kept,
        }
    }

    pub(crate) fn handle_stream_opened(&mut self, now: Instant, stream: StreamId) {
        let station = self.stations.iter_mut().find(|station| station.stream() == Some(stream));
        self.transmits.extend(station.and_then(|station| station.handle_stream_opened(now)));
    }

    pub(crate) fn handle_stream_data(&mut self, now: Instant, stream: StreamId, bytes: &[u8]) {
        let station = self.stations.iter_mut().find(|station| station.stream() == Some(stream));
        if let Some(station) = station {
            station.handle_stream_data(now, bytes);
        }
    }

    pub(crate) fn handle_stream_closed(&mut self, now: Instant, stream: StreamId) {
        let station = self.stations.iter_mut().find(|station| station.stream() == Some(stream));
        if let Some(station) = station {
            station.handle_stream_closed(now);
        }
    }

    /// The next peer's packet in what streams brought: which station has it in its inbox, and where.
    pub(crate) fn next_packet(&mut self, now: Instant) -> Option<(usize, Relayed)> {
        for (at, station) in self.stations.iter_mut().enumerate() {
            while let Some(packet) = station.next_packet(now) {
                let mut inbox = std::mem::take(station.inbox_mut().unwrap_or(&mut Vec::new()));
                let inbound = station.unwrap(now, &inbox[packet.clone()]);
                if let Some(place) = station.inbox_mut() {
                    std::mem::swap(place, &mut inbox);
                }
                if let (Inbound::Data { from, range }, Some(local)) = (inbound, station.candidate()) {
                    let range = packet.start + range.start..packet.start + range.end;
                    return Some((at, Relayed { local, remote: from, range }));
                }
            }
        }
        None
    }

    /// Lends what [`Relays::next_packet`] points into; to be put back.
    pub(crate) fn take_inbox(&mut self, at: usize) -> Vec<u8> {
        self.stations.get_mut(at).and_then(Station::inbox_mut).map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn put_inbox(&mut self, at: usize, bytes: Vec<u8>) {
        if let Some(inbox) = self.stations.get_mut(at).and_then(Station::inbox_mut) {
            *inbox = bytes;
        }
    }

    pub(crate) fn inbox(&self, at: usize) -> &[u8] {
        self.stations.get(at).map_or(&[], Station::inbox)
    }

    /// Takes another socket into use, or one that is known for more.
    pub(crate) fn add_local(&mut self, now: Instant, local: Local) {
        let Local { address, .. } = local;
        if local.is_for_peers() && !self.direct.contains(&address) {
            self.direct.push(address);
            self.ask_outside(now, address);
        }
        if local.is_for_relays() && !self.own.contains(&address) {
            self.own.push(address);
            self.each(|station, around| {
                station.handle_local_added(now, around);
                station.handle_network_change(now, around);
            });
        }
    }

    pub(crate) fn remove_local(&mut self, now: Instant, address: SocketAddr) {
        self.direct.retain(|local| *local != address);
        self.own.retain(|local| *local != address);
        self.reflexive.retain(|reflexive| reflexive.base != address);
        self.each(|station, around| {
            station.handle_local_removed(now, around);
            station.handle_network_change(now, around);
        });
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        for reflexive in &mut self.reflexive {
            if let Some(contents) = reflexive.handle_timeout(now) {
                let route = Route::Datagram { source: reflexive.base, destination: reflexive.server };
                self.transmits.push_back(Transmit { route, contents });
            }
        }
        self.each(|station, around| station.handle_timeout(now, around));
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let reflexive = self.reflexive.iter().map(Reflexive::poll_timeout);
        let stations = self.stations.iter().filter_map(Station::poll_timeout);
        reflexive.chain(stations).min().filter(|_| !self.is_closed)
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        let waiting = self.transmits.pop_front();
        waiting.or_else(|| self.stations.iter_mut().find_map(Station::poll_transmit))
    }

    pub(crate) fn poll_order(&mut self) -> Option<StreamOrder> {
        let spent = self.stations.iter_mut().find_map(Station::poll_spent).map(StreamOrder::Close);
        spent.or_else(|| self.orders.pop_front())
    }

    pub(crate) fn poll_event(&mut self, now: Instant) -> Option<RelayEvent> {
        let waiting = self.events.pop_front();
        waiting.or_else(|| {
            self.stations.iter_mut().find_map(|station| {
                Some(match station.poll_event(now)? {
                    StationEvent::Up(candidate) => RelayEvent::Up { candidate, local: station.local() },
                    StationEvent::Down(candidate) => RelayEvent::Down { candidate },
                })
            })
        })
    }

    /// The relay behind a local candidate.
    pub(crate) fn info(&self, candidate: SocketAddr) -> Option<RelayInfo> {
        let station = self.stations.iter().find(|station| station.candidate() == Some(candidate))?;
        Some(RelayInfo {
            is_reflector: station.is_reflector(),
            is_stream: station.is_stream(),
            local: station.local(),
            server: station.server(),
        })
    }

    /// Gives back what servers hold for the call; what is to be sent for that is left to be polled.
    pub(crate) fn close(&mut self) {
        if self.is_closed {
            return;
        }
        self.is_closed = true;
        self.reflexive.clear();
        for station in &mut self.stations {
            let order = station.close();
            self.transmits.extend(std::iter::from_fn(|| station.poll_transmit()));
            self.orders.extend(order);
        }
        self.stations.clear();
    }

    fn add_station(&mut self, addresses: Addresses, access: Access, is_stream: bool, tag: Option<u32>) {
        let like = self.stations.iter().filter(|station| station.is_stream() == is_stream).count();
        let is_there = self.stations.iter().any(|station| station.is(addresses, &access, is_stream));
        if is_there || like == if is_stream { MAX_STREAMS } else { MAX_STATIONS } {
            return;
        }
        let identifiers = self.identifiers.branch();
        self.stations.extend(Station::new(addresses, access, is_stream, tag, identifiers));
    }

    fn ask_outside(&mut self, now: Instant, base: SocketAddr) {
        for addresses in &self.stun_servers {
            let server =
                addresses.reachable_from(&[base]).filter(|server| server.is_ipv4() == base.is_ipv4());
            let Some(server) = server else { continue };
            if self.reflexive.len() < MAX_BASES * MAX_STUN_SERVERS {
                self.reflexive.push(Reflexive::new(now, server, base, self.identifiers.branch()));
            }
        }
    }

    fn each(&mut self, mut act: impl FnMut(&mut Station, &mut Surroundings<'_>)) {
        let (locals, streams) = (&self.own, &mut self.streams);
        let mut around = Surroundings { locals, streams, orders: &mut self.new_orders };
        self.stations.iter_mut().for_each(|station| act(station, &mut around));
        self.orders.extend(self.new_orders.drain(..));
    }
}

/// Whether a call that may use nothing else has a relay to use.
pub(crate) fn has_relay(servers: &[Server], only_streams: bool) -> bool {
    servers.iter().any(|server| {
        let is_usable = match server {
            Server::Webrtc { .. } => true,
            Server::Reflector { is_tcp, .. } => *is_tcp || !only_streams,
        };
        is_usable && server.is_relay()
    })
}

/// A peer's standalone reflector place: the one candidate that nobody signals.
pub(crate) fn standalone_places(servers: &[Server], tag: u32) -> Vec<SocketAddr> {
    let ids = numbers(servers);
    let mut places: Vec<SocketAddr> = servers
        .iter()
        .filter_map(|server| match server {
            Server::Reflector { id, .. } => {
                let number = u8::try_from(ids.binary_search(id).ok()? + 1).ok()?;
                Some(ReflectorName { number, tag }.address(server.address(false)?.port()))
            }
            Server::Webrtc { .. } => None,
        })
        .collect();
    places.sort_unstable();
    places.dedup();
    places
}
