//! A stand-in for Telegram's reflectors: relays that a call's two sides reach by peer tags, over UDP or TCP.
//!
//! How the real ones behave behind what clients see of them is not known. This one knows a call by the first twelve
//! bytes of its peer tag, the two sides by one bit of these, which it turns as it forwards, and takes only what is
//! exactly as clients send it.

mod frame;
mod server;
mod table;

pub use server::{Counters, Reflector};
pub use table::Side;
