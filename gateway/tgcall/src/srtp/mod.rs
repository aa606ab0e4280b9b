//! SRTP and SRTCP (RFC 3711, RFC 7714) for the three profiles that DTLS-SRTP negotiates here, and
//! the one more of SDES.
//!
//! [`Sender`] protects and [`Receiver`] opens packets in place, without allocation; [`key_pair`] cuts the keying
//! material of a DTLS handshake into the two of them.

mod cm;
mod gcm;
mod kdf;
mod packet;
mod profile;
mod receiver;
mod replay;
mod sender;
mod transform;

pub use packet::{PacketError, rtp_header_len};
pub use profile::{KeyingError, MasterKey, Profile, key_pair};
pub use receiver::{OpenError, Receiver};
pub use sender::{ProtectError, Sender};
pub use transform::TAIL_BYTES;
