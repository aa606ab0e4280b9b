//! The four framings of a TCP connection and the obfuscation around them (core.telegram.org/mtproto/mtproto-transports).
//!
//! The first bytes say which: `ef` abridged, `ee` x 4 intermediate, `dd` x 4 padded intermediate, a zero second word full,
//! anything else a 64-byte obfuscation header that names one of the first three inside.

use aes::Aes256;
use aes::cipher::{KeyIvInit, StreamCipher};
use flate2::Crc;

use crate::wire::random;

type Ctr = ctr::Ctr128BE<Aes256>;

const HEADER: usize = 64;
const QUICK_ACK: u32 = 0x8000_0000;

/// How messages are cut out of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Full,
    Abridged,
    Intermediate,
    Padded,
}

/// One frame from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) payload: Vec<u8>,
    /// The client wants to hear at once that the frame came.
    pub(crate) quick_ack: bool,
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Garbage {
    #[error("the first bytes belong to no framing of MTProto")]
    Start,
    #[error("a frame of {0} bytes, allowed are 1 to {1}")]
    Length(usize, usize),
    #[error("frame number {0} where {1} was due")]
    Number(u32, u32),
    #[error("the frame's CRC-32 is wrong")]
    Checksum,
}

/// Both directions of one connection.
pub(crate) struct Transport {
    framing: Option<Framing>,
    obfuscation: Option<Obfuscation>,
    incoming: Vec<u8>,
    received: u32,
    sent: u32,
    max_frame: usize,
}

struct Obfuscation {
    from_client: Ctr,
    to_client: Ctr,
    dc: i16,
}

impl Transport {
    pub(crate) fn new(max_frame: usize) -> Self {
        Self { framing: None, obfuscation: None, incoming: Vec::new(), received: 0, sent: 0, max_frame }
    }

    /// The framing, once the client has shown it.
    pub(crate) fn framing(&self) -> Option<Framing> {
        self.framing
    }

    /// The data centre an obfuscated client says it wants; some fill this place with random bytes.
    pub(crate) fn wanted_dc(&self) -> Option<i16> {
        self.obfuscation.as_ref().map(|obfuscation| obfuscation.dc)
    }

    /// Takes bytes from the socket.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let start = self.incoming.len();
        self.incoming.extend(bytes);
        if let Some(obfuscation) = &mut self.obfuscation {
            obfuscation.from_client.apply_keystream(&mut self.incoming[start..]);
        }
    }

    /// The next whole frame, if one is there.
    pub(crate) fn poll_frame(&mut self) -> Result<Option<Frame>, Garbage> {
        if self.framing.is_none() {
            self.detect()?;
        }
        match self.framing {
            None => Ok(None),
            Some(Framing::Full) => self.full(),
            Some(Framing::Abridged) => self.abridged(),
            Some(Framing::Intermediate | Framing::Padded) => self.intermediate(),
        }
    }

    /// A message as bytes for the socket.
    pub(crate) fn frame(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(payload.len() + 16);
        match self.framing {
            Some(Framing::Full) => {
                out.extend((payload.len() as u32 + 12).to_le_bytes());
                out.extend(self.sent.to_le_bytes());
                out.extend(payload);
                out.extend(crc(&out).to_le_bytes());
                self.sent = self.sent.wrapping_add(1);
            }
            Some(Framing::Abridged) => {
                let words = payload.len() as u32 / 4;
                match words {
                    0..0x7f => out.push(words as u8),
                    _ => out.extend((words << 8 | 0x7f).to_le_bytes()),
                }
                out.extend(payload);
            }
            Some(Framing::Intermediate) | None => {
                out.extend((payload.len() as u32).to_le_bytes());
                out.extend(payload);
            }
            Some(Framing::Padded) => {
                // Clients take the length modulo 4 as the padding, so more than three bytes would confuse them.
                let [padding] = random::bytes::<1>().map(|byte| usize::from(byte % 4));
                out.extend(((payload.len() + padding) as u32).to_le_bytes());
                out.extend(payload);
                out.extend(&random::bytes::<3>()[..padding]);
            }
        }
        self.cover(out)
    }

    /// A transport error: four bytes in a frame, or in full framing the number three times over.
    pub(crate) fn error(&mut self, code: i32) -> Vec<u8> {
        let code = code.to_le_bytes();
        match self.framing {
            Some(Framing::Full) => code.repeat(3),
            Some(Framing::Abridged) => self.frame(&code),
            Some(Framing::Intermediate | Framing::Padded) | None => {
                let framed = [4u32.to_le_bytes(), code].concat();
                self.cover(framed)
            }
        }
    }

    /// A quick acknowledgment, unless the framing has none.
    pub(crate) fn quick_ack(&mut self, token: u32) -> Vec<u8> {
        match self.framing {
            Some(Framing::Full) | None => Vec::new(),
            Some(Framing::Abridged) => self.cover(token.to_be_bytes().to_vec()),
            Some(Framing::Intermediate | Framing::Padded) => self.cover(token.to_le_bytes().to_vec()),
        }
    }

    fn cover(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if let Some(obfuscation) = &mut self.obfuscation {
            obfuscation.to_client.apply_keystream(&mut bytes);
        }
        bytes
    }

    fn detect(&mut self) -> Result<(), Garbage> {
        let Some(first) = self.incoming.first() else { return Ok(()) };
        if *first == 0xef {
            self.incoming.remove(0);
            self.framing = Some(Framing::Abridged);
            return Ok(());
        }
        let Some(word) = self.incoming.first_chunk::<4>() else { return Ok(()) };
        if let Some(framing) = tagged(*word) {
            self.incoming.drain(..4);
            self.framing = Some(framing);
            return Ok(());
        }
        if [b"HEAD", b"POST", b"GET ", b"OPTI", b"\x16\x03\x01\x02"].contains(&word) {
            return Err(Garbage::Start);
        }
        if self.incoming.get(4..8) == Some(&[0; 4]) {
            self.framing = Some(Framing::Full);
        } else if let Some(header) = self.incoming.first_chunk::<HEADER>() {
            let (framing, obfuscation) = Obfuscation::new(header)?;
            self.incoming.drain(..HEADER);
            self.framing = Some(framing);
            let obfuscation = self.obfuscation.insert(obfuscation);
            obfuscation.from_client.apply_keystream(&mut self.incoming);
        }
        Ok(())
    }

    fn full(&mut self) -> Result<Option<Frame>, Garbage> {
        let Some(length) = self.word(0) else { return Ok(None) };
        let length = length as usize;
        self.check(length.saturating_sub(12))?;
        let Some(frame) = self.take(length) else { return Ok(None) };
        let (body, checksum) = frame.split_at(length - 4);
        if crc(body).to_le_bytes() != checksum {
            return Err(Garbage::Checksum);
        }
        let number = u32::from_le_bytes(std::array::from_fn(|at| body[4 + at]));
        if number != self.received {
            return Err(Garbage::Number(number, self.received));
        }
        self.received = self.received.wrapping_add(1);
        Ok(Some(Frame { payload: body[8..].to_vec(), quick_ack: false }))
    }

    fn abridged(&mut self) -> Result<Option<Frame>, Garbage> {
        let Some(first) = self.incoming.first() else { return Ok(None) };
        let quick_ack = first & 0x80 != 0;
        let (head, words) = match first & 0x7f {
            0x7f => match self.word(0) {
                Some(word) => (4, word >> 8),
                None => return Ok(None),
            },
            words => (1, u32::from(words)),
        };
        let length = words as usize * 4;
        self.check(length)?;
        Ok(self.take(head + length).map(|frame| Frame { payload: frame[head..].to_vec(), quick_ack }))
    }

    fn intermediate(&mut self) -> Result<Option<Frame>, Garbage> {
        let Some(word) = self.word(0) else { return Ok(None) };
        let quick_ack = word & QUICK_ACK != 0;
        let length = (word & !QUICK_ACK) as usize;
        self.check(length)?;
        Ok(self.take(4 + length).map(|frame| Frame { payload: frame[4..].to_vec(), quick_ack }))
    }

    fn check(&self, length: usize) -> Result<(), Garbage> {
        if (1..=self.max_frame).contains(&length) {
            Ok(())
        } else {
            Err(Garbage::Length(length, self.max_frame))
        }
    }

    fn word(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.incoming.get(at..)?.first_chunk()?))
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        if self.incoming.len() < length {
            return None;
        }
        Some(self.incoming.drain(..length).collect())
    }
}

impl Obfuscation {
    fn new(header: &[u8; HEADER]) -> Result<(Framing, Self), Garbage> {
        let mut reversed = *header;
        reversed[8..56].reverse();
        let mut from_client = cipher(header);
        let mut plain = *header;
        from_client.apply_keystream(&mut plain);
        let framing = match tagged([plain[56], plain[57], plain[58], plain[59]]) {
            Some(framing) => framing,
            None if plain[56..60] == [0xef; 4] => Framing::Abridged,
            None => return Err(Garbage::Start),
        };
        let dc = i16::from_le_bytes([plain[60], plain[61]]);
        Ok((framing, Self { from_client, to_client: cipher(&reversed), dc }))
    }
}

fn cipher(header: &[u8; HEADER]) -> Ctr {
    let key: [u8; 32] = std::array::from_fn(|at| header[8 + at]);
    let iv: [u8; 16] = std::array::from_fn(|at| header[40 + at]);
    Ctr::new(&key.into(), &iv.into())
}

fn tagged(word: [u8; 4]) -> Option<Framing> {
    match word {
        [0xee, 0xee, 0xee, 0xee] => Some(Framing::Intermediate),
        [0xdd, 0xdd, 0xdd, 0xdd] => Some(Framing::Padded),
        _ => None,
    }
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 16;

    #[test]
    fn full_frames_have_length_number_and_checksum() {
        // Written with Python's zlib.crc32: length 16, numbers 0 and 1, payloads "ping" and "pong".
        let golden = hex::decode("100000000000000070696e6772c95c731000000001000000706f6e675eb57bbb").unwrap();
        let mut transport = Transport::new(LIMIT);
        transport.feed(&golden);
        assert_eq!(payloads(&mut transport), [b"ping", b"pong"]);
        assert_eq!(transport.framing(), Some(Framing::Full));
        assert_eq!([transport.frame(b"ping"), transport.frame(b"pong")].concat(), golden);
        assert_eq!(transport.error(-404), [(-404i32).to_le_bytes(); 3].concat());
    }

    #[test]
    fn a_wrong_checksum_or_number_ends_a_full_stream() {
        let golden = hex::decode("100000000000000070696e6772c95c73").unwrap();
        let mut changed = golden.clone();
        changed[8] ^= 1;
        let mut transport = Transport::new(LIMIT);
        transport.feed(&changed);
        assert_eq!(transport.poll_frame(), Err(Garbage::Checksum));

        let mut transport = Transport::new(LIMIT);
        transport.feed(&golden.repeat(2));
        assert!(transport.poll_frame().unwrap().is_some());
        assert_eq!(transport.poll_frame(), Err(Garbage::Number(0, 1)));
    }

    #[test]
    fn abridged_frames_have_one_or_four_bytes_in_front() {
        let long = vec![7; 0x7f * 4];
        let mut transport = Transport::new(LIMIT);
        transport.feed(b"\xef\x01ping\x81pong\x7f\x7f\0\0");
        transport.feed(&long);
        let frames = [transport.poll_frame(), transport.poll_frame(), transport.poll_frame()]
            .map(|frame| frame.unwrap().unwrap());
        assert_eq!(frames.each_ref().map(|frame| frame.quick_ack), [false, true, false]);
        assert_eq!(frames[0].payload, b"ping");
        assert_eq!(frames[2].payload, long);
        assert_eq!(transport.frame(b"ping"), b"\x01ping");
        assert_eq!(transport.frame(&long)[..4], *b"\x7f\x7f\0\0");
        assert_eq!(transport.error(-404), b"\x01\x6c\xfe\xff\xff");
        assert_eq!(transport.quick_ack(0x8123_4567), b"\x81\x23\x45\x67");
    }

    #[test]
    fn intermediate_frames_have_a_word_in_front() {
        let mut transport = Transport::new(LIMIT);
        transport.feed(b"\xee\xee\xee\xee\x04\0\0\0ping\x04\0\0\x80pong");
        let frames = [transport.poll_frame(), transport.poll_frame()].map(|frame| frame.unwrap().unwrap());
        assert_eq!(frames.each_ref().map(|frame| frame.quick_ack), [false, true]);
        assert_eq!(transport.frame(b"ping"), b"\x04\0\0\0ping");
        assert_eq!(transport.error(-429), b"\x04\0\0\0\x53\xfe\xff\xff");
        assert_eq!(transport.quick_ack(0x8123_4567), b"\x67\x45\x23\x81");
    }

    #[test]
    fn padded_frames_carry_up_to_three_bytes_more_to_the_client() {
        let mut transport = Transport::new(LIMIT);
        transport.feed(b"\xdd\xdd\xdd\xdd\x0b\0\0\0pingPADDING");
        assert_eq!(payloads(&mut transport), [b"pingPADDING"]);
        for _ in 0..50 {
            let frame = transport.frame(b"ping");
            let padding = frame.len() - 8;
            assert!(padding < 4);
            assert_eq!(frame[..8], [&[4 + padding as u8, 0, 0, 0][..], b"ping"].concat());
        }
        assert_eq!(transport.error(-404), b"\x04\0\0\0\x6c\xfe\xff\xff");
    }

    #[test]
    fn obfuscation_wraps_each_framing_that_has_a_tag() {
        for (tag, framing) in
            [(0xef, Framing::Abridged), (0xee, Framing::Intermediate), (0xdd, Framing::Padded)]
        {
            let (mut stream, mut to_server, mut to_client) = obfuscated_client(tag, -3);
            let mut bytes = match framing {
                Framing::Abridged => b"\x01ping".to_vec(),
                _ => b"\x04\0\0\0ping".to_vec(),
            };
            to_server.apply_keystream(&mut bytes);
            stream.extend(bytes);
            let mut transport = Transport::new(LIMIT);
            for byte in stream {
                assert!(transport.poll_frame().unwrap().is_none());
                transport.feed(&[byte]);
            }
            assert_eq!(payloads(&mut transport), [b"ping"]);
            assert_eq!((transport.framing(), transport.wanted_dc()), (Some(framing), Some(-3)));

            let mut answer = transport.error(-404);
            to_client.apply_keystream(&mut answer);
            assert!(answer.ends_with(&(-404i32).to_le_bytes()));
            let mut answer = transport.frame(b"pong");
            to_client.apply_keystream(&mut answer);
            assert!(answer.windows(4).any(|window| window == b"pong"));
        }
    }

    #[test]
    fn other_protocols_and_huge_frames_are_garbage() {
        for start in [&b"GET / HTTP/1.1"[..], b"POST /api", b"\x16\x03\x01\x02\0\x01\0"] {
            let mut transport = Transport::new(LIMIT);
            transport.feed(start);
            assert_eq!(transport.poll_frame(), Err(Garbage::Start));
        }
        let mut transport = Transport::new(LIMIT);
        transport.feed(&[0x41; 64]);
        assert_eq!(transport.poll_frame(), Err(Garbage::Start));
        for bytes in [
            &b"\xee\xee\xee\xee\xff\xff\xff\x7f"[..],
            b"\xee\xee\xee\xee\0\0\0\0",
            b"\xef\x7f\xff\xff\xff",
            b"\x05\0\0\0\0\0\0\0",
            b"\xff\xff\xff\x7f\0\0\0\0",
        ] {
            let mut transport = Transport::new(LIMIT);
            transport.feed(bytes);
            assert!(matches!(transport.poll_frame(), Err(Garbage::Length(_, LIMIT))), "{bytes:x?}");
        }
    }

    fn payloads(transport: &mut Transport) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| transport.poll_frame().unwrap()).map(|frame| frame.payload).collect()
    }

    fn obfuscated_client(tag: u8, dc: i16) -> (Vec<u8>, Ctr, Ctr) {
        let mut header: [u8; HEADER] = std::array::from_fn(|at| (at as u8).wrapping_mul(37).wrapping_add(5));
        header[56..60].fill(tag);
        header[60..62].copy_from_slice(&dc.to_le_bytes());
        let mut reversed = header;
        reversed[8..56].reverse();
        let mut to_server = cipher(&header);
        let mut sealed = header;
        to_server.apply_keystream(&mut sealed);
        let mut stream = header[..56].to_vec();
        stream.extend(&sealed[56..]);
        (stream, to_server, cipher(&reversed))
    }
}
