//! RTP as it passes this machine's interfaces: what foreign far ends send and get, though they do not count it.
//!
//! Encrypted or not, an RTP header is in clear (RFC 3711 section 3.1): its timestamps tell how long each packet sounds.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};
use tgtrunk_media::rtp;

use crate::clock::now;

const DATAGRAM_BYTES: usize = 65_535;
const BUFFER_BYTES: usize = 8 << 20;
/// `PACKET_OUTGOING` of packet(7). On loopback every packet passes twice, outgoing and incoming.
const OUTGOING: u8 = 4;
/// `ARPHRD_LOOPBACK`, the kind of that interface.
const LOOPBACK: u16 = 772;
/// Ticks of Opus' RTP clock in a millisecond (RFC 7587 section 4.1).
const TICKS_PER_MS: u64 = 48;
/// No packet sounds longer (RFC 6716 section 2.1.4).
const LONGEST_TICKS: u32 = 120 * 48;

/// One RTP packet that passed.
#[derive(Debug, Clone)]
pub struct Passed {
    pub at: Instant,
    /// Index of the interface, the same packet passes several of.
    pub interface: usize,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub marker: bool,
    pub payload_type: u8,
    pub ssrc: u32,
    pub sequence: u16,
    pub timestamp: u32,
    /// The UDP payload: header and whatever follows it.
    pub bytes: usize,
    /// What follows the header, encrypted or not; nothing when the packet is no RTP all the way.
    pub payload: Arc<[u8]>,
}

/// A running capture of all interfaces; needs root.
pub struct Capture {
    passed: Arc<Mutex<Vec<Passed>>>,
    _ear: Ear,
}

/// A UDP datagram as it passes.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub payload: &'a [u8],
}

/// Hears every UDP datagram over IPv4 on all interfaces, once; needs root.
pub struct Ear {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ear {
    /// Begins to listen; `each` gets the interface's index and the datagram.
    ///
    /// # Errors
    /// Without the right to open a packet socket.
    pub fn open(mut each: impl FnMut(usize, Datagram<'_>) + Send + 'static) -> anyhow::Result<Self> {
        let socket =
            socket(AddressFamily::Packet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
                .context("a packet socket needs root")?;
        setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES)?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(50))?;
        let stop = Arc::new(AtomicBool::new(false));
        let ordered = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; DATAGRAM_BYTES];
            while !ordered.load(Ordering::Relaxed) {
                match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) {
                    Ok((length, from)) => {
                        // What comes in over loopback was seen going out.
                        let again =
                            from.is_some_and(|from| from.hatype() == LOOPBACK && from.pkttype() != OUTGOING);
                        let datagram = udp(&buffer[..length]).filter(|_| !again);
                        if let Some(datagram) = datagram {
                            each(from.map_or(0, |from| from.ifindex()), datagram);
                        }
                    }
                    Err(Errno::EAGAIN | Errno::EINTR) => {}
                    Err(error) => {
                        tracing::error!(%error, "the capture ended");
                        return;
                    }
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Capture {
    /// Begins to note the packets that `wanted` picks by source and destination.
    ///
    /// # Errors
    /// Without the right to open a packet socket.
    pub fn start(wanted: impl Fn(SocketAddr, SocketAddr) -> bool + Send + 'static) -> anyhow::Result<Self> {
        let passed = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&passed);
        let ear = Ear::open(move |interface, datagram| {
            if wanted(datagram.source, datagram.destination)
                && let Some(packet) = read(datagram, interface, now())
            {
                notes.lock().unwrap_or_else(PoisonError::into_inner).push(packet);
            }
        })?;
        Ok(Self { passed, _ear: ear })
    }

    /// The packets so far that `wanted` picks, in the order in which they passed.
    pub fn stream(&self, wanted: impl Fn(&Passed) -> bool) -> Stream {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        Stream(passed.iter().filter(|packet| wanted(packet)).cloned().collect())
    }

    /// Forgets what passed so far.
    pub fn forget(&self) {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// One direction of a call's sound.
#[derive(Debug)]
pub struct Stream(Vec<Passed>);

impl Stream {
    /// The moment in which the next packet passes. A window that begins and ends in such moments of a sender cuts the
    /// same packets behind a relay, if that takes less time than there is between two packets.
    ///
    /// # Errors
    /// When nothing passed afterwards.
    pub fn next_after(&self, at: Instant) -> anyhow::Result<Instant> {
        Ok(self.0.iter().find(|packet| packet.at > at).context("nothing passed afterwards")?.at)
    }

    /// Milliseconds of sound that passed between two moments; a packet that passed twice counts once.
    ///
    /// # Errors
    /// When packets of several sources passed.
    pub fn sound_ms(&self, from: Instant, to: Instant) -> anyhow::Result<u64> {
        let inside: Vec<&Passed> =
            self.0.iter().filter(|packet| packet.at >= from && packet.at < to).collect();
        ensure!(inside.windows(2).all(|pair| pair[0].ssrc == pair[1].ssrc), "several sources spoke at once");
        let unique: BTreeMap<u32, &Passed> =
            inside.iter().map(|packet| (packet.timestamp, *packet)).collect();
        let usual = self.usual_ticks().context("no two packets in a row")?;
        Ok(unique.len() as u64 * u64::from(usual) / TICKS_PER_MS)
    }

    /// All packets, as they passed.
    pub fn packets(&self) -> &[Passed] {
        &self.0
    }

    /// What packets of a payload type carried, in the order of their sequence numbers, each once. The numbers may
    /// wrap, and reordering stays within half of them.
    pub fn payloads(&self, payload_type: u8) -> Vec<Arc<[u8]>> {
        let mut picked = self.0.iter().filter(|packet| packet.payload_type == payload_type);
        let mut ordered = BTreeMap::new();
        let mut latest = match picked.clone().next() {
            Some(first) => i64::from(first.sequence),
            None => return Vec::new(),
        };
        picked.by_ref().for_each(|packet| {
            let step = packet.sequence.wrapping_sub(latest as u16) as i16;
            let number = latest + i64::from(step);
            latest = latest.max(number);
            ordered.entry(number).or_insert_with(|| Arc::clone(&packet.payload));
        });
        ordered.into_values().collect()
    }

    /// Packets that passed at all.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing passed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The commonest length of a packet in ticks, by the timestamps of neighbours.
    fn usual_ticks(&self) -> Option<u32> {
        let mut counted = BTreeMap::<u32, usize>::new();
        for pair in self.0.windows(2) {
            let ticks = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
            if pair[1].sequence == pair[0].sequence.wrapping_add(1) && (1..=LONGEST_TICKS).contains(&ticks) {
                *counted.entry(ticks).or_default() += 1;
            }
        }
        counted.into_iter().max_by_key(|(_, count)| *count).map(|(ticks, _)| ticks)
    }
}

/// An IPv4 packet with UDP, and nothing else.
pub(crate) fn udp(packet: &[u8]) -> Option<Datagram<'_>> {
    let first = *packet.first()?;
    let header = usize::from(first & 0x0f) * 4;
    if first >> 4 != 4 || *packet.get(9)? != 17 {
        return None;
    }
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
    let udp = packet.get(header..)?;
    let port = |at: usize| Some(u16::from_be_bytes(udp.get(at..at + 2)?.try_into().ok()?));
    Some(Datagram {
        source: SocketAddr::new(IpAddr::V4(address(12)?), port(0)?),
        destination: SocketAddr::new(IpAddr::V4(address(16)?), port(2)?),
        payload: udp.get(8..usize::from(port(4)?))?,
    })
}

/// A datagram with RTP.
fn read(datagram: Datagram<'_>, interface: usize, at: Instant) -> Option<Passed> {
    let Datagram { source, destination, payload } = datagram;
    if payload.len() <= rtp::HEADER_BYTES || payload[0] >> 6 != 2 || rtp::is_rtcp(payload) {
        return None;
    }
    let whole = rtp::Packet::read(payload).ok();
    Some(Passed {
        at,
        interface,
        source,
        destination,
        marker: payload[1] & 0x80 != 0,
        payload_type: payload[1] & 0x7f,
        sequence: u16::from_be_bytes([payload[2], payload[3]]),
        timestamp: u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]),
        ssrc: u32::from_be_bytes([payload[8], payload[9], payload[10], payload[11]]),
        bytes: payload.len(),
        payload: whole.map_or_else(|| Arc::from([]), |packet| packet.payload.into()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_window_counts_each_packet_once_and_by_its_length() {
        let began = now();
        let packet = |number: u16| Passed {
            at: began + Duration::from_millis(u64::from(number) * 60),
            interface: 1,
            source: "192.0.2.1:1000".parse().unwrap(),
            destination: "192.0.2.2:1000".parse().unwrap(),
            marker: false,
            payload_type: 98,
            ssrc: 7,
            sequence: number,
            timestamp: u32::from(number) * 2880,
            bytes: 100,
            payload: Arc::from([]),
        };
        let numbers = (0..50).filter(|number| *number != 20).chain([49]);
        let stream = Stream(numbers.map(packet).collect());
        let from = stream.next_after(began + Duration::from_millis(590)).unwrap();
        let to = stream.next_after(began + Duration::from_millis(1790)).unwrap();
        assert_eq!(from - began, Duration::from_millis(600));
        assert_eq!(stream.sound_ms(from, to).unwrap(), 1200 - 60, "one was lost");
        assert_eq!(stream.sound_ms(from, began + Duration::from_secs(9)).unwrap(), (50 - 10 - 1) * 60);
    }

    #[test]
    fn payloads_come_in_the_order_of_their_numbers_and_once() {
        let packet = |sequence: u16, payload_type| Passed {
            at: now(),
            interface: 1,
            source: "192.0.2.1:1000".parse().unwrap(),
            destination: "192.0.2.2:1000".parse().unwrap(),
            marker: false,
            payload_type,
            ssrc: 7,
            sequence,
            timestamp: 0,
            bytes: 14,
            payload: sequence.to_be_bytes().into(),
        };
        let numbers = [(65_534, 8), (0, 8), (65_535, 8), (1, 101), (0, 8), (2, 8)];
        let stream = Stream(numbers.map(|(sequence, payload_type)| packet(sequence, payload_type)).to_vec());
        let payloads: Vec<Vec<u8>> = stream.payloads(8).iter().map(|payload| payload.to_vec()).collect();
        assert_eq!(payloads, [65_534_u16, 65_535, 0, 2].map(|number| number.to_be_bytes().to_vec()));
    }

    #[test]
    fn what_is_no_rtp_over_udp_is_passed_over() {
        let mut packet = vec![0x45, 0, 0, 41, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        packet.extend([0x10, 0, 0x20, 0, 0, 21, 0, 0]);
        packet.extend([0x80, 107, 0, 5, 0, 0, 0, 9, 0, 0, 0, 7, 0xfc]);
        let heard = |packet: &[u8]| read(udp(packet)?, 1, now());
        let seen = heard(&packet).unwrap();
        assert_eq!((seen.sequence, seen.timestamp, seen.ssrc, seen.bytes), (5, 9, 7, 13));
        assert_eq!((seen.marker, seen.payload_type, &*seen.payload), (false, 107, &[0xfc][..]));
        assert_eq!((seen.source.to_string(), seen.destination.port()), ("192.0.2.1:4096".to_owned(), 0x2000));
        for (at, value) in [(9, 6), (0, 0x65), (28, 0x16), (29, 200), (25, 60)] {
            let mut wrong = packet.clone();
            wrong[at] = value;
            assert!(heard(&wrong).is_none(), "byte {at} = {value}");
        }
        assert!((0..packet.len()).all(|end| heard(&packet[..end]).is_none()));
    }
}
