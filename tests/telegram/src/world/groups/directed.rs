//! What a test sees of groups, and does there in a user's name.

use grammers_tl_types as tl;
use serde::{Deserialize, Serialize};

use super::basic::title_of;
use super::group::{Group, GroupKind, Member};
use crate::world::error::RpcError;
use crate::world::handle::World;
use crate::world::state::State;

/// A group about to exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// Who makes it.
    pub creator: i64,
    /// Shown.
    pub title: String,
    /// Who is in it from the start, beside the creator.
    #[serde(default)]
    pub members: Vec<i64>,
    /// What kind of group.
    #[serde(default = "basic")]
    pub kind: GroupKind,
    /// Of a supergroup or channel that everybody may find, without `@`.
    #[serde(default)]
    pub username: Option<String>,
}

fn basic() -> GroupKind {
    GroupKind::Basic
}

/// Somebody in a group, told to a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberInfo {
    /// Number of the user.
    pub user: i64,
    /// Who brought them.
    pub inviter: i64,
    /// Leads, or helps to.
    pub admin: bool,
}

/// A group, told to a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupInfo {
    /// As bots write it: a basic group negative, others below minus 10^12.
    pub id: i64,
    /// What kind of group.
    pub kind: GroupKind,
    /// Shown.
    pub title: String,
    /// Shown below.
    pub about: String,
    /// Number of its photo.
    pub photo: Option<i64>,
    /// Without `@`.
    pub username: Option<String>,
    /// Who made it.
    pub creator: i64,
    /// Who is in it, by number.
    pub members: Vec<MemberInfo>,
    /// The supergroup that it became.
    pub migrated_to: Option<i64>,
    /// Gone for everybody.
    pub deleted: bool,
}

impl Group {
    fn info(&self) -> GroupInfo {
        let member = |(user, member): (&i64, &Member)| MemberInfo {
            user: *user,
            inviter: member.inviter,
            admin: self.is_admin(*user),
        };
        GroupInfo {
            id: self.id,
            kind: self.kind,
            title: self.title.clone(),
            about: self.about.clone(),
            photo: self.photo,
            username: self.username.clone(),
            creator: self.creator,
            members: self.members.iter().map(member).collect(),
            migrated_to: self.migrated_to,
            deleted: self.deleted,
        }
    }
}

fn member(state: &State, group: i64, user: i64) -> Result<&Group, RpcError> {
    let known = state.groups.group(group).ok_or_else(|| RpcError::bad_request("CHAT_ID_INVALID"))?;
    if known.member(user).is_none() {
        return Err(RpcError::bad_request("USER_NOT_PARTICIPANT"));
    }
    Ok(known)
}

impl World {
    /// All groups.
    pub fn groups(&self) -> Vec<GroupInfo> {
        self.lock().groups.all().map(Group::info).collect()
    }

    /// One group, by its number as bots write it.
    pub fn group(&self, id: i64) -> Option<GroupInfo> {
        self.lock().groups.group(id).map(Group::info)
    }

    /// A user makes a group and brings others in.
    ///
    /// # Errors
    /// `CHAT_TITLE_EMPTY`, `USERNAME_OCCUPIED`, what keeps somebody out.
    pub fn add_group(&self, new: NewGroup) -> Result<i64, RpcError> {
        let mut state = self.lock();
        let title = title_of(&new.title)?;
        for other in &new.members {
            state.may_bring(new.creator, *other)?;
        }
        if new.kind == GroupKind::Basic {
            return Ok(state.make_basic(new.creator, title, &new.members, None).0);
        }
        let username = new.username.map(|name| name.trim_start_matches('@').to_owned());
        if let Some(name) = &username {
            state.username_free(name)?;
        }
        let id = state.make_channel(new.creator, new.kind, title, String::new(), None).0;
        state.groups.set_username(id, username);
        for other in new.members {
            state.bring_into_channel(id, new.creator, other, None);
        }
        Ok(id)
    }

    /// A member brings another user into a group.
    ///
    /// # Errors
    /// `CHAT_ID_INVALID`, `USER_NOT_PARTICIPANT`, `USER_ALREADY_PARTICIPANT`, what keeps somebody out.
    pub fn bring(&self, group: i64, user: i64, other: i64) -> Result<(), RpcError> {
        let mut state = self.lock();
        let known = member(&state, group, user)?;
        if known.member(other).is_some() {
            return Err(RpcError::bad_request("USER_ALREADY_PARTICIPANT"));
        }
        let basic = known.basic();
        state.may_bring(user, other)?;
        if basic {
            state.bring(group, user, other, None);
        } else {
            state.bring_into_channel(group, user, other, None);
        }
        Ok(())
    }

    /// A member puts another out of a group, or goes.
    ///
    /// # Errors
    /// `CHAT_ID_INVALID`, `USER_NOT_PARTICIPANT`.
    pub fn take_out(&self, group: i64, user: i64, other: i64) -> Result<(), RpcError> {
        let mut state = self.lock();
        member(&state, group, other)?;
        if member(&state, group, user)?.basic() {
            state.take_out(group, user, other, None);
        } else {
            state.take_out_of_channel(group, user, other, None);
        }
        Ok(())
    }

    /// The creator makes a member an admin with all rights, or no longer.
    ///
    /// # Errors
    /// `CHAT_ID_INVALID`, `USER_NOT_PARTICIPANT`.
    pub fn set_admin(&self, group: i64, other: i64, is_admin: bool) -> Result<(), RpcError> {
        let mut state = self.lock();
        let creator = member(&state, group, other)?.creator;
        state.make_admin(group, creator, other, is_admin, None);
        Ok(())
    }

    /// A member gives a group another title.
    ///
    /// # Errors
    /// `CHAT_ID_INVALID`, `USER_NOT_PARTICIPANT`, `CHAT_TITLE_EMPTY`.
    pub fn retitle(&self, group: i64, user: i64, title: &str) -> Result<(), RpcError> {
        let mut state = self.lock();
        member(&state, group, user)?;
        let title = title_of(title)?;
        state.retitle(user, group, title, None);
        Ok(())
    }

    /// What members that are no admins may not do: `send_messages`, `change_info`, `invite_users`.
    ///
    /// # Errors
    /// `CHAT_ID_INVALID`.
    pub fn forbid(&self, group: i64, what: &[String]) -> Result<(), RpcError> {
        let mut state = self.lock();
        let known = state.groups.group_mut(group).ok_or_else(|| RpcError::bad_request("CHAT_ID_INVALID"))?;
        let has = |name: &str| what.iter().any(|one| one == name);
        known.default_bans = tl::types::ChatBannedRights {
            send_messages: has("send_messages"),
            send_media: has("send_media"),
            change_info: has("change_info"),
            invite_users: has("invite_users"),
            ..super::rights::no_bans()
        };
        let members = state.groups.members(group);
        state.tell_chat_changed(group, &members, None);
        Ok(())
    }

    /// Keeps what is in a group from being forwarded, or lets it be: `messages.toggleNoForwards` by its creator.
    ///
    /// # Errors
    /// `CHAT_ID_INVALID`.
    pub fn set_protected(&self, group: i64, protected: bool) -> Result<(), RpcError> {
        let mut state = self.lock();
        let known = state.groups.group_mut(group).ok_or_else(|| RpcError::bad_request("CHAT_ID_INVALID"))?;
        known.protected = protected;
        let members = state.groups.members(group);
        state.tell_chat_changed(group, &members, None);
        Ok(())
    }

    /// A new permanent invite link of an admin.
    ///
    /// # Errors
    /// `CHAT_ID_INVALID`, `USER_NOT_PARTICIPANT`.
    pub fn invite_link(&self, group: i64, user: i64) -> Result<String, RpcError> {
        let mut state = self.lock();
        member(&state, group, user)?;
        match state.invite_link(user, group) {
            tl::enums::ExportedChatInvite::ChatInviteExported(invite) => Ok(invite.link),
            tl::enums::ExportedChatInvite::ChatInvitePublicJoinRequests => Ok(String::new()),
        }
    }
}
