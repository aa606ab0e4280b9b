//! One session of an authorization key: which messages are taken, what is to be done, what is answered.
//!
//! A machine without clock or socket: [`Session::receive`] takes a packet, [`Session::poll_task`] says what has to be done
//! elsewhere, [`Session::reply`] brings results back, [`Session::poll_packet`] gives what is to be sent.
//! Rules: core.telegram.org/mtproto/description and .../service_messages_about_messages.

use std::collections::VecDeque;
use std::time::Duration;

use grammers_tl_types::{Identifiable, Serializable, enums, types};

use crate::wire::container::{self, CONTAINER, Message, constructor};
use crate::wire::outbox::{Kind, Outbox};
use crate::wire::peel::{Introduction, peel};
use crate::wire::received::{Received, State};
use crate::wire::{gzip, random};

const RPC_RESULT: u32 = 0xf35c_6d01;
/// A client's clock may be so far behind, and so far ahead.
const TOO_OLD: i64 = 300;
const TOO_NEW: i64 = 30;
const MOST_WAITING: usize = 1024;

/// What a session needs to know of its surroundings at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Since the Unix epoch.
    pub(crate) now: Duration,
    /// The key's current salt.
    pub(crate) salt: i64,
}

/// What has to be done outside of the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// Let the world answer.
    Call {
        msg_id: i64,
        body: Vec<u8>,
    },
    FutureSalts {
        msg_id: i64,
        count: i32,
    },
    DestroySession {
        session_id: i64,
    },
    DestroyKey,
}

/// An `rpc_error` instead of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RpcError {
    pub(crate) code: i32,
    pub(crate) message: String,
}

/// A request that waits for other messages' answers (`invokeAfterMsg`).
#[derive(Debug)]
struct Waiting {
    msg_id: i64,
    after: Vec<i64>,
    body: Vec<u8>,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    id: i64,
    unique_id: Option<i64>,
    /// Results from this size on are packed.
    gzip_from: usize,
    pub(super) received: Received,
    pub(super) outbox: Outbox,
    pub(super) tasks: VecDeque<Task>,
    waiting: Vec<Waiting>,
    pub(super) acks: Vec<i64>,
    /// From `ping_delay_disconnect`, until somebody takes it.
    pub(super) disconnect_after: Option<Duration>,
    introduction: Introduction,
    no_updates: bool,
}

impl Session {
    pub(crate) fn new(id: i64, introduction: Introduction, gzip_from: usize) -> Self {
        Self {
            id,
            unique_id: None,
            gzip_from,
            received: Received::default(),
            outbox: Outbox::default(),
            tasks: VecDeque::new(),
            waiting: Vec::new(),
            acks: Vec::new(),
            disconnect_after: None,
            introduction,
            no_updates: false,
        }
    }

    pub(crate) fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    /// The last request came inside `invokeWithoutUpdates`.
    pub(crate) fn no_updates(&self) -> bool {
        self.no_updates
    }

    /// Whether a message of the client was ever taken.
    pub(crate) fn is_announced(&self) -> bool {
        self.unique_id.is_some()
    }

    /// A message came with a salt that is wrong: it is not taken, and the right salt is named.
    pub(crate) fn refuse_salt(&mut self, moment: Moment, msg_id: i64, seqno: i32) {
        let notification: enums::BadMsgNotification = types::BadServerSalt {
            bad_msg_id: msg_id,
            bad_msg_seqno: seqno,
            error_code: 48,
            new_server_salt: moment.salt,
        }
        .into();
        self.outbox.service(moment.now, Kind::Reply, notification.to_bytes());
    }

    /// Takes what came in one packet.
    pub(crate) fn receive(&mut self, moment: Moment, message: Message) {
        if let Some(code) = self.clock_fault(moment, message.msg_id) {
            return self.refuse(moment, &message, code);
        }
        if constructor(&message.body) != CONTAINER {
            self.announce(moment, message.msg_id);
            return self.take(moment, message);
        }
        match self.received.state(message.msg_id) {
            None | Some(State::Container) => {}
            Some(_) => return self.refuse(moment, &message, 19),
        }
        let Some(inner) =
            container::open(&message.body).filter(|inner| inner.iter().all(|inner| fits(&message, inner)))
        else {
            return self.refuse(moment, &message, 64);
        };
        if message.seqno & 1 == 1 {
            return self.refuse(moment, &message, 34);
        }
        self.announce(moment, inner.iter().map(|inner| inner.msg_id).fold(message.msg_id, i64::min));
        for inner in inner {
            self.take(moment, inner);
        }
        if self.received.state(message.msg_id).is_none() {
            match self.received.fault(message.msg_id, message.seqno) {
                Some(code) => self.refuse(moment, &message, code),
                None => self.received.note(message.msg_id, message.seqno, State::Container),
            }
        }
    }

    /// What is to be done next.
    pub(crate) fn poll_task(&mut self) -> Option<Task> {
        self.tasks.pop_front()
    }

    /// The plain text of the next packet.
    pub(crate) fn poll_packet(&mut self, moment: Moment) -> Option<Vec<u8>> {
        if !self.acks.is_empty() {
            let msg_ids = std::mem::take(&mut self.acks);
            let acks = enums::MsgsAck::Ack(types::MsgsAck { msg_ids });
            self.outbox.service(moment.now, Kind::Notice, acks.to_bytes());
        }
        self.outbox.poll_packet(moment.now, moment.salt, self.id)
    }

    /// Answers a request, unless the client has dropped it meanwhile.
    pub(crate) fn reply(&mut self, moment: Moment, msg_id: i64, result: Result<Vec<u8>, RpcError>) {
        if self.received.state(msg_id) == Some(State::Dropped) {
            return;
        }
        let ok = result.is_ok();
        let mut body = RPC_RESULT.to_bytes();
        msg_id.serialize(&mut body);
        match result {
            Ok(result) => {
                let packed = if result.len() >= self.gzip_from { gzip::pack(&result) } else { None };
                body.extend(packed.unwrap_or(result));
            }
            Err(RpcError { code, message }) => {
                enums::RpcError::Error(types::RpcError { error_code: code, error_message: message })
                    .serialize(&mut body);
            }
        }
        let answer = self.outbox.content(moment.now, Kind::Reply, body);
        self.acks.retain(|ack| *ack != msg_id);
        self.received.set(msg_id, State::Answered { answer, ok });
        self.release(moment);
    }

    /// Tells the client that a request came, without an answer.
    pub(crate) fn acknowledge(&mut self, msg_id: i64) {
        if !self.acks.contains(&msg_id) {
            self.acks.push(msg_id);
        }
    }

    /// As if the message had never come: a repetition is a new request.
    pub(crate) fn forget(&mut self, msg_id: i64) {
        self.received.forget(msg_id);
    }

    /// Refuses a message after it was taken; a repetition is a new request.
    pub(crate) fn take_back(&mut self, moment: Moment, msg_id: i64, code: i32) {
        let message = Message { msg_id, seqno: self.received.seqno(msg_id), body: Vec::new() };
        self.received.forget(msg_id);
        match code {
            48 => self.refuse_salt(moment, msg_id, message.seqno),
            code => self.refuse(moment, &message, code),
        }
    }

    /// Queues a push.
    pub(crate) fn push(&mut self, moment: Moment, updates: Vec<u8>) {
        self.outbox.content(moment.now, Kind::Notice, updates);
    }

    /// Says "new session" in mid-life, as a server does that has lost its memory of it.
    pub(crate) fn announce_again(&mut self, moment: Moment) {
        self.unique_id = None;
        self.announce(moment, self.received.newest());
    }

    /// The session speaks on another connection from now on.
    pub(crate) fn reconnect(&mut self) {
        self.acks.clear();
        self.outbox.resend_all();
    }

    /// Takes the delay of the last `ping_delay_disconnect`.
    pub(crate) fn take_disconnect(&mut self) -> Option<Duration> {
        self.disconnect_after.take()
    }

    fn announce(&mut self, moment: Moment, first_msg_id: i64) {
        if self.unique_id.is_some() {
            return;
        }
        let unique_id = i64::from_le_bytes(random::bytes());
        self.unique_id = Some(unique_id);
        let created: enums::NewSession =
            types::NewSessionCreated { first_msg_id, unique_id, server_salt: moment.salt }.into();
        self.outbox.content(moment.now, Kind::Notice, created.to_bytes());
    }

    fn clock_fault(&self, moment: Moment, msg_id: i64) -> Option<i32> {
        if msg_id & 3 != 0 {
            return Some(18);
        }
        if self.received.state(msg_id).is_some() {
            return None;
        }
        let (sent, now) = (msg_id >> 32, moment.now.as_secs() as i64);
        match sent - now {
            behind if behind < -TOO_OLD => Some(16),
            ahead if ahead > TOO_NEW => Some(17),
            _ => None,
        }
    }

    fn take(&mut self, moment: Moment, message: Message) {
        if let Some(state) = self.received.state(message.msg_id) {
            return self.repeat(message.msg_id, state);
        }
        if let Some(code) = self.received.fault(message.msg_id, message.seqno) {
            return self.refuse(moment, &message, code);
        }
        let Ok(body) = gzip::unpack(&message.body) else {
            self.received.note(message.msg_id, message.seqno, State::Running);
            return self.reply(moment, message.msg_id, Err(unreadable()));
        };
        let is_ack = constructor(&body) == types::MsgsAck::CONSTRUCTOR_ID;
        if is_ack && message.seqno & 1 == 1 {
            return self.refuse(moment, &message, 34);
        }
        if constructor(&body) == CONTAINER {
            return self.refuse(moment, &message, 64);
        }
        let message = Message { body, ..message };
        if !self.serve(moment, &message) {
            self.request(moment, message);
        }
    }

    fn request(&mut self, moment: Moment, message: Message) {
        if message.seqno & 1 == 0 {
            return self.refuse(moment, &message, 35);
        }
        let msg_id = message.msg_id;
        self.received.note(msg_id, message.seqno, State::Running);
        let Ok(peeled) = peel(&message.body) else { return self.reply(moment, msg_id, Err(unreadable())) };
        if let Some(layer) = peeled.layer {
            self.introduction.layer = layer;
        }
        if let Some((api_id, device)) = peeled.device {
            self.introduction.api_id = api_id;
            self.introduction.device = device;
        }
        self.no_updates = peeled.no_updates;
        if peeled.after.is_empty() {
            return self.tasks.push_back(Task::Call { msg_id, body: peeled.body });
        }
        if self.waiting.len() >= MOST_WAITING {
            return self.reply(moment, msg_id, Err(wait_failed()));
        }
        self.waiting.push(Waiting { msg_id, after: peeled.after, body: peeled.body });
        self.release(moment);
    }

    /// Lets go of requests whose predecessors are answered, and fails those whose predecessors failed.
    fn release(&mut self, moment: Moment) {
        let received = &self.received;
        let is_over = |waiting: &mut Waiting| {
            waiting
                .after
                .retain(|msg_id| !matches!(received.state(*msg_id), Some(State::Answered { ok: true, .. })));
            waiting.after.iter().any(|msg_id| received.state(*msg_id) != Some(State::Running))
                || waiting.after.is_empty()
        };
        let over: Vec<_> = self.waiting.extract_if(.., is_over).collect();
        for Waiting { msg_id, after, body } in over {
            if after.is_empty() {
                self.tasks.push_back(Task::Call { msg_id, body });
            } else {
                self.reply(moment, msg_id, Err(wait_failed()));
            }
        }
    }

    /// The same identifier again: the old answer, or word that it is being worked on.
    fn repeat(&mut self, msg_id: i64, state: State) {
        match state {
            State::Answered { answer, .. } if self.outbox.resend(answer) => {}
            State::Answered { .. } | State::Noted | State::Running | State::Dropped => {
                self.acknowledge(msg_id)
            }
            State::Container => {}
        }
    }

    fn refuse(&mut self, moment: Moment, message: &Message, code: i32) {
        let notification: enums::BadMsgNotification = types::BadMsgNotification {
            bad_msg_id: message.msg_id,
            bad_msg_seqno: message.seqno,
            error_code: code,
        }
        .into();
        self.outbox.service(moment.now, Kind::Reply, notification.to_bytes());
    }
}

/// A container's messages are older than it, well numbered, and no containers.
fn fits(outer: &Message, inner: &Message) -> bool {
    inner.msg_id < outer.msg_id && inner.msg_id & 3 == 0 && constructor(&inner.body) != CONTAINER
}

fn unreadable() -> RpcError {
    RpcError { code: 400, message: "INPUT_FETCH_ERROR".into() }
}

fn wait_failed() -> RpcError {
    RpcError { code: 400, message: "MSG_WAIT_FAILED".into() }
}
