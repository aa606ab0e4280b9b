//! Texts with marks that say how parts of them look, read into the text itself and its entities.
//!
//! HTML is that of the Bot API (core.telegram.org/bots/api#html-style): `b strong`, `i em`, `u ins`, `s strike del`,
//! `tg-spoiler` and `span class="tg-spoiler"`, `a href`, `tg-emoji emoji-id`, `code`, `pre` (with `code
//! class="language-..."` inside), `blockquote` and `blockquote expandable`, one inside another; `&lt;` `&gt;` `&amp;`
//! `&quot;`, numbers of characters, and a few names that offices write, as `&nbsp;` and `&laquo;`. Other tags and names are
//! errors.
//!
//! Markdown has no standard of its own at Telegram's libraries; what two of them read differently is read as the Bot API's
//! MarkdownV2 (core.telegram.org/bots/api#markdownv2-style) reads it:
//!
//! | written | read as |
//! |---|---|
//! | `*bold*`, `**bold**` | bold: never italic, as CommonMark would have it |
//! | `_italic_` | italic |
//! | `__underline__` | underlined: never bold or italic |
//! | `~strike~`, `~~strike~~` | struck through |
//! | `\|\|spoiler\|\|` | hidden |
//! | `` `code` ``, ```` ```language ```` and lines up to ```` ``` ```` | code, and a block of it |
//! | `[words](https://…)` | a link; `tg://user?id=…` is a mention of that person |
//! | `![👍](tg://emoji?id=…)` | an emoji of somebody's own |
//! | `> words` at the beginning of lines | a quotation; one that ends with `\|\|` is folded |
//! | `\` before an ASCII punctuation character | that character; in code only before `` ` `` and `\` |
//!
//! It is kinder than MarkdownV2 to texts that were put together out of data: what can be no mark is text and needs no `\`
//! before it. That is every other punctuation character, a mark before a blank that ends nothing (`2 * 3`), `_` inside a word
//! (`order_12_a`), four and more marks in a row (`**** 1234`), and brackets without an address behind them.
//! A mark that is begun and not ended is an error.

mod html;
mod markdown;

use std::cmp::Reverse;

use crate::entity::{Entity, EntityKind};

/// How a text is marked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Not at all.
    #[default]
    None,
    /// With Markdown.
    Markdown,
    /// With HTML.
    Html,
}

impl Format {
    /// What programs may write.
    pub(crate) const WORDS: &str = "\"none\", \"markdown\" or \"html\"";

    /// Reads what programs write, in whatever case.
    pub(crate) fn read(word: &str) -> Option<Self> {
        Some(match word.trim().to_ascii_lowercase().as_str() {
            "" | "none" | "plain" | "text" => Self::None,
            "markdown" | "markdownv2" | "md" => Self::Markdown,
            "html" => Self::Html,
            _ => return None,
        })
    }
}

/// What is wrong with the marks of a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub(crate) struct MarkupError {
    /// Where: so many characters (Unicode scalar values) of the text that was given stand before it.
    pub(crate) at: usize,
    /// For people; it says where.
    pub(crate) sentence: String,
}

/// A text without its marks, and what they said: in order, outer ones before inner ones. Blanks at both ends go, unless it
/// has no marks.
///
/// # Errors
/// When a mark has no end, or is none that Telegram knows.
pub(crate) fn parse(text: &str, format: Format) -> Result<(String, Vec<Entity>), MarkupError> {
    // Telegram's lines end without it.
    let source: Vec<char> = text.chars().filter(|letter| *letter != '\r').collect();
    let read = match format {
        Format::None => return Ok((text.to_owned(), Vec::new())),
        Format::Markdown => markdown::read(&source),
        Format::Html => html::read(&source),
    };
    match read {
        Ok(sheet) => Ok(sheet.finished()),
        Err(fault) => Err(fault.told(text, &source)),
    }
}

/// What is wrong, where.
#[derive(Debug)]
struct Fault {
    /// Characters before it.
    at: usize,
    what: String,
    advice: &'static str,
}

/// Most marks that are open at once: Telegram's own texts have a few.
const DEEPEST: usize = 64;

/// Characters of the text that an error shows.
const SHOWN: usize = 24;

impl Fault {
    fn new(at: usize, what: impl Into<String>, advice: &'static str) -> Self {
        Self { at, what: what.into(), advice }
    }

    fn too_deep(at: usize) -> Self {
        Self::new(at, "one mark too many inside others", "want at most 64 inside each other")
    }

    fn told(self, text: &str, source: &[char]) -> MarkupError {
        let Self { at, what, advice } = self;
        let shown: String = source[at.min(source.len())..].iter().take(SHOWN).collect();
        // In the text as it was given.
        let lettered = text.chars().enumerate().filter(|(_, letter)| *letter != '\r');
        let at = lettered.map(|(place, _)| place).nth(at).unwrap_or_else(|| text.chars().count());
        MarkupError { at, sentence: format!("{what} at character {at} ({shown:?}): {advice}") }
    }
}

/// A text that is being put together, with what is said of its parts.
#[derive(Debug, Default)]
struct Sheet {
    text: String,
    /// UTF-16 code units of the text.
    units: u32,
    opened: usize,
    entities: Vec<(usize, Entity)>,
}

/// Where a part begins.
#[derive(Clone, Copy, Debug)]
struct Begun {
    order: usize,
    offset: u32,
    byte: usize,
    /// Entities that ended before it.
    ended: usize,
}

impl Sheet {
    fn push(&mut self, letter: char) {
        self.text.push(letter);
        self.units += if letter.len_utf16() == 1 { 1 } else { 2 };
    }

    fn begin(&mut self) -> Begun {
        self.opened += 1;
        Begun { order: self.opened, offset: self.units, byte: self.text.len(), ended: self.entities.len() }
    }

    fn end(&mut self, begun: Begun, kind: EntityKind) {
        let length = self.units - begun.offset;
        self.entities.push((begun.order, Entity { offset: begun.offset, length, kind }));
    }

    fn since(&self, begun: Begun) -> &str {
        &self.text[begun.byte..]
    }

    fn finished(self) -> (String, Vec<Entity>) {
        let mut entities = self.entities;
        entities.sort_by_key(|(order, entity)| (entity.offset, Reverse(entity.length), *order));
        let entities: Vec<Entity> = entities.into_iter().map(|(_, entity)| entity).collect();
        piece(&self.text, &entities, 0..self.text.len())
    }
}

/// A piece of a text, by its bytes, without the blanks at its ends, and what is said of it. Entities keep their order, and
/// lose blanks at their ends.
pub(crate) fn piece(text: &str, entities: &[Entity], bytes: std::ops::Range<usize>) -> (String, Vec<Entity>) {
    let whole = &text[bytes.clone()];
    let lead = whole.len() - whole.trim_start().len();
    let kept = whole.trim();
    if entities.is_empty() {
        return (kept.to_owned(), Vec::new());
    }
    let units: Vec<u16> = kept.encode_utf16().collect();
    let begin = text[..bytes.start + lead].encode_utf16().count();
    let is_blank = |at: usize| char::from_u32(units[at].into()).is_some_and(char::is_whitespace);
    let inside = |entity: &Entity| {
        let place =
            |at: u64| usize::try_from(at).unwrap_or(usize::MAX).saturating_sub(begin).min(units.len());
        let offset = u64::from(entity.offset);
        let (mut from, mut to) = (place(offset), place(offset + u64::from(entity.length)));
        if !matches!(entity.kind, EntityKind::Code | EntityKind::Pre { .. }) {
            while from < to && is_blank(from) {
                from += 1;
            }
            while from < to && is_blank(to - 1) {
                to -= 1;
            }
        }
        let (offset, length) = (u32::try_from(from).ok()?, u32::try_from(to - from).ok()?);
        (length > 0).then(|| Entity { offset, length, kind: entity.kind.clone() })
    };
    let mut kept_entities: Vec<Entity> = entities.iter().filter_map(inside).collect();
    kept_entities.sort_by_key(|entity| (entity.offset, Reverse(entity.length)));
    kept_entities.dedup();
    (kept.to_owned(), kept_entities)
}

/// What a link is: one to a person is a mention of them.
fn link(url: String) -> EntityKind {
    match url.strip_prefix("tg://user?id=").and_then(|id| id.parse().ok()) {
        Some(user) => EntityKind::TextMention { user },
        None => EntityKind::TextLink { url },
    }
}

#[cfg(test)]
mod tests;
