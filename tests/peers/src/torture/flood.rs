//! A thread that sends as much junk as it can to a gateway's ports, from the PBX's address and from a stranger's.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use super::chance::Chance;
use super::mouth::stranger;
use crate::load::machine;

/// Its name, at most 15 letters.
pub(super) const NAME: &str = "flood";
const STRANGER: u8 = 12;
/// Different datagrams of each kind.
const VARIETY: usize = 64;
/// As much as a packet of sound has.
const SOUND_BYTES: usize = 172;
const SIP_BYTES: usize = 400;

/// The thread; it ends when this is dropped.
pub(super) struct Flood {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    sent: AtomicU64,
}

impl Flood {
    /// Begins: one datagram in two goes to a port of SIP, the other to one of media.
    pub(super) fn begin(
        sip: Vec<SocketAddr>,
        media: Vec<SocketAddr>,
        mut chance: Chance,
    ) -> anyhow::Result<Self> {
        let sockets =
            [IpAddr::V4(stranger(STRANGER)), Ipv4Addr::LOCALHOST.into()].map(|ip| UdpSocket::bind((ip, 0)));
        let [one, other] = sockets;
        let sockets = [one?, other?];
        for socket in &sockets {
            socket.set_nonblocking(true)?;
        }
        let shared = Arc::<Shared>::default();
        let told = Arc::clone(&shared);
        let of_sip: Vec<_> = (0..VARIETY).map(|kind| no_sip(&mut chance, kind)).collect();
        let of_media: Vec<_> = (0..VARIETY).map(|kind| no_sound(&mut chance, kind)).collect();
        let thread = thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            machine::linger();
            let mut number = 0;
            while !told.is_over.load(Ordering::Relaxed) {
                for _ in 0..VARIETY {
                    number += 1;
                    let (ports, junk) = if number % 2 == 0 { (&sip, &of_sip) } else { (&media, &of_media) };
                    let Some(port) = ports.get(number / 2 % ports.len().max(1)) else { continue };
                    let datagram = &junk[(number / 7) % VARIETY];
                    // A port that has been closed is refused.
                    let sent = sockets[number / 2 % 2].send_to(datagram, port).is_ok();
                    told.sent.fetch_add(u64::from(sent), Ordering::Relaxed);
                }
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// How many datagrams the system took.
    pub(super) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

/// What is no request, though some looks like one.
fn no_sip(chance: &mut Chance, kind: usize) -> Vec<u8> {
    match kind % 4 {
        0 => chance.bytes(SIP_BYTES),
        1 => b"\r\n".repeat(1 + chance.below(SIP_BYTES / 2)),
        2 => format!("INVITE sip:{}@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP ", chance.next()).into_bytes(),
        _ => format!("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{}\r\n\r\n", chance.next())
            .into_bytes(),
    }
}

/// What is no packet of anybody's: sound, reports, checks of a path, a handshake.
fn no_sound(chance: &mut Chance, kind: usize) -> Vec<u8> {
    let mut datagram = chance.bytes(SOUND_BYTES);
    let head: &[u8] = match kind % 4 {
        0 => &[0x80, 0x6f],
        1 => &[0x80, 200],
        2 => &[0, 1, 0, 152, 0x21, 0x12, 0xa4, 0x42],
        _ => &[22, 0xfe, 0xfd],
    };
    datagram[..head.len()].copy_from_slice(head);
    datagram
}
