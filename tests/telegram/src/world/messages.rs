//! Messages in the boxes of both users of a chat: sent, changed, deleted, read, and told to their devices.

use std::collections::BTreeMap;

use grammers_tl_types as tl;

use super::clock::unix_now;
use super::contacts::peer;
use super::error::RpcError;
use super::mailbox::{Event, Filed};
use super::message::{Draft, Place, people};
use super::outbox::Parcel;
use super::settings::Wrap;
use super::state::State;

/// A message that was filed in both boxes.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    /// In the sender's box.
    pub(crate) id: i32,
    /// Whose box holds the other copy, and its number there; none in the chat with oneself.
    pub(crate) twin: Option<(i64, i32)>,
    /// What the sender's devices are told, for the one that is answered itself.
    pub(crate) update: tl::enums::Update,
    /// The same of the receiver's.
    pub(crate) twin_update: Option<tl::enums::Update>,
}

impl State {
    /// Sends a message. The devices of both users are told, but the key `by`, which is answered itself.
    pub(crate) fn post(&mut self, from: i64, to: i64, draft: Draft, by: Option<i64>) -> Posted {
        let reply_there = draft.reply_to.and_then(|id| self.twin(from, id)).filter(|(owner, _)| *owner == to);
        let make = |place: Place| {
            let reply_to = if place.owner == from { draft.reply_to } else { reply_there.map(|(_, id)| id) };
            draft.copy(place, reply_to).into()
        };
        self.file_both(from, to, by, make)
    }

    /// Files a message that `make` writes for each box, the sender's first.
    pub(crate) fn file_both(
        &mut self,
        from: i64,
        to: i64,
        by: Option<i64>,
        make: impl Fn(Place) -> tl::enums::Message,
    ) -> Posted {
        let number = |state: &mut Self, owner| {
            state.users.user_mut(owner).map_or(0, |user| user.mailbox.next_message())
        };
        let id = number(self, from);
        let twin = (from != to).then(|| (to, number(self, to)));
        let sent = Place { owner: from, chat: to, id, out: from != to };
        let update = self.file(sent, make(sent), twin, by);
        let twin_update = twin.map(|(owner, there)| {
            let got = Place { owner, chat: from, id: there, out: false };
            self.file(got, make(got), Some((from, id)), by)
        });
        if let Some((owner, id)) = twin.filter(|(owner, _)| self.is_bot(*owner)) {
            self.bot_gets_message(owner, id);
        }
        Posted { id, twin, update, twin_update }
    }

    fn file(
        &mut self,
        place: Place,
        message: tl::enums::Message,
        twin: Option<(i64, i32)>,
        by: Option<i64>,
    ) -> tl::enums::Update {
        let named = people(&message);
        if let Some(user) = self.users.user_mut(place.owner) {
            user.mailbox.keep(place.id, Filed { message, peer: place.chat, twin, deleted: false });
        }
        self.happen(place.owner, Event::New(place.id), &named, by)
    }

    /// Changes a message in both boxes. The devices of both users are told, but the key `by`.
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
        let twin = self.twin(owner, id);
        let update = self.edit_copy(owner, id, by, &change);
        if let Some((other, there)) = twin
            && self.message(other, there).is_some()
        {
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
        let filed = self.users.user_mut(owner).and_then(|user| user.mailbox.seen_mut(id));
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

    /// Deletes messages that the owner sees, with `revoke` in both boxes, and returns the owner's counter and how
    /// far it moved. The devices of both users are told, but the key `by`.
    pub(crate) fn delete(&mut self, owner: i64, ids: &[i32], revoke: bool, by: Option<i64>) -> (i32, i32) {
        let mut gone: BTreeMap<i64, Vec<i32>> = BTreeMap::new();
        for id in ids {
            let twin = self.twin(owner, *id).filter(|_| revoke);
            for (owner, id) in [(owner, *id)].into_iter().chain(twin) {
                let filed = self.users.user_mut(owner).and_then(|user| user.mailbox.seen_mut(id));
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

    /// The reader has read a chat up to a message; both users' devices are told, but the key `by`. Returns the
    /// reader's counter and how far it moved.
    pub(crate) fn read_history(
        &mut self,
        reader: i64,
        other: i64,
        max_id: i32,
        by: Option<i64>,
    ) -> (i32, i32) {
        let Some(user) = self.users.user_mut(reader) else { return (0, 0) };
        let last = user.mailbox.chat(other).find(|(id, filed)| *id <= max_id && !filed.out());
        let Some((max_id, twin)) = last.map(|(id, filed)| (id, filed.twin)) else {
            return (user.mailbox.pts(), 0);
        };
        let inbox = Event::ReadInbox { peer: other, max_id };
        if !user.mailbox.read(&inbox) {
            return (user.mailbox.pts(), 0);
        }
        self.happen(reader, inbox, &[other], by);
        if let Some((writer, there)) = twin {
            let outbox = Event::ReadOutbox { peer: reader, max_id: there };
            if self.users.user_mut(writer).is_some_and(|writer| writer.mailbox.read(&outbox)) {
                self.happen(writer, outbox, &[reader], by);
            }
        }
        (self.pts(reader), 1)
    }

    /// A text or media message that the owner sees.
    pub(crate) fn message(&self, owner: i64, id: i32) -> Option<&tl::types::Message> {
        match &self.filed(owner, id)?.message {
            tl::enums::Message::Message(message) => Some(message),
            tl::enums::Message::Service(_) | tl::enums::Message::Empty(_) => None,
        }
    }

    /// The other copy of a message, whether its owner still sees it or not.
    pub(crate) fn twin(&self, owner: i64, id: i32) -> Option<(i64, i32)> {
        self.filed(owner, id)?.twin
    }

    pub(crate) fn filed(&self, owner: i64, id: i32) -> Option<&Filed> {
        self.users.user(owner)?.mailbox.seen(id)
    }

    pub(crate) fn pts(&self, user: i64) -> i32 {
        self.users.user(user).map_or(0, |user| user.mailbox.pts())
    }

    /// Counts an event in a user's box and tells the user's devices, but `by`. Returns what they are told.
    pub(super) fn happen(
        &mut self,
        owner: i64,
        event: Event,
        named: &[i64],
        by: Option<i64>,
    ) -> tl::enums::Update {
        let pts = self.users.user_mut(owner).map_or(0, |user| user.mailbox.note(event.clone()));
        let update = self.told(owner, pts, &event);
        for key in self.keys.main_of(owner) {
            if Some(key) != by {
                self.push(Parcel { key, update: update.clone(), users: named.to_vec(), wrap: Wrap::Updates });
            }
        }
        update
    }

    /// The update that tells an event. A message that is gone since is told as empty.
    pub(crate) fn told(&self, owner: i64, pts: i32, event: &Event) -> tl::enums::Update {
        let message = |id: i32| match self.filed(owner, id) {
            Some(filed) => filed.message.clone(),
            None => tl::types::MessageEmpty { id, peer_id: None }.into(),
        };
        let pts_count = event.count();
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
                still_unread_count: self.users.user(owner).map_or(0, |user| user.mailbox.unread(*other)),
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
        }
    }
}
