//! Endpoints about faults and the journal.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::desk::Shared;
use super::refusal::Refusal;
use crate::world::{Rule, RuleInfo, World};

pub(crate) async fn list(State(desk): Shared) -> Json<Vec<RuleInfo>> {
    Json(desk.world().faults())
}

pub(crate) async fn add(State(desk): Shared, Json(rule): Json<Rule>) -> Json<Value> {
    Json(json!({ "id": desk.world().add_fault(rule.matches, rule.action) }))
}

pub(crate) async fn clear(State(desk): Shared) -> Json<Value> {
    desk.world().clear_faults();
    Json(json!({ "ok": true }))
}

pub(crate) async fn remove(State(desk): Shared, Path(fault): Path<u64>) -> Result<Json<Value>, Refusal> {
    if desk.world().remove_fault(fault) {
        Ok(Json(json!({ "ok": true })))
    } else {
        Err(Refusal::missing(format!("no fault {fault}")))
    }
}

#[derive(Deserialize)]
pub(crate) struct Filter {
    #[serde(default)]
    after: u64,
    method: Option<String>,
    user: Option<i64>,
}

#[derive(Serialize)]
pub(crate) struct Line {
    number: u64,
    at_ms: u64,
    method: &'static str,
    user: Option<i64>,
    auth_key_id: i64,
    dc: i32,
    request: String,
    outcome: String,
}

pub(crate) async fn journal(State(desk): Shared, Query(filter): Query<Filter>) -> Json<Vec<Line>> {
    let entries = desk.world().journal(filter.after).into_iter();
    let wanted = entries
        .filter(|entry| filter.method.as_deref().is_none_or(|method| method == entry.method))
        .filter(|entry| filter.user.is_none_or(|user| Some(user) == entry.user));
    let lines = wanted.map(|entry| Line {
        number: entry.number,
        at_ms: entry.at_ms,
        method: entry.method,
        user: entry.user,
        auth_key_id: entry.auth_key_id,
        dc: entry.dc,
        request: World::describe(&entry.body),
        outcome: entry.outcome,
    });
    Json(lines.collect())
}

pub(crate) async fn clear_journal(State(desk): Shared) -> Json<Value> {
    desk.world().clear_journal();
    Json(json!({ "ok": true }))
}
