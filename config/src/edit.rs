//! Files changed key by key, with their comments kept: `line.toml`, `texts.toml` and `tgtrunk.toml`.
//!
//! The changed text is checked by the code that reads the file before it takes the file's place.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Map, Value};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table};

use crate::keys::{self, Fault, Problem};
use crate::line::Line;
use crate::lines::Lines;
use crate::settings::Settings;
use crate::state::{self, StateDir, StateError};
use crate::texts::Texts;
use crate::units::Phone;

/// Another value for one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key with its sections, as `dial.country_code`.
    pub key: String,
    /// A text, a whole number, true or false, or a list of those or of objects of those. None takes the key out.
    pub value: Option<Value>,
}

/// Why a file stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// All that would be wrong in it.
    #[error("{}", keys::listed(.0))]
    Wrong(Vec<Problem>),
    /// It cannot be read or written.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Change {
    /// A change of `key` to `value`.
    pub fn new(key: impl Into<String>, value: impl Into<Value>) -> Self {
        Self { key: key.into(), value: Some(value.into()) }
    }
}

impl Lines {
    /// Changes a line's `line.toml`.
    ///
    /// # Errors
    /// [`EditError`]; the file is then untouched.
    pub fn change(state: &StateDir, phone: &Phone, changes: &[Change]) -> Result<Line, EditError> {
        let file = state.line_file(phone);
        let others = Self::load(state)?.lines.into_iter().filter(|line| line.phone != *phone);
        let taken: BTreeMap<u16, Phone> = others.map(|line| (line.sip_port, line.phone)).collect();
        edit(&file, &read(&file)?, changes, |text| Line::parse(text, &file, phone.as_str(), &taken))
    }
}

impl Texts {
    /// Changes a line's `texts.toml`, making it if it is not there.
    ///
    /// # Errors
    /// [`EditError`]; the file is then untouched.
    pub fn change(state: &StateDir, phone: &Phone, changes: &[Change]) -> Result<Self, EditError> {
        let file = state.texts_file(phone);
        let before = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other.map_err(state::failed("read", &file))?,
        };
        edit(&file, &before, changes, |text| Self::parse(text, &file))
    }
}

impl Settings {
    /// Changes `tgtrunk.toml`.
    ///
    /// # Errors
    /// [`EditError`]; the file is then untouched.
    pub fn change(file: &Path, changes: &[Change]) -> Result<Self, EditError> {
        edit(file, &read(file)?, changes, |text| Self::parse_keys(text, file))
    }
}

/// What stands in a settings file, by key with its sections; what is wrong with it too. Nothing is checked.
///
/// # Errors
/// The problem with a text that is not TOML.
pub fn written(text: &str, file: &Path) -> Result<BTreeMap<String, Value>, Vec<Problem>> {
    let table: Map<String, Value> = toml::from_str(text).map_err(|_| not_toml(text, file))?;
    let mut found = BTreeMap::new();
    flatten(String::new(), table, &mut found);
    Ok(found)
}

fn flatten(prefix: String, table: Map<String, Value>, found: &mut BTreeMap<String, Value>) {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match value {
            Value::Object(table) => flatten(format!("{name}."), table, found),
            value => drop(found.insert(name, value)),
        }
    }
}

fn read(file: &Path) -> Result<String, StateError> {
    fs::read_to_string(file).map_err(state::failed("read", file))
}

fn edit<T>(
    file: &Path,
    before: &str,
    changes: &[Change],
    check: impl FnOnce(&str) -> Result<T, Vec<Problem>>,
) -> Result<T, EditError> {
    let mut document: DocumentMut = before.parse().map_err(|_| EditError::Wrong(not_toml(before, file)))?;
    for change in changes {
        apply(document.as_table_mut(), change).map_err(|()| {
            let fault = Fault::Value { value: "[…]".to_owned(), wanted: "a section".to_owned() };
            EditError::Wrong(vec![Problem {
                file: file.to_owned(),
                line: None,
                key: change.key.clone(),
                fault,
            }])
        })?;
    }
    let after = document.to_string();
    let checked = check(&after).map_err(EditError::Wrong)?;
    if after != before {
        // Other programs may read the file as members of its group.
        let mode = fs::metadata(file).ok().map(|file| file.permissions().mode() & 0o777);
        state::swap(file, after.as_bytes(), fs::File::sync_all)?;
        if let Some(mode) = mode {
            fs::set_permissions(file, Permissions::from_mode(mode)).map_err(state::failed("write", file))?;
        }
    }
    Ok(checked)
}

/// What the reader of all settings files says of a text that is not TOML.
fn not_toml(text: &str, file: &Path) -> Vec<Problem> {
    let page = keys::Page::new(file, text);
    page.top();
    page.finish::<()>(None).err().unwrap_or_default()
}

fn apply(top: &mut Table, change: &Change) -> Result<(), ()> {
    let mut sections: Vec<&str> = change.key.split('.').collect();
    let key = sections.pop().unwrap_or_default();
    let mut table: &mut dyn toml_edit::TableLike = top;
    for section in sections {
        if change.value.is_none() && table.get(section).is_none() {
            return Ok(());
        }
        let item = table.entry(section).or_insert_with(|| Item::Table(Table::new()));
        table = item.as_table_like_mut().ok_or(())?;
    }
    let Some(value) = &change.value else {
        table.remove(key);
        return Ok(());
    };
    let mut fresh = as_toml(value).ok_or(())?;
    match table.get_mut(key) {
        Some(Item::Value(old)) => {
            *fresh.decor_mut() = old.decor().clone();
            *old = fresh;
        }
        _ => {
            table.remove(key);
            table.insert(key, Item::Value(fresh));
        }
    }
    Ok(())
}

fn as_toml(value: &Value) -> Option<toml_edit::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(switch) => (*switch).into(),
        Value::Number(number) => number.as_i64()?.into(),
        Value::String(text) => text.as_str().into(),
        Value::Array(elements) => {
            let elements: Option<Array> = elements.iter().map(as_toml).collect();
            elements?.into()
        }
        Value::Object(keys) => {
            let keys: Option<InlineTable> =
                keys.iter().map(|(key, value)| Some((key.as_str(), as_toml(value)?))).collect();
            keys?.into()
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::language::Language;
    use crate::lines::LineDraft;
    use crate::texts::{TextKey, Words};

    #[test]
    fn a_changed_line_keeps_its_comments_and_its_order() {
        let (_room, state, phone) = line();
        let file = state.line_file(&phone);
        let text = "# ours\nphone = \"+79060000000\" # the number\nsip_port = 30001\npbx = \"127.0.0.1\"\n\n# abroad\n[dial]\ncountry_code = \"7\" # Russia\n";
        state.replace(&file, text.as_bytes()).unwrap();
        let menu = json!([{"name": "Sales", "extension": "101"}]);
        let line = Lines::change(
            &state,
            &phone,
            &[
                Change::new("dial.country_code", "49"),
                Change::new("sip_port", 30_005),
                Change::new("menu", menu),
                Change::new("card_contact.phone", "+79060000001"),
            ],
        )
        .unwrap();
        assert_eq!((line.sip_port, line.chat.menu.len()), (30_005, 1));
        let changed = fs::read_to_string(&file).unwrap();
        assert!(
            changed.starts_with("# ours\nphone = \"+79060000000\" # the number\nsip_port = 30005\n"),
            "{changed}"
        );
        assert!(changed.contains("# abroad\n[dial]\ncountry_code = \"49\" # Russia\n"), "{changed}");
        assert!(changed.contains("menu = [{ extension = \"101\", name = \"Sales\" }]"), "{changed}");
        assert!(changed.contains("[card_contact]\nphone = \"+79060000001\"\n"), "{changed}");
    }

    #[test]
    fn a_wrong_value_is_told_with_its_key_and_leaves_the_file_alone() {
        let (_room, state, phone) = line();
        Lines::add(&state, LineDraft::new(&"+79060000002".parse().unwrap()).set("pbx", "127.0.0.1")).unwrap();
        let before = fs::read_to_string(state.line_file(&phone)).unwrap();
        let told = Lines::change(
            &state,
            &phone,
            &[Change::new("ring_limit_s", 4), Change::new("sip_port", 30_002), Change::new("pbx", "a b")],
        );
        let Err(EditError::Wrong(problems)) = told else { panic!("{told:?}") };
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert!(["ring_limit_s", "sip_port", "pbx"].iter().all(|key| keys.contains(key)), "{keys:?}");
        assert_eq!(fs::read_to_string(state.line_file(&phone)).unwrap(), before);
    }

    #[test]
    fn texts_are_changed_where_there_was_no_file_and_a_text_of_several_lines_reads_back() {
        let (_room, state, phone) = line();
        let text = "Здравствуйте, {name}!\n\"Акме\" \\ слушает";
        let texts = Texts::change(&state, &phone, &[Change::new("ru.keypad", text)]).unwrap();
        let words = Words { name: "Анна".into(), ..Words::default() };
        let said = texts.say(TextKey::Keypad, Language::Russian, &words);
        assert_eq!(said, "Здравствуйте, Анна!\n\"Акме\" \\ слушает");
        assert_eq!(Texts::load(&state, &phone).unwrap(), texts);
        let told = Texts::change(&state, &phone, &[Change::new("en.card", "{nobody}")]).unwrap_err();
        assert!(told.to_string().contains("en.card = …{nobody}…"), "{told}");
        let none = Change { key: "ru.keypad".into(), value: None };
        assert_eq!(Texts::change(&state, &phone, &[none]).unwrap(), Texts::default());
    }

    #[test]
    fn settings_keep_their_mode_and_a_file_with_mistakes_is_mended_key_by_key() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("tgtrunk.toml");
        let text = "[telegram]\napi_id = 0 # mine\napi_hash = \"0123456789abcdef0123456789abcdef\"\n";
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        assert!(Settings::load(&file).is_err());
        assert_eq!(written(text, &file).unwrap()["telegram.api_id"], 0);
        let settings =
            Settings::change(&file, &[Change::new("telegram.api_id", 5), Change::new("page.listen", "off")]);
        assert_eq!(settings.unwrap(), Settings::load(&file).unwrap());
        assert!(fs::read_to_string(&file).unwrap().contains("api_id = 5 # mine\n"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_file_that_is_not_toml_or_cannot_be_read_is_told_and_left_alone() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("tgtrunk.toml");
        let told = Settings::change(&file, &[]).unwrap_err().to_string();
        assert!(told.starts_with("cannot read "), "{told}");
        fs::write(&file, "[telegram]\napi_id = \n").unwrap();
        let told = Settings::change(&file, &[Change::new("telegram.api_id", 5)]).unwrap_err().to_string();
        assert!(told.contains("tgtrunk.toml:2: not TOML: "), "{told}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "[telegram]\napi_id = \n");
        fs::write(&file, "telegram = 1\n").unwrap();
        let told = Settings::change(&file, &[Change::new("telegram.api_id", 5)]).unwrap_err().to_string();
        assert!(told.ends_with("telegram.api_id = […]: want a section"), "{told}");
    }

    fn line() -> (tempfile::TempDir, StateDir, Phone) {
        let room = tempfile::tempdir().unwrap();
        let state = StateDir::open(room.path().join("state")).unwrap();
        let phone: Phone = "+79060000000".parse().unwrap();
        Lines::add(&state, LineDraft::new(&phone).set("pbx", "127.0.0.1")).unwrap();
        (room, state, phone)
    }
}
