//! One call, seen from neither side: the state machine over both legs, and the rules that both must agree on.
//!
//! [`Call`] decides what happens next, whoever called; [`dial`] reads what a PBX dialled, [`caller_id`] says who calls,
//! [`Cause`] is the one table of why a call ends, [`policy`] says who may call whom, when and how often. It knows neither SIP nor Telegram's protocol, only numbers and names
//! that its shell translates.
//!
//! Pure: no clock, socket, task or randomness; time is an argument. After each `handle` the shell drains
//! [`Call::poll_action`], then waits for [`Call::poll_timeout`] or the next event.

#![cfg_attr(test, allow(clippy::disallowed_methods))]
#![warn(clippy::print_stdout)]

pub mod caller_id;
pub mod dial;
pub mod policy;

mod call;
mod cause;
mod event;
mod record;
mod settings;

pub use call::Call;
pub use caller_id::{Caller, CallerId, CallerIdRule};
pub use cause::{Cause, Discard, Row};
pub use dial::{BareDigits, DialError, DialRule, National, Person};
pub use event::{Action, Event, Leg};
pub use policy::Policy;
pub use record::{Ender, Record};
pub use settings::{EarlyAnswer, ParallelIncoming, Settings};
