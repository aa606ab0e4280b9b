//! How an instance stands with Telegram.

use serde::{Deserialize, Serialize};

/// How an instance stands with Telegram, in the words of GREEN-API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// Somebody has to log in, or to enter the code.
    NotAuthorized,
    /// It works.
    Authorized,
    /// It will soon be known.
    Starting,
    /// The login waits for the account's password.
    PendingPassword,
    /// Telegram limits the account for a while.
    Suspended,
    /// Telegram has closed the account.
    Blocked,
}

impl Standing {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAuthorized => "notAuthorized",
            Self::Authorized => "authorized",
            Self::Starting => "starting",
            Self::PendingPassword => "pendingPassword",
            Self::Suspended => "suspended",
            Self::Blocked => "blocked",
        }
    }
}
