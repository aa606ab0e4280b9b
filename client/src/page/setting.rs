//! Settings that a form on the page edits: which keys of `line.toml` and `tgtrunk.toml`, and how each is typed.
//!
//! What a value may be is not said here: the same code that reads the files judges it.

mod api;
mod line;
mod policy;
mod system;
mod trunk;

pub(crate) use line::LINE;
pub(crate) use system::SYSTEM;
use tgtrunk_config::Language;

/// One key of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Its table, as `dial` or `bot.webhook`; empty for the top.
    pub(crate) section: &'static str,
    /// The key.
    pub(crate) key: &'static str,
    /// How it is typed.
    pub(crate) kind: Kind,
    /// What holds where the key is not there, as it would be typed.
    pub(crate) default: &'static str,
    /// Its name, in Russian and in English.
    pub(crate) label: [&'static str; 2],
    /// What it does, the same; empty where the name says it.
    pub(crate) hint: [&'static str; 2],
}

/// Settings that belong together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    /// The heading, in Russian and in English.
    pub(crate) label: [&'static str; 2],
    /// Whether most people never need them.
    pub(crate) is_rare: bool,
    /// The settings.
    pub(crate) settings: &'static [Setting],
}

/// How a value is typed, and what it is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text.
    Text,
    /// A text that is not shown again: left empty, it stays as it is.
    Secret,
    /// The address of a proxy, which may hold a password: that is not shown again.
    Proxy,
    /// A whole number, with its unit in Russian and in English.
    Number([&'static str; 2]),
    /// `true` or `false`.
    Switch,
    /// One of these texts; each with its name in Russian and in English.
    Choice(&'static [(&'static str, [&'static str; 2])]),
    /// A list of texts, with commas between them.
    List,
    /// A list of texts, one on each line.
    Lines,
    /// A list of tables with `name` and `extension`: one a line, as `Sales = 101`.
    Menu,
}

impl Setting {
    /// The field's name in a form: the table and the key.
    pub(crate) fn name(&self) -> String {
        if self.section.is_empty() { self.key.to_owned() } else { format!("{}.{}", self.section, self.key) }
    }
}

/// One of two wordings, Russian first.
pub(crate) fn of(language: Language, both: [&'static str; 2]) -> &'static str {
    match language {
        Language::Russian => both[0],
        Language::English => both[1],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LINE_FILE: &str = include_str!("../../../config/line.example.toml");
    const SYSTEM_FILE: &str = include_str!("../../../config/example.toml");

    #[test]
    fn every_key_of_the_files_is_on_the_page_or_belongs_to_another_form() {
        for (file, groups, elsewhere) in
            [(LINE_FILE, LINE, &["phone", "enabled"][..]), (SYSTEM_FILE, SYSTEM, &[][..])]
        {
            let shown: BTreeSet<String> =
                groups.iter().flat_map(|group| group.settings).map(Setting::name).collect();
            let wanted = keys(file).into_iter().filter(|key| !elsewhere.contains(&key.as_str()));
            let missing: Vec<String> = wanted.filter(|key| !shown.contains(key)).collect();
            assert!(missing.is_empty(), "not on the page: {missing:?}");
        }
    }

    #[test]
    fn every_setting_is_named_in_both_languages() {
        for group in LINE.iter().chain(SYSTEM) {
            for setting in group.settings {
                let [russian, english] = setting.label;
                assert!(!russian.is_empty() && !english.is_empty(), "{}", setting.name());
                let [russian, english] = setting.hint;
                assert_eq!(russian.is_empty(), english.is_empty(), "{}", setting.name());
            }
        }
    }

    /// The keys of an example file, where every key stands on a line of its own.
    fn keys(file: &str) -> Vec<String> {
        let mut section = "";
        let mut keys = Vec::new();
        for line in file.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name;
            } else if let Some((key, _)) = line.split_once(" = ") {
                keys.push(if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") });
            }
        }
        keys
    }
}
