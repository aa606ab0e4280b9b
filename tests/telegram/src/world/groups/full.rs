//! All about basic groups: `messages.getFullChat`, `messages.getChats`.

use grammers_tl_types as tl;

use super::invites::exported_invite;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::peers::{Named, basic_group};
use crate::world::users::blank_notify_settings;

/// `messages.getFullChat`.
pub(crate) fn get_full_chat(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetFullChat,
) -> Result<tl::enums::messages::ChatFull, RpcError> {
    let id = ctx.state.basic(request.chat_id)?;
    let user = ctx.user;
    let group = ctx.state.groups.group(id).ok_or_else(|| RpcError::bad_request("CHAT_ID_INVALID"))?;
    let full_chat = tl::types::ChatFull {
        can_set_username: group.creator == user,
        has_scheduled: !ctx.state.waiting_in(user, id).is_empty(),
        translations_disabled: false,
        has_welcome_messages: false,
        id: request.chat_id,
        about: group.about.clone(),
        participants: ctx.state.participants(user, id),
        chat_photo: group.photo.and_then(|photo| ctx.state.files.photo(photo)),
        notify_settings: blank_notify_settings(),
        exported_invite: exported_invite(ctx.state, id, user),
        bot_info: None,
        pinned_msg_id: ctx.state.pinned(user, id),
        folder_id: None,
        call: None,
        ttl_period: None,
        groupcall_default_join_as: None,
        theme_emoticon: None,
        requests_pending: None,
        recent_requesters: None,
        available_reactions: Some(tl::types::ChatReactionsAll { allow_custom: false }.into()),
        reactions_limit: None,
    };
    let named = ctx.state.groups.members(id).into_iter().chain([id]).chain(group.migrated_to);
    let Named { users, chats } = ctx.state.named(user, named);
    Ok(tl::types::messages::ChatFull { full_chat: full_chat.into(), chats, users }.into())
}

/// `messages.getChats`.
pub(crate) fn get_chats(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetChats,
) -> Result<tl::enums::messages::Chats, RpcError> {
    let mut chats = Vec::new();
    for id in request.id {
        let chat = basic_group(id);
        ctx.state.groups.group(chat).ok_or_else(|| RpcError::bad_request("CHAT_ID_INVALID"))?;
        chats.push(ctx.state.chat_seen_by(ctx.user, chat));
    }
    Ok(tl::types::messages::Chats { chats }.into())
}
