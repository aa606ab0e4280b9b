//! Why something is not done: a code for programs, and a sentence for people, who read it where their process stops.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::doors::shown;
use crate::instance::Refused;
use crate::messenger::Failure;
use crate::record::Reason;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $status:ident;)+) => {
        /// For programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            /// All of them.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),+];

            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            pub(super) fn read(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }

            pub(super) const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }
        }
    };
}

codes! {
    /// Something in the request cannot be so.
    BadRequest = "bad_request", BAD_REQUEST;
    /// The token is nobody's.
    Unauthorized = "unauthorized", UNAUTHORIZED;
    /// The instance's account is not logged in.
    NotAuthorized = "not_authorized", CONFLICT;
    /// Nobody is found by this name or number.
    DialogNotFound = "dialog_not_found", NOT_FOUND;
    /// Nobody on Telegram is found by this phone number.
    NoTelegramAccount = "no_telegram_account", NOT_FOUND;
    /// The other side's settings, or the chat's, do not allow it.
    PrivacyRestricted = "privacy_restricted", FORBIDDEN;
    /// The other side has blocked the account.
    UserBlockedBot = "user_blocked_bot", FORBIDDEN;
    /// There is no such message.
    MessageNotFound = "message_not_found", NOT_FOUND;
    /// It is not the account's own, or too old.
    NotEditable = "not_editable", CONFLICT;
    /// It says so already.
    NotModified = "not_modified", CONFLICT;
    /// The text is too long.
    TooLong = "too_long", BAD_REQUEST;
    /// The markup of the text is wrong.
    MarkupError = "markup_error", BAD_REQUEST;
    /// A file cannot be fetched, or Telegram does not take it.
    AttachmentFailed = "attachment_failed", UNPROCESSABLE_ENTITY;
    /// A file is too large.
    AttachmentTooLarge = "attachment_too_large", PAYLOAD_TOO_LARGE;
    /// Too much at once.
    FloodWait = "flood_wait", TOO_MANY_REQUESTS;
    /// Telegram limits the account.
    PeerFlood = "peer_flood", TOO_MANY_REQUESTS;
    /// Accounts can do it, bots cannot.
    UnsupportedForBot = "unsupported_for_bot", BAD_REQUEST;
    /// Bots can do it, accounts cannot.
    UnsupportedForUser = "unsupported_for_user", BAD_REQUEST;
    /// It takes longer than the program waits.
    Timeout = "timeout", GATEWAY_TIMEOUT;
    /// Something is wrong here.
    Internal = "internal", INTERNAL_SERVER_ERROR;
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failed {
    pub(crate) code: Code,
    pub(crate) message: String,
    /// Whether the same may be done at another time.
    pub(crate) is_retryable: bool,
    /// When: seconds.
    pub(crate) retry_after_s: Option<u32>,
    /// Which one of several it was, counted from 0.
    pub(crate) item: Option<u32>,
    /// The messages that were sent nevertheless.
    pub(crate) sent: Vec<Value>,
    /// Whether Telegram may have something of it nevertheless.
    pub(crate) may_be_sent: bool,
    /// Whether it can be done when the message is sent, which is being done just now.
    pub(crate) is_under_way: bool,
    /// For how long Telegram asks to leave it alone: seconds.
    pub(crate) flood_s: Option<u32>,
    /// Another status than the code's.
    pub(crate) status: Option<StatusCode>,
}

impl Failed {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        let is_retryable = Reason::of(code.as_str()).is_passing();
        let message = message.into();
        Self {
            code,
            message,
            is_retryable,
            retry_after_s: None,
            item: None,
            sent: Vec::new(),
            may_be_sent: false,
            is_under_way: false,
            flood_s: None,
            status: None,
        }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// A value that cannot be so. `want` says what is allowed: "must be ...".
    pub(super) fn wrong(key: &str, want: &str, value: Option<&Value>) -> Self {
        let is = match value {
            Some(value) => format!("it is {}", shown(value)),
            None => "it is missing".to_owned(),
        };
        Self::bad(format!("'{key}' {want}; {is}"))
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Whether it is only for now, and nobody here is at fault.
    pub(crate) fn is_passing(&self) -> bool {
        self.is_retryable
    }

    /// As a message of the journal says it.
    pub(super) fn of_message(sentence: Option<&str>, reason: Option<&Reason>) -> Self {
        let code = reason.and_then(|reason| Code::read(&reason.word)).unwrap_or(Code::Internal);
        let mut failed = Self::new(code, sentence.unwrap_or("it was not sent"));
        if let Some(reason) = reason {
            failed.item = reason.item;
            failed.retry_after_s = reason.retry_after_s;
            failed.may_be_sent = reason.may_be_sent;
            failed.is_retryable &= !reason.may_be_sent;
        }
        failed
    }

    /// As a job keeps it.
    pub(super) fn kept(error: &Value) -> Self {
        let code = error["code"].as_str().and_then(Code::read).unwrap_or(Code::Internal);
        let number = |key: &str| error[key].as_u64().and_then(|number| u32::try_from(number).ok());
        let mut failed = Self::new(code, error["message"].as_str().unwrap_or_default());
        failed.is_retryable = error["retryable"] == true;
        failed.retry_after_s = number("retry_after");
        failed.item = number("item");
        failed.may_be_sent = error["may_be_sent"] == true;
        failed.sent = error["sent"].as_array().cloned().unwrap_or_default();
        failed
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status.unwrap_or(self.code.status())
    }

    /// As programs are told.
    pub(crate) fn shown(&self) -> Value {
        let mut shown = json!({
            "code": self.code.as_str(),
            "message": self.message,
            "retryable": self.is_retryable,
        });
        if let Some(seconds) = self.retry_after_s {
            shown["retry_after"] = seconds.into();
        }
        if let Some(item) = self.item {
            shown["item"] = item.into();
        }
        if self.may_be_sent {
            shown["may_be_sent"] = true.into();
        }
        if !self.sent.is_empty() {
            shown["sent"] = self.sent.clone().into();
        }
        shown
    }
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        let sentence = refused.to_string();
        match refused {
            Refused::Bad(_) => Self::bad(sentence),
            Refused::Standing(_) => Self::new(Code::NotAuthorized, sentence),
            Refused::Missing(_) => Self::new(Code::MessageNotFound, sentence),
            Refused::UnderWay(_) => {
                let failed = Self::new(Code::NotEditable, sentence);
                Self { is_retryable: true, is_under_way: true, retry_after_s: Some(1), ..failed }
            }
            Refused::Full(_) => Self { retry_after_s: Some(60), ..Self::new(Code::FloodWait, sentence) },
            Refused::Spent { seconds, .. } => {
                Self { retry_after_s: Some(seconds), ..Self::new(Code::FloodWait, sentence) }
            }
            Refused::Telegram(failure) => failure.into(),
            Refused::NoRoom(_) => Self {
                retry_after_s: Some(60),
                ..Self::new(Code::Internal, sentence).with_status(StatusCode::INSUFFICIENT_STORAGE)
            },
            Refused::Storage(_) => {
                tracing::warn!(sentence, "an action is not done");
                Self::new(Code::Internal, "the disk does not take it")
            }
        }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        let sentence = failure.to_string();
        match failure {
            Failure::Flood { seconds } => {
                let failed = Self::new(Code::FloodWait, sentence);
                Self { retry_after_s: Some(seconds), flood_s: Some(seconds), ..failed }
            }
            Failure::Slow { seconds } => {
                Self { retry_after_s: Some(seconds), ..Self::new(Code::FloodWait, sentence) }
            }
            Failure::PeerFlood => Self::new(Code::PeerFlood, sentence),
            Failure::Unauthorized => Self::new(Code::NotAuthorized, sentence),
            Failure::Repeated | Failure::Unknown(_) | Failure::Undone(_) => {
                Self::new(Code::Internal, sentence)
            }
            Failure::Refused { word, .. } => Self::new(Code::read(word).unwrap_or(Code::Internal), sentence),
            Failure::Unsupported(_) => Self::new(Code::UnsupportedForUser, sentence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_and_is_read_again() {
        assert_eq!(Code::ALL.len(), 20);
        for code in Code::ALL {
            assert_eq!(Code::read(code.as_str()), Some(*code));
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }

    #[test]
    fn what_a_job_keeps_is_told_again_as_it_was() {
        let mut failed = Failed::new(Code::FloodWait, "Telegram asks to wait 9 s");
        failed.retry_after_s = Some(9);
        failed.item = Some(1);
        failed.sent = vec![json!({"message_id": 5})];
        assert_eq!(Failed::kept(&failed.shown()), failed);
        assert!(failed.is_passing() && !Failed::bad("no").is_passing());
    }
}
