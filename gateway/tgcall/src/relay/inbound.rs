//! What came from the server of a relay.

use std::net::SocketAddr;
use std::ops::Range;

/// What a packet of a relay's server holds for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Inbound {
    /// Word of the server itself, or nothing that makes sense.
    Control,
    /// A peer's packet, at these bytes of what came.
    Data { from: SocketAddr, range: Range<usize> },
}
