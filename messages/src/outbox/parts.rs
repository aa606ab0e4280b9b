//! A message of the queue beside those that Telegram has: the several that a long text becomes, and whether one is it.

use std::ops::Range;

use crate::content::Content;
use crate::entity::Entity;
use crate::markup::piece;

/// What one message of Telegram holds, in UTF-16 code units (core.telegram.org/api/config, `message_length_max`).
const TEXT_UNITS: usize = 4096;

/// A text that is too long for one message, as several; cut where a line or a word ends.
pub(super) fn of(content: Content) -> Vec<Content> {
    let Content::Text { text, has_preview, entities } = content else { return vec![content] };
    let mut parts = cut(&text, &entities, TEXT_UNITS);
    // Telegram takes no text of blanks alone.
    if parts.len() > 1 {
        parts.retain(|(part, _)| !part.trim().is_empty());
    }
    if parts.is_empty() {
        parts.push((text, entities));
    }
    parts.into_iter().map(|(text, entities)| Content::Text { text, has_preview, entities }).collect()
}

/// A text in parts of at most so many UTF-16 code units, each with what is said of it.
pub(crate) fn cut(text: &str, entities: &[Entity], most_units: usize) -> Vec<(String, Vec<Entity>)> {
    let ranges = ranges(text, most_units);
    let last = ranges.len() - 1;
    let part = |(number, range): (usize, Range<usize>)| match number {
        _ if last == 0 => (text.to_owned(), entities.to_vec()),
        // Telegram takes blanks away before it counts.
        _ if !entities.is_empty() => piece(text, entities, range),
        _ if number == last => (text[range].to_owned(), Vec::new()),
        _ => (text[range].trim_end().to_owned(), Vec::new()),
    };
    ranges.into_iter().enumerate().map(part).collect()
}

/// Where the parts are: bytes.
fn ranges(text: &str, most_units: usize) -> Vec<Range<usize>> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    loop {
        let rest = &text[begin..];
        let mut units = 0;
        let end = rest.char_indices().find_map(|(at, character)| {
            units += character.len_utf16();
            (units > most_units).then_some(at)
        });
        let Some(end) = end else { break };
        let head = &rest[..end];
        // A line that ends early does not keep a word from being left whole.
        let late = |end_of: char| head.rfind(end_of).filter(|at| *at > end / 2);
        let at = late('\n').or_else(|| late(' ')).map_or(end, |at| at + 1);
        parts.push(begin..begin + at);
        begin += at;
    }
    parts.push(begin..text.len());
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
    use crate::entity::EntityKind;

    #[test]
    fn a_long_text_is_cut_where_a_line_ends_and_nothing_of_it_is_lost() {
        let line = "0123456789 абвгд\n";
        let text = line.repeat(600);
        let texts = |text: &str, most| -> Vec<String> {
            cut(text, &[], most).into_iter().map(|(part, _)| part).collect()
        };
        let parts = texts(&text, 4096);
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.encode_utf16().count() <= 4096));
        assert_eq!(parts.join("\n").trim_end(), text.trim_end());
        let whole = "😀".repeat(5000);
        assert_eq!(texts(&whole, 4096).concat(), whole);
        assert!(texts(&whole, 4096).iter().all(|part| part.encode_utf16().count() <= 4096));
        assert_eq!(texts("short", 4096), ["short"]);
        assert_eq!(texts("a\nbbbb cccc dddd", 12), ["a\nbbbb cccc", "dddd"]);
    }
    #[test]
    fn what_is_said_of_a_long_text_is_cut_with_it() {
        let bold = |offset, length| Entity { offset, length, kind: EntityKind::Bold };
        let text = "😀 bbbb cccc dddd";
        assert_eq!(cut(text, &[bold(3, 9)], 40), [(text.to_owned(), vec![bold(3, 9)])]);
        assert_eq!(
            cut(text, &[bold(0, 7), bold(3, 9)], 10),
            [
                ("😀 bbbb".to_owned(), vec![bold(0, 7), bold(3, 4)]),
                ("cccc dddd".to_owned(), vec![bold(0, 4)]),
            ]
        );
    }
}
