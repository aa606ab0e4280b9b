//! A message of the queue beside those that Telegram has: the several that a long text becomes, and whether one is it.

use std::ops::Range;
use std::path::PathBuf;

use crate::chat::ChatId;
use crate::content::{Attachment, Content, FileKind};
use crate::entity::Entity;
use crate::markup::piece;

/// What one message of Telegram holds, in UTF-16 code units (core.telegram.org/api/config, `message_length_max`).
pub(crate) const TEXT_UNITS: usize = 4096;

/// What a word to a file holds (`caption_length_max`).
const CAPTION_UNITS: usize = 1024;
/// Files of one album (core.telegram.org/method/messages.sendMultiMedia).
const ALBUM: usize = 10;

/// A message of Telegram's, or an album of several.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// What is in it.
    pub(super) content: Content,
    /// Where its files are; two and more are an album.
    pub(super) paths: Vec<PathBuf>,
    /// A message to be forwarded instead.
    pub(super) forward: Option<(ChatId, i32)>,
}

/// What a message of the queue is sent as: a text that is too long for one message as several, cut where a line or a word
/// ends, and files as albums of those that go together, the word to them at the first, or before it if it is too long.
pub(super) fn of(content: Content, paths: Vec<PathBuf>) -> Vec<Step> {
    let lone = |content| Step { content, paths: Vec::new(), forward: None };
    match content {
        Content::Text { text, has_preview, entities } => {
            texts(text, has_preview, entities).into_iter().map(lone).collect()
        }
        Content::File { file, more, left_out, caption, entities } => {
            let (mut steps, mut word, mut left_out) = (Vec::new(), (caption, entities), left_out);
            if word.0.encode_utf16().count() > CAPTION_UNITS {
                let (text, entities) = std::mem::take(&mut word);
                steps.extend(texts(text, false, entities).into_iter().map(lone));
            }
            let files: Vec<_> = std::iter::once(file).chain(more).zip(paths).collect();
            for album in albums(files) {
                let (mut files, paths): (Vec<_>, Vec<_>) = album.into_iter().unzip();
                let (caption, entities) = std::mem::take(&mut word);
                let file = files.remove(0);
                let left_out = std::mem::take(&mut left_out);
                let content = Content::File { file, more: files, left_out, caption, entities };
                steps.push(Step { content, paths, forward: None });
            }
            steps
        }
        content => vec![lone(content)],
    }
}

/// Whether the word to a file is sent as messages of its own.
pub(crate) fn is_text_apart(content: &Content) -> bool {
    matches!(content, Content::File { caption, .. } if caption.encode_utf16().count() > CAPTION_UNITS)
}

/// The contents of the messages that it becomes at Telegram, one after the other.
pub(crate) fn messages(content: &Content) -> Vec<Content> {
    let paths = content.files().map(|_| PathBuf::new()).collect();
    let mut all = Vec::new();
    for step in of(content.clone(), paths) {
        match step.content {
            Content::File { file, more, left_out, caption, entities } => {
                all.push(Content::File { file, more: Vec::new(), left_out, caption, entities });
                all.extend(more.into_iter().map(|file| Content::file(file, "")));
            }
            content => all.push(content),
        }
    }
    all
}

/// Files that go together beside each other: pictures and films, sounds, other files.
fn albums(files: Vec<(Attachment, PathBuf)>) -> Vec<Vec<(Attachment, PathBuf)>> {
    let mut albums: Vec<Vec<(Attachment, PathBuf)>> = Vec::new();
    for file in files {
        match albums.last_mut() {
            Some(album) if album.len() < ALBUM && goes_with(&album[0].0, &file.0) => album.push(file),
            _ => albums.push(vec![file]),
        }
    }
    albums
}

fn goes_with(one: &Attachment, other: &Attachment) -> bool {
    let sort = |file: &Attachment| match file.kind {
        _ if file.is_plain => Some(FileKind::Document),
        FileKind::Image | FileKind::Video => Some(FileKind::Image),
        kind @ (FileKind::Audio | FileKind::Document) => Some(kind),
        FileKind::Sticker => None,
    };
    sort(one).is_some() && sort(one) == sort(other)
}

fn texts(text: String, has_preview: bool, entities: Vec<Entity>) -> Vec<Content> {
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
        (
            Content::File { file: this, caption: one, .. },
            Content::File { file: that, caption: other, .. },
        ) => {
            let are_documents = this.kind == FileKind::Document && that.kind == FileKind::Document;
            one.trim() == other.trim() && (!are_documents || this.name == that.name)
        }
        (Content::Location(one), Content::Location(other)) => {
            (one.latitude - other.latitude).abs() < 1e-4 && (one.longitude - other.longitude).abs() < 1e-4
        }
        (Content::Contact(one), Content::Contact(other)) => digits(&one.phone) == digits(&other.phone),
        (Content::Poll(one), Content::Poll(other)) => one.question.trim() == other.question.trim(),
        (Content::Other { what: one }, Content::Other { what: other }) => one == other,
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
