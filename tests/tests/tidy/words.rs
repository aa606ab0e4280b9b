//! What no text of the project holds, because it would be true on one machine or for one reader only.

use crate::tree::Tree;

/// Pieces of text, put together here so that this file does not hold them itself.
const NOWHERE: [(&str, &str); 12] = [
    (
        concat!("/wo", "rk/"),
        "a path of one machine: start at the project's root, or at a temporary directory",
    ),
    (
        concat!("/ro", "ot/"),
        "a path of one machine: start at the project's root, or at a temporary directory",
    ),
    (concat!("bash", "_jobs"), "a path of one machine"),
    (concat!("shared/", "design"), "the reader does not have it: say here what matters"),
    (concat!("crates", ".io"), "name the package, not the registry"),
    (concat!("py", "pi.org"), "name the package, not the registry"),
    (concat!("deb.deb", "ian.org"), "name the package, not the registry"),
    (concat!("registry.np", "mjs"), "name the package, not the registry"),
    (concat!("clau", "de"), "a tool's name says nothing about the code"),
    (concat!("chat", "gpt"), "a tool's name says nothing about the code"),
    (concat!("anthro", "pic"), "a tool's name says nothing about the code"),
    (concat!("open", "ai"), "a tool's name says nothing about the code"),
];

/// What must stand in some file, and where.
const SOMEWHERE: [(&str, &str); 8] = [
    ("README.md", "make demo"),
    ("README.md", "make test"),
    ("README.md", "api_hash"),
    ("CHANGELOG.md", "## [Unreleased]"),
    (".ci/run", "make test"),
    ("LICENSE-MIT", "Permission is hereby granted"),
    ("LICENSE-APACHE", "Apache License"),
    ("rust-toolchain.toml", "clippy"),
];

pub(crate) fn complaints(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in &tree.files {
        for (at, line) in text.lines().enumerate().filter(|_| !path.ends_with("Cargo.lock")) {
            let low = line.to_lowercase();
            for (word, why) in NOWHERE.iter().filter(|(word, _)| low.contains(word)) {
                found.push(format!("{path}:{}: {word:?}: {why}", at + 1));
            }
        }
    }
    for (path, wanted) in SOMEWHERE {
        if !tree.text(path).contains(wanted) {
            found.push(format!("{path}: does not say {wanted:?}, which people and programs look for"));
        }
    }
    found
}

#[test]
fn each_rule_of_words_can_fail() {
    let tree = Tree::of(&[("docs/a.md", concat!("fine\nsee /wo", "rk/main\n")), ("README.md", "make demo")]);
    let told = complaints(&tree).join("\n");
    assert!(told.contains("docs/a.md:2: "), "{told}");
    assert!(told.contains("README.md: does not say \"make test\""), "{told}");
    assert!(!told.contains("does not say \"make demo\""), "{told}");
}
