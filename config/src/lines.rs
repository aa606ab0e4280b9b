//! All lines of a state directory: read, added, and each harmless to the others when it is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bot_name::BotName;
use crate::keys::{self, Page, Problem};
use crate::line::{self, Line};
use crate::said::Said;
use crate::state::{StateDir, StateError};
use crate::units::Phone;

/// The port that the first line gets when nobody names one.
const FIRST_SIP_PORT: u16 = 30_001;

/// Where settings that came as a [`LineDraft`] say they are from.
const DRAFT: &str = "new line";

/// The lines of a state directory as its files tell them.
#[derive(Debug)]
pub struct Lines {
    /// Those that may run (and those switched off), in the order of their folders' names.
    pub lines: Vec<Line>,
    /// Those that may not, each with what to mend.
    pub problems: Vec<LineProblem>,
}

/// A line that cannot run. The others do not care.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct LineProblem {
    /// The folder's name, which should be the number.
    pub folder: String,
    /// Why it cannot run.
    pub error: LineError,
}

/// Why a line cannot run or cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
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
    /// There is such a line.
    #[error("the line {0} is there already: change its line.toml and reload, or remove it first")]
    Exists(Phone),
    /// No number, so no line.
    #[error("{DRAFT}: phone is missing or no number: want + and 7 to 15 digits, as \"+79060000000\"")]
    NoPhone,
    /// Every port from 30001 on is taken.
    #[error("{DRAFT}: no SIP port from 30001 to 65535 is free: remove a line first")]
    NoPort,
    /// The state directory failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why the line cannot run, in both languages.
impl From<&LineProblem> for Said {
    fn from(problem: &LineProblem) -> Self {
        Self::from(&problem.error)
    }
}

impl From<&LineError> for Said {
    fn from(error: &LineError) -> Self {
        let ru = match error {
            LineError::Unreadable { file, source } => format!("{}: файл не читается: {source}", file.display()),
            LineError::Wrong(problems) => return keys::said(problems),
            LineError::Exists(phone) => format!(
                "линия {phone} уже есть: измените её line.toml и перечитайте настройки или сначала удалите её"
            ),
            LineError::NoPhone => {
                "новая линия: номера нет или это не номер: нужен + и от 7 до 15 цифр, например \"+79060000000\""
                    .to_owned()
            }
            LineError::NoPort => {
                "новая линия: нет свободного порта SIP от 30001 до 65535: сначала удалите какую-нибудь линию"
                    .to_owned()
            }
            LineError::State(error) => return Self::from(error),
        };
        Self::new(error.to_string(), ru)
    }
}

/// A line that somebody wants: the keys of `line.toml`, not checked yet. Only `phone` and `pbx` must be there;
/// `sip_port` is the next free one from 30001 if it is not.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LineDraft {
    keys: Map<String, Value>,
}

impl LineDraft {
    /// A draft with nothing but the number.
    pub fn new(phone: &Phone) -> Self {
        Self::default().set("phone", phone.as_str())
    }

    /// Adds a key of `line.toml`. A section is a JSON object.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.keys.insert(key.to_owned(), value.into());
        self
    }

    /// The number, if it is one.
    pub fn phone(&self) -> Option<Phone> {
        self.keys.get("phone")?.as_str()?.parse().ok()
    }

    fn to_toml(&self) -> Result<String, LineError> {
        // TOML has no null; a key without a value is a key that is not there.
        let keys: Map<String, Value> = self
            .keys
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        toml::to_string(&keys).map_err(|error| {
            let fault = keys::Fault::NotToml { message: error.to_string() };
            LineError::Wrong(vec![Problem { file: DRAFT.into(), line: None, key: String::new(), fault }])
        })
    }
}

impl Lines {
    /// Reads every `<phone>/line.toml`. Of two lines on one port the first in the order of the folders' names runs.
    ///
    /// # Errors
    /// [`StateError::Io`] when the state directory cannot be listed. A wrong line is no error but a [`LineProblem`].
    pub fn load(state: &StateDir) -> Result<Self, StateError> {
        let mut loaded = Self { lines: Vec::new(), problems: Vec::new() };
        let mut taken = BTreeMap::new();
        for folder in state.folders()? {
            let file = state.root().join(&folder).join("line.toml");
            match load_one(&file, &folder, &taken) {
                Ok(None) => {}
                Ok(Some(line)) => {
                    taken.insert(line.sip_port, line.phone.clone());
                    loaded.lines.push(line);
                }
                Err(error) => loaded.problems.push(LineProblem { folder, error }),
            }
        }
        Ok(loaded)
    }

    /// The lines that a bot serves, those that are switched off among them.
    pub fn of_bot(&self, bot: &BotName) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.chat.bot.as_ref() == Some(bot))
    }

    /// Checks a draft against the lines that are there and writes its `line.toml`.
    ///
    /// # Errors
    /// [`LineError`]; nothing is written then.
    pub fn add(state: &StateDir, mut draft: LineDraft) -> Result<Line, LineError> {
        let phone = draft.phone().ok_or(LineError::NoPhone)?;
        let file = state.line_file(&phone);
        if file.exists() {
            return Err(LineError::Exists(phone));
        }
        let taken: BTreeMap<u16, Phone> =
            Self::load(state)?.lines.into_iter().map(|line| (line.sip_port, line.phone)).collect();
        if draft.keys.get("sip_port").is_none_or(Value::is_null) {
            let free = (FIRST_SIP_PORT..=u16::MAX).find(|port| !taken.contains_key(port));
            draft = draft.set("sip_port", free.ok_or(LineError::NoPort)?);
        }
        let text = draft.to_toml()?;
        let page = Page::without_lines(DRAFT, &text);
        let line =
            line::read(page, phone.as_str(), &taken, &state.phone_dir(&phone)).map_err(LineError::Wrong)?;
        state.make_phone_dir(&phone)?;
        state.replace(&file, text.as_bytes())?;
        Ok(line)
    }
}

/// None where there is a folder and no line in it: a number that is logged in but has no line yet, or something else.
fn load_one(file: &Path, folder: &str, taken: &BTreeMap<u16, Phone>) -> Result<Option<Line>, LineError> {
    match fs::read_to_string(file) {
        Ok(text) => Line::parse(&text, file, folder, taken).map(Some).map_err(LineError::Wrong),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LineError::Unreadable { file: file.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_is_reported_and_harms_nobody() {
        let (_room, state) = state();
        write(&state, "+79060000001", "phone = \"+79060000001\"\nsip_port = 30001\npbx = \"127.0.0.1\"\n");
        write(&state, "+79060000002", "phone = \"+79060000002\"\nsip_prot = 30002\npbx = \"127.0.0.1\"\n");
        write(&state, "+79060000003", "phone = \"+79060000003\"\nsip_port = 30003\npbx = \"127.0.0.1\"\n");
        fs::create_dir(state.root().join("+79060000004")).unwrap();
        let loaded = Lines::load(&state).unwrap();
        assert_eq!(phones(&loaded), ["+79060000001", "+79060000003"]);
        let told: Vec<String> = loaded.problems.iter().map(LineProblem::to_string).collect();
        let file = state.root().join("+79060000002/line.toml").display().to_string();
        assert_eq!(told.len(), 1);
        assert!(
            told[0].contains(&format!("{file}:1: sip_port is missing: want a port of its own")),
            "{told:?}"
        );
        assert!(
            told[0].contains(&format!("{file}:2: unknown key sip_prot = 30002: want one of phone, ")),
            "{told:?}"
        );
    }

    #[test]
    fn of_two_lines_on_one_port_the_first_runs_and_both_are_named() {
        let (_room, state) = state();
        for phone in ["+79060000001", "+79060000002"] {
            write(&state, phone, &format!("phone = \"{phone}\"\nsip_port = 30001\npbx = \"127.0.0.1\"\n"));
        }
        let loaded = Lines::load(&state).unwrap();
        assert_eq!(phones(&loaded), ["+79060000001"]);
        let told = loaded.problems[0].to_string();
        assert!(told.contains("+79060000002/line.toml:2: sip_port = 30001"), "{told}");
        assert!(told.ends_with("+79060000001 has this one and runs, this line does not"), "{told}");
    }

    #[test]
    fn a_line_in_a_folder_that_is_no_number_is_reported() {
        let (_room, state) = state();
        write(&state, "79060000001", "phone = \"+79060000001\"\nsip_port = 30001\npbx = \"127.0.0.1\"\n");
        let loaded = Lines::load(&state).unwrap();
        assert!(loaded.lines.is_empty());
        let told = loaded.problems[0].to_string();
        assert!(
            told.ends_with(r#"phone = "+79060000001": want the name of its folder, which is "79060000001""#),
            "{told}"
        );
    }

    #[test]
    fn a_file_that_is_no_text_is_reported() {
        let (_room, state) = state();
        fs::create_dir(state.root().join("+79060000001")).unwrap();
        fs::write(state.root().join("+79060000001/line.toml"), [0xff, 0xfe]).unwrap();
        let told = Lines::load(&state).unwrap().problems[0].to_string();
        assert!(told.contains("+79060000001/line.toml: "), "{told}");
    }

    #[test]
    fn an_added_line_gets_the_next_port_and_reads_back() {
        let (_room, state) = state();
        let first = Lines::add(&state, draft("+79060000001")).unwrap();
        let dial = serde_json::json!({"country_code": "49", "national_prefix": "0"});
        let second = Lines::add(&state, draft("+79060000002").set("dial", dial).set("pbx_user", Value::Null));
        let second = second.unwrap();
        assert_eq!((first.sip_port, second.sip_port), (30001, 30002));
        assert_eq!((second.dial.country_code.as_str(), second.pbx_user.as_str()), ("49", "+79060000002"));
        let loaded = Lines::load(&state).unwrap();
        assert_eq!(loaded.lines, [first, second]);
        assert!(loaded.problems.is_empty() && state.too_open().unwrap().is_empty());
    }

    #[test]
    fn a_bot_has_the_lines_that_name_it_in_whatever_case() {
        let (_room, state) = state();
        for (phone, bot) in
            [("+79060000001", "Acme_Bot"), ("+79060000002", ""), ("+79060000003", "@acme_bot")]
        {
            Lines::add(&state, draft(phone).set("bot", bot)).unwrap();
        }
        let loaded = Lines::load(&state).unwrap();
        let served = |bot: &str| -> Vec<String> {
            let bot = bot.parse().unwrap();
            loaded.of_bot(&bot).map(|line| line.phone.to_string()).collect()
        };
        assert_eq!(served("ACME_bot"), ["+79060000001", "+79060000003"]);
        assert!(served("other_bot").is_empty());
    }

    #[test]
    fn a_photo_of_an_added_line_lies_in_its_folder() {
        let (_room, state) = state();
        let line = Lines::add(&state, draft("+79060000001").set("card_photo", "card.jpg")).unwrap();
        assert_eq!(line.chat.card_photo, Some(state.phone_dir(&line.phone).join("card.jpg")));
        assert_eq!(Lines::load(&state).unwrap().lines, [line]);
    }

    #[test]
    fn a_line_that_cannot_be_added_leaves_nothing_behind() {
        let (_room, state) = state();
        Lines::add(&state, draft("+79060000001")).unwrap();
        let add = |draft| Lines::add(&state, draft).unwrap_err().to_string();
        assert_eq!(
            add(draft("+79060000001")),
            "the line +79060000001 is there already: change its line.toml and reload, or remove it first"
        );
        assert_eq!(
            add(draft("+79060000002").set("sip_port", 30001)),
            "new line: sip_port = 30001: want a port of its own from 1024 to 65535: +79060000001 has this one and runs, this line does not"
        );
        assert!(
            add(draft("+79060000002").set("rang", 1))
                .starts_with("new line: unknown key rang = 1: want one of phone, ")
        );
        assert_eq!(
            add(draft("79060000002")),
            r#"new line: phone is missing or no number: want + and 7 to 15 digits, as "+79060000000""#
        );
        assert_eq!(fs::read_dir(state.root()).unwrap().count(), 1);
    }

    fn state() -> (tempfile::TempDir, StateDir) {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        (room, state)
    }

    fn write(state: &StateDir, folder: &str, text: &str) {
        let dir = state.root().join(folder);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("line.toml"), text).unwrap();
    }

    fn draft(phone: &str) -> LineDraft {
        LineDraft::default().set("phone", phone).set("pbx", "127.0.0.1:5060")
    }

    fn phones(loaded: &Lines) -> Vec<&str> {
        loaded.lines.iter().map(|line| line.phone.as_str()).collect()
    }
}
