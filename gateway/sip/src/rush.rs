//! How many new calls may come to a line at once; what comes on top is sent away before anything else suffers
//! (RFC 3261 section 21.5.4).

use std::ops::Range;
use std::time::Instant;

use crate::bucket::Bucket;
use crate::edge::Refusal;
use crate::endpoint::{Availability, Endpoint};
use crate::header::Reason;
use crate::hop::Hop;
use crate::message::Request;
use crate::transaction::Key;

/// Seconds that who was sent away is asked to wait, each call another number of them: those who came together are not to
/// come back together. The bucket holds so much that fewer would bring the crowd back at once.
const RETRY_AFTER_S: Range<u64> = 2..6;

/// New calls of a line.
#[derive(Debug)]
pub(crate) struct Rush {
    /// None without a limit.
    places: Option<Bucket>,
    /// Whether nobody new is to come in, whatever the rate says.
    is_shut: bool,
    /// How many were sent away.
    refused: u64,
}

impl Rush {
    /// So many may come in a second; 0 is no limit.
    pub(crate) fn new(per_second: u32) -> Self {
        Self { places: (per_second > 0).then(|| Bucket::new(per_second)), is_shut: false, refused: 0 }
    }

    /// Whether one who came now would be let in.
    pub(crate) fn has_place(&self, now: Instant) -> bool {
        !self.is_shut && self.places.as_ref().is_none_or(|places| places.has_place(now))
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
    /// How many requests were refused because there was too much to do for the line; not those that [`Endpoint::shut_out`] sent
    /// away.
    #[must_use]
    pub fn refused_for_load(&self) -> u64 {
        self.rush.refused()
    }

    /// Says whether new calls of the PBX are sent away, however few they are, because whoever holds the line has too much to
    /// do. Running calls go on, and so does what takes their places.
    pub fn shut_out(&mut self, is_shut: bool) {
        self.rush.is_shut = is_shut;
    }

    /// Whether a new call is to be sent away before it is even read. A line that is down says that instead.
    pub(crate) fn is_crowded(&self, now: Instant) -> bool {
        self.availability == Availability::Up && !self.rush.has_place(now)
    }

    /// What a request that finds no room is told of when to come again; its copy gets the same.
    pub(crate) fn retry_after(&self, request: &Request) -> String {
        self.tokens.number_for(request.headers.call_id(), RETRY_AFTER_S).to_string()
    }

    /// Sends somebody away for a while.
    pub(crate) fn refuse_for_load(&mut self, request: &Request, answer_to: Hop) {
        self.rush.refuse();
        self.refuse(request, answer_to, self.too_much(request));
    }

    /// The same for an INVITE. A copy that comes when there is room again is no second attempt.
    pub(crate) fn refuse_invite_for_load(
        &mut self,
        now: Instant,
        key: &Key,
        request: &Request,
        answer_to: Hop,
    ) {
        if !self.rush.is_shut {
            self.rush.refuse();
        }
        let tag = self.tokens.token();
        let answer = self.answer_for(request, &self.too_much(request), &tag);
        self.layer.refuse_invite(now, key, answer_to, &answer);
    }

    /// The refusal of what comes on top of all that there is to do.
    fn too_much(&self, request: &Request) -> Refusal {
        let reason = Reason::q850(42, "Switching equipment congestion");
        Refusal::new(503).with("Retry-After", self.retry_after(request)).with("Reason", reason.to_string())
    }
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
