//! One call, both legs, whoever called: the only place that decides what happens next.
//!
//! A caller from the PBX hears ringing when the Telegram device rings, and is answered when sound can flow. A caller
//! from Telegram is put through to the PBX at once, and accepted when the PBX answers, or plays something before. Where
//! the gateway calls both (the third-party call control of RFC 3725), the PBX is fetched first: it becomes the caller,
//! and hears ringing in the call until the person is there.
//! Whatever ends one leg ends the other, and both are known to be gone before the call is forgotten.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::cause::Cause;
use crate::event::{Action, Event, Leg};
use crate::record::{Ender, Record};
use crate::settings::{EarlyAnswer, ParallelIncoming, Settings};

/// Decides what one call does next; it never sends, sleeps or reads a clock.
#[derive(Debug)]
pub struct Call {
    caller: Leg,
    origin: Origin,
    settings: Settings,
    began: Instant,
    rang: Option<Instant>,
    answered: Option<Instant>,
    state: State,
    actions: VecDeque<Action>,
}

/// How the caller came into the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// By calling.
    Calls,
    /// By answering us, or it has not answered yet.
    IsCalled { answered: bool },
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// The caller is called, and has not answered; nothing was done to the callee.
    Fetching { until: Instant },
    /// The callee is dialled and has not answered.
    Calling { until: Instant, proceeding: bool, tell_ringing: Option<Instant>, early: Option<Early> },
    /// Answered; sound does not flow yet.
    Connecting { until: Instant },
    /// Sound flows, or is to come back until the limit of the leg that lost it.
    Talking { since: Instant, trunk_until: Option<Instant>, telegram_until: Option<Instant> },
    /// The end is decided; legs that were hung up have yet to confirm it.
    Closing { until: Instant, trunk_open: bool, telegram_open: bool, record: Record },
    /// [`Action::End`] was given.
    Over,
}

/// A Telegram caller who was accepted before the PBX answered, to hear what there is to hear.
#[derive(Debug, Clone, Copy)]
struct Early {
    /// When media that does not flow is given up; `None` while it flows.
    until: Option<Instant>,
    /// Whether it ever flowed.
    joined: bool,
}

impl Call {
    /// A call that came in on `caller`; the other leg is dialled at once.
    pub fn new(caller: Leg, settings: Settings, now: Instant) -> Self {
        let mut actions = VecDeque::from([Action::Dial(caller.other())]);
        let (limit, tell_ringing) = match (caller, settings.parallel_incoming) {
            (Leg::Trunk, _) => (settings.receive_limit, None),
            (Leg::Telegram, ParallelIncoming::Auto) => (settings.ring_limit, Some(now + settings.tell_after)),
            (Leg::Telegram, ParallelIncoming::Always) => (settings.untold_limit, None),
            (Leg::Telegram, ParallelIncoming::Off) => {
                actions.push_back(Action::TellRinging(Leg::Telegram));
                (settings.ring_limit, None)
            }
        };
        let state = State::Calling { until: now + limit, proceeding: false, tell_ringing, early: None };
        Self::begun(caller, Origin::Calls, settings, now, state, actions)
    }

    /// A call that the gateway places to both: to the PBX first, and when that has answered, to the person.
    pub fn to_both(settings: Settings, now: Instant) -> Self {
        let state = State::Fetching { until: now + settings.ring_limit };
        let actions = VecDeque::from([Action::Dial(Leg::Trunk)]);
        Self::begun(Leg::Trunk, Origin::IsCalled { answered: false }, settings, now, state, actions)
    }

    fn begun(
        caller: Leg,
        origin: Origin,
        settings: Settings,
        now: Instant,
        state: State,
        actions: VecDeque<Action>,
    ) -> Self {
        Self { caller, origin, settings, began: now, rang: None, answered: None, state, actions }
    }

    /// The leg that called.
    pub fn caller(&self) -> Leg {
        self.caller
    }

    /// One word for what goes on, for status and logs.
    pub fn stage(&self) -> &'static str {
        match self.state {
            State::Fetching { .. } => "fetching",
            State::Calling { early: Some(_), .. } => "early",
            State::Calling { .. } if self.rang.is_some() => "ringing",
            State::Calling { .. } => "dialling",
            State::Connecting { .. } => "connecting",
            State::Talking { .. } => "talking",
            State::Closing { .. } => "closing",
            State::Over => "over",
        }
    }

    /// Whether the end is decided: no new hang-up makes a difference any more.
    pub fn is_ending(&self) -> bool {
        matches!(self.state, State::Closing { .. } | State::Over)
    }

    /// How long sound has flowed until `now`.
    pub fn talked(&self, now: Instant) -> Duration {
        match self.state {
            State::Talking { since, .. } => now.saturating_duration_since(since),
            State::Closing { record, .. } => record.talked,
            State::Fetching { .. } | State::Calling { .. } | State::Connecting { .. } | State::Over => {
                Duration::ZERO
            }
        }
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Instant, event: Event) {
        match event {
            Event::Proceeds(leg) => self.proceeds(now, leg),
            Event::Rings(leg) => self.rings(now, leg),
            Event::EarlyMedia(leg) => self.plays(now, leg),
            Event::Answers(leg) => self.answers(now, leg),
            Event::MediaUp(leg) => self.media_up(now, leg),
            Event::MediaDown(leg) => self.media_down(now, leg),
            Event::HangsUp(leg, cause) => self.hangs_up(now, leg, cause),
            Event::Fails(leg, cause) => self.end_both(now, Ender::Failure(leg), cause),
            Event::Stop(cause) => self.end_both(now, Ender::Gateway, cause),
            Event::Released(leg) => self.hangs_up(now, leg, Cause::Disconnected),
        }
        self.check_invariants();
    }

    /// Acts on limits that have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let State::Calling { until, tell_ringing, .. } = &mut self.state
            && *until > now
            && tell_ringing.take_if(|at| *at <= now).is_some()
        {
            self.actions.push_back(Action::TellRinging(self.caller));
        }
        match self.state {
            State::Fetching { until } if until <= now => {
                self.end_both(now, Ender::Far(self.caller), Cause::NoAnswer);
            }
            State::Calling { until, .. } if until <= now => {
                // Of two who are called, the one who did not come is the one that ended it.
                let ended_by = match self.origin {
                    Origin::Calls => Ender::Gateway,
                    Origin::IsCalled { .. } => Ender::Far(self.caller.other()),
                };
                self.end_both(now, ended_by, Cause::NoAnswer);
            }
            State::Calling { early: Some(Early { until: Some(until), joined }), .. } if until <= now => {
                let cause = if joined { Cause::MediaLost } else { Cause::NoMedia };
                self.end_both(now, Ender::Failure(Leg::Telegram), cause);
            }
            State::Connecting { until } if until <= now => {
                self.end_both(now, Ender::Failure(Leg::Telegram), Cause::NoMedia);
            }
            State::Talking { trunk_until, telegram_until, .. } => {
                for (leg, until) in [(Leg::Trunk, trunk_until), (Leg::Telegram, telegram_until)] {
                    if until.is_some_and(|until| until <= now) {
                        self.end_both(now, Ender::Failure(leg), Cause::MediaLost);
                    }
                }
            }
            State::Closing { until, record, trunk_open, telegram_open } if until <= now => {
                tracing::warn!(trunk_open, telegram_open, "a leg never confirmed its end");
                self.over(record);
            }
            State::Fetching { .. }
            | State::Calling { .. }
            | State::Connecting { .. }
            | State::Closing { .. }
            | State::Over => {}
        }
        self.check_invariants();
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let limits = match self.state {
            State::Fetching { until } => [Some((until, "the caller does not answer")), None],
            State::Calling { until, early: Some(early), .. } => {
                [Some((until, "no answer")), early.until.map(|at| (at, "no early media"))]
            }
            State::Calling { until, tell_ringing, .. } => {
                [Some((until, "no answer")), tell_ringing.map(|at| (at, "tell that it rings"))]
            }
            State::Connecting { until } => [Some((until, "no media")), None],
            State::Talking { trunk_until, telegram_until, .. } => [
                trunk_until.map(|at| (at, "trunk media lost")),
                telegram_until.map(|at| (at, "telegram media lost")),
            ],
            State::Closing { until, .. } => [Some((until, "a leg does not confirm its end")), None],
            State::Over => [None, None],
        };
        limits.into_iter().flatten().min()
    }

    fn proceeds(&mut self, now: Instant, leg: Leg) {
        match &mut self.state {
            // Looking a person up takes its time; Telegram's own limit counts from its answer.
            State::Calling { until, proceeding, .. }
                if leg == Leg::Telegram && leg != self.caller && !*proceeding && self.rang.is_none() =>
            {
                *proceeding = true;
                *until = now + self.settings.receive_limit;
            }
            state => tracing::trace!(?leg, ?state, "proceeds: nothing to do"),
        }
    }

    fn rings(&mut self, now: Instant, leg: Leg) {
        match &mut self.state {
            State::Calling { until, .. } if leg != self.caller && self.rang.is_none() => {
                self.rang = Some(now);
                // A Telegram caller is told by the rule of the line, not by the phone behind the PBX.
                if self.caller == Leg::Trunk {
                    *until = now + self.settings.ring_limit;
                    if self.origin == Origin::Calls {
                        self.actions.push_back(Action::TellRinging(Leg::Trunk));
                    }
                } else if self.settings.early_answer == EarlyAnswer::Ringing {
                    self.accept_early(now);
                }
            }
            state => tracing::debug!(?leg, ?state, "ringing ignored"),
        }
    }

    fn plays(&mut self, now: Instant, leg: Leg) {
        if leg == Leg::Trunk && self.settings.early_answer != EarlyAnswer::Off {
            self.accept_early(now);
        }
    }

    /// Accepts a Telegram caller who waits, so that what comes before the answer is heard.
    fn accept_early(&mut self, now: Instant) {
        match &mut self.state {
            State::Calling { until, tell_ringing, early: early @ None, .. }
                if self.caller == Leg::Telegram =>
            {
                *early = Some(Early { until: Some(now + self.settings.connect_limit), joined: false });
                // The caller is in a call now: no limit of Telegram's for unanswered ones holds any more.
                *tell_ringing = None;
                *until = self.began + self.settings.ring_limit;
                self.actions.push_back(Action::Answer(Leg::Telegram));
            }
            state => tracing::debug!(?state, "early media: nothing to do"),
        }
    }

    fn answers(&mut self, now: Instant, leg: Leg) {
        match self.state {
            State::Fetching { .. } if leg == self.caller => {
                self.origin = Origin::IsCalled { answered: true };
                let until = now + self.settings.receive_limit;
                self.state = State::Calling { until, proceeding: false, tell_ringing: None, early: None };
                self.actions.extend([Action::RingBack(leg), Action::Dial(leg.other())]);
            }
            State::Calling { early: Some(early), .. } if leg != self.caller => {
                self.answered = Some(now);
                match early.until {
                    None => self.join(now),
                    Some(until) => self.state = State::Connecting { until },
                }
            }
            State::Calling { .. } if leg != self.caller => {
                self.answered = Some(now);
                self.state = State::Connecting { until: now + self.settings.connect_limit };
                if self.caller == Leg::Telegram {
                    self.actions.push_back(Action::Answer(Leg::Telegram));
                }
            }
            // The answer crossed our hang-up, which the far end may have taken for nothing.
            State::Closing { record, trunk_open, telegram_open, .. }
                if self.awaits(leg) && is_open(leg, trunk_open, telegram_open) =>
            {
                if leg == self.caller {
                    self.origin = Origin::IsCalled { answered: true };
                } else {
                    self.answered = Some(now);
                }
                let Record { cause, talked, .. } = record;
                self.actions.push_back(Action::HangUp { leg, cause, talked });
            }
            state => tracing::debug!(?leg, ?state, "answer ignored"),
        }
    }

    /// Whether this leg was called and has not answered.
    fn awaits(&self, leg: Leg) -> bool {
        if leg == self.caller {
            self.origin == Origin::IsCalled { answered: false }
        } else {
            self.answered.is_none()
        }
    }

    fn media_up(&mut self, now: Instant, leg: Leg) {
        match &mut self.state {
            // Sound from a dialled Telegram user means an answer, even if its own word is still on the way.
            State::Calling { .. } if leg == Leg::Telegram && leg != self.caller => {
                self.answered = Some(now);
                self.join(now);
            }
            State::Calling { early: Some(early), .. } if leg == Leg::Telegram => {
                early.until = None;
                if !std::mem::replace(&mut early.joined, true) {
                    self.actions.push_back(Action::JoinEarly);
                }
            }
            State::Connecting { .. } if leg == Leg::Telegram => self.join(now),
            State::Talking { trunk_until, telegram_until, .. } => match leg {
                Leg::Trunk => *trunk_until = None,
                Leg::Telegram => *telegram_until = None,
            },
            state => tracing::debug!(?leg, ?state, "media up: nothing to do"),
        }
    }

    fn join(&mut self, now: Instant) {
        self.state = State::Talking { since: now, trunk_until: None, telegram_until: None };
        if self.caller == Leg::Trunk && self.origin == Origin::Calls {
            self.actions.push_back(Action::Answer(Leg::Trunk));
        }
        self.actions.push_back(Action::Join);
    }

    fn media_down(&mut self, now: Instant, leg: Leg) {
        match &mut self.state {
            State::Talking { trunk_until, telegram_until, .. } => {
                let until = match leg {
                    Leg::Trunk => trunk_until,
                    Leg::Telegram => telegram_until,
                };
                until.get_or_insert(now + self.settings.recovery_limit);
            }
            State::Calling { early: Some(early), .. } if leg == Leg::Telegram => {
                early.until.get_or_insert(now + self.settings.recovery_limit);
            }
            state => tracing::debug!(?leg, ?state, "media down: nothing to do"),
        }
    }

    fn hangs_up(&mut self, now: Instant, leg: Leg, cause: Cause) {
        match &mut self.state {
            State::Fetching { .. } if leg == self.caller => {
                self.close(now, Ender::Far(leg), cause.by_callee(), Some(leg));
            }
            State::Fetching { .. } => tracing::debug!(?leg, ?cause, "end ignored, nobody was called there"),
            State::Calling { .. } | State::Connecting { .. } | State::Talking { .. } => {
                let cause = match self.answered {
                    Some(_) => cause.after_answer(),
                    None if leg == self.caller => cause.by_caller(),
                    None => cause.by_callee(),
                };
                // Somebody asked for this call and is told whether the person did not come, or could not be asked.
                let unasked = self.origin != Origin::Calls
                    && leg != self.caller
                    && self.answered.is_none()
                    && !cause.is_of_callee();
                let ended_by = if unasked { Ender::Failure(leg) } else { Ender::Far(leg) };
                self.close(now, ended_by, cause, Some(leg));
            }
            State::Closing { trunk_open, telegram_open, record, .. } => {
                match leg {
                    Leg::Trunk => *trunk_open = false,
                    Leg::Telegram => *telegram_open = false,
                }
                if !*trunk_open && !*telegram_open {
                    let record = *record;
                    self.over(record);
                }
            }
            State::Over => tracing::debug!(?leg, ?cause, "end ignored, the call is over"),
        }
    }

    fn end_both(&mut self, now: Instant, ended_by: Ender, cause: Cause) {
        if !self.is_ending() {
            self.close(now, ended_by, cause, None);
        }
    }

    /// Hangs up whatever is not `gone` and was called at all, and waits for it.
    fn close(&mut self, now: Instant, ended_by: Ender, cause: Cause, gone: Option<Leg>) {
        let talked = self.talked(now);
        let since_began = |at: Instant| at.saturating_duration_since(self.began);
        let record = Record {
            caller: self.caller,
            cause,
            ended_by,
            rang_after: self.rang.map(since_began),
            answered_after: self.answered.map(since_began),
            talked,
            lasted: since_began(now),
        };
        let is_fetching = matches!(self.state, State::Fetching { .. });
        let is_open = |leg: Leg| gone != Some(leg) && (leg == self.caller || !is_fetching);
        let (trunk_open, telegram_open) = (is_open(Leg::Trunk), is_open(Leg::Telegram));
        if !trunk_open && !telegram_open {
            return self.over(record);
        }
        for leg in Leg::BOTH.into_iter().filter(|leg| is_open(*leg)) {
            self.actions.push_back(Action::HangUp { leg, cause, talked });
        }
        let until = now + self.settings.release_limit;
        self.state = State::Closing { until, trunk_open, telegram_open, record };
    }

    fn over(&mut self, record: Record) {
        self.state = State::Over;
        self.actions.push_back(Action::End(record));
    }

    fn check_invariants(&self) {
        match self.state {
            State::Fetching { .. } => {
                debug_assert!(self.awaits(self.caller) && self.answered.is_none() && self.rang.is_none());
            }
            State::Calling { tell_ringing, early, .. } => {
                debug_assert!(!self.awaits(self.caller), "the caller is there");
                debug_assert!(self.answered.is_none(), "an answered call rings no more");
                debug_assert!(tell_ringing.is_none() || self.caller == Leg::Telegram);
                debug_assert!(early.is_none() || self.caller == Leg::Telegram && tell_ringing.is_none());
            }
            State::Connecting { .. } => debug_assert!(self.answered.is_some()),
            State::Talking { since, .. } => {
                debug_assert!(self.answered.is_some_and(|answered| answered <= since));
            }
            State::Closing { trunk_open, telegram_open, record, .. } => {
                debug_assert!(trunk_open || telegram_open, "nothing left to wait for");
                debug_assert!(record.talked <= record.lasted);
            }
            State::Over => debug_assert!(
                self.actions.iter().rev().skip(1).all(|action| !matches!(action, Action::End(_))),
                "the end comes last and once"
            ),
        }
    }
}

fn is_open(leg: Leg, trunk_open: bool, telegram_open: bool) -> bool {
    match leg {
        Leg::Trunk => trunk_open,
        Leg::Telegram => telegram_open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cause::Discard;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn a_pbx_call_rings_when_the_telegram_device_rings_and_is_answered_when_sound_can_flow() {
        let (mut call, start) = begun(Leg::Trunk);
        assert_eq!(done(&mut call), [Action::Dial(Leg::Telegram)]);
        call.handle(start + S, Event::Proceeds(Leg::Telegram));
        assert_eq!(done(&mut call), []);
        call.handle(start + S * 2, Event::Rings(Leg::Telegram));
        assert_eq!(done(&mut call), [Action::TellRinging(Leg::Trunk)]);
        call.handle(start + S * 5, Event::Answers(Leg::Telegram));
        assert_eq!(done(&mut call), [], "no answer before sound can flow");
        call.handle(start + S * 6, Event::MediaUp(Leg::Telegram));
        assert_eq!(done(&mut call), [Action::Answer(Leg::Trunk), Action::Join]);
        assert_eq!((call.stage(), call.poll_timeout()), ("talking", None));

        call.handle(start + S * 66, Event::HangsUp(Leg::Trunk, Cause::Normal));
        assert_eq!(done(&mut call), [hang_up(Leg::Telegram, Cause::Normal, 60)]);
        call.handle(start + S * 67, Event::Released(Leg::Telegram));
        let record = Record {
            caller: Leg::Trunk,
            cause: Cause::Normal,
            ended_by: Ender::Far(Leg::Trunk),
            rang_after: Some(S * 2),
            answered_after: Some(S * 5),
            talked: S * 60,
            lasted: S * 66,
        };
        assert_eq!(done(&mut call), [Action::End(record)]);
        assert_eq!(call.poll_timeout(), None);
    }

    #[test]
    fn a_telegram_call_reaches_the_pbx_at_once_and_is_accepted_when_the_pbx_answers() {
        let (mut call, start) = begun(Leg::Telegram);
        assert_eq!(done(&mut call), [Action::Dial(Leg::Trunk)]);
        call.handle(start + S, Event::Rings(Leg::Trunk));
        assert_eq!(done(&mut call), []);
        call.handle(start + S * 3, Event::Answers(Leg::Trunk));
        assert_eq!(done(&mut call), [Action::Answer(Leg::Telegram)]);
        call.handle(start + S * 4, Event::MediaUp(Leg::Telegram));
        assert_eq!(done(&mut call), [Action::Join]);
        call.handle(start + S * 10, Event::HangsUp(Leg::Telegram, Cause::of_discard(Some(Discard::Hangup))));
        assert_eq!(done(&mut call), [hang_up(Leg::Trunk, Cause::Normal, 6)]);
    }

    #[test]
    fn telegram_is_told_of_ringing_after_5_s_when_the_pbx_has_not_answered() {
        let (mut call, start) = begun(Leg::Telegram);
        done(&mut call);
        call.handle(start + S, Event::Rings(Leg::Trunk));
        assert_eq!(call.poll_timeout(), Some((start + S * 5, "tell that it rings")));
        call.handle_timeout(start + S * 5 - Duration::from_millis(1));
        assert_eq!(done(&mut call), []);
        call.handle_timeout(start + S * 5);
        assert_eq!(done(&mut call), [Action::TellRinging(Leg::Telegram)]);
        assert_eq!(
            call.poll_timeout(),
            Some((start + S * 90, "no answer")),
            "a ringing phone keeps the ring time"
        );
        call.handle_timeout(start + S * 90);
        assert_eq!(done(&mut call), ended(Cause::NoAnswer));
    }

    #[test]
    fn a_pbx_that_answers_sooner_leaves_telegram_untold() {
        let (mut call, start) = begun(Leg::Telegram);
        call.handle(start + S * 4, Event::Answers(Leg::Trunk));
        call.handle_timeout(start + S * 5);
        assert_eq!(done(&mut call), [Action::Dial(Leg::Trunk), Action::Answer(Leg::Telegram)]);
    }

    #[test]
    fn with_always_telegram_is_never_told_and_the_pbx_has_15_s() {
        let (mut call, start) = begun_with(Leg::Telegram, ParallelIncoming::Always);
        done(&mut call);
        call.handle(start + S, Event::Rings(Leg::Trunk));
        call.handle_timeout(start + S * 14);
        assert_eq!(done(&mut call), []);
        assert_eq!(call.poll_timeout(), Some((start + S * 15, "no answer")));
        call.handle_timeout(start + S * 15);
        assert_eq!(done(&mut call), ended(Cause::NoAnswer));
        assert_eq!(Cause::NoAnswer.row().discard, Discard::Missed);
    }

    #[test]
    fn with_off_telegram_is_told_at_once() {
        let (mut call, start) = begun_with(Leg::Telegram, ParallelIncoming::Off);
        assert_eq!(done(&mut call), [Action::Dial(Leg::Trunk), Action::TellRinging(Leg::Telegram)]);
        assert_eq!(call.poll_timeout(), Some((start + S * 90, "no answer")));
    }

    #[test]
    fn early_media_is_heard_and_the_answer_joins_at_once() {
        let (mut call, start) = begun(Leg::Telegram);
        done(&mut call);
        call.handle(start + S, Event::EarlyMedia(Leg::Trunk));
        call.handle(start + S, Event::EarlyMedia(Leg::Trunk));
        assert_eq!(done(&mut call), [Action::Answer(Leg::Telegram)]);
        assert_eq!((call.stage(), call.poll_timeout()), ("early", Some((start + S * 21, "no early media"))));
        call.handle(start + S * 2, Event::MediaUp(Leg::Telegram));
        call.handle(start + S * 2, Event::MediaUp(Leg::Telegram));
        assert_eq!(done(&mut call), [Action::JoinEarly]);
        assert_eq!(
            call.poll_timeout(),
            Some((start + S * 90, "no answer")),
            "Telegram is told of no ringing"
        );
        call.handle(start + S * 30, Event::Answers(Leg::Trunk));
        assert_eq!(done(&mut call), [Action::Join]);
        call.handle(start + S * 40, Event::HangsUp(Leg::Trunk, Cause::Normal));
        assert_eq!(done(&mut call), [hang_up(Leg::Telegram, Cause::Normal, 10)]);
    }

    #[test]
    fn an_answer_before_early_media_flows_waits_for_it() {
        let (mut call, start) = begun(Leg::Telegram);
        call.handle(start + S, Event::EarlyMedia(Leg::Trunk));
        call.handle(start + S * 2, Event::Answers(Leg::Trunk));
        done(&mut call);
        assert_eq!((call.stage(), call.poll_timeout()), ("connecting", Some((start + S * 21, "no media"))));
        call.handle(start + S * 3, Event::MediaUp(Leg::Telegram));
        assert_eq!(done(&mut call), [Action::Join]);
    }

    #[test]
    fn early_media_that_never_flows_or_is_lost_ends_the_call() {
        let (mut call, start) = begun(Leg::Telegram);
        done(&mut call);
        call.handle(start, Event::EarlyMedia(Leg::Trunk));
        let mut lost = Call::new(Leg::Telegram, Settings::default(), start);
        lost.handle(start, Event::EarlyMedia(Leg::Trunk));
        call.handle_timeout(start + S * 20);
        assert_eq!(done(&mut call)[1..], ended(Cause::NoMedia));
        lost.handle(start + S, Event::MediaUp(Leg::Telegram));
        lost.handle(start + S * 2, Event::MediaDown(Leg::Telegram));
        assert_eq!(lost.poll_timeout(), Some((start + S * 22, "no early media")));
        lost.handle_timeout(start + S * 22);
        assert_eq!(done(&mut lost)[3..], ended(Cause::MediaLost));
    }

    #[test]
    fn a_pbx_that_refuses_after_early_media_is_a_refusal() {
        let (mut call, start) = begun(Leg::Telegram);
        call.handle(start, Event::EarlyMedia(Leg::Trunk));
        call.handle(start, Event::MediaUp(Leg::Telegram));
        done(&mut call);
        call.handle(start + S, Event::HangsUp(Leg::Trunk, Cause::of_status(486)));
        assert_eq!(done(&mut call), [hang_up(Leg::Telegram, Cause::Busy, 0)]);
    }

    #[test]
    fn ringing_is_early_enough_only_where_the_line_says_so() {
        for (early_answer, rings, plays) in
            [(EarlyAnswer::Off, 0, 0), (EarlyAnswer::EarlyMedia, 0, 1), (EarlyAnswer::Ringing, 1, 0)]
        {
            let settings = Settings { early_answer, ..Settings::default() };
            let start = Instant::now();
            let mut call = Call::new(Leg::Telegram, settings, start);
            done(&mut call);
            call.handle(start, Event::Rings(Leg::Trunk));
            assert_eq!(done(&mut call).len(), rings, "{early_answer:?}");
            call.handle(start, Event::EarlyMedia(Leg::Trunk));
            assert_eq!(done(&mut call).len(), plays, "{early_answer:?}");
        }
        let mut call = Call::new(Leg::Trunk, Settings::default(), Instant::now());
        done(&mut call);
        call.handle(Instant::now(), Event::EarlyMedia(Leg::Telegram));
        assert_eq!(done(&mut call), [], "a PBX hears ringing, nothing else");
    }

    #[test]
    fn a_telegram_device_that_never_rings_is_given_up_20_s_after_telegram_took_the_call() {
        let (mut call, start) = begun(Leg::Trunk);
        done(&mut call);
        assert_eq!(call.poll_timeout(), Some((start + S * 20, "no answer")));
        call.handle(start + S * 3, Event::Proceeds(Leg::Telegram));
        assert_eq!(call.poll_timeout(), Some((start + S * 23, "no answer")), "the look-up does not count");
        call.handle(start + S * 9, Event::Proceeds(Leg::Telegram));
        assert_eq!(
            call.poll_timeout(),
            Some((start + S * 23, "no answer")),
            "a repetition gives no more time"
        );
        call.handle_timeout(start + S * 23);
        assert_eq!(done(&mut call), ended(Cause::NoAnswer));
        assert_eq!((Cause::NoAnswer.row().status, Cause::NoAnswer.row().q850), (480, 19));
    }

    #[test]
    fn a_telegram_device_may_ring_for_90_s() {
        let (mut call, start) = begun(Leg::Trunk);
        call.handle(start + S * 10, Event::Rings(Leg::Telegram));
        call.handle(start + S * 20, Event::Rings(Leg::Telegram));
        call.handle(start + S * 20, Event::Proceeds(Leg::Telegram));
        assert_eq!(call.poll_timeout(), Some((start + S * 100, "no answer")));
    }

    #[test]
    fn an_accepted_call_without_sound_ends_after_20_s() {
        for caller in Leg::BOTH {
            let (mut call, start) = begun(caller);
            call.handle(start, Event::Answers(caller.other()));
            done(&mut call);
            assert_eq!(call.poll_timeout(), Some((start + S * 20, "no media")));
            call.handle_timeout(start + S * 20);
            assert_eq!(done(&mut call), ended(Cause::NoMedia));
        }
        let row = Cause::NoMedia.row();
        assert_eq!((row.status, row.q850, row.discard), (504, 102, Discard::Disconnect));
    }

    #[test]
    fn lost_media_may_come_back_within_20_s() {
        let (mut call, start) = talking(Leg::Trunk);
        for leg in Leg::BOTH {
            call.handle(start + S, Event::MediaDown(leg));
            call.handle(start + S * 19, Event::MediaDown(leg));
            assert_eq!(call.poll_timeout().map(|(at, _)| at), Some(start + S * 21), "counted from the loss");
            call.handle(start + S * 20, Event::MediaUp(leg));
            assert_eq!(call.poll_timeout(), None);
        }
        assert_eq!(done(&mut call), [], "nobody is answered twice");
        call.handle(start + S * 30, Event::MediaDown(Leg::Trunk));
        call.handle_timeout(start + S * 50);
        let hang_ups = Leg::BOTH.map(|leg| hang_up(leg, Cause::MediaLost, 50));
        assert_eq!(done(&mut call), hang_ups);
        assert_eq!(Cause::MediaLost.row().q850, 41);
    }

    #[test]
    fn each_end_of_a_call_ends_the_other_at_the_same_instant() {
        for caller in Leg::BOTH {
            for quitter in Leg::BOTH {
                let (mut call, start) = talking(caller);
                call.handle(start + S * 7, Event::HangsUp(quitter, Cause::Normal));
                assert_eq!(done(&mut call), [hang_up(quitter.other(), Cause::Normal, 7)]);
            }
        }
    }

    #[test]
    fn a_caller_who_gives_up_ends_the_dialled_leg_as_missed() {
        let quits = [
            (Leg::Trunk, Cause::of_reason(None), Cause::GivenUp),
            (Leg::Trunk, Cause::of_reason(Some(26)), Cause::AnsweredElsewhere),
            (Leg::Telegram, Cause::of_discard(Some(Discard::Missed)), Cause::GivenUp),
            (Leg::Telegram, Cause::of_discard(Some(Discard::Hangup)), Cause::GivenUp),
            (Leg::Telegram, Cause::of_discard(Some(Discard::Busy)), Cause::GivenUp),
        ];
        for (caller, word, cause) in quits {
            let (mut call, start) = begun(caller);
            call.handle(start + S, Event::Rings(caller.other()));
            done(&mut call);
            call.handle(start + S * 2, Event::HangsUp(caller, word));
            assert_eq!(done(&mut call), [hang_up(caller.other(), cause, 0)]);
        }
    }

    #[test]
    fn a_callee_who_refuses_passes_the_reason_on() {
        for (word, cause) in [
            (Cause::of_discard(Some(Discard::Busy)), Cause::Busy),
            (Cause::of_discard(Some(Discard::Missed)), Cause::NoAnswer),
            (Cause::of_discard(Some(Discard::Hangup)), Cause::Declined),
            (Cause::of_discard(None), Cause::Declined),
            (Cause::Privacy, Cause::Privacy),
            (Cause::Flood { wait_s: 7 }, Cause::Flood { wait_s: 7 }),
        ] {
            let (mut call, start) = begun(Leg::Trunk);
            done(&mut call);
            call.handle(start + S, Event::HangsUp(Leg::Telegram, word));
            assert_eq!(done(&mut call), [hang_up(Leg::Trunk, cause, 0)]);
        }
    }

    #[test]
    fn a_pbx_that_is_down_is_trouble_and_a_busy_phone_is_not() {
        for (cause, trouble) in [
            (Cause::TrunkDead, true),
            (Cause::of_status(404), true),
            (Cause::of_status(403), true),
            (Cause::of_status(486), false),
            (Cause::of_status(480), false),
        ] {
            let (mut call, start) = begun(Leg::Telegram);
            call.handle(start + S, Event::HangsUp(Leg::Trunk, cause));
            call.handle(start + S, Event::Released(Leg::Telegram));
            let Some(Action::End(record)) = done(&mut call).pop() else { panic!("no end") };
            assert_eq!(record.is_trunk_trouble(false), trouble, "{cause:?}");
            let (mut call, start) = fetching();
            call.handle(start + S, Event::HangsUp(Leg::Trunk, cause));
            let Some(Action::End(record)) = done(&mut call).pop() else { panic!("no end") };
            assert_eq!(record.is_trunk_trouble(false), trouble, "an extension that is fetched, {cause:?}");
        }
        let (mut call, start) = fetching();
        call.handle_timeout(start + S * 90);
        call.handle(start + S * 90, Event::Released(Leg::Trunk));
        let Some(Action::End(record)) = done(&mut call).pop() else { panic!("no end") };
        assert!(!record.is_trunk_trouble(false), "an extension may be away");
        assert!(record.is_trunk_trouble(true), "a PBX may not");
        for mut call in [begun(Leg::Trunk).0, fetched().0] {
            call.handle(start + S, Event::HangsUp(Leg::Trunk, Cause::Normal));
            call.handle(start + S, Event::Released(Leg::Telegram));
            let Some(Action::End(record)) = done(&mut call).pop() else { panic!("no end") };
            assert!(!record.is_trunk_trouble(true), "who gives up is no trouble");
        }
    }

    #[test]
    fn both_sides_may_hang_up_at_the_same_instant() {
        for (first, second) in [(Leg::Trunk, Leg::Telegram), (Leg::Telegram, Leg::Trunk)] {
            let (mut call, start) = talking(Leg::Telegram);
            call.handle(start + S, Event::HangsUp(first, Cause::Normal));
            call.handle(start + S, Event::HangsUp(second, Cause::Normal));
            let actions = done(&mut call);
            assert_eq!(actions[0], hang_up(second, Cause::Normal, 1));
            assert!(matches!(actions[1..], [Action::End(_)]), "{actions:?}");
        }
    }

    #[test]
    fn an_answer_that_crosses_our_hang_up_is_hung_up_again_once() {
        for caller in Leg::BOTH {
            let callee = caller.other();
            let (mut call, start) = begun(caller);
            call.handle(start + S, Event::HangsUp(caller, Cause::Normal));
            done(&mut call);
            call.handle(start + S, Event::Answers(callee));
            assert_eq!(done(&mut call), [hang_up(callee, Cause::GivenUp, 0)]);
            call.handle(start + S, Event::Answers(callee));
            call.handle(start + S, Event::MediaUp(callee));
            assert_eq!(done(&mut call), []);
            call.handle(start + S, Event::Released(callee));
            assert!(matches!(done(&mut call)[..], [Action::End(_)]));
        }
    }

    #[test]
    fn sound_that_overtakes_the_word_of_the_answer_counts_as_one() {
        let (mut call, start) = begun(Leg::Trunk);
        done(&mut call);
        call.handle(start + S, Event::MediaUp(Leg::Telegram));
        call.handle(start + S, Event::Answers(Leg::Telegram));
        assert_eq!(done(&mut call), [Action::Answer(Leg::Trunk), Action::Join]);
        assert_eq!(call.stage(), "talking");
    }

    #[test]
    fn a_leg_that_never_confirms_its_end_is_forgotten_after_32_s() {
        let (mut call, start) = talking(Leg::Trunk);
        call.handle(start, Event::Stop(Cause::Stopping));
        done(&mut call);
        call.handle(start + S, Event::Released(Leg::Trunk));
        assert_eq!(call.poll_timeout().map(|(at, _)| at), Some(start + S * 32));
        call.handle_timeout(start + S * 32);
        assert!(matches!(done(&mut call)[..], [Action::End(Record { cause: Cause::Stopping, .. })]));
    }

    #[test]
    fn a_timeout_that_comes_very_late_skips_what_it_overtook() {
        let settings = Settings { tell_after: S * 100, ..Settings::default() };
        let start = Instant::now();
        let mut call = Call::new(Leg::Telegram, settings, start);
        done(&mut call);
        call.handle_timeout(start + S * 1000);
        assert_eq!(done(&mut call), ended(Cause::NoAnswer));
    }

    #[test]
    fn a_call_to_both_fetches_the_pbx_and_does_nothing_to_the_person_before_it_answers() {
        let (mut call, start) = fetching();
        assert_eq!(done(&mut call), [Action::Dial(Leg::Trunk)]);
        call.handle(start + S, Event::Rings(Leg::Trunk));
        call.handle(start + S, Event::EarlyMedia(Leg::Trunk));
        assert_eq!((done(&mut call), call.stage()), (vec![], "fetching"));
        call.handle(start + S * 5, Event::Answers(Leg::Trunk));
        assert_eq!(done(&mut call), [Action::RingBack(Leg::Trunk), Action::Dial(Leg::Telegram)]);
        call.handle(start + S * 6, Event::Rings(Leg::Telegram));
        assert_eq!(
            (done(&mut call), call.stage()),
            (vec![], "ringing"),
            "a caller who answered is told by sound"
        );
        call.handle(start + S * 9, Event::Answers(Leg::Telegram));
        call.handle(start + S * 10, Event::MediaUp(Leg::Telegram));
        assert_eq!(done(&mut call), [Action::Join]);
        call.handle(start + S * 17, Event::HangsUp(Leg::Trunk, Cause::Normal));
        assert_eq!(done(&mut call), [hang_up(Leg::Telegram, Cause::Normal, 7)]);
        call.handle(start + S * 17, Event::Released(Leg::Telegram));
        let Some(Action::End(record)) = done(&mut call).pop() else { panic!("no end") };
        assert_eq!((record.caller, record.ended_by), (Leg::Trunk, Ender::Far(Leg::Trunk)));
        assert_eq!((record.rang_after, record.answered_after), (Some(S * 6), Some(S * 9)));
    }

    #[test]
    fn an_extension_that_does_not_come_ends_a_call_that_the_person_never_hears_of() {
        for (word, cause) in [
            (Cause::of_status(486), Cause::Busy),
            (Cause::of_status(603), Cause::Declined),
            (Cause::of_status(404), Cause::NotFound),
            (Cause::of_status(500), Cause::TrunkRefused { status: 500 }),
            (Cause::TrunkDead, Cause::TrunkDead),
        ] {
            let (mut call, start) = fetching();
            done(&mut call);
            call.handle(start + S, Event::HangsUp(Leg::Trunk, word));
            let actions = done(&mut call);
            let [Action::End(record)] = actions[..] else { panic!("{actions:?}") };
            assert_eq!((record.cause, record.ended_by), (cause, Ender::Far(Leg::Trunk)));
        }
        let (mut call, start) = fetching();
        done(&mut call);
        assert_eq!(call.poll_timeout().map(|(at, _)| at), Some(start + S * 90));
        call.handle_timeout(start + S * 90);
        assert_eq!(done(&mut call), [hang_up(Leg::Trunk, Cause::NoAnswer, 0)]);
        call.handle(start + S * 90, Event::Released(Leg::Trunk));
        let Some(Action::End(record)) = done(&mut call).pop() else { panic!("no end") };
        assert_eq!(record.ended_by, Ender::Far(Leg::Trunk));
    }

    #[test]
    fn a_person_who_does_not_come_frees_the_extension_with_the_reason() {
        for (word, cause) in [
            (Cause::of_discard(Some(Discard::Busy)), Cause::Busy),
            (Cause::of_discard(Some(Discard::Missed)), Cause::NoAnswer),
            (Cause::of_discard(Some(Discard::Hangup)), Cause::Declined),
            (Cause::of_discard(None), Cause::Declined),
            (Cause::of_discard(Some(Discard::Disconnect)), Cause::Disconnected),
            (Cause::Privacy, Cause::Privacy),
            (Cause::Blocked, Cause::Blocked),
            (Cause::Deactivated, Cause::Deactivated),
            (Cause::LineDown, Cause::LineDown),
            (Cause::Flood { wait_s: 7 }, Cause::Flood { wait_s: 7 }),
        ] {
            let (mut call, start) = fetched();
            call.handle(start + S, Event::HangsUp(Leg::Telegram, word));
            assert_eq!(done(&mut call), [hang_up(Leg::Trunk, cause, 0)]);
            call.handle(start + S, Event::Released(Leg::Trunk));
            let Some(Action::End(record)) = done(&mut call).pop() else { panic!("no end") };
            let person = matches!(cause, Cause::Busy | Cause::NoAnswer | Cause::Declined);
            let by = if person { Ender::Far(Leg::Telegram) } else { Ender::Failure(Leg::Telegram) };
            assert_eq!(record.ended_by, by, "{cause:?}");
        }
        let (mut call, start) = fetched();
        call.handle(start + S, Event::Rings(Leg::Telegram));
        call.handle_timeout(start + S * 91);
        assert_eq!(done(&mut call), ended(Cause::NoAnswer));
        call.handle(start + S * 91, Event::Released(Leg::Trunk));
        call.handle(start + S * 91, Event::Released(Leg::Telegram));
        let Some(Action::End(record)) = done(&mut call).pop() else { panic!("no end") };
        assert_eq!(record.ended_by, Ender::Far(Leg::Telegram));
    }

    #[test]
    fn an_extension_that_leaves_while_the_person_rings_is_a_missed_call() {
        let (mut call, start) = fetched();
        call.handle(start + S, Event::Rings(Leg::Telegram));
        call.handle(start + S * 2, Event::HangsUp(Leg::Trunk, Cause::Normal));
        assert_eq!(done(&mut call), [hang_up(Leg::Telegram, Cause::GivenUp, 0)]);
        assert_eq!(Cause::GivenUp.row().discard, Discard::Missed);
    }

    #[test]
    fn a_call_to_both_that_is_stopped_hangs_up_who_was_called() {
        let (mut call, start) = fetching();
        done(&mut call);
        call.handle(start + S, Event::Stop(Cause::Stopping));
        assert_eq!(done(&mut call), [hang_up(Leg::Trunk, Cause::Stopping, 0)]);
        call.handle(start + S, Event::Answers(Leg::Trunk));
        call.handle(start + S, Event::Answers(Leg::Trunk));
        assert_eq!(
            done(&mut call),
            [hang_up(Leg::Trunk, Cause::Stopping, 0)],
            "the answer crossed the first one"
        );
        call.handle(start + S, Event::Released(Leg::Trunk));
        assert!(matches!(done(&mut call)[..], [Action::End(_)]));
        let (mut call, start) = fetched();
        call.handle(start + S, Event::Stop(Cause::Stopping));
        assert_eq!(done(&mut call), ended(Cause::Stopping));
    }

    fn fetching() -> (Call, Instant) {
        let start = Instant::now();
        (Call::to_both(Settings::default(), start), start)
    }

    fn fetched() -> (Call, Instant) {
        let (mut call, start) = fetching();
        call.handle(start, Event::Answers(Leg::Trunk));
        done(&mut call);
        (call, start)
    }

    fn begun(caller: Leg) -> (Call, Instant) {
        begun_with(caller, ParallelIncoming::Auto)
    }

    fn begun_with(caller: Leg, parallel_incoming: ParallelIncoming) -> (Call, Instant) {
        let start = Instant::now();
        (Call::new(caller, Settings { parallel_incoming, ..Settings::default() }, start), start)
    }

    fn talking(caller: Leg) -> (Call, Instant) {
        let (mut call, start) = begun(caller);
        call.handle(start, Event::Answers(caller.other()));
        call.handle(start, Event::MediaUp(Leg::Telegram));
        done(&mut call);
        (call, start)
    }

    fn done(call: &mut Call) -> Vec<Action> {
        std::iter::from_fn(|| call.poll_action()).collect()
    }

    fn hang_up(leg: Leg, cause: Cause, talked_s: u64) -> Action {
        Action::HangUp { leg, cause, talked: Duration::from_secs(talked_s) }
    }

    fn ended(cause: Cause) -> [Action; 2] {
        Leg::BOTH.map(|leg| hang_up(leg, cause, 0))
    }
}
