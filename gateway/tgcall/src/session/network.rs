//! Everything between the two ends of a call: local sockets, relays, the checks over them, and the path that comes of it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use is::IceCreds;
use is::stun::StunMessage;

use super::agents::{AgentEvent, Agents};
use super::path::{Heard, Path, PathInfo, PathKind, PathTransport, Paths};
use super::{BadAddress, Ways};
use crate::demux::Kind;
use crate::liveness::FAIL_AFTER;
use crate::local::Local;
use crate::relay::{
    Arrival, ReflectorName, RelayEvent, RelayPolicy, Relayed, Relays, Wrapped, nomination, standalone_places,
};
use crate::route::{Route, StreamId, StreamOrder, Transmit};

/// Without a connection for so long, relays over streams are tried too.
const STREAMS_AFTER: Duration = Duration::from_millis(2_500);
/// A path that brought something within this time works; others need not be tried as if there were none.
const CALM_WITHIN: Duration = Duration::from_millis(3_500);
/// How long after a connection all ways are still tried in earnest.
const CALM_AFTER: Duration = Duration::from_secs(10);
/// An end that is connected checks as one that is not for so long, while it hears nothing else from the peer.
const HURRIED_FOR: Duration = FAIL_AFTER;
/// Lines of ours that are remembered for not being told twice.
const MAX_SIGNALED: usize = 64;
/// Tags of a standalone reflector's ends.
const CALLER_TAG: u32 = 1;
const CALLEE_TAG: u32 = 2;

/// What a datagram was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// A peer's packet on a path, at these bytes.
    Packet(Path, Range<usize>),
    /// Word of a server.
    Handled,
}

/// What a STUN message was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Malformed,
    Stray,
    Request,
    Answer,
}

pub(super) struct Network {
    is_caller: bool,
    may_be_direct: bool,
    /// Places behind reflectors are not signaled, since both ends know them.
    has_standalone_reflectors: bool,
    agents: Agents,
    relays: Relays,
    pub(super) paths: Paths,
    /// The last nomination of a controlling libwebrtc, until its path is valid.
    renominated: Option<Path>,
    highest_nomination: u32,
    /// Our candidates that signaling has not seen.
    candidates: VecDeque<String>,
    /// Those that it has seen, the latest.
    signaled: VecDeque<String>,
    transmits: VecDeque<Transmit>,
    /// The chosen path that the peer has been sent something on.
    shown: Option<Path>,
    streams_at: Option<Instant>,
    connected_since: Option<Instant>,
    /// As of the last wake-up.
    calm: Option<Path>,
}

impl Network {
    pub(super) fn new(
        now: Instant,
        is_caller: bool,
        ways: &Ways<'_>,
        secrets: [[u8; 32]; 2],
    ) -> Result<Self, BadAddress> {
        let [own_tag, peer_tag] = if is_caller { [CALLER_TAG, CALLEE_TAG] } else { [CALLEE_TAG, CALLER_TAG] };
        let may_be_direct = ways.may_be_direct && !ways.only_streams;
        let locals = if ways.only_streams { &[] } else { ways.locals };
        let policy = RelayPolicy {
            wants_reflexive: may_be_direct,
            only_streams: ways.only_streams,
            fixed_tag: ways.has_standalone_reflectors.then_some(own_tag),
        };
        let [ice_secret, relay_secret] = secrets;
        let mut network = Network {
            is_caller,
            may_be_direct,
            has_standalone_reflectors: ways.has_standalone_reflectors,
            agents: Agents::new(now, is_caller, ice_secret),
            relays: Relays::new(now, ways.servers, locals, &policy, relay_secret),
            paths: Paths::new(),
            renominated: None,
            highest_nomination: 0,
            candidates: VecDeque::new(),
            signaled: VecDeque::new(),
            transmits: VecDeque::new(),
            shown: None,
            streams_at: Some(now + STREAMS_AFTER),
            connected_since: None,
            calm: None,
        };
        // The last of a kind is preferred, and the first address that was given is the best.
        for local in locals.iter().rev() {
            network.offer_host(now, *local)?;
        }
        if ways.has_standalone_reflectors {
            for place in standalone_places(ways.servers, peer_tag) {
                network.agents.add_unsignaled(place);
            }
        }
        Ok(network)
    }

    pub(super) fn credentials(&self) -> &IceCreds {
        self.agents.credentials()
    }

    pub(super) fn set_remote(&mut self, now: Instant, credentials: IceCreds) {
        self.agents.set_remote(now, credentials);
    }

    pub(super) fn add_remote_candidate(&mut self, now: Instant, text: &str) {
        if let Err(error) = self.agents.add_remote(now, text) {
            tracing::debug!(text, %error, "remote candidate skipped");
        }
    }

    pub(super) fn add_local(&mut self, now: Instant, local: Local) -> Result<(), BadAddress> {
        if self.may_be_direct && local.is_for_peers() {
            self.candidates.extend(self.agents.add_later_host(now, local.address)?);
        }
        self.relays.add_local(now, local);
        Ok(())
    }

    pub(super) fn remove_local(&mut self, now: Instant, address: SocketAddr) {
        self.agents.remove(now, address);
        self.paths.drop_paths(now, |path| path.local == address);
        self.relays.remove_local(now, address);
    }

    /// Replaces every stream, since what they went through may be gone.
    pub(super) fn handle_network_change(&mut self, now: Instant) {
        self.relays.renew_streams(now);
    }

    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
        datagram: &[u8],
    ) -> Came {
        match self.relays.handle_datagram(now, source, destination, datagram) {
            Arrival::Direct => Came::Packet(Path { local: destination, remote: source }, 0..datagram.len()),
            Arrival::Relayed(Relayed { local, remote, range }) => Came::Packet(Path { local, remote }, range),
            Arrival::Handled => Came::Handled,
        }
    }

    pub(super) fn handle_stream_opened(&mut self, now: Instant, stream: StreamId) {
        self.relays.handle_stream_opened(now, stream);
    }

    pub(super) fn handle_stream_data(&mut self, now: Instant, stream: StreamId, bytes: &[u8]) {
        self.relays.handle_stream_data(now, stream, bytes);
    }

    pub(super) fn handle_stream_closed(&mut self, now: Instant, stream: StreamId) {
        self.relays.handle_stream_closed(now, stream);
    }

    /// The next packet of a peer in what streams brought: whose inbox it lies in, its path, and where.
    pub(super) fn next_packet(&mut self, now: Instant) -> Option<(usize, Path, Range<usize>)> {
        let (at, Relayed { local, remote, range }) = self.relays.next_packet(now)?;
        Some((at, Path { local, remote }, range))
    }

    /// Lends an inbox; to be put back.
    pub(super) fn take_inbox(&mut self, at: usize) -> Vec<u8> {
        self.relays.take_inbox(at)
    }

    pub(super) fn put_inbox(&mut self, at: usize, bytes: Vec<u8>) {
        self.relays.put_inbox(at, bytes);
    }

    pub(super) fn inbox(&self, at: usize) -> &[u8] {
        self.relays.inbox(at)
    }

    /// Takes a connectivity check, or the answer to one.
    pub(super) fn handle_stun(&mut self, now: Instant, path: Path, datagram: &[u8]) -> Check {
        let Ok(message) = StunMessage::parse(datagram) else { return Check::Malformed };
        let is_answer = message.is_successful_binding_response();
        let nomination = nomination(datagram).filter(|_| !is_answer && !self.is_caller);
        if !self.agents.handle_stun(now, path, message) {
            return Check::Stray;
        }
        self.paths.learn(path, self.agents.is_viable(path));
        self.paths.hear(now, path, if is_answer { Heard::Answer } else { Heard::Check });
        if let Some(value) = nomination.filter(|value| *value > self.highest_nomination) {
            self.highest_nomination = value;
            self.renominated = Some(path);
        }
        if let Some(path) = self.renominated.filter(|path| self.paths.is_valid(*path)) {
            self.renominated = None;
            self.paths.choose(now, path);
        }
        if is_answer { Check::Answer } else { Check::Request }
    }

    /// Uses what a check taught now, not at the next tick.
    pub(super) fn hasten(&mut self, now: Instant, path: Path) {
        self.agents.hasten(now, path);
    }

    pub(super) fn handle_connected(&mut self, now: Instant) {
        self.connected_since = Some(now);
        self.streams_at = None;
        self.relays.set_doubted(now, false);
    }

    pub(super) fn handle_lost(&mut self, now: Instant) {
        self.connected_since = None;
        self.streams_at = Some(now + STREAMS_AFTER);
        self.agents.set_hurried(true);
        self.relays.set_doubted(now, true);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.streams_at.is_some_and(|due| due <= now) {
            self.streams_at = None;
            self.relays.want_streams(now);
        }
        self.relays.handle_timeout(now);
        // Until it sends sound the other end may still lack the nomination, which only a check of ours brings.
        let is_heard = |since| self.paths.has_sound() || now >= since + HURRIED_FOR;
        if self.agents.is_hurried() && self.connected_since.is_some_and(is_heard) {
            self.agents.set_hurried(false);
        }
        let has_settled = self.connected_since.is_some_and(|since| now >= since + CALM_AFTER);
        let is_calm = has_settled && self.paths.is_lively(now, CALM_WITHIN);
        let was_calm = self.calm.is_some();
        self.calm = self.paths.chosen().filter(|_| is_calm);
        if self.calm.is_some() && !was_calm {
            // What set-up needed is not needed for as long as the call lasts.
            self.agents.trim();
            self.candidates.shrink_to_fit();
            self.signaled.shrink_to_fit();
        }
        self.agents.handle_timeout(now, self.calm);
    }

    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        let checks = self.agents.poll_timeout(self.calm);
        [checks, self.relays.poll_timeout(), self.streams_at].into_iter().flatten().min()
    }

    pub(super) fn poll_candidate(&mut self) -> Option<String> {
        let line = self.candidates.pop_front()?;
        if self.signaled.contains(&line) {
            return self.poll_candidate();
        }
        if self.signaled.len() == MAX_SIGNALED {
            self.signaled.pop_front();
        }
        self.signaled.push_back(line.clone());
        Some(line)
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front().or_else(|| self.relays.poll_transmit())
    }

    pub(super) fn poll_stream_order(&mut self) -> Option<StreamOrder> {
        self.relays.poll_order()
    }

    /// Whether a datagram may belong to this call.
    pub(super) fn accepts(&self, source: SocketAddr, datagram: &[u8]) -> bool {
        self.relays.knows(source)
            || match Kind::of(datagram) {
                Kind::Stun => StunMessage::parse(datagram).is_ok_and(|message| self.agents.accepts(&message)),
                Kind::Dtls | Kind::Rtp | Kind::Rtcp => self.paths.is_from(source),
                Kind::Other => false,
            }
    }

    pub(super) fn path_info(&self) -> Option<PathInfo> {
        let path = self.paths.chosen()?;
        let round_trip = self.agents.round_trip(path);
        Some(match self.relays.info(path.local) {
            Some(relay) => PathInfo {
                kind: if relay.is_reflector { PathKind::Reflector } else { PathKind::Turn },
                transport: if relay.is_stream { PathTransport::Tcp } else { PathTransport::Udp },
                local: relay.local,
                remote: relay.server,
                round_trip,
            },
            None => PathInfo {
                kind: PathKind::Direct,
                transport: PathTransport::Udp,
                local: Some(path.local),
                remote: path.remote,
                round_trip,
            },
        })
    }

    /// Makes of a packet what its path wants; `None` if it cannot go now.
    pub(super) fn route(&mut self, now: Instant, path: Path, packet: &mut Vec<u8>) -> Option<Route> {
        match self.relays.wrap(now, path.local, path.remote, packet) {
            Wrapped::Direct => Some(Route::Datagram { source: path.local, destination: path.remote }),
            Wrapped::Relayed(route) => Some(route),
            Wrapped::Kept => None,
        }
    }

    pub(super) fn send(&mut self, now: Instant, path: Path, mut contents: Vec<u8>) {
        let route = self.route(now, path, &mut contents);
        self.transmits.extend(route.map(|route| Transmit { route, contents }));
    }

    /// Takes what relays and agents have found; the path, if packets take another one from now on.
    pub(super) fn take_news(&mut self, now: Instant) -> Option<Path> {
        while let Some(event) = self.relays.poll_event(now) {
            self.handle_relay(now, event);
        }
        while let Some(event) = self.agents.poll_event() {
            self.handle_agent(now, event);
        }
        let chosen = self.paths.chosen();
        let is_new = chosen != self.shown;
        self.shown = chosen;
        chosen.filter(|_| is_new)
    }

    /// Looks whether the chosen path leads straight to the peer. To be called after everything that changes relays.
    pub(super) fn note_direct(&mut self) {
        let chosen = self.paths.chosen();
        let is_direct = chosen.is_some_and(|path| self.relays.is_direct(path.local, path.remote));
        self.paths.set_direct(is_direct);
    }

    /// What [`Network::note_direct`] noted still holds.
    pub(super) fn check_direct(&self) {
        let is_direct = |path: Path| self.relays.is_direct(path.local, path.remote);
        debug_assert!(self.paths.direct().is_none_or(is_direct), "a server came between");
    }

    /// Sends the checks and answers that agents have to send.
    pub(super) fn send_checks(&mut self, now: Instant) {
        while let Some((path, contents)) = self.agents.poll_transmit() {
            self.send(now, path, contents);
        }
        self.paths.check_invariants();
    }

    /// Gives back what servers hold; what is to be sent for that is left to be polled.
    pub(super) fn close(&mut self) {
        self.relays.close();
    }

    fn offer_host(&mut self, now: Instant, local: Local) -> Result<(), BadAddress> {
        let address = local.address;
        if self.may_be_direct && local.is_for_peers() {
            self.candidates.extend(self.agents.add_host(now, address)?);
        } else if address.ip().is_unspecified() {
            return Err(BadAddress(address));
        }
        Ok(())
    }

    fn handle_relay(&mut self, now: Instant, event: RelayEvent) {
        match event {
            RelayEvent::Up { candidate, local } => {
                let line = self.agents.add_relay(now, candidate, local);
                let is_signaled = !self.has_standalone_reflectors || ReflectorName::of(candidate).is_none();
                self.candidates.extend(line.filter(|_| is_signaled));
            }
            RelayEvent::Down { candidate } => {
                self.agents.remove(now, candidate);
                self.paths.drop_paths(now, |path| path.local == candidate);
            }
            RelayEvent::Reflexive { mapped, base } => {
                self.candidates.extend(self.agents.add_reflexive(now, mapped, base));
            }
        }
    }

    fn handle_agent(&mut self, now: Instant, event: AgentEvent) {
        match event {
            AgentEvent::Nominated(path) => {
                if self.paths.chosen().is_none_or(|chosen| Agents::is_preferred(path, chosen)) {
                    self.paths.choose(now, path);
                }
                // The controlled end hears of it by the next check.
                self.agents.hasten(now, path);
            }
            AgentEvent::Exhausted(lost) => self.paths.leave(now, |path| Agents::is_alike(path, lost)),
        }
    }
}
