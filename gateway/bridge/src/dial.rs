//! Whom a PBX means by what it dialled.
//!
//! `+79060000000` or at least eleven digits is a phone, up to ten digits are a Telegram id, `id#12345678901` is one of
//! any length, `tg#name` is a username; `#` may come as `%23`, as a URI must write it (RFC 3261 section 19.1.2).

use crate::cause::Cause;

/// Digits of the shortest and of the longest number that anybody may have (ITU-T E.164 section 6.1).
const E164_DIGITS: std::ops::RangeInclusive<usize> = 5..=15;
/// Characters of a username: 5 to 32, and 4 for those sold at auction.
const USERNAME_CHARS: std::ops::RangeInclusive<usize> = 4..=32;

/// Somebody on Telegram.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Person {
    /// A phone number, `+` and digits.
    Phone(String),
    /// A username without `@`, in the case in which it was dialled.
    Username(String),
    /// A user id.
    Id(i64),
}

/// What digits without a `+` mean on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialRule {
    /// Digits that make a phone number; fewer are [`bare_digits`](Self::bare_digits).
    pub min_phone_digits: usize,
    /// What fewer digits are.
    pub bare_digits: BareDigits,
    /// How people here dial inside their country; `None` where they do not.
    pub national: Option<National>,
    /// What people here dial instead of `+`.
    pub international_prefixes: Vec<String>,
}

/// What a few digits without a `+` mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BareDigits {
    /// A Telegram id.
    Id,
    /// A phone number of this country, without its prefix.
    Phone,
}

/// A country's own way to dial: `prefix` and so many `digits` are `+country_code` and the same digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct National {
    /// What comes before a number inside the country.
    pub prefix: String,
    /// How many digits follow it.
    pub digits: usize,
    /// What takes its place.
    pub country_code: String,
}

impl Default for DialRule {
    /// Russia: `8` and ten digits, or `+7` and the same.
    fn default() -> Self {
        Self {
            min_phone_digits: 11,
            bare_digits: BareDigits::Id,
            national: Some(National { prefix: "8".into(), digits: 10, country_code: "7".into() }),
            international_prefixes: vec!["00".into(), "810".into()],
        }
    }
}

/// Why what was dialled means nobody. The PBX gets [`Cause::BadNumber`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// Neither digits nor one of the two prefixes.
    #[error("dialled {dialled:?}: want a phone (+79060000000), a Telegram id, id#12345 or tg#name")]
    Unknown {
        /// What came.
        dialled: String,
    },
    /// A phone number with too few or too many digits, or with a leading zero.
    #[error("dialled {dialled:?}: want 5 to 15 digits after the +, the first of them not 0")]
    Phone {
        /// What came.
        dialled: String,
    },
    /// An id outside the numbers that Telegram gives.
    #[error("dialled {dialled:?}: want a Telegram id, 1 to 9223372036854775807")]
    Id {
        /// What came.
        dialled: String,
    },
    /// No username.
    #[error("dialled {dialled:?}: want a username of 4 to 32 letters, digits and _, a letter first")]
    Username {
        /// What came.
        dialled: String,
    },
}

impl From<&DialError> for Cause {
    fn from(_: &DialError) -> Self {
        Self::BadNumber
    }
}

/// Reads the user part of what was dialled, with or without its percent signs decoded.
///
/// # Errors
/// [`DialError`] names what is wanted instead.
pub fn parse(dialled: &str, rule: &DialRule) -> Result<Person, DialError> {
    let plain = plain(dialled);
    let user = plain.as_str();
    if let Some(name) = after_prefix(user, "tg#") {
        return username(name).ok_or_else(|| DialError::Username { dialled: dialled.into() });
    }
    if let Some(digits) = after_prefix(user, "id#") {
        return id(digits).ok_or_else(|| DialError::Id { dialled: dialled.into() });
    }

    let (plus, number) = match user.strip_prefix('+') {
        Some(number) => (true, number),
        None => (false, user),
    };
    let digits: String = number.chars().filter(|sign| !is_separator(*sign)).collect();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(DialError::Unknown { dialled: dialled.into() });
    }
    let bad_phone = || DialError::Phone { dialled: dialled.into() };
    if plus {
        phone(&digits).ok_or_else(bad_phone)
    } else if digits.len() >= rule.min_phone_digits {
        phone(&rule.international(&digits)).ok_or_else(bad_phone)
    } else {
        match rule.bare_digits {
            BareDigits::Id => id(&digits).ok_or_else(|| DialError::Id { dialled: dialled.into() }),
            BareDigits::Phone => {
                rule.inside_country(&digits).and_then(|digits| phone(&digits)).ok_or_else(bad_phone)
            }
        }
    }
}

/// The user part that was dialled, its percent signs decoded and what follows it taken away.
pub fn plain(dialled: &str) -> String {
    let decoded = percent_decoded(dialled);
    // Parameters of a telephone number (RFC 3966 section 3) say nothing to Telegram.
    decoded.split(';').next().unwrap_or_default().trim().to_owned()
}

impl DialRule {
    /// The digits that would follow a `+`.
    fn international(&self, digits: &str) -> String {
        if let Some(national) = &self.national
            && let Some(rest) = digits.strip_prefix(&national.prefix)
            && rest.len() == national.digits
        {
            return format!("{}{rest}", national.country_code);
        }
        let prefixes = self.international_prefixes.iter();
        let rest = prefixes.filter_map(|prefix| digits.strip_prefix(prefix.as_str())).next();
        rest.unwrap_or(digits).to_owned()
    }

    fn inside_country(&self, digits: &str) -> Option<String> {
        let national = self.national.as_ref()?;
        (digits.len() == national.digits).then(|| format!("{}{digits}", national.country_code))
    }
}

fn phone(digits: &str) -> Option<Person> {
    (E164_DIGITS.contains(&digits.len()) && !digits.starts_with('0'))
        .then(|| Person::Phone(format!("+{digits}")))
}

fn id(digits: &str) -> Option<Person> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|id| *id > 0).map(Person::Id)
}

fn username(name: &str) -> Option<Person> {
    let name = name.strip_prefix('@').unwrap_or(name);
    let fits = USERNAME_CHARS.contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    fits.then(|| Person::Username(name.to_owned()))
}

/// What follows `prefix`, whose letters may be large.
fn after_prefix<'a>(user: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = user.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Visual separators of RFC 3966 section 5.1.1, and the blank that people put there.
fn is_separator(sign: char) -> bool {
    matches!(sign, '-' | '.' | '(' | ')' | ' ')
}

/// Decodes until nothing changes, twice at most: some stacks encode the percent sign itself.
fn percent_decoded(text: &str) -> String {
    let once = decoded_once(text);
    decoded_once(&once)
}

fn decoded_once(text: &str) -> String {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if first == b'%' => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                decoded.push(high << 4 | low);
                rest = &after[2..];
            }
            None => {
                decoded.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plus_makes_a_phone_of_any_length() {
        for (dialled, number) in [
            ("+79060000000", "+79060000000"),
            ("%2B79060000000", "+79060000000"),
            ("+4912345", "+4912345"),
            ("+42777", "+42777"),
            ("+89060000000", "+89060000000"), // what stands after a + is never rewritten
            ("+7 (906) 000-00.00", "+79060000000"),
            ("+79060000000;npdi", "+79060000000"),
            ("+123456789012345", "+123456789012345"),
        ] {
            assert_eq!(here(dialled), Ok(phone_of(number)), "{dialled}");
        }
    }

    #[test]
    fn eleven_digits_make_a_phone_and_eight_in_front_means_seven() {
        for (dialled, number) in [
            ("79060000000", "+79060000000"),
            ("89060000000", "+79060000000"),
            ("8 (906) 000-00-00", "+79060000000"),
            ("998901234567", "+998901234567"),
            ("812345678901", "+812345678901"), // 8 and eleven digits: Japan
            ("00491701234567", "+491701234567"),
            ("810491701234567", "+491701234567"),
        ] {
            assert_eq!(here(dialled), Ok(phone_of(number)), "{dialled}");
        }
    }

    #[test]
    fn up_to_ten_digits_are_an_id() {
        assert_eq!(here("9060000000"), Ok(Person::Id(9_060_000_000)));
        assert_eq!(here("1"), Ok(Person::Id(1)));
        assert!(matches!(here("0"), Err(DialError::Id { .. })));
    }

    #[test]
    fn an_id_may_be_forced_at_any_length() {
        assert_eq!(here("id#79060000000"), Ok(Person::Id(79_060_000_000)));
        assert_eq!(here("id%2379060000000"), Ok(Person::Id(79_060_000_000)));
        assert_eq!(here("ID#7"), Ok(Person::Id(7)));
        assert_eq!(here("id#9223372036854775807"), Ok(Person::Id(i64::MAX)));
        for bad in ["id#", "id#0", "id#-7", "id#+7", "id#9223372036854775808", "id#7x", "id# 7"] {
            assert!(matches!(here(bad), Err(DialError::Id { .. })), "{bad}");
        }
    }

    #[test]
    fn a_name_is_dialled_behind_tg() {
        for dialled in ["tg#durov", "tg%23durov", "TG#durov", "tg%2523durov", "tg#@durov", "%74g%23durov"] {
            assert_eq!(here(dialled), Ok(Person::Username("durov".into())), "{dialled}");
        }
        assert_eq!(here("tg#Some_Name_7"), Ok(Person::Username("Some_Name_7".into())));
        assert_eq!(here("tg#nice"), Ok(Person::Username("nice".into())), "four letters can be bought");
        let longest = "a".repeat(32);
        assert_eq!(here(&format!("tg#{longest}")), Ok(Person::Username(longest)));
        for bad in
            ["tg#", "tg#abc", "tg#7durov", "tg#_durov", "tg#du rov", "tg#дуров", "tg#dur\r\nov", "tg#@"]
        {
            assert!(matches!(here(bad), Err(DialError::Username { .. })), "{bad}");
        }
        assert!(here(&format!("tg#{}", "a".repeat(33))).is_err());
    }

    #[test]
    fn what_is_nobody_is_answered_with_what_is_wanted() {
        for bad in
            ["", " ", "+", "durov", "s", "*43", "100#", "12a4", "%", "%2", "%zz", "tg", "id", "++7906", "٣٤٥"]
        {
            assert!(matches!(here(bad), Err(DialError::Unknown { .. })), "{bad}");
        }
        for bad in ["+7906", "+0123456789", "+1234567890123456", "1234567890123456", "000000000000"] {
            assert!(matches!(here(bad), Err(DialError::Phone { .. })), "{bad}");
        }
        let error = here("*43").unwrap_err();
        assert_eq!(
            error.to_string(),
            "dialled \"*43\": want a phone (+79060000000), a Telegram id, id#12345 or tg#name"
        );
        assert_eq!(Cause::from(&error).row().status, 484);
    }

    #[test]
    fn another_country_has_another_rule() {
        let germany = DialRule {
            min_phone_digits: 12,
            bare_digits: BareDigits::Id,
            national: Some(National { prefix: "0".into(), digits: 11, country_code: "49".into() }),
            international_prefixes: vec!["00".into()],
        };
        assert_eq!(parse("017012345678", &germany), Ok(phone_of("+4917012345678")));
        assert_eq!(parse("0079060000000", &germany), Ok(phone_of("+79060000000")));
        assert_eq!(parse("79060000000", &germany), Ok(Person::Id(79_060_000_000)));

        let phones_only = DialRule { bare_digits: BareDigits::Phone, ..DialRule::default() };
        assert_eq!(parse("9060000000", &phones_only), Ok(phone_of("+79060000000")));
        assert!(matches!(parse("906000000", &phones_only), Err(DialError::Phone { .. })));
        let nowhere = DialRule { national: None, bare_digits: BareDigits::Phone, ..DialRule::default() };
        assert_eq!(parse("89060000000", &nowhere), Ok(phone_of("+89060000000")));
        assert!(parse("9060000000", &nowhere).is_err());
    }

    #[test]
    fn any_bytes_dialled_are_answered_without_a_panic() {
        let signs = ["%", "2", "3", "#", "t", "g", "i", "d", "+", "é", "\u{1F600}", "\0", ";", "@"];
        let mut seed = 1_u64;
        for _ in 0..200_000 {
            let mut dialled = String::new();
            for _ in 0..seed % 9 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                dialled.push_str(signs[(seed >> 33) as usize % signs.len()]);
            }
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if let Ok(Person::Phone(number)) = here(&dialled) {
                assert!(number.bytes().skip(1).all(|byte| byte.is_ascii_digit()), "{dialled:?}");
            }
        }
    }

    fn here(dialled: &str) -> Result<Person, DialError> {
        parse(dialled, &DialRule::default())
    }

    fn phone_of(number: &str) -> Person {
        Person::Phone(number.into())
    }
}
