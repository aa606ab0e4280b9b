//! Messages that are there already: read, changed, taken away, marked.

use tgtrunk_messages::{Address, ChatId, Entity, Failure, Received, Search, TypingKind};
use tgtrunk_telegram::tl;

use super::peer::Peer;
use super::{Correspondent, failure};
use crate::telegram::request::{self, Messages};

/// Most messages in one answer.
const PAGE: usize = 100;
/// So many messages are looked through for one of ours, unless so many are ours already: a busy group has others between.
const LOOKED_THROUGH: usize = 500;
const ENOUGH: usize = 20;

/// Why a message of a channel stays.
const FOR_ALL_ONLY: &str = "in a channel or supergroup a message can only be deleted for everybody";

impl Correspondent {
    pub(super) async fn messages_of(
        &self,
        chat: ChatId,
        before: Option<i32>,
        count: usize,
    ) -> Result<Vec<Received>, Failure> {
        let peer = self.chat_peer(chat).await?;
        let (mut before, mut found) = (before.unwrap_or(0), Vec::new());
        while found.len() < count {
            let limit = (count - found.len()).min(PAGE);
            let page = self.page(&peer, before, i32::try_from(limit).unwrap_or(0)).await?;
            let Some(oldest) = page.messages.last().map(tl::enums::Message::id) else { break };
            found.extend(page.messages.iter().filter_map(|message| self.received(message)));
            if page.messages.len() < limit || oldest == before {
                break;
            }
            before = oldest;
        }
        Ok(found)
    }

    pub(super) async fn last_of(&self, to: &Address) -> Result<Vec<Received>, Failure> {
        let peer = self.moved(self.peer(to).await?);
        let (mut before, mut looked, mut found) = (0, 0, Vec::new());
        while found.len() < ENOUGH && looked < LOOKED_THROUGH {
            let page = self.page(&peer, before, i32::try_from(PAGE).unwrap_or(0)).await?;
            let messages = page.messages.iter().filter_map(|message| self.received(message));
            found.extend(messages.filter(|message| message.is_ours));
            looked += page.messages.len();
            let Some(oldest) = page.messages.last().map(tl::enums::Message::id) else { break };
            if page.messages.len() < PAGE || oldest == before {
                break;
            }
            before = oldest;
        }
        Ok(found)
    }

    /// Messages with words in them, or of some days: the newest first.
    pub(super) async fn looked_for(&self, chat: ChatId, search: &Search) -> Result<Vec<Received>, Failure> {
        let peer = self.chat_peer(chat).await?;
        let (mut offset, mut found) = (0, Vec::new());
        while found.len() < search.count {
            let limit = (search.count - found.len()).min(PAGE);
            let page = self.page_of(&peer, search, offset, limit).await?;
            let Some(oldest) = page.messages.last().map(tl::enums::Message::id) else { break };
            let messages = page.messages.iter().filter_map(|message| self.received(message));
            let mut is_past = false;
            for message in messages {
                is_past |= search.since_s.is_some_and(|since_s| message.date_s < since_s);
                if !is_past && search.until_s.is_none_or(|until_s| message.date_s < until_s) {
                    found.push(message);
                }
            }
            // Those of the days before are of no use, and some of the newest may be too new.
            if is_past || page.messages.len() < limit || oldest == offset {
                break;
            }
            offset = oldest;
        }
        Ok(found)
    }

    async fn page_of(
        &self,
        peer: &Peer,
        search: &Search,
        offset: i32,
        limit: usize,
    ) -> Result<Messages, Failure> {
        let date = |at_s: Option<i64>| at_s.map_or(0, |at_s| i32::try_from(at_s.max(0)).unwrap_or(i32::MAX));
        let (limit, before) = (i32::try_from(limit).unwrap_or(0), search.before.unwrap_or(0));
        let answer = if search.query.is_empty() {
            let request = tl::functions::messages::GetHistory {
                offset_date: date(search.until_s),
                max_id: before,
                ..request::history(peer.input(), offset, limit)
            };
            self.ask(&request).await?
        } else {
            let request = tl::functions::messages::Search {
                // Telegram gives what is newer than this.
                min_date: date(search.since_s.map(|since_s| since_s - 1)),
                max_date: date(search.until_s),
                max_id: before,
                ..request::search(peer.input(), &search.query, offset, limit)
            };
            self.ask(&request).await?
        };
        let answer = Messages::from(answer);
        self.meet(&answer.users, &answer.chats).await;
        Ok(answer)
    }

    async fn page(&self, peer: &Peer, before: i32, limit: i32) -> Result<Messages, Failure> {
        let answer: Messages = self.ask(&request::history(peer.input(), before, limit)).await?.into();
        self.meet(&answer.users, &answer.chats).await;
        Ok(answer)
    }

    pub(super) async fn message_of(&self, chat: ChatId, tg_id: i32) -> Result<Option<Received>, Failure> {
        Ok(self.messages_with(chat, &[tg_id]).await?.pop())
    }

    /// Messages by their numbers; those that are not there are left out.
    pub(super) async fn messages_with(&self, chat: ChatId, tg_ids: &[i32]) -> Result<Vec<Received>, Failure> {
        let peer = self.chat_peer(chat).await?;
        let mut found = Vec::new();
        for some in tg_ids.chunks(PAGE) {
            let id = some.iter().map(|id| tl::types::InputMessageId { id: *id }.into()).collect();
            let answer = match &peer {
                Peer::Channel(channel) => {
                    let channel = channel.clone().into();
                    self.ask(&tl::functions::channels::GetMessages { channel, id }).await?
                }
                Peer::User(_) | Peer::Group(_) => {
                    self.ask(&tl::functions::messages::GetMessages { id }).await?
                }
            };
            let answer = Messages::from(answer);
            self.meet(&answer.users, &answer.chats).await;
            let messages = answer.messages.iter().filter_map(|message| self.received(message));
            // A number of another chat is none of this one's.
            found.extend(messages.filter(|message| message.chat.id == chat && some.contains(&message.tg_id)));
        }
        Ok(found)
    }

    pub(super) async fn change(
        &self,
        chat: ChatId,
        tg_id: i32,
        text: &str,
        entities: &[Entity],
    ) -> Result<(), Failure> {
        let peer = self.chat_peer(chat).await?;
        let request = tl::functions::messages::EditMessage {
            entities: self.entities(entities).await?,
            ..request::edit(peer.input(), tg_id, text)
        };
        match self.have(&request).await {
            // Telegram's word is that of all that an account may not do in a chat.
            Err(Failure::Refused { word: "privacy_restricted", sentence }) => {
                Err(failure::refused("not_editable", sentence))
            }
            told => told.map(drop),
        }
    }

    pub(super) async fn take_away(
        &self,
        chat: ChatId,
        tg_ids: &[i32],
        is_for_everyone: bool,
    ) -> Result<(), Failure> {
        let id = tg_ids.to_vec();
        match self.chat_peer(chat).await? {
            // A channel's messages are the same for all who see them.
            Peer::Channel(_) if !is_for_everyone => return Err(Failure::Unsupported(FOR_ALL_ONLY)),
            Peer::Channel(channel) => {
                let channel = channel.into();
                self.have(&tl::functions::channels::DeleteMessages { channel, id }).await?;
            }
            Peer::User(_) | Peer::Group(_) => {
                self.have(&tl::functions::messages::DeleteMessages { revoke: is_for_everyone, id }).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn has_read(&self, chat: ChatId, up_to: Option<i32>) -> Result<(), Failure> {
        // 0 is all of them.
        let max_id = up_to.unwrap_or(0);
        match self.chat_peer(chat).await? {
            Peer::Channel(channel) => {
                let channel = channel.into();
                self.ask(&tl::functions::channels::ReadHistory { channel, max_id }).await?;
            }
            peer @ (Peer::User(_) | Peer::Group(_)) => {
                self.ask(&tl::functions::messages::ReadHistory { peer: peer.input(), max_id }).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn seem(&self, to: &Address, kind: TypingKind) -> Result<(), Failure> {
        use tl::enums::SendMessageAction as Action;
        let progress = 0;
        let action = match kind {
            TypingKind::Text => Action::SendMessageTypingAction,
            TypingKind::RecordVoiceNote => Action::SendMessageRecordAudioAction,
            TypingKind::UploadVoiceNote => tl::types::SendMessageUploadAudioAction { progress }.into(),
            TypingKind::RecordVideoNote => Action::SendMessageRecordRoundAction,
            TypingKind::UploadVideoNote => tl::types::SendMessageUploadRoundAction { progress }.into(),
            TypingKind::RecordVideo => Action::SendMessageRecordVideoAction,
            TypingKind::UploadVideo => tl::types::SendMessageUploadVideoAction { progress }.into(),
            TypingKind::UploadPhoto => tl::types::SendMessageUploadPhotoAction { progress }.into(),
            TypingKind::UploadDocument => tl::types::SendMessageUploadDocumentAction { progress }.into(),
            TypingKind::ChooseSticker => Action::SendMessageChooseStickerAction,
            TypingKind::ChooseLocation => Action::SendMessageGeoLocationAction,
            TypingKind::ChooseContact => Action::SendMessageChooseContactAction,
        };
        let peer = self.moved(self.peer(to).await?).input();
        self.ask(&tl::functions::messages::SetTyping { peer, top_msg_id: None, action }).await?;
        Ok(())
    }
}
