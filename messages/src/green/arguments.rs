//! What a call says: its query and its body as one, read as loosely as clients write. Numbers may be texts and texts numbers.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::error::Failed;
use super::limits;
use crate::chat::{Address, AddressError};
use crate::id::{MessageId, ungrouped};
use crate::instance::{Typing, TypingKind};

/// What a call says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Arguments {
    named: Map<String, Value>,
    bare: Option<Value>,
}

/// What may be typing, by its words.
const TYPING: [(&str, TypingKind); 12] = [
    ("text", TypingKind::Text),
    ("record_voice_note", TypingKind::RecordVoiceNote),
    ("upload_voice_note", TypingKind::UploadVoiceNote),
    ("record_video_note", TypingKind::RecordVideoNote),
    ("upload_video_note", TypingKind::UploadVideoNote),
    ("record_video", TypingKind::RecordVideo),
    ("upload_video", TypingKind::UploadVideo),
    ("upload_photo", TypingKind::UploadPhoto),
    ("upload_document", TypingKind::UploadDocument),
    ("choose_sticker", TypingKind::ChooseSticker),
    ("choose_location", TypingKind::ChooseLocation),
    ("choose_contact", TypingKind::ChooseContact),
];

impl Arguments {
    /// What stands in the query goes before what stands in the body.
    pub(super) fn of(query: BTreeMap<String, String>, body: Value) -> Self {
        let (mut named, bare) = match body {
            Value::Object(named) => (named, None),
            Value::Null => (Map::new(), None),
            bare => (Map::new(), Some(bare)),
        };
        named.extend(query.into_iter().map(|(key, value)| (key, Value::String(value))));
        Self { named, bare }
    }

    /// Everything that has a name.
    pub(super) fn named(&self) -> &Map<String, Value> {
        &self.named
    }

    /// A body that is no object.
    pub(super) fn bare(&self) -> Option<&Value> {
        self.bare.as_ref()
    }

    /// A value; null is none.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.named.get(key).filter(|value| !value.is_null())
    }

    /// The chat that a call is about; clients of other messengers say `groupId`, and older ones `phoneNumber`.
    pub(super) fn chat(&self) -> Result<Address, Failed> {
        let key = if self.value("chatId").is_some() { "chatId" } else { "groupId" };
        match (self.value(key), self.value("phoneNumber")) {
            (Some(value), _) => address(key, value),
            (None, Some(_)) => self.phone("phoneNumber").map(Address::Phone),
            (None, None) => Err(Failed::wrong("chatId", &chat_wanted(), None)),
        }
    }

    /// The group that a call is about.
    pub(super) fn group(&self) -> Result<Address, Failed> {
        match self.chat()? {
            Address::Chat(id) if id.is_person() => {
                Err(Failed::wrong("chatId", "must be a group's number, which is below 0", self.chat_value()))
            }
            Address::Phone(_) => {
                Err(Failed::wrong("chatId", "must be a group, not a phone number", self.chat_value()))
            }
            chat => Ok(chat),
        }
    }

    pub(super) fn chat_value(&self) -> Option<&Value> {
        self.value("chatId").or_else(|| self.value("groupId"))
    }

    /// A chat, or somebody.
    pub(super) fn address(&self, key: &str) -> Result<Address, Failed> {
        match self.value(key) {
            Some(value) => address(key, value),
            None => Err(Failed::wrong(key, &chat_wanted(), None)),
        }
    }

    /// A text that has to be there.
    pub(super) fn text(&self, key: &str, chars: RangeInclusive<usize>) -> Result<String, Failed> {
        let want = format!("must be a text of {} to {} characters", chars.start(), chars.end());
        let text = self.value(key).and_then(plain).filter(|text| !text.trim().is_empty());
        let text = text.ok_or_else(|| Failed::wrong(key, &want, self.value(key)))?;
        let length = text.chars().count();
        if chars.contains(&length) {
            Ok(text)
        } else {
            Err(Failed::validation(&format!("'{key}' {want}; it has {length}")))
        }
    }

    /// A text that may be missing; an empty one is.
    pub(super) fn optional_text(&self, key: &str, most: usize) -> Result<Option<String>, Failed> {
        match self.value(key).map(plain) {
            None => Ok(None),
            Some(Some(text)) if text.is_empty() => Ok(None),
            Some(_) => self.text(key, 1..=most).map(Some),
        }
    }

    /// A code or a password, which is not shown in an error.
    pub(super) fn secret(&self, key: &str) -> Result<Option<String>, Failed> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let text = plain(value).filter(|text| text.len() <= limits::WORD);
        let want = format!("must be a text of at most {} bytes", limits::WORD);
        text.map(|text| Some(text).filter(|text| !text.is_empty()))
            .ok_or_else(|| Failed::wrong_secret(key, &want))
    }

    /// A whole number.
    pub(super) fn integer(&self, key: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Failed> {
        let value = match self.value(key) {
            None => return Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
            Some(value) => value,
        };
        let want = format!("must be a whole number from {} to {}", range.start(), range.end());
        let number = integer(value).filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| Failed::wrong(key, &want, Some(value)))
    }

    /// An angle of at most `most` degrees on either side.
    pub(super) fn degrees(&self, key: &str, most: f64) -> Result<f64, Failed> {
        let number = self.value(key).and_then(|value| match value {
            Value::String(text) => text.trim().replace(',', ".").parse().ok(),
            value => value.as_f64(),
        });
        number.filter(|number: &f64| number.abs() <= most).ok_or_else(|| {
            Failed::wrong(
                key,
                &format!("must be a number of degrees from -{most} to {most}"),
                self.value(key),
            )
        })
    }

    /// A switch.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, Failed> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let word = plain(value).unwrap_or_default().trim().to_ascii_lowercase();
        match word.as_str() {
            "true" | "yes" | "1" => Ok(Some(true)),
            "false" | "no" | "0" => Ok(Some(false)),
            "" if value.is_string() => Ok(None),
            _ => Err(Failed::wrong(key, "must be true or false", Some(value))),
        }
    }

    /// A message's number that has to be there.
    pub(super) fn message(&self, key: &str) -> Result<MessageId, Failed> {
        match self.optional_message(key)? {
            Some(id) => Ok(id),
            None => Err(Failed::wrong(key, MESSAGE_WANTED, None)),
        }
    }

    /// A message's number.
    pub(super) fn optional_message(&self, key: &str) -> Result<Option<MessageId>, Failed> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(value) => message(key, value).map(Some),
        }
    }

    /// Several values; one alone stands for a list of it, and a form says a list as JSON.
    pub(super) fn list(&self, key: &str) -> Vec<Value> {
        match self.value(key) {
            None => Vec::new(),
            Some(Value::Array(values)) => values.clone(),
            Some(Value::String(text)) if text.trim_start().starts_with('[') => {
                serde_json::from_str(text).unwrap_or_else(|_| vec![Value::String(text.clone())])
            }
            Some(value) => vec![value.clone()],
        }
    }

    /// What is shown before a message, where the call says for how long.
    pub(super) fn typing(&self) -> Result<Option<Typing>, Failed> {
        let kind = self.typing_kind()?;
        let ms = self.integer("typingTime", limits::TYPING_MS)?;
        Ok(ms.and_then(|ms| u32::try_from(ms).ok()).map(|ms| Typing { kind, ms }))
    }

    /// What the account seems to be doing.
    pub(super) fn typing_kind(&self) -> Result<TypingKind, Failed> {
        let Some(word) = self.optional_text("typingType", limits::WORD)? else { return Ok(TypingKind::Text) };
        let known = TYPING.iter().find(|(known, _)| known.eq_ignore_ascii_case(word.trim()));
        known.map(|(_, kind)| *kind).ok_or_else(|| {
            let words: Vec<&str> = TYPING.iter().map(|(word, _)| *word).collect();
            let want = format!("must be one of {}", words.join(", "));
            Failed::wrong("typingType", &want, self.value("typingType"))
        })
    }

    /// A phone number.
    pub(super) fn phone(&self, key: &str) -> Result<String, Failed> {
        let said = self.value(key).and_then(plain).unwrap_or_default();
        let digits = said.trim().trim_end_matches("@c.us");
        match Address::read(&format!("{digits}@c.us")) {
            Ok(Address::Phone(phone)) => Ok(phone),
            Ok(Address::Chat(_) | Address::Username(_)) | Err(AddressError) => {
                let want = "must be a phone number with its country's code, as 79991234567";
                Err(Failed::wrong(key, want, self.value(key)))
            }
        }
    }
}

const MESSAGE_WANTED: &str = "must be a message's number, as \"1763115112345\"";

/// A message's number.
pub(super) fn message(key: &str, value: &Value) -> Result<MessageId, Failed> {
    let number = plain(value).and_then(|text| text.parse().ok());
    number.ok_or_else(|| Failed::wrong(key, MESSAGE_WANTED, Some(value)))
}

/// A chat, or somebody.
pub(super) fn address(key: &str, value: &Value) -> Result<Address, Failed> {
    let read = plain(value).map(|text| Address::read(&text));
    match read {
        Some(Ok(address)) => Ok(address),
        Some(Err(AddressError)) | None => Err(Failed::wrong(key, &chat_wanted(), Some(value))),
    }
}

fn chat_wanted() -> String {
    let want = AddressError.to_string();
    format!("must be {}", want.strip_prefix("want ").unwrap_or(&want))
}

/// A text, or what a number or a truth value looks like as one.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A whole number, perhaps as a text that groups its digits as 1C does.
pub(super) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => ungrouped(text).parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chat::ChatId;

    #[test]
    fn a_chat_may_be_a_number_a_text_or_a_group_of_other_messengers() {
        let group = Ok(Address::Chat(ChatId(-1_001_234_567_890)));
        for said in [
            json!({"chatId": "-1001234567890"}),
            json!({"chatId": -1_001_234_567_890_i64}),
            json!({"groupId": "-1001234567890@g.us"}),
            json!({"chatId": null, "groupId": "-1001234567890"}),
        ] {
            assert_eq!(arguments(said.clone()).chat(), group, "{said}");
        }
        let phone = arguments(json!({"phoneNumber": 79_991_234_567_i64}));
        assert_eq!(phone.chat(), Ok(Address::Phone("79991234567".to_owned())));
        let phone = arguments(json!({"chatId": "79991234567@c.us"}));
        assert_eq!(phone.chat(), Ok(Address::Phone("79991234567".to_owned())));
        assert!(said(phone.group()).contains("not a phone number"));
        let wrong = said(arguments(json!({"chatId": "anna"})).chat());
        assert!(
            wrong.starts_with("Validation failed. Details: 'chatId' must be a chat's number")
                && wrong.ends_with("it is \"anna\""),
            "{wrong}"
        );
        assert!(said(arguments(json!({})).chat()).ends_with("it is missing"));
    }

    #[test]
    fn the_query_goes_before_the_body() {
        let query = BTreeMap::from([("minutes".to_owned(), "5".to_owned())]);
        let both = Arguments::of(query, json!({"minutes": 7, "count": "3"}));
        assert_eq!(both.integer("minutes", 1..=9), Ok(Some(5)));
        assert_eq!(both.integer("count", 1..=9), Ok(Some(3)));
        assert_eq!(Arguments::of(BTreeMap::new(), json!(7)).bare(), Some(&json!(7)));
    }

    #[test]
    fn numbers_may_be_texts_and_texts_numbers() {
        let loose = arguments(json!({
            "code": 12345, "count": "1\u{a0}000", "is": "yes", "latitude": "55,75", "phoneNumber": "+7 999 123-45-67",
            "empty": "", "idMessage": 1_763_115_112_345_i64,
        }));
        assert_eq!(loose.secret("code"), Ok(Some("12345".to_owned())));
        assert_eq!(loose.integer("count", limits::COUNT), Ok(Some(1000)));
        assert_eq!(loose.flag("is"), Ok(Some(true)));
        assert_eq!(loose.degrees("latitude", 90.0), Ok(55.75));
        assert_eq!(loose.phone("phoneNumber"), Ok("79991234567".to_owned()));
        assert_eq!(loose.optional_text("empty", 5), Ok(None));
        assert_eq!(loose.integer("empty", 1..=2), Ok(None));
        assert_eq!(loose.optional_message("empty"), Ok(None));
        assert_eq!(loose.message("idMessage"), Ok(MessageId::new(1_763_115_112_345)));
        assert_eq!(arguments(json!({"chatIds": "[\"1\",\"2\"]"})).list("chatIds"), [json!("1"), json!("2")]);
    }

    #[test]
    fn what_is_out_of_its_limits_is_named() {
        let wrong = arguments(json!({
            "message": "x".repeat(20_001), "typingTime": 999, "typingType": "dancing", "latitude": 91, "is": "perhaps",
            "password": "x".repeat(300),
        }));
        let message = said(wrong.text("message", limits::MESSAGE));
        assert!(
            message.ends_with("'message' must be a text of 1 to 20000 characters; it has 20001"),
            "{message}"
        );
        assert!(said(wrong.typing()).contains("choose_contact; it is \"dancing\""));
        assert!(
            said(wrong.integer("typingTime", limits::TYPING_MS)).ends_with("from 1000 to 20000; it is 999")
        );
        assert!(said(wrong.degrees("latitude", 90.0)).ends_with("from -90 to 90; it is 91"));
        assert!(said(wrong.flag("is")).ends_with("must be true or false; it is \"perhaps\""));
        assert!(!said(wrong.secret("password")).contains("xxx"));
    }

    fn arguments(body: Value) -> Arguments {
        Arguments::of(BTreeMap::new(), body)
    }

    fn said<T: std::fmt::Debug>(result: Result<T, Failed>) -> String {
        result.unwrap_err().message
    }
}
