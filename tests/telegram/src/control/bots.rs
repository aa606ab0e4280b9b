//! Endpoints about bots: made, looked at, disturbed, and their buttons pressed.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::Shared;
use super::refusal::Refusal;
use crate::world::{BotEntry, BotInfo, BotRule, BotRuleInfo, Button, NewBot, PressAnswer};

pub(crate) async fn list(State(desk): Shared) -> Json<Vec<BotInfo>> {
    Json(desk.world().bots())
}

pub(crate) async fn add(State(desk): Shared, Json(bot): Json<NewBot>) -> Result<Json<Value>, Refusal> {
    let info = desk.world().add_bot(bot).map_err(|error| Refusal::bad(error.to_string()))?;
    let mut told = json!(info);
    told["api"] = json!(desk.telegram().bot_api_url());
    Ok(Json(told))
}

pub(crate) async fn one(State(desk): Shared, Path(bot): Path<i64>) -> Result<Json<BotInfo>, Refusal> {
    desk.world().bot(bot).map(Json).ok_or_else(|| missing(bot))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    inline: Option<bool>,
    inline_feedback: Option<bool>,
}

pub(crate) async fn change(
    State(desk): Shared,
    Path(bot): Path<i64>,
    Json(change): Json<Change>,
) -> Result<Json<BotInfo>, Refusal> {
    if let Some(inline) = change.inline {
        desk.world().set_inline(bot, inline);
    }
    if let Some(feedback) = change.inline_feedback {
        desk.world().set_inline_feedback(bot, feedback);
    }
    desk.world().bot(bot).map(Json).ok_or_else(|| missing(bot))
}

pub(crate) async fn renew_token(State(desk): Shared, Path(bot): Path<i64>) -> Result<Json<Value>, Refusal> {
    let token = desk.world().renew_bot_token(bot).ok_or_else(|| missing(bot))?;
    Ok(Json(json!({ "token": token })))
}

#[derive(Deserialize)]
pub(crate) struct Press {
    message: i32,
    #[serde(flatten)]
    button: Button,
}

pub(crate) async fn press(
    State(desk): Shared,
    Path(user): Path<i64>,
    Json(press): Json<Press>,
) -> Result<Json<PressAnswer>, Refusal> {
    Ok(Json(desk.world().press(user, press.message, &press.button).await?))
}

pub(crate) async fn faults(State(desk): Shared) -> Json<Vec<BotRuleInfo>> {
    Json(desk.world().bot_faults())
}

pub(crate) async fn add_fault(State(desk): Shared, Json(rule): Json<BotRule>) -> Json<Value> {
    Json(json!({ "id": desk.world().add_bot_fault(rule.matches, rule.action) }))
}

pub(crate) async fn clear_faults(State(desk): Shared) -> Json<Value> {
    desk.world().clear_bot_faults();
    Json(json!({ "ok": true }))
}

pub(crate) async fn remove_fault(
    State(desk): Shared,
    Path(fault): Path<u64>,
) -> Result<Json<Value>, Refusal> {
    if desk.world().remove_bot_fault(fault) {
        Ok(Json(json!({ "ok": true })))
    } else {
        Err(Refusal::missing(format!("no fault {fault}")))
    }
}

#[derive(Deserialize)]
pub(crate) struct Filter {
    #[serde(default)]
    after: u64,
    bot: Option<i64>,
    method: Option<String>,
}

pub(crate) async fn journal(State(desk): Shared, Query(filter): Query<Filter>) -> Json<Vec<BotEntry>> {
    let entries = desk.world().bot_journal(filter.after).into_iter();
    let wanted = entries
        .filter(|entry| filter.bot.is_none_or(|bot| Some(bot) == entry.bot))
        .filter(|entry| filter.method.as_deref().is_none_or(|it| it.eq_ignore_ascii_case(&entry.method)));
    Json(wanted.collect())
}

pub(crate) async fn clear_journal(State(desk): Shared) -> Json<Value> {
    desk.world().clear_bot_journal();
    Json(json!({ "ok": true }))
}

fn missing(bot: i64) -> Refusal {
    Refusal::missing(format!("no bot {bot}"))
}
