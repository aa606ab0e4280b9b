//! What a bot sends: texts, contacts, files, copies, and that it is typing.

use grammers_tl_types as tl;
use serde_json::{Value, json};

use super::files;
use super::html::formatted;
use super::params::Params;
use super::reply::ApiError;
use crate::world::State;
use crate::world::bots::{markup_from_json, message_json};
use crate::world::message::Draft;
use crate::world::send::forwarded;

/// Longest text, in characters.
pub(crate) const TEXT_MAX: usize = 4096;
/// Longest text under a file, in characters.
const CAPTION_MAX: usize = 1024;

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

/// `sendPhoto`: a file that comes along, or the `file_id` of one that was sent before.
pub(crate) fn send_photo(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let to = recipient(params, "chat_id")?;
    state.bot_may_write(bot, to)?;
    let media = match attached(params, "photo")? {
        Attached::Upload(upload) => {
            let dc = state.home_dc;
            let stored = state.files.add_photo(dc, upload.bytes.clone());
            stored.map_err(|error| ApiError::bad(error.message))?
        }
        Attached::Known(name) => known(state, &name)?,
    };
    send_media(state, bot, to, params, media)
}

/// `sendDocument`, `sendVoice`, `sendAudio`, `sendVideo`.
pub(crate) fn send_document(
    state: &mut State,
    bot: i64,
    method: &str,
    params: &Params,
) -> Result<Value, ApiError> {
    let field = method.strip_prefix("send").unwrap_or(method);
    let to = recipient(params, "chat_id")?;
    state.bot_may_write(bot, to)?;
    let media = match attached(params, field)? {
        Attached::Upload(upload) => {
            let mut attributes: Vec<tl::enums::DocumentAttribute> =
                vec![tl::types::DocumentAttributeFilename { file_name: upload.name.clone() }.into()];
            let duration = params.number("duration").and_then(|it| i32::try_from(it).ok()).unwrap_or(0);
            if field == "voice" || field == "audio" {
                let audio = tl::types::DocumentAttributeAudio {
                    voice: field == "voice",
                    duration,
                    title: params.word("title"),
                    performer: params.word("performer"),
                    waveform: None,
                };
                attributes.push(audio.into());
            }
            let dc = state.home_dc;
            let stored = state.files.add_document(dc, upload.bytes.clone(), upload.mime.clone(), attributes);
            stored.map_err(|error| ApiError::bad(error.message))?
        }
        Attached::Known(name) => known(state, &name)?,
    };
    send_media(state, bot, to, params, media)
}

enum Attached<'a> {
    Upload(&'a super::multipart::Upload),
    Known(String),
}

/// A file under its own name, or under another that the field points to with `attach://`.
fn attached<'a>(params: &'a Params, field: &str) -> Result<Attached<'a>, ApiError> {
    if let Some(upload) = params.files.get(field) {
        return Ok(Attached::Upload(upload));
    }
    let said =
        params.word(field).ok_or_else(|| ApiError::bad(format!("there is no {field} in the request")))?;
    match said.strip_prefix("attach://") {
        Some(name) => {
            let missing = || ApiError::bad(format!("there is no {field} in the request"));
            params.files.get(name).map(Attached::Upload).ok_or_else(missing)
        }
        None => Ok(Attached::Known(said)),
    }
}

fn known(state: &State, name: &str) -> Result<tl::enums::MessageMedia, ApiError> {
    let wrong = || ApiError::bad("wrong file identifier/HTTP URL specified");
    files::media(state, name).ok_or_else(wrong)
}

fn send_media(
    state: &mut State,
    bot: i64,
    to: i64,
    params: &Params,
    media: tl::enums::MessageMedia,
) -> Result<Value, ApiError> {
    let caption = formatted(params, "caption", "caption_entities")?;
    if caption.text.chars().count() > CAPTION_MAX {
        return Err(ApiError::bad("message caption is too long"));
    }
    let draft = Draft { entities: caption.entities, media: Some(media), ..Draft::text(caption.text) };
    send(state, bot, to, params, draft)
}

/// `copyMessage`.
pub(crate) fn copy_message(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let (to, mut draft) = copied(state, bot, params, "message to copy not found")?;
    draft.forwarded = None;
    let sent = send(state, bot, to, params, draft)?;
    Ok(json!({ "message_id": sent["message_id"] }))
}

/// `forwardMessage`.
pub(crate) fn forward_message(state: &mut State, bot: i64, params: &Params) -> Result<Value, ApiError> {
    let (to, draft) = copied(state, bot, params, "message to forward not found")?;
    send(state, bot, to, params, draft)
}

/// Where to, and the message as it is forwarded.
fn copied(state: &State, bot: i64, params: &Params, missing: &str) -> Result<(i64, Draft), ApiError> {
    let to = recipient(params, "chat_id")?;
    let from = recipient(params, "from_chat_id")?;
    let id = params.number("message_id").and_then(|id| i32::try_from(id).ok());
    let here = id.filter(|id| state.filed(bot, *id).is_some_and(|filed| filed.peer == from));
    let message = here.and_then(|id| state.message(bot, id)).ok_or_else(|| ApiError::bad(missing))?;
    let author = if message.out { bot } else { from };
    let header = message.fwd_from.clone().unwrap_or_else(|| forwarded(author, message.date));
    let draft = Draft {
        entities: message.entities.clone().unwrap_or_default(),
        media: message.media.clone(),
        forwarded: Some(header),
        ..Draft::text(message.message.clone())
    };
    Ok((to, draft))
}

/// Sends, if the bot may, and shows the bot its copy.
fn send(state: &mut State, bot: i64, to: i64, params: &Params, draft: Draft) -> Result<Value, ApiError> {
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
