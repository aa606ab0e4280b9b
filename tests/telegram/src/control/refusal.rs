//! What an endpoint says when it cannot.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::world::RpcError;

/// A status and a sentence, sent as `{"error": ...}`.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: String,
}

impl Refusal {
    /// What was asked makes no sense.
    pub(crate) fn bad(error: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error: error.into() }
    }

    /// There is nothing of this name.
    pub(crate) fn missing(error: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, error: error.into() }
    }
}

impl From<RpcError> for Refusal {
    fn from(error: RpcError) -> Self {
        Self { status: StatusCode::CONFLICT, error: error.to_string() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(serde_json::json!({ "error": self.error }))).into_response()
    }
}
