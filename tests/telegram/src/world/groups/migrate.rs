//! `messages.migrateChat`: a basic group becomes a supergroup.

use grammers_tl_types as tl;

use super::basic::member_of;
use super::group::GroupKind;
use super::invites::with_chat;
use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::peers::bare;
use crate::world::state::State;

impl State {
    /// Makes a supergroup of a basic group. Returns its number and what the device `by` is told.
    pub(crate) fn migrate(
        &mut self,
        user: i64,
        id: i64,
        by: Option<i64>,
    ) -> Option<(i64, Vec<tl::enums::Update>)> {
        let old = self.groups.group(id)?;
        let (title, about, photo, creator) = (old.title.clone(), old.about.clone(), old.photo, old.creator);
        let (members, default_bans) = (old.members.clone(), old.default_bans.clone());
        let channel = self.groups.add(GroupKind::Supergroup, title.clone(), creator);
        let group = self.groups.group_mut(channel)?;
        (group.about, group.photo, group.members) = (about, photo, members);
        (group.default_bans, group.migrated_from) = (default_bans, Some(id));
        let everybody = self.groups.members(channel);
        let moved = self.tell_chat_changed(channel, &everybody, by);
        let action = tl::types::MessageActionChatMigrateTo { channel_id: bare(channel) }.into();
        let there = self.tell_group(user, id, None, &action, by).update;
        if let Some(old) = self.groups.group_mut(id) {
            old.migrated_to = Some(channel);
            old.version += 1;
        }
        let action = tl::types::MessageActionChannelMigrateFrom { title, chat_id: bare(id) }.into();
        let here = self.tell_group(user, channel, None, &action, by).update;
        Some((channel, vec![moved, there, here]))
    }
}

/// `messages.migrateChat`: by the creator alone.
pub(crate) fn migrate_chat(
    ctx: &mut Ctx<'_>,
    request: tl::functions::messages::MigrateChat,
) -> Result<tl::enums::Updates, RpcError> {
    let id = ctx.state.basic(request.chat_id)?;
    if member_of(ctx, id)?.creator != ctx.user {
        return Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED"));
    }
    let migrated = ctx.state.migrate(ctx.user, id, Some(ctx.caller.auth_key_id));
    let (channel, updates) = migrated.ok_or_else(|| RpcError::bad_request("CHAT_ID_INVALID"))?;
    Ok(with_chat(ctx, updates, channel))
}
