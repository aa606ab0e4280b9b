//! Fields of a form as changes of a file, and what is wrong with a file as sentences beside its fields.

use serde_json::{Value, json};
use tgtrunk_config::{Change, EditError, Problem, Said};

use super::fields::Fields;
use super::load::VEIL;
use super::model::Typed;
use super::setting::{Group, Kind, Setting};

/// What of a form differs from what stands in the file or holds by default. `typed` holds the file's values, and then
/// what was typed.
///
/// # Errors
/// When a field is nothing that its key could be; `typed` says which.
pub(super) fn changes(fields: &Fields, groups: &[Group], typed: &mut Typed) -> Result<Vec<Change>, Said> {
    let (mut changes, mut wrong) = (Vec::new(), 0);
    for setting in groups.iter().flat_map(|group| group.settings) {
        let name = setting.name();
        let Some(given) = fields.given(&name) else { continue };
        let given = match setting.kind {
            Kind::Menu => given.trim_end().to_owned(),
            _ => given.trim().to_owned(),
        };
        let before = typed.0.get(&name).map_or(setting.default, |entry| entry.value.as_str()).to_owned();
        if given == before || (matches!(setting.kind, Kind::Secret) && given.is_empty()) {
            continue;
        }
        let is_absent = !typed.0.contains_key(&name);
        typed.set(&name, if matches!(setting.kind, Kind::Secret) { "" } else { given.as_str() });
        if matches!(setting.kind, Kind::Proxy) && given.contains(VEIL) {
            typed.refuse(&name, Said::new("want the password too", "нужен и пароль"));
            wrong += 1;
            continue;
        }
        match read(setting, &given) {
            // A number that is not given holds by default.
            Ok(None) if is_absent => {}
            Ok(value) => changes.push(Change { key: name, value }),
            Err(said) => {
                typed.refuse(&name, said);
                wrong += 1;
            }
        }
    }
    if wrong > 0 { Err(summary(wrong)) } else { Ok(changes) }
}

fn read(setting: &Setting, given: &str) -> Result<Option<Value>, Said> {
    Ok(Some(match setting.kind {
        Kind::Number(_) | Kind::Proxy if given.is_empty() => return Ok(None),
        Kind::Text | Kind::Secret | Kind::Proxy | Kind::Choice(_) => given.into(),
        Kind::Number(_) => match given.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => return Err(Said::new("want a whole number", "нужно целое число")),
        },
        Kind::Switch => (given == "true").into(),
        Kind::List => {
            let parts = given.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
            parts.map(Value::from).collect()
        }
        Kind::Lines => {
            given.lines().map(str::trim).filter(|line| !line.is_empty()).map(Value::from).collect()
        }
        Kind::Menu => {
            let rows = given.lines().filter(|line| !line.trim().is_empty());
            let rows: Option<Vec<Value>> = rows
                .map(|row| {
                    let (name, extension) = row.rsplit_once('=')?;
                    Some(json!({"name": name.trim(), "extension": extension.trim()}))
                })
                .collect();
            rows.ok_or_else(|| {
                Said::new("want a row a line, as Sales = 101", "нужна кнопка в каждой строке: Продажи = 101")
            })?
            .into()
        }
    }))
}

/// Puts what is wrong beside the fields, and says it as a whole.
pub(super) fn refuse(error: &EditError, typed: &mut Typed) -> Said {
    let EditError::Wrong(problems) = error else { return told(error) };
    for problem in problems {
        typed.refuse(&problem.key, sentence(problem));
    }
    match problems.as_slice() {
        [problem] if problem.key.is_empty() => Said::from(problem),
        _ => summary(problems.len()),
    }
}

/// Why a file was not changed.
pub(super) fn told(error: &EditError) -> Said {
    match error {
        EditError::Wrong(problems) => {
            let all: Vec<Said> = problems.iter().map(Said::from).collect();
            Said::listed(&all, "; ")
        }
        EditError::State(error) => Said::from(error).within(
            |error| format!("Nothing was saved: {error}. Mend the permissions or make room, and save again."),
            |error| {
                format!(
                    "Ничего не сохранено: {error}. Исправьте права или освободите место и сохраните снова."
                )
            },
        ),
    }
}

/// How many fields are wrong.
pub(super) fn summary(wrong: usize) -> Said {
    match wrong {
        1 => Said::new("One field needs a look.", "Одно поле заполнено неверно."),
        many => Said::new(format!("{many} fields need a look."), format!("Неверно заполнено полей: {many}.")),
    }
}

/// What is wrong with one field.
pub(super) fn sentence(problem: &Problem) -> Said {
    problem.wanted().unwrap_or_else(|| Said::from(problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::setting::{LINE, SYSTEM};

    #[test]
    fn only_what_differs_from_the_file_and_from_the_defaults_is_changed() {
        let mut typed = Typed::default();
        typed.set("company", "Acme");
        typed.set("max_calls", "5");
        let made = made(
            &[
                ("company", "Acme"),
                ("keypad", "true"),
                ("ring_limit_s", " 60 "),
                ("max_calls", ""),
                ("allowed_sources", "192.0.2.7, 192.0.2.8"),
                ("menu", "Sales = 101\n\n Support=102 "),
                ("dial.country_code", "49"),
                ("typed_digits", "false"),
            ],
            &mut typed,
        );
        let none = Change { key: "max_calls".into(), value: None };
        let menu = json!([{"name": "Sales", "extension": "101"}, {"name": "Support", "extension": "102"}]);
        let mut wanted = vec![
            Change::new("ring_limit_s", 60),
            none,
            Change::new("allowed_sources", json!(["192.0.2.7", "192.0.2.8"])),
            Change::new("menu", menu),
            Change::new("dial.country_code", "49"),
            Change::new("typed_digits", false),
        ];
        let mut made = made.unwrap();
        wanted.sort_by(|a, b| a.key.cmp(&b.key));
        made.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(made, wanted);
    }

    #[test]
    fn a_form_that_comes_back_as_it_was_shown_changes_nothing() {
        let shown: Vec<(String, String)> = LINE
            .iter()
            .flat_map(|group| group.settings)
            .map(|setting| (setting.name(), setting.default.to_owned()))
            .collect();
        let mut typed = Typed::default();
        let changes = changes(&Fields::new(shown).unwrap(), LINE, &mut typed).unwrap();
        assert!(changes.is_empty(), "{changes:?}");
    }

    #[test]
    fn what_no_key_could_be_is_told_beside_its_field() {
        let mut typed = Typed::default();
        let told = made(&[("ring_limit_s", "soon"), ("menu", "Sales")], &mut typed).unwrap_err();
        assert_eq!(told.en, "2 fields need a look.");
        assert_eq!(typed.value("ring_limit_s"), "soon");
        assert_eq!(typed.problem("ring_limit_s").unwrap().en, "want a whole number");
        assert_eq!(typed.problem("menu").unwrap().ru, "нужна кнопка в каждой строке: Продажи = 101");
    }

    #[test]
    fn a_proxy_is_shown_without_its_password_kept_as_it_is_and_taken_away() {
        let key = "telegram.proxy";
        let held = [(key.to_owned(), json!("socks5://anna:s3cret@10.0.0.1:1080"))].into();
        let shown = crate::page::load::as_typed(&held, SYSTEM);
        assert_eq!(shown, [(key.to_owned(), "socks5://anna:••••@10.0.0.1:1080".to_owned())]);
        let posted = |given: &str| {
            let mut typed = Typed::default();
            typed.set(key, &shown[0].1);
            let fields = Fields::new(vec![(key.to_owned(), given.to_owned())]).unwrap();
            changes(&fields, SYSTEM, &mut typed)
        };
        assert_eq!(posted(&shown[0].1), Ok(vec![]));
        assert_eq!(posted(""), Ok(vec![Change { key: key.into(), value: None }]));
        let other = "socks5://anna:other@10.0.0.1:1080";
        assert_eq!(posted(other), Ok(vec![Change::new(key, other)]));
        assert!(posted("socks5://anna:••••@10.0.0.2:1080").is_err());
    }

    fn made(fields: &[(&str, &str)], typed: &mut Typed) -> Result<Vec<Change>, Said> {
        let pairs = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        changes(&Fields::new(pairs.collect()).unwrap(), LINE, typed)
    }
}
