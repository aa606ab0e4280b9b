//! Parameters of a method, in each of the ways in which libraries send them (core.telegram.org/bots/api#making-requests):
//! in the address, as a form, as JSON, as a form with files.

use reqwest::Url;
use serde_json::{Map, Value};

use super::reply::Refused;

/// Parameters by name.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Params(Map<String, Value>);

impl Params {
    /// Reads what came in the address and in the body.
    ///
    /// # Errors
    /// For a body that is not what it says.
    pub(super) fn read(query: &str, content_type: &str, body: &[u8]) -> Result<Self, Refused> {
        let mut params = Map::new();
        params.extend(form(query));
        let (kind, rest) = content_type.split_once(';').unwrap_or((content_type, ""));
        match kind.trim().to_ascii_lowercase().as_str() {
            "application/json" if !body.is_empty() => match serde_json::from_slice(body) {
                Ok(Value::Object(fields)) => params.extend(fields),
                Ok(_) | Err(_) => return Err(Refused::bad("can't parse JSON object")),
            },
            "multipart/form-data" => {
                let boundary = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="));
                let boundary = boundary.ok_or_else(|| Refused::bad("the form has no boundary"))?;
                params.extend(parts(body, boundary.trim_matches('"')));
            }
            _ => params.extend(form(&String::from_utf8_lossy(body))),
        }
        Ok(Self(params))
    }

    /// A text, or a number as one.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match self.0.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    /// A number that does not go without saying.
    pub(super) fn whole(&self, name: &str) -> Result<Option<i64>, Refused> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(_) => {
                let number = self.number(name);
                number.map(Some).ok_or_else(|| Refused::bad(&format!("{name} must be an integer")))
            }
        }
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        match self.0.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                let text = self.text(name).unwrap_or_default().trim().to_ascii_lowercase();
                matches!(text.as_str(), "true" | "yes" | "1")
            }
            None => false,
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self.0.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.is_empty(),
            Some(_) => true,
        }
    }

    /// A list of words, which may stand in a text as JSON.
    pub(super) fn words(&self, name: &str) -> Result<Option<Vec<String>>, Refused> {
        let wrong = || Refused::bad(&format!("can't parse {name} JSON object"));
        let list = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map_err(|_| wrong())?,
            Some(list) => list.clone(),
        };
        let Value::Array(list) = list else { return Err(wrong()) };
        Ok(Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect()))
    }
}

/// Fields of `application/x-www-form-urlencoded`.
fn form(text: &str) -> Vec<(String, Value)> {
    let Ok(mut url) = Url::parse("http://x/") else { return Vec::new() };
    url.set_query(Some(text));
    let pairs = url.query_pairs().filter(|(name, _)| !name.is_empty());
    pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned()))).collect()
}

/// Fields of `multipart/form-data` (RFC 7578). A file is there with its name alone.
fn parts(body: &[u8], boundary: &str) -> Vec<(String, Value)> {
    let body = String::from_utf8_lossy(body);
    let delimiter = format!("--{boundary}");
    let mut fields = Vec::new();
    for part in body.split(delimiter.as_str()).skip(1) {
        let Some((head, content)) = part.split_once("\r\n\r\n") else { continue };
        let word = |key: &str| {
            let value = head.split([';', '\r', '\n']).find_map(|word| word.trim().strip_prefix(key))?;
            Some(value.trim_matches('"').to_owned())
        };
        if let Some(name) = word("name=") {
            let content = word("filename=").unwrap_or_else(|| content.trim_end_matches("\r\n").to_owned());
            fields.push((name, Value::String(content)));
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_send_parameters_is_understood() {
        let multipart = "--b\r\nContent-Disposition: form-data; name=\"offset\"\r\n\r\n-1\r\n\
             --b\r\nContent-Disposition: form-data; name=\"allowed_updates\"\r\n\r\n[\"message\"]\r\n\
             --b\r\nContent-Disposition: form-data; name=\"certificate\"; filename=\"c.pem\"\r\n\r\nxx\r\n--b--\r\n";
        for (query, content_type, body) in [
            ("offset=-1&allowed_updates=%5B%22message%22%5D", "", ""),
            ("", "application/x-www-form-urlencoded", "offset=-1&allowed_updates=[\"message\"]"),
            ("", "application/json; charset=utf-8", r#"{"offset":-1,"allowed_updates":["message"]}"#),
            ("offset=-1", "application/json", r#"{"allowed_updates":"[\"message\"]"}"#),
            ("", "multipart/form-data; boundary=\"b\"", multipart),
        ] {
            let params = Params::read(query, content_type, body.as_bytes()).unwrap();
            let kinds = params.words("allowed_updates").unwrap();
            assert_eq!(
                (params.number("offset"), kinds),
                (Some(-1), Some(vec!["message".to_owned()])),
                "{body}"
            );
        }
    }

    #[test]
    fn flags_are_what_python_and_others_write_and_nonsense_is_told() {
        let params = Params::read("a=True&b=true&c=0&d=[", "", b"").unwrap();
        assert!(params.flag("a") && params.flag("b") && !params.flag("c") && !params.flag("z"));
        assert_eq!(params.words("d").unwrap_err().description, "Bad Request: can't parse d JSON object");
        for (query, whole) in
            [("", Ok(None)), ("o=", Ok(None)), ("o=+5", Ok(Some(5))), ("o=-1", Ok(Some(-1)))]
        {
            assert_eq!(Params::read(query, "", b"").unwrap().whole("o"), whole, "{query}");
        }
        for wrong in [&b"o=5.0"[..], b"o=1%C2%A0234", b"o=x"] {
            let refused = Params::read("", "", wrong).unwrap().whole("o").unwrap_err();
            assert_eq!(refused.description, "Bad Request: o must be an integer");
        }
        let empty = Params::read("", "application/json", br#"{"a":null,"b":"","c":"YES"}"#).unwrap();
        assert!(!empty.has("a") && !empty.has("b") && empty.has("c") && empty.flag("c"));
        assert!(Params::read("", "application/json", b"[1]").is_err());
        assert!(Params::read("", "multipart/form-data", b"").is_err());
        let file = "--b\r\nContent-Disposition: form-data; name=\"certificate\"; filename=\"c.pem\"\r\n\r\nx\r\n--b--";
        assert!(
            Params::read("", "multipart/form-data; boundary=b", file.as_bytes()).unwrap().has("certificate")
        );
    }
}
