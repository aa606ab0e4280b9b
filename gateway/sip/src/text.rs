//! Strings from outside made fit for a header: nothing in them can end the header, the quotes or the message
//! (RFC 3261 sections 7.3.1 and 25.1).

/// Longest value, in bytes, that we write into a header on somebody's behalf.
pub(crate) const VALUE_LIMIT_BYTES: usize = 256;

/// The text without control characters (each becomes one space), trimmed, cut at a character boundary.
///
/// C0, DEL, C1 and Unicode's line and paragraph separators count as controls: an old PBX may take any of them for a line end.
pub(crate) fn clean(text: &str, limit_bytes: usize) -> String {
    let mut cleaned = String::with_capacity(text.len().min(limit_bytes));
    for character in text.trim_matches(|c: char| c.is_whitespace() || c.is_control()).chars() {
        let fit = match character {
            '\u{2028}' | '\u{2029}' => ' ',
            control if control.is_control() => ' ',
            other => other,
        };
        if cleaned.len() + fit.len_utf8() > limit_bytes {
            break;
        }
        cleaned.push(fit);
    }
    cleaned.truncate(cleaned.trim_end().len());
    cleaned
}

/// The text as a quoted-string, cleaned, with quotes and backslashes escaped (RFC 3261 section 25.1).
pub(crate) fn quoted(text: &str) -> String {
    let cleaned = clean(text, VALUE_LIMIT_BYTES);
    let mut quoted = String::with_capacity(cleaned.len() + 2);
    quoted.push('"');
    for character in cleaned.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// A quoted-string's content without its quotes and escapes; any other text as it is.
pub(crate) fn unquoted(text: &str) -> String {
    let text = text.trim();
    let Some(inner) = text.strip_prefix('"') else { return text.to_owned() };
    let mut content = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => content.extend(characters.next()),
            '"' => break,
            other => content.push(other),
        }
    }
    content
}

/// Whether the text is a token, as header and parameter names are (RFC 3261 section 25.1).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

/// Splits at a separator that stands outside quotes and angle brackets; pieces are trimmed, empty ones left out.
pub(crate) fn split_outside(text: &str, separator: u8) -> Vec<&str> {
    let (mut quoted, mut escaped, mut angle) = (false, false, false);
    let mut pieces = Vec::new();
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'<' => angle = true,
            b'>' => angle = false,
            found if found == separator && !angle => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces.into_iter().map(str::trim).filter(|piece| !piece.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_cleaned_text_can_end_a_line() {
        let hostile = "a\r\nX-Evil: 1\0\u{7}\u{85}\u{2028}\u{7f}b";
        assert_eq!(clean(hostile, 256), "a  X-Evil: 1     b");
        assert_eq!(clean("\r\n \r\n", 256), "");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(clean("яяяя", 5), "яя");
        assert_eq!(clean("ab cd", 3), "ab");
    }

    #[test]
    fn quotes_and_backslashes_survive_the_way_there_and_back() {
        for text in [r#"Иван "x""#, r"back\slash", r#"\""#, "plain", ""] {
            assert_eq!(unquoted(&quoted(text)), text);
        }
        assert_eq!(quoted(r#"Иван "x""#), r#""Иван \"x\"""#);
    }

    #[test]
    fn separators_inside_quotes_and_brackets_do_not_separate() {
        let list = r#""a, \"b" <sip:a,b@c;d>;e, <sip:f>"#;
        assert_eq!(split_outside(list, b','), [r#""a, \"b" <sip:a,b@c;d>;e"#, "<sip:f>"]);
    }
}
