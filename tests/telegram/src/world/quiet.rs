//! What applications ask for on the way and this Telegram has none of: answered so that they do not ask again.

use grammers_tl_types as tl;

use super::dispatch::Ctx;
use super::error::RpcError;
use super::users::{blank_notify_settings, blank_peer_settings};

/// `account.getNotifySettings`: as everybody's.
pub(crate) fn get_notify_settings(
    _: &mut Ctx<'_>,
    _: tl::functions::account::GetNotifySettings,
) -> Result<tl::enums::PeerNotifySettings, RpcError> {
    Ok(blank_notify_settings())
}

/// `messages.getPeerSettings`: nothing to be shown above a chat.
pub(crate) fn get_peer_settings(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetPeerSettings,
) -> Result<tl::enums::messages::PeerSettings, RpcError> {
    let other = ctx.state.input_peer(ctx.user, &request.peer)?;
    let super::peers::Named { users, chats } = ctx.state.named(ctx.user, [other]);
    let settings = blank_peer_settings();
    Ok(tl::types::messages::PeerSettings { settings, chats, users }.into())
}

/// `messages.getAvailableReactions`.
pub(crate) fn get_available_reactions(
    _: &mut Ctx<'_>,
    _: tl::functions::messages::GetAvailableReactions,
) -> Result<tl::enums::messages::AvailableReactions, RpcError> {
    Ok(tl::enums::messages::AvailableReactions::NotModified)
}

/// `messages.getAvailableEffects`.
pub(crate) fn get_available_effects(
    _: &mut Ctx<'_>,
    _: tl::functions::messages::GetAvailableEffects,
) -> Result<tl::enums::messages::AvailableEffects, RpcError> {
    Ok(tl::enums::messages::AvailableEffects::NotModified)
}

/// `messages.getAttachMenuBots`.
pub(crate) fn get_attach_menu_bots(
    _: &mut Ctx<'_>,
    _: tl::functions::messages::GetAttachMenuBots,
) -> Result<tl::enums::AttachMenuBots, RpcError> {
    Ok(tl::enums::AttachMenuBots::NotModified)
}

/// `account.getChatThemes`.
pub(crate) fn get_chat_themes(
    _: &mut Ctx<'_>,
    _: tl::functions::account::GetChatThemes,
) -> Result<tl::enums::account::Themes, RpcError> {
    Ok(tl::enums::account::Themes::NotModified)
}

/// `help.getPeerColors`.
pub(crate) fn get_peer_colors(
    _: &mut Ctx<'_>,
    _: tl::functions::help::GetPeerColors,
) -> Result<tl::enums::help::PeerColors, RpcError> {
    Ok(tl::enums::help::PeerColors::NotModified)
}

/// `help.getPeerProfileColors`.
pub(crate) fn get_peer_profile_colors(
    _: &mut Ctx<'_>,
    _: tl::functions::help::GetPeerProfileColors,
) -> Result<tl::enums::help::PeerColors, RpcError> {
    Ok(tl::enums::help::PeerColors::NotModified)
}
