//! Endpoints about sessions and their connections.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::Shared;
use crate::world::KeyInfo;

#[derive(Deserialize)]
pub(crate) struct Revocation {
    #[serde(default = "revoked")]
    text: String,
}

fn revoked() -> String {
    "SESSION_REVOKED".to_owned()
}

pub(crate) async fn keys(State(desk): Shared) -> Json<Vec<KeyInfo>> {
    Json(desk.world().keys())
}

pub(crate) async fn revoke(
    State(desk): Shared,
    Path(key): Path<i64>,
    Json(how): Json<Revocation>,
) -> Json<Value> {
    Json(json!({ "revoked": desk.world().revoke(key, &how.text) }))
}

pub(crate) async fn forget(State(desk): Shared, Path(key): Path<i64>) -> Json<Value> {
    desk.world().forget_key(key);
    Json(json!({ "ok": true }))
}

pub(crate) async fn revoke_user(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(how): Json<Revocation>,
) -> Json<Value> {
    let keys = desk.world().keys_of(user).len();
    desk.world().revoke_user(user, &how.text);
    Json(json!({ "revoked": keys }))
}

pub(crate) async fn drop_connections(State(desk): Shared, Path(user): Path<i64>) -> Json<Value> {
    desk.world().drop_connections(user);
    Json(json!({ "ok": true }))
}

pub(crate) async fn black_hole(State(desk): Shared, Path(user): Path<i64>) -> Json<Value> {
    desk.world().black_hole(user);
    Json(json!({ "ok": true }))
}

pub(crate) async fn new_session(State(desk): Shared, Path(user): Path<i64>) -> Json<Value> {
    desk.world().new_session_created(user);
    Json(json!({ "ok": true }))
}

#[derive(Deserialize)]
pub(crate) struct Gap {
    #[serde(default = "one")]
    count: u32,
}

fn one() -> u32 {
    1
}

pub(crate) async fn skip_seq(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(gap): Json<Gap>,
) -> Json<Value> {
    desk.world().skip_seq(user, gap.count);
    Json(json!({ "ok": true }))
}

pub(crate) async fn too_long(State(desk): Shared, Path(user): Path<i64>) -> Json<Value> {
    desk.world().push_too_long(user);
    Json(json!({ "ok": true }))
}
