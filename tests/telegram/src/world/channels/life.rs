//! How a supergroup or channel begins and ends, who comes in and who goes.

use grammers_tl_types as tl;

use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::groups::{Group, GroupKind, brought, invited, title_of, with_chat};
use crate::world::state::State;

/// Longest text about a channel, in characters.
const ABOUT_MAX: usize = 255;

impl State {
    /// Makes a supergroup or channel. Returns its number and what the device `by` is told.
    pub(crate) fn make_channel(
        &mut self,
        creator: i64,
        kind: GroupKind,
        title: String,
        about: String,
        by: Option<i64>,
    ) -> (i64, Vec<tl::enums::Update>) {
        let id = self.groups.add(kind, title.clone(), creator);
        if let Some(group) = self.groups.group_mut(id) {
            group.about = about;
        }
        let changed = self.tell_chat_changed(id, &[creator], by);
        let action = tl::types::MessageActionChannelCreate { title }.into();
        let posted = self.tell_group(creator, id, None, &action, by);
        (id, vec![changed, posted.update])
    }

    /// Brings a user into a supergroup or channel, or lets them in.
    pub(crate) fn bring_into_channel(
        &mut self,
        id: i64,
        user: i64,
        other: i64,
        by: Option<i64>,
    ) -> Vec<tl::enums::Update> {
        let Some(group) = self.groups.group_mut(id) else { return Vec::new() };
        group.enter(other, user);
        let broadcast = group.broadcast();
        let mut updates = vec![self.tell_chat_changed(id, &[other], by)];
        if !broadcast {
            let action = tl::types::MessageActionChatAddUser { users: vec![other] }.into();
            updates.push(self.tell_group(user, id, None, &action, by).update);
        }
        updates
    }

    /// Takes a user out of a supergroup or channel, or lets them go.
    pub(crate) fn take_out_of_channel(
        &mut self,
        id: i64,
        user: i64,
        other: i64,
        by: Option<i64>,
    ) -> Vec<tl::enums::Update> {
        let Some(group) = self.groups.group_mut(id) else { return Vec::new() };
        if !group.leave(other, user != other) {
            return Vec::new();
        }
        let broadcast = group.broadcast();
        let mut updates = vec![self.tell_chat_changed(id, &[other], by)];
        if !broadcast {
            let action = tl::types::MessageActionChatDeleteUser { user_id: other }.into();
            updates.push(self.tell_group(user, id, None, &action, by).update);
        }
        updates
    }
}

/// The supergroup or channel, if the caller is in it.
pub(super) fn member_of<'a>(
    ctx: &'a Ctx<'_>,
    input: &tl::enums::InputChannel,
) -> Result<&'a Group, RpcError> {
    let id = ctx.state.input_channel(ctx.user, input)?;
    let group = ctx.state.groups.group(id).ok_or_else(|| RpcError::bad_request("CHANNEL_INVALID"))?;
    if group.member(ctx.user).is_none() {
        return Err(RpcError::bad_request("USER_NOT_PARTICIPANT"));
    }
    Ok(group)
}

/// `channels.createChannel`.
pub(crate) fn create_channel(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::CreateChannel,
) -> Result<tl::enums::Updates, RpcError> {
    let title = title_of(&request.title)?;
    if request.about.chars().count() > ABOUT_MAX {
        return Err(RpcError::bad_request("CHAT_ABOUT_TOO_LONG"));
    }
    let kind = if request.megagroup { GroupKind::Supergroup } else { GroupKind::Channel };
    let key = Some(ctx.caller.auth_key_id);
    let (id, updates) = ctx.state.make_channel(ctx.user, kind, title, request.about, key);
    Ok(with_chat(ctx, updates, id))
}

/// `channels.inviteToChannel`.
pub(crate) fn invite_to_channel(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::InviteToChannel,
) -> Result<tl::enums::messages::InvitedUsers, RpcError> {
    let group = member_of(ctx, &request.channel)?;
    let id = group.id;
    if !group.may_as_member(ctx.user, |rights| rights.invite_users, |bans| bans.invite_users) {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    let (others, missing) = brought(ctx, &request.users)?;
    let key = Some(ctx.caller.auth_key_id);
    let mut updates = Vec::new();
    for other in others {
        let group = ctx.state.groups.group(id);
        if group.is_some_and(|group| group.bans.get(&other).is_some_and(|ban| ban.rights.view_messages)) {
            return Err(RpcError::bad_request("USER_KICKED"));
        }
        if group.is_some_and(|group| group.member(other).is_none()) {
            updates.extend(ctx.state.bring_into_channel(id, ctx.user, other, key));
        }
    }
    Ok(invited(ctx, updates, missing))
}

/// `channels.joinChannel`: into one that has a name.
pub(crate) fn join_channel(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::JoinChannel,
) -> Result<tl::enums::messages::ChatInviteJoinResult, RpcError> {
    let id = ctx.state.input_channel(ctx.user, &request.channel)?;
    let inside = ctx.state.groups.group(id).is_some_and(|group| group.member(ctx.user).is_some());
    let (user, key) = (ctx.user, Some(ctx.caller.auth_key_id));
    let updates = if inside { Vec::new() } else { ctx.state.bring_into_channel(id, user, user, key) };
    Ok(tl::types::messages::ChatInviteJoinResultOk { updates: with_chat(ctx, updates, id) }.into())
}

/// `channels.leaveChannel`.
pub(crate) fn leave_channel(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::LeaveChannel,
) -> Result<tl::enums::Updates, RpcError> {
    let group = member_of(ctx, &request.channel)?;
    let id = group.id;
    if group.creator == ctx.user && group.broadcast() {
        return Err(RpcError::bad_request("USER_CREATOR"));
    }
    let (user, key) = (ctx.user, Some(ctx.caller.auth_key_id));
    let updates = ctx.state.take_out_of_channel(id, user, user, key);
    // Who has left is told no message of it.
    let updates = updates.into_iter().take(1).collect();
    Ok(with_chat(ctx, updates, id))
}

/// `channels.deleteChannel`: by the creator alone, for everybody.
pub(crate) fn delete_channel(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::DeleteChannel,
) -> Result<tl::enums::Updates, RpcError> {
    let group = member_of(ctx, &request.channel)?;
    let id = group.id;
    if group.creator != ctx.user {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    let members = ctx.state.groups.members(id);
    ctx.state.groups.set_username(id, None);
    if let Some(group) = ctx.state.groups.group_mut(id) {
        group.deleted = true;
    }
    let update = ctx.state.tell_chat_changed(id, &members, Some(ctx.caller.auth_key_id));
    Ok(with_chat(ctx, vec![update], id))
}
