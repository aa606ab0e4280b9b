//! A call's place on a socket that it shares with others of its thread.

use std::io;
use std::net::{IpAddr, SocketAddr};

use super::Listener;
use super::hub;

/// A place on a shared socket. Dropped on its thread, it is free, and nothing is for it any more.
#[derive(Debug)]
pub(crate) struct Seat {
    group: usize,
    member: usize,
    local: SocketAddr,
}

impl Seat {
    /// A place at one of this machine's addresses.
    ///
    /// # Errors
    /// When it is no media thread, the address is not this machine's, or the system watches no more sockets.
    pub(crate) fn take(ip: IpAddr, dscp: u8) -> io::Result<Self> {
        let (group, member, local) = hub::join(ip, dscp)?;
        Ok(Self { group, member, local })
    }

    /// The socket's address.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Has checks that name `ufrag` come here; not where another call of the socket is called so.
    pub(crate) fn name(&self, ufrag: &str) -> bool {
        hub::with_group(self.group, |group| group.name(self.member, ufrag)).unwrap_or(false)
    }

    /// Has the thread tell `listener` of what comes for the call.
    pub(crate) fn listen(&self, listener: &Listener) {
        hub::with_group(self.group, |group| group.listen(self.member, listener));
    }

    /// The peer is at these sources and at no others; whether none of them is another call's, whose it stays.
    pub(crate) fn own(&self, sources: &[SocketAddr]) -> bool {
        hub::with_group(self.group, |group| group.own(self.member, sources)).unwrap_or(false)
    }

    /// Sends a datagram at once or not at all; one that a packet has led to goes when the thread has taken all that came.
    ///
    /// # Errors
    /// What the system refuses with; a full buffer is one.
    pub(crate) fn send(&self, datagram: &[u8], remote: SocketAddr) -> io::Result<()> {
        hub::send((self.group, self.member), datagram, remote)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        hub::leave(self.group, self.member);
    }
}
