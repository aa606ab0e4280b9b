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
pub fn is_extension(text: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::keys::Problem;
    use crate::line::Line;

    const SMALLEST: &str = "phone = \"+79060000000\"\nsip_port = 30001\npbx = \"127.0.0.1\"\n";

    #[test]
    fn a_line_without_a_word_about_it_asks_callers_to_type_digits_and_sends_a_plain_card() {
        let chat = chat("").unwrap();
        assert_eq!(
            (chat.bot, chat.language, chat.keypad, chat.typed_digits),
            (None, Language::English, true, true)
        );
        assert_eq!((chat.auto_answer, chat.card, chat.card_every.as_secs()), (false, true, 600));
        assert_eq!((chat.card_contact, chat.card_photo, chat.call_back), (None, None, None));
        assert_eq!((chat.company.as_str(), chat.menu.len()), ("+79060000000", 0));
    }

    #[test]
    fn every_key_is_read() {
        let chat = chat(
            "bot = \"@Acme_Bot\"\nlanguage = \"ru\"\ncompany = \"ООО «Акме»\"\nkeypad = false\ntyped_digits = false\n\
             auto_answer = true\ncard = false\ncard_every_s = 0\ncard_photo = \"card.jpg\"\ncall_back = \"*2001#\"\n\
             [[menu]]\nname = \"Продажи\"\nextension = \"101\"\n[[menu]]\nname = \" Support \"\nextension = \"*2#\"\n\
             [card_contact]\nphone = \"+74951234567\"\nlast_name = \"справочная\"\n",
        )
        .unwrap();
        assert_eq!(chat.bot.unwrap().as_str(), "Acme_Bot");
        assert_eq!((chat.language, chat.company.as_str()), (Language::Russian, "ООО «Акме»"));
        assert_eq!(
            [chat.keypad, chat.typed_digits, chat.auto_answer, chat.card],
            [false, false, true, false]
        );
        assert_eq!((chat.card_every.as_secs(), chat.call_back.as_deref()), (0, Some("*2001#")));
        assert_eq!(chat.card_photo.unwrap(), Path::new("/state/+79060000000/card.jpg"));
        let rows: Vec<_> =
            chat.menu.iter().map(|row| (row.name.as_str(), row.extension.to_string())).collect();
        assert_eq!(rows, [("Продажи", "101".to_owned()), ("Support", "*2#".to_owned())]);
        let contact = chat.card_contact.unwrap();
        assert_eq!((contact.phone.as_str(), contact.first_name.as_str()), ("+74951234567", "ООО «Акме»"));
        assert_eq!(contact.last_name, "справочная");
    }

    #[test]
    fn a_menu_may_be_written_in_one_line_and_a_photo_may_lie_anywhere() {
        let chat =
            chat("menu = [{ name = \"Sales\", extension = \"101\" }]\ncard_photo = \"/srv/card.jpg\"\n")
                .unwrap();
        assert_eq!(chat.menu[0].name, "Sales");
        assert_eq!(chat.card_photo.unwrap(), Path::new("/srv/card.jpg"));
    }

    #[test]
    fn every_mistake_is_told_at_once_with_line_key_value_and_what_is_allowed() {
        assert_eq!(
            errors(
                "bot = \"bot\"\nlanguage = \"de\"\ncard_every_s = 604801\ncall_back = \"a@b\"\ncompany = \"a\\nb\"\n\
                 card_photo = 1\n[[menu]]\nname = \"\"\nextension = \"10 1\"\n[[menu]]\nnme = \"x\"\n[card_contact]\nphone = \"four\"\n"
            ),
            [
                r#"l.toml:4: bot = "bot": want the bot's username, 5 to 32 letters, digits and _, as "acme_support_bot", or "" for none"#,
                r#"l.toml:5: language = "de": want one of "en", "ru""#,
                "l.toml:6: card_every_s = 604801: want a whole number from 0 to 604800 (seconds)",
                r#"l.toml:7: call_back = "a@b": want an extension or a queue of the PBX, 1 to 64 letters, digits and + - _ . * #, as "2001", or "" for none"#,
                r#"l.toml:8: company = "a\nb": want up to 64 characters without line breaks"#,
                r#"l.toml:9: card_photo = 1: want the path of a picture, or "" for none"#,
                r#"l.toml:11: menu.name = "": want 1 to 40 characters without line breaks"#,
                r#"l.toml:12: menu.extension = "10 1": want 1 to 32 of 0 to 9, *, #, A to D in quotes, as "101""#,
                "l.toml:13: menu.name is missing: want 1 to 40 characters without line breaks",
                r#"l.toml:13: menu.extension is missing: want 1 to 32 of 0 to 9, *, #, A to D in quotes, as "101""#,
                r#"l.toml:14: unknown key menu.nme = "x": want one of name, extension"#,
                r#"l.toml:16: card_contact.phone = "four": want a phone number of 3 to 15 digits, as "+74951234567", or "" for none"#,
            ]
        );
    }

    #[test]
    fn a_menu_is_a_list_of_at_most_20_rows_whose_extensions_fit_a_button() {
        let row = "[[menu]]\nname = \"a\"\nextension = \"1\"\n";
        assert_eq!(chat(&row.repeat(20)).unwrap().menu.len(), 20);
        for (wrong, wanted) in [
            (row.repeat(21).as_str(), "want a list of up to 20 sections, as [[menu]]"),
            ("menu = 5\n", "menu = 5: want a list of up to 20 sections, as [[menu]]"),
            ("menu = [5]\n", "menu = [5]: want a list of sections, as [[menu]]"),
            (&format!("menu = [{{ name = \"a\", extension = \"{}\" }}]\n", "1".repeat(33)), WANTED_KEYS),
            (&format!("menu = [{{ name = \"{}\", extension = \"1\" }}]\n", "я".repeat(41)), "want 1 to 40 "),
        ] {
            let told = errors(wrong);
            assert!(told.len() == 1 && told[0].contains(wanted), "{wrong}: {told:?}");
        }
    }

    fn chat(text: &str) -> Result<Chat, Vec<Problem>> {
        let file = Path::new("/state/+79060000000/line.toml");
        let line = Line::parse(&format!("{SMALLEST}{text}"), file, "+79060000000", &BTreeMap::new());
        line.map(|line| line.chat)
    }

    fn errors(text: &str) -> Vec<String> {
        let told = chat(text).unwrap_err();
        told.iter().map(|problem| problem.to_string().replace("/state/+79060000000/line", "l")).collect()
    }
}
