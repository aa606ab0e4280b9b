//! What programs leave on the disk: no planted secret but where it is at home, which is a file that nobody else may read, as no
//! database is. Tests write other files themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tgtrunk_test_telegram::canary::Search;

/// Where secrets are at home, and which: `SECURITY.md` says why they lie open there.
const HOMES: [(&str, &str); 8] = [
    ("tgtrunk.toml", "api_hash"),
    ("line.toml", "a trunk's password"),
    ("bot.toml", "a bot's token"),
    ("dc-seed.json", "an account's key"),
    ("gateway.db", "an account's key"),
    // Of a login beside the account's own one: it is good for the next.
    ("gateway.login.db", "an account's key"),
    ("client.db", "an account's key"),
    (PASSWORD_FILE, "a trunk's password"),
];
/// A test writes it, and says who may read it.
const PASSWORD_FILE: &str = "trunk.password";
/// What SQLite writes beside a database.
const BESIDE: [&str; 3] = ["-wal", "-journal", "-shm"];

/// What is wrong with the files of a folder, of which `state` is the state directory.
pub fn complaints(folder: &Path, state: &Path) -> Vec<String> {
    let mut found: Vec<String> = open_to_others(state).into_iter().collect();
    look(folder, &Search::default(), &mut found);
    found
}

fn look(folder: &Path, search: &Search, found: &mut Vec<String>) {
    // What goes while one looks is nobody's any more.
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_dir() {
            look(&path, search, found);
        } else if metadata.is_file() {
            found.extend(of_file(&path, search));
        }
    }
}

fn of_file(path: &Path, search: &Search) -> Vec<String> {
    let bytes = fs::read(path).unwrap_or_default();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = BESIDE.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    let all = search.all(&String::from_utf8_lossy(&bytes));
    let is_private = !all.is_empty() || name.ends_with(".db");
    let may_be_open = name == PASSWORD_FILE || !is_private;
    let strange = all.iter().filter(|found| !HOMES.contains(&(name, found.what)));
    let told = strange.map(|found| format!("{}: {}, {}", path.display(), found.what, found.spelled));
    told.chain(open_to_others(path).filter(|_| !may_be_open)).collect()
}

fn open_to_others(path: &Path) -> Option<String> {
    let mode = path.symlink_metadata().ok()?.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then(|| format!("{}: others may use it: mode {mode:04o}", path.display()))
}

#[cfg(test)]
mod tests {
    use tgtrunk_test_telegram::canary::{API_HASH, KEY, PASSWORD};

    use super::*;

    #[test]
    fn a_secret_away_from_home_and_what_others_may_read_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        fs::create_dir(&state).unwrap();
        let write = |path: &str, bytes: &[u8], mode| {
            let path = folder.path().join(path);
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        };
        fs::set_permissions(&state, PermissionsExt::from_mode(0o700)).unwrap();
        write("tgtrunk.toml", API_HASH.as_bytes(), 0o600);
        write("state/texts.toml", b"fine", 0o644);
        write("state/gateway.db-wal", &[&[0xff, 0, 7], &KEY[..]].concat(), 0o600);
        write("gateway.log", b"fine\n", 0o644);
        assert_eq!(complaints(folder.path(), &state), [""; 0]);

        write("gateway.log", format!("fine\n{API_HASH}\n").as_bytes(), 0o644);
        write("state/gateway.db", PASSWORD.as_bytes(), 0o640);
        let mut told = complaints(folder.path(), &state);
        told.sort();
        let expected = [
            "gateway.log: api_hash, in hexadecimal digits",
            "gateway.log: others may use it: mode 0644",
            "gateway.db: an account's password, as it is",
            "gateway.db: others may use it: mode 0640",
        ];
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.ends_with(expected), "{told:?}");
        }

        fs::set_permissions(&state, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(complaints(folder.path(), &state).len(), expected.len() + 1);
    }
}
