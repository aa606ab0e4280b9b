//! Datagrams by the batch.

use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmmsg};

/// Datagrams in a batch, and room for each: voice is far shorter.
pub const DATAGRAMS: usize = 128;
const BYTES: usize = 512;

/// Datagrams that came or are to go.
pub struct Batch {
    buffers: Vec<[u8; BYTES]>,
    came: Vec<(usize, SockaddrIn)>,
    receiving: MultiHeaders<SockaddrIn>,
    sending: MultiHeaders<SockaddrIn>,
}

impl Batch {
    #[expect(clippy::new_without_default, reason = "it takes memory, and is made once")]
    pub fn new() -> Self {
        Self::of(DATAGRAMS)
    }

    /// One of so many datagrams.
    pub fn of(datagrams: usize) -> Self {
        Self {
            buffers: vec![[0; BYTES]; datagrams],
            came: Vec::with_capacity(datagrams),
            receiving: MultiHeaders::preallocate(datagrams, None),
            sending: MultiHeaders::preallocate(datagrams, None),
        }
    }

    /// Takes what waits, or `waits` for the first; whether the batch is full, so that more may be there.
    pub fn receive(&mut self, socket: &UdpSocket, waits: bool) -> nix::Result<bool> {
        self.came.clear();
        let flags = if waits { MsgFlags::MSG_WAITFORONE } else { MsgFlags::MSG_DONTWAIT };
        let mut slices: Vec<_> = self.buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
        match recvmmsg(socket.as_raw_fd(), &mut self.receiving, slices.iter_mut(), flags, None) {
            Ok(results) => {
                self.came.extend(results.filter_map(|result| Some((result.bytes, result.address?))));
            }
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNREFUSED) => {}
            Err(error) => return Err(error),
        }
        Ok(self.came.len() == self.buffers.len())
    }

    /// Hands out each datagram: its buffer, its length, and whom it is from.
    pub fn each(&mut self, mut take: impl FnMut(&mut [u8], usize, SockaddrIn)) {
        for (buffer, (length, source)) in self.buffers.iter_mut().zip(self.came.drain(..)) {
            take(buffer, length, source);
        }
    }

    /// Sends each datagram on as `change` has it: its new length and where it goes, or nothing.
    pub fn send(
        &mut self,
        socket: &UdpSocket,
        mut change: impl FnMut(&mut [u8], usize, SockaddrIn) -> Option<(usize, SockaddrIn)>,
    ) {
        let mut slices = Vec::with_capacity(self.came.len());
        let mut addresses = Vec::with_capacity(self.came.len());
        for (buffer, (length, source)) in self.buffers.iter_mut().zip(self.came.drain(..)) {
            if let Some((length, destination)) = change(buffer, length, source) {
                slices.push([IoSlice::new(&buffer[..length])]);
                addresses.push(Some(destination));
            }
        }
        send_all(socket, &mut self.sending, &slices, &addresses);
    }
}

/// Sends datagrams in as few system calls as it takes; one that the system refuses is lost alone.
pub(crate) fn send_all(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<SockaddrIn>,
    slices: &[[IoSlice<'_>; 1]],
    addresses: &[Option<SockaddrIn>],
) {
    let mut sent = 0;
    while sent < slices.len() {
        let (rest, to) = (&slices[sent..], &addresses[sent..]);
        match sendmmsg(socket.as_raw_fd(), headers, rest, to, [], MsgFlags::empty()) {
            Ok(results) => sent += results.count().max(1),
            Err(_) => sent += 1,
        }
    }
}
