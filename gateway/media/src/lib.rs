//! Packets of sound: what a codec is, how RTP carries it, and the one relay of a call.
//!
//! [`Relay`] passes Opus between the two sides of a call untouched and under numbers of its own, [`Latch`] decides
//! whose packets it gets to see, [`codec::TABLE`] is what offers are written from.
//!
//! Pure: no clock, socket, task or randomness; time and seeds are arguments. It knows neither side's signalling.

#![cfg_attr(test, allow(clippy::disallowed_methods))]
#![warn(clippy::wildcard_enum_match_arm, clippy::print_stdout)]

pub mod codec;
pub mod dtmf;
pub mod opus;
pub mod rtp;

mod batch;
mod direction;
#[allow(dead_code, reason = "decoding comes next")]
mod jitter;
mod latch;
mod relay;
mod report;
mod silence;
mod slack;
mod window;

pub use batch::Batch;
pub use codec::Codec;
pub use direction::{Incoming, Stream};
pub use latch::{Latch, PREFERENCE};
pub use relay::{Outcome, Relay, Side};
pub use report::{Counters, Dropped, Reason, Report};
pub use silence::Silence;
