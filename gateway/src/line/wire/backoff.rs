//! How soon an address is connected to again that did not answer.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The first pause; each failure in a row doubles it.
const FIRST: Duration = Duration::from_millis(250);
/// The longest one: a PBX that comes back is not kept waiting.
const LONGEST: Duration = Duration::from_secs(4);
/// Most addresses that are remembered.
const ADDRESSES: usize = 64;

/// Addresses that failed, and until when nobody tries again.
#[derive(Debug, Default)]
pub(super) struct Backoff(BTreeMap<SocketAddr, (Instant, Duration)>);

impl Backoff {
    /// Whether it is too soon.
    pub(super) fn holds(&self, now: Instant, address: SocketAddr) -> bool {
        self.0.get(&address).is_some_and(|(until, _)| now < *until)
    }

    /// The address did not answer.
    pub(super) fn failed(&mut self, now: Instant, address: SocketAddr) {
        let pause = self.0.get(&address).map_or(FIRST, |(_, pause)| (*pause * 2).min(LONGEST));
        if self.0.len() >= ADDRESSES {
            self.0.retain(|_, (until, _)| now < *until);
        }
        if self.0.len() < ADDRESSES || self.0.contains_key(&address) {
            self.0.insert(address, (now + pause, pause));
        }
    }

    /// It did.
    pub(super) fn forget(&mut self, address: SocketAddr) {
        self.0.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn pauses_double_up_to_four_seconds_and_begin_anew_after_an_answer() {
        let (now, pbx) = (clock::now(), "127.0.0.1:5060".parse().unwrap());
        let mut backoff = Backoff::default();
        assert!(!backoff.holds(now, pbx));
        for pause_ms in [250, 500, 1000, 2000, 4000, 4000] {
            backoff.failed(now, pbx);
            let over = now + Duration::from_millis(pause_ms);
            assert!(backoff.holds(over - Duration::from_millis(1), pbx) && !backoff.holds(over, pbx));
        }
        backoff.forget(pbx);
        backoff.failed(now, pbx);
        assert!(!backoff.holds(now + FIRST, pbx));
    }
}
