//! Where a packet goes, and the streams that some of them need.

use std::net::SocketAddr;

/// A stream that the call asked its shell to open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(crate) u32);

/// How a packet leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// As one datagram, from one of the local addresses.
    Datagram { source: SocketAddr, destination: SocketAddr },
    /// Behind what went before on this stream, whole or not at all.
    Stream(StreamId),
}

/// A packet is not for the short way, and nothing was done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not for the short way")]
pub struct Detour;

/// A packet to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    pub route: Route,
    pub contents: Vec<u8>,
}

/// What the shell is to do about a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamOrder {
    /// Connect over TCP; the outcome is told by `handle_stream_opened` or `handle_stream_closed`.
    Open { stream: StreamId, remote: SocketAddr },
    /// It is of no more use, opened or not; nothing more about it needs to be told.
    Close(StreamId),
}
