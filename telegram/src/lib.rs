//! A Telegram account, opened: session store, login, supervision.
//!
//! [`Account`] is the handle: requests under a time limit and a flood policy ([`Policy`], [`InvokeError`]), people found
//! once ([`Person`], [`Resolved`]), a lamp that tells the truth ([`Status`]), news of calls without delay ([`Notice`]),
//! and of messages without loss ([`MessageNotice`]).
//! [`Database`] is the program's one file for a number, locked against a second process; [`Login`] and
//! [`terminal::log_in`] get somebody logged in, [`LoginDesk`] does so by the words of the control contract.
//! [`knock`] asks a data centre without an account.
//!
//! Schema, framing, key exchange and the counting of updates are stock `grammers`. The link with Telegram is our own, for
//! what runs for months: messages that are numbered by Telegram's time whatever becomes of the machine's, refusals that are
//! no storm, requests with time limits, pongs somebody looks at, keys that are never replaced silently, updates without loss.
//! It knows no call and no message: their updates pass through unread.

mod account;
mod acquaintances;
mod away;
mod backoff;
mod beside;
mod clock;
mod copy;
mod core;
mod courier;
mod database;
mod flag;
mod invoke;
mod knock;
mod link;
mod login;
mod login_desk;
mod login_work;
mod message;
mod notice;
mod password;
mod peers;
mod person;
mod pool;
mod qr;
mod rows;
mod seed;
mod seen;
mod sentence;
mod session;
mod status;
mod step;
mod stranger;
mod stream;
mod tables;
mod tee;
pub mod terminal;
mod vault;
mod watchdog;

/// Telegram's schema: what requests and answers are made of.
pub use grammers_tl_types as tl;

pub use account::{Account, OpenError, Options};
pub use copy::copy_database;
pub use database::{CACHE, Database, DatabaseError, is_out_of_transactions};
pub use invoke::{InvokeError, Policy};
pub use knock::{data_centres, knock};
pub use link::through;
pub use login::{Login, LoginError, Stage, Via};
pub use login_desk::{Acceptance, Accepted, LoginDesk, LoginHouse, LoginWord};
pub use message::{MessageNews, MessageNotice};
pub use notice::Notice;
pub use person::{Person, ResolveError, Resolved, Stranger};
pub use qr::{LoginToken, TokenError, TokenStage};
pub use seed::SeedError;
pub use sentence::{Prompt, Sentence};
pub use session::{SessionError, Standing, StoredSession};
pub use status::{Orange, Red, Status};
/// The column of a [`Sentence`].
pub use tgtrunk_config::Language;
pub use vault::{CREDENTIAL, VaultError};
