//! Servers between the two ends: TURN by an independent implementation, and a stand-in for Telegram's reflectors.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tgcall::Server;
use turn_server_proto::api::{Transmit, TurnServerApi, TurnServerPollRet};
use turn_server_proto::server::TurnServer;
use turn_server_proto::types::prelude::DelayedTransmitBuild as _;
use turn_server_proto::types::{Instant, TransportType};

const REALM: &str = "relays.example";
const USER: &str = "user";
const PASSWORD: &str = "secret";

/// Bytes on their way to or from a server; for a stream, `near` is the client's end of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hop {
    pub near: SocketAddr,
    pub server: SocketAddr,
    pub is_stream: bool,
    pub contents: Vec<u8>,
}

enum Kind {
    Turn { server: Box<TurnServer>, relayed: Vec<SocketAddr> },
    Reflector(Reflector),
}

struct Node {
    address: SocketAddr,
    is_stream: bool,
    kind: Kind,
}

/// The servers of one world.
#[derive(Default)]
pub struct Servers {
    nodes: Vec<Node>,
    next_port: u16,
    /// Packets that came from or went to a peer, through any of them.
    pub relayed: usize,
}

/// Knows no addresses of peers, only their tags and where those greet from. Over UDP and streams alike.
#[derive(Default)]
struct Reflector {
    call_tag: [u8; 12],
    places: BTreeMap<[u8; 4], (SocketAddr, SocketAddr, bool)>,
    inboxes: BTreeMap<SocketAddr, Vec<u8>>,
}

impl Servers {
    /// Adds a TURN server that listens over UDP and over TCP; what a call is told of it.
    pub fn add_turn(&mut self, address: &str) -> Server {
        let address: SocketAddr = address.parse().unwrap();
        for (transport, is_stream) in [(TransportType::Udp, false), (TransportType::Tcp, true)] {
            let mut server = Box::new(TurnServer::new(transport, address, REALM.to_owned()));
            server.add_user(USER.to_owned(), PASSWORD.to_owned());
            self.nodes.push(Node { address, is_stream, kind: Kind::Turn { server, relayed: Vec::new() } });
        }
        turn(address, PASSWORD)
    }

    /// Adds a reflector that listens over UDP and over TCP.
    pub fn add_reflector(&mut self, id: i64, address: &str, is_tcp: bool) -> Server {
        let address: SocketAddr = address.parse().unwrap();
        let mut peer_tag = [0x5a; 16];
        peer_tag[..8].copy_from_slice(&id.to_be_bytes());
        let mut call_tag = [0; 12];
        call_tag.copy_from_slice(&peer_tag[..12]);
        if !self.nodes.iter().any(|node| node.address == address) {
            let reflector = Reflector { call_tag, ..Reflector::default() };
            self.nodes.push(Node { address, is_stream: false, kind: Kind::Reflector(reflector) });
        }
        let (ipv4, ipv6) = match address {
            SocketAddr::V4(address) => (Some(*address.ip()), None),
            SocketAddr::V6(address) => (None, Some(*address.ip())),
        };
        Server::Reflector { id, ipv4, ipv6, port: address.port(), peer_tag, is_tcp }
    }

    /// Addresses that TURN servers lend at the moment.
    pub fn lent(&self) -> usize {
        let lent = self.nodes.iter().map(|node| match &node.kind {
            Kind::Turn { relayed, .. } => relayed.len(),
            Kind::Reflector(_) => 0,
        });
        lent.sum()
    }

    pub fn is_stream_server(&self, address: SocketAddr) -> bool {
        self.nodes.iter().any(|node| {
            node.address == address && (node.is_stream || matches!(node.kind, Kind::Reflector(_)))
        })
    }

    /// Whether datagrams to there are a server's: its own address, or one it lends.
    pub fn owns(&self, address: SocketAddr) -> bool {
        self.nodes.iter().any(|node| {
            node.address == address
                || matches!(&node.kind, Kind::Turn { relayed, .. } if relayed.contains(&address))
        })
    }

    /// What a server makes of bytes that reach it.
    pub fn handle(&mut self, now: Duration, hop: Hop) -> Vec<Hop> {
        let mut waiting = vec![hop];
        let mut out = Vec::new();
        while let Some(hop) = waiting.pop() {
            for hop in self.handle_one(now, hop) {
                // From one lent address to another: it never leaves.
                if !hop.is_stream && self.owns(hop.near) {
                    waiting.push(Hop { near: hop.server, server: hop.near, ..hop });
                } else {
                    out.push(hop);
                }
            }
        }
        out
    }

    fn handle_one(&mut self, now: Duration, hop: Hop) -> Vec<Hop> {
        let Servers { nodes, next_port, relayed: count } = self;
        let node = nodes.iter_mut().find(|node| match &node.kind {
            Kind::Reflector(_) => node.address == hop.server,
            Kind::Turn { relayed, .. } => {
                node.address == hop.server && node.is_stream == hop.is_stream || relayed.contains(&hop.server)
            }
        });
        let Some(node) = node else { return Vec::new() };
        match &mut node.kind {
            Kind::Reflector(reflector) => reflector.handle(hop, count),
            Kind::Turn { server, relayed } => {
                *count += usize::from(hop.server != node.address);
                handle_turn(server, relayed, next_port, now, hop)
            }
        }
    }
}

pub fn turn(address: SocketAddr, password: &str) -> Server {
    let (ipv4, ipv6) = match address {
        SocketAddr::V4(address) => (Some(*address.ip()), None),
        SocketAddr::V6(address) => (None, Some(*address.ip())),
    };
    Server::Webrtc {
        ipv4,
        ipv6,
        port: address.port(),
        username: USER.to_owned(),
        password: password.to_owned(),
        is_turn: true,
        is_stun: true,
    }
}

fn handle_turn(
    server: &mut TurnServer,
    relayed: &mut Vec<SocketAddr>,
    next_port: &mut u16,
    now: Duration,
    hop: Hop,
) -> Vec<Hop> {
    let now = Instant::from_nanos(now.as_nanos() as i64);
    let is_lent = relayed.contains(&hop.server);
    let transport = if hop.is_stream && !is_lent { TransportType::Tcp } else { TransportType::Udp };
    let mut contents = hop.contents;
    // This server takes and sends ChannelData over TCP without the padding that RFC 8656 section 12.5 demands.
    if transport == TransportType::Tcp
        && let [0x40..=0x4f, _, high, low, ..] = contents[..]
    {
        let length = 4 + usize::from(u16::from_be_bytes([high, low]));
        assert_eq!(contents.len(), length.next_multiple_of(4));
        contents.truncate(length);
    }
    let incoming = Transmit::new(contents, transport, hop.near, hop.server);
    let mut out = Vec::new();
    let mut push = |mut transmit: Transmit<Vec<u8>>| {
        if transmit.transport == TransportType::Tcp
            && transmit.data.first().is_some_and(|byte| byte >> 6 == 1)
        {
            transmit.data.resize(transmit.data.len().next_multiple_of(4), 0);
        }
        out.push(Hop {
            near: transmit.to,
            server: transmit.from,
            is_stream: transmit.transport == TransportType::Tcp,
            contents: transmit.data,
        })
    };
    if let Some(answer) = server.recv(incoming, now) {
        let (transport, from, to) = (answer.transport, answer.from, answer.to);
        push(Transmit::new(answer.data.build(), transport, from, to));
    }
    // A stream's bytes may hold more than one message; nothing at all asks for the rest.
    loop {
        match server.poll(now) {
            TurnServerPollRet::AllocateSocket {
                transport,
                listen_addr,
                client_addr,
                allocation_transport,
                family,
            } => {
                *next_port += 1;
                let lent = SocketAddr::new(listen_addr.ip(), 50_000 + *next_port);
                relayed.push(lent);
                server.allocated_socket(
                    transport,
                    listen_addr,
                    client_addr,
                    allocation_transport,
                    family,
                    Ok(lent),
                    now,
                );
            }
            TurnServerPollRet::SocketClose { listen_addr, .. } => relayed.retain(|lent| *lent != listen_addr),
            TurnServerPollRet::TcpClose { .. } | TurnServerPollRet::TcpConnect { .. } => {}
            TurnServerPollRet::WaitUntil(_) => break,
        }
    }
    while let Some(transmit) = server.poll_transmit(now) {
        push(transmit);
    }
    out
}

impl Reflector {
    fn handle(&mut self, hop: Hop, count: &mut usize) -> Vec<Hop> {
        if !hop.is_stream {
            return self.packet(hop, count).into_iter().collect();
        }
        let inbox = self.inboxes.entry(hop.near).or_default();
        inbox.extend_from_slice(&hop.contents);
        let mut packets = Vec::new();
        if inbox.starts_with(&[0xee; 4]) {
            inbox.drain(..4);
        }
        while let Some(length) = inbox.first_chunk().map(|bytes| u32::from_le_bytes(*bytes) as usize) {
            if inbox.len() < 4 + length {
                break;
            }
            packets.push(inbox[4..4 + length].to_vec());
            inbox.drain(..4 + length);
        }
        packets
            .into_iter()
            .filter_map(|contents| self.packet(Hop { contents, ..hop.clone() }, count))
            .collect()
    }

    fn packet(&mut self, hop: Hop, count: &mut usize) -> Option<Hop> {
        let packet = &hop.contents;
        if packet.len() < 20 || packet[..12] != self.call_tag {
            return None;
        }
        let tag: [u8; 4] = packet[12..16].try_into().unwrap();
        let is_greeting = packet[16..] == [0; 4] || packet[16..].starts_with(&[0xff; 12]);
        if is_greeting {
            self.places.insert(tag, (hop.near, hop.server, hop.is_stream));
            return (!hop.is_stream).then_some(hop);
        }
        assert_eq!(packet.len() % 4, 0, "data is padded");
        *count += 1;
        let (near, server, is_stream) = *self.places.get(&tag)?;
        let mut contents = hop.contents;
        if is_stream {
            contents.splice(..0, (contents.len() as u32).to_le_bytes());
        }
        Some(Hop { near, server, is_stream, contents })
    }
}
