//! User messages that ride with COOKIE ECHO, as RFC 9260 section 5.1 lets them, and not a round trip later. WebRTC's own
//! library does so; `sctp_proto` keeps every DATA chunk until the association is open.
//!
//! What rides is numbered as the library will number it. Once the association is open, the library's own first copy is not
//! sent; where the peer had no use for what rode, the library repeats it as it repeats anything that is not acknowledged.
//!
//! An acknowledgement of what the library has not sent yet would have it close the association. That cannot be: it knows
//! nothing of acknowledgements before COOKIE ACK, takes what waits and gives it out in the same breath as that, and all that
//! rides finds room in its first congestion window (4,380 bytes) and in any window that it takes an INIT ACK with.

use std::collections::VecDeque;

use crc::{CRC_32_ISCSI, Crc};
use sctp_proto::PayloadProtocolIdentifier;

/// CRC32c (RFC 9260 section 6.8).
static CHECKSUM: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const CHECKSUM_AT: usize = 8;
/// Bytes of the header of a packet, and of a DATA chunk.
const HEADER: usize = 12;
const DATA_HEADER: usize = 16;
/// Where the initial TSN stands in a packet that is an INIT.
const INITIAL_TSN_AT: usize = HEADER + 16;
/// No packet with riders is longer; the library cuts no message that is this short.
const MOST_BYTES: usize = 1200;

/// Types of chunks.
const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
/// A DATA chunk's flags: the message begins and ends in it.
const WHOLE: u8 = 0b11;

/// What rode with an association's COOKIE ECHO.
#[derive(Debug, Default)]
pub(super) struct Early {
    first_tsn: Option<u32>,
    /// Messages from the first on that went out already, and those of them whose copies the library is still to send.
    ridden: u32,
    due: u32,
}

impl Early {
    /// A packet as it is to go out, without chunks that have gone out before; nothing where no other is left. `waiting` is what
    /// the library has not taken yet, from the association's first message on.
    pub(super) fn leaves(
        &mut self,
        mut packet: Vec<u8>,
        waiting: &VecDeque<(PayloadProtocolIdentifier, Vec<u8>)>,
    ) -> Option<Vec<u8>> {
        match packet.get(HEADER) {
            Some(&INIT) => self.first_tsn = number(&packet, INITIAL_TSN_AT),
            Some(&COOKIE_ECHO) => self.board(&mut packet, waiting),
            Some(&DATA) if self.due > 0 => return self.without_copies(&packet),
            _ => {}
        }
        Some(packet)
    }

    fn board(&mut self, packet: &mut Vec<u8>, waiting: &VecDeque<(PayloadProtocolIdentifier, Vec<u8>)>) {
        let Some(first) = self.first_tsn else { return };
        let mut count = 0_u16;
        for (protocol, message) in waiting {
            let length = DATA_HEADER + message.len();
            let Ok(length_field) = u16::try_from(length) else { break };
            if message.is_empty() || packet.len() + length.next_multiple_of(4) > MOST_BYTES {
                break;
            }
            packet.extend([DATA, WHOLE]);
            packet.extend(length_field.to_be_bytes());
            packet.extend(first.wrapping_add(count.into()).to_be_bytes());
            // The stream, and the message's number in it.
            packet.extend(super::STREAM.to_be_bytes());
            packet.extend(count.to_be_bytes());
            packet.extend((*protocol as u32).to_be_bytes());
            packet.extend(message);
            packet.resize(packet.len().next_multiple_of(4), 0);
            count += 1;
        }
        if count > 0 {
            seal(packet);
            self.ridden = self.ridden.max(count.into());
            self.due = self.ridden;
        }
    }

    fn without_copies(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        let first = self.first_tsn?;
        let rode = |chunk: &&[u8]| {
            chunk.first() == Some(&DATA)
                && number(chunk, 4).is_some_and(|tsn| tsn.wrapping_sub(first) < self.ridden)
        };
        let (copies, others): (Vec<_>, Vec<_>) = chunks(packet).partition(rode);
        self.due = self.due.saturating_sub(copies.len() as u32);
        if others.is_empty() {
            return None;
        }
        let mut rest = packet[..HEADER].to_vec();
        others.iter().for_each(|chunk| rest.extend(*chunk));
        seal(&mut rest);
        Some(rest)
    }
}

/// A COOKIE ACK apart from what comes with it, which may acknowledge what the library sends only once it has seen that.
pub(super) fn apart(packet: &[u8]) -> Option<[Vec<u8>; 2]> {
    let header = packet.get(..HEADER)?;
    let mut chunks = chunks(packet);
    let ack = chunks.next().filter(|chunk| chunk.first() == Some(&COOKIE_ACK))?;
    let rest: Vec<&[u8]> = chunks.collect();
    // What begins an association stands alone in its packet (section 3), and is refused where it does not.
    let begins = rest.iter().any(|chunk| [Some(&INIT), Some(&INIT_ACK)].contains(&chunk.first()));
    if rest.is_empty() || begins || !is_sealed(packet) {
        return None;
    }
    Some([ack, &rest.concat()].map(|chunks| {
        let mut packet = [header, chunks].concat();
        seal(&mut packet);
        packet
    }))
}

/// Chunks with their padding; the last may lack it, and what is no chunk ends them.
fn chunks(packet: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = packet.get(HEADER..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]));
        if length < 4 || length > rest.len() {
            return None;
        }
        let (chunk, others) = rest.split_at(length.next_multiple_of(4).min(rest.len()));
        rest = others;
        Some(chunk)
    })
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn checksum(packet: &[u8]) -> [u8; 4] {
    let mut digest = CHECKSUM.digest();
    digest.update(&packet[..CHECKSUM_AT]);
    digest.update(&[0; 4]);
    digest.update(&packet[HEADER..]);
    digest.finalize().to_le_bytes()
}

fn is_sealed(packet: &[u8]) -> bool {
    packet.len() >= HEADER && packet[CHECKSUM_AT..HEADER] == checksum(packet)
}

fn seal(packet: &mut [u8]) {
    let sum = checksum(packet);
    packet[CHECKSUM_AT..HEADER].copy_from_slice(&sum);
}
