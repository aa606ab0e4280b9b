//! How many new calls may come at once: a bucket of places that fills again evenly. What is in it lets a crowd in that
//! comes together; what comes on top is sent away before anything else suffers (RFC 3261 section 21.5.4).

use std::time::{Duration, Instant};

use crate::edge::Refusal;
use crate::endpoint::Endpoint;
use crate::header::Reason;
use crate::hop::Hop;
use crate::message::Request;
use crate::transaction::Key;

/// Seconds that who was sent away is asked to wait. The bucket holds so much that less would bring the crowd back at once.
const RETRY_AFTER_S: u32 = 2;

/// A bucket of places.
#[derive(Debug)]
pub(crate) struct Rush {
    per_second: u32,
    /// Places, in nanoseconds of a second divided by the rate.
    filled: Duration,
    since: Option<Instant>,
    /// How many were sent away.
    refused: u64,
}

impl Rush {
    /// A full bucket: two seconds' worth of places. 0 is no limit.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, filled: Self::FULL, since: None, refused: 0 }
    }

    const FULL: Duration = Duration::from_secs(2);

    /// Takes a place, if there is one.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        if self.per_second == 0 {
            return true;
        }
        let passed = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.since = Some(now);
        self.filled = (self.filled + passed).min(Self::FULL);
        let place = Duration::from_secs(1) / self.per_second;
        match self.filled.checked_sub(place) {
            Some(left) => {
                self.filled = left;
                true
            }
            None => false,
        }
    }

    /// Counts one that was sent away.
    pub(crate) fn refuse(&mut self) {
        self.refused += 1;
    }

    /// How many were sent away.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }
}

impl Endpoint {
    /// How many requests were refused because there was too much to do.
    #[must_use]
    pub fn refused_for_load(&self) -> u64 {
        self.rush.refused()
    }

    /// Sends somebody away for a while.
    pub(crate) fn refuse_for_load(&mut self, request: &Request, answer_to: Hop) {
        self.rush.refuse();
        self.refuse(request, answer_to, too_much());
    }

    /// The same for an INVITE. A copy that comes when there is room again is no second attempt.
    pub(crate) fn refuse_invite_for_load(
        &mut self,
        now: Instant,
        key: &Key,
        request: &Request,
        answer_to: Hop,
    ) {
        self.rush.refuse();
        let tag = self.tokens.token();
        let answer = self.answer_for(request, &too_much(), &tag);
        self.layer.refuse_invite(now, key, answer_to, &answer);
    }
}

/// The refusal of what comes on top of all that there is to do.
fn too_much() -> Refusal {
    let reason = Reason::q850(42, "Switching equipment congestion");
    Refusal::new(503).with("Retry-After", RETRY_AFTER_S.to_string()).with("Reason", reason.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seconds_worth_come_at_once_and_then_as_many_as_the_rate_says() {
        let (mut rush, start) = (Rush::new(50), Instant::now());
        let admitted = |rush: &mut Rush, at| (0..1000).filter(|_| rush.admit(at)).count();
        assert_eq!(admitted(&mut rush, start), 100);
        assert_eq!(admitted(&mut rush, start + Duration::from_secs(1)), 50);
        assert_eq!(admitted(&mut rush, start + Duration::from_secs(60)), 100);
        let steady = (1..=500_u32)
            .filter(|n| rush.admit(start + Duration::from_secs(100) + Duration::from_millis(20) * *n));
        assert_eq!(steady.count(), 500);
    }

    #[test]
    fn no_limit_lets_everybody_in() {
        let mut rush = Rush::new(0);
        assert!((0..10_000).all(|_| rush.admit(Instant::now())));
    }
}
