//! A settings file taken apart key by key (TOML 1.0), so that every mistake in it is told at once.
//!
//! serde stops at the first mistake and knows no line numbers after that; a person who edits a file wants the
//! whole list, each with file, line, key, value and what is allowed.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use crate::said::Said;
use crate::wanted;

/// One mistake in one file. Its text names the file, the line, the key, the value and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the word for where the settings came from.
    pub file: PathBuf,
    /// The line in that file, from 1. None where there is no file.
    pub line: Option<usize>,
    /// The key with its section, as `gateway.sip_bind`. Empty when the file is not TOML at all.
    pub key: String,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file is there and cannot be read.
    Unreadable { message: String },
    /// The text is not TOML.
    NotToml { message: String },
    /// No such key. `allowed` are those that could stand here.
    Unknown { value: String, allowed: Vec<&'static str> },
    /// The key must be there and is not.
    Missing { wanted: String },
    /// The value has the wrong type, is out of range, or does not fit another one.
    Value { value: String, wanted: String },
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(out, "{line}:")?;
        }
        let key = &self.key;
        match &self.fault {
            Fault::Unreadable { message } => write!(out, " {message}"),
            Fault::NotToml { message } => write!(out, " not TOML: {message}"),
            Fault::Unknown { value, allowed } => {
                write!(out, " unknown key {key} = {value}: want one of {}", allowed.join(", "))
            }
            Fault::Missing { wanted } => write!(out, " {key} is missing: want {wanted}"),
            Fault::Value { value, wanted } => write!(out, " {key} = {value}: want {wanted}"),
        }
    }
}

impl Problem {
    /// What is wanted instead, beside the field that holds the value. None where the mistake is no value's.
    pub fn wanted(&self) -> Option<Said> {
        match &self.fault {
            Fault::Missing { wanted } | Fault::Value { wanted, .. } => {
                Some(Said::new(format!("want {wanted}"), format!("нужно: {}", wanted::in_russian(wanted))))
            }
            Fault::Unreadable { .. } | Fault::NotToml { .. } | Fault::Unknown { .. } => None,
        }
    }
}

/// The mistake in both languages; what is wanted instead is told in English where nobody has translated it.
impl From<&Problem> for Said {
    fn from(problem: &Problem) -> Self {
        let key = &problem.key;
        let mistake = match &problem.fault {
            Fault::Unreadable { message } => format!(" {message}"),
            Fault::NotToml { message } => format!(" это не TOML: {message}"),
            Fault::Unknown { value, allowed } => {
                format!(" неизвестный ключ {key} = {value}: допустимы {}", allowed.join(", "))
            }
            Fault::Missing { wanted } => format!(" нет ключа {key}; нужно: {}", wanted::in_russian(wanted)),
            Fault::Value { value, wanted } => {
                format!(" {key} = {value}; нужно: {}", wanted::in_russian(wanted))
            }
        };
        let line = problem.line.map(|line| format!("{line}:")).unwrap_or_default();
        Self::new(problem.to_string(), format!("{}:{line}{mistake}", problem.file.display()))
    }
}

/// The text of one settings file, and the mistakes found in it so far.
pub(crate) struct Page<'t> {
    file: PathBuf,
    text: &'t str,
    has_lines: bool,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Page<'t> {
    pub(crate) fn new(file: &Path, text: &'t str) -> Self {
        Self { file: file.to_owned(), text, has_lines: true, problems: RefCell::default() }
    }

    /// Settings that came over a socket: mistakes are told without a line number.
    pub(crate) fn without_lines(origin: &str, text: &'t str) -> Self {
        Self { has_lines: false, ..Self::new(Path::new(origin), text) }
    }

    /// The top of the file. When it is not TOML the problem is noted and there is nothing to read.
    pub(crate) fn top(&self) -> Option<Section<'_, 't>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            self.note(at, String::new(), Fault::NotToml { message: error.message().replace('\n', ", ") });
        }
        errors.is_empty().then(|| Section::new(self, String::new(), 0, table.into_inner()))
    }

    /// Hands `checked` out if nothing was wrong.
    pub(crate) fn finish<T>(self, checked: Option<T>) -> Result<T, Vec<Problem>> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        match checked {
            Some(checked) if problems.is_empty() => Ok(checked),
            _ => Err(problems),
        }
    }

    fn note(&self, at: usize, key: String, fault: Fault) {
        let line = self.has_lines.then(|| 1 + self.text.get(..at).unwrap_or(self.text).matches('\n').count());
        self.problems.borrow_mut().push(Problem { file: self.file.clone(), line, key, fault });
    }

    /// A value as the file writes it: its first line, and not more than 60 characters of it.
    fn as_written(&self, value: &Spanned<DeValue<'_>>) -> String {
        let written = self.text.get(value.span()).unwrap_or_default();
        let first = written.lines().next().unwrap_or_default();
        if first.contains("://") && first.contains('@') || holds_token(first) {
            return veiled(first);
        }
        if first.chars().count() > 60 {
            first.chars().take(59).chain(['…']).collect()
        } else if first.len() < written.len() {
            format!("{first}…")
        } else {
            first.to_owned()
        }
    }
}

/// One table of a file. Each question takes its key out; what is left at the end is unknown.
///
/// Every question answers something usable even when the value is wrong: the problem is noted and reading goes on.
pub(crate) struct Section<'p, 't> {
    page: &'p Page<'t>,
    prefix: String,
    at: usize,
    left: DeTable<'t>,
    asked: Vec<(&'static str, Option<usize>)>,
}

impl<'p, 't> Section<'p, 't> {
    fn new(page: &'p Page<'t>, prefix: String, at: usize, left: DeTable<'t>) -> Self {
        Self { page, prefix, at, left, asked: Vec::new() }
    }

    /// The table under `key`; an empty one when the file has none, so that missing keys are told one by one.
    pub(crate) fn section(&mut self, key: &'static str) -> Section<'p, 't> {
        let prefix = format!("{}{key}.", self.prefix);
        match self.take(key) {
            None => Section::new(self.page, prefix, self.page.text.len(), DeTable::new()),
            Some((_, value)) if value.get_ref().is_table() => {
                let at = value.span().start;
                let DeValue::Table(table) = value.into_inner() else {
                    return Section::new(self.page, prefix, at, DeTable::new());
                };
                Section::new(self.page, prefix, at, table)
            }
            Some((at, value)) => {
                self.wrong(at, key, self.page.as_written(&value), &format!("a section, as [{key}]"));
                Section::new(self.page, prefix, at, DeTable::new())
            }
        }
    }

    /// The tables of a list under `key`, written as `[[key]]` or as `key = [{…}, …]`, `most` of them.
    pub(crate) fn tables(&mut self, key: &'static str, most: usize) -> Vec<Section<'p, 't>> {
        let Some((at, value)) = self.take(key) else { return Vec::new() };
        let written = self.page.as_written(&value);
        let elements = match value.into_inner() {
            DeValue::Array(elements) if elements.len() <= most => elements,
            _ => {
                self.wrong(at, key, written, &format!("a list of up to {most} sections, as [[{key}]]"));
                return Vec::new();
            }
        };
        let mut sections = Vec::new();
        for element in elements {
            let at = element.span().start;
            if let DeValue::Table(table) = element.into_inner() {
                sections.push(Section::new(self.page, format!("{}{key}.", self.prefix), at, table));
            } else {
                self.wrong(at, key, written.clone(), &format!("a list of sections, as [[{key}]]"));
            }
        }
        sections
    }

    /// A value that `read` understands, or None if the key is not there. `wanted` ends the sentence of the error.
    pub(crate) fn optional<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Option<T> {
        let (at, value) = self.take(key)?;
        let checked = read(value.get_ref());
        if checked.is_none() {
            self.wrong(at, key, self.page.as_written(&value), wanted);
        }
        checked
    }

    /// As [`Section::optional`], but the key must be there.
    pub(crate) fn required<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Option<T> {
        if !self.left.contains_key(key) {
            self.asked.push((key, None));
            let fault = Fault::Missing { wanted: wanted.to_owned() };
            self.page.note(self.at, format!("{}{key}", self.prefix), fault);
            return None;
        }
        self.optional(key, wanted, read)
    }

    /// As [`Section::required`], but an error tells only the value's length.
    pub(crate) fn secret<T>(
        &mut self,
        key: &'static str,
        wanted: &str,
        read: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Option<T> {
        let mut length = 0;
        let mut sound = None;
        let seen = self.required(key, wanted, |value| {
            length = text(value).map_or(0, |text| text.chars().count());
            sound = read(value);
            Some(())
        });
        if seen.is_some() && sound.is_none() {
            self.clash(key, format_args!("({length} characters, not shown)"), wanted);
        }
        sound
    }

    /// As [`Section::optional`], but `read` tells itself, of a value it does not take, how it may be shown and what is
    /// wanted instead.
    pub(crate) fn judged<T, W: AsRef<str>>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'_>) -> Result<T, (String, W)>,
    ) -> Option<T> {
        let (at, value) = self.take(key)?;
        match read(value.get_ref()) {
            Ok(checked) => Some(checked),
            Err((shown, wanted)) => {
                self.wrong(at, key, shown, wanted.as_ref());
                None
            }
        }
    }

    /// A whole number within `range`, or `default`. `unit` ends the sentence, as " seconds".
    pub(crate) fn number<T>(
        &mut self,
        key: &'static str,
        default: T,
        range: RangeInclusive<T>,
        unit: &str,
    ) -> T
    where
        T: Copy + PartialOrd + FromStr + fmt::Display,
    {
        let wanted = format!("a whole number from {} to {}{unit}", range.start(), range.end());
        self.optional(key, &wanted, |value| whole(value).filter(|number| range.contains(number)))
            .unwrap_or(default)
    }

    /// A span of time in whole seconds.
    pub(crate) fn seconds(
        &mut self,
        key: &'static str,
        default_s: u64,
        range_s: RangeInclusive<u64>,
    ) -> Duration {
        Duration::from_secs(self.number(key, default_s, range_s, " (seconds)"))
    }

    /// true or false.
    pub(crate) fn switch(&mut self, key: &'static str, default: bool) -> bool {
        self.optional(key, "true or false", |value| value.as_bool()).unwrap_or(default)
    }

    /// One of `words`; the first is the default.
    pub(crate) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> T {
        let quoted: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let wanted = format!("one of {}", quoted.join(", "));
        self.optional(key, &wanted, |value| choice(value, words)).unwrap_or(words[0].1)
    }

    /// Notes that the value of `key`, already read, does not fit another one.
    pub(crate) fn clash(&self, key: &str, value: impl fmt::Display, wanted: &str) {
        let seen = self.asked.iter().find(|(asked, _)| *asked == key).and_then(|(_, at)| *at);
        self.wrong(seen.unwrap_or(self.at), key, value.to_string(), wanted);
    }

    /// Tells every key that nobody asked for.
    pub(crate) fn finish(self) {
        for (key, value) in &self.left {
            let written = match value.get_ref() {
                table if table.is_table() => "[…]".to_owned(),
                DeValue::String(text) if key.get_ref().contains("pas") => veiled(text),
                _ => self.page.as_written(value),
            };
            let allowed = self.asked.iter().map(|(key, _)| *key).collect();
            let fault = Fault::Unknown { value: written, allowed };
            self.page.note(key.span().start, format!("{}{}", self.prefix, key.get_ref()), fault);
        }
    }

    fn take(&mut self, key: &'static str) -> Option<(usize, Spanned<DeValue<'t>>)> {
        let found: Option<(Spanned<DeString<'t>>, Spanned<DeValue<'t>>)> = self.left.remove_entry(key);
        let at = found.as_ref().map(|(name, _)| name.span().start);
        self.asked.push((key, at));
        found.map(|(name, value)| (name.span().start, value))
    }

    fn wrong(&self, at: usize, key: &str, value: String, wanted: &str) {
        let fault = Fault::Value { value, wanted: wanted.to_owned() };
        self.page.note(at, format!("{}{key}", self.prefix), fault);
    }
}

/// Problems as people read them, one a line.
pub(crate) fn listed(problems: &[Problem]) -> String {
    said(problems).en
}

/// The same in both languages.
pub(crate) fn said(problems: &[Problem]) -> Said {
    let lines: Vec<Said> = problems.iter().map(Said::from).collect();
    Said::listed(&lines, "\n")
}

/// A string.
pub(crate) fn text<'v>(value: &'v DeValue<'_>) -> Option<&'v str> {
    value.as_str()
}

/// A string that reads as `T`.
pub(crate) fn parsed<T: FromStr>(value: &DeValue<'_>) -> Option<T> {
    text(value)?.parse().ok()
}

/// A text that may be empty, which means that there is none of it.
pub(crate) fn or_none<T>(value: &DeValue<'_>, read: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match text(value)? {
        "" => Some(None),
        text => read(text).map(Some),
    }
}

/// A whole number.
pub(crate) fn whole<T: FromStr>(value: &DeValue<'_>) -> Option<T> {
    let integer = value.as_integer()?;
    if integer.radix() == 10 { integer.as_str().parse().ok() } else { None }
}

/// A list whose every element `read` understands.
pub(crate) fn list<T>(value: &DeValue<'_>, read: impl Fn(&DeValue<'_>) -> Option<T>) -> Option<Vec<T>> {
    let array: &DeArray<'_> = value.as_array()?;
    array.iter().map(|element| read(element.get_ref())).collect()
}

/// One of a few words.
pub(crate) fn choice<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Option<T> {
    let word = text(value)?;
    words.iter().find(|(name, _)| *name == word).map(|(_, meaning)| *meaning)
}

/// A text of which only the length is told.
fn veiled(text: &str) -> String {
    format!("({} characters, not shown: it may hold a password)", text.chars().count())
}

/// Whether a bot's token may be among it: digits, a colon, and a long word.
fn holds_token(text: &str) -> bool {
    let in_secret = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.match_indices(':').any(|(at, _)| {
        let secret = text[at + 1..].chars().take_while(|c| in_secret(*c)).count();
        text[..at].ends_with(|c: char| c.is_ascii_digit()) && secret >= 16
    })
}
