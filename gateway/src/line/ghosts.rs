//! Calls that the server may have placed although the answer to their request never came.

use std::time::{Duration, Instant};

use super::Line;
use crate::clock;
use crate::telegram::Discard;

/// How long such a call can ring (Telegram's ring time), and so show itself.
const RING: Duration = Duration::from_secs(90);
/// A line with more lost requests than this has other worries.
const MOST: usize = 64;

/// Whom the lost requests were to reach.
#[derive(Debug, Default)]
pub(crate) struct Ghosts(Vec<(Instant, i64)>);

impl Ghosts {
    /// A request to call this user has an unknown fate.
    pub(crate) fn expect(&mut self, now: Instant, callee: i64) {
        self.0.retain(|(until, _)| *until > now);
        if self.0.len() < MOST {
            self.0.push((now + RING, callee));
        }
    }

    /// Whether an unknown call to this user is one of them; each is found once.
    pub(crate) fn take(&mut self, now: Instant, callee: i64) -> bool {
        let found = self.0.iter().position(|(until, user)| *user == callee && *until > now);
        found.map(|at| self.0.swap_remove(at)).is_some()
    }
}

impl Line {
    /// Ends calls that nobody has and that a lost request may have placed. While another request to the same person is on its
    /// way such a call may be that one's, and waits for its answer.
    pub(super) fn lay_ghosts(&mut self) {
        if self.ghosts.0.is_empty() {
            return;
        }
        for (call, callee) in self.calls.orphans.placed() {
            let is_somebodys = self.calls.knows(call.id) || self.calls.is_asking(callee);
            if !is_somebodys && self.ghosts.take(clock::now(), callee) {
                tracing::info!("a call whose request seemed lost is ended");
                self.calls.orphans.take(call.id);
                self.discard(call, Discard::Missed, Duration::ZERO);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ghost_is_found_once_by_its_callee_and_only_while_it_can_ring() {
        let (mut ghosts, start) = (Ghosts::default(), clock::now());
        ghosts.expect(start, 5);
        ghosts.expect(start, 5);
        assert!(!ghosts.take(start, 6));
        assert!(ghosts.take(start, 5));
        assert!(!ghosts.take(start + RING, 5));
        assert!(ghosts.take(start + RING - Duration::from_secs(1), 5));
        assert!(!ghosts.take(start, 5));
    }
}
