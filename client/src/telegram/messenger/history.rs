//! Messages that are there already: read, changed, taken away, marked.

use tgtrunk_messages::{Address, ChatId, Failure, Received, TypingKind};
use tgtrunk_telegram::tl;

use super::Correspondent;
use super::peer::Peer;
use crate::telegram::request::{self, Messages};

/// Most messages in one answer.
const PAGE: usize = 100;
/// So many messages are looked through for one of ours.
const LOOKED_THROUGH: i32 = 50;

/// Why a message of a channel stays.
const FOR_ALL_ONLY: &str = "in a channel or supergroup a message can only be deleted for everybody: \
    call it without 'onlySenderDelete'";

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
        let peer = self.peer(to).await?;
        let page = self.page(&peer, 0, LOOKED_THROUGH).await?;
        let found = page.messages.iter().filter_map(|message| self.received(message));
        Ok(found.filter(|message| message.is_ours).collect())
    }

    async fn page(&self, peer: &Peer, before: i32, limit: i32) -> Result<Messages, Failure> {
        let answer: Messages = self.ask(&request::history(peer.input(), before, limit)).await?.into();
        self.meet(&answer.users, &answer.chats).await;
        Ok(answer)
    }

    pub(super) async fn message_of(&self, chat: ChatId, tg_id: i32) -> Result<Option<Received>, Failure> {
        let id = vec![tl::types::InputMessageId { id: tg_id }.into()];
        let answer = match self.chat_peer(chat).await? {
            Peer::Channel(channel) => {
                let channel = channel.into();
                self.ask(&tl::functions::channels::GetMessages { channel, id }).await?
            }
            Peer::User(_) | Peer::Group(_) => self.ask(&tl::functions::messages::GetMessages { id }).await?,
        };
        let answer = Messages::from(answer);
        self.meet(&answer.users, &answer.chats).await;
        let mut found = answer.messages.iter().filter_map(|message| self.received(message));
        Ok(found.find(|message| message.tg_id == tg_id && message.chat.id == chat))
    }

    pub(super) async fn change(&self, chat: ChatId, tg_id: i32, text: &str) -> Result<(), Failure> {
        let peer = self.chat_peer(chat).await?;
        match self.have(&request::edit(peer.input(), tg_id, text)).await {
            // It was asked for before, and the answer was lost.
            Err(Failure::Refused { word: "not_modified", .. }) => Ok(()),
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
        let peer = self.peer(to).await?.input();
        self.ask(&tl::functions::messages::SetTyping { peer, top_msg_id: None, action }).await?;
        Ok(())
    }
}
