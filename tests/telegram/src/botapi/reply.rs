//! What a method of the Bot API answers: a result, or an error with the text that Telegram has for it.

use serde_json::{Value, json};

use crate::world::bots::Closed;

/// A result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Served {
    pub(crate) result: Value,
    pub(crate) description: Option<&'static str>,
}

impl From<Value> for Served {
    fn from(result: Value) -> Self {
        Self { result, description: None }
    }
}

impl Served {
    /// `true`, with a sentence.
    pub(crate) fn said(description: &'static str) -> Self {
        Self { result: json!(true), description: Some(description) }
    }

    pub(crate) fn envelope(&self) -> Value {
        let mut whole = json!({ "ok": true, "result": self.result });
        if let Some(description) = self.description {
            whole["description"] = json!(description);
        }
        whole
    }
}

/// An error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) code: u16,
    pub(crate) description: String,
    pub(crate) retry_after: Option<u32>,
}

impl ApiError {
    fn new(code: u16, description: String) -> Self {
        Self { code, description, retry_after: None }
    }

    /// 400 with this text after `Bad Request: `.
    pub(crate) fn bad(text: impl AsRef<str>) -> Self {
        Self::new(400, format!("Bad Request: {}", text.as_ref()))
    }

    /// 401: nobody has this token.
    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized".to_owned())
    }

    /// 404: no such path, or method.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(404, format!("Not Found{what}"))
    }

    /// 409 with this text after `Conflict: `.
    pub(crate) fn conflict(text: &str) -> Self {
        Self::new(409, format!("Conflict: {text}"))
    }

    /// 413: more than a server takes.
    pub(crate) fn too_large() -> Self {
        Self::new(413, "Request Entity Too Large".to_owned())
    }

    pub(crate) fn envelope(&self) -> Value {
        let mut whole = json!({ "ok": false, "error_code": self.code, "description": self.description });
        if let Some(seconds) = self.retry_after {
            whole["parameters"] = json!({ "retry_after": seconds });
        }
        whole
    }
}

impl From<Closed> for ApiError {
    fn from(closed: Closed) -> Self {
        let forbidden = |text: &str| Self::new(403, format!("Forbidden: {text}"));
        match closed {
            Closed::Unknown => Self::bad("chat not found"),
            Closed::NotStarted => forbidden("bot can't initiate conversation with a user"),
            Closed::Blocked => forbidden("bot was blocked by the user"),
            Closed::Deactivated => forbidden("user is deactivated"),
            Closed::Bot => forbidden("the bot can't send messages to the bot"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_telegrams_form() {
        let error = ApiError { retry_after: Some(7), ..ApiError::bad("chat not found") };
        let told = json!({
            "ok": false,
            "error_code": 400,
            "description": "Bad Request: chat not found",
            "parameters": { "retry_after": 7 },
        });
        assert_eq!(error.envelope(), told);
        let blocked = ApiError::from(Closed::Blocked).envelope();
        assert_eq!(blocked["description"], "Forbidden: bot was blocked by the user");
        assert_eq!(Served::said("Webhook was set").envelope()["description"], "Webhook was set");
    }
}
