//! Addresses that take no datagrams, as the system hears of them by ICMP (RFC 3261 section 18.4).

use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};

/// Most of them that are heard of at once.
const AT_ONCE: usize = 64;

/// Has the system keep what it hears of a socket's datagrams, if it can. `local` is the socket's own address.
pub(crate) fn listen(socket: &impl AsFd, local: SocketAddr) {
    let listened = match local {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &true),
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &true),
    };
    if let Err(error) = listened {
        tracing::debug!(%error, "nothing is heard of datagrams that do not arrive");
    }
}

/// Where datagrams of a socket did not arrive since this was last asked.
pub(crate) fn heard(socket: &impl AsRawFd) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for _ in 0..AT_ONCE {
        let mut datagram = [0; 64];
        let mut into = [IoSliceMut::new(&mut datagram)];
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let Ok(message) = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut into, None, flags) else {
            break;
        };
        let Some(address) = message.address else { continue };
        let v4 = address.as_sockaddr_in().map(|ip| SocketAddr::from((ip.ip(), ip.port())));
        let v6 = address.as_sockaddr_in6().map(|ip| SocketAddr::from((ip.ip(), ip.port())));
        if let Some(address) = v4.or(v6).filter(|address| !addresses.contains(address)) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::UdpSocket;

    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_heard_of_and_harms_no_other_datagram() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let socket = UdpSocket::bind(local).await.unwrap();
            let other = UdpSocket::bind(local).await.unwrap();
            let dead = UdpSocket::bind(local).await.unwrap().local_addr().unwrap();
            listen(&socket, socket.local_addr().unwrap());
            assert_eq!(heard(&socket), []);
            socket.send_to(b"OPTIONS", dead).await.unwrap();
            let mut buffer = [0; 16];
            let refused = tokio::time::timeout(Duration::from_secs(5), socket.recv_from(&mut buffer)).await;
            assert!(refused.unwrap().is_err());
            assert_eq!(heard(&socket), [dead]);
            assert_eq!(heard(&socket), []);
            socket.send_to(b"well", other.local_addr().unwrap()).await.unwrap();
            assert_eq!(other.recv(&mut buffer).await.unwrap(), 4);
        }
    }
}
