//! Sockets of calls: RTP towards the PBX, host candidates and relays towards Telegram users.

mod datagram;
mod interfaces;
mod proxy;
mod rtp_ports;
pub(crate) mod unreachable;

pub(crate) use datagram::{DATAGRAM_BYTES, MediaSocket, host_socket, mark, widen};
pub(crate) use interfaces::{Addresses, follow};
pub(crate) use proxy::Proxy;
pub(crate) use rtp_ports::{RtpPair, RtpPorts};
