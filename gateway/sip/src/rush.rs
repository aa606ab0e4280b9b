//! How many new calls may come to a line at once; what comes on top is sent away before anything else suffers
//! (RFC 3261 section 21.5.4).

use std::time::Instant;

use crate::bucket::Bucket;
use crate::edge::Refusal;
use crate::endpoint::Endpoint;
use crate::header::Reason;
use crate::hop::Hop;
use crate::message::Request;
use crate::transaction::Key;

/// Seconds that who was sent away is asked to wait. The bucket holds so much that less would bring the crowd back at once.
const RETRY_AFTER_S: u32 = 2;

/// New calls of a line.
#[derive(Debug)]
pub(crate) struct Rush {
    /// None without a limit.
    places: Option<Bucket>,
    /// How many were sent away.
    refused: u64,
}

impl Rush {
    /// So many may come in a second; 0 is no limit.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { places: (per_second > 0).then(|| Bucket::new(per_second)), refused: 0 }
    }

    /// Takes a place, if there is one.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        self.places.as_mut().is_none_or(|places| places.admit(now))
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
    fn no_limit_lets_everybody_in() {
        let mut rush = Rush::new(0);
        assert!((0..10_000).all(|_| rush.admit(Instant::now())));
    }
}
