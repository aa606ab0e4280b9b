//! Every sentence this crate says to a person, one row each, one column per language.

use std::fmt;

use crate::login::{LoginError, Stage, Via};
use crate::status::{Orange, Red};

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
}

/// One thing said in every language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    english: String,
}

impl Sentence {
    /// The sentence in one language.
    #[must_use]
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::English => &self.english,
        }
    }
}

/// What a terminal asks and tells during a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// What the stage of a login needs.
    Next(Stage),
    /// The account is logged in; begin again?
    Again {
        /// Who.
        name: String,
    },
    /// Input ended before the login did.
    Ended,
}

fn row(english: impl Into<String>) -> Sentence {
    Sentence { english: english.into() }
}

impl From<&LoginError> for Sentence {
    fn from(error: &LoginError) -> Self {
        match error {
            LoginError::NumberInvalid => row(
                "This is not a phone number Telegram knows. Write it with its country code, like +79001112233.",
            ),
            LoginError::NumberBanned => row("Telegram has banned this number."),
            LoginError::NumberUnregistered => {
                row("No Telegram account has this number. Register it in the Telegram app first.")
            }
            LoginError::NumberFlood => row("Too many attempts with this number. Try again tomorrow."),
            LoginError::CodeWrong => row("The code is wrong. Look at it again."),
            LoginError::CodeExpired => row("The code is too old. Ask for a new one."),
            LoginError::CodeNotSent => row("No code was sent yet. Enter the phone number first."),
            LoginError::CodeNotResent => {
                row("Telegram has no other way to send the code. Wait for the one it sent.")
            }
            LoginError::PasswordWrong => row("The password is wrong."),
            LoginError::PasswordNotAsked => row("Telegram did not ask for a password."),
            LoginError::PasswordUnknownKind => {
                row("Telegram keeps this password in a way this version does not know. Update tgtrunk.")
            }
            LoginError::ApiInvalid => row(
                "Telegram does not accept api_id and api_hash. Copy them from https://my.telegram.org once more.",
            ),
            LoginError::ApiBlocked => row(
                "Telegram does not accept this api_id any more, because it was published. Get your own at https://my.telegram.org.",
            ),
            LoginError::AppOnly => row("Telegram lets this number log in from its own app only."),
            LoginError::EmailNeeded => {
                row("Telegram wants an e-mail address for this account first. Set it in the Telegram app.")
            }
            LoginError::PaymentNeeded => {
                row("Telegram wants to be paid for sending this code. Log in with the Telegram app first.")
            }
            LoginError::Deactivated => row("This account was deleted or banned by Telegram."),
            LoginError::StartAgain => {
                row("Telegram wants the login to begin again. Enter the phone number once more.")
            }
            LoginError::FloodWait { seconds } => {
                row(format!("Too many attempts. Telegram asks to wait {}.", english_duration(*seconds)))
            }
            LoginError::NoAnswer => row("Telegram did not answer in time. Try again."),
            LoginError::Offline { cause } => row(format!("Telegram is not reached: {cause}.")),
            LoginError::Local { cause } => row(format!("The login failed on this machine: {cause}.")),
            LoginError::Other { error } => row(format!("Telegram refused: {error}.")),
        }
    }
}

impl From<&Red> for Sentence {
    fn from(reason: &Red) -> Self {
        match reason {
            Red::NotLoggedIn => row("Nobody is logged in yet."),
            Red::LoggedOut => row("The account was logged out here."),
            Red::Revoked(error) if error.starts_with("USER_DEACTIVATED") => {
                row("The account was deleted or banned by Telegram.")
            }
            Red::Revoked(error) => row(format!("Telegram ended the session ({error}). Log in again.")),
            Red::KeyUnknown => row(
                "Telegram does not know the session's key. It is kept: restart to try it again, or log in again.",
            ),
            Red::KeyDuplicated => {
                row("The session was used from two places at once, so Telegram ended it. Log in again.")
            }
        }
    }
}

impl From<&Orange> for Sentence {
    fn from(reason: &Orange) -> Self {
        match reason {
            Orange::Starting => row("Connecting to Telegram."),
            Orange::LoggedIn => row("Logged in, connecting."),
            Orange::ConnectionLost { cause } => {
                row(format!("No connection to Telegram ({cause}), trying again."))
            }
            Orange::Proxy { proxy, cause } => {
                row(format!("The proxy {proxy} does not let us through to Telegram ({cause}), trying again."))
            }
            Orange::NoAnswer => row("Telegram does not answer, connecting anew."),
            Orange::Refused { error } => {
                row(format!("Telegram answers with an error ({error}), trying again."))
            }
            Orange::Crowded => row("Telegram asks for fewer connections, trying again later."),
            Orange::Restarting => row("The connection failed and is being started again."),
            Orange::Stopped => row("Stopped."),
        }
    }
}

impl From<&Prompt> for Sentence {
    fn from(prompt: &Prompt) -> Self {
        match prompt {
            Prompt::Next(Stage::Phone) => row("Phone number with country code: "),
            Prompt::Next(Stage::Code { via, length, .. }) => {
                let digits = length.map_or_else(String::new, |length| format!(" ({length} characters)"));
                row(format!("Code from {}{digits}, empty to have it sent again: ", english_way(*via)))
            }
            Prompt::Next(Stage::Password { hint: None }) => row("Password of the account: "),
            Prompt::Next(Stage::Password { hint: Some(hint) }) => {
                row(format!("Password of the account (hint: {hint}): "))
            }
            Prompt::Next(Stage::Done(me)) => {
                let name = me.first_name.as_deref().unwrap_or("user");
                row(format!("Logged in as {name} (id {}).", me.id))
            }
            Prompt::Again { name } => row(format!("{name} is logged in. Log out and log in again? [y/N] ")),
            Prompt::Ended => row("The input ended before the login did. What was entered is kept."),
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

fn english_way(via: Via) -> &'static str {
    match via {
        Via::App => "the Telegram app",
        Via::Sms => "the text message",
        Via::Call => "the phone call",
        Via::MissedCall => "the last digits of the number that calls",
        Via::Email => "the e-mail",
        Via::Fragment => "fragment.com",
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
    fn a_banned_account_is_not_told_to_log_in_again() {
        assert!(!Red::Revoked("USER_DEACTIVATED_BAN".into()).to_string().contains("Log in"));
        assert!(Red::Revoked("SESSION_REVOKED".into()).to_string().contains("Log in"));
    }
}
