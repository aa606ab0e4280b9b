//! What can be done with Opus packets without decoding them (RFC 6716 section 3), and the words about them in SDP.

mod frames;
mod packing;
mod parameters;
mod shape;

pub use frames::Frames;
pub use packing::{join, split};
pub use parameters::Parameters;
pub use shape::{Shape, duration};
