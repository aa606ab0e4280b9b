//! The fields of a request: read one after another, each named with its value and what is allowed where it is wrong.

use serde_json::{Map, Value};
use tgtrunk_config::Said;
use tgtrunk_messages::{object, shown};

use super::answer::Failed;

/// The fields that are not read yet.
#[derive(Debug)]
pub(super) struct Fields {
    left: Map<String, Value>,
    /// Those that may be there, for whoever mistypes one.
    known: &'static [&'static str],
}

impl Fields {
    /// Reads a body.
    ///
    /// # Errors
    /// It is no JSON object, or holds a field that is not `known`.
    pub(super) fn read(body: &[u8], known: &'static [&'static str]) -> Result<Self, Failed> {
        let left = object(body).map_err(|is| Failed::bad(format!("the body is no JSON object: {is}")))?;
        Self::of(left, known)
    }

    /// The same for fields of an address.
    pub(super) fn of(left: Map<String, Value>, known: &'static [&'static str]) -> Result<Self, Failed> {
        if let Some(strange) = left.keys().find(|key| !known.contains(&key.as_str())) {
            let strange = shown(&Value::String(strange.clone()));
            return Err(Failed::bad(format!("unknown field {strange}: want {}", known.join(", "))));
        }
        Ok(Self { left, known })
    }

    /// A field; none where it is not said.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value> {
        debug_assert!(self.known.contains(&key), "{key}");
        self.left.remove(key)
    }

    /// A text of so many characters; none where it is not said, and nothing where it is said to be null.
    pub(super) fn text(&mut self, key: &'static str, most: usize) -> Result<Option<Option<String>>, Failed> {
        let want = || {
            Said::new(
                format!("want a text of 1 to {most} characters, or null"),
                format!("нужен текст от 1 до {most} знаков"),
            )
        };
        match self.take(key) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(Value::String(text)) => {
                let trimmed = text.trim();
                let is_good =
                    (1..=most).contains(&trimmed.chars().count()) && !trimmed.chars().any(char::is_control);
                if is_good {
                    return Ok(Some(Some(trimmed.to_owned())));
                }
                Err(Failed::wrong(key, &Value::String(text), &want()))
            }
            Some(other) => Err(Failed::wrong(key, &other, &want())),
        }
    }

    /// The same of one that may also be written as a number.
    pub(super) fn word(&mut self, key: &'static str, most: usize) -> Result<Option<Option<String>>, Failed> {
        if let Some(number) = self.left.get(key).and_then(Value::as_i64) {
            self.left.insert(key.to_owned(), Value::String(number.to_string()));
        }
        self.text(key, most)
    }

    /// True or false; none where it is not said.
    pub(super) fn flag(&mut self, key: &'static str) -> Result<Option<bool>, Failed> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => {
                Err(Failed::wrong(key, &other, &Said::new("want true or false", "нужно true или false")))
            }
        }
    }

    /// A whole number; none where it is not said, and nothing where it is said to be null.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        allowed: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<Option<i64>>, Failed> {
        let value = match self.take(key) {
            None => return Ok(None),
            Some(Value::Null) => return Ok(Some(None)),
            Some(value) => value,
        };
        let number = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
        match number.filter(|number| allowed.contains(number)) {
            Some(number) => Ok(Some(Some(number))),
            None => {
                let (from, to) = (allowed.start(), allowed.end());
                let want = Said::new(
                    format!("want a whole number from {from} to {to}"),
                    format!("нужно целое число от {from} до {to}"),
                );
                Err(Failed::wrong(key, &value, &want))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_field_is_named_with_its_value_and_what_is_allowed() {
        let read = |body: &str| Fields::read(body.as_bytes(), &["id", "name", "notify"]);
        let told = |failed: Failed| failed.message;
        assert!(told(read("[1]").unwrap_err()).starts_with("the body is no JSON object: "));
        assert!(told(read("").unwrap_err()).starts_with("the body is no JSON object: "));
        // As 1C writes it.
        let body = "\u{feff}{\"name\":\"C:\\docs\"}";
        assert_eq!(read(body).unwrap().text("name", 8).unwrap(), Some(Some(r"C:\docs".to_owned())));
        let strange = r#"unknown field "nmae": want id, name, notify"#;
        assert_eq!(told(read(r#"{"nmae":"x"}"#).unwrap_err()), strange);
        for (body, wanted) in [
            (r#"{"name":5}"#, "name = 5: want a text of 1 to 8 characters, or null"),
            (r#"{"name":" "}"#, "name = \" \": want a text of 1 to 8 characters, or null"),
            (r#"{"name":"123456789"}"#, "name = \"123456789\": want a text of 1 to 8 characters, or null"),
        ] {
            assert_eq!(told(read(body).unwrap().text("name", 8).unwrap_err()), wanted);
        }
        let told_number = |body| told(read(body).unwrap().number("id", 1..=9).unwrap_err());
        assert_eq!(told_number(r#"{"id":10}"#), "id = 10: want a whole number from 1 to 9");
        assert_eq!(told_number(r#"{"id":1.5}"#), "id = 1.5: want a whole number from 1 to 9");
        let flag = read(r#"{"notify":"no"}"#).unwrap().flag("notify").unwrap_err();
        assert_eq!(flag.message, "notify = \"no\": want true or false");
    }

    #[test]
    fn what_is_not_said_differs_from_what_is_taken_away() {
        let mut fields = Fields::read(br#"{"name":null,"id":"7"}"#, &["id", "name", "notify"]).unwrap();
        assert_eq!(fields.text("name", 8).unwrap(), Some(None));
        assert_eq!(fields.number("id", 1..=9).unwrap(), Some(Some(7)));
        assert_eq!(fields.flag("notify").unwrap(), None);
        assert_eq!(fields.word("name", 8).unwrap(), None);
    }
}
