//! What may stand in a source file, and where.

use std::collections::BTreeSet;

use crate::code::{has_word, product_part, without_comments, without_comments_and_strings};
use crate::tree::{Tree, room};

/// The ceiling for one file, its test module left out.
const LONGEST_FILE: usize = 600;

/// Words that product code does not use, and what to write instead.
const FORBIDDEN: [(&str, &str); 10] = [
    (".unwrap()", "return an error, or expect(\"why it cannot happen\") for an invariant of our own"),
    ("todo!", "finish it, or leave it out"),
    ("unimplemented!", "finish it, or leave it out"),
    ("dbg!", "log through tracing"),
    ("unsafe", "find the safe way: this is an appliance on the open network"),
    ("unbounded_channel", "bound it, and say what happens when it is full"),
    ("static mut", "one owner per state"),
    ("fn get_", "name it by what it gives"),
    ("lazy_static", "one owner per state"),
    ("#[allow(dead_code)]", "remove what nobody uses"),
];

/// Ways to write past the log. Where the reader is a person at the terminal, the function says so with `expect`.
const PRINTS: [&str; 4] = ["print!", "println!", "eprint!", "eprintln!"];

/// Words that stay in some places, `allowed` being starts of paths, and why.
const AT_HOME: [(&str, &[&str], &str); 7] = [
    ("is::", &["gateway/tgcall/src/session"], "ICE types stay in tgcall's session"),
    ("dimpl::", &["gateway/tgcall/src/session"], "DTLS types stay in tgcall's session"),
    (
        "grammers_session",
        &["telegram/", "gateway/src/telegram", "client/src/telegram", "tests/"],
        "grammers stays in telegram/ and the programs' telegram.rs",
    ),
    (
        "grammers_mtproto",
        &["telegram/src/link", "telegram/src/invoke.rs"],
        "MTProto stays in telegram/src/link",
    ),
    (
        "grammers_tl_types",
        &["telegram/", "gateway/src/telegram", "client/src/telegram", "tests/"],
        "Telegram's schema stays in telegram/ and the programs' telegram.rs",
    ),
    ("rsip::", &["gateway/sip/"], "SIP grammar stays in gateway/sip"),
    (
        "sqlx::",
        &[
            "telegram/",
            "messages/src/store",
            "messages/tests/",
            "messages/fuzz/",
            "gateway/src/",
            "client/",
            "bot/",
            "tests/",
        ],
        "storage stays in telegram/, messages/store and the programs' shells",
    ),
];

/// Words of one side that the room of the other side does not know.
const FOREIGN: [(&str, &[&str]); 3] = [
    ("gateway/sip/src", &["tgcall", "grammers", "mtproto", "phonecall"]),
    ("gateway/tgcall/src", &["tgtrunk_sip", "rsip", "invite", "grammers"]),
    ("gateway/bridge/src", &["tgtrunk_sip", "tgcall", "rsip", "grammers", "dtls", "srtp"]),
];

pub(crate) fn complaints(tree: &Tree) -> Vec<String> {
    let for_tests = test_files(tree);
    let mut found = Vec::new();
    for (path, text) in tree.ending(".rs") {
        found.extend(shape(path, text));
        let product = !path.starts_with("tests/") && path.contains("src/") && !for_tests.contains(path);
        if product {
            found.extend(habits(path, text));
        }
        found.extend(left_open(path, text));
        found.extend(places(path, text));
    }
    found
}

/// Files that are modules under `#[cfg(test)]`, and those under them.
fn test_files(tree: &Tree) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    for (path, text) in tree.ending(".rs") {
        let stem = path.trim_end_matches(".rs");
        let parts = stem.rsplit_once('/');
        let folder = match parts {
            Some((folder, "lib" | "main" | "mod")) => folder,
            _ => stem,
        };
        for name in product_part(text).test_modules {
            let (file, inside) = (format!("{folder}/{name}.rs"), format!("{folder}/{name}/"));
            let under = tree.ending(".rs").map(|(path, _)| path);
            found.extend(under.filter(|path| *path == file || path.starts_with(&inside)));
        }
    }
    found
}

fn shape(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if !text.starts_with("//!") {
        found.push(format!("{path}:1: begin with //! and say what the file is, and which standard"));
    }
    let part = product_part(text).text;
    let lines = part.lines().count();
    if lines > LONGEST_FILE {
        found.push(format!(
            "{path}: {lines} lines of code, {LONGEST_FILE} are the ceiling: give its second noun a file of its own"
        ));
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if ["util.rs", "utils.rs", "helper.rs", "helpers.rs", "common.rs", "misc.rs"].contains(&name) {
        found.push(format!("{path}: name it by what it holds"));
    }
    if ["lib.rs", "mod.rs"].contains(&name) && path.contains("src/") {
        for (at, line) in numbered(&without_comments_and_strings(part)) {
            if has_word(&line, "fn") && !line.trim_start().starts_with("pub use") {
                found.push(format!(
                    "{path}:{at}: {name} re-exports and holds no logic: move it to a file with a name (for folder/mod.rs that is folder.rs beside the folder)"
                ));
                break;
            }
        }
    }
    found
}

fn habits(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let code = without_comments_and_strings(product_part(text).text);
    let lines: Vec<&str> = code.lines().collect();
    for (at, line) in numbered(&code) {
        for word in PRINTS.iter().filter(|word| has_word(&line, word)) {
            let above = &lines[at.saturating_sub(4)..at];
            if !above.iter().any(|line| line.contains("#[expect(clippy::print_std")) {
                found.push(format!("{path}:{at}: {word} in product code: log through tracing, or put #[expect(clippy::print_stdout, reason = …)] on a small function that speaks to a person at the terminal"));
            }
        }
        for (word, instead) in FORBIDDEN {
            let lint = word == "unsafe" && line.contains("forbid(");
            if has_word(&line, word) && !lint {
                found.push(format!("{path}:{at}: {word} in product code: {instead}"));
            }
        }
        for kind in ["Manager", "Helper", "Util", "Utils"] {
            let named = ["struct ", "enum ", "trait "].iter().find_map(|word| line.split_once(word));
            let name =
                named.map_or("", |(_, name)| name.split(['<', ' ', '(', ';', ':', '{']).next().unwrap_or(""));
            if name.ends_with(kind) {
                found.push(format!("{path}:{at}: {name}: name it by what it is in the trade"));
            }
        }
    }
    found
}

fn left_open(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let marks = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO"), concat!("#[ig", "nore")];
    for (at, line) in numbered(text) {
        for mark in marks {
            if has_word(&line, mark) {
                found.push(format!("{path}:{at}: {mark}: do it, file it, or take it out"));
            }
        }
    }
    found
}

fn places(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let code = without_comments_and_strings(text);
    for (at, line) in numbered(&code) {
        for (word, allowed, why) in AT_HOME {
            let stem = word.trim_end_matches("::");
            let named = has_word(&line, word) || has_word(&line, &format!("use {stem}"));
            if named && !allowed.iter().any(|start| path.starts_with(start)) {
                found.push(format!("{path}:{at}: {word} here: {why}"));
            }
        }
    }
    let Some((_, foreign)) = FOREIGN.into_iter().find(|(start, _)| path.starts_with(start)) else {
        return found;
    };
    for (at, line) in numbered(&without_comments(product_part(text).text)) {
        let line = line.to_lowercase();
        for word in foreign.iter().filter(|word| line.contains(**word)) {
            let room = room(path);
            found.push(format!("{path}:{at}: {word:?} is a word of the other side: {room} does not know it, the shell joins them"));
        }
    }
    found
}

fn numbered(text: &str) -> impl Iterator<Item = (usize, String)> + '_ {
    text.lines().enumerate().map(|(at, line)| (at + 1, line.to_owned()))
}

#[test]
fn each_rule_of_sources_can_fail() {
    let long = format!("//! Long.\n{}", "fn line() {}\n".repeat(LONGEST_FILE));
    let tree = Tree::of(&[
        (
            "gateway/sip/src/a.rs",
            "//! A.\nfn f() { x.unwrap(); println!(); }\nstruct CallManager;\nuse tgcall::Call;\n// unwrap(), todo!\n#[cfg(test)]\nmod tests {\n    fn g() { x.unwrap() }\n}\n",
        ),
        ("gateway/sip/src/util.rs", "fn no_header() {}\n"),
        (
            "gateway/src/say.rs",
            "//! S.\n#[expect(clippy::print_stdout, reason = \"x\")]\nfn say(x: &str) {\n    println!(\"{x}\");\n}\n",
        ),
        ("gateway/tgcall/src/lib.rs", "//! L.\n#[cfg(test)]\nmod simulated;\nfn logic() {}\n"),
        ("gateway/tgcall/src/simulated.rs", "//! S.\nfn f() { x.unwrap() }\n"),
        ("gateway/tgcall/src/candidate.rs", "//! C.\nuse is::Candidate;\nlet invite = \"INVITE\";\n"),
        ("gateway/tgcall/src/session/agent.rs", "//! T.\nuse is::Candidate;\nfn thesis() { this::that() }\n"),
        ("gateway/bridge/src/b.rs", "//! B.\nuse grammers_tl_types as tl;\n"),
        ("gateway/src/long.rs", &long),
        ("tests/src/t.rs", concat!("//! T.\n// TO", "DO\nfn f() { x.unwrap() }\n")),
    ]);
    let told = complaints(&tree).join("\n");
    for wanted in [
        "gateway/sip/src/a.rs:2: .unwrap() in product code",
        "gateway/sip/src/a.rs:2: println! in product code",
        "gateway/sip/src/a.rs:3: CallManager",
        "gateway/sip/src/a.rs:4: \"tgcall\" is a word of the other side",
        "gateway/sip/src/util.rs:1: begin with //!",
        "gateway/sip/src/util.rs: name it",
        "gateway/tgcall/src/lib.rs:4: lib.rs re-exports",
        "gateway/tgcall/src/candidate.rs:2: is:: here",
        "gateway/tgcall/src/candidate.rs:3: \"invite\" is a word",
        "gateway/bridge/src/b.rs:2: grammers_tl_types here",
        "gateway/src/long.rs: 601 lines of code",
        "tests/src/t.rs:2: TO",
    ] {
        assert!(told.contains(wanted), "no {wanted:?} in:\n{told}");
    }
    for unwanted in ["a.rs:5", "a.rs:8", "say.rs", "simulated.rs", "session/agent.rs", "t.rs:3"] {
        assert!(!told.contains(unwanted), "{unwanted:?} in:\n{told}");
    }
}
