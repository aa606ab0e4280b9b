//! Who may write into a group, and with what (core.telegram.org/api/rights).

use grammers_tl_types as tl;
use tl::Deserializable;

use super::group::{Group, GroupKind};
use crate::world::error::RpcError;
use crate::world::messages::message::Draft;
use crate::world::state::State;

/// `chatBannedRights` with every flag off.
pub(crate) fn no_bans() -> tl::types::ChatBannedRights {
    tl::types::ChatBannedRights::from_bytes(&[0; 8]).expect("flags and a date are whole rights")
}

/// `chatAdminRights` with every flag off.
pub(crate) fn no_rights() -> tl::types::ChatAdminRights {
    tl::types::ChatAdminRights::from_bytes(&[0; 4]).expect("flags are whole rights")
}

/// What a creator may.
pub(crate) fn all_rights(kind: GroupKind) -> tl::types::ChatAdminRights {
    let broadcast = kind == GroupKind::Channel;
    tl::types::ChatAdminRights {
        change_info: true,
        post_messages: broadcast,
        edit_messages: broadcast,
        delete_messages: true,
        ban_users: true,
        invite_users: true,
        pin_messages: !broadcast,
        add_admins: true,
        manage_call: true,
        other: true,
        ..no_rights()
    }
}

/// What hangs on a message, as rights tell it apart: whether it is taken, and the refusal.
type Taken = (fn(&tl::types::ChatBannedRights) -> bool, &'static str);

fn needed(draft: &Draft) -> Taken {
    use tl::enums::MessageMedia as Media;
    match &draft.media {
        None | Some(Media::WebPage(_)) => (|bans| bans.send_plain, "CHAT_SEND_PLAIN_FORBIDDEN"),
        Some(Media::Photo(_)) => (|bans| bans.send_photos || bans.send_media, "CHAT_SEND_PHOTOS_FORBIDDEN"),
        Some(Media::Poll(_)) => (|bans| bans.send_polls, "CHAT_SEND_POLL_FORBIDDEN"),
        Some(Media::Document(document)) if document.voice => {
            (|bans| bans.send_voices || bans.send_media, "CHAT_SEND_VOICES_FORBIDDEN")
        }
        Some(Media::Document(document)) if document.video => {
            (|bans| bans.send_videos || bans.send_media, "CHAT_SEND_VIDEOS_FORBIDDEN")
        }
        Some(Media::Document(_)) => (|bans| bans.send_docs || bans.send_media, "CHAT_SEND_DOCS_FORBIDDEN"),
        Some(_) => (|bans| bans.send_media, "CHAT_SEND_MEDIA_FORBIDDEN"),
    }
}

impl State {
    /// A group that exists, for a method that names it by its number in the schema.
    pub(crate) fn basic(&self, chat_id: i64) -> Result<i64, RpcError> {
        let id = crate::world::peers::basic_group(chat_id);
        let group = self.groups.group(id).filter(|group| chat_id > 0 && !group.deleted);
        group.map(|group| group.id).ok_or_else(|| RpcError::bad_request("CHAT_ID_INVALID"))
    }

    /// Whether a user may write into a group at all.
    pub(crate) fn may_write_into(&self, user: i64, group: i64) -> Result<(), RpcError> {
        let group = self.groups.group(group).ok_or_else(|| RpcError::bad_request("PEER_ID_INVALID"))?;
        if group.migrated_to.is_some() {
            return Err(RpcError::bad_request("PEER_ID_INVALID"));
        }
        if group.member(user).is_none() {
            return Err(stranger(group, user));
        }
        if group.broadcast() {
            let may = group.may(user, |rights| rights.post_messages);
            return if may { Ok(()) } else { Err(RpcError::bad_request("CHAT_ADMIN_REQUIRED")) };
        }
        if group.is_admin(user) {
            return Ok(());
        }
        if group.bans.get(&user).is_some_and(|ban| ban.rights.send_messages) {
            return Err(RpcError::bad_request("USER_BANNED_IN_CHANNEL"));
        }
        if group.default_bans.send_messages {
            return Err(RpcError::forbidden("CHAT_WRITE_FORBIDDEN"));
        }
        Ok(())
    }

    /// Whether a user may send just this message.
    pub(crate) fn may_post(&self, user: i64, to: i64, draft: &Draft) -> Result<(), RpcError> {
        self.may_write(user, to)?;
        let Some(group) = self.groups.group(to) else { return Ok(()) };
        let (taken, refusal) = needed(draft);
        let banned = group.bans.get(&user).is_some_and(|ban| taken(&ban.rights));
        if !group.is_admin(user) && (taken(&group.default_bans) || banned) {
            return Err(RpcError::forbidden(refusal));
        }
        Ok(())
    }

    /// Whether a user may read a chat.
    pub(crate) fn may_look_into(&self, user: i64, chat: i64) -> Result<(), RpcError> {
        match self.groups.group(chat) {
            Some(group) if !group.basic() && (group.deleted || !group.open_to(user)) => {
                Err(RpcError::new(406, "CHANNEL_PRIVATE"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

fn stranger(group: &Group, user: i64) -> RpcError {
    if group.basic() || group.open_to(user) {
        RpcError::forbidden("CHAT_WRITE_FORBIDDEN")
    } else {
        RpcError::new(406, "CHANNEL_PRIVATE")
    }
}
