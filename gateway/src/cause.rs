//! What an account's errors mean for a call.

use tgtrunk_bridge::Cause;
use tgtrunk_telegram::{InvokeError, ResolveError};

/// Why a request about a call failed, in the bridge's words.
pub(crate) fn of_invoke(error: &InvokeError) -> Cause {
    match error {
        InvokeError::Flood { seconds } => Cause::Flood { wait_s: *seconds },
        InvokeError::PeerFlood => Cause::PeerFlood,
        InvokeError::Rpc { name, value, .. } => Cause::of_telegram_error(name, *value),
        InvokeError::Revoked { .. } | InvokeError::Closed => Cause::LineDown,
        InvokeError::Timeout { .. }
        | InvokeError::Offline { .. }
        | InvokeError::Proxy { .. }
        | InvokeError::Crowded { .. }
        | InvokeError::KeyExchange { .. }
        | InvokeError::Malformed { .. }
        | InvokeError::Storage { .. } => {
            tracing::info!(%error, "Telegram could not be asked");
            Cause::Disconnected
        }
    }
}

/// Why a person could not be called, in the bridge's words.
pub(crate) fn of_resolve(error: &ResolveError) -> Cause {
    match error {
        ResolveError::NotFound(_) => Cause::NotFound,
        ResolveError::Invalid(_) => Cause::BadNumber,
        ResolveError::Flood { seconds } => Cause::Flood { wait_s: *seconds },
        ResolveError::Invoke(error) => of_invoke(error),
        ResolveError::Storage(error) => {
            tracing::error!(%error, "people cannot be remembered");
            Cause::Internal
        }
    }
}

/// Whether the server will take no further signaling for the call; anything else may be sent again.
pub(crate) fn ends_signaling(error: &InvokeError) -> bool {
    matches!(error, InvokeError::Rpc { .. } | InvokeError::Revoked { .. } | InvokeError::Closed)
}

/// Whether the same call was requested twice; a new number is asked for then.
pub(crate) fn is_random_id_duplicate(error: &InvokeError) -> bool {
    error.is("RANDOM_ID_DUPLICATE")
}

/// Whether what we remember of a person no longer holds, so that they are worth looking up anew.
pub(crate) fn is_stale_peer(error: &InvokeError) -> bool {
    error.is("PEER_ID_INVALID") || error.is("USER_ID_INVALID")
}
