//! What `Cargo.lock` may hold: one TLS, one SQLite, no OpenSSL, no code from anywhere but the registry.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use crate::tree::{PURE, Tree};

const REFUSED: [(&str, &str); 5] = [
    ("openssl", "our TLS is rustls: switch the feature that brings it off"),
    ("openssl-sys", "our TLS is rustls: switch the feature that brings it off"),
    ("native-tls", "our TLS is rustls: switch the feature that brings it off"),
    (
        "libsql-ffi",
        "a second SQLite does not link beside sqlx's: switch grammers-session's default features off",
    ),
    ("rusqlite", "sqlx is our way to SQLite"),
];

/// Stacks of which one version is enough.
const SINGLE: [&str; 4] = ["rustls", "libsqlite3-sys", "tokio", "axum"];

pub(crate) fn complaints(tree: &Tree) -> Vec<String> {
    let lock: Table = tree.text("Cargo.lock").parse().unwrap();
    let packages: Vec<&Table> =
        lock["package"].as_array().unwrap().iter().filter_map(Value::as_table).collect();
    let text = |package: &Table, key: &str| -> String {
        package.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut found = Vec::new();
    for (name, reason) in REFUSED {
        if packages.iter().any(|package| text(package, "name") == name) {
            found.push(format!("Cargo.lock holds {name}: {reason} (cargo tree -i {name} tells who)"));
        }
    }
    for name in SINGLE {
        let versions: Vec<String> = packages
            .iter()
            .filter(|package| text(package, "name") == name)
            .map(|package| text(package, "version"))
            .collect();
        if versions.len() > 1 {
            found.push(format!("Cargo.lock holds {name} {}: want one version", versions.join(" and ")));
        }
    }
    if !packages.iter().any(|package| text(package, "name") == "libsqlite3-sys") {
        found.push("Cargo.lock holds no libsqlite3-sys: sessions live in SQLite, through sqlx".to_owned());
    }
    for package in &packages {
        if text(package, "source").starts_with("git") {
            let name = text(package, "name");
            found.push(format!("Cargo.lock takes {name} from git: take a release, or keep the part we need"));
        }
    }
    found.extend(runtimes(tree, &packages));
    found
}

/// No pure room reaches a runtime through any of its dependencies.
fn runtimes(tree: &Tree, packages: &[&Table]) -> Vec<String> {
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let list = package.get("dependencies").and_then(Value::as_array).into_iter().flatten();
        // An entry is the name, and the version after it where there are several.
        let names = list.filter_map(Value::as_str).filter_map(|entry| entry.split(' ').next());
        needs.entry(package["name"].as_str().unwrap()).or_default().extend(names);
    }
    let mut found = Vec::new();
    for room in PURE {
        let path = format!("{room}/Cargo.toml");
        let Ok(manifest) = tree.text(&path).parse::<Table>() else { continue };
        let direct = manifest.get("dependencies").and_then(Value::as_table).into_iter().flatten();
        let mut open: Vec<(&str, String)> = direct.map(|(name, _)| (name.as_str(), name.clone())).collect();
        let mut seen = BTreeSet::new();
        while let Some((name, way)) = open.pop() {
            if !seen.insert(name) {
                continue;
            }
            if ["tokio", "async-std", "smol", "mio"].contains(&name) {
                found.push(format!(
                    "{path}: brings {name} by {way}: switch that feature off, the room is pure"
                ));
            }
            open.extend(needs.get(name).into_iter().flatten().map(|next| (*next, format!("{way} > {next}"))));
        }
    }
    found
}

#[test]
fn each_rule_of_the_lock_file_can_fail() {
    let package =
        |name: &str, rest: &str| format!("[[package]]\nname = \"{name}\"\nversion = \"1.0.0\"\n{rest}");
    let bad = [
        package("openssl-sys", ""),
        package("libsql-ffi", ""),
        package("rustls", ""),
        package("rustls", ""),
        package("forked", "source = \"git+https://example.org/forked\"\n"),
        package("deep", "dependencies = [\n \"tokio 1.0.0\",\n]\n"),
        package("tokio", ""),
    ];
    let tree = Tree::of(&[
        ("Cargo.lock", &bad.concat()),
        ("gateway/sip/Cargo.toml", "[dependencies]\ndeep = 1\n[dev-dependencies]\ntokio = 1\n"),
    ]);
    let told = complaints(&tree).join("\n");
    for wanted in [
        "holds openssl-sys",
        "holds libsql-ffi",
        "rustls 1.0.0 and 1.0.0",
        "no libsqlite3-sys",
        "takes forked from git",
        "brings tokio by deep > tokio",
    ] {
        assert!(told.contains(wanted), "no {wanted:?} in:\n{told}");
    }
}
