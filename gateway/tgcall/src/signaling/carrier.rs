//! SCTP over Telegram's servers, the carrier of versions 12.0.0 and 13.0.0 ("V3").
//!
//! What `phone.sendSignalingData` gets are plain SCTP packets, neither encrypted nor wrapped in
//! DTLS; the users' messages inside are sealed. The caller opens the association.

use std::time::Instant;

use super::parameters::CustomParameters;
use crate::sctp::{Association, Limits, PayloadProtocolIdentifier};

/// Longest user message either way.
const MAX_MESSAGE_BYTES: u32 = 256 * 1024;

/// What a peer may make this end hold.
const MAX_HELD_BYTES: u32 = 1024 * 1024;

/// An SCTP association that begins by itself and is never given up.
#[derive(Debug)]
pub(crate) struct Carrier(Association);

impl Carrier {
    pub(crate) fn new(active: bool, parameters: &CustomParameters, now: Instant) -> Self {
        let limits = Limits {
            first_rto: parameters.sctp_t1_init.max(parameters.sctp_t1_cookie),
            max_rto: parameters.sctp_max_backoff,
            max_init_repetitions: None,
            max_message_bytes: MAX_MESSAGE_BYTES,
            max_held_bytes: MAX_HELD_BYTES,
        };
        Self(Association::new(active, limits, now))
    }

    /// Sends a message, or keeps it until the association is open.
    pub(crate) fn send(&mut self, now: Instant, message: Vec<u8>) {
        self.0.send(now, PayloadProtocolIdentifier::Binary, message);
    }

    pub(crate) fn handle_packet(&mut self, now: Instant, packet: &[u8]) {
        self.0.handle_packet(now, packet);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.0.handle_timeout(now);
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.0.poll_timeout()
    }

    pub(crate) fn poll_packet(&mut self) -> Option<Vec<u8>> {
        self.0.poll_packet()
    }

    /// The next message of the peer, on whichever stream it came.
    pub(crate) fn poll_message(&mut self) -> Option<Vec<u8>> {
        self.0.poll_message().map(|message| message.bytes)
    }

    /// Whether the association has ended, by the peer's wish or a fault.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_server_can_set_the_timers() {
        let now = Instant::now();
        let parameters =
            CustomParameters::parse(r#"{"network_sctp_t1_init_ms":1000,"network_sctp_max_backoff_ms":1500}"#);
        let mut caller = Carrier::new(true, &parameters, now);
        let first = caller.poll_timeout().unwrap();
        assert_eq!(first - now, Duration::from_secs(1));
        caller.handle_timeout(first);
        let second = caller.poll_timeout().unwrap();
        assert_eq!(second - first, Duration::from_millis(1_500));
    }
}
