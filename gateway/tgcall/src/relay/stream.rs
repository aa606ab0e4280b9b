//! Packets of a relay's server in a stream of bytes: ChannelData and STUN messages as they are (RFC 8656 section 12.5),
//! a reflector's packets behind their lengths.

use std::ops::Range;

/// A reflector's packet that is longer is no packet.
const MAX_PACKET_BYTES: usize = 0xffff;

/// How packets follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Turn,
    Reflector,
}

/// The stream holds something that is no packet; where the next one begins is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// Bytes that came and are not used up.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    start: usize,
}

impl Framing {
    /// What goes out before anything else.
    pub(super) fn preamble(self) -> Option<Vec<u8>> {
        match self {
            Framing::Turn => None,
            Framing::Reflector => Some(vec![0xee; 4]),
        }
    }

    /// Makes a packet part of the stream, in place.
    pub(super) fn frame(self, packet: &mut Vec<u8>) {
        match self {
            Framing::Turn => {}
            Framing::Reflector => {
                let length = (packet.len() as u32).to_le_bytes();
                packet.splice(..0, length);
            }
        }
    }

    /// The header's length, the packet's and its padding's, if `bytes` tell already.
    fn lengths(self, bytes: &[u8]) -> Result<Option<(usize, usize, usize)>, Broken> {
        let Some([a, b, c, d]) = bytes.first_chunk::<4>().copied() else { return Ok(None) };
        match self {
            Framing::Turn => {
                let length = usize::from(u16::from_be_bytes([c, d]));
                match a >> 6 {
                    0 => Ok(Some((0, 20 + length, 0))),
                    1 => Ok(Some((0, 4 + length, length.next_multiple_of(4) - length))),
                    _ => Err(Broken),
                }
            }
            Framing::Reflector => match u32::from_le_bytes([a, b, c, d]) as usize {
                length @ 1..=MAX_PACKET_BYTES => Ok(Some((4, length, 0))),
                _ => Err(Broken),
            },
        }
    }
}

impl Inbox {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Where the next whole packet lies in [`Inbox::bytes`].
    pub(super) fn next(&mut self, framing: Framing) -> Result<Option<Range<usize>>, Broken> {
        let rest = &self.bytes[self.start..];
        let Some((header, length, padding)) = framing.lengths(rest)? else { return Ok(None) };
        if rest.len() < header + length + padding {
            return Ok(None);
        }
        let packet = self.start + header..self.start + header + length;
        self.start = packet.end + padding;
        Ok(Some(packet))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_found_however_the_stream_is_cut() {
        let channel = [0x40, 0, 0, 5, 1, 2, 3, 4, 5];
        let message = [vec![1, 1, 0, 4], vec![9; 20]].concat();
        let turn = [&channel[..], &[0; 3], &message].concat();
        let mut reflector = vec![7; 30];
        Framing::Reflector.frame(&mut reflector);
        let whole = [reflector.clone(), reflector].concat();
        let cases =
            [(Framing::Turn, turn, vec![9, message.len()]), (Framing::Reflector, whole, vec![30, 30])];
        for (framing, bytes, expected) in cases {
            for size in 1..=bytes.len() {
                let mut inbox = Inbox::default();
                let mut lengths = Vec::new();
                for piece in bytes.chunks(size) {
                    inbox.push(piece);
                    while let Some(packet) = inbox.next(framing).unwrap() {
                        lengths.push(inbox.bytes()[packet].len());
                    }
                }
                assert_eq!(lengths, expected, "{framing:?} in pieces of {size}");
            }
        }
    }

    #[test]
    fn what_is_no_packet_breaks_the_stream() {
        for (framing, bytes) in [
            (Framing::Turn, [0x80, 0, 0, 0]),
            (Framing::Reflector, [0, 0, 0, 0]),
            (Framing::Reflector, [0, 0, 1, 0]),
        ] {
            let mut inbox = Inbox::default();
            inbox.push(&bytes);
            assert_eq!(inbox.next(framing), Err(Broken));
        }
    }
}
