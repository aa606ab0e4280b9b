//! Who leads a supergroup or channel, and who is kept out or quiet.

use grammers_tl_types as tl;

use super::life::member_of;
use crate::world::clock::unix_now;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::groups::{Ban, no_bans, no_rights, with_chat};

/// Longest rank, in characters.
const RANK_MAX: usize = 16;

/// `channels.editAdmin`: no rights at all take the admin's away.
pub(crate) fn edit_admin(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::EditAdmin,
) -> Result<tl::enums::Updates, RpcError> {
    let group = member_of(ctx, &request.channel)?;
    let id = group.id;
    if !group.may(ctx.user, |rights| rights.add_admins) {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    let other = ctx.state.input_user(ctx.user, &request.user_id)?;
    if other == group.creator {
        return Err(RpcError::bad_request("USER_CREATOR"));
    }
    let promoted_by = group.member(other).and_then(|member| member.admin.as_ref()).map(|(_, by)| *by);
    if promoted_by.is_some_and(|by| by != ctx.user) && group.creator != ctx.user {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    if request.rank.as_ref().is_some_and(|rank| rank.chars().count() > RANK_MAX) {
        return Err(RpcError::bad_request("ADMIN_RANK_INVALID"));
    }
    let tl::enums::ChatAdminRights::Rights(rights) = request.admin_rights;
    let user = ctx.user;
    let member = ctx.state.groups.group_mut(id).and_then(|group| group.member_mut(other));
    let member = member.ok_or_else(|| RpcError::bad_request("USER_NOT_PARTICIPANT"))?;
    member.rank = request.rank.filter(|rank| !rank.is_empty());
    member.admin = (rights != no_rights()).then_some((rights, user));
    let update = ctx.state.tell_chat_changed(id, &[other], Some(ctx.caller.auth_key_id));
    Ok(with_chat(ctx, vec![update], id))
}

/// `channels.editBanned`: `view_messages` puts somebody out, no rights taken let them back.
pub(crate) fn edit_banned(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::EditBanned,
) -> Result<tl::enums::Updates, RpcError> {
    let group = member_of(ctx, &request.channel)?;
    let id = group.id;
    if !group.may(ctx.user, |rights| rights.ban_users) {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    let other = ctx.state.input_peer(ctx.user, &request.participant).ok().filter(|other| *other > 0);
    let other = other.ok_or_else(|| RpcError::bad_request("PARTICIPANT_ID_INVALID"))?;
    if other == group.creator || (group.is_admin(other) && group.creator != ctx.user) {
        return Err(RpcError::bad_request("USER_ADMIN_INVALID"));
    }
    let tl::enums::ChatBannedRights::Rights(rights) = request.banned_rights;
    let (user, key) = (ctx.user, Some(ctx.caller.auth_key_id));
    let kicked = rights.view_messages;
    let mut updates = if kicked { ctx.state.take_out_of_channel(id, user, other, key) } else { Vec::new() };
    if let Some(group) = ctx.state.groups.group_mut(id) {
        let until_date = rights.until_date;
        if rights == (tl::types::ChatBannedRights { until_date, ..no_bans() }) {
            group.bans.remove(&other);
        } else {
            group.bans.insert(other, Ban { rights, by: user, date: unix_now() });
        }
    }
    updates.push(ctx.state.tell_chat_changed(id, &[other], key));
    Ok(with_chat(ctx, updates, id))
}
