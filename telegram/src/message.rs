//! Messages of the account's chats, told so that none is lost: each is kept by Telegram until the program has
//! taken it in (core.telegram.org/api/updates).
//!
//! The update state is saved only when everything told was taken in. A program that is killed before is told again,
//! so that it may hear of a message twice, and knows by the message's id.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grammers_tl_types as tl;

/// News of messages, with those who have to do with it.
#[derive(Debug)]
pub struct MessageNotice {
    /// What happened.
    pub news: MessageNews,
    /// Who came along with it.
    pub users: Arc<[tl::enums::User]>,
    /// Which groups and channels did.
    pub chats: Arc<[tl::enums::Chat]>,
    receipt: Receipt,
}

/// What happened to messages.
#[derive(Debug, Clone, PartialEq)]
pub enum MessageNews {
    /// A message came, or the account wrote one.
    New(tl::enums::Message),
    /// A message is another one now.
    Edited(tl::enums::Message),
    /// Messages are gone: their ids, which the account's private chats and groups share.
    Deleted(Vec<i32>),
    /// Messages of a channel are gone.
    DeletedOf {
        /// The channel, or supergroup.
        channel: i64,
        /// Their ids, which are the channel's own.
        ids: Vec<i32>,
    },
    /// The account's messages of a chat were read, up to one.
    Read {
        /// The chat.
        peer: tl::enums::Peer,
        /// The last that was read.
        up_to: i32,
    },
    /// What people feel about a message changed.
    Reactions {
        /// The message's chat.
        peer: tl::enums::Peer,
        /// The message.
        id: i32,
        /// All of it.
        reactions: tl::types::MessageReactions,
    },
}

/// Counts what was told and what was taken in.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    told: u64,
    taken: Arc<AtomicU64>,
}

/// Stands for something that was told, until it is taken in. One that is lost is never taken in.
#[derive(Debug)]
pub(crate) struct Receipt(Arc<AtomicU64>);

impl Receipt {
    /// It was taken in, or there was nothing in it.
    pub(crate) fn taken(self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// Tells what it stands for.
    pub(crate) fn tell(
        self,
        news: MessageNews,
        users: Arc<[tl::enums::User]>,
        chats: Arc<[tl::enums::Chat]>,
    ) -> MessageNotice {
        MessageNotice { news, users, chats, receipt: self }
    }
}

impl MessageNotice {
    /// The program will not forget this any more, even if it is killed now.
    pub fn taken(self) {
        self.receipt.taken();
    }
}

impl MessageNews {
    /// What an update says of messages, if it does.
    pub(crate) fn of(update: tl::enums::Update) -> Option<Self> {
        match update {
            tl::enums::Update::NewMessage(update) => Some(Self::New(update.message)),
            tl::enums::Update::EditMessage(update) => Some(Self::Edited(update.message)),
            tl::enums::Update::DeleteMessages(update) => Some(Self::Deleted(update.messages)),
            tl::enums::Update::NewChannelMessage(update) => Some(Self::New(update.message)),
            tl::enums::Update::EditChannelMessage(update) => Some(Self::Edited(update.message)),
            tl::enums::Update::DeleteChannelMessages(update) => {
                Some(Self::DeletedOf { channel: update.channel_id, ids: update.messages })
            }
            tl::enums::Update::ReadHistoryOutbox(update) => {
                Some(Self::Read { peer: update.peer, up_to: update.max_id })
            }
            tl::enums::Update::ReadChannelOutbox(update) => {
                let peer = tl::types::PeerChannel { channel_id: update.channel_id }.into();
                Some(Self::Read { peer, up_to: update.max_id })
            }
            tl::enums::Update::MessageReactions(update) => {
                let tl::enums::MessageReactions::Reactions(reactions) = update.reactions;
                Some(Self::Reactions { peer: update.peer, id: update.msg_id, reactions })
            }
            _ => None,
        }
    }
}

impl Ledger {
    /// Something is in hand from now on, which is to be told. Nothing is settled meanwhile, also if it is never told.
    pub(crate) fn take_up(&mut self) -> Receipt {
        self.told += 1;
        Receipt(Arc::clone(&self.taken))
    }

    /// Whether everything told was taken in.
    pub(crate) fn is_settled(&self) -> bool {
        self.taken.load(Ordering::Acquire) == self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_settled_once_all_of_it_was_taken_in() {
        let mut ledger = Ledger::default();
        assert!(ledger.is_settled());
        let first = deleted(&mut ledger, 1);
        let second = deleted(&mut ledger, 2);
        second.taken();
        assert!(!ledger.is_settled());
        first.taken();
        assert!(ledger.is_settled());
    }

    #[test]
    fn what_a_program_loses_is_never_settled() {
        let mut ledger = Ledger::default();
        drop(deleted(&mut ledger, 1));
        deleted(&mut ledger, 2).taken();
        assert!(!ledger.is_settled());
    }

    #[test]
    fn what_is_lost_on_its_way_to_the_program_is_never_settled() {
        let mut ledger = Ledger::default();
        let in_hand = ledger.take_up();
        assert!(!ledger.is_settled());
        drop(in_hand);
        assert!(!ledger.is_settled());
        let mut ledger = Ledger::default();
        ledger.take_up().taken();
        assert!(ledger.is_settled(), "there was nothing in it");
    }

    fn deleted(ledger: &mut Ledger, id: i32) -> MessageNotice {
        ledger.take_up().tell(MessageNews::Deleted(vec![id]), Arc::default(), Arc::default())
    }
}
