//! Whom an address or a number names, as requests take them.

use tgtrunk_messages::{Address, Chat, ChatId, ChatKind, Failure, Person};
use tgtrunk_telegram::{Person as Whom, Resolved, tl};

use super::cards::{self, Card};
use super::{Correspondent, failure};

/// A chat that the account can address.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Peer {
    User(Resolved),
    Group(i64),
    Channel(tl::types::InputChannel),
}

impl Peer {
    pub(super) fn id(&self) -> ChatId {
        match self {
            Self::User(user) => ChatId::of_user(user.id),
            Self::Group(id) => ChatId::of_group(*id),
            Self::Channel(channel) => ChatId::of_channel(channel.channel_id),
        }
    }

    pub(super) fn input(&self) -> tl::enums::InputPeer {
        match self {
            Self::User(user) => user.input_peer(),
            Self::Group(chat_id) => tl::types::InputPeerChat { chat_id: *chat_id }.into(),
            Self::Channel(channel) => tl::types::InputPeerChannel {
                channel_id: channel.channel_id,
                access_hash: channel.access_hash,
            }
            .into(),
        }
    }
}

/// The number of a chat as programs know it.
pub(super) fn id_of(peer: &tl::enums::Peer) -> ChatId {
    match peer {
        tl::enums::Peer::User(user) => ChatId::of_user(user.user_id),
        tl::enums::Peer::Chat(chat) => ChatId::of_group(chat.chat_id),
        tl::enums::Peer::Channel(channel) => ChatId::of_channel(channel.channel_id),
    }
}

fn nobody(of: &Address) -> Failure {
    failure::refused("dialog_not_found", format!("nobody on Telegram is found by {}", of.text()))
}

impl Correspondent {
    /// Whom an address names.
    pub(super) async fn peer(&self, of: &Address) -> Result<Peer, Failure> {
        match of {
            Address::Chat(chat) => self.chat_peer(*chat).await,
            Address::Phone(phone) => {
                let found = self.account.resolve(Whom::Phone(phone.clone())).await;
                found.map(Peer::User).map_err(|error| failure::judge_lookup(error, of))
            }
            Address::Username(name) => {
                match self.account.resolve(Whom::Username(name.clone())).await {
                    Ok(user) => Ok(Peer::User(user)),
                    // It may be a channel's.
                    Err(tgtrunk_telegram::ResolveError::NotFound(_)) => self.channel_named(name).await,
                    Err(error) => Err(failure::judge_lookup(error, of)),
                }
            }
        }
    }

    pub(super) async fn chat_peer(&self, chat: ChatId) -> Result<Peer, Failure> {
        if let Some(id) = chat.user() {
            let found = self.account.resolve(Whom::Id(id)).await;
            return found.map(Peer::User).map_err(|error| failure::judge_lookup(error, &Address::Chat(chat)));
        }
        if let Some(id) = chat.group() {
            return Ok(Peer::Group(id));
        }
        let known = chat.channel().and_then(|id| self.account.channel(id));
        known.map(Peer::Channel).ok_or_else(|| {
            failure::refused(
                "dialog_not_found",
                format!(
                    "the account does not know the chat {chat}: join it or open it in the Telegram app, or name it by its @name"
                ),
            )
        })
    }

    /// Whom an address names, who must be a person.
    pub(super) async fn user(&self, who: &Address) -> Result<Resolved, Failure> {
        match self.peer(who).await? {
            Peer::User(user) => Ok(user),
            Peer::Group(_) | Peer::Channel(_) => {
                Err(failure::refused("bad_request", format!("{} is no person", who.text())))
            }
        }
    }

    pub(super) async fn channel_named(&self, name: &str) -> Result<Peer, Failure> {
        let missing = || nobody(&Address::Username(name.to_owned()));
        let request = tl::functions::contacts::ResolveUsername { username: name.to_owned(), referer: None };
        let tl::enums::contacts::ResolvedPeer::Peer(found) = match self.ask(&request).await {
            Ok(found) => found,
            Err(Failure::Refused { .. }) => return Err(missing()),
            Err(failure) => return Err(failure),
        };
        self.meet(&found.users, &found.chats).await;
        match found.peer {
            tl::enums::Peer::Channel(channel) => {
                self.account.channel(channel.channel_id).map(Peer::Channel).ok_or_else(missing)
            }
            tl::enums::Peer::User(_) | tl::enums::Peer::Chat(_) => Err(missing()),
        }
    }

    /// What is known of a chat, without asking Telegram.
    pub(super) fn chat_card(&self, id: ChatId) -> Chat {
        self.card(id).chat
    }

    /// What is known of whoever writes, without asking Telegram.
    pub(super) fn person_card(&self, id: ChatId) -> Person {
        self.card(id).person()
    }

    fn card(&self, id: ChatId) -> Card {
        if let Some(card) = self.cards.card(id) {
            return card;
        }
        let known = id.user().and_then(|id| self.account.known(id));
        let kind = match id {
            _ if id.user().is_some() => ChatKind::User,
            _ if id.group().is_some() => ChatKind::Group,
            _ => ChatKind::Supergroup,
        };
        let title =
            known.as_ref().map(|known| cards::name(known.first_name.as_deref(), known.last_name.as_deref()));
        let chat = Chat {
            id,
            kind,
            title: title.unwrap_or_default(),
            username: known.as_ref().and_then(|known| known.username.clone()),
            phone: known.and_then(|known| known.phone),
            is_archived: false,
        };
        let is_contact = id.user().is_some_and(|id| self.account.is_contact(&Whom::Id(id)));
        Card { chat, is_contact }
    }

    /// What is known of somebody who was looked up; the number by which they were found with it.
    pub(super) fn found(&self, user: &Resolved) -> Person {
        let card = self.person_card(ChatId::of_user(user.id));
        Person { phone: card.phone.clone().or_else(|| user.phone.clone()), ..card }
    }

    /// The account's own card; empty while nobody is logged in.
    pub(super) fn own_card(&self) -> tgtrunk_messages::Account {
        let Some(me) = self.account.me() else { return tgtrunk_messages::Account::default() };
        tgtrunk_messages::Account {
            id: Some(ChatId::of_user(me.id)),
            phone: me
                .phone
                .or_else(|| self.phone.as_ref().map(|phone| phone.digits().to_owned()))
                .unwrap_or_default(),
            name: cards::name(me.first_name.as_deref(), me.last_name.as_deref()),
            username: me.username,
        }
    }
}
