//! The same with a socket for each call towards its trunk, which PBXs want, and one for many calls towards Telegram.

use std::io::{self, IoSlice};
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, sendto};

use crate::batch::{Batch, send_all};
use crate::relay::{Call, low};
use crate::srtp::Context;

/// Calls that share a socket: what comes for them in a stall is to have room in its buffer.
pub const MEMBERS: u16 = 128;
/// Sockets that are told to be readable at once.
const EVENTS: usize = 1024;
/// Datagrams of one trunk's socket in a turn, of a group's, and from the trunks for a group.
const SLOTS: usize = 4;
const MANY: usize = 64;
const BYTES: usize = 512;

/// The trunk's side of a call, and what goes to Telegram for it.
struct Leg {
    socket: UdpSocket,
    telegram: SockaddrIn,
    to_telegram: Context,
    trunk: SockaddrIn,
    from_telegram: Context,
}

/// Calls in groups of [`MEMBERS`].
pub struct Mixed {
    poll: Poll,
    legs: Vec<Leg>,
    groups: Vec<UdpSocket>,
    /// The last two bytes of the first call's end at Telegram.
    first: u16,
}

impl Mixed {
    /// `calls` with their sockets, in the order of their addresses, and the groups'.
    ///
    /// # Errors
    /// When the system does not wait for sockets.
    pub fn new(
        calls: impl IntoIterator<Item = (Call, UdpSocket)>,
        groups: Vec<UdpSocket>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let (mut legs, mut first) = (Vec::new(), None);
        for (Call { trunk, telegram, to_telegram, from_telegram }, socket) in calls {
            let mut source = SourceFd(&socket.as_raw_fd());
            poll.registry().register(&mut source, Token(legs.len()), Interest::READABLE)?;
            first.get_or_insert(low(*telegram.ip()));
            let (telegram, trunk) = (telegram.into(), trunk.into());
            legs.push(Leg { socket, telegram, to_telegram, trunk, from_telegram });
        }
        Ok(Self { poll, legs, groups, first: first.unwrap_or_default() })
    }

    /// Carries what comes, once in a tick, without end.
    ///
    /// # Errors
    /// When the system does not tell which sockets are readable.
    pub fn run(mut self, tick: Duration) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let (mut few, mut many) = (Batch::of(SLOTS), Batch::of(MANY));
        let mut outboxes: Vec<_> = self.groups.iter().map(|_| Outbox::new()).collect();
        loop {
            self.poll.poll(&mut events, Some(Duration::ZERO))?;
            for event in &events {
                let number = event.token().0;
                let (leg, group) = (&mut self.legs[number], number / usize::from(MEMBERS));
                loop {
                    let is_full = few.receive(&leg.socket, false)?;
                    few.each(|buffer, length, _| {
                        let Some(length) = leg.to_telegram.seal(buffer, length) else { return };
                        outboxes[group].push(&self.groups[group], &buffer[..length], leg.telegram);
                    });
                    if !is_full {
                        break;
                    }
                }
            }
            for (socket, outbox) in self.groups.iter().zip(&mut outboxes) {
                outbox.flush(socket);
                loop {
                    let is_full = many.receive(socket, false)?;
                    many.each(|buffer, length, source| {
                        let number = low(source.ip()).wrapping_sub(self.first);
                        let Some(leg) = self.legs.get_mut(usize::from(number)) else { return };
                        let Some(length) = leg.from_telegram.open(buffer, length) else { return };
                        let flags = MsgFlags::MSG_DONTWAIT;
                        sendto(leg.socket.as_raw_fd(), &buffer[..length], &leg.trunk, flags).ok();
                    });
                    if !is_full {
                        break;
                    }
                }
            }
            thread::sleep(tick);
        }
    }
}

/// What is to go out of one socket together.
struct Outbox {
    buffers: Vec<[u8; BYTES]>,
    queued: Vec<(usize, Option<SockaddrIn>)>,
    headers: MultiHeaders<SockaddrIn>,
}

impl Outbox {
    fn new() -> Self {
        let headers = MultiHeaders::preallocate(MANY, None);
        Self { buffers: vec![[0; BYTES]; MANY], queued: Vec::with_capacity(MANY), headers }
    }

    fn push(&mut self, socket: &UdpSocket, packet: &[u8], to: SockaddrIn) {
        self.buffers[self.queued.len()][..packet.len()].copy_from_slice(packet);
        self.queued.push((packet.len(), Some(to)));
        if self.queued.len() == MANY {
            self.flush(socket);
        }
    }

    fn flush(&mut self, socket: &UdpSocket) {
        let packets = self.buffers.iter().zip(&self.queued);
        let slices: Vec<_> =
            packets.map(|(buffer, (length, _))| [IoSlice::new(&buffer[..*length])]).collect();
        let addresses: Vec<_> = self.queued.iter().map(|(_, to)| *to).collect();
        send_all(socket, &mut self.headers, &slices, &addresses);
        self.queued.clear();
    }
}

/// The address of the group that a call belongs to.
pub fn group(number: u16, port: u16) -> SocketAddrV4 {
    let [high, low] = (number / MEMBERS).to_be_bytes();
    SocketAddrV4::new([127, 2, high, low].into(), port)
}
