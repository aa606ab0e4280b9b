//! Messages changed and deleted by a bot, its own in a chat and those that users sent via it.

use grammers_tl_types as tl;
use serde_json::{Value, json};

use super::html::{Formatted, formatted};
use super::media;
use super::params::Params;
use super::reply::ApiError;
use super::sending::{TEXT_MAX, markup, recipient};
use crate::world::State;
use crate::world::bots::{InlineMessageId, message_json};

const NOT_MODIFIED: &str = "message is not modified: specified new message content and reply markup are exactly the \
                            same as a current content and reply markup of the message";
/// Longest list of `deleteMessages`.
const DELETED_MAX: usize = 100;

/// Which message is meant.
enum Target {
    /// In the bot's own box.
    Own(i32),
    /// Sent via it, in a user's box.
    Inline(InlineMessageId),
}

impl Target {
    /// Whose box it is in, and its number there.
    fn place(&self, bot: i64) -> (i64, i32) {
        match self {
            Self::Own(id) => (bot, *id),
            Self::Inline(name) => (name.owner, name.id),
        }
    }
}

/// `editMessageText`. Without `reply_markup` the buttons go.
pub(crate) fn edit_text(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let target = target(state, bot, params)?;
    let text = formatted(params, "text", "entities")?;
    if carries_file(state, bot, &target) {
        return Err(ApiError::bad("there is no text in the message to edit"));
    }
    if text.text.is_empty() {
        return Err(ApiError::bad("message text is empty"));
    }
    if text.text.chars().count() > TEXT_MAX {
        return Err(ApiError::bad("MESSAGE_TOO_LONG"));
    }
    change(state, bot, target, Some(text), None, params)
}

/// `editMessageCaption`.
pub(crate) fn edit_caption(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let target = target(state, bot, params)?;
    let caption = media::caption(params)?;
    if !carries_file(state, bot, &target) {
        return Err(ApiError::bad("there is no caption in the message to edit"));
    }
    change(state, bot, target, Some(caption), None, params)
}

/// `editMessageMedia`: the file and what stands under it. A message sent via the bot gets no new files.
pub(crate) fn edit_media(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let target = target(state, bot, params)?;
    let (media, caption) = media::of_input(state, params, matches!(target, Target::Own(_)))?;
    change(state, bot, target, Some(caption), Some(media), params)
}

/// `editMessageReplyMarkup`.
pub(crate) fn edit_markup(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let target = target(state, bot, params)?;
    change(state, bot, target, None, None, params)
}

/// Whether a message is a file with words under it.
fn carries_file(state: &State, bot: i64, target: &Target) -> bool {
    let (owner, id) = target.place(bot);
    let media = state.message(owner, id).and_then(|message| message.media.as_ref());
    matches!(media, Some(tl::enums::MessageMedia::Photo(_) | tl::enums::MessageMedia::Document(_)))
}

fn change(
    state: &mut State,
    bot: i64,
    target: Target,
    text: Option<Formatted>,
    media: Option<tl::enums::MessageMedia>,
    params: &Params,
) -> Result<Value, ApiError> {
    let markup = markup(params)?;
    let (owner, id) = target.place(bot);
    let edited = state.edit(owner, id, None, |message: &mut tl::types::Message| {
        if let Some(text) = &text {
            message.message.clone_from(&text.text);
            message.entities = Some(text.entities.clone()).filter(|entities| !entities.is_empty());
        }
        if media.is_some() {
            message.media.clone_from(&media);
        }
        message.reply_markup.clone_from(&markup);
    });
    if let Err(error) = edited {
        let not_modified = error.message == "MESSAGE_NOT_MODIFIED";
        return Err(ApiError::bad(if not_modified { NOT_MODIFIED } else { &error.message }));
    }
    match target {
        Target::Own(id) => {
            let message = state.message(bot, id).ok_or_else(|| ApiError::bad("message to edit not found"))?;
            Ok(message_json(state, bot, message))
        }
        Target::Inline(_) => Ok(json!(true)),
    }
}

fn target(state: &State, bot: i64, params: &Params) -> Result<Target, ApiError> {
    if let Some(text) = params.word("inline_message_id") {
        let name = InlineMessageId::parse(&text);
        let name = name.ok_or_else(|| ApiError::bad("invalid inline message identifier specified"))?;
        if !state.bots.inline_messages.is_of(bot, name) || state.message(name.owner, name.id).is_none() {
            return Err(ApiError::bad("MESSAGE_ID_INVALID"));
        }
        return Ok(Target::Inline(name));
    }
    if params.text("chat_id").is_none() {
        return Err(ApiError::bad("chat_id is empty"));
    }
    let chat = recipient(params, "chat_id")?;
    let Some(id) = params.number("message_id").and_then(|id| i32::try_from(id).ok()) else {
        return Err(ApiError::bad("message identifier is not specified"));
    };
    known(state, bot, chat)?;
    let message = in_chat(state, bot, chat, id).ok_or_else(|| ApiError::bad("message to edit not found"))?;
    if !message.out || message.fwd_from.is_some() {
        return Err(ApiError::bad("message can't be edited"));
    }
    Ok(Target::Own(id))
}

fn known(state: &State, bot: i64, chat: i64) -> Result<(), ApiError> {
    let met = state.bots.bot(bot).is_some_and(|account| account.met.contains(&chat));
    if met { Ok(()) } else { Err(ApiError::bad("chat not found")) }
}

fn in_chat(state: &State, bot: i64, chat: i64, id: i32) -> Option<&tl::types::Message> {
    let filed = state.filed(bot, id).filter(|filed| filed.peer == chat)?;
    match &filed.message {
        tl::enums::Message::Message(message) => Some(message),
        tl::enums::Message::Service(_) | tl::enums::Message::Empty(_) => None,
    }
}

/// `deleteMessage`: for both.
pub(crate) fn delete_message(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let chat = recipient(params, "chat_id")?;
    known(state, bot, chat)?;
    let id = params.number("message_id").and_then(|id| i32::try_from(id).ok());
    let id = id.ok_or_else(|| ApiError::bad("message identifier is not specified"))?;
    if state.filed(bot, id).is_none_or(|filed| filed.peer != chat) {
        return Err(ApiError::bad("message to delete not found"));
    }
    state.delete(bot, &[id], true, None);
    Ok(json!(true))
}

/// `deleteMessages`: those that are not there are passed over.
pub(crate) fn delete_messages(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let chat = recipient(params, "chat_id")?;
    known(state, bot, chat)?;
    let list = params.json("message_ids")?.unwrap_or_default();
    let ids: Vec<i32> =
        serde_json::from_value(list).map_err(|_| ApiError::bad("can't parse message_ids JSON object"))?;
    if ids.is_empty() || ids.len() > DELETED_MAX {
        return Err(ApiError::bad("message identifiers are not specified"));
    }
    let there = |id: &i32| state.filed(bot, *id).is_some_and(|filed| filed.peer == chat);
    let ids: Vec<i32> = ids.into_iter().filter(there).collect();
    state.delete(bot, &ids, true, None);
    Ok(json!(true))
}
