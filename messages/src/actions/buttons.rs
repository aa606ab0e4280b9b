//! What a bot puts under a message, or in place of people's letters: `buttons`.
//!
//! It is what Telegram calls `reply_markup` (core.telegram.org/bots/api#inlinekeyboardmarkup and below), and is passed on;
//! `resize` and `one_time`, as other programs write them, are its `resize_keyboard` and `one_time_keyboard`.

use serde_json::{Map, Value};

use super::error::{Code, Failed};
use super::said::Said;
use crate::instance::{Instance, InstanceKind};

/// Most buttons of one message, as Telegram takes them.
const MOST: usize = 100;
/// What a button sends back: bytes.
const DATA_BYTES: usize = 64;
const WANT: &str = "must be an object with one of inline_keyboard, keyboard and remove_keyboard, as \
                    {\"inline_keyboard\":[[{\"text\":\"Yes\",\"callback_data\":\"yes\"}]]}";

/// What a button of the inline keyboard does; it has one of them.
const DOES: [&str; 9] = [
    "url",
    "callback_data",
    "web_app",
    "login_url",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
    "copy_text",
    "pay",
];

/// The buttons that are wanted; under a message that is there only inline ones can be.
pub(super) fn read(instance: &Instance, said: Said<'_>, is_there: bool) -> Result<Option<Value>, Failed> {
    let Some(value) = said.value("buttons") else { return Ok(None) };
    if instance.kind() == InstanceKind::User {
        let sentence = match is_there {
            true => "'buttons' can be changed by bots alone: Telegram takes none from an account",
            false => "'buttons' can be sent by bots alone: Telegram takes none from an account",
        };
        return Err(Failed::new(Code::UnsupportedForUser, sentence));
    }
    parse(value, is_there).map(Some)
}

fn parse(value: &Value, is_there: bool) -> Result<Value, Failed> {
    // Hosts with text fields alone write it as text.
    let written = value.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let fields = written.as_ref().unwrap_or(value).as_object();
    let mut fields = fields.cloned().ok_or_else(|| Failed::wrong("buttons", WANT, Some(value)))?;
    for (other, own) in [("resize", "resize_keyboard"), ("one_time", "one_time_keyboard")] {
        if let Some(flag) = fields.remove(other) {
            fields.entry(own).or_insert(flag);
        }
    }
    let kinds = ["inline_keyboard", "keyboard", "remove_keyboard"];
    let mut said = kinds.into_iter().filter(|kind| fields.contains_key(*kind));
    let kind = said.next().filter(|_| said.next().is_none());
    let kind = kind.ok_or_else(|| Failed::wrong("buttons", WANT, Some(value)))?;
    if is_there && kind != "inline_keyboard" {
        let want = "must have inline_keyboard: a message that is there takes no other buttons";
        return Err(Failed::wrong("buttons", want, Some(value)));
    }
    match kind {
        "inline_keyboard" => check(&fields, kind, inline)?,
        "keyboard" => check(&fields, kind, letter)?,
        _ if fields["remove_keyboard"] == true => {}
        _ => return Err(Failed::wrong("buttons.remove_keyboard", "must be true", fields.get(kind))),
    }
    Ok(Value::Object(fields))
}

/// Whether the rows of a keyboard can be so.
fn check(
    fields: &Map<String, Value>,
    kind: &str,
    button: impl Fn(&Value) -> Result<(), &'static str>,
) -> Result<(), Failed> {
    let (key, rows) = (format!("buttons.{kind}"), fields.get(kind));
    let want = "must be a list of rows, each a list of buttons";
    let wrong = || Failed::wrong(&key, want, rows);
    let mut count = 0;
    for (number, row) in rows.and_then(Value::as_array).ok_or_else(wrong)?.iter().enumerate() {
        for (place, one) in row.as_array().ok_or_else(wrong)?.iter().enumerate() {
            let at = format!("{key}[{number}][{place}]");
            button(one).map_err(|want| Failed::wrong(&at, want, Some(one)))?;
            count += 1;
        }
    }
    if count > MOST {
        return Err(Failed::bad(format!("'{key}' must have at most {MOST} buttons; it has {count}")));
    }
    Ok(())
}

fn has_text(button: &Value) -> bool {
    button["text"].as_str().is_some_and(|text| !text.trim().is_empty())
}

fn inline(button: &Value) -> Result<(), &'static str> {
    let does = DOES.iter().filter(|what| button.get(**what).is_some()).count();
    if !has_text(button) || does != 1 {
        return Err("must be an object with text and one of url and callback_data");
    }
    match button.get("callback_data") {
        Some(data) if !data.as_str().is_some_and(|data| (1..=DATA_BYTES).contains(&data.len())) => {
            Err("must have a callback_data of 1 to 64 bytes")
        }
        _ => Ok(()),
    }
}

/// A button in place of letters; a text stands for one that sends it.
fn letter(button: &Value) -> Result<(), &'static str> {
    let is_text = button.as_str().is_some_and(|text| !text.trim().is_empty());
    if is_text || has_text(button) { Ok(()) } else { Err("must be an object with text") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keyboards_are_passed_on_with_telegrams_own_keys() {
        let inline = json!({"inline_keyboard": [[{"text": "Site", "url": "https://example.org"}]]});
        assert_eq!(parse(&inline, true), Ok(inline.clone()));
        assert_eq!(parse(&Value::String(inline.to_string()), false), Ok(inline));
        let said = json!({
            "keyboard": [[{"text": "Yes"}, {"text": "Here", "request_location": true}], ["No"]],
            "resize": true,
            "one_time": true,
        });
        let told = parse(&said, false).unwrap();
        assert_eq!((&told["resize_keyboard"], &told["one_time_keyboard"]), (&json!(true), &json!(true)));
        assert_eq!((&told["keyboard"], told.get("resize")), (&said["keyboard"], None));
        let gone = json!({"remove_keyboard": true});
        assert_eq!(parse(&gone, false), Ok(gone));
    }

    #[test]
    fn what_telegram_would_refuse_is_refused_by_its_place() {
        let long = "x".repeat(65);
        for (said, named) in [
            (json!("yes"), "'buttons'"),
            (json!({}), "'buttons'"),
            (json!({"inline_keyboard": [], "remove_keyboard": true}), "'buttons'"),
            (json!({"inline_keyboard": {}}), "'buttons.inline_keyboard'"),
            (json!({"inline_keyboard": [[{"text": "a", "callback_data": "b"}, {"text": "a"}]]}), "[0][1]"),
            (json!({"inline_keyboard": [[{"text": "a", "callback_data": long}]]}), "64 bytes"),
            (json!({"inline_keyboard": [[{"text": " ", "callback_data": "b"}]]}), "[0][0]"),
            (json!({"keyboard": [[{"request_contact": true}]]}), "buttons.keyboard[0][0]"),
            (json!({"keyboard": [vec!["a"; 101]]}), "at most 100"),
            (json!({"remove_keyboard": false}), "must be true"),
        ] {
            let failed = parse(&said, false).unwrap_err();
            assert_eq!(failed.code, Code::BadRequest);
            assert!(failed.message.contains(named), "{}", failed.message);
        }
        let failed = parse(&json!({"keyboard": [["a"]]}), true).unwrap_err();
        assert!(failed.message.contains("inline_keyboard"), "{}", failed.message);
    }
}
