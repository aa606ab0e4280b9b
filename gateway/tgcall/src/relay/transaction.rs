//! One request to a server, repeated until it is answered or given up (RFC 8489 section 6.2).

use std::time::{Duration, Instant};

/// Shorter than the standard's 500 ms: a call waits for it.
const FIRST_RTO: Duration = Duration::from_millis(250);
const MAX_RTO: Duration = Duration::from_secs(2);
/// Given up 10 s after the first; over a stream, which loses nothing, too.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) id: [u8; 12],
    request: Vec<u8>,
    is_reliable: bool,
    rto: Duration,
    next: Instant,
    give_up: Instant,
}

/// What an unanswered request wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Repeat(Vec<u8>),
    GivenUp,
}

impl Transaction {
    /// One that has been sent at `now`.
    pub(super) fn new(now: Instant, id: [u8; 12], request: Vec<u8>, is_reliable: bool) -> Self {
        let give_up = now + GIVE_UP_AFTER;
        let next = if is_reliable { give_up } else { now + FIRST_RTO };
        Transaction { id, request, is_reliable, rto: FIRST_RTO, next, give_up }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.next.min(self.give_up)
    }

    pub(super) fn due(&mut self, now: Instant) -> Due {
        if now >= self.give_up {
            return Due::GivenUp;
        }
        if now < self.next || self.is_reliable {
            return Due::Nothing;
        }
        self.rto = (2 * self.rto).min(MAX_RTO);
        self.next = now + self.rto;
        Due::Repeat(self.request.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_repeated_ever_more_rarely_and_given_up() {
        let start = Instant::now();
        let mut transaction = Transaction::new(start, [0; 12], vec![1], false);
        let mut times = Vec::new();
        loop {
            let now = transaction.deadline();
            match transaction.due(now) {
                Due::Repeat(_) => times.push((now - start).as_millis()),
                Due::GivenUp => break assert_eq!(now - start, GIVE_UP_AFTER),
                Due::Nothing => panic!("nothing at its own deadline"),
            }
        }
        assert_eq!(times, [250, 750, 1750, 3750, 5750, 7750, 9750]);
    }

    #[test]
    fn a_stream_carries_a_request_once() {
        let start = Instant::now();
        let mut transaction = Transaction::new(start, [0; 12], vec![1], true);
        assert_eq!(transaction.due(start + FIRST_RTO), Due::Nothing);
        assert_eq!(transaction.due(transaction.deadline()), Due::GivenUp);
    }
}
