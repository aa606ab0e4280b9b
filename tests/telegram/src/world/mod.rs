//! The world behind the wire: who exists, who is logged in where, who calls whom, and what goes wrong.
//!
//! [`World`] is the handle; everything happens under its one lock, in the order in which requests arrive, and leaves
//! through bounded channels. A method of the API is one function `fn(&mut Ctx, Request) -> Result<Request::Return,
//! RpcError>` in the file of its noun and one row in `dispatch.rs`; a method without a row is answered
//! `METHOD_NOT_IMPLEMENTED`, as Telegram does.

mod authorizations;
pub(crate) mod bots;
mod call;
mod calls;
mod channels;
mod chats;
pub(crate) mod clock;
mod contacts;
mod device;
mod dispatch;
mod error;
mod faults;
mod files;
mod groups;
mod handle;
mod help;
mod journal;
mod keys;
mod letters;
mod login;
pub(crate) mod messages;
mod outbox;
mod password;
pub(crate) mod peers;
mod phone;
mod prime;
mod privacy;
mod profile;
mod protocol;
mod puppet;
mod qr;
mod quiet;
mod settings;
mod state;
mod updates;
mod users;

pub use bots::{
    BotAction, BotEntry, BotFace, BotInfo, BotMatch, BotRule, BotRuleInfo, Button, NewBot, PressAnswer,
};
pub use call::{CallInfo, Ending, Stage};
pub use chats::{
    ButtonInfo, CallLine, ChatInfo, ContactInfo, EntityInfo, MessageInfo, PlaceInfo, PollInfo, ReactionInfo,
    Said,
};
pub use device::{DEVICE_QUEUE, Device, DeviceHandle};
pub use error::RpcError;
pub use faults::{Action, Match, Rule, RuleInfo};
pub use groups::{GroupInfo, GroupKind, MemberInfo, NewGroup};
pub use handle::World;
pub use journal::{Entry, shorten};
pub use keys::KeyInfo;
pub use letters::{Hung, Letter};
pub use messages::webpages::WebPage;
pub use prime::{DH_G, dh_prime};
pub use privacy::{Audience, PrivacyInfo, PrivacyKind};
pub use puppet::{Puppet, PuppetCall};
pub use settings::{BusyHold, CallSettings, CodeWay, Connection, Settings, Unregistered, Versions, Wrap};
pub(crate) use state::State;
pub use users::{NewUser, UserInfo};
