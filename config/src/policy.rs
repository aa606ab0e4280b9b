//! `[from_telegram]`, `[to_telegram]` and `[owner]` of `line.toml`: who may call whom, how often, and whose calls are
//! whose.

use std::time::Duration;

use toml::de::DeValue;

use crate::chat::{WANTED_EXTENSION, is_extension};
use crate::keys::{self, Section};

/// Whose calls from Telegram reach the PBX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromTelegram {
    /// Only these people's; everybody's, if it is empty.
    pub allow: Vec<PersonPattern>,
    /// Not these people's, though they may be allowed.
    pub deny: Vec<PersonPattern>,
    /// What the others get.
    pub refused: Refused,
    /// Whether they get a message, too.
    pub refused_message: bool,
    /// How long the same person gets no second message, of those for who called at a wrong hour either.
    pub message_every: Duration,
    /// How many of their calls in a minute; 0 is any number.
    pub calls_per_minute: u32,
}

/// Whom the PBX may call at Telegram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToTelegram {
    /// Only these people; everybody, if it is empty.
    pub allow: Vec<PersonPattern>,
    /// Not these people, though they may be allowed.
    pub deny: Vec<PersonPattern>,
    /// How many calls in a minute; 0 is any number.
    pub calls_per_minute: u32,
    /// How many calls in an hour; 0 is any number.
    pub calls_per_hour: u32,
    /// For how many minutes calls may last in a day, all together; 0 is any number.
    pub minutes_per_day: u32,
}

/// Whom an entry of a list means. In patterns `*` is any signs, also none, and `?` is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PersonPattern {
    /// `+7495*`: a phone number, or what the PBX dialled.
    Number(String),
    /// `@acme_*`: a username; here without `@`.
    Username(String),
    /// `id:12345`: a Telegram id.
    Id(i64),
    /// `name:*spam*`: first and last name.
    Name(String),
    /// `contacts`: whoever is in the account's list of contacts.
    Contacts,
    /// `strangers`: whoever is not.
    Strangers,
    /// `anonymous`: whoever shows no phone number.
    Anonymous,
}

/// What a caller gets instead of the PBX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The line is busy.
    Busy,
    /// The call is declined.
    Decline,
    /// It rings until somebody gives up, or another device of the account takes it.
    Ignore,
    /// This user part of the PBX instead of the line's.
    Extension(String),
}

/// Which calls the owner of the account takes on other devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// None: the PBX gets every call at once.
    Nothing,
    /// Any; after so long the PBX gets it.
    First(Duration),
    /// The same for calls of contacts; others reach the PBX at once.
    ContactsFirst(Duration),
    /// Calls of contacts ring on the owner's devices alone.
    Contacts,
    /// All calls do.
    Everything,
}

/// Entries of a list.
const MOST: usize = 1_000;
/// Signs of an entry.
const LONGEST: usize = 64;
/// Calls in a minute.
const MOST_CALLS: u32 = 1_000;
/// Minutes' worth of calls that may come in an hour, where nothing else is said.
const USUAL_MINUTES: u32 = 20;
/// Minutes of a day: a thousand calls that last all day.
const MOST_MINUTES: u32 = 1_440_000;

const WANTED_CALLERS: &str = r#"a list of up to 1000 people, each a number with * and ?, as "+7495*", or "@acme_*", "id:12345", "name:*spam*", "contacts", "strangers" or "anonymous""#;
const WANTED_CALLEES: &str = r#"a list of up to 1000 people, each a number with * and ?, as "+7495*", or "@acme_*", "id:12345", "contacts" or "strangers""#;

pub(crate) fn read_from_telegram(mut section: Section<'_, '_>) -> FromTelegram {
    let mut list = |key| people(&mut section, key, WANTED_CALLERS, |_| true);
    let (allow, deny) = (list("allow"), list("deny"));
    let refused =
        read_refused(&mut section, "refused", "refused_extension", &[("busy", Some(Refused::Busy))]);
    let rules = FromTelegram {
        allow,
        deny,
        refused: refused.unwrap_or(Refused::Busy),
        refused_message: section.switch("refused_message", false),
        message_every: Duration::from_secs(
            3_600 * section.number("message_every_h", 24, 1..=720, " (hours)"),
        ),
        calls_per_minute: section.number("calls_per_minute", 120, 0..=MOST_CALLS, ""),
    };
    section.finish();
    rules
}

pub(crate) fn read_to_telegram(mut section: Section<'_, '_>) -> ToTelegram {
    let is_dialled = |who: &PersonPattern| !matches!(who, PersonPattern::Name(_) | PersonPattern::Anonymous);
    let mut list = |key| people(&mut section, key, WANTED_CALLEES, is_dialled);
    let (allow, deny) = (list("allow"), list("deny"));
    let calls_per_minute = section.number("calls_per_minute", 60, 0..=MOST_CALLS, "");
    // Whoever lets more in by the minute lets more in by the hour, too.
    let usual = calls_per_minute * USUAL_MINUTES;
    let calls_per_hour = section.number("calls_per_hour", usual, 0..=60 * MOST_CALLS, "");
    let minutes_per_day = section.number("minutes_per_day", 0, 0..=MOST_MINUTES, "");
    section.finish();
    ToTelegram { allow, deny, calls_per_minute, calls_per_hour, minutes_per_day }
}

pub(crate) fn read_owner(mut section: Section<'_, '_>) -> Owner {
    let takes: fn(Duration) -> Owner = section.word(
        "takes",
        &[
            ("nothing", (|_| Owner::Nothing) as fn(Duration) -> Owner),
            ("first", Owner::First),
            ("contacts_first", Owner::ContactsFirst),
            ("contacts", |_| Owner::Contacts),
            ("everything", |_| Owner::Everything),
        ],
    );
    let owner = takes(section.seconds("seconds", 15, 1..=60));
    section.finish();
    owner
}

/// What a caller gets, by two keys: the word and the extension. The words for what everybody may get follow `first`,
/// whose foremost is the default.
pub(crate) fn read_refused(
    section: &mut Section<'_, '_>,
    key: &'static str,
    extension_key: &'static str,
    first: &[(&str, Option<Refused>)],
) -> Option<Refused> {
    let rest = [
        ("busy", Some(Refused::Busy)),
        ("decline", Some(Refused::Decline)),
        ("ignore", Some(Refused::Ignore)),
        ("extension", None),
    ];
    let rest = rest.into_iter().filter(|(word, _)| first.iter().all(|(taken, _)| taken != word));
    let words: Vec<(&str, Option<Refused>)> = first.iter().cloned().chain(rest).collect();
    let numbered: Vec<(&str, usize)> = words.iter().enumerate().map(|(at, (word, _))| (*word, at)).collect();
    let (word, answer) = words[section.word(key, &numbered)].clone();
    let extension = section
        .optional(extension_key, &format!("{WANTED_EXTENSION}, or \"\" for none"), |value| {
            keys::or_none(value, |text| is_extension(text).then(|| text.to_owned()))
        })
        .flatten();
    if word != "extension" {
        return answer;
    }
    if extension.is_none() {
        section.clash(key, format_args!("{word:?}"), &format!("{extension_key} beside it"));
    }
    extension.map(Refused::Extension)
}

fn people(
    section: &mut Section<'_, '_>,
    key: &'static str,
    wanted: &str,
    fits: impl Fn(&PersonPattern) -> bool,
) -> Vec<PersonPattern> {
    let read = |value: &DeValue<'_>| keys::text(value).and_then(pattern).filter(&fits);
    section
        .optional(key, wanted, |value| keys::list(value, read).filter(|list| list.len() <= MOST))
        .unwrap_or_default()
}

fn pattern(text: &str) -> Option<PersonPattern> {
    let text = text.trim();
    if text.chars().count() > LONGEST {
        return None;
    }
    match text {
        "contacts" => return Some(PersonPattern::Contacts),
        "strangers" => return Some(PersonPattern::Strangers),
        "anonymous" => return Some(PersonPattern::Anonymous),
        _ => {}
    }
    if let Some(id) = text.strip_prefix("id:") {
        let is_number = id.bytes().all(|byte| byte.is_ascii_digit());
        return id.parse().ok().filter(|id| is_number && *id > 0).map(PersonPattern::Id);
    }
    if let Some(name) = text.strip_prefix("name:") {
        let sound = !name.is_empty() && !name.chars().any(char::is_control);
        return sound.then(|| PersonPattern::Name(name.to_owned()));
    }
    let has = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    if let Some(name) = text.strip_prefix('@') {
        return has(name, b"_*?").then(|| PersonPattern::Username(name.to_owned()));
    }
    let digits = text.strip_prefix('+').unwrap_or(text);
    let is_number = has(digits, b"*?#") && !digits.bytes().any(|byte| byte.is_ascii_alphabetic());
    is_number.then(|| PersonPattern::Number(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::keys::Problem;
    use crate::line::Line;

    const SMALLEST: &str = "phone = \"+79060000000\"\nsip_port = 30001\npbx = \"127.0.0.1\"\n";

    #[test]
    fn a_line_without_lists_lets_everybody_and_has_rates_that_nobody_meets_by_hand() {
        let line = parse("").unwrap();
        assert_eq!((line.from_telegram.allow.len(), line.from_telegram.deny.len()), (0, 0));
        assert_eq!((line.from_telegram.refused, line.from_telegram.refused_message), (Refused::Busy, false));
        assert_eq!(line.from_telegram.message_every, Duration::from_secs(86_400));
        assert_eq!((line.from_telegram.calls_per_minute, line.to_telegram.calls_per_minute), (120, 60));
        assert_eq!((line.to_telegram.calls_per_hour, line.to_telegram.minutes_per_day), (1_200, 0));
        assert_eq!(line.owner, Owner::Nothing);
    }

    #[test]
    fn whoever_lets_more_calls_in_by_the_minute_lets_more_in_by_the_hour_unless_they_say_so() {
        let hour = |text: &str| parse(&format!("[to_telegram]\n{text}")).unwrap().to_telegram.calls_per_hour;
        assert_eq!(hour("calls_per_minute = 100\n"), 2_000);
        assert_eq!(hour("calls_per_minute = 0\n"), 0);
        assert_eq!(hour("calls_per_minute = 0\ncalls_per_hour = 30\n"), 30);
        assert_eq!(
            errors("[to_telegram]\ncalls_per_hour = -1\nminutes_per_day = 1440001\n"),
            [
                "l.toml:5: to_telegram.calls_per_hour = -1: want a whole number from 0 to 60000",
                "l.toml:6: to_telegram.minutes_per_day = 1440001: want a whole number from 0 to 1440000",
            ]
        );
    }

    #[test]
    fn each_form_of_a_pattern_is_read() {
        for (text, wanted) in [
            ("+7495*", PersonPattern::Number("+7495*".into())),
            ("8800???????", PersonPattern::Number("8800???????".into())),
            ("*4567", PersonPattern::Number("*4567".into())),
            ("@Acme_*", PersonPattern::Username("Acme_*".into())),
            ("id:9223372036854775807", PersonPattern::Id(i64::MAX)),
            ("name:*спам *", PersonPattern::Name("*спам *".into())),
            ("contacts", PersonPattern::Contacts),
            (" strangers ", PersonPattern::Strangers),
            ("anonymous", PersonPattern::Anonymous),
        ] {
            assert_eq!(pattern(text), Some(wanted), "{text}");
        }
        for wrong in [
            "",
            "+",
            "@",
            "id:",
            "id:0",
            "id:+5",
            "id:-5",
            "name:",
            "friends",
            "+7 495",
            "@a b",
            "name:a\nb",
            "tg#a",
        ] {
            assert_eq!(pattern(wrong), None, "{wrong}");
        }
        assert_eq!(pattern(&"1".repeat(65)), None);
    }

    #[test]
    fn what_a_refused_caller_gets_is_a_word_or_an_extension_that_is_named() {
        let refused = |text: &str| parse(&format!("[from_telegram]\n{text}")).unwrap().from_telegram.refused;
        assert_eq!(refused("refused = \"decline\"\n"), Refused::Decline);
        assert_eq!(refused("refused = \"ignore\"\nrefused_extension = \"100\"\n"), Refused::Ignore);
        let told = refused("refused = \"extension\"\nrefused_extension = \"100\"\n");
        assert_eq!(told, Refused::Extension("100".into()));
        assert_eq!(
            errors("[from_telegram]\nrefused = \"extension\"\n"),
            [r#"l.toml:5: from_telegram.refused = "extension": want refused_extension beside it"#]
        );
    }

    #[test]
    fn the_owner_takes_what_the_word_says() {
        let owner = |text: &str| parse(&format!("[owner]\n{text}")).unwrap().owner;
        assert_eq!(owner("takes = \"first\"\nseconds = 9\n"), Owner::First(Duration::from_secs(9)));
        assert_eq!(owner("takes = \"contacts_first\"\n"), Owner::ContactsFirst(Duration::from_secs(15)));
        assert_eq!(owner("takes = \"contacts\"\n"), Owner::Contacts);
        assert_eq!(owner("takes = \"everything\"\n"), Owner::Everything);
    }

    #[test]
    fn every_mistake_is_told_with_line_key_value_and_what_is_allowed() {
        assert_eq!(
            errors(
                "[from_telegram]\nallow = [\"bob\"]\nrefused = \"voicemail\"\nmessage_every_h = 0\n[to_telegram]\n\
                 deny = [\"anonymous\"]\nallow = [\"name:x\"]\ncalls_per_minute = -1\n[owner]\ntakes = \"all\"\nseconds = 61\n"
            ),
            [
                format!(r#"l.toml:5: from_telegram.allow = ["bob"]: want {WANTED_CALLERS}"#),
                r#"l.toml:6: from_telegram.refused = "voicemail": want one of "busy", "decline", "ignore", "extension""#.to_owned(),
                "l.toml:7: from_telegram.message_every_h = 0: want a whole number from 1 to 720 (hours)".to_owned(),
                format!(r#"l.toml:9: to_telegram.deny = ["anonymous"]: want {WANTED_CALLEES}"#),
                format!(r#"l.toml:10: to_telegram.allow = ["name:x"]: want {WANTED_CALLEES}"#),
                "l.toml:11: to_telegram.calls_per_minute = -1: want a whole number from 0 to 1000".to_owned(),
                r#"l.toml:13: owner.takes = "all": want one of "nothing", "first", "contacts_first", "contacts", "everything""#.to_owned(),
                "l.toml:14: owner.seconds = 61: want a whole number from 1 to 60 (seconds)".to_owned(),
            ]
        );
    }

    fn parse(text: &str) -> Result<Line, Vec<Problem>> {
        Line::parse(&format!("{SMALLEST}{text}"), Path::new("l.toml"), "+79060000000", &BTreeMap::new())
    }

    fn errors(text: &str) -> Vec<String> {
        parse(text).unwrap_err().iter().map(Problem::to_string).collect()
    }
}
