//! Who is in a supergroup or channel: `channels.getParticipants`, `channels.getParticipant`.

use grammers_tl_types as tl;

use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::groups::{Ban, Group, Member, all_rights};
use crate::world::peers::{Named, peer};
use crate::world::state::State;

/// Most in one answer.
const PAGE_MAX: usize = 200;

fn shown(group: &Group, viewer: i64, user_id: i64, member: &Member) -> tl::enums::ChannelParticipant {
    let (date, rank) = (member.date, member.rank.clone());
    if user_id == group.creator {
        let admin_rights = all_rights(group.kind).into();
        tl::types::ChannelParticipantCreator { user_id, admin_rights, rank }.into()
    } else if let Some((rights, promoted_by)) = &member.admin {
        let is_self = user_id == viewer;
        tl::types::ChannelParticipantAdmin {
            can_edit: group.creator == viewer || *promoted_by == viewer,
            is_self,
            user_id,
            inviter_id: is_self.then_some(member.inviter),
            promoted_by: *promoted_by,
            date,
            admin_rights: rights.clone().into(),
            rank,
        }
        .into()
    } else if user_id == viewer {
        tl::types::ChannelParticipantSelf {
            via_request: false,
            user_id,
            inviter_id: member.inviter,
            date,
            subscription_until_date: None,
            rank,
        }
        .into()
    } else {
        tl::types::ChannelParticipant { user_id, date, subscription_until_date: None, rank }.into()
    }
}

fn banned(group: &Group, user: i64, ban: &Ban) -> tl::enums::ChannelParticipant {
    tl::types::ChannelParticipantBanned {
        left: group.member(user).is_none(),
        peer: peer(user),
        kicked_by: ban.by,
        date: ban.date,
        banned_rights: ban.rights.clone().into(),
        rank: None,
    }
    .into()
}

impl State {
    fn name_has(&self, viewer: i64, user: i64, query: &str) -> bool {
        let tl::enums::User::User(seen) = self.users.seen_by(viewer, user) else { return false };
        let query = query.to_lowercase();
        let names = [seen.first_name, seen.last_name, seen.username];
        names.into_iter().flatten().any(|name| name.to_lowercase().starts_with(&query))
    }
}

/// `channels.getParticipants`: of a channel by its admins alone.
pub(crate) fn get_participants(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::GetParticipants,
) -> Result<tl::enums::channels::ChannelParticipants, RpcError> {
    use tl::enums::ChannelParticipantsFilter as F;
    let id = ctx.state.input_channel(ctx.user, &request.channel)?;
    let group = ctx.state.groups.group(id).ok_or_else(|| RpcError::bad_request("CHANNEL_INVALID"))?;
    let viewer = ctx.user;
    let kept = matches!(request.filter, F::ChannelParticipantsKicked(_) | F::ChannelParticipantsBanned(_));
    if (group.broadcast() || kept) && !group.is_admin(viewer) {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    let of_members = |wanted: &dyn Fn(i64, &Member) -> bool| -> Vec<(i64, tl::enums::ChannelParticipant)> {
        let members = group.members.iter().filter(|(user, member)| wanted(**user, member));
        members.map(|(user, member)| (*user, shown(group, viewer, *user, member))).collect()
    };
    let of_banned = |out: bool| -> Vec<(i64, tl::enums::ChannelParticipant)> {
        let banned_so = group.bans.iter().filter(|(_, ban)| ban.rights.view_messages == out);
        banned_so.map(|(user, ban)| (*user, banned(group, *user, ban))).collect()
    };
    let named = |user: i64, query: &str| ctx.state.name_has(viewer, user, query);
    let book = |user: i64| ctx.state.users.user(viewer).is_some_and(|me| me.contacts.contains_key(&user));
    let all = match &request.filter {
        F::ChannelParticipantsRecent | F::ChannelParticipantsMentions(_) => of_members(&|_, _| true),
        F::ChannelParticipantsAdmins => of_members(&|user, _| group.is_admin(user)),
        F::ChannelParticipantsBots => of_members(&|user, _| ctx.state.is_bot(user)),
        F::ChannelParticipantsSearch(search) => of_members(&|user, _| named(user, &search.q)),
        F::ChannelParticipantsContacts(search) => of_members(&|user, _| book(user) && named(user, &search.q)),
        F::ChannelParticipantsKicked(_) => of_banned(true),
        F::ChannelParticipantsBanned(_) => of_banned(false),
    };
    let count = i32::try_from(all.len()).unwrap_or(i32::MAX);
    let offset = usize::try_from(request.offset).unwrap_or(0);
    let limit = usize::try_from(request.limit).unwrap_or(0).min(PAGE_MAX);
    let (ids, participants): (Vec<i64>, Vec<_>) = all.into_iter().skip(offset).take(limit).unzip();
    let Named { users, chats } = ctx.state.named(viewer, ids.into_iter().chain([id]));
    Ok(tl::types::channels::ChannelParticipants { count, participants, chats, users }.into())
}

/// `channels.getParticipant`.
pub(crate) fn get_participant(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::GetParticipant,
) -> Result<tl::enums::channels::ChannelParticipant, RpcError> {
    let id = ctx.state.input_channel(ctx.user, &request.channel)?;
    let other = ctx.state.input_peer(ctx.user, &request.participant).ok();
    let other = other.ok_or_else(|| RpcError::bad_request("PARTICIPANT_ID_INVALID"))?;
    let group = ctx.state.groups.group(id).ok_or_else(|| RpcError::bad_request("CHANNEL_INVALID"))?;
    let participant = match (group.member(other), group.bans.get(&other)) {
        (_, Some(ban)) => banned(group, other, ban),
        (Some(member), None) => shown(group, ctx.user, other, member),
        (None, None) => return Err(RpcError::bad_request("USER_NOT_PARTICIPANT")),
    };
    let Named { users, chats } = ctx.state.named(ctx.user, [other, id]);
    Ok(tl::types::channels::ChannelParticipant { participant, chats, users }.into())
}
