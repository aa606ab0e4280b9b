//! A message of the queue that Telegram says it has: its number there.

use super::parts;
use crate::chat::Chat;
use crate::instance::inner::Inner;
use crate::messenger::{Failure, Order, Received, Sent};
use crate::store::{Outgoing, StorageError};

/// The message that was sent before, or those of the album: what came meanwhile, or the account's last in the chat. None
/// where it is not found. Else why it cannot be looked for now.
pub(super) async fn find_sent(
    inner: &Inner,
    next: &Outgoing,
    order: &Order,
) -> Result<Result<Vec<Sent>, String>, StorageError> {
    if order.paths.len() > 1 {
        return find_album(inner, order).await;
    }
    for echo in inner.store.echoes(next.id).await? {
        if let (Some(id), Some(tg_id)) = (echo.chat, echo.tg_id)
            && parts::is_same(&echo.content, &order.content)
            && !inner.store.is_part(id, tg_id).await?
        {
            let chat = Chat {
                id,
                kind: echo.chat_kind,
                title: echo.chat_title,
                username: None,
                phone: None,
                is_archived: false,
            };
            return Ok(Ok(vec![Sent { chat, tg_id, date_s: echo.date_s }]));
        }
    }
    let last = match last_own(inner, order).await {
        Ok(last) => last,
        Err(cause) => return Ok(Err(cause)),
    };
    for message in last {
        let Received { chat, tg_id, date_s, is_ours, content, .. } = message;
        if !is_ours
            || !parts::is_same(&content, &order.content)
            || inner.store.is_part(chat.id, tg_id).await?
        {
            continue;
        }
        // One that the journal knows already is another message that says the same.
        let known = inner.store.message_at(Some(chat.id), tg_id).await?;
        if known.is_none_or(|known| known.origin != crate::record::Origin::Api) {
            return Ok(Ok(vec![Sent { chat, tg_id, date_s }]));
        }
    }
    Ok(Ok(Vec::new()))
}

/// The account's last messages where something was to be sent: none where they are not to be had, or why not now.
async fn last_own(inner: &Inner, order: &Order) -> Result<Vec<Received>, String> {
    match inner.messenger.last_own(&order.to).await {
        Err(
            failure @ (Failure::Unknown(_)
            | Failure::Undone(_)
            | Failure::Flood { .. }
            | Failure::Unauthorized),
        ) => Err(failure.to_string()),
        told => Ok(told.unwrap_or_default()),
    }
}

/// The messages of an album that was sent before.
async fn find_album(inner: &Inner, order: &Order) -> Result<Result<Vec<Sent>, String>, StorageError> {
    let last = match last_own(inner, order).await {
        Ok(last) => last,
        Err(cause) => return Ok(Err(cause)),
    };
    let mut albums: Vec<(i64, Vec<Received>)> = Vec::new();
    for message in last {
        let Some(album) = message.album.filter(|_| message.is_ours) else { continue };
        match albums.iter_mut().find(|(known, _)| *known == album) {
            Some((_, messages)) => messages.insert(0, message),
            None => albums.push((album, vec![message])),
        }
    }
    for (_, messages) in albums {
        let is_it =
            messages.len() == order.paths.len() && parts::is_same(&messages[0].content, &order.content);
        let mut is_known = false;
        for message in &messages {
            is_known |= inner.store.is_part(message.chat.id, message.tg_id).await?;
        }
        let known = inner.store.message_at(Some(messages[0].chat.id), messages[0].tg_id).await?;
        if is_it && !is_known && known.is_none_or(|known| known.origin != crate::record::Origin::Api) {
            let sent =
                |message: Received| Sent { chat: message.chat, tg_id: message.tg_id, date_s: message.date_s };
            return Ok(Ok(messages.into_iter().map(sent).collect()));
        }
    }
    Ok(Ok(Vec::new()))
}
