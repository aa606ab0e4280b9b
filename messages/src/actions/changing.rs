//! What changes messages that were sent, or are still in the queue.

use serde_json::{Value, json};

use super::buttons;
use super::error::{Code, Failed};
use super::said::{Said, Styled};
use super::shape;
use crate::chat::Address;
use crate::id::MessageId;
use crate::instance::Instance;

/// A change of a message, read.
pub(super) struct Edit {
    of: Address,
    id: MessageId,
    styled: Styled,
    buttons: Option<Value>,
}

/// A deletion, read.
pub(super) struct Delete {
    of: Address,
    ids: Vec<MessageId>,
    is_for_everyone: bool,
}

/// Whether a change can be so.
pub(super) fn check(instance: &Instance, action: &str, said: Said<'_>) -> Result<(), Failed> {
    match action {
        "edit_message" => read_edit(instance, said).map(drop),
        _ => read_delete(said).map(drop),
    }
}

fn read_edit(instance: &Instance, said: Said<'_>) -> Result<Edit, Failed> {
    let buttons = buttons::read(instance, said, true)?;
    let id = said.message("message_id")?;
    Ok(Edit {
        of: said.dialog("dialog")?,
        id: id.ok_or_else(|| Failed::wrong("message_id", "must be a message's number", None))?,
        buttons,
        styled: said.styled(false)?.ok_or_else(|| {
            let is = said.value("text");
            Failed::wrong("text", "must be the new text", is)
        })?,
    })
}

fn read_delete(said: Said<'_>) -> Result<Delete, Failed> {
    Ok(Delete {
        of: said.dialog("dialog")?,
        ids: said.messages("message_ids")?,
        is_for_everyone: said.flag("for_everyone")?.unwrap_or(true),
    })
}

/// Changes a text or a caption. `is_again`: it may have been changed so before, and nobody was told.
pub(super) async fn edit(instance: &Instance, said: Said<'_>, is_again: bool) -> Result<Value, Failed> {
    let Edit { of, id, styled: Styled { text, entities }, buttons } = read_edit(instance, said)?;
    if !instance.edit(&of, id, &text, &entities, buttons.as_ref()).await? && !is_again {
        return Err(Failed::new(Code::NotModified, "the message says so already"));
    }
    let record = instance.message(&of, id).await?;
    Ok(shape::message(instance, &record))
}

/// Deletes messages; that one is not there does not keep the others.
pub(super) async fn delete(instance: &Instance, said: Said<'_>) -> Result<Value, Failed> {
    let Delete { of, ids, is_for_everyone } = read_delete(said)?;
    let (mut deleted, mut failures) = (0, Vec::new());
    for (number, id) in ids.into_iter().enumerate() {
        match instance.delete(&of, id, is_for_everyone).await {
            Ok(()) => deleted += 1,
            Err(refused) => {
                let mut failed = Failed { item: u32::try_from(number).ok(), ..refused.into() };
                if failed.code == Code::UnsupportedForUser {
                    failed.message.push_str(": 'for_everyone' must be true");
                }
                // The others would fail the same way, and those that are gone stay so when it is tried again.
                if failed.is_passing() {
                    let message = match deleted {
                        0 => failed.message.clone(),
                        deleted => format!("{}; {deleted} were deleted before", failed.message),
                    };
                    return Err(Failed { message, ..failed });
                }
                failures.push((id, failed));
            }
        }
    }
    match failures.first() {
        Some((_, first)) if deleted == 0 => Err(first.clone()),
        _ => {
            let failures: Vec<_> = failures
                .iter()
                .map(|(id, failed)| {
                    let mut shown = failed.shown();
                    shown["message_id"] = id.get().into();
                    shown
                })
                .collect();
            Ok(json!({"deleted": deleted, "failed": failures}))
        }
    }
}
