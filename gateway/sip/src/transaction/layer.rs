//! The transaction layer: which transaction a message goes to, what it sends, who hears of it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use super::client::{Client, Due};
use super::client_invite::{ClientInvite, Heard};
use super::key::Key;
use super::server::Server;
use super::server_invite::ServerInvite;
use super::timer::Agenda;
use crate::endpoint::{CallId, Transmit};
use crate::hop::{Hop, Transport};
use crate::message::{Method, Request, Response};

/// Above this many open transactions new requests get 503 and are forgotten.
pub(crate) const TRANSACTIONS_LIMIT: usize = 16_384;

/// Who hears how a transaction went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The call whose INVITE it is.
    Call(CallId),
    /// The call that its BYE ends.
    Bye(CallId),
    /// The call that sent an INFO.
    Info(CallId),
    /// The call whose transfer it tells of.
    Notify(CallId),
    /// The call whose session it refreshes.
    Refresh(CallId),
    /// Our OPTIONS to this address.
    Probe(SocketAddr),
    /// Our REGISTER.
    Register,
    /// No call any more: it went on to another address of the PBX. Whether this one was told to stop.
    Left {
        /// Whether it was.
        cancelled: bool,
    },
    /// No one.
    Nobody,
}

/// Every open transaction of a line, and what they want sent.
#[derive(Debug)]
pub(crate) struct Layer {
    clients: BTreeMap<Key, Sent>,
    servers: BTreeMap<Key, Received>,
    agenda: Agenda<Entry>,
    transmits: VecDeque<Transmit>,
}

#[derive(Debug)]
struct Sent {
    kind: ClientKind,
    owner: Owner,
    destination: Hop,
    /// How many challenges it answers that its request before got.
    proven: u8,
}

#[derive(Debug)]
enum ClientKind {
    Invite(ClientInvite),
    Other(Client, Request),
}

#[derive(Debug)]
struct Received {
    kind: ServerKind,
    owner: Owner,
    answer_to: Hop,
}

#[derive(Debug)]
enum ServerKind {
    Invite(ServerInvite),
    Other(Server),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Client(Key),
    Server(Key),
}

impl Layer {
    pub(crate) fn new() -> Self {
        Self {
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            agenda: Agenda::new(),
            transmits: VecDeque::new(),
        }
    }

    /// Sends bytes that belong to no transaction.
    pub(crate) fn send(&mut self, destination: Hop, contents: Vec<u8>) {
        tracing::trace!(destination = %destination.address, message = %String::from_utf8_lossy(&contents), "sent");
        self.transmits.push_back(Transmit { destination, contents });
    }

    /// What is to be sent next.
    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// How much waits to be sent.
    pub(crate) fn waiting(&self) -> usize {
        self.transmits.len()
    }

    /// Changes what waits behind so many others, or takes it out where this says false.
    pub(crate) fn revise(&mut self, behind: usize, mut keeps: impl FnMut(&mut Transmit) -> bool) {
        if self.transmits.len() <= behind {
            return;
        }
        for mut transmit in self.transmits.split_off(behind) {
            if keeps(&mut transmit) {
                self.transmits.push_back(transmit);
            }
        }
    }

    /// The earliest timer.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.agenda.next()
    }

    /// How many transactions are open.
    pub(crate) fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// Sends a request whose Via carries `branch`, and repeats it as long as needed.
    pub(crate) fn request(
        &mut self,
        now: Instant,
        branch: &str,
        mut request: Request,
        destination: Hop,
        owner: Owner,
    ) -> Key {
        let key = Key::of_sent(branch, &request.method);
        let transport = destination.transport;
        request.headers.travel(transport);
        let bytes = request.to_bytes();
        let kind = if request.method == Method::Invite {
            ClientKind::Invite(ClientInvite::new(now, request, transport))
        } else {
            ClientKind::Other(Client::new(now, bytes.clone(), transport), request)
        };
        self.clients.insert(key.clone(), Sent { kind, owner, destination, proven: 0 });
        self.schedule_client(&key);
        self.send(destination, bytes);
        key
    }

    /// A request of ours, where it went, and how many challenges it answers.
    pub(crate) fn sent(&self, key: &Key) -> Option<(&Request, Hop, u8)> {
        let sent = self.clients.get(key)?;
        let request = match &sent.kind {
            ClientKind::Invite(client) => client.request(),
            ClientKind::Other(_, request) => request,
        };
        Some((request, sent.destination, sent.proven))
    }

    /// Notes how many challenges a request of ours answers.
    pub(crate) fn set_proven(&mut self, key: &Key, proven: u8) {
        if let Some(sent) = self.clients.get_mut(key) {
            sent.proven = proven;
        }
    }

    /// Goes on with an INVITE that was sent before this layer was there.
    pub(crate) fn adopt_invite(&mut self, key: &Key, invite: Request, destination: Hop, owner: Owner) {
        let kind = ClientKind::Invite(ClientInvite::proceeding(invite, destination.transport));
        self.clients.insert(key.clone(), Sent { kind, owner, destination, proven: 0 });
        self.schedule_client(key);
    }

    /// Whether an INVITE with this Call-ID is ours.
    pub(crate) fn sent_invite_of(&self, call_id: &str) -> bool {
        self.clients.values().any(|sent| match &sent.kind {
            ClientKind::Invite(client) => client.request().headers.call_id() == call_id,
            ClientKind::Other(..) => false,
        })
    }

    /// The INVITE behind a transaction of ours, where it went, and whether it may be cancelled by now.
    pub(crate) fn invite(&self, key: &Key) -> Option<(&Request, Hop, bool)> {
        match self.clients.get(key) {
            Some(Sent { kind: ClientKind::Invite(client), destination, .. }) => {
                Some((client.request(), *destination, client.is_proceeding()))
            }
            Some(Sent { kind: ClientKind::Other(..), .. }) | None => None,
        }
    }

    /// Sends the ACK of a 2xx and keeps it for the copies of that 2xx.
    pub(crate) fn acknowledge(&mut self, key: &Key, tag: &str, destination: Hop, ack: &Request) {
        let mut ack = ack.clone();
        ack.headers.travel(destination.transport);
        let bytes = ack.to_bytes();
        if let Some(Sent { kind: ClientKind::Invite(client), .. }) = self.clients.get_mut(key) {
            client.keep_ack(tag, destination, bytes.clone());
        }
        self.send(destination, bytes);
    }

    /// The requests that went there and were not heard of since.
    pub(crate) fn unheard(&self, transport: Transport, address: SocketAddr) -> Vec<(Owner, Key)> {
        let there = |hop: &Hop| {
            hop.transport == transport && (hop.address == address || hop.connection == Some(address))
        };
        let unheard = self.clients.iter().filter(|(_, sent)| {
            there(&sent.destination)
                && match &sent.kind {
                    ClientKind::Invite(client) => client.is_unheard(),
                    ClientKind::Other(client, _) => client.is_unheard(),
                }
        });
        unheard.map(|(key, sent)| (sent.owner, key.clone())).collect()
    }

    /// Lets another one hear how a request of ours goes.
    pub(crate) fn set_owner(&mut self, key: &Key, owner: Owner) {
        if let Some(sent) = self.clients.get_mut(key) {
            sent.owner = owner;
        }
    }

    /// Repeats an INVITE of ours no more, and waits yet for what it may bring.
    pub(crate) fn hush(&mut self, key: &Key) {
        if let Some(Sent { kind: ClientKind::Invite(client), .. }) = self.clients.get_mut(key) {
            client.hush();
        }
        self.schedule_client(key);
    }

    /// Forgets a request of ours.
    pub(crate) fn abandon(&mut self, key: &Key) {
        self.clients.remove(key);
        self.agenda.set(&Entry::Client(key.clone()), None);
    }

    /// Takes a response. Gives who has to hear of it.
    pub(crate) fn receive_response(&mut self, now: Instant, key: &Key, response: &Response) -> Option<Owner> {
        let sent = self.clients.get_mut(key)?;
        let (owner, destination) = (sent.owner, sent.destination);
        let (told, send) = match &mut sent.kind {
            ClientKind::Other(client, _) => (client.respond(now, response.status), None),
            ClientKind::Invite(client) => match client.respond(now, response) {
                Heard::Nothing => (false, None),
                Heard::Tell => (true, None),
                Heard::Refused(ack) => (true, Some((destination, ack))),
                Heard::AckRefusal(ack) => (false, Some((destination, ack))),
                Heard::AckAgain(destination, ack) => (false, Some((destination, ack))),
            },
        };
        if let Some((destination, bytes)) = send {
            self.send(destination, bytes);
        }
        self.schedule_client(key);
        told.then_some(owner)
    }

    /// Whether a request is the copy of one that is known; then its answer goes out again.
    pub(crate) fn absorb(&mut self, key: &Key) -> bool {
        let Some(received) = self.servers.get(key) else { return false };
        let again = match &received.kind {
            ServerKind::Invite(server) => server.again(),
            ServerKind::Other(server) => Some(server.again()),
        };
        if let Some((bytes, answer_to)) = again.map(|bytes| (bytes.to_vec(), received.answer_to)) {
            self.send(answer_to, bytes);
        }
        true
    }

    /// Opens the transaction of a received INVITE with the provisional answer that is sent now.
    pub(crate) fn open_invite(&mut self, key: &Key, answer_to: Hop, owner: Owner, answer: &Response) {
        let bytes = answer.to_bytes();
        let kind = ServerKind::Invite(ServerInvite::new(bytes.clone(), answer_to.transport));
        self.servers.insert(key.clone(), Received { kind, owner, answer_to });
        self.send(answer_to, bytes);
    }

    /// Goes on with an INVITE that was received before this layer was there; it has its provisional answer.
    pub(crate) fn reopen_invite(&mut self, key: &Key, answer_to: Hop, owner: Owner) {
        let kind = ServerKind::Invite(ServerInvite::new(Vec::new(), answer_to.transport));
        self.servers.insert(key.clone(), Received { kind, owner, answer_to });
    }

    /// Where the answers to a received request go.
    pub(crate) fn answer_to(&self, key: &Key) -> Option<Hop> {
        Some(self.servers.get(key)?.answer_to)
    }

    /// Answers an INVITE that was opened. `None` when it had its final answer before; else the bytes and where they went.
    pub(crate) fn answer_invite(
        &mut self,
        now: Instant,
        key: &Key,
        answer: &Response,
    ) -> Option<(Hop, Vec<u8>)> {
        let received = self.servers.get_mut(key)?;
        let ServerKind::Invite(server) = &mut received.kind else { return None };
        let bytes = answer.clone().into_bytes_over(received.answer_to.transport);
        if !server.answer(now, answer.status, bytes.clone()) {
            return None;
        }
        let answer_to = received.answer_to;
        self.schedule_server(key);
        self.send(answer_to, bytes.clone());
        Some((answer_to, bytes))
    }

    /// Refuses an INVITE without a word before; its copies get the same until its ACK.
    pub(crate) fn refuse_invite(&mut self, now: Instant, key: &Key, answer_to: Hop, answer: &Response) {
        let bytes = answer.to_bytes();
        let mut server = ServerInvite::new(bytes.clone(), answer_to.transport);
        server.answer(now, answer.status, bytes.clone());
        let kind = ServerKind::Invite(server);
        self.servers.insert(key.clone(), Received { kind, owner: Owner::Nobody, answer_to });
        self.schedule_server(key);
        self.send(answer_to, bytes);
    }

    /// Answers another request and keeps the answer for its copies.
    pub(crate) fn answer(&mut self, now: Instant, key: &Key, answer_to: Hop, answer: &Response) {
        let bytes = answer.clone().into_bytes_over(answer_to.transport);
        let kind = ServerKind::Other(Server::new(now, bytes.clone(), answer_to.transport));
        self.servers.insert(key.clone(), Received { kind, owner: Owner::Nobody, answer_to });
        self.schedule_server(key);
        self.send(answer_to, bytes);
    }

    /// Takes an ACK. False when it belongs to a dialog.
    pub(crate) fn receive_ack(&mut self, now: Instant, key: &Key) -> bool {
        let Some(Received { kind: ServerKind::Invite(server), .. }) = self.servers.get_mut(key) else {
            return false;
        };
        let absorbed = server.acknowledge(now);
        self.schedule_server(key);
        absorbed
    }

    /// Whose INVITE a CANCEL means, if it is known.
    pub(crate) fn owner_of(&self, key: &Key) -> Option<Owner> {
        Some(self.servers.get(key)?.owner)
    }

    /// Works off one timer that is due. Gives whose request timed out; `None` means that nothing more is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Option<(Owner, Key)>> {
        match self.agenda.pop_due(now)? {
            Entry::Client(key) => Some(self.client_timeout(now, &key).map(|owner| (owner, key))),
            Entry::Server(key) => {
                self.server_timeout(now, &key);
                Some(None)
            }
        }
    }

    fn client_timeout(&mut self, now: Instant, key: &Key) -> Option<Owner> {
        let sent = self.clients.get_mut(key)?;
        let (owner, destination) = (sent.owner, sent.destination);
        let due = match &mut sent.kind {
            ClientKind::Invite(client) => client.handle_timeout(now),
            ClientKind::Other(client, _) => client.handle_timeout(now),
        };
        match due {
            Due::Again(bytes) => {
                let bytes = bytes.to_vec();
                self.send(destination, bytes);
                self.schedule_client(key);
                None
            }
            Due::Nothing => {
                self.schedule_client(key);
                None
            }
            Due::TimedOut => {
                self.clients.remove(key);
                Some(owner)
            }
            Due::Over => {
                self.clients.remove(key);
                None
            }
        }
    }

    fn server_timeout(&mut self, now: Instant, key: &Key) {
        let Some(received) = self.servers.get_mut(key) else { return };
        let answer_to = received.answer_to;
        let (again, goes_on) = match &mut received.kind {
            ServerKind::Invite(server) => server.handle_timeout(now),
            ServerKind::Other(server) => (None, now < server.deadline()),
        };
        if let Some(bytes) = again.map(<[u8]>::to_vec) {
            self.send(answer_to, bytes);
        }
        if goes_on {
            self.schedule_server(key);
        } else {
            self.servers.remove(key);
        }
    }

    fn schedule_client(&mut self, key: &Key) {
        let deadline = self.clients.get(key).and_then(|sent| match &sent.kind {
            ClientKind::Invite(client) => client.deadline(),
            ClientKind::Other(client, _) => Some(client.deadline()),
        });
        self.agenda.set(&Entry::Client(key.clone()), deadline);
    }

    fn schedule_server(&mut self, key: &Key) {
        let deadline = self.servers.get(key).and_then(|received| match &received.kind {
            ServerKind::Invite(server) => server.deadline(),
            ServerKind::Other(server) => Some(server.deadline()),
        });
        self.agenda.set(&Entry::Server(key.clone()), deadline);
    }
}
