//! A line's end of the trunk: datagrams in and out, and which transaction, dialog or call they belong to.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tgtrunk_media::Codec;

use crate::burst::NewCall;
use crate::call::{Call, Infos, State};
use crate::dialog::DialogId;
use crate::edge::{self, ALLOW, Inbound, Refusal, SUPPORTED};
use crate::event::Event;
use crate::filter::Filter;
use crate::guard::{Demand, Guard};
use crate::header::{Credentials, Reason};
use crate::hop::{Hop, Transport};
use crate::message::{Headers, Method, Request, Response, phrase};
use crate::peers::Peers;
use crate::proofs::Proofs;
use crate::register::{Register, Registrar};
use crate::rush::Rush;
use crate::sdes::Srtp;
use crate::seen::Seen;
use crate::stream::Frame;
use crate::text::{VALUE_LIMIT_BYTES, clean};
use crate::token::Tokens;
use crate::transaction::{Agenda, Key, Layer, Owner, PATIENCE, TRANSACTIONS_LIMIT};
use crate::uri::sip_uri;

/// How a line stands on the trunk.
#[derive(Debug, Clone)]
pub struct Config {
    /// The line's own address: its socket sends from here.
    pub local: SocketAddr,
    /// The address that the PBX is told in Via, Contact and the host of From: the line's own, or what a router in
    /// between makes of it.
    pub announced: SocketAddr,
    /// The PBX.
    pub peer: SocketAddr,
    /// Over what the PBX is called. A line that calls it by TLS hears nothing else.
    pub transport: Transport,
    /// Whether audio is encrypted.
    pub srtp: Srtp,
    /// Its further addresses, the best first; at most 15 are used.
    pub more_peers: Vec<SocketAddr>,
    /// What stands for the PBX's address in addresses of users there; the address itself without it.
    pub domain: Option<String>,
    /// How long our INVITE may stay without any answer before it goes to the PBX's next address.
    pub failover: Duration,
    /// The line's phone number.
    pub line_user: String,
    /// User-Agent and Server headers; no such header when empty.
    pub user_agent: String,
    /// Names by which the PBX speaks of itself: whom it transfers to there is called at [`Config::peer`].
    pub peer_names: Vec<String>,
    /// Whether the PBX may transfer by REFER; else that gets 603.
    pub refer: bool,
    /// More addresses that are listened to; the PBX's own always are.
    pub allowed: Vec<IpAddr>,
    /// Whether every address is listened to; only with [`Config::guard`].
    pub any_source: bool,
    /// What requests outside a dialog have to prove to know, all but OPTIONS.
    pub guard: Option<Demand>,
    /// What the line carries; a call that offers none of it is refused with 488 before anybody is asked.
    pub codecs: Vec<&'static Codec>,
    /// New calls of the PBX in a second, of which two seconds' worth may come at once; more are refused with 503 and
    /// Retry-After. 0 is no limit.
    pub new_calls_per_second: u32,
    /// Calls at a time; more are refused with 503 and Q.850 cause 34.
    pub max_calls: usize,
    /// Pause between two OPTIONS of ours; at least a second.
    pub options_interval: Duration,
    /// How long our INVITE may stay without a final answer.
    pub ring_limit: Duration,
    /// How long a session lasts that nobody refreshes, where the choice is ours, seconds; at least 90 (RFC 4028).
    pub session_interval_s: u32,
    /// What a 401 or 407 of the PBX is answered with, once per request; without them a call fails.
    pub credentials: Option<Credentials>,
    /// As whom the line registers at the PBX; not at all without it.
    pub register: Option<Register>,
    /// 32 random bytes: names that nobody can guess are drawn from them. Never the same twice.
    pub seed: [u8; 32],
}

/// Whether the line takes calls from the PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It does.
    Up,
    /// Its INVITE and OPTIONS get 503. A line begins like this.
    Down {
        /// Retry-After header, seconds.
        retry_after_s: Option<u32>,
        /// Reason header.
        reason: Option<Reason>,
    },
}

/// One call of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A message to send: a datagram from the line's own port, or a piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// Where to, and over what.
    pub destination: Hop,
    /// What.
    pub contents: Vec<u8>,
}

/// How much a line remembers, for its status and for tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Calls, those that are being ended included.
    pub calls: usize,
    /// Dialogs of these.
    pub dialogs: usize,
    /// Open transactions; each ends 32 seconds after its last word.
    pub transactions: usize,
    /// INVITEs known for 64 seconds, so that a late copy is no second call.
    pub invites: usize,
}

/// What came from others than the PBX, since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Strangers {
    /// Datagrams and connections that were dropped without an answer.
    pub dropped: u64,
    /// Messages that were listened to, of addresses that are not the PBX's and had not proven to speak for it.
    pub unproven: u64,
    /// Requests with a wrong user or password, the PBX's included.
    pub wrong_proofs: u64,
}

/// One line on the trunk. See the crate's own page for its words.
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) config: Config,
    pub(crate) tokens: Tokens,
    pub(crate) filter: Filter,
    pub(crate) layer: Layer,
    pub(crate) calls: BTreeMap<CallId, Call>,
    pub(crate) dialogs: BTreeMap<DialogId, CallId>,
    /// INFOs of ours, of the calls that have any.
    pub(crate) infos: BTreeMap<CallId, Infos>,
    /// Calls that a REFER asked for and that have no final answer, each with the call that it was in.
    pub(crate) referred: BTreeMap<CallId, CallId>,
    pub(crate) seen: Seen,
    pub(crate) rush: Rush,
    /// Those of the burst that is being read.
    pub(crate) new_calls: Vec<NewCall>,
    pub(crate) availability: Availability,
    pub(crate) peers: Peers,
    pub(crate) registrar: Option<Registrar>,
    pub(crate) guard: Option<Guard>,
    pub(crate) proofs: Proofs,
    /// It was not said yet that answers are cut short.
    pub(crate) tells_short: bool,
    /// Until then calls of a line before this one may be answered.
    pub(crate) adopts_until: Instant,
    agenda: Agenda<CallId>,
    events: VecDeque<Event>,
    last_call: u64,
}

impl Endpoint {
    /// A line that is down until [`Endpoint::set_availability`]. Its first OPTIONS is due at once.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let peers = Peers::new(config.peer, &config.more_peers, config.options_interval, now);
        let allowed: Vec<_> = config.allowed.iter().copied().chain(peers.ips()).collect();
        let mut tokens = Tokens::new(config.seed);
        let registrar = config.register.clone().map(|register| Registrar::new(register, &mut tokens, now));
        let guard = config.guard.clone().map(|pbx| Guard::new(pbx, config.seed, now));
        Self {
            tokens,
            filter: Filter::new(allowed, config.any_source && guard.is_some()),
            peers,
            registrar,
            guard,
            layer: Layer::new(),
            calls: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            infos: BTreeMap::new(),
            referred: BTreeMap::new(),
            seen: Seen::default(),
            rush: Rush::new(config.new_calls_per_second),
            new_calls: Vec::new(),
            availability: Availability::Down { retry_after_s: None, reason: None },
            proofs: Proofs::new(config.credentials.clone()),
            tells_short: true,
            adopts_until: now + config.ring_limit + PATIENCE,
            agenda: Agenda::new(),
            events: VecDeque::new(),
            last_call: 0,
            config,
        }
    }

    /// Takes a datagram from the line's socket.
    pub fn handle_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        if let Some((source, inbound)) = self.read(now, source, datagram) {
            self.take(now, source, inbound, datagram.len());
        }
    }

    /// What a datagram holds, if its sender is listened to.
    pub(crate) fn read(
        &mut self,
        now: Instant,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Option<(Hop, Inbound)> {
        let clear = self.config.transport != Transport::Tls;
        if !self.welcomes(now, source) || !clear {
            return None;
        }
        tracing::trace!(%source, message = %String::from_utf8_lossy(datagram), "received");
        let source = Hop::from(Transport::Udp, source);
        Some((source, edge::read(datagram, source)))
    }

    /// Takes a piece of a stream. Who has a connection has its address. The connection of a [`Frame::Broken`] ends when what this says is sent.
    pub fn handle_frame(&mut self, now: Instant, transport: Transport, source: SocketAddr, frame: &Frame) {
        let hop = Hop::from(transport, source);
        match frame {
            Frame::Message(message) => {
                tracing::trace!(%source, message = %String::from_utf8_lossy(message), "received");
                self.take(now, hop, edge::read(message, hop), usize::MAX);
            }
            Frame::Broken(broken) => {
                tracing::debug!(refusal = ?broken.refusal, "a stream cannot be followed any further");
                self.take(now, hop, edge::read_broken(&broken.head, hop, &broken.refusal), usize::MAX);
            }
            Frame::Ping => {}
        }
    }

    /// Whether this address is listened to. One that is not is counted, and told once a minute.
    pub fn welcomes(&mut self, now: Instant, source: SocketAddr) -> bool {
        let allowed = self.filter.allows(source.ip());
        if !allowed {
            self.drop_stranger(now, source);
        }
        allowed
    }

    /// Whether this address is the PBX's or one beside it, or somebody proved there to be the PBX.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.filter.knows(ip) || self.guard.as_ref().is_some_and(|guard| guard.has_proven(ip))
    }

    /// Takes a message that was so many bytes long where it came.
    pub(crate) fn take(&mut self, now: Instant, source: Hop, inbound: Inbound, length: usize) {
        let (dropped, said) = (self.filter.strangers(), self.layer.waiting());
        let is_ours = self.trusts(source.ip())
            || matches!(&inbound, Inbound::Request { request, .. } if self.has_dialog_of(request));
        self.serve(now, source, inbound);
        if !is_ours && !self.trusts(source.ip()) {
            self.answer_thriftily(said, source.address, length);
            if self.filter.strangers() == dropped {
                self.filter.count_unproven();
            }
        }
        self.check_invariants();
    }

    fn serve(&mut self, now: Instant, source: Hop, inbound: Inbound) {
        match inbound {
            Inbound::Request { request, answer_to } => self.handle_request(now, request, source, answer_to),
            Inbound::Response(response) => self.handle_response(now, response),
            Inbound::Refused { request, answer_to, refusal } => {
                tracing::debug!(method = %request.method, ?refusal, "request refused at the edge");
                self.refuse(&request, answer_to, refusal);
            }
            Inbound::Ignored(why) => tracing::debug!(why, "datagram ignored"),
        }
    }

    pub(crate) fn drop_stranger(&mut self, now: Instant, source: SocketAddr) {
        if let Some(datagrams) = self.filter.report(now) {
            self.tell(Event::Stranger { source, datagrams });
        }
    }

    fn handle_request(&mut self, now: Instant, request: Request, source: Hop, answer_to: Hop) {
        let Some(key) = Key::of_request(&request) else { return };
        // A connection's own port says nothing: who sent it is found where its Via says (RFC 3261 section 18.2.2).
        let source = if source.transport.is_reliable() { answer_to } else { source };
        if request.method == Method::Ack {
            self.handle_ack(now, &key, &request);
            return;
        }
        if self.layer.absorb(&key) {
            return;
        }
        if request.method == Method::Cancel {
            self.handle_cancel(now, &request, answer_to);
            return;
        }
        let in_dialog = request.headers.to().is_some_and(|to| to.tag().is_some());
        // What belongs to a running call has room that no crowd of new ones can take.
        let limit = if in_dialog { TRANSACTIONS_LIMIT * 4 } else { TRANSACTIONS_LIMIT };
        if self.layer.len() >= limit && request.method != Method::Options {
            self.refuse_for_load(&request, answer_to);
            return;
        }
        if in_dialog {
            self.handle_in_dialog(now, &key, &request, source, answer_to);
            return;
        }
        if !self.is_let_in(now, &request, source.address, answer_to) {
            return;
        }
        match request.method {
            Method::Invite => self.handle_invite(now, &key, request, source, answer_to),
            Method::Options => self.handle_options(&request, answer_to),
            Method::Bye | Method::Update | Method::Info | Method::Prack => {
                self.refuse(&request, answer_to, Refusal::new(481))
            }
            Method::Ack
            | Method::Cancel
            | Method::Refer
            | Method::Register
            | Method::Subscribe
            | Method::Notify
            | Method::Publish
            | Method::Message
            | Method::Unknown(_) => {
                self.refuse(&request, answer_to, Refusal::new(405).with("Allow", ALLOW));
            }
        }
    }

    fn handle_response(&mut self, now: Instant, response: Response) {
        // A router that knows SIP may have turned the announced address back into the line's own.
        let own = [self.config.announced, self.config.local];
        let Some(key) = Key::of_response(&response.headers, own) else {
            tracing::debug!(status = response.status, "response to nothing of ours");
            return;
        };
        let owner = self.layer.receive_response(now, &key, &response);
        if let Some(owner) = owner.filter(|_| response.status >= 200) {
            let challenged = matches!(response.status, 401 | 407);
            let invites = matches!(owner, Owner::Call(_) | Owner::Left { .. });
            let matters = invites || matches!(owner, Owner::Register);
            if challenged && !invites && self.prove_again(now, &key, owner, &response) {
                return;
            }
            // A call's challenge is judged once the call is known not to go on.
            if !(challenged && invites) {
                self.judge_proof(&key, &response, matters);
            }
        }
        match owner {
            Some(Owner::Call(id)) => self.invite_answered(now, &key, id, response),
            Some(Owner::Bye(id)) => self.bye_done(id),
            Some(Owner::Info(id)) => self.info_answered(now, id, response.status),
            Some(Owner::Notify(id)) => self.notify_answered(now, id, response.status),
            Some(Owner::Refresh(id)) => self.refresh_answered(now, &key, id, &response),
            Some(Owner::Probe(peer)) => self.probe_answered(now, peer, response.status),
            Some(Owner::Register) => self.register_answered(now, &key, &response),
            Some(Owner::Left { cancelled }) => self.left_answered(now, &key, cancelled, &response),
            Some(Owner::Nobody) => {}
            None => self.adopt_answered(now, &key, &response),
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timed_out) = self.layer.handle_timeout(now) {
            match timed_out {
                Some((Owner::Call(id), _)) => self.invite_timed_out(now, id),
                Some((Owner::Bye(id), _)) => self.bye_done(id),
                Some((Owner::Info(id), _)) => self.info_answered(now, id, 408),
                Some((Owner::Notify(id), _)) => self.notify_answered(now, id, 408),
                Some((Owner::Refresh(id), _)) => self.refresh_timed_out(now, id),
                Some((Owner::Probe(peer), _)) => self.peer_answered(now, peer, false),
                Some((Owner::Register, key)) => self.register_timed_out(now, &key),
                Some((Owner::Left { .. } | Owner::Nobody, _)) | None => {}
            }
        }
        while let Some(id) = self.agenda.pop_due(now) {
            self.call_timeout(now, id);
        }
        self.probe_timeout(now);
        self.register_timeout(now);
        self.seen.purge(now);
        self.check_invariants();
    }

    /// When [`Endpoint::handle_timeout`] is due next.
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        let register = self.registrar.as_ref().and_then(Registrar::deadline);
        [self.layer.next_timeout(), self.agenda.next(), Some(self.peers.deadline()), register]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.layer.poll_transmit()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Opens or closes the line for calls from the PBX. Running calls go on.
    pub fn set_availability(&mut self, availability: Availability) {
        self.availability = availability;
    }

    /// Calls that take one of the line's places. One that comes into the place of another takes none beside it.
    #[must_use]
    pub fn calls(&self) -> usize {
        let is_live = |id: &CallId| self.calls.get(id).is_some_and(Call::is_live);
        let shares = |id: &CallId, call: &Call| {
            call.has_moved()
                || call.replaces().or_else(|| self.referred.get(id).copied()).is_some_and(|old| is_live(&old))
        };
        self.calls.iter().filter(|(id, call)| call.is_live() && !shares(id, call)).count()
    }

    /// What came from others than the PBX.
    #[must_use]
    pub fn strangers(&self) -> Strangers {
        Strangers {
            dropped: self.filter.strangers(),
            unproven: self.filter.unproven(),
            wrong_proofs: self.guard.as_ref().map_or(0, Guard::wrong),
        }
    }

    /// How much the line remembers.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory {
            calls: self.calls.len(),
            dialogs: self.dialogs.len(),
            transactions: self.layer.len(),
            invites: self.seen.len(),
        }
    }

    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(crate) fn next_call_id(&mut self) -> CallId {
        self.last_call += 1;
        CallId(self.last_call)
    }

    /// Puts a call back, with its next deadline.
    pub(crate) fn keep(&mut self, id: CallId, call: Call) {
        self.agenda.set(&id, call.deadline());
        self.calls.insert(id, call);
    }

    /// Takes a call out with all that points to it.
    pub(crate) fn forget(&mut self, id: CallId) -> Option<Call> {
        let call = self.calls.remove(&id)?;
        self.release(id, &call);
        Some(call)
    }

    /// Takes out all that points to a call that was taken out itself.
    pub(crate) fn release(&mut self, id: CallId, call: &Call) {
        self.agenda.set(&id, None);
        self.infos.remove(&id);
        for dialog in call.dialog_ids() {
            self.dialogs.remove(&dialog);
        }
    }

    /// Puts a call in, with its dialogs.
    pub(crate) fn keep_with_dialogs(&mut self, id: CallId, call: Call) {
        for dialog in call.dialog_ids() {
            self.dialogs.insert(dialog, id);
        }
        self.keep(id, call);
    }

    fn call_timeout(&mut self, now: Instant, id: CallId) {
        let Some(Call { state, audio }) = self.calls.remove(&id) else { return };
        match state {
            State::Inviting(inviting) => self.inviting_timeout(now, id, inviting, audio),
            State::Talking(talking) => self.talking_timeout(now, id, talking, audio),
            State::Invited(invited) => self.invited_timeout(now, id, invited, audio),
            state @ State::Leaving(_) => self.keep(id, Call { state, audio }),
        }
    }

    /// An answer, with the headers that each of ours has.
    pub(crate) fn answer_for(&self, request: &Request, refusal: &Refusal, tag: &str) -> Response {
        let words =
            refusal.phrase.as_deref().map(|words| clean(words, 128)).filter(|words| !words.is_empty());
        let words = words.unwrap_or_else(|| phrase(refusal.status).to_owned());
        let tag = Some(tag).filter(|tag| !tag.is_empty() && refusal.status > 100);
        let mut response = Response::to(request, refusal.status, &words, tag);
        for (name, value) in &refusal.headers {
            response.headers.push(name, value.clone());
        }
        let says_allow = refusal.headers.iter().any(|(name, _)| *name == "Allow");
        if (200..300).contains(&refusal.status) && !says_allow {
            response.headers.push("Allow", ALLOW);
            response.headers.push("Supported", SUPPORTED.join(", "));
        }
        if !self.config.user_agent.is_empty() {
            response.headers.push("Server", clean(&self.config.user_agent, VALUE_LIMIT_BYTES));
        }
        response
    }

    /// Answers a request and forgets it; its copy gets the same answer (RFC 3261 section 8.2.7).
    pub(crate) fn refuse(&mut self, request: &Request, answer_to: Hop, refusal: Refusal) {
        let headers = &request.headers;
        let from = headers.first("From").unwrap_or("");
        let tag = self.tokens.tag_for(&[headers.call_id(), from, headers.first("CSeq").unwrap_or("")]);
        let answer = self.answer_for(request, &refusal, &tag);
        self.layer.send(answer_to, answer.to_bytes());
    }

    /// Via first, and what every request of ours has.
    pub(crate) fn push_via(&self, request: &mut Request, branch: &str) {
        let mut headers = Headers::default();
        headers.push("Via", format!("SIP/2.0/UDP {};rport;branch={branch}", self.config.announced));
        headers.push("Max-Forwards", "70");
        for (name, value) in request.headers.iter() {
            headers.push(name, value);
        }
        if !self.config.user_agent.is_empty() {
            headers.push("User-Agent", clean(&self.config.user_agent, VALUE_LIMIT_BYTES));
        }
        request.headers = headers;
    }

    /// Makes a request that was refused another one: its own branch and the next number (RFC 3261 section 8.1.3.5).
    pub(crate) fn renew(&self, request: &mut Request, branch: &str) {
        let via = format!("SIP/2.0/UDP {};rport;branch={branch}", self.config.announced);
        request.headers.replace_first("Via", via);
        if let Some(cseq) = request.headers.cseq() {
            request.headers.replace_first("CSeq", format!("{} {}", cseq.number + 1, cseq.method));
        }
    }

    /// Where we are found in the dialog, and what we serve. `sips` asks for TLS on every hop, which a line has that calls
    /// its PBX so.
    pub(crate) fn push_contact(&self, headers: &mut Headers, sips: bool) {
        let own = sip_uri(&self.config.line_user, self.config.announced);
        let own = match own.strip_prefix("sip:") {
            Some(rest) if sips && self.config.transport == Transport::Tls => format!("sips:{rest}"),
            Some(_) | None => own,
        };
        headers.push("Contact", format!("<{own}>"));
        if headers.first("Allow").is_none() {
            headers.push("Allow", ALLOW);
        }
        if headers.first("Supported").is_none() {
            headers.push("Supported", SUPPORTED.join(", "));
        }
    }

    /// What holds between any two words to the line.
    pub(crate) fn check_invariants(&self) {
        debug_assert!(
            self.dialogs.values().all(|id| self.calls.contains_key(id)),
            "a dialog without its call"
        );
        let due = self.calls.values().filter(|call| call.deadline().is_some()).count();
        debug_assert_eq!(
            self.agenda.len(),
            due,
            "a deadline without its call, or a call without its deadline"
        );
        debug_assert!(
            self.referred.keys().all(|id| self.calls.contains_key(id)),
            "a transfer without its call"
        );
        debug_assert!(self.infos.keys().all(|id| self.calls.contains_key(id)), "an INFO without its call");
        debug_assert_eq!(
            self.calls.values().map(|call| call.dialog_ids().len()).sum::<usize>(),
            self.dialogs.len(),
            "a call without its dialogs"
        );
    }
}
