//! What leaves a shared socket during a turn, in few system calls.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, AsRawFd as _};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};

use crate::metrics;
use crate::net::{DATAGRAM_BYTES, MediaSocket};

/// Datagrams that wait at most.
const MESSAGES: usize = 64;
/// Where no more wait, less is prepared.
const FEW: usize = 8;
/// Most are far shorter than the longest.
const ROOM: usize = 16 * DATAGRAM_BYTES;

/// Datagrams of one socket that wait for the end of a turn.
pub(super) struct Outbox {
    room: Vec<u8>,
    /// Where in the room each ends, and whom it is for.
    ends: Vec<usize>,
    remotes: Vec<SocketAddr>,
    addresses: Vec<Option<SockaddrStorage>>,
    headers: MultiHeaders<SockaddrStorage>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            room: Vec::with_capacity(ROOM),
            ends: Vec::with_capacity(MESSAGES),
            remotes: Vec::with_capacity(MESSAGES),
            addresses: Vec::with_capacity(MESSAGES),
            headers: MultiHeaders::preallocate(MESSAGES, None),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Has a datagram wait, for as long as there is room.
    pub(super) fn push(&mut self, socket: &MediaSocket, datagram: &[u8], remote: SocketAddr) {
        self.room.extend_from_slice(datagram);
        self.ends.push(self.room.len());
        self.remotes.push(remote);
        self.addresses.push(Some(remote.into()));
        if self.ends.len() == MESSAGES {
            self.flush(socket);
        }
    }

    /// Sends what waits, in order. One that the system refuses is tried alone, and is lost alone; where it has no room, the rest
    /// is lost.
    pub(super) fn flush(&mut self, socket: &MediaSocket) {
        let lost = match self.ends.len() {
            0 => return,
            1 => self.remotes.first().map_or(0, |remote| self.send_alone(0, socket, *remote)),
            2..=FEW => self.send_all::<FEW>(socket),
            _ => self.send_all::<MESSAGES>(socket),
        };
        if lost > 0 {
            metrics::unsent(lost as u64);
        }
        self.room.clear();
        self.ends.clear();
        self.remotes.clear();
        self.addresses.clear();
    }

    /// Sends the first `MOST` of those that wait: how many were lost.
    fn send_all<const MOST: usize>(&mut self, socket: &MediaSocket) -> usize {
        let descriptor = socket.as_fd().as_raw_fd();
        let waiting = self.ends.len();
        let (mut sent, mut lost) = (0, 0);
        while sent < waiting {
            let Self { room, ends, addresses, headers, .. } = &mut *self;
            let slices: [[IoSlice<'_>; 1]; MOST] =
                std::array::from_fn(|at| [IoSlice::new(message(room, ends, sent + at))]);
            let (Some(slices), Some(to)) = (slices.get(..(waiting - sent).min(MOST)), addresses.get(sent..))
            else {
                break;
            };
            match sendmmsg(descriptor, headers, slices, to, [], MsgFlags::MSG_DONTWAIT).map(Iterator::count) {
                Err(Errno::EAGAIN) => return lost + waiting - sent,
                Ok(0) | Err(_) => {
                    if let Some(remote) = self.remotes.get(sent) {
                        lost += self.send_alone(sent, socket, *remote);
                    }
                    sent += 1;
                }
                Ok(count) => sent += count,
            }
        }
        lost
    }

    fn send_alone(&self, number: usize, socket: &MediaSocket, remote: SocketAddr) -> usize {
        let sent = socket.send_among_others(message(&self.room, &self.ends, number), remote);
        usize::from(sent.inspect_err(|error| tracing::trace!(%error, "datagram not sent")).is_err())
    }
}

fn message<'a>(room: &'a [u8], ends: &[usize], at: usize) -> &'a [u8] {
    let begin = at.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(at).and_then(|end| room.get(begin..*end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_waits_leaves_in_order_and_one_that_is_refused_is_lost_alone() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let ours = MediaSocket::bind(local.parse().unwrap(), 0).unwrap();
            let theirs = [(); 2].map(|()| UdpSocket::bind(local).unwrap());
            let to = theirs.each_ref().map(|socket| socket.local_addr().unwrap());
            let mut outbox = Outbox::new();
            for number in 0..3 * MESSAGES / 2 {
                let giant = vec![7; 65_600];
                let datagram = if number % 50 == 20 { &giant[..] } else { &[number as u8; 100][..] };
                outbox.push(&ours, datagram, to[number % 2]);
            }
            assert!(!outbox.is_empty());
            outbox.flush(&ours);
            assert!(outbox.is_empty());
            outbox.flush(&ours);
            let mut buffer = [0; 70_000];
            for (at, socket) in theirs.iter().enumerate() {
                socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
                let heard: Vec<u8> =
                    std::iter::from_fn(|| socket.recv(&mut buffer).ok().map(|_| buffer[0])).collect();
                let sent = (0..3 * MESSAGES as u8 / 2).filter(|number| usize::from(*number) % 2 == at);
                assert_eq!(heard, sent.filter(|number| number % 50 != 20).collect::<Vec<_>>());
            }
        }
    }
}
