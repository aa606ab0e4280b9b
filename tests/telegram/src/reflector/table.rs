//! Who said hello from where, and to whom a packet goes.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::frame::{Frame, Number, Prefix};

/// Clients known at once; a new one takes the place of the oldest.
const CLIENTS: usize = 4096;
/// The byte of a peer tag in which the two sides of a call differ, and the bit.
const SIDE: (usize, u8) = (11, 1);

/// Which side of a call a peer tag belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Who called.
    Caller,
    /// Who was called.
    Callee,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::Caller, Side::Callee];

    /// The peer tag of this side, made of that of either.
    #[must_use]
    pub fn mark(self, mut peer_tag: [u8; 16]) -> [u8; 16] {
        let (byte, bit) = SIDE;
        match self {
            Side::Caller => peer_tag[byte] &= !bit,
            Side::Callee => peer_tag[byte] |= bit,
        }
        peer_tag
    }

    fn of(prefix: &Prefix) -> Self {
        if prefix[SIDE.0] & SIDE.1 == 0 { Side::Caller } else { Side::Callee }
    }
}

/// How a client is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    Udp(SocketAddr),
    /// A TCP connection's number.
    Tcp(u64),
}

/// What becomes of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Known now; over UDP it is told so.
    Greeted { prefix: Prefix, own: Number },
    /// On to another client.
    Forward { from: Side, to: Route, packet: Vec<u8> },
    /// Nobody of that number said hello.
    Unknown,
}

/// The clients.
#[derive(Debug, Default)]
pub(super) struct Table {
    clients: BTreeMap<(Prefix, Number), Route>,
    by_age: VecDeque<(Prefix, Number)>,
}

impl Table {
    /// Takes what a client sent, read and as it came.
    pub(super) fn handle_frame(&mut self, route: Route, frame: Frame<'_>, bytes: &[u8]) -> Verdict {
        match frame {
            Frame::Hello { prefix, own } => {
                if self.clients.insert((prefix, own), route).is_none() {
                    self.by_age.push_back((prefix, own));
                }
                while self.clients.len() > CLIENTS
                    && let Some(oldest) = self.by_age.pop_front()
                {
                    self.clients.remove(&oldest);
                }
                Verdict::Greeted { prefix, own }
            }
            Frame::Data { prefix, to, payload: _ } => {
                let mut others = prefix;
                others[SIDE.0] ^= SIDE.1;
                let Some(route) = self.clients.get(&(others, to)) else { return Verdict::Unknown };
                let packet = [others.as_slice(), &bytes[others.len()..]].concat();
                Verdict::Forward { from: Side::of(&prefix), to: *route, packet }
            }
        }
    }

    /// A TCP connection is gone, and whoever was there.
    pub(super) fn forget(&mut self, connection: u64) {
        let gone = |route: &Route| *route == Route::Tcp(connection);
        self.clients.retain(|_, route| !gone(route));
        let clients = &self.clients;
        self.by_age.retain(|client| clients.contains_key(client));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: Prefix = [4; 12];
    const CALLEE: Prefix = [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5];

    fn udp(port: u16) -> Route {
        Route::Udp(SocketAddr::from(([127, 0, 0, 1], port)))
    }

    fn packet(prefix: Prefix, to: Number) -> Vec<u8> {
        [prefix.as_slice(), &to, &[9; 4], &[0, 0, 0, 4], &[7; 4]].concat()
    }

    fn data(prefix: Prefix, to: Number) -> Frame<'static> {
        Frame::Data { prefix, to, payload: &[7; 4] }
    }

    #[test]
    fn a_packet_reaches_the_number_on_the_other_side_under_that_sides_tag() {
        let mut table = Table::default();
        table.handle_frame(udp(1), Frame::Hello { prefix: CALLER, own: [1; 4] }, &[]);
        table.handle_frame(Route::Tcp(3), Frame::Hello { prefix: CALLEE, own: [2; 4] }, &[]);
        let verdict = table.handle_frame(udp(1), data(CALLER, [2; 4]), &packet(CALLER, [2; 4]));
        let expected = packet(CALLEE, [2; 4]);
        assert_eq!(verdict, Verdict::Forward { from: Side::Caller, to: Route::Tcp(3), packet: expected });
        let verdict = table.handle_frame(Route::Tcp(3), data(CALLEE, [1; 4]), &packet(CALLEE, [1; 4]));
        let expected = packet(CALLER, [1; 4]);
        assert_eq!(verdict, Verdict::Forward { from: Side::Callee, to: udp(1), packet: expected });
    }

    #[test]
    fn nothing_comes_back_to_ones_own_side_to_another_call_or_to_one_who_left() {
        let mut table = Table::default();
        table.handle_frame(udp(1), Frame::Hello { prefix: CALLER, own: [1; 4] }, &[]);
        table.handle_frame(Route::Tcp(3), Frame::Hello { prefix: CALLEE, own: [2; 4] }, &[]);
        for (prefix, to) in [(CALLER, [1; 4]), (CALLER, [3; 4]), ([6; 12], [2; 4])] {
            let verdict = table.handle_frame(udp(1), data(prefix, to), &packet(prefix, to));
            assert_eq!(verdict, Verdict::Unknown);
        }
        table.forget(3);
        let verdict = table.handle_frame(udp(1), data(CALLER, [2; 4]), &packet(CALLER, [2; 4]));
        assert_eq!(verdict, Verdict::Unknown);
    }

    #[test]
    fn strangers_who_say_hello_without_end_do_not_fill_the_memory() {
        let mut table = Table::default();
        for number in 0..2 * CLIENTS as u32 {
            let hello = Frame::Hello { prefix: CALLER, own: number.to_le_bytes() };
            table.handle_frame(udp(1), hello, &[]);
        }
        assert_eq!((table.clients.len(), table.by_age.len()), (CLIENTS, CLIENTS));
    }

    #[test]
    fn the_tags_of_the_two_sides_differ_in_one_byte_that_counts() {
        for tag in [[0; 16], [0xff; 16]] {
            let (caller, callee) = (Side::Caller.mark(tag), Side::Callee.mark(tag));
            let differing: Vec<usize> = (0..16).filter(|at| caller[*at] != callee[*at]).collect();
            assert_eq!(differing, [11]);
        }
    }
}
