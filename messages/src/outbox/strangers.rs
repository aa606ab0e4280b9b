//! While Telegram limits approaches to strangers: who is none.

use crate::instance::inner::Inner;
use crate::store::{Hold, StorageError};

/// Finds those among the strangers of the queue whom the account knows; whether there are any.
pub(super) async fn meet(inner: &Inner, now_ms: i64) -> Result<bool, StorageError> {
    let mut is_found = false;
    if inner.store.held_until_ms(Hold::Strangers, now_ms).await?.is_some() {
        for chat in inner.store.strangers().await? {
            if inner.messenger.knows(chat) {
                inner.store.acquaint(chat).await?;
                is_found = true;
            }
        }
    }
    Ok(is_found)
}
