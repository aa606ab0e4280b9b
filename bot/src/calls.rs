//! The calls and lines of the gateway, as its events tell of them.

use std::collections::{BTreeMap, VecDeque};

use tgtrunk_config::control::{CallInfo, CallState, Event};
use tgtrunk_config::{CallId, GatewayStatus, Phone, UserId};
use tgtrunk_shell::asking::Told;

/// Calls that are over and remembered, for whoever follows one.
const OVER: usize = 256;

/// What the gateway last told.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    standing: Standing,
    live: BTreeMap<CallId, CallInfo>,
    over: VecDeque<CallInfo>,
    lines: BTreeMap<Phone, GatewayStatus>,
}

/// Whether the gateway can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Standing {
    /// Nothing is known yet.
    #[default]
    Unknown,
    /// It is there.
    Up,
    /// It is not there; what it told last may hold no longer.
    Gone,
}

impl Calls {
    /// Takes in what a follower of the gateway is told.
    pub(crate) fn handle(&mut self, told: Told) {
        match told {
            Told::Up { calls, status } => {
                self.standing = Standing::Up;
                self.live = calls.into_iter().map(|call| (call.call, call)).collect();
                self.lines =
                    status.lines.into_iter().map(|line| (line.status.line.clone(), line.status)).collect();
            }
            Told::Clients(_) | Told::Bots(_) => {}
            Told::Gone => self.standing = Standing::Gone,
            Told::Event(Event::Call(call)) if call.state == CallState::Ended => {
                self.live.remove(&call.call);
                if self.over.len() == OVER {
                    self.over.pop_front();
                }
                self.over.push_back(call);
            }
            Told::Event(Event::Call(call)) => drop(self.live.insert(call.call, call)),
            Told::Event(Event::Line(status)) => drop(self.lines.insert(status.line.clone(), status)),
            Told::Event(Event::LineRemoved { line }) => drop(self.lines.remove(&line)),
            Told::Event(
                Event::Digit(_)
                | Event::Client(_)
                | Event::Bot(_)
                | Event::BotRemoved { .. }
                | Event::Login(_)
                | Event::Levels(_)
                | Event::Lagged { .. },
            ) => {}
        }
    }

    /// Whether the gateway can be asked.
    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// A call that is up, as far as anybody knows.
    pub(crate) fn live(&self, call: CallId) -> Option<&CallInfo> {
        self.live.get(&call)
    }

    /// The calls that are up, as far as anybody knows.
    pub(crate) fn all(&self) -> impl Iterator<Item = &CallInfo> {
        self.live.values()
    }

    /// How a call ended.
    pub(crate) fn over(&self, call: CallId) -> Option<&CallInfo> {
        self.over.iter().rev().find(|over| over.call == call)
    }

    /// A call that an extension was asked to join, and a person.
    pub(crate) fn joined(&self, line: &Phone, extension: &str, person: UserId) -> Option<&CallInfo> {
        let is_it = |call: &&CallInfo| {
            call.line == *line && call.extension.as_deref() == Some(extension) && call.peer.id == Some(person)
        };
        self.live.values().find(is_it)
    }

    /// What a person is called, as far as one of their latest calls tells.
    pub(crate) fn name(&self, person: UserId) -> Option<String> {
        let theirs = |call: &&CallInfo| call.peer.id == Some(person) && call.peer.name.is_some();
        let call = self.live.values().find(theirs).or_else(|| self.over.iter().rev().find(theirs))?;
        call.peer.name.clone()
    }

    /// The lines, as the gateway last told of them.
    pub(crate) fn lines(&self) -> &BTreeMap<Phone, GatewayStatus> {
        &self.lines
    }

    /// The account of a line.
    pub(crate) fn account(&self, line: &Phone) -> Option<UserId> {
        self.lines.get(line)?.account
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use tgtrunk_config::control::{Direction, LineInfo, Muted, Peer, StatusReport};

    use super::*;

    #[test]
    fn a_call_is_live_until_it_ends_and_its_end_is_remembered() {
        let mut calls = Calls::default();
        calls.handle(Told::Event(Event::Call(call(1, 7, CallState::Incoming))));
        assert!(calls.live(CallId(1)).is_some() && calls.over(CallId(1)).is_none());
        calls.handle(Told::Event(Event::Call(call(1, 7, CallState::Ended))));
        assert!(calls.live(CallId(1)).is_none() && calls.over(CallId(1)).is_some());
        for id in 2..=300 {
            calls.handle(Told::Event(Event::Call(call(id, 7, CallState::Ended))));
        }
        assert!(calls.over(CallId(1)).is_none() && calls.over(CallId(300)).is_some());
    }

    #[test]
    fn while_the_gateway_is_gone_its_calls_may_live_and_what_it_says_then_counts() {
        let mut calls = Calls::default();
        calls.handle(up(vec![call(1, 7, CallState::Answered), call(2, 8, CallState::Answered)]));
        calls.handle(Told::Gone);
        assert_eq!(calls.standing(), Standing::Gone);
        assert!(calls.live(CallId(1)).is_some());
        calls.handle(up(vec![call(2, 8, CallState::Answered)]));
        assert!(calls.live(CallId(1)).is_none() && calls.live(CallId(2)).is_some());
        assert_eq!(calls.account(&line()), UserId::new(42).ok());
    }

    #[test]
    fn a_joined_call_is_found_by_whom_it_joins() {
        let mut calls = Calls::default();
        let joined = CallInfo { extension: Some("2001".into()), ..call(3, 7, CallState::Dialling) };
        calls.handle(Told::Event(Event::Call(joined)));
        let person = UserId::new(7).unwrap();
        assert!(calls.joined(&line(), "2001", person).is_some());
        assert!(calls.joined(&line(), "2002", person).is_none());
        assert!(calls.joined(&line(), "2001", UserId::new(8).unwrap()).is_none());
    }

    pub(crate) fn line() -> Phone {
        "+79060000000".parse().unwrap()
    }

    pub(crate) fn up(calls: Vec<CallInfo>) -> Told {
        let mut status = GatewayStatus::waiting(line(), 1, 1);
        status.account = UserId::new(42).ok();
        let info = LineInfo { sip: String::new(), pbx: String::new(), status };
        Told::Up { calls, status: StatusReport { lines: vec![info], problems: Vec::new() } }
    }

    pub(crate) fn call(id: u64, person: i64, state: CallState) -> CallInfo {
        CallInfo {
            call: CallId(id),
            line: line(),
            direction: Direction::TelegramToPbx,
            state,
            peer: Peer { id: UserId::new(person).ok(), ..Peer::default() },
            dialled: None,
            extension: None,
            refused_by: None,
            telegram_call: None,
            emoji: None,
            trunk: Default::default(),
            ringing_ms: None,
            recording: None,
            started_ms: 1,
            answered_ms: None,
            duration_ms: None,
            end: None,
            quality: None,
            muted: Muted::default(),
            pbx: None,
        }
    }
}
