//! What the manifests promise: who may import whom, one version of everything, a reason for each.

use toml::{Table, Value};

use crate::tree::{PURE, Tree, room};

/// What each room may import of ours. Tests may import anything and nobody imports tests.
const OURS: [(&str, &[&str]); 11] = [
    ("config", &[]),
    ("telegram", &["tgtrunk-config"]),
    ("shell", &["tgtrunk-config"]),
    ("messages", &["tgtrunk-shell"]),
    ("client", &["tgtrunk-config", "tgtrunk-shell", "tgtrunk-telegram", "tgtrunk-messages"]),
    ("bot", &["tgtrunk-config", "tgtrunk-shell", "tgtrunk-messages"]),
    ("gateway/media", &[]),
    ("gateway/sip", &["tgtrunk-media"]),
    ("gateway/tgcall", &["tgtrunk-media"]),
    ("gateway/bridge", &["tgtrunk-media"]),
    (
        "gateway",
        &[
            "tgtrunk-config",
            "tgtrunk-shell",
            "tgtrunk-telegram",
            "tgtrunk-media",
            "tgtrunk-sip",
            "tgcall",
            "tgtrunk-bridge",
        ],
    ),
];

/// Crates that bring a runtime, a socket, a clock or chance of their own.
const IMPURE: [&str; 16] = [
    "async-std",
    "axum",
    "futures",
    "getrandom",
    "hyper",
    "mio",
    "nix",
    "rand",
    "reqwest",
    "rustix",
    "smol",
    "socket2",
    "sqlx",
    "tokio",
    "tokio-util",
    "webrtc-util",
];

/// Crates whose types stay in one room.
const AT_HOME: [(&str, &[&str]); 5] = [
    ("rsip", &["gateway/sip"]),
    ("is", &["gateway/tgcall"]),
    ("dimpl", &["gateway/tgcall"]),
    ("sctp-proto", &["gateway/tgcall"]),
    ("rtp-rs", &["gateway/media"]),
];

pub(crate) fn complaints(tree: &Tree) -> Vec<String> {
    let mut found = workspace(tree);
    let own = |path: &str| path != "Cargo.toml" && !is_fuzz(path);
    for (path, text) in tree.ending("Cargo.toml").filter(|(path, _)| own(path)) {
        let manifest: Table = match text.parse() {
            Ok(manifest) => manifest,
            Err(error) => {
                found.push(format!("{path}: {error}"));
                continue;
            }
        };
        found.extend(inherited(path, &manifest));
        found.extend(imports(path, &manifest));
    }
    found
}

/// Fuzzers stand outside the workspace, with versions and a lock file of their own.
fn is_fuzz(path: &str) -> bool {
    path.ends_with("/fuzz/Cargo.toml")
}

fn workspace(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    let root: Table = tree.text("Cargo.toml").parse().unwrap();
    let members = root["workspace"]["members"].as_array().unwrap();
    let excluded = root["workspace"].get("exclude").and_then(Value::as_array);
    for (path, _) in tree.ending("/Cargo.toml") {
        let folder = path.trim_end_matches("/Cargo.toml");
        if is_fuzz(path) {
            if !excluded.is_some_and(|all| all.iter().any(|one| one.as_str() == Some(folder))) {
                found.push(format!("{path}: add {folder:?} to [workspace] exclude in Cargo.toml"));
            }
            if tree.text(&format!("{folder}/Cargo.lock")).is_empty() {
                found.push(format!("{path}: keep its Cargo.lock beside it"));
            }
            continue;
        }
        if !members.iter().any(|member| member.as_str() == Some(folder)) {
            found.push(format!("{path}: not a member: add {folder:?} to [workspace] members in Cargo.toml"));
        }
    }
    let manifests: Vec<Table> =
        tree.ending("/Cargo.toml").filter_map(|(_, text)| text.parse().ok()).collect();
    let in_use =
        |name: &str| manifests.iter().any(|one| dependencies(one).any(|(_, theirs, _)| theirs == name));
    for name in root["workspace"]["dependencies"].as_table().unwrap().keys() {
        if !in_use(name) {
            found.push(format!("Cargo.toml: nobody uses {name}: take it out of [workspace.dependencies]"));
        }
    }
    let listed = tree.text("Cargo.toml").split("[workspace.dependencies]").nth(1).unwrap_or_default();
    for line in listed.lines().take_while(|line| !line.starts_with('[')) {
        let Some((name, entry)) = line.split_once('=') else { continue };
        let reason = entry.rsplit_once('#').map_or("", |(_, reason)| reason.trim());
        if reason.len() < 3 {
            let name = name.trim();
            found.push(format!("Cargo.toml: {name} has no reason: end its line with # and why we need it"));
        }
    }
    found
}

fn inherited(path: &str, manifest: &Table) -> Vec<String> {
    let mut found = Vec::new();
    let from_root = |value: Option<&Value>| {
        value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
    };
    if !from_root(manifest.get("lints")) {
        found.push(format!("{path}: lints of its own: write [lints] and workspace = true"));
    }
    for key in ["version", "edition", "rust-version", "license", "publish"] {
        if !from_root(manifest.get("package").and_then(|package| package.get(key))) {
            found.push(format!("{path}: {key} of its own: write {key}.workspace = true under [package]"));
        }
    }
    for (_, name, value) in dependencies(manifest) {
        if !from_root(Some(value)) {
            found.push(format!("{path}: {name} has a version of its own: put it with its reason into the root's [workspace.dependencies] and write {name}.workspace = true"));
        }
    }
    found
}

fn imports(path: &str, manifest: &Table) -> Vec<String> {
    let room = room(path);
    let mut found = Vec::new();
    let Some((_, ours)) = OURS.into_iter().find(|(name, _)| *name == room) else { return found };
    for (kind, name, _) in dependencies(manifest) {
        let for_tests = kind == "dev-dependencies";
        let is_ours = name == "tgcall" || name.starts_with("tgtrunk-");
        if is_ours && !ours.contains(&name) && !for_tests {
            found.push(format!(
                "{path}: {room} may not import {name}: let them meet in gateway/src, in bridge's words"
            ));
        }
        if PURE.contains(&room) && !for_tests && (IMPURE.contains(&name) || name.starts_with("grammers")) {
            found.push(format!("{path}: {room} is pure, and {name} is not: take time, chance and bytes as arguments and leave {name} to the shell"));
        }
        if name.starts_with("grammers") && !["telegram", "gateway"].contains(&room) {
            found.push(format!("{path}: {name} stays in telegram/ and the programs' telegram.rs"));
        }
        let home = AT_HOME.into_iter().find(|(guest, _)| *guest == name);
        if home.is_some_and(|(_, rooms)| !rooms.contains(&room)) {
            found.push(format!(
                "{path}: {name} stays in {}: ask that room instead",
                home.unwrap().1.join(", ")
            ));
        }
    }
    found
}

/// Kind, name and value of every dependency.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&'static str, &str, &Value)> {
    ["dependencies", "dev-dependencies", "build-dependencies"].into_iter().flat_map(move |kind| {
        let table = manifest.get(kind).and_then(Value::as_table);
        table.into_iter().flatten().map(move |(name, value)| (kind, name.as_str(), value))
    })
}

#[test]
fn each_rule_of_manifests_can_fail() {
    let member = "[package]\nversion.workspace = true\nedition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\npublish.workspace = true\n";
    let sip = format!(
        "{member}[lints]\nworkspace = true\n[dependencies]\ntgcall.workspace = true\ntokio.workspace = true\ngrammers-client.workspace = true\n"
    );
    let media =
        "[package]\nversion = \"1\"\n[dependencies]\nrsip = \"0.4\"\ntgtrunk-tests.workspace = true\n";
    let tree = Tree::of(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"gateway/sip\"]\n[workspace.dependencies]\ntgcall = 1 #\ntokio = 1\ngrammers-client = 1 # a good reason\nidle = 1 # a good reason\n",
        ),
        ("gateway/sip/Cargo.toml", &sip),
        ("gateway/media/Cargo.toml", media),
        ("gateway/sip/fuzz/Cargo.toml", "[package]\nversion = \"1\"\n"),
    ]);
    let told = complaints(&tree).join("\n");
    for wanted in [
        "gateway/media/Cargo.toml: not a member",
        "nobody uses idle",
        "tgcall has no reason",
        "tokio has no reason",
        "gateway/media/Cargo.toml: lints of its own",
        "gateway/media/Cargo.toml: version of its own",
        "gateway/media/Cargo.toml: rsip has a version of its own",
        "gateway/media may not import tgtrunk-tests",
        "gateway/sip may not import tgcall",
        "gateway/sip is pure, and tokio is not",
        "gateway/sip is pure, and grammers-client is not",
        "grammers-client stays in telegram/",
        "rsip stays in gateway/sip",
        "add \"gateway/sip/fuzz\" to [workspace] exclude",
        "gateway/sip/fuzz/Cargo.toml: keep its Cargo.lock",
    ] {
        assert!(told.contains(wanted), "no {wanted:?} in:\n{told}");
    }
    assert!(!told.contains("grammers-client has no reason"), "{told}");
    assert!(!told.contains("fuzz/Cargo.toml: version of its own"), "{told}");
}
