//! Formatted texts: `parse_mode`, HTML of it here, and lists of entities (core.telegram.org/bots/api#formatting-options).

use grammers_tl_types as tl;
use serde_json::Value;
use tl::enums::MessageEntity;

use super::markdown;
use super::params::Params;
use super::reply::ApiError;

/// A text with its entities, whose offsets and lengths count UTF-16 units.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Formatted {
    pub(crate) text: String,
    pub(crate) entities: Vec<MessageEntity>,
}

/// The text in the field `name`, formatted as `parse_mode` or the list in `entities` says; without spaces at its ends.
pub(crate) fn formatted(params: &Params, name: &str, entities: &str) -> Result<Formatted, ApiError> {
    let text = params.text(name).unwrap_or_default();
    let list = params.json(entities)?;
    read(&text, params.word("parse_mode").as_deref(), list.as_ref())
}

/// The same of parts at hand.
pub(crate) fn read(
    text: &str,
    parse_mode: Option<&str>,
    entities: Option<&Value>,
) -> Result<Formatted, ApiError> {
    let mut formatted = match parse_mode.map(str::to_ascii_lowercase).as_deref() {
        None | Some("none") => Formatted { text: text.to_owned(), entities: listed(entities) },
        Some("html") => html(text).map_err(unparsed)?,
        Some("markdown") => markdown::legacy(text).map_err(unparsed)?,
        Some("markdownv2") => markdown::second(text).map_err(unparsed)?,
        Some(_) => return Err(ApiError::bad("unsupported parse_mode")),
    };
    let lead = formatted.text.len() - formatted.text.trim_start().len();
    let (shift, trimmed) = (units(&formatted.text[..lead]), formatted.text.trim().to_owned());
    let length = units(&trimmed);
    formatted.entities = formatted.entities.into_iter().filter_map(|e| moved(e, shift, length)).collect();
    formatted.text = trimmed;
    Ok(formatted)
}

fn unparsed(error: String) -> ApiError {
    ApiError::bad(format!("can't parse entities: {error}"))
}

pub(crate) fn units(text: &str) -> i32 {
    i32::try_from(text.encode_utf16().count()).unwrap_or(i32::MAX)
}

/// Entities as the Bot API lists them; unknown kinds are passed over.
fn listed(list: Option<&Value>) -> Vec<MessageEntity> {
    let entity = |value: &Value| {
        let number = |name: &str| i32::try_from(value.get(name)?.as_i64()?).ok();
        let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        kind(&text("type"), &text("url"), &text("language"), number("offset")?, number("length")?)
    };
    list.and_then(Value::as_array).into_iter().flatten().filter_map(entity).collect()
}

pub(crate) fn kind(name: &str, url: &str, language: &str, offset: i32, length: i32) -> Option<MessageEntity> {
    use tl::types as t;
    Some(match name {
        "bold" => t::MessageEntityBold { offset, length }.into(),
        "italic" => t::MessageEntityItalic { offset, length }.into(),
        "underline" => t::MessageEntityUnderline { offset, length }.into(),
        "strikethrough" => t::MessageEntityStrike { offset, length }.into(),
        "spoiler" => t::MessageEntitySpoiler { offset, length }.into(),
        "code" => t::MessageEntityCode { offset, length }.into(),
        "pre" => t::MessageEntityPre { offset, length, language: language.to_owned() }.into(),
        "blockquote" => t::MessageEntityBlockquote { collapsed: false, offset, length }.into(),
        "text_link" => t::MessageEntityTextUrl { offset, length, url: url.to_owned() }.into(),
        "url" => t::MessageEntityUrl { offset, length }.into(),
        "mention" => t::MessageEntityMention { offset, length }.into(),
        "hashtag" => t::MessageEntityHashtag { offset, length }.into(),
        "bot_command" => t::MessageEntityBotCommand { offset, length }.into(),
        "phone_number" => t::MessageEntityPhone { offset, length }.into(),
        _ => return None,
    })
}

/// What of an entity lies in a text that lost `shift` units before it and is `length` long.
fn moved(entity: MessageEntity, shift: i32, length: i32) -> Option<MessageEntity> {
    let begin = entity.offset().saturating_sub(shift).max(0);
    let end = entity.offset().saturating_add(entity.length()).saturating_sub(shift).min(length);
    if begin >= end {
        return None;
    }
    let (url, language) = match &entity {
        MessageEntity::TextUrl(link) => (link.url.clone(), String::new()),
        MessageEntity::Pre(pre) => (String::new(), pre.language.clone()),
        _ => (String::new(), String::new()),
    };
    kind(name_of(&entity)?, &url, &language, begin, end - begin)
}

fn name_of(entity: &MessageEntity) -> Option<&'static str> {
    Some(match entity {
        MessageEntity::Bold(_) => "bold",
        MessageEntity::Italic(_) => "italic",
        MessageEntity::Underline(_) => "underline",
        MessageEntity::Strike(_) => "strikethrough",
        MessageEntity::Spoiler(_) => "spoiler",
        MessageEntity::Code(_) => "code",
        MessageEntity::Pre(_) => "pre",
        MessageEntity::Blockquote(_) => "blockquote",
        MessageEntity::TextUrl(_) => "text_link",
        MessageEntity::Url(_) => "url",
        MessageEntity::Mention(_) => "mention",
        MessageEntity::Hashtag(_) => "hashtag",
        MessageEntity::BotCommand(_) => "bot_command",
        MessageEntity::Phone(_) => "phone_number",
        _ => return None,
    })
}

/// A tag that waits for its end.
struct Open {
    tag: String,
    kind: &'static str,
    url: String,
    offset: i32,
}

fn html(source: &str) -> Result<Formatted, String> {
    let mut out = Formatted::default();
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while let Some(letter) = source[at..].chars().next() {
        let rest = &source[at..];
        if letter == '&' {
            let (replaced, length) = character(rest);
            out.text.push(replaced);
            at += length;
        } else if letter == '<' {
            let end = rest.find('>').ok_or_else(|| format!("Unclosed start tag at byte offset {at}"))?;
            let tag = &rest[1..end];
            if let Some(name) = tag.strip_prefix('/') {
                let name = name.trim().to_ascii_lowercase();
                let begun = open.pop().ok_or_else(|| format!("Unexpected end tag at byte offset {at}"))?;
                if !name.is_empty() && name != begun.tag {
                    return Err(format!(
                        "Unmatched end tag at byte offset {at}, expected \"</{}>\", found \"</{name}>\"",
                        begun.tag
                    ));
                }
                let length = units(&out.text) - begun.offset;
                if length > 0 {
                    out.entities.extend(kind(begun.kind, &begun.url, "", begun.offset, length));
                }
            } else {
                open.push(begin(tag, units(&out.text), at)?);
            }
            at += end + 1;
        } else {
            out.text.push(letter);
            at += letter.len_utf8();
        }
    }
    if let Some(last) = open.pop() {
        return Err(format!("Can't find end tag corresponding to start tag \"{}\"", last.tag));
    }
    out.entities.sort_by_key(|entity| (entity.offset(), -entity.length()));
    Ok(out)
}

fn begin(tag: &str, offset: i32, at: usize) -> Result<Open, String> {
    let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
    let name = name.to_ascii_lowercase();
    let kind = match name.as_str() {
        "b" | "strong" => "bold",
        "i" | "em" => "italic",
        "u" | "ins" => "underline",
        "s" | "strike" | "del" => "strikethrough",
        "tg-spoiler" => "spoiler",
        "code" => "code",
        "pre" => "pre",
        "blockquote" => "blockquote",
        "a" => "text_link",
        _ => return Err(format!("Unsupported start tag \"{name}\" at byte offset {at}")),
    };
    let link = attributes.trim().strip_prefix("href=").unwrap_or_default();
    let url = link.trim_matches(|quote| quote == '"' || quote == '\'').replace("&amp;", "&");
    Ok(Open { tag: name, kind, url, offset })
}

/// The character that `&...;` at the beginning stands for, and the bytes that it takes.
fn character(rest: &str) -> (char, usize) {
    let Some((name, _)) = rest[1..].split_once(';') else { return ('&', 1) };
    let number = name.strip_prefix('#').and_then(|digits| match digits.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => digits.parse().ok(),
    });
    let found = match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        _ => number.and_then(char::from_u32),
    };
    found.map_or(('&', 1), |found| (found, name.len() + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_become_entities_that_count_utf16_units() {
        let read =
            html("\u{1f600}<b>Key <i>pad</i></b> &lt;1&gt; <a href=\"https://a.b/?c&amp;d\">x</a>").unwrap();
        assert_eq!(read.text, "\u{1f600}Key pad <1> x");
        let places: Vec<_> =
            read.entities.iter().map(|e| (name_of(e).unwrap(), e.offset(), e.length())).collect();
        assert_eq!(places, [("bold", 2, 7), ("italic", 6, 3), ("text_link", 14, 1)]);
        let MessageEntity::TextUrl(link) = &read.entities[2] else { panic!("no link") };
        assert_eq!(link.url, "https://a.b/?c&d");
    }

    #[test]
    fn bad_tags_are_refused_in_telegrams_words() {
        assert_eq!(html("a<x>b"), Err("Unsupported start tag \"x\" at byte offset 1".to_owned()));
        assert_eq!(html("<b>a"), Err("Can't find end tag corresponding to start tag \"b\"".to_owned()));
        assert!(html("<b>a</i>").unwrap_err().starts_with("Unmatched end tag at byte offset 4"));
        assert!(html("1 < 2").is_err());
    }

    #[test]
    fn spaces_at_the_ends_go_and_entities_move() {
        let list = serde_json::json!([{ "type": "bold", "offset": 2, "length": 9 }]);
        let read = read("  hello  ", None, Some(&list)).unwrap();
        assert_eq!(read.text, "hello");
        assert_eq!((read.entities[0].offset(), read.entities[0].length()), (0, 5));
        assert!(super::read("x", Some("Markdown3"), None).is_err());
        let broken = super::read("a_b", Some("Markdown"), None).unwrap_err();
        let told =
            "Bad Request: can't parse entities: Can't find end of the entity starting at byte offset 1";
        assert_eq!(broken.description, told);
    }
}
