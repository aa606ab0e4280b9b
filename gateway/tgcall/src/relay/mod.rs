//! Ways to a peer that go through servers: TURN (RFC 8656), Telegram's reflectors, and STUN (RFC 8489) to learn the
//! address of a socket behind a router.
//!
//! A relay takes packets for a peer and brings the peer's, wrapped for its server; to ICE it is one local candidate.
//! It speaks over a local socket or over a stream that the shell opens.

mod identifiers;
mod inbound;
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

use self::identifiers::Identifiers;
use self::inbound::Inbound;
pub(crate) use self::name::ReflectorName;
pub(crate) use self::relays::{
    Arrival, RelayEvent, RelayPolicy, Relayed, Relays, Wrapped, has_relay, standalone_places,
};
pub use self::server::Server;
pub(crate) use self::stun::nomination;
