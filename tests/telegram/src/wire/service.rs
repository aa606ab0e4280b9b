//! Service messages of a session (core.telegram.org/mtproto/service_messages and .../service_messages_about_messages).

use std::time::Duration;

use grammers_tl_types::{Cursor, Deserializable, Identifiable, Serializable, enums, functions, types};

use crate::wire::container::{Message, constructor};
use crate::wire::outbox::Kind;
use crate::wire::received::State;
use crate::wire::session::{Moment, RpcError, Session, Task};

/// Longest delay of `ping_delay_disconnect` that is honoured.
const LONGEST_DELAY: i32 = 3600;

impl Session {
    /// Serves a service message. Says whether it was one, readable or not.
    pub(super) fn serve(&mut self, moment: Moment, message: &Message) -> bool {
        let mut cursor = Cursor::from_slice(message.body.get(4..).unwrap_or_default());
        let known = match constructor(&message.body) {
            types::MsgsAck::CONSTRUCTOR_ID => self.acknowledged(message, &mut cursor),
            functions::Ping::CONSTRUCTOR_ID => self.ping(moment, message, &mut cursor),
            functions::PingDelayDisconnect::CONSTRUCTOR_ID => self.ping_delay(moment, message, &mut cursor),
            functions::GetFutureSalts::CONSTRUCTOR_ID => self.future_salts(message, &mut cursor),
            functions::RpcDropAnswer::CONSTRUCTOR_ID => self.drop_answer(moment, message, &mut cursor),
            types::MsgsStateReq::CONSTRUCTOR_ID => self.state_request(moment, message, &mut cursor),
            types::MsgResendReq::CONSTRUCTOR_ID | types::MsgResendAnsReq::CONSTRUCTOR_ID => {
                self.resend_request(moment, message, &mut cursor)
            }
            functions::DestroySession::CONSTRUCTOR_ID => self.destroy_session(message, &mut cursor),
            functions::DestroyAuthKey::CONSTRUCTOR_ID => {
                self.note(message);
                self.tasks.push_back(Task::DestroyKey);
                Some(())
            }
            functions::auth::BindTempAuthKey::CONSTRUCTOR_ID => {
                self.received.note(message.msg_id, message.seqno, State::Running);
                let error = RpcError { code: 400, message: "ENCRYPTED_MESSAGE_INVALID".into() };
                self.reply(moment, message.msg_id, Err(error));
                Some(())
            }
            types::HttpWait::CONSTRUCTOR_ID
            | types::MsgsAllInfo::CONSTRUCTOR_ID
            | types::MsgsStateInfo::CONSTRUCTOR_ID
            | types::MsgDetailedInfo::CONSTRUCTOR_ID
            | types::MsgNewDetailedInfo::CONSTRUCTOR_ID => None,
            _ => return false,
        };
        if known.is_none() {
            self.note(message);
            if message.seqno & 1 == 1 {
                self.acknowledge(message.msg_id);
            }
        }
        true
    }

    /// `future_salts`, which the key ring knows.
    pub(crate) fn tell_future_salts(
        &mut self,
        moment: Moment,
        req_msg_id: i64,
        salts: Vec<types::FutureSalt>,
    ) {
        let salts = types::FutureSalts {
            req_msg_id,
            now: moment.now.as_secs() as i32,
            salts: grammers_tl_types::RawVec(salts),
        };
        self.outbox.service(moment.now, Kind::Reply, enums::FutureSalts::Salts(salts).to_bytes());
    }

    /// The answer to `destroy_session`.
    pub(crate) fn tell_destroyed(&mut self, moment: Moment, session_id: i64, was_there: bool) {
        let answer: enums::DestroySessionRes = match was_there {
            true => types::DestroySessionOk { session_id }.into(),
            false => types::DestroySessionNone { session_id }.into(),
        };
        self.outbox.service(moment.now, Kind::Reply, answer.to_bytes());
    }

    /// The answer to `destroy_auth_key`.
    pub(crate) fn tell_key_destroyed(&mut self, moment: Moment) {
        let answer = enums::DestroyAuthKeyRes::DestroyAuthKeyOk;
        self.outbox.service(moment.now, Kind::Reply, answer.to_bytes());
    }

    fn acknowledged(&mut self, message: &Message, cursor: &mut Cursor) -> Option<()> {
        let acks: types::MsgsAck = read(cursor)?;
        for msg_id in acks.msg_ids {
            self.outbox.acknowledge(msg_id);
        }
        self.note(message);
        Some(())
    }

    fn ping(&mut self, moment: Moment, message: &Message, cursor: &mut Cursor) -> Option<()> {
        let ping: functions::Ping = read(cursor)?;
        self.pong(moment, message, ping.ping_id);
        Some(())
    }

    fn ping_delay(&mut self, moment: Moment, message: &Message, cursor: &mut Cursor) -> Option<()> {
        let ping: functions::PingDelayDisconnect = read(cursor)?;
        self.pong(moment, message, ping.ping_id);
        self.disconnect_after =
            Some(Duration::from_secs(ping.disconnect_delay.clamp(0, LONGEST_DELAY) as u64));
        Some(())
    }

    fn pong(&mut self, moment: Moment, message: &Message, ping_id: i64) {
        self.note(message);
        let pong: enums::Pong = types::Pong { msg_id: message.msg_id, ping_id }.into();
        self.outbox.service(moment.now, Kind::Reply, pong.to_bytes());
    }

    fn future_salts(&mut self, message: &Message, cursor: &mut Cursor) -> Option<()> {
        let request: functions::GetFutureSalts = read(cursor)?;
        self.note(message);
        self.tasks.push_back(Task::FutureSalts { msg_id: message.msg_id, count: request.num });
        Some(())
    }

    fn drop_answer(&mut self, moment: Moment, message: &Message, cursor: &mut Cursor) -> Option<()> {
        let request: functions::RpcDropAnswer = read(cursor)?;
        self.received.note(message.msg_id, message.seqno, State::Running);
        let unknown = enums::RpcDropAnswer::RpcAnswerUnknown;
        let answer = match self.received.state(request.req_msg_id) {
            Some(State::Running) if request.req_msg_id != message.msg_id => {
                let running = enums::RpcDropAnswer::RpcAnswerDroppedRunning;
                self.reply(moment, request.req_msg_id, Ok(running.to_bytes()));
                self.received.set(request.req_msg_id, State::Dropped);
                running
            }
            Some(State::Answered { answer, .. }) => match self.outbox.remove(answer) {
                Some(dropped) => {
                    let (msg_id, seq_no, bytes) = (dropped.msg_id, dropped.seqno, dropped.body.len() as i32);
                    types::RpcAnswerDropped { msg_id, seq_no, bytes }.into()
                }
                None => unknown,
            },
            _ => unknown,
        };
        self.reply(moment, message.msg_id, Ok(answer.to_bytes()));
        Some(())
    }

    fn state_request(&mut self, moment: Moment, message: &Message, cursor: &mut Cursor) -> Option<()> {
        let request: types::MsgsStateReq = read(cursor)?;
        self.note(message);
        self.tell_states(moment, message.msg_id, &request.msg_ids);
        Some(())
    }

    /// `msg_resend_req` names our messages, `msg_resend_ans_req` the client's requests; what is gone is told by its state.
    fn resend_request(&mut self, moment: Moment, message: &Message, cursor: &mut Cursor) -> Option<()> {
        let msg_ids: Vec<i64> = read(cursor)?;
        self.note(message);
        let mut gone = false;
        for msg_id in &msg_ids {
            let ours = match self.received.state(*msg_id) {
                Some(State::Answered { answer, .. }) => answer,
                _ => *msg_id,
            };
            gone |= !self.outbox.resend(ours);
        }
        if gone {
            self.tell_states(moment, message.msg_id, &msg_ids);
        }
        Some(())
    }

    fn tell_states(&mut self, moment: Moment, req_msg_id: i64, msg_ids: &[i64]) {
        let info = msg_ids.iter().map(|msg_id| self.received.status(*msg_id)).collect();
        let info: enums::MsgsStateInfo = types::MsgsStateInfo { req_msg_id, info }.into();
        self.outbox.service(moment.now, Kind::Reply, info.to_bytes());
    }

    fn destroy_session(&mut self, message: &Message, cursor: &mut Cursor) -> Option<()> {
        let request: functions::DestroySession = read(cursor)?;
        self.note(message);
        self.tasks.push_back(Task::DestroySession { session_id: request.session_id });
        Some(())
    }

    fn note(&mut self, message: &Message) {
        self.received.note(message.msg_id, message.seqno, State::Noted);
    }
}

fn read<T: Deserializable>(cursor: &mut Cursor) -> Option<T> {
    T::deserialize(cursor).ok()
}
