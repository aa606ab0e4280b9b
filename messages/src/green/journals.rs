//! Messages that were: of a chat, of the last minutes, one.

use serde_json::Value;

use super::answer::Answer;
use super::call::Call;
use super::error::Failed;
use super::limits;
use super::shape;
use crate::record::{Direction, Record};
use crate::store::PICTURED;

/// The last messages of a chat, the newest first.
pub(super) async fn chat_history(call: Call) -> Answer {
    let chat = call.arguments.chat()?;
    let count = call.arguments.integer("count", limits::COUNT)?.unwrap_or(limits::HISTORY);
    let mut records = call.instance.history(&chat, usize::try_from(count).unwrap_or_default()).await?;
    for record in records.iter_mut().skip(PICTURED) {
        record.drop_pictures();
    }
    Ok(journal(&call, &records))
}

/// One message.
pub(super) async fn message(call: Call) -> Answer {
    let (chat, id) = (call.arguments.chat()?, call.arguments.message("idMessage")?);
    let record = call.instance.message(&chat, id).await?;
    let mut shown = journal(&call, std::slice::from_ref(&record));
    Ok(shown.as_array_mut().and_then(Vec::pop).unwrap_or_default())
}

/// What came in the last minutes.
pub(super) async fn last_incoming_messages(call: Call) -> Answer {
    last(&call, Direction::Incoming).await
}

/// What was sent in the last minutes.
pub(super) async fn last_outgoing_messages(call: Call) -> Answer {
    last(&call, Direction::Outgoing).await
}

async fn last(call: &Call, direction: Direction) -> Result<Value, Failed> {
    let minutes = call.arguments.integer("minutes", limits::MINUTES)?.unwrap_or(limits::DAY);
    let minutes = u32::try_from(minutes).unwrap_or(u32::MAX);
    let records = call.instance.journal(direction, minutes).await?;
    Ok(journal(call, &records))
}

fn journal(call: &Call, records: &[Record]) -> Value {
    let account = call.instance.messenger().account();
    let shown = |record| shape::journal(&account, record, call.instance.link_of(&record.content));
    records.iter().map(shown).collect()
}
