//! The folders of bots, `<state>/bots/<username>/`: one per bot, whichever lines it serves.

use std::fs;
use std::path::PathBuf;

use crate::bot_name::BotName;
use crate::state::{StateDir, StateError, absent_is_fine, failed, make_private_dir};

impl StateDir {
    /// The folder that holds a folder per bot.
    pub fn bots_dir(&self) -> PathBuf {
        self.root().join("bots")
    }

    /// A bot's folder, named by it in small letters.
    pub fn bot_dir(&self, bot: &BotName) -> PathBuf {
        self.bots_dir().join(bot.folder())
    }

    /// A bot's settings, its token among them.
    pub fn bot_file(&self, bot: &BotName) -> PathBuf {
        self.bot_dir(bot).join("bot.toml")
    }

    /// What the bot keeps: people, keys, what was told (SQLite).
    pub fn bot_db(&self, bot: &BotName) -> PathBuf {
        self.bot_dir(bot).join("bot.db")
    }

    /// What the bot says about itself.
    pub fn bot_status(&self, bot: &BotName) -> PathBuf {
        self.bot_dir(bot).join("bot.status.json")
    }

    /// Makes a bot's folder (0700) if it is not there.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn make_bot_dir(&self, bot: &BotName) -> Result<PathBuf, StateError> {
        let dir = self.bot_dir(bot);
        make_private_dir(&dir)?;
        Ok(dir)
    }

    /// The bots that have a folder, in the order of their names.
    ///
    /// # Errors
    /// [`StateError::Io`] when the folder of bots cannot be listed; that there is none is no error.
    pub fn bots(&self) -> Result<Vec<BotName>, StateError> {
        let names = self.bot_folders()?.into_iter().filter_map(|folder| {
            let bot: BotName = folder.parse().ok()?;
            (bot.folder() == folder).then_some(bot)
        });
        Ok(names.collect())
    }

    /// Names of all folders among the bots', sorted.
    pub(crate) fn bot_folders(&self) -> Result<Vec<String>, StateError> {
        let dir = self.bots_dir();
        if dir.is_dir() { Self::folders_in(&dir) } else { Ok(Vec::new()) }
    }

    /// Forgets a bot: its token, its people, their keys. Not an error when there is nothing.
    ///
    /// # Errors
    /// [`StateError::Io`] when the folder cannot be removed.
    pub fn forget_bot(&self, bot: &BotName) -> Result<(), StateError> {
        let dir = self.bot_dir(bot);
        absent_is_fine(fs::remove_dir_all(&dir)).map_err(failed("remove", &dir))
    }

    /// Takes the bot's token away and keeps its people and their keys, so that the bot can come back.
    ///
    /// # Errors
    /// [`StateError::Io`] when the file cannot be removed.
    pub fn retire_bot(&self, bot: &BotName) -> Result<(), StateError> {
        for path in [self.bot_file(bot), self.bot_status(bot)] {
            absent_is_fine(fs::remove_file(&path)).map_err(failed("remove", &path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_bot_has_one_folder_for_its_owner_alone_however_its_name_is_written() {
        let (_room, state) = state();
        let dir = state.make_bot_dir(&bot("Acme_Bot")).unwrap();
        assert_eq!(dir, state.bot_dir(&bot("@acme_BOT")));
        assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
        state.replace(&state.bot_file(&bot("acme_bot")), b"x").unwrap();
        assert_eq!(state.too_open().unwrap(), []);
        assert_eq!(state.bots().unwrap(), [bot("acme_bot")]);
    }

    #[test]
    fn a_token_that_others_can_read_is_told() {
        let (_room, state) = state();
        state.make_bot_dir(&bot("acme_bot")).unwrap();
        let file = state.bot_file(&bot("acme_bot"));
        state.replace(&file, b"x").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let told = state.too_open().unwrap();
        assert_eq!(told.iter().map(|told| told.path.clone()).collect::<Vec<_>>(), [file]);
    }

    #[test]
    fn forgetting_a_bot_removes_its_folder_and_retiring_keeps_its_people() {
        let (_room, state) = state();
        let bot = bot("acme_bot");
        assert_eq!(state.bots().unwrap(), []);
        state.make_bot_dir(&bot).unwrap();
        for file in [state.bot_file(&bot), state.bot_db(&bot), state.bot_status(&bot)] {
            state.replace(&file, b"x").unwrap();
        }
        state.retire_bot(&bot).unwrap();
        assert!(!state.bot_file(&bot).exists() && state.bot_db(&bot).exists());
        state.forget_bot(&bot).unwrap();
        assert!(!state.bot_dir(&bot).exists());
        state.forget_bot(&bot).unwrap();
        state.retire_bot(&bot).unwrap();
    }

    #[test]
    fn folders_that_no_bot_can_have_are_no_bots() {
        let (_room, state) = state();
        for name in ["acme_bot", "Other_Bot", "x", "a-b-c-d"] {
            fs::create_dir_all(state.bots_dir().join(name)).unwrap();
        }
        assert_eq!(state.bots().unwrap(), [bot("acme_bot")]);
    }

    fn state() -> (tempfile::TempDir, StateDir) {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        (room, state)
    }

    fn bot(name: &str) -> BotName {
        name.parse().unwrap()
    }
}
