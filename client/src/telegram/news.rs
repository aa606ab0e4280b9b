//! Messages as the client understands them: those of private chats, with what they are about.

use tgtrunk_telegram::{MessageNews, MessageNotice, tl};

/// News of the account's private chats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct News {
    pub(crate) message: Message,
    /// Who is at the other end of the chat, where that came along.
    pub(crate) writer: Option<Writer>,
}

/// A message of a private chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: i32,
    /// The other end of the chat.
    pub(crate) person: i64,
    /// Whether the account wrote it, or placed the call that it tells of.
    pub(crate) is_ours: bool,
    /// Seconds since 1970.
    pub(crate) date_s: i64,
    pub(crate) content: Content,
}

/// What a message holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Text, perhaps with a picture or the like, perhaps drawn by a bot.
    Text {
        text: String,
        /// The bot that drew it.
        via_bot: Option<i64>,
        /// What its buttons say to the bot when they are pressed.
        buttons: Vec<Vec<u8>>,
    },
    /// A call that is over.
    Call {
        /// Telegram's id of it.
        call: i64,
        /// Whether it ended without an answer, and the callee's side is why.
        is_missed: bool,
    },
    /// Another service message.
    Service,
}

/// Who writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    pub(crate) is_person: bool,
}

/// Telegram's own messages, login codes among them.
const TELEGRAM: i64 = 777_000;

impl News {
    /// A new message of a private chat; everything else is of no interest.
    pub(crate) fn of(notice: &MessageNotice) -> Option<Self> {
        let MessageNews::New(raw) = &notice.news else { return None };
        let message = message(raw.clone())?;
        let writer = notice.users.iter().find_map(|user| match user {
            tl::enums::User::User(user) if user.id == message.person => {
                Some(Writer { is_person: is_person(user) })
            }
            _ => None,
        });
        Some(Self { message, writer })
    }
}

/// Whether a user is a person other than the account's own, and not Telegram itself.
pub(crate) fn is_person(user: &tl::types::User) -> bool {
    !user.bot && !user.is_self && !user.support && !user.deleted && user.id != TELEGRAM
}

/// A message of a private chat; none if it is of a group, or empty.
pub(crate) fn message(raw: tl::enums::Message) -> Option<Message> {
    let person = |peer: &tl::enums::Peer| match peer {
        tl::enums::Peer::User(user) => Some(user.user_id),
        tl::enums::Peer::Chat(_) | tl::enums::Peer::Channel(_) => None,
    };
    match raw {
        tl::enums::Message::Empty(_) => None,
        tl::enums::Message::Message(message) => Some(Message {
            id: message.id,
            person: person(&message.peer_id)?,
            is_ours: message.out,
            date_s: message.date.into(),
            content: Content::Text {
                text: message.message,
                via_bot: message.via_bot_id,
                buttons: message.reply_markup.map(pressed).unwrap_or_default(),
            },
        }),
        tl::enums::Message::Service(message) => Some(Message {
            id: message.id,
            person: person(&message.peer_id)?,
            is_ours: message.out,
            date_s: message.date.into(),
            content: match message.action {
                tl::enums::MessageAction::PhoneCall(call) => {
                    Content::Call { call: call.call_id, is_missed: is_missed(&call) }
                }
                _ => Content::Service,
            },
        }),
    }
}

fn is_missed(call: &tl::types::MessageActionPhoneCall) -> bool {
    use tl::enums::PhoneCallDiscardReason as Reason;
    let talked = call.duration.is_some_and(|duration_s| duration_s > 0);
    !talked && matches!(call.reason, Some(Reason::Missed | Reason::Busy))
}

/// What the buttons under a message say when they are pressed.
fn pressed(markup: tl::enums::ReplyMarkup) -> Vec<Vec<u8>> {
    let tl::enums::ReplyMarkup::ReplyInlineMarkup(markup) = markup else { return Vec::new() };
    let rows = markup.rows.into_iter();
    rows.flat_map(|tl::enums::KeyboardInlineButtonRow::Row(row)| row.buttons)
        .filter_map(|tl::enums::KeyboardInlineButton::Button(button)| match button.r#type {
            tl::enums::InlineButtonType::Callback(callback) => Some(callback.data),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use tl::enums::PhoneCallDiscardReason as Reason;

    use super::*;

    #[test]
    fn a_call_is_missed_if_it_rang_out_or_was_declined_and_nobody_talked() {
        let is = |reason: Option<Reason>, duration| {
            is_missed(&tl::types::MessageActionPhoneCall { video: false, call_id: 1, reason, duration })
        };
        assert!(is(Some(Reason::Missed), None) && is(Some(Reason::Busy), None));
        assert!(is(Some(Reason::Missed), Some(0)));
        assert!(!is(Some(Reason::Hangup), Some(12)) && !is(Some(Reason::Hangup), None));
        assert!(!is(Some(Reason::Disconnect), None) && !is(None, None) && !is(Some(Reason::Missed), Some(3)));
    }

    #[test]
    fn messages_of_groups_are_of_no_interest() {
        let action = tl::types::MessageActionPhoneCall {
            video: false,
            call_id: 9,
            reason: Some(Reason::Missed),
            duration: None,
        };
        let in_chat = |peer_id: tl::enums::Peer| {
            message(
                tl::types::MessageService {
                    out: true,
                    mentioned: false,
                    media_unread: false,
                    reactions_are_possible: false,
                    silent: false,
                    post: false,
                    legacy: false,
                    id: 4,
                    from_id: None,
                    peer_id,
                    saved_peer_id: None,
                    reply_to: None,
                    date: 100,
                    action: action.clone().into(),
                    reactions: None,
                    ttl_period: None,
                }
                .into(),
            )
        };
        let told = in_chat(tl::types::PeerUser { user_id: 5 }.into()).unwrap();
        let content = Content::Call { call: 9, is_missed: true };
        assert_eq!(told, Message { id: 4, person: 5, is_ours: true, date_s: 100, content });
        assert_eq!(in_chat(tl::types::PeerChat { chat_id: 5 }.into()), None);
    }
}
