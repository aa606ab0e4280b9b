//! `rpc_error` (core.telegram.org/api/errors): a number that clients switch on and a text that says which.

use crate::link::Answer;

/// What a method refuses with, e.g. `400 PHONE_CODE_INVALID`. Code 0 means that no answer came at all
/// (the connection was closed by a fault), which only an in-process device can see in this form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[error("{code} {message}")]
pub struct RpcError {
    /// The class: 303, 400, 401, 403, 406, 420, 500 or -503.
    pub code: i32,
    /// The text, with its number where it has one: `FLOOD_WAIT_31`.
    pub message: String,
}

impl RpcError {
    /// An error of any class.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(crate) fn bad_request(message: &str) -> Self {
        Self::new(400, message)
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self::new(403, message)
    }

    pub(crate) fn unauthorized(message: &str) -> Self {
        Self::new(401, message)
    }

    pub(crate) fn no_answer(message: &str) -> Self {
        Self::new(0, message)
    }
}

impl From<RpcError> for Answer {
    fn from(error: RpcError) -> Self {
        Self::Error { code: error.code, message: error.message }
    }
}
