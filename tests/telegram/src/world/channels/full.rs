//! All about supergroups and channels: `channels.getFullChannel`, `channels.getChannels`.

use grammers_tl_types as tl;
use tl::{Deserializable, Serializable};

use crate::world::dispatch::Ctx;
use crate::world::error::RpcError;
use crate::world::groups::exported_invite;
use crate::world::peers::{Named, bare, channel_of};
use crate::world::users::blank_notify_settings;

/// `channels.getFullChannel`.
pub(crate) fn get_full_channel(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::GetFullChannel,
) -> Result<tl::enums::messages::ChatFull, RpcError> {
    let id = ctx.state.input_channel(ctx.user, &request.channel)?;
    let user = ctx.user;
    let group = ctx.state.groups.group(id).ok_or_else(|| RpcError::bad_request("CHANNEL_INVALID"))?;
    let count = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let (admin, dialog) = (group.is_admin(user), ctx.state.dialog(user, id));
    let mut full = blank_channel_full(bare(id), &group.about);
    full.can_view_participants = admin || !group.broadcast();
    full.can_set_username = group.creator == user;
    full.can_delete_channel = group.creator == user;
    full.has_scheduled = !ctx.state.waiting_in(user, id).is_empty();
    full.participants_count = Some(count(group.members.len()));
    full.admins_count =
        admin.then(|| count(group.members.keys().filter(|user| group.is_admin(**user)).count()));
    let kicked = |out: bool| group.bans.values().filter(|ban| ban.rights.view_messages == out).count();
    full.kicked_count = admin.then(|| count(kicked(true)));
    full.banned_count = admin.then(|| count(kicked(false)));
    full.read_inbox_max_id = dialog.read_inbox_max_id;
    full.read_outbox_max_id = dialog.read_outbox_max_id;
    full.unread_count = dialog.unread_count;
    if let Some(photo) = group.photo.and_then(|photo| ctx.state.files.photo(photo)) {
        full.chat_photo = photo;
    }
    full.exported_invite = exported_invite(ctx.state, id, user);
    full.migrated_from_chat_id = group.migrated_from.map(bare);
    full.migrated_from_max_id = group.migrated_from.map(|old| {
        let newest = ctx.state.mailbox(user).and_then(|mailbox| mailbox.chat(old).next());
        newest.map_or(0, |(id, _)| id)
    });
    full.pinned_msg_id = ctx.state.pinned(id, id);
    full.folder_id = dialog.folder_id;
    full.pts = group.mailbox.pts();
    full.available_reactions = Some(tl::types::ChatReactionsAll { allow_custom: false }.into());
    let Named { users, chats } =
        ctx.state.named(user, [id, group.creator].into_iter().chain(group.migrated_from));
    Ok(tl::types::messages::ChatFull { full_chat: full.into(), chats, users }.into())
}

/// `channels.getChannels`: also those that the caller may not look into.
pub(crate) fn get_channels(
    ctx: &mut Ctx<'_>,
    request: tl::functions::channels::GetChannels,
) -> Result<tl::enums::messages::Chats, RpcError> {
    let mut chats = Vec::new();
    for input in &request.id {
        let id = match (ctx.state.input_channel(ctx.user, input), input) {
            (Ok(id), _) => id,
            (Err(error), tl::enums::InputChannel::Channel(named)) if error.message == "CHANNEL_PRIVATE" => {
                channel_of(named.channel_id)
            }
            (Err(error), _) => return Err(error),
        };
        chats.push(ctx.state.chat_seen_by(ctx.user, id));
    }
    Ok(tl::types::messages::Chats { chats }.into())
}

/// A `channelFull` with every flag off.
fn blank_channel_full(id: i64, about: &str) -> tl::types::ChannelFull {
    let mut bytes = vec![0; 8];
    id.serialize(&mut bytes);
    about.to_owned().serialize(&mut bytes);
    // The marks of reading and the unread ones.
    bytes.extend([0; 12]);
    tl::enums::Photo::from(tl::types::PhotoEmpty { id: 0 }).serialize(&mut bytes);
    blank_notify_settings().serialize(&mut bytes);
    Vec::<tl::enums::BotInfo>::new().serialize(&mut bytes);
    0_i32.serialize(&mut bytes);
    tl::types::ChannelFull::from_bytes(&bytes).expect("every field that is always there is there")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_channel_is_made_of_its_bare_fields() {
        let full = blank_channel_full(7, "about");
        assert_eq!((full.id, full.about.as_str(), full.pts, full.pinned_msg_id), (7, "about", 0, None));
    }
}
