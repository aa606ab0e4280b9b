//! What is known of people and chats beyond their numbers: as they last came along with something.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use tgtrunk_messages::{Chat, ChatId, ChatKind, Person, PersonKind};
use tgtrunk_telegram::tl;

/// Cards that are kept; the next one more empties the box.
const MOST: usize = 50_000;

/// The cards of an account's company, in memory.
#[derive(Debug, Default)]
pub(super) struct Cards(RwLock<HashMap<ChatId, Card>>);

/// What is known of a person or a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Card {
    pub(super) chat: Chat,
    /// Whether they are among the contacts: then the title is what the account calls them.
    pub(super) is_contact: bool,
}

impl Cards {
    /// Takes in who came along.
    pub(super) fn note(&self, users: &[tl::enums::User], chats: &[tl::enums::Chat]) {
        let users = users.iter().filter_map(|user| match user {
            tl::enums::User::User(user) => Some((Card::of_user(user), user.min)),
            tl::enums::User::Empty(_) => None,
        });
        let chats = chats.iter().filter_map(|chat| {
            let is_min = matches!(chat, tl::enums::Chat::Channel(channel) if channel.min);
            Some((Card { chat: chat_of(chat)?, is_contact: false }, is_min))
        });
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (card, is_min) in users.chain(chats) {
            // What comes in short says less than what is known.
            if is_min && known.contains_key(&card.chat.id) {
                continue;
            }
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(card.chat.id, card);
        }
    }

    pub(super) fn card(&self, id: ChatId) -> Option<Card> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

impl Card {
    fn of_user(user: &tl::types::User) -> Self {
        let chat = Chat {
            id: ChatId::of_user(user.id),
            kind: if user.bot { ChatKind::Bot } else { ChatKind::User },
            title: name(user.first_name.as_deref(), user.last_name.as_deref()),
            username: user.username.clone().or_else(|| active(user.usernames.as_deref())),
            phone: user.phone.clone().filter(|phone| !phone.is_empty()),
            is_archived: false,
        };
        Self { chat, is_contact: user.contact || user.mutual_contact }
    }

    pub(super) fn person(self) -> Person {
        let Self { chat, is_contact } = self;
        Person {
            id: chat.id,
            kind: match chat.kind {
                ChatKind::User => PersonKind::User,
                ChatKind::Bot => PersonKind::Bot,
                ChatKind::Group | ChatKind::Supergroup | ChatKind::Channel => PersonKind::Channel,
            },
            contact_name: is_contact.then(|| chat.title.clone()),
            name: chat.title,
            username: chat.username,
            phone: chat.phone,
        }
    }
}

/// First and last name as one.
pub(super) fn name(first: Option<&str>, last: Option<&str>) -> String {
    format!("{} {}", first.unwrap_or_default(), last.unwrap_or_default()).trim().to_owned()
}

fn active(names: Option<&[tl::enums::Username]>) -> Option<String> {
    let mut names = names.unwrap_or_default().iter();
    names.find_map(|tl::enums::Username::Username(name)| name.active.then(|| name.username.clone()))
}

/// A group or channel; none for what is none, or not there.
pub(super) fn chat_of(chat: &tl::enums::Chat) -> Option<Chat> {
    let plain = |id, kind, title: &str| Chat {
        id,
        kind,
        title: title.to_owned(),
        username: None,
        phone: None,
        is_archived: false,
    };
    let kind = |is_megagroup| if is_megagroup { ChatKind::Supergroup } else { ChatKind::Channel };
    Some(match chat {
        tl::enums::Chat::Chat(chat) => plain(ChatId::of_group(chat.id), ChatKind::Group, &chat.title),
        tl::enums::Chat::Forbidden(chat) => plain(ChatId::of_group(chat.id), ChatKind::Group, &chat.title),
        tl::enums::Chat::Channel(channel) => Chat {
            username: channel.username.clone().or_else(|| active(channel.usernames.as_deref())),
            ..plain(
                ChatId::of_channel(channel.id),
                kind(channel.megagroup || channel.gigagroup),
                &channel.title,
            )
        },
        tl::enums::Chat::ChannelForbidden(channel) => {
            plain(ChatId::of_channel(channel.id), kind(channel.megagroup), &channel.title)
        }
        _ => return None,
    })
}
