//! Packets of sound: what a codec is, how RTP carries it, and the one relay of a call.
//!
//! [`Relay`] carries sound between the two sides of a call under numbers of its own: one codec on both sides passes,
//! two are decoded and encoded anew, and it makes tones, digits, silence and reports besides. [`Latch`] decides whose
//! packets it gets to see, [`codec::TABLE`] holds a row for each codec.
//!
//! Pure: no clock, socket, task or randomness; time and seeds are arguments. It knows neither side's signalling.

#![cfg_attr(test, allow(clippy::disallowed_methods))]
#![warn(clippy::wildcard_enum_match_arm, clippy::print_stdout)]

pub mod codec;
pub mod dtmf;
pub mod ogg;
pub mod opus;
pub mod quality;
pub mod rtcp;
pub mod rtp;

mod audio;
mod batch;
mod comfort;
mod direction;
mod event;
mod jitter;
mod keys;
mod latch;
mod leg;
mod meter;
mod numbers;
mod pace;
mod pass;
mod playout;
mod ramp;
mod relay;
mod report;
mod silence;
mod slack;
mod source;
mod studio;
mod tone;
mod window;

pub use audio::Audio;
pub use batch::{Batch, TAIL_BYTES};
pub use codec::Codec;
pub use event::Event;
pub use latch::{Latch, PREFERENCE};
pub use relay::{Outcome, Relay, Side};
pub use report::{Counters, Dropped, Playback, Reason, Report};
pub use silence::Silence;
pub use tone::Tone;
