//! Calls that nobody has any more. Of those that a kill cut short both halves are ended by the next process, and what is
//! kept for that; of one whose task broke, at once.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tgtrunk_bridge::Cause;
use tgtrunk_config::control::{CallInfo, CallResult, Direction, Ender, Event as ControlEvent};
use tokio::sync::oneshot;

use super::Line;
use crate::call;
use crate::clock;
use crate::records::{Before, Left, Legs, Sparkline};
use crate::telegram::{CallRef, Discard};

/// How long the ends of such calls are tried, both halves (RFC 3261 section 17.1.2.2 gives a BYE 32 s).
const TRIED: Duration = Duration::from_secs(35);

/// How many ends that are said now are remembered, several times as many as a line has calls.
const MOST_ENDED: usize = 4_096;

/// Calls that are over here, and may not be at Telegram.
#[derive(Debug, Default)]
pub(super) struct Remains {
    /// Of a process before this one, by Telegram's ids, those that are ended now: the server may offer them again.
    telegram: BTreeSet<i64>,
    /// Those that it ended, though Telegram may not have heard so.
    over: BTreeSet<i64>,
    /// Of this process, whose ends are said now, and until when that is tried.
    ended: VecDeque<(Instant, i64)>,
    until: Option<Instant>,
}

impl Remains {
    /// Whether its end is being said.
    fn knows(&self, now: Instant, telegram: i64) -> bool {
        let is_said = |&(until, call): &(Instant, i64)| call == telegram && until > now;
        self.telegram.contains(&telegram) || self.ended.iter().any(is_said)
    }

    /// Its end is said from now on.
    pub(super) fn ends(&mut self, now: Instant, telegram: i64) {
        let over = self.ended.iter().take_while(|(until, _)| *until <= now).count();
        self.ended.drain(..over.max((self.ended.len() + 1).saturating_sub(MOST_ENDED)));
        self.ended.push_back((now + TRIED, telegram));
    }

    /// When they are given up.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }

    /// Whether they are given up now.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.until.take_if(|until| *until <= now).is_some()
    }
}

impl Line {
    /// Ends calls that a kill cut short.
    pub(super) fn end_left(&mut self, now: Instant, before: Before) {
        let Before { left, over } = before;
        self.remains.over.extend(over);
        if left.is_empty() {
            return;
        }
        tracing::info!(calls = left.len(), "calls of before are ended");
        self.remains.until = Some(now + TRIED);
        let rejection = call::rejection(Cause::Stopping);
        for Left { call, direction, sip, telegram, callee, talked } in left {
            if let (Some(trunk), Some(sip)) = (&mut self.trunk, &sip) {
                let is_said = trunk.endpoint.bury(now, sip, &rejection);
                tracing::debug!(%call, is_said, sip_call_id = sip.sip_call_id(), "the PBX's half of a call of before");
            }
            match (telegram, callee) {
                // Taken by this process, which could not read in time that it was another's.
                (Some(telegram), _) if self.calls.knows(telegram.id) || self.admission.waits(telegram.id) => {
                }
                (Some(telegram), _) => {
                    self.remains.telegram.insert(telegram.id);
                    let reason = match talked {
                        None if direction == Direction::PbxToTelegram => Discard::Missed,
                        Some(_) | None => Discard::Disconnect,
                    };
                    self.discard(telegram, reason, talked.unwrap_or_default());
                }
                // It may have been requested though nobody lived to hear its id.
                (None, Some(callee)) if direction == Direction::PbxToTelegram => {
                    self.ghosts.expect(now, callee)
                }
                (None, _) => {}
            }
        }
    }

    /// Whether nobody here knows a call that Telegram offers.
    pub(super) fn is_news(&self, telegram: i64) -> bool {
        !self.calls.knows(telegram)
            && !self.remains.knows(clock::now(), telegram)
            && !self.admission.waits(telegram)
    }

    /// Whether such a call was over before this process began, so that it is to be ended and not taken.
    pub(super) fn was_over(&self, telegram: i64) -> bool {
        self.is_news(telegram) && self.remains.over.contains(&telegram)
    }

    /// Ends a call that was over before: Telegram did not hear so.
    pub(super) fn end_again(&mut self, call: CallRef) {
        tracing::info!("a call that was over before is ended");
        self.discard(call, Discard::Disconnect, Duration::ZERO);
    }

    /// Ends both halves of a call whose task broke.
    pub(super) fn bury(&mut self, now: Instant, key: u64) {
        let Some((sip, telegram, info, mos)) = self.calls.broken(key) else { return self.calls.gone() };
        tracing::error!(call = %info.call, "the task of a call broke");
        if let (Some(trunk), Some(sip)) = (&mut self.trunk, sip) {
            trunk.endpoint.hang_up(now, sip, Some(call::reason(Cause::Internal)));
        }
        if let Some(call) = telegram {
            self.discard(call, Discard::Disconnect, Duration::ZERO);
        }
        self.close_record(info, CallResult::Failed, mos);
        self.show();
    }

    /// Keeps the record of a call that is over, and tells of it.
    pub(super) fn close_record(&mut self, info: CallInfo, result: CallResult, mos: Sparkline) {
        let is_said = info.end.as_ref().is_some_and(|end| end.by != Ender::Telegram);
        if let Some(call) = info.telegram_call.filter(|_| is_said && info.trunk.sip_call_id.is_some()) {
            self.remains.ends(clock::now(), call);
        }
        self.records.ended(info.clone(), result, mos);
        self.house.events.send(ControlEvent::Call(info)).ok();
    }

    /// Writes down how a call is, with what ends it after a kill.
    pub(super) fn note(&mut self, key: u64, done: Option<oneshot::Sender<()>>) {
        let sip = self.calls.sip(key);
        let sip = sip.and_then(|sip| self.trunk.as_ref()?.endpoint.remains(sip));
        let Some((info, telegram)) = self.calls.info(key) else { return };
        // An outgoing call may be at Telegram before its id is known.
        let calls = telegram.is_none() && info.direction == Direction::PbxToTelegram;
        self.records.note(info, Legs { sip, telegram, calls }, done);
    }

    /// The same before the PBX hears of it.
    pub(super) fn note_first(&mut self, key: u64) {
        let done = self.records.first();
        self.note(key, Some(done));
    }

    /// The PBX took a call, or says who is there now.
    pub(super) fn note_taken(&mut self, sip: tgtrunk_sip::CallId) {
        let Some(key) = self.calls.of_sip(sip) else { return };
        if let Some(party) = self.trunk.as_ref().and_then(|trunk| trunk.endpoint.party(sip)) {
            self.calls.taken_by(key, sip, party);
        }
        self.note_first(key);
    }

    /// Calls that a kill cut short are ended, as far as that is possible.
    pub(super) fn give_up_left(&mut self) {
        if self.remains.handle_timeout(clock::now()) {
            self.records.buried();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_call_is_said_for_a_while_and_of_very_many_the_last_are_known() {
        let (mut remains, start) = (Remains::default(), clock::now());
        assert!(!remains.knows(start, 7));
        remains.ends(start, 7);
        assert!(remains.knows(start, 7) && !remains.knows(start, 8));
        assert!(remains.knows(start + TRIED - Duration::from_secs(1), 7) && !remains.knows(start + TRIED, 7));
        remains.ends(start + TRIED, 8);
        assert_eq!(remains.ended.len(), 1, "what is said no more is forgotten");
        for call in 100..100 + 2 * MOST_ENDED as i64 {
            remains.ends(start + TRIED, call);
        }
        assert_eq!(remains.ended.len(), MOST_ENDED);
        assert!(
            !remains.knows(start + TRIED, 100) && remains.knows(start + TRIED, 99 + 2 * MOST_ENDED as i64)
        );
    }
}
