//! A message of Telegram as programs are told of it.

use tgtrunk_messages::{ChatId, Content, Quoted, Received};
use tgtrunk_telegram::tl;

use super::peer::id_of;
use super::{Correspondent, content, moved};

impl Correspondent {
    /// A message; none for one that is not there, and for what Telegram itself notes in a chat, unless it names another chat
    /// that takes its place.
    pub(super) fn received(&self, message: &tl::enums::Message) -> Option<Received> {
        let message = match message {
            tl::enums::Message::Message(message) => message,
            tl::enums::Message::Service(line) => return self.received_line(line),
            tl::enums::Message::Empty(_) => return None,
        };
        let chat = id_of(&message.peer_id);
        let sender = if message.out {
            None
        } else {
            let writer = message.from_id.as_ref().map_or(chat, id_of);
            Some(self.person_card(writer))
        };
        Some(Received {
            chat: self.chat_card(chat),
            tg_id: message.id,
            sender,
            is_ours: message.out,
            date_s: message.date.into(),
            edited_s: message.edit_date.filter(|_| !message.edit_hide).map(i64::from),
            content: content::of(message, chat),
            quoted: message.reply_to.as_ref().and_then(|header| quoted(header, chat)),
            is_forwarded: matches!(
                &message.fwd_from,
                Some(tl::enums::MessageFwdHeader::Header(header)) if !header.imported
            ),
            is_silent: message.silent,
            album: message.grouped_id,
        })
    }

    fn received_line(&self, line: &tl::types::MessageService) -> Option<Received> {
        let chat = id_of(&line.peer_id);
        let writer = line.from_id.as_ref().map_or(chat, id_of);
        Some(Received {
            content: moved::told_of(line)?,
            chat: self.chat_card(chat),
            tg_id: line.id,
            sender: (!line.out).then(|| self.person_card(writer)),
            is_ours: line.out,
            date_s: line.date.into(),
            edited_s: None,
            quoted: None,
            is_forwarded: false,
            is_silent: line.silent,
            album: None,
        })
    }
}

/// What a message answers, if that is in the same chat.
fn quoted(header: &tl::enums::MessageReplyHeader, chat: ChatId) -> Option<Quoted> {
    let tl::enums::MessageReplyHeader::Header(header) = header else { return None };
    if header.reply_to_peer_id.as_ref().is_some_and(|elsewhere| id_of(elsewhere) != chat) {
        return None;
    }
    // A message of a topic "answers" the topic's first one.
    if header.forum_topic && header.reply_to_top_id.is_none() {
        return None;
    }
    Some(Quoted {
        tg_id: header.reply_to_msg_id?,
        message: None,
        participant: None,
        content: header.quote_text.clone().map(|text| Box::new(Content::plain(text))),
    })
}
