//! All groups, found by number, name and invite link.

use std::collections::BTreeMap;

use grammers_tl_types as tl;

use super::group::{Group, GroupKind};
use super::invites::Invite;
use crate::world::peers::{basic_group, channel_of};

/// First numbers.
const FIRST_BASIC: i64 = 4_000_001;
const FIRST_CHANNEL: i64 = 1_500_000_001;

/// All groups.
#[derive(Debug)]
pub(crate) struct Groups {
    by_id: BTreeMap<i64, Group>,
    by_username: BTreeMap<String, i64>,
    /// By the hash in the link.
    pub(crate) invites: BTreeMap<String, Invite>,
    next_basic: i64,
    next_channel: i64,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            by_id: BTreeMap::new(),
            by_username: BTreeMap::new(),
            invites: BTreeMap::new(),
            next_basic: FIRST_BASIC,
            next_channel: FIRST_CHANNEL,
        }
    }
}

impl Groups {
    /// Makes a group with its creator alone in it, and returns its number.
    pub(crate) fn add(&mut self, kind: GroupKind, title: String, creator: i64) -> i64 {
        let id = if kind == GroupKind::Basic {
            self.next_basic += 1;
            basic_group(self.next_basic - 1)
        } else {
            self.next_channel += 1;
            channel_of(self.next_channel - 1)
        };
        self.by_id.insert(id, Group::new(id, kind, title, creator));
        id
    }

    pub(crate) fn group(&self, id: i64) -> Option<&Group> {
        self.by_id.get(&id)
    }

    pub(crate) fn group_mut(&mut self, id: i64) -> Option<&mut Group> {
        self.by_id.get_mut(&id)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Group> {
        self.by_id.values()
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Group> {
        self.by_id.values_mut()
    }

    /// Who is in a group, by number.
    pub(crate) fn members(&self, id: i64) -> Vec<i64> {
        self.group(id).map(|group| group.members.keys().copied().collect()).unwrap_or_default()
    }

    pub(crate) fn is_broadcast(&self, id: i64) -> bool {
        self.group(id).is_some_and(Group::broadcast)
    }

    /// Whether a user has a right of a group's admins.
    pub(crate) fn may(
        &self,
        id: i64,
        user: i64,
        right: impl Fn(&tl::types::ChatAdminRights) -> bool,
    ) -> bool {
        self.group(id).is_some_and(|group| group.may(user, right))
    }

    /// The supergroups and channels of a user, and since when (Unix time).
    pub(crate) fn channels_of(&self, user: i64) -> impl Iterator<Item = (i64, i32)> {
        self.all()
            .filter(|group| !group.basic() && !group.deleted)
            .filter_map(move |group| group.member(user).map(|member| (group.id, member.date)))
    }

    /// By name without `@`, in any case.
    pub(crate) fn by_username(&self, name: &str) -> Option<&Group> {
        self.by_username.get(&name.to_lowercase()).and_then(|id| self.group(*id))
    }

    /// Gives a supergroup or channel a name, or takes it away. The caller has seen that it is free.
    pub(crate) fn set_username(&mut self, id: i64, username: Option<String>) {
        let Some(group) = self.by_id.get_mut(&id) else { return };
        if let Some(old) = group.username.take() {
            self.by_username.remove(&old.to_lowercase());
        }
        if let Some(name) = &username {
            self.by_username.insert(name.to_lowercase(), id);
        }
        group.username = username;
    }
}
