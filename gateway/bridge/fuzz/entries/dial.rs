//! What a PBX dials, read by any rule: a person comes out, or an error that names it.

use tgtrunk_bridge::dial::{self, BareDigits, DialRule, National, Person};

use super::script::Script;

/// Reads the rest of the bytes by the rule in their first ones.
pub fn take(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let how = script.byte();
    let national = National {
        prefix: digits(script.bytes()),
        digits: script.byte().into(),
        country_code: digits(script.bytes()),
    };
    let rule = DialRule {
        national: (how & 1 != 0).then_some(national),
        international_prefixes: if how & 2 != 0 {
            vec!["00".to_owned(), "810".to_owned()]
        } else {
            Vec::new()
        },
        min_phone_digits: script.byte().into(),
        bare_digits: if how & 4 != 0 { BareDigits::Id } else { BareDigits::Phone },
    };
    let dialled = String::from_utf8_lossy(script.bytes()).into_owned();
    match dial::parse(&dialled, &rule) {
        Ok(Person::Phone(phone)) => {
            let digits = phone.trim_start_matches('+');
            assert!(!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()), "{phone:?}");
        }
        Ok(Person::Username(name)) => {
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{name:?}");
        }
        Ok(Person::Id(id)) => assert!(id > 0, "{id}"),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().take(8).map(|byte| char::from(b'0' + byte % 10)).collect()
}
