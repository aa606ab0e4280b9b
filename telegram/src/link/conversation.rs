//! One conversation with a data centre: which requests go out under which numbers, and what comes of them.
//!
//! A machine without clock or socket: [`Conversation::ask`] and [`Conversation::handle`] take what there is,
//! [`Conversation::poll_packet`] and [`Conversation::poll_event`] give what has to be sent and told. Messages are numbered by
//! Telegram's own time; what Telegram refuses for its number goes out again under another, a few times and no more.
//! Rules: core.telegram.org/mtproto/description and .../service_messages_about_messages.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use grammers_crypto::{AuthKey, DequeBuffer};
use grammers_session::updates::UpdatesLike;
use grammers_tl_types as tl;
use grammers_tl_types::{Deserializable as _, Identifiable as _, Serializable as _};
use tokio::time::Instant;
use tracing::{debug, info};

use super::error::LinkError;
use super::gzip::{self, GZIP_PACKED};
use super::news::{self, constructor};
use super::packet::{self, CONTAINER, MESSAGE_HEAD, Message};
use super::salts::{self, Salts};
use super::time::{TelegramTime, number_at};

#[cfg(test)]
mod simulated;

const RPC_RESULT: u32 = 0xf35c_6d01;
/// Telegram closes connections on which a message is larger than a megabyte.
const LARGEST: usize = (1 << 20) - 4096;
/// So much goes into one packet, unless one request alone is larger.
const PACKET_BYTES: usize = 256 << 10;
const PACKET_MESSAGES: usize = 100;
/// What came is acknowledged with the next request, or after so long, or when it is so much.
const ACKS_WAIT: Duration = Duration::from_secs(10);
const MOST_ACKS: usize = 16;
/// Packets that may still be refused as a whole.
const PACKETS_KEPT: usize = 256;
/// Messages that are known when they come again.
const HEARD_KEPT: usize = 256;
/// Requests that are never answered are forgotten in the end.
const SENT_KEPT: usize = 4096;
/// Telegram ends a connection on which it heard no ping for so long, in seconds, and how often there is one.
const PING_LIMIT_S: i32 = 75;
const PING_EVERY: Duration = Duration::from_secs(60);
/// How often in a row what we send may be refused before the conversation ends, and how often one request, in how many
/// conversations whatever. Salt and time may both be wrong, so that two times it goes out again at once. What was under way
/// when Telegram told what is wrong counts for nothing.
const REFUSALS_AT_ONCE: u32 = 2;
const MOST_REFUSALS: u32 = 3;
const MOST_REFUSALS_OF_ONE: u32 = 6;
const REFUSED_PAUSE: Duration = Duration::from_millis(500);
/// Objects in objects.
const DEEPEST: u32 = 3;

/// Something for whoever runs the conversation.
pub(super) enum Event<T> {
    /// A request is over.
    Answer {
        /// Who asked.
        asker: T,
        /// For what.
        answer: Result<Vec<u8>, LinkError>,
    },
    /// Telegram tells something, or something it told was lost.
    News(Box<UpdatesLike>),
}

/// A request.
pub(super) struct Asked<T> {
    body: Vec<u8>,
    /// Nobody waits for a ping.
    asker: Option<T>,
    refusals: u32,
}

/// What a conversation leaves behind.
pub(super) struct Rest<T> {
    /// Requests that Telegram may or may not have taken.
    pub(super) lost: Vec<T>,
    /// Those that it has not.
    pub(super) unsent: Vec<Asked<T>>,
    /// They are the key's.
    pub(super) salts: Salts,
}

/// What went out together.
#[derive(Default)]
struct Packet {
    number: i64,
    /// How many went before it.
    place: u64,
    requests: Vec<i64>,
    acks: Vec<i64>,
}

/// A conversation whose requests are `T`'s.
pub(super) struct Conversation<T> {
    key: AuthKey,
    session_id: i64,
    time: Arc<TelegramTime>,
    salts: Salts,
    salts_asked: bool,
    last_number: i64,
    /// How many messages of ours want to be acknowledged.
    contents: i32,
    waiting: VecDeque<Asked<T>>,
    sent: BTreeMap<i64, Asked<T>>,
    packets: VecDeque<Packet>,
    /// How many there were.
    gone: u64,
    /// How many there were when Telegram last told what is wrong with them.
    corrected: u64,
    acks: Vec<i64>,
    acks_due: Instant,
    /// Answers that Telegram has and does not send by itself.
    wanted: Vec<i64>,
    heard: BTreeSet<i64>,
    /// Telegram said that it begins with us.
    began: bool,
    /// It answered something.
    proven: bool,
    refusals: u32,
    quiet_until: Option<Instant>,
    ping_at: Instant,
    /// Nothing came since the last ping.
    is_silent: bool,
    events: VecDeque<Event<T>>,
}

impl<T> Conversation<T> {
    /// Begins under a key. `session_id` is random.
    pub(super) fn new(
        key: [u8; 256],
        session_id: i64,
        salts: Salts,
        time: Arc<TelegramTime>,
        now: Instant,
    ) -> Self {
        Self {
            key: AuthKey::from_bytes(key),
            session_id,
            time,
            salts,
            salts_asked: false,
            last_number: 0,
            contents: 0,
            waiting: VecDeque::new(),
            sent: BTreeMap::new(),
            packets: VecDeque::new(),
            gone: 0,
            corrected: 0,
            acks: Vec::new(),
            acks_due: now,
            wanted: Vec::new(),
            heard: BTreeSet::new(),
            began: false,
            proven: false,
            refusals: 0,
            quiet_until: None,
            ping_at: now + PING_EVERY,
            is_silent: false,
            events: VecDeque::new(),
        }
    }

    /// Takes a request.
    pub(super) fn ask(&mut self, body: Vec<u8>, asker: T) {
        if body.len() > LARGEST {
            let answer = Err(LinkError::Gone("the request is larger than Telegram takes"));
            return self.events.push_back(Event::Answer { asker, answer });
        }
        self.waiting.push_back(Asked { body, asker: Some(asker), refusals: 0 });
    }

    /// Takes what another conversation left.
    pub(super) fn take_over(&mut self, unsent: Vec<Asked<T>>) {
        self.waiting.extend(unsent);
    }

    /// Leaves out requests that are not sent yet and that nobody waits for any more.
    pub(super) fn leave_out(&mut self, is_gone: impl Fn(&T) -> bool) {
        self.waiting.retain(|asked| !asked.asker.as_ref().is_some_and(&is_gone));
    }

    /// Takes a packet that came.
    ///
    /// # Errors
    /// When the conversation cannot go on.
    pub(super) fn handle(&mut self, packet: &mut [u8], now: Instant) -> Result<(), LinkError> {
        let opened = packet::open(&self.key, packet)?;
        if opened.session_id != self.session_id {
            return Err(LinkError::Garbled("it is for another session".to_owned()));
        }
        self.is_silent = false;
        self.take(opened.message, now, 0)
    }

    /// # Errors
    /// Nothing came since the last ping: nobody is there any more.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), LinkError> {
        if now >= self.ping_at {
            if std::mem::replace(&mut self.is_silent, true) {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "a ping is not answered").into());
            }
            self.ping_at = now + PING_EVERY;
            let ping_id = i64::from(crate::backoff::random_u32());
            let ping = tl::functions::PingDelayDisconnect { ping_id, disconnect_delay: PING_LIMIT_S };
            self.waiting.push_back(Asked { body: ping.to_bytes(), asker: None, refusals: 0 });
        }
        Ok(())
    }

    /// When there is a ping, whatever else waits.
    pub(super) fn ping_at(&self) -> Instant {
        self.ping_at
    }

    /// The next packet, sealed.
    pub(super) fn poll_packet(&mut self, now: Instant) -> Option<DequeBuffer<u8>> {
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        self.quiet_until = None;
        let acks_due = self.acks.len() >= MOST_ACKS || (!self.acks.is_empty() && now >= self.acks_due);
        if self.waiting.is_empty() && self.wanted.is_empty() && !acks_due {
            return None;
        }
        let time = self.time.at(now);
        let mut packet = Packet { acks: std::mem::take(&mut self.acks), ..Packet::default() };
        let mut messages = Vec::new();
        if !packet.acks.is_empty() {
            let acks = tl::enums::MsgsAck::Ack(tl::types::MsgsAck { msg_ids: packet.acks.clone() });
            messages.push(self.number(time, false, acks.to_bytes()));
        }
        if !self.wanted.is_empty() {
            let msg_ids = std::mem::take(&mut self.wanted);
            let wanted = tl::enums::MsgResendReq::Req(tl::types::MsgResendReq { msg_ids });
            messages.push(self.number(time, false, wanted.to_bytes()));
        }
        let salt = self.salts.at(time);
        if self.proven && self.salts.run_out() && !self.salts_asked {
            self.salts_asked = true;
            let body = tl::functions::GetFutureSalts { num: salts::ASKED }.to_bytes();
            self.waiting.push_front(Asked { body, asker: None, refusals: 0 });
        }
        let mut size = 0;
        while packet.requests.len() < PACKET_MESSAGES
            && let Some(next) =
                self.waiting.pop_front_if(|next| size == 0 || size + next.body.len() <= PACKET_BYTES)
        {
            let body = gzip::pack(&next.body).unwrap_or_else(|| next.body.clone());
            size += body.len() + MESSAGE_HEAD;
            let message = self.number(time, true, body);
            packet.requests.push(message.id);
            self.sent.insert(message.id, next);
            messages.push(message);
        }
        while self.sent.len() > SENT_KEPT {
            self.sent.pop_first();
        }
        let outer = (messages.len() > 1).then(|| (self.next_number(time), self.contents * 2));
        (packet.number, packet.place) = (self.last_number, self.gone);
        self.gone += 1;
        self.packets.push_back(packet);
        if self.packets.len() > PACKETS_KEPT {
            self.packets.pop_front();
        }
        Some(packet::seal(&self.key, salt, self.session_id, &messages, outer))
    }

    /// What there is to be told.
    pub(super) fn poll_event(&mut self) -> Option<Event<T>> {
        self.events.pop_front()
    }

    /// When something is due though nothing comes.
    pub(super) fn poll_timeout(&self) -> Instant {
        let acks = (!self.acks.is_empty()).then_some(self.acks_due);
        // Everything that could go at once has gone: what waits, waits for the end of the quiet.
        let waiting = if self.waiting.is_empty() { None } else { self.quiet_until };
        let acks = acks.map(|due| self.quiet_until.map_or(due, |until| until.max(due)));
        [acks, waiting].into_iter().flatten().fold(self.ping_at, Instant::min)
    }

    /// Ends it.
    pub(super) fn end(self) -> Rest<T> {
        let lost = self.sent.into_values().filter_map(|asked| asked.asker).collect();
        let unsent = self.waiting.into_iter().filter(|asked| asked.asker.is_some()).collect();
        Rest { lost, unsent, salts: self.salts }
    }

    fn take(&mut self, message: Message, now: Instant, depth: u32) -> Result<(), LinkError> {
        // core.telegram.org/mtproto/description#message-identifier-msg-id: all of Telegram's are odd.
        if message.id & 1 == 0 || depth > DEEPEST {
            return Err(LinkError::Garbled("wrongly numbered or packed".to_owned()));
        }
        self.time.hears(message.id, now);
        if message.is_content() && !self.acknowledge(message.id, now) {
            return Ok(());
        }
        let body = message.body.as_slice();
        match constructor(body) {
            None => return Err(LinkError::Garbled("empty".to_owned())),
            Some(CONTAINER) => {
                let inner = packet::unpack(body).ok_or_else(|| LinkError::Garbled("cut off".to_owned()))?;
                for inner in inner {
                    self.take(inner, now, depth + 1)?;
                }
            }
            Some(GZIP_PACKED) => {
                let body = gzip::unpack(body).map_err(|error| LinkError::Garbled(error.to_string()))?;
                // Its number is known by now.
                return self.take(Message { body, seqno: message.seqno & !1, ..message }, now, depth + 1);
            }
            Some(RPC_RESULT) => self.result(&message, now),
            Some(tl::types::Pong::CONSTRUCTOR_ID) => {
                if let Some(tl::enums::Pong::Pong(pong)) = read(body) {
                    self.answered(pong.msg_id, message.id, now, Ok(message.body));
                }
            }
            Some(
                tl::types::BadMsgNotification::CONSTRUCTOR_ID | tl::types::BadServerSalt::CONSTRUCTOR_ID,
            ) => {
                if let Some(notification) = read(body) {
                    self.refused(&notification, message.id, now)?;
                }
            }
            Some(tl::types::NewSessionCreated::CONSTRUCTOR_ID) => {
                if let Some(tl::enums::NewSession::Created(created)) = read(body) {
                    self.salts.told(created.server_salt);
                    if std::mem::replace(&mut self.began, true) {
                        info!("Telegram begins with us anew: news may be missing");
                        // It has forgotten these, whether it carried them out or not.
                        let later = self.sent.split_off(&created.first_msg_id);
                        let lost = std::mem::replace(&mut self.sent, later);
                        for asker in lost.into_values().filter_map(Asked::asker) {
                            let answer = Err(LinkError::Gone("Telegram forgot the request"));
                            self.events.push_back(Event::Answer { asker, answer });
                        }
                        self.events.push_back(Event::News(Box::new(UpdatesLike::MalformedUpdates)));
                    }
                }
            }
            Some(tl::types::FutureSalts::CONSTRUCTOR_ID) => {
                if let Some(tl::enums::FutureSalts::Salts(told)) = read(body)
                    && self.sent.remove(&told.req_msg_id).is_some()
                {
                    self.salts_asked = false;
                    self.salts.told_all(told.salts.0);
                }
            }
            Some(
                tl::types::MsgDetailedInfo::CONSTRUCTOR_ID | tl::types::MsgNewDetailedInfo::CONSTRUCTOR_ID,
            ) => {
                let answer = match read(body) {
                    Some(tl::enums::MsgDetailedInfo::Info(info)) => info.answer_msg_id,
                    Some(tl::enums::MsgDetailedInfo::MsgNewDetailedInfo(info)) => info.answer_msg_id,
                    None => return Ok(()),
                };
                if !self.heard.contains(&answer) {
                    self.wanted.push(answer);
                }
            }
            // It is answered anyway, or not of use to us.
            Some(
                tl::types::MsgsAck::CONSTRUCTOR_ID
                | tl::types::MsgsStateReq::CONSTRUCTOR_ID
                | tl::types::MsgsStateInfo::CONSTRUCTOR_ID
                | tl::types::MsgsAllInfo::CONSTRUCTOR_ID
                | tl::types::MsgResendReq::CONSTRUCTOR_ID
                | tl::types::FutureSalt::CONSTRUCTOR_ID
                | tl::types::DestroySessionOk::CONSTRUCTOR_ID
                | tl::types::DestroySessionNone::CONSTRUCTOR_ID
                | tl::types::HttpWait::CONSTRUCTOR_ID,
            ) => {}
            Some(_) => self.events.push_back(Event::News(Box::new(news::of_push(body)))),
        }
        Ok(())
    }

    /// Says that it came; whether it is the first time.
    fn acknowledge(&mut self, id: i64, now: Instant) -> bool {
        if self.acks.is_empty() {
            self.acks_due = now + ACKS_WAIT;
        }
        self.acks.push(id);
        // core.telegram.org/mtproto/security_guidelines#checking-msg-id
        let is_old = self.heard.len() >= HEARD_KEPT && self.heard.first().is_some_and(|first| id < *first);
        if is_old || !self.heard.insert(id) {
            return false;
        }
        if self.heard.len() > HEARD_KEPT {
            self.heard.pop_first();
        }
        true
    }

    fn result(&mut self, message: &Message, now: Instant) {
        let (Some(question), Some(result)) = (message.body.get(4..), message.body.get(12..)) else { return };
        let Some(question) = question.first_chunk().map(|bytes| i64::from_le_bytes(*bytes)) else { return };
        let answer = match constructor(result) {
            None => Err(LinkError::Unreadable("empty".to_owned())),
            Some(tl::types::RpcError::CONSTRUCTOR_ID) => match tl::enums::RpcError::from_bytes(result) {
                Ok(tl::enums::RpcError::Error(error)) => Err(LinkError::Rpc(error.into())),
                Err(error) => Err(error.into()),
            },
            Some(GZIP_PACKED) => {
                gzip::unpack(result).map_err(|error| LinkError::Unreadable(error.to_string()))
            }
            Some(_) => Ok(result.to_vec()),
        };
        self.answered(question, message.id, now, answer);
    }

    fn answered(&mut self, question: i64, answer_id: i64, now: Instant, answer: Result<Vec<u8>, LinkError>) {
        let Some(asked) = self.sent.remove(&question) else {
            debug!(question, "an answer to what was not asked");
            return;
        };
        self.time.answered(question, answer_id, now);
        self.proven = true;
        self.refusals = 0;
        if let Ok(answer) = &answer
            && let Some(news) = news::of_answer(&asked.body, answer)
        {
            self.events.push_back(Event::News(Box::new(news)));
        }
        if let Some(asker) = asked.asker {
            self.events.push_back(Event::Answer { asker, answer });
        }
    }

    /// Telegram took a message of ours for a wrong one (.../service_messages_about_messages#notice-of-ignored-error-message).
    fn refused(
        &mut self,
        notification: &tl::enums::BadMsgNotification,
        told_in: i64,
        now: Instant,
    ) -> Result<(), LinkError> {
        let (number, code) = match notification {
            tl::enums::BadMsgNotification::Notification(refused) => (refused.bad_msg_id, refused.error_code),
            tl::enums::BadMsgNotification::BadServerSalt(refused) => (refused.bad_msg_id, refused.error_code),
        };
        if let tl::enums::BadMsgNotification::BadServerSalt(refused) = notification {
            self.salts.told(refused.new_server_salt);
        }
        let at = self.packets.iter().position(|packet| packet.number == number);
        let mut is_under_way = false;
        let requests = if let Some(packet) = at.and_then(|at| self.packets.remove(at)) {
            is_under_way = packet.place < self.corrected;
            // What Telegram cannot judge may be there already.
            if code != 20 {
                self.acks.extend(packet.acks);
            }
            packet.requests
        } else if self.sent.contains_key(&number) {
            vec![number]
        } else {
            debug!(code, "what we did not send is refused");
            return Ok(());
        };
        self.time.answered(number, told_in, now);
        if code == 48 {
            debug!("another salt is good now");
        } else {
            info!(code, requests = requests.len(), "Telegram refuses what was sent");
        }
        let is_taken = |packet: &&Packet| packet.number < number;
        match code {
            // Too early: numbers go on from the last one that Telegram may have taken.
            17 => {
                self.last_number =
                    self.packets.iter().filter(is_taken).map(|packet| packet.number).max().unwrap_or(0);
            }
            16 | 48 => {}
            // Nobody knows whether it was taken before.
            20 => {
                self.fail(&requests, code);
                return Ok(());
            }
            // It is our count that is wrong, and another conversation begins a new one.
            _ => {
                self.fail(&requests, code);
                return Err(LinkError::Refused { code });
            }
        }
        for number in requests.into_iter().rev() {
            let Some(mut asked) = self.sent.remove(&number) else { continue };
            asked.refusals += 1;
            if asked.refusals < MOST_REFUSALS_OF_ONE {
                self.waiting.push_front(asked);
            } else if let Some(asker) = asked.asker {
                self.events.push_back(Event::Answer { asker, answer: Err(LinkError::Refused { code }) });
            }
        }
        if is_under_way {
            return Ok(());
        }
        self.corrected = self.gone;
        self.refusals += 1;
        if self.refusals > MOST_REFUSALS {
            return Err(LinkError::Refused { code });
        }
        if let Some(more) = self.refusals.checked_sub(REFUSALS_AT_ONCE).filter(|more| *more > 0) {
            self.quiet_until = Some(now + REFUSED_PAUSE * more);
        }
        Ok(())
    }

    fn fail(&mut self, requests: &[i64], code: i32) {
        for number in requests {
            if let Some(Asked { asker: Some(asker), .. }) = self.sent.remove(number) {
                self.events.push_back(Event::Answer { asker, answer: Err(LinkError::Refused { code }) });
            }
        }
    }

    fn number(&mut self, time: Duration, content: bool, body: Vec<u8>) -> Message {
        let id = self.next_number(time);
        let seqno = self.contents * 2 + i32::from(content);
        self.contents += i32::from(content);
        Message { id, seqno, body }
    }

    fn next_number(&mut self, time: Duration) -> i64 {
        self.last_number = number_at(time).max(self.last_number + 4);
        self.last_number
    }
}

impl<T> Asked<T> {
    /// Who waits for it.
    pub(super) fn asker(self) -> Option<T> {
        self.asker
    }
}

fn read<R: tl::Deserializable>(body: &[u8]) -> Option<R> {
    R::from_bytes(body).ok()
}
