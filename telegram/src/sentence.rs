//! Every sentence this crate says to a person, one row each, one column per language.

use std::fmt;

use tgtrunk_config::control::{CodeVia, LoginStage};
use tgtrunk_config::{Language, Said};

use crate::login::LoginError;
use crate::status::{Orange, Red};
use crate::terminal::name;

/// One thing said in every language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    russian: String,
    english: String,
}

impl Sentence {
    /// The sentence in one language.
    #[must_use]
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::Russian => &self.russian,
            Language::English => &self.english,
        }
    }

    /// As it stands beside a lamp or within a longer sentence: without the full stop.
    #[must_use]
    pub fn clause(self) -> Said {
        let Said { en, ru } = self.into();
        Said::new(en.trim_end_matches('.'), ru.trim_end_matches('.'))
    }
}

/// What a terminal asks and tells during a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// The code that was sent.
    Code {
        /// By which way.
        via: CodeVia,
        /// How many characters it has, where told.
        length: Option<u32>,
    },
    /// The account's password.
    Password {
        /// The user's own hint.
        hint: Option<String>,
    },
    /// Somebody is logged in.
    In {
        /// Who.
        name: String,
    },
    /// The account is logged in; begin again?
    Again {
        /// Who.
        name: String,
    },
    /// The login is back at its start; begin again?
    Retry,
    /// A QR code is shown.
    Scan,
    /// Input ended before the login did.
    Ended,
}

impl From<Sentence> for Said {
    fn from(sentence: Sentence) -> Self {
        Self::new(sentence.english, sentence.russian)
    }
}

fn row(russian: impl Into<String>, english: impl Into<String>) -> Sentence {
    Sentence { russian: russian.into(), english: english.into() }
}

impl Prompt {
    /// What the stage of a login asks for at a terminal.
    pub(crate) fn stage(stage: &LoginStage) -> Self {
        match stage {
            LoginStage::Start => Self::Retry,
            LoginStage::Code { via, length, .. } => Self::Code { via: *via, length: *length },
            LoginStage::Qr { .. } => Self::Scan,
            LoginStage::Password { hint } => Self::Password { hint: hint.clone() },
            LoginStage::Done { account } => Self::In { name: name(account) },
        }
    }
}

impl From<&LoginError> for Sentence {
    fn from(error: &LoginError) -> Self {
        match error {
            LoginError::NumberInvalid => row(
                "Telegram не знает такого номера. Введите его с кодом страны, например +79001112233.",
                "This is not a phone number Telegram knows. Write it with its country code, like +79001112233.",
            ),
            LoginError::NumberBanned => {
                row("Telegram заблокировал этот номер.", "Telegram has banned this number.")
            }
            LoginError::NumberUnregistered => row(
                "На этот номер не зарегистрирован аккаунт Telegram. Сначала зарегистрируйте его в приложении Telegram.",
                "No Telegram account has this number. Register it in the Telegram app first.",
            ),
            LoginError::NumberFlood => row(
                "С этим номером было слишком много попыток. Попробуйте завтра.",
                "Too many attempts with this number. Try again tomorrow.",
            ),
            LoginError::CodeWrong => {
                row("Код неверный. Проверьте его ещё раз.", "The code is wrong. Look at it again.")
            }
            LoginError::CodeExpired => {
                row("Код устарел. Запросите новый.", "The code is too old. Ask for a new one.")
            }
            LoginError::CodeNotSent => row(
                "Код ещё не отправлен. Сначала начните вход.",
                "No code was sent yet. Begin the login first.",
            ),
            LoginError::CodeNotResent => row(
                "Отправить код другим способом Telegram не может. Дождитесь того, что уже отправлен.",
                "Telegram has no other way to send the code. Wait for the one it sent.",
            ),
            LoginError::PasswordWrong => row("Пароль неверный.", "The password is wrong."),
            LoginError::PasswordNotAsked => {
                row("Telegram не спрашивал пароль.", "Telegram did not ask for a password.")
            }
            LoginError::PasswordUnknownKind => row(
                "Telegram хранит этот пароль способом, которого эта версия не знает. Обновите tgtrunk.",
                "Telegram keeps this password in a way this version does not know. Update tgtrunk.",
            ),
            LoginError::ApiInvalid => row(
                "Telegram не принимает api_id и api_hash. Скопируйте их ещё раз с https://my.telegram.org.",
                "Telegram does not accept api_id and api_hash. Copy them from https://my.telegram.org once more.",
            ),
            LoginError::ApiBlocked => row(
                "Telegram больше не принимает этот api_id: он был опубликован. Получите собственный на https://my.telegram.org.",
                "Telegram does not accept this api_id any more, because it was published. Get your own at https://my.telegram.org.",
            ),
            LoginError::AppOnly => row(
                "С этим номером Telegram разрешает входить только из своего приложения.",
                "Telegram lets this number log in from its own app only.",
            ),
            LoginError::EmailNeeded => row(
                "Telegram просит сначала указать для этого аккаунта электронную почту. Сделайте это в приложении Telegram.",
                "Telegram wants an e-mail address for this account first. Set it in the Telegram app.",
            ),
            LoginError::PaymentNeeded => row(
                "Telegram просит заплатить за отправку кода. Сначала войдите через приложение Telegram.",
                "Telegram wants to be paid for sending this code. Log in with the Telegram app first.",
            ),
            LoginError::Deactivated => row(DELETED.0, DELETED.1),
            LoginError::StartAgain => row(
                "Telegram просит начать вход заново. Запросите новый код.",
                "Telegram wants the login to begin again. Ask for a new code.",
            ),
            LoginError::QrForgotten => row(
                "QR-код никто не отсканировал. Начните вход ещё раз.",
                "Nobody scanned the QR code. Begin the login again.",
            ),
            LoginError::OtherNumber { phone } => row(
                format!(
                    "Здесь входит только аккаунт номера {phone}: его сообщения уже в журнале. Другому номеру нужна своя линия или свой инстанс."
                ),
                format!(
                    "Only the account of {phone} logs in here: its messages are in the journal already. Another number needs a line or an instance of its own."
                ),
            ),
            LoginError::OtherAccount { phone } => row(
                format!(
                    "QR-код отсканировали из аккаунта другого номера, +{phone}. Нужен аккаунт этой линии."
                ),
                format!(
                    "The QR code was scanned by the account of another number, +{phone}. It has to be this line's account."
                ),
            ),
            LoginError::NotAccepted { cause } => row(
                format!(
                    "Сеанс шлюза не может впустить этот: {}. Войдите по коду.",
                    cause.in_language(Language::Russian)
                ),
                format!("The gateway's session cannot let this one in: {cause}. Log in with a code."),
            ),
            LoginError::NotLetIn => row(
                "Сеанс шлюза впустил этот, но Telegram этого не видит. Войдите по коду.",
                "The gateway's session let this one in, and Telegram does not know of it. Log in with a code.",
            ),
            LoginError::FloodWait { seconds } => row(
                format!("Слишком много попыток. Telegram просит подождать {}.", russian_duration(*seconds)),
                format!("Too many attempts. Telegram asks to wait {}.", english_duration(*seconds)),
            ),
            LoginError::NoAnswer => row(
                "Telegram не ответил вовремя. Попробуйте ещё раз.",
                "Telegram did not answer in time. Try again.",
            ),
            LoginError::Offline { cause } => {
                row(format!("Нет связи с Telegram: {cause}."), format!("Telegram is not reached: {cause}."))
            }
            LoginError::Local { cause } => row(
                format!("Вход не удался на этом компьютере: {cause}."),
                format!("The login failed on this machine: {cause}."),
            ),
            LoginError::Other { error } => {
                row(format!("Telegram отказал: {error}."), format!("Telegram refused: {error}."))
            }
        }
    }
}

/// Said of an account that no login brings back.
const DELETED: (&str, &str) =
    ("Этот аккаунт удалён или заблокирован Telegram.", "This account was deleted or banned by Telegram.");

impl From<&Red> for Sentence {
    fn from(reason: &Red) -> Self {
        match reason {
            Red::NotLoggedIn => row("Вход ещё не выполнен.", "Nobody is logged in yet."),
            Red::LoggedOut => row("Из аккаунта вышли здесь.", "The account was logged out here."),
            Red::Revoked(error) if error.starts_with("USER_DEACTIVATED") => row(DELETED.0, DELETED.1),
            Red::Revoked(error) if error == "SESSION_REVOKED" => row(
                "Telegram завершил сеанс: его закрыли с другого устройства аккаунта (Настройки, Устройства). Войдите заново.",
                "Telegram ended the session: it was closed from another device of the account (Settings, Devices). Log in again.",
            ),
            Red::Revoked(_) => {
                row("Telegram завершил сеанс. Войдите заново.", "Telegram ended the session. Log in again.")
            }
            Red::KeyUnknown => row(
                "Telegram не узнаёт ключ сеанса. Он сохранён: перезапустите программу, чтобы попробовать его ещё раз, или войдите заново.",
                "Telegram does not know the session's key. It is kept: restart to try it again, or log in again.",
            ),
            Red::KeyDuplicated => row(
                "Сеанс использовали сразу в двух местах, и Telegram его завершил. Войдите заново.",
                "The session was used from two places at once, so Telegram ended it. Log in again.",
            ),
        }
    }
}

impl From<&Orange> for Sentence {
    fn from(reason: &Orange) -> Self {
        match reason {
            Orange::Starting => row("Подключаемся к Telegram.", "Connecting to Telegram."),
            Orange::LoggedIn => row("Вход выполнен, подключаемся.", "Logged in, connecting."),
            Orange::ConnectionLost { cause } => row(
                format!("Нет соединения с Telegram ({cause}), пробуем снова."),
                format!("No connection to Telegram ({cause}), trying again."),
            ),
            Orange::Proxy { proxy, cause } => row(
                format!("Прокси {proxy} не пропускает нас к Telegram ({cause}), пробуем снова."),
                format!("The proxy {proxy} does not let us through to Telegram ({cause}), trying again."),
            ),
            Orange::NoAnswer => row(
                "Telegram не отвечает, подключаемся заново.",
                "Telegram does not answer, connecting anew.",
            ),
            Orange::Refused { error } => row(
                format!("Telegram отвечает ошибкой ({error}), пробуем снова."),
                format!("Telegram answers with an error ({error}), trying again."),
            ),
            Orange::Crowded => row(
                "Telegram просит открывать меньше соединений, попробуем позже.",
                "Telegram asks for fewer connections, trying again later.",
            ),
            Orange::Restarting => row(
                "Соединение отказало, запускаем его снова.",
                "The connection failed and is being started again.",
            ),
            Orange::Broken => row(
                "Внутренняя ошибка программы, аккаунт открывается заново.",
                "A fault of the program's own; the account is being opened anew.",
            ),
            Orange::Stopped => row("Остановлено.", "Stopped."),
        }
    }
}

impl From<&Prompt> for Sentence {
    fn from(prompt: &Prompt) -> Self {
        match prompt {
            Prompt::Code { via, length } => {
                let (russian, english) = match length {
                    Some(length) => (
                        format!(" ({length} {})", russian_form(*length, ["символ", "символа", "символов"])),
                        format!(" ({length} characters)"),
                    ),
                    None => (String::new(), String::new()),
                };
                let (from, way) = source(*via);
                row(
                    format!("Код {from}{russian}, пустая строка — отправить ещё раз: "),
                    format!("Code from {way}{english}, empty to have it sent again: "),
                )
            }
            Prompt::Password { hint: None } => row("Пароль аккаунта: ", "Password of the account: "),
            Prompt::Password { hint: Some(hint) } => row(
                format!("Пароль аккаунта (подсказка: {hint}): "),
                format!("Password of the account (hint: {hint}): "),
            ),
            Prompt::In { name } => row(format!("Вход выполнен: {name}."), format!("Logged in as {name}.")),
            Prompt::Retry => row("Начать вход ещё раз? [д/Н] ", "Begin the login again? [y/N] "),
            Prompt::Scan => row(
                "Отсканируйте код в Telegram на телефоне: Настройки, Устройства, Подключить устройство.",
                "Scan the code with Telegram on your phone: Settings, Devices, Link Desktop Device.",
            ),
            Prompt::Again { name } => row(
                format!("Вход уже выполнен: {name}. Выйти и войти заново? [д/Н] "),
                format!("{name} is logged in. Log out and log in again? [y/N] "),
            ),
            Prompt::Ended => row(
                "Ввод закончился раньше входа. Введённое сохранено.",
                "The input ended before the login did. What was entered is kept.",
            ),
        }
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Sentence::from(self).in_language(Language::English))
    }
}

impl std::error::Error for LoginError {}

impl fmt::Display for Red {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Sentence::from(self).in_language(Language::English))
    }
}

impl fmt::Display for Orange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Sentence::from(self).in_language(Language::English))
    }
}

/// Where a code comes from, after "Код" and after "Code from".
fn source(via: CodeVia) -> (&'static str, &'static str) {
    match via {
        CodeVia::App => ("из приложения Telegram", "the Telegram app"),
        CodeVia::Sms => ("из СМС", "the text message"),
        CodeVia::SmsWord => ("из СМС, одно слово", "the text message, one word"),
        CodeVia::SmsPhrase => ("из СМС, вся фраза", "the text message, the whole phrase"),
        CodeVia::Call => ("из телефонного звонка", "the phone call"),
        CodeVia::MissedCall => {
            ("из последних цифр номера, который звонит", "the last digits of the number that calls")
        }
        CodeVia::Email => ("из электронного письма", "the e-mail"),
        CodeVia::Fragment => ("с fragment.com", "fragment.com"),
    }
}

fn english_duration(seconds: u32) -> String {
    match seconds {
        1 => "1 second".to_owned(),
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3600)),
    }
}

/// A span as it stands after "подождать", in the accusative.
fn russian_duration(seconds: u32) -> String {
    let (count, forms) = match seconds {
        0..120 => (seconds, ["секунду", "секунды", "секунд"]),
        120..7200 => (seconds.div_ceil(60), ["минуту", "минуты", "минут"]),
        _ => (seconds.div_ceil(3600), ["час", "часа", "часов"]),
    };
    format!("{count} {}", russian_form(count, forms))
}

/// The form of a noun after a number: of 1, of 2, of 5 (Unicode CLDR, plural rules of `ru`: one, few, many).
fn russian_form(count: u32, [one, few, many]: [&str; 3]) -> &str {
    match (count % 10, count % 100) {
        (_, 11..=14) => many,
        (1, _) => one,
        (2..=4, _) => few,
        _ => many,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_in_units_a_person_uses_and_never_too_short() {
        let told = |seconds| LoginError::FloodWait { seconds }.to_string();
        assert!(told(1).contains("wait 1 second."));
        assert!(told(31).contains("wait 31 seconds."));
        assert!(told(121).contains("wait 3 minutes."));
        assert!(told(86_400).contains("wait 24 hours."));
    }

    #[test]
    fn waits_are_told_in_russian_in_the_form_that_the_number_wants() {
        for (seconds, told) in [
            (1, "1 секунду"),
            (2, "2 секунды"),
            (5, "5 секунд"),
            (11, "11 секунд"),
            (21, "21 секунду"),
            (112, "112 секунд"),
            (121, "3 минуты"),
            (660, "11 минут"),
            (1_260, "21 минуту"),
            (7_200, "2 часа"),
            (75_600, "21 час"),
            (86_400, "24 часа"),
            (360_000, "100 часов"),
        ] {
            let sentence = Sentence::from(&LoginError::FloodWait { seconds });
            let russian = sentence.in_language(Language::Russian);
            assert_eq!(russian, format!("Слишком много попыток. Telegram просит подождать {told}."));
        }
    }

    #[test]
    fn a_code_is_asked_for_with_its_length_in_both_languages() {
        let asked = |length| {
            let sentence = Sentence::from(&Prompt::Code { via: CodeVia::Sms, length });
            Language::ALL.map(|language| sentence.in_language(language).to_owned())
        };
        assert_eq!(
            asked(Some(5)),
            [
                "Код из СМС (5 символов), пустая строка — отправить ещё раз: ",
                "Code from the text message (5 characters), empty to have it sent again: "
            ]
        );
        assert!(asked(None)[0].starts_with("Код из СМС, пустая"));
    }

    #[test]
    fn every_sentence_is_russian_in_one_column_and_english_in_the_other() {
        let cyrillic = |text: &str| text.chars().any(|c| ('а'..='я').contains(&c));
        let latin = |text: &str| !cyrillic(text) && text.chars().any(|c| c.is_ascii_lowercase());
        for sentence in every_sentence() {
            let [russian, english] = Language::ALL.map(|language| sentence.in_language(language));
            assert!(cyrillic(russian) && latin(english), "{sentence:?}");
            assert_eq!(russian.ends_with(' '), english.ends_with(' '), "{sentence:?}");
            assert_eq!(russian.ends_with('.'), english.ends_with('.'), "{sentence:?}");
        }
    }

    #[test]
    fn a_banned_account_is_not_told_to_log_in_again() {
        assert!(!Red::Revoked("USER_DEACTIVATED_BAN".into()).to_string().contains("Log in"));
        for word in ["SESSION_REVOKED", "AUTH_KEY_UNREGISTERED", "SESSION_EXPIRED"] {
            let told = Red::Revoked(word.into()).to_string();
            assert!(told.ends_with("Log in again.") && !told.contains(word), "{told}");
        }
    }

    fn every_sentence() -> Vec<Sentence> {
        let word = || "cause".to_owned();
        let errors = [
            LoginError::NumberInvalid,
            LoginError::NumberBanned,
            LoginError::NumberUnregistered,
            LoginError::NumberFlood,
            LoginError::CodeWrong,
            LoginError::CodeExpired,
            LoginError::CodeNotSent,
            LoginError::CodeNotResent,
            LoginError::PasswordWrong,
            LoginError::PasswordNotAsked,
            LoginError::PasswordUnknownKind,
            LoginError::ApiInvalid,
            LoginError::ApiBlocked,
            LoginError::AppOnly,
            LoginError::EmailNeeded,
            LoginError::PaymentNeeded,
            LoginError::Deactivated,
            LoginError::StartAgain,
            LoginError::QrForgotten,
            LoginError::OtherAccount { phone: word() },
            LoginError::OtherNumber { phone: word() },
            LoginError::NotAccepted { cause: word().into() },
            LoginError::NotLetIn,
            LoginError::FloodWait { seconds: 5 },
            LoginError::NoAnswer,
            LoginError::Offline { cause: word() },
            LoginError::Local { cause: word() },
            LoginError::Other { error: word() },
        ];
        let reds = [
            Red::NotLoggedIn,
            Red::LoggedOut,
            Red::Revoked(word()),
            Red::Revoked("SESSION_REVOKED".into()),
            Red::Revoked("USER_DEACTIVATED".into()),
            Red::KeyUnknown,
            Red::KeyDuplicated,
        ];
        let oranges = [
            Orange::Starting,
            Orange::LoggedIn,
            Orange::ConnectionLost { cause: word() },
            Orange::Proxy { proxy: word(), cause: word() },
            Orange::NoAnswer,
            Orange::Refused { error: word() },
            Orange::Crowded,
            Orange::Restarting,
            Orange::Broken,
            Orange::Stopped,
        ];
        let vias = [
            CodeVia::App,
            CodeVia::Sms,
            CodeVia::SmsWord,
            CodeVia::SmsPhrase,
            CodeVia::Call,
            CodeVia::MissedCall,
            CodeVia::Email,
            CodeVia::Fragment,
        ];
        let prompts = vias.into_iter().map(|via| Prompt::Code { via, length: None });
        let prompts = prompts.chain([
            Prompt::Password { hint: None },
            Prompt::Password { hint: Some(word()) },
            Prompt::In { name: word() },
            Prompt::Again { name: word() },
            Prompt::Retry,
            Prompt::Scan,
            Prompt::Ended,
        ]);
        errors
            .iter()
            .map(Sentence::from)
            .chain(reds.iter().map(Sentence::from))
            .chain(oranges.iter().map(Sentence::from))
            .chain(prompts.map(|prompt| Sentence::from(&prompt)))
            .collect()
    }
}
