//! A network that loses, delays, repeats and reorders packets, for kernels whose queues cannot: a namespace whose cable
//! to the host is cut in two, and a program that carries every frame from one piece to the other.
//!
//! Addresses, ports and protocols stay as they are, so it serves any pair of programs of which one runs in the
//! namespace: a phone and the gateway (RTP), the gateway and a Telegram user (direct media), either and a relay.

use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvfrom, send, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};
use tgtrunk_test_telegram::bad_path::{BadPath, Passage, Treatment};

use crate::checksum::{self, Flow};
use crate::clock::now;
use crate::netns::Namespace;

const FRAME_BYTES: usize = 65_535;
const BUFFER_BYTES: usize = 4 << 20;
/// How soon a thread sees that it is to end.
const LOOK_UP: Duration = Duration::from_millis(50);
/// `PACKET_OUTGOING` of packet(7): what was sent here, not what came.
const OUTGOING: u8 = 4;

/// A direction of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Out of the namespace.
    ToHost,
    /// Into it.
    ToInside,
}

impl Way {
    /// Both.
    pub const BOTH: [Way; 2] = [Way::ToHost, Way::ToInside];
}

type Concern = Box<dyn Fn(&Flow) -> bool + Send>;

struct State {
    paths: [BadPath<Vec<u8>>; 2],
    concern: Concern,
    /// What no path is for: it goes on at once.
    others: Vec<(Way, Vec<u8>)>,
    refused: u64,
}

struct Shared {
    state: Mutex<State>,
    entered: Condvar,
    stop: AtomicBool,
    /// Where frames of each way leave.
    exits: [OwnedFd; 2],
}

/// The namespace with its bad cable. Both go with this value.
pub struct BadNetwork {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    namespace: Namespace,
}

impl BadNetwork {
    /// Makes the namespace; the cable is a good one until [`BadNetwork::treat`]. Needs root and iproute2.
    ///
    /// # Errors
    /// With what it lacks.
    pub fn new(seed: u64) -> anyhow::Result<Self> {
        let (namespace, [host_piece, inside_piece]) = Namespace::in_two_pieces()?;
        let exits = [packet_socket(&host_piece)?, packet_socket(&inside_piece)?];
        let state = State {
            paths: [BadPath::new(seed), BadPath::new(!seed)],
            concern: Box::new(|_| true),
            others: Vec::new(),
            refused: 0,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            entered: Condvar::new(),
            stop: AtomicBool::new(false),
            exits,
        });
        let readers = Way::BOTH.map(|way| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.read(way))
        });
        let deliverer = Arc::clone(&shared);
        let mut threads = Vec::from(readers);
        threads.push(std::thread::spawn(move || deliverer.deliver()));
        Ok(Self { shared, threads, namespace })
    }

    /// The namespace, for what is to run behind the cable.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Which packets are treated; at first all of TCP and UDP. Anything else, ARP for one, is never touched.
    pub fn concern(&self, concern: impl Fn(&Flow) -> bool + Send + 'static) {
        self.shared.lock().concern = Box::new(concern);
    }

    /// What becomes of the packets of one way.
    pub fn treat(&self, way: Way, treatment: Treatment) {
        self.shared.lock().paths[way as usize].treat(treatment);
    }

    /// What becomes of all packets.
    pub fn treat_both(&self, treatment: Treatment) {
        for way in Way::BOTH {
            self.treat(way, treatment);
        }
    }

    /// Nothing passes any more.
    pub fn cut(&self) {
        self.treat_both(Treatment { cut: true, ..Treatment::default() });
    }

    /// Everything passes again at once.
    pub fn mend(&self) {
        self.treat_both(Treatment::default());
    }

    /// What became of the packets of one way.
    pub fn passage(&self, way: Way) -> Passage {
        self.shared.lock().paths[way as usize].passage()
    }

    /// Packets that the kernel did not take, being too long for the cable for one.
    pub fn refused(&self) -> u64 {
        self.shared.lock().refused
    }
}

impl Drop for BadNetwork {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.entered.notify_all();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

/// Every frame of one interface.
fn packet_socket(interface: &str) -> anyhow::Result<OwnedFd> {
    let address = getifaddrs()?
        .filter(|found| found.interface_name == interface)
        .find_map(|found| found.address.and_then(|address| address.as_link_addr().copied()))
        .with_context(|| format!("interface {interface} has no link address"))?;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
        .context("a packet socket needs root")?;
    // An address without a protocol leaves the socket's own.
    bind(socket.as_raw_fd(), &address)?;
    setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES)?;
    let look_up = TimeVal::milliseconds(i64::try_from(LOOK_UP.as_millis())?);
    setsockopt(&socket, sockopt::ReceiveTimeout, &look_up)?;
    Ok(socket)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the frames of one way from the piece that they come out of.
    fn read(&self, way: Way) {
        let entrance = match way {
            Way::ToHost => &self.exits[Way::ToInside as usize],
            Way::ToInside => &self.exits[Way::ToHost as usize],
        };
        let mut buffer = vec![0; FRAME_BYTES];
        while !self.stop.load(Ordering::Relaxed) {
            match recvfrom::<LinkAddr>(entrance.as_raw_fd(), &mut buffer) {
                Ok((_, Some(from))) if from.pkttype() == OUTGOING => {}
                Ok((length, _)) => self.take(way, &mut buffer[..length]),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => {
                    tracing::error!(%error, "the bad cable is gone");
                    return;
                }
            }
        }
    }

    fn take(&self, way: Way, frame: &mut [u8]) {
        let flow = checksum::complete(frame);
        let mut state = self.lock();
        if flow.is_some_and(|flow| (state.concern)(&flow)) {
            state.paths[way as usize].handle_packet(now(), frame.to_vec());
        } else {
            state.others.push((way, frame.to_vec()));
        }
        self.entered.notify_one();
    }

    fn deliver(&self) {
        let mut state = self.lock();
        while !self.stop.load(Ordering::Relaxed) {
            let mut due = std::mem::take(&mut state.others);
            let at = now();
            for way in Way::BOTH {
                let path = &mut state.paths[way as usize];
                due.extend(std::iter::from_fn(|| path.poll_packet(at)).map(|frame| (way, frame)));
            }
            let failed = due.iter().filter(|(way, frame)| self.send(*way, frame).is_err()).count();
            state.refused += failed as u64;
            let next = state.paths.iter().filter_map(BadPath::poll_timeout).min();
            let wait = next.map_or(LOOK_UP, |next| next.saturating_duration_since(now()).min(LOOK_UP));
            state = self.entered.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn send(&self, way: Way, frame: &[u8]) -> nix::Result<usize> {
        send(self.exits[way as usize].as_raw_fd(), frame, MsgFlags::empty())
    }
}

/// Whether a packet goes to or comes from an address.
pub fn touches(flow: &Flow, address: impl Into<IpAddr>) -> bool {
    let address = address.into();
    [flow.source, flow.destination].iter().any(|end| end.ip() == address)
}
