//! Why a request on a link was not answered.

use std::io;
use std::sync::Arc;

use grammers_mtproto::{authentication, transport};
use grammers_tl_types as tl;

use crate::session::SessionError;

/// What became of a request instead of an answer. All that waited on one connection may get the same.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum LinkError {
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error("{0}")]
    Io(Arc<io::Error>),
    #[error("{0}")]
    Proxy(String),
    #[error(transparent)]
    Transport(#[from] transport::Error),
    #[error(transparent)]
    KeyExchange(#[from] authentication::Error),
    #[error(transparent)]
    Session(Arc<SessionError>),
    /// The answer to this request is not what it should be.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// What came is no message of Telegram's to us, and nobody knows what follows it.
    #[error("what came is no message to us: {0}")]
    Garbled(String),
    /// Telegram takes our messages for wrong ones (core.telegram.org/mtproto/service_messages_about_messages).
    #[error("Telegram refuses our messages (code {code})")]
    Refused {
        /// Its `error_code`.
        code: i32,
    },
    #[error("{0}")]
    Gone(&'static str),
}

/// Telegram's word for what is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {name}{}", value.map_or_else(String::new, |value| format!(" ({value})")))]
pub(crate) struct RpcError {
    /// Like an HTTP status.
    pub(crate) code: i32,
    /// Without the number in it: `PHONE_MIGRATE`.
    pub(crate) name: String,
    /// The number: 4.
    pub(crate) value: Option<u32>,
}

impl From<tl::types::RpcError> for RpcError {
    fn from(error: tl::types::RpcError) -> Self {
        let mut value = None;
        let words = error.error_message.split('_').filter(|word| {
            let number = if value.is_none() { word.parse().ok() } else { None };
            value = value.or(number);
            number.is_none()
        });
        let name = words.collect::<Vec<_>>().join("_");
        Self { code: error.error_code, name, value }
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

impl From<SessionError> for LinkError {
    fn from(error: SessionError) -> Self {
        Self::Session(Arc::new(error))
    }
}

impl From<tl::deserialize::Error> for LinkError {
    fn from(error: tl::deserialize::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_of_a_word_is_its_value() {
        for (text, name, value) in [
            ("FLOOD_WAIT_31", "FLOOD_WAIT", Some(31)),
            ("INTERDC_2_CALL_ERROR", "INTERDC_CALL_ERROR", Some(2)),
            ("2FA_CONFIRM_WAIT_604800", "2FA_CONFIRM_WAIT", Some(604_800)),
            ("SHA256_HASH_INVALID", "SHA256_HASH_INVALID", None),
            ("CHAT_INVALID", "CHAT_INVALID", None),
            ("A_1_B_2", "A_B_2", Some(1)),
            ("Internal error", "Internal error", None),
        ] {
            let told = tl::types::RpcError { error_code: 400, error_message: text.to_owned() };
            assert_eq!(RpcError::from(told), RpcError { code: 400, name: name.to_owned(), value });
        }
    }
}
