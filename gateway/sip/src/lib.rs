//! The trunk side: one line's end of a SIP trunk (RFC 3261), without clock, socket, task or chance.
//!
//! [`Endpoint`] is a line. The shell gives it datagrams ([`Endpoint::handle_datagram`], or [`Endpoint::handle_burst`] where several came) and what a [`Framer`] finds in
//! streams ([`Endpoint::handle_frame`]), the time ([`Endpoint::handle_timeout`]) and wishes ([`Endpoint::invite`],
//! [`Endpoint::ringing`], [`Endpoint::answer`], [`Endpoint::reject`], [`Endpoint::hang_up`]); after each it takes what
//! comes out of [`Endpoint::poll_transmit`], [`Endpoint::poll_event`] and [`Endpoint::poll_timeout`].
//!
//! Inside, from the wire up: `stream` cuts messages out of streams, `edge` judges them, `message`, `header` and `uri`
//! read them, `transaction` makes them reliable, `dialog` and `call` remember, `sdp` and `offer_answer` settle the
//! audio. The grammar is our own; `rsip` is the second opinion in the tests. This room knows nothing of who is called,
//! or how they are reached.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests begin at the real clock's now"))]

mod audio;
mod bucket;
mod burst;
mod call;
mod dialog;
mod edge;
mod endpoint;
mod event;
mod extra;
mod filter;
mod guard;
mod header;
mod hop;
mod message;
mod numbers;
mod offer_answer;
mod options;
mod peers;
mod proofs;
mod register;
mod remains;
mod rush;
mod sdes;
mod sdp;
#[cfg(test)]
mod second_opinion;
mod seen;
mod stream;
mod text;
mod thrift;
mod token;
mod transaction;
mod uri;

pub use audio::{LocalAudio, RemoteAudio, TelephoneEvent};
pub use bucket::Bucket;
pub use call::{Invite, Rejection, TurnedAway};
pub use endpoint::{Availability, CallId, Config, Endpoint, Memory, Strangers, Transmit};
pub use event::Event;
pub use guard::{Demand, DemandedBy, network_of};
pub use header::{Credentials, Identity, Party, Protocol, Reason};
pub use hop::{Hop, Transport};
pub use offer_answer::AudioError;
pub use register::{Register, Registration};
pub use remains::{Remains, RemainsError};
pub use sdes::{CryptoSuite, SDES_KEY_BYTES, SdesKey, Srtp, SrtpKeys};
pub use sdp::{Direction, SdpError};
pub use stream::{Broken, Expired, Frame, Framer, PONG};
pub use uri::{Scheme, Uri, UriError};
