//! Packets from one side to the other.

use std::net::{SocketAddrV4, UdpSocket};

use nix::sys::socket::SockaddrIn;

use crate::batch::Batch;
use crate::srtp::Context;

/// When packets go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A millisecond's packets together.
    Tick,
    /// Each as it comes.
    Immediate,
    /// A millisecond's packets together, of two sockets for each call.
    Legs,
    /// The same of a socket for each call towards its trunk, and one for many towards Telegram.
    Mixed,
}

/// Where packets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToTelegram,
    ToTrunk,
}

/// One call's ends and keys.
pub struct Call {
    pub trunk: SocketAddrV4,
    pub telegram: SocketAddrV4,
    pub to_telegram: Context,
    pub from_telegram: Context,
}

/// One direction of all calls.
pub struct Half {
    /// Where packets of the call go, by the last two bytes of the other end's address, and what protects them.
    calls: Vec<(SockaddrIn, Context)>,
    first: u16,
    way: Way,
}

/// Both directions.
pub struct Relay {
    pub to_telegram: Half,
    pub to_trunk: Half,
}

impl Relay {
    /// `calls` in the order of their addresses, without a gap.
    pub fn new(calls: Vec<Call>) -> Self {
        let first = |address: Option<SocketAddrV4>| address.map_or(0, |address| low(*address.ip()));
        let from_trunk = first(calls.first().map(|call| call.trunk));
        let from_telegram = first(calls.first().map(|call| call.telegram));
        let half = |way, first, calls| Half { calls, first, way };
        let (mut to_telegram, mut to_trunk) = (Vec::new(), Vec::new());
        for call in calls {
            to_telegram.push((call.telegram.into(), call.to_telegram));
            to_trunk.push((call.trunk.into(), call.from_telegram));
        }
        let to_telegram = half(Way::ToTelegram, from_trunk, to_telegram);
        Self { to_telegram, to_trunk: half(Way::ToTrunk, from_telegram, to_trunk) }
    }
}

impl Half {
    /// Carries a batch; whether there may be more.
    pub fn carry(
        &mut self,
        batch: &mut Batch,
        from: &UdpSocket,
        to: &UdpSocket,
        waits: bool,
    ) -> nix::Result<bool> {
        let is_full = batch.receive(from, waits)?;
        batch.send(to, |buffer, length, source| self.change(buffer, length, source));
        Ok(is_full)
    }

    /// Makes of a datagram in the first `length` bytes of a buffer what goes on: its new length, and where to. `None` for one
    /// that goes nowhere.
    pub fn change(
        &mut self,
        buffer: &mut [u8],
        length: usize,
        source: SockaddrIn,
    ) -> Option<(usize, SockaddrIn)> {
        let number = low(source.ip()).wrapping_sub(self.first);
        let (destination, context) = self.calls.get_mut(usize::from(number))?;
        let length = match self.way {
            Way::ToTelegram => context.seal(buffer, length),
            Way::ToTrunk => context.open(buffer, length),
        };
        Some((length?, *destination))
    }
}

/// The last two bytes of an address.
pub(crate) fn low(ip: std::net::Ipv4Addr) -> u16 {
    let [_, _, high, low] = ip.octets();
    u16::from_be_bytes([high, low])
}
