//! Numbers, times and names as people write them, in Russian and in English.

use chrono::{DateTime, Datelike as _, NaiveDateTime, Timelike as _};
use tgtrunk_config::control::Peer;
use tgtrunk_config::{Language, Said};

use crate::page::model::Frame;

/// Keeps a number and its unit on one line.
const NBSP: char = '\u{a0}';
/// Groups the digits of a large number.
const THIN: char = '\u{202f}';

const RUSSIAN_MONTHS: [&str; 12] = [
    "января",
    "февраля",
    "марта",
    "апреля",
    "мая",
    "июня",
    "июля",
    "августа",
    "сентября",
    "октября",
    "ноября",
    "декабря",
];
const ENGLISH_MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Frame {
    /// One of two wordings.
    pub(crate) fn say<'t>(&self, russian: &'t str, english: &'t str) -> &'t str {
        say(self.language, russian, english)
    }

    /// A sentence of another program.
    pub(crate) fn said<'t>(&self, said: &'t Said) -> &'t str {
        said.in_language(self.language)
    }
}

/// One of two wordings.
pub(crate) fn say<'t>(language: Language, russian: &'t str, english: &'t str) -> &'t str {
    match language {
        Language::Russian => russian,
        Language::English => english,
    }
}

/// A number with its noun: "1 звонок", "3 звонка", "148 звонков"; "1 call", "3 calls".
pub(crate) fn count(language: Language, number: u64, russian: [&str; 3], english: [&str; 2]) -> String {
    let noun = match language {
        Language::Russian => match (number % 10, number % 100) {
            (1, rest) if rest != 11 => russian[0],
            (2..=4, rest) if !(12..=14).contains(&rest) => russian[1],
            _ => russian[2],
        },
        Language::English if number == 1 => english[0],
        Language::English => english[1],
    };
    format!("{}{NBSP}{noun}", grouped(language, number))
}

/// A whole number: 12 480 and 12,480.
pub(crate) fn grouped(language: Language, number: u64) -> String {
    let digits = number.to_string();
    let least = if language == Language::Russian { 5 } else { 4 };
    if digits.len() < least {
        return digits;
    }
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(if language == Language::Russian { THIN } else { ',' });
        }
        out.push(digit);
    }
    out
}

/// A number of tenths with its comma or point: 4,3 and 4.3.
pub(crate) fn tenths(language: Language, tenths: u64) -> String {
    format!("{}{}{}", tenths / 10, say(language, ",", "."), tenths % 10)
}

/// A share of a thousand in percent: 0,5 % and 0.5%.
pub(crate) fn percent(language: Language, permille: u64) -> String {
    match language {
        Language::Russian => format!("{}{NBSP}%", tenths(language, permille)),
        Language::English => format!("{}%", tenths(language, permille)),
    }
}

/// Milliseconds with their unit.
pub(crate) fn milliseconds(language: Language, ms: u32) -> String {
    format!("{ms}{NBSP}{}", say(language, "мс", "ms"))
}

/// How long something lasted: 3:12, 1:02:45.
pub(crate) fn duration(ms: u64) -> String {
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A phone number in groups: +7 906 666-00-00. Anything else stays as it is.
pub(crate) fn phone(number: &str) -> String {
    let digits = number.strip_prefix('+').unwrap_or(number);
    if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.to_owned();
    }
    let (code, rest) = digits.split_at(country_code_len(digits));
    match (code, rest.len()) {
        ("1", 10) => format!("+1{NBSP}{}{NBSP}{}-{}", &rest[..3], &rest[3..6], &rest[6..]),
        // The anonymous numbers of Telegram's own auctions.
        ("888", 8) => format!("+888{NBSP}{}{NBSP}{}", &rest[..4], &rest[4..]),
        (_, 8..) => {
            let (area, rest) = rest.split_at(rest.len() - 7);
            format!("+{code}{NBSP}{area}{NBSP}{}-{}-{}", &rest[..3], &rest[3..5], &rest[5..])
        }
        _ => format!("+{code}{NBSP}{rest}"),
    }
}

/// How many digits the country code has (ITU-T E.164, list of assigned codes).
fn country_code_len(digits: &str) -> usize {
    const TWO: &str = "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 \
                       66 81 82 84 86 90 91 92 93 94 95 98";
    match &digits[..1] {
        "1" | "7" => 1,
        _ if TWO.split_whitespace().any(|code| digits.starts_with(code)) => 2,
        _ => 3,
    }
}

/// What a person is called: the first of name, username, number and id that they have.
pub(crate) fn person(peer: &Peer, language: Language) -> String {
    let name = peer.name.as_deref().map(str::trim).filter(|name| !name.is_empty());
    match (name, &peer.username, &peer.phone, peer.id) {
        (Some(name), ..) => name.to_owned(),
        (None, Some(username), ..) => format!("@{username}"),
        (None, None, Some(number), _) => phone(number),
        (None, None, None, Some(id)) => format!("id{NBSP}{id}"),
        (None, None, None, None) => say(language, "неизвестно кто", "somebody").to_owned(),
    }
}

/// The rest of what is known of a person, beside what they are called.
pub(crate) fn beside(peer: &Peer) -> Option<String> {
    let named = peer.name.as_deref().is_some_and(|name| !name.trim().is_empty());
    let number = peer.phone.as_deref().map(phone);
    let username = peer.username.as_ref().map(|username| format!("@{username}"));
    match (named, number, username) {
        (true, number, username) => number.or(username),
        (false, number, Some(_)) => number,
        (false, _, None) => None,
    }
}

/// The time of day: 14:05.
pub(crate) fn clock(frame: &Frame, ms: u64) -> String {
    let time = local(frame, ms);
    format!("{:02}:{:02}", time.hour(), time.minute())
}

/// The time of day with seconds: 14:05:09.
pub(crate) fn clock_s(frame: &Frame, ms: u64) -> String {
    let time = local(frame, ms);
    format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

/// A time with as much of its day as is needed: "14:05", "вчера в 14:05", "24 ноября в 14:05".
pub(crate) fn moment(frame: &Frame, ms: u64) -> String {
    let day = day(frame, ms);
    let clock = clock(frame, ms);
    match (day.is_empty(), frame.language) {
        (true, _) => clock,
        (false, Language::Russian) => format!("{day}{NBSP}в{NBSP}{clock}"),
        (false, Language::English) => format!("{day},{NBSP}{clock}"),
    }
}

/// Since when: "с 11:42", "со вчера, 12:05", "с 24 ноября, 12:05".
pub(crate) fn since(frame: &Frame, ms: u64) -> String {
    let (day, clock) = (day(frame, ms), clock(frame, ms));
    let from = match frame.language {
        Language::Russian if day.starts_with('в') => "со",
        Language::Russian => "с",
        Language::English => "since",
    };
    if day.is_empty() { format!("{from}{NBSP}{clock}") } else { format!("{from}{NBSP}{day},{NBSP}{clock}") }
}

/// The day: empty for today, "вчера", "24 ноября", "24 ноября 2025".
pub(crate) fn day(frame: &Frame, ms: u64) -> String {
    let (time, now) = (local(frame, ms).date(), local(frame, frame.now_ms).date());
    let days_ago = now.num_days_from_ce() - time.num_days_from_ce();
    if days_ago == 0 {
        return String::new();
    }
    if days_ago == 1 {
        return frame.say("вчера", "yesterday").to_owned();
    }
    let month = time.month0() as usize;
    let month = frame.say(RUSSIAN_MONTHS[month], ENGLISH_MONTHS[month]);
    let year = if time.year() == now.year() { String::new() } else { format!("{NBSP}{}", time.year()) };
    format!("{}{NBSP}{month}{year}", time.day())
}

/// A time as machines read it (RFC 3339).
pub(crate) fn machine(ms: u64) -> String {
    utc(ms).format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn local(frame: &Frame, ms: u64) -> NaiveDateTime {
    let ahead_ms = i64::from((frame.offset_s)(ms)) * 1_000;
    utc(ms.saturating_add_signed(ahead_ms))
}

fn utc(ms: u64) -> NaiveDateTime {
    let ms = i64::try_from(ms).unwrap_or_default();
    DateTime::from_timestamp_millis(ms).unwrap_or_default().naive_utc()
}

/// A sentence with a capital letter and a full stop, as it stands in a paragraph. A name of a file, a key or a program at
/// its beginning stays as it is written.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    let first = text.split_whitespace().next().unwrap_or_default();
    let is_name = first.starts_with("tgtrunk")
        || first.trim_end_matches(['.', ',', ':']).contains(['.', '_', '/', '@', '=']);
    let end = if text.is_empty() || text.ends_with(['.', '!', '?', '…', ':']) { "" } else { "." };
    let mut letters = text.chars();
    if is_name {
        return format!("{text}{end}");
    }
    let first = letters.next();
    first.into_iter().flat_map(char::to_uppercase).chain(letters).chain(end.chars()).collect()
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::Language::{English, Russian};

    use super::*;
    use crate::page::view::samples;

    #[test]
    fn russian_nouns_follow_their_numbers() {
        let calls = |number| count(Russian, number, ["звонок", "звонка", "звонков"], ["call", "calls"]);
        for (number, told) in [
            (0, "0 звонков"),
            (1, "1 звонок"),
            (2, "2 звонка"),
            (5, "5 звонков"),
            (11, "11 звонков"),
            (12, "12 звонков"),
            (21, "21 звонок"),
            (104, "104 звонка"),
            (111, "111 звонков"),
            (12_480, "12 480 звонков"),
        ] {
            assert_eq!(calls(number).replace([NBSP, THIN], " "), told);
        }
        let english = |number| count(English, number, ["", "", ""], ["call", "calls"]);
        assert_eq!(
            [english(1), english(2_000)].map(|told| told.replace(NBSP, " ")),
            ["1 call", "2,000 calls"]
        );
    }

    #[test]
    fn phone_numbers_stand_in_groups() {
        for (number, told) in [
            ("+79066660000", "+7 906 666-00-00"),
            ("79066660000", "+7 906 666-00-00"),
            ("+12025550123", "+1 202 555-0123"),
            ("+375291234567", "+375 29 123-45-67"),
            ("+442079460958", "+44 207 946-09-58"),
            ("+88801234567", "+888 0123 4567"),
            ("+6591234567", "+65 9 123-45-67"),
            ("+2901234", "+290 1234"),
            ("700", "700"),
            ("tg#durov", "tg#durov"),
        ] {
            assert_eq!(phone(number).replace(NBSP, " "), told);
        }
    }

    #[test]
    fn times_carry_as_much_of_their_day_as_is_needed() {
        let frame = samples::frame(Russian);
        let at = |back_ms: u64| moment(&frame, frame.now_ms - back_ms).replace(NBSP, " ");
        let day = 24 * 3_600_000;
        assert_eq!(
            [at(0), at(day), at(3 * day), at(400 * day)],
            ["14:05", "вчера в 14:05", "23 ноября в 14:05", "22 октября 2025 в 14:05"]
        );
        let since = |back_ms: u64| since(&frame, frame.now_ms - back_ms).replace(NBSP, " ");
        assert_eq!(
            [since(0), since(day), since(3 * day)],
            ["с 14:05", "со вчера, 14:05", "с 23 ноября, 14:05"]
        );
        assert_eq!(machine(frame.now_ms), "2026-11-26T11:05:00Z");
    }

    #[test]
    fn figures_have_the_comma_or_the_point_of_their_language() {
        assert_eq!((tenths(Russian, 43), tenths(English, 43)), ("4,3".into(), "4.3".into()));
        assert_eq!((percent(Russian, 5), percent(English, 5)), ("0,5\u{a0}%".into(), "0.5%".into()));
        assert_eq!([duration(192_000), duration(3_765_000)], ["3:12", "1:02:45"]);
    }

    #[test]
    fn a_sentence_begins_with_a_capital_letter_unless_it_begins_with_a_name() {
        for (text, told) in [
            ("нет ответа на OPTIONS", "Нет ответа на OPTIONS."),
            ("Wait!", "Wait!"),
            ("tgtrunk.toml:14: no such key", "tgtrunk.toml:14: no such key."),
            ("tgtrunk-bot does not run", "tgtrunk-bot does not run."),
            ("pbx: want an address", "Pbx: want an address."),
            ("", ""),
        ] {
            assert_eq!(sentence(text), told);
        }
    }

    #[test]
    fn a_person_is_called_by_the_first_word_that_is_known() {
        let peer =
            Peer { phone: Some("79066660000".into()), username: Some("anna".into()), ..Peer::default() };
        assert_eq!(person(&peer, Russian), "@anna");
        assert_eq!(beside(&peer).unwrap().replace(NBSP, " "), "+7 906 666-00-00");
        assert_eq!(person(&Peer::default(), English), "somebody");
    }
}
