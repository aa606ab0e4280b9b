//! What a running program says: its greeting, its replies, its events, and how an asker reads them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::control::VERSION;
use crate::control::action_token::{ActionTokenInfo, NewActionToken};
use crate::control::bots::{ApiTokenInfo, BotCheck, BotPerson, NewApiToken};
use crate::control::check::Check;
use crate::control::event::{CallInfo, Event};
use crate::control::instance::{InstanceInfo, NewToken};
use crate::control::letter::LetterInfo;
use crate::control::log::LogTail;
use crate::control::login::LoginInfo;
use crate::control::record::CallRecord;
use crate::control::request::Ask;
use crate::said::Said;
use crate::secret::{LoginToken, Password};
use crate::status::{BotStatus, ClientStatus, GatewayStatus};
use crate::units::{CallId, Phone};

/// The first line on every connection: `{"hello":"tgtrunk-gateway","version":1,"pid":4711}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The program.
    pub hello: String,
    /// Version of the contract, [`VERSION`].
    pub version: u32,
    /// The program's process.
    pub pid: u32,
}

/// The reply to one request: `{"id":1,"ok":…}` or `{"id":1,"error":{"code":…,"message":…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The request's id; null when the request had none that could be read.
    pub id: Option<u64>,
    /// The answer or the refusal.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Exactly one of the two stands in a reply.
#[expect(clippy::large_enum_variant, reason = "nearly all of it is answers")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done.
    Ok(Answer),
    /// It was not done.
    Error(Refusal),
}

/// What comes under `ok`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To `subscribe`, `hang_up`, `send_digits`, `remove_line`, `reset_line`, `restart_line`, `watch_levels`,
    /// `remove_bot`, `bring_updates`, `skip_update`, `revoke_action_token` and `revoke_api_token`, and to `export_login` once somebody is logged in: `"done"`.
    Done,
    /// The gateway's to `status` and `reload`.
    Status(StatusReport),
    /// The client's to `status` and `reload`.
    Clients(ClientReport),
    /// The bot's to `status` and `reload`.
    Bots(BotReport),
    /// To `calls`.
    Calls(Vec<CallInfo>),
    /// To `add_line`: the line as it runs.
    Line(LineInfo),
    /// To `join_call`: the call, which has begun, or was begun under the same key before and may be over.
    Call {
        /// Which.
        call: CallId,
    },
    /// To `accept_login`: the other session is let in.
    Accepted {
        /// The account's password, if it has one and the gateway was told it a moment ago. Telegram asks the other
        /// session for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<Password>,
    },
    /// To `export_login` while nobody is logged in: what the account's own session has to accept.
    LoginToken {
        /// The token.
        token: LoginToken,
        /// Until when it can be accepted, in milliseconds since 1970 (UTC).
        expires_ms: u64,
    },
    /// To `login` and to each of its steps, `log_out` among them: what is needed now.
    Login(LoginInfo),
    /// To `checks` and `fix_check`: what was found.
    Checks(Vec<Check>),
    /// To `records`.
    Records {
        /// The newest first.
        records: Vec<CallRecord>,
        /// How many there are in all.
        total: u64,
    },
    /// To `log`.
    Log(LogTail),
    /// To `check_bot` and `add_bot`.
    Bot(BotCheck),
    /// To `people`: those who wrote to the bot, the latest first, as many as one answer holds.
    People(Vec<BotPerson>),
    /// To `instances`.
    Instances(Vec<InstanceInfo>),
    /// To `renew_token`.
    NewToken(NewToken),
    /// To `make_action_token`.
    NewActionToken(NewActionToken),
    /// To `action_tokens`.
    ActionTokens(Vec<ActionTokenInfo>),
    /// To `api_tokens`.
    ApiTokens(Vec<ApiTokenInfo>),
    /// To `make_api_token`.
    NewApiToken(NewApiToken),
    /// To `bot_messages`, in the words of tgtrunk-messages (`Told`).
    BotMessages(Value),
    /// To `write_to`.
    Letter(LetterInfo),
}

/// All lines at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StatusReport {
    /// The lines that run, are tried again, or are switched off.
    pub lines: Vec<LineInfo>,
    /// What is wrong with lines that do not run, as sentences for people.
    pub problems: Vec<Said>,
}

/// All lines of the client at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClientReport {
    /// The lines that run, are tried again, or are switched off.
    pub lines: Vec<ClientStatus>,
    /// What is wrong with lines that do not run, as sentences for people.
    pub problems: Vec<Said>,
}

/// All bots at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BotReport {
    /// The bots that run or are tried again.
    pub bots: Vec<BotStatus>,
    /// What is wrong with bots that do not run, as sentences for people.
    pub problems: Vec<Said>,
}

/// A line with what a person needs to find it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineInfo {
    /// Where the PBX reaches it, as `127.0.0.1:30001`.
    pub sip: String,
    /// The PBX, as `127.0.0.1:5060`.
    pub pbx: String,
    /// Its lamps.
    pub status: GatewayStatus,
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// For people: the key, the value and what is allowed.
    pub message: String,
}

/// Why a request was not done, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The request cannot be understood.
    BadRequest,
    /// No such call is up.
    UnknownCall,
    /// The call has no audio to the PBX yet, or any more.
    NoAudio,
    /// Too many keys of this call wait already.
    Full,
    /// No such line.
    UnknownLine,
    /// No such bot.
    UnknownBot,
    /// Nobody at Telegram has that number or name, or they do not let themselves be found by it; or the bot has given that key
    /// to nobody.
    UnknownPerson,
    /// There is such a line already.
    LineExists,
    /// The line's settings are wrong.
    BadLine,
    /// The line's account is not logged in.
    NotAuthorized,
    /// Telegram refused; the message says what it said.
    Telegram,
    /// Telegram does not know the bot's token.
    BadToken,
    /// A token with that label is there already.
    LabelTaken,
    /// There is no such token, or it is dead already.
    UnknownToken,
    /// No such update waits for a program.
    UnknownUpdate,
    /// Telegram cannot be reached now.
    Unreachable,
    /// The line has as many calls as it may, or may call nobody at this time.
    Limit,
    /// The line has called or looked up as many strangers today as it may.
    Strangers,
    /// The line's rules never let this person be called.
    Forbidden,
    /// The program is stopping.
    Stopping,
    /// Something broke on our side; the message says what.
    Internal,
}

/// A line from a program, as an asker reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The greeting.
    Hello(Hello),
    /// A reply.
    Reply(Reply),
    /// An event.
    Event(Event),
}

/// A line from a program that this asker cannot read.
#[derive(Debug, thiserror::Error)]
pub enum HeardError {
    /// The other program speaks another version of the contract.
    #[error(
        "{program} speaks version {theirs} of the control contract and this program version {VERSION}: install both from one release and restart"
    )]
    Version {
        /// The other program.
        program: String,
        /// Its version.
        theirs: u32,
    },
    /// Not a message of this contract.
    #[error("not a control message: {0}")]
    Unreadable(#[from] serde_json::Error),
}

impl Hello {
    /// The greeting of this version.
    pub fn new(program: &str, pid: u32) -> Self {
        Self { hello: program.to_owned(), version: VERSION, pid }
    }
}

impl Reply {
    /// A request was done.
    pub fn ok(id: u64, answer: Answer) -> Self {
        Self { id: Some(id), outcome: Outcome::Ok(answer) }
    }

    /// A request was not done.
    pub fn error(id: Option<u64>, code: RefusalCode, message: impl Into<String>) -> Self {
        Self { id, outcome: Outcome::Error(Refusal { code, message: message.into() }) }
    }

    /// The answer or the refusal.
    ///
    /// # Errors
    /// The refusal.
    pub fn into_result(self) -> Result<Answer, Refusal> {
        match self.outcome {
            Outcome::Ok(answer) => Ok(answer),
            Outcome::Error(refusal) => Err(refusal),
        }
    }
}

impl Refusal {
    /// The message in both languages; the Russian one says as much as the code does, and is empty where that is too little.
    pub fn said(&self) -> Said {
        let ru = match self.code {
            RefusalCode::BadToken => {
                "Telegram не знает этого токена: возьмите его заново у @BotFather (/mybots, API Token)"
            }
            RefusalCode::LabelTaken => {
                "токен с таким названием уже есть: отзовите его или назовите новый иначе"
            }
            RefusalCode::UnknownToken => "такого токена нет: он уже отозван",
            RefusalCode::UnknownUpdate => "это обновление больше не ждёт: его уже приняли или пропустили",
            RefusalCode::Unreachable => {
                "Telegram сейчас недоступен: проверьте сеть и прокси в настройках и попробуйте ещё раз"
            }
            RefusalCode::UnknownCall => "такого звонка нет: он уже закончился",
            RefusalCode::NoAudio => "в звонке ещё нет звука в сторону АТС",
            RefusalCode::Full => "в этом звонке и так ждут слишком много клавиш",
            RefusalCode::UnknownLine => "такой линии нет",
            RefusalCode::UnknownBot => "такого бота нет",
            RefusalCode::UnknownPerson => "такого человека нет, или он не даёт себя найти",
            RefusalCode::LineExists => "такая линия уже есть",
            RefusalCode::NotAuthorized => "линия не авторизована в Telegram: войдите в её аккаунт",
            RefusalCode::Limit => "на линии столько звонков, сколько ей разрешено",
            RefusalCode::Strangers => {
                "линия обратилась сегодня к стольким незнакомым людям, сколько ей разрешено"
            }
            RefusalCode::Forbidden => "правила линии не разрешают звонить этому человеку",
            RefusalCode::Stopping => "программа останавливается: попробуйте ещё раз чуть позже",
            RefusalCode::BadRequest
            | RefusalCode::BadLine
            | RefusalCode::Telegram
            | RefusalCode::Internal => "",
        };
        Said::new(self.message.as_str(), ru)
    }

    /// The word of a program that was asked what another one answers.
    pub fn not_here(program: &str, ask: &Ask) -> Self {
        Self { code: RefusalCode::BadRequest, message: format!("{program} has no {}", ask.word()) }
    }
}

impl Heard {
    /// Reads a line from a program.
    ///
    /// # Errors
    /// [`HeardError::Version`] for a greeting of another version, [`HeardError::Unreadable`] for anything unknown.
    pub fn from_line(line: &str) -> Result<Self, HeardError> {
        let value: Value = serde_json::from_str(line)?;
        if value.get("hello").is_some() {
            let hello: Hello = serde_json::from_value(value)?;
            if hello.version != VERSION {
                return Err(HeardError::Version { program: hello.hello, theirs: hello.version });
            }
            Ok(Self::Hello(hello))
        } else if value.get("event").is_some() {
            Ok(Self::Event(serde_json::from_value(value)?))
        } else {
            Ok(Self::Reply(serde_json::from_value(value)?))
        }
    }
}

impl StatusReport {
    /// The entry of one line.
    pub fn line(&self, phone: &Phone) -> Option<&LineInfo> {
        self.lines.iter().find(|line| line.status.line == *phone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::to_line;
    use crate::control::{BadRequest, Request};

    #[test]
    fn replies_have_the_shape_that_version_1_promises() {
        let shape = |reply: &Reply| serde_json::to_value(reply).unwrap();
        assert_eq!(shape(&Reply::ok(1, Answer::Done)), serde_json::json!({"id": 1, "ok": "done"}));
        assert_eq!(
            shape(&Reply::ok(2, Answer::Calls(vec![]))),
            serde_json::json!({"id": 2, "ok": {"calls": []}})
        );
        let refused = Reply::error(None, RefusalCode::BadRequest, "id is missing");
        let promised =
            serde_json::json!({"id": null, "error": {"code": "bad_request", "message": "id is missing"}});
        assert_eq!(shape(&refused), promised);
    }

    #[test]
    fn answers_of_logins_and_joined_calls_have_the_shape_that_version_1_promises() {
        let token = LoginToken::new(&[0xfb, 0xff]).unwrap();
        for (answer, promised) in [
            (Answer::Call { call: CallId(0xa1) }, serde_json::json!({"call": {"call": "00000000000000a1"}})),
            (Answer::Accepted { password: None }, serde_json::json!({"accepted": {}})),
            (
                Answer::Accepted { password: Some(Password::new("hidden")) },
                serde_json::json!({"accepted": {"password": "hidden"}}),
            ),
            (
                Answer::LoginToken { token, expires_ms: 5 },
                serde_json::json!({"login_token": {"token": "-_8", "expires_ms": 5}}),
            ),
            (
                Answer::Clients(ClientReport::default()),
                serde_json::json!({"clients": {"lines": [], "problems": []}}),
            ),
            (Answer::Bots(BotReport::default()), serde_json::json!({"bots": {"bots": [], "problems": []}})),
        ] {
            assert!(!format!("{answer:?}").contains("hidden"));
            assert_eq!(serde_json::to_value(&answer).unwrap(), promised);
            assert_eq!(serde_json::from_value::<Answer>(promised).unwrap(), answer);
        }
    }

    #[test]
    fn refusals_have_the_words_that_version_1_promises() {
        for (code, word) in [
            (RefusalCode::NotAuthorized, "not_authorized"),
            (RefusalCode::Telegram, "telegram"),
            (RefusalCode::BadToken, "bad_token"),
            (RefusalCode::UnknownPerson, "unknown_person"),
            (RefusalCode::Unreachable, "unreachable"),
            (RefusalCode::LabelTaken, "label_taken"),
            (RefusalCode::UnknownToken, "unknown_token"),
            (RefusalCode::UnknownUpdate, "unknown_update"),
            (RefusalCode::Limit, "limit"),
            (RefusalCode::Strangers, "strangers"),
            (RefusalCode::Forbidden, "forbidden"),
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), word);
        }
        let refusal = Refusal::not_here("tgtrunk-client", &Ask::HangUp { call: CallId(1) });
        assert_eq!(refusal.code, RefusalCode::BadRequest);
        assert_eq!(refusal.message, "tgtrunk-client has no hang_up");
        assert_eq!(refusal.said(), Said::from("tgtrunk-client has no hang_up"));
        let refusal = Refusal { code: RefusalCode::UnknownBot, message: "there is no bot @x_bot".into() };
        assert_eq!(refusal.said(), Said::new("there is no bot @x_bot", "такого бота нет"));
    }

    #[test]
    fn an_asker_reads_greeting_replies_and_events_from_one_stream() {
        let line: Phone = "+79060000000".parse().unwrap();
        let info = LineInfo {
            sip: "127.0.0.1:30001".into(),
            pbx: "127.0.0.1:5060".into(),
            status: GatewayStatus::waiting(line.clone(), 1, 2),
        };
        let report = StatusReport { lines: vec![info.clone()], problems: vec![Said::new("x", "ы")] };
        assert_eq!(report.line(&line), Some(&info));
        for reply in [
            Reply::ok(1, Answer::Status(report)),
            Reply::ok(2, Answer::Line(info)),
            Reply::ok(3, Answer::Done),
            Reply::error(Some(4), RefusalCode::UnknownCall, "no call 00000000000000a1 is up"),
        ] {
            assert_eq!(Heard::from_line(&to_line(&reply)).unwrap(), Heard::Reply(reply));
        }
        let hello = Hello::new("tgtrunk-gateway", 4711);
        assert_eq!(Heard::from_line(&to_line(&hello)).unwrap(), Heard::Hello(hello));
        let event = Event::LineRemoved { line };
        assert_eq!(Heard::from_line(&to_line(&event)).unwrap(), Heard::Event(event));
    }

    #[test]
    fn a_greeting_of_another_version_says_what_to_do() {
        let told = Heard::from_line(r#"{"hello":"tgtrunk-gateway","version":9,"pid":1}"#).unwrap_err();
        assert_eq!(
            told.to_string(),
            "tgtrunk-gateway speaks version 9 of the control contract and this program version 1: install both from one release and restart"
        );
        let told = Heard::from_line(r#"{"id":1}"#).unwrap_err().to_string();
        assert!(told.starts_with("not a control message: "), "{told}");
    }

    #[test]
    fn a_bad_request_becomes_a_refusal_with_its_id() {
        let BadRequest { id, message } = Request::from_line(r#"{"id":5,"do":"x"}"#).unwrap_err();
        let refusal = Reply::error(id, RefusalCode::BadRequest, message).into_result().unwrap_err();
        assert_eq!(refusal.code, RefusalCode::BadRequest);
        assert!(refusal.to_string().starts_with(r#"do = "x": want one of status, "#));
        let asked = Request { id: 1, ask: Ask::HangUp { call: CallId(1) } };
        assert_eq!(Request::from_line(&to_line(&asked)).unwrap(), asked);
    }
}
