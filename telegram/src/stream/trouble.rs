//! What an answer that did not come says about asking again.

use std::time::Duration;

use crate::invoke::spoils_connection;
use crate::link::{LinkError, RpcError};

/// Why a request of the update stream was not answered, as far as others are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Telegram does not go on from this state.
    State,
    /// Asking again is of no use (core.telegram.org/method/updates.getChannelDifference).
    Refused,
    /// Requests of this kind are not answered for so long (core.telegram.org/api/errors#420-flood).
    Flood(Duration),
    /// The answer cannot be read.
    Unreadable,
    /// This one is not answered now; others may be.
    NotNow,
    /// None is answered: the session, its key or the connection.
    All,
}

impl Trouble {
    pub(super) fn of(error: &LinkError) -> Self {
        match error {
            LinkError::Rpc(error) => Self::of_rpc(error),
            LinkError::Unreadable(_) => Self::Unreadable,
            // Those are of the connection, and of whatever else waits on it.
            _ => Self::All,
        }
    }

    fn of_rpc(RpcError { code, name, value }: &RpcError) -> Self {
        if name == "AUTH_KEY_DUPLICATED" || spoils_connection(name) {
            return Self::All;
        }
        match code {
            400 if name.starts_with("PERSISTENT_TIMESTAMP") => Self::State,
            400 | 403 | 406 => Self::Refused,
            401 => Self::All,
            // The account may read (core.telegram.org/api/auth#frozen-accounts), but not this.
            420 if name.starts_with("FROZEN_") => Self::Refused,
            420 => Self::Flood(Duration::from_secs(value.unwrap_or(1).max(1).into())),
            _ => Self::NotNow,
        }
    }
}
