//! A group of any kind: who is in it, who leads it, what its members may.

use std::collections::BTreeMap;

use grammers_tl_types as tl;
use serde::{Deserialize, Serialize};

use super::rights::no_bans;
use crate::world::clock::unix_now;
use crate::world::messages::mailbox::Mailbox;

/// What kind of group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// Its messages lie in each member's own box.
    Basic,
    /// It has a box of its own.
    Supergroup,
    /// The same, and its admins alone write into it.
    Channel,
}

/// Somebody in a group.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// Who brought them.
    pub(crate) inviter: i64,
    /// Unix time.
    pub(crate) date: i32,
    /// What they may as an admin, and who made them one.
    pub(crate) admin: Option<(tl::types::ChatAdminRights, i64)>,
    /// Shown beside their name.
    pub(crate) rank: Option<String>,
    /// Up to where they have read a supergroup or channel, and others what they wrote there.
    pub(crate) read: i32,
    pub(crate) read_outbox: i32,
}

impl Member {
    pub(crate) fn new(inviter: i64) -> Self {
        Self { inviter, date: unix_now(), admin: None, rank: None, read: 0, read_outbox: 0 }
    }
}

/// What somebody in a supergroup or channel may not.
#[derive(Debug, Clone)]
pub(crate) struct Ban {
    pub(crate) rights: tl::types::ChatBannedRights,
    pub(crate) by: i64,
    pub(crate) date: i32,
}

/// A group.
#[derive(Debug)]
pub(crate) struct Group {
    /// As in [`crate::world::peers`].
    pub(crate) id: i64,
    pub(crate) kind: GroupKind,
    pub(crate) title: String,
    pub(crate) about: String,
    /// Number of its photo.
    pub(crate) photo: Option<i64>,
    /// Without `@`.
    pub(crate) username: Option<String>,
    pub(crate) creator: i64,
    /// Unix time.
    pub(crate) date: i32,
    /// Counts changes of the members' list.
    pub(crate) version: i32,
    pub(crate) members: BTreeMap<i64, Member>,
    /// Those who were here, and whether they were put out.
    pub(crate) gone: BTreeMap<i64, bool>,
    pub(crate) bans: BTreeMap<i64, Ban>,
    /// What members that are no admins may not.
    pub(crate) default_bans: tl::types::ChatBannedRights,
    /// Of supergroups and channels.
    pub(crate) mailbox: Mailbox,
    /// The supergroup that a basic group became, and the other way round.
    pub(crate) migrated_to: Option<i64>,
    pub(crate) migrated_from: Option<i64>,
    pub(crate) deleted: bool,
    /// Nothing of it may be forwarded.
    pub(crate) protected: bool,
}

impl Group {
    pub(crate) fn new(id: i64, kind: GroupKind, title: String, creator: i64) -> Self {
        Self {
            id,
            kind,
            title,
            about: String::new(),
            photo: None,
            username: None,
            creator,
            date: unix_now(),
            version: 1,
            members: BTreeMap::from([(creator, Member::new(creator))]),
            gone: BTreeMap::new(),
            bans: BTreeMap::new(),
            default_bans: no_bans(),
            mailbox: Mailbox::default(),
            migrated_to: None,
            migrated_from: None,
            deleted: false,
            protected: false,
        }
    }

    pub(crate) fn broadcast(&self) -> bool {
        self.kind == GroupKind::Channel
    }

    pub(crate) fn basic(&self) -> bool {
        self.kind == GroupKind::Basic
    }

    pub(crate) fn member(&self, user: i64) -> Option<&Member> {
        self.members.get(&user)
    }

    pub(crate) fn member_mut(&mut self, user: i64) -> Option<&mut Member> {
        self.members.get_mut(&user)
    }

    /// Whether a user may look into it: members, and everybody where it has a name.
    pub(crate) fn open_to(&self, user: i64) -> bool {
        let kicked = self.bans.get(&user).is_some_and(|ban| ban.rights.view_messages);
        self.members.contains_key(&user) || (self.username.is_some() && !kicked)
    }

    /// An admin of any kind.
    pub(crate) fn is_admin(&self, user: i64) -> bool {
        self.members.contains_key(&user)
            && (user == self.creator || self.member(user).is_some_and(|member| member.admin.is_some()))
    }

    /// Whether a user has a right of admins.
    pub(crate) fn may(&self, user: i64, right: impl Fn(&tl::types::ChatAdminRights) -> bool) -> bool {
        let admin = self.member(user).and_then(|member| member.admin.as_ref());
        self.members.contains_key(&user)
            && (user == self.creator || admin.is_some_and(|(rights, _)| right(rights)))
    }

    /// Whether a member may do what members may unless it is taken from all of them.
    pub(crate) fn may_as_member(
        &self,
        user: i64,
        right: impl Fn(&tl::types::ChatAdminRights) -> bool,
        taken: impl Fn(&tl::types::ChatBannedRights) -> bool,
    ) -> bool {
        let free = !self.broadcast()
            && !taken(&self.default_bans)
            && !self.bans.get(&user).is_some_and(|ban| taken(&ban.rights));
        self.may(user, right) || (self.members.contains_key(&user) && free)
    }

    /// Messages of a supergroup or channel that a member has not read.
    pub(crate) fn unread(&self, user: i64) -> i32 {
        let Some(member) = self.member(user) else { return 0 };
        let waiting = self.mailbox.chat(self.id).take_while(|(id, _)| *id > member.read);
        i32::try_from(waiting.filter(|(_, filed)| filed.author != user).count()).unwrap_or(i32::MAX)
    }

    /// Somebody comes in; what was written before counts as read.
    pub(crate) fn enter(&mut self, user: i64, inviter: i64) {
        let newest = self.mailbox.chat(self.id).next().map_or(0, |(id, _)| id);
        self.gone.remove(&user);
        self.bans.remove(&user);
        self.members.insert(user, Member { read: newest, ..Member::new(inviter) });
        self.version += 1;
    }

    /// Somebody goes, or is put out. False if they were not there.
    pub(crate) fn leave(&mut self, user: i64, put_out: bool) -> bool {
        let was = self.members.remove(&user).is_some();
        if was {
            self.gone.insert(user, put_out);
            self.version += 1;
        }
        was
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_members_may_not_admins_still_may() {
        let mut group = Group::new(-5, GroupKind::Basic, "Sales".to_owned(), 1);
        group.enter(2, 1);
        let may = |group: &Group, user| group.may_as_member(user, |r| r.change_info, |b| b.change_info);
        assert!(may(&group, 1) && may(&group, 2) && !may(&group, 3));
        group.default_bans.change_info = true;
        assert!(may(&group, 1) && !may(&group, 2));
        assert!(group.leave(2, true) && !group.leave(2, true));
        assert_eq!(group.gone.get(&2), Some(&true));
    }

    #[test]
    fn a_channel_without_a_name_is_open_to_its_members_alone() {
        let mut group = Group::new(-1_000_000_000_005, GroupKind::Channel, "News".to_owned(), 1);
        assert!(group.open_to(1) && !group.open_to(2));
        group.username = Some("news".to_owned());
        assert!(group.open_to(2));
    }
}
