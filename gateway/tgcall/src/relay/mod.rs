//! Ways to a peer that go through servers: TURN (RFC 8656), Telegram's reflectors, and STUN (RFC 8489) to learn the
//! address of a socket behind a router.
//!
//! A relay takes packets for a peer and brings the peer's, wrapped for its server; to ICE it is one local candidate.
//! It speaks over a local socket or over a stream that the shell opens.

mod name;
mod reflector;
mod reflexive;
mod relays;
mod server;
mod station;
mod stream;
mod stun;
mod transaction;
mod turn;

use std::ops::Range;

use std::net::SocketAddr;

use sha2::{Digest, Sha256};

pub(crate) use self::name::ReflectorName;
pub(crate) use self::relays::{
    Arrival, RelayEvent, RelayPolicy, Relayed, Relays, Wrapped, has_relay, standalone_places,
};
pub use self::server::Server;
pub(crate) use self::stun::nomination;

/// What a packet of a relay's server holds for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// Word of the server itself, or nothing that makes sense.
    Control,
    /// A peer's packet, at these bytes of what came.
    Data { from: SocketAddr, range: Range<usize> },
}

/// Identifiers nobody can foresee, from a secret.
#[derive(Debug, Clone)]
pub(crate) struct Identifiers {
    secret: [u8; 32],
    count: u64,
}

impl Identifiers {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Identifiers { secret, count: 0 }
    }

    /// A source of its own for one of many.
    fn branch(&mut self) -> Self {
        Identifiers::new(self.block())
    }

    fn transaction(&mut self) -> [u8; 12] {
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.block();
        id
    }

    /// Never 0.
    fn tag(&mut self) -> u32 {
        let [a, b, c, d, ..] = self.block();
        u32::from_le_bytes([a, b, c, d]).max(1)
    }

    fn block(&mut self) -> [u8; 32] {
        self.count += 1;
        Sha256::new().chain_update(self.secret).chain_update(self.count.to_be_bytes()).finalize().into()
    }
}
