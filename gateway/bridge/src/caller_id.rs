//! Who calls, as the PBX gets to know it: caller id, display name, and the headers that its dial plan reads.
//!
//! Everything here was typed by a stranger, so everything is made safe: no control character leaves, nothing is long.

/// Longest value of a header or a display name, in bytes.
const LONGEST_BYTES: usize = 128;

/// What Telegram says about the person who calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// User id.
    pub id: i64,
    /// Digits, with or without `+`; only if the person shows it to us.
    pub phone: Option<String>,
    /// Without `@`.
    pub username: Option<String>,
    /// As typed by the person.
    pub first_name: Option<String>,
    /// As typed by the person.
    pub last_name: Option<String>,
}

/// One thing that is known of a caller, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The phone number with `+`, so that it is one when it is dialled back.
    Phone,
    /// The phone number without `+`.
    Digits,
    /// The username.
    Username,
    /// The user id, which everybody has.
    Id,
    /// The first name, as typed.
    FirstName,
    /// The last name, as typed.
    LastName,
    /// Both names, or the one that there is.
    Name,
}

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Stands as it is.
    Text(String),
    /// Is filled in.
    Field(Field),
}

/// Text with fields to fill in. It fits a caller of whom all the fields are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(pub Vec<Part>);

/// What a line shows as caller id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdRule {
    /// The first that fits is the number; the id where none does.
    pub numbers: Vec<Template>,
    /// The first that fits is the name; the number where none does.
    pub names: Vec<Template>,
    /// Whether names are written in ASCII, for phones that show nothing else: "Иван 👍" is "Ivan".
    pub ascii_names: bool,
}

impl Default for CallerIdRule {
    fn default() -> Self {
        let alone = |field| Template(vec![Part::Field(field)]);
        Self {
            numbers: [Field::Phone, Field::Username, Field::Id].map(alone).into(),
            names: vec![alone(Field::Name)],
            ascii_names: false,
        }
    }
}

/// Who calls, for the From header and its like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerId {
    /// Digits with or without `+`, or a username: safe as the user part of a URI.
    pub user: String,
    /// What a display shows; never empty. Quotes and backslashes are still to be escaped.
    pub display_name: String,
}

impl CallerIdRule {
    /// What the PBX is shown.
    pub fn apply(&self, caller: &Caller) -> CallerId {
        let number = |template: &Template| {
            let number = template.filled(caller, str::to_owned)?;
            let number: String = number.chars().filter(is_plain).take(LONGEST_BYTES).collect();
            (!number.is_empty()).then_some(number)
        };
        let written = if self.ascii_names { ascii } else { str::to_owned };
        let name = |template: &Template| {
            let name = safe(&template.filled(caller, written)?);
            (!name.is_empty()).then_some(name)
        };
        let user = self.numbers.iter().find_map(number).unwrap_or_else(|| caller.id.to_string());
        let display_name = self.names.iter().find_map(name).unwrap_or_else(|| user.clone());
        CallerId { user, display_name }
    }
}

impl Template {
    fn filled(&self, caller: &Caller, written: fn(&str) -> String) -> Option<String> {
        let part = |part: &Part| match part {
            Part::Text(text) => Some(written(text)),
            Part::Field(field) => {
                let known = caller.field(*field).map(|known| safe(&written(&known)));
                known.filter(|known| !known.is_empty())
            }
        };
        self.0.iter().map(part).collect()
    }
}

impl Caller {
    /// Names and values of the headers that tell a dial plan who calls; a value that is unknown is left out.
    ///
    /// `context` is the gateway's own name for the call.
    pub fn headers(&self, context: &str) -> Vec<(&'static str, String)> {
        let typed = |text: &Option<String>| text.as_deref().map(safe);
        let headers = [
            ("X-GW-Context", Some(safe(context))),
            ("X-TG-ID", Some(self.id.to_string())),
            ("X-TG-FirstName", typed(&self.first_name)),
            ("X-TG-LastName", typed(&self.last_name)),
            ("X-TG-Username", self.plain_username()),
            ("X-TG-Phone", self.phone_digits()),
        ];
        let known = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        known.filter(|(_, value)| !value.is_empty()).collect()
    }

    fn field(&self, field: Field) -> Option<String> {
        let typed = |text: &Option<String>| text.as_deref().map(safe).filter(|text| !text.is_empty());
        match field {
            Field::Phone => self.phone_digits().map(|digits| format!("+{digits}")),
            Field::Digits => self.phone_digits(),
            Field::Username => self.plain_username(),
            Field::Id => Some(self.id.to_string()),
            Field::FirstName => typed(&self.first_name),
            Field::LastName => typed(&self.last_name),
            Field::Name => {
                let names: Vec<String> =
                    [&self.first_name, &self.last_name].into_iter().filter_map(typed).collect();
                (!names.is_empty()).then(|| names.join(" "))
            }
        }
    }

    fn phone_digits(&self) -> Option<String> {
        let digits: String = self.phone.as_deref()?.chars().filter(char::is_ascii_digit).take(15).collect();
        (!digits.is_empty()).then_some(digits)
    }

    fn plain_username(&self) -> Option<String> {
        let is_plain = |sign: &char| sign.is_ascii_alphanumeric() || *sign == '_';
        let name: String = self.username.as_deref()?.chars().filter(is_plain).take(32).collect();
        (!name.is_empty()).then_some(name)
    }
}

/// Text that may stand in a header: one line, without control or direction signs, at most 128 bytes.
pub fn safe(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LONGEST_BYTES));
    for word in text.split(|sign: char| sign.is_whitespace() || is_unsafe(sign)) {
        if !word.is_empty() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    line.truncate(capped(&line).len());
    line
}

/// The same in Latin letters, digits and punctuation; emoji and other pictures are left out.
fn ascii(text: &str) -> String {
    let is_written = |sign: &char| {
        sign.is_ascii()
            || sign.is_alphanumeric()
            || matches!(sign, '\u{a0}'..='\u{bf}' | '\u{2010}'..='\u{205e}')
    };
    text.chars().filter(is_written).filter_map(deunicode::deunicode_char).collect()
}

/// What may stand in the user part of a URI without being escaped, and is read as a number or a name everywhere.
fn is_plain(sign: &char) -> bool {
    sign.is_ascii_alphanumeric() || "+-_.*".contains(*sign)
}

/// Controls, line ends and what turns the direction of text: the last so that a name cannot pose as another.
fn is_unsafe(sign: char) -> bool {
    sign.is_control()
        || matches!(sign, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// As many whole characters as fit.
fn capped(text: &str) -> &str {
    text[..text.floor_char_boundary(LONGEST_BYTES)].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phone_comes_before_the_username_and_that_before_the_id() {
        let mut caller = ivan();
        assert_eq!(shown(&caller), ("+79060000000".into(), "Иван Петров".into()));
        caller.phone = None;
        assert_eq!(shown(&caller).0, "ivan_p");
        caller.username = None;
        assert_eq!(shown(&caller).0, "5000000001");
    }

    #[test]
    fn a_line_may_order_otherwise_and_falls_back_to_the_id() {
        let numbers = vec![alone(Field::Username), alone(Field::Digits)];
        let by_name = CallerIdRule { numbers, ..CallerIdRule::default() };
        assert_eq!(by_name.apply(&ivan()).user, "ivan_p");
        let without_name = Caller { username: None, ..ivan() };
        assert_eq!(by_name.apply(&without_name).user, "79060000000");
        let nobody = Caller { phone: Some(String::new()), ..Caller { username: None, ..ivan() } };
        assert_eq!(by_name.apply(&nobody).user, "5000000001");
        let none = CallerIdRule { numbers: Vec::new(), names: Vec::new(), ascii_names: false };
        let CallerId { user, display_name } = none.apply(&ivan());
        assert_eq!((user.as_str(), display_name.as_str()), ("5000000001", "5000000001"));
    }

    #[test]
    fn a_template_fits_when_all_its_fields_are_known() {
        let text = |text: &str| Part::Text(text.to_owned());
        let rule = CallerIdRule {
            numbers: vec![
                Template(vec![text("00"), Part::Field(Field::Digits)]),
                Template(vec![text("tg-"), Part::Field(Field::Username)]),
                Template(vec![text("*77*"), Part::Field(Field::Id)]),
            ],
            names: vec![
                Template(vec![Part::Field(Field::LastName), text(", "), Part::Field(Field::FirstName)]),
                Template(vec![Part::Field(Field::Name), text(" (TG)")]),
                Template(vec![text("@"), Part::Field(Field::Username)]),
            ],
            ascii_names: false,
        };
        let shown = |caller: &Caller| {
            let CallerId { user, display_name } = rule.apply(caller);
            (user, display_name)
        };
        let mut caller = ivan();
        assert_eq!(shown(&caller), ("0079060000000".into(), "Петров, Иван".into()));
        (caller.phone, caller.last_name) = (None, Some("\u{202e}".into()));
        assert_eq!(shown(&caller), ("tg-ivan_p".into(), "Иван (TG)".into()));
        caller.first_name = None;
        assert_eq!(shown(&caller), ("tg-ivan_p".into(), "@ivan_p".into()));
        caller.username = None;
        assert_eq!(shown(&caller), ("*77*5000000001".into(), "*77*5000000001".into()));
    }

    #[test]
    fn names_in_ascii_are_transliterated_without_pictures() {
        let rule = CallerIdRule { ascii_names: true, ..CallerIdRule::default() };
        let shown = |first: &str| {
            let caller = Caller { first_name: Some(first.into()), last_name: None, ..ivan() };
            rule.apply(&caller).display_name
        };
        assert_eq!(shown("Иван «Щука» 👍"), "Ivan <<Shchuka>>");
        assert_eq!(shown("Zoë – 王"), "Zoe - Wang");
        assert_eq!(shown("👍🦄"), "+79060000000", "nothing is left, so the number stands there");
    }

    #[test]
    fn somebody_without_a_name_is_displayed_by_the_caller_id() {
        let caller = Caller { first_name: Some(" \u{202e} ".into()), last_name: None, ..ivan() };
        assert_eq!(shown(&caller).1, "+79060000000");
        let caller = Caller { first_name: None, ..ivan() };
        assert_eq!(shown(&caller).1, "Петров");
    }

    #[test]
    fn every_header_that_is_known_is_told_under_its_name() {
        let expected = [
            ("X-GW-Context", "call-7"),
            ("X-TG-ID", "5000000001"),
            ("X-TG-FirstName", "Иван"),
            ("X-TG-LastName", "Петров"),
            ("X-TG-Username", "ivan_p"),
            ("X-TG-Phone", "79060000000"),
        ];
        assert_eq!(told(&ivan(), "call-7"), expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn a_header_that_is_empty_or_unknown_is_left_out() {
        let caller =
            Caller { id: 7, first_name: Some("\r\n".into()), phone: Some("+".into()), ..Caller::default() };
        assert_eq!(told(&caller, ""), [("X-TG-ID", "7".to_owned())]);
    }

    #[test]
    fn nothing_typed_by_a_stranger_can_break_out_of_its_header() {
        let evil = "Ivan\r\nX-Evil: 1\0\u{1b}[2J\u{85}\u{2028}\u{202e}\tnaVi";
        let caller = Caller {
            id: 7,
            phone: Some(evil.into()),
            username: Some(evil.into()),
            first_name: Some(evil.into()),
            last_name: Some(evil.into()),
        };
        let CallerId { user, display_name } = CallerIdRule::default().apply(&caller);
        let values = told(&caller, evil).into_iter().map(|(_, value)| value);
        for value in values.chain([user, display_name]) {
            assert!(!value.chars().any(|sign| sign.is_control() || is_unsafe(sign)), "{value:?}");
        }
        assert_eq!(safe(evil), "Ivan X-Evil: 1 [2J naVi");
    }

    #[test]
    fn emoji_and_quotes_survive() {
        assert_eq!(safe("Иван \"x\" \\ 👩‍👩‍👧"), "Иван \"x\" \\ 👩‍👩‍👧");
    }

    #[test]
    fn a_long_name_ends_at_a_whole_character() {
        for text in ["я".repeat(1000), format!("a{}", "я".repeat(1000)), "👍".repeat(99), "x ".repeat(500)]
        {
            let line = safe(&text);
            assert!(line.len() <= LONGEST_BYTES && line.len() > LONGEST_BYTES - 4, "{}", line.len());
            assert!(text.starts_with(&line));
        }
        let long = Caller { first_name: Some("я".repeat(64)), last_name: Some("я".repeat(64)), ..ivan() };
        assert_eq!(shown(&long).1, "я".repeat(64), "both names together are capped too");
        let name = || Part::Field(Field::FirstName);
        let rule = CallerIdRule { numbers: vec![Template(vec![name(), name()])], ..CallerIdRule::default() };
        let long = Caller { first_name: Some("x".repeat(99)), ..ivan() };
        assert_eq!(rule.apply(&long).user, "x".repeat(LONGEST_BYTES), "and so is a number made of names");
    }

    fn alone(field: Field) -> Template {
        Template(vec![Part::Field(field)])
    }

    fn ivan() -> Caller {
        Caller {
            id: 5_000_000_001,
            phone: Some("79060000000".into()),
            username: Some("ivan_p".into()),
            first_name: Some("Иван".into()),
            last_name: Some("Петров".into()),
        }
    }

    fn shown(caller: &Caller) -> (String, String) {
        let CallerId { user, display_name } = CallerIdRule::default().apply(caller);
        (user, display_name)
    }

    fn told(caller: &Caller, context: &str) -> Vec<(&'static str, String)> {
        caller.headers(context)
    }
}
