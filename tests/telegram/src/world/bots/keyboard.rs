//! Keyboards under messages: `reply_markup` of the Bot API and the schema's `ReplyMarkup`.

use grammers_tl_types as tl;
use serde_json::{Map, Value, json};
use tl::enums::{ButtonType, InlineButtonType, ReplyMarkup};

/// Longest `callback_data` in bytes.
const DATA_MAX: usize = 64;
const TEXT_BUTTON: &str =
    "can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard";
/// Most buttons under a message.
const BUTTONS_MAX: usize = 100;

/// Reads `reply_markup`.
///
/// # Errors
/// The text after `Bad Request: `.
pub(crate) fn markup_from_json(value: &Value) -> Result<ReplyMarkup, &'static str> {
    let object = value.as_object().ok_or("object expected as reply markup")?;
    let set = |name: &str| object.get(name).and_then(Value::as_bool) == Some(true);
    if let Some(rows) = object.get("inline_keyboard") {
        let rows = rows_of(rows, inline_button, "can't parse inline keyboard button")?;
        let row = |buttons| tl::types::KeyboardInlineButtonRow { buttons }.into();
        let rows = rows.into_iter().map(row).collect();
        return Ok(tl::types::ReplyInlineMarkup { force_reply: false, rows }.into());
    }
    if let Some(rows) = object.get("keyboard") {
        let rows = rows_of(rows, text_button, "can't parse keyboard button")?;
        let row = |buttons| tl::types::KeyboardButtonRow { buttons }.into();
        let rows = rows.into_iter().map(row).collect();
        return Ok(tl::types::ReplyKeyboardMarkup {
            resize: set("resize_keyboard"),
            single_use: set("one_time_keyboard"),
            selective: set("selective"),
            persistent: set("is_persistent"),
            force_reply: false,
            rows,
            placeholder: text(object, "input_field_placeholder"),
        }
        .into());
    }
    if set("remove_keyboard") {
        return Ok(tl::types::ReplyKeyboardHide { selective: set("selective") }.into());
    }
    if set("force_reply") {
        return Ok(tl::types::ReplyKeyboardForceReply {
            single_use: false,
            selective: set("selective"),
            placeholder: text(object, "input_field_placeholder"),
        }
        .into());
    }
    Err("object expected as reply markup")
}

/// The Bot API shows keyboards inside messages alone.
pub(crate) fn markup_json(markup: &ReplyMarkup) -> Option<Value> {
    let ReplyMarkup::ReplyInlineMarkup(markup) = markup else { return None };
    let rows = markup.rows.iter().map(|row| {
        let tl::enums::KeyboardInlineButtonRow::Row(row) = row;
        row.buttons.iter().map(inline_button_json).collect::<Vec<_>>()
    });
    Some(json!({ "inline_keyboard": rows.collect::<Vec<_>>() }))
}

/// What the buttons inside a message send back: label and data.
pub(crate) fn callbacks(markup: Option<&ReplyMarkup>) -> Vec<(&str, &[u8])> {
    let Some(ReplyMarkup::ReplyInlineMarkup(markup)) = markup else { return Vec::new() };
    let buttons = markup.rows.iter().flat_map(|row| {
        let tl::enums::KeyboardInlineButtonRow::Row(row) = row;
        &row.buttons
    });
    buttons
        .filter_map(|button| {
            let tl::enums::KeyboardInlineButton::Button(button) = button;
            match &button.r#type {
                InlineButtonType::Callback(callback) => Some((button.text.as_str(), &callback.data[..])),
                _ => None,
            }
        })
        .collect()
}

fn rows_of<B>(
    rows: &Value,
    button: impl Fn(&Map<String, Value>) -> Result<B, &'static str>,
    unreadable: &'static str,
) -> Result<Vec<Vec<B>>, &'static str> {
    let rows =
        rows.as_array().ok_or("field \"inline_keyboard\" of the InlineKeyboardMarkup must be an Array")?;
    let row = |row: &Value| {
        let buttons = row.as_array().ok_or("inline keyboard button row must be an Array")?;
        buttons
            .iter()
            .map(|value| button(value.as_object().ok_or(unreadable)?))
            .collect::<Result<Vec<_>, _>>()
    };
    let rows = rows.iter().map(row).collect::<Result<Vec<Vec<_>>, _>>()?;
    if rows.iter().map(Vec::len).sum::<usize>() > BUTTONS_MAX {
        return Err("REPLY_MARKUP_TOO_LONG");
    }
    Ok(rows.into_iter().filter(|row| !row.is_empty()).collect())
}

fn inline_button(button: &Map<String, Value>) -> Result<tl::enums::KeyboardInlineButton, &'static str> {
    let label = text(button, "text").filter(|text| !text.trim().is_empty());
    let label = label.ok_or("can't parse inline keyboard button: Button text must be non-empty")?;
    let kind: InlineButtonType = if let Some(data) = text(button, "callback_data") {
        if !(1..=DATA_MAX).contains(&data.len()) {
            return Err("BUTTON_DATA_INVALID");
        }
        tl::types::InlineButtonTypeCallback { requires_password: false, data: data.into_bytes() }.into()
    } else if let Some(url) = text(button, "url") {
        if !["http://", "https://", "tg://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err("BUTTON_URL_INVALID");
        }
        tl::types::InlineButtonTypeUrl { url }.into()
    } else if let Some(query) = text(button, "switch_inline_query_current_chat") {
        tl::types::InlineButtonTypeSwitchInline { same_peer: true, query, peer_types: None }.into()
    } else if let Some(query) = text(button, "switch_inline_query") {
        tl::types::InlineButtonTypeSwitchInline { same_peer: false, query, peer_types: None }.into()
    } else {
        return Err(TEXT_BUTTON);
    };
    Ok(tl::types::KeyboardInlineButton { style: None, text: label, r#type: kind }.into())
}

fn text_button(button: &Map<String, Value>) -> Result<tl::enums::KeyboardButton, &'static str> {
    let label = text(button, "text").filter(|text| !text.trim().is_empty());
    let label = label.ok_or("can't parse keyboard button: Button text must be non-empty")?;
    let asks = |name: &str| button.get(name).and_then(Value::as_bool) == Some(true);
    let kind = if asks("request_contact") {
        ButtonType::RequestPhone
    } else if asks("request_location") {
        ButtonType::RequestGeoLocation
    } else {
        ButtonType::Default
    };
    Ok(tl::types::KeyboardButton { style: None, text: label, r#type: kind }.into())
}

fn inline_button_json(button: &tl::enums::KeyboardInlineButton) -> Value {
    let tl::enums::KeyboardInlineButton::Button(button) = button;
    let label = &button.text;
    match &button.r#type {
        InlineButtonType::Callback(callback) => {
            json!({ "text": label, "callback_data": String::from_utf8_lossy(&callback.data) })
        }
        InlineButtonType::Url(url) => json!({ "text": label, "url": url.url }),
        InlineButtonType::SwitchInline(switch) if switch.same_peer => {
            json!({ "text": label, "switch_inline_query_current_chat": switch.query })
        }
        InlineButtonType::SwitchInline(switch) => {
            json!({ "text": label, "switch_inline_query": switch.query })
        }
        _ => json!({ "text": label }),
    }
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inline_keyboard_comes_back_as_it_was() {
        let keyboard = json!({ "inline_keyboard": [
            [{ "text": "1", "callback_data": "d:1" }, { "text": "2", "callback_data": "d:2" }],
            [{ "text": "site", "url": "https://example.org/" }],
        ] });
        let markup = markup_from_json(&keyboard).unwrap();
        assert_eq!(markup_json(&markup).unwrap(), keyboard);
        assert_eq!(callbacks(Some(&markup)), [("1", &b"d:1"[..]), ("2", b"d:2")]);
    }

    #[test]
    fn data_of_more_than_64_bytes_and_empty_data_are_refused() {
        let keyboard = |data: &str| json!({ "inline_keyboard": [[{ "text": "1", "callback_data": data }]] });
        assert!(markup_from_json(&keyboard(&"x".repeat(64))).is_ok());
        assert_eq!(markup_from_json(&keyboard(&"x".repeat(65))), Err("BUTTON_DATA_INVALID"));
        assert_eq!(markup_from_json(&keyboard("")), Err("BUTTON_DATA_INVALID"));
        let bare = json!({ "inline_keyboard": [[{ "text": "1" }]] });
        assert_eq!(markup_from_json(&bare), Err(TEXT_BUTTON));
    }

    #[test]
    fn a_keyboard_of_texts_is_not_part_of_the_message() {
        let keyboard =
            json!({ "keyboard": [[{ "text": "Yes" }, { "text": "No" }]], "resize_keyboard": true });
        let markup = markup_from_json(&keyboard).unwrap();
        assert_eq!(markup_json(&markup), None);
        let ReplyMarkup::ReplyKeyboardMarkup(markup) = markup else { panic!("another keyboard") };
        assert!(markup.resize && !markup.single_use);
    }
}
