//! Finding a person by phone, username or id, once: remembered people first, then Telegram.

use std::collections::HashMap;
use std::sync::Arc;

use grammers_tl_types as tl;
use tokio::sync::Mutex;
use tracing::debug;

use crate::core::Core;
use crate::invoke::{InvokeError, Policy};
use crate::peers::names;
use crate::session::SessionError;

/// How long it is believed whose a name is, in seconds: names are given up and taken by others. Telegram tells of those the
/// account has a chat with, and of nobody else.
const NAME_LIFE_S: i64 = 3600;
/// The same for phone numbers, which operators give away again after months.
const PHONE_LIFE_S: i64 = 30 * 86_400;

/// Whom to find.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Person {
    /// An international number; everything but its digits is ignored.
    Phone(String),
    /// A username, with or without `@`, in any case.
    Username(String),
    /// A Telegram user id.
    Id(i64),
}

/// A person as Telegram knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Telegram's id.
    pub id: i64,
    /// The right to address them, good for this account alone.
    pub access_hash: i64,
    /// Digits, where known.
    pub phone: Option<String>,
    /// Without `@`.
    pub username: Option<String>,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
}

/// Somebody who does not know the account: neither a contact, nor anyone who called it, wrote to it or took its call. The
/// text is a name to count them under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stranger {
    /// The account has met them somewhere; nobody has to be asked to call them.
    Known(String),
    /// Telegram has to be asked who they are.
    Unknown(String),
}

/// Why a person was not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Telegram knows nobody by this, or they do not let themselves be found by it.
    #[error("nobody on Telegram is found by {0:?}")]
    NotFound(Person),
    /// The phone has no digits, the username no letters, or the id is not positive.
    #[error(
        "{0:?} cannot be a person: a phone has 5 to 15 digits, a username 4 to 32 letters, an id is positive"
    )]
    Invalid(Person),
    /// Too many lookups.
    #[error("Telegram asks to look up nobody for {seconds} s")]
    Flood {
        /// How long to wait.
        seconds: u32,
    },
    /// The request failed.
    #[error(transparent)]
    Invoke(InvokeError),
    /// The database failed.
    #[error("{0}")]
    Storage(String),
}

/// Lookups under way, so that two callers of one person ask once.
pub(crate) type Turns = Mutex<HashMap<String, Arc<Mutex<()>>>>;

impl Person {
    /// The key they are remembered under; `None` if this cannot be a person.
    fn lookup(&self) -> Option<String> {
        match self {
            Self::Phone(phone) => {
                let digits: String = phone.chars().filter(char::is_ascii_digit).collect();
                (5..=15).contains(&digits.len()).then(|| format!("phone:{digits}"))
            }
            Self::Username(name) => {
                let name = name.trim().trim_start_matches('@');
                let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                (plain && (4..=32).contains(&name.len()))
                    .then(|| format!("username:{}", name.to_ascii_lowercase()))
            }
            Self::Id(id) => (*id > 0).then(|| format!("id:{id}")),
        }
    }

    /// Whether somebody is the one, who is remembered under `lookup`.
    fn is_meant(&self, lookup: &str, known: &Resolved) -> bool {
        match self {
            Self::Phone(_) => known.phone.as_deref() == Some(lookup.trim_start_matches("phone:")),
            Self::Username(_) => {
                let name = lookup.trim_start_matches("username:");
                known.username.as_ref().is_some_and(|theirs| theirs.eq_ignore_ascii_case(name))
            }
            Self::Id(id) => known.id == *id,
        }
    }
}

impl Resolved {
    /// `None` for deleted accounts and for users without a usable access hash.
    pub(crate) fn from_user(user: &tl::enums::User) -> Option<Self> {
        let tl::enums::User::User(user) = user else { return None };
        if user.min || user.deleted {
            return None;
        }
        let active = || {
            let names = user.usernames.as_deref().unwrap_or_default();
            names
                .iter()
                .find_map(|tl::enums::Username::Username(name)| name.active.then(|| name.username.clone()))
        };
        Some(Self {
            id: user.id,
            access_hash: user.access_hash?,
            phone: user.phone.clone(),
            username: user.username.clone().or_else(active),
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
        })
    }

    /// As requests take it.
    #[must_use]
    pub fn input_user(&self) -> tl::enums::InputUser {
        tl::types::InputUser { user_id: self.id, access_hash: self.access_hash }.into()
    }

    /// As requests about a chat with them take it.
    #[must_use]
    pub fn input_peer(&self) -> tl::enums::InputPeer {
        tl::types::InputPeerUser { user_id: self.id, access_hash: self.access_hash }.into()
    }
}

/// Whether somebody is shown to have the number or the name of a lookup.
fn has(user: &tl::types::User, lookup: &str) -> bool {
    match lookup.split_once(':') {
        Some(("phone", digits)) => user.phone.as_deref() == Some(digits),
        Some(("username", name)) => names(user).iter().any(|theirs| theirs == name),
        _ => false,
    }
}

impl From<InvokeError> for ResolveError {
    fn from(error: InvokeError) -> Self {
        match error {
            InvokeError::Flood { seconds } => Self::Flood { seconds },
            other => Self::Invoke(other),
        }
    }
}

impl From<SessionError> for ResolveError {
    fn from(error: SessionError) -> Self {
        Self::Storage(error.to_string())
    }
}

impl Core {
    /// Finds a person; with `anew`, what is remembered is not trusted.
    pub(crate) async fn resolve(&self, person: &Person, anew: bool) -> Result<Resolved, ResolveError> {
        let lookup = person.lookup().ok_or_else(|| ResolveError::Invalid(person.clone()))?;
        if !anew && let Some(known) = self.late(person, &lookup) {
            return Ok(known);
        }
        let turn = self.turns.lock().await.entry(lookup.clone()).or_default().clone();
        let held = turn.lock().await;
        // Somebody else may have found them while we waited for the turn.
        let known = if anew { Ok(None) } else { self.confirmed(person, &lookup).await };
        let found = match known {
            Ok(Some(known)) => Ok(known),
            Ok(None) => self.look_up(person, &lookup, anew).await,
            Err(error) => Err(error),
        };
        drop(held);
        self.turns.lock().await.retain(|_, turn| Arc::strong_count(turn) > 1);
        found
    }

    fn remembered(&self, person: &Person, lookup: &str) -> Option<Resolved> {
        match person {
            Person::Id(id) => self.peers.by_id(*id),
            Person::Phone(_) | Person::Username(_) => self.peers.by_lookup(lookup),
        }
    }

    /// Who is remembered from not so long ago that it might have changed.
    fn late(&self, person: &Person, lookup: &str) -> Option<Resolved> {
        match person {
            Person::Id(id) => self.peers.by_id(*id),
            Person::Phone(_) => self.peers.by_late_lookup(lookup, PHONE_LIFE_S),
            Person::Username(_) => self.peers.by_late_lookup(lookup, NAME_LIFE_S),
        }
    }

    /// The same; those from long ago are asked for by id, which Telegram limits less than the looking up of names.
    async fn confirmed(&self, person: &Person, lookup: &str) -> Result<Option<Resolved>, ResolveError> {
        if let Some(known) = self.late(person, lookup) {
            return Ok(Some(known));
        }
        let Some(known) = self.remembered(person, lookup) else { return Ok(None) };
        let Some(user) = self.raw_user(known.id, known.access_hash).await? else { return Ok(None) };
        let Some(known) = self.peers.by_id(user.id).filter(|_| has(&user, lookup)) else { return Ok(None) };
        self.peers.remember(lookup, &known).await?;
        Ok(Some(known))
    }

    /// The person who is meant, as far as it is not so long ago that they were found that it might have changed.
    pub(crate) fn recall_late(&self, person: &Person) -> Option<Resolved> {
        self.late(person, &person.lookup()?)
    }

    /// The same; Telegram is asked whether it is still so where it is long ago. Nobody is looked up.
    pub(crate) async fn confirm(&self, person: &Person) -> Result<Option<Resolved>, ResolveError> {
        let Some(lookup) = person.lookup() else { return Ok(None) };
        self.confirmed(person, &lookup).await
    }

    /// The person who is remembered to be meant.
    pub(crate) fn recall(&self, person: &Person) -> Option<Resolved> {
        self.remembered(person, &person.lookup()?)
    }

    async fn look_up(&self, person: &Person, lookup: &str, anew: bool) -> Result<Resolved, ResolveError> {
        let found = match person {
            Person::Phone(_) => self.by_phone(lookup.trim_start_matches("phone:")).await,
            Person::Username(_) => self.by_username(lookup.trim_start_matches("username:")).await,
            Person::Id(id) => self.by_id(*id, anew).await,
        };
        match found {
            Ok(Some(found)) => {
                self.peers.remember(lookup, &found).await?;
                Ok(found)
            }
            Ok(None) => {
                self.peers.forget(lookup).await?;
                Err(ResolveError::NotFound(person.clone()))
            }
            Err(error) => Err(error),
        }
    }

    /// `contacts.resolvePhone`, and for those it does not find `contacts.importContacts`.
    async fn by_phone(&self, digits: &str) -> Result<Option<Resolved>, ResolveError> {
        let request = tl::functions::contacts::ResolvePhone { phone: digits.to_owned() };
        let found = match self.invoke(&request, Policy::call()).await {
            Ok(peer) => self.user_of(peer).await?,
            Err(InvokeError::Rpc { code: 400, .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let found = match found {
            Some(found) => Some(found),
            None => self.by_import(digits).await?,
        };
        // Telegram shows the number of contacts alone; who was found by it has it.
        Ok(found.map(|found| Resolved { phone: Some(digits.to_owned()), ..found }))
    }

    async fn by_import(&self, digits: &str) -> Result<Option<Resolved>, ResolveError> {
        let contact = tl::types::InputPhoneContact {
            client_id: 0,
            phone: format!("+{digits}"),
            first_name: format!("+{digits}"),
            last_name: String::new(),
            note: None,
        };
        let request = tl::functions::contacts::ImportContacts { contacts: vec![contact.into()] };
        let tl::enums::contacts::ImportedContacts::Contacts(imported) =
            match self.invoke(&request, Policy::call()).await {
                Ok(imported) => imported,
                Err(InvokeError::Rpc { code: 400, .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
        self.meet(&imported.users).await?;
        let id =
            imported.imported.first().map(|tl::enums::ImportedContact::Contact(contact)| contact.user_id);
        if id.is_none() {
            self.strike_out(digits).await;
        }
        Ok(imported.users.iter().filter_map(Resolved::from_user).find(|user| Some(user.id) == id))
    }

    /// Takes a number that is nobody's out of the account's contacts, where its owner would find it in the Telegram app.
    async fn strike_out(&self, digits: &str) {
        let request = tl::functions::contacts::DeleteByPhones { phones: vec![format!("+{digits}")] };
        if let Err(error) = self.invoke(&request, Policy::call()).await {
            debug!(%error, "a number that is nobody's stays among the contacts");
        }
    }

    async fn by_username(&self, name: &str) -> Result<Option<Resolved>, ResolveError> {
        let request = tl::functions::contacts::ResolveUsername { username: name.to_owned(), referer: None };
        match self.invoke(&request, Policy::call()).await {
            Ok(peer) => Ok(self.user_of(peer).await?),
            Err(InvokeError::Rpc { code: 400, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// With the hash we have; if it went stale, by the phone or name they were known by; else without a hash, which
    /// Telegram takes for contacts.
    async fn by_id(&self, id: i64, anew: bool) -> Result<Option<Resolved>, ResolveError> {
        let known = self.peers.by_id(id);
        let access_hash = known.as_ref().map_or(0, |known| known.access_hash);
        if let Some(found) = self.user(id, access_hash).await? {
            return Ok(Some(found));
        }
        let Some(known) = known.filter(|_| anew) else { return Ok(None) };
        let mut found = None;
        if let Some(name) = known.username {
            found = self.by_username(&name).await?;
        }
        if found.is_none()
            && let Some(phone) = known.phone
        {
            found = self.by_phone(&phone).await?;
        }
        Ok(found.filter(|found| found.id == id))
    }

    async fn user(&self, user_id: i64, access_hash: i64) -> Result<Option<Resolved>, ResolveError> {
        let found = self.raw_user(user_id, access_hash).await?;
        Ok(found.and_then(|found| Resolved::from_user(&found.into())))
    }

    async fn raw_user(
        &self,
        user_id: i64,
        access_hash: i64,
    ) -> Result<Option<tl::types::User>, ResolveError> {
        let id = vec![tl::types::InputUser { user_id, access_hash }.into()];
        match self.invoke(&tl::functions::users::GetUsers { id }, Policy::call()).await {
            Ok(users) => {
                self.meet(&users).await?;
                Ok(users.into_iter().find_map(|user| match user {
                    tl::enums::User::User(user) => (user.id == user_id && !user.deleted).then_some(user),
                    tl::enums::User::Empty(_) => None,
                }))
            }
            Err(InvokeError::Rpc { code: 400, .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn user_of(
        &self,
        peer: tl::enums::contacts::ResolvedPeer,
    ) -> Result<Option<Resolved>, ResolveError> {
        let tl::enums::contacts::ResolvedPeer::Peer(peer) = peer;
        let tl::enums::Peer::User(user) = peer.peer else { return Ok(None) };
        self.meet(&peer.users).await?;
        Ok(peer.users.iter().filter_map(Resolved::from_user).find(|found| found.id == user.user_id))
    }

    async fn meet(&self, users: &[tl::enums::User]) -> Result<(), ResolveError> {
        let met = self.peers.meet(users);
        Ok(self.peers.write(&met).await?)
    }

    /// The name that an approach to this person is counted under; none where the account is no stranger to them, or
    /// nobody can be meant.
    pub(crate) fn stranger(&self, person: &Person) -> Option<Stranger> {
        let lookup = person.lookup()?;
        if let Some(known) = self.remembered(person, &lookup) {
            let is_stranger = !self.peers.acquaintances.has(known.id);
            return is_stranger.then(|| Stranger::Known(format!("id:{}", known.id)));
        }
        let is_acquainted = match person {
            Person::Id(id) => self.peers.acquaintances.has(*id),
            Person::Phone(_) | Person::Username(_) => {
                self.peers.is_acquainted(|known| person.is_meant(&lookup, known))
            }
        };
        (!is_acquainted).then_some(Stranger::Unknown(lookup))
    }

    /// Whether this person is in the account's list of contacts, as far as that came along since the start.
    pub(crate) fn is_contact(&self, person: &Person) -> bool {
        let Some(lookup) = person.lookup() else { return false };
        let found = self.remembered(person, &lookup).map(|known| known.id);
        self.peers.is_contact(|known| Some(known.id) == found || person.is_meant(&lookup, known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_is_the_same_however_it_is_written() {
        let phone = |text: &str| Person::Phone(text.into()).lookup();
        assert_eq!(phone("+7 (900) 111-22-33").as_deref(), Some("phone:79001112233"));
        assert_eq!(phone("79001112233"), phone("+79001112233"));
        assert_eq!((phone("+7"), phone("office"), phone("1234567890123456")), (None, None, None));
        let name = |text: &str| Person::Username(text.into()).lookup();
        assert_eq!(name("@Anna_K"), name("anna_k"));
        assert_eq!((name("@"), name("ann"), name("анна"), name("a b c d")), (None, None, None, None));
        assert_eq!(Person::Id(0).lookup(), None);
        assert_eq!(Person::Id(7).lookup().as_deref(), Some("id:7"));
    }
}
