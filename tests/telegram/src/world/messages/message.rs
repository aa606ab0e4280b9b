//! A message: what is asked for, and how each copy of it looks.

use grammers_tl_types as tl;
use tl::{Deserializable, Serializable};

use crate::world::clock::unix_now;
use crate::world::peers::{dialog, peer};

/// A message about to be sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) entities: Vec<tl::enums::MessageEntity>,
    pub(crate) media: Option<tl::enums::MessageMedia>,
    pub(crate) reply_markup: Option<tl::enums::ReplyMarkup>,
    /// A message of the sender's box, or of the channel's.
    pub(crate) reply_to: Option<i32>,
    pub(crate) via_bot_id: Option<i64>,
    pub(crate) forwarded: Option<tl::enums::MessageFwdHeader>,
    pub(crate) silent: bool,
    /// The album to which it belongs.
    pub(crate) grouped_id: Option<i64>,
    /// It waited for its time.
    pub(crate) from_scheduled: bool,
}

/// Where a copy of a message lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Whose box; a channel's is its own.
    pub(crate) owner: i64,
    /// The chat as the owner sees it.
    pub(crate) chat: i64,
    /// Its number in the box.
    pub(crate) id: i32,
    /// The owner sent it.
    pub(crate) out: bool,
    /// Whom it names as its sender.
    pub(crate) from: Option<i64>,
    /// A channel's post.
    pub(crate) post: bool,
}

impl Draft {
    /// Text alone.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// A voice or a face in a circle, of which its sender is told that it was heard.
    fn is_to_be_heard(&self) -> bool {
        matches!(&self.media, Some(tl::enums::MessageMedia::Document(media)) if media.voice || media.round)
    }

    /// The copy in one box; `reply_to` is the number there of the message that it answers.
    pub(crate) fn copy(&self, place: Place, reply_to: Option<i32>) -> tl::types::Message {
        let mut message = blank_message(place.id, place.chat, &self.text);
        message.out = place.out;
        message.from_id = place.from.map(peer);
        message.post = place.post;
        if place.post {
            (message.views, message.forwards) = (Some(1), Some(0));
        }
        message.silent = self.silent;
        message.from_scheduled = self.from_scheduled;
        message.grouped_id = self.grouped_id;
        message.entities = Some(self.entities.clone()).filter(|entities| !entities.is_empty());
        message.media.clone_from(&self.media);
        message.media_unread = self.is_to_be_heard() && !place.post && place.chat != place.owner;
        message.reply_markup.clone_from(&self.reply_markup);
        message.via_bot_id = self.via_bot_id;
        message.fwd_from.clone_from(&self.forwarded);
        message.reply_to = reply_to.map(reply_header);
        message
    }
}

/// Whom and which chats a message names.
pub(crate) fn people(message: &tl::enums::Message) -> Vec<i64> {
    match message {
        tl::enums::Message::Service(message) => [Some(&message.peer_id), message.from_id.as_ref()]
            .into_iter()
            .flatten()
            .map(dialog)
            .chain(named_by(&message.action))
            .collect(),
        tl::enums::Message::Message(message) => {
            let forwarded = message.fwd_from.as_ref().and_then(|from| {
                let tl::enums::MessageFwdHeader::Header(from) = from;
                from.from_id.as_ref()
            });
            let peers = [Some(&message.peer_id), message.from_id.as_ref(), forwarded];
            let contact = match &message.media {
                Some(tl::enums::MessageMedia::Contact(card)) => Some(card.user_id).filter(|id| *id != 0),
                _ => None,
            };
            peers.into_iter().flatten().map(dialog).chain(message.via_bot_id).chain(contact).collect()
        }
        tl::enums::Message::Empty(_) => Vec::new(),
    }
}

fn named_by(action: &tl::enums::MessageAction) -> Vec<i64> {
    use crate::world::peers::{basic_group, channel_of};
    match action {
        tl::enums::MessageAction::ChatCreate(made) => made.users.clone(),
        tl::enums::MessageAction::ChatAddUser(added) => added.users.clone(),
        tl::enums::MessageAction::ChatDeleteUser(gone) => vec![gone.user_id],
        tl::enums::MessageAction::ChatJoinedByLink(joined) => vec![joined.inviter_id],
        tl::enums::MessageAction::ChatMigrateTo(to) => vec![channel_of(to.channel_id)],
        tl::enums::MessageAction::ChannelMigrateFrom(from) => vec![basic_group(from.chat_id)],
        _ => Vec::new(),
    }
}

/// A `message` with every flag off.
fn blank_message(id: i32, chat: i64, text: &str) -> tl::types::Message {
    let mut bytes = vec![0; 8];
    id.serialize(&mut bytes);
    peer(chat).serialize(&mut bytes);
    unix_now().serialize(&mut bytes);
    text.to_owned().serialize(&mut bytes);
    tl::types::Message::from_bytes(&bytes).expect("flags, flags, id, peer, date and text are a whole message")
}

/// A `messageReplyHeader` that names a message of the same chat.
pub(super) fn reply_header(id: i32) -> tl::enums::MessageReplyHeader {
    let mut bytes = vec![0; 4];
    bytes[0] = 1 << 4;
    id.serialize(&mut bytes);
    tl::types::MessageReplyHeader::from_bytes(&bytes).expect("flags and an id are a whole header").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_copies_differ_in_what_each_side_may_know() {
        let draft = Draft { silent: true, via_bot_id: Some(9), ..Draft::text("hello") };
        let place = Place { owner: 1, chat: 2, id: 10, out: true, from: Some(1), post: false };
        let sent = draft.copy(place, Some(4));
        let got = draft.copy(Place { owner: 2, chat: 1, id: 20, out: false, from: None, post: false }, None);
        assert_eq!((sent.id, &sent.peer_id, &sent.from_id), (10, &peer(2), &Some(peer(1))));
        assert_eq!((got.id, &got.peer_id, &got.from_id), (20, &peer(1), &None));
        assert_eq!((sent.message.as_str(), sent.silent, got.silent), ("hello", true, true));
        let Some(tl::enums::MessageReplyHeader::Header(header)) = sent.reply_to else { panic!("no header") };
        assert_eq!(header.reply_to_msg_id, Some(4));
        assert_eq!(got.reply_to, None);
        assert_eq!(people(&tl::enums::Message::Message(got)), [1, 9]);
    }

    #[test]
    fn a_post_of_a_channel_names_nobody_but_the_channel() {
        let channel = -1_000_000_000_007;
        let place = Place { owner: channel, chat: channel, id: 1, out: false, from: None, post: true };
        let post = Draft::text("news").copy(place, None);
        assert_eq!((post.post, post.views, &post.from_id), (true, Some(1), &None));
        assert_eq!(people(&tl::enums::Message::Message(post)), [channel]);
    }
}
