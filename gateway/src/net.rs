//! Sockets of calls: RTP towards the PBX, host candidates towards Telegram users.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::Poll;

use anyhow::{Context as _, bail};
use nix::sys::socket::{MsgFlags, SockaddrStorage, sendto};
use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use webrtc_util::ifaces::{Kind, ifaces};

/// Largest datagram that either side of a call sends us: an Ethernet frame, with room.
pub(crate) const DATAGRAM_BYTES: usize = 2048;

/// Even ports for RTP, handed out in turn (RFC 3550 section 11).
#[derive(Debug)]
pub(crate) struct RtpPorts {
    ip: IpAddr,
    first: u16,
    last: u16,
    next: AtomicU16,
}

impl RtpPorts {
    pub(crate) fn new(ip: IpAddr, first: u16, last: u16) -> Self {
        let first = first + first % 2;
        Self { ip, first, last, next: AtomicU16::new(first) }
    }

    /// Binds the next free even port of the range.
    ///
    /// # Errors
    /// When every port of the range is taken, or the address is not this machine's.
    pub(crate) fn bind(&self) -> anyhow::Result<UdpSocket> {
        let places = usize::from((self.last - self.first) / 2) + 1;
        let mut refusal = None;
        for _ in 0..places {
            let step = |port: u16| Some(if port + 2 > self.last { self.first } else { port + 2 });
            let port =
                self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or(self.first);
            match bind(SocketAddr::new(self.ip, port)) {
                Ok(socket) => return Ok(socket),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    refusal = Some(error);
                    break;
                }
            }
        }
        match refusal {
            Some(error) => Err(error).with_context(|| format!("cannot open an RTP port on {}", self.ip)),
            None => bail!(
                "all RTP ports from {} to {} on {} are in use: widen gateway.rtp_ports",
                self.first,
                self.last,
                self.ip
            ),
        }
    }
}

/// Opens one UDP port per address to be offered to the Telegram user as host candidates.
///
/// # Errors
/// When none of the addresses can be bound.
pub(crate) fn host_sockets(addresses: &[IpAddr]) -> anyhow::Result<Vec<(SocketAddr, UdpSocket)>> {
    let mut sockets = Vec::with_capacity(addresses.len());
    let mut refusal = None;
    for ip in addresses {
        match bind(SocketAddr::new(*ip, 0)).and_then(|socket| Ok((socket.local_addr()?, socket))) {
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

/// Addresses of this machine worth offering to a Telegram user: the configured ones, else every interface's but
/// loopback and link-local ones, else loopback.
pub(crate) fn media_addresses(configured: &[IpAddr]) -> Vec<IpAddr> {
    if !configured.is_empty() {
        return configured.to_vec();
    }
    let found = match ifaces() {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "cannot list the network interfaces");
            Vec::new()
        }
    };
    let mut addresses: Vec<IpAddr> = Vec::new();
    for interface in found {
        let usable = matches!(interface.kind, Kind::Ipv4 | Kind::Ipv6);
        if let Some(ip) = interface.addr.map(|address| address.ip()).filter(|ip| usable && is_offerable(*ip))
            && !addresses.contains(&ip)
        {
            addresses.push(ip);
        }
    }
    if addresses.is_empty() {
        tracing::warn!("no network address but loopback: only callers on this machine will be heard");
        addresses.push(Ipv4Addr::LOCALHOST.into());
    }
    addresses
}

fn is_offerable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Sends a datagram at once or not at all.
///
/// Past the runtime's own bookkeeping, which lets nothing out of a fresh socket until it has polled it once.
///
/// # Errors
/// What the system refuses with; a full buffer is one.
pub(crate) fn send(socket: &UdpSocket, datagram: &[u8], remote: SocketAddr) -> io::Result<()> {
    sendto(socket.as_raw_fd(), datagram, &SockaddrStorage::from(remote), MsgFlags::MSG_DONTWAIT)?;
    Ok(())
}

/// Waits for the next datagram on any of the sockets: (which, how long, from whom).
///
/// # Errors
/// The socket's own error; a port unreachable notice of an earlier send is one and harmless.
pub(crate) async fn receive_any(
    sockets: &[(SocketAddr, UdpSocket)],
    buffer: &mut [u8],
) -> io::Result<(usize, usize, SocketAddr)> {
    if sockets.is_empty() {
        return std::future::pending().await;
    }
    poll_fn(|context| {
        for (index, (_, socket)) in sockets.iter().enumerate() {
            let mut read = ReadBuf::new(buffer);
            if let Poll::Ready(result) = socket.poll_recv_from(context, &mut read) {
                let length = read.filled().len();
                return Poll::Ready(result.map(|source| (index, length, source)));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rtp_ports_are_even_and_different_until_the_range_is_used_up() {
        let ports = RtpPorts::new(Ipv4Addr::LOCALHOST.into(), 42_001, 42_007);
        let held: Vec<_> = (0..3).map(|_| ports.bind().unwrap()).collect();
        let mut numbers: Vec<_> = held.iter().map(|socket| socket.local_addr().unwrap().port()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [42_002, 42_004, 42_006]);
        let refusal = ports.bind().unwrap_err().to_string();
        assert!(refusal.contains("42002") && refusal.contains("gateway.rtp_ports"), "{refusal}");
        drop(held);
        ports.bind().unwrap();
    }

    #[test]
    fn link_local_and_loopback_addresses_are_not_offered() {
        for (text, wanted) in [
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("192.0.2.7", true),
            ("::1", false),
            ("fe80::1", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(is_offerable(text.parse().unwrap()), wanted, "{text}");
        }
    }

    #[tokio::test]
    async fn the_first_datagram_of_a_fresh_socket_leaves_at_once() {
        let receiver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let fresh = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        send(&fresh, b"first", receiver.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 64];
        let length = receiver.recv(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"first");
    }

    #[tokio::test]
    async fn a_datagram_is_received_on_whichever_socket_it_came_to() {
        let sockets = host_sockets(&[Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        sender.send_to(b"second", sockets[1].0).await.unwrap();
        let mut buffer = [0; 64];
        let (index, length, source) = receive_any(&sockets, &mut buffer).await.unwrap();
        assert_eq!(
            (index, &buffer[..length], source),
            (1, b"second".as_slice(), sender.local_addr().unwrap())
        );
    }
}
