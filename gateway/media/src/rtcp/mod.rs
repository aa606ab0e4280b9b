//! RTCP beside one RTP stream each way: what we say of it, and what the peer says (RFC 3550 section 6).

mod packet;
mod reporter;

pub use packet::{Blocks, Entry, Packets, RtcpError, packets};
pub use reporter::{Remote, Reporter};
