//! `[dial]` of `line.toml`: what digits mean when the PBX dials them.

use toml::de::DeValue;

use crate::keys::{self, Section};

/// What digits without a sign mean when the PBX dials them. `+…` is a phone number and `id#…` an id in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DialRule {
    /// Rules that write anew what was dialled before it is understood; the first that fits is used.
    pub rewrite: Vec<Rewrite>,
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

/// A rule that writes anew what was dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// A regular expression that has to fit all of it.
    pub pattern: String,
    /// What takes its place; `$1` and the like are its groups.
    pub to: String,
}

/// What digits are that are too few for a phone number in international form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FewDigits {
    /// A Telegram id.
    Id,
    /// A phone number of this country without its prefix, if they are as many as it has.
    Phone,
}

/// Rules of a line, signs of one, and room of its pattern in bytes.
const MOST: usize = 100;
const LONGEST: usize = 200;
const SIZE_LIMIT: usize = 256 * 1_024;

const WANTED_REWRITE: &str = r#"a list of up to 100 texts, each a regular expression, -> and what takes its place, as '8(\d{10}) -> +7$1'"#;

pub(crate) fn read(mut section: Section<'_, '_>) -> DialRule {
    let digits = |value: &DeValue<'_>| {
        let text = keys::text(value)?;
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.to_owned())
    };
    let rewrite = section
        .optional("rewrite", WANTED_REWRITE, |value| {
            keys::list(value, |rule| rewrite(keys::text(rule)?)).filter(|rules| rules.len() <= MOST)
        })
        .unwrap_or_default();
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
        rewrite,
        national_prefix,
        national_digits,
        country_code,
        international_prefixes,
        phone_from_digits,
        few_digits,
    }
}

/// A pattern that is one by itself, and what takes its place.
fn rewrite(text: &str) -> Option<Rewrite> {
    let (pattern, to) = text.split_once("->")?;
    let (pattern, to) = (pattern.trim(), to.trim());
    let reads = regex_lite::RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build().is_ok();
    let sound = text.chars().count() <= LONGEST && !pattern.is_empty() && !text.chars().any(char::is_control);
    (sound && reads).then(|| Rewrite { pattern: pattern.to_owned(), to: to.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rewriting_rule_is_a_pattern_an_arrow_and_what_takes_its_place() {
        let rule = |pattern: &str, to: &str| Some(Rewrite { pattern: pattern.into(), to: to.into() });
        assert_eq!(rewrite(r"8(\d{10}) -> +7$1"), rule(r"8(\d{10})", "+7$1"));
        assert_eq!(rewrite("reception->tg#acme"), rule("reception", "tg#acme"));
        for wrong in ["", "9", "-> 1", "( -> 1", "x)( -> 1", "a{1000}{1000} -> 1", "1 -> 2\n"] {
            assert_eq!(rewrite(wrong), None, "{wrong}");
        }
        assert_eq!(rewrite(&format!("{} -> 1", "1".repeat(200))), None);
    }
}
