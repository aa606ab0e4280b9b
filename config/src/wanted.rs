//! What a settings file should have had, in Russian: the ends of the sentences of [`crate::Problem`].
//!
//! The English words stand where a key is read; here is one row for each phrase of them, the longer ones first.

const PHRASES: &[(&str, &str)] = &[
    ("for recordings beside line.toml", "для записей рядом с line.toml"),
    ("the whole path of a folder, or", "полный путь папки или"),
    (
        "+ and 7 to 15 digits with the country code first, as",
        "+ и от 7 до 15 цифр, сначала код страны, например",
    ),
    ("a port of its own from 1024 to 65535", "собственный порт от 1024 до 65535"),
    ("has this one and runs, this line does not", "уже занимает этот порт и работает, а эта линия нет"),
    ("the name of its folder, which is", "имя её папки, то есть"),
    (
        "an IP address or a host name, with a port if it is not 5060 (or 5061 with TLS), as",
        "IP-адрес или имя узла, с портом, если это не 5060 (или 5061 по TLS), например",
    ),
    (", or a list of up to 8 of these", ", или список до 8 таких"),
    ("up to 64 letters, digits and", "до 64 латинских букв, цифр и"),
    (", or a password in", ", или пароль в"),
    (", or a user in", ", или имя в"),
    (
        "false, or a user and a password in auth_user and auth_password",
        "false, или имя и пароль в auth_user и auth_password",
    ),
    ("a host name or an IP address, as", "имя узла или IP-адрес, например"),
    (
        "a list of up to 3 IP addresses, with a port if it is not 53, as",
        "список до 3 IP-адресов, с портом, если это не 53, например",
    ),
    ("1 to 64 letters, digits and", "от 1 до 64 латинских букв, цифр и"),
    ("a list of different IP addresses, as", "список разных IP-адресов, например"),
    ("a list of IP addresses, as", "список IP-адресов, например"),
    (
        "a list of up to 10 texts of letters, digits, + - _ . * and",
        "список до 10 текстов из латинских букв, цифр, + - _ . * и",
    ),
    ("a list of different words out of", "список разных слов из"),
    ("all different; a word alone, as", "все разные; слово само по себе, например"),
    ("is short for", "значит то же, что"),
    ("a list of up to 10 texts with", "список до 10 текстов с"),
    ("no other places than", "только места"),
    ("(and {{ for a brace)", "(и {{ вместо скобки)"),
    ("at most max_calls, which is", "не больше max_calls, то есть"),
    ("up to 4 digits in quotes, as", "до 4 цифр в кавычках, например"),
    ("1 to 3 digits in quotes, not beginning with 0, as", "от 1 до 3 цифр в кавычках, первая не 0, например"),
    ("a list of 1 to 4 digits in quotes, as", "список из 1–4 цифр в кавычках, например"),
    ("a whole number from", "целое число от"),
    ("(seconds)", "(секунды)"),
    ("(milliseconds)", "(миллисекунды)"),
    ("(days)", "(дни)"),
    ("(hours)", "(часы)"),
    ("true or false", "true или false"),
    ("for the one of [telegram], or", "для того, что в [telegram], или"),
    ("one of", "одно из"),
    (
        "the bot's username, 5 to 32 letters, digits and _, as",
        "имя бота, от 5 до 32 латинских букв, цифр и _, например",
    ),
    ("an extension or a queue of the PBX,", "внутренний номер или очередь АТС,"),
    (
        "1 to 32 of 0 to 9, *, #, A to D in quotes, as",
        "от 1 до 32 знаков из 0–9, *, #, A–D в кавычках, например",
    ),
    ("the path of a PEM file", "путь к файлу PEM"),
    ("the path of a file with the password, as", "путь к файлу с паролем, например"),
    ("the path of a file with the secret, as", "путь к файлу с секретом, например"),
    ("an address, where there is a secret for it", "адрес, раз для него есть секрет"),
    ("beside", "к нему"),
    ("the path of a picture", "путь к картинке"),
    ("the path of a directory", "путь к папке"),
    ("1 to 40 characters without line breaks", "от 1 до 40 знаков без переводов строки"),
    ("characters without line breaks", "знаков без переводов строки"),
    ("a phone number of 3 to 15 digits, as", "номер телефона из 3–15 цифр, например"),
    ("a list of up to 50 Telegram ids, as", "список до 50 номеров Telegram, например"),
    (
        "a list of up to 20 host names, with a port if browsers say one, as",
        "список до 20 имён узлов, с портом, если его указывают браузеры, например",
    ),
    (
        "a list of up to 1000 people, each a number with * and ?, as",
        "список до 1000 записей, каждая — номер с * и ?, например",
    ),
    (
        "a list of up to 100 texts, each a regular expression, -> and what takes its place, as '8(\\d{10}) -> +7$1'",
        "список до 100 текстов, каждый — регулярное выражение, -> и то, что встанет на его место, например '8(\\d{10}) -> +7$1'",
    ),
    ("a list of days and hours, as", "список дней и часов, например"),
    ("a list of days in quotes, as", "список дат в кавычках, например"),
    ("the name of a time zone, as", "название часового пояса, например"),
    ("for the machine's", "для пояса этой машины"),
    ("beside it", "рядом"),
    ("a list of up to", "список до"),
    ("a list of sections, as", "список разделов, например"),
    ("sections, as", "разделов, например"),
    ("a section, as", "раздел, например"),
    ("the token that @BotFather gave, as", "ключ, который дал @BotFather, например"),
    ("32 hexadecimal digits, from", "32 шестнадцатеричные цифры, их даёт"),
    ("2147483647, from", "2147483647, его даёт"),
    ("two or three lowercase letters, as", "две или три маленькие латинские буквы, например"),
    (
        ": this is an MTProxy, which carries no calls, and tgtrunk speaks SOCKS5 only",
        ": это MTProxy, он не переносит звонки, а tgtrunk понимает только SOCKS5",
    ),
    (
        ": this is an HTTP proxy, and tgtrunk speaks SOCKS5 only",
        ": это прокси HTTP, а tgtrunk понимает только SOCKS5",
    ),
    ("a SOCKS5 proxy, as", "прокси SOCKS5, например"),
    ("user and password of 1 to 255 letters, digits and", "имя и пароль из 1–255 латинских букв, цифр и"),
    (
        "only: others would have to be written as %40 and the like, which is not read",
        "и больше ничего: остальное пришлось бы писать как %40, а так не читается",
    ),
    ("a text, as", "текст, например"),
    ("a text,", "текст,"),
    ("(the PBX is told it, so not 0.0.0.0 or ::)", "(его узнаёт АТС, поэтому не 0.0.0.0 и не ::)"),
    ("one IP address of this machine, as", "один IP-адрес этой машины, например"),
    ("one IP address, as", "один IP-адрес, например"),
    (
        "an address of the same family as sip_bind, IPv4 or IPv6",
        "адрес того же семейства, что sip_bind: IPv4 или IPv6",
    ),
    (
        "two ports from 1024 to 65535 and at least 8 apart, as",
        "два порта от 1024 до 65535, между которыми не меньше 8, например",
    ),
    ("an address that Telegram can reach, as", "адрес, доступный для Telegram, например"),
    ("an address and a port, as", "адрес и порт, например"),
    ("an address as", "адрес, например"),
    ("1 to 64 printable ASCII characters", "от 1 до 64 печатных знаков ASCII"),
    ("for the default", "для текста по умолчанию"),
    ("for no page", "если страница не нужна"),
    ("for no API", "если API не нужен"),
    ("for that of", "для адреса из"),
    ("for none", "если не нужно"),
    ("at most", "не больше"),
    ("up to", "до"),
    ("characters", "знаков"),
    (", or ", ", или "),
    (", as ", ", например "),
    (" or ", " или "),
    (" to ", " до "),
];

/// What is wanted, said in Russian. Examples and words of the file, which stand in quotes, stay as they are.
pub(crate) fn in_russian(wanted: &str) -> String {
    let translated = |text: &str| {
        PHRASES.iter().fold(text.to_owned(), |text, (english, russian)| text.replace(english, russian))
    };
    let pieces = wanted.split('"').enumerate();
    let pieces = pieces.map(|(at, piece)| if at % 2 == 1 { piece.to_owned() } else { translated(piece) });
    pieces.collect::<Vec<_>>().join("\"")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::keys::{Fault, Problem};
    use crate::{BotFile, Line, Said, Settings, SettingsError};

    /// Words of files that a Russian sentence has, too.
    const WORDS: [&str; 5] = ["true", "false", "telegram", "menu", "card_contact"];

    #[test]
    fn whatever_is_wanted_in_a_settings_file_is_told_in_russian() {
        let line = every_key(include_str!("../line.example.toml"));
        let folder = "+79060000000";
        let mut problems = Line::parse(&line, Path::new("l"), folder, &BTreeMap::new()).unwrap_err();
        match Settings::parse(&every_key(include_str!("../example.toml")), Path::new("t")) {
            Err(SettingsError::Wrong(more)) => problems.extend(more),
            other => panic!("{other:?}"),
        }
        problems.extend(
            BotFile::parse(&every_key(include_str!("../bot.example.toml")), Path::new("b")).unwrap_err(),
        );
        assert!(problems.len() > 50, "{problems:?}");
        for problem in &problems {
            let (Fault::Value { wanted, .. } | Fault::Missing { wanted }) = &problem.fault else {
                panic!("{problem}")
            };
            assert!(is_russian(&in_russian(wanted)), "{wanted:?} became {:?}", in_russian(wanted));
        }
    }

    #[test]
    fn examples_and_words_of_the_file_stay_as_they_are() {
        for (wanted, told) in [
            (r#"one of "auto", "off""#, r#"одно из "auto", "off""#),
            (
                r#"up to 4 digits in quotes, as "8", or "" for none"#,
                r#"до 4 цифр в кавычках, например "8", или "" если не нужно"#,
            ),
            ("a whole number from 5 to 180 (seconds)", "целое число от 5 до 180 (секунды)"),
            (
                "no other places than {company}, {line} (and {{ for a brace)",
                "только места {company}, {line} (и {{ вместо скобки)",
            ),
        ] {
            assert_eq!(in_russian(wanted), told);
        }
    }

    #[test]
    fn a_mistake_is_told_in_both_languages_with_file_line_and_key() {
        let fault = Fault::Value { value: "4".into(), wanted: "true or false".into() };
        let problem = Problem { file: "l.toml".into(), line: Some(3), key: "enabled".into(), fault };
        let told = Said::new(
            "l.toml:3: enabled = 4: want true or false",
            "l.toml:3: enabled = 4; нужно: true или false",
        );
        assert_eq!(Said::from(&problem), told);
    }

    /// The file with a value at each key that no key takes.
    fn every_key(example: &str) -> String {
        let wrong = |line: &str| match line.split_once(" = ") {
            Some((key, _)) if !key.starts_with('#') => format!("{key} = 1979-05-27\n"),
            _ if line.starts_with('[') || line.starts_with('#') => format!("{line}\n"),
            _ => String::new(),
        };
        example.lines().map(wrong).collect()
    }

    /// Whether no English word is left but those of files.
    fn is_russian(told: &str) -> bool {
        let outside = told.split('"').step_by(2).flat_map(str::split_whitespace);
        let outside = outside.filter(|word| !word.starts_with('{'));
        let mut words = outside.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
        let is_english = |word: &str| word.len() > 2 && word.bytes().all(|byte| byte.is_ascii_lowercase());
        words.all(|word| !is_english(word) || WORDS.contains(&word))
    }
}
