//! The folders of instances that are no lines, `<state>/instances/4100000001/`: accounts that a partner's program made for
//! its messages. What they are called and who made them stands in the register beside them.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use crate::state::{StateDir, StateError, absent_is_fine, failed, make_private_dir};

impl StateDir {
    /// The folder that holds a folder per instance.
    pub fn instances_dir(&self) -> PathBuf {
        self.root().join("instances")
    }

    /// Which instances there are and were.
    pub fn instances_file(&self) -> PathBuf {
        self.instances_dir().join("register.json")
    }

    /// By what a partner's token is known.
    pub fn partner_file(&self) -> PathBuf {
        self.instances_dir().join("partner-token.sha256")
    }

    /// An instance's folder, named by its number.
    pub fn instance_dir(&self, id: i64) -> PathBuf {
        self.instances_dir().join(id.to_string())
    }

    /// The client's session with Telegram for an instance, and its messages (SQLite).
    pub fn instance_db(&self, id: i64) -> PathBuf {
        self.instance_dir(id).join("client.db")
    }

    /// Makes the folder of all instances (0700) if it is not there.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn make_instances_dir(&self) -> Result<(), StateError> {
        make_private_dir(&self.instances_dir())
    }

    /// Makes an instance's folder (0700) if it is not there.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn make_instance_dir(&self, id: i64) -> Result<(), StateError> {
        make_private_dir(&self.instance_dir(id))
    }

    /// Stands in an instance's folder as long as it is being made.
    pub fn instance_mark(&self, id: i64) -> PathBuf {
        self.instance_dir(id).join("unfinished")
    }

    /// Makes an instance's folder (0700), marked as that of one which is being made.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn begin_instance(&self, id: i64) -> Result<(), StateError> {
        self.make_instance_dir(id)?;
        let mark = self.instance_mark(id);
        // In one step: a folder with something half written in it would be somebody's.
        let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&mark);
        made.map(drop).map_err(failed("write", &mark))
    }

    /// An instance is made: its folder is no more marked.
    ///
    /// # Errors
    /// [`StateError::Io`]; that it is not marked is no error.
    pub fn finish_instance(&self, id: i64) -> Result<(), StateError> {
        let mark = self.instance_mark(id);
        absent_is_fine(fs::remove_file(&mark)).map_err(failed("remove", &mark))
    }

    /// Whether a folder among the instances' is what was left of one that was never finished, or of one half removed.
    pub fn is_unfinished_instance(&self, folder: &str) -> bool {
        let dir = self.instances_dir().join(folder);
        let is_empty = || fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_none());
        let is_gone = folder.starts_with('.') && folder.ends_with(".gone");
        is_gone || folder.parse::<i64>().is_ok_and(|id| self.instance_mark(id).exists() || is_empty())
    }

    /// Names of all folders among the instances', sorted; that there is none is no error.
    ///
    /// # Errors
    /// [`StateError::Io`] when they cannot be listed.
    pub fn instance_folders(&self) -> Result<Vec<String>, StateError> {
        let dir = self.instances_dir();
        if dir.is_dir() { Self::folders_in(&dir) } else { Ok(Vec::new()) }
    }

    /// Forgets a folder among the instances': it is out of the way at once, whatever becomes of what is in it.
    ///
    /// # Errors
    /// [`StateError::Io`] when it cannot be removed; that there is none is no error.
    pub fn forget_instance(&self, folder: &str) -> Result<(), StateError> {
        let (dir, gone) =
            (self.instances_dir().join(folder), self.instances_dir().join(format!(".{folder}.gone")));
        if !folder.starts_with('.') {
            absent_is_fine(fs::rename(&dir, &gone)).map_err(failed("remove", &dir))?;
            return absent_is_fine(fs::remove_dir_all(&gone)).map_err(failed("remove", &gone));
        }
        absent_is_fine(fs::remove_dir_all(&dir)).map_err(failed("remove", &dir))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_finished_or_is_half_removed_is_of_nobody() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        for id in [4_100_000_001, 4_100_000_002, 4_100_000_003] {
            state.make_instance_dir(id).unwrap();
        }
        state.replace(&state.instance_db(4_100_000_001), b"x").unwrap();
        state.begin_instance(4_100_000_002).unwrap();
        state.begin_instance(4_100_000_001).unwrap();
        state.finish_instance(4_100_000_001).unwrap();
        assert_eq!(state.too_open().unwrap(), []);
        for folder in [".4100000004.gone", "4100000001.bak", ".hidden"] {
            make_private_dir(&state.instances_dir().join(folder)).unwrap();
        }
        let folders = state.instance_folders().unwrap();
        let unfinished: Vec<&String> =
            folders.iter().filter(|folder| state.is_unfinished_instance(folder)).collect();
        assert_eq!(unfinished, [".4100000004.gone", "4100000002", "4100000003"]);
    }

    #[test]
    fn a_forgotten_instance_leaves_nothing_and_a_half_removed_one_is_removed_later() {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        assert_eq!(state.instance_folders().unwrap(), Vec::<String>::new());
        state.make_instance_dir(4_100_000_001).unwrap();
        state.replace(&state.instance_db(4_100_000_001), b"x").unwrap();
        make_private_dir(&state.instances_dir().join(".4100000002.gone")).unwrap();
        assert_eq!(state.instance_folders().unwrap(), [".4100000002.gone", "4100000001"]);
        assert_eq!(state.too_open().unwrap(), []);
        for folder in state.instance_folders().unwrap() {
            state.forget_instance(&folder).unwrap();
            state.forget_instance(&folder).unwrap();
        }
        assert_eq!(state.instance_folders().unwrap(), Vec::<String>::new());
    }
}
