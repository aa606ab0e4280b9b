//! The project's files as texts, and where each stands.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Every text file of the project by its path from the root, with `/` between its parts.
pub(crate) struct Tree {
    pub(crate) files: BTreeMap<String, String>,
}

impl Tree {
    /// The project that this test belongs to.
    pub(crate) fn of_project() -> Self {
        let (root, mut tree) = (Self::root(), Self { files: BTreeMap::new() });
        tree.gather(root, "");
        assert!(tree.files.contains_key("Cargo.toml"), "{} is not the project's root", root.display());
        tree
    }

    /// Where it lies.
    pub(crate) fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    /// A project of a test.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let owned = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        Self { files: owned.collect() }
    }

    /// Files whose path ends so, with their folder (no slash at its end).
    pub(crate) fn ending(&self, end: &str) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.ends_with(end))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    pub(crate) fn text(&self, path: &str) -> &str {
        self.files.get(path).map_or("", String::as_str)
    }

    fn gather(&mut self, folder: &Path, prefix: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if ["target", ".git", "__pycache__"].contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                self.gather(&path, &format!("{prefix}{name}/"));
            } else if let Ok(text) = fs::read_to_string(&path) {
                self.files.insert(format!("{prefix}{name}"), text);
            }
        }
    }
}

/// The crate that a file belongs to, by its folder.
pub(crate) fn room(path: &str) -> &str {
    const ROOMS: [&str; 13] = [
        "gateway/sip/",
        "gateway/tgcall/",
        "gateway/media/",
        "gateway/bridge/",
        "gateway/",
        "telegram/",
        "config/",
        "shell/",
        "client/",
        "bot/",
        "tests/telegram/",
        "tests/floor/",
        "tests/",
    ];
    ROOMS.into_iter().find(|room| path.starts_with(room)).map_or("", |room| room.trim_end_matches('/'))
}

/// Rooms without a clock, a socket or a task.
pub(crate) const PURE: [&str; 5] =
    ["config", "gateway/sip", "gateway/tgcall", "gateway/media", "gateway/bridge"];
