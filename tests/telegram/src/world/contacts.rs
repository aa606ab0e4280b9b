//! Contacts (core.telegram.org/api/contacts): finding people, and the address book of each user.

use std::collections::BTreeSet;

use grammers_tl_types as tl;

use super::clock::unix_now;
use super::dispatch::Ctx;
use super::error::RpcError;
use super::peers::{Named, peer};
use super::privacy::PrivacyKind;
use super::state::State;
use super::users::{blank_peer_settings, digits, is_username};

/// What a user wrote into the address book about another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contact {
    pub(crate) first_name: String,
    pub(crate) last_name: Option<String>,
    /// The owner knew the number already.
    pub(crate) by_phone: bool,
}

/// Shortest text that `contacts.search` takes.
const QUERY_MIN: usize = 3;

/// `contacts.resolvePhone`.
pub(crate) fn resolve_phone(
    ctx: &mut Ctx<'_>,
    request: tl::functions::contacts::ResolvePhone,
) -> Result<tl::enums::contacts::ResolvedPeer, RpcError> {
    let free = || RpcError::bad_request("PHONE_NOT_OCCUPIED");
    let user = digits(&request.phone).and_then(|phone| ctx.state.users.by_phone(&phone)).ok_or_else(free)?;
    let id = user.id;
    if user.deactivated
        || !(id == ctx.user || ctx.state.users.allows(id, PrivacyKind::AddedByPhone, ctx.user))
    {
        return Err(free());
    }
    Ok(resolved(ctx, id))
}

/// `contacts.resolveUsername`.
pub(crate) fn resolve_username(
    ctx: &mut Ctx<'_>,
    request: tl::functions::contacts::ResolveUsername,
) -> Result<tl::enums::contacts::ResolvedPeer, RpcError> {
    let name = request.username.trim_start_matches('@');
    if !is_username(name) {
        return Err(RpcError::bad_request("USERNAME_INVALID"));
    }
    if let Some(group) = ctx.state.groups.by_username(name) {
        return Ok(resolved(ctx, group.id));
    }
    let user = ctx.state.users.by_username(name).filter(|user| !user.deactivated);
    let id = user.ok_or_else(|| RpcError::bad_request("USERNAME_NOT_OCCUPIED"))?.id;
    Ok(resolved(ctx, id))
}

fn resolved(ctx: &Ctx<'_>, id: i64) -> tl::enums::contacts::ResolvedPeer {
    let Named { users, chats } = ctx.state.named(ctx.user, [id]);
    tl::types::contacts::ResolvedPeer { peer: peer(id), chats, users }.into()
}

/// `contacts.importContacts`: numbers nobody has are passed over in silence, and kept in the address book.
pub(crate) fn import_contacts(
    ctx: &mut Ctx<'_>,
    request: tl::functions::contacts::ImportContacts,
) -> Result<tl::enums::contacts::ImportedContacts, RpcError> {
    let mut imported = Vec::new();
    let mut ids = Vec::new();
    for tl::enums::InputContact::InputPhoneContact(entry) in request.contacts {
        let found =
            digits(&entry.phone).and_then(|phone| ctx.state.users.by_phone(&phone)).map(|user| user.id);
        let Some(id) = found.filter(|id| ctx.state.users.allows(*id, PrivacyKind::AddedByPhone, ctx.user))
        else {
            let number = digits(&entry.phone).unwrap_or(entry.phone);
            ctx.state.saved_phones.entry(ctx.user).or_default().insert(number);
            continue;
        };
        let last_name = Some(entry.last_name);
        save(ctx, id, Contact { first_name: entry.first_name, last_name, by_phone: true });
        imported.push(tl::types::ImportedContact { user_id: id, client_id: entry.client_id }.into());
        ids.push(id);
    }
    let users = ctx.state.users.many_seen_by(ctx.user, ids);
    let (popular_invites, retry_contacts) = (Vec::new(), Vec::new());
    Ok(tl::types::contacts::ImportedContacts { imported, popular_invites, retry_contacts, users }.into())
}

/// `contacts.getContacts`.
pub(crate) fn get_contacts(
    ctx: &mut Ctx<'_>,
    _: tl::functions::contacts::GetContacts,
) -> Result<tl::enums::contacts::Contacts, RpcError> {
    let ids = book(ctx);
    let mutual = |id: i64| ctx.state.users.user(id).is_some_and(|user| user.contacts.contains_key(&ctx.user));
    let contacts =
        ids.iter().map(|id| tl::types::Contact { user_id: *id, mutual: mutual(*id) }.into()).collect();
    let users = ctx.state.users.many_seen_by(ctx.user, ids);
    let saved = ctx.state.saved_phones.get(&ctx.user).map_or(0, BTreeSet::len);
    let saved_count = i32::try_from(saved).unwrap_or(i32::MAX);
    Ok(tl::types::contacts::Contacts { contacts, saved_count, users }.into())
}

/// `contacts.getStatuses`.
pub(crate) fn get_statuses(
    ctx: &mut Ctx<'_>,
    _: tl::functions::contacts::GetStatuses,
) -> Result<Vec<tl::enums::ContactStatus>, RpcError> {
    let status = || tl::enums::UserStatus::from(tl::types::UserStatusRecently { by_me: false });
    Ok(book(ctx)
        .into_iter()
        .map(|user_id| tl::types::ContactStatus { user_id, status: status() }.into())
        .collect())
}

/// `contacts.addContact`.
pub(crate) fn add_contact(
    ctx: &mut Ctx<'_>,
    request: tl::functions::contacts::AddContact,
) -> Result<tl::enums::Updates, RpcError> {
    let id = ctx.state.input_user(ctx.user, &request.id)?;
    if id == ctx.user {
        return Err(RpcError::bad_request("CONTACT_ID_INVALID"));
    }
    if request.first_name.is_empty() {
        return Err(RpcError::bad_request("CONTACT_NAME_EMPTY"));
    }
    let by_phone =
        ctx.state.users.user(id).is_some_and(|user| digits(&request.phone).as_ref() == Some(&user.phone));
    let last_name = Some(request.last_name);
    save(ctx, id, Contact { first_name: request.first_name, last_name, by_phone });
    if request.add_phone_privacy_exception
        && let Some(me) = ctx.state.users.user_mut(ctx.user)
    {
        let mut rules = me.privacy.rules(PrivacyKind::PhoneNumber);
        rules.insert(0, tl::types::PrivacyValueAllowUsers { users: vec![id] }.into());
        me.privacy.set(PrivacyKind::PhoneNumber, rules);
    }
    Ok(settings_changed(ctx, &[id]))
}

/// `contacts.deleteContacts`.
pub(crate) fn delete_contacts(
    ctx: &mut Ctx<'_>,
    request: tl::functions::contacts::DeleteContacts,
) -> Result<tl::enums::Updates, RpcError> {
    let ids =
        request.id.iter().map(|user| ctx.state.input_user(ctx.user, user)).collect::<Result<Vec<_>, _>>()?;
    if let Some(me) = ctx.state.users.user_mut(ctx.user) {
        for id in &ids {
            me.contacts.remove(id);
        }
    }
    Ok(settings_changed(ctx, &ids))
}

/// `contacts.deleteByPhones`.
pub(crate) fn delete_by_phones(
    ctx: &mut Ctx<'_>,
    request: tl::functions::contacts::DeleteByPhones,
) -> Result<bool, RpcError> {
    for phone in request.phones {
        if let (Some(number), Some(saved)) = (digits(&phone), ctx.state.saved_phones.get_mut(&ctx.user)) {
            saved.remove(&number);
        }
        let id = digits(&phone).and_then(|phone| ctx.state.users.by_phone(&phone)).map(|user| user.id);
        if let (Some(id), Some(me)) = (id, ctx.state.users.user_mut(ctx.user)) {
            me.contacts.remove(&id);
        }
    }
    Ok(true)
}

/// `contacts.search`: contacts by name, others by the beginning of their user name.
pub(crate) fn search(
    ctx: &mut Ctx<'_>,
    request: tl::functions::contacts::Search,
) -> Result<tl::enums::contacts::Found, RpcError> {
    let query = request.q.trim().trim_start_matches('@').to_lowercase();
    if query.chars().count() < QUERY_MIN {
        return Err(RpcError::bad_request("QUERY_TOO_SHORT"));
    }
    let limit = usize::try_from(request.limit).unwrap_or(0);
    let matches = |text: &str| text.to_lowercase().starts_with(&query);
    let by_username = |id: i64| {
        let user = ctx.state.users.user(id);
        user.and_then(|user| user.username.as_deref()).is_some_and(matches)
    };
    let me = ctx.state.users.user(ctx.user);
    let mine: Vec<i64> = me
        .into_iter()
        .flat_map(|me| &me.contacts)
        .filter(|(id, card)| {
            matches(&card.first_name) || card.last_name.as_deref().is_some_and(matches) || by_username(**id)
        })
        .map(|(id, _)| *id)
        .take(limit)
        .collect();
    let strangers = ctx.state.users.all().filter(|user| !user.deactivated && user.id != ctx.user);
    let found: Vec<i64> = strangers
        .map(|user| user.id)
        .filter(|id| !mine.contains(id) && by_username(*id))
        .take(limit)
        .collect();
    let named = |group: &&super::groups::Group| {
        matches(&group.title) || group.username.as_deref().is_some_and(matches)
    };
    let groups = ctx.state.groups.all().filter(|group| !group.deleted && group.migrated_to.is_none());
    let (joined, public): (Vec<_>, Vec<_>) =
        groups.filter(named).partition(|group| group.member(ctx.user).is_some());
    let mine: Vec<i64> = mine.into_iter().chain(joined.iter().map(|group| group.id)).collect();
    let public = public.iter().filter(|group| group.username.is_some());
    let found: Vec<i64> = found.into_iter().chain(public.map(|group| group.id)).collect();
    let Named { users, chats } = ctx.state.named(ctx.user, mine.iter().chain(&found).copied());
    let peers = |ids: Vec<i64>| ids.into_iter().map(peer).collect();
    Ok(tl::types::contacts::Found { my_results: peers(mine), results: peers(found), chats, users }.into())
}

/// `contacts.block`.
pub(crate) fn block(ctx: &mut Ctx<'_>, request: tl::functions::contacts::Block) -> Result<bool, RpcError> {
    let id = ctx.state.input_person(ctx.user, &request.id)?;
    if id == ctx.user {
        return Err(RpcError::bad_request("CONTACT_ID_INVALID"));
    }
    Ok(set_blocked(ctx, id, true))
}

/// `contacts.unblock`.
pub(crate) fn unblock(
    ctx: &mut Ctx<'_>,
    request: tl::functions::contacts::Unblock,
) -> Result<bool, RpcError> {
    let id = ctx.state.input_person(ctx.user, &request.id)?;
    Ok(set_blocked(ctx, id, false))
}

/// `contacts.getBlocked`.
pub(crate) fn blocked(
    ctx: &mut Ctx<'_>,
    request: tl::functions::contacts::GetBlocked,
) -> Result<tl::enums::contacts::Blocked, RpcError> {
    let (offset, limit) =
        (usize::try_from(request.offset).unwrap_or(0), usize::try_from(request.limit).unwrap_or(0));
    let all = ctx.state.users.user(ctx.user).map(|me| me.blocked.clone()).unwrap_or_default();
    let page: Vec<(i64, i32)> = all.iter().map(|(id, date)| (*id, *date)).skip(offset).take(limit).collect();
    let users = ctx.state.users.many_seen_by(ctx.user, page.iter().map(|(id, _)| *id));
    let entry = |(id, date)| tl::types::PeerBlocked { peer_id: peer(id), date }.into();
    let (whole, blocked, chats) =
        (page.len() == all.len(), page.into_iter().map(entry).collect(), Vec::new());
    if whole {
        return Ok(tl::types::contacts::Blocked { blocked, chats, users }.into());
    }
    let count = i32::try_from(all.len()).unwrap_or(i32::MAX);
    Ok(tl::types::contacts::BlockedSlice { count, blocked, chats, users }.into())
}

/// `contacts.getTopPeers`: switched off.
pub(crate) fn top_peers(
    _: &mut Ctx<'_>,
    _: tl::functions::contacts::GetTopPeers,
) -> Result<tl::enums::contacts::TopPeers, RpcError> {
    Ok(tl::enums::contacts::TopPeers::Disabled)
}

fn set_blocked(ctx: &mut Ctx<'_>, id: i64, blocked: bool) -> bool {
    ctx.state.set_blocked(ctx.user, id, blocked);
    let update: tl::enums::Update =
        tl::types::UpdatePeerBlocked { blocked, blocked_my_stories_from: false, peer_id: peer(id) }.into();
    ctx.state.push_to_others(ctx.user, ctx.caller.auth_key_id, update, &[id]);
    true
}

impl State {
    /// `owner` blocks `other`, or no longer; a bot is told.
    pub(crate) fn set_blocked(&mut self, owner: i64, other: i64, blocked: bool) {
        let Some(user) = self.users.user_mut(owner) else { return };
        let changed = if blocked {
            user.blocked.insert(other, unix_now()).is_none()
        } else {
            user.blocked.remove(&other).is_some()
        };
        if changed {
            self.bot_is_blocked(other, owner, blocked);
        }
    }
}

fn save(ctx: &mut Ctx<'_>, id: i64, card: Contact) {
    if id != ctx.user
        && let Some(me) = ctx.state.users.user_mut(ctx.user)
    {
        let by_phone = card.by_phone || me.contacts.get(&id).is_some_and(|known| known.by_phone);
        me.contacts.insert(id, Contact { by_phone, ..card });
    }
}

fn book(ctx: &Ctx<'_>) -> Vec<i64> {
    ctx.state.users.user(ctx.user).map(|me| me.contacts.keys().copied().collect()).unwrap_or_default()
}

fn settings_changed(ctx: &Ctx<'_>, ids: &[i64]) -> tl::enums::Updates {
    let settings = blank_peer_settings;
    let update = |id: &i64| tl::types::UpdatePeerSettings { peer: peer(*id), settings: settings() }.into();
    let users = ctx.state.users.many_seen_by(ctx.user, ids.iter().copied());
    let updates = ids.iter().map(update).collect();
    tl::types::Updates { updates, users, chats: Vec::new(), date: unix_now(), seq: 0 }.into()
}
