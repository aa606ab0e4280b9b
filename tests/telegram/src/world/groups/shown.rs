//! How a group looks to a viewer, and its members' list.

use grammers_tl_types as tl;
use tl::{Deserializable, Serializable};

use super::group::{Group, Member};
use super::rights::all_rights;
use crate::world::outbox::Parcel;
use crate::world::peers::{bare, is_channel};
use crate::world::settings::Wrap;
use crate::world::state::State;

impl State {
    /// A group as the viewer sees it.
    pub(crate) fn chat_seen_by(&self, viewer: i64, id: i64) -> tl::enums::Chat {
        let Some(group) = self.groups.group(id) else { return tl::types::ChatEmpty { id: bare(id) }.into() };
        if group.basic() { self.basic_seen_by(viewer, group) } else { self.channel_seen_by(viewer, group) }
    }

    fn basic_seen_by(&self, viewer: i64, group: &Group) -> tl::enums::Chat {
        let id = bare(group.id);
        let member = group.member(viewer);
        if group.gone.get(&viewer) == Some(&true) {
            return tl::types::ChatForbidden { id, title: group.title.clone() }.into();
        }
        let migrated_to = group.migrated_to.map(|channel| {
            let access_hash = self.users.access_hash(viewer, channel);
            tl::types::InputChannel { channel_id: bare(channel), access_hash }.into()
        });
        tl::types::Chat {
            creator: group.creator == viewer,
            left: member.is_none(),
            deactivated: group.migrated_to.is_some() || group.deleted,
            call_active: false,
            call_not_empty: false,
            noforwards: group.protected,
            id,
            title: group.title.clone(),
            photo: self.chat_photo(group),
            participants_count: count(group),
            date: member.map_or(group.date, |member| member.date),
            version: group.version,
            migrated_to,
            admin_rights: rights_of(group, viewer).map(Into::into),
            default_banned_rights: Some(group.default_bans.clone().into()),
        }
        .into()
    }

    fn channel_seen_by(&self, viewer: i64, group: &Group) -> tl::enums::Chat {
        let (id, access_hash) = (bare(group.id), self.users.access_hash(viewer, group.id));
        let (broadcast, member) = (group.broadcast(), group.member(viewer));
        if group.deleted || !group.open_to(viewer) {
            let banned = group.bans.get(&viewer).filter(|ban| ban.rights.view_messages);
            return tl::types::ChannelForbidden {
                broadcast,
                megagroup: !broadcast,
                monoforum: false,
                id,
                access_hash,
                title: group.title.clone(),
                until_date: banned.map(|ban| ban.rights.until_date),
            }
            .into();
        }
        let mut seen = blank_channel(id, &group.title, group.date);
        seen.creator = group.creator == viewer;
        seen.left = member.is_none();
        (seen.broadcast, seen.megagroup) = (broadcast, !broadcast);
        seen.access_hash = Some(access_hash);
        seen.username.clone_from(&group.username);
        seen.photo = self.chat_photo(group);
        seen.date = member.map_or(group.date, |member| member.date);
        seen.admin_rights = rights_of(group, viewer).map(Into::into);
        seen.banned_rights = group.bans.get(&viewer).map(|ban| ban.rights.clone().into());
        seen.default_banned_rights = (!broadcast).then(|| group.default_bans.clone().into());
        seen.participants_count = Some(count(group));
        seen.has_link = false;
        seen.noforwards = group.protected;
        seen.into()
    }

    fn chat_photo(&self, group: &Group) -> tl::enums::ChatPhoto {
        let dc = group.photo.and_then(|photo| self.files.dc_of(photo).map(|dc| (photo, dc)));
        match dc {
            Some((photo_id, dc_id)) => {
                tl::types::ChatPhoto { has_video: false, photo_id, stripped_thumb: None, dc_id }.into()
            }
            None => tl::enums::ChatPhoto::Empty,
        }
    }

    /// A basic group's list of members, as a viewer sees it.
    pub(crate) fn participants(&self, viewer: i64, id: i64) -> tl::enums::ChatParticipants {
        let chat_id = bare(id);
        let group = self.groups.group(id).filter(|group| group.member(viewer).is_some());
        let Some(group) = group else {
            return tl::types::ChatParticipantsForbidden { chat_id, self_participant: None }.into();
        };
        let participants = group.members.iter().map(|(user, member)| participant(group, *user, member));
        let (participants, version) = (participants.collect(), group.version);
        tl::types::ChatParticipants { chat_id, participants, version }.into()
    }

    /// Tells the members' devices, but the key `by`, who is in a basic group now. Returns what the caller is told.
    pub(crate) fn tell_participants(&mut self, user: i64, id: i64, by: Option<i64>) -> tl::enums::Update {
        let members = self.groups.members(id);
        let named: Vec<i64> = members.iter().copied().chain([id]).collect();
        for member in members {
            let participants = self.participants(member, id);
            let update: tl::enums::Update = tl::types::UpdateChatParticipants { participants }.into();
            for key in self.keys.main_of(member).into_iter().filter(|key| Some(*key) != by) {
                let (update, users) = (update.clone(), named.clone());
                self.push(Parcel { key, update, users, wrap: Wrap::Updates });
            }
        }
        tl::types::UpdateChatParticipants { participants: self.participants(user, id) }.into()
    }

    /// Tells devices of these users, but the key `by`, that a group looks different now. Returns the update.
    pub(crate) fn tell_chat_changed(&mut self, id: i64, users: &[i64], by: Option<i64>) -> tl::enums::Update {
        let update: tl::enums::Update = if is_channel(id) {
            tl::types::UpdateChannel { channel_id: bare(id) }.into()
        } else {
            tl::types::UpdateChat { chat_id: bare(id) }.into()
        };
        for user in users {
            self.push_to_others(*user, by.unwrap_or(0), update.clone(), &[id]);
        }
        update
    }
}

fn participant(group: &Group, user_id: i64, member: &Member) -> tl::enums::ChatParticipant {
    let (inviter_id, date, rank) = (member.inviter, member.date, member.rank.clone());
    if user_id == group.creator {
        tl::types::ChatParticipantCreator { user_id, rank }.into()
    } else if member.admin.is_some() {
        tl::types::ChatParticipantAdmin { user_id, inviter_id, date, rank }.into()
    } else {
        tl::types::ChatParticipant { user_id, inviter_id, date, rank }.into()
    }
}

/// What a user may in a group as its creator or an admin.
fn rights_of(group: &Group, user: i64) -> Option<tl::types::ChatAdminRights> {
    let member = group.member(user)?;
    if user == group.creator {
        return Some(all_rights(group.kind));
    }
    member.admin.as_ref().map(|(rights, _)| rights.clone())
}

fn count(group: &Group) -> i32 {
    i32::try_from(group.members.len()).unwrap_or(i32::MAX)
}

/// A `channel` with every flag off.
fn blank_channel(id: i64, title: &str, date: i32) -> tl::types::Channel {
    let mut bytes = vec![0; 8];
    id.serialize(&mut bytes);
    title.to_owned().serialize(&mut bytes);
    tl::enums::ChatPhoto::Empty.serialize(&mut bytes);
    date.serialize(&mut bytes);
    tl::types::Channel::from_bytes(&bytes)
        .expect("flags, flags, id, title, photo and date are a whole channel")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_made_of_its_bare_fields() {
        let channel = blank_channel(7, "News", 1);
        assert_eq!((channel.id, channel.title.as_str(), channel.date, channel.left), (7, "News", 1, false));
    }
}
