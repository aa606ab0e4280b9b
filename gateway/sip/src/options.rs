//! OPTIONS both ways (RFC 3261 section 11): theirs is answered with our availability, ours tell whether the PBX is there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::edge::Refusal;
use crate::endpoint::{Availability, Endpoint};
use crate::hop::Hop;
use crate::message::{Method, Request};
use crate::transaction::{Key, Owner};
use crate::uri::sip_uri;

/// How long one OPTIONS of ours may stay without an answer: four sendings at T1 = 500 ms.
const ANSWER_LIMIT: Duration = Duration::from_secs(6);

/// How soon a PBX that does not answer is asked again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Our OPTIONS to one address of the PBX.
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

    /// The question was asked again, as the PBX wanted it.
    pub(crate) fn asked_again(&mut self, again: Key) {
        if let State::Asked { key, .. } = &mut self.state {
            *key = again;
        }
    }

    /// Whether the latest was answered; none before the first answer or its absence.
    pub(crate) fn reachable(&self) -> Option<bool> {
        self.reachable
    }

    /// The question that is on its way.
    fn asked(&self) -> Option<&Key> {
        match &self.state {
            State::Asked { key, .. } => Some(key),
            State::Waiting { .. } => None,
        }
    }

    /// Takes an answer or its absence, and waits for the next question. True when that is news.
    pub(crate) fn done(&mut self, now: Instant, reachable: bool) -> bool {
        let pause = if reachable { self.interval } else { self.interval.min(RETRY_AFTER) };
        self.state = State::Waiting { until: now + pause };
        self.reachable.replace(reachable) != Some(reachable)
    }

    /// When to look again.
    pub(crate) fn deadline(&self) -> Instant {
        match self.state {
            State::Waiting { until } | State::Asked { until, .. } => until,
        }
    }
}

impl Endpoint {
    /// Asks each address of the PBX whose turn it is, or notes that it did not answer.
    pub(crate) fn probe_timeout(&mut self, now: Instant) {
        for address in self.peers.due(now) {
            let Some(probe) = self.peers.probe_mut(address) else { continue };
            match &probe.state {
                State::Waiting { .. } => {
                    let key = self.ask(now, address);
                    if let Some(probe) = self.peers.probe_mut(address) {
                        probe.state = State::Asked { key, until: now + ANSWER_LIMIT };
                    }
                }
                State::Asked { key, .. } => {
                    let key = key.clone();
                    self.layer.abandon(&key);
                    self.peer_answered(now, address, false);
                }
            }
        }
    }

    /// Asks an address at once that left a call of ours without an answer, and takes it for silent until it answers.
    pub(crate) fn ask_now(&mut self, now: Instant, peer: SocketAddr) {
        self.silence_probe(peer);
        self.peer_answered(now, peer, false);
        let key = self.ask(now, peer);
        if let Some(probe) = self.peers.probe_mut(peer) {
            probe.state = State::Asked { key, until: now + ANSWER_LIMIT };
        }
    }

    /// Forgets the question to an address.
    pub(crate) fn silence_probe(&mut self, peer: SocketAddr) {
        let asked = self.peers.probe_mut(peer).and_then(|probe| probe.asked().cloned());
        if let Some(key) = asked {
            self.layer.abandon(&key);
        }
    }

    fn ask(&mut self, now: Instant, peer: SocketAddr) -> Key {
        let own = self.config.announced;
        let target = self.pbx_uri("", peer);
        let branch = self.tokens.branch();
        let mut request = Request::new(Method::Options, target.clone());
        self.push_via(&mut request, &branch);
        let identity = sip_uri(&self.config.line_user, own);
        let tag = self.tokens.token();
        request.headers.push("From", format!("<{identity}>;tag={tag}"));
        request.headers.push("To", format!("<{target}>"));
        request.headers.push("Call-ID", self.tokens.token());
        request.headers.push("CSeq", "1 OPTIONS");
        let sips = request.is_sips();
        self.push_contact(&mut request.headers, sips);
        request.headers.push("Accept", "application/sdp");
        self.request(now, &branch, request, self.hop(peer), Owner::Probe(peer))
    }

    /// Any answer but 408 and 503 means that the PBX is there, whatever it thinks of OPTIONS.
    pub(crate) fn probe_answered(&mut self, now: Instant, peer: SocketAddr, status: u16) {
        self.peer_answered(now, peer, !matches!(status, 408 | 503));
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
