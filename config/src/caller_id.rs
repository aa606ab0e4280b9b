//! Templates of what a PBX is shown of a caller: `"{phone}"`, `"tg-{username}"`.

use toml::de::DeValue;

use crate::keys::{self, Section};

/// What a line shows as caller id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerId {
    /// The first of these of which the caller has everything stands where a PBX shows a number.
    pub numbers: Vec<CallerTemplate>,
    /// The same for the display name.
    pub names: Vec<CallerTemplate>,
    /// Whether names are written in ASCII, without emoji.
    pub ascii_names: bool,
    /// Whose calls ask the PBX to show the caller to nobody.
    pub privacy: CallerPrivacy,
}

/// Text with fields to fill in.
pub type CallerTemplate = Vec<CallerPart>;

/// Whose calls ask the PBX to show the caller to nobody (`Privacy: id` of RFC 3325). The PBX itself learns who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerPrivacy {
    /// Nobody's.
    Never,
    /// Those of callers who do not show the account their phone number.
    WithoutPhone,
    /// Everybody's.
    Always,
}

/// A piece of a [`CallerTemplate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerPart {
    /// Stands as it is.
    Text(String),
    /// Is filled in.
    Field(CallerField),
}

/// What may be known of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerField {
    /// `{phone}`: the phone number with `+`, when the caller shows it to this account.
    Phone,
    /// `{digits}`: the phone number without `+`.
    Digits,
    /// `{username}`: the public username, when the caller has one.
    Username,
    /// `{id}`: the Telegram id, which everybody has.
    Id,
    /// `{first_name}`: as typed.
    FirstName,
    /// `{last_name}`: as typed.
    LastName,
    /// `{name}`: both names, or the one that there is.
    Name,
}

const NUMBER_FIELDS: [(&str, CallerField); 4] = [
    ("phone", CallerField::Phone),
    ("digits", CallerField::Digits),
    ("username", CallerField::Username),
    ("id", CallerField::Id),
];
const NAME_FIELDS: [(&str, CallerField); 3] = [
    ("first_name", CallerField::FirstName),
    ("last_name", CallerField::LastName),
    ("name", CallerField::Name),
];
/// Most templates in a list, and signs in one.
const MOST: usize = 10;
const LONGEST: usize = 64;

pub(crate) const WANTED_NUMBERS: &str = r#"a list of up to 10 texts of letters, digits, + - _ . * and {phone}, {digits}, {username}, {id}, as ["{phone}", "tg-{username}"], all different; a word alone, as "phone", is short for "{phone}""#;
const WANTED_NAMES: &str = r#"a list of up to 10 texts with {name}, {first_name}, {last_name}, {phone}, {digits}, {username} or {id}, as ["{name}", "@{username}"]"#;

pub(crate) fn read(top: &mut Section<'_, '_>) -> CallerId {
    let alone = |field| vec![CallerPart::Field(field)];
    let numbers = top
        .optional("caller_id", WANTED_NUMBERS, |value| templates(value, number))
        .unwrap_or_else(|| [CallerField::Phone, CallerField::Username, CallerField::Id].map(alone).into());
    let names = top
        .optional("caller_name", WANTED_NAMES, |value| templates(value, name))
        .unwrap_or_else(|| vec![alone(CallerField::Name)]);
    let ascii_names = top.switch("caller_name_ascii", false);
    let privacy = top.word(
        "caller_privacy",
        &[
            ("never", CallerPrivacy::Never),
            ("without_phone", CallerPrivacy::WithoutPhone),
            ("always", CallerPrivacy::Always),
        ],
    );
    CallerId { numbers, names, ascii_names, privacy }
}

fn templates(
    value: &DeValue<'_>,
    read: impl Fn(&str) -> Option<CallerTemplate>,
) -> Option<Vec<CallerTemplate>> {
    let list = keys::list(value, |text| read(keys::text(text)?))?;
    let different = list.iter().enumerate().all(|(at, template)| !list[..at].contains(template));
    (different && (1..=MOST).contains(&list.len())).then_some(list)
}

fn number(text: &str) -> Option<CallerTemplate> {
    if let Some((_, field)) = NUMBER_FIELDS.iter().find(|(word, _)| *word == text) {
        return Some(vec![CallerPart::Field(*field)]);
    }
    let is_plain = |sign: char| sign.is_ascii_alphanumeric() || "+-_.*".contains(sign);
    parts(text, &NUMBER_FIELDS, is_plain)
}

fn name(text: &str) -> Option<CallerTemplate> {
    parts(text, &[&NUMBER_FIELDS[..], &NAME_FIELDS].concat(), |sign| !sign.is_control())
}

fn parts(
    text: &str,
    fields: &[(&str, CallerField)],
    allowed: impl Fn(char) -> bool,
) -> Option<CallerTemplate> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (word, after) = after.split_once('}')?;
        let (_, field) = fields.iter().find(|(name, _)| *name == word)?;
        if !before.is_empty() {
            parts.push(CallerPart::Text(before.to_owned()));
        }
        parts.push(CallerPart::Field(*field));
        rest = after;
    }
    // A number that is the same for everybody tells a PBX nothing, and would hide who calls.
    if parts.is_empty() {
        return None;
    }
    if !rest.is_empty() {
        parts.push(CallerPart::Text(rest.to_owned()));
    }
    let is_allowed = |part: &CallerPart| match part {
        CallerPart::Text(text) => text.chars().all(|sign| sign != '}' && allowed(sign)),
        CallerPart::Field(_) => true,
    };
    (text.len() <= LONGEST && parts.iter().all(is_allowed)).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_text_with_fields_and_a_word_is_short_for_its_field() {
        let text = |text: &str| CallerPart::Text(text.to_owned());
        let field = CallerPart::Field;
        assert_eq!(number("phone"), Some(vec![field(CallerField::Phone)]));
        assert_eq!(number("{phone}"), number("phone"));
        assert_eq!(number("00{digits}*1"), Some(vec![text("00"), field(CallerField::Digits), text("*1")]));
        assert_eq!(
            name("{last_name}, {first_name} (Т)"),
            Some(vec![field(CallerField::LastName), text(", "), field(CallerField::FirstName), text(" (Т)")])
        );
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for wrong in
            ["", "100", "{", "}", "{phone", "phone}", "{phone}}", "{{phone}}", "{name}", "a b{id}", "<{id}>"]
        {
            assert_eq!(number(wrong), None, "{wrong}");
        }
        for wrong in ["", "name", "{whoever}", "{name}\r\nX: 1"] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
        assert_eq!(name(&format!("{{name}}{}", "x".repeat(LONGEST))), None);
    }
}
