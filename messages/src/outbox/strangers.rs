//! While Telegram limits approaches to strangers: who is none.

use super::Outbox;
use crate::store::{Hold, StorageError};

impl Outbox {
    /// Finds those among the strangers of the queue whom the account knows; whether there are any.
    pub(super) async fn meet(&self, now_ms: i64) -> Result<bool, StorageError> {
        let inner = &self.inner;
        let mut is_found = false;
        if now_ms >= self.writers_alone_until_ms
            && inner.store.held_until_ms(Hold::Strangers, now_ms).await?.is_some()
        {
            for chat in inner.store.strangers().await? {
                if inner.messenger.knows(chat) {
                    inner.store.acquaint(chat).await?;
                    is_found = true;
                }
            }
        }
        Ok(is_found)
    }
}
