//! Endpoints about the users' chats, and those by which a test writes there in a user's name.

use axum::Json;
use axum::extract::{Path, Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::Shared;
use super::refusal::Refusal;
use crate::world::{MessageInfo, Said};

#[derive(Deserialize)]
pub(crate) struct Chat {
    with: Option<i64>,
}

/// The whole box, or one chat of it; with what was deleted.
pub(crate) async fn list(
    State(desk): Shared,
    Path(user): Path<i64>,
    Query(chat): Query<Chat>,
) -> Json<Vec<MessageInfo>> {
    let mut messages = desk.world().messages(user);
    messages.retain(|message| chat.with.is_none_or(|other| other == message.chat));
    Json(messages)
}

#[derive(Deserialize)]
pub(crate) struct Letter {
    to: i64,
    text: String,
}

pub(crate) async fn say(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(letter): Json<Letter>,
) -> Result<Json<Said>, Refusal> {
    Ok(Json(desk.world().say(user, letter.to, &letter.text)?))
}

#[derive(Deserialize)]
pub(crate) struct Text {
    text: String,
}

pub(crate) async fn edit(
    State(desk): Shared,
    Path((user, message)): Path<(i64, i32)>,
    Json(change): Json<Text>,
) -> Result<Json<Value>, Refusal> {
    desk.world().edit_text(user, message, &change.text)?;
    Ok(Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
pub(crate) struct Deletion {
    #[serde(default = "yes")]
    revoke: bool,
}

fn yes() -> bool {
    true
}

pub(crate) async fn delete(
    State(desk): Shared,
    Path((user, message)): Path<(i64, i32)>,
    Query(how): Query<Deletion>,
) -> Json<Value> {
    Json(json!({ "deleted": desk.world().delete_messages(user, &[message], how.revoke) }))
}

#[derive(Deserialize)]
pub(crate) struct Other {
    other: i64,
}

pub(crate) async fn read(State(desk): Shared, Path(user): Path<i64>, Json(chat): Json<Other>) -> Json<Value> {
    Json(json!({ "read": desk.world().read(user, chat.other) }))
}

pub(crate) async fn typing(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(chat): Json<Other>,
) -> Json<Value> {
    desk.world().show_typing(user, chat.other);
    Json(json!({ "ok": true }))
}

/// The contents of a photo or document.
pub(crate) async fn file(State(desk): Shared, Path(file): Path<i64>) -> Result<Vec<u8>, Refusal> {
    desk.world().file(file).ok_or_else(|| Refusal::missing(format!("no file {file}")))
}

#[derive(Deserialize)]
pub(crate) struct LoginToken {
    token: String,
}

/// The token is base64url, alone or as `tg://login?token=...`.
pub(crate) async fn accept_login(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(login): Json<LoginToken>,
) -> Result<Json<Value>, Refusal> {
    let text = login.token.rsplit_once("token=").map_or(login.token.as_str(), |(_, token)| token);
    let bytes = URL_SAFE_NO_PAD.decode(text).or_else(|_| URL_SAFE.decode(text));
    let bytes = bytes.map_err(|error| Refusal::bad(format!("token: {error}")))?;
    desk.world().accept_login_token(user, &bytes)?;
    Ok(Json(json!({ "ok": true })))
}
