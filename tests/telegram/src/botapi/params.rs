//! Parameters of a request: from the address, a form, JSON or multipart, all the same to a method.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::multipart::{self, Upload};
use super::reply::ApiError;

/// A request's parameters.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Params {
    fields: Map<String, Value>,
    pub(crate) files: BTreeMap<String, Upload>,
}

impl Params {
    /// Reads them; those of the body go before those of the address.
    pub(crate) fn read(query: &str, content_type: &str, body: &[u8]) -> Result<Self, ApiError> {
        let mut params = Self::default();
        params.take_form(query);
        let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            _ if body.is_empty() => {}
            "application/json" => match serde_json::from_slice(body) {
                Ok(Value::Object(fields)) => params.fields.extend(fields),
                _ => return Err(ApiError::bad("can't parse request body JSON object")),
            },
            "multipart/form-data" => {
                let parts = multipart::boundary(content_type).and_then(|mark| multipart::parts(body, &mark));
                for part in parts.ok_or_else(|| ApiError::bad("can't parse multipart body"))? {
                    match part.upload {
                        Some(upload) => {
                            params.files.insert(part.name, upload);
                        }
                        None => {
                            let text = String::from_utf8_lossy(&part.text).into_owned();
                            params.fields.insert(part.name, Value::String(text));
                        }
                    }
                }
            }
            _ => params.take_form(&String::from_utf8_lossy(body)),
        }
        Ok(params)
    }

    /// From a JSON object.
    pub(crate) fn of(fields: Map<String, Value>) -> Self {
        Self { fields, files: BTreeMap::new() }
    }

    fn take_form(&mut self, form: &str) {
        for pair in form.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let read = |text: &str| decoded(&text.replace('+', " "));
            self.fields.insert(read(name), Value::String(read(value)));
        }
    }

    /// As text, whatever it was sent as.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.fields.get(name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// As text that is not empty.
    pub(crate) fn word(&self, name: &str) -> Option<String> {
        self.text(name).filter(|text| !text.is_empty())
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        match self.fields.get(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        match self.fields.get(name) {
            Some(Value::Bool(set)) => *set,
            Some(Value::String(text)) => matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "yes"),
            Some(Value::Number(number)) => number.as_i64() == Some(1),
            _ => false,
        }
    }

    /// As a value: an object in JSON, or its text in a form.
    pub(crate) fn json(&self, name: &str) -> Result<Option<Value>, ApiError> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text)
                .map(Some)
                .map_err(|_| ApiError::bad(format!("can't parse {name} JSON object"))),
            Some(value) => Ok(Some(value.clone())),
        }
    }

    /// For the journal.
    pub(crate) fn shown(&self) -> Value {
        let mut shown = self.fields.clone();
        for (name, file) in &self.files {
            shown.insert(name.clone(), json!({ "file": file.name, "bytes": file.bytes.len() }));
        }
        Value::Object(shown)
    }
}

/// Undoes the percents of a URL (RFC 3986, 2.1).
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'%' => match after.get(..2).and_then(|pair| std::str::from_utf8(pair).ok()) {
                Some(pair) if pair.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                    bytes.push(u8::from_str_radix(pair, 16).unwrap_or(b'%'));
                    rest = &after[2..];
                }
                _ => bytes.push(b'%'),
            },
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_parameter_reads_the_same_from_all_four_places() {
        let multipart =
            "--x\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n42\r\n--x--\r\n".as_bytes();
        let ways = [
            Params::read("chat_id=42", "", b""),
            Params::read("", "application/x-www-form-urlencoded", b"chat_id=42"),
            Params::read("", "application/json", br#"{"chat_id": 42}"#),
            Params::read("", "multipart/form-data; boundary=x", multipart),
        ];
        for way in ways {
            assert_eq!(way.unwrap().number("chat_id"), Some(42));
        }
    }

    #[test]
    fn forms_are_decoded() {
        let params = Params::read("text=a%2Bb+%D1%8F%", "", b"").unwrap();
        assert_eq!(params.text("text").as_deref(), Some("a+b я%"));
    }

    #[test]
    fn json_inside_a_form_is_read() {
        let params = Params::read("reply_markup=%7B%22a%22%3A1%7D&bad=%7B", "", b"").unwrap();
        assert_eq!(params.json("reply_markup").unwrap(), Some(json!({ "a": 1 })));
        assert!(params.json("bad").is_err());
        assert_eq!(params.json("none"), Ok(None));
        assert!(Params::read("", "application/json", b"[1]").is_err());
    }

    #[test]
    fn flags_are_read_in_every_spelling() {
        let params = Params::read("a=true&b=1&c=False", "application/json", br#"{"d": true}"#).unwrap();
        assert_eq!(["a", "b", "c", "d", "e"].map(|name| params.flag(name)), [true, true, false, true, false]);
    }
}
