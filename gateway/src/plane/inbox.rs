//! Datagrams that wait on a socket, taken several at a time.

use std::io::IoSliceMut;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::RawFd;

use crate::net::DATAGRAM_BYTES;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

/// How many of one call's are taken at once. More than one wait seldom on one call's socket; that fewer came than there is room for says
/// that none is left, which otherwise takes a system call to know.
pub(super) const SLOTS: usize = 4;
/// From one datagram's room to the next: at a page's distance all would want the same few lines of the nearest cache.
const STRIDE: usize = DATAGRAM_BYTES + 192;

/// Room for some datagrams.
pub(crate) struct Inbox<const SLOTS: usize> {
    /// An address's length is kept from one call to the next, so both families have headers of their own.
    v4: MultiHeaders<SockaddrStorage>,
    v6: MultiHeaders<SockaddrStorage>,
    room: Vec<u8>,
    came: [(usize, Option<SocketAddr>); SLOTS],
}

impl<const SLOTS: usize> Inbox<SLOTS> {
    pub(super) fn new() -> Self {
        Self {
            v4: MultiHeaders::preallocate(SLOTS, None),
            v6: MultiHeaders::preallocate(SLOTS, None),
            room: vec![0; SLOTS * STRIDE],
            came: [(0, None); SLOTS],
        }
    }

    /// Takes what waits on a socket: how many datagrams, and whether more may wait.
    pub(super) fn take(&mut self, socket: RawFd, is_ipv4: bool) -> (usize, bool) {
        self.take_of::<SLOTS>(socket, is_ipv4)
    }

    /// The same, of no more than `MOST`.
    pub(super) fn take_of<const MOST: usize>(&mut self, socket: RawFd, is_ipv4: bool) -> (usize, bool) {
        let headers = if is_ipv4 { &mut self.v4 } else { &mut self.v6 };
        let mut slots = self.room.chunks_exact_mut(STRIDE);
        let mut slices: [[IoSliceMut<'_>; 1]; MOST] = std::array::from_fn(|_| {
            [IoSliceMut::new(slots.next().map_or(&mut [], |slot| &mut slot[..DATAGRAM_BYTES]))]
        });
        match recvmmsg(socket, headers, &mut slices, MsgFlags::MSG_DONTWAIT, None) {
            Ok(messages) => {
                let mut count = 0;
                for (message, came) in messages.zip(&mut self.came) {
                    *came = (message.bytes, message.address.as_ref().and_then(address));
                    count += 1;
                }
                (count, count == MOST.min(SLOTS))
            }
            Err(Errno::EAGAIN) => (0, false),
            // That of an earlier datagram, and told once.
            Err(error) => {
                tracing::trace!(%error, "a datagram was not received");
                (0, true)
            }
        }
    }

    /// One of those that were taken, and whom it is from.
    pub(crate) fn datagram(&mut self, number: usize) -> Option<(SocketAddr, &mut [u8])> {
        let (length, source) = *self.came.get(number)?;
        let slot = self.room.chunks_exact_mut(STRIDE).nth(number)?;
        Some((source?, slot.get_mut(..length)?))
    }
}

fn address(of: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = of.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4)));
    v4.or_else(|| of.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd as _;

    use super::*;

    fn socket(local: &str) -> UdpSocket {
        let socket = UdpSocket::bind(local).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    #[test]
    fn what_waits_is_taken_in_order_with_its_senders() {
        let mut inbox = Inbox::<SLOTS>::new();
        for (local, is_ipv4) in [("127.0.0.1:0", true), ("[::1]:0", false), ("127.0.0.1:0", true)] {
            let (socket, senders) = (socket(local), [socket(local), socket(local)]);
            let to = socket.local_addr().unwrap();
            for number in 0..SLOTS + 1 {
                senders[number % 2].send_to(&vec![7; number + 1], to).unwrap();
            }
            assert_eq!(inbox.take(socket.as_raw_fd(), is_ipv4), (SLOTS, true));
            for number in 0..SLOTS {
                let (source, datagram) = inbox.datagram(number).unwrap();
                assert_eq!(source, senders[number % 2].local_addr().unwrap());
                assert_eq!(datagram, vec![7; number + 1]);
            }
            assert_eq!(inbox.take(socket.as_raw_fd(), is_ipv4), (1, false));
            assert_eq!(inbox.datagram(0).unwrap().1, [7; SLOTS + 1]);
            assert_eq!(inbox.take(socket.as_raw_fd(), is_ipv4), (0, false));
            senders[0].send_to(b"late", to).unwrap();
            assert_eq!(inbox.take(socket.as_raw_fd(), is_ipv4), (1, false));
            assert_eq!(inbox.datagram(0).unwrap().1, b"late");
        }
    }

    #[test]
    fn a_giant_one_is_cut_and_the_next_is_whole() {
        let mut inbox = Inbox::<SLOTS>::new();
        let (socket, sender) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        let to = socket.local_addr().unwrap();
        sender.send_to(&vec![1; DATAGRAM_BYTES + 1], to).unwrap();
        sender.send_to(b"next", to).unwrap();
        assert_eq!(inbox.take(socket.as_raw_fd(), true), (2, false));
        assert_eq!(inbox.datagram(0).unwrap().1.len(), DATAGRAM_BYTES);
        assert_eq!(inbox.datagram(1).unwrap().1, b"next");
    }

    #[test]
    fn word_of_a_datagram_that_did_not_arrive_hides_none_that_came() {
        let (mut inbox, ours) = (Inbox::<SLOTS>::new(), socket("127.0.0.1:0"));
        let far = socket("127.0.0.1:0").local_addr().unwrap();
        ours.connect(far).unwrap();
        ours.send(b"nobody is there yet").unwrap();
        let sender = UdpSocket::bind(far).unwrap();
        sender.send_to(b"sound", ours.local_addr().unwrap()).unwrap();
        let taken = (0..3).map(|_| inbox.take(ours.as_raw_fd(), true)).find(|(came, _)| *came > 0);
        assert_eq!(taken, Some((1, false)));
    }
}
