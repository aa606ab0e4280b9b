//! STUN messages between a client and its servers (RFC 8489), with the attributes of TURN (RFC 8656).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;

use aws_lc_rs::hmac;
use subtle::ConstantTimeEq;

const HEADER_BYTES: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const INTEGRITY_BYTES: usize = 20;

/// Methods (RFC 8489 section 18.2, RFC 8656 section 17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Binding = 1,
    Allocate = 3,
    Refresh = 4,
    Data = 7,
    ChannelBind = 9,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Request,
    Indication,
    Success,
    Error,
}

mod attribute {
    pub(super) const USERNAME: u16 = 0x0006;
    pub(super) const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub(super) const ERROR_CODE: u16 = 0x0009;
    pub(super) const CHANNEL_NUMBER: u16 = 0x000c;
    pub(super) const LIFETIME: u16 = 0x000d;
    pub(super) const XOR_PEER_ADDRESS: u16 = 0x0012;
    pub(super) const DATA: u16 = 0x0013;
    pub(super) const REALM: u16 = 0x0014;
    pub(super) const NONCE: u16 = 0x0015;
    pub(super) const XOR_RELAYED_ADDRESS: u16 = 0x0016;
    pub(super) const REQUESTED_TRANSPORT: u16 = 0x0019;
    pub(super) const XOR_MAPPED_ADDRESS: u16 = 0x0020;
}

/// A request in the making.
pub(super) struct Request {
    bytes: Vec<u8>,
}

impl Request {
    pub(super) fn new(method: Method, id: [u8; 12]) -> Self {
        let mut bytes = Vec::with_capacity(160);
        bytes.extend_from_slice(&(method as u16).to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&COOKIE);
        bytes.extend_from_slice(&id);
        Request { bytes }
    }

    /// UDP between the relay and the peers.
    pub(super) fn requested_transport(self) -> Self {
        self.attribute(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0])
    }

    pub(super) fn lifetime(self, seconds: u32) -> Self {
        self.attribute(attribute::LIFETIME, &seconds.to_be_bytes())
    }

    pub(super) fn channel(self, number: u16, peer: SocketAddr) -> Self {
        let [high, low] = number.to_be_bytes();
        self.attribute(attribute::CHANNEL_NUMBER, &[high, low, 0, 0])
            .address(attribute::XOR_PEER_ADDRESS, peer)
    }

    /// Signs with long-term credentials (RFC 8489 section 9.2) and ends.
    pub(super) fn signed(self, username: &str, realm: &str, nonce: &str, key: &[u8]) -> Vec<u8> {
        let mut bytes = self
            .attribute(attribute::USERNAME, username.as_bytes())
            .attribute(attribute::REALM, realm.as_bytes())
            .attribute(attribute::NONCE, nonce.as_bytes())
            .bytes;
        let length = bytes.len() - HEADER_BYTES + 4 + INTEGRITY_BYTES;
        bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        let tag = integrity(key, &[&bytes]);
        bytes.extend_from_slice(&attribute::MESSAGE_INTEGRITY.to_be_bytes());
        bytes.extend_from_slice(&(INTEGRITY_BYTES as u16).to_be_bytes());
        bytes.extend_from_slice(&tag);
        bytes
    }

    pub(super) fn unsigned(self) -> Vec<u8> {
        self.bytes
    }

    fn address(self, kind: u16, address: SocketAddr) -> Self {
        let mut value = vec![0, if address.is_ipv4() { 1 } else { 2 }];
        value.extend_from_slice(&(address.port() ^ 0x2112).to_be_bytes());
        let mask = mask(&self.bytes);
        match address.ip() {
            IpAddr::V4(ip) => value.extend(ip.octets().iter().zip(mask).map(|(byte, mask)| byte ^ mask)),
            IpAddr::V6(ip) => value.extend(ip.octets().iter().zip(mask).map(|(byte, mask)| byte ^ mask)),
        }
        self.attribute(kind, &value)
    }

    /// `value` is no longer than a server's message that brought it.
    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend_from_slice(&kind.to_be_bytes());
        self.bytes.extend_from_slice(&(value.len() as u16).to_be_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        let length = self.bytes.len() - HEADER_BYTES;
        self.bytes[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        self
    }
}

/// A message of a server.
#[derive(Debug)]
pub(super) struct Message<'a> {
    bytes: &'a [u8],
    pub(super) class: Class,
    /// `None` for one that no client of ours uses.
    pub(super) method: Option<Method>,
    pub(super) id: [u8; 12],
    pub(super) error: Option<u16>,
    pub(super) realm: Option<&'a str>,
    pub(super) nonce: Option<&'a str>,
    pub(super) lifetime_s: Option<u32>,
    pub(super) mapped: Option<SocketAddr>,
    pub(super) relayed: Option<SocketAddr>,
    pub(super) peer: Option<SocketAddr>,
    pub(super) data: Option<Range<usize>>,
    integrity_at: Option<usize>,
}

impl<'a> Message<'a> {
    /// Reads a message that fills `bytes`; attributes behind its integrity count for nothing.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (header, _) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let kind = u16::from_be_bytes([header[0], header[1]]);
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if kind >> 14 != 0 || header[4..8] != COOKIE || HEADER_BYTES + length != bytes.len() {
            return None;
        }
        let class = match (kind >> 7 & 2) | (kind >> 4 & 1) {
            0 => Class::Request,
            1 => Class::Indication,
            2 => Class::Success,
            _ => Class::Error,
        };
        let method = [Method::Binding, Method::Allocate, Method::Refresh, Method::Data, Method::ChannelBind]
            .into_iter()
            .find(|method| *method as u16 == kind & 0x3eef);
        let mut id = [0; 12];
        id.copy_from_slice(&header[8..20]);
        let mut message = Message {
            bytes,
            class,
            method,
            id,
            error: None,
            realm: None,
            nonce: None,
            lifetime_s: None,
            mapped: None,
            relayed: None,
            peer: None,
            data: None,
            integrity_at: None,
        };
        let mut at = HEADER_BYTES;
        while message.integrity_at.is_none() && at < bytes.len() {
            let [k0, k1, l0, l1] = *bytes[at..].first_chunk::<4>()?;
            let (kind, length) = (u16::from_be_bytes([k0, k1]), usize::from(u16::from_be_bytes([l0, l1])));
            let range = at + 4..at + 4 + length;
            let value = bytes.get(range.clone())?;
            message.take(kind, value, range)?;
            at = at + 4 + length.next_multiple_of(4);
        }
        Some(message)
    }

    /// Whether the sender holds `key`.
    pub(super) fn is_signed(&self, key: &[u8]) -> bool {
        let Some(at) = self.integrity_at else { return false };
        let length = (at - HEADER_BYTES + 4 + INTEGRITY_BYTES) as u16;
        let tag = integrity(key, &[&self.bytes[..2], &length.to_be_bytes(), &self.bytes[4..at]]);
        bool::from(self.bytes[at + 4..at + 4 + INTEGRITY_BYTES].ct_eq(&tag))
    }

    /// The first of each kind counts. `None` breaks the message off.
    fn take(&mut self, kind: u16, value: &'a [u8], range: Range<usize>) -> Option<()> {
        let address = || address(value, self.bytes);
        match kind {
            attribute::MESSAGE_INTEGRITY if value.len() == INTEGRITY_BYTES => {
                self.integrity_at = Some(range.start - 4)
            }
            attribute::ERROR_CODE => {
                let [_, _, hundreds, rest] = *value.first_chunk::<4>()?;
                self.error = self.error.or(Some(u16::from(hundreds & 7) * 100 + u16::from(rest)));
            }
            attribute::LIFETIME => {
                self.lifetime_s = self.lifetime_s.or(Some(u32::from_be_bytes(*value.first_chunk()?)))
            }
            attribute::REALM => self.realm = self.realm.or(std::str::from_utf8(value).ok()),
            attribute::NONCE => self.nonce = self.nonce.or(std::str::from_utf8(value).ok()),
            attribute::XOR_MAPPED_ADDRESS => self.mapped = self.mapped.or_else(address),
            attribute::XOR_RELAYED_ADDRESS => self.relayed = self.relayed.or_else(address),
            attribute::XOR_PEER_ADDRESS => self.peer = self.peer.or_else(address),
            attribute::DATA => self.data = self.data.take().or(Some(range)),
            _ => {}
        }
        Some(())
    }
}

/// Where a NOMINATION attribute lies in a connectivity check: the value of libwebrtc's renomination, which rises.
pub(crate) fn nomination(check: &[u8]) -> Option<u32> {
    const NOMINATION: u16 = 0xc001;
    let mut rest = check.get(HEADER_BYTES..)?;
    while let Some(([k0, k1, l0, l1], after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        if u16::from_be_bytes([*k0, *k1]) == NOMINATION {
            return after.first_chunk::<4>().filter(|_| length == 4).map(|value| u32::from_be_bytes(*value));
        }
        rest = after.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// What addresses in a message are masked with (RFC 8489 section 14.2).
fn mask(message: &[u8]) -> [u8; 16] {
    std::array::from_fn(|at| message[4 + at])
}

fn address(value: &[u8], message: &[u8]) -> Option<SocketAddr> {
    let [_, family, p0, p1] = *value.first_chunk::<4>()?;
    let mask = mask(message);
    let ip: IpAddr = match family {
        1 => {
            let octets = value[4..].first_chunk::<4>()?;
            Ipv4Addr::from(std::array::from_fn(|at| octets[at] ^ mask[at])).into()
        }
        2 => {
            let octets = value[4..].first_chunk::<16>()?;
            Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|at| octets[at] ^ mask[at])).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes([p0, p1]) ^ 0x2112))
}

fn integrity(key: &[u8], parts: &[&[u8]]) -> [u8; INTEGRITY_BYTES] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key));
    parts.iter().for_each(|part| context.update(part));
    let mut tag = [0; INTEGRITY_BYTES];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Request {
        /// The answer to a request, for tests of clients.
        pub(in crate::relay) fn answer(request: &[u8], is_success: bool) -> Self {
            let mut bytes = request[..HEADER_BYTES].to_vec();
            bytes[0] |= 1;
            bytes[1] |= if is_success { 0 } else { 0x10 };
            bytes[2..4].fill(0);
            Request { bytes }
        }

        pub(in crate::relay) fn error(self, code: u16) -> Self {
            self.attribute(attribute::ERROR_CODE, &[0, 0, (code / 100) as u8, (code % 100) as u8])
        }

        pub(in crate::relay) fn challenge(self, realm: &str, nonce: &str) -> Self {
            self.attribute(attribute::REALM, realm.as_bytes()).attribute(attribute::NONCE, nonce.as_bytes())
        }

        pub(in crate::relay) fn relayed(self, address: &str) -> Self {
            self.address(attribute::XOR_RELAYED_ADDRESS, address.parse().unwrap())
        }

        pub(in crate::relay) fn mapped(self, address: &str) -> Self {
            self.address(attribute::XOR_MAPPED_ADDRESS, address.parse().unwrap())
        }
    }

    #[test]
    fn a_response_of_the_standard_is_read() {
        // RFC 5769 section 2.2: IPv4 response, without its fingerprint's attribute being looked at.
        let bytes = hex::decode(
            "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643\
             000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
        )
        .unwrap();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.class, message.method), (Class::Success, Some(Method::Binding)));
        assert_eq!(message.mapped, Some("192.0.2.1:32853".parse().unwrap()));
        assert!(message.is_signed(b"VOkJxbRl1RmTxUk/WvJxBt"));
    }

    #[test]
    fn a_response_over_ipv6_is_read() {
        // RFC 5769 section 2.3.
        let bytes = hex::decode(
            "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000140002a1470113a9fa\
             a5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed4180280004c8fb0b4c",
        )
        .unwrap();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.mapped, Some("[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()));
    }

    #[test]
    fn what_was_signed_is_signed_and_nothing_else() {
        let (id, key) = ([7; 12], [9; 16]);
        let peer = "[2001:db8::7]:4000".parse().unwrap();
        let mut bytes =
            Request::new(Method::ChannelBind, id).channel(0x4001, peer).signed("me", "here", "now", &key);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.peer, message.id), (Some(peer), id));
        assert_eq!((message.realm, message.nonce), (Some("here"), Some("now")));
        assert!(message.is_signed(&key) && !message.is_signed(&[8; 16]));
        bytes[24] ^= 1;
        assert!(!Message::parse(&bytes).unwrap().is_signed(&key));
    }

    #[test]
    fn bytes_that_are_cut_short_are_no_message() {
        let whole = Request::new(Method::Allocate, [1; 12]).requested_transport().lifetime(600).unsigned();
        assert!(Message::parse(&whole).is_some());
        for end in 0..whole.len() {
            assert!(Message::parse(&whole[..end]).is_none());
        }
        let mut lying = whole;
        lying[23] = 200;
        assert!(Message::parse(&lying).is_none());
    }

    #[test]
    fn a_nomination_is_found_among_other_attributes() {
        let mut check = Request::new(Method::Binding, [1; 12]).attribute(0xc057, &[0, 1, 0, 0, 0]);
        assert_eq!(nomination(&check.bytes), None);
        check = check.attribute(0xc001, &[0, 0, 1, 2]);
        assert_eq!(nomination(&check.bytes), Some(258));
        assert_eq!(nomination(&check.bytes[..check.bytes.len() - 1]), None);
    }
}
