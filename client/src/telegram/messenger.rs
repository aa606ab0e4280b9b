//! An account as the queues and journals of messages know it: whoever sends for them, reads for them and tells them the
//! news ([`tgtrunk_messages::Messenger`]).
//!
//! Messages go out by the number that the queue keeps (`random_id`), so that one handed over twice is there once.

mod album;
mod cards;
mod contacts;
mod content;
mod dialogs;
mod door;
mod download;
mod entities;
mod failure;
mod film;
mod groups;
mod history;
mod members;
mod moved;
mod news;
mod peer;
mod picture;
mod received;
mod remote;
mod sending;
mod standing;
mod thumbnail;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tgtrunk_config::Phone;
use tgtrunk_messages::{
    Address, Chat, ChatId, Dialog, Door, Entity, Failure, Found, Group, GroupChange, Messenger, NewGroup,
    NewlyMade, Order, Person, Received, Search, Sent, Standing, TypingKind,
};
use tgtrunk_telegram::{Account, LoginDesk, Policy, tl};
use tracing::warn;

pub(crate) use self::failure::in_russian;

use self::album::Uploads;
use self::cards::Cards;
use self::door::FrontDoor;
use self::moved::Moves;

/// How long Telegram may take for what somebody waits for.
const LIMIT: Duration = Duration::from_secs(12);

/// Whoever writes and reads for an account. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Correspondent {
    account: Account,
    /// Its number, where that is known before it is logged in.
    phone: Option<Phone>,
    cards: Arc<Cards>,
    moves: Arc<Moves>,
    uploads: Arc<Uploads>,
    door: FrontDoor,
}

impl Correspondent {
    pub(crate) fn new(account: Account, phone: Option<Phone>, logins: LoginDesk) -> Self {
        let door = FrontDoor::new(logins);
        Self { account, phone, cards: Arc::default(), moves: Arc::default(), uploads: Arc::default(), door }
    }

    /// A question, which may be asked twice.
    async fn ask<R: tl::RemoteCall>(&self, request: &R) -> Result<R::Return, Failure> {
        let policy = Policy::call().within(LIMIT).idempotent();
        self.account.invoke(request, policy).await.map_err(failure::judge)
    }

    /// Something to be done, once.
    async fn have<R: tl::RemoteCall>(&self, request: &R) -> Result<R::Return, Failure> {
        self.account.invoke(request, Policy::call().within(LIMIT)).await.map_err(failure::judge)
    }

    /// Takes in who came along, in memory.
    fn note(&self, users: &[tl::enums::User], chats: &[tl::enums::Chat]) {
        self.cards.note(users, chats);
        self.moves.note(chats);
    }

    /// Takes in who came along with an answer.
    async fn meet(&self, users: &[tl::enums::User], chats: &[tl::enums::Chat]) {
        self.note(users, chats);
        let written = match self.account.remember(users).await {
            Ok(()) => self.account.remember_chats(chats).await,
            Err(error) => Err(error),
        };
        if let Err(error) = written {
            warn!(%error, "who came along with an answer could not be remembered");
        }
    }

    /// The same for an answer that is made of updates.
    async fn meet_all(&self, answer: &tl::enums::Updates) {
        match answer {
            tl::enums::Updates::Updates(full) => self.meet(&full.users, &full.chats).await,
            tl::enums::Updates::Combined(full) => self.meet(&full.users, &full.chats).await,
            _ => {}
        }
    }
}

#[async_trait]
impl Messenger for Correspondent {
    fn standing(&self) -> Standing {
        self.stands()
    }

    async fn standing_changed(&self) {
        self.until_standing_changes().await;
    }

    fn account(&self) -> tgtrunk_messages::Account {
        self.own_card()
    }

    fn door(&self) -> &dyn Door {
        &self.door
    }

    fn knows(&self, chat: ChatId) -> bool {
        chat.user().is_none_or(|id| self.account.knows(id))
    }

    async fn send(&self, order: &Order) -> Result<Sent, Failure> {
        self.hand_over(order).await
    }

    async fn last_own(&self, to: &Address) -> Result<Vec<Received>, Failure> {
        self.last_of(to).await
    }

    async fn typing(&self, to: &Address, kind: TypingKind) -> Result<(), Failure> {
        self.seem(to, kind).await
    }

    async fn send_album(&self, order: &Order) -> Result<Vec<Sent>, Failure> {
        self.hand_over_album(order).await
    }

    async fn edit(
        &self,
        chat: ChatId,
        tg_id: i32,
        text: &str,
        entities: &[Entity],
        buttons: Option<&Value>,
    ) -> Result<(), Failure> {
        if buttons.is_some() {
            return Err(Failure::Unsupported("buttons are for bots alone"));
        }
        self.change(chat, tg_id, text, entities).await
    }

    async fn delete(&self, chat: ChatId, tg_ids: &[i32], is_for_everyone: bool) -> Result<(), Failure> {
        self.take_away(chat, tg_ids, is_for_everyone).await
    }

    async fn mark_read(&self, chat: ChatId, up_to: Option<i32>) -> Result<(), Failure> {
        self.has_read(chat, up_to).await
    }

    async fn history(
        &self,
        chat: ChatId,
        before: Option<i32>,
        count: usize,
    ) -> Result<Vec<Received>, Failure> {
        self.messages_of(chat, before, count).await
    }

    async fn message(&self, chat: ChatId, tg_id: i32) -> Result<Option<Received>, Failure> {
        self.message_of(chat, tg_id).await
    }

    async fn messages(&self, chat: ChatId, tg_ids: &[i32]) -> Result<Vec<Received>, Failure> {
        self.messages_with(chat, tg_ids).await
    }

    async fn search(&self, chat: ChatId, search: &Search) -> Result<Vec<Received>, Failure> {
        self.looked_for(chat, search).await
    }

    async fn dialogs(&self, count: usize) -> Result<Vec<Dialog>, Failure> {
        self.chat_list(count).await
    }

    async fn download(&self, remote: &str, path: &Path, limit: u64) -> Result<(), Failure> {
        self.fetch(remote, path, limit).await
    }

    fn remembered(&self, of: &Address) -> Option<ChatId> {
        self.remembers(of)
    }

    async fn confirmed(&self, of: &Address) -> Result<Option<ChatId>, Failure> {
        self.confirms(of).await
    }

    fn is_still(&self, who: &Address, chat: ChatId) -> bool {
        // Channels are found by name each day.
        !chat.is_person() || self.remembers(who) == Some(chat)
    }

    async fn find(&self, who: &Address) -> Result<Option<Person>, Failure> {
        self.look_for(who).await
    }

    async fn info(&self, who: &Address) -> Result<Found, Failure> {
        self.card_of(who).await
    }

    async fn avatar_key(&self, of: &Address) -> Result<Option<String>, Failure> {
        self.key_of_picture(of).await
    }

    async fn avatar(&self, of: &Address, path: &Path) -> Result<bool, Failure> {
        self.fetch_picture(of, path).await
    }

    async fn set_avatar(&self, path: &Path) -> Result<(), Failure> {
        self.change_own_picture(path).await
    }

    async fn contacts(&self) -> Result<Vec<Person>, Failure> {
        self.all_contacts().await
    }

    async fn add_contact(&self, who: &Address, first_name: &str, last_name: &str) -> Result<Person, Failure> {
        self.note_contact(who, first_name, last_name).await
    }

    async fn delete_contact(&self, who: &Address) -> Result<(), Failure> {
        self.forget_contact(who).await
    }

    async fn chats(&self, count: usize) -> Result<Vec<Chat>, Failure> {
        Ok(self.chat_list(count).await?.into_iter().map(|dialog| dialog.chat).collect())
    }

    async fn archive(&self, chat: ChatId, is_archived: bool) -> Result<(), Failure> {
        self.put_away(chat, is_archived).await
    }

    async fn create_group(&self, group: &NewGroup) -> Result<NewlyMade, Failure> {
        self.found_group(group).await
    }

    async fn group(&self, chat: ChatId) -> Result<Group, Failure> {
        self.whole_group(chat).await
    }

    async fn change_group(&self, chat: ChatId, change: &GroupChange) -> Result<(), Failure> {
        self.rearrange(chat, change).await
    }
}

#[cfg(test)]
mod tests;
