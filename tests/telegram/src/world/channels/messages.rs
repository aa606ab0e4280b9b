//! Messages of supergroups and channels: read, deleted, asked for by number.

use grammers_tl_types as tl;

use super::life::member_of;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::messages::history::{listed, meant};
use crate::world::peers::bare;

/// `channels.getMessages`: what is not there comes back empty.
pub(crate) fn get_messages(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::GetMessages,
) -> Result<tl::enums::messages::Messages, RpcError> {
    let id = ctx.state.input_channel(ctx.user, &request.channel)?;
    let messages = meant(ctx, id, &request.id);
    Ok(listed(ctx, id, messages, None))
}

/// `channels.deleteMessages`: one's own, and as an admin anybody's.
pub(crate) fn delete_messages(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::DeleteMessages,
) -> Result<tl::enums::messages::AffectedMessages, RpcError> {
    let group = member_of(ctx, &request.channel)?;
    let id = group.id;
    let mine = |number: &i32| group.mailbox.seen(*number).is_none_or(|filed| filed.author == ctx.user);
    if !group.may(ctx.user, |rights| rights.delete_messages) && !request.id.iter().all(mine) {
        return Err(RpcError::forbidden("MESSAGE_DELETE_FORBIDDEN"));
    }
    let (pts, pts_count) = ctx.state.delete(id, &request.id, true, Some(ctx.caller.auth_key_id));
    Ok(tl::types::messages::AffectedMessages { pts, pts_count }.into())
}

/// `channels.readHistory`.
pub(crate) fn read_history(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::ReadHistory,
) -> Result<bool, RpcError> {
    let id = ctx.state.input_channel(ctx.user, &request.channel)?;
    let max_id = if request.max_id == 0 { i32::MAX } else { request.max_id };
    ctx.state.read_history(ctx.user, id, max_id, Some(ctx.caller.auth_key_id));
    Ok(true)
}

/// `channels.readMessageContents`.
pub(crate) fn read_message_contents(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::ReadMessageContents,
) -> Result<bool, RpcError> {
    let id = ctx.state.input_channel(ctx.user, &request.channel)?;
    let update = tl::types::UpdateChannelReadMessagesContents {
        channel_id: bare(id),
        top_msg_id: None,
        saved_peer_id: None,
        messages: request.id,
    };
    ctx.state.push_to_others(ctx.user, ctx.caller.auth_key_id, update.into(), &[id]);
    Ok(true)
}

/// `channels.exportMessageLink`.
pub(crate) fn export_message_link(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::ExportMessageLink,
) -> Result<tl::enums::ExportedMessageLink, RpcError> {
    let id = ctx.state.input_channel(ctx.user, &request.channel)?;
    let group = ctx.state.groups.group(id).ok_or_else(|| RpcError::bad_request("CHANNEL_INVALID"))?;
    if group.mailbox.seen(request.id).is_none() {
        return Err(RpcError::bad_request("MESSAGE_ID_INVALID"));
    }
    let place = group.username.clone().unwrap_or_else(|| format!("c/{}", bare(id)));
    let link = format!("https://t.me/{place}/{}", request.id);
    Ok(tl::types::ExportedMessageLink { link, html: String::new() }.into())
}
