//! What may be asked of a running program. Each program answers what is its own and refuses the rest.

use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::chat::{WANTED_EXTENSION, is_extension};
use crate::lines::LineDraft;
use crate::secret::{LoginToken, Password};
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
        /// Who is called then.
        person: UserId,
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

#[derive(Serialize, Deserialize)]
struct Nothing {}

#[derive(Serialize, Deserialize)]
struct HangUp {
    call: CallId,
}

#[derive(Serialize, Deserialize)]
struct SendDigits {
    call: CallId,
    digits: Digits,
    tone_ms: Option<Value>,
    pause_ms: Option<Value>,
}

#[derive(Serialize, Deserialize)]
struct AddLine {
    line: LineDraft,
}

#[derive(Serialize, Deserialize)]
struct RemoveLine {
    phone: Phone,
    #[serde(default)]
    keep_state: bool,
}

#[derive(Serialize, Deserialize)]
struct JoinCall {
    line: Phone,
    extension: String,
    person: UserId,
    key: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct AcceptLogin {
    line: Phone,
    token: LoginToken,
}

#[derive(Serialize, Deserialize)]
struct ExportLogin {
    line: Phone,
    password: Option<Password>,
}

/// How long a key may sound, and be followed by silence, in milliseconds; the settings' own bounds.
const LENGTH_MS: RangeInclusive<u32> = 40..=1_000;

/// How long the key of a joined call may be.
const KEY_CHARS: RangeInclusive<usize> = 1..=64;

const WORDS: &str = "status, calls, subscribe, hang_up, send_digits, reload, add_line, remove_line, join_call, \
    accept_login, export_login";

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
            Self::Reload => "reload",
            Self::AddLine { .. } => "add_line",
            Self::RemoveLine { .. } => "remove_line",
            Self::JoinCall { .. } => "join_call",
            Self::AcceptLogin { .. } => "accept_login",
            Self::ExportLogin { .. } => "export_login",
        }
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("do", self.ask.word())?;
        match &self.ask {
            Ask::Status | Ask::Calls | Ask::Subscribe | Ask::Reload => {}
            Ask::HangUp { call } => map.serialize_entry("call", call)?,
            Ask::SendDigits { call, digits, tone_ms, pause_ms } => {
                map.serialize_entry("call", call)?;
                map.serialize_entry("digits", digits)?;
                for (key, length_ms) in [("tone_ms", tone_ms), ("pause_ms", pause_ms)] {
                    if let Some(length_ms) = length_ms {
                        map.serialize_entry(key, length_ms)?;
                    }
                }
            }
            Ask::AddLine { line } => map.serialize_entry("line", line)?,
            Ask::RemoveLine { phone, keep_state } => {
                map.serialize_entry("phone", phone)?;
                map.serialize_entry("keep_state", keep_state)?;
            }
            Ask::JoinCall { line, extension, person, key } => {
                map.serialize_entry("line", line)?;
                map.serialize_entry("extension", extension)?;
                map.serialize_entry("person", person)?;
                if let Some(key) = key {
                    map.serialize_entry("key", key)?;
                }
            }
            Ask::AcceptLogin { line, token } => {
                map.serialize_entry("line", line)?;
                map.serialize_entry("token", token)?;
            }
            Ask::ExportLogin { line, password } => {
                map.serialize_entry("line", line)?;
                if let Some(password) = password {
                    map.serialize_entry("password", password)?;
                }
            }
        }
        map.end()
    }
}

fn read_ask(word: &str, keys: Map<String, Value>) -> Result<Ask, String> {
    Ok(match word {
        "status" => take(word, keys, &[], |_: Nothing| Ask::Status)?,
        "calls" => take(word, keys, &[], |_: Nothing| Ask::Calls)?,
        "subscribe" => take(word, keys, &[], |_: Nothing| Ask::Subscribe)?,
        "reload" => take(word, keys, &[], |_: Nothing| Ask::Reload)?,
        "hang_up" => take(word, keys, &["call"], |HangUp { call }| Ask::HangUp { call })?,
        "send_digits" => {
            let SendDigits { call, digits, tone_ms, pause_ms } =
                take(word, keys, &["call", "digits", "tone_ms", "pause_ms"], |asked| asked)?;
            let tone_ms = read_length(word, "tone_ms", tone_ms)?;
            let pause_ms = read_length(word, "pause_ms", pause_ms)?;
            Ask::SendDigits { call, digits, tone_ms, pause_ms }
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
            if let Some(key) = key.as_ref().filter(|key| !KEY_CHARS.contains(&key.chars().count())) {
                let shown: String = key.chars().take(40).collect();
                let (least, most) = (KEY_CHARS.start(), KEY_CHARS.end());
                return Err(format!("{word}: key = {shown:?}: want {least} to {most} characters"));
            }
            Ask::JoinCall { line, extension, person, key }
        }
        "accept_login" => take(word, keys, &["line", "token"], |AcceptLogin { line, token }| {
            Ask::AcceptLogin { line, token }
        })?,
        "export_login" => take(word, keys, &["line", "password"], |ExportLogin { line, password }| {
            Ask::ExportLogin { line, password }
        })?,
        unknown => {
            let shown: String = unknown.chars().take(40).collect();
            return Err(format!("do = {shown:?}: want one of {WORDS}"));
        }
    })
}

fn read_length(word: &str, key: &str, value: Option<Value>) -> Result<Option<u32>, String> {
    let Some(value) = value else { return Ok(None) };
    let length_ms = value.as_u64().and_then(|length_ms| u32::try_from(length_ms).ok());
    length_ms.filter(|length_ms| LENGTH_MS.contains(length_ms)).map(Some).ok_or_else(|| {
        let shown: String = value.to_string().chars().take(40).collect();
        let (least, most) = (LENGTH_MS.start(), LENGTH_MS.end());
        format!("{word}: {key} = {shown}: want a whole number from {least} to {most} (milliseconds)")
    })
}

fn take<T: DeserializeOwned, M>(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::to_line;

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
            },
            Ask::Reload,
            Ask::AddLine { line: LineDraft::new(&phone).set("pbx", "127.0.0.1") },
            Ask::RemoveLine { phone: phone.clone(), keep_state: true },
            join(None),
            join(Some(&"ы".repeat(64))),
            Ask::AcceptLogin { line: phone.clone(), token: LoginToken::new(b"foobar").unwrap() },
            Ask::ExportLogin { line: phone.clone(), password: None },
            Ask::ExportLogin { line: phone.clone(), password: Some(Password::new("hid\"den")) },
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
                "do is missing: want one of status, calls, subscribe, hang_up, send_digits, reload, add_line, remove_line, join_call, accept_login, export_login",
            ),
            (
                r#"{"id":1,"do":"dial"}"#,
                Some(1),
                r#"do = "dial": want one of status, calls, subscribe, hang_up, send_digits, reload, add_line, remove_line, join_call, accept_login, export_login"#,
            ),
            (
                r#"{"id":1,"do":5}"#,
                Some(1),
                "do = 5: want one of status, calls, subscribe, hang_up, send_digits, reload, add_line, remove_line, join_call, accept_login, export_login",
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
                r#"send_digits: unknown key "keys": want id, do, call, digits, tone_ms, pause_ms"#,
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
                r#"{"id":6,"do":"accept_login","line":"+79060000000","token":"a+b/"}"#,
                Some(6),
                "accept_login: login token: want 1 to 512 bytes in base64url, as in tg://login?token=…",
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
            person: UserId::new(5_123_456_789).unwrap(),
            key: key.map(ToOwned::to_owned),
        }
    }
}
