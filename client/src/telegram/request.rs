//! Requests about messages with everything off that nobody wants, and what comes back of them.

use tgtrunk_telegram::tl;

/// `messages.sendMessage` with plain text.
pub(super) fn send_text(
    peer: tl::enums::InputPeer,
    random_id: i64,
    text: &str,
) -> tl::functions::messages::SendMessage {
    tl::functions::messages::SendMessage {
        no_webpage: true,
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer,
        reply_to: None,
        message: text.to_owned(),
        random_id,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
        rich_message: None,
    }
}

/// `messages.sendMedia`.
pub(super) fn send_media(
    peer: tl::enums::InputPeer,
    random_id: i64,
    media: tl::enums::InputMedia,
) -> tl::functions::messages::SendMedia {
    tl::functions::messages::SendMedia {
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer,
        reply_to: None,
        media,
        message: String::new(),
        random_id,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
        suggested_post: None,
    }
}

/// `messages.forwardMessages` of one message.
pub(super) fn forward(
    from_peer: tl::enums::InputPeer,
    id: i32,
    random_id: i64,
    to_peer: tl::enums::InputPeer,
) -> tl::functions::messages::ForwardMessages {
    tl::functions::messages::ForwardMessages {
        silent: false,
        background: false,
        with_my_score: false,
        drop_author: false,
        drop_media_captions: false,
        noforwards: false,
        allow_paid_floodskip: false,
        from_ephemeral: false,
        from_peer,
        id: vec![id],
        random_id: vec![random_id],
        to_peer,
        top_msg_id: None,
        reply_to: None,
        schedule_date: None,
        schedule_repeat_period: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        video_timestamp: None,
        allow_paid_stars: None,
        suggested_post: None,
    }
}

/// `messages.editMessage`: another text, and no buttons.
pub(super) fn edit(peer: tl::enums::InputPeer, id: i32, text: &str) -> tl::functions::messages::EditMessage {
    tl::functions::messages::EditMessage {
        no_webpage: true,
        invert_media: false,
        peer,
        id,
        message: Some(text.to_owned()),
        media: None,
        reply_markup: None,
        entities: None,
        schedule_date: None,
        schedule_repeat_period: None,
        quick_reply_shortcut_id: None,
        rich_message: None,
    }
}

/// `messages.getHistory`: messages of a chat before one (0: the newest ones), the newest first.
pub(super) fn history(
    peer: tl::enums::InputPeer,
    before: i32,
    limit: i32,
) -> tl::functions::messages::GetHistory {
    tl::functions::messages::GetHistory {
        peer,
        offset_id: before,
        offset_date: 0,
        add_offset: 0,
        limit,
        max_id: 0,
        min_id: 0,
        hash: 0,
    }
}

/// `messages.search`: messages of a chat with words in them, the newest first.
pub(super) fn search(
    peer: tl::enums::InputPeer,
    words: &str,
    before: i32,
    limit: i32,
) -> tl::functions::messages::Search {
    tl::functions::messages::Search {
        peer,
        q: words.to_owned(),
        from_id: None,
        saved_peer_id: None,
        saved_reaction: None,
        top_msg_id: None,
        filter: tl::enums::MessagesFilter::InputMessagesFilterEmpty,
        min_date: 0,
        max_date: 0,
        offset_id: before,
        add_offset: 0,
        limit,
        max_id: 0,
        min_id: 0,
        hash: 0,
    }
}

/// `messages.sendMultiMedia`.
pub(super) fn send_album(
    peer: tl::enums::InputPeer,
    multi_media: Vec<tl::enums::InputSingleMedia>,
) -> tl::functions::messages::SendMultiMedia {
    tl::functions::messages::SendMultiMedia {
        silent: false,
        background: false,
        clear_draft: false,
        noforwards: false,
        update_stickersets_order: false,
        invert_media: false,
        allow_paid_floodskip: false,
        peer,
        reply_to: None,
        multi_media,
        schedule_date: None,
        send_as: None,
        quick_reply_shortcut: None,
        effect: None,
        allow_paid_stars: None,
    }
}

/// What an answer made of messages holds.
#[derive(Default)]
pub(super) struct Messages {
    pub(super) messages: Vec<tl::enums::Message>,
    pub(super) users: Vec<tl::enums::User>,
    pub(super) chats: Vec<tl::enums::Chat>,
}

impl From<tl::enums::messages::Messages> for Messages {
    fn from(answer: tl::enums::messages::Messages) -> Self {
        use tl::enums::messages::Messages as Answer;
        let (messages, users, chats) = match answer {
            Answer::Messages(found) => (found.messages, found.users, found.chats),
            Answer::Slice(found) => (found.messages, found.users, found.chats),
            Answer::ChannelMessages(found) => (found.messages, found.users, found.chats),
            Answer::NotModified(_) => return Self::default(),
        };
        Self { messages, users, chats }
    }
}

/// The updates in an answer.
pub(super) fn updates(answer: &tl::enums::Updates) -> &[tl::enums::Update] {
    match answer {
        tl::enums::Updates::Updates(full) => &full.updates,
        tl::enums::Updates::Combined(full) => &full.updates,
        tl::enums::Updates::UpdateShort(short) => std::slice::from_ref(&short.update),
        _ => &[],
    }
}

/// The number that a message sent with `random_id` got.
pub(super) fn message_id(answer: &tl::enums::Updates, random_id: i64) -> Option<i32> {
    if let tl::enums::Updates::UpdateShortSentMessage(sent) = answer {
        return Some(sent.id);
    }
    updates(answer).iter().find_map(|update| match update {
        tl::enums::Update::MessageId(told) if told.random_id == random_id => Some(told.id),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sent_messages_number_is_found_in_every_answer() {
        let told = |random_id, id| tl::types::UpdateMessageId { id, random_id }.into();
        let full = tl::types::Updates {
            updates: vec![told(1, 10), told(2, 20)],
            users: vec![],
            chats: vec![],
            date: 0,
            seq: 0,
        };
        assert_eq!(message_id(&full.clone().into(), 2), Some(20));
        assert_eq!(message_id(&full.into(), 3), None);
        let short = tl::types::UpdateShort { update: told(7, 70), date: 0 };
        assert_eq!(message_id(&short.into(), 7), Some(70));
        assert_eq!(message_id(&tl::enums::Updates::TooLong, 7), None);
    }
}
