//! Reactions and pinned messages.

use serde_json::{Value, json};

use super::params::Params;
use super::reply::ApiError;
use super::sending::recipient;
use crate::world::State;

/// Emoji that are reactions (core.telegram.org/bots/api#reactiontypeemoji).
const REACTIONS: &str = "\u{2764} \u{1f44d} \u{1f44e} \u{1f525} \u{1f970} \u{1f44f} \u{1f601} \u{1f914} \u{1f92f} \
     \u{1f631} \u{1f92c} \u{1f622} \u{1f389} \u{1f929} \u{1f92e} \u{1f4a9} \u{1f64f} \u{1f44c} \u{1f54a} \u{1f921} \u{1f971} \
     \u{1f974} \u{1f60d} \u{1f433} \u{2764}\u{200d}\u{1f525} \u{1f31a} \u{1f32d} \u{1f4af} \u{1f923} \u{26a1} \u{1f34c} \
     \u{1f3c6} \u{1f494} \u{1f928} \u{1f610} \u{1f353} \u{1f37e} \u{1f48b} \u{1f595} \u{1f608} \u{1f634} \u{1f62d} \u{1f913} \
     \u{1f47b} \u{1f468}\u{200d}\u{1f4bb} \u{1f440} \u{1f383} \u{1f648} \u{1f607} \u{1f628} \u{1f91d} \u{270d} \u{1f917} \
     \u{1fae1} \u{1f385} \u{1f384} \u{2603} \u{1f485} \u{1f92a} \u{1f5ff} \u{1f192} \u{1f498} \u{1f649} \u{1f984} \u{1f618} \
     \u{1f48a} \u{1f64a} \u{1f60e} \u{1f47e} \u{1f937}\u{200d}\u{2642} \u{1f937} \u{1f937}\u{200d}\u{2640} \u{1f621}";

/// `setMessageReaction`: one emoji, or none.
pub(crate) fn react(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let chat = recipient(params, "chat_id")?;
    state.bot_may_write(bot, chat)?;
    let id = message(state, bot, chat, params, "react")?;
    let list = params.json("reaction")?.unwrap_or_else(|| json!([]));
    let list = list.as_array().ok_or_else(|| ApiError::bad("can't parse reaction types JSON object"))?;
    let emoji = match list.as_slice() {
        [] => None,
        [one] => {
            let emoji = one.get("emoji").and_then(Value::as_str).filter(|_| one["type"] == "emoji");
            let plain = emoji.map(|emoji| emoji.replace('\u{fe0f}', ""));
            let known = plain.filter(|emoji| REACTIONS.split(' ').any(|known| known == emoji));
            Some(known.ok_or_else(|| ApiError::bad("REACTION_INVALID"))?)
        }
        _ => return Err(ApiError::bad("REACTIONS_TOO_MANY")),
    };
    let done = state.bot_reacts(bot, id, emoji.as_deref(), params.flag("is_big"));
    done.map_err(|error| ApiError::bad(error.message))?;
    Ok(json!(true))
}

/// `pinChatMessage`: for both, with a line in the chat.
pub(crate) fn pin(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let chat = recipient(params, "chat_id")?;
    state.bot_may_write(bot, chat)?;
    let id = message(state, bot, chat, params, "pin")?;
    state.bot_pins(bot, id, true, params.flag("disable_notification"));
    Ok(json!(true))
}

/// `unpinChatMessage`: the newest that is pinned, where none is named.
pub(crate) fn unpin(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let chat = recipient(params, "chat_id")?;
    state.bot_may_write(bot, chat)?;
    let id = match params.word("message_id") {
        Some(_) => message(state, bot, chat, params, "unpin")?,
        None => state.pinned(bot, chat).ok_or_else(|| ApiError::bad("message to unpin not found"))?,
    };
    state.bot_pins(bot, id, false, true);
    Ok(json!(true))
}

fn message(state: &State, bot: i64, chat: i64, params: &Params, to: &str) -> Result<i32, ApiError> {
    let id = params.number("message_id").and_then(|id| i32::try_from(id).ok());
    let id = id.ok_or_else(|| ApiError::bad("message identifier is not specified"))?;
    let here = state.filed(bot, id).is_some_and(|filed| filed.peer == chat);
    if here && state.message(bot, id).is_some() {
        return Ok(id);
    }
    Err(ApiError::bad(format!("message to {to} not found")))
}
