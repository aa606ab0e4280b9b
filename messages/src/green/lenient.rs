//! JSON (RFC 8259) as clients write it: the connector of 1C takes every second backslash out of its requests.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::doors::shown;

/// Why a body is no JSON, in the words that clients of GREEN-API know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// Something stands where it cannot.
    #[error("Unexpected token {token} in JSON at position {position}")]
    Token {
        /// What stands there.
        token: char,
        /// Where: bytes from the start.
        position: usize,
    },
    /// It ends too early.
    #[error("Unexpected end of JSON input")]
    End,
}

/// Reads a body; an empty one is null. What is not JSON is read again with backslashes taken as themselves where they
/// begin no escape, then also where they stand before the quote that must end a text.
///
/// # Errors
/// What is wrong with the body as it came.
pub fn read(bytes: &[u8]) -> Result<Value, SyntaxError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Err(SyntaxError::Token { token: '\u{fffd}', position: error.valid_up_to() }),
    };
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    let strict = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    serde_json::from_str(&repaired(text, false))
        .or_else(|_| serde_json::from_str(&repaired(text, true)))
        .map_err(|_| SyntaxError::of(&strict, text))
}

/// Reads a body that must be an object.
///
/// # Errors
/// What it is instead.
pub fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    match read(bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(Value::Null) => Err("it is empty".to_owned()),
        Ok(other) => Err(format!("it is {}", shown(&other))),
        Err(error) => Err(error.to_string()),
    }
}

impl SyntaxError {
    fn of(error: &serde_json::Error, text: &str) -> Self {
        if error.is_eof() {
            return Self::End;
        }
        let lines = error.line().saturating_sub(1);
        let before: usize = text.split_inclusive('\n').take(lines).map(str::len).sum();
        let mut position = (before + error.column().saturating_sub(1)).min(text.len());
        while !text.is_char_boundary(position) {
            position -= 1;
        }
        match text[position..].chars().next() {
            Some(token) => Self::Token { token, position },
            None => Self::End,
        }
    }
}

/// The text with every backslash doubled that begins no escape, control characters escaped, and halves of surrogate pairs
/// replaced. With `at_ends`, a backslash before a quote that seems to end its text is one, and not an escaped quote.
fn repaired(text: &str, at_ends: bool) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let (mut rest, mut is_inside) = (text, false);
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        match first {
            '"' => {
                is_inside = !is_inside;
                out.push(first);
            }
            '\\' if is_inside => match rest.as_bytes().get(1) {
                Some(b'"') if at_ends && is_end(&rest[2..]) => out.push_str("\\\\"),
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                    taken = 2;
                    out.push_str(&rest[..2]);
                }
                Some(b'u') => taken = unicode(rest, &mut out),
                _ => out.push_str("\\\\"),
            },
            first if is_inside && first < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(first));
            }
            first => out.push(first),
        }
        rest = &rest[taken..];
    }
    out
}

/// Whether what follows a quote is what follows the end of a text.
fn is_end(rest: &str) -> bool {
    let rest = rest.trim_start();
    match rest.strip_prefix(',') {
        Some(rest) => rest.trim_start().starts_with('"'),
        None => rest.is_empty() || rest.starts_with(['}', ']', ':']),
    }
}

/// Copies an escape by number at the start of `rest`, if it is one; gives how many bytes it read.
fn unicode(rest: &str, out: &mut String) -> usize {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 6)?.strip_prefix("\\u")?;
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
        u16::from_str_radix(digits, 16).ok()
    };
    match unit(0) {
        Some(0xd800..0xdc00) if matches!(unit(6), Some(0xdc00..0xe000)) => {
            out.push_str(&rest[..12]);
            12
        }
        Some(0xd800..0xe000) => {
            out.push_str("\\ufffd");
            6
        }
        Some(_) => {
            out.push_str(&rest[..6]);
            6
        }
        None => {
            out.push_str("\\\\");
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_read_as_it_is() {
        assert_eq!(read(br#"{"a":"say \"hi\", \\ \u0436 \n"}"#), Ok(json!({"a": "say \"hi\", \\ ж \n"})));
        assert_eq!(read("\u{feff}{\"a\":1}".as_bytes()), Ok(json!({"a": 1})));
        assert_eq!(read(b"7"), Ok(json!(7)));
        assert_eq!(read(b" \r\n"), Ok(Value::Null));
        assert_eq!(object("\u{feff}{\"a\":1}".as_bytes()).unwrap()["a"], json!(1));
        for (body, told) in
            [("", "it is empty"), ("[5]", "it is [5]"), ("x", "Unexpected token x in JSON at position 0")]
        {
            assert_eq!(object(body.as_bytes()).unwrap_err(), told);
        }
    }

    #[test]
    fn backslashes_that_begin_no_escape_are_backslashes() {
        let sent = |text: &str| read(text.as_bytes()).unwrap()["message"].as_str().unwrap().to_owned();
        assert_eq!(sent(r#"{"message":"C:\docs\zip\1.txt"}"#), r"C:\docs\zip\1.txt");
        assert_eq!(sent(r#"{"message":"C:\users"}"#), r"C:\users");
        assert_eq!(sent(r#"{"message":"D:\дом \ud83d\ude00"}"#), "D:\\дом \u{1f600}");
        assert_eq!(sent(r#"{"chatId":"1","message":"D:\data\","x":"y"}"#), r"D:\data\");
        assert_eq!(sent(r#"{"message":"D:\"}"#), r"D:\");
        assert_eq!(sent("{\"message\":\"two\nlines\"}"), "two\nlines");
        assert_eq!(sent(r#"{"message":"half \ud83d of it"}"#), "half \u{fffd} of it");
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        let said = |text: &str| read(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(said("hello"), "Unexpected token h in JSON at position 0");
        assert_eq!(said("{\"a\":1,\n \"b\":x}"), "Unexpected token x in JSON at position 13");
        assert_eq!(said("{\"a\":"), "Unexpected end of JSON input");
        assert_eq!(read(b"{\"a\":\"\xff\"}"), Err(SyntaxError::Token { token: '\u{fffd}', position: 6 }));
    }
}
