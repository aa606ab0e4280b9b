//! Basic groups: `messages.createChat`, who comes in, who goes, who leads.

use grammers_tl_types as tl;

use super::group::GroupKind;
use super::rights::all_rights;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::messages::send::answered;
use crate::world::state::State;

/// `chat_size_max` of `help.getConfig`.
const MEMBERS_MAX: usize = 200;
/// Longest title, in characters.
pub(super) const TITLE_MAX: usize = 128;

/// A title as it is kept.
pub(crate) fn title_of(title: &str) -> Result<String, RpcError> {
    let title = title.trim();
    if title.is_empty() {
        return Err(RpcError::bad_request("CHAT_TITLE_EMPTY"));
    }
    Ok(title.chars().take(TITLE_MAX).collect())
}

impl State {
    /// Why a user cannot be brought into a group.
    pub(crate) fn may_bring(&self, user: i64, other: i64) -> Result<(), RpcError> {
        if self.is_bot(other) {
            return Err(RpcError::bad_request("BOT_GROUPS_BLOCKED"));
        }
        let them = self.users.user(other).ok_or_else(|| RpcError::bad_request("USER_ID_INVALID"))?;
        if them.deactivated {
            return Err(RpcError::bad_request("INPUT_USER_DEACTIVATED"));
        }
        if them.blocked.contains_key(&user) || self.blocks(user, other) {
            return Err(RpcError::bad_request("USER_IS_BLOCKED"));
        }
        if !self.lets_invite(other, user) {
            return Err(RpcError::forbidden("USER_PRIVACY_RESTRICTED"));
        }
        Ok(())
    }

    fn blocks(&self, user: i64, other: i64) -> bool {
        self.users.user(user).is_some_and(|me| me.blocked.contains_key(&other))
    }

    fn lets_invite(&self, owner: i64, viewer: i64) -> bool {
        self.users.user(owner).is_some_and(|user| !user.uninvitable || user.contacts.contains_key(&viewer))
    }

    /// Makes a basic group. Returns its number and what the maker's device `by` is told.
    pub(crate) fn make_basic(
        &mut self,
        creator: i64,
        title: String,
        others: &[i64],
        by: Option<i64>,
    ) -> (i64, Vec<tl::enums::Update>) {
        let id = self.groups.add(GroupKind::Basic, title.clone(), creator);
        if let Some(group) = self.groups.group_mut(id) {
            for other in others {
                group.enter(*other, creator);
            }
        }
        let users = [creator].into_iter().chain(others.iter().copied()).collect();
        let list = self.tell_participants(creator, id, by);
        let action = tl::types::MessageActionChatCreate { title, users }.into();
        let posted = self.tell_group(creator, id, None, &action, by);
        (id, vec![list, posted.update])
    }

    /// Brings a user into a basic group.
    pub(crate) fn bring(
        &mut self,
        group: i64,
        user: i64,
        other: i64,
        by: Option<i64>,
    ) -> Vec<tl::enums::Update> {
        if let Some(group) = self.groups.group_mut(group) {
            group.enter(other, user);
        }
        let list = self.tell_participants(user, group, by);
        let action = tl::types::MessageActionChatAddUser { users: vec![other] }.into();
        let posted = self.tell_group(user, group, None, &action, by);
        vec![list, posted.update]
    }

    /// Takes a user out of a basic group, or lets them go.
    pub(crate) fn take_out(
        &mut self,
        group: i64,
        user: i64,
        other: i64,
        by: Option<i64>,
    ) -> Vec<tl::enums::Update> {
        if let Some(group) = self.groups.group_mut(group) {
            group.leave(other, user != other);
        }
        let list = self.tell_participants(user, group, by);
        let action = tl::types::MessageActionChatDeleteUser { user_id: other }.into();
        let posted = self.tell_group(user, group, Some(other), &action, by);
        vec![list, posted.update]
    }

    /// Makes a member of a basic group an admin, or no longer. False if nothing changes.
    pub(crate) fn make_admin(
        &mut self,
        id: i64,
        user: i64,
        other: i64,
        is_admin: bool,
        by: Option<i64>,
    ) -> bool {
        let Some(group) = self.groups.group_mut(id) else { return false };
        let rights = tl::types::ChatAdminRights { add_admins: false, ..all_rights(group.kind) };
        let Some(member) = group.member_mut(other).filter(|member| member.admin.is_some() != is_admin) else {
            return false;
        };
        member.admin = is_admin.then_some((rights, user));
        group.version += 1;
        self.tell_participants(user, id, by);
        let members = self.groups.members(id);
        self.tell_chat_changed(id, &members, by);
        true
    }
}

/// `messages.createChat`.
pub(crate) fn create_chat(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::CreateChat,
) -> Result<tl::enums::messages::InvitedUsers, RpcError> {
    let title = title_of(&request.title)?;
    let key = Some(ctx.caller.auth_key_id);
    let (others, missing) = brought(ctx, &request.users)?;
    if others.len() >= MEMBERS_MAX {
        return Err(RpcError::bad_request("USERS_TOO_MUCH"));
    }
    let (_, updates) = ctx.state.make_basic(ctx.user, title, &others, key);
    Ok(invited(ctx, updates, missing))
}

/// Those who may be brought, and those who may not.
pub(crate) fn brought(
    ctx: &Ctx<'_>,
    users: &[tl::enums::InputUser],
) -> Result<(Vec<i64>, Vec<i64>), RpcError> {
    let mut fine = Vec::new();
    let mut missing = Vec::new();
    for input in users {
        let other = ctx.state.input_user(ctx.user, input)?;
        if other == ctx.user {
            continue;
        }
        match ctx.state.may_bring(ctx.user, other) {
            Ok(()) => fine.push(other),
            Err(error) if error.message == "USER_PRIVACY_RESTRICTED" => missing.push(other),
            Err(error) => return Err(error),
        }
    }
    Ok((fine, missing))
}

/// `messages.invitedUsers`: with those whose privacy keeps them out.
pub(crate) fn invited(
    ctx: &Ctx<'_>,
    updates: Vec<tl::enums::Update>,
    missing: Vec<i64>,
) -> tl::enums::messages::InvitedUsers {
    let out = |user_id| {
        let (premium_would_allow_invite, premium_required_for_pm) = (false, false);
        tl::types::MissingInvitee { premium_would_allow_invite, premium_required_for_pm, user_id }.into()
    };
    let missing_invitees = missing.into_iter().map(out).collect();
    tl::types::messages::InvitedUsers { updates: answered(ctx, updates), missing_invitees }.into()
}

/// `messages.addChatUser`.
pub(crate) fn add_chat_user(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::AddChatUser,
) -> Result<tl::enums::messages::InvitedUsers, RpcError> {
    let id = ctx.state.basic(request.chat_id)?;
    let group = member_of(ctx, id)?;
    if !group.may_as_member(ctx.user, |rights| rights.invite_users, |bans| bans.invite_users) {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    let full = group.members.len() >= MEMBERS_MAX;
    let other = ctx.state.input_user(ctx.user, &request.user_id)?;
    if group.member(other).is_some() {
        return Err(RpcError::bad_request("USER_ALREADY_PARTICIPANT"));
    }
    if full {
        return Err(RpcError::bad_request("USERS_TOO_MUCH"));
    }
    let (others, missing) = brought(ctx, &[request.user_id])?;
    let key = Some(ctx.caller.auth_key_id);
    let mut updates = Vec::new();
    for other in others {
        updates.extend(ctx.state.bring(id, ctx.user, other, key));
    }
    Ok(invited(ctx, updates, missing))
}

/// The group, if the caller is in it.
pub(super) fn member_of<'a>(ctx: &'a Ctx<'_>, id: i64) -> Result<&'a super::Group, RpcError> {
    let group = ctx.state.groups.group(id).ok_or_else(|| RpcError::bad_request("CHAT_ID_INVALID"))?;
    if group.migrated_to.is_some() {
        return Err(RpcError::bad_request("CHAT_ID_INVALID"));
    }
    if group.member(ctx.user).is_none() {
        return Err(match group.basic() {
            true => RpcError::bad_request("USER_NOT_PARTICIPANT"),
            false => RpcError::new(406, "CHANNEL_PRIVATE"),
        });
    }
    Ok(group)
}

/// `messages.deleteChatUser`: oneself, those whom one brought, and as an admin anybody else.
pub(crate) fn delete_chat_user(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::DeleteChatUser,
) -> Result<tl::enums::Updates, RpcError> {
    let id = ctx.state.basic(request.chat_id)?;
    let other = ctx.state.input_user(ctx.user, &request.user_id)?;
    let group = member_of(ctx, id)?;
    let member = group.member(other).ok_or_else(|| RpcError::bad_request("USER_NOT_PARTICIPANT"))?;
    let mine = other == ctx.user || member.inviter == ctx.user;
    if other == group.creator && other != ctx.user {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    if !mine && !group.may(ctx.user, |rights| rights.ban_users) {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    let updates = ctx.state.take_out(id, ctx.user, other, Some(ctx.caller.auth_key_id));
    Ok(answered(ctx, updates))
}

/// `messages.editChatAdmin`: by the creator alone.
pub(crate) fn edit_chat_admin(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::EditChatAdmin,
) -> Result<bool, RpcError> {
    let id = ctx.state.basic(request.chat_id)?;
    let other = ctx.state.input_user(ctx.user, &request.user_id)?;
    let group = member_of(ctx, id)?;
    if group.creator != ctx.user {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    if group.member(other).is_none() {
        return Err(RpcError::bad_request("USER_NOT_PARTICIPANT"));
    }
    if other == group.creator {
        return Err(RpcError::bad_request("USER_CREATOR"));
    }
    ctx.state.make_admin(id, ctx.user, other, request.is_admin, Some(ctx.caller.auth_key_id));
    Ok(true)
}

/// `messages.deleteChat`: by the creator alone, for everybody.
pub(crate) fn delete_chat(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::DeleteChat,
) -> Result<bool, RpcError> {
    let id = ctx.state.basic(request.chat_id)?;
    let group = member_of(ctx, id)?;
    if group.creator != ctx.user {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    let members = ctx.state.groups.members(id);
    if let Some(group) = ctx.state.groups.group_mut(id) {
        group.deleted = true;
        for member in &members {
            group.leave(*member, true);
        }
    }
    ctx.state.tell_chat_changed(id, &members, Some(ctx.caller.auth_key_id));
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_trimmed_and_bounded() {
        assert_eq!(title_of("  Sales "), Ok("Sales".to_owned()));
        assert_eq!(title_of(" "), Err(RpcError::bad_request("CHAT_TITLE_EMPTY")));
        assert_eq!(title_of(&"x".repeat(500)).map(|title| title.len()), Ok(TITLE_MAX));
    }
}
