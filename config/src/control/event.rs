//! What a running program tells without being asked again: calls, lamps and logins, as they change.

use serde::{Deserialize, Serialize};

use crate::bot_name::BotName;
use crate::control::login::LoginInfo;
use crate::control::pbx_side::PbxSide;
use crate::control::quality::{Muted, Quality};
use crate::control::record::{Levels, Recording};
use crate::language::Language;
use crate::status::{BotStatus, ClientStatus, GatewayStatus};
use crate::units::{CallId, Digit, Phone, UserId};

/// Something happened. The word in `event` says what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A call came, moved on or ended.
    Call(CallInfo),
    /// Somebody pressed a key.
    Digit(DigitInfo),
    /// A line's lamps changed, or the line is new.
    Line(GatewayStatus),
    /// A line was taken away.
    LineRemoved {
        /// Which.
        line: Phone,
    },
    /// A line's lamps at the client changed, or the line is new there.
    Client(ClientStatus),
    /// A bot's lamps changed, or the bot is new.
    Bot(BotStatus),
    /// A bot was taken away.
    BotRemoved {
        /// Which.
        bot: BotName,
    },
    /// The login of this program's session of a line moved on.
    Login(LoginInfo),
    /// How loud both sides of a call are, while somebody watches it (`watch_levels`).
    Levels(Levels),
    /// The reader was too slow: so many events were left out. `status` and `calls` tell what holds now.
    Lagged {
        /// How many events are missing here.
        missed: u64,
    },
}

/// One call, as it is now. Times are milliseconds since 1970 (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallInfo {
    /// The call.
    pub call: CallId,
    /// Its line.
    pub line: Phone,
    /// Who called whom.
    pub direction: Direction,
    /// How far it is.
    pub state: CallState,
    /// The person at Telegram's end.
    pub peer: Peer,
    /// What the PBX dialled, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialled: Option<String>,
    /// Who at the PBX was asked to ring first. Only in a call that `join_call` began, whose direction is
    /// `pbx-to-telegram`: it is `dialling` while the extension rings, `ringing` while the person's device does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// Which rule of the line kept a Telegram caller from the line's own number at the PBX. Such a call has `ended` at
    /// once, or reaches another extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_by: Option<RefusedBy>,
    /// Telegram's own id of the call, once it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telegram_call: Option<i64>,
    /// The four emoji that both ends of the Telegram leg see, once the keys are agreed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
    /// What the PBX's side of it is.
    #[serde(flatten)]
    pub trunk: TrunkEnd,
    /// Its recording, also where that is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recording>,
    /// When it began.
    pub started_ms: u64,
    /// When the called side rang.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ringing_ms: Option<u64>,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_ms: Option<u64>,
    /// From answer to end, in milliseconds. 0 for a call that was not answered. Only with `ended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// How it ended. Only with `ended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<CallEnd>,
    /// How it sounds, once it has audio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Box<Quality>>,
    /// Who has switched the microphone off. Left out while nobody has.
    #[serde(default, skip_serializing_if = "Muted::is_nobody")]
    pub muted: Muted,
    /// Who is at the PBX's end, where the PBX tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pbx: Option<Box<PbxSide>>,
}

/// A key that somebody pressed. Told once, when it is known how long it was held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigitInfo {
    /// In which call.
    pub call: CallId,
    /// On which line.
    pub line: Phone,
    /// Who pressed it.
    pub from: Side,
    /// Which key.
    pub digit: Digit,
    /// How long it was held, in milliseconds.
    pub duration_ms: u32,
    /// How it came.
    pub way: DigitWay,
}

/// An end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The person on Telegram.
    Telegram,
    /// The PBX.
    Pbx,
}

/// How a key came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DigitWay {
    /// As an event beside the audio (RFC 4733).
    Rfc4733,
    /// In SIP INFO.
    Info,
    /// As a tone among the sound.
    InBand,
}

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A Telegram user called the company.
    TelegramToPbx,
    /// The company called a Telegram user.
    PbxToTelegram,
}

/// A rule of a line that a caller met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedBy {
    /// The lists of callers.
    List,
    /// The hours.
    Hours,
    /// The number of calls in a minute.
    Rate,
}

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// A Telegram user calls; the PBX is being asked.
    Incoming,
    /// The PBX calls; the person's device has not been reached yet.
    Dialling,
    /// The called side rings.
    Ringing,
    /// Both sides talk.
    Answered,
    /// Over.
    Ended,
}

/// The person at Telegram's end, as far as the account may see.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Peer {
    /// Telegram id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<UserId>,
    /// First and last name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Public username, without `@`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Phone number, as Telegram shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// The PBX's side of a call, as far as the PBX tells.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TrunkEnd {
    /// Call-ID (RFC 3261 section 8.1.1.4): by it the PBX's own log knows the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_call_id: Option<String>,
    /// Who took it at the PBX: number or name of P-Asserted-Identity, Remote-Party-ID or Contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<String>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEnd {
    /// Which end ended it. Of a call that `join_call` began and nobody answered: `pbx` where the extension did not come,
    /// `telegram` where the person did not (busy, declined, no answer), `gateway` where the person could not be called at
    /// all, or somebody stopped it.
    pub by: Ender,
    /// Why, in a word or a short sentence.
    pub cause: String,
    /// The SIP status that the PBX saw or gave, if the call ended before it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_status: Option<u16>,
    /// The cause of ITU-T Q.850, as in the Reason header (RFC 3326).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q850: Option<u8>,
}

impl CallEnd {
    /// Why, for people of this language; words that are not known stay as they are.
    pub fn words(&self, language: Language) -> &str {
        let russian =
            || CAUSES.iter().find(|(english, _)| *english == self.cause).map(|(_, russian)| *russian);
        match language {
            Language::English => &self.cause,
            Language::Russian => russian().unwrap_or(&self.cause),
        }
    }
}

/// The gateway's words for causes, in Russian.
const CAUSES: &[(&str, &str)] = &[
    ("Normal call clearing", "обычное завершение"),
    ("User busy", "занято"),
    ("No answer from user", "не отвечает"),
    ("Call rejected", "отклонён"),
    ("Invalid number format", "набран не номер и не имя"),
    ("Incompatible destination", "нет общего кодека или протокола"),
    ("Temporary failure", "временный сбой"),
    ("Daily limit of strangers reached", "исчерпан дневной лимит незнакомых"),
    ("Not allowed by the line's lists", "запрещено списками линии"),
    ("Too many calls in a minute", "слишком много звонков в минуту"),
    ("Too many calls in an hour", "слишком много звонков за час"),
    ("The minutes of the day are used up", "минуты разговоров на сегодня исчерпаны"),
    ("Quiet hours of the line", "линия в это время не звонит"),
    ("Outside the line's hours", "нерабочее время линии"),
    ("The caller gave up", "звонящий не дождался"),
    ("Answered elsewhere", "ответили на другом устройстве"),
    ("The other side lost the call", "другая сторона потеряла звонок"),
    ("Forbidden by privacy settings", "запрещено настройками конфиденциальности"),
    ("Blocked", "заблокирован"),
    ("The account is deleted", "аккаунт удалён"),
    ("Not found at Telegram", "в Telegram такого нет"),
    ("Telegram wants no calls for a while", "Telegram просит пока не звонить"),
    ("Telegram took calls to strangers for spam", "Telegram принял звонки незнакомым за спам"),
    ("The line is not connected to Telegram", "линия не подключена к Telegram"),
    ("The line has as many calls as it may have", "у линии уже столько звонков, сколько разрешено"),
    ("Answered, but no sound came", "ответили, но звук не пошёл"),
    ("Sound was lost", "звук пропал"),
    ("The PBX does not answer", "АТС не отвечает"),
    ("Refused by the PBX", "отказано АТС"),
    ("Too many calls at once", "слишком много звонков сразу"),
    ("The gateway stopped", "шлюз остановлен"),
    ("The gateway was restarted", "шлюз перезапустился"),
];

/// Which end ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ender {
    /// The Telegram side.
    Telegram,
    /// The PBX side.
    Pbx,
    /// The gateway: a limit, a timer, a lost side, an operator's word.
    Gateway,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::to_line;

    #[test]
    fn a_call_event_is_the_json_that_version_1_promises() {
        let mut info = call();
        let promised = serde_json::json!({
            "event": "call", "call": "00000000000000a1", "line": "+79060000000",
            "direction": "telegram-to-pbx", "state": "ringing",
            "peer": {"id": 5123456789_i64, "name": "Анна", "username": "anna"}, "started_ms": 1000,
        });
        assert_eq!(serde_json::to_value(Event::Call(info.clone())).unwrap(), promised);
        info.state = CallState::Ended;
        info.duration_ms = Some(0);
        info.end =
            Some(CallEnd { by: Ender::Pbx, cause: "busy".into(), sip_status: Some(486), q850: Some(17) });
        let event = Event::Call(info);
        assert_eq!(serde_json::from_str::<Event>(&to_line(&event)).unwrap(), event);
    }

    #[test]
    fn a_joined_call_tells_who_rings_first_and_telegrams_id_of_it() {
        let info = CallInfo {
            direction: Direction::PbxToTelegram,
            state: CallState::Dialling,
            extension: Some("2001".into()),
            telegram_call: Some(-7_000_000_000_000_000_001),
            ..call()
        };
        let told = serde_json::to_value(&info).unwrap();
        assert_eq!(told["extension"], "2001");
        assert_eq!(told["telegram_call"], -7_000_000_000_000_000_001_i64);
        assert_eq!(serde_json::from_value::<CallInfo>(told).unwrap(), info);
    }

    #[test]
    fn a_refused_caller_is_told_with_the_rule_that_they_met() {
        let info = CallInfo { refused_by: Some(RefusedBy::Hours), ..call() };
        let told = serde_json::to_value(&info).unwrap();
        assert_eq!(told["refused_by"], "hours");
        assert_eq!(serde_json::from_value::<CallInfo>(told).unwrap(), info);
    }

    #[test]
    fn a_key_is_the_json_that_version_1_promises() {
        let event = Event::Digit(DigitInfo {
            call: CallId(0xa1),
            line: "+79060000000".parse().unwrap(),
            from: Side::Pbx,
            digit: Digit::new('#').unwrap(),
            duration_ms: 120,
            way: DigitWay::InBand,
        });
        let promised = serde_json::json!({
            "event": "digit", "call": "00000000000000a1", "line": "+79060000000", "from": "pbx", "digit": "#",
            "duration_ms": 120, "way": "in_band",
        });
        assert_eq!(serde_json::to_value(&event).unwrap(), promised);
        assert_eq!(serde_json::from_str::<Event>(&to_line(&event)).unwrap(), event);
    }

    #[test]
    fn who_is_muted_is_told_while_somebody_is() {
        let info = CallInfo { muted: Muted { telegram: true, pbx: false }, ..call() };
        let told = serde_json::to_value(&info).unwrap();
        assert_eq!(told["muted"], serde_json::json!({"telegram": true, "pbx": false}));
        assert_eq!(serde_json::from_value::<CallInfo>(told).unwrap(), info);
    }

    #[test]
    fn lamps_removed_lines_and_lost_events_read_back() {
        let line: Phone = "+79060000000".parse().unwrap();
        for event in [
            Event::Line(GatewayStatus::waiting(line.clone(), 1, 2)),
            Event::LineRemoved { line },
            Event::Lagged { missed: 3 },
        ] {
            assert_eq!(serde_json::from_str::<Event>(&to_line(&event)).unwrap(), event);
        }
    }

    fn call() -> CallInfo {
        CallInfo {
            call: CallId(0xa1),
            line: "+79060000000".parse().unwrap(),
            direction: Direction::TelegramToPbx,
            state: CallState::Ringing,
            peer: Peer {
                id: UserId::new(5_123_456_789).ok(),
                name: Some("Анна".into()),
                username: Some("anna".into()),
                phone: None,
            },
            dialled: None,
            extension: None,
            refused_by: None,
            telegram_call: None,
            emoji: None,
            trunk: Default::default(),
            ringing_ms: None,
            recording: None,
            started_ms: 1000,
            answered_ms: None,
            duration_ms: None,
            end: None,
            quality: None,
            muted: Muted::default(),
            pbx: None,
        }
    }
}
