//! What Telegram tells, as the messages' instances take it in. Nothing here waits for anybody.

use tgtrunk_messages::{ChatId, News};
use tgtrunk_telegram::{MessageNews, MessageNotice, tl};

use super::Correspondent;
use super::peer::id_of;

impl Correspondent {
    /// The news in a notice.
    pub(crate) fn news(&self, notice: &MessageNotice) -> Vec<News> {
        self.note(&notice.users, &notice.chats);
        match &notice.news {
            MessageNews::New(message) => {
                self.received(message).map(|message| News::New(Box::new(message))).into_iter().collect()
            }
            MessageNews::Edited(tl::enums::Message::Message(message)) if message.edit_hide => Vec::new(),
            MessageNews::Edited(message) => {
                self.received(message).map(|message| News::Edited(Box::new(message))).into_iter().collect()
            }
            MessageNews::Deleted(tg_ids) => vec![News::Deleted { chat: None, tg_ids: tg_ids.clone() }],
            MessageNews::DeletedOf { channel, ids } => {
                vec![News::Deleted { chat: Some(ChatId::of_channel(*channel)), tg_ids: ids.clone() }]
            }
            MessageNews::Read { peer, up_to } => vec![News::Read { chat: id_of(peer), up_to: *up_to }],
            MessageNews::Reactions { peer, id, reactions } => self.reactions(peer, *id, reactions),
        }
    }

    /// Those that others gave of late, not the account's own; who took one back is not told.
    fn reactions(
        &self,
        peer: &tl::enums::Peer,
        id: i32,
        reactions: &tl::types::MessageReactions,
    ) -> Vec<News> {
        let (chat, own) = (self.chat_card(id_of(peer)), self.account.me().map(|me| ChatId::of_user(me.id)));
        let recent = reactions.recent_reactions.as_deref().unwrap_or_default().iter();
        let given = recent.filter_map(|tl::enums::MessagePeerReaction::Reaction(given)| {
            if given.my || Some(id_of(&given.peer_id)) == own {
                return None;
            }
            let tl::enums::Reaction::Emoji(emoji) = &given.reaction else { return None };
            Some(News::Reaction {
                chat: chat.clone(),
                tg_id: id,
                sender: Some(self.person_card(id_of(&given.peer_id))),
                emoji: Some(emoji.emoticon.clone()),
                date_s: given.date.into(),
            })
        });
        given.collect()
    }
}
