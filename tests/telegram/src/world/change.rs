//! What becomes of a message after it was sent: `messages.editMessage`, `deleteMessages`, `readHistory`, `setTyping`.

use grammers_tl_types as tl;

use super::dispatch::Ctx;
use super::error::RpcError;
use super::outbox::Parcel;
use super::send::{TEXT_MAX, answered, checked};
use super::settings::Wrap;

/// `messages.editMessage`: text, entities and buttons.
pub(crate) fn edit_message(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::EditMessage,
) -> Result<tl::enums::Updates, RpcError> {
    let chat = ctx.state.input_peer(ctx.user, &request.peer)?;
    let filed = ctx.state.filed(ctx.user, request.id).filter(|filed| filed.peer == chat);
    let message = filed.and_then(|_| ctx.state.message(ctx.user, request.id));
    let message = message.ok_or_else(|| RpcError::bad_request("MESSAGE_ID_INVALID"))?;
    if message.fwd_from.is_some() || !(message.out || chat == ctx.user) {
        return Err(RpcError::forbidden("MESSAGE_AUTHOR_REQUIRED"));
    }
    if message.via_bot_id.is_some() && !ctx.state.settings.edit_via_bot {
        return Err(RpcError::bad_request("MESSAGE_ID_INVALID"));
    }
    let has_media = message.media.is_some();
    let Some(text) = request.message else { return Err(RpcError::bad_request("MESSAGE_NOT_MODIFIED")) };
    if text.trim().is_empty() && !has_media {
        return Err(RpcError::bad_request("MESSAGE_EMPTY"));
    }
    if text.chars().count() > TEXT_MAX {
        return Err(RpcError::bad_request("MESSAGE_TOO_LONG"));
    }
    let entities = checked(ctx, &text, request.entities.unwrap_or_default())?;
    let entities = Some(entities).filter(|entities| !entities.is_empty());
    let update = ctx.state.edit(ctx.user, request.id, Some(ctx.caller.auth_key_id), |message| {
        message.message.clone_from(&text);
        message.entities.clone_from(&entities);
    })?;
    Ok(answered(ctx, vec![update]))
}

/// `messages.deleteMessages`: unknown numbers are passed over in silence.
pub(crate) fn delete_messages(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::DeleteMessages,
) -> Result<tl::enums::messages::AffectedMessages, RpcError> {
    let key = ctx.caller.auth_key_id;
    let (pts, pts_count) = ctx.state.delete(ctx.user, &request.id, request.revoke, Some(key));
    Ok(tl::types::messages::AffectedMessages { pts, pts_count }.into())
}

/// `messages.readHistory`.
pub(crate) fn read_history(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::ReadHistory,
) -> Result<tl::enums::messages::AffectedMessages, RpcError> {
    let other = ctx.state.input_peer(ctx.user, &request.peer)?;
    let max_id = if request.max_id == 0 { i32::MAX } else { request.max_id };
    let (pts, pts_count) = ctx.state.read_history(ctx.user, other, max_id, Some(ctx.caller.auth_key_id));
    Ok(tl::types::messages::AffectedMessages { pts, pts_count }.into())
}

/// `messages.readMessageContents`: nothing here waits to be listened to.
pub(crate) fn read_message_contents(
    ctx: &mut Ctx<'_>,
    _: tl::functions::messages::ReadMessageContents,
) -> Result<tl::enums::messages::AffectedMessages, RpcError> {
    Ok(tl::types::messages::AffectedMessages { pts: ctx.state.pts(ctx.user), pts_count: 0 }.into())
}

/// `messages.setTyping`: shown to the other user's devices that are there now, and kept nowhere.
pub(crate) fn set_typing(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::SetTyping,
) -> Result<bool, RpcError> {
    let other = ctx.state.input_peer(ctx.user, &request.peer)?;
    ctx.state.may_write(ctx.user, other)?;
    if other == ctx.user {
        return Ok(true);
    }
    let (user_id, action) = (ctx.user, request.action);
    let update: tl::enums::Update =
        tl::types::UpdateUserTyping { user_id, top_msg_id: request.top_msg_id, action }.into();
    for key in ctx.state.keys.main_of(other) {
        ctx.state.push(Parcel { key, update: update.clone(), users: vec![ctx.user], wrap: Wrap::Short });
    }
    Ok(true)
}
