//! What a bot asks and says about itself, and of chats: `getMe`, commands, descriptions, `getChat`.

use serde_json::{Value, json};

use super::params::Params;
use super::reply::ApiError;
use super::sending::recipient;
use crate::world::State;
use crate::world::bots::{Command, Words, chat_json, message_json, user_json};

/// `getMe`.
pub(crate) fn me(state: &State, bot: i64) -> Result<Value, ApiError> {
    let face = state.users.user(bot).and_then(|user| user.bot.as_ref()).ok_or_else(ApiError::unauthorized)?;
    let mut shown = user_json(state, bot, false);
    shown["can_join_groups"] = json!(false);
    shown["can_read_all_group_messages"] = json!(false);
    shown["supports_inline_queries"] = json!(face.placeholder.is_some());
    shown["can_connect_to_business"] = json!(false);
    shown["has_main_web_app"] = json!(false);
    Ok(shown)
}

/// `setMyCommands`.
pub(crate) fn set_commands(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let list = params.json("commands")?.unwrap_or_else(|| json!([]));
    let commands: Vec<Command> =
        serde_json::from_value(list).map_err(|_| ApiError::bad("can't parse commands JSON object"))?;
    for Command { command, description } in &commands {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=32).contains(&command.len()) || !command.bytes().all(plain) {
            return Err(ApiError::bad("BOT_COMMAND_INVALID"));
        }
        if !(1..=256).contains(&description.chars().count()) {
            return Err(ApiError::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
        }
    }
    if commands.len() > 100 {
        return Err(ApiError::bad("BOT_COMMANDS_TOO_MUCH"));
    }
    let whom = whom(params)?;
    let account = state.bots.bot_mut(bot).ok_or_else(ApiError::unauthorized)?;
    if commands.is_empty() {
        account.commands.remove(&whom);
    } else {
        account.commands.insert(whom, commands);
    }
    changed(state, bot);
    Ok(json!(true))
}

/// `deleteMyCommands`.
pub(crate) fn delete_commands(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let whom = whom(params)?;
    state.bots.bot_mut(bot).ok_or_else(ApiError::unauthorized)?.commands.remove(&whom);
    changed(state, bot);
    Ok(json!(true))
}

/// `getMyCommands`: of this very scope and language.
pub(crate) fn commands(state: &State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let account = state.bots.bot(bot).ok_or_else(ApiError::unauthorized)?;
    Ok(json!(account.commands.get(&whom(params)?).map_or(&[][..], Vec::as_slice)))
}

/// Scope and language that commands are for.
fn whom(params: &Params) -> Result<(String, String), ApiError> {
    let scope = params.json("scope")?.unwrap_or_else(|| json!({ "type": "default" }));
    Ok((scope.to_string(), params.text("language_code").unwrap_or_default()))
}

/// The applications of users look again at what changed.
fn changed(state: &mut State, bot: i64) {
    if let Some(face) = state.users.user_mut(bot).and_then(|user| user.bot.as_mut()) {
        face.version += 1;
    }
}

/// `setMyDescription`, `setMyShortDescription`, `setMyName`.
pub(crate) fn set_words(
    state: &mut State,
    bot: i64,
    method: &str,
    params: &Params,
) -> Result<Value, ApiError> {
    let (field, most) = field(method);
    let text = params.text(field).unwrap_or_default();
    if text.chars().count() > most {
        return Err(ApiError::bad(format!("bot {} is too long", field.replace('_', " "))));
    }
    let language = params.text("language_code").unwrap_or_default();
    let account = state.bots.bot_mut(bot).ok_or_else(ApiError::unauthorized)?;
    let words = match field {
        "description" => &mut account.description,
        "short_description" => &mut account.short_description,
        _ => &mut account.names,
    };
    if text.is_empty() {
        words.remove(&language);
    } else {
        words.insert(language, text);
    }
    changed(state, bot);
    Ok(json!(true))
}

/// `getMyDescription`, `getMyShortDescription`, `getMyName`.
pub(crate) fn words(state: &State, bot: i64, method: &str, params: &Params) -> Result<Value, ApiError> {
    let (field, _) = field(method);
    let language = params.text("language_code").unwrap_or_default();
    let account = state.bots.bot(bot).ok_or_else(ApiError::unauthorized)?;
    let said = |words: &Words| words.get(&language).or_else(|| words.get("")).cloned();
    let text = match field {
        "description" => said(&account.description),
        "short_description" => said(&account.short_description),
        _ => said(&account.names).or_else(|| state.users.user(bot).map(|user| user.first_name.clone())),
    };
    Ok(json!({ field: text.unwrap_or_default() }))
}

/// The field of a method's name, and how many characters it may have.
fn field(method: &str) -> (&'static str, usize) {
    if method.ends_with("shortdescription") {
        ("short_description", 120)
    } else if method.ends_with("description") {
        ("description", 512)
    } else {
        ("name", 64)
    }
}

/// `logOut`, `close`: polls that wait are over.
pub(crate) fn leave(state: &mut State, bot: i64) -> Result<Value, ApiError> {
    state.bots.bot_mut(bot).ok_or_else(ApiError::unauthorized)?.queue.take_ticket();
    Ok(json!(true))
}

/// `getChat` of a user whom the bot has met.
pub(crate) fn chat(state: &State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let user = recipient(params, "chat_id")?;
    if !state.bots.bot(bot).is_some_and(|account| account.met.contains(&user)) {
        return Err(ApiError::bad("chat not found"));
    }
    let mut shown = chat_json(state, user);
    if let Some(pinned) = state.pinned(bot, user).and_then(|id| state.message(bot, id)) {
        shown["pinned_message"] = message_json(state, bot, pinned);
    }
    shown["accent_color_id"] = json!(0);
    shown["max_reaction_count"] = json!(11);
    shown["accepted_gift_types"] = json!({
        "unlimited_gifts": true,
        "limited_gifts": true,
        "unique_gifts": true,
        "premium_subscription": true,
        "gifts_from_channels": true,
    });
    Ok(shown)
}
