//! Calls over HTTP: `POST`, `GET /api/v1/calls`, `GET`, `DELETE /api/v1/calls/{call_id}`, JSON both ways.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tgtrunk_config::control::CallInfo;
use tgtrunk_config::{CallId, Callee, Phone, is_extension};
use tgtrunk_messages::actions::LONGEST_KEY;
use tgtrunk_messages::{bearer, object};
use tokio::time::timeout;
use tracing::warn;

use super::event::Known;
use super::order::{Code, Failed, Wanted};
use super::{Calls, LineCalls};
use crate::api::directory::as_json;

/// Longest request, in bytes.
const BODY_BYTES: usize = 64 * 1024;
/// How long it may take until a request is here whole.
const BODY: Duration = Duration::from_secs(30);
const KEYS: [&str; 4] = ["line", "to", "extension", "idempotency_key"];

/// Who may ask for calls.
pub(crate) trait Admit: Send + Sync {
    /// What the bearer of a token may use; none where there is no such token.
    fn admits(&self, bearer: &str) -> Option<Admitted>;
}

/// For what a token is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// One line alone.
    Line(Phone),
    /// All lines; a request names one.
    All,
    /// Nobody knows yet: lines are starting.
    Starting,
}

#[derive(Clone)]
struct Desk {
    calls: Calls,
    admit: Arc<dyn Admit>,
}

/// Answers to programs that want calls.
pub(crate) fn router(calls: Calls, admit: Arc<dyn Admit>) -> Router {
    Router::new()
        .route("/api/v1/calls", get(list).post(place).fallback(no_method))
        .route("/api/v1/calls/{call_id}", get(show).delete(end).fallback(no_method))
        .with_state(Desk { calls, admit })
}

async fn place(State(desk): State<Desk>, request: Request) -> Response {
    // Nothing is read of what a stranger says.
    let admitted = match desk.admitted(request.headers()) {
        Ok(admitted) => admitted,
        Err(failed) => return failed.into_response(),
    };
    let body = match timeout(BODY, axum::body::to_bytes(request.into_body(), BODY_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            let message = format!("the request is longer than {BODY_BYTES} bytes, or broke off");
            return as_json(StatusCode::PAYLOAD_TOO_LARGE, &Failed::new(Code::BadRequest, message).body());
        }
        Err(_) => {
            let message = format!("the request was not here whole within {} s", BODY.as_secs());
            return as_json(StatusCode::REQUEST_TIMEOUT, &Failed::new(Code::BadRequest, message).body());
        }
    };
    // Whoever hangs up while the gateway is asked has the call placed all the same, and written down.
    let work = tokio::spawn(async move {
        let asked = read(&body)?;
        let line = desk.line(&admitted, asked.line)?;
        let call = desk.calls.place(&line, &asked.wanted).await?;
        line.until_heard_of(call).await;
        // An order that is repeated may be of a call that is long over.
        let state = line.known(call).await.ok().flatten().map_or("ringing", |known| known.state().0);
        Ok(json!({"call_id": call.to_string(), "state": state}))
    });
    answer(work.await.unwrap_or_else(|error| {
        warn!(%error, "an order for a call broke");
        Err(Failed::new(Code::Internal, "something broke on our side"))
    }))
}

async fn list(State(desk): State<Desk>, headers: HeaderMap) -> Response {
    let listed = || {
        let mut calls = Vec::new();
        for line in desk.lines(&desk.admitted(&headers)?)? {
            let known = line.live.known().ok_or_else(|| {
                let message = "the gateway does not run: nobody knows which calls are up";
                Failed::new(Code::Unavailable, message)
            })?;
            calls.extend(known);
        }
        calls.sort_by_key(|info: &CallInfo| (info.started_ms, info.call));
        Ok(calls.into_iter().map(|info| Value::Object(Known::heard(info, 0).facts())).collect())
    };
    answer(listed())
}

async fn show(State(desk): State<Desk>, headers: HeaderMap, Path(call): Path<String>) -> Response {
    answer(desk.find(&headers, &call).await.map(|(_, known)| Value::Object(known.facts())))
}

async fn end(State(desk): State<Desk>, headers: HeaderMap, Path(call): Path<String>) -> Response {
    let ended = async {
        let (line, known) = desk.find(&headers, &call).await?;
        let call = known.info.call;
        if !known.is_over() && desk.calls.hang_up(call).await? {
            line.until_over(call).await;
        }
        let state = line.live.find(call).map_or("ended", |info| Known::heard(info, 0).state().0);
        Ok(json!({"call_id": call.to_string(), "state": state}))
    };
    answer(ended.await)
}

async fn no_method() -> Response {
    let failed = Failed::new(
        Code::BadRequest,
        "want POST or GET of /api/v1/calls, GET or DELETE of /api/v1/calls/{call_id}",
    );
    as_json(StatusCode::METHOD_NOT_ALLOWED, &failed.body())
}

/// What a request to place a call says.
struct Asked {
    line: Option<Phone>,
    wanted: Wanted,
}

fn read(body: &[u8]) -> Result<Asked, Failed> {
    let bad = |message: String| Failed::new(Code::BadRequest, message);
    let keys =
        object(body).map_err(|is| bad(format!("want a JSON object with {}: {is}", KEYS.join(", "))))?;
    if let Some(unknown) = keys.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let shown: String = unknown.chars().take(40).collect();
        return Err(bad(format!("unknown key {shown:?}: want {}", KEYS.join(", "))));
    }
    let value = |key: &str| keys.get(key).filter(|value| !value.is_null());
    let wrong = |key: &str, want: &str| {
        let is: String =
            value(key).map_or("missing".to_owned(), |value| value.to_string().chars().take(60).collect());
        bad(format!("{key} = {is}: want {want}"))
    };
    let line = match value("line") {
        None => None,
        Some(line) => {
            let parsed = line.as_str().and_then(|text| Phone::written(text).ok());
            Some(parsed.ok_or_else(|| wrong("line", "the number of a line, as \"+79060000000\""))?)
        }
    };
    let to = value("to").and_then(|to| serde_json::from_value::<Callee>(to.clone()).ok());
    let to = to.ok_or_else(|| {
        wrong("to", "a phone number as \"+79990000000\", a username as \"@anna\", or a Telegram id")
    })?;
    let extension = match value("extension") {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let extension = extension.filter(|extension| is_extension(extension)).ok_or_else(|| {
        wrong(
            "extension",
            "an extension or a queue of the PBX, 1 to 64 letters, digits and + - _ . * #, as \"201\"",
        )
    })?;
    let key = match value("idempotency_key") {
        None => None,
        Some(key) => {
            let fits = |key: &&str| (1..=LONGEST_KEY).contains(&key.chars().count());
            let key = key.as_str().filter(fits).map(str::to_owned);
            Some(key.ok_or_else(|| {
                wrong("idempotency_key", &format!("a text of 1 to {LONGEST_KEY} characters"))
            })?)
        }
    };
    Ok(Asked { line, wanted: Wanted { to, extension, key } })
}

impl Desk {
    fn admitted(&self, headers: &HeaderMap) -> Result<Admitted, Failed> {
        match bearer(headers).and_then(|bearer| self.admit.admits(bearer)) {
            Some(Admitted::Starting) => Err(starting()),
            Some(admitted) => Ok(admitted),
            None => Err(Failed::new(
                Code::Unauthorized,
                "want a header Authorization: Bearer with a token that is good for calls",
            )),
        }
    }

    /// The line that a request is about.
    fn line(&self, admitted: &Admitted, asked: Option<Phone>) -> Result<LineCalls, Failed> {
        let line = match (admitted, asked) {
            (Admitted::Line(own), Some(asked)) if asked != *own => {
                return Err(Failed::new(Code::Forbidden, format!("this token is not good for line {asked}")));
            }
            (Admitted::Line(own), _) => own.clone(),
            (Admitted::All, Some(asked)) => asked,
            (Admitted::All, None) => {
                let message = "line is missing: want the number of a line, as \"+79060000000\"; this token is good for all";
                return Err(Failed::new(Code::BadRequest, message));
            }
            (Admitted::Starting, _) => return Err(starting()),
        };
        self.running(&line)
    }

    /// A line's calls: none while it is starting or being opened anew.
    fn running(&self, line: &Phone) -> Result<LineCalls, Failed> {
        let message = || format!("there is no line {line} that runs");
        self.calls.line(line).ok_or_else(|| Failed::new(Code::Unavailable, message()))
    }

    fn lines(&self, admitted: &Admitted) -> Result<Vec<LineCalls>, Failed> {
        match admitted {
            Admitted::Line(line) => Ok(vec![self.running(line)?]),
            Admitted::All => Ok(self.calls.lines().values().cloned().collect()),
            Admitted::Starting => Err(starting()),
        }
    }

    /// A call of the lines that the token is good for, and its line.
    async fn find(&self, headers: &HeaderMap, call: &str) -> Result<(LineCalls, Known), Failed> {
        let lines = self.lines(&self.admitted(headers)?)?;
        let unknown = || Failed::new(Code::CallNotFound, "no such call is known to the lines of this token");
        let call: CallId = call.parse().map_err(|_| unknown())?;
        let disk = |error: sqlx::Error| Failed::new(Code::Internal, error.to_string());
        if let Some((line, info)) = lines.iter().find_map(|line| Some((line, line.live.find(call)?))) {
            return Ok((line.clone(), Known::heard(info, 0)));
        }
        for line in lines {
            if let Some(known) = line.known(call).await.map_err(disk)? {
                return Ok((line, known));
            }
            // It is placed, and its first news are on the way, or were missed.
            if let Some(asked_ms) = line.store.ordered_ms(&call.to_string()).await.map_err(disk)? {
                let known = self.calls.recorded(&line, call, asked_ms).await?;
                return known.map(|known| (line, known)).ok_or_else(unknown);
            }
        }
        Err(unknown())
    }
}

fn starting() -> Failed {
    Failed::new(Code::Unavailable, "the lines are starting: ask again soon")
}

fn answer(done: Result<Value, Failed>) -> Response {
    match done {
        Ok(result) => as_json(StatusCode::OK, &json!({"ok": true, "result": result})),
        Err(failed) => failed.into_response(),
    }
}

impl Code {
    fn word(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized | Self::Forbidden => "unauthorized",
            Self::NotAuthorized => "not_authorized",
            Self::CallNotFound => "call_not_found",
            Self::DialogNotFound => "dialog_not_found",
            Self::NoTelegramAccount => "no_telegram_account",
            Self::FloodWait => "flood_wait",
            Self::NotAllowed => "not_allowed",
            Self::Timeout => "timeout",
            Self::Unavailable | Self::Internal => "internal",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden | Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::NotAuthorized => StatusCode::CONFLICT,
            Self::CallNotFound | Self::DialogNotFound | Self::NoTelegramAccount => StatusCode::NOT_FOUND,
            Self::FloodWait => StatusCode::TOO_MANY_REQUESTS,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Failed {
    fn body(&self) -> Value {
        json!({"ok": false, "error": {
            "code": self.code.word(),
            "message": self.message,
            "retryable": self.is_retryable,
            "retry_after": self.retry_after_s,
        }})
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let mut response = as_json(self.code.status(), &self.body());
        if let Some(wait_s) = self.retry_after_s {
            response.headers_mut().insert(RETRY_AFTER, wait_s.into());
        }
        if self.code == Code::Unauthorized {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_read_as_programs_write_it() {
        let asked = read(br#"{"line":"79060000000","to":"+7 999 000-00-00","extension":201}"#);
        let asked = asked.unwrap_or_else(|failed| panic!("{}", failed.message));
        assert_eq!(asked.line, "+79060000000".parse().ok());
        let to = Callee::Phone("+79990000000".parse().unwrap());
        assert_eq!(asked.wanted, Wanted { to, extension: "201".into(), key: None });
        let asked = read(br#"{"line":"+8 (906) 000-00-00","to":"8 (999) 000-00-00","extension":201}"#);
        let asked = asked.unwrap_or_else(|failed| panic!("{}", failed.message));
        assert_eq!(
            (asked.line, asked.wanted.to),
            ("+79060000000".parse().ok(), Callee::Phone("+79990000000".parse().unwrap()))
        );
        // 1C puts a mark of the byte order before it.
        let body = "\u{feff}{\"to\":5,\"extension\":\"q_1\",\"idempotency_key\":\"order-7\"}";
        let asked = read(body.as_bytes());
        let asked = asked.unwrap_or_else(|failed| panic!("{}", failed.message));
        assert_eq!((asked.line, asked.wanted.key.as_deref()), (None, Some("order-7")));
    }

    #[test]
    fn what_cannot_be_ordered_is_told_with_its_key_and_what_is_allowed() {
        for (body, told) in [
            ("[]", "want a JSON object with line, to, extension, idempotency_key: "),
            (r#"{"too":1}"#, "unknown key \"too\": want line, to"),
            (r#"{"to":"anna","extension":"201"}"#, "to = \"anna\": want a phone number as \"+7999"),
            (r#"{"extension":"201"}"#, "to = missing: want a phone number"),
            (r#"{"to":5,"extension":"a@b"}"#, "extension = \"a@b\": want an extension or a queue"),
            (r#"{"to":5}"#, "extension = missing: want an extension"),
            (r#"{"to":5,"extension":"1","line":"x"}"#, "line = \"x\": want the number of a line"),
            (
                r#"{"to":5,"extension":"1","idempotency_key":""}"#,
                "idempotency_key = \"\": want a text of 1 to 255",
            ),
        ] {
            let failed = read(body.as_bytes()).err().unwrap();
            assert_eq!(failed.code, Code::BadRequest);
            assert!(failed.message.starts_with(told), "{told}\n{}", failed.message);
        }
    }
}
