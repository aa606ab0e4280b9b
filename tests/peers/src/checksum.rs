//! Checksums of TCP and UDP (RFC 1071), for packets that a virtual cable carries: their sender left them to a network
//! card that is not there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Before the IP packet.
const ETHERNET_BYTES: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
/// IP protocol numbers.
pub const TCP: u8 = 6;
/// See [`TCP`].
pub const UDP: u8 = 17;

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// [`TCP`] or [`UDP`].
    pub protocol: u8,
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

/// Reads what an Ethernet frame carries and makes its checksum right; nothing for anything but whole TCP and UDP.
pub fn complete(frame: &mut [u8]) -> Option<Flow> {
    let kind: [u8; 2] = frame.get(12..14)?.try_into().ok()?;
    let packet = frame.get_mut(ETHERNET_BYTES..)?;
    let (protocol, source, destination, header, length) = match kind {
        IPV4 => {
            let head = packet.first_chunk::<20>()?;
            let header = usize::from(head[0] & 0x0f) * 4;
            let is_fragment = u16::from_be_bytes([head[6], head[7]]) & 0x3fff != 0;
            let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let address =
                |at: usize| IpAddr::V4(Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]));
            (head[9], address(12), address(16), header, total.checked_sub(header).filter(|_| !is_fragment)?)
        }
        IPV6 => {
            let head = packet.first_chunk::<40>()?;
            let address = |at: usize| {
                let bytes: [u8; 16] = std::array::from_fn(|more| head[at + more]);
                IpAddr::V6(Ipv6Addr::from(bytes))
            };
            (head[6], address(8), address(24), 40, usize::from(u16::from_be_bytes([head[4], head[5]])))
        }
        _ => return None,
    };
    let segment = packet.get_mut(header..)?.get_mut(..length)?;
    let field = match protocol {
        TCP => 16,
        UDP => 6,
        _ => return None,
    };
    segment.get_mut(field..field + 2)?.fill(0);
    let sum = ones(&octets(source))
        + ones(&octets(destination))
        + u64::from(protocol)
        + length as u64
        + ones(segment);
    let sum = match !fold(sum) {
        0 if protocol == UDP => 0xffff,
        sum => sum,
    };
    segment[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    let port = |at: usize| u16::from_be_bytes([segment[at], segment[at + 1]]);
    Some(Flow {
        protocol,
        source: SocketAddr::new(source, port(0)),
        destination: SocketAddr::new(destination, port(2)),
    })
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn ones(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0))).sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four bytes to port 53, Ethernet header first, with a checksum that is wrong.
    const FRAME: &str = "0200000000010200000000020800\
        4500002000004000401100004a7d81c84a7d81c9\
        c3500035000cac1c01020304";

    #[test]
    fn the_checksum_of_a_packet_is_made_right_whatever_it_was() {
        let right = hex::decode(FRAME).unwrap();
        let mut frame = right.clone();
        let flow = complete(&mut frame).unwrap();
        assert_eq!((flow.protocol, flow.source.to_string().as_str()), (UDP, "74.125.129.200:50000"));
        // Whatever the field held before, the sum over all of it with the pseudo header is then all ones.
        let segment = &frame[34..];
        let sum = ones(&frame[26..34]) + u64::from(UDP) + segment.len() as u64 + ones(segment);
        assert_eq!(fold(sum), 0xffff);
        let made = frame.clone();
        frame[40] ^= 0x5a;
        complete(&mut frame).unwrap();
        assert_eq!(frame, made);
    }

    #[test]
    fn what_is_no_whole_tcp_or_udp_is_let_alone() {
        let frame = hex::decode(FRAME).unwrap();
        for (at, value) in [(12, 9), (20, 0x20), (23, 1), (17, 0xff), (14, 0x4f)] {
            let mut other = frame.clone();
            other[at] = value;
            let before = other.clone();
            assert_eq!(complete(&mut other), None, "byte {at} = {value}");
            assert_eq!(other, before);
        }
        assert!((0..frame.len()).all(|end| complete(&mut frame[..end].to_vec()).is_none()));
    }
}
