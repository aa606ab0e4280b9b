//! Who speaks with Telegram for an instance: an account, or a bot.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde_json::Value;

use crate::chat::{Address, Chat, ChatId, Person};
use crate::content::{Content, LoginTokenPicture};
use crate::entity::Entity;
use crate::instance::TypingKind;
use crate::record::Quoted;
use crate::standing::Standing;

/// A message to be sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// Whom to.
    pub to: Address,
    /// What Telegram knows it by, so that it is not sent twice.
    pub random_id: i64,
    /// What is in it; its files lie at `paths`.
    pub content: Content,
    /// Where the files are, one after the other.
    pub paths: Vec<PathBuf>,
    /// Telegram's number of the message that it answers.
    pub reply_to: Option<i32>,
    /// A message to be forwarded instead of the content: its chat, and its number.
    pub forward: Option<(ChatId, i32)>,
    /// Whether a forwarded message does not say who wrote it.
    pub hides_author: bool,
    /// Whether it comes without a sound.
    pub is_silent: bool,
    /// What a bot puts under it or in place of people's letters (core.telegram.org/bots/api#sendmessage, `reply_markup`).
    pub buttons: Option<Value>,
}

/// A message that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Where it is.
    pub chat: Chat,
    /// Telegram's number of it.
    pub tg_id: i32,
    /// Seconds since 1970.
    pub date_s: i64,
}

/// Why Telegram did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// `FLOOD_WAIT`: the account has to rest.
    #[error("Telegram asks to wait {seconds} s")]
    Flood {
        /// For so long.
        seconds: u32,
    },
    /// `SLOWMODE_WAIT`: this chat takes the account's next message later.
    #[error("the chat takes another message of the account in {seconds} s (slow mode)")]
    Slow {
        /// After so long.
        seconds: u32,
    },
    /// `PEER_FLOOD`: the account may not write to strangers for a while.
    #[error("Telegram limits the account for writing to strangers (PEER_FLOOD)")]
    PeerFlood,
    /// A message with this `random_id` is there already.
    #[error("the message was sent before")]
    Repeated,
    /// Nobody knows whether it was done: the connection is lost, or Telegram did not answer.
    #[error("{0}")]
    Unknown(String),
    /// It was not done, as Telegram was not reached at all.
    #[error("{0}")]
    Undone(String),
    /// The session is not authorized.
    #[error("the instance is not authorized")]
    Unauthorized,
    /// It is refused for good. The word is for programs (`no_telegram_account`, `privacy_restricted`, ...), the sentence
    /// for people.
    #[error("{sentence}")]
    Refused {
        /// For programs.
        word: &'static str,
        /// For people.
        sentence: String,
    },
    /// This kind of account cannot do it.
    #[error("{0}")]
    Unsupported(&'static str),
}

/// What happened at Telegram.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// A message came, or the account wrote one.
    New(Box<Received>),
    /// A message is another one now.
    Edited(Box<Received>),
    /// Messages are gone. Those of private chats and basic groups come without their chat.
    Deleted {
        /// The channel, where they are of one.
        chat: Option<ChatId>,
        /// Their numbers.
        tg_ids: Vec<i32>,
    },
    /// The other side has read up to here.
    Read {
        /// In this chat.
        chat: ChatId,
        /// Up to this number.
        up_to: i32,
    },
    /// Somebody's reaction to a message.
    Reaction {
        /// The message's chat.
        chat: Chat,
        /// The message.
        tg_id: i32,
        /// Whose.
        sender: Option<Person>,
        /// The emoji; none where it was taken back.
        emoji: Option<String>,
        /// Seconds since 1970.
        date_s: i64,
    },
}

/// A message as Telegram tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// Its chat.
    pub chat: Chat,
    /// Its number.
    pub tg_id: i32,
    /// Who wrote it; none for the account itself.
    pub sender: Option<Person>,
    /// Whether the account wrote it.
    pub is_ours: bool,
    /// Seconds since 1970.
    pub date_s: i64,
    /// Seconds since 1970.
    pub edited_s: Option<i64>,
    /// What is in it.
    pub content: Content,
    /// What it answers.
    pub quoted: Option<Quoted>,
    /// Whether it was written by somebody else first.
    pub is_forwarded: bool,
    /// Whether it came without a sound.
    pub is_silent: bool,
    /// What the messages of one album have in common (`grouped_id`).
    pub album: Option<i64>,
}

/// Which messages of a chat are looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Words that are in them; any where empty.
    pub query: String,
    /// Older than the message with this number.
    pub before: Option<i32>,
    /// Not older than this: seconds since 1970.
    pub since_s: Option<i64>,
    /// Older than this: seconds since 1970.
    pub until_s: Option<i64>,
    /// At most so many.
    pub count: usize,
}

/// A chat of the account's list.
#[derive(Clone, Debug, PartialEq)]
pub struct Dialog {
    /// The chat.
    pub chat: Chat,
    /// How many messages in it the account has not read.
    pub unread: u32,
    /// Its newest message.
    pub last: Option<Received>,
}

/// The account's own card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Its number at Telegram; none while it is not authorized.
    pub id: Option<ChatId>,
    /// Digits.
    pub phone: String,
    /// What it is called.
    pub name: String,
    /// Without `@`.
    pub username: Option<String>,
}

/// Somebody who was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Their card.
    pub person: Person,
    /// When they were last there, where they show it: seconds since 1970.
    pub last_seen_s: Option<i64>,
    /// What they say of themselves.
    pub about: String,
}

/// How far a login is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginStep {
    /// A QR code is to be scanned.
    Scan(LoginTokenPicture),
    /// Telegram has sent a code.
    Code,
    /// The account's password is wanted.
    Password,
    /// Somebody is logged in.
    Done,
    /// It failed; the word is GREEN-API's (`invalid_password`, `rate_limit_exceeded`, `authorization_not_started`,
    /// `timeout`, `invalid_code`, ...).
    Failed {
        /// For programs.
        word: &'static str,
        /// For people.
        sentence: String,
        /// The same for those who read Russian; empty where nobody has said it so.
        russian: String,
    },
}

/// What a login is told.
#[derive(Clone, PartialEq, Eq)]
pub enum Signin {
    /// Show a QR code, or how far the login is.
    Qr,
    /// Send a code to this number: digits.
    Phone(String),
    /// The code, and perhaps the password.
    Code {
        /// The code.
        code: String,
        /// The password.
        password: Option<String>,
    },
    /// The password.
    Password(String),
    /// End the session.
    LogOut,
}

/// What members of a group may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "Telegram has a switch for each")]
pub struct GroupRights {
    /// Write.
    pub send_messages: bool,
    /// Send files.
    pub send_media: bool,
    /// Make polls.
    pub send_polls: bool,
    /// Send stickers and the like.
    pub send_other: bool,
    /// Have links shown with pictures.
    pub add_web_page_previews: bool,
    /// Change title and picture.
    pub edit_settings: bool,
    /// Add members.
    pub add_members: bool,
    /// Pin messages.
    pub pin_messages: bool,
}

/// What of it is to be changed; what is none stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RightsChange {
    /// Write.
    pub send_messages: Option<bool>,
    /// Send files.
    pub send_media: Option<bool>,
    /// Make polls.
    pub send_polls: Option<bool>,
    /// Send stickers and the like.
    pub send_other: Option<bool>,
    /// Have links shown with pictures.
    pub add_web_page_previews: Option<bool>,
    /// Change title and picture.
    pub edit_settings: Option<bool>,
    /// Add members.
    pub add_members: Option<bool>,
    /// Pin messages.
    pub pin_messages: Option<bool>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Who.
    pub person: Person,
    /// Whether they are an administrator.
    pub is_admin: bool,
    /// Whether they made the group.
    pub is_owner: bool,
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its chat.
    pub chat: Chat,
    /// What it says of itself.
    pub about: String,
    /// Who made it.
    pub owner: Option<ChatId>,
    /// When: seconds since 1970.
    pub created_s: i64,
    /// The link by which one joins.
    pub invite_link: String,
    /// What members may do.
    pub rights: GroupRights,
    /// Who is in it.
    pub members: Vec<GroupMember>,
}

/// A group to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGroup {
    /// Its title.
    pub title: String,
    /// Whom to add.
    pub members: Vec<Address>,
    /// Whether it is to be a supergroup.
    pub is_supergroup: bool,
    /// Days after which messages vanish; 0 for never.
    pub auto_delete_days: u32,
}

/// A group that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewlyMade {
    /// Its chat.
    pub chat: Chat,
    /// The link by which one joins it; empty if Telegram did not give one.
    pub link: String,
    /// Who is not in it, and why, where not all are.
    pub missing: Option<String>,
}

/// What to change in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupChange {
    /// Its title.
    Title(String),
    /// What members may do.
    Rights(RightsChange),
    /// Its picture, a JPEG file.
    Picture(PathBuf),
    /// Add somebody.
    Add(Address),
    /// Remove somebody.
    Remove(Address),
    /// Make somebody an administrator.
    Promote(Address),
    /// Make an administrator a member like all others.
    Demote(Address),
    /// Leave it.
    Leave,
}

/// Where somebody logs in.
#[async_trait]
pub trait Door: Send + Sync {
    /// Leads the login a step on.
    async fn sign_in(&self, word: Signin) -> LoginStep;
}

/// Who speaks with Telegram for an instance.
#[async_trait]
pub trait Messenger: Send + Sync + 'static {
    /// How the instance stands with Telegram.
    fn standing(&self) -> Standing;

    /// Returns when that may have changed.
    async fn standing_changed(&self);

    /// The account's own card.
    fn account(&self) -> Account;

    /// Where somebody logs in.
    fn door(&self) -> &dyn Door;

    /// Whether Telegram knows a message that it is handed again, by its `random_id`. Where it does not, one is handed over
    /// once, and nobody finds out whether it arrived if no answer came.
    fn knows_repeats(&self) -> bool {
        true
    }

    /// Whether the account knows who that is, as far as can be told without asking Telegram: a contact, somebody who wrote to
    /// it or called, a group. Telegram limits approaches to everybody else.
    fn knows(&self, _: ChatId) -> bool {
        false
    }

    /// Sends a message.
    async fn send(&self, order: &Order) -> Result<Sent, Failure>;

    /// The account's own last messages in a chat, the newest first: to find one that was sent before.
    async fn last_own(&self, to: &Address) -> Result<Vec<Received>, Failure>;

    /// Shows that the account is writing, or doing something like it.
    async fn typing(&self, to: &Address, kind: TypingKind) -> Result<(), Failure>;

    /// Sends a file and one to nine more ([`Content::File`]) as one album, the first known by the order's `random_id` and
    /// each further one by the next number.
    async fn send_album(&self, _: &Order) -> Result<Vec<Sent>, Failure> {
        Err(Failure::Unsupported("albums cannot be sent"))
    }

    /// Changes the text or the caption of a message, and the inline buttons under it, which are for bots alone.
    async fn edit(
        &self,
        chat: ChatId,
        tg_id: i32,
        text: &str,
        entities: &[Entity],
        buttons: Option<&Value>,
    ) -> Result<(), Failure>;

    /// Deletes messages, for everybody or for the account alone.
    async fn delete(&self, chat: ChatId, tg_ids: &[i32], is_for_everyone: bool) -> Result<(), Failure>;

    /// Marks a chat read, up to a message or whole.
    async fn mark_read(&self, chat: ChatId, up_to: Option<i32>) -> Result<(), Failure>;

    /// The last messages of a chat before one, the newest first.
    async fn history(
        &self,
        chat: ChatId,
        before: Option<i32>,
        count: usize,
    ) -> Result<Vec<Received>, Failure>;

    /// One message.
    async fn message(&self, chat: ChatId, tg_id: i32) -> Result<Option<Received>, Failure>;

    /// Messages by their numbers; those that are not there are left out.
    async fn messages(&self, chat: ChatId, tg_ids: &[i32]) -> Result<Vec<Received>, Failure> {
        let mut found = Vec::new();
        for tg_id in tg_ids {
            found.extend(self.message(chat, *tg_id).await?);
        }
        Ok(found)
    }

    /// Messages of a chat that are looked for, the newest first.
    async fn search(&self, _: ChatId, _: &Search) -> Result<Vec<Received>, Failure> {
        Err(Failure::Unsupported("messages cannot be searched"))
    }

    /// The account's chats with their newest messages, those with the newest first.
    async fn dialogs(&self, _: usize) -> Result<Vec<Dialog>, Failure> {
        Err(Failure::Unsupported("the list of chats is not to be had"))
    }

    /// Writes a file of Telegram to `path`, at most `limit` bytes.
    async fn download(&self, remote: &str, path: &Path, limit: u64) -> Result<(), Failure>;

    /// Whom an address names, as far as that is remembered from not so long ago that it might have changed: Telegram is not
    /// asked.
    fn remembered(&self, _: &Address) -> Option<ChatId> {
        None
    }

    /// The same; where it is longer ago, Telegram is asked whether it is still so. Nobody is looked up.
    async fn confirmed(&self, _: &Address) -> Result<Option<ChatId>, Failure> {
        Ok(None)
    }

    /// Whether nothing is known that speaks against a number or a name being somebody's who was found by it.
    fn is_still(&self, _: &Address, _: ChatId) -> bool {
        true
    }

    /// Whom a phone number or a name belongs to, asked anew; none if to nobody who lets themselves be found.
    async fn find(&self, who: &Address) -> Result<Option<Person>, Failure>;

    /// What is known of somebody.
    async fn info(&self, who: &Address) -> Result<Found, Failure>;

    /// What a chat's picture is known by, which is another for another picture; none if it has none.
    async fn avatar_key(&self, of: &Address) -> Result<Option<String>, Failure>;

    /// Writes a chat's picture to `path`; false if it has none.
    async fn avatar(&self, of: &Address, path: &Path) -> Result<bool, Failure>;

    /// Changes the account's own picture.
    async fn set_avatar(&self, path: &Path) -> Result<(), Failure>;

    /// The account's contacts.
    async fn contacts(&self) -> Result<Vec<Person>, Failure>;

    /// Puts somebody among the contacts, or changes what they are called there.
    async fn add_contact(&self, who: &Address, first_name: &str, last_name: &str) -> Result<Person, Failure>;

    /// Takes somebody from among the contacts.
    async fn delete_contact(&self, who: &Address) -> Result<(), Failure>;

    /// The account's chats, those with the newest messages first.
    async fn chats(&self, count: usize) -> Result<Vec<Chat>, Failure>;

    /// Puts a chat into the archive, or takes it out.
    async fn archive(&self, chat: ChatId, is_archived: bool) -> Result<(), Failure>;

    /// Makes a group. Once it is there, nothing that goes wrong afterwards is a failure.
    async fn create_group(&self, group: &NewGroup) -> Result<NewlyMade, Failure>;

    /// A group, with its members.
    async fn group(&self, chat: ChatId) -> Result<Group, Failure>;

    /// Changes a group.
    async fn change_group(&self, chat: ChatId, change: &GroupChange) -> Result<(), Failure>;
}
