//! The servers that `phoneCall.connections` names, and how reflectors are numbered.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Port of a reflector that names none.
const REFLECTOR_PORT: u16 = 599;

/// One entry of `phoneCall.connections`.
#[derive(Clone, PartialEq, Eq)]
pub enum Server {
    /// `phoneConnectionWebrtc`: STUN, TURN, or both.
    Webrtc {
        ipv4: Option<Ipv4Addr>,
        ipv6: Option<Ipv6Addr>,
        port: u16,
        username: String,
        password: String,
        is_turn: bool,
        is_stun: bool,
    },
    /// `phoneConnection`: Telegram's own relay.
    Reflector {
        id: i64,
        ipv4: Option<Ipv4Addr>,
        ipv6: Option<Ipv6Addr>,
        port: u16,
        peer_tag: [u8; 16],
        is_tcp: bool,
    },
}

impl Server {
    /// Whether its clients speak to it over UDP, each from a socket of its own.
    pub fn is_of_datagrams(&self) -> bool {
        match self {
            Server::Webrtc { is_turn, .. } => *is_turn,
            Server::Reflector { is_tcp, .. } => !is_tcp,
        }
    }

    /// Whether packets can go through it.
    pub(crate) fn is_relay(&self) -> bool {
        match self {
            Server::Webrtc { is_turn, .. } => *is_turn && self.address(false).is_some(),
            Server::Reflector { .. } => self.address(false).is_some(),
        }
    }

    /// Where it listens; over IPv6 if that is wanted or all it has.
    pub(crate) fn address(&self, wants_ipv6: bool) -> Option<SocketAddr> {
        self.addresses().choose(wants_ipv6)
    }

    /// Everywhere it listens.
    pub(crate) fn addresses(&self) -> Addresses {
        let (ipv4, ipv6, port) = match self {
            Server::Webrtc { ipv4, ipv6, port, .. } => (ipv4, ipv6, *port),
            Server::Reflector { ipv4, ipv6, port, .. } => {
                (ipv4, ipv6, if *port == 0 { REFLECTOR_PORT } else { *port })
            }
        };
        let ipv4 = ipv4.filter(|ip| !ip.is_unspecified() && port != 0);
        let ipv6 = ipv6.filter(|ip| !ip.is_unspecified() && port != 0);
        Addresses {
            ipv4: ipv4.map(|ip| SocketAddr::new(IpAddr::V4(ip), port)),
            ipv6: ipv6.map(|ip| SocketAddr::new(IpAddr::V6(ip), port)),
        }
    }
}

/// Where a server listens in each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    ipv4: Option<SocketAddr>,
    ipv6: Option<SocketAddr>,
}

impl Addresses {
    /// The one of IPv6 if that is wanted or all there is.
    pub(crate) fn choose(self, wants_ipv6: bool) -> Option<SocketAddr> {
        if wants_ipv6 { self.ipv6.or(self.ipv4) } else { self.ipv4.or(self.ipv6) }
    }

    /// The one that can be reached from these local addresses; IPv4 without any.
    pub(crate) fn reachable_from(self, locals: &[SocketAddr]) -> Option<SocketAddr> {
        self.choose(!locals.is_empty() && !locals.iter().any(SocketAddr::is_ipv4))
    }

    pub(crate) fn contains(self, address: SocketAddr) -> bool {
        [self.ipv4, self.ipv6].contains(&Some(address))
    }
}

/// Credentials stay out of logs.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Server::Webrtc { is_turn: true, .. } => "Turn",
            Server::Webrtc { is_turn: false, .. } => "Stun",
            Server::Reflector { is_tcp: false, .. } => "Reflector",
            Server::Reflector { is_tcp: true, .. } => "ReflectorTcp",
        };
        f.debug_tuple(kind).field(&self.address(false)).finish()
    }
}

/// The number of each reflector's id: its place among the distinct ids in ascending order, from 1. Both ends of a call
/// count alike, so candidates carry it.
pub(super) fn numbers(servers: &[Server]) -> Vec<i64> {
    let mut ids: Vec<i64> = servers
        .iter()
        .filter_map(|server| match server {
            Server::Reflector { id, .. } => Some(*id),
            Server::Webrtc { .. } => None,
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflectors_are_numbered_by_signed_id_and_counted_once() {
        let servers = [5, -7, 5, 0, i64::MAX].map(|id| reflector(id, 599));
        assert_eq!(numbers(&servers), [-7, 0, 5, i64::MAX]);
    }

    #[test]
    fn the_family_that_is_there_is_taken() {
        let server = reflector(1, 0);
        assert_eq!(server.address(false), Some("192.0.2.1:599".parse().unwrap()));
        assert_eq!(server.address(true), Some("[2001:db8::1]:599".parse().unwrap()));
        let nowhere = Server::Webrtc {
            ipv4: Some(Ipv4Addr::UNSPECIFIED),
            ipv6: None,
            port: 3478,
            username: String::new(),
            password: String::new(),
            is_turn: true,
            is_stun: false,
        };
        assert!(nowhere.address(true).is_none() && !nowhere.is_relay());
    }

    fn reflector(id: i64, port: u16) -> Server {
        Server::Reflector {
            id,
            ipv4: Some("192.0.2.1".parse().unwrap()),
            ipv6: Some("2001:db8::1".parse().unwrap()),
            port,
            peer_tag: [0; 16],
            is_tcp: false,
        }
    }
}
