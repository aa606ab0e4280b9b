//! Answers in the Bot API's own shape (core.telegram.org/bots/api#making-requests).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::store::StoreError;

/// What was not done, in Telegram's words where it has some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: u16,
    pub(super) description: String,
}

impl Refused {
    pub(super) fn bad(why: &str) -> Self {
        Self { code: 400, description: format!("Bad Request: {why}") }
    }

    pub(super) fn conflict(why: &str) -> Self {
        Self { code: 409, description: format!("Conflict: {why}") }
    }

    pub(super) fn unauthorized() -> Self {
        Self { code: 401, description: "Unauthorized".to_owned() }
    }

    pub(super) fn not_found() -> Self {
        Self { code: 404, description: "Not Found".to_owned() }
    }

    pub(super) fn too_large() -> Self {
        Self { code: 413, description: "Request Entity Too Large".to_owned() }
    }

    /// Libraries try again after it.
    pub(super) fn down(why: impl std::fmt::Display) -> Self {
        Self { code: 502, description: format!("Bad Gateway: {why}") }
    }

    pub(super) fn response(&self) -> Response {
        let told = json!({"ok": false, "error_code": self.code, "description": self.description});
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::BAD_REQUEST);
        as_json(status, told.to_string())
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "a program is not served");
        Self::down("the bot's database cannot be used now")
    }
}

/// What was done, with a word about it where there is one.
pub(super) fn done(result: &Value, word: Option<&str>) -> Response {
    let mut told = json!({"ok": true, "result": result});
    if let Some(word) = word {
        told["description"] = json!(word);
    }
    as_json(StatusCode::OK, told.to_string())
}

/// Updates, each of which is JSON already.
pub(super) fn updates(all: &[String]) -> Response {
    as_json(StatusCode::OK, format!("{{\"ok\":true,\"result\":[{}]}}", all.join(",")))
}

fn as_json(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}
