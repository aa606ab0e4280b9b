//! Sockets of this end, and what each is for.

use std::net::SocketAddr;

/// What a socket may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Packets between the two ends and packets through relays: a socket of the call's own.
    Any,
    /// Packets between the two ends alone. Other calls may share the socket, which relays would not tell apart.
    Direct,
    /// Packets through relays alone; the peer never learns of it.
    Relays,
}

/// The address of a bound socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    pub address: SocketAddr,
    pub purpose: Purpose,
}

impl Local {
    pub(crate) fn is_for_peers(self) -> bool {
        matches!(self.purpose, Purpose::Any | Purpose::Direct)
    }

    pub(crate) fn is_for_relays(self) -> bool {
        matches!(self.purpose, Purpose::Any | Purpose::Relays)
    }
}

impl From<SocketAddr> for Local {
    fn from(address: SocketAddr) -> Self {
        Local { address, purpose: Purpose::Any }
    }
}
