//! Whether the peer is there: connecting, connected, lost, back, failed.
//!
//! A pair that works is checked every few seconds from both ends, so a peer that is neither heard nor answers is gone
//! even if it has nothing to say (consent, RFC 7675).

use std::time::{Duration, Instant};

use crate::session::{PathEvent, PathFailure};

/// Without a connection for so long, at the start or later, a call fails (what Telegram's applications do).
pub const FAIL_AFTER: Duration = Duration::from_secs(20);

/// Silence of a peer whose checks come every 2.5 s, so that three of them may get lost.
const SILENT_AFTER: Duration = Duration::from_secs(8);
/// Without an answer to our checks. Consent would end at 30 s (RFC 7675 section 5.1); `FAIL_AFTER` is stricter.
const UNANSWERED_AFTER: Duration = Duration::from_secs(12);

enum State {
    Connecting { since: Instant },
    Connected,
    Reconnecting { since: Instant },
    Over,
}

pub(crate) struct Liveness {
    state: State,
    heard: Instant,
    answered: Instant,
}

impl Liveness {
    pub(crate) fn new(now: Instant) -> Self {
        Liveness { state: State::Connecting { since: now }, heard: now, answered: now }
    }

    /// Something authentic came from the peer.
    pub(crate) fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The peer answered a check of ours, so it agrees to be sent to.
    pub(crate) fn consent(&mut self, now: Instant) {
        self.answered = now;
    }

    pub(crate) fn end(&mut self) {
        self.state = State::Over;
    }

    pub(crate) fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected)
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Whether the peer is there, and a word of it now would change nothing.
    pub(crate) fn is_steady(&self, now: Instant) -> bool {
        self.is_connected() && now < self.answered + UNANSWERED_AFTER
    }

    /// When [`Liveness::settle`] has something to say if nothing else happens.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Connecting { since } | State::Reconnecting { since } => Some(since + FAIL_AFTER),
            State::Connected => Some(self.lost_at()),
            State::Over => None,
        }
    }

    /// Draws the conclusion of what is known at `now`.
    pub(crate) fn settle(&mut self, now: Instant, has_keys: bool, has_path: bool) -> Option<PathEvent> {
        let is_lost = now >= self.lost_at();
        match self.state {
            State::Connecting { .. } if has_keys && has_path => Some(self.connect()),
            State::Connecting { since } if now >= since + FAIL_AFTER => {
                Some(self.fail(PathFailure::NeverConnected))
            }
            State::Connected if is_lost => {
                let is_silent = now >= self.heard + SILENT_AFTER;
                Some(self.lose(if is_silent { self.heard } else { self.answered }))
            }
            State::Connected if !has_path => Some(self.lose(now)),
            State::Reconnecting { .. } if has_path && !is_lost => Some(self.connect()),
            State::Reconnecting { since } if now >= since + FAIL_AFTER => Some(self.fail(PathFailure::Lost)),
            State::Connecting { .. } | State::Connected | State::Reconnecting { .. } | State::Over => None,
        }
    }

    fn lost_at(&self) -> Instant {
        (self.heard + SILENT_AFTER).min(self.answered + UNANSWERED_AFTER)
    }

    fn connect(&mut self) -> PathEvent {
        self.state = State::Connected;
        PathEvent::Connected
    }

    fn lose(&mut self, since: Instant) -> PathEvent {
        self.state = State::Reconnecting { since };
        PathEvent::Reconnecting
    }

    fn fail(&mut self, failure: PathFailure) -> PathEvent {
        self.state = State::Over;
        PathEvent::Failed(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn keys_and_a_path_are_both_needed() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        assert_eq!(liveness.settle(start, true, false), None);
        assert_eq!(liveness.settle(start, false, true), None);
        assert_eq!(liveness.settle(start, true, true), Some(PathEvent::Connected));
        assert_eq!(liveness.settle(start, true, true), None);
    }

    #[test]
    fn a_call_without_connection_fails_after_twenty_seconds() {
        let start = Instant::now();
        let mut liveness = Liveness::new(start);
        assert_eq!(liveness.deadline(), Some(start + 20 * S));
        assert_eq!(liveness.settle(start + 19 * S, true, false), None);
        let failed = Some(PathEvent::Failed(PathFailure::NeverConnected));
        assert_eq!(liveness.settle(start + 20 * S, true, false), failed);
        assert!(liveness.is_over() && liveness.deadline().is_none());
        assert_eq!(liveness.settle(start + 21 * S, true, true), None, "nothing comes back from there");
    }

    #[test]
    fn silence_counts_from_the_last_word_and_ends_with_the_next() {
        let start = Instant::now();
        let mut liveness = connected(start);
        liveness.hear(start + 2 * S);
        assert_eq!(liveness.deadline(), Some(start + 10 * S));
        assert_eq!(liveness.settle(start + 10 * S, true, true), Some(PathEvent::Reconnecting));
        assert_eq!(liveness.deadline(), Some(start + 22 * S));
        liveness.hear(start + 11 * S);
        assert_eq!(liveness.settle(start + 11 * S, true, true), Some(PathEvent::Connected));
    }

    #[test]
    fn a_peer_that_talks_but_never_answers_is_lost_too() {
        let start = Instant::now();
        let mut liveness = connected(start);
        for second in 1..12 {
            liveness.hear(start + second * S);
            assert_eq!(liveness.settle(start + second * S, true, true), None);
        }
        liveness.hear(start + 12 * S);
        assert_eq!(liveness.settle(start + 12 * S, true, true), Some(PathEvent::Reconnecting));
        liveness.hear(start + 20 * S);
        assert_eq!(liveness.settle(start + 20 * S, true, true), Some(PathEvent::Failed(PathFailure::Lost)));
    }

    #[test]
    fn a_pair_that_fails_is_a_loss_from_that_moment() {
        let start = Instant::now();
        let mut liveness = connected(start);
        liveness.hear(start + 3 * S);
        assert_eq!(liveness.settle(start + 5 * S, true, false), Some(PathEvent::Reconnecting));
        assert_eq!(liveness.deadline(), Some(start + 25 * S));
    }

    fn connected(start: Instant) -> Liveness {
        let mut liveness = Liveness::new(start);
        assert_eq!(liveness.settle(start, true, true), Some(PathEvent::Connected));
        liveness
    }
}
