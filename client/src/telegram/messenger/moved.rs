//! Basic groups that became supergroups (core.telegram.org/api/channel#migration): Telegram takes nothing more for the old
//! number, which programs go on naming.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tgtrunk_messages::{Address, ChatId, Content, Failure, Order};
use tgtrunk_telegram::tl;

use super::peer::{Peer, id_of};
use super::{Correspondent, failure};

/// The supergroups that basic groups became, by these, as far as that has come along since the start.
#[derive(Debug, Default)]
pub(super) struct Moves(RwLock<HashMap<i64, tl::types::InputChannel>>);

impl Moves {
    /// Takes in which groups came along.
    pub(super) fn note(&self, chats: &[tl::enums::Chat]) {
        let moved = chats.iter().filter_map(|chat| match chat {
            tl::enums::Chat::Chat(tl::types::Chat {
                id,
                migrated_to: Some(tl::enums::InputChannel::Channel(channel)),
                ..
            }) => Some((*id, channel.clone())),
            _ => None,
        });
        let moved: Vec<_> = moved.collect();
        if !moved.is_empty() {
            self.0.write().unwrap_or_else(PoisonError::into_inner).extend(moved);
        }
    }

    fn of(&self, group: i64) -> Option<tl::types::InputChannel> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&group).cloned()
    }
}

impl Correspondent {
    /// Where somebody is reached now.
    pub(super) fn moved(&self, peer: Peer) -> Peer {
        let Peer::Group(group) = peer else { return peer };
        match self.moves.of(group) {
            // What came along with the supergroup itself is newer.
            Some(channel) => Peer::Channel(self.account.channel(channel.channel_id).unwrap_or(channel)),
            None => peer,
        }
    }

    /// Where a basic group is now of which Telegram took nothing; none if it is where it was.
    pub(super) async fn moved_since<T>(&self, told: &Result<T, Failure>, peer: &Peer) -> Option<Peer> {
        let (Err(Failure::Refused { word, .. }), Peer::Group(group)) = (told, peer) else { return None };
        if !["dialog_not_found", "privacy_restricted", "bad_request"].contains(word) {
            return None;
        }
        let found = self.ask(&tl::functions::messages::GetChats { id: vec![*group] }).await.ok()?;
        let (tl::enums::messages::Chats::Chats(tl::types::messages::Chats { chats })
        | tl::enums::messages::Chats::Slice(tl::types::messages::ChatsSlice { chats, .. })) = found;
        self.meet(&[], &chats).await;
        Some(self.moved(peer.clone())).filter(|now| now != peer)
    }
}

/// Why nothing is done in a supergroup that a basic group became and that the account cannot reach.
pub(super) fn unreached<T>(told: Result<T, Failure>, of: ChatId, peer: &Peer) -> Result<T, Failure> {
    match told {
        Err(Failure::Refused { word: word @ "dialog_not_found", .. }) if peer.id() != of => {
            let sentence = format!("the group is a supergroup now: its dialog is {}", peer.id());
            Err(failure::refused(word, sentence))
        }
        told => told,
    }
}

/// The message that an order answers. Those of a basic group have no numbers in the supergroup that it became.
pub(super) fn answered(order: &Order, peer: &Peer) -> Option<i32> {
    let is_moved =
        matches!((&order.to, peer), (Address::Chat(chat), Peer::Channel(_)) if chat.group().is_some());
    order.reply_to.filter(|_| !is_moved)
}

/// What programs are told of a line of Telegram's own that names the supergroup which a basic group became.
pub(super) fn told_of(line: &tl::types::MessageService) -> Option<Content> {
    let tl::enums::MessageAction::ChatMigrateTo(moved) = &line.action else { return None };
    let what = format!(
        "the group is a supergroup now: instead of {} its number is {}",
        id_of(&line.peer_id),
        ChatId::of_channel(moved.channel_id)
    );
    Some(Content::Other { what })
}
