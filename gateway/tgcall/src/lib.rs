//! Telegram's one-to-one voice calls, spoken between two ends without any library of Telegram's.
//!
//! [`key`] agrees on a call's key, [`Version::choose`] on the engine, and [`Call`] is the rest: encrypted signaling in
//! both framings (8.0.0 to 13.0.0), negotiation of Opus, ICE with TURN servers and Telegram's reflectors over UDP and TCP,
//! DTLS and SRTP. Packets of sound go in and out as RTP.
//!
//! Nothing here opens a socket, reads a clock, spawns a task or knows MTProto: datagrams, bytes of streams that it asks
//! for ([`StreamOrder`]), signaling bytes, `Instant`s and a seed are handed in, the shell drains `poll_*` and sleeps until `poll_timeout`. The one exception is
//! [`Certificate::generate`], and DTLS draws its nonces from the operating system too.

#![cfg_attr(test, allow(clippy::disallowed_methods))]
#![warn(clippy::wildcard_enum_match_arm, clippy::print_stdout)]

mod call;
mod comb;
mod counters;
mod data_channel;
mod demux;
pub mod fingerprint;
pub mod key;
mod liveness;
mod local;
pub mod negotiation;
mod relay;
mod route;
mod sctp;
mod session;
pub mod signaling;
pub mod srtp;
mod version;

pub use call::{Call, CallError, Event, Failure, Parameters};
pub use counters::Counters;
pub use demux::{Addressee, Question, Received, TransactionId, question};
pub use key::SharedKey;
pub use liveness::FAIL_AFTER;
pub use local::{Local, Purpose};
pub use negotiation::AudioFormat;
pub use relay::Server;
pub use route::{Detour, Route, StreamId, StreamOrder, Transmit};
pub use session::{
    BadAddress, Certificate, CertificateError, PathFailure, PathInfo, PathKind, PathTransport,
};
pub use version::{Framing, MAX_LAYER, MIN_LAYER, Version};
