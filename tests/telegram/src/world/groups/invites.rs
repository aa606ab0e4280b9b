//! Invite links (core.telegram.org/api/invites) of groups of any kind.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grammers_tl_types as tl;

use super::basic::member_of;
use crate::world::clock::unix_now;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::messages::send::answered;
use crate::world::peers::Named;
use crate::world::prime::random;
use crate::world::state::State;

const LINK: &str = "https://t.me/+";

/// An invite link.
#[derive(Debug, Clone)]
pub(crate) struct Invite {
    group: i64,
    admin: i64,
    date: i32,
    expires: Option<i32>,
    limit: Option<i32>,
    used: i32,
    title: Option<String>,
    permanent: bool,
    revoked: bool,
}

impl Invite {
    fn exported(&self, hash: &str) -> tl::enums::ExportedChatInvite {
        tl::types::ChatInviteExported {
            revoked: self.revoked,
            permanent: self.permanent,
            request_needed: false,
            link: format!("{LINK}{hash}"),
            admin_id: self.admin,
            date: self.date,
            start_date: None,
            expire_date: self.expires,
            usage_limit: self.limit,
            usage: Some(self.used).filter(|used| *used > 0),
            requested: None,
            subscription_expired: None,
            title: self.title.clone(),
            subscription_pricing: None,
        }
        .into()
    }

    fn over(&self) -> bool {
        self.revoked
            || self.expires.is_some_and(|at| at <= unix_now())
            || self.limit.is_some_and(|limit| self.used >= limit)
    }
}

/// The permanent link that an admin sees.
pub(crate) fn exported_invite(state: &State, id: i64, user: i64) -> Option<tl::enums::ExportedChatInvite> {
    state.groups.group(id).filter(|group| group.is_admin(user))?;
    let mine =
        |invite: &Invite| invite.group == id && invite.admin == user && invite.permanent && !invite.revoked;
    let (hash, invite) = state.groups.invites.iter().find(|(_, invite)| mine(invite))?;
    Some(invite.exported(hash))
}

impl State {
    /// Makes a link to a group; a permanent one replaces the one before.
    pub(crate) fn invite_link(&mut self, user: i64, id: i64) -> tl::enums::ExportedChatInvite {
        self.add_invite(user, id, (None, None), None)
    }

    fn add_invite(
        &mut self,
        user: i64,
        id: i64,
        (expires, limit): (Option<i32>, Option<i32>),
        title: Option<String>,
    ) -> tl::enums::ExportedChatInvite {
        let permanent = expires.is_none() && limit.is_none() && title.is_none();
        for invite in self.groups.invites.values_mut() {
            let replaced = permanent && invite.permanent && invite.group == id && invite.admin == user;
            invite.revoked |= replaced;
        }
        let hash = URL_SAFE_NO_PAD.encode(random::<12>());
        let (date, used, revoked) = (unix_now(), 0, false);
        let invite = Invite { group: id, admin: user, date, expires, limit, used, title, permanent, revoked };
        let exported = invite.exported(&hash);
        self.groups.invites.insert(hash, invite);
        exported
    }

    fn invite(&self, hash: &str) -> Result<&Invite, RpcError> {
        if hash.is_empty() {
            return Err(RpcError::bad_request("INVITE_HASH_EMPTY"));
        }
        let invite =
            self.groups.invites.get(hash).ok_or_else(|| RpcError::bad_request("INVITE_HASH_INVALID"))?;
        let gone = self.groups.group(invite.group).is_none_or(|group| group.deleted);
        if gone || invite.over() {
            return Err(RpcError::bad_request("INVITE_HASH_EXPIRED"));
        }
        Ok(invite)
    }
}

fn may_invite(ctx: &Ctx<'_>, peer: &tl::enums::InputPeer) -> Result<i64, RpcError> {
    let id = ctx.state.input_peer(ctx.user, peer)?;
    if id > 0 {
        return Err(RpcError::bad_request("PEER_ID_INVALID"));
    }
    if !member_of(ctx, id)?.may(ctx.user, |rights| rights.invite_users) {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    Ok(id)
}

/// `messages.exportChatInvite`.
pub(crate) fn export_chat_invite(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::ExportChatInvite,
) -> Result<tl::enums::ExportedChatInvite, RpcError> {
    let id = may_invite(ctx, &request.peer)?;
    if request.expire_date.is_some_and(|at| at != 0 && at <= unix_now()) {
        return Err(RpcError::bad_request("EXPIRE_DATE_INVALID"));
    }
    if request.usage_limit.is_some_and(|limit| limit < 0) {
        return Err(RpcError::bad_request("USAGE_LIMIT_INVALID"));
    }
    let some = |number: Option<i32>| number.filter(|number| *number != 0);
    let bounds = (some(request.expire_date), some(request.usage_limit));
    Ok(ctx.state.add_invite(ctx.user, id, bounds, request.title))
}

/// `messages.getExportedChatInvites`.
pub(crate) fn get_exported_chat_invites(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::GetExportedChatInvites,
) -> Result<tl::enums::messages::ExportedChatInvites, RpcError> {
    let id = may_invite(ctx, &request.peer)?;
    let admin = ctx.state.input_user(ctx.user, &request.admin_id)?;
    let wanted =
        |invite: &Invite| invite.group == id && invite.admin == admin && invite.revoked == request.revoked;
    let invites: Vec<_> = ctx
        .state
        .groups
        .invites
        .iter()
        .filter(|(_, invite)| wanted(invite))
        .map(|(hash, invite)| invite.exported(hash))
        .collect();
    let count = i32::try_from(invites.len()).unwrap_or(i32::MAX);
    let users = ctx.state.users.many_seen_by(ctx.user, [admin]);
    Ok(tl::types::messages::ExportedChatInvites { count, invites, users }.into())
}

/// `messages.editExportedChatInvite`: revoked, or with other bounds.
pub(crate) fn edit_exported_chat_invite(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::EditExportedChatInvite,
) -> Result<tl::enums::messages::ExportedChatInvite, RpcError> {
    let id = may_invite(ctx, &request.peer)?;
    let hash = request.link.rsplit(['+', '/']).next().unwrap_or_default().to_owned();
    let invite = ctx.state.groups.invites.get_mut(&hash).filter(|invite| invite.group == id);
    let invite = invite.ok_or_else(|| RpcError::bad_request("INVITE_HASH_EXPIRED"))?;
    invite.revoked |= request.revoked;
    invite.expires = request.expire_date.or(invite.expires).filter(|at| *at != 0);
    invite.limit = request.usage_limit.or(invite.limit).filter(|limit| *limit != 0);
    invite.title = request.title.or(invite.title.take());
    let (invite, admin) = (invite.exported(&hash), invite.admin);
    let users = ctx.state.users.many_seen_by(ctx.user, [admin]);
    Ok(tl::types::messages::ExportedChatInvite { invite, users }.into())
}

/// `messages.checkChatInvite`.
pub(crate) fn check_chat_invite(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::CheckChatInvite,
) -> Result<tl::enums::ChatInvite, RpcError> {
    let id = ctx.state.invite(&request.hash)?.group;
    let group = ctx.state.groups.group(id).ok_or_else(|| RpcError::bad_request("INVITE_HASH_EXPIRED"))?;
    if group.member(ctx.user).is_some() {
        let chat = ctx.state.chat_seen_by(ctx.user, id);
        return Ok(tl::types::ChatInviteAlready { chat }.into());
    }
    let (channel, broadcast) = (!group.basic(), group.broadcast());
    let photo = group.photo.and_then(|photo| ctx.state.files.photo(photo));
    Ok(tl::types::ChatInvite {
        channel,
        broadcast,
        public: group.username.is_some(),
        megagroup: channel && !broadcast,
        request_needed: false,
        verified: false,
        scam: false,
        fake: false,
        can_refulfill_subscription: false,
        title: group.title.clone(),
        about: Some(group.about.clone()).filter(|about| !about.is_empty()),
        photo: photo.unwrap_or_else(|| tl::types::PhotoEmpty { id: 0 }.into()),
        participants_count: i32::try_from(group.members.len()).unwrap_or(i32::MAX),
        participants: None,
        color: 0,
        subscription_pricing: None,
        subscription_form_id: None,
        bot_verification: None,
    }
    .into())
}

/// `messages.importChatInvite`: comes in by a link.
pub(crate) fn import_chat_invite(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::ImportChatInvite,
) -> Result<tl::enums::messages::ChatInviteJoinResult, RpcError> {
    let key = Some(ctx.caller.auth_key_id);
    let invite = ctx.state.invite(&request.hash)?;
    let (id, inviter_id) = (invite.group, invite.admin);
    let group = ctx.state.groups.group_mut(id);
    let group = group.ok_or_else(|| RpcError::bad_request("INVITE_HASH_EXPIRED"))?;
    if group.member(ctx.user).is_some() {
        return Err(RpcError::bad_request("USER_ALREADY_PARTICIPANT"));
    }
    if group.bans.get(&ctx.user).is_some_and(|ban| ban.rights.view_messages) {
        return Err(RpcError::bad_request("INVITE_HASH_EXPIRED"));
    }
    group.enter(ctx.user, inviter_id);
    let (basic, broadcast) = (group.basic(), group.broadcast());
    if let Some(invite) = ctx.state.groups.invites.get_mut(&request.hash) {
        invite.used += 1;
    }
    let mut updates = Vec::new();
    if basic {
        updates.push(ctx.state.tell_participants(ctx.user, id, key));
    } else {
        updates.push(ctx.state.tell_chat_changed(id, &[ctx.user], key));
    }
    if !broadcast {
        let action = tl::types::MessageActionChatJoinedByLink { inviter_id }.into();
        updates.push(ctx.state.tell_group(ctx.user, id, None, &action, key).update);
    }
    Ok(tl::types::messages::ChatInviteJoinResultOk { updates: with_chat(ctx, updates, id) }.into())
}

/// `updates` that name this group whatever they say.
pub(crate) fn with_chat(ctx: &Ctx<'_>, updates: Vec<tl::enums::Update>, id: i64) -> tl::enums::Updates {
    let mut told = answered(ctx, updates);
    if let tl::enums::Updates::Updates(told) = &mut told {
        let Named { chats, .. } = ctx.state.named(ctx.user, [id]);
        let known: BTreeSet<i64> = told.chats.iter().map(tl::enums::Chat::id).collect();
        told.chats.extend(chats.into_iter().filter(|chat| !known.contains(&chat.id())));
    }
    told
}
