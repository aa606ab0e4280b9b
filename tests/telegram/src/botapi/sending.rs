//! What a bot sends: texts, contacts, files, copies, and that it is typing.

use grammers_tl_types as tl;
use serde_json::{Value, json};

use super::html::formatted;
use super::media;
use super::params::Params;
use super::reply::ApiError;
use crate::world::State;
use crate::world::bots::{markup_from_json, message_json};
use crate::world::messages::albums;
use crate::world::messages::message::Draft;
use crate::world::messages::send::forwarded;

/// Longest text, in characters.
pub(crate) const TEXT_MAX: usize = 4096;
/// Longest list of `forwardMessages` and `copyMessages`.
const LISTED_MAX: usize = 100;

/// The user whom a field names; only users exist.
pub(crate) fn recipient(params: &Params, name: &str) -> Result<i64, ApiError> {
    if params.word(name).is_none() {
        return Err(ApiError::bad(format!("{name} is empty")));
    }
    params.number(name).ok_or_else(|| ApiError::bad("chat not found"))
}

/// `reply_markup`.
pub(crate) fn markup(params: &Params) -> Result<Option<tl::enums::ReplyMarkup>, ApiError> {
    let value = params.json("reply_markup")?;
    value.map(|value| markup_from_json(&value).map_err(ApiError::bad)).transpose()
}

/// `sendMessage`.
pub(crate) fn send_message(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let to = recipient(params, "chat_id")?;
    let text = formatted(params, "text", "entities")?;
    if text.text.is_empty() {
        return Err(ApiError::bad("message text is empty"));
    }
    if text.text.chars().count() > TEXT_MAX {
        return Err(ApiError::bad("message is too long"));
    }
    send(state, bot, to, params, Draft { entities: text.entities, ..Draft::text(text.text) })
}

/// `sendContact`.
pub(crate) fn send_contact(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let to = recipient(params, "chat_id")?;
    let text = |name: &str| params.text(name).unwrap_or_default();
    let card = tl::types::MessageMediaContact {
        phone_number: text("phone_number"),
        first_name: text("first_name"),
        last_name: text("last_name"),
        vcard: text("vcard"),
        user_id: 0,
    };
    if card.phone_number.is_empty() {
        return Err(ApiError::bad("phone number can't be empty"));
    }
    if card.first_name.is_empty() {
        return Err(ApiError::bad("first name can't be empty"));
    }
    send(state, bot, to, params, Draft { media: Some(card.into()), ..Draft::default() })
}

/// `sendPhoto`, `sendDocument`, `sendVoice`, `sendAudio`, `sendVideo`.
pub(crate) fn send_file(
    state: &mut State,
    bot: i64,
    method: &str,
    params: &Params,
) -> Result<Value, ApiError> {
    let kind = method.strip_prefix("send").unwrap_or(method);
    let to = recipient(params, "chat_id")?;
    state.bot_may_write(bot, to)?;
    let media = media::of_field(state, params, kind)?;
    send_media(state, bot, to, params, media)
}

/// `sendMediaGroup`.
pub(crate) fn send_media_group(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let to = recipient(params, "chat_id")?;
    state.bot_may_write(bot, to)?;
    let all = media::of_list(state, params)?;
    if !(2..=albums::ALBUM_MAX).contains(&all.len()) {
        return Err(ApiError::bad("wrong number of messages to send specified"));
    }
    if params.json("reply_markup")?.is_some() {
        return Err(ApiError::bad("reply markup is not allowed in albums"));
    }
    let grouped_id = Some(albums::number());
    let mut sent = Vec::with_capacity(all.len());
    for (media, caption) in all {
        let text = Draft::text(caption.text);
        let draft = Draft { entities: caption.entities, media: Some(media), grouped_id, ..text };
        sent.push(send(state, bot, to, params, draft)?);
    }
    Ok(Value::Array(sent))
}

fn send_media(
    state: &mut State,
    bot: i64,
    to: i64,
    params: &Params,
    media: tl::enums::MessageMedia,
) -> Result<Value, ApiError> {
    let caption = media::caption(params)?;
    let draft = Draft { entities: caption.entities, media: Some(media), ..Draft::text(caption.text) };
    send(state, bot, to, params, draft)
}

/// `copyMessage`.
pub(crate) fn copy_message(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let draft = copied(state, bot, params, message_id(params)?);
    let draft = draft?.ok_or_else(|| ApiError::bad("message to copy not found"))?;
    let to = recipient(params, "chat_id")?;
    let sent = send(state, bot, to, params, Draft { forwarded: None, ..draft })?;
    Ok(json!({ "message_id": sent["message_id"] }))
}

/// `forwardMessage`.
pub(crate) fn forward_message(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let draft = copied(state, bot, params, message_id(params)?);
    let draft = draft?.ok_or_else(|| ApiError::bad("message to forward not found"))?;
    let to = recipient(params, "chat_id")?;
    send(state, bot, to, params, draft)
}

/// `copyMessages`: those that are not there are passed over.
pub(crate) fn copy_messages(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let mut drafts = all_copied(state, bot, params, "copy")?;
    for draft in &mut drafts {
        draft.forwarded = None;
        if params.flag("remove_caption") && draft.media.is_some() {
            draft.text.clear();
            draft.entities.clear();
        }
    }
    send_all(state, bot, params, drafts)
}

/// `forwardMessages`: those that are not there are passed over.
pub(crate) fn forward_messages(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let drafts = all_copied(state, bot, params, "forward")?;
    send_all(state, bot, params, drafts)
}

fn all_copied(state: &State, bot: i64, params: &Params, what: &str) -> Result<Vec<Draft>, ApiError> {
    let list = params.json("message_ids")?.unwrap_or_default();
    let ids: Vec<i32> =
        serde_json::from_value(list).map_err(|_| ApiError::bad("can't parse message_ids JSON object"))?;
    if ids.is_empty() {
        return Err(ApiError::bad("message identifiers are not specified"));
    }
    if ids.len() > LISTED_MAX {
        return Err(ApiError::bad("too many message identifiers specified"));
    }
    if !ids.is_sorted_by(|one, next| one < next) {
        return Err(ApiError::bad("message identifiers must be in a strictly increasing order"));
    }
    let mut drafts = Vec::new();
    for id in ids {
        drafts.extend(copied(state, bot, params, id)?);
    }
    if drafts.is_empty() {
        return Err(ApiError::bad(format!("there are no messages to {what}")));
    }
    Ok(drafts)
}

fn send_all(state: &mut State, bot: i64, params: &Params, drafts: Vec<Draft>) -> Result<Value, ApiError> {
    let to = recipient(params, "chat_id")?;
    let mut sent = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let message = send(state, bot, to, params, draft)?;
        sent.push(json!({ "message_id": message["message_id"] }));
    }
    Ok(Value::Array(sent))
}

fn message_id(params: &Params) -> Result<i32, ApiError> {
    let id = params.number("message_id").and_then(|id| i32::try_from(id).ok());
    id.ok_or_else(|| ApiError::bad("message identifier is not specified"))
}

/// A message of `from_chat_id` as it is forwarded, if there is such a one.
fn copied(state: &State, bot: i64, params: &Params, id: i32) -> Result<Option<Draft>, ApiError> {
    let from = recipient(params, "from_chat_id")?;
    let here = state.filed(bot, id).is_some_and(|filed| filed.peer == from);
    let Some(message) = state.message(bot, id).filter(|_| here) else { return Ok(None) };
    let author = if message.out { bot } else { from };
    let header = message.fwd_from.clone().unwrap_or_else(|| forwarded(author, message.date));
    Ok(Some(Draft {
        entities: message.entities.clone().unwrap_or_default(),
        media: message.media.clone(),
        forwarded: Some(header),
        ..Draft::text(message.message.clone())
    }))
}

/// Sends, if the bot may, and shows the bot its copy.
pub(crate) fn send(
    state: &mut State,
    bot: i64,
    to: i64,
    params: &Params,
    draft: Draft,
) -> Result<Value, ApiError> {
    let reply_markup = markup(params)?;
    state.bot_may_write(bot, to)?;
    let reply_to = replied(state, bot, to, params)?;
    let silent = params.flag("disable_notification");
    let posted = state.post(bot, to, Draft { reply_markup, reply_to, silent, ..draft }, None);
    let sent = state.message(bot, posted.id).ok_or_else(|| ApiError::bad("chat not found"))?;
    Ok(message_json(state, bot, sent))
}

/// The message of the chat that is answered.
fn replied(state: &State, bot: i64, to: i64, params: &Params) -> Result<Option<i32>, ApiError> {
    let parameters = params.json("reply_parameters")?.unwrap_or_default();
    let number = |name: &str| parameters.get(name).and_then(Value::as_i64);
    let Some(id) = number("message_id").or_else(|| params.number("reply_to_message_id")) else {
        return Ok(None);
    };
    let id = i32::try_from(id).unwrap_or(0);
    if state.filed(bot, id).is_some_and(|filed| filed.peer == to) {
        return Ok(Some(id));
    }
    let lenient = parameters.get("allow_sending_without_reply").and_then(Value::as_bool) == Some(true)
        || params.flag("allow_sending_without_reply");
    if lenient { Ok(None) } else { Err(ApiError::bad("message to be replied not found")) }
}

/// `sendChatAction`: the user's devices see it.
pub(crate) fn send_chat_action(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let to = recipient(params, "chat_id")?;
    let actions =
        ["typing", "upload_photo", "record_voice", "upload_voice", "upload_document", "find_location"];
    if !params.word("action").is_some_and(|action| actions.contains(&action.as_str())) {
        return Err(ApiError::bad("wrong parameter action in request"));
    }
    state.bot_may_write(bot, to)?;
    let action = tl::enums::SendMessageAction::SendMessageTypingAction;
    let update = tl::types::UpdateUserTyping { user_id: bot, top_msg_id: None, action };
    state.push_to_others(to, 0, update.into(), &[bot]);
    Ok(json!(true))
}
