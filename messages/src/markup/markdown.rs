//! Markdown, as the module above says.

use std::collections::HashMap;

use super::{Begun, DEEPEST, Fault, Sheet, link};
use crate::entity::EntityKind;

/// Most marks in a row that are marks.
const LONGEST: usize = 3;

/// What begins a part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// `*`, `_` or `~`, once or twice.
    Sign(char, usize),
    Spoiler,
    /// Ends at the `]` at this place.
    Link {
        end: usize,
        is_emoji: bool,
    },
    Quote {
        is_folded: bool,
    },
}

impl Mark {
    fn written(self) -> String {
        match self {
            Self::Sign(sign, count) => String::from(sign).repeat(count),
            Self::Spoiler => "||".to_owned(),
            Self::Link { .. } => "[".to_owned(),
            Self::Quote { .. } => ">".to_owned(),
        }
    }
}

/// A part of the text that has no end yet.
struct Open {
    mark: Mark,
    at: usize,
    begun: Begun,
}

struct Reader<'a> {
    source: &'a [char],
    at: usize,
    sheet: Sheet,
    open: Vec<Open>,
    /// Which `[` end where, of those before an address.
    links: HashMap<usize, usize>,
}

pub(super) fn read(source: &[char]) -> Result<Sheet, Fault> {
    let mut reader =
        Reader { source, at: 0, sheet: Sheet::default(), open: Vec::new(), links: links(source) };
    while let Some(letter) = reader.ahead(0) {
        if let Some(open) = reader.open.get(DEEPEST) {
            return Err(Fault::too_deep(open.at));
        }
        if reader.at == 0 || reader.source[reader.at - 1] == '\n' {
            let before = reader.at;
            reader.line()?;
            if reader.at != before {
                continue;
            }
        }
        match letter {
            '\\' if reader.ahead(1).is_some_and(is_punctuation) => {
                reader.at += 1;
                reader.take(1);
            }
            '`' => reader.code()?,
            '*' | '_' | '~' => reader.signs(letter)?,
            '|' => reader.bars()?,
            '[' | '!' => reader.bracket(letter)?,
            ']' => reader.end_of_link()?,
            _ => reader.take(1),
        }
    }
    if let [Open { mark: Mark::Quote { .. }, .. }] = reader.open[..] {
        reader.close();
    }
    match reader.open.last() {
        Some(open) => Err(unended(open)),
        None => Ok(reader.sheet),
    }
}

/// Every `[` whose `]` stands before `(`.
fn links(source: &[char]) -> HashMap<usize, usize> {
    let (mut open, mut found) = (Vec::new(), HashMap::new());
    let mut at = 0;
    while let Some(letter) = source.get(at) {
        match letter {
            '\\' if source.get(at + 1).copied().is_some_and(is_punctuation) => at += 1,
            '[' => open.push(at),
            ']' => {
                if let Some(begin) = open.pop()
                    && source.get(at + 1) == Some(&'(')
                {
                    found.insert(begin, at);
                }
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn is_punctuation(letter: char) -> bool {
    letter.is_ascii_punctuation()
}

fn unended(open: &Open) -> Fault {
    Fault::new(
        open.at,
        format!("unclosed {}", open.mark.written()),
        "close it, or put a \\ before the character if it is no mark",
    )
}

impl Reader<'_> {
    fn ahead(&self, count: usize) -> Option<char> {
        self.source.get(self.at + count).copied()
    }

    /// The next characters are text.
    fn take(&mut self, count: usize) {
        for letter in self.source.iter().skip(self.at).take(count) {
            self.sheet.push(*letter);
        }
        self.at += count;
    }

    fn innermost(&self) -> Option<Mark> {
        self.open.last().map(|open| open.mark)
    }

    fn open(&mut self, mark: Mark, length: usize) {
        let begun = self.sheet.begin();
        self.open.push(Open { mark, at: self.at, begun });
        self.at += length;
    }

    /// The innermost part ends here.
    fn close(&mut self) {
        let Some(Open { mark, begun, .. }) = self.open.pop() else { return };
        let kind = match mark {
            Mark::Sign('*', _) => EntityKind::Bold,
            Mark::Sign('_', 1) => EntityKind::Italic,
            Mark::Sign('_', _) => EntityKind::Underline,
            Mark::Sign(..) => EntityKind::Strikethrough,
            Mark::Spoiler => EntityKind::Spoiler,
            Mark::Quote { is_folded: false } => EntityKind::Blockquote,
            Mark::Quote { is_folded: true } => EntityKind::ExpandableBlockquote,
            // Its end says where it leads.
            Mark::Link { .. } => return,
        };
        self.sheet.end(begun, kind);
    }

    /// A mark that is open, with another open inside it, cannot end or begin here.
    fn fits(&self, mark: Mark) -> Result<(), Fault> {
        match self.open.last() {
            Some(innermost) if self.open.iter().any(|open| open.mark == mark) => Err(unended(innermost)),
            _ => Ok(()),
        }
    }

    /// A quotation begins, goes on or ends at the beginning of a line.
    fn line(&mut self) -> Result<(), Fault> {
        let is_quoted = matches!(self.open.first(), Some(Open { mark: Mark::Quote { .. }, .. }));
        // Nothing bold between two quotations is how MarkdownV2 parts them.
        let parted = self.source[self.at..].starts_with(&['*', '*', '>']);
        let length = match self.ahead(0) {
            Some('>') => 1,
            _ if parted => 3,
            _ => 0,
        };
        let length = if length > 0 && self.ahead(length) == Some(' ') { length + 1 } else { length };
        if is_quoted && (length == 0 || parted) {
            match self.open.last() {
                Some(open) if self.open.len() > 1 => return Err(unended(open)),
                _ => self.close(),
            }
        } else if is_quoted {
            self.at += length;
            return Ok(());
        }
        if length > 0 && self.open.is_empty() {
            self.open(Mark::Quote { is_folded: false }, length);
        }
        Ok(())
    }

    fn run(&self, letter: char) -> usize {
        self.source[self.at..].iter().take_while(|next| **next == letter).count()
    }

    /// `*`, `_` and `~`.
    fn signs(&mut self, sign: char) -> Result<(), Fault> {
        let count = self.run(sign);
        let before = self.at.checked_sub(1).map(|at| self.source[at]);
        let after = self.ahead(count);
        let is_word = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
        if count > LONGEST || (sign == '_' && is_word(before) && is_word(after)) {
            self.take(count);
            return Ok(());
        }
        let may_begin = after.is_some_and(|after| !after.is_whitespace());
        let mut left = count;
        while left > 0 {
            let length = match self.innermost() {
                Some(Mark::Sign(of, 2)) if of == sign && left >= 2 => 2,
                Some(Mark::Sign(of, 1)) if of == sign && left % 2 == 1 => 1,
                _ => 0,
            };
            if length > 0 {
                self.close();
                self.at += length;
                left -= length;
                continue;
            }
            let length = left.min(2);
            self.fits(Mark::Sign(sign, length))?;
            if may_begin {
                self.open(Mark::Sign(sign, length), length);
            } else {
                self.take(length);
            }
            left -= length;
        }
        Ok(())
    }

    /// `||`.
    fn bars(&mut self) -> Result<(), Fault> {
        let count = self.run('|');
        if count == 1 || count > LONGEST {
            self.take(count);
            return Ok(());
        }
        if self.innermost() == Some(Mark::Spoiler) {
            self.close();
            self.at += 2;
            return Ok(());
        }
        self.fits(Mark::Spoiler)?;
        let after = self.ahead(2);
        if after.is_some_and(|after| !after.is_whitespace()) {
            self.open(Mark::Spoiler, 2);
            return Ok(());
        }
        let ends_quote = after.is_none() || (after == Some('\n') && self.ahead(3) != Some('>'));
        match self.open.last_mut() {
            Some(Open { mark: Mark::Quote { is_folded }, .. }) if ends_quote => {
                *is_folded = true;
                self.at += 2;
            }
            _ => self.take(2),
        }
        Ok(())
    }

    /// `[`, or `!` before one.
    fn bracket(&mut self, letter: char) -> Result<(), Fault> {
        let ahead = usize::from(letter == '!');
        let Some(end) = self.links.get(&(self.at + ahead)).copied() else {
            self.take(1);
            return Ok(());
        };
        let is_emoji = self.source[end + 2..].starts_with(&EMOJI.chars().collect::<Vec<_>>());
        if letter == '!' && !is_emoji {
            self.take(1);
            return Ok(());
        }
        self.open(Mark::Link { end, is_emoji: letter == '!' }, ahead + 1);
        Ok(())
    }

    /// `]`, with an address behind it.
    fn end_of_link(&mut self) -> Result<(), Fault> {
        let here = self.at;
        let is_here = |open: &Open| matches!(open.mark, Mark::Link { end, .. } if end == here);
        if !self.open.iter().any(is_here) {
            self.take(1);
            return Ok(());
        }
        let Some(open) = self.open.pop_if(|open| is_here(open)) else {
            return self.open.last().map_or(Ok(()), |open| Err(unended(open)));
        };
        let url = self.address()?;
        let kind = match (open.mark, url.strip_prefix(EMOJI)) {
            (Mark::Link { is_emoji: true, .. }, Some(id)) => {
                EntityKind::CustomEmoji { custom_emoji_id: id.to_owned() }
            }
            _ => link(url),
        };
        self.sheet.end(open.begun, kind);
        Ok(())
    }

    /// `](address)`.
    fn address(&mut self) -> Result<String, Fault> {
        let begin = self.at + 1;
        self.at += 2;
        let (mut url, mut depth) = (String::new(), 0_u32);
        loop {
            match self.ahead(0) {
                None => return Err(Fault::new(begin, "unclosed (", "the address of a link ends with )")),
                Some(letter) if letter.is_whitespace() => {
                    let advice = "write %20 for it, or \\[ if this is no link";
                    return Err(Fault::new(begin, "a blank in the address", advice));
                }
                Some('\\') if self.ahead(1).is_some_and(is_punctuation) => {
                    self.at += 1;
                    url.extend(self.ahead(0));
                }
                Some(')') if depth == 0 => break,
                Some(letter) => {
                    depth = match letter {
                        '(' => depth + 1,
                        ')' => depth - 1,
                        _ => depth,
                    };
                    url.push(letter);
                }
            }
            self.at += 1;
        }
        self.at += 1;
        if url.is_empty() {
            return Err(Fault::new(begin, "no address", "want [words](address)"));
        }
        Ok(url)
    }

    /// Words between backticks, or lines between three of them.
    fn code(&mut self) -> Result<(), Fault> {
        let (begin, count) = (self.at, self.run('`'));
        self.at += count;
        let is_block = count >= 3;
        let language = if is_block { self.language() } else { String::new() };
        let begun = self.sheet.begin();
        let mut inside = Vec::new();
        loop {
            match self.ahead(0) {
                None => {
                    let what = format!("unclosed {}", "`".repeat(count.min(3)));
                    let advice = "close it, or put a \\ before the character if it is no mark";
                    return Err(Fault::new(begin, what, advice));
                }
                Some('\\') if matches!(self.ahead(1), Some('`' | '\\')) => {
                    inside.extend(self.ahead(1));
                    self.at += 2;
                }
                Some('`') => {
                    let run = self.run('`');
                    if run == count || (is_block && run > count) {
                        self.at += run;
                        break;
                    }
                    inside.extend(std::iter::repeat_n('`', run));
                    self.at += run;
                }
                Some(letter) => {
                    inside.push(letter);
                    self.at += 1;
                }
            }
        }
        if is_block && inside.last() == Some(&'\n') {
            inside.pop();
        }
        for letter in inside {
            self.sheet.push(letter);
        }
        let kind = if is_block { EntityKind::Pre { language } } else { EntityKind::Code };
        self.sheet.end(begun, kind);
        Ok(())
    }

    /// The word behind three backticks that a line ends after; the end of the line goes too.
    fn language(&mut self) -> String {
        let is_language = |letter: &char| letter.is_alphanumeric() || "+-_.#".contains(*letter);
        let word: String =
            self.source[self.at..].iter().copied().take_while(|letter| is_language(letter)).collect();
        let length = word.chars().count();
        if self.ahead(length) == Some('\n') {
            self.at += length + 1;
            return word;
        }
        String::new()
    }
}

/// What the address of an emoji of somebody's own begins with.
const EMOJI: &str = "tg://emoji?id=";
