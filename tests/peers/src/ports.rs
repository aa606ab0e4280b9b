//! Ports nobody uses, for peers that must be told theirs beforehand.

use std::net::{TcpListener, UdpSocket};
use std::ops::RangeInclusive;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Context as _;

/// Ports below those that Linux gives to sockets that ask for none (32768), so that no such socket takes one before
/// its owner opens it.
const FIRST: u16 = 30_100;
/// Each process has a range of its own, or two that look at once would find the same port free.
const RANGES: u16 = 13;
const IN_RANGE: u16 = 200;
/// Ports above those that Linux gives by itself.
const GATEWAY_FIRST: u16 = 61_000;
const GATEWAY_IN_RANGE: u16 = 40;

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

/// Ports for the sound of one gateway of this process: what passes there is that one's.
///
/// # Errors
/// When too many processes want some.
pub fn for_gateway() -> anyhow::Result<RangeInclusive<u16>> {
    let first = GATEWAY_FIRST + range().context("no ports are left for this process")? * GATEWAY_IN_RANGE;
    Ok(first..=first + GATEWAY_IN_RANGE - 1)
}

/// The next port of a walk through this process's range, if it and its followers are free.
fn candidate(in_a_row: u16) -> Option<u16> {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let step = TAKEN.fetch_add(in_a_row, Ordering::Relaxed) % IN_RANGE;
    let first = FIRST + range()? * IN_RANGE + step;
    let is_free =
        |port| TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok();
    (step + in_a_row <= IN_RANGE && (first..first + in_a_row).all(is_free)).then_some(first)
}

/// Which range is this process's. An abstract socket says whose it is; it goes with the process.
fn range() -> Option<u16> {
    static RANGE: OnceLock<Option<(UnixListener, u16)>> = OnceLock::new();
    let own = |number: u16| {
        let name = SocketAddr::from_abstract_name(format!("tgtrunk-test-ports-{number}")).ok()?;
        Some((UnixListener::bind_addr(&name).ok()?, number))
    };
    // Processes one after the other begin at other ranges.
    let start = (std::process::id() % u32::from(RANGES)) as u16;
    let range = RANGE.get_or_init(|| (0..RANGES).find_map(|more| own((start + more) % RANGES)));
    range.as_ref().map(|(_, number)| *number)
}
