//! Messages of an account or a bot, kept so that nothing accepted is lost, and the HTTP dialects over them.
//!
//! An [`Instance`] is one account or bot as programs know it: a ten-digit number and a token. What they have it send goes
//! through its outgoing queue, what comes through its queue of notifications; both are on the disk before anybody is told,
//! as is its journal. A [`Messenger`] is whoever speaks with Telegram for it; this crate knows no Telegram, only the
//! numbers that its chats and messages have. [`green`] is the dialect that GREEN-API's clients speak.

pub mod actions;
mod browse;
mod chat;
mod clock;
mod content;
mod doors;
mod entity;
mod fetching;
mod files;
mod gate;
pub mod green;
mod house;
mod id;
mod inbox;
mod instance;
mod job;
mod markup;
mod messenger;
pub mod openapi;
mod outbox;
mod pause;
mod post;
mod push;
mod reach;
mod record;
mod remote;
mod settings;
mod space;
mod standing;
mod store;
mod token;
mod upkeep;

pub use browse::{
    Bookmark, Browse, Cancelled, Dropped, Head, Leaf, Rest, RestKind, Seen, Waiting, WebhookFault,
    WebhookState,
};
pub use chat::{Address, AddressError, Chat, ChatId, ChatKind, Person, PersonKind};
pub use clock::Ages;
pub use content::{Attachment, Content, FileKind, LeftOut, LoginTokenPicture, Place, Poll, VCard};
pub use doors::{bearer, phone_hint, shown};
pub use entity::{Entity, EntityKind};
pub use files::{FileWriter, kind_of};
pub use gate::{Denied, Gate, Grant};
pub use green::lenient::{SyntaxError, object, read as read_json};
pub use house::{Former, House, Office, Starting};
pub use id::{InstanceId, MessageId};
pub use instance::{
    Accepted, CallNews, Draft, Instance, InstanceKind, Manner, Options, QueueLine, Refused, StoredFile,
    Typing, TypingKind,
};
pub use messenger::{
    Account, Dialog, Door, Failure, Found, Group, GroupChange, GroupMember, GroupRights, LoginStep,
    Messenger, NewGroup, NewlyMade, News, Order, Received, RightsChange, Search, Sent, Signin,
};
pub use post::{Poster, PosterError};
pub use reach::{ReachError, Web};
pub use record::{Direction, Origin, Quoted, Reason, Record, SendStatus};
pub use remote::{Asked, FileSeen, Glance, QueueSeen, Told};
pub use settings::{Settings, SettingsError};
pub use standing::Standing;
pub use store::{Lifted, Store, StoreError, lift};
pub use token::Token;
