//! The door: who asks what, and may they.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, Uri};
use axum::response::Response;
use serde_json::{Map, Value};
use tgtrunk_messages::{Grant, bearer, shown};

use super::Directory;
use super::answer::{Answer, Failed, response};

/// Longest body, in bytes: a text of 20,000 letters, each escaped.
const BODY_BYTES: usize = 256 * 1024;

/// What is answered here.
pub(super) const PATHS: [&str; 8] = [
    "/api/v1/organisations",
    "/api/v1/organisations/{id}",
    "/api/v1/recipients",
    "/api/v1/recipients/{id}",
    "/api/v1/notify",
    "/api/v1/notify/{id}",
    "/api/v1/bot/keys",
    "/api/v1/bot/check-token",
];

/// A request of somebody who may ask.
pub(super) struct Call {
    pub(super) directory: Arc<Directory>,
    pub(super) grant: Grant,
    /// The number at the end of the path.
    pub(super) id: Option<i64>,
    /// What stands behind `?` in the address.
    pub(super) query: Map<String, Value>,
    pub(super) body: Vec<u8>,
}

/// Answers a request.
pub(super) async fn answer(State(directory): State<Arc<Directory>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Goes on to the end even if nobody waits for it any more: what was begun is done.
    let done = tokio::spawn(async move { answered(directory, &parts, body).await }).await;
    response(done.unwrap_or_else(|_| Err(Failed::broke_off())))
}

async fn answered(directory: Arc<Directory>, parts: &Parts, body: Body) -> Answer {
    let grant =
        bearer(&parts.headers).and_then(|token| directory.grant(token)).ok_or_else(Failed::stranger)?;
    let mut path = parts.uri.path().trim_start_matches("/api/v1/").split('/');
    let (what, rest) = (path.next().unwrap_or_default(), path.next());
    let id = match rest.filter(|_| what != "bot") {
        Some(said) => Some(said.parse().ok().filter(|id| *id > 0).ok_or_else(|| {
            let said = shown(&Value::String(said.to_owned()));
            Failed::missing(format!("{what}/{said}: want a number, as /api/v1/{what}/7"))
        })?),
        None => None,
    };
    let query = query(&parts.uri)?;
    let body = to_bytes(body, BODY_BYTES).await.map_err(|error| {
        let is_long =
            std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("limit"));
        if is_long {
            return Failed::too_large(BODY_BYTES);
        }
        Failed::bad(format!("the body did not come whole: {error}"))
    })?;
    let call = Call { directory, grant, id, query, body: body.into() };
    match (what, rest, &parts.method) {
        ("organisations", None, &Method::GET) => call.organisations().await,
        ("organisations", None, &Method::POST) => call.keep_organisation().await,
        ("organisations", Some(_), &Method::GET) => call.organisation().await,
        ("organisations", Some(_), &Method::DELETE) => call.forget_organisation().await,
        ("recipients", None, &Method::GET) => call.recipients().await,
        ("recipients", None, &Method::POST) => call.keep_recipient().await,
        ("recipients", Some(_), &Method::GET) => call.recipient().await,
        ("recipients", Some(_), &Method::DELETE) => call.forget_recipient().await,
        ("notify", None, &Method::GET) => call.notifications().await,
        ("notify", None, &Method::POST) => call.notify().await,
        ("notify", Some(_), &Method::GET) => call.notification().await,
        ("bot", Some("keys"), &Method::GET) => call.keys().await,
        ("bot", Some("check-token"), &Method::POST) => call.check_token().await,
        (_, _, method) => {
            let want = match (what, rest) {
                ("organisations" | "recipients", Some(_)) => "GET or DELETE",
                ("organisations" | "recipients" | "notify", None) => "GET or POST",
                ("bot", Some("check-token")) => "POST",
                _ => "GET",
            };
            Err(Failed::other_verb(format!("{method} {}: want {want}", parts.uri.path())))
        }
    }
}

fn query(uri: &Uri) -> Result<Map<String, Value>, Failed> {
    let read = Query::<BTreeMap<String, String>>::try_from_uri(uri);
    let Query(said) = read.map_err(|error| Failed::bad(format!("the address cannot be read: {error}")))?;
    Ok(said.into_iter().map(|(key, value)| (key, Value::String(value))).collect())
}

impl Call {
    /// Lets in who may manage everything.
    pub(super) fn manages(&self, what: &str) -> Result<(), Failed> {
        match self.grant {
            Grant::All => Ok(()),
            Grant::Instance(_) => Err(Failed::forbidden(format!(
                "{what} need a token for all lines: tgtrunk-client action-token make --all"
            ))),
        }
    }
}
