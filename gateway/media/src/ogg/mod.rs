//! Opus in Ogg files (RFC 3533, RFC 7845): what a recording of a side is, written as packets come and read back.

mod packets;
mod page;
mod track;
mod writer;

pub use packets::{Packet, packets};
pub use track::Track;
pub use writer::Writer;
