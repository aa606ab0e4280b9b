//! People: found, known, kept among the contacts (core.telegram.org/api/contacts).

use tgtrunk_messages::{Address, ChatId, Failure, Found, Person};
use tgtrunk_telegram::{Person as Whom, ResolveError, tl};

use super::peer::Peer;
use super::{Correspondent, failure};

/// Whom an address names, if it is not a chat's number.
fn whom(of: &Address) -> Result<Whom, ChatId> {
    match of {
        Address::Chat(chat) => Err(*chat),
        Address::Phone(phone) => Ok(Whom::Phone(phone.clone())),
        Address::Username(name) => Ok(Whom::Username(name.clone())),
    }
}

impl Correspondent {
    pub(super) async fn look_for(&self, who: &Address) -> Result<Option<Person>, Failure> {
        match self.peer_anew(who).await {
            Ok(Peer::User(user)) => Ok(Some(self.found(&user))),
            Ok(peer @ (Peer::Group(_) | Peer::Channel(_))) => Ok(Some(self.person_card(peer.id()))),
            Err(Failure::Refused { word: "no_telegram_account" | "dialog_not_found", .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Whom an address names, whatever is remembered of it.
    async fn peer_anew(&self, who: &Address) -> Result<Peer, Failure> {
        let Ok(whom) = whom(who) else { return self.peer(who).await };
        match (self.account.resolve_anew(whom).await, who) {
            (Ok(user), _) => Ok(Peer::User(user)),
            // It may be a channel's.
            (Err(ResolveError::NotFound(_)), Address::Username(name)) => self.channel_named(name).await,
            (Err(error), _) => Err(failure::judge_lookup(error, who)),
        }
    }

    /// Whom an address names, as far as the account remembers.
    pub(super) fn remembers(&self, of: &Address) -> Option<ChatId> {
        match whom(of) {
            Ok(whom) => self.account.remembered_lately(&whom).map(|user| ChatId::of_user(user.id)),
            Err(chat) => Some(chat),
        }
    }

    /// The same; Telegram is asked whether it is still so where it is long ago.
    pub(super) async fn confirms(&self, of: &Address) -> Result<Option<ChatId>, Failure> {
        let whom = match whom(of) {
            Ok(whom) => whom,
            Err(chat) => return Ok(Some(chat)),
        };
        match self.account.confirmed(&whom).await {
            Ok(user) => Ok(user.map(|user| ChatId::of_user(user.id))),
            Err(error) => match failure::judge_lookup(error, of) {
                Failure::Refused { .. } => Ok(None),
                failure => Err(failure),
            },
        }
    }

    pub(super) async fn card_of(&self, who: &Address) -> Result<Found, Failure> {
        let user = self.user(who).await?;
        let request = tl::functions::users::GetFullUser { id: user.input_user() };
        let tl::enums::users::UserFull::Full(found) = self.ask(&request).await?;
        self.meet(&found.users, &found.chats).await;
        let tl::enums::UserFull::Full(full) = found.full_user;
        let status = found.users.iter().find_map(|found| match found {
            tl::enums::User::User(found) if found.id == user.id => found.status.as_ref(),
            _ => None,
        });
        let last_seen_s = match status {
            Some(tl::enums::UserStatus::Offline(status)) => Some(status.was_online.into()),
            // Until when they are believed to be there.
            Some(tl::enums::UserStatus::Online(_)) => Some(crate::clock::unix_s()),
            _ => None,
        };
        Ok(Found { person: self.found(&user), last_seen_s, about: full.about.unwrap_or_default() })
    }

    pub(super) async fn all_contacts(&self) -> Result<Vec<Person>, Failure> {
        match self.ask(&tl::functions::contacts::GetContacts { hash: 0 }).await? {
            tl::enums::contacts::Contacts::Contacts(found) => {
                self.meet(&found.users, &[]).await;
                let ids = found.contacts.iter().map(|tl::enums::Contact::Contact(contact)| contact.user_id);
                Ok(ids.map(|id| self.person_card(ChatId::of_user(id))).collect())
            }
            tl::enums::contacts::Contacts::NotModified => Ok(Vec::new()),
        }
    }

    pub(super) async fn note_contact(
        &self,
        who: &Address,
        first_name: &str,
        last_name: &str,
    ) -> Result<Person, Failure> {
        let user = self.user(who).await?;
        let request = tl::functions::contacts::AddContact {
            add_phone_privacy_exception: false,
            id: user.input_user(),
            first_name: first_name.to_owned(),
            last_name: last_name.to_owned(),
            phone: user.phone.clone().unwrap_or_default(),
            note: None,
        };
        let answer = self.ask(&request).await?;
        self.meet_all(&answer).await;
        Ok(self.found(&user))
    }

    pub(super) async fn forget_contact(&self, who: &Address) -> Result<(), Failure> {
        let id = vec![self.user(who).await?.input_user()];
        let answer = self.ask(&tl::functions::contacts::DeleteContacts { id }).await?;
        self.meet_all(&answer).await;
        Ok(())
    }
}
