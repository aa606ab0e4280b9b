//! Notifications, one after another, and files that came with messages.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::Answer;
use super::arguments::integer;
use super::call::Call;
use super::error::Failed;
use super::limits;

/// The notification at the head of the queue, which stays there until it is deleted. A call waits for one as long as it
/// says: clients ask again at once.
pub(super) async fn receive_notification(call: Call) -> Answer {
    let wait_s = call.arguments.integer("receiveTimeout", limits::RECEIVE_S)?;
    let wait_s = wait_s.unwrap_or(*limits::RECEIVE_S.start());
    let wait = Duration::from_secs(u64::try_from(wait_s).unwrap_or_default());
    Ok(match call.instance.receive(wait).await? {
        Some((receipt, body)) => json!({"receiptId": receipt, "body": body}),
        None => Value::Null,
    })
}

/// Deletes a notification, whose receipt stands in the path, in the query or in the body, there perhaps all alone.
pub(super) async fn delete_notification(call: Call) -> Answer {
    let tail = call.tail.map(Value::String);
    let said = tail.as_ref().or_else(|| call.arguments.value("receiptId")).or_else(|| call.arguments.bare());
    let receipt = said.and_then(integer).ok_or_else(|| {
        Failed::wrong("receiptId", "must be a notification's receipt, as receiveNotification gives it", said)
    })?;
    let is_deleted = call.instance.confirm(receipt).await?;
    Ok(json!({"result": is_deleted}))
}

/// The link to a message's file.
pub(super) async fn download_file(call: Call) -> Answer {
    let (chat, id) = (call.arguments.chat()?, call.arguments.message("idMessage")?);
    let link = call.instance.file_link(&chat, id).await?;
    Ok(json!({"downloadUrl": link}))
}
