//! What waits: messages to be sent, and notifications to be fetched.

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::shape;

/// How many messages wait: not those for a later time, nor notifications, which other programs asked for.
pub(super) async fn messages_count(call: Call) -> Answer {
    Ok(json!({"count": call.instance.pending_len().await?}))
}

/// The messages that wait.
pub(super) async fn show_messages_queue(call: Call) -> Answer {
    let lines = call.instance.queue().await?;
    Ok(lines.iter().map(shape::queue_line).collect::<Vec<Value>>().into())
}

/// Has none of those sent that are counted.
pub(super) async fn clear_messages_queue(call: Call) -> Answer {
    call.instance.clear_pending().await?;
    Ok(json!({"isCleared": true}))
}

/// How many notifications wait.
pub(super) async fn webhooks_count(call: Call) -> Answer {
    Ok(json!({"count": call.instance.notifications_len().await?}))
}

/// Has none of them fetched.
pub(super) async fn clear_webhooks_queue(call: Call) -> Answer {
    Ok(match call.instance.clear_notifications().await? {
        Ok(()) => json!({"isCleared": true, "reason": ""}),
        Err(left_s) => json!({"isCleared": false, "reason": "Too many requests", "leftTime": left_s}),
    })
}
