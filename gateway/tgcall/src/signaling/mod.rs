//! Signaling: JSON messages between the two ends of a call, sealed with its key, through
//! Telegram's servers, which may lose, repeat and reorder what they carry.

mod carrier;
mod channel;
mod compression;
mod crypto;
pub mod message;
mod parameters;
mod raw;
mod records;
mod sequence;

pub use channel::{Signaling, SignalingError};
pub use compression::InflateError;
pub use message::{Message, MessageError};
pub use parameters::CustomParameters;
