//! What may be asked of a running program. Each program answers what is its own and refuses the rest.

mod keys;
mod lengths;
mod writing;

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use self::keys::{
    AcceptLogin, AddLine, BotMessages, EnterCode, EnterPassword, ExportLogin, FixCheck, HangUp, JoinCall,
    Log, MakeActionToken, MakeApiToken, Nothing, OfBot, OfBotNumber, OfLine, OfToken, Record, Records,
    RemoveLine, SendDigits, StartLogin, WithToken, WriteTo, take,
};
use self::lengths::{check_length, read_length};
use crate::bot_name::BotName;
use crate::callee::Callee;
use crate::chat::{WANTED_EXTENSION, is_extension};
use crate::control::check::CheckName;
use crate::control::login::LoginMethod;
use crate::control::record::RecordFilter;
use crate::lines::LineDraft;
use crate::secret::{BotToken, LoginCode, LoginToken, Password};
use crate::units::{CallId, Digits, Phone, UserId};

/// One request: `{"id":1,"do":"status"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Chosen by the asker; the reply carries it.
    pub id: u64,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked, by the word in `do`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `status`: every line, or every bot, with its lamps, and what is wrong with those that do not run.
    Status,
    /// `calls` (gateway): the calls that are up.
    Calls,
    /// `subscribe` (gateway): events from now on, on this connection.
    Subscribe,
    /// `hang_up` (gateway): end a call on both sides.
    HangUp {
        /// Which.
        call: CallId,
    },
    /// `send_digits` (gateway): press keys for the PBX.
    SendDigits {
        /// In which call.
        call: CallId,
        /// Which keys.
        digits: Digits,
        /// How long each sounds, in milliseconds; as the line's settings say if it is not given.
        tone_ms: Option<u32>,
        /// How long it is silent after each, in milliseconds; as the line's settings say if it is not given.
        pause_ms: Option<u32>,
        /// Whoever did not hear the answer asks again with the same key, 1 to 64 characters, and nothing is pressed twice.
        key: Option<String>,
    },
    /// `record` (gateway): record a call, or pause its recording.
    Record {
        /// Which.
        call: CallId,
        /// Whether it is recorded from now on.
        on: bool,
    },
    /// `reload`: read the lines and bots again; calls of unchanged lines go on.
    Reload,
    /// `add_line` (gateway): the keys of `line.toml` under `line`; it is written and opened.
    AddLine {
        /// The line.
        line: LineDraft,
    },
    /// `remove_line` (gateway): close a line. Its folder is deleted unless `keep_state` is true.
    RemoveLine {
        /// Which.
        phone: Phone,
        /// Keeps the account's session, so that the line can be added again without a login.
        keep_state: bool,
    },
    /// `join_call` (gateway): have the PBX ring an extension, and when somebody answers, call a person at Telegram and
    /// join both. It is one call from then on.
    JoinCall {
        /// On which line.
        line: Phone,
        /// Who rings first: an extension or a queue of the PBX.
        extension: String,
        /// Who is called then. By an id, the account must have met them.
        person: Callee,
        /// Whoever did not hear the answer asks again with the same key, 1 to 64 characters, and gets the same call.
        key: Option<String>,
    },
    /// `accept_login` (gateway): let the account's own session accept the login of another one.
    AcceptLogin {
        /// Whose account.
        line: Phone,
        /// The token that the other session exported.
        token: LoginToken,
    },
    /// `export_login` (client): begin the login of the client's session, or go on with the account's password.
    ExportLogin {
        /// Whose account.
        line: Phone,
        /// The account's password, where Telegram asked for one.
        password: Option<Password>,
    },
    /// `login` (gateway, client): how far the login of this program's session is.
    Login {
        /// Whose account.
        line: Phone,
    },
    /// `start_login` (gateway, client): begin a login, in any state. Calls of the line that are up go on until the new
    /// session takes over.
    StartLogin {
        /// Whose account.
        line: Phone,
        /// How.
        method: LoginMethod,
    },
    /// `resend_code` (gateway, client): have the code sent again, by another way if there is one.
    ResendCode {
        /// Whose account.
        line: Phone,
    },
    /// `enter_code` (gateway, client): the code that Telegram sent.
    EnterCode {
        /// Whose account.
        line: Phone,
        /// The code.
        code: LoginCode,
    },
    /// `enter_password` (gateway, client): the account's password.
    EnterPassword {
        /// Whose account.
        line: Phone,
        /// The password.
        password: Password,
    },
    /// `cancel_login` (gateway, client): give the login up.
    CancelLogin {
        /// Whose account.
        line: Phone,
    },
    /// `log_out` (gateway, client): end this program's session at Telegram.
    LogOut {
        /// Whose account.
        line: Phone,
    },
    /// `reset_line` (gateway, client): forget this program's session of the line, without asking Telegram. Journals and
    /// settings stay.
    ResetLine {
        /// Which.
        line: Phone,
    },
    /// `restart_line` (gateway, client): close the line and open it again. Its calls end.
    RestartLine {
        /// Which.
        line: Phone,
    },
    /// `checks` (gateway, client): look at what the line needs of its account, its bot and its PBX.
    Checks {
        /// Of which line.
        line: Phone,
    },
    /// `fix_check` (gateway, client): mend one of them.
    FixCheck {
        /// Of which line.
        line: Phone,
        /// Which.
        check: CheckName,
    },
    /// `records` (gateway): calls that were, the newest first.
    Records {
        /// Which of them.
        filter: RecordFilter,
    },
    /// `watch_levels` (gateway): tell subscribers how loud both sides of a call are, ten times a second, for 10 seconds
    /// from now.
    WatchLevels {
        /// Of which call.
        call: CallId,
    },
    /// `log`: what the program logged lately.
    Log {
        /// What came after the line with this number; all that is kept with 0.
        after: u64,
        /// How long to wait for something new, 0 to 30000 milliseconds.
        wait_ms: u32,
    },
    /// `check_bot` (bot): what Telegram says about a token's bot.
    CheckBot {
        /// The token.
        token: BotToken,
    },
    /// `add_bot` (bot): check a token, keep it, and let its bot run.
    AddBot {
        /// The token.
        token: BotToken,
    },
    /// `remove_bot` (bot): forget a bot: its token, its people, their keys.
    RemoveBot {
        /// Which.
        bot: BotName,
    },
    /// `people` (bot): whom a bot knows.
    People {
        /// Which bot.
        bot: BotName,
    },
    /// `write_to` (bot): have a bot write to somebody whom it knows. It is on the disk when it is answered.
    WriteTo {
        /// Which bot.
        bot: BotName,
        /// To whom: their key is their Telegram id.
        person: UserId,
        /// The message, 1 to 4096 UTF-16 units.
        text: String,
        /// Whoever asks again with the same key, 1 to 64 characters, hears what became of the message, and nothing is
        /// written a second time. It is remembered for 30 days.
        key: String,
    },
    /// `bot_messages` (bot): look at a bot's queue and journal of messages, or take something out of the queue.
    BotMessages {
        /// Which bot.
        bot: BotName,
        /// What, in the words of tgtrunk-messages (`Asked`).
        asked: Value,
    },
    /// `bring_updates` (bot): have what waits for a bot's webhook brought now, without the rest after what it did not take.
    BringUpdates {
        /// Which bot.
        bot: BotName,
    },
    /// `skip_update` (bot): an update is brought no more, and no program gets it.
    SkipUpdate {
        /// Of which bot.
        bot: BotName,
        /// Its number.
        number: i64,
    },
    /// `api_tokens` (bot): those with which programs lead a bot.
    ApiTokens {
        /// Which bot.
        bot: BotName,
    },
    /// `make_api_token` (bot): a further one.
    MakeApiToken {
        /// Of which bot.
        bot: BotName,
        /// Who gets it, as people remember it, 1 to 64 characters.
        label: String,
    },
    /// `revoke_api_token` (bot): it is dead from now on.
    RevokeApiToken {
        /// Of which bot.
        bot: BotName,
        /// Its number.
        number: i64,
    },
    /// `instances` (client): the lines as programs that send and read messages know them.
    Instances,
    /// `renew_token` (client): another token for a line's instance; the one before is dead.
    RenewToken {
        /// Of which line.
        line: Phone,
    },
    /// `make_action_token` (client): a further token, with which programs call `/api/v1/`.
    MakeActionToken {
        /// For which line alone; for all of them if it is not given.
        line: Option<Phone>,
        /// Who gets it, as people remember it, 1 to 64 characters.
        label: String,
    },
    /// `action_tokens` (client): those that hold, and those that were revoked lately.
    ActionTokens,
    /// `revoke_action_token` (client): it is dead from now on.
    RevokeActionToken {
        /// Its number.
        number: i64,
    },
}

/// A request that cannot be understood. Its text names the key and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct BadRequest {
    /// The request's id as far as it could be read, for the reply.
    pub id: Option<u64>,
    /// What is wrong.
    pub message: String,
}

/// How long the key of a joined call may be.
const KEY_CHARS: RangeInclusive<usize> = 1..=64;
/// How long an asker may wait for something new in a log, in milliseconds.
const LONGEST_WAIT_MS: u32 = 30_000;
/// How long the label of a token may be.
const LABEL_CHARS: RangeInclusive<usize> = 1..=64;
/// How long a bot's message may be, in UTF-16 units (core.telegram.org/bots/api#sendmessage).
const TEXT_UNITS: RangeInclusive<usize> = 1..=4_096;
/// How many records one answer may hold.
const RECORDS: RangeInclusive<u32> = 1..=100;

const WORDS: &str = "status, calls, subscribe, hang_up, send_digits, record, reload, add_line, remove_line, join_call, \
    accept_login, export_login, login, start_login, resend_code, enter_code, enter_password, cancel_login, log_out, \
    reset_line, restart_line, checks, fix_check, records, watch_levels, log, check_bot, add_bot, remove_bot, people, write_to, bot_messages, bring_updates, skip_update, api_tokens, make_api_token, revoke_api_token, instances, \
    renew_token, make_action_token, action_tokens, revoke_action_token";

impl Request {
    /// Reads a request's line.
    ///
    /// # Errors
    /// [`BadRequest`] for text that is no JSON object, a wrong or missing key, an unknown key, an unknown word in `do`.
    pub fn from_line(line: &str) -> Result<Self, BadRequest> {
        let bad = |id, message| BadRequest { id, message };
        let mut keys: Map<String, Value> = serde_json::from_str(line)
            .map_err(|error| bad(None, format!("not a JSON object with id and do: {error}")))?;
        let id = match keys.remove("id") {
            Some(id) => {
                id.as_u64().ok_or_else(|| bad(None, format!("id = {id}: want a whole number, 0 or more")))?
            }
            None => return Err(bad(None, "id is missing: want a whole number, 0 or more".to_owned())),
        };
        let word = match keys.remove("do") {
            Some(Value::String(word)) => word,
            Some(other) => return Err(bad(Some(id), format!("do = {other}: want one of {WORDS}"))),
            None => return Err(bad(Some(id), format!("do is missing: want one of {WORDS}"))),
        };
        let ask = read_ask(&word, keys).map_err(|message| bad(Some(id), message))?;
        Ok(Self { id, ask })
    }
}

impl Ask {
    /// The word in `do`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Calls => "calls",
            Self::Subscribe => "subscribe",
            Self::HangUp { .. } => "hang_up",
            Self::SendDigits { .. } => "send_digits",
            Self::Record { .. } => "record",
            Self::Reload => "reload",
            Self::AddLine { .. } => "add_line",
            Self::RemoveLine { .. } => "remove_line",
            Self::JoinCall { .. } => "join_call",
            Self::AcceptLogin { .. } => "accept_login",
            Self::ExportLogin { .. } => "export_login",
            Self::Login { .. } => "login",
            Self::StartLogin { .. } => "start_login",
            Self::ResendCode { .. } => "resend_code",
            Self::EnterCode { .. } => "enter_code",
            Self::EnterPassword { .. } => "enter_password",
            Self::CancelLogin { .. } => "cancel_login",
            Self::LogOut { .. } => "log_out",
            Self::ResetLine { .. } => "reset_line",
            Self::RestartLine { .. } => "restart_line",
            Self::Checks { .. } => "checks",
            Self::FixCheck { .. } => "fix_check",
            Self::Records { .. } => "records",
            Self::WatchLevels { .. } => "watch_levels",
            Self::Log { .. } => "log",
            Self::CheckBot { .. } => "check_bot",
            Self::AddBot { .. } => "add_bot",
            Self::RemoveBot { .. } => "remove_bot",
            Self::People { .. } => "people",
            Self::WriteTo { .. } => "write_to",
            Self::BotMessages { .. } => "bot_messages",
            Self::BringUpdates { .. } => "bring_updates",
            Self::SkipUpdate { .. } => "skip_update",
            Self::ApiTokens { .. } => "api_tokens",
            Self::MakeApiToken { .. } => "make_api_token",
            Self::RevokeApiToken { .. } => "revoke_api_token",
            Self::Instances => "instances",
            Self::RenewToken { .. } => "renew_token",
            Self::MakeActionToken { .. } => "make_action_token",
            Self::ActionTokens => "action_tokens",
            Self::RevokeActionToken { .. } => "revoke_action_token",
        }
    }
}

fn read_ask(word: &str, keys: Map<String, Value>) -> Result<Ask, String> {
    Ok(match word {
        "status" => take(word, keys, &[], |_: Nothing| Ask::Status)?,
        "calls" => take(word, keys, &[], |_: Nothing| Ask::Calls)?,
        "subscribe" => take(word, keys, &[], |_: Nothing| Ask::Subscribe)?,
        "reload" => take(word, keys, &[], |_: Nothing| Ask::Reload)?,
        "hang_up" => take(word, keys, &["call"], |HangUp { call }| Ask::HangUp { call })?,
        "record" => take(word, keys, &["call", "on"], |Record { call, on }| Ask::Record { call, on })?,
        "send_digits" => {
            let SendDigits { call, digits, tone_ms, pause_ms, key } =
                take(word, keys, &["call", "digits", "tone_ms", "pause_ms", "key"], |asked| asked)?;
            if let Some(key) = &key {
                check_length(word, "key", key, &KEY_CHARS)?;
            }
            let tone_ms = read_length(word, "tone_ms", tone_ms)?;
            let pause_ms = read_length(word, "pause_ms", pause_ms)?;
            Ask::SendDigits { call, digits, tone_ms, pause_ms, key }
        }
        "add_line" => take(word, keys, &["line"], |AddLine { line }| Ask::AddLine { line })?,
        "remove_line" => take(word, keys, &["phone", "keep_state"], |RemoveLine { phone, keep_state }| {
            Ask::RemoveLine { phone, keep_state }
        })?,
        "join_call" => {
            let JoinCall { line, extension, person, key } =
                take(word, keys, &["line", "extension", "person", "key"], |asked| asked)?;
            if !is_extension(&extension) {
                let shown: String = extension.chars().take(40).collect();
                return Err(format!("{word}: extension = {shown:?}: want {WANTED_EXTENSION}"));
            }
            if let Some(key) = &key {
                check_length(word, "key", key, &KEY_CHARS)?;
            }
            Ask::JoinCall { line, extension, person, key }
        }
        "accept_login" => take(word, keys, &["line", "token"], |AcceptLogin { line, token }| {
            Ask::AcceptLogin { line, token }
        })?,
        "export_login" => take(word, keys, &["line", "password"], |ExportLogin { line, password }| {
            Ask::ExportLogin { line, password }
        })?,
        "login" => take(word, keys, &["line"], |OfLine { line }| Ask::Login { line })?,
        "start_login" => take(word, keys, &["line", "method"], |StartLogin { line, method }| {
            Ask::StartLogin { line, method }
        })?,
        "resend_code" => take(word, keys, &["line"], |OfLine { line }| Ask::ResendCode { line })?,
        "enter_code" => {
            take(word, keys, &["line", "code"], |EnterCode { line, code }| Ask::EnterCode { line, code })?
        }
        "enter_password" => take(word, keys, &["line", "password"], |EnterPassword { line, password }| {
            Ask::EnterPassword { line, password }
        })?,
        "cancel_login" => take(word, keys, &["line"], |OfLine { line }| Ask::CancelLogin { line })?,
        "log_out" => take(word, keys, &["line"], |OfLine { line }| Ask::LogOut { line })?,
        "reset_line" => take(word, keys, &["line"], |OfLine { line }| Ask::ResetLine { line })?,
        "restart_line" => take(word, keys, &["line"], |OfLine { line }| Ask::RestartLine { line })?,
        "checks" => take(word, keys, &["line"], |OfLine { line }| Ask::Checks { line })?,
        "fix_check" => {
            take(word, keys, &["line", "check"], |FixCheck { line, check }| Ask::FixCheck { line, check })?
        }
        "records" => {
            let Records { filter } = take(word, keys, &["filter"], |asked| asked)?;
            if let Some(limit) = filter.limit.filter(|limit| !RECORDS.contains(limit)) {
                let (least, most) = (RECORDS.start(), RECORDS.end());
                return Err(format!("{word}: limit = {limit}: want {least} to {most}"));
            }
            Ask::Records { filter }
        }
        "watch_levels" => take(word, keys, &["call"], |HangUp { call }| Ask::WatchLevels { call })?,
        "log" => {
            let Log { after, wait_ms } = take(word, keys, &["after", "wait_ms"], |asked| asked)?;
            if wait_ms > LONGEST_WAIT_MS {
                return Err(format!(
                    "{word}: wait_ms = {wait_ms}: want 0 to {LONGEST_WAIT_MS} (milliseconds)"
                ));
            }
            Ask::Log { after, wait_ms }
        }
        "check_bot" => take(word, keys, &["token"], |WithToken { token }| Ask::CheckBot { token })?,
        "add_bot" => take(word, keys, &["token"], |WithToken { token }| Ask::AddBot { token })?,
        "remove_bot" => take(word, keys, &["bot"], |OfBot { bot }| Ask::RemoveBot { bot })?,
        "instances" => take(word, keys, &[], |_: Nothing| Ask::Instances)?,
        "renew_token" => take(word, keys, &["line"], |OfLine { line }| Ask::RenewToken { line })?,
        "write_to" => {
            let WriteTo { bot, person, text, key } =
                take(word, keys, &["bot", "person", "text", "key"], |asked| asked)?;
            check_length(word, "key", &key, &KEY_CHARS)?;
            let units = text.encode_utf16().count();
            if !TEXT_UNITS.contains(&units) {
                let (least, most) = (TEXT_UNITS.start(), TEXT_UNITS.end());
                return Err(format!("{word}: text has {units} UTF-16 units: want {least} to {most}"));
            }
            Ask::WriteTo { bot, person, text, key }
        }
        "bot_messages" => {
            take(word, keys, &["bot", "asked"], |BotMessages { bot, asked }| Ask::BotMessages { bot, asked })?
        }
        "api_tokens" => take(word, keys, &["bot"], |OfBot { bot }| Ask::ApiTokens { bot })?,
        "make_api_token" => {
            let MakeApiToken { bot, label } = take(word, keys, &["bot", "label"], |asked| asked)?;
            check_length(word, "label", &label, &LABEL_CHARS)?;
            Ask::MakeApiToken { bot, label }
        }
        "revoke_api_token" => take(word, keys, &["bot", "number"], |OfBotNumber { bot, number }| {
            Ask::RevokeApiToken { bot, number }
        })?,
        "bring_updates" => take(word, keys, &["bot"], |OfBot { bot }| Ask::BringUpdates { bot })?,
        "skip_update" => take(word, keys, &["bot", "number"], |OfBotNumber { bot, number }| {
            Ask::SkipUpdate { bot, number }
        })?,
        "make_action_token" => {
            let MakeActionToken { line, label } = take(word, keys, &["line", "label"], |asked| asked)?;
            check_length(word, "label", &label, &LABEL_CHARS)?;
            Ask::MakeActionToken { line, label }
        }
        "action_tokens" => take(word, keys, &[], |_: Nothing| Ask::ActionTokens)?,
        "revoke_action_token" => {
            take(word, keys, &["number"], |OfToken { number }| Ask::RevokeActionToken { number })?
        }
        "people" => take(word, keys, &["bot"], |OfBot { bot }| Ask::People { bot })?,
        unknown => {
            let shown: String = unknown.chars().take(40).collect();
            return Err(format!("do = {shown:?}: want one of {WORDS}"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::to_line;

    const TOKEN: &str = "123456789:AAabcdefghijklmnopqrstuvwxyz0123_-x";

    #[test]
    fn every_request_reads_back_as_it_was_written() {
        let phone: Phone = "+79060000000".parse().unwrap();
        for ask in [
            Ask::Status,
            Ask::Calls,
            Ask::Subscribe,
            Ask::HangUp { call: CallId(161) },
            Ask::SendDigits {
                call: CallId(161),
                digits: "0123456789*#ABCD".parse().unwrap(),
                tone_ms: Some(100),
                pause_ms: None,
                key: Some("ы".repeat(64)),
            },
            Ask::Record { call: CallId(161), on: true },
            Ask::Reload,
            Ask::AddLine { line: LineDraft::new(&phone).set("pbx", "127.0.0.1") },
            Ask::RemoveLine { phone: phone.clone(), keep_state: true },
            join(None),
            join(Some(&"ы".repeat(64))),
            Ask::AcceptLogin { line: phone.clone(), token: LoginToken::new(b"foobar").unwrap() },
            Ask::ExportLogin { line: phone.clone(), password: None },
            Ask::ExportLogin { line: phone.clone(), password: Some(Password::new("hid\"den")) },
            Ask::Login { line: phone.clone() },
            Ask::StartLogin { line: phone.clone(), method: LoginMethod::Qr },
            Ask::ResendCode { line: phone.clone() },
            Ask::EnterCode { line: phone.clone(), code: LoginCode::new("12345") },
            Ask::EnterPassword { line: phone.clone(), password: Password::new("hid\"den") },
            Ask::CancelLogin { line: phone.clone() },
            Ask::LogOut { line: phone.clone() },
            Ask::ResetLine { line: phone.clone() },
            Ask::Instances,
            Ask::RenewToken { line: phone.clone() },
            Ask::RestartLine { line: phone.clone() },
            Ask::Checks { line: phone.clone() },
            Ask::FixCheck { line: phone.clone(), check: CheckName::PeerToPeer },
            Ask::Records { filter: RecordFilter { limit: Some(100), ..RecordFilter::default() } },
            Ask::WatchLevels { call: CallId(161) },
            Ask::Log { after: 7, wait_ms: 30_000 },
            Ask::CheckBot { token: TOKEN.parse().unwrap() },
            Ask::AddBot { token: TOKEN.parse().unwrap() },
            Ask::RemoveBot { bot: "acme_bot".parse().unwrap() },
            Ask::People { bot: "acme_bot".parse().unwrap() },
            Ask::WriteTo {
                bot: "acme_bot".parse().unwrap(),
                person: UserId::new(5).unwrap(),
                text: "ы".repeat(4_096),
                key: "notify-7".to_owned(),
            },
            Ask::MakeActionToken { line: Some(phone.clone()), label: "1C".to_owned() },
            Ask::MakeActionToken { line: None, label: "CRM".to_owned() },
            Ask::BotMessages {
                bot: "acme_bot".parse().unwrap(),
                asked: serde_json::json!({"what": "queue", "skip": 0, "count": 50}),
            },
            Ask::BringUpdates { bot: "acme_bot".parse().unwrap() },
            Ask::SkipUpdate { bot: "acme_bot".parse().unwrap(), number: 7 },
            Ask::ApiTokens { bot: "acme_bot".parse().unwrap() },
            Ask::MakeApiToken { bot: "acme_bot".parse().unwrap(), label: "ы".repeat(64) },
            Ask::RevokeApiToken { bot: "acme_bot".parse().unwrap(), number: 7 },
            Ask::ActionTokens,
            Ask::RevokeActionToken { number: 7 },
        ] {
            let request = Request { id: 7, ask };
            let line = to_line(&request);
            assert!(line.ends_with('\n') && line.matches('\n').count() == 1);
            assert_eq!(Request::from_line(&line).unwrap(), request);
        }
    }

    #[test]
    fn what_the_client_and_the_bot_ask_is_the_json_that_version_1_promises() {
        let line: Phone = "+79060000000".parse().unwrap();
        let token = LoginToken::new(&[0xfb, 0xff]).unwrap();
        let password = Some(Password::new("hidden"));
        for (ask, promised) in [
            (
                join(None),
                r#"{"id":1,"do":"join_call","line":"+79060000000","extension":"2001","person":5123456789}"#,
            ),
            (
                join(Some("b7")),
                r#"{"id":1,"do":"join_call","line":"+79060000000","extension":"2001","person":5123456789,"key":"b7"}"#,
            ),
            (
                Ask::AcceptLogin { line: line.clone(), token },
                r#"{"id":1,"do":"accept_login","line":"+79060000000","token":"-_8"}"#,
            ),
            (
                Ask::ExportLogin { line: line.clone(), password: None },
                r#"{"id":1,"do":"export_login","line":"+79060000000"}"#,
            ),
            (
                Ask::ExportLogin { line, password },
                r#"{"id":1,"do":"export_login","line":"+79060000000","password":"hidden"}"#,
            ),
        ] {
            assert!(!format!("{ask:?}").contains("hidden"));
            assert_eq!(to_line(&Request { id: 1, ask }).trim_end(), promised);
        }
    }

    #[test]
    fn requests_are_read_as_people_type_them() {
        let request = Request::from_line(r#" {"do":"remove_line","phone":"+79060000000","id":3} "#).unwrap();
        let Ask::RemoveLine { keep_state, .. } = request.ask else { panic!("{request:?}") };
        assert!(!keep_state);
    }

    #[test]
    fn each_wrong_request_is_told_what_is_allowed() {
        for (line, id, message) in [
            (r#"{"do":"status"}"#, None, "id is missing: want a whole number, 0 or more"),
            (r#"{"id":-1,"do":"status"}"#, None, "id = -1: want a whole number, 0 or more"),
            (
                r#"{"id":1}"#,
                Some(1),
                "do is missing: want one of status, calls, subscribe, hang_up, send_digits, record, reload, add_line, remove_line, join_call, accept_login, export_login, login, start_login, resend_code, enter_code, enter_password, cancel_login, log_out, reset_line, restart_line, checks, fix_check, records, watch_levels, log, check_bot, add_bot, remove_bot, people, write_to, bot_messages, bring_updates, skip_update, api_tokens, make_api_token, revoke_api_token, instances, renew_token, make_action_token, action_tokens, revoke_action_token",
            ),
            (
                r#"{"id":1,"do":"dial"}"#,
                Some(1),
                r#"do = "dial": want one of status, calls, subscribe, hang_up, send_digits, record, reload, add_line, remove_line, join_call, accept_login, export_login, login, start_login, resend_code, enter_code, enter_password, cancel_login, log_out, reset_line, restart_line, checks, fix_check, records, watch_levels, log, check_bot, add_bot, remove_bot, people, write_to, bot_messages, bring_updates, skip_update, api_tokens, make_api_token, revoke_api_token, instances, renew_token, make_action_token, action_tokens, revoke_action_token"#,
            ),
            (
                r#"{"id":1,"do":5}"#,
                Some(1),
                "do = 5: want one of status, calls, subscribe, hang_up, send_digits, record, reload, add_line, remove_line, join_call, accept_login, export_login, login, start_login, resend_code, enter_code, enter_password, cancel_login, log_out, reset_line, restart_line, checks, fix_check, records, watch_levels, log, check_bot, add_bot, remove_bot, people, write_to, bot_messages, bring_updates, skip_update, api_tokens, make_api_token, revoke_api_token, instances, renew_token, make_action_token, action_tokens, revoke_action_token",
            ),
            (r#"{"id":1,"do":"status","line":"x"}"#, Some(1), r#"status: unknown key "line": want id, do"#),
            (
                r#"{"id":2,"do":"hang_up","cal":"a1"}"#,
                Some(2),
                r#"hang_up: unknown key "cal": want id, do, call"#,
            ),
            (r#"{"id":2,"do":"hang_up"}"#, Some(2), "hang_up: missing field `call`"),
            (
                r#"{"id":2,"do":"hang_up","call":"a1"}"#,
                Some(2),
                r#"hang_up: call id "a1": want 16 hexadecimal digits, as the gateway printed them"#,
            ),
            (
                r#"{"id":3,"do":"remove_line","phone":"7906"}"#,
                Some(3),
                r#"remove_line: phone number "7906": want + and 7 to 15 digits with the country code first, as +79060000000"#,
            ),
            (
                r#"{"id":4,"do":"send_digits","call":"00000000000000a1","digits":"12x"}"#,
                Some(4),
                r#"send_digits: digits "12x": want 1 to 64 of 0 to 9, *, #, A to D"#,
            ),
            (
                r#"{"id":4,"do":"send_digits","call":"00000000000000a1","digits":"1","tone_ms":39}"#,
                Some(4),
                "send_digits: tone_ms = 39: want a whole number from 40 to 1000 (milliseconds)",
            ),
            (
                r#"{"id":4,"do":"send_digits","call":"00000000000000a1","digits":"1","pause_ms":"long"}"#,
                Some(4),
                r#"send_digits: pause_ms = "long": want a whole number from 40 to 1000 (milliseconds)"#,
            ),
            (
                r#"{"id":4,"do":"send_digits","call":"00000000000000a1","keys":"1"}"#,
                Some(4),
                r#"send_digits: unknown key "keys": want id, do, call, digits, tone_ms, pause_ms, key"#,
            ),
            (
                r#"{"id":4,"do":"send_digits","call":"00000000000000a1","digits":"1","key":""}"#,
                Some(4),
                r#"send_digits: key = "": want 1 to 64 characters"#,
            ),
            (
                r#"{"id":5,"do":"join_call","line":"+79060000000","extension":"a@b","person":1}"#,
                Some(5),
                r#"join_call: extension = "a@b": want an extension or a queue of the PBX, 1 to 64 letters, digits and + - _ . * #, as "2001""#,
            ),
            (
                r#"{"id":5,"do":"join_call","line":"+79060000000","extension":"2001","person":0}"#,
                Some(5),
                r#"join_call: Telegram id "0": want a whole number from 1 to 9007199254740991"#,
            ),
            (
                r#"{"id":5,"do":"join_call","line":"+79060000000","extension":"2001","person":1,"key":""}"#,
                Some(5),
                r#"join_call: key = "": want 1 to 64 characters"#,
            ),
            (
                r#"{"id":5,"do":"join_call","line":"+79060000000","extension":"2001","person":1,"key":"12345678901234567890123456789012345678901234567890123456789012345"}"#,
                Some(5),
                r#"join_call: key = "1234567890123456789012345678901234567890": want 1 to 64 characters"#,
            ),
            (
                r#"{"id":6,"do":"write_to","bot":"acme_bot","person":5,"text":"","key":"k"}"#,
                Some(6),
                "write_to: text has 0 UTF-16 units: want 1 to 4096",
            ),
            (
                r#"{"id":6,"do":"make_action_token","label":""}"#,
                Some(6),
                r#"make_action_token: label = "": want 1 to 64 characters"#,
            ),
            (
                r#"{"id":6,"do":"make_api_token","bot":"acme_bot","label":""}"#,
                Some(6),
                r#"make_api_token: label = "": want 1 to 64 characters"#,
            ),
            (
                r#"{"id":6,"do":"accept_login","line":"+79060000000","token":"a+b/"}"#,
                Some(6),
                "accept_login: login token: want 1 to 512 bytes in base64url, as in tg://login?token=…",
            ),
            (
                r#"{"id":7,"do":"records","filter":{"limit":101}}"#,
                Some(7),
                "records: limit = 101: want 1 to 100",
            ),
            (
                r#"{"id":7,"do":"log","wait_ms":30001}"#,
                Some(7),
                "log: wait_ms = 30001: want 0 to 30000 (milliseconds)",
            ),
            (
                "[1]",
                None,
                "not a JSON object with id and do: invalid type: sequence, expected a map at line 1 column 0",
            ),
        ] {
            let told = Request::from_line(line).unwrap_err();
            assert_eq!((told.id, told.to_string().as_str()), (id, message), "{line}");
        }
        let told = Request::from_line("status").unwrap_err().to_string();
        assert!(told.starts_with("not a JSON object with id and do: "), "{told}");
    }

    fn join(key: Option<&str>) -> Ask {
        Ask::JoinCall {
            line: "+79060000000".parse().unwrap(),
            extension: "2001".to_owned(),
            person: UserId::new(5_123_456_789).unwrap().into(),
            key: key.map(ToOwned::to_owned),
        }
    }
}
