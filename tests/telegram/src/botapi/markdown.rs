//! `parse_mode` Markdown and MarkdownV2 (core.telegram.org/bots/api#markdownv2-style, #markdown-style).

use super::html::{Formatted, kind, units};

/// What MarkdownV2 wants escaped outside of code.
const RESERVED: &[u8] = b"_*[]()~`>#+-=|{}.!";

/// A source that is read from left to right.
struct Reader<'a> {
    source: &'a str,
    at: usize,
    out: Formatted,
}

impl<'a> Reader<'a> {
    fn new(source: &'a str) -> Self {
        Self { source, at: 0, out: Formatted::default() }
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// The byte so far ahead, 0 beyond the end.
    fn byte(&self, ahead: usize) -> u8 {
        self.source.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The next character is text.
    fn take(&mut self) {
        if let Some(letter) = self.rest().chars().next() {
            self.out.text.push(letter);
            self.at += letter.len_utf8();
        }
    }

    /// Where the text that is read so far ends.
    fn offset(&self) -> i32 {
        units(&self.out.text)
    }

    /// Passes over what begins a block of code, and returns its language.
    fn fence(&mut self) -> String {
        self.at += 3;
        let end = self.rest().find(|c: char| c.is_ascii_whitespace() || c == '`');
        let end = end.filter(|end| !self.rest()[*end..].starts_with('`')).unwrap_or(0);
        let language = self.rest()[..end].to_owned();
        self.at += end;
        let line_end = |byte| byte == b'\n' || byte == b'\r';
        if line_end(self.byte(0)) {
            let both = line_end(self.byte(1)) && self.byte(0) != self.byte(1);
            self.at += if both { 2 } else { 1 };
        }
        language
    }

    fn put(&mut self, name: &str, argument: &str, offset: i32) {
        let length = self.offset() - offset;
        if length > 0 {
            let (url, language) = if name == "pre" { ("", argument) } else { (argument, "") };
            self.out.entities.extend(kind(name, url, language, offset, length));
        }
    }

    fn whole(mut self) -> Formatted {
        self.out.entities.sort_by_key(|entity| (entity.offset(), -entity.length()));
        self.out
    }
}

/// Markdown as it was first: nothing lies inside another.
pub(crate) fn legacy(source: &str) -> Result<Formatted, String> {
    let mut reader = Reader::new(source);
    while reader.at < source.len() {
        let begun = reader.at;
        let first = reader.byte(0);
        if first == b'\\' && b"_*`[".contains(&reader.byte(1)) {
            reader.at += 1;
            reader.take();
            continue;
        }
        let (name, end) = match first {
            b'_' => ("italic", "_"),
            b'*' => ("bold", "*"),
            b'[' => ("text_link", "]"),
            b'`' if reader.rest().starts_with("```") => ("pre", "```"),
            b'`' => ("code", "`"),
            _ => {
                reader.take();
                continue;
            }
        };
        let mut argument = String::new();
        if name == "pre" {
            argument = reader.fence();
        } else {
            reader.at += 1;
        }
        let offset = reader.offset();
        let inside = reader.rest().find(end);
        let inside =
            inside.ok_or_else(|| format!("Can't find end of the entity starting at byte offset {begun}"))?;
        reader.out.text.push_str(&reader.rest()[..inside]);
        if name == "text_link" {
            argument = reader.rest()[..inside].to_owned();
        }
        reader.at += inside + end.len();
        if name == "text_link" && reader.byte(0) == b'(' {
            let url = reader.rest()[1..].split(')').next().unwrap_or_default();
            argument = url.to_owned();
            reader.at = source.len().min(reader.at + url.len() + 2);
        }
        reader.put(name, &argument, offset);
    }
    Ok(reader.whole())
}

/// An entity of MarkdownV2 that waits for its end.
struct Open {
    mark: Mark,
    argument: String,
    begun: usize,
    offset: i32,
    text_begin: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Bold,
    Italic,
    Underline,
    Strikethrough,
    Spoiler,
    Code,
    Pre,
    Link,
    Quote,
}

impl Mark {
    /// Its name in the Bot API, that in errors, and what ends it.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Bold => ("bold", "Bold", "*"),
            Self::Italic => ("italic", "Italic", "_"),
            Self::Underline => ("underline", "Underline", "__"),
            Self::Strikethrough => ("strikethrough", "Strikethrough", "~"),
            Self::Spoiler => ("spoiler", "Spoiler", "||"),
            Self::Code => ("code", "Code", "`"),
            Self::Pre => ("pre", "Pre", "```"),
            Self::Link => ("text_link", "TextUrl", "]"),
            Self::Quote => ("blockquote", "BlockQuote", "\n"),
        }
    }

    fn ends(self, rest: &str) -> bool {
        match self {
            Self::Italic => rest.starts_with('_') && !rest.starts_with("__"),
            Self::Quote => rest.starts_with('\n') && !rest.starts_with("\n>"),
            Self::Bold
            | Self::Underline
            | Self::Strikethrough
            | Self::Spoiler
            | Self::Code
            | Self::Pre
            | Self::Link => rest.starts_with(self.words().2),
        }
    }
}

/// MarkdownV2: entities inside entities, and all that could be a mark is one or is escaped.
pub(crate) fn second(source: &str) -> Result<Formatted, String> {
    let mut reader = Reader::new(source);
    let mut open: Vec<Open> = Vec::new();
    while reader.at < source.len() {
        let first = reader.byte(0);
        if first == b'\\' && (1..=126).contains(&reader.byte(1)) {
            reader.at += 1;
            reader.take();
            continue;
        }
        let last = open.last().map(|open| open.mark);
        if last.is_some_and(|mark| mark.ends(reader.rest())) {
            close(&mut reader, &mut open)?;
            continue;
        }
        let in_code = matches!(last, Some(Mark::Code | Mark::Pre));
        let quoted = open.iter().any(|open| open.mark == Mark::Quote);
        if quoted && !in_code && reader.rest().starts_with("\n>") {
            reader.take();
            reader.at += 1;
        } else if if in_code { first == b'`' } else { RESERVED.contains(&first) } {
            begin(&mut reader, &mut open)?;
        } else {
            reader.take();
        }
    }
    if open.last().is_some_and(|open| open.mark == Mark::Quote) {
        close(&mut reader, &mut open)?;
    }
    match open.pop() {
        Some(last) => {
            let (_, word, _) = last.mark.words();
            Err(format!("Can't find end of {word} entity at byte offset {}", last.begun))
        }
        None => Ok(reader.whole()),
    }
}

fn begin(reader: &mut Reader<'_>, open: &mut Vec<Open>) -> Result<(), String> {
    let begun = reader.at;
    let starts_line = reader.out.text.is_empty() || reader.out.text.ends_with('\n');
    let rest = reader.rest();
    let mark = match reader.byte(0) {
        b'_' if rest.starts_with("__") => Mark::Underline,
        b'_' => Mark::Italic,
        b'*' => Mark::Bold,
        b'~' => Mark::Strikethrough,
        b'|' if rest.starts_with("||") => Mark::Spoiler,
        b'[' => Mark::Link,
        b'`' if rest.starts_with("```") => Mark::Pre,
        b'`' => Mark::Code,
        b'>' if starts_line && open.is_empty() => Mark::Quote,
        other => {
            let letter = char::from(other);
            return Err(format!(
                "Character '{letter}' is reserved and must be escaped with the preceding '\\'"
            ));
        }
    };
    let argument = if mark == Mark::Pre {
        reader.fence()
    } else {
        reader.at += mark.words().2.len();
        String::new()
    };
    open.push(Open { mark, argument, begun, offset: reader.offset(), text_begin: reader.out.text.len() });
    Ok(())
}

fn close(reader: &mut Reader<'_>, open: &mut Vec<Open>) -> Result<(), String> {
    let Some(last) = open.pop() else { return Ok(()) };
    let (name, _, end) = last.mark.words();
    let mut argument = last.argument;
    if last.mark != Mark::Quote {
        reader.at += end.len();
    }
    if last.mark == Mark::Link {
        argument = reader.out.text[last.text_begin..].to_owned();
        if reader.byte(0) == b'(' {
            reader.at += 1;
            argument = url(reader)?;
        }
    }
    reader.put(name, &argument, last.offset);
    Ok(())
}

/// The address of a link, up to its `)`.
fn url(reader: &mut Reader<'_>) -> Result<String, String> {
    let begun = reader.at;
    let mut url = String::new();
    while let Some(mut letter) = reader.rest().chars().next() {
        reader.at += letter.len_utf8();
        if letter == ')' {
            return Ok(url);
        }
        if letter == '\\' && (1..=126).contains(&reader.byte(0)) {
            letter = char::from(reader.byte(0));
            reader.at += 1;
        }
        url.push(letter);
    }
    Err(format!("Can't find end of a URL at byte offset {begun}"))
}

#[cfg(test)]
mod tests {
    use grammers_tl_types::enums::MessageEntity;

    use super::*;

    #[test]
    fn old_marks_become_entities() {
        let read =
            legacy("\u{1f600}*Key* _pad_ `1*` [x](https://a.b/?c_d) \\*\\_ ```rust\nlet a;```").unwrap();
        assert_eq!(read.text, "\u{1f600}Key pad 1* x *_ let a;");
        assert_eq!(
            places(&read),
            ["Bold 2 3", "Italic 6 3", "Code 10 2", "TextUrl 13 1 https://a.b/?c_d", "Pre 18 6 rust"]
        );
    }

    #[test]
    fn new_marks_lie_inside_each_other() {
        let read = second("*a _b __c___ ~d~* ||e|| [f\\.](x\\)y) `\\`*` ```\n1.2```\n>q\n>r\n\\>s").unwrap();
        assert_eq!(read.text, "a b c d e f. `* 1.2\nq\nr\n>s");
        let wanted = [
            "Bold 0 7",
            "Italic 2 3",
            "Underline 4 1",
            "Strike 6 1",
            "Spoiler 8 1",
            "TextUrl 10 2 x)y",
            "Code 13 2",
            "Pre 16 3 ",
            "Blockquote 20 3",
        ];
        assert_eq!(places(&read), wanted);
    }

    #[test]
    fn broken_marks_are_refused_in_telegrams_words() {
        let begun = Err("Can't find end of the entity starting at byte offset 3".to_owned());
        for source in ["ab *c", "ab `c", "ab [c", "ab ```c``", "ab _"] {
            assert_eq!(legacy(source), begun, "{source}");
        }
        let told = |source| second(source).unwrap_err();
        assert_eq!(told("a.b"), "Character '.' is reserved and must be escaped with the preceding '\\'");
        assert_eq!(told("a|b"), "Character '|' is reserved and must be escaped with the preceding '\\'");
        assert_eq!(told("я*b"), "Can't find end of Bold entity at byte offset 2");
        assert_eq!(told("*a_b*"), "Can't find end of Bold entity at byte offset 4");
        assert_eq!(told("[a](b"), "Can't find end of a URL at byte offset 4");
        assert_eq!(told("```c"), "Can't find end of Pre entity at byte offset 0");
    }

    #[test]
    fn no_source_is_too_broken_to_be_read() {
        let marks = ["*", "_", "`", "[", "]", "(", ")", "\\", "|", ">", "\n", "я", "```"];
        for a in marks {
            for b in marks {
                for c in marks {
                    let source = format!("{a}{b}{c}");
                    let _either = (legacy(&source), second(&source));
                }
            }
        }
    }

    fn places(read: &Formatted) -> Vec<String> {
        let word = |entity: &MessageEntity| {
            let debug = format!("{entity:?}");
            let name = debug.split('(').next().unwrap_or_default().to_owned();
            let place = format!("{name} {} {}", entity.offset(), entity.length());
            match entity {
                MessageEntity::TextUrl(link) => format!("{place} {}", link.url),
                MessageEntity::Pre(pre) => format!("{place} {}", pre.language),
                _ => place,
            }
        };
        read.entities.iter().map(word).collect()
    }
}
