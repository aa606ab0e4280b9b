//! Handing messages over.

use std::path::Path;

use tgtrunk_messages::{Attachment, Content, Entity, Failure, FileKind, Order, Sent};
use tgtrunk_telegram::{Person as Whom, tl};

use super::peer::Peer;
use super::{Correspondent, content, failure, film, moved};
use crate::clock;
use crate::telegram::request;
use crate::telegram::upload::{LARGEST_BYTES, SMALL_BYTES};
use crate::telegram::vcard;

impl Correspondent {
    pub(super) async fn hand_over(&self, order: &Order) -> Result<Sent, Failure> {
        let named = self.peer(&order.to).await?;
        let mut peer = self.moved(named.clone());
        let mut told = self.hand_over_to(order, &peer).await;
        if let Some(anew) = self.met_anew(&told, &peer).await {
            peer = anew;
            told = self.hand_over_to(order, &peer).await;
        }
        let answer = moved::unreached(told, named.id(), &peer)?;
        self.meet_all(&answer).await;
        self.sent(&answer, order.random_id, &peer)
    }

    /// Somebody looked up again, where Telegram did not know them: what is remembered of them may be too old. A basic group
    /// may be a supergroup now.
    pub(super) async fn met_anew<T>(&self, told: &Result<T, Failure>, peer: &Peer) -> Option<Peer> {
        if let Peer::Group(_) = peer {
            return self.moved_since(told, peer).await;
        }
        let (Err(Failure::Refused { word: "dialog_not_found", .. }), Peer::User(user)) = (told, peer) else {
            return None;
        };
        self.account.resolve_anew(Whom::Id(user.id)).await.ok().map(Peer::User)
    }

    async fn hand_over_to(&self, order: &Order, peer: &Peer) -> Result<tl::enums::Updates, Failure> {
        let (to, random_id) = (peer.input(), order.random_id);
        if let Some((from, id)) = order.forward {
            let from = self.chat_peer(from).await?;
            let request = tl::functions::messages::ForwardMessages {
                silent: order.is_silent,
                drop_author: order.hides_author,
                ..request::forward(from.input(), id, random_id, to)
            };
            return self.have(&request).await;
        }
        let reply_to = moved::answered(order, peer).map(answering);
        let media = match &order.content {
            Content::Text { text, has_preview, entities } => {
                let request = tl::functions::messages::SendMessage {
                    no_webpage: !has_preview,
                    silent: order.is_silent,
                    reply_to,
                    entities: self.entities(entities).await?,
                    ..request::send_text(to, random_id, text)
                };
                return self.have(&request).await;
            }
            Content::File { file, caption, entities, .. } => {
                return self.hand_over_file(order, peer, file, caption, entities).await;
            }
            Content::Location(place) => content::place_to_send(place),
            Content::Contact(card) => tl::types::InputMediaContact {
                phone_number: card.phone.clone(),
                first_name: card.first_name.clone(),
                last_name: card.last_name.clone(),
                vcard: if card.vcard.is_empty() {
                    vcard(&card.phone, &card.first_name, &card.last_name, &card.company)
                } else {
                    card.vcard.clone()
                },
            }
            .into(),
            Content::Poll(poll) => content::poll_to_send(poll),
            Content::Other { what } => {
                return Err(failure::refused("bad_request", format!("{what} cannot be sent")));
            }
        };
        let request = tl::functions::messages::SendMedia {
            silent: order.is_silent,
            reply_to,
            ..request::send_media(to, random_id, media)
        };
        self.have(&request).await
    }

    /// A picture that Telegram does not take as one goes as a file.
    async fn hand_over_file(
        &self,
        order: &Order,
        peer: &Peer,
        file: &Attachment,
        caption: &str,
        entities: &[Entity],
    ) -> Result<tl::enums::Updates, Failure> {
        let path = order.paths.first().ok_or_else(|| lost(file))?;
        let size = weighed(file, path).await?;
        let entities = self.entities(entities).await?;
        let mut as_picture = is_picture(file) && size <= SMALL_BYTES;
        loop {
            let handed = self.give(path, &file.name).await?;
            let media = content::file_to_send(file, handed, as_picture);
            let media = film::measured(media, path).await;
            let request = tl::functions::messages::SendMedia {
                silent: order.is_silent,
                reply_to: moved::answered(order, peer).map(answering),
                message: caption.to_owned(),
                entities: entities.clone(),
                ..request::send_media(peer.input(), order.random_id, media)
            };
            match self.have(&request).await {
                Err(Failure::Refused { word: "attachment_failed", .. }) if as_picture => as_picture = false,
                told => return told,
            }
        }
    }

    /// The message that came of it, as the answer tells.
    pub(super) fn sent(
        &self,
        answer: &tl::enums::Updates,
        random_id: i64,
        peer: &Peer,
    ) -> Result<Sent, Failure> {
        let chat = self.chat_card(peer.id());
        let unsure = || Failure::Unknown("Telegram did not say which message it became".to_owned());
        let tg_id = request::message_id(answer, random_id).ok_or_else(unsure)?;
        if let tl::enums::Updates::UpdateShortSentMessage(sent) = answer {
            return Ok(Sent { chat, tg_id, date_s: sent.date.into() });
        }
        let message = request::updates(answer).iter().find_map(|update| {
            let message = match update {
                tl::enums::Update::NewMessage(update) => &update.message,
                tl::enums::Update::NewChannelMessage(update) => &update.message,
                _ => return None,
            };
            match message {
                tl::enums::Message::Message(message) if message.id == tg_id => Some(message),
                _ => None,
            }
        });
        let date_s = message.map_or_else(clock::unix_s, |message| message.date.into());
        Ok(Sent { chat, tg_id, date_s })
    }
}

fn lost(file: &Attachment) -> Failure {
    failure::refused("attachment_failed", format!("the file {:?} is not there", file.name))
}

/// A file's length in bytes, if it is one that Telegram can take.
pub(super) async fn weighed(file: &Attachment, path: &Path) -> Result<u64, Failure> {
    let size = tokio::fs::metadata(path).await.map_err(|_| lost(file))?.len();
    match size {
        0 => Err(failure::refused("attachment_failed", format!("the file {:?} is empty", file.name))),
        _ if size > LARGEST_BYTES => {
            let sentence = format!(
                "the file {:?} has {size} bytes: Telegram takes files up to {LARGEST_BYTES} bytes",
                file.name
            );
            Err(failure::refused("attachment_too_large", sentence))
        }
        _ => Ok(size),
    }
}

pub(super) fn is_picture(file: &Attachment) -> bool {
    file.kind == FileKind::Image && !file.is_plain
}

pub(super) fn answering(reply_to_msg_id: i32) -> tl::enums::InputReplyTo {
    tl::types::InputReplyToMessage {
        reply_to_msg_id,
        top_msg_id: None,
        reply_to_peer_id: None,
        quote_text: None,
        quote_entities: None,
        quote_offset: None,
        monoforum_peer_id: None,
        todo_item_id: None,
        poll_option: None,
    }
    .into()
}
