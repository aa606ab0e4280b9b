//! A user's box of messages and what happened in it, counted by `pts` (core.telegram.org/api/updates).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use grammers_tl_types as tl;

use crate::world::clock::unix_now;

/// Events kept for sessions that were away; who was away longer gets `differenceTooLong`.
const EVENTS_KEPT: usize = 10_000;
/// Messages kept, the deleted ones among them; the oldest go first.
const MESSAGES_KEPT: usize = 20_000;

/// What happened in a box, by the numbers of messages in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A message came or went out.
    New(i32),
    /// It changed.
    Edit(i32),
    /// They are gone.
    Delete(Vec<i32>),
    /// The owner read what this user wrote, up to a number.
    ReadInbox { peer: i64, max_id: i32 },
    /// This user read what the owner wrote, up to a number.
    ReadOutbox { peer: i64, max_id: i32 },
    /// A message of the chat with this user was pinned, or no longer is.
    Pin { peer: i64, id: i32, pinned: bool },
    /// They were listened to or looked at.
    ReadContents(Vec<i32>),
    /// The chat was put into a folder: 1 is the archive, 0 none.
    Folder { peer: i64, folder: i32 },
}

impl Event {
    /// `pts_count`: how far the event moves the counter.
    pub(crate) fn count(&self) -> i32 {
        match self {
            Self::Delete(ids) | Self::ReadContents(ids) => i32::try_from(ids.len()).unwrap_or(i32::MAX),
            Self::New(_)
            | Self::Edit(_)
            | Self::ReadInbox { .. }
            | Self::ReadOutbox { .. }
            | Self::Pin { .. }
            | Self::Folder { .. } => 1,
        }
    }
}

/// A message in a box.
#[derive(Debug, Clone)]
pub(crate) struct Filed {
    pub(crate) message: tl::enums::Message,
    /// The chat: the other user, the owner in the chat with oneself, or the group.
    pub(crate) peer: i64,
    /// Who sent it.
    pub(crate) author: i64,
    /// Whose boxes hold a copy, and its number in each; this one is among them.
    pub(crate) copies: Arc<[(i64, i32)]>,
    /// The key that handed it in, and the `random_id` by which it did.
    pub(crate) handed_in: Option<(i64, i64)>,
    /// The owner sees it no more. It is kept for tests to look at.
    pub(crate) deleted: bool,
}

impl Filed {
    /// The owner sent it.
    pub(crate) fn out(&self) -> bool {
        match &self.message {
            tl::enums::Message::Message(message) => message.out,
            tl::enums::Message::Service(message) => message.out,
            tl::enums::Message::Empty(_) => false,
        }
    }

    /// Unix time.
    pub(crate) fn date(&self) -> i32 {
        match &self.message {
            tl::enums::Message::Message(message) => message.date,
            tl::enums::Message::Service(message) => message.date,
            tl::enums::Message::Empty(_) => 0,
        }
    }
}

/// A user's box of messages: one number per message, one `pts` per event.
#[derive(Debug)]
pub(crate) struct Mailbox {
    pts: i32,
    /// When something happened last, Unix time.
    changed: i32,
    last_message: i32,
    messages: BTreeMap<i32, Filed>,
    /// With the counter after each.
    events: VecDeque<(i32, Event)>,
    /// Up to where the owner has read each chat, and each chat the owner.
    read_inbox: BTreeMap<i64, i32>,
    read_outbox: BTreeMap<i64, i32>,
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            pts: 1,
            changed: 0,
            last_message: 0,
            messages: BTreeMap::new(),
            events: VecDeque::new(),
            read_inbox: BTreeMap::new(),
            read_outbox: BTreeMap::new(),
        }
    }
}

impl Mailbox {
    pub(crate) fn pts(&self) -> i32 {
        self.pts
    }

    /// When something happened last, Unix time.
    pub(crate) fn changed(&self) -> i32 {
        self.changed
    }

    /// The number that the next message gets.
    pub(crate) fn next_message(&mut self) -> i32 {
        self.last_message += 1;
        self.last_message
    }

    /// Keeps a message under its number.
    pub(crate) fn keep(&mut self, id: i32, filed: Filed) {
        self.messages.insert(id, filed);
        if self.messages.len() > MESSAGES_KEPT {
            self.messages.pop_first();
        }
    }

    /// Counts an event and returns the counter after it.
    pub(crate) fn note(&mut self, event: Event) -> i32 {
        self.pts = self.pts.saturating_add(event.count());
        self.changed = unix_now();
        if self.events.len() == EVENTS_KEPT {
            self.events.pop_front();
        }
        self.events.push_back((self.pts, event));
        self.pts
    }

    /// The events after `pts`, if all of them are still kept.
    pub(crate) fn since(&self, pts: i32) -> Option<Vec<(i32, Event)>> {
        let first = self.events.partition_point(|(after, _)| *after <= pts);
        let begins = self.events.get(first).map_or(self.pts, |(after, event)| after - event.count());
        (begins <= pts).then(|| self.events.iter().skip(first).cloned().collect())
    }

    /// A message that the owner sees.
    pub(crate) fn seen(&self, id: i32) -> Option<&Filed> {
        self.messages.get(&id).filter(|filed| !filed.deleted)
    }

    pub(crate) fn seen_mut(&mut self, id: i32) -> Option<&mut Filed> {
        self.messages.get_mut(&id).filter(|filed| !filed.deleted)
    }

    /// All messages with their numbers, the deleted ones too, oldest first.
    pub(crate) fn all(&self) -> impl DoubleEndedIterator<Item = (i32, &Filed)> {
        self.messages.iter().map(|(id, filed)| (*id, filed))
    }

    /// All messages, the deleted ones too.
    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Filed> {
        self.messages.values_mut()
    }

    /// What the owner sees of one chat, newest first.
    pub(crate) fn chat(&self, peer: i64) -> impl Iterator<Item = (i32, &Filed)> {
        self.all().rev().filter(move |(_, filed)| filed.peer == peer && !filed.deleted)
    }

    /// The owner has written to this user.
    pub(crate) fn wrote_to(&self, peer: i64) -> bool {
        let text = |filed: &Filed| matches!(filed.message, tl::enums::Message::Message(_));
        self.messages.values().any(|filed| filed.peer == peer && filed.out() && text(filed))
    }

    /// Up to where the owner has read this user.
    pub(crate) fn read_inbox(&self, peer: i64) -> i32 {
        self.read_inbox.get(&peer).copied().unwrap_or(0)
    }

    /// Up to where this user has read the owner.
    pub(crate) fn read_outbox(&self, peer: i64) -> i32 {
        self.read_outbox.get(&peer).copied().unwrap_or(0)
    }

    /// Messages of this user that the owner has not read.
    pub(crate) fn unread(&self, peer: i64) -> i32 {
        let read = self.read_inbox(peer);
        let waiting = self.chat(peer).take_while(|(id, _)| *id > read).filter(|(_, filed)| !filed.out());
        i32::try_from(waiting.count()).unwrap_or(i32::MAX)
    }

    /// Moves a mark of reading forward; false if it was there already.
    pub(crate) fn read(&mut self, event: &Event) -> bool {
        let (marks, peer, max_id) = match event {
            Event::ReadInbox { peer, max_id } => (&mut self.read_inbox, peer, max_id),
            Event::ReadOutbox { peer, max_id } => (&mut self.read_outbox, peer, max_id),
            Event::New(_)
            | Event::Edit(_)
            | Event::Delete(_)
            | Event::Pin { .. }
            | Event::ReadContents(_)
            | Event::Folder { .. } => return false,
        };
        let mark = marks.entry(*peer).or_insert(0);
        let forward = *max_id > *mark;
        *mark = (*mark).max(*max_id);
        forward
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_again_by_their_counter() {
        let mut mailbox = Mailbox::default();
        let first = mailbox.pts();
        mailbox.note(Event::New(1));
        mailbox.note(Event::New(2));
        mailbox.note(Event::Delete(vec![1, 2]));
        assert_eq!(mailbox.pts(), first + 4);
        let missed = mailbox.since(first + 1).unwrap();
        assert_eq!(missed, [(first + 2, Event::New(2)), (first + 4, Event::Delete(vec![1, 2]))]);
        assert_eq!(mailbox.since(mailbox.pts()), Some(Vec::new()));
        assert_eq!(mailbox.since(first - 1), None);
        assert_eq!(mailbox.since(first + 3).unwrap().len(), 1, "half an event is told whole");
    }

    #[test]
    fn a_box_keeps_a_bounded_number_of_events() {
        let mut mailbox = Mailbox::default();
        for id in 0..i32::try_from(EVENTS_KEPT).unwrap() + 5 {
            mailbox.note(Event::New(id));
        }
        assert_eq!(mailbox.events.len(), EVENTS_KEPT);
        assert_eq!(mailbox.since(2), None);
    }

    #[test]
    fn a_mark_of_reading_only_moves_forward() {
        let mut mailbox = Mailbox::default();
        assert!(mailbox.read(&Event::ReadInbox { peer: 7, max_id: 5 }));
        assert!(!mailbox.read(&Event::ReadInbox { peer: 7, max_id: 5 }));
        assert!(!mailbox.read(&Event::ReadInbox { peer: 7, max_id: 3 }));
        assert_eq!((mailbox.read_inbox(7), mailbox.read_outbox(7)), (5, 0));
    }
}
