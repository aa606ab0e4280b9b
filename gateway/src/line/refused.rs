//! Calls that came to nothing before the gateway called anybody: each has a record, so that whoever asks why a call did not
//! come through finds it. A rush of them has a record of the first ones in a minute, and all are counted.

use std::collections::VecDeque;
use std::time::Instant;

use tgtrunk_bridge::Cause;
use tgtrunk_bridge::policy::{Rate, Rule};
use tgtrunk_config::CallId;
use tgtrunk_config::control::{CallResult, PbxSide};
use tgtrunk_sip::{Identity, TurnedAway};
use tgtrunk_telegram::Resolved;

use super::calls::Direction;
use super::{Line, Mode};
use crate::telegram::CallRef;
use crate::{metrics, rules};

/// Records of such calls that a line keeps in a minute.
const ROWS_PER_MINUTE: u32 = 60;
/// Such calls of the PBX that are remembered, so that a copy of a request is not taken for another call.
const REMEMBERED: usize = 64;

/// What a line keeps of such calls.
#[derive(Debug)]
pub(super) struct Refusals {
    rate: Rate,
    /// Those of late that have no record.
    unwritten: u64,
    lately: VecDeque<String>,
}

/// One such call.
pub(super) struct Lost {
    pub(super) who: Whose,
    pub(super) cause: Cause,
    pub(super) result: CallResult,
    /// The line's rule that it met.
    pub(super) rule: Option<Rule>,
}

/// Whose call it was.
pub(super) enum Whose {
    Pbx { dialled: String, side: Box<PbxSide>, sip_call_id: String },
    Telegram { call: CallRef, caller: Box<Resolved> },
}

impl Refusals {
    pub(super) fn new() -> Self {
        Self { rate: Rate::new(ROWS_PER_MINUTE), unwritten: 0, lately: VecDeque::new() }
    }

    /// Whether a record of one more is kept.
    fn admit(&mut self, now: Instant) -> bool {
        if self.rate.admit(now).is_err() {
            if self.unwritten == 0 {
                tracing::warn!(
                    per_minute = ROWS_PER_MINUTE,
                    "more calls are refused than records are kept of: the rest is counted"
                );
            }
            self.unwritten += 1;
            return false;
        }
        let unwritten = std::mem::take(&mut self.unwritten);
        if unwritten > 0 {
            tracing::warn!(calls = unwritten, "calls were refused without records of their own");
        }
        true
    }

    /// Whether this call of the PBX was told before.
    fn is_copy(&mut self, sip_call_id: &str) -> bool {
        if self.lately.iter().any(|known| known == sip_call_id) {
            return true;
        }
        if self.lately.len() >= REMEMBERED {
            self.lately.pop_front();
        }
        self.lately.push_back(sip_call_id.to_owned());
        false
    }
}

impl Line {
    /// A call of the PBX that its end of the trunk refused.
    pub(super) fn turned_away(
        &mut self,
        now: Instant,
        dialled: String,
        identity: Identity,
        sip_call_id: String,
        why: TurnedAway,
    ) {
        if self.refusals.is_copy(&sip_call_id) {
            return;
        }
        if why == TurnedAway::Crowded
            && let Some(why) = self.house.rush.overload()
        {
            self.house.rush.refuse(why);
        }
        let cause = match why {
            TurnedAway::Down if self.stopping.is_some() => Cause::Stopping,
            TurnedAway::Down => Cause::LineDown,
            TurnedAway::Full => Cause::LineFull,
            TurnedAway::Crowded => Cause::Overloaded,
            TurnedAway::Nobody => Cause::BadNumber,
            TurnedAway::Incompatible => Cause::Incompatible,
        };
        self.pbx_lost(now, dialled, identity, sip_call_id, cause);
    }

    /// A call of the PBX that was not placed.
    pub(super) fn pbx_lost(
        &mut self,
        now: Instant,
        dialled: String,
        identity: Identity,
        sip_call_id: String,
        cause: Cause,
    ) {
        let side = Box::new(rules::pbx_side(identity));
        let who = Whose::Pbx { dialled, side, sip_call_id };
        self.lost(now, Lost { who, cause, result: CallResult::Failed, rule: None });
    }

    /// A call from Telegram that did not reach the PBX.
    pub(super) fn telegram_lost(
        &mut self,
        now: Instant,
        (call, caller): (CallRef, Resolved),
        cause: Cause,
        result: CallResult,
    ) {
        let who = Whose::Telegram { call, caller: Box::new(caller) };
        self.lost(now, Lost { who, cause, result, rule: None });
    }

    /// Counts such a call, and keeps a record of it.
    pub(super) fn lost(&mut self, now: Instant, lost: Lost) {
        let Lost { who, cause, result, rule } = lost;
        if self.mode != Mode::Trunk {
            return;
        }
        let (direction, dialled) = match &who {
            Whose::Pbx { dialled, .. } => {
                (Direction::ToTelegram, Some(dialled.clone()).filter(|text| !text.is_empty()))
            }
            Whose::Telegram { .. } => (Direction::FromTelegram, None),
        };
        metrics::refused(self.settings.sip_port, direction, cause);
        if !self.refusals.admit(now) {
            return;
        }
        let key = self.calls.reserve(direction, dialled, self.house.rush.place_of_record());
        match who {
            Whose::Pbx { side, sip_call_id, .. } => {
                self.calls.tell_pbx_side(key, *side);
                self.calls.name_sip(key, &sip_call_id);
            }
            Whose::Telegram { call, caller } => {
                self.calls.bind_telegram(now, key, call);
                self.calls.meet(key, &caller);
            }
        }
        if let Some(rule) = rule {
            self.calls.met_rule(key, rule);
        }
        tracing::info!(call = %CallId(key), cause = cause.words(), "a call came to nothing");
        if let Some((info, mos)) = self.calls.refused(key, cause) {
            self.close_record(info, result, mos);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    #[test]
    fn a_rush_of_refused_calls_has_records_of_a_minutes_first_ones_and_more_when_it_is_over() {
        let (mut refusals, start) = (Refusals::new(), clock::now());
        let written = (0..1_000).filter(|_| refusals.admit(start)).count();
        assert_eq!((written, refusals.unwritten), (60, 940));
        assert!(refusals.admit(start + Duration::from_secs(61)));
        assert_eq!(refusals.unwritten, 0);
    }

    #[test]
    fn a_copy_of_a_request_is_no_other_call_and_the_memory_of_them_is_bounded() {
        let mut refusals = Refusals::new();
        assert!(!refusals.is_copy("a"));
        assert!(refusals.is_copy("a"));
        for number in 0..REMEMBERED {
            assert!(!refusals.is_copy(&number.to_string()));
        }
        assert!(!refusals.is_copy("a"));
        assert_eq!(refusals.lately.len(), REMEMBERED);
    }
}
