//! Users: who they are, how each looks to another (core.telegram.org/api/peers), and `users.*`.

use std::collections::{BTreeMap, BTreeSet};

use grammers_tl_types as tl;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tl::{Deserializable, Serializable};

use super::bots::BotFace;
use super::contacts::Contact;
use super::dispatch::Ctx;
use super::error::RpcError;
use super::messages::mailbox::Mailbox;
use super::password::Lock;
use super::prime;
use super::privacy::{Privacy, PrivacyKind};
use super::state::State;

/// A user about to exist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewUser {
    /// In any spelling; kept as digits.
    pub phone: String,
    /// Without `@`.
    pub username: Option<String>,
    /// Shown first.
    pub first_name: String,
    /// Shown second.
    pub last_name: Option<String>,
    /// Second factor.
    pub password: Option<String>,
    /// Reminds of the second factor whoever is asked for it.
    pub hint: Option<String>,
    /// Login e-mail: codes go there first, and are taken from there alone.
    pub email: Option<String>,
    /// Number of the user; the next free one without it.
    pub id: Option<i64>,
    /// Home data centre; the world's without it.
    pub dc: Option<i32>,
    /// Language of their application, which bots are told: `en`, `ru`, `pt-br`.
    pub language: Option<String>,
}

impl NewUser {
    /// A user with a phone number and a name.
    pub fn new(phone: impl Into<String>, first_name: impl Into<String>) -> Self {
        Self { phone: phone.into(), first_name: first_name.into(), ..Self::default() }
    }

    /// With a user name, without `@`.
    #[must_use]
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// With a last name.
    #[must_use]
    pub fn last_name(mut self, last_name: impl Into<String>) -> Self {
        self.last_name = Some(last_name.into());
        self
    }

    /// With a second factor.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// With a hint at the second factor.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whose login codes go by e-mail.
    #[must_use]
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.email = Some(email.into());
        self
    }

    /// Whose application speaks this language.
    #[must_use]
    pub fn language(mut self, language: impl Into<String>) -> Self {
        self.language = Some(language.into());
        self
    }

    /// With this number.
    #[must_use]
    pub fn id(mut self, id: i64) -> Self {
        self.id = Some(id);
        self
    }

    /// At home in this data centre.
    #[must_use]
    pub fn dc(mut self, dc: i32) -> Self {
        self.dc = Some(dc);
        self
    }
}

/// A user, told to a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserInfo {
    /// Number.
    pub id: i64,
    /// Digits.
    pub phone: String,
    /// Without `@`.
    pub username: Option<String>,
    /// Shown first.
    pub first_name: String,
    /// Shown second.
    pub last_name: Option<String>,
    /// Home data centre.
    pub dc: i32,
    /// Has a second factor.
    pub has_password: bool,
    /// Deleted or banned.
    pub deactivated: bool,
    /// The common box of messages counts this many events.
    pub pts: i32,
    /// Is a bot.
    pub bot: bool,
    /// Language of their application.
    pub language: Option<String>,
}

/// A user.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: i64,
    pub(crate) phone: String,
    pub(crate) username: Option<String>,
    pub(crate) first_name: String,
    pub(crate) last_name: Option<String>,
    pub(crate) dc: i32,
    pub(crate) lock: Option<Lock>,
    /// At the second factor.
    pub(crate) hint: Option<String>,
    /// Where login codes go.
    pub(crate) email: Option<String>,
    pub(crate) deactivated: bool,
    /// Their newest application cannot take today's calls.
    pub(crate) outdated: bool,
    /// Takes new chats from subscribers of Premium alone.
    pub(crate) premium_only: bool,
    pub(crate) mailbox: Mailbox,
    pub(crate) contacts: BTreeMap<i64, Contact>,
    pub(crate) blocked: BTreeMap<i64, i32>,
    pub(crate) privacy: Privacy,
    pub(crate) language: Option<String>,
    /// What they say of themselves.
    pub(crate) about: Option<String>,
    /// Portraits by number, the newest first.
    pub(crate) photos: Vec<i64>,
    /// Chats in the archive.
    pub(crate) archived: BTreeSet<i64>,
    /// Chats above all others, in this order.
    pub(crate) pinned: Vec<i64>,
    /// Contacts alone may bring them into groups.
    pub(crate) uninvitable: bool,
    /// What a bot has and a person has not.
    pub(crate) bot: Option<BotFace>,
}

impl User {
    fn blank(id: i64, username: Option<String>) -> Self {
        Self {
            id,
            phone: String::new(),
            username,
            first_name: String::new(),
            last_name: None,
            dc: 0,
            lock: None,
            hint: None,
            email: None,
            deactivated: false,
            outdated: false,
            premium_only: false,
            mailbox: Mailbox::default(),
            contacts: BTreeMap::new(),
            blocked: BTreeMap::new(),
            privacy: Privacy::default(),
            language: None,
            about: None,
            photos: Vec::new(),
            archived: BTreeSet::new(),
            pinned: Vec::new(),
            uninvitable: false,
            bot: None,
        }
    }

    pub(crate) fn info(&self) -> UserInfo {
        UserInfo {
            id: self.id,
            phone: self.phone.clone(),
            username: self.username.clone(),
            first_name: self.first_name.clone(),
            last_name: self.last_name.clone(),
            dc: self.dc,
            has_password: self.lock.is_some(),
            deactivated: self.deactivated,
            pts: self.mailbox.pts(),
            bot: self.bot.is_some(),
            language: self.language.clone(),
        }
    }
}

/// All users, found by number, phone and name.
#[derive(Debug)]
pub(crate) struct Users {
    by_id: BTreeMap<i64, User>,
    by_phone: BTreeMap<String, i64>,
    by_username: BTreeMap<String, i64>,
    pub(crate) banned_phones: BTreeSet<String>,
    next_id: i64,
    secret: [u8; 16],
}

/// Why a user cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// Letters, too short, too long.
    #[error("phone = {0:?}: want 5 to 15 digits, with or without +")]
    Phone(String),
    /// Another user has it.
    #[error("{what} = {value:?}: user {owner} has it")]
    Taken {
        /// The field.
        what: &'static str,
        /// What was asked for.
        value: String,
        /// Who has it.
        owner: i64,
    },
    /// Zero or negative.
    #[error("id = {0}: want a positive number")]
    Id(i64),
}

impl Users {
    pub(crate) fn new() -> Self {
        Self {
            by_id: BTreeMap::new(),
            by_phone: BTreeMap::new(),
            by_username: BTreeMap::new(),
            banned_phones: BTreeSet::new(),
            next_id: 5_000_001,
            secret: prime::random(),
        }
    }

    /// Adds a user; `lock` was made of the password, which takes a while and so happens outside.
    pub(crate) fn add(&mut self, new: NewUser, lock: Option<Lock>, home_dc: i32) -> Result<i64, UserError> {
        let phone = digits(&new.phone).ok_or_else(|| UserError::Phone(new.phone.clone()))?;
        if let Some(owner) = self.by_phone.get(&phone) {
            return Err(UserError::Taken { what: "phone", value: phone, owner: *owner });
        }
        let (username, id) = self.free_place(new.username, new.id)?;
        self.by_phone.insert(phone.clone(), id);
        let user = User {
            phone,
            first_name: new.first_name,
            last_name: new.last_name,
            dc: new.dc.unwrap_or(home_dc),
            lock,
            hint: new.hint,
            email: new.email,
            language: new.language,
            ..User::blank(id, username)
        };
        self.by_id.insert(id, user);
        Ok(id)
    }

    /// Adds a bot.
    pub(crate) fn add_bot(
        &mut self,
        (id, username, name): (Option<i64>, String, String),
        face: BotFace,
        home_dc: i32,
    ) -> Result<i64, UserError> {
        let (username, id) = self.free_place(Some(username), id)?;
        let blank = User::blank(id, username);
        self.by_id.insert(id, User { first_name: name, dc: home_dc, bot: Some(face), ..blank });
        Ok(id)
    }

    /// Takes a user name and a number, if nobody has them.
    fn free_place(
        &mut self,
        username: Option<String>,
        id: Option<i64>,
    ) -> Result<(Option<String>, i64), UserError> {
        let username = username.map(|name| name.trim_start_matches('@').to_owned());
        if let Some(name) = &username
            && let Some(owner) = self.by_username.get(&name.to_lowercase())
        {
            return Err(UserError::Taken { what: "username", value: name.clone(), owner: *owner });
        }
        let id = id.unwrap_or(self.next_id);
        if id <= 0 {
            return Err(UserError::Id(id));
        }
        if self.by_id.contains_key(&id) {
            return Err(UserError::Taken { what: "id", value: id.to_string(), owner: id });
        }
        self.next_id = self.next_id.max(id.saturating_add(1));
        if let Some(name) = &username {
            self.by_username.insert(name.to_lowercase(), id);
        }
        Ok((username, id))
    }

    pub(crate) fn user(&self, id: i64) -> Option<&User> {
        self.by_id.get(&id)
    }

    pub(crate) fn user_mut(&mut self, id: i64) -> Option<&mut User> {
        self.by_id.get_mut(&id)
    }

    /// By phone as digits.
    pub(crate) fn by_phone(&self, digits: &str) -> Option<&User> {
        self.by_phone.get(digits).and_then(|id| self.by_id.get(id))
    }

    /// By user name without `@`, in any case.
    pub(crate) fn by_username(&self, name: &str) -> Option<&User> {
        self.by_username.get(&name.to_lowercase()).and_then(|id| self.by_id.get(id))
    }

    /// Gives a user another user name, or takes it away. The caller has seen that it is free.
    pub(crate) fn set_username(&mut self, id: i64, username: Option<String>) {
        let Some(user) = self.by_id.get_mut(&id) else { return };
        if let Some(old) = user.username.take() {
            self.by_username.remove(&old.to_lowercase());
        }
        if let Some(name) = &username {
            self.by_username.insert(name.to_lowercase(), id);
        }
        user.username = username;
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut User> {
        self.by_id.values_mut()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &User> {
        self.by_id.values()
    }

    /// The viewer's access hash for a user: each account has its own.
    pub(crate) fn access_hash(&self, viewer: i64, user: i64) -> i64 {
        let digest = Sha256::new()
            .chain_update(self.secret)
            .chain_update(viewer.to_le_bytes())
            .chain_update(user.to_le_bytes())
            .finalize();
        let (first, _) = digest.split_first_chunk::<8>().expect("a digest has 32 bytes");
        i64::from_le_bytes(*first)
    }

    /// The user as the viewer sees them.
    pub(crate) fn seen_by(&self, viewer: i64, id: i64) -> tl::enums::User {
        let Some(user) = self.by_id.get(&id) else { return tl::types::UserEmpty { id }.into() };
        let mut seen = blank_user(id);
        seen.access_hash = Some(self.access_hash(viewer, id));
        if user.deactivated {
            seen.deleted = true;
            return seen.into();
        }
        let known = self.by_id.get(&viewer).and_then(|viewer| viewer.contacts.get(&id));
        seen.is_self = viewer == id;
        seen.contact = known.is_some();
        seen.mutual_contact = known.is_some() && user.contacts.contains_key(&viewer);
        seen.first_name = Some(known.map_or_else(|| user.first_name.clone(), |c| c.first_name.clone()));
        let last_name = known.map_or_else(|| user.last_name.clone(), |c| c.last_name.clone());
        seen.last_name = last_name.filter(|name| !name.is_empty());
        seen.username.clone_from(&user.username);
        seen.contact_require_premium = user.premium_only;
        seen.photo = user.photos.first().map(|photo_id| {
            let (photo_id, dc_id) = (*photo_id, user.dc);
            let (has_video, personal, stripped_thumb) = (false, false, None);
            tl::types::UserProfilePhoto { has_video, personal, photo_id, stripped_thumb, dc_id }.into()
        });
        if let Some(face) = &user.bot {
            (seen.bot, seen.bot_nochats) = (true, true);
            seen.bot_info_version = Some(face.version);
            seen.bot_inline_placeholder.clone_from(&face.placeholder);
            return seen.into();
        }
        seen.status = Some(tl::types::UserStatusRecently { by_me: false }.into());
        let may = viewer == id
            || known.is_some_and(|contact| contact.by_phone)
            || self.allows(id, PrivacyKind::PhoneNumber, viewer);
        seen.phone = may.then(|| user.phone.clone());
        seen.into()
    }

    /// Each user named, once.
    pub(crate) fn many_seen_by(
        &self,
        viewer: i64,
        ids: impl IntoIterator<Item = i64>,
    ) -> Vec<tl::enums::User> {
        let distinct: BTreeSet<i64> = ids.into_iter().collect();
        distinct.into_iter().map(|id| self.seen_by(viewer, id)).collect()
    }

    /// Whether `owner`'s rules let `viewer`.
    pub(crate) fn allows(&self, owner: i64, kind: PrivacyKind, viewer: i64) -> bool {
        let Some(user) = self.by_id.get(&owner) else { return false };
        user.privacy.allows(kind, viewer, user.contacts.contains_key(&viewer))
    }
}

impl State {
    /// Whom an `InputUser` of this caller means.
    pub(crate) fn input_user(&self, viewer: i64, input: &tl::enums::InputUser) -> Result<i64, RpcError> {
        let refused = || RpcError::bad_request("USER_ID_INVALID");
        match input {
            tl::enums::InputUser::UserSelf => Ok(viewer),
            tl::enums::InputUser::User(named) => {
                let right = named.user_id == viewer
                    || named.access_hash == self.users.access_hash(viewer, named.user_id);
                if right && self.users.user(named.user_id).is_some() {
                    Ok(named.user_id)
                } else {
                    Err(refused())
                }
            }
            tl::enums::InputUser::Empty | tl::enums::InputUser::FromMessage(_) => Err(refused()),
        }
    }

    /// How many groups two users are both in.
    fn common_groups(&self, one: i64, other: i64) -> i32 {
        let both = |group: &&super::groups::Group| {
            !group.deleted
                && group.migrated_to.is_none()
                && group.member(one).is_some()
                && group.member(other).is_some()
        };
        if one == other {
            return 0;
        }
        i32::try_from(self.groups.all().filter(both).count()).unwrap_or(i32::MAX)
    }
}

/// `users.getUsers`: unknown ones come back empty.
pub(crate) fn get_users(
    ctx: &mut Ctx<'_>,
    request: tl::functions::users::GetUsers,
) -> Result<Vec<tl::enums::User>, RpcError> {
    let viewer = ctx.user;
    let seen = |input: &tl::enums::InputUser| match ctx.state.input_user(viewer, input) {
        Ok(id) => ctx.state.users.seen_by(viewer, id),
        Err(_) => tl::types::UserEmpty { id: 0 }.into(),
    };
    Ok(request.id.iter().map(seen).collect())
}

/// `users.getFullUser`.
pub(crate) fn get_full_user(
    ctx: &mut Ctx<'_>,
    request: tl::functions::users::GetFullUser,
) -> Result<tl::enums::users::UserFull, RpcError> {
    let viewer = ctx.user;
    let id = ctx.state.input_user(viewer, &request.id)?;
    let mut full = blank_user_full(id);
    let callable = id != viewer && ctx.state.users.user(id).is_some_and(|user| user.bot.is_none());
    full.phone_calls_available = callable;
    full.video_calls_available = callable;
    full.phone_calls_private = !ctx.state.users.allows(id, PrivacyKind::PhoneCall, viewer);
    full.contact_require_premium = ctx.state.users.user(id).is_some_and(|user| user.premium_only);
    full.about = ctx.state.users.user(id).and_then(|user| user.about.clone());
    let photo = ctx.state.users.user(id).and_then(|user| user.photos.first().copied());
    full.profile_photo = photo.and_then(|photo| ctx.state.files.photo(photo));
    full.pinned_msg_id = ctx.state.pinned(viewer, id);
    full.has_scheduled = !ctx.state.waiting_in(viewer, id).is_empty();
    full.common_chats_count = ctx.state.common_groups(viewer, id);
    full.blocked = ctx.state.users.user(viewer).is_some_and(|user| user.blocked.contains_key(&id));
    let users = vec![ctx.state.users.seen_by(viewer, id)];
    Ok(tl::types::users::UserFull { full_user: full.into(), chats: Vec::new(), users }.into())
}

/// `account.updateStatus`: everybody stays `recently`.
pub(crate) fn update_status(
    _: &mut Ctx<'_>,
    _: tl::functions::account::UpdateStatus,
) -> Result<bool, RpcError> {
    Ok(true)
}

/// Whether a text may be a user name.
pub(crate) fn is_username(name: &str) -> bool {
    (4..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// A phone number as digits alone, if it is one (E.164: at most 15 digits).
pub(crate) fn digits(phone: &str) -> Option<String> {
    let phone = phone.trim();
    let phone = phone.strip_prefix('+').unwrap_or(phone);
    let plain: String = phone.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
    let fine = (5..=15).contains(&plain.len()) && plain.bytes().all(|byte| byte.is_ascii_digit());
    fine.then_some(plain)
}

/// A `user` with every flag off.
fn blank_user(id: i64) -> tl::types::User {
    let mut bytes = vec![0; 8];
    bytes.extend(id.to_le_bytes());
    tl::types::User::from_bytes(&bytes).expect("flags, flags and an id are a whole user")
}

/// A `userFull` with every flag off.
fn blank_user_full(id: i64) -> tl::types::UserFull {
    let mut bytes = vec![0; 8];
    bytes.extend(id.to_le_bytes());
    blank_peer_settings().serialize(&mut bytes);
    blank_notify_settings().serialize(&mut bytes);
    Serializable::serialize(&0_i32, &mut bytes);
    tl::types::UserFull::from_bytes(&bytes).expect("flags, id, settings and a count are a whole userFull")
}

/// `peerSettings` with every flag off.
pub(crate) fn blank_peer_settings() -> tl::enums::PeerSettings {
    tl::types::PeerSettings::from_bytes(&[0; 4]).expect("flags are whole peerSettings").into()
}

/// `peerNotifySettings` with every flag off.
pub(crate) fn blank_notify_settings() -> tl::enums::PeerNotifySettings {
    tl::types::PeerNotifySettings::from_bytes(&[0; 4]).expect("flags are whole peerNotifySettings").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_kept_as_digits_whatever_its_spelling() {
        assert_eq!(digits("+7 (999) 123-45-67").as_deref(), Some("79991234567"));
        assert_eq!(digits("1234"), None);
        assert_eq!(digits("+7999abc"), None);
        assert_eq!(digits("1234567890123456"), None);
    }

    #[test]
    fn access_hashes_differ_between_viewers() {
        let users = Users::new();
        assert_ne!(users.access_hash(1, 3), users.access_hash(2, 3));
        assert_eq!(users.access_hash(1, 3), users.access_hash(1, 3));
    }

    #[test]
    fn a_phone_is_shown_to_those_whom_the_owner_lets() {
        let mut users = Users::new();
        let anna = users.add(NewUser::new("+79990000001", "Anna"), None, 2).unwrap();
        let boris = users.add(NewUser::new("+79990000002", "Boris"), None, 2).unwrap();
        assert_eq!(phone(&users.seen_by(boris, anna)), None);
        assert_eq!(phone(&users.seen_by(anna, anna)).as_deref(), Some("79990000001"));
        let boris_card = Contact { first_name: "B".to_owned(), last_name: None, by_phone: false };
        users.user_mut(anna).unwrap().contacts.insert(boris, boris_card);
        assert_eq!(phone(&users.seen_by(boris, anna)).as_deref(), Some("79990000001"));
    }

    #[test]
    fn a_second_user_with_the_same_phone_is_refused() {
        let mut users = Users::new();
        let anna = users.add(NewUser::new("+79990000001", "Anna"), None, 2).unwrap();
        let again = users.add(NewUser::new("7-999-000-00-01", "Anna"), None, 2);
        assert_eq!(
            again,
            Err(UserError::Taken { what: "phone", value: "79990000001".to_owned(), owner: anna })
        );
    }

    fn phone(user: &tl::enums::User) -> Option<String> {
        match user {
            tl::enums::User::User(user) => user.phone.clone(),
            tl::enums::User::Empty(_) => None,
        }
    }
}
