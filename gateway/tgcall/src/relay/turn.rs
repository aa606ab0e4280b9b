//! The client of one TURN server (RFC 8656): an allocation, a channel to each peer, and their upkeep.
//!
//! A channel's binding installs the permission too (section 12), so it is all that a peer takes. What the server
//! refuses leaves the relay, or the one peer, out.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use md5::{Digest, Md5};

use super::stun::{Class, Message, Method, Request};
use super::transaction::{Due, Transaction};
use super::{Identifiers, Inbound};

/// Channel numbers (section 12).
const FIRST_CHANNEL: u16 = 0x4000;
/// Peers' addresses that one relay serves.
const MAX_CHANNELS: usize = 32;
/// Packets kept for a peer until its channel is bound.
const MAX_HELD: usize = 4;
/// Before the permission of 5 minutes ends, with room for an outage.
const REBIND_AFTER: Duration = Duration::from_secs(180);
/// How soon a channel whose binding was lost is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// What a server grants that names nothing (section 3.2).
const LIFETIME: Duration = Duration::from_secs(600);
/// Nonces of the server that it refuses itself, one after the other.
const MAX_RENEWALS: u8 = 4;
/// Allocations of this socket that are given up for another one.
const MAX_MISMATCHES: u8 = 4;
const HEADER_BYTES: usize = 4;

/// What happened to an allocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TurnEvent {
    /// Peers reach us at this address of the server.
    Allocated(SocketAddr),
    /// It is gone, or was not granted.
    Gone { worth_retrying: bool },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Asking,
    /// Gives back an allocation that the server has and nobody was told of, to ask again.
    Clearing,
    Held {
        relayed: SocketAddr,
        refresh_at: Instant,
        ends: Instant,
    },
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChannelState {
    Binding,
    Bound { rebind_at: Instant },
    Waiting { until: Instant },
    Refused,
}

#[derive(Debug)]
struct Channel {
    number: u16,
    peer: SocketAddr,
    state: ChannelState,
    /// Packets go out: it was bound once and never refused.
    is_open: bool,
    transaction: Option<Transaction>,
    /// Of the nonce that its transaction is signed with.
    signed_with: u64,
    held: VecDeque<Vec<u8>>,
}

/// Long-term credentials (RFC 8489 section 9.2).
struct Credentials {
    username: String,
    password: String,
    realm: String,
    nonce: String,
    /// How many nonces came before.
    nonce_number: u64,
    /// Once the server has named its realm.
    key: Option<[u8; 16]>,
}

/// A client without I/O, towards one server from one socket or over one stream.
pub(super) struct Turn {
    credentials: Credentials,
    is_stream: bool,
    identifiers: Identifiers,
    state: State,
    /// Of the allocation.
    transaction: Option<Transaction>,
    /// Of the nonce that its transaction is signed with.
    signed_with: u64,
    /// Refusals of the nonce of the time since a request was granted.
    renewals: u8,
    mismatches: u8,
    channels: Vec<Channel>,
    transmits: VecDeque<Vec<u8>>,
    event: Option<TurnEvent>,
}

impl Turn {
    /// Asks for an allocation at once.
    pub(super) fn new(
        now: Instant,
        username: &str,
        password: &str,
        is_stream: bool,
        identifiers: Identifiers,
    ) -> Self {
        let (username, password) = (username.to_owned(), password.to_owned());
        let mut turn = Turn {
            credentials: Credentials {
                username,
                password,
                realm: String::new(),
                nonce: String::new(),
                nonce_number: 0,
                key: None,
            },
            is_stream,
            identifiers,
            state: State::Asking,
            transaction: None,
            signed_with: 0,
            renewals: 0,
            mismatches: 0,
            channels: Vec::new(),
            transmits: VecDeque::new(),
            event: None,
        };
        turn.ask(now);
        turn
    }

    /// Takes a packet of the server.
    pub(super) fn unwrap(&mut self, now: Instant, packet: &[u8]) -> Inbound {
        if let [0x40..=0x4f, low, l0, l1, ..] = *packet {
            let number = u16::from_be_bytes([packet[0], low]);
            let end = HEADER_BYTES + usize::from(u16::from_be_bytes([l0, l1]));
            let channel = self.channels.iter().find(|channel| channel.number == number);
            return match channel {
                Some(channel) if end <= packet.len() => {
                    Inbound::Data { from: channel.peer, range: HEADER_BYTES..end }
                }
                Some(_) | None => Inbound::Control,
            };
        }
        let Some(message) = Message::parse(packet) else { return Inbound::Control };
        match (message.class, message.method) {
            (Class::Indication, Some(Method::Data)) => {
                if let (Some(from), Some(range)) = (message.peer, message.data) {
                    return Inbound::Data { from, range };
                }
            }
            (Class::Success | Class::Error, _) => self.handle_answer(now, &message),
            (Class::Request | Class::Indication, _) => {}
        }
        Inbound::Control
    }

    /// Makes of a packet for `peer` one for the server, in place. A packet for a peer without a channel is kept until
    /// there is one, and `false` comes back.
    pub(super) fn wrap(&mut self, now: Instant, peer: SocketAddr, packet: &mut Vec<u8>) -> bool {
        let Some(channel) = self.channels.iter_mut().find(|channel| channel.peer == peer) else {
            self.open_channel(now, peer, std::mem::take(packet));
            return false;
        };
        if channel.is_open {
            frame(channel.number, packet, self.is_stream);
            return true;
        }
        if channel.state != ChannelState::Refused {
            if channel.held.len() == MAX_HELD {
                channel.held.pop_front();
            }
            channel.held.push_back(std::mem::take(packet));
        }
        false
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self.transaction.as_mut().map(|transaction| transaction.due(now)) {
            Some(Due::Repeat(request)) => self.transmits.push_back(request),
            Some(Due::GivenUp) => self.transaction = None,
            Some(Due::Nothing) | None => {}
        }
        match self.state {
            State::Asking | State::Clearing if self.transaction.is_none() => self.lose(true),
            State::Held { ends, .. } if now >= ends => self.lose(true),
            State::Held { refresh_at, .. } if now >= refresh_at && self.transaction.is_none() => {
                self.ask(now);
            }
            State::Asking | State::Clearing | State::Held { .. } | State::Gone => {}
        }
        for at in 0..self.channels.len() {
            let channel = &mut self.channels[at];
            match channel.transaction.as_mut().map(|transaction| transaction.due(now)) {
                Some(Due::Repeat(request)) => self.transmits.push_back(request),
                Some(Due::GivenUp) => {
                    channel.transaction = None;
                    channel.state = ChannelState::Waiting { until: now + RETRY_AFTER };
                }
                Some(Due::Nothing) | None => {}
            }
            match channel.state {
                ChannelState::Bound { rebind_at: due } | ChannelState::Waiting { until: due }
                    if now >= due && channel.transaction.is_none() =>
                {
                    self.bind(now, at);
                }
                ChannelState::Binding
                | ChannelState::Bound { .. }
                | ChannelState::Waiting { .. }
                | ChannelState::Refused => {}
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let allocation = match self.state {
            State::Gone => return None,
            State::Asking | State::Clearing => None,
            State::Held { refresh_at, ends, .. } => {
                Some(if self.transaction.is_some() { ends } else { refresh_at })
            }
        };
        let channels = self.channels.iter().flat_map(|channel| {
            let due = match channel.state {
                ChannelState::Bound { rebind_at: due } | ChannelState::Waiting { until: due } => {
                    Some(due).filter(|_| channel.transaction.is_none())
                }
                ChannelState::Binding | ChannelState::Refused => None,
            };
            [due, channel.transaction.as_ref().map(Transaction::deadline)]
        });
        let asked = self.transaction.as_ref().map(Transaction::deadline);
        [allocation, asked].into_iter().chain(channels).flatten().min()
    }

    /// The next packet for the server.
    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmits.pop_front()
    }

    pub(super) fn poll_event(&mut self) -> Option<TurnEvent> {
        self.event.take()
    }

    /// Gives the allocation back (section 7), without waiting for the answer.
    pub(super) fn close(&mut self) {
        if matches!(self.state, State::Held { .. }) {
            let request = Request::new(Method::Refresh, self.identifiers.transaction()).lifetime(0);
            self.transmits.push_back(self.credentials.sign(request));
        }
        self.state = State::Gone;
        self.transaction = None;
        self.channels.clear();
    }

    fn handle_answer(&mut self, now: Instant, message: &Message<'_>) {
        let is_genuine = match &self.credentials.key {
            Some(key) => message.class == Class::Error || message.is_signed(key),
            // Nobody is granted anything without credentials.
            None => message.class == Class::Error,
        };
        if !is_genuine {
            tracing::debug!("answer of a TURN server without its signature dropped");
            return;
        }
        if self.transaction.as_ref().is_some_and(|transaction| transaction.id == message.id) {
            self.transaction = None;
            self.handle_allocation(now, message);
        } else if let Some(at) = self.channels.iter().position(|channel| {
            channel.transaction.as_ref().is_some_and(|transaction| transaction.id == message.id)
        }) {
            self.channels[at].transaction = None;
            self.handle_channel(now, at, message);
        }
    }

    fn handle_allocation(&mut self, now: Instant, message: &Message<'_>) {
        if self.state == State::Clearing && message.error != Some(438) {
            self.state = State::Asking;
            return self.ask(now);
        }
        if message.class == Class::Error {
            let is_asking = self.state == State::Asking;
            if self.renew(message, self.signed_with) {
                self.ask(now);
            } else if is_asking && message.error == Some(437) && self.mismatches < MAX_MISMATCHES {
                // The server has granted it, its word of that was lost, and it does not repeat itself.
                self.mismatches += 1;
                self.state = State::Clearing;
                self.ask(now);
            } else {
                tracing::debug!(error = message.error, "the TURN server refuses");
                // An allocation that was there is lost, and another may be had.
                let worth_retrying = matches!(self.state, State::Held { .. }) || message.error == Some(437);
                self.lose(worth_retrying);
            }
            return;
        }
        self.renewals = 0;
        let lifetime = message.lifetime_s.map_or(LIFETIME, |seconds| Duration::from_secs(seconds.into()));
        // At half of it: an outage at that time leaves as long again.
        let (refresh_at, ends) = (now + lifetime / 2, now + lifetime);
        match self.state {
            State::Asking => match message.relayed {
                Some(relayed) => {
                    self.state = State::Held { relayed, refresh_at, ends };
                    self.event = Some(TurnEvent::Allocated(relayed));
                }
                None => self.lose(false),
            },
            State::Held { relayed, .. } => self.state = State::Held { relayed, refresh_at, ends },
            State::Clearing | State::Gone => {}
        }
    }

    fn handle_channel(&mut self, now: Instant, at: usize, message: &Message<'_>) {
        if message.class == Class::Error {
            if self.renew(message, self.channels[at].signed_with) {
                self.bind(now, at);
            } else {
                tracing::debug!(error = message.error, "the TURN server refuses a peer");
                let channel = &mut self.channels[at];
                channel.state = ChannelState::Refused;
                channel.is_open = false;
                channel.held.clear();
            }
            return;
        }
        self.renewals = 0;
        let channel = &mut self.channels[at];
        channel.state = ChannelState::Bound { rebind_at: now + REBIND_AFTER };
        channel.is_open = true;
        for mut packet in std::mem::take(&mut channel.held) {
            frame(channel.number, &mut packet, self.is_stream);
            self.transmits.push_back(packet);
        }
    }

    /// Takes the realm and the nonce of a 401 or a 438; whether the request, signed with the nonce of that number, is
    /// worth repeating. Requests that were under way when a nonce expired are refused one by one, and only the first of
    /// those says something new.
    fn renew(&mut self, message: &Message<'_>, signed_with: u64) -> bool {
        if message.error == Some(438) && signed_with != self.credentials.nonce_number {
            return true;
        }
        let is_asked = match message.error {
            // The same credentials with the same realm again would fare no better.
            Some(401) => self.credentials.key.is_none(),
            Some(438) => true,
            Some(_) | None => false,
        };
        self.renewals += u8::from(is_asked);
        let (Some(nonce), true) = (message.nonce, is_asked && self.renewals <= MAX_RENEWALS) else {
            return false;
        };
        let credentials = &mut self.credentials;
        credentials.nonce = nonce.to_owned();
        credentials.nonce_number += 1;
        if let Some(realm) = message.realm {
            realm.clone_into(&mut credentials.realm);
        }
        let Credentials { username, password, realm, .. } = &*credentials;
        let mut key = [0; 16];
        key.copy_from_slice(&Md5::digest(format!("{username}:{realm}:{password}")));
        credentials.key = Some(key);
        true
    }

    /// Sends an Allocate or a Refresh.
    fn ask(&mut self, now: Instant) {
        let id = self.identifiers.transaction();
        let request = match self.state {
            State::Asking => Request::new(Method::Allocate, id).requested_transport(),
            State::Clearing => Request::new(Method::Refresh, id).lifetime(0),
            State::Held { .. } => Request::new(Method::Refresh, id),
            State::Gone => return,
        };
        let request = self.credentials.sign(request);
        self.transmits.push_back(request.clone());
        self.signed_with = self.credentials.nonce_number;
        self.transaction = Some(Transaction::new(now, id, request, self.is_stream));
    }

    fn open_channel(&mut self, now: Instant, peer: SocketAddr, first: Vec<u8>) {
        let State::Held { relayed, .. } = self.state else { return };
        if self.channels.len() == MAX_CHANNELS || relayed.is_ipv4() != peer.is_ipv4() {
            tracing::debug!("peer's address beyond what a relay serves left out");
            return;
        }
        self.channels.push(Channel {
            number: FIRST_CHANNEL + self.channels.len() as u16,
            peer,
            state: ChannelState::Binding,
            is_open: false,
            transaction: None,
            signed_with: 0,
            held: VecDeque::from([first]),
        });
        self.bind(now, self.channels.len() - 1);
    }

    fn bind(&mut self, now: Instant, at: usize) {
        let id = self.identifiers.transaction();
        let channel = &mut self.channels[at];
        let request = Request::new(Method::ChannelBind, id).channel(channel.number, channel.peer);
        let request = self.credentials.sign(request);
        self.transmits.push_back(request.clone());
        channel.state = ChannelState::Binding;
        channel.signed_with = self.credentials.nonce_number;
        channel.transaction = Some(Transaction::new(now, id, request, self.is_stream));
    }

    fn lose(&mut self, worth_retrying: bool) {
        self.state = State::Gone;
        self.transaction = None;
        self.channels.clear();
        self.event = Some(TurnEvent::Gone { worth_retrying });
    }
}

impl Credentials {
    fn sign(&self, request: Request) -> Vec<u8> {
        match &self.key {
            Some(key) => request.signed(&self.username, &self.realm, &self.nonce, key),
            None => request.unsigned(),
        }
    }
}

/// Puts the header of ChannelData in front; over a stream it is padded (section 12.5).
fn frame(number: u16, packet: &mut Vec<u8>, is_stream: bool) {
    let ([n0, n1], [l0, l1]) = (number.to_be_bytes(), (packet.len() as u16).to_be_bytes());
    packet.splice(..0, [n0, n1, l0, l1]);
    if is_stream {
        packet.resize(packet.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "192.0.2.9:4000";

    #[test]
    fn credentials_come_after_the_server_has_asked_for_them() {
        let start = Instant::now();
        let mut turn = client(start);
        let first = turn.poll_transmit().unwrap();
        assert!(Message::parse(&first).unwrap().nonce.is_none());
        turn.unwrap(start, &refusal(&first, 401));
        let second = turn.poll_transmit().unwrap();
        let message = Message::parse(&second).unwrap();
        // RFC 8489 section 9.2.2: MD5("user:realm:pass") has this value for these.
        let key: [u8; 16] = hex::decode("8493fbc53ba582fb4c044c456bdc40eb").unwrap().try_into().unwrap();
        assert!(message.is_signed(&key));
        turn.unwrap(start, &refusal(&second, 401));
        assert_eq!(turn.poll_event(), Some(TurnEvent::Gone { worth_retrying: false }));
        assert_eq!((turn.poll_transmit(), turn.poll_timeout()), (None, None));
    }

    #[test]
    fn every_refusal_leaves_the_relay_out() {
        for error in [300, 400, 403, 441, 442, 486, 508] {
            let start = Instant::now();
            let mut turn = client(start);
            let first = turn.poll_transmit().unwrap();
            turn.unwrap(start, &refusal(&first, 401));
            let second = turn.poll_transmit().unwrap();
            turn.unwrap(start, &refusal(&second, error));
            assert_eq!(turn.poll_event(), Some(TurnEvent::Gone { worth_retrying: false }), "{error}");
            assert_eq!(turn.poll_timeout(), None);
        }
    }

    #[test]
    fn an_allocation_that_nobody_was_told_of_is_given_up_for_another() {
        let start = Instant::now();
        let mut turn = client(start);
        let first = turn.poll_transmit().unwrap();
        turn.unwrap(start, &refusal(&first, 401));
        for round in 0..=MAX_MISMATCHES {
            let allocate = turn.poll_transmit().unwrap();
            turn.unwrap(start, &refusal(&allocate, 437));
            if round < MAX_MISMATCHES {
                let refresh = turn.poll_transmit().unwrap();
                assert_eq!(Message::parse(&refresh).unwrap().lifetime_s, Some(0));
                assert_eq!(turn.poll_transmit(), None);
                turn.unwrap(start, &success(&turn, &refresh, |answer| answer.lifetime(0)));
            }
        }
        assert_eq!(turn.poll_event(), Some(TurnEvent::Gone { worth_retrying: true }));
    }

    #[test]
    fn nonces_that_never_please_are_given_up() {
        let start = Instant::now();
        let mut turn = client(start);
        for round in 0.. {
            let Some(request) = turn.poll_transmit() else { break };
            assert!(round < 8);
            turn.unwrap(start, &refusal(&request, if round == 0 { 401 } else { 438 }));
        }
        assert!(matches!(turn.poll_event(), Some(TurnEvent::Gone { .. })));
    }

    #[test]
    fn an_expired_nonce_costs_no_request_that_was_under_way() {
        let start = Instant::now();
        let mut turn = allocated(start);
        let peers: Vec<SocketAddr> =
            (1..=20).map(|port| SocketAddr::new([192, 0, 2, 9].into(), port)).collect();
        for peer in &peers {
            turn.wrap(start, *peer, &mut vec![1]);
        }
        let old: Vec<Vec<u8>> = std::iter::from_fn(|| turn.poll_transmit()).collect();
        assert_eq!(old.len(), peers.len());
        for request in &old {
            turn.unwrap(start, &stale(request, "second"));
        }
        let again: Vec<Vec<u8>> = std::iter::from_fn(|| turn.poll_transmit()).collect();
        assert_eq!(again.len(), peers.len());
        for request in &again {
            assert_eq!(Message::parse(request).unwrap().nonce, Some("second"));
            let answer = success(&turn, request, |answer| answer);
            turn.unwrap(start, &answer);
        }
        for peer in peers {
            assert!(turn.wrap(start, peer, &mut vec![1]), "{peer}");
        }
    }

    #[test]
    fn a_peer_is_left_out_once_every_new_nonce_was_refused() {
        let start = Instant::now();
        let mut turn = allocated(start);
        turn.wrap(start, PEER.parse().unwrap(), &mut vec![1]);
        let mut rounds = 0;
        while let Some(request) = turn.poll_transmit() {
            rounds += 1;
            turn.unwrap(start, &stale(&request, &format!("nonce {rounds}")));
        }
        assert_eq!(rounds, 1 + usize::from(MAX_RENEWALS));
        assert_eq!(turn.channels[0].state, ChannelState::Refused);
    }

    #[test]
    fn a_server_that_is_silent_is_given_up() {
        let start = Instant::now();
        let mut turn = client(start);
        let mut sent = 0;
        while let Some(due) = turn.poll_timeout() {
            sent += std::iter::from_fn(|| turn.poll_transmit()).count();
            turn.handle_timeout(due);
        }
        assert_eq!(sent, 8);
        assert_eq!(turn.poll_event(), Some(TurnEvent::Gone { worth_retrying: true }));
    }

    #[test]
    fn packets_wait_for_their_channel_and_leave_on_it() {
        let start = Instant::now();
        let mut turn = allocated(start);
        let peer = PEER.parse().unwrap();
        for at in 0..6 {
            assert!(!turn.wrap(start, peer, &mut vec![at; 5]));
        }
        let bind = turn.poll_transmit().unwrap();
        assert_eq!(Message::parse(&bind).unwrap().peer, Some(peer));
        assert_eq!(turn.poll_transmit(), None);
        turn.unwrap(start, &success(&turn, &bind, |request| request));
        for at in 2..6 {
            assert_eq!(turn.poll_transmit(), Some(vec![0x40, 0, 0, 5, at, at, at, at, at]));
        }
        let mut packet = vec![7; 3];
        assert!(turn.wrap(start, peer, &mut packet));
        assert_eq!(packet, [0x40, 0, 0, 3, 7, 7, 7]);
        assert_eq!(turn.unwrap(start, &packet), Inbound::Data { from: peer, range: 4..7 });
        packet[3] = 4;
        assert_eq!(turn.unwrap(start, &packet), Inbound::Control, "longer than what came");
    }

    #[test]
    fn a_refused_peer_costs_nobody_else() {
        let start = Instant::now();
        let mut turn = allocated(start);
        turn.wrap(start, PEER.parse().unwrap(), &mut vec![1]);
        let bind = turn.poll_transmit().unwrap();
        turn.unwrap(start, &refusal(&bind, 403));
        assert!(!turn.wrap(start, PEER.parse().unwrap(), &mut vec![1]));
        assert_eq!((turn.poll_transmit(), turn.poll_event()), (None, None));
        assert!(!turn.wrap(start, "192.0.2.10:1".parse().unwrap(), &mut vec![1]));
        assert!(turn.poll_transmit().is_some());
    }

    #[test]
    fn an_allocation_is_kept_for_hours_and_given_back() {
        let start = Instant::now();
        let mut turn = allocated(start);
        turn.wrap(start, PEER.parse().unwrap(), &mut vec![1]);
        let mut requests = [0, 0];
        let mut now = start;
        while now < start + Duration::from_secs(7200) {
            while let Some(packet) = turn.poll_transmit() {
                let Some(message) = Message::parse(&packet) else { continue };
                requests[usize::from(message.peer.is_some())] += 1;
                let answer = success(&turn, &packet, |answer| answer.lifetime(600));
                turn.unwrap(now, &answer);
            }
            now = turn.poll_timeout().unwrap();
            turn.handle_timeout(now);
        }
        assert_eq!(turn.poll_event(), None);
        assert_eq!(requests, [7200 / 300 - 1, 7200 / 180]);
        turn.close();
        assert_eq!(turn.poll_timeout(), None);
        let last = std::iter::from_fn(|| turn.poll_transmit()).last().unwrap();
        assert_eq!(Message::parse(&last).unwrap().lifetime_s, Some(0));
    }

    #[test]
    fn over_a_stream_packets_are_padded_and_requests_go_once() {
        let start = Instant::now();
        let mut packet = vec![7; 3];
        frame(0x4001, &mut packet, true);
        assert_eq!(packet, [0x40, 1, 0, 3, 7, 7, 7, 0]);
        let mut turn = Turn::new(start, "user", "pass", true, Identifiers::new([1; 32]));
        assert!(turn.poll_transmit().is_some());
        assert_eq!(turn.poll_timeout(), Some(start + Duration::from_secs(10)));
    }

    fn client(now: Instant) -> Turn {
        Turn::new(now, "user", "pass", false, Identifiers::new([1; 32]))
    }

    fn allocated(now: Instant) -> Turn {
        let mut turn = client(now);
        let first = turn.poll_transmit().unwrap();
        turn.unwrap(now, &refusal(&first, 401));
        let second = turn.poll_transmit().unwrap();
        let answer = success(&turn, &second, |answer| answer.lifetime(600).relayed("192.0.2.1:50000"));
        turn.unwrap(now, &answer);
        assert_eq!(turn.poll_event(), Some(TurnEvent::Allocated("192.0.2.1:50000".parse().unwrap())));
        turn
    }

    fn refusal(request: &[u8], error: u16) -> Vec<u8> {
        Request::answer(request, false).error(error).challenge("realm", "nonce").unsigned()
    }

    fn stale(request: &[u8], nonce: &str) -> Vec<u8> {
        Request::answer(request, false).error(438).challenge("realm", nonce).unsigned()
    }

    fn success(turn: &Turn, request: &[u8], with: impl FnOnce(Request) -> Request) -> Vec<u8> {
        with(Request::answer(request, true)).signed("", "", "", turn.credentials.key.as_ref().unwrap())
    }
}
