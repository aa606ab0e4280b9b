//! What a caller sees in Telegram, as `line.toml` says it: bot, keypad, business card, call-back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bot_name::{BotName, WANTED_BOT_NAME};
use crate::keys::{self, Section};
use crate::language::Language;
use crate::units::{Digits, Phone};

/// What the client and the bot do for a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chat {
    /// The bot that draws the line's keypad. Without one, callers are asked to type digits.
    pub bot: Option<BotName>,
    /// The language of texts to people whose own one is not known.
    pub language: Language,
    /// Whether a caller gets the keypad.
    pub keypad: bool,
    /// Named rows above the keypad, at most 20.
    pub menu: Vec<MenuRow>,
    /// Whether digits typed as a message during a call are pressed as keys.
    pub typed_digits: bool,
    /// Whether people who write get an answer, at most once per 30 s each.
    pub auto_answer: bool,
    /// Whether a person who did not answer a call gets the business card.
    pub card: bool,
    /// How long the same person gets no second card.
    pub card_every: Duration,
    /// A contact that comes with the card.
    pub card_contact: Option<CardContact>,
    /// A picture that comes with the card. A relative path in the file starts at the line's folder.
    pub card_photo: Option<PathBuf>,
    /// Who at the PBX rings first when a person asks to be called back. Without it the card has no button.
    pub call_back: Option<String>,
    /// What texts call the company: the line's number unless it is given.
    pub company: String,
}

/// A row of the keypad that presses a whole extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuRow {
    /// What stands on it, 1 to 40 characters.
    pub name: String,
    /// What it presses, 1 to 32 keys.
    pub extension: Digits,
}

/// A contact that a person can save.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardContact {
    /// The number, as `+74951234567`.
    pub phone: String,
    /// First name; the company unless it is given.
    pub first_name: String,
    /// Last name, perhaps empty.
    pub last_name: String,
}

pub(crate) const WANTED_EXTENSION: &str =
    r#"an extension or a queue of the PBX, 1 to 64 letters, digits and + - _ . * #, as "2001""#;

const WANTED_KEYS: &str = r#"1 to 32 of 0 to 9, *, #, A to D in quotes, as "101""#;

/// Most rows of a menu: more would not fit on a phone.
const MOST_ROWS: usize = 20;

/// Whether the PBX can be asked for it in a request URI (RFC 3261 section 25.1; `#` is escaped by who writes it).
pub(crate) fn is_extension(text: &str) -> bool {
    let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-_.*#".contains(&byte));
    fits && (1..=64).contains(&text.len())
}

/// Reads the keys of a line. `folder` is the line's.
pub(crate) fn read(top: &mut Section<'_, '_>, phone: Option<&Phone>, folder: &Path) -> Chat {
    let bot = top
        .optional("bot", &format!("{WANTED_BOT_NAME}, or \"\" for none"), |value| {
            keys::or_none(value, |name| name.parse().ok())
        })
        .flatten();
    let languages = [Language::English, Language::Russian];
    let language = top.word("language", &languages.map(|language| (language.as_str(), language)));
    let keypad = top.switch("keypad", true);
    let menu = read_menu(top);
    let typed_digits = top.switch("typed_digits", true);
    let auto_answer = top.switch("auto_answer", false);
    let card = top.switch("card", true);
    let card_every = top.seconds("card_every_s", 600, 0..=604_800);
    let company = name(top, "company", 64).unwrap_or_default();
    let company = match phone {
        Some(phone) if company.is_empty() => phone.as_str().to_owned(),
        _ => company,
    };
    let card_contact = read_contact(top.section("card_contact"), &company);
    let card_photo = top
        .optional("card_photo", r#"the path of a picture, or "" for none"#, |value| {
            keys::or_none(value, |path| Some(folder.join(path)))
        })
        .flatten();
    let call_back = top
        .optional("call_back", &format!("{WANTED_EXTENSION}, or \"\" for none"), |value| {
            keys::or_none(value, |text| is_extension(text).then(|| text.to_owned()))
        })
        .flatten();
    Chat {
        bot,
        language,
        keypad,
        menu,
        typed_digits,
        auto_answer,
        card,
        card_every,
        card_contact,
        card_photo,
        call_back,
        company,
    }
}

fn read_menu(top: &mut Section<'_, '_>) -> Vec<MenuRow> {
    let rows = top.tables("menu", MOST_ROWS).into_iter().map(|mut row| {
        let name = row.required("name", "1 to 40 characters without line breaks", |value| {
            keys::text(value).filter(|name| is_name(name, 40)).map(|name| name.trim().to_owned())
        });
        let extension = row.required("extension", WANTED_KEYS, |value| {
            keys::parsed(value).filter(|digits: &Digits| digits.keys().len() <= 32)
        });
        row.finish();
        Some(MenuRow { name: name?, extension: extension? })
    });
    rows.flatten().collect()
}

fn read_contact(mut section: Section<'_, '_>, company: &str) -> Option<CardContact> {
    let phone = section
        .optional(
            "phone",
            r#"a phone number of 3 to 15 digits, as "+74951234567", or "" for none"#,
            |value| {
                keys::or_none(value, |text| {
                    let digits = text.strip_prefix('+').unwrap_or(text);
                    let fits =
                        (3..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
                    fits.then(|| text.to_owned())
                })
            },
        )
        .flatten();
    let first_name = name(&mut section, "first_name", 64).unwrap_or_default();
    let last_name = name(&mut section, "last_name", 64).unwrap_or_default();
    section.finish();
    let first_name = if first_name.is_empty() { company.to_owned() } else { first_name };
    Some(CardContact { phone: phone?, first_name, last_name })
}

/// A name that may be empty.
fn name(section: &mut Section<'_, '_>, key: &'static str, most: usize) -> Option<String> {
    section.optional(key, &format!("up to {most} characters without line breaks"), |value| {
        let text = keys::text(value)?.trim();
        (text.is_empty() || is_name(text, most)).then(|| text.to_owned())
    })
}

fn is_name(text: &str, most: usize) -> bool {
    let text = text.trim();
    (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}
