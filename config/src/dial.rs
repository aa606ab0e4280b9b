//! `[dial]` of `line.toml`: what digits mean when the PBX dials them.

use toml::de::DeValue;

use crate::keys::{self, Section};

/// What digits without a sign mean when the PBX dials them. `+…` is a phone number and `id#…` an id in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialRule {
    /// Digits that stand before a national number, as 8 in Russia. Empty: there are none.
    pub national_prefix: String,
    /// How many digits follow the national prefix.
    pub national_digits: u32,
    /// Replaces the national prefix.
    pub country_code: String,
    /// What people here dial instead of `+`, as 00.
    pub international_prefixes: Vec<String>,
    /// Other digits are a phone number in international form from this many on.
    pub phone_from_digits: u32,
    /// What fewer digits are.
    pub few_digits: FewDigits,
}

/// What digits are that are too few for a phone number in international form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FewDigits {
    /// A Telegram id.
    Id,
    /// A phone number of this country without its prefix, if they are as many as it has.
    Phone,
}

pub(crate) fn read(mut section: Section<'_, '_>) -> DialRule {
    let digits = |value: &DeValue<'_>| {
        let text = keys::text(value)?;
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.to_owned())
    };
    let national_prefix = section
        .optional("national_prefix", r#"up to 4 digits in quotes, as "8", or "" for none"#, |value| {
            digits(value).filter(|prefix| prefix.len() <= 4)
        })
        .unwrap_or_else(|| "8".to_owned());
    let national_digits = section.number("national_digits", 10, 4..=14, "");
    let country_code = section
        .optional("country_code", r#"1 to 3 digits in quotes, not beginning with 0, as "7""#, |value| {
            digits(value).filter(|code| (1..=3).contains(&code.len()) && !code.starts_with('0'))
        })
        .unwrap_or_else(|| "7".to_owned());
    let international_prefixes = section
        .optional("international_prefixes", r#"a list of 1 to 4 digits in quotes, as ["00"]"#, |value| {
            keys::list(value, |prefix| digits(prefix).filter(|prefix| (1..=4).contains(&prefix.len())))
        })
        .unwrap_or_else(|| vec!["00".to_owned(), "810".to_owned()]);
    let phone_from_digits = section.number("phone_from_digits", 11, 5..=16, "");
    let few_digits = section.word("few_digits", &[("id", FewDigits::Id), ("phone", FewDigits::Phone)]);
    section.finish();
    DialRule {
        national_prefix,
        national_digits,
        country_code,
        international_prefixes,
        phone_from_digits,
        few_digits,
    }
}
