//! The same with two sockets for each call, as PBXs and NATs want them, instead of two for all.

use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::socket::SockaddrIn;

use crate::batch::Batch;
use crate::relay::Call;
use crate::srtp::Context;

/// Sockets that are told to be readable at once.
const EVENTS: usize = 1024;
/// Datagrams of one socket in a turn. That fewer came says that none is left.
const SLOTS: usize = 4;

/// One direction of one call.
struct Leg {
    socket: UdpSocket,
    destination: SockaddrIn,
    context: Context,
}

/// All calls: an even leg hears a trunk's end and protects, the odd one behind it hears Telegram's.
pub struct Legs {
    poll: Poll,
    legs: Vec<Leg>,
}

impl Legs {
    /// `calls` with the sockets of both their legs.
    ///
    /// # Errors
    /// When the system does not wait for sockets.
    pub fn new(calls: impl IntoIterator<Item = (Call, [UdpSocket; 2])>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut legs = Vec::new();
        for (call, [trunk, telegram]) in calls {
            for (socket, destination, context) in
                [(trunk, call.telegram, call.to_telegram), (telegram, call.trunk, call.from_telegram)]
            {
                let mut source = SourceFd(&socket.as_raw_fd());
                poll.registry().register(&mut source, Token(legs.len()), Interest::READABLE)?;
                legs.push(Leg { socket, destination: SockaddrIn::from(destination), context });
            }
        }
        Ok(Self { poll, legs })
    }

    /// Carries what comes, once in a tick, without end.
    ///
    /// # Errors
    /// When the system does not tell which sockets are readable.
    pub fn run(mut self, tick: Duration) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut batch = Batch::of(SLOTS);
        loop {
            self.poll.poll(&mut events, Some(Duration::ZERO))?;
            for event in &events {
                let number = event.token().0;
                loop {
                    let is_full = batch.receive(&self.legs[number].socket, false)?;
                    let (from, to) = if number % 2 == 0 {
                        let (from, to) = self.legs.split_at_mut(number + 1);
                        (&mut from[number], &to[0])
                    } else {
                        let (to, from) = self.legs.split_at_mut(number);
                        (&mut from[0], &to[number - 1])
                    };
                    batch.send(&to.socket, |buffer, length, _| {
                        let length = match number % 2 {
                            0 => from.context.seal(buffer, length),
                            _ => from.context.open(buffer, length),
                        };
                        Some((length?, from.destination))
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

/// The addresses of a call's sockets: one of the loopback's for each call.
pub fn addresses(number: u16, ports: [u16; 2]) -> [SocketAddrV4; 2] {
    let [high, low] = number.to_be_bytes();
    ports.map(|port| SocketAddrV4::new([127, 1, high, low].into(), port))
}
