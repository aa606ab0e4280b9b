//! Which sessions there are, on which connection each speaks, and the way to the world and back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ahead::unix_now;
use crate::link::{Answer, Caller, Push, Rpc};
use crate::wire::container::Message;
use crate::wire::envelope::{self, AuthKey, Direction, Opened};
use crate::wire::keyring::KeyRing;
use crate::wire::line::{Line, Order};
use crate::wire::peel::Introduction;
use crate::wire::session::{Moment, RpcError, Session, Task};

/// A session's address: key first, so that a key's sessions stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) auth_key_id: i64,
    pub(crate) dc: i32,
    pub(crate) session_id: i64,
}

/// Bounds of what peers can make the server keep.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) sessions_per_key: usize,
    /// Results from this size on are packed.
    pub(crate) gzip_from: usize,
}

/// All sessions of a server.
pub(crate) struct Hub {
    pub(crate) keys: Arc<KeyRing>,
    rpc: Arc<dyn Rpc>,
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sessions: BTreeMap<Address, Entry>,
    /// The last introduction under each key: clients do not repeat it for every session.
    introductions: BTreeMap<i64, Introduction>,
}

struct Entry {
    session: Session,
    key: Arc<AuthKey>,
    line: Option<Arc<Line>>,
    /// The world knows that this session is on this line.
    connected: bool,
    used: Duration,
}

impl Hub {
    pub(crate) fn new(keys: Arc<KeyRing>, rpc: Arc<dyn Rpc>, limits: Limits) -> Self {
        Self { keys, rpc, limits, state: Mutex::default() }
    }

    /// Takes a packet that came on a line. Returns after how long the client wants to be disconnected, if it said so.
    pub(crate) fn receive(
        self: &Arc<Self>,
        line: &Arc<Line>,
        key: &Arc<AuthKey>,
        address: Address,
        packet: Opened,
    ) -> Option<Duration> {
        let moment = self.moment(address.auth_key_id);
        let good_salt = self.keys.accepts(address.auth_key_id, packet.salt, moment.now);
        let mut state = self.state();
        let mut left = Vec::new();
        if !state.sessions.contains_key(&address) {
            left = state.make_room(address.auth_key_id, self.limits.sessions_per_key);
            let introduction = state.introductions.get(&address.auth_key_id).cloned().unwrap_or_default();
            let session = Session::new(address.session_id, introduction, self.limits.gzip_from);
            let key = Arc::clone(key);
            state
                .sessions
                .insert(address, Entry { session, key, line: None, connected: false, used: moment.now });
        }
        let entry = state.sessions.get_mut(&address)?;
        entry.used = moment.now;

        if !entry.line.as_ref().is_some_and(|old| Arc::ptr_eq(old, line)) {
            left.extend(entry.connected.then(|| caller(&address, entry)));
            entry.line = Some(Arc::clone(line));
            entry.connected = false;
            entry.session.reconnect();
        }
        if good_salt {
            let message = Message { msg_id: packet.msg_id, seqno: packet.seqno, body: packet.body };
            entry.session.receive(moment, message);
        } else {
            entry.session.refuse_salt(moment, packet.msg_id, packet.seqno);
        }
        let joined = (entry.session.is_announced() && !entry.connected).then(|| caller(&address, entry));
        entry.connected |= joined.is_some();
        let disconnect = entry.session.take_disconnect();
        let introduction = entry.session.introduction().clone();
        if introduction != Introduction::default() {
            state.introductions.insert(address.auth_key_id, introduction);
        }
        drop(state);

        for caller in left {
            self.rpc.disconnected(&caller);
        }
        if let Some(caller) = joined {
            self.rpc.connected(&caller);
        }
        self.drive(address);
        disconnect
    }

    /// The next sealed packet of a session on this line.
    pub(crate) fn poll_packet(&self, address: Address, line: &Arc<Line>) -> Option<Vec<u8>> {
        let moment = self.moment(address.auth_key_id);
        let mut state = self.state();
        let entry = state.sessions.get_mut(&address)?;
        if line.is_halted() || !entry.line.as_ref().is_some_and(|current| Arc::ptr_eq(current, line)) {
            return None;
        }
        let plain = entry.session.poll_packet(moment)?;
        let key = Arc::clone(&entry.key);
        drop(state);
        Some(envelope::seal(&key, Direction::ToClient, plain))
    }

    /// A connection has gone; its sessions stay for a while.
    pub(crate) fn detach(&self, line: &Arc<Line>, addresses: &[Address]) {
        let mut gone = Vec::new();
        let mut state = self.state();
        for address in addresses {
            if let Some(entry) = state.sessions.get_mut(address)
                && entry.line.as_ref().is_some_and(|current| Arc::ptr_eq(current, line))
            {
                entry.line = None;
                if std::mem::take(&mut entry.connected) {
                    gone.push(caller(address, entry));
                }
            }
        }
        drop(state);
        for caller in gone {
            self.rpc.disconnected(&caller);
        }
    }

    /// Carries out a push or an order of the world.
    pub(crate) fn push(&self, push: Push) {
        match push {
            Push::Updates { auth_key_id, body } => self.each(auth_key_id, |moment, entry| {
                if entry.session.is_announced() && !entry.session.no_updates() {
                    entry.session.push(moment, body.clone());
                }
            }),
            Push::NewSessionCreated { auth_key_id } => {
                self.each(auth_key_id, |moment, entry| entry.session.announce_again(moment));
            }
            Push::CloseConnections { auth_key_id } => self.order(auth_key_id, Order::Close),
            Push::BlackHole { auth_key_id } => self.order(auth_key_id, Order::BlackHole),
            Push::ForgetKey { auth_key_id } => self.forget(auth_key_id),
        }
    }

    /// Forgets a key and its sessions.
    pub(crate) fn forget(&self, auth_key_id: i64) {
        self.keys.forget(auth_key_id);
        let mut state = self.state();
        state.introductions.remove(&auth_key_id);
        let gone: Vec<_> = state.sessions.extract_if(range(auth_key_id), |_, _| true).collect();
        drop(state);
        for (address, entry) in gone {
            if entry.connected {
                self.rpc.disconnected(&caller(&address, &entry));
            }
        }
    }

    /// Does what a session wants done, until it wants nothing more.
    fn drive(self: &Arc<Self>, address: Address) {
        loop {
            let mut state = self.state();
            let Some(entry) = state.sessions.get_mut(&address) else { return };
            let Some(task) = entry.session.poll_task() else { return };
            let moment = self.moment(address.auth_key_id);
            match task {
                Task::Call { msg_id, body } => {
                    let caller = caller(&address, entry);
                    let line = entry.line.clone();
                    drop(state);
                    let answer = self.rpc.call(&caller, &body);
                    self.settle(address, msg_id, answer, line.as_ref());
                }
                Task::FutureSalts { msg_id, count } => {
                    let salts = self.keys.future_salts(address.auth_key_id, moment.now, count);
                    entry.session.tell_future_salts(moment, msg_id, salts);
                }
                Task::DestroySession { session_id } => {
                    // Its own session a client cannot destroy.
                    let other = Address { session_id, ..address };
                    let gone = if other == address { None } else { state.sessions.remove(&other) };
                    if let Some(entry) = state.sessions.get_mut(&address) {
                        entry.session.tell_destroyed(moment, session_id, gone.is_some());
                    }
                    drop(state);
                    if let Some(gone) = gone.filter(|gone| gone.connected) {
                        self.rpc.disconnected(&caller(&other, &gone));
                    }
                }
                Task::DestroyKey => {
                    entry.session.tell_key_destroyed(moment);
                    if let Some(line) = &entry.line {
                        line.wake();
                    }
                    // The answer still goes out under the key.
                    self.keys.forget(address.auth_key_id);
                }
            }
        }
    }

    /// Brings the world's answer to the session, or the fault to its connection.
    fn settle(self: &Arc<Self>, address: Address, msg_id: i64, answer: Answer, line: Option<&Arc<Line>>) {
        let order = match answer {
            Answer::Later(receiver) => {
                self.with(address, |_, entry| entry.session.acknowledge(msg_id));
                let hub = Arc::clone(self);
                tokio::spawn(async move {
                    let answer = receiver.await.unwrap_or(Answer::Silence);
                    let line = hub.line(address);
                    hub.settle(address, msg_id, answer, line.as_ref());
                    hub.drive(address);
                });
                return;
            }
            Answer::Result(body) => {
                return self.with(address, |moment, entry| entry.session.reply(moment, msg_id, Ok(body)));
            }
            Answer::Error { code, message } => {
                let error = RpcError { code, message };
                return self.with(address, |moment, entry| entry.session.reply(moment, msg_id, Err(error)));
            }
            Answer::Silence => return self.with(address, |_, entry| entry.session.acknowledge(msg_id)),
            Answer::BadMsg(code) => {
                return self.with(address, |moment, entry| entry.session.take_back(moment, msg_id, code));
            }
            Answer::BadServerSalt => {
                self.keys.renew_salts(address.auth_key_id);
                return self.with(address, |moment, entry| entry.session.take_back(moment, msg_id, 48));
            }
            Answer::CloseConnection => Order::Close,
            Answer::ResetConnection => Order::Reset,
            Answer::BlackHole => Order::BlackHole,
            Answer::TransportError(code) => Order::TransportError(code),
        };
        self.with(address, |_, entry| entry.session.forget(msg_id));
        if let Some(line) = line {
            line.order_at_once(order);
        }
    }

    fn line(&self, address: Address) -> Option<Arc<Line>> {
        self.state().sessions.get(&address)?.line.clone()
    }

    fn with(&self, address: Address, act: impl FnOnce(Moment, &mut Entry)) {
        let moment = self.moment(address.auth_key_id);
        if let Some(entry) = self.state().sessions.get_mut(&address) {
            act(moment, entry);
            if let Some(line) = &entry.line {
                line.wake();
            }
        }
    }

    fn each(&self, auth_key_id: i64, mut act: impl FnMut(Moment, &mut Entry)) {
        let moment = self.moment(auth_key_id);
        for entry in self.state().sessions.range_mut(range(auth_key_id)).map(|(_, entry)| entry) {
            act(moment, entry);
            if let Some(line) = &entry.line {
                line.wake();
            }
        }
    }

    fn order(&self, auth_key_id: i64, order: Order) {
        self.each(auth_key_id, |_, entry| {
            if let Some(line) = &entry.line {
                line.order(order);
            }
        });
    }

    fn moment(&self, auth_key_id: i64) -> Moment {
        let now = unix_now();
        Moment { now, salt: self.keys.salt(auth_key_id, now) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Removes the sessions of a key that were silent for longest, those without a connection first. Returns those
    /// that the world knows.
    fn make_room(&mut self, auth_key_id: i64, most: usize) -> Vec<Caller> {
        let mut gone = Vec::new();
        while self.sessions.range(range(auth_key_id)).count() >= most.max(1) {
            let oldest = self
                .sessions
                .range(range(auth_key_id))
                .min_by_key(|(_, entry)| (entry.line.is_some(), entry.used))
                .map(|(address, _)| *address);
            let Some((address, entry)) = oldest.and_then(|address| self.sessions.remove_entry(&address))
            else {
                break;
            };
            gone.extend(entry.connected.then(|| caller(&address, &entry)));
            if let Some(line) = entry.line {
                line.order(Order::Close);
            }
        }
        gone
    }
}

fn range(auth_key_id: i64) -> std::ops::RangeInclusive<Address> {
    let least = Address { auth_key_id, dc: i32::MIN, session_id: i64::MIN };
    least..=Address { auth_key_id, dc: i32::MAX, session_id: i64::MAX }
}

fn caller(address: &Address, entry: &Entry) -> Caller {
    let Introduction { layer, api_id, device } = entry.session.introduction().clone();
    Caller {
        auth_key_id: address.auth_key_id,
        session_id: address.session_id,
        dc: address.dc,
        layer,
        api_id,
        device,
        no_updates: entry.session.no_updates(),
    }
}
