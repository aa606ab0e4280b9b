//! Calls: INVITE both ways and everything that happens inside their dialogs.

mod ack;
mod again;
mod bye;
mod cancel;
mod failover;
mod in_dialog;
mod info;
mod modify;
mod provisional;
mod refer;
mod replaces;
mod session_timer;
mod state;
mod subscribe;
mod turned_away;
mod uac;
mod uas;

pub(crate) use again::Asked;
pub(crate) use failover::Way;
pub(crate) use info::Infos;
pub(crate) use state::{Call, GivingUp, Inviting, State};
pub use turned_away::TurnedAway;
pub use uac::Invite;
pub use uas::Rejection;
