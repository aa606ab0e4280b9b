//! OPTIONS both ways (RFC 3261 section 11): theirs is answered with our availability, ours tell whether the PBX is there.

use std::time::{Duration, Instant};

use crate::edge::Refusal;
use crate::endpoint::{Availability, Endpoint};
use crate::event::Event;
use crate::hop::Hop;
use crate::message::{Method, Request};
use crate::transaction::{Key, Owner};
use crate::uri::sip_uri;

/// How long one OPTIONS of ours may stay without an answer: four sendings at T1 = 500 ms.
const ANSWER_LIMIT: Duration = Duration::from_secs(6);

/// How soon a PBX that does not answer is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Our OPTIONS to the PBX.
#[derive(Debug)]
pub(crate) struct Probe {
    interval: Duration,
    state: State,
    reachable: Option<bool>,
}

#[derive(Debug)]
enum State {
    Waiting { until: Instant },
    Asked { key: Key, until: Instant },
}

impl Probe {
    /// The first question is due at once.
    pub(crate) fn new(interval: Duration, now: Instant) -> Self {
        Self {
            interval: interval.max(Duration::from_secs(1)),
            state: State::Waiting { until: now },
            reachable: None,
        }
    }

    /// When to look again.
    pub(crate) fn deadline(&self) -> Instant {
        match self.state {
            State::Waiting { until } | State::Asked { until, .. } => until,
        }
    }
}

impl Endpoint {
    /// Asks the PBX, or notes that it did not answer.
    pub(crate) fn probe_timeout(&mut self, now: Instant) {
        if now < self.probe.deadline() {
            return;
        }
        match &self.probe.state {
            State::Waiting { .. } => {
                let key = self.ask(now);
                self.probe.state = State::Asked { key, until: now + ANSWER_LIMIT };
            }
            State::Asked { key, .. } => {
                let key = key.clone();
                self.layer.abandon(&key);
                self.probe_done(now, false);
            }
        }
    }

    fn ask(&mut self, now: Instant) -> Key {
        let (own, peer) = (self.config.announced, self.config.peer);
        let hop = Hop::to(self.config.transport, peer);
        let target = sip_uri("", peer);
        let branch = self.tokens.branch();
        let mut request = Request::new(Method::Options, target.clone());
        self.push_via(&mut request, &branch);
        let identity = sip_uri(&self.config.line_user, own);
        let tag = self.tokens.token();
        request.headers.push("From", format!("<{identity}>;tag={tag}"));
        request.headers.push("To", format!("<{target}>"));
        request.headers.push("Call-ID", self.tokens.token());
        request.headers.push("CSeq", "1 OPTIONS");
        self.push_contact(&mut request.headers);
        request.headers.push("Accept", "application/sdp");
        self.layer.request(now, &branch, request, hop, Owner::Probe)
    }

    /// Any answer but 408 and 503 means that the PBX is there, whatever it thinks of OPTIONS.
    pub(crate) fn probe_answered(&mut self, now: Instant, status: u16) {
        self.probe_done(now, !matches!(status, 408 | 503));
    }

    pub(crate) fn probe_done(&mut self, now: Instant, reachable: bool) {
        let pause = if reachable { self.probe.interval } else { self.probe.interval.min(RETRY_AFTER) };
        self.probe.state = State::Waiting { until: now + pause };
        if self.probe.reachable != Some(reachable) {
            self.probe.reachable = Some(reachable);
            self.tell(Event::PeerReachable(reachable));
        }
    }

    /// Answers theirs outside a dialog: 200, or 503 while the line cannot take calls, so that the PBX turns to another trunk.
    pub(crate) fn handle_options(&mut self, request: &Request, answer_to: Hop) {
        let answer = match &self.availability {
            Availability::Up => Refusal::new(200).with("Accept", "application/sdp"),
            Availability::Down { .. } => self.unavailable(),
        };
        self.refuse(request, answer_to, answer);
    }

    /// The 503 of a line that cannot take calls.
    pub(crate) fn unavailable(&self) -> Refusal {
        let mut refusal = Refusal::new(503);
        if let Availability::Down { retry_after_s, reason } = &self.availability {
            if let Some(seconds) = retry_after_s {
                refusal = refusal.with("Retry-After", seconds.to_string());
            }
            if let Some(reason) = reason {
                refusal = refusal.with("Reason", reason.to_string());
            }
        }
        refusal
    }
}
