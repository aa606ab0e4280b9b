//! Datagrams that wait on a socket, taken several at a time.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::net::{DATAGRAM_BYTES, MediaSocket};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

/// How many are taken at once. More than one wait seldom on one call's socket; that fewer came than there is room for says
/// that none is left, which otherwise takes a system call to know.
pub(crate) const SLOTS: usize = 4;

/// Room for some datagrams.
pub(crate) struct Inbox {
    /// An address's length is kept from one call to the next, so both families have headers of their own.
    v4: MultiHeaders<SockaddrStorage>,
    v6: MultiHeaders<SockaddrStorage>,
    room: Vec<u8>,
    came: [(usize, Option<SocketAddr>); SLOTS],
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self {
            v4: MultiHeaders::preallocate(SLOTS, None),
            v6: MultiHeaders::preallocate(SLOTS, None),
            room: vec![0; SLOTS * DATAGRAM_BYTES],
            came: [(0, None); SLOTS],
        }
    }

    /// Takes what waits on a socket: how many datagrams. Where that is fewer than [`SLOTS`], none is left, and the socket is
    /// waited for again.
    pub(crate) fn take(&mut self, socket: &MediaSocket) -> usize {
        let headers = if socket.local().is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        let (room, came) = (&mut self.room, &mut self.came);
        let mut count = 0;
        let read = |socket| {
            let mut slices = room.chunks_exact_mut(DATAGRAM_BYTES).map(|slot| [IoSliceMut::new(slot)]);
            let mut slices: [[IoSliceMut<'_>; 1]; SLOTS] =
                std::array::from_fn(|_| slices.next().unwrap_or_else(|| [IoSliceMut::new(&mut [])]));
            // An error is that of an earlier datagram, and told once.
            let results = recvmmsg(socket, headers, &mut slices, MsgFlags::MSG_DONTWAIT, None)?;
            for (message, came) in results.zip(came) {
                *came = (message.bytes, message.address.as_ref().and_then(address));
                count += 1;
            }
            if count < SLOTS { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        };
        match socket.try_read(read) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                tracing::trace!(%error, "a datagram was not received");
                0
            }
            _ => count,
        }
    }

    /// One of those that were taken, and whom it is from.
    pub(crate) fn datagram(&mut self, number: usize) -> Option<(SocketAddr, &mut [u8])> {
        let (length, source) = *self.came.get(number)?;
        let slot = self.room.chunks_exact_mut(DATAGRAM_BYTES).nth(number)?;
        Some((source?, slot.get_mut(..length)?))
    }
}

fn address(of: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = of.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4)));
    v4.or_else(|| of.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::net::UdpSocket;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_taken_in_order_with_its_senders_and_then_waited_for() {
        let mut inbox = Inbox::new();
        for local in ["127.0.0.1:0", "[::1]:0", "127.0.0.1:0"] {
            let socket = MediaSocket::bind(local.parse().unwrap(), 0).unwrap();
            let local = socket.local();
            let senders = [UdpSocket::bind(SocketAddr::new(local.ip(), 0)).await.unwrap(), {
                UdpSocket::bind(SocketAddr::new(local.ip(), 0)).await.unwrap()
            }];
            for number in 0..SLOTS + 1 {
                senders[number % 2].send_to(&vec![7; number + 1], local).await.unwrap();
            }
            poll_fn(|context| socket.poll_readable(context)).await;
            assert_eq!(inbox.take(&socket), SLOTS);
            for number in 0..SLOTS {
                let (source, datagram) = inbox.datagram(number).unwrap();
                assert_eq!(source, senders[number % 2].local_addr().unwrap());
                assert_eq!(datagram, vec![7; number + 1]);
            }
            poll_fn(|context| socket.poll_readable(context)).await;
            assert_eq!(inbox.take(&socket), 1);
            assert_eq!(inbox.datagram(0).unwrap().1, [7; SLOTS + 1]);
            let ready = poll_fn(|context| socket.poll_readable(context));
            assert!(timeout(Duration::from_millis(20), ready).await.is_err(), "nothing is there");
            assert_eq!(inbox.take(&socket), 0);
            senders[0].send_to(b"late", local).await.unwrap();
            poll_fn(|context| socket.poll_readable(context)).await;
            assert_eq!(inbox.take(&socket), 1);
            assert_eq!(inbox.datagram(0).unwrap().1, b"late");
        }
    }

    #[tokio::test]
    async fn a_giant_one_is_cut_and_the_next_is_whole() {
        let mut inbox = Inbox::new();
        let socket = MediaSocket::bind("127.0.0.1:0".parse().unwrap(), 0).unwrap();
        let local = socket.local();
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        sender.send_to(&vec![1; DATAGRAM_BYTES + 1], local).await.unwrap();
        sender.send_to(b"next", local).await.unwrap();
        poll_fn(|context| socket.poll_readable(context)).await;
        assert_eq!(inbox.take(&socket), 2);
        assert_eq!(inbox.datagram(0).unwrap().1.len(), DATAGRAM_BYTES);
        assert_eq!(inbox.datagram(1).unwrap().1, b"next");
    }
}
