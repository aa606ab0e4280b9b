//! A message between two users: what is asked for, and how each copy of it looks.

use grammers_tl_types as tl;
use tl::{Deserializable, Serializable};

use super::clock::unix_now;
use super::contacts::peer;

/// A message about to be sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) entities: Vec<tl::enums::MessageEntity>,
    pub(crate) media: Option<tl::enums::MessageMedia>,
    pub(crate) reply_markup: Option<tl::enums::ReplyMarkup>,
    /// A message of the sender's box.
    pub(crate) reply_to: Option<i32>,
    pub(crate) via_bot_id: Option<i64>,
    pub(crate) forwarded: Option<tl::enums::MessageFwdHeader>,
    pub(crate) silent: bool,
}

/// Where a copy of a message lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Whose box.
    pub(crate) owner: i64,
    /// The other user of the chat.
    pub(crate) chat: i64,
    /// Its number in the box.
    pub(crate) id: i32,
    /// The owner sent it.
    pub(crate) out: bool,
}

impl Place {
    /// In a chat of two only what goes out names its sender (layer 119 and later).
    pub(crate) fn sender(&self) -> Option<tl::enums::Peer> {
        self.out.then(|| peer(self.owner))
    }
}

impl Draft {
    /// Text alone.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// The copy in one box; `reply_to` is the number there of the message that it answers.
    pub(crate) fn copy(&self, place: Place, reply_to: Option<i32>) -> tl::types::Message {
        let mut message = blank_message(place.id, place.chat, &self.text);
        message.out = place.out;
        message.from_id = place.sender();
        message.silent = self.silent;
        message.entities = Some(self.entities.clone()).filter(|entities| !entities.is_empty());
        message.media.clone_from(&self.media);
        message.reply_markup.clone_from(&self.reply_markup);
        message.via_bot_id = self.via_bot_id;
        message.fwd_from.clone_from(&self.forwarded);
        message.reply_to = reply_to.map(reply_header);
        message
    }
}

/// Whom a message names.
pub(crate) fn people(message: &tl::enums::Message) -> Vec<i64> {
    match message {
        tl::enums::Message::Service(message) => [Some(&message.peer_id), message.from_id.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(user)
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
            peers.into_iter().flatten().filter_map(user).chain(message.via_bot_id).chain(contact).collect()
        }
        tl::enums::Message::Empty(_) => Vec::new(),
    }
}

fn user(peer: &tl::enums::Peer) -> Option<i64> {
    match peer {
        tl::enums::Peer::User(user) => Some(user.user_id),
        tl::enums::Peer::Chat(_) | tl::enums::Peer::Channel(_) => None,
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
        let sent = draft.copy(Place { owner: 1, chat: 2, id: 10, out: true }, Some(4));
        let got = draft.copy(Place { owner: 2, chat: 1, id: 20, out: false }, None);
        assert_eq!((sent.id, &sent.peer_id, &sent.from_id), (10, &peer(2), &Some(peer(1))));
        assert_eq!((got.id, &got.peer_id, &got.from_id), (20, &peer(1), &None));
        assert_eq!((sent.message.as_str(), sent.silent, got.silent), ("hello", true, true));
        let Some(tl::enums::MessageReplyHeader::Header(header)) = sent.reply_to else { panic!("no header") };
        assert_eq!(header.reply_to_msg_id, Some(4));
        assert_eq!(got.reply_to, None);
        assert_eq!(people(&tl::enums::Message::Message(got)), [1, 9]);
    }
}
