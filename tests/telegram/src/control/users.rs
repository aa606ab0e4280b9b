//! Endpoints about users and their logins.

use axum::Json;
use axum::extract::{Path, Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::Shared;
use super::refusal::Refusal;
use crate::world::{NewUser, PrivacyInfo, UserInfo};

pub(crate) async fn list(State(desk): Shared) -> Json<Vec<UserInfo>> {
    Json(desk.world().users())
}

/// A [`NewUser`], and `puppet: true` if the user is to have one from the start.
pub(crate) async fn add(State(desk): Shared, Json(mut wanted): Json<Value>) -> Result<Json<Value>, Refusal> {
    let puppet = wanted.as_object_mut().and_then(|fields| fields.remove("puppet"));
    let user: NewUser = serde_json::from_value(wanted).map_err(|error| Refusal::bad(error.to_string()))?;
    let id = desk.world().add_user(user).map_err(|error| Refusal::bad(error.to_string()))?;
    if puppet == Some(Value::Bool(true)) {
        desk.puppet(id)?;
    }
    Ok(Json(json!({ "id": id })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    deactivated: Option<bool>,
    outdated: Option<bool>,
    premium_only: Option<bool>,
    /// Contacts alone may bring them into groups.
    uninvitable: Option<bool>,
    /// An empty one takes the second factor away.
    password: Option<String>,
    /// At the second factor; an empty one takes it away.
    hint: Option<String>,
    /// Of their application, which bots are told.
    language: Option<String>,
}

pub(crate) async fn change(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(change): Json<Change>,
) -> Result<Json<Value>, Refusal> {
    known(&desk, user)?;
    if let Some(deactivated) = change.deactivated {
        desk.world().set_deactivated(user, deactivated);
    }
    if let Some(outdated) = change.outdated {
        desk.world().set_outdated(user, outdated);
    }
    if let Some(premium_only) = change.premium_only {
        desk.world().set_premium_only(user, premium_only);
    }
    if let Some(uninvitable) = change.uninvitable {
        desk.world().set_uninvitable(user, uninvitable);
    }
    if let Some(language) = change.language {
        desk.world().set_language(user, &language);
    }
    if let Some(password) = change.password {
        desk.world().set_password(user, Some(password.as_str()).filter(|password| !password.is_empty()));
    }
    if let Some(hint) = change.hint {
        desk.world().set_hint(user, Some(hint.as_str()).filter(|hint| !hint.is_empty()));
    }
    Ok(Json(json!({ "ok": true })))
}

pub(crate) async fn privacy_rules(
    State(desk): Shared,
    Path(user): Path<i64>,
) -> Result<Json<Vec<PrivacyInfo>>, Refusal> {
    known(&desk, user)?;
    Ok(Json(desk.world().privacy(user)))
}

pub(crate) async fn privacy(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(rule): Json<PrivacyInfo>,
) -> Result<Json<Value>, Refusal> {
    known(&desk, user)?;
    desk.world().set_privacy_except(user, &rule);
    Ok(Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
pub(crate) struct Portrait {
    base64: String,
}

pub(crate) async fn portrait(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(portrait): Json<Portrait>,
) -> Result<Json<Value>, Refusal> {
    let picture = STANDARD.decode(portrait.base64).map_err(|error| Refusal::bad(error.to_string()))?;
    Ok(Json(json!({ "photo": desk.world().set_portrait(user, picture)? })))
}

#[derive(Deserialize)]
pub(crate) struct Block {
    other: i64,
    blocked: bool,
}

pub(crate) async fn block(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(block): Json<Block>,
) -> Result<Json<Value>, Refusal> {
    known(&desk, user)?;
    desk.world().set_blocked(user, block.other, block.blocked);
    Ok(Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
pub(crate) struct Phone {
    phone: String,
}

pub(crate) async fn login_code(
    State(desk): Shared,
    Query(query): Query<Phone>,
) -> Result<Json<Value>, Refusal> {
    let code = desk.world().pending_login_code(&query.phone);
    let code = code.ok_or_else(|| Refusal::missing(format!("no login code waits for {}", query.phone)))?;
    Ok(Json(json!({ "code": code })))
}

pub(crate) async fn expire_login_code(State(desk): Shared, Query(query): Query<Phone>) -> Json<Value> {
    Json(json!({ "expired": desk.world().expire_login_code(&query.phone) }))
}

fn known(desk: &super::Desk, user: i64) -> Result<(), Refusal> {
    let found = desk.world().users().iter().any(|known| known.id == user);
    if found { Ok(()) } else { Err(Refusal::missing(format!("no user {user}"))) }
}
