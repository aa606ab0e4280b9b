//! A message of the queue beside those that Telegram has: the several that a long text becomes, and whether one is it.

use crate::content::Content;

/// What one message of Telegram holds, in UTF-16 code units (core.telegram.org/api/config, `message_length_max`).
const TEXT_UNITS: usize = 4096;

/// A text that is too long for one message, as several; cut where a line or a word ends.
pub(super) fn of(content: Content) -> Vec<Content> {
    let Content::Text { text, has_preview, .. } = content else { return vec![content] };
    let mut parts = cut(&text, TEXT_UNITS);
    // Telegram takes no text of blanks alone.
    if parts.len() > 1 {
        parts.retain(|part| !part.trim().is_empty());
    }
    if parts.is_empty() {
        parts.push(text);
    }
    parts.into_iter().map(|text| Content::Text { text, has_preview, entities: Vec::new() }).collect()
}

fn cut(text: &str, most_units: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.encode_utf16().count() > most_units {
        let mut units = 0;
        let end = rest.char_indices().find_map(|(at, character)| {
            units += character.len_utf16();
            (units > most_units).then_some(at)
        });
        let end = end.unwrap_or(rest.len());
        let head = &rest[..end];
        // A line that ends early does not keep a word from being left whole.
        let late = |end_of: char| head.rfind(end_of).filter(|at| *at > end / 2);
        let at = late('\n').or_else(|| late(' ')).map_or(end, |at| at + 1);
        parts.push(rest[..at].trim_end().to_owned());
        rest = &rest[at..];
    }
    parts.push(rest.to_owned());
    parts
}

/// Whether two contents can be those of one message, as far as Telegram gives them back.
pub(super) fn is_same(one: &Content, other: &Content) -> bool {
    match (one, other) {
        (Content::Text { text: one, .. }, Content::Text { text: other, .. }) => one.trim() == other.trim(),
        (Content::File { caption: one, .. }, Content::File { caption: other, .. }) => {
            one.trim() == other.trim()
        }
        (Content::Location(one), Content::Location(other)) => {
            (one.latitude - other.latitude).abs() < 1e-4 && (one.longitude - other.longitude).abs() < 1e-4
        }
        (Content::Contact(one), Content::Contact(other)) => digits(&one.phone) == digits(&other.phone),
        (Content::Poll(one), Content::Poll(other)) => one.question.trim() == other.question.trim(),
        _ => false,
    }
}

fn digits(phone: &str) -> String {
    phone.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_where_a_line_ends_and_nothing_of_it_is_lost() {
        let line = "0123456789 абвгд\n";
        let text = line.repeat(600);
        let parts = cut(&text, 4096);
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.encode_utf16().count() <= 4096));
        assert_eq!(parts.join("\n").trim_end(), text.trim_end());
        let whole = "😀".repeat(5000);
        assert_eq!(cut(&whole, 4096).concat(), whole);
        assert!(cut(&whole, 4096).iter().all(|part| part.encode_utf16().count() <= 4096));
        assert_eq!(cut("short", 4096), ["short"]);
        assert_eq!(cut("a\nbbbb cccc dddd", 12), ["a\nbbbb cccc", "dddd"]);
    }
}
