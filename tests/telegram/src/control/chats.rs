//! Endpoints about the users' chats, and those by which a test writes there in a user's name.

use axum::Json;
use axum::extract::{Path, Query, State};
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::Shared;
use super::refusal::Refusal;
use crate::world::{ChatInfo, Letter, MessageInfo, WebPage};

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
    Json(match chat.with {
        Some(other) => desk.world().chat_whole(user, other),
        None => desk.world().messages(user),
    })
}

/// The chats of a user, the newest first.
pub(crate) async fn chats(State(desk): Shared, Path(user): Path<i64>) -> Json<Vec<ChatInfo>> {
    Json(desk.world().chats(user))
}

/// The numbers of the first message, and of all of an album.
pub(crate) async fn say(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(letter): Json<Letter>,
) -> Result<Json<Value>, Refusal> {
    let said = desk.world().write(user, letter)?;
    let first = said.first().copied();
    Ok(Json(json!({
        "id": first.map(|said| said.id),
        "twin": first.and_then(|said| said.twin),
        "all": said,
    })))
}

#[derive(Deserialize)]
pub(crate) struct Text {
    text: String,
    /// A supergroup or channel, which counts its messages itself.
    chat: Option<i64>,
}

pub(crate) async fn edit(
    State(desk): Shared,
    Path((user, message)): Path<(i64, i32)>,
    Json(change): Json<Text>,
) -> Result<Json<Value>, Refusal> {
    desk.world().edit_text_in(user, change.chat.unwrap_or(user), message, &change.text)?;
    Ok(Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
pub(crate) struct Forward {
    from: i64,
    to: i64,
}

pub(crate) async fn forward(
    State(desk): Shared,
    Path((user, message)): Path<(i64, i32)>,
    Json(order): Json<Forward>,
) -> Result<Json<Value>, Refusal> {
    let said = desk.world().forward(user, order.from, message, order.to)?;
    Ok(Json(json!({ "id": said.id, "twin": said.twin })))
}

#[derive(Deserialize)]
pub(crate) struct Reaction {
    chat: i64,
    emoji: Option<String>,
}

pub(crate) async fn react(
    State(desk): Shared,
    Path((user, message)): Path<(i64, i32)>,
    Json(reaction): Json<Reaction>,
) -> Result<Json<Value>, Refusal> {
    desk.world().react(user, reaction.chat, message, reaction.emoji.as_deref())?;
    Ok(Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
pub(crate) struct Vote {
    chat: i64,
    answers: Vec<u8>,
}

pub(crate) async fn vote(
    State(desk): Shared,
    Path((user, message)): Path<(i64, i32)>,
    Json(vote): Json<Vote>,
) -> Result<Json<Value>, Refusal> {
    desk.world().vote(user, vote.chat, message, &vote.answers)?;
    Ok(Json(json!({ "ok": true })))
}

#[derive(Deserialize)]
pub(crate) struct Archive {
    other: i64,
    archived: bool,
}

pub(crate) async fn archive(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(order): Json<Archive>,
) -> Json<Value> {
    Json(json!({ "changed": desk.world().archive(user, order.other, order.archived) }))
}

pub(crate) async fn send_scheduled(State(desk): Shared, Path(user): Path<i64>) -> Json<Value> {
    Json(json!({ "sent": desk.world().send_scheduled(user) }))
}

pub(crate) async fn add_web_page(State(desk): Shared, Json(page): Json<WebPage>) -> Json<Value> {
    desk.world().add_web_page(page);
    Json(json!({ "ok": true }))
}

pub(crate) async fn expire_file(State(desk): Shared, Path(file): Path<i64>) -> Json<Value> {
    Json(json!({ "expired": desk.world().expire_file(file) }))
}

#[derive(Deserialize)]
pub(crate) struct Deletion {
    #[serde(default = "yes")]
    revoke: bool,
    /// A supergroup or channel, which counts its messages itself.
    chat: Option<i64>,
}

fn yes() -> bool {
    true
}

pub(crate) async fn delete(
    State(desk): Shared,
    Path((user, message)): Path<(i64, i32)>,
    Query(how): Query<Deletion>,
) -> Json<Value> {
    let deleted = match how.chat {
        Some(chat) => desk.world().delete_messages_in(chat, &[message]),
        None => desk.world().delete_messages(user, &[message], how.revoke),
    };
    Json(json!({ "deleted": deleted }))
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
