//! What a media thread waits for: its calls' sockets, by one epoll of its own, and whom their datagrams go to.
//!
//! The runtime knows of that epoll alone. A call hears a datagram where it lies; its task is woken only when that leads
//! to something else.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use slab::Slab;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::yield_now;

use super::Desk;
use super::group::{Found, Group, Groups};
use super::inbox::Inbox;
use super::pace::{Pace, TICK};
use crate::{clock, metrics};

/// Most sockets that are told of in one look.
const EVENTS: usize = 1024;
/// How often in a row one socket is read before others get their turn.
const BURST: usize = 8;
/// Datagrams of a shared socket that are taken at once where many wait, and where none may: room costs, too.
const GROUP_SLOTS: usize = 64;
const FEW_SLOTS: usize = 4;
const SOME_SLOTS: usize = 16;
/// Numbers of shared sockets begin here.
const GROUPS: usize = 1 << 30;

thread_local! {
    static HUB: RefCell<Option<Hub>> = const { RefCell::new(None) };
}

/// Whoever datagrams are for.
pub(crate) trait Hears: Send {
    /// Takes the first `came` datagrams of the desk's inbox, which came to the socket of this number.
    fn hear(&mut self, socket: usize, came: usize, desk: &mut Desk);

    /// Takes a datagram that came from `source` to the shared socket of this address.
    fn hear_shared(&mut self, local: SocketAddr, source: SocketAddr, datagram: &mut [u8], desk: &mut Desk);

    /// Its peer speaks from where another call's does, and is not heard on the shared socket of this address.
    fn clash(&mut self, local: SocketAddr, desk: &mut Desk);

    /// It broke while it heard, and hears nothing any more.
    fn broke(&mut self);
}

/// Whoever datagrams are for, as long as it is there.
pub(crate) type Listener = Weak<Mutex<dyn Hears>>;

/// The sockets of one thread.
struct Hub {
    epoll: Rc<Epoll>,
    sockets: Slab<Socket>,
    groups: Groups,
    /// Packets are being handed out: what they lead to on shared sockets leaves afterwards, from these groups.
    is_turn: bool,
    unsent: Vec<usize>,
    pace: Pace,
}

struct Socket {
    /// Whoever has the ear keeps it open. The socket itself lies elsewhere, and would have to be fetched from there.
    descriptor: RawFd,
    is_ipv4: bool,
    listener: Listener,
}

/// A socket that its thread waits for. Dropped on that thread, it is waited for no longer.
#[derive(Debug)]
pub(crate) struct Ear(usize);

impl Ear {
    /// Has this thread tell somebody of a socket's datagrams, also of those that wait already. The socket is to be open for
    /// as long as the ear is kept.
    ///
    /// # Errors
    /// When it is no media thread, or the system watches no more sockets.
    pub(crate) fn lend(socket: &UdpSocket, is_ipv4: bool, listener: &Listener) -> io::Result<Self> {
        HUB.with_borrow_mut(|hub| {
            let hub = hub.as_mut().ok_or_else(|| io::Error::other("no media thread"))?;
            let place = hub.sockets.vacant_entry();
            let (number, flags) = (place.key(), EpollFlags::EPOLLIN | EpollFlags::EPOLLET);
            hub.epoll.add(socket, EpollEvent::new(flags, number as u64))?;
            let descriptor = socket.as_raw_fd();
            place.insert(Socket { descriptor, is_ipv4, listener: listener.clone() });
            Ok(Self(number))
        })
    }

    /// What its datagrams are told under.
    pub(crate) fn number(&self) -> usize {
        self.0
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        // The socket, which is closed now, leaves the epoll by itself.
        HUB.try_with(|hub| hub.borrow_mut().as_mut().and_then(|hub| hub.sockets.try_remove(self.0))).ok();
    }
}

/// A place on a shared socket of this thread: the group's number, the place's in it, and the socket's address.
///
/// # Errors
/// When it is no media thread, the address is not this machine's, or the system watches no more sockets.
pub(super) fn join(ip: IpAddr, dscp: u8) -> io::Result<(usize, usize, SocketAddr)> {
    HUB.with_borrow_mut(|hub| {
        let hub = hub.as_mut().ok_or_else(|| io::Error::other("no media thread"))?;
        let (number, is_new, member) = hub.groups.join(clock::now(), ip, dscp)?;
        let group = hub.groups.get(number).ok_or(io::ErrorKind::NotFound)?;
        let local = group.socket.local();
        if is_new {
            let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
            if let Err(error) =
                hub.epoll.add(&*group.socket, EpollEvent::new(flags, (GROUPS + number) as u64))
            {
                hub.groups.leave(number, member);
                return Err(error.into());
            }
            tracing::debug!(%local, "a socket for several calls");
        }
        Ok((number, member, local))
    })
}

/// Gives a place on a shared socket back.
pub(super) fn leave(group: usize, member: usize) {
    HUB.try_with(|hub| {
        if let Some(hub) = hub.borrow_mut().as_mut() {
            hub.groups.leave(group, member);
        }
    })
    .ok();
}

/// Sends a datagram of somebody who has this place in a group, after what was to leave before.
///
/// # Errors
/// What the system refuses with.
pub(super) fn send((number, member): (usize, usize), datagram: &[u8], remote: SocketAddr) -> io::Result<()> {
    HUB.with_borrow_mut(|hub| {
        let hub = hub.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let group = hub.groups.get_mut(number).ok_or(io::ErrorKind::NotConnected)?;
        if let Some(question) = tgcall::question(datagram) {
            group.asks(clock::now(), member, question, remote);
        }
        if !hub.is_turn {
            return group.socket.send_among_others(datagram, remote);
        }
        if group.put(datagram, remote) {
            hub.unsent.push(number);
        }
        Ok(())
    })
}

/// A turn begins.
fn begin_turn() {
    HUB.with_borrow_mut(|hub| {
        if let Some(hub) = hub {
            hub.is_turn = true;
        }
    });
}

/// A turn is over: what it led to leaves.
fn end_turn() {
    HUB.with_borrow_mut(|hub| {
        let Some(hub) = hub else { return };
        hub.is_turn = false;
        for number in hub.unsent.drain(..) {
            if let Some(group) = hub.groups.get_mut(number) {
                group.flush();
            }
        }
    });
}

/// Does something with a shared socket of this thread.
pub(super) fn with_group<T>(number: usize, work: impl FnOnce(&mut Group) -> T) -> Option<T> {
    HUB.with_borrow_mut(|hub| hub.as_mut()?.groups.get_mut(number).map(work))
}

/// What a thread waits by.
///
/// # Errors
/// When the system gives no file descriptor for it.
pub(super) fn open() -> io::Result<Epoll> {
    Ok(Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?)
}

/// Has this thread's sockets heard until its runtime ends; `may_tick` where many packets may be taken once in a tick.
pub(super) async fn attend(epoll: Epoll, may_tick: bool) {
    let epoll = Rc::new(epoll);
    let pace = Pace::new(clock::now(), may_tick);
    let (sockets, groups) = (Slab::new(), Groups::default());
    let (is_turn, unsent) = (false, Vec::new());
    HUB.set(Some(Hub { epoll: Rc::clone(&epoll), sockets, groups, is_turn, unsent, pace }));
    let mut look = Look::new();
    let mut waiting: Option<AsyncFd<BorrowedFd<'_>>> = None;
    loop {
        if let Some(pause) = at_pace(|pace| pace.pause(clock::now())) {
            // Left where it is, it would have the system tell the runtime of each packet.
            waiting = None;
            rest(if look.is_more() { Duration::ZERO } else { pause });
            look.round(&epoll, true);
            give_way().await;
            continue;
        }
        if waiting.is_none() {
            #[expect(deprecated, reason = "its successor wants a socket of its own")]
            let registered = AsyncFd::with_interest(epoll.0.as_fd(), Interest::READABLE);
            waiting =
                registered.inspect_err(|error| tracing::error!(%error, "media is looked for in ticks")).ok();
        }
        look.round(&epoll, false);
        match &mut waiting {
            Some(ready) if !look.is_more() => match ready.readable().await {
                Ok(mut ready) => ready.clear_ready(),
                // The runtime ends.
                Err(_) => return,
            },
            Some(_) => yield_now().await,
            None => {
                rest(TICK);
                give_way().await;
            }
        }
    }
}

fn rest(pause: Duration) {
    if !pause.is_zero() {
        thread::sleep(pause);
        at_pace(|pace| pace.looks(clock::now()));
    }
}

/// Lets every task run that is ready: those that were, and those that timers and connections make ready, which the runtime
/// looks at in between.
async fn give_way() {
    yield_now().await;
    yield_now().await;
}

fn at_pace<T: Default>(work: impl FnOnce(&mut Pace) -> T) -> T {
    HUB.with_borrow_mut(|hub| hub.as_mut().map(|hub| work(&mut hub.pace)).unwrap_or_default())
}

#[cfg(test)]
pub(super) fn is_ticking() -> bool {
    at_pace(|pace| pace.pause(clock::now()).is_some())
}

/// One look after another at the sockets of a thread.
struct Look {
    events: Vec<EpollEvent>,
    /// Sockets that had more than they were read for, each once, and those of the look before.
    unread: Vec<usize>,
    left: Vec<usize>,
    /// The number of this look.
    turn: u32,
    /// More sockets were told of than there was room for.
    is_cut: bool,
    /// Room for what comes to shared sockets.
    inbox: Inbox<GROUP_SLOTS>,
    /// Datagrams there that were nobody's.
    strays: u64,
}

impl Look {
    fn new() -> Self {
        Self {
            events: vec![EpollEvent::empty(); EVENTS],
            unread: Vec::new(),
            left: Vec::new(),
            turn: 0,
            is_cut: false,
            inbox: Inbox::new(),
            strays: 0,
        }
    }

    /// Whether there is more to hand out.
    fn is_more(&self) -> bool {
        self.is_cut || !self.unread.is_empty()
    }

    /// Hands out what came to any socket; `is_tick` where it may be several packets for each.
    fn round(&mut self, epoll: &Epoll, is_tick: bool) {
        let mut desk = Desk::borrow();
        begin_turn();
        self.turn = self.turn.wrapping_add(1);
        let mut packets = 0;
        std::mem::swap(&mut self.unread, &mut self.left);
        self.left.sort_unstable();
        let found = epoll.wait(&mut self.events, EpollTimeout::ZERO).unwrap_or(0);
        self.is_cut = found == EVENTS;
        // What is one call's comes first: whoever floods a shared socket keeps no other call waiting.
        for is_shared in [false, true] {
            for at in 0..self.left.len() {
                if let Some(number) = self.left.get(at).copied()
                    && (number >= GROUPS) == is_shared
                {
                    packets += self.serve(number, is_tick, &mut desk);
                }
            }
            for at in 0..found {
                let Some(number) = self.events.get(at).map(|event| event.data() as usize) else { break };
                // Some had their turn.
                if (number >= GROUPS) == is_shared && self.left.binary_search(&number).is_err() {
                    packets += self.serve(number, is_tick, &mut desk);
                }
            }
        }
        self.left.clear();
        end_turn();
        desk.give_back();
        if self.strays > 0 {
            metrics::strays(std::mem::take(&mut self.strays));
        }
        at_pace(|pace| pace.count(packets));
    }

    /// Hands out what came to a socket: how many packets were for somebody.
    fn serve(&mut self, number: usize, is_tick: bool, desk: &mut Desk) -> usize {
        if let Some(group) = number.checked_sub(GROUPS) {
            return self.serve_group(group, is_tick, desk);
        }
        let mut packets = 0;
        for _ in 0..BURST {
            let found = HUB.with_borrow(|hub| {
                let socket = hub.as_ref()?.sockets.get(number)?;
                Some((socket.descriptor, socket.is_ipv4, socket.listener.upgrade()?))
            });
            let Some((socket, is_ipv4, listener)) = found else { return packets };
            let (came, is_more) = desk.inbox.take(socket, is_ipv4);
            packets += came;
            if came > 0 {
                tell(&listener, desk, |listener, desk| listener.hear(number, came, desk));
            }
            if !is_more {
                return packets;
            }
        }
        if packets > 0 {
            self.unread.push(number);
        }
        packets
    }

    fn serve_group(&mut self, number: usize, is_tick: bool, desk: &mut Desk) -> usize {
        let Some(socket) = with_group(number, |group| Rc::clone(&group.socket)) else { return 0 };
        let (turn, local) = (self.turn, socket.local());
        let (descriptor, is_ipv4) = (socket.as_fd().as_raw_fd(), local.is_ipv4());
        let (mut all, mut packets) = (0, 0);
        let mut is_more = true;
        for look in 0..BURST {
            let came;
            (came, is_more) = match look {
                0 if is_tick => self.inbox.take_of::<SOME_SLOTS>(descriptor, is_ipv4),
                0 => self.inbox.take_of::<FEW_SLOTS>(descriptor, is_ipv4),
                _ => self.inbox.take(descriptor, is_ipv4),
            };
            all += came;
            for at in 0..came {
                let Some((source, datagram)) = self.inbox.datagram(at) else { continue };
                // Calls come and go meanwhile, and the last takes the group along.
                let find = |group: &mut Group| {
                    Rc::ptr_eq(&group.socket, &socket).then(|| group.find(turn, source, datagram))
                };
                match with_group(number, find).flatten() {
                    Some(Found::Call(call)) => {
                        packets += 1;
                        tell(&call, desk, |call, desk| call.hear_shared(local, source, datagram, desk));
                    }
                    Some(Found::Clash(call)) => tell(&call, desk, |call, desk| call.clash(local, desk)),
                    Some(Found::Stray) | None => {}
                }
            }
            if !is_more {
                break;
            }
        }
        if is_more && all > 0 {
            self.unread.push(GROUPS + number);
        }
        let strays = all - packets;
        if strays > 0 {
            self.strays += strays as u64;
        }
        with_group(number, |group| {
            if Rc::ptr_eq(&group.socket, &socket) {
                group.count(clock::now(), all, strays);
            }
        });
        packets
    }
}

/// Whoever breaks does so alone.
fn tell(listener: &Mutex<dyn Hears>, desk: &mut Desk, what: impl FnOnce(&mut dyn Hears, &mut Desk)) {
    let heard = catch_unwind(AssertUnwindSafe(|| {
        if let Ok(mut listener) = listener.lock() {
            what(&mut *listener, desk);
        }
    }));
    if heard.is_err() {
        *desk = Desk::new();
        listener.lock().unwrap_or_else(PoisonError::into_inner).broke();
    }
}
