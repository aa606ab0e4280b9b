//! `InlineQueryResult` (core.telegram.org/bots/api#inlinequeryresult) as the schema has it.

use std::collections::BTreeSet;

use grammers_tl_types as tl;
use serde_json::Value;

use super::files;
use super::html;
use super::reply::ApiError;
use super::sending::TEXT_MAX;
use crate::world::State;
use crate::world::bots::markup_from_json;

/// Most results in one answer.
const RESULTS_MAX: usize = 50;
/// Longest `id` of a result, in bytes.
const ID_MAX: usize = 64;

/// Reads the list of results.
pub(crate) fn results(state: &State, list: &Value) -> Result<Vec<tl::enums::BotInlineResult>, ApiError> {
    let list = list.as_array().ok_or_else(|| unreadable("expected an Array of inline query results"))?;
    if list.len() > RESULTS_MAX {
        return Err(ApiError::bad("RESULTS_TOO_MUCH"));
    }
    let mut ids = BTreeSet::new();
    let mut results = Vec::with_capacity(list.len());
    for entry in list {
        let id = text(entry, "id");
        if id.is_empty() || id.len() > ID_MAX {
            return Err(ApiError::bad("RESULT_ID_INVALID"));
        }
        if !ids.insert(id.clone()) {
            return Err(ApiError::bad("RESULT_ID_DUPLICATE"));
        }
        results.push(result(state, entry, id)?);
    }
    Ok(results)
}

fn result(state: &State, entry: &Value, id: String) -> Result<tl::enums::BotInlineResult, ApiError> {
    let markup = match entry.get("reply_markup") {
        None | Some(Value::Null) => None,
        Some(markup) => Some(markup_from_json(markup).map_err(ApiError::bad)?),
    };
    let content = entry.get("input_message_content").filter(|content| !content.is_null());
    let own = content.map(|content| message(content, markup.clone())).transpose()?;
    let kind = text(entry, "type");
    match kind.as_str() {
        "article" => {
            let title = word(entry, "title").ok_or_else(|| unreadable("can't find field \"title\""))?;
            let send_message = own.ok_or_else(|| unreadable("message content is not specified"))?;
            Ok(plain(entry, id, kind, title, send_message))
        }
        "contact" => {
            let card = tl::types::BotInlineMessageMediaContact {
                phone_number: text(entry, "phone_number"),
                first_name: text(entry, "first_name"),
                last_name: text(entry, "last_name"),
                vcard: text(entry, "vcard"),
                reply_markup: markup,
            };
            if card.phone_number.is_empty() || card.first_name.is_empty() {
                return Err(ApiError::bad("CONTACT_INVALID"));
            }
            let title = card.first_name.clone();
            Ok(plain(entry, id, kind, title, own.unwrap_or_else(|| card.into())))
        }
        "photo" => {
            let photo = files::photo(state, &text(entry, "photo_file_id"));
            let photo = Some(photo.ok_or_else(|| ApiError::bad("wrong file identifier/HTTP URL specified"))?);
            let list = entry.get("caption_entities");
            let caption = html::read(&text(entry, "caption"), word(entry, "parse_mode").as_deref(), list)?;
            let auto = tl::types::BotInlineMessageMediaAuto {
                invert_media: false,
                message: caption.text,
                entities: Some(caption.entities).filter(|entities| !entities.is_empty()),
                reply_markup: markup,
            };
            Ok(tl::types::BotInlineMediaResult {
                id,
                r#type: kind,
                photo,
                document: None,
                title: word(entry, "title"),
                description: word(entry, "description"),
                send_message: own.unwrap_or_else(|| auto.into()),
            }
            .into())
        }
        _ => Err(unreadable("unallowed inline query result type")),
    }
}

fn plain(
    entry: &Value,
    id: String,
    kind: String,
    title: String,
    send_message: tl::enums::BotInlineMessage,
) -> tl::enums::BotInlineResult {
    let thumb = word(entry, "thumbnail_url").map(|url| {
        let mime_type = "image/jpeg".to_owned();
        tl::types::WebDocumentNoProxy { url, size: 0, mime_type, attributes: Vec::new() }.into()
    });
    tl::types::BotInlineResult {
        id,
        r#type: kind,
        title: Some(title),
        description: word(entry, "description"),
        url: word(entry, "url"),
        thumb,
        content: None,
        send_message,
    }
    .into()
}

/// `InputMessageContent`: a text or a contact.
fn message(
    content: &Value,
    reply_markup: Option<tl::enums::ReplyMarkup>,
) -> Result<tl::enums::BotInlineMessage, ApiError> {
    if let Some(said) = content.get("message_text").and_then(Value::as_str) {
        let read = html::read(said, word(content, "parse_mode").as_deref(), content.get("entities"))?;
        if read.text.is_empty() {
            return Err(ApiError::bad("message text is empty"));
        }
        if read.text.chars().count() > TEXT_MAX {
            return Err(ApiError::bad("MESSAGE_TOO_LONG"));
        }
        let options = content.get("link_preview_options");
        let no_webpage = options.and_then(|options| options.get("is_disabled")).and_then(Value::as_bool);
        return Ok(tl::types::BotInlineMessageText {
            no_webpage: no_webpage == Some(true),
            invert_media: false,
            message: read.text,
            entities: Some(read.entities).filter(|entities| !entities.is_empty()),
            reply_markup,
        }
        .into());
    }
    if let Some(phone_number) = word(content, "phone_number") {
        return Ok(tl::types::BotInlineMessageMediaContact {
            phone_number,
            first_name: text(content, "first_name"),
            last_name: text(content, "last_name"),
            vcard: text(content, "vcard"),
            reply_markup,
        }
        .into());
    }
    Err(unreadable("message content is not specified"))
}

fn unreadable(why: &str) -> ApiError {
    ApiError::bad(format!("can't parse inline query result: {why}"))
}

fn text(entry: &Value, name: &str) -> String {
    entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn word(entry: &Value, name: &str) -> Option<String> {
    Some(text(entry, name)).filter(|text| !text.is_empty())
}
