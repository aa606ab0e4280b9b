//! Packets of sound: what a codec is, how RTP carries it, and the one relay of a call.
//!
//! Pure: no clock, socket, task or randomness; time and seeds are arguments. It knows neither side's signalling.

#![warn(clippy::wildcard_enum_match_arm, clippy::print_stdout)]

pub mod codec;

pub use codec::Codec;
