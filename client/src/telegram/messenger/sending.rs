//! Handing messages over.

use tgtrunk_messages::{Attachment, Content, Failure, FileKind, Order, Sent};
use tgtrunk_telegram::{Person as Whom, tl};

use super::peer::Peer;
use super::{Correspondent, content, failure, film};
use crate::clock;
use crate::telegram::request;
use crate::telegram::upload::SMALL_BYTES;
use crate::telegram::vcard;

impl Correspondent {
    pub(super) async fn hand_over(&self, order: &Order) -> Result<Sent, Failure> {
        let mut peer = self.peer(&order.to).await?;
        let mut told = self.hand_over_to(order, &peer).await;
        if let (Err(Failure::Refused { word: "dialog_not_found", .. }), Peer::User(user)) = (&told, &peer) {
            // What is remembered of them may be too old.
            if let Ok(anew) = self.account.resolve_anew(Whom::Id(user.id)).await {
                peer = Peer::User(anew);
                told = self.hand_over_to(order, &peer).await;
            }
        }
        let answer = told?;
        self.meet_all(&answer).await;
        self.sent(&answer, order.random_id, &peer)
    }

    async fn hand_over_to(&self, order: &Order, peer: &Peer) -> Result<tl::enums::Updates, Failure> {
        let (to, random_id) = (peer.input(), order.random_id);
        if let Some((from, id)) = order.forward {
            let from = self.chat_peer(from).await?;
            return self.have(&request::forward(from.input(), id, random_id, to)).await;
        }
        let reply_to = order.reply_to.map(answering);
        let media = match &order.content {
            Content::Text { text, has_preview, .. } => {
                let request = tl::functions::messages::SendMessage {
                    no_webpage: !has_preview,
                    reply_to,
                    ..request::send_text(to, random_id, text)
                };
                return self.have(&request).await;
            }
            Content::File { file, caption, .. } => {
                return self.hand_over_file(order, peer, file, caption).await;
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
        let request =
            tl::functions::messages::SendMedia { reply_to, ..request::send_media(to, random_id, media) };
        self.have(&request).await
    }

    /// A picture that Telegram does not take as one goes as a file.
    async fn hand_over_file(
        &self,
        order: &Order,
        peer: &Peer,
        file: &Attachment,
        caption: &str,
    ) -> Result<tl::enums::Updates, Failure> {
        let lost = || failure::refused("attachment_failed", "the file is not there".to_owned());
        let path = order.paths.first().ok_or_else(lost)?;
        let size = tokio::fs::metadata(path).await.map_err(|_| lost())?.len();
        if size == 0 {
            return Err(failure::refused("attachment_failed", "the file is empty".to_owned()));
        }
        let mut as_picture = file.kind == FileKind::Image && size <= SMALL_BYTES;
        loop {
            let handed = self.give(path, &file.name).await?;
            let media = content::file_to_send(file, handed, as_picture);
            let media = film::measured(media, path).await;
            let request = tl::functions::messages::SendMedia {
                reply_to: order.reply_to.map(answering),
                message: caption.to_owned(),
                ..request::send_media(peer.input(), order.random_id, media)
            };
            match self.have(&request).await {
                Err(Failure::Refused { word: "attachment_failed", .. }) if as_picture => as_picture = false,
                told => return told,
            }
        }
    }

    /// The message that came of it, as the answer tells.
    fn sent(&self, answer: &tl::enums::Updates, random_id: i64, peer: &Peer) -> Result<Sent, Failure> {
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

fn answering(reply_to_msg_id: i32) -> tl::enums::InputReplyTo {
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
