//! What `docs/capabilities.toml` may claim: each capability is there once, with tests that are there or a section of the
//! README; and the table that is made of it, `docs/capabilities.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::tree::Tree;

const LIST: &str = "docs/capabilities.toml";
pub(crate) const TABLE: &str = "docs/capabilities.md";
/// The sources in their order, and how many capabilities each has.
const SOURCES: [(&str, usize); 5] = [("000", 22), ("001", 36), ("002", 31), ("003", 21), ("004", 48)];
/// So many at most have no test, because they are nothing but documentation.
const DOCUMENTATION_ONLY: usize = 9;
const READMES: [&str; 2] = ["README.md", "README.ru.md"];
/// Who may have a capability.
const WHO: [&str; 5] = ["gateway", "client", "bot", "page", DOCUMENTATION];
const DOCUMENTATION: &str = "documentation";

#[derive(Deserialize)]
struct List {
    sources: BTreeMap<String, Source>,
    #[serde(flatten)]
    capabilities: BTreeMap<String, Capability>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Capability {
    what: String,
    who: Vec<String>,
    #[serde(default)]
    tests: Vec<String>,
    readme: Option<Readme>,
}

/// A section of both READMEs, and a word in each that says it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Readme {
    en: String,
    ru: String,
    says: [String; 2],
}

pub(crate) fn complaints(tree: &Tree) -> Vec<String> {
    // A capability that stands twice is a mistake of TOML already.
    let list = match read(tree) {
        Ok(list) => list,
        Err(error) => return vec![format!("{LIST}: {error}")],
    };
    let mut found = counts(&list);
    for (id, capability) in &list.capabilities {
        found.extend(one(tree, capability).into_iter().map(|what| format!("{LIST}: {id}: {what}")));
    }
    if tree.text(TABLE) != table(&list) {
        found.push(format!(
            "{TABLE} is not what {LIST} says: WRITE_TABLES=1 cargo test -p tgtrunk-tests --test tidy capabilities"
        ));
    }
    found
}

/// The table as the list has it.
///
/// # Errors
/// The list cannot be read.
pub(crate) fn made(tree: &Tree) -> Result<String, String> {
    read(tree).map(|list| table(&list))
}

fn read(tree: &Tree) -> Result<List, String> {
    toml::from_str(tree.text(LIST)).map_err(|error| error.to_string())
}

/// That none is missing, none too many, and no more without a test than there may be.
fn counts(list: &List) -> Vec<String> {
    let mut found = Vec::new();
    let wanted: Vec<String> = SOURCES
        .iter()
        .flat_map(|(source, count)| (1..=*count).map(move |at| format!("{source}-{at:02}")))
        .collect();
    let missing = wanted.iter().filter(|id| !list.capabilities.contains_key(*id));
    found.extend(missing.map(|id| format!("{LIST}: {id} is missing")));
    let strange = list.capabilities.keys().filter(|id| !wanted.contains(id));
    found.extend(strange.map(|id| format!("{LIST}: there is no capability {id}")));
    if !list.sources.keys().map(String::as_str).eq(SOURCES.map(|(source, _)| source)) {
        found.push(format!("{LIST}: want the sources {:?}", SOURCES.map(|(source, _)| source)));
    }
    let only: Vec<&str> = list
        .capabilities
        .iter()
        .filter(|(_, capability)| capability.who == [DOCUMENTATION])
        .map(|(id, _)| id.as_str())
        .collect();
    if only.len() > DOCUMENTATION_ONLY {
        let (have, most) = (only.len(), DOCUMENTATION_ONLY);
        found.push(format!("{LIST}: {have} are documentation only, {most} may be: {}", only.join(", ")));
    }
    found
}

fn one(tree: &Tree, capability: &Capability) -> Vec<String> {
    let mut found = Vec::new();
    if capability.what.trim().is_empty() || capability.what.contains(['|', '\n']) {
        found.push("what: want a sentence without | and in one line".to_owned());
    }
    let strange = capability.who.iter().filter(|who| !WHO.contains(&who.as_str()));
    found.extend(strange.map(|who| format!("who = {who:?}: want some of {WHO:?}")));
    let is_told = capability.who.iter().any(|who| who == DOCUMENTATION);
    let is_done = capability.who.iter().any(|who| who != DOCUMENTATION);
    if is_done == capability.tests.is_empty() {
        found.push(
            "tests: want one or more where somebody but the documentation has it, and none otherwise"
                .to_owned(),
        );
    }
    if is_told != capability.readme.is_some() {
        found.push("readme: want a section where who has \"documentation\", and none otherwise".to_owned());
    }
    for test in &capability.tests {
        if !test.split_once("::").is_some_and(|(file, function)| has_test(tree.text(file), function)) {
            found.push(format!("there is no test {test}"));
        }
    }
    let Some(readme) = &capability.readme else { return found };
    for ((page, heading), word) in READMES.into_iter().zip([&readme.en, &readme.ru]).zip(&readme.says) {
        match section(tree.text(page), heading) {
            None => found.push(format!("{page} has no section {heading:?}")),
            Some(section) if !section.contains(word.as_str()) || word.is_empty() => {
                found.push(format!("{page}: {heading:?} does not say {word:?}"));
            }
            Some(_) => {}
        }
    }
    found
}

/// Whether a file has a test function of this name.
fn has_test(text: &str, function: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let heads = [format!("fn {function}("), format!("async fn {function}(")];
    lines.iter().enumerate().filter(|(_, line)| heads.iter().any(|head| line.starts_with(head))).any(
        |(at, _)| {
            let above =
                lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
            above.clone().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
        },
    )
}

/// The text below a heading, up to the next heading that is not below it.
fn section<'t>(page: &'t str, heading: &str) -> Option<&'t str> {
    let depth = |line: &str| line.bytes().take_while(|byte| *byte == b'#').count();
    let mut at = 0;
    let (mut begin, mut own, mut is_code) = (None, 0, false);
    for line in page.split_inclusive('\n') {
        is_code ^= line.trim_start().starts_with("```");
        let level = if is_code { 0 } else { depth(line) };
        match begin {
            None if level > 0 && line[level..].trim() == heading => {
                (begin, own) = (Some(at + line.len()), level)
            }
            Some(begin) if level > 0 && level <= own => return Some(&page[begin..at]),
            _ => {}
        }
        at += line.len();
    }
    begin.map(|begin| &page[begin..])
}

fn table(list: &List) -> String {
    let mut page = format!(
        "# What tgtrunk can do, and the test that fails without it\n\n\
         The {} capabilities of the five programs and services whose users tgtrunk is made for. Each names the tests that fail when\n\
         it is removed; what is documentation names its section of [README.md](../README.md) and [README.ru.md](../README.ru.md).\n\n\
         This page is made of [capabilities.toml](capabilities.toml) and not edited by hand:\n\
         `WRITE_TABLES=1 cargo test -p tgtrunk-tests --test tidy capabilities`. A test of the house keeps it true: none is missing, and\n\
         each named test and section is there.\n",
        list.capabilities.len()
    );
    for (source, Source { name }) in &list.sources {
        write!(
            page,
            "\n## Source {source}: {name}\n\n| id | capability | who has it | shown by |\n|---|---|---|---|\n"
        )
        .ok();
        for (id, capability) in list.capabilities.iter().filter(|(id, _)| id.starts_with(source.as_str())) {
            let mut shown: Vec<String> = capability.tests.iter().map(|test| in_words(test)).collect();
            shown.extend(
                capability.readme.as_ref().map(|readme| format!("README: {} / {}", readme.en, readme.ru)),
            );
            let Capability { what, who, .. } = capability;
            writeln!(page, "| {id} | {what} | {} | {} |", who.join(", "), shown.join("<br>")).ok();
        }
    }
    page
}

fn in_words(test: &str) -> String {
    let (file, function) = test.split_once("::").unwrap_or((test, ""));
    format!("`{function}` in [{file}](../{file})")
}

#[test]
fn each_rule_of_capabilities_can_fail() {
    let list = "[sources.000]\nname = \"A\"\n\
                [000-01]\nwhat = \"x\"\nwho = [\"client\"]\ntests = [\"a.rs::there\", \"a.rs::gone\", \"a.rs::no_test\", \"b.rs::there\"]\n\
                [000-02]\nwhat = \"x\"\nwho = [\"client\"]\n\
                [000-03]\nwhat = \"x\"\nwho = [\"documentation\"]\n\
                [000-04]\nwhat = \"a | b\"\nwho = [\"somebody\", \"documentation\"]\ntests = [\"a.rs::there\"]\n\
                readme = { en = \"Two\", ru = \"Два\", says = [\"word\", \"слово\"] }\n\
                [000-05]\nwhat = \"x\"\nwho = [\"documentation\"]\nreadme = { en = \"Three\", ru = \"Два\", says = [\"\", \"дело\"] }\n\
                [000-99]\nwhat = \"x\"\nwho = [\"bot\"]\ntests = [\"a.rs::there\"]\nreadme = { en = \"Two\", ru = \"Два\", says = [\"word\", \"дело\"] }\n";
    let only: String = (6..15)
        .map(|at| format!("[000-{at:02}]\nwhat = \"x\"\nwho = [\"documentation\"]\nreadme = {{ en = \"Two\", ru = \"Два\", says = [\"word\", \"дело\"] }}\n"))
        .collect();
    let program =
        "#[test]\nfn there() {}\n\n#[tokio::test]\n#[expect(x)]\nasync fn gone_too() {}\n\nfn no_test() {}\n";
    let tree = Tree::of(&[
        (LIST, &format!("{list}{only}")),
        (TABLE, "old"),
        ("a.rs", program),
        (
            "README.md",
            "# A\n\n## One\n\nword\n\n## Two\n\n```sh\n# no heading\n```\n### Below\n\nword\n\n## Four\n\nother\n",
        ),
        ("README.ru.md", "## Два\n\nдело\n"),
    ]);
    let told = complaints(&tree).join("\n");
    for wanted in [
        "000-01: there is no test a.rs::gone",
        "000-01: there is no test a.rs::no_test",
        "000-01: there is no test b.rs::there",
        "000-02: tests: want one",
        "000-03: readme: want a section",
        "000-04: what: want a sentence",
        "000-04: who = \"somebody\"",
        "000-04: README.ru.md: \"Два\" does not say \"слово\"",
        "000-05: README.md has no section \"Three\"",
        "000-15 is missing",
        "there is no capability 000-99",
        "000-99: readme: want a section where",
        "11 are documentation only, 9 may be: 000-03, 000-05, 000-06",
        "want the sources [\"000\", ",
        "docs/capabilities.md is not what",
    ] {
        assert!(told.contains(wanted), "no {wanted:?} in:\n{told}");
    }
    for unwanted in ["no test a.rs::there", "000-06:", "README.md: \"Two\""] {
        assert!(!told.contains(unwanted), "{unwanted:?} in:\n{told}");
    }
    let twice =
        "[sources.000]\nname = \"A\"\n[000-01]\nwhat = \"x\"\nwho = []\n[000-01]\nwhat = \"x\"\nwho = []\n";
    assert!(complaints(&Tree::of(&[(LIST, twice)])).join("").contains("duplicate key"), "one stands twice");
    assert!(has_test("#[tokio::test]\n#[expect(x)]\nasync fn gone_too() {}\n", "gone_too"));
}

/// The 158 of the sources, so many each.
#[test]
fn the_sources_have_158_capabilities() {
    assert_eq!(SOURCES.iter().map(|(_, count)| count).sum::<usize>(), 158);
}
