//! UDP sockets of calls: bound with their mark, sent at once, heard by their media thread.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use nix::sys::socket::{MsgFlags, SockaddrIn, SockaddrIn6, sendto, setsockopt, sockopt};
use rustix::io::Errno;
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};

use crate::plane::{Ear, Listener};

/// Largest datagram that either side of a call sends us: 40 ms of linear sound at 48 kHz.
pub(crate) const DATAGRAM_BYTES: usize = 4096;

/// Bytes of [`widen`].
const ROOM: usize = 4 << 20;

/// A socket for media.
///
/// Nobody waits until it may be written: the system would wake us for each packet that has left.
#[derive(Debug)]
pub(crate) struct MediaSocket {
    /// Once somebody listens. It goes before the socket does.
    ear: Option<Ear>,
    socket: UdpSocket,
    local: SocketAddr,
}

impl MediaSocket {
    /// One whose packets carry a differentiated services code point (RFC 2474); at port 0, the system chooses one.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub(crate) fn bind(address: SocketAddr, dscp: u8) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        mark(&socket, address, dscp);
        // Without it the system draws a number for each packet, to tell its fragments from others' (RFC 6864).
        if address.is_ipv4()
            && let Err(error) = set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DO)
        {
            tracing::debug!(%error, "packets may be fragmented");
        }
        let local = socket.local_addr()?;
        Ok(Self { ear: None, socket, local })
    }

    /// Its own address.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Has this media thread tell `listener` of what comes.
    pub(crate) fn listen(&mut self, listener: &Listener) {
        if self.ear.is_none() {
            self.ear = Ear::lend(&self.socket, self.local.is_ipv4(), listener)
                .inspect_err(|error| tracing::error!(%error, local = %self.local, "a socket is not heard"))
                .ok();
        }
    }

    /// Whether what comes to it is told under this number.
    pub(crate) fn is(&self, number: usize) -> bool {
        self.ear.as_ref().is_some_and(|ear| ear.number() == number)
    }

    /// Sends a datagram at once or not at all.
    ///
    /// # Errors
    /// What the system refuses with; a full buffer is one.
    pub(crate) fn send(&self, datagram: &[u8], remote: SocketAddr) -> io::Result<()> {
        let sent = self.send_whole(datagram, remote);
        if self.is_too_long(&sent) { self.send_in_fragments(datagram, remote) } else { sent }
    }

    /// The same on a socket that others use, too: one datagram that is too long for its path changes nothing for theirs.
    ///
    /// # Errors
    /// What the system refuses with; a full buffer is one.
    pub(crate) fn send_among_others(&self, datagram: &[u8], remote: SocketAddr) -> io::Result<()> {
        let sent = self.send_whole(datagram, remote);
        if !self.is_too_long(&sent) {
            return sent;
        }
        let sent = self.send_in_fragments(datagram, remote);
        set_ip_mtu_discover(&self.socket, Ipv4PathMtuDiscovery::DO)?;
        sent
    }

    /// Whether the path takes no datagram of this length.
    fn is_too_long(&self, sent: &io::Result<()>) -> bool {
        let error = sent.as_ref().err().and_then(Errno::from_io_error);
        error == Some(Errno::MSGSIZE) && self.local.is_ipv4()
    }

    fn send_in_fragments(&self, datagram: &[u8], remote: SocketAddr) -> io::Result<()> {
        set_ip_mtu_discover(&self.socket, Ipv4PathMtuDiscovery::WANT)?;
        self.send_whole(datagram, remote)
    }

    fn send_whole(&self, datagram: &[u8], remote: SocketAddr) -> io::Result<()> {
        let (socket, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        match remote {
            SocketAddr::V4(remote) => sendto(socket, datagram, &SockaddrIn::from(remote), flags)?,
            SocketAddr::V6(remote) => sendto(socket, datagram, &SockaddrIn6::from(remote), flags)?,
        };
        Ok(())
    }
}

impl AsFd for MediaSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Has a socket's packets carry a code point, if the system lets us. `local` is its own address.
pub(crate) fn mark(socket: &impl AsFd, local: SocketAddr, dscp: u8) {
    let traffic_class = i32::from(dscp) << 2;
    let marked = match local {
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6TClass, &traffic_class),
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4Tos, &traffic_class),
    };
    if let Err(error) = marked {
        tracing::debug!(%error, dscp, "packets go unmarked");
    }
}

/// Asks for room for what comes while a thread is held up, or beside a flood; the system may give less.
pub(crate) fn widen(socket: &impl AsFd) {
    if let Err(error) = setsockopt(socket, sockopt::RcvBuf, &ROOM) {
        tracing::debug!(%error, "the socket keeps the buffer that it has");
    }
}

/// A port on one address.
///
/// # Errors
/// When the address is not this machine's.
pub(crate) fn host_socket(ip: IpAddr, dscp: u8) -> io::Result<MediaSocket> {
    MediaSocket::bind(SocketAddr::new(ip, 0), dscp)
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::ip_mtu_discover;

    use super::*;

    #[tokio::test]
    async fn the_first_datagram_of_a_fresh_socket_leaves_at_once() {
        let receiver = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let fresh = MediaSocket::bind("127.0.0.1:0".parse().unwrap(), 46).unwrap();
        fresh.send(b"first", receiver.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 64];
        let length = receiver.recv(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"first");
    }

    #[tokio::test]
    async fn packets_are_whole_until_one_is_too_long_for_it() {
        let sender = MediaSocket::bind("127.0.0.1:0".parse().unwrap(), 46).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        sender.send(&[1; 1200], receiver).unwrap();
        sender.send_among_others(&[1; 65_508], receiver).unwrap_err();
        assert_eq!(ip_mtu_discover(&sender).unwrap(), Ipv4PathMtuDiscovery::DO);
        sender.send(&[1; 65_508], receiver).unwrap_err();
        assert_eq!(ip_mtu_discover(&sender).unwrap(), Ipv4PathMtuDiscovery::WANT);
    }

    #[test]
    fn a_socket_gets_as_much_room_as_the_system_gives() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        widen(&socket);
        let most: usize =
            std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap().trim().parse().unwrap();
        let room = nix::sys::socket::getsockopt(&socket, sockopt::RcvBuf).unwrap();
        // The system takes as much again for its own words (socket(7)).
        assert_eq!(room, 2 * most.min(ROOM));
    }

    #[tokio::test]
    async fn a_socket_carries_its_code_point() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let socket = MediaSocket::bind(address.parse().unwrap(), 46).unwrap();
            let class = if socket.local().is_ipv4() {
                nix::sys::socket::getsockopt(&socket, sockopt::Ipv4Tos).unwrap()
            } else {
                nix::sys::socket::getsockopt(&socket, sockopt::Ipv6TClass).unwrap()
            };
            assert_eq!(class, 0xb8, "EF (RFC 3246)");
        }
    }
}
