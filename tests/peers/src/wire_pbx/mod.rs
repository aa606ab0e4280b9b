//! A PBX that speaks SIP from its bare text, without any SIP library: it judges every word that a line says.
//!
//! It says what RFC 3261 asks of a polite far end by itself (ACK, 200 to OPTIONS, BYE and CANCEL, 487 to what was
//! cancelled), and everything else when told. Each call has a socket for its sound.

mod call;
mod dialog;
mod message;
mod pbx;
mod sound;

pub use call::WireCall;
pub use message::Message;
pub use pbx::{Options, WirePbx};
