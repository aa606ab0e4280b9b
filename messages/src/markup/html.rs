//! HTML, as the module above says.

use super::{Begun, DEEPEST, Fault, Sheet, link};
use crate::entity::EntityKind;

const TAGS: &str = "want one of b, strong, i, em, u, ins, s, strike, del, span class=\"tg-spoiler\", tg-spoiler, a, \
    tg-emoji, code, pre, blockquote; write &lt; for the character <";
const NAMES: &str = "want &lt;, &gt;, &amp;, &quot; or the number of a character, as &#8381;; write &amp; for the character &";
const ENDS: &str = "tags end in the reverse order of their beginnings";

/// Longest name of a character.
const NAME: usize = 12;

/// A tag that has no end yet.
struct Open {
    name: String,
    at: usize,
    begun: Begun,
    kind: EntityKind,
}

/// What stands between `<` and `>`.
struct Tag {
    name: String,
    is_end: bool,
    attributes: Vec<(String, String)>,
    /// Characters, with `<` and `>`.
    length: usize,
}

impl Tag {
    fn value(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(named, _)| named == name).map(|(_, value)| value.as_str())
    }
}

pub(super) fn read(source: &[char]) -> Result<Sheet, Fault> {
    let mut sheet = Sheet::default();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(letter) = source.get(at) {
        match letter {
            '&' => {
                let (letter, length) = character(source, at)?;
                sheet.push(letter);
                at += length;
            }
            '<' => {
                let tag = tag(source, at)?;
                let length = tag.length;
                if tag.is_end {
                    end(&mut sheet, &mut open, &tag, at)?;
                } else if open.len() == DEEPEST {
                    return Err(Fault::too_deep(at));
                } else {
                    let kind = kind(&tag, open.last(), at)?;
                    open.push(Open { name: tag.name, at, begun: sheet.begin(), kind });
                }
                at += length;
            }
            letter => {
                sheet.push(*letter);
                at += 1;
            }
        }
    }
    match open.last() {
        Some(open) => Err(unended(open)),
        None => Ok(sheet),
    }
}

fn unended(open: &Open) -> Fault {
    Fault::new(open.at, format!("unclosed <{}>", open.name), "every tag needs its end, as </b>")
}

fn end(sheet: &mut Sheet, open: &mut Vec<Open>, tag: &Tag, at: usize) -> Result<(), Fault> {
    let Some(last) = open.last() else {
        return Err(Fault::new(at, format!("</{}> ends nothing", tag.name), ENDS));
    };
    if last.name != tag.name {
        let is_open = open.iter().any(|open| open.name == tag.name);
        return Err(if is_open {
            unended(last)
        } else {
            Fault::new(at, format!("</{}> where </{}> is wanted", tag.name, last.name), ENDS)
        });
    }
    let Some(mut last) = open.pop() else { return Ok(()) };
    match &mut last.kind {
        EntityKind::TextLink { url } if url.is_empty() => sheet.since(last.begun).trim().clone_into(url),
        EntityKind::Pre { language } if tag.name == "pre" => {
            if let Some(told) = code_of_block(sheet, last.begun) {
                *language = told;
            }
        }
        _ => {}
    }
    sheet.end(last.begun, last.kind);
    Ok(())
}

/// The language of `<pre><code class="language-...">`, where the code is the whole block; code in a part of it is no block.
fn code_of_block(sheet: &mut Sheet, block: Begun) -> Option<String> {
    let length = sheet.units - block.offset;
    let mut told = None;
    for (order, mut entity) in sheet.entities.split_off(block.ended) {
        match &mut entity.kind {
            EntityKind::Pre { language } if (entity.offset, entity.length) == (block.offset, length) => {
                told = Some(std::mem::take(language));
                continue;
            }
            kind @ EntityKind::Pre { .. } => *kind = EntityKind::Code,
            _ => {}
        }
        sheet.entities.push((order, entity));
    }
    told
}

/// What a tag says of what is in it.
fn kind(tag: &Tag, outer: Option<&Open>, at: usize) -> Result<EntityKind, Fault> {
    Ok(match tag.name.as_str() {
        "b" | "strong" => EntityKind::Bold,
        "i" | "em" => EntityKind::Italic,
        "u" | "ins" => EntityKind::Underline,
        "s" | "strike" | "del" => EntityKind::Strikethrough,
        "tg-spoiler" => EntityKind::Spoiler,
        "span" if tag.value("class") == Some("tg-spoiler") => EntityKind::Spoiler,
        "span" => {
            let what = format!("<span> with class {:?}", tag.value("class").unwrap_or_default());
            return Err(Fault::new(at, what, "want <span class=\"tg-spoiler\">"));
        }
        "a" => link(tag.value("href").unwrap_or_default().trim().to_owned()),
        "tg-emoji" => {
            let id = tag.value("emoji-id").unwrap_or_default();
            if id.parse::<u64>().is_err() {
                let what = format!("<tg-emoji> with emoji-id {id:?}");
                return Err(Fault::new(at, what, "want the number of an emoji"));
            }
            EntityKind::CustomEmoji { custom_emoji_id: id.to_owned() }
        }
        // Whether it is the whole block is seen at the block's end.
        "code" if outer.is_some_and(|outer| outer.name == "pre") => {
            let language = tag.value("class").and_then(|class| class.strip_prefix("language-"));
            EntityKind::Pre { language: language.unwrap_or_default().to_owned() }
        }
        "code" => EntityKind::Code,
        "pre" => EntityKind::Pre { language: String::new() },
        "blockquote" if tag.value("expandable").is_some() => EntityKind::ExpandableBlockquote,
        "blockquote" => EntityKind::Blockquote,
        name => return Err(Fault::new(at, format!("unknown tag <{name}>"), TAGS)),
    })
}

/// The tag at `at`, where `<` is.
fn tag(source: &[char], at: usize) -> Result<Tag, Fault> {
    let unended = || Fault::new(at, "unclosed <", "a tag ends with >; write &lt; for the character <");
    let mut here = at + 1;
    let is_end = source.get(here) == Some(&'/');
    here += usize::from(is_end);
    let word = |from: usize| -> String {
        let letters = source[from..].iter().copied();
        letters.take_while(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_')).collect()
    };
    let name = word(here);
    if !name.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
        return Err(Fault::new(at, "a < that begins no tag", "write &lt; for the character <"));
    }
    here += name.len();
    let mut attributes = Vec::new();
    loop {
        here += source[here..].iter().take_while(|letter| letter.is_whitespace()).count();
        match source.get(here) {
            None => return Err(unended()),
            Some('>') => break,
            Some('<') => return Err(unended()),
            Some('/') if source.get(here + 1) == Some(&'>') => {
                here += 1;
                break;
            }
            _ => {}
        }
        let attribute = word(here);
        if attribute.is_empty() {
            let what = format!("the tag <{name}> goes on with {:?}", source[here]);
            return Err(Fault::new(at, what, "want name=\"value\" and >"));
        }
        here += attribute.len();
        let mut value = String::new();
        if source.get(here) == Some(&'=') {
            here += 1;
            let quote = source.get(here).copied().filter(|letter| matches!(letter, '"' | '\''));
            here += usize::from(quote.is_some());
            loop {
                let letter = *source.get(here).ok_or_else(unended)?;
                match quote {
                    Some(quote) if letter == quote => {
                        here += 1;
                        break;
                    }
                    None if letter == '>' || letter.is_whitespace() => break,
                    // Addresses are full of & that begin no name.
                    _ => {
                        let named = if letter == '&' { character(source, here).ok() } else { None };
                        let (letter, length) = named.unwrap_or((letter, 1));
                        value.push(letter);
                        here += length;
                    }
                }
            }
        }
        attributes.push((attribute.to_ascii_lowercase(), value));
    }
    Ok(Tag { name: name.to_ascii_lowercase(), is_end, attributes, length: here + 1 - at })
}

/// The character that `&...;` at `at` stands for, and how many it takes; `&` itself where no name follows.
fn character(source: &[char], at: usize) -> Result<(char, usize), Fault> {
    let name: String = source[(at + 1).min(source.len())..]
        .iter()
        .copied()
        .take(NAME)
        .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '#')
        .collect();
    if name.is_empty() || source.get(at + 1 + name.len()) != Some(&';') {
        return Ok(('&', 1));
    }
    let number = name.strip_prefix('#').and_then(|digits| match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    });
    let found = match name.as_str() {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        "laquo" => Some('«'),
        "raquo" => Some('»'),
        "ndash" => Some('–'),
        "mdash" => Some('—'),
        "hellip" => Some('…'),
        _ => number.filter(|number| *number > 0).and_then(char::from_u32),
    };
    match found {
        Some(letter) => Ok((letter, name.len() + 2)),
        None => Err(Fault::new(at, format!("unknown &{name};"), NAMES)),
    }
}
