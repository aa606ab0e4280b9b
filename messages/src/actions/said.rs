//! What a program says: numbers as strings and strings as numbers, as programs write them.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::Action;
use super::error::{Code, Failed};
use super::when;
use crate::chat::Address;
use crate::entity::Entity;
use crate::id::MessageId;
use crate::markup::{self, Format};
use crate::outbox::TEXT_UNITS;

/// What may be said to every action: for whom and how it is answered, and not what is done.
pub(super) const COMMON: [&str; 6] =
    ["action", "line", "connection", "timeout_ms", "mode", "idempotency_key"];
/// Longest text at all: bytes; what may be said in one call is little more.
const TEXT_BYTES: usize = 256 * 1024;

/// What is said.
#[derive(Clone, Copy)]
pub(super) struct Said<'a>(&'a Map<String, Value>);

/// A text with its looks.
pub(super) struct Styled {
    pub(super) text: String,
    pub(super) entities: Vec<Entity>,
}

impl<'a> Said<'a> {
    pub(super) const fn of(fields: &'a Map<String, Value>) -> Self {
        Self(fields)
    }

    /// Whether everything that is said means something to the action.
    pub(super) fn check_keys(self, action: &Action) -> Result<(), Failed> {
        for key in self.0.keys() {
            if !action.keys.contains(&key.as_str()) && !COMMON.contains(&key.as_str()) {
                let known: Vec<_> = action.keys.iter().chain(&COMMON[1..]).copied().collect();
                return Err(Failed::bad(format!(
                    "'{key}' means nothing to {}; it takes {}",
                    action.name,
                    known.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// What is asked, without how it is to be answered, in an order that is always the same.
    pub(super) fn request(self) -> Value {
        let fields = self
            .0
            .iter()
            .filter(|(key, value)| !COMMON.contains(&key.as_str()) && !value.is_null() && **value != "");
        sorted(&Value::Object(fields.map(|(key, value)| (key.clone(), value.clone())).collect()))
    }

    /// A value; none where it is missing, null or an empty string.
    pub(super) fn value(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null() && *value != "")
    }

    pub(super) fn text(self, key: &str, most: usize) -> Result<Option<String>, Failed> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let want = format!("must be a text of at most {most} characters");
        let text = plain(value).ok_or_else(|| Failed::wrong(key, &want, Some(value)))?;
        if text.chars().count() > most {
            return Err(Failed::wrong(key, &want, Some(value)));
        }
        Ok(Some(text))
    }

    pub(super) fn needed(self, key: &str, most: usize) -> Result<String, Failed> {
        let want = format!("must be a text of 1 to {most} characters");
        let text = self.text(key, most)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| Failed::wrong(key, &want, self.0.get(key)))
    }

    /// The text of a message, with its looks: of `format`, and plain where that is wrong and `format_fallback` says so.
    pub(super) fn styled(self, may_be_long: bool) -> Result<Option<Styled>, Failed> {
        let Some(value) = self.value("text") else { return Ok(None) };
        let text = plain(value).ok_or_else(|| Failed::wrong("text", "must be a text", Some(value)))?;
        if text.len() > TEXT_BYTES {
            let message = format!("'text' must have at most {TEXT_BYTES} bytes; it has {}", text.len());
            return Err(Failed::new(Code::TooLong, message));
        }
        let format = match self.value("format") {
            None => Format::None,
            Some(value) => value
                .as_str()
                .and_then(Format::read)
                .ok_or_else(|| Failed::wrong("format", &format!("must be {}", Format::WORDS), Some(value)))?,
        };
        let falls_back = self.flag("format_fallback")?.unwrap_or(false);
        let styled = match markup::parse(&text, format) {
            Ok((text, entities)) => Styled { text, entities },
            Err(_) if falls_back => Styled { text, entities: Vec::new() },
            Err(error) => return Err(Failed::new(Code::MarkupError, format!("'text': {error}"))),
        };
        if styled.text.trim().is_empty() {
            return Ok(None);
        }
        let units = styled.text.encode_utf16().count();
        if units > TEXT_UNITS && !may_be_long {
            let message = format!(
                "'text' must have at most {TEXT_UNITS} UTF-16 code units, which one message holds; it has {units}"
            );
            return Err(Failed::new(Code::TooLong, message));
        }
        Ok(Some(styled))
    }

    pub(super) fn flag(self, key: &str) -> Result<Option<bool>, Failed> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let flag = match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => Some(true),
                "false" | "0" | "no" => Some(false),
                _ => None,
            },
            Value::Number(number) => match number.as_i64() {
                Some(1) => Some(true),
                Some(0) => Some(false),
                _ => None,
            },
            _ => None,
        };
        flag.map(Some).ok_or_else(|| Failed::wrong(key, "must be true or false", Some(value)))
    }

    pub(super) fn integer(self, key: &str, allowed: RangeInclusive<i64>) -> Result<Option<i64>, Failed> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        let want = || format!("must be a number of {} to {}", allowed.start(), allowed.end());
        let number = number.filter(|number| allowed.contains(number));
        number.map(Some).ok_or_else(|| Failed::wrong(key, &want(), Some(value)))
    }

    /// Degrees, at most so many either way.
    pub(super) fn degrees(self, key: &str, most: f64) -> Result<f64, Failed> {
        let want = format!("must be a number of degrees, {} to {most}", -most);
        let value = self.value(key);
        let degrees = match value {
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::String(text)) => text.trim().replace(',', ".").parse().ok(),
            _ => None,
        };
        degrees.filter(|degrees| degrees.abs() <= most).ok_or_else(|| Failed::wrong(key, &want, value))
    }

    /// One of these words.
    pub(super) fn word(self, key: &str, words: &[&'static str]) -> Result<Option<&'static str>, Failed> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let said = value.as_str().unwrap_or_default().to_ascii_lowercase();
        let word = words.iter().find(|word| **word == said);
        let want = || {
            let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            format!("must be {}", quoted.join(" or "))
        };
        word.map(|word| Some(*word)).ok_or_else(|| Failed::wrong(key, &want(), Some(value)))
    }

    /// A chat.
    pub(super) fn dialog(self, key: &str) -> Result<Address, Failed> {
        let want = "must be a chat's number, as 10000000 or -1001234567890, a phone number, as \"+79991234567\", or a name, as \"@anna\"";
        let value = self.value(key);
        let text = value.and_then(plain).ok_or_else(|| Failed::wrong(key, want, value))?;
        Address::read(&text).map_err(|_| Failed::wrong(key, want, value))
    }

    /// A message's number, Telegram's or ours.
    pub(super) fn message(self, key: &str) -> Result<Option<MessageId>, Failed> {
        self.value(key).map(|value| message(key, value)).transpose()
    }

    /// 1 to 100 messages' numbers.
    pub(super) fn messages(self, key: &str) -> Result<Vec<MessageId>, Failed> {
        let want = "must be a list of 1 to 100 messages' numbers, as [17, 18]";
        let value = self.value(key);
        let all = match value {
            Some(Value::Array(all)) => all.clone(),
            Some(one @ (Value::Number(_) | Value::String(_))) => vec![one.clone()],
            _ => Vec::new(),
        };
        if !(1..=100).contains(&all.len()) {
            return Err(Failed::wrong(key, want, value));
        }
        all.iter().map(|one| message(key, one)).collect()
    }

    /// A time: milliseconds since 1970.
    pub(super) fn time(self, key: &str) -> Result<Option<i64>, Failed> {
        let Some(value) = self.value(key) else { return Ok(None) };
        when::read(value).map(Some).ok_or_else(|| Failed::wrong(key, when::WANTED, Some(value)))
    }
}

fn message(key: &str, value: &Value) -> Result<MessageId, Failed> {
    let id = plain(value).and_then(|text| text.parse().ok());
    id.ok_or_else(|| Failed::wrong(key, "must be a message's number", Some(value)))
}

/// A text, or a number as one.
pub(super) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The same with the keys of objects in their order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut keys: Vec<_> = fields.keys().collect();
            keys.sort_unstable();
            Value::Object(keys.into_iter().map(|key| (key.clone(), sorted(&fields[key]))).collect())
        }
        Value::Array(all) => all.iter().map(sorted).collect(),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_asked_is_the_same_in_any_order_and_however_it_is_answered() {
        let read = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let one = read(r#"{"text":"a","dialog":"5","mode":"queue","attachments":[{"url":"u","title":"t"}]}"#);
        let other = read(
            r#"{"attachments":[{"title":"t","url":"u"}],"timeout_ms":1,"dialog":"5","text":"a","silent":null}"#,
        );
        assert_eq!(Said::of(&one).request().to_string(), Said::of(&other).request().to_string());
        let third = read(r#"{"text":"b","dialog":"5"}"#);
        assert_ne!(Said::of(&one).request(), Said::of(&third).request());
    }

    #[test]
    fn values_are_read_as_programs_write_them() {
        let fields =
            json!({"a": "7", "b": 7, "c": "true", "d": 0, "e": "55,75", "f": [1, "2"], "g": "", "h": "x"});
        let said = Said::of(fields.as_object().unwrap());
        assert_eq!((said.integer("a", 0..=9), said.integer("b", 0..=9)), (Ok(Some(7)), Ok(Some(7))));
        assert_eq!(
            (said.flag("c"), said.flag("d"), said.flag("g")),
            (Ok(Some(true)), Ok(Some(false)), Ok(None))
        );
        assert_eq!(said.degrees("e", 90.0), Ok(55.75));
        assert_eq!(said.messages("f").unwrap(), [MessageId::new(1), MessageId::new(2)]);
        let error = said.integer("h", 1..=9).unwrap_err();
        assert_eq!(error.message, "'h' must be a number of 1 to 9; it is \"x\"");
        assert_eq!(
            said.word("h", &["wait", "queue"]).unwrap_err().message,
            "'h' must be \"wait\" or \"queue\"; it is \"x\""
        );
        assert!(said.dialog("nothing").unwrap_err().message.ends_with("it is missing"));
    }
}
