//! What is left of a call: one line for the journal.

use std::time::Duration;

use crate::cause::{Cause, Discard};
use crate::event::Leg;

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ender {
    /// The far end of this leg hung up, gave up or refused.
    Far(Leg),
    /// Something failed on this leg.
    Failure(Leg),
    /// A limit passed or somebody asked us to.
    Gateway,
}

/// How one call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The leg that called.
    pub caller: Leg,
    /// Why it ended.
    pub cause: Cause,
    /// Who ended it.
    pub ended_by: Ender,
    /// From the beginning until the far device rang.
    pub rang_after: Option<Duration>,
    /// From the beginning until the far person answered.
    pub answered_after: Option<Duration>,
    /// How long sound could flow.
    pub talked: Duration,
    /// From the beginning until the end was decided.
    pub lasted: Duration,
}

impl Record {
    /// Whether the PBX refused a call of ours in a way that an operator should know of: it is down, or does not know the
    /// line or the extension. That nobody answers is trouble only where the PBX itself `is_silent`.
    ///
    /// A PBX that placed the call, or answered it, gives up with other causes.
    pub fn is_trunk_trouble(&self, is_silent: bool) -> bool {
        let silence = is_silent && self.cause == Cause::NoAnswer && self.rang_after.is_none();
        self.answered_after.is_none()
            && self.ended_by == Ender::Far(Leg::Trunk)
            && (self.cause.row().discard == Discard::Disconnect || silence)
    }
}
