//! Ports nobody uses, for peers that must be told theirs beforehand.

use std::net::{TcpListener, UdpSocket};

use anyhow::Context as _;

/// A port that is free for TCP and UDP on loopback at this moment.
///
/// # Errors
/// When none can be found.
pub fn free() -> anyhow::Result<u16> {
    (0..64).find_map(|_| candidate(1)).context("no free port on loopback")
}

/// A port that is free together with the next one (SIP phones open TLS there).
///
/// # Errors
/// When none can be found.
pub fn free_pair() -> anyhow::Result<u16> {
    (0..64).find_map(|_| candidate(2)).context("no two free ports in a row on loopback")
}

fn candidate(in_a_row: u16) -> Option<u16> {
    let first = TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
    let is_free =
        |port| TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok();
    (first..first.checked_add(in_a_row)?).all(is_free).then_some(first)
}
