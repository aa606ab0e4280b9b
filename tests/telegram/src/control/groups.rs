//! Endpoints about groups of every kind, and those by which a test leads them in a user's name.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::Shared;
use super::refusal::Refusal;
use crate::world::{GroupInfo, NewGroup};

pub(crate) async fn list(State(desk): Shared) -> Json<Vec<GroupInfo>> {
    Json(desk.world().groups())
}

pub(crate) async fn one(State(desk): Shared, Path(group): Path<i64>) -> Result<Json<GroupInfo>, Refusal> {
    let known = desk.world().group(group);
    known.map(Json).ok_or_else(|| Refusal::missing(format!("no group {group}")))
}

pub(crate) async fn add(State(desk): Shared, Json(new): Json<NewGroup>) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!({ "id": desk.world().add_group(new)? })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    /// Who does it.
    by: i64,
    title: Option<String>,
    /// Made an admin.
    admin: Option<i64>,
    /// No longer an admin.
    no_admin: Option<i64>,
    /// What members that are no admins may not.
    forbid: Option<Vec<String>>,
    /// Whether nothing of it may be forwarded.
    protected: Option<bool>,
}

pub(crate) async fn change(
    State(desk): Shared,
    Path(group): Path<i64>,
    Json(change): Json<Change>,
) -> Result<Json<Value>, Refusal> {
    if let Some(title) = change.title {
        desk.world().retitle(group, change.by, &title)?;
    }
    if let Some(user) = change.admin {
        desk.world().set_admin(group, user, true)?;
    }
    if let Some(user) = change.no_admin {
        desk.world().set_admin(group, user, false)?;
    }
    if let Some(what) = change.forbid {
        desk.world().forbid(group, &what)?;
    }
    if let Some(protected) = change.protected {
        desk.world().set_protected(group, protected)?;
    }
    Ok(Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
pub(crate) struct Newcomer {
    user: i64,
    by: i64,
}

pub(crate) async fn bring(
    State(desk): Shared,
    Path(group): Path<i64>,
    Json(newcomer): Json<Newcomer>,
) -> Result<Json<Value>, Refusal> {
    desk.world().bring(group, newcomer.by, newcomer.user)?;
    Ok(Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
pub(crate) struct Actor {
    by: i64,
}

pub(crate) async fn take_out(
    State(desk): Shared,
    Path((group, user)): Path<(i64, i64)>,
    Query(actor): Query<Actor>,
) -> Result<Json<Value>, Refusal> {
    desk.world().take_out(group, actor.by, user)?;
    Ok(Json(json!({ "ok": true })))
}

pub(crate) async fn link(
    State(desk): Shared,
    Path(group): Path<i64>,
    Json(actor): Json<Actor>,
) -> Result<Json<Value>, Refusal> {
    Ok(Json(json!({ "link": desk.world().invite_link(group, actor.by)? })))
}
