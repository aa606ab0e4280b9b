//! Logging a program's session in, step by step, from a page, a terminal or another program.
//!
//! Gateway and client have a session each for a line's account, and each answers for its own. A step that Telegram refuses
//! is no refusal of the request: the answer is the stage that holds, with the problem beside it. A login goes on after a
//! restart of the program where it stood.

use serde::{Deserialize, Serialize};

use super::event::Peer;
use crate::said::Said;
use crate::secret::LoginToken;
use crate::units::Phone;

/// How a login begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginMethod {
    /// Telegram sends a code.
    Code,
    /// Another device of the account scans a QR code.
    Qr,
}

/// How far the login of one program's session is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginInfo {
    /// Whose account.
    pub line: Phone,
    /// What is needed now.
    #[serde(flatten)]
    pub stage: LoginStage,
    /// Why the last step did not succeed, with what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Said>,
}

/// What a login needs. Times are milliseconds since 1970 (UTC).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum LoginStage {
    /// Nobody is logged in, and nothing is under way: `start_login`.
    Start,
    /// The code that Telegram sent: `enter_code`, or `resend_code`.
    Code {
        /// By which way it was sent.
        via: CodeVia,
        /// How many characters it has, where told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        length: Option<u32>,
        /// By which way it would be sent again, if it can be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<CodeVia>,
        /// From when on it can be sent again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resend_ms: Option<u64>,
        /// When it was sent.
        sent_ms: u64,
    },
    /// Another device of the account scans this, or opens it as a link: `tg://login?token=…`. The next stage comes by
    /// itself, and a fresh token before this one is too old.
    Qr {
        /// What the code shows.
        token: LoginToken,
        /// When it is too old.
        expires_ms: u64,
    },
    /// The account's password: `enter_password`.
    Password {
        /// The owner's own hint.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// Nothing: this is who is logged in.
    Done {
        /// Who.
        account: Peer,
    },
}

/// The way a code is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeVia {
    /// A message in the Telegram app on another device.
    App,
    /// A text message.
    Sms,
    /// A text message that is a word; the code is that word.
    SmsWord,
    /// A text message that is a sentence of several words; the code is all of them, with the spaces between them.
    SmsPhrase,
    /// A phone call that speaks it.
    Call,
    /// A phone call whose own number ends with it.
    MissedCall,
    /// The e-mail address of the account.
    Email,
    /// fragment.com, for its anonymous numbers.
    Fragment,
}

impl CodeVia {
    /// Whether the code is words, not digits.
    pub fn is_words(self) -> bool {
        match self {
            Self::SmsWord | Self::SmsPhrase => true,
            Self::App | Self::Sms | Self::Call | Self::MissedCall | Self::Email | Self::Fragment => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_words_have_words_of_their_own() {
        let word = |via: CodeVia| serde_json::to_value(via).unwrap();
        assert_eq!([CodeVia::SmsWord, CodeVia::SmsPhrase].map(word), ["sms_word", "sms_phrase"]);
        assert!(CodeVia::SmsPhrase.is_words() && !CodeVia::Fragment.is_words());
    }

    #[test]
    fn a_login_is_the_json_that_version_1_promises() {
        let line: Phone = "+79060000000".parse().unwrap();
        let info = |stage, problem| LoginInfo { line: line.clone(), stage, problem };
        let code = LoginStage::Code {
            via: CodeVia::App,
            length: Some(5),
            next: Some(CodeVia::Sms),
            resend_ms: Some(70_000),
            sent_ms: 10_000,
        };
        let account = Peer { name: Some("Acme".into()), ..Peer::default() };
        let token = LoginToken::new(&[0xfb, 0xff]).unwrap();
        for (info, promised) in [
            (info(LoginStage::Start, None), serde_json::json!({"line": "+79060000000", "stage": "start"})),
            (
                info(code, Some(Said::new("The code is wrong.", "Код неверный."))),
                serde_json::json!({
                    "line": "+79060000000", "stage": "code", "via": "app", "length": 5, "next": "sms",
                    "resend_ms": 70_000, "sent_ms": 10_000,
                    "problem": {"en": "The code is wrong.", "ru": "Код неверный."},
                }),
            ),
            (
                info(LoginStage::Qr { token, expires_ms: 5 }, None),
                serde_json::json!({"line": "+79060000000", "stage": "qr", "token": "-_8", "expires_ms": 5}),
            ),
            (
                info(LoginStage::Password { hint: Some("cat".into()) }, None),
                serde_json::json!({"line": "+79060000000", "stage": "password", "hint": "cat"}),
            ),
            (
                info(LoginStage::Done { account }, None),
                serde_json::json!({"line": "+79060000000", "stage": "done", "account": {"name": "Acme"}}),
            ),
        ] {
            assert_eq!(serde_json::to_value(&info).unwrap(), promised);
            assert_eq!(serde_json::from_value::<LoginInfo>(promised).unwrap(), info);
        }
    }
}
