//! Ports nobody uses, for peers that must be told theirs beforehand.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context as _;

/// Ports below those that Linux gives to sockets that ask for none (32768), so that no such socket takes one before
/// its owner opens it.
const FIRST: u16 = 30_100;
const COUNT: u16 = 2_600;
/// Processes one after the other begin this far apart.
const STRIDE: u32 = 37;

/// A port that is free for TCP and UDP on loopback at this moment.
///
/// # Errors
/// When none can be found.
pub fn free() -> anyhow::Result<u16> {
    (0..256).find_map(|_| candidate(1)).context("no free port on loopback")
}

/// A port that is free together with the next one (SIP phones open TLS there).
///
/// # Errors
/// When none can be found.
pub fn free_pair() -> anyhow::Result<u16> {
    (0..256).find_map(|_| candidate(2)).context("no two free ports in a row on loopback")
}

/// An even port that is free together with the next two, for RTP and RTCP (RFC 3550 section 11), and for the second
/// stream that SIPp opens whether there is one or not.
///
/// # Errors
/// When none can be found.
pub fn free_media() -> anyhow::Result<u16> {
    let four = (0..256).find_map(|_| candidate(4)).context("no four free ports in a row on loopback")?;
    Ok(four.next_multiple_of(2))
}

/// The next port of a walk through the range, if it and its followers are free.
fn candidate(in_a_row: u16) -> Option<u16> {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let step = std::process::id() * STRIDE + TAKEN.fetch_add(u32::from(in_a_row), Ordering::Relaxed);
    let first = FIRST + u16::try_from(step % u32::from(COUNT)).ok()?;
    let is_free =
        |port| TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok();
    (first..first + in_a_row).all(is_free).then_some(first)
}
