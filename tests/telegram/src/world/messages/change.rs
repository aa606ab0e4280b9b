//! What becomes of a message after it was sent: `messages.editMessage`, `deleteMessages`, `deleteHistory`, `setTyping`.

use grammers_tl_types as tl;

use super::mailbox::Mailbox;
use super::message::Draft;
use super::post::box_of;
use super::send::{CAPTION_MAX, TEXT_MAX, answered, checked};
use crate::world::clock::unix_now;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::files;
use crate::world::peers::is_channel;
use crate::world::state::State;

/// Most messages of one `messages.deleteMessages`.
const DELETED_MAX: usize = 100;

/// `messages.editMessage`: text, entities and what hangs on it; or what waits for its time.
pub(crate) fn edit_message(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::EditMessage,
) -> Result<tl::enums::Updates, RpcError> {
    let chat = ctx.state.input_peer(ctx.user, &request.peer)?;
    if let Some(date) = request.schedule_date {
        return edit_scheduled(ctx, chat, request, date);
    }
    let owner = box_of(ctx.user, chat);
    if let Some(tl::enums::InputMedia::Poll(poll)) = &request.media {
        let tl::enums::Poll::Poll(poll) = &poll.poll;
        return if poll.closed { close_poll(ctx, chat, request.id) } else { Err(invalid()) };
    }
    may_edit(ctx, chat, request.id)?;
    let media = request.media.map(|media| files::media(ctx, media)).transpose()?;
    let message = ctx.state.message(owner, request.id).ok_or_else(invalid)?;
    let hangs = media.is_some() || carries(message.media.as_ref());
    let text = match request.message {
        Some(text) => text,
        None if media.is_some() => message.message.clone(),
        None => return Err(RpcError::bad_request("MESSAGE_NOT_MODIFIED")),
    };
    if text.trim().is_empty() && !hangs {
        return Err(RpcError::bad_request("MESSAGE_EMPTY"));
    }
    if text.chars().count() > if hangs { CAPTION_MAX } else { TEXT_MAX } {
        return Err(RpcError::bad_request(if hangs { "MEDIA_CAPTION_TOO_LONG" } else { "MESSAGE_TOO_LONG" }));
    }
    let entities = checked(ctx, &text, request.entities.unwrap_or_default())?;
    let preview = ctx.state.web_pages.preview(&text, &entities).filter(|_| !request.no_webpage);
    let entities = Some(entities).filter(|entities| !entities.is_empty());
    let update = ctx.state.edit(owner, request.id, Some(ctx.caller.auth_key_id), |message| {
        message.message.clone_from(&text);
        message.entities.clone_from(&entities);
        if media.is_some() {
            message.media.clone_from(&media);
        } else if !hangs {
            message.media.clone_from(&preview);
        }
    })?;
    Ok(answered(ctx, vec![update]))
}

fn invalid() -> RpcError {
    RpcError::bad_request("MESSAGE_ID_INVALID")
}

/// Whether more than a preview hangs on a message.
fn carries(media: Option<&tl::enums::MessageMedia>) -> bool {
    media.is_some_and(|media| !matches!(media, tl::enums::MessageMedia::WebPage(_)))
}

fn may_edit(ctx: &Ctx<'_>, chat: i64, id: i32) -> Result<(), RpcError> {
    let owner = box_of(ctx.user, chat);
    let filed = ctx.state.filed(owner, id).filter(|filed| filed.peer == chat);
    let author = filed.map(|filed| filed.author).ok_or_else(invalid)?;
    let message = ctx.state.message(owner, id).ok_or_else(invalid)?;
    let others = message.post && ctx.state.groups.may(chat, ctx.user, |rights| rights.edit_messages);
    if message.fwd_from.is_some() || !(author == ctx.user || others) {
        return Err(RpcError::forbidden("MESSAGE_AUTHOR_REQUIRED"));
    }
    if message.via_bot_id.is_some() && !ctx.state.settings.edit_via_bot {
        return Err(invalid());
    }
    let age_s = unix_now().saturating_sub(message.date);
    if chat != ctx.user && age_s >= ctx.state.settings.edit_time_s {
        return Err(RpcError::bad_request("MESSAGE_EDIT_TIME_EXPIRED"));
    }
    Ok(())
}

fn edit_scheduled(
    ctx: &mut Ctx<'_>,
    chat: i64,
    request: tl::functions::messages::EditMessage,
    date: i32,
) -> Result<tl::enums::Updates, RpcError> {
    let text = request.message;
    if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_MAX) {
        return Err(RpcError::bad_request("MESSAGE_TOO_LONG"));
    }
    let entities = checked(ctx, text.as_deref().unwrap_or_default(), request.entities.unwrap_or_default())?;
    let change = |draft: &mut Draft| {
        if let Some(text) = text {
            (draft.text, draft.entities) = (text, entities);
        }
    };
    let key = Some(ctx.caller.auth_key_id);
    let update = ctx.state.reschedule(ctx.user, chat, request.id, date, change, key)?;
    Ok(answered(ctx, vec![update]))
}

/// A poll is closed by editing it so.
fn close_poll(ctx: &mut Ctx<'_>, chat: i64, id: i32) -> Result<tl::enums::Updates, RpcError> {
    let poll = ctx.state.poll_in(ctx.user, chat, id)?;
    let owner = box_of(ctx.user, chat);
    if ctx.state.filed(owner, id).is_none_or(|filed| filed.author != ctx.user) {
        return Err(RpcError::forbidden("MESSAGE_AUTHOR_REQUIRED"));
    }
    if !ctx.state.polls.close(poll) {
        return Err(RpcError::bad_request("MESSAGE_NOT_MODIFIED"));
    }
    let key = Some(ctx.caller.auth_key_id);
    ctx.state.tell_poll(ctx.user, chat, id, poll, key);
    let event = super::mailbox::Event::Edit(id);
    let update = ctx.state.happen(owner, event, &[chat], key);
    Ok(answered(ctx, vec![update]))
}

impl State {
    /// Whether a user may delete a message of a basic group for everybody: admins may, and who wrote it.
    fn may_revoke(&self, user: i64, id: i32) -> bool {
        let Some(filed) = self.filed(user, id) else { return true };
        filed.peer > 0
            || filed.author == user
            || self.groups.may(filed.peer, user, |rights| rights.delete_messages)
    }
}

/// `messages.deleteMessages`: unknown numbers are passed over in silence.
pub(crate) fn delete_messages(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::DeleteMessages,
) -> Result<tl::enums::messages::AffectedMessages, RpcError> {
    if request.id.len() > DELETED_MAX {
        return Err(RpcError::bad_request("MESSAGE_IDS_TOO_MUCH"));
    }
    if request.revoke && !request.id.iter().all(|id| ctx.state.may_revoke(ctx.user, *id)) {
        return Err(RpcError::forbidden("MESSAGE_DELETE_FORBIDDEN"));
    }
    let key = ctx.caller.auth_key_id;
    let (pts, pts_count) = ctx.state.delete(ctx.user, &request.id, request.revoke, Some(key));
    Ok(tl::types::messages::AffectedMessages { pts, pts_count }.into())
}

/// `messages.deleteHistory`: the chat is emptied, for both with `revoke`.
pub(crate) fn delete_history(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::DeleteHistory,
) -> Result<tl::enums::messages::AffectedHistory, RpcError> {
    let chat = ctx.state.input_peer(ctx.user, &request.peer)?;
    if is_channel(chat) {
        return Err(RpcError::bad_request("PEER_ID_INVALID"));
    }
    let max_id = if request.max_id == 0 { i32::MAX } else { request.max_id };
    let ids = |mailbox: &Mailbox| {
        mailbox.chat(chat).map(|(id, _)| id).filter(|id| *id <= max_id).collect::<Vec<i32>>()
    };
    let ids = ctx.state.mailbox(ctx.user).map(ids).unwrap_or_default();
    let revoke = request.revoke && chat > 0;
    let (pts, pts_count) = ctx.state.delete(ctx.user, &ids, revoke, Some(ctx.caller.auth_key_id));
    Ok(tl::types::messages::AffectedHistory { pts, pts_count, offset: 0 }.into())
}

/// `messages.setTyping`: shown to the devices of all in the chat that are there now, and kept nowhere.
pub(crate) fn set_typing(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::SetTyping,
) -> Result<bool, RpcError> {
    let to = ctx.state.input_peer(ctx.user, &request.peer)?;
    ctx.state.may_write(ctx.user, to)?;
    if to != ctx.user {
        ctx.state.show_action(ctx.user, to, &request.action);
    }
    Ok(true)
}
