//! Names that strangers typed, put into any template: nothing leaves that could end a header.

use tgtrunk_bridge::caller_id::{Caller, CallerIdRule, Field, Part, Template};

use super::script::Script;

const FIELDS: [Field; 7] =
    [Field::Phone, Field::Digits, Field::Username, Field::Id, Field::FirstName, Field::LastName, Field::Name];

/// A caller and templates out of the bytes.
pub fn take(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let how = script.byte();
    let known = |flag: u8, text: String| (how & flag != 0).then_some(text);
    let [phone, username, first, last] = [(); 4].map(|()| text(script.bytes()));
    let caller = Caller {
        id: i64::from(script.word()),
        phone: known(1, phone),
        username: known(2, username),
        first_name: known(4, first),
        last_name: known(8, last),
    };
    let rule = CallerIdRule {
        numbers: templates(&mut script),
        names: templates(&mut script),
        ascii_names: how & 16 != 0,
    };
    let shown = rule.apply(&caller);
    for (name, value) in caller.headers("context") {
        assert!(!value.chars().any(char::is_control) && value.len() <= 400, "{name}: {value:?}");
    }
    for value in [&shown.user, &shown.display_name] {
        assert!(!value.is_empty() && !value.chars().any(char::is_control), "{value:?}");
        assert!(value.len() <= 400, "{value:?}");
    }
    assert!(!rule.ascii_names || shown.display_name.is_ascii(), "{:?}", shown.display_name);
}

fn templates(script: &mut Script<'_>) -> Vec<Template> {
    (0..script.byte() % 4)
        .map(|_| {
            let parts = (0..script.byte() % 5).map(|_| match script.byte() {
                field if field & 0x80 != 0 => Part::Field(FIELDS[usize::from(field) % FIELDS.len()]),
                _ => Part::Text(text(script.bytes())),
            });
            Template(parts.collect())
        })
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
