//! What `docs/peers.md` may claim: each test that it names is there, and each gap in its tables has a reason.

use std::collections::BTreeSet;

use crate::tree::Tree;

const PAGE: &str = "docs/peers.md";
/// Words that a reason has at least.
const LEAST_WORDS: usize = 4;

pub(crate) fn complaints(tree: &Tree) -> Vec<String> {
    let page = tree.text(PAGE);
    let mut found = Vec::new();
    let notes = notes(page);
    let mut used = BTreeSet::new();
    let (mut columns, mut cells) = (0, 0);
    for (at, line) in page.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        let row: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        if row.first().is_some_and(|first| first.is_empty()) {
            columns = row.len();
            continue;
        }
        if row.iter().all(|cell| cell.trim_matches('-').is_empty()) {
            continue;
        }
        if row.len() != columns {
            found.push(format!("{PAGE}:{}: {} cells, want {columns} as in the head", at + 1, row.len()));
        }
        for cell in &row[1..] {
            cells += 1;
            let note = cell.strip_prefix("[^").and_then(|rest| rest.strip_suffix(']'));
            used.extend(note);
            if note.is_none() && tests(cell).next().is_none() {
                found.push(format!(
                    "{PAGE}:{}: {:?} has {cell:?}: want `program::function` or a note with the reason",
                    at + 1,
                    row[0]
                ));
            }
        }
    }
    if cells == 0 {
        found.push(format!("{PAGE}: has no table of what was tried with which peer"));
    }
    for (program, function) in tests(page) {
        if !is_there(tree, program, function) {
            found.push(format!("{PAGE}: there is no test {function} in tests/tests/{program}"));
        }
    }
    for (name, reason) in &notes {
        if !used.contains(name) {
            found.push(format!("{PAGE}: nothing refers to the note [^{name}]: take it out"));
        }
        if reason.split_whitespace().count() < LEAST_WORDS {
            found.push(format!("{PAGE}: [^{name}] says {reason:?}: want a reason"));
        }
    }
    let known = |name: &str| notes.iter().any(|(known, _)| *known == name);
    let missing = used.iter().filter(|name| !known(name));
    found.extend(missing.map(|name| format!("{PAGE}: the note [^{name}] is missing")));
    found
}

/// Names and first lines of the notes at the page's end.
fn notes(page: &str) -> Vec<(&str, &str)> {
    page.lines().filter_map(|line| line.strip_prefix("[^")?.split_once("]:")).collect()
}

/// What stands in backticks as `program::function`.
fn tests(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|name| name.split_once("::"))
        .filter(|(program, _)| *program != "program")
}

/// Whether a test program, one file or a folder, has this test.
fn is_there(tree: &Tree, program: &str, function: &str) -> bool {
    let (file, folder) = (format!("tests/tests/{program}.rs"), format!("tests/tests/{program}/"));
    let files = tree.files.iter().filter(|(path, _)| **path == file || path.starts_with(&folder));
    let mut texts = files.map(|(_, text)| text);
    texts.any(|text| {
        let mut lines = text.lines().zip(text.lines().skip(1));
        lines.any(|(attribute, line)| {
            let name =
                line.trim_start_matches("async ").strip_prefix("fn ").and_then(|rest| rest.split_once('('));
            let is_test = attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test");
            is_test && name.is_some_and(|(name, _)| name == function)
        })
    })
}

#[test]
fn each_rule_of_peers_can_fail() {
    let page = "| | A | B |\n|---|---|---|\n| calls | `talks::both_hear` | [^why] |\n| keys | `talks::nobody` | |\n\
                | more | [^gone] |\n\n[^why]: no\n[^idle]: it has no such thing\n";
    let program = "#[tokio::test(flavor = \"multi_thread\")]\nasync fn both_hear() {}\n\nfn nobody() {}\n";
    let tree = Tree::of(&[(PAGE, page), ("tests/tests/talks.rs", program)]);
    let told = complaints(&tree).join("\n");
    for wanted in [
        "docs/peers.md:4: \"keys\" has \"\"",
        "docs/peers.md:5: 2 cells, want 3",
        "there is no test nobody in tests/tests/talks",
        "[^why] says \" no\"",
        "nothing refers to the note [^idle]",
        "the note [^gone] is missing",
    ] {
        assert!(told.contains(wanted), "{wanted}: {told}");
    }
    assert!(!told.contains("no test both_hear"), "{told}");
    assert!(complaints(&Tree::of(&[])).join("").contains("has no table"));
}
