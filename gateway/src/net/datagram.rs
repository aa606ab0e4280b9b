//! UDP sockets of calls: bound with their mark, sent at once, received on any of several.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd as _};

use anyhow::Context as _;
use nix::sys::socket::{MsgFlags, SockaddrIn, SockaddrIn6, sendto, setsockopt, sockopt};
use tokio::net::UdpSocket;

/// Largest datagram that either side of a call sends us: 40 ms of linear sound at 48 kHz.
pub(crate) const DATAGRAM_BYTES: usize = 4096;

/// A socket for media whose packets carry a differentiated services code point (RFC 2474).
///
/// # Errors
/// When the address is taken or not this machine's.
pub(crate) fn bind(address: SocketAddr, dscp: u8) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    let socket = UdpSocket::from_std(socket)?;
    mark(&socket, address, dscp);
    Ok(socket)
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

/// Opens one UDP port per address to be offered to the Telegram user as host candidates.
///
/// # Errors
/// When none of the addresses can be bound.
pub(crate) fn host_sockets(addresses: &[IpAddr], dscp: u8) -> anyhow::Result<Vec<(SocketAddr, UdpSocket)>> {
    let mut sockets = Vec::with_capacity(addresses.len());
    let mut refusal = None;
    for ip in addresses {
        match host_socket(*ip, dscp) {
            Ok(bound) => sockets.push(bound),
            Err(error) => {
                tracing::debug!(%ip, %error, "address left out of the call");
                refusal = Some(error);
            }
        }
    }
    if sockets.is_empty() {
        let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        return Err(refusal.map_or_else(|| anyhow::anyhow!("there is no address"), Into::into))
            .with_context(|| format!("cannot open a media port on any of [{}]", shown.join(", ")));
    }
    Ok(sockets)
}

/// A port on one address, with what it became.
///
/// # Errors
/// When the address is not this machine's.
pub(crate) fn host_socket(ip: IpAddr, dscp: u8) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = bind(SocketAddr::new(ip, 0), dscp)?;
    Ok((socket.local_addr()?, socket))
}
/// Sends a datagram at once or not at all.
///
/// Past the runtime's own bookkeeping, which lets nothing out of a fresh socket until it has polled it once.
///
/// # Errors
/// What the system refuses with; a full buffer is one.
pub(crate) fn send(socket: &UdpSocket, datagram: &[u8], remote: SocketAddr) -> io::Result<()> {
    let (socket, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
    match remote {
        SocketAddr::V4(remote) => sendto(socket, datagram, &SockaddrIn::from(remote), flags)?,
        SocketAddr::V6(remote) => sendto(socket, datagram, &SockaddrIn6::from(remote), flags)?,
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_datagram_of_a_fresh_socket_leaves_at_once() {
        let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let fresh = bind("127.0.0.1:0".parse().unwrap(), 46).unwrap();
        send(&fresh, b"first", receiver.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 64];
        let length = receiver.recv(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"first");
    }

    #[tokio::test]
    async fn a_socket_carries_its_code_point() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let socket = bind(address.parse().unwrap(), 46).unwrap();
            let class = if socket.local_addr().unwrap().is_ipv4() {
                nix::sys::socket::getsockopt(&socket, sockopt::Ipv4Tos).unwrap()
            } else {
                nix::sys::socket::getsockopt(&socket, sockopt::Ipv6TClass).unwrap()
            };
            assert_eq!(class, 0xb8, "EF (RFC 3246)");
        }
    }
}
