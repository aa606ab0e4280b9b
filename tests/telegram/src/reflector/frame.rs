//! What goes between a client and a reflector. Nothing is published of it; this is what Telegram's applications send
//! and take (tgcalls' `ReflectorPort`).

/// Bytes of a peer tag that name the call; what follows them is each client's own number.
pub(super) const PREFIX_BYTES: usize = 12;
/// A datagram longer than this is none of a call's.
pub(super) const LONGEST: usize = 2048;
/// Before the payload: tag, the sender's number, length.
const HEADER_BYTES: usize = 24;
/// What makes a datagram one between client and server.
const CONTROL: [u8; 12] = [0xff; 12];
const UDP_HELLO: [u8; 24] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0, 0, 0,
    0, 0, 0, 0, 123,
];
const TCP_HELLO: [u8; 4] = [0; 4];

/// The part of a peer tag that names a call and a side of it.
pub(super) type Prefix = [u8; PREFIX_BYTES];
/// A client's number, little-endian.
pub(super) type Number = [u8; 4];

/// What a client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    /// Here I am.
    Hello { prefix: Prefix, own: Number },
    /// For the other side.
    Data { prefix: Prefix, to: Number, payload: &'a [u8] },
}

/// Which way it came; hellos differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    Udp,
    Tcp,
}

impl<'a> Frame<'a> {
    /// Reads a datagram, or what stood behind a length; nothing if it is not exactly as clients send it.
    pub(super) fn read(carrier: Carrier, bytes: &'a [u8]) -> Option<Self> {
        let (prefix, rest) = bytes.split_first_chunk::<PREFIX_BYTES>()?;
        let (number, rest) = rest.split_first_chunk::<4>()?;
        let hello: &[u8] = match carrier {
            Carrier::Udp => &UDP_HELLO,
            Carrier::Tcp => &TCP_HELLO,
        };
        if rest == hello {
            return Some(Frame::Hello { prefix: *prefix, own: *number });
        }
        if rest.starts_with(&CONTROL) || bytes.len() > LONGEST {
            return None;
        }
        let (_own, rest) = rest.split_first_chunk::<4>()?;
        let (length, body) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let payload = body.get(..length).filter(|payload| !payload.is_empty())?;
        let padding = &body[length..];
        let whole = padding.iter().all(|byte| *byte == 0) && bytes.len() == padded_len(length);
        whole.then_some(Frame::Data { prefix: *prefix, to: *number, payload })
    }
}

/// What a server answers a hello over UDP with: a control packet, which clients do not take for data.
pub(super) fn ready(prefix: Prefix, own: Number) -> Vec<u8> {
    let mut bytes = [prefix.as_slice(), &own, &CONTROL].concat();
    bytes.resize(40, 0);
    bytes
}

/// Length of a data packet with so much payload: padded to a multiple of four.
pub(super) fn padded_len(payload: usize) -> usize {
    HEADER_BYTES + payload.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Sent by ntgcalls 3.0.5 with the peer tag 000102…0f; the payload is shortened.
    const HELLO: &str = "000102030405060708090a0b7d2a526efffffffffffffffffffffffffeffffff000000000000007b";
    const DATA: &str = "000102030405060708090a0b4815bf2b7d2a526e00000006001004c2112a0000";

    #[test]
    fn hellos_and_data_of_ntgcalls_are_read() {
        let prefix = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
        let own = [0x7d, 0x2a, 0x52, 0x6e];
        let hello = hex::decode(HELLO).unwrap();
        assert_eq!(Frame::read(Carrier::Udp, &hello), Some(Frame::Hello { prefix, own }));
        let tcp = [&hello[..16], &[0; 4]].concat();
        assert_eq!(Frame::read(Carrier::Tcp, &tcp), Some(Frame::Hello { prefix, own }));
        let data = hex::decode(DATA).unwrap();
        let payload: &[u8] = &[0, 0x10, 4, 0xc2, 0x11, 0x2a];
        let to = [0x48, 0x15, 0xbf, 0x2b];
        for carrier in [Carrier::Udp, Carrier::Tcp] {
            assert_eq!(Frame::read(carrier, &data), Some(Frame::Data { prefix, to, payload }));
        }
    }

    #[test]
    fn wrong_lengths_padding_and_hellos_of_the_other_carrier_are_not() {
        let hello = hex::decode(HELLO).unwrap();
        let data = hex::decode(DATA).unwrap();
        let tcp_hello = [&hello[..16], &[0; 4]].concat();
        assert_eq!(Frame::read(Carrier::Tcp, &hello), None);
        assert_eq!(Frame::read(Carrier::Udp, &tcp_hello), None);
        assert!((0..hello.len()).all(|end| Frame::read(Carrier::Udp, &hello[..end]).is_none()));
        assert!((0..data.len()).all(|end| Frame::read(Carrier::Udp, &data[..end]).is_none()));
        for (at, value) in [(23, 0), (23, 3), (23, 9), (20, 0xff), (31, 1)] {
            let mut wrong = data.clone();
            wrong[at] = value;
            assert_eq!(Frame::read(Carrier::Udp, &wrong), None, "byte {at} = {value}");
        }
        let longer = [data.as_slice(), &[0; 4]].concat();
        assert_eq!(Frame::read(Carrier::Udp, &longer), None);
        assert_eq!(Frame::read(Carrier::Udp, &vec![0xff; 65_000]), None);
    }
}
