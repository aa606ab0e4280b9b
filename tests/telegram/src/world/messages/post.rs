//! Messages in the boxes of all who are in a chat: sent, changed, deleted, and told to their devices.

use std::collections::BTreeMap;
use std::sync::Arc;

use grammers_tl_types as tl;

use super::mailbox::{Event, Filed, Mailbox};
use super::message::{Draft, Place, people};
use crate::world::clock::unix_now;
use crate::world::error::RpcError;
use crate::world::outbox::Parcel;
use crate::world::peers::{bare, is_channel, peer};
use crate::world::settings::Wrap;
use crate::world::state::State;

/// A message that was filed in every box.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    /// In the sender's box, or the channel's.
    pub(crate) id: i32,
    /// Whose box holds the other copy of a chat of two, and its number there; none in the chat with oneself.
    pub(crate) twin: Option<(i64, i32)>,
    /// What the sender's devices are told, for the one that is answered itself.
    pub(crate) update: tl::enums::Update,
    /// The same of the receiver's, in a chat of two.
    pub(crate) twin_update: Option<tl::enums::Update>,
}

impl State {
    /// Sends a message. The devices of all in the chat are told, but the key `by`, which is answered itself.
    pub(crate) fn post(&mut self, from: i64, to: i64, draft: Draft, by: Option<i64>) -> Posted {
        let owner = box_of(from, to);
        let answered = draft.reply_to.map(|id| self.copies(owner, id)).unwrap_or_default();
        self.file_all(from, to, by, |place| {
            let there = answered.iter().find(|(owner, _)| *owner == place.owner);
            draft.copy(place, there.map(|(_, id)| *id)).into()
        })
    }

    /// Files a message that `make` writes for each box, the sender's first.
    pub(crate) fn file_all(
        &mut self,
        from: i64,
        to: i64,
        by: Option<i64>,
        make: impl Fn(Place) -> tl::enums::Message,
    ) -> Posted {
        let others = if to > 0 { vec![to] } else { self.groups.members(to) };
        self.file_for(from, to, &others, by, make)
    }

    /// Files a message in the boxes of its sender and of `others`, or in a channel's own.
    pub(crate) fn file_for(
        &mut self,
        from: i64,
        to: i64,
        others: &[i64],
        by: Option<i64>,
        make: impl Fn(Place) -> tl::enums::Message,
    ) -> Posted {
        if is_channel(to) {
            return self.file_in_channel(from, to, by, make);
        }
        let owners: Vec<i64> =
            [from].into_iter().chain(others.iter().copied().filter(|other| *other != from)).collect();
        let mut copies = Vec::with_capacity(owners.len());
        for owner in owners {
            let id = self.mailbox_mut(owner).map_or(0, Mailbox::next_message);
            copies.push((owner, id));
        }
        let copies: Arc<[(i64, i32)]> = copies.into();
        let mut updates = Vec::with_capacity(copies.len());
        for (owner, id) in copies.iter().copied() {
            let mine = owner == from;
            let chat = if to < 0 || mine { to } else { from };
            let out = mine && from != to;
            let place = Place { owner, chat, id, out, from: (to < 0 || out).then_some(from), post: false };
            updates.push(self.file(place, from, make(place), copies.clone(), by));
        }
        let twin = copies.get(1).copied().filter(|_| to > 0);
        if let Some((owner, id)) = twin.filter(|(owner, _)| self.is_bot(*owner)) {
            self.bot_gets_message(owner, id);
        }
        let mut updates = updates.into_iter();
        let update = updates.next().unwrap_or_else(nothing);
        Posted { id: copies.first().map_or(0, |(_, id)| *id), twin, update, twin_update: updates.next() }
    }

    fn file_in_channel(
        &mut self,
        from: i64,
        channel: i64,
        by: Option<i64>,
        make: impl Fn(Place) -> tl::enums::Message,
    ) -> Posted {
        let post = self.groups.is_broadcast(channel);
        let id = self.mailbox_mut(channel).map_or(0, Mailbox::next_message);
        let sender = Some(from).filter(|_| !post);
        let place = Place { owner: channel, chat: channel, id, out: false, from: sender, post };
        let update = self.file(place, from, make(place), Arc::new([(channel, id)]), by);
        Posted { id, twin: None, update, twin_update: None }
    }

    fn file(
        &mut self,
        place: Place,
        author: i64,
        message: tl::enums::Message,
        copies: Arc<[(i64, i32)]>,
        by: Option<i64>,
    ) -> tl::enums::Update {
        let named = people(&message);
        if let Some(mailbox) = self.mailbox_mut(place.owner) {
            let (peer, handed_in, deleted) = (place.chat, None, false);
            mailbox.keep(place.id, Filed { message, peer, author, copies, handed_in, deleted });
        }
        self.happen(place.owner, Event::New(place.id), &named, by)
    }

    /// Changes a message in every box. All devices are told, but the key `by`.
    ///
    /// # Errors
    /// `MESSAGE_ID_INVALID` where the owner sees no such message, `MESSAGE_NOT_MODIFIED` where nothing changes.
    pub(crate) fn edit(
        &mut self,
        owner: i64,
        id: i32,
        by: Option<i64>,
        change: impl Fn(&mut tl::types::Message),
    ) -> Result<tl::enums::Update, RpcError> {
        let before = self.message(owner, id).ok_or_else(|| RpcError::bad_request("MESSAGE_ID_INVALID"))?;
        let mut after = before.clone();
        change(&mut after);
        if *before == after {
            return Err(RpcError::bad_request("MESSAGE_NOT_MODIFIED"));
        }
        let copies = self.copies(owner, id);
        let update = self.edit_copy(owner, id, by, &change);
        for (other, there) in copies.into_iter().filter(|(other, _)| *other != owner) {
            if self.message(other, there).is_none() {
                continue;
            }
            self.edit_copy(other, there, by, &change);
            if self.is_bot(other) {
                self.bot_gets_edit(other, there);
            }
        }
        Ok(update)
    }

    fn edit_copy(
        &mut self,
        owner: i64,
        id: i32,
        by: Option<i64>,
        change: &impl Fn(&mut tl::types::Message),
    ) -> tl::enums::Update {
        let mut named = Vec::new();
        let filed = self.mailbox_mut(owner).and_then(|mailbox| mailbox.seen_mut(id));
        if let Some(filed) = filed {
            if let tl::enums::Message::Message(message) = &mut filed.message {
                let mut before = message.clone();
                change(message);
                before.reactions.clone_from(&message.reactions);
                // Who only reacts has not edited.
                if before != *message {
                    message.edit_date = Some(unix_now());
                }
            }
            named = people(&filed.message);
        }
        self.happen(owner, Event::Edit(id), &named, by)
    }

    /// Deletes messages that the owner sees, with `revoke` in every box, and returns the owner's counter and how
    /// far it moved. All devices are told, but the key `by`.
    pub(crate) fn delete(&mut self, owner: i64, ids: &[i32], revoke: bool, by: Option<i64>) -> (i32, i32) {
        let mut gone: BTreeMap<i64, Vec<i32>> = BTreeMap::new();
        for id in ids {
            let others = if revoke { self.copies(owner, *id) } else { Vec::new() };
            let others = others.into_iter().filter(|(other, _)| *other != owner);
            for (owner, id) in [(owner, *id)].into_iter().chain(others) {
                let filed = self.mailbox_mut(owner).and_then(|mailbox| mailbox.seen_mut(id));
                if let Some(filed) = filed {
                    filed.deleted = true;
                    gone.entry(owner).or_default().push(id);
                }
            }
        }
        let count = gone.get(&owner).map_or(0, |ids| i32::try_from(ids.len()).unwrap_or(i32::MAX));
        for (owner, ids) in gone {
            self.happen(owner, Event::Delete(ids), &[], by);
        }
        (self.pts(owner), count)
    }

    /// A text or media message that the owner sees.
    pub(crate) fn message(&self, owner: i64, id: i32) -> Option<&tl::types::Message> {
        match &self.filed(owner, id)?.message {
            tl::enums::Message::Message(message) => Some(message),
            tl::enums::Message::Service(_) | tl::enums::Message::Empty(_) => None,
        }
    }

    /// Every copy of a message, this one too, whether its owner still sees it or not.
    pub(crate) fn copies(&self, owner: i64, id: i32) -> Vec<(i64, i32)> {
        self.filed(owner, id).map(|filed| filed.copies.to_vec()).unwrap_or_default()
    }

    /// The other copy of a message of a chat of two, whether its owner still sees it or not.
    pub(crate) fn twin(&self, owner: i64, id: i32) -> Option<(i64, i32)> {
        let filed = self.filed(owner, id).filter(|filed| filed.peer > 0)?;
        filed.copies.iter().copied().find(|(other, _)| *other != owner)
    }

    pub(crate) fn filed(&self, owner: i64, id: i32) -> Option<&Filed> {
        self.mailbox(owner)?.seen(id)
    }

    /// The counter of a box.
    pub(crate) fn pts(&self, owner: i64) -> i32 {
        self.mailbox(owner).map_or(0, Mailbox::pts)
    }

    /// A user's box, or a channel's.
    pub(crate) fn mailbox(&self, owner: i64) -> Option<&Mailbox> {
        if owner > 0 {
            self.users.user(owner).map(|user| &user.mailbox)
        } else {
            self.groups.group(owner).map(|group| &group.mailbox)
        }
    }

    pub(crate) fn mailbox_mut(&mut self, owner: i64) -> Option<&mut Mailbox> {
        if owner > 0 {
            self.users.user_mut(owner).map(|user| &mut user.mailbox)
        } else {
            self.groups.group_mut(owner).map(|group| &mut group.mailbox)
        }
    }

    /// Counts an event in a box and tells the devices of those who look into it, but `by`. Returns what the user of
    /// `by`, or the owner, is told.
    pub(crate) fn happen(
        &mut self,
        owner: i64,
        event: Event,
        named: &[i64],
        by: Option<i64>,
    ) -> tl::enums::Update {
        let pts = self.mailbox_mut(owner).map_or(0, |mailbox| mailbox.note(event.clone()));
        let readers = if owner > 0 { vec![owner] } else { self.groups.members(owner) };
        let users: Vec<i64> = named.iter().copied().chain(Some(owner).filter(|owner| *owner < 0)).collect();
        for reader in readers {
            let keys = self.keys.main_of(reader);
            if keys.is_empty() {
                continue;
            }
            let update = self.told(reader, owner, pts, &event);
            for key in keys.into_iter().filter(|key| Some(*key) != by) {
                self.push(Parcel { key, update: update.clone(), users: users.clone(), wrap: Wrap::Updates });
            }
        }
        let asker = by.and_then(|key| self.keys.key(key)).and_then(|key| key.user);
        let viewer = asker.filter(|_| owner < 0).unwrap_or(owner);
        self.told(viewer, owner, pts, &event)
    }

    /// A message as a viewer sees it who looks into this box.
    pub(crate) fn shown(&self, viewer: i64, filed: &Filed) -> tl::enums::Message {
        let mut message = filed.message.clone();
        let mine = is_channel(filed.peer).then_some(filed.author == viewer);
        match &mut message {
            tl::enums::Message::Message(message) => {
                message.out = mine.unwrap_or(message.out);
                if let Some(reactions) = &mut message.reactions {
                    super::reactions::as_seen_by(viewer, reactions);
                }
                if let Some(tl::enums::MessageMedia::Poll(media)) = &mut message.media {
                    self.polls.show(viewer, media);
                }
            }
            tl::enums::Message::Service(message) => message.out = mine.unwrap_or(message.out),
            tl::enums::Message::Empty(_) => {}
        }
        message
    }

    /// The update that tells a viewer of an event in a box. A message that is gone since is told as empty.
    pub(crate) fn told(&self, viewer: i64, owner: i64, pts: i32, event: &Event) -> tl::enums::Update {
        let message = |id: i32| match self.filed(owner, id) {
            Some(filed) => self.shown(viewer, filed),
            None => tl::types::MessageEmpty { id, peer_id: None }.into(),
        };
        let pts_count = event.count();
        if owner < 0 {
            return told_of_channel(bare(owner), pts, event, message);
        }
        match event {
            Event::New(id) => tl::types::UpdateNewMessage { message: message(*id), pts, pts_count }.into(),
            Event::Edit(id) => tl::types::UpdateEditMessage { message: message(*id), pts, pts_count }.into(),
            Event::Delete(ids) => {
                tl::types::UpdateDeleteMessages { messages: ids.clone(), pts, pts_count }.into()
            }
            Event::ReadInbox { peer: other, max_id } => tl::types::UpdateReadHistoryInbox {
                folder_id: None,
                peer: peer(*other),
                top_msg_id: None,
                max_id: *max_id,
                still_unread_count: self.mailbox(owner).map_or(0, |mailbox| mailbox.unread(*other)),
                pts,
                pts_count,
            }
            .into(),
            Event::ReadOutbox { peer: other, max_id } => {
                tl::types::UpdateReadHistoryOutbox { peer: peer(*other), max_id: *max_id, pts, pts_count }
                    .into()
            }
            Event::Pin { peer: other, id, pinned } => {
                let (pinned, messages) = (*pinned, vec![*id]);
                tl::types::UpdatePinnedMessages { pinned, peer: peer(*other), messages, pts, pts_count }
                    .into()
            }
            Event::ReadContents(ids) => {
                let (messages, date) = (ids.clone(), Some(unix_now()));
                tl::types::UpdateReadMessagesContents { messages, pts, pts_count, date }.into()
            }
            Event::Folder { peer: other, folder } => {
                let moved = tl::types::FolderPeer { peer: peer(*other), folder_id: *folder };
                tl::types::UpdateFolderPeers { folder_peers: vec![moved.into()], pts, pts_count }.into()
            }
        }
    }
}

fn told_of_channel(
    channel_id: i64,
    pts: i32,
    event: &Event,
    message: impl Fn(i32) -> tl::enums::Message,
) -> tl::enums::Update {
    let pts_count = event.count();
    match event {
        Event::New(id) => tl::types::UpdateNewChannelMessage { message: message(*id), pts, pts_count }.into(),
        Event::Edit(id) => {
            tl::types::UpdateEditChannelMessage { message: message(*id), pts, pts_count }.into()
        }
        Event::Delete(ids) => {
            let messages = ids.clone();
            tl::types::UpdateDeleteChannelMessages { channel_id, messages, pts, pts_count }.into()
        }
        Event::Pin { id, pinned, .. } => {
            let (pinned, messages) = (*pinned, vec![*id]);
            tl::types::UpdatePinnedChannelMessages { pinned, channel_id, messages, pts, pts_count }.into()
        }
        // A channel has no such events: who reads it is told without counting.
        Event::ReadInbox { .. }
        | Event::ReadOutbox { .. }
        | Event::ReadContents(_)
        | Event::Folder { .. } => tl::types::UpdateChannel { channel_id }.into(),
    }
}

/// Whose box holds a user's messages of a chat: a channel has its own.
pub(crate) fn box_of(user: i64, chat: i64) -> i64 {
    if is_channel(chat) { chat } else { user }
}

fn nothing() -> tl::enums::Update {
    tl::enums::Update::Config
}
