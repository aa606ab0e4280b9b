//! Endpoints about calls, and those by which a puppet acts for a user.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::Shared;
use super::refusal::Refusal;
use crate::world::{CallInfo, CallSettings, Ending, PuppetCall};

pub(crate) async fn list(State(desk): Shared) -> Json<Vec<CallInfo>> {
    Json(desk.world().calls())
}

pub(crate) async fn settings(
    State(desk): Shared,
    Path(call): Path<i64>,
    Json(settings): Json<CallSettings>,
) -> Result<Json<Value>, Refusal> {
    if desk.world().set_call(call, settings) {
        Ok(Json(json!({ "ok": true })))
    } else {
        Err(Refusal::missing(format!("no call {call}")))
    }
}

pub(crate) async fn next_call(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(settings): Json<CallSettings>,
) -> Json<Value> {
    desk.world().set_next_call(user, settings);
    Json(json!({ "ok": true }))
}

pub(crate) async fn puppet(State(desk): Shared, Path(user): Path<i64>) -> Result<Json<Value>, Refusal> {
    desk.puppet(user)?;
    Ok(Json(json!({ "ok": true })))
}

pub(crate) async fn seen(
    State(desk): Shared,
    Path(user): Path<i64>,
) -> Result<Json<Vec<PuppetCall>>, Refusal> {
    Ok(Json(desk.puppet(user)?.calls()))
}

#[derive(Deserialize)]
pub(crate) struct Dial {
    to: i64,
    #[serde(default)]
    video: bool,
}

pub(crate) async fn dial(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(dial): Json<Dial>,
) -> Result<Json<Value>, Refusal> {
    let call = desk.puppet(user)?.dial(dial.to, dial.video).await?;
    Ok(Json(json!({ "call": call })))
}

pub(crate) async fn receive(
    State(desk): Shared,
    Path((user, call)): Path<(i64, i64)>,
) -> Result<Json<Value>, Refusal> {
    desk.puppet(user)?.receive(call).await?;
    Ok(Json(json!({ "ok": true })))
}

pub(crate) async fn accept(
    State(desk): Shared,
    Path((user, call)): Path<(i64, i64)>,
) -> Result<Json<Value>, Refusal> {
    desk.puppet(user)?.accept(call).await?;
    Ok(Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
pub(crate) struct Discard {
    #[serde(default = "hangup")]
    reason: Ending,
    #[serde(default)]
    duration: i32,
}

fn hangup() -> Ending {
    Ending::Hangup
}

pub(crate) async fn discard(
    State(desk): Shared,
    Path((user, call)): Path<(i64, i64)>,
    Json(how): Json<Discard>,
) -> Result<Json<Value>, Refusal> {
    desk.puppet(user)?.discard(call, how.reason, how.duration).await?;
    Ok(Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
pub(crate) struct Signal {
    hex: String,
}

pub(crate) async fn signal(
    State(desk): Shared,
    Path((user, call)): Path<(i64, i64)>,
    Json(signal): Json<Signal>,
) -> Result<Json<Value>, Refusal> {
    let data = hex::decode(&signal.hex).map_err(|error| Refusal::bad(format!("hex: {error}")))?;
    desk.puppet(user)?.signal(call, data).await?;
    Ok(Json(json!({ "ok": true })))
}
