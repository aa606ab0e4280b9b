//! One call, both legs, whoever called: the only place that decides what happens next.
//!
//! A caller from the PBX hears ringing when the Telegram device rings, and is answered when sound can flow. A caller
//! from Telegram is put through to the PBX at once, and accepted when the PBX answers. Whatever ends one leg ends the
//! other, and both are known to be gone before the call is forgotten.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::cause::Cause;
use crate::event::{Action, Event, Leg};
use crate::record::{Ender, Record};
use crate::settings::{ParallelIncoming, Settings};

/// Decides what one call does next; it never sends, sleeps or reads a clock.
#[derive(Debug)]
pub struct Call {
    caller: Leg,
    settings: Settings,
    began: Instant,
    rang: Option<Instant>,
    answered: Option<Instant>,
    state: State,
    actions: VecDeque<Action>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// The callee is dialled and has not answered.
    Calling { until: Instant, proceeding: bool, tell_ringing: Option<Instant> },
    /// Answered; sound does not flow yet.
    Connecting { until: Instant },
    /// Sound flows, or is to come back until the limit of the leg that lost it.
    Talking { since: Instant, trunk_until: Option<Instant>, telegram_until: Option<Instant> },
    /// The end is decided; legs that were hung up have yet to confirm it.
    Closing { until: Instant, trunk_open: bool, telegram_open: bool, record: Record },
    /// [`Action::End`] was given.
    Over,
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
        let state = State::Calling { until: now + limit, proceeding: false, tell_ringing };
        Self { caller, settings, began: now, rang: None, answered: None, state, actions }
    }

    /// The leg that called.
    pub fn caller(&self) -> Leg {
        self.caller
    }

    /// One word for what goes on, for status and logs.
    pub fn stage(&self) -> &'static str {
        match self.state {
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
            State::Calling { .. } | State::Connecting { .. } | State::Over => Duration::ZERO,
        }
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Instant, event: Event) {
        match event {
            Event::Proceeds(leg) => self.proceeds(now, leg),
            Event::Rings(leg) => self.rings(now, leg),
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
            State::Calling { until, .. } if until <= now => {
                self.end_both(now, Ender::Gateway, Cause::NoAnswer)
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
            State::Calling { .. } | State::Connecting { .. } | State::Closing { .. } | State::Over => {}
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
                    self.actions.push_back(Action::TellRinging(Leg::Trunk));
                }
            }
            state => tracing::debug!(?leg, ?state, "ringing ignored"),
        }
    }

    fn answers(&mut self, now: Instant, leg: Leg) {
        match self.state {
            State::Calling { .. } if leg != self.caller => {
                self.answered = Some(now);
                self.state = State::Connecting { until: now + self.settings.connect_limit };
                if self.caller == Leg::Telegram {
                    self.actions.push_back(Action::Answer(Leg::Telegram));
                }
            }
            // The answer crossed our hang-up, which the far end may have taken for nothing.
            State::Closing { record, trunk_open, telegram_open, .. }
                if leg != self.caller
                    && self.answered.is_none()
                    && is_open(leg, trunk_open, telegram_open) =>
            {
                self.answered = Some(now);
                let Record { cause, talked, .. } = record;
                self.actions.push_back(Action::HangUp { leg, cause, talked });
            }
            state => tracing::debug!(?leg, ?state, "answer ignored"),
        }
    }

    fn media_up(&mut self, now: Instant, leg: Leg) {
        match &mut self.state {
            // Sound from a dialled Telegram user means an answer, even if its own word is still on the way.
            State::Calling { .. } if leg == Leg::Telegram && leg != self.caller => {
                self.answered = Some(now);
                self.join(now);
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
        if self.caller == Leg::Trunk {
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
            state => tracing::debug!(?leg, ?state, "media down: nothing to do"),
        }
    }

    fn hangs_up(&mut self, now: Instant, leg: Leg, cause: Cause) {
        match &mut self.state {
            State::Calling { .. } | State::Connecting { .. } | State::Talking { .. } => {
                let cause = match self.answered {
                    Some(_) => cause.after_answer(),
                    None if leg == self.caller => cause.by_caller(),
                    None => cause.by_callee(),
                };
                self.close(now, Ender::Far(leg), cause, Some(leg));
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

    /// Hangs up whatever is not `gone`, and waits for it.
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
        for leg in Leg::BOTH {
            if gone != Some(leg) {
                self.actions.push_back(Action::HangUp { leg, cause, talked });
            }
        }
        self.state = State::Closing {
            until: now + self.settings.release_limit,
            trunk_open: gone != Some(Leg::Trunk),
            telegram_open: gone != Some(Leg::Telegram),
            record,
        };
    }

    fn over(&mut self, record: Record) {
        self.state = State::Over;
        self.actions.push_back(Action::End(record));
    }

    fn check_invariants(&self) {
        match self.state {
            State::Calling { tell_ringing, .. } => {
                debug_assert!(self.answered.is_none(), "an answered call rings no more");
                debug_assert!(tell_ringing.is_none() || self.caller == Leg::Telegram);
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
