//! Ports for audio to and from the PBX: an even one for RTP, the odd one above it for RTCP (RFC 3550 section 11).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use super::MediaSocket;
use anyhow::{Context as _, bail};

/// The pairs of a range, handed out in turn.
#[derive(Debug)]
pub(crate) struct RtpPorts {
    ip: IpAddr,
    first: u16,
    last: u16,
    /// Differentiated services code point of what leaves here.
    dscp: u8,
    next: AtomicU16,
}

/// The two sockets of one call's audio.
#[derive(Debug)]
pub(crate) struct RtpPair {
    pub(crate) rtp: MediaSocket,
    pub(crate) rtcp: MediaSocket,
}

impl RtpPorts {
    pub(crate) fn new(ip: IpAddr, first: u16, last: u16, dscp: u8) -> Self {
        let first = first + first % 2;
        Self { ip, first, last, dscp, next: AtomicU16::new(first) }
    }

    /// Binds the next free pair of the range.
    ///
    /// # Errors
    /// When every pair of the range is taken, or the address is not this machine's.
    pub(crate) fn bind(&self) -> anyhow::Result<RtpPair> {
        // The last even port of an even range has no neighbour in it, and is used alone all the same.
        let places = usize::from((self.last - self.first) / 2) + 1;
        for _ in 0..places {
            let step = |port: u16| Some(if port + 2 > self.last { self.first } else { port + 2 });
            let port =
                self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or(self.first);
            match self.bind_pair(port) {
                Ok(pair) => return Ok(pair),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot open an RTP port on {}", self.ip));
                }
            }
        }
        bail!(
            "all RTP ports from {} to {} on {} are in use: widen gateway.rtp_ports",
            self.first,
            self.last,
            self.ip
        )
    }

    fn bind_pair(&self, port: u16) -> io::Result<RtpPair> {
        let rtp = MediaSocket::bind(SocketAddr::new(self.ip, port), self.dscp)?;
        let rtcp = MediaSocket::bind(SocketAddr::new(self.ip, port + 1), self.dscp)?;
        Ok(RtpPair { rtp, rtcp })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn pairs_begin_even_and_differ_until_the_range_is_used_up() {
        let ports = RtpPorts::new(Ipv4Addr::LOCALHOST.into(), 42_001, 42_007, 46);
        let held: Vec<_> = (0..3).map(|_| ports.bind().unwrap()).collect();
        let port = |socket: &MediaSocket| socket.local().port();
        let mut numbers: Vec<_> = held.iter().map(|pair| (port(&pair.rtp), port(&pair.rtcp))).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [(42_002, 42_003), (42_004, 42_005), (42_006, 42_007)]);
        let refusal = ports.bind().unwrap_err().to_string();
        assert!(refusal.contains("42002") && refusal.contains("gateway.rtp_ports"), "{refusal}");
        drop(held);
        ports.bind().unwrap();
    }

    #[tokio::test]
    async fn a_pair_with_a_taken_half_is_passed_over_whole() {
        let ports = RtpPorts::new(Ipv4Addr::LOCALHOST.into(), 42_010, 42_013, 0);
        let taken = std::net::UdpSocket::bind("127.0.0.1:42011").unwrap();
        let pair = ports.bind().unwrap();
        assert_eq!(pair.rtp.local().port(), 42_012);
        drop(taken);
    }
}
