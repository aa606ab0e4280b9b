//! `bots/<username>/bot.toml`: one bot. `config/bot.example.toml` shows every key.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bot_name::{BotName, WANTED_BOT_NAME};
use crate::keys::{self, Page, Problem};
use crate::language::Language;
use crate::said::Said;
use crate::secret::{BotToken, WANTED_TOKEN};
use crate::state::{StateDir, StateError};
use crate::units::UserId;

/// One bot, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BotFile {
    /// Who it is to the Bot API.
    pub token: BotToken,
    /// Who is told of troubles beside the lines' own accounts.
    pub operators: Vec<UserId>,
    /// The language of notices, and of texts to people whose own one is not known.
    pub language: Language,
    /// Whether operators are told of troubles.
    pub notices: bool,
    /// How long a trouble must last before it is told.
    pub notice_after: Duration,
}

/// The bots of a state directory as their files tell them.
#[derive(Debug)]
pub struct Bots {
    /// Those that may run, in the order of their names.
    pub bots: Vec<(BotName, BotFile)>,
    /// What is wrong with the others, each with what to mend.
    pub problems: Vec<BotError>,
}

/// Why a bot cannot run.
#[derive(Debug, thiserror::Error)]
pub enum BotError {
    /// Its file cannot be read.
    #[error("{}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// All that is wrong with its settings.
    #[error("{}", keys::listed(.0))]
    Wrong(Vec<Problem>),
    /// Its folder has a name that no bot's folder has.
    #[error("{}: want a folder named by {WANTED_BOT_NAME}, in small letters", .0.display())]
    Folder(PathBuf),
}

/// Why the bot cannot run, in both languages.
impl From<&BotError> for Said {
    fn from(error: &BotError) -> Self {
        let ru = match error {
            BotError::Unreadable { file, source } => {
                format!("{}: файл не читается: {source}", file.display())
            }
            BotError::Wrong(problems) => return keys::said(problems),
            BotError::Folder(path) => format!(
                "{}: папка бота должна называться его именем, маленькими буквами: от 5 до 32 латинских букв, цифр и _",
                path.display()
            ),
        };
        Self::new(error.to_string(), ru)
    }
}

impl BotFile {
    /// A bot with this token and everything else at its default.
    pub fn new(token: BotToken) -> Self {
        Self {
            token,
            operators: Vec::new(),
            language: Language::English,
            notices: true,
            notice_after: Duration::from_secs(10),
        }
    }

    /// Checks a bot's text. `file` appears in errors.
    ///
    /// # Errors
    /// Every mistake in the text.
    pub fn parse(text: &str, file: &Path) -> Result<Self, Vec<Problem>> {
        let page = Page::new(file, text);
        let checked = page.top().and_then(|mut top| {
            let token = top
                .secret("token", WANTED_TOKEN, |value| keys::text(value).and_then(|text| text.parse().ok()));
            let operators = top
                .optional("operators", "a list of up to 50 Telegram ids, as [5123456789]", |value| {
                    keys::list(value, |id| keys::whole::<i64>(id).and_then(|id| UserId::new(id).ok()))
                        .filter(|operators| operators.len() <= 50)
                })
                .unwrap_or_default();
            let languages = [Language::English, Language::Russian];
            let language = top.word("language", &languages.map(|language| (language.as_str(), language)));
            let notices = top.switch("notices", true);
            let notice_after = top.seconds("notice_after_s", 10, 1..=3_600);
            top.finish();
            Some(Self { token: token?, operators, language, notices, notice_after })
        });
        page.finish(checked)
    }

    /// Reads a bot.
    ///
    /// # Errors
    /// [`BotError`], a missing file too.
    pub fn load(state: &StateDir, bot: &BotName) -> Result<Self, BotError> {
        let file = state.bot_file(bot);
        let text = fs::read_to_string(&file)
            .map_err(|source| BotError::Unreadable { file: file.clone(), source })?;
        Self::parse(&text, &file).map_err(BotError::Wrong)
    }

    /// Writes the bot's file as a whole, making its folder.
    ///
    /// # Errors
    /// [`StateError::Io`]; a file that was there is then untouched.
    pub fn write(&self, state: &StateDir, bot: &BotName) -> Result<(), StateError> {
        state.make_bot_dir(bot)?;
        state.replace(&state.bot_file(bot), self.to_toml(bot).as_bytes())
    }

    fn to_toml(&self, bot: &BotName) -> String {
        let operators: Vec<String> = self.operators.iter().map(UserId::to_string).collect();
        format!(
            "# @{bot}. Whoever has the token has the bot: keep this file to yourself.\ntoken = {:?}\n\
             operators = [{}]\nlanguage = {:?}\nnotices = {}\nnotice_after_s = {}\n",
            self.token.as_str(),
            operators.join(", "),
            self.language.as_str(),
            self.notices,
            self.notice_after.as_secs(),
        )
    }
}

impl Bots {
    /// Reads every `bots/<username>/bot.toml`. A folder without one is no bot: it may keep what a bot left.
    ///
    /// # Errors
    /// [`StateError::Io`] when the folder of bots cannot be listed. A wrong bot is no error but a [`BotError`].
    pub fn load(state: &StateDir) -> Result<Self, StateError> {
        let mut loaded = Self { bots: Vec::new(), problems: Vec::new() };
        for folder in state.bot_folders()? {
            let place = state.bots_dir().join(&folder);
            let Some(bot) = folder.parse().ok().filter(|bot: &BotName| bot.folder() == folder) else {
                loaded.problems.push(BotError::Folder(place));
                continue;
            };
            match BotFile::load(state, &bot) {
                Ok(file) => loaded.bots.push((bot, file)),
                Err(BotError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => loaded.problems.push(error),
            }
        }
        Ok(loaded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "123456789:AAExampleExampleExampleExample-12345";

    #[test]
    fn the_shipped_example_holds_every_key_and_each_at_its_default() {
        let example = include_str!("../bot.example.toml");
        let smallest = format!("token = {TOKEN:?}\n");
        assert_eq!(parse(example).unwrap(), parse(&smallest).unwrap());
        assert_eq!(parse(example).unwrap(), BotFile::new(TOKEN.parse().unwrap()));
        let told = parse("no_such_key = 1\n").unwrap_err();
        let allowed = told.into_iter().find_map(|problem| match problem.fault {
            keys::Fault::Unknown { allowed, .. } => Some(allowed),
            _ => None,
        });
        let table: toml::Table = example.parse().unwrap();
        for key in allowed.unwrap() {
            assert!(table.contains_key(key), "config/bot.example.toml lacks {key}");
        }
    }

    #[test]
    fn every_mistake_is_told_and_the_token_is_not() {
        let text = "token = \"123456789:secret-and-short\"\noperators = [\"anna\"]\nlanguage = \"\"\nnotices = 1\nnotice_after_s = 0\n";
        let told: Vec<String> = parse(text).unwrap_err().iter().map(Problem::to_string).collect();
        assert_eq!(
            told,
            [
                &format!("b.toml:1: token = (26 characters, not shown): want {WANTED_TOKEN}"),
                "b.toml:2: operators = [\"anna\"]: want a list of up to 50 Telegram ids, as [5123456789]",
                r#"b.toml:3: language = "": want one of "en", "ru""#,
                "b.toml:4: notices = 1: want true or false",
                "b.toml:5: notice_after_s = 0: want a whole number from 1 to 3600 (seconds)",
            ]
        );
        let told = parse(
            "token = \"123456789:AAExampleExampleExampleExample-12345 \"\ntokne = \"123456789:AAExampleExampleExample\"\n",
        );
        assert!(!format!("{told:?}").contains("Example"), "{told:?}");
    }

    #[test]
    fn a_bot_reads_back_as_it_was_written_for_its_owner_alone() {
        let (_room, state) = state();
        let bot: BotName = "Acme_Bot".parse().unwrap();
        let file = BotFile {
            operators: vec![UserId::new(5_123_456_789).unwrap(), UserId::new(7).unwrap()],
            language: Language::Russian,
            notices: false,
            notice_after: Duration::from_secs(60),
            ..BotFile::new(TOKEN.parse().unwrap())
        };
        file.write(&state, &bot).unwrap();
        assert_eq!(BotFile::load(&state, &bot).unwrap(), file);
        assert_eq!(state.too_open().unwrap(), []);
        assert!(fs::read_to_string(state.bot_file(&bot)).unwrap().starts_with("# @Acme_Bot. "));
        assert!(!format!("{file:?}").contains("Example"));
    }

    #[test]
    fn a_wrong_bot_is_told_and_harms_nobody() {
        let (_room, state) = state();
        assert!(Bots::load(&state).unwrap().bots.is_empty());
        let bot = BotFile::new(TOKEN.parse().unwrap());
        bot.write(&state, &"acme_bot".parse().unwrap()).unwrap();
        for folder in ["left_bot", "Upper_bot", "wrong_bot"] {
            fs::create_dir_all(state.bots_dir().join(folder)).unwrap();
        }
        fs::write(state.bots_dir().join("wrong_bot/bot.toml"), "tken = 1\n").unwrap();
        let loaded = Bots::load(&state).unwrap();
        assert_eq!(loaded.bots, [("acme_bot".parse().unwrap(), bot)]);
        let told: Vec<String> = loaded.problems.iter().map(BotError::to_string).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("bots/Upper_bot: want a folder named by the bot's username"), "{told:?}");
        assert!(told[1].contains("wrong_bot/bot.toml:1: token is missing: "), "{told:?}");
        let missing = BotFile::load(&state, &"left_bot".parse().unwrap()).unwrap_err().to_string();
        assert!(missing.contains("left_bot/bot.toml: "), "{missing}");
    }

    fn state() -> (tempfile::TempDir, StateDir) {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        (room, state)
    }

    fn parse(text: &str) -> Result<BotFile, Vec<Problem>> {
        BotFile::parse(text, Path::new("b.toml"))
    }
}
