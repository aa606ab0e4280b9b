//! The DTLS end of a call (RFC 6347) and its clock, which skips waits that are too long for a call.
//!
//! The library repeats a flight after twice the time of the last repetition, without bound: where a third of all packets
//! is lost, a call would be silent for many seconds after a few unlucky ones. Nothing but flights goes by this clock, so
//! it may run ahead: a wait that would be longer than [`LONGEST_WAIT`] is over by then.

use std::time::{Duration, Instant};

use dimpl::Dtls;

use crate::negotiation::{DtlsRole, RemoteSetup};

/// Between two repetitions of a flight.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// An instance that waits longer has nothing to repeat: idle ones name a day years ahead. Flights wait for months at the
/// end of their repetitions, as the library has it.
const IDLE: Duration = Duration::from_secs(5 * 365 * 86_400);

pub(super) struct Handshake {
    pub(super) dtls: Dtls,
    pub(super) role: DtlsRole,
    /// A client begins once it has a path, a server is ready from the start.
    pub(super) is_ready: bool,
    pub(super) fingerprint_sha256: [u8; 32],
    /// How far the library's clock is ahead.
    ahead: Duration,
    /// When to wake it up, and what its clock is to show then.
    wake: Option<(Instant, Instant)>,
}

impl Handshake {
    pub(super) fn new(mut dtls: Dtls, remote: &RemoteSetup) -> Self {
        dtls.set_active(remote.dtls_role == DtlsRole::Client);
        Handshake {
            dtls,
            role: remote.dtls_role,
            is_ready: remote.dtls_role == DtlsRole::Server,
            fingerprint_sha256: remote.fingerprint_sha256,
            ahead: Duration::ZERO,
            wake: None,
        }
    }

    /// The time for the library.
    pub(super) fn there(&self, now: Instant) -> Instant {
        now + self.ahead
    }

    /// Takes note of when, by its own clock, the library wants to be woken up.
    pub(super) fn sleep(&mut self, now: Instant, until: Instant) {
        let wait = until.saturating_duration_since(self.there(now));
        self.wake = (wait < IDLE).then(|| (now + wait.min(LONGEST_WAIT), until));
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.wake.map(|(at, _)| at)
    }

    /// Whether the library is to be woken up now.
    pub(super) fn wakes(&mut self, now: Instant) -> bool {
        let Some((_, until)) = self.wake.filter(|(at, _)| *at <= now) else { return false };
        self.ahead = self.ahead.max(until.saturating_duration_since(now));
        true
    }
}
