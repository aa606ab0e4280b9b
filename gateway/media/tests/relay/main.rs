//! A call's relay between two simulated phones: sound in, sound out, over networks that lose, delay and repeat.

#![allow(clippy::disallowed_methods, reason = "tests begin their virtual clocks somewhere")]
#![allow(clippy::unwrap_used, reason = "what cannot be read is a failed test")]

mod digits;
mod junk;
mod noise;
mod passing;
mod signal;
mod sound;
mod world;
