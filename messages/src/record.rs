//! A message as the journal keeps it.

use serde::{Deserialize, Serialize};

use crate::chat::{ChatId, ChatKind, Person};
use crate::content::Content;
use crate::id::MessageId;

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the account.
    Incoming,
    /// From the account.
    Outgoing,
}

/// Who made a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A program, through this one.
    Api,
    /// The account's owner, on a telephone or computer.
    Device,
    /// Somebody else.
    Peer,
}

/// How far a message of ours came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SendStatus {
    /// In the outgoing queue.
    Pending,
    /// Telegram has it, which tells no more until it is read.
    Sent,
    /// The other side has read it.
    Read,
    /// It will not be sent.
    Failed,
}

/// What a message answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quoted {
    /// Telegram's number of it.
    pub tg_id: i32,
    /// Our number, where the journal has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub participant: Option<ChatId>,
    /// What was in it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Box<Content>>,
}

/// Why a message was not sent, as programs are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// One of the action API's (`privacy_restricted`, `flood_wait`, ...).
    pub word: String,
    /// Which of its files it was, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<u32>,
    /// When it may be tried again: seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u32>,
    /// Whether Telegram may have it, or a part of it, nevertheless.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_be_sent: bool,
}

impl Reason {
    /// Only the word.
    #[must_use]
    pub fn of(word: &str) -> Self {
        Self { word: word.to_owned(), item: None, retry_after_s: None, may_be_sent: false }
    }

    /// Whether the same may be done at another time.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        ["flood_wait", "peer_flood", "not_authorized", "timeout", "internal"].contains(&self.word.as_str())
    }
}

impl Record {
    /// It is told without the small pictures of its files.
    pub(crate) fn drop_pictures(&mut self) {
        let quoted = self.quoted.as_mut().and_then(|quoted| quoted.content.as_deref_mut());
        for content in [Some(&mut self.content), quoted].into_iter().flatten() {
            for file in content.files_mut() {
                file.thumbnail = None;
            }
        }
    }
}

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Our number of it.
    pub id: MessageId,
    /// Which way it went.
    pub direction: Direction,
    /// Who made it.
    pub origin: Origin,
    /// Its chat; none while nobody knows whose the phone number or the name is.
    pub chat: Option<ChatId>,
    /// The chat as the program named it, if it did.
    pub address: String,
    /// What the chat is.
    pub chat_kind: ChatKind,
    /// What the chat is called.
    pub chat_title: String,
    /// Telegram's number, once it has one.
    pub tg_id: Option<i32>,
    /// When it was written, or accepted here: seconds since 1970.
    pub date_s: i64,
    /// Who wrote it; the account itself where none.
    pub sender: Option<Person>,
    /// What is in it.
    pub content: Content,
    /// What it answers.
    pub quoted: Option<Quoted>,
    /// Whether it was written by somebody else first.
    pub is_forwarded: bool,
    /// Whether it came without a sound.
    pub is_silent: bool,
    /// How far it came; of messages of others, whether it was read.
    pub status: SendStatus,
    /// Why it was not sent.
    pub failure: Option<String>,
    /// The same for programs.
    pub reason: Option<Reason>,
    /// When it was last edited: seconds since 1970.
    pub edited_s: Option<i64>,
    /// When it was deleted: seconds since 1970.
    pub deleted_s: Option<i64>,
}

macro_rules! words {
    ($kind:ty { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $kind {
            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The variant of a word.
            #[must_use]
            pub fn read(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(Direction { Incoming = "incoming", Outgoing = "outgoing" });
words!(Origin { Api = "api", Device = "device", Peer = "peer" });
words!(SendStatus { Pending = "pending", Sent = "sent", Read = "read", Failed = "failed" });
