//! How a call is answered: who calls, whether they may, whether it can be done now, and then the method.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::account;
use super::arguments::Arguments;
use super::call::{Call, PartnerCall, Target};
use super::error::Failed;
use super::files;
use super::methods::{self, Takes};
use super::throttle::{Pace, Throttle};
use super::upload;
use crate::clock;
use crate::house::House;
use crate::id::InstanceId;
use crate::instance::Instance;
use crate::standing::Standing;

/// How long a call waits for an instance that is being opened anew.
const RESTING: Duration = Duration::from_secs(5);

/// What a method gives.
pub(super) type Answer = Result<Value, Failed>;

/// Where calls are answered.
#[derive(Clone)]
pub(super) struct Desk {
    house: House,
    throttle: Arc<Throttle>,
}

impl Desk {
    pub(super) fn new(house: House, pace: Pace) -> Self {
        Self { house, throttle: Arc::new(Throttle::new(pace)) }
    }

    /// The instance that is called; one that is being opened anew is waited for, because clients that are refused call
    /// again at once.
    async fn instance(&self, id: Option<InstanceId>, token: &str) -> Result<Instance, Failed> {
        let Some(id) = id else { return Err(Failed::unknown_instance()) };
        match self.house.is_token_of_resting(id, token) {
            Some(true) => drop(timeout(RESTING, self.house.rested(id)).await),
            Some(false) => return Err(Failed::unauthorized()),
            None => {}
        }
        if self.house.rests(id) {
            return Err(Failed::standing(Standing::Starting));
        }
        let Some(instance) = self.house.instance(id) else {
            let was = self.house.office().former().iter().any(|former| former.id == id);
            return Err(if was { Failed::deleted_instance() } else { Failed::unknown_instance() });
        };
        if instance.is_token(token) { Ok(instance) } else { Err(Failed::unauthorized()) }
    }
}

/// Answers whatever comes.
pub(super) async fn answer(State(desk): State<Desk>, request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let target = Target::read(parts.uri.path());
    let done = match &target {
        Target::Instance { id, method, token, tail } => {
            instance_call(&desk, &parts, &mut body, (*id, method, token, tail.clone())).await
        }
        Target::Partner { method, token } => partner_call(&desk, &parts, &mut body, (method, token)).await,
        Target::File { secret } => files::file(&desk.house, &parts, secret).await,
        Target::Nothing => Err(Failed::unknown_path()),
    };
    match done {
        Ok(response) => response,
        Err(failed) => {
            let path = target.masked();
            tracing::debug!(
                path,
                code = failed.status.as_u16(),
                message = failed.message,
                "a call is refused"
            );
            let is_over = upload::drain(&mut body).await;
            let mut response = refusal(&failed, &path);
            if !is_over {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            response
        }
    }
}

async fn instance_call(
    desk: &Desk,
    parts: &Parts,
    body: &mut Body,
    (id, name, token, tail): (Option<InstanceId>, &str, &str, Option<String>),
) -> Result<Response, Failed> {
    let method = methods::find(name);
    let is_state = method.is_some_and(|method| method.name == "getStateInstance");
    if is_state && id.is_some_and(|id| desk.house.is_token_of_resting(id, token) == Some(true)) {
        return Ok(json(StatusCode::OK, &account::state(Standing::Starting)));
    }
    let instance = desk.instance(id, token).await?;
    let method = method.ok_or_else(|| Failed::unknown_method(name))?;
    check_verb(parts, method.name, method.verbs)?;
    desk.throttle.admit(instance.id(), method.name, method.rps, Instant::now()).map_err(Failed::too_many)?;
    method.needs.check(instance.standing())?;
    let (said, upload) = match method.takes {
        Takes::Json => (upload::json(&parts.headers, body, upload::silence_of(&instance)).await?, None),
        Takes::Form => upload::form_with_file(&instance, &parts.headers, body).await?,
        Takes::File => {
            let file = upload::file(&instance, &parts.headers, body).await?;
            (Value::Null, Some(file))
        }
    };
    let arguments = Arguments::of(query(parts)?, said);
    let value = (method.run)(Call { house: desk.house.clone(), instance, arguments, tail, upload }).await?;
    Ok(json(StatusCode::OK, &value))
}

async fn partner_call(
    desk: &Desk,
    parts: &Parts,
    body: &mut Body,
    (name, token): (&str, &str),
) -> Result<Response, Failed> {
    if !desk.house.office().is_partner(token) {
        return Err(Failed::new(
            StatusCode::UNAUTHORIZED,
            "Unauthorized: the token in the path is no partner's",
        ));
    }
    let method = methods::find_partner(name).ok_or_else(|| Failed::unknown_method(name))?;
    check_verb(parts, method.name, method.verbs)?;
    let said = upload::json(&parts.headers, body, upload::SILENCE).await?;
    let arguments = Arguments::of(query(parts)?, said);
    let value = (method.run)(PartnerCall { house: desk.house.clone(), arguments }).await?;
    Ok(json(StatusCode::OK, &value))
}

fn check_verb(parts: &Parts, name: &str, verbs: &[&str]) -> Result<(), Failed> {
    if verbs.contains(&parts.method.as_str()) {
        return Ok(());
    }
    let message = format!("Not Found: '{name}' is called by {}", verbs.join(" or "));
    Err(Failed::new(StatusCode::NOT_FOUND, message))
}

fn query(parts: &Parts) -> Result<BTreeMap<String, String>, Failed> {
    match Query::try_from_uri(&parts.uri) {
        Ok(Query(query)) => Ok(query),
        Err(_) => Err(Failed::validation("the query must be written as key=value&key=value")),
    }
}

fn refusal(failed: &Failed, path: &str) -> Response {
    let body = failed.body(path, &clock::iso(clock::unix_ms()));
    let mut response = json(failed.status, &body);
    if let Some(seconds) = failed.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
