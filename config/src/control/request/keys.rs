//! The keys of each request, and how they are read.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bot_name::BotName;
use crate::callee::Callee;
use crate::control::check::CheckName;
use crate::control::login::LoginMethod;
use crate::control::record::RecordFilter;
use crate::lines::LineDraft;
use crate::secret::{BotToken, LoginCode, LoginToken, Password};
use crate::units::{CallId, Digits, Phone, UserId};

#[derive(Serialize, Deserialize)]
pub(super) struct Nothing {}

#[derive(Serialize, Deserialize)]
pub(super) struct HangUp {
    pub(super) call: CallId,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) call: CallId,
    pub(super) on: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SendDigits {
    pub(super) call: CallId,
    pub(super) digits: Digits,
    pub(super) tone_ms: Option<Value>,
    pub(super) pause_ms: Option<Value>,
    pub(super) key: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct AddLine {
    pub(super) line: LineDraft,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RemoveLine {
    pub(super) phone: Phone,
    #[serde(default)]
    pub(super) keep_state: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct JoinCall {
    pub(super) line: Phone,
    pub(super) extension: String,
    pub(super) person: Callee,
    pub(super) key: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct AcceptLogin {
    pub(super) line: Phone,
    pub(super) token: LoginToken,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OfLine {
    pub(super) line: Phone,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StartLogin {
    pub(super) line: Phone,
    pub(super) method: LoginMethod,
}

#[derive(Serialize, Deserialize)]
pub(super) struct EnterCode {
    pub(super) line: Phone,
    pub(super) code: LoginCode,
}

#[derive(Serialize, Deserialize)]
pub(super) struct EnterPassword {
    pub(super) line: Phone,
    pub(super) password: Password,
}

#[derive(Serialize, Deserialize)]
pub(super) struct FixCheck {
    pub(super) line: Phone,
    pub(super) check: CheckName,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Records {
    #[serde(default)]
    pub(super) filter: RecordFilter,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Log {
    #[serde(default)]
    pub(super) after: u64,
    #[serde(default)]
    pub(super) wait_ms: u32,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WithToken {
    pub(super) token: BotToken,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OfBot {
    pub(super) bot: BotName,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ExportLogin {
    pub(super) line: Phone,
    pub(super) password: Option<Password>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WriteTo {
    pub(super) bot: BotName,
    pub(super) person: UserId,
    pub(super) text: String,
    pub(super) key: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BotMessages {
    pub(super) bot: BotName,
    pub(super) asked: Value,
}

#[derive(Serialize, Deserialize)]
pub(super) struct MakeActionToken {
    pub(super) line: Option<Phone>,
    pub(super) label: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OfToken {
    pub(super) number: i64,
}

#[derive(Serialize, Deserialize)]
pub(super) struct MakeApiToken {
    pub(super) bot: BotName,
    pub(super) label: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct OfBotNumber {
    pub(super) bot: BotName,
    pub(super) number: i64,
}

/// Reads the keys of a request that may have these.
pub(super) fn take<T: DeserializeOwned, M>(
    word: &str,
    keys: Map<String, Value>,
    allowed: &[&str],
    made: impl FnOnce(T) -> M,
) -> Result<M, String> {
    if let Some(unknown) = keys.keys().find(|key| !allowed.contains(&key.as_str())) {
        let all: Vec<&str> = ["id", "do"].iter().chain(allowed).copied().collect();
        let shown: String = unknown.chars().take(40).collect();
        return Err(format!("{word}: unknown key {shown:?}: want {}", all.join(", ")));
    }
    serde_json::from_value(Value::Object(keys)).map(made).map_err(|error| format!("{word}: {error}"))
}
