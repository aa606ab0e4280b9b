//! REGISTER: the line tells a registrar where it is found, again and again, until it ends (RFC 3261 section 10.2).

use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::header::NameAddr;
use crate::message::{Headers, Method, Request, Response};
use crate::token::Tokens;
use crate::transaction::{Key, Owner, PATIENCE};
use crate::uri::{Uri, sip_uri};

/// The pause after the first failure; it doubles from failure to failure.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause of a registrar that does not answer, and of one that refuses.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_REFUSED_PAUSE: Duration = Duration::from_secs(300);
/// Lines whose registrar comes back register within this time, each at its own moment.
const RETURN_WITHIN_MS: u64 = 500;
/// Shortest pause where the registrar refused by a 4xx or 6xx: it will not change its mind at once.
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// Longest Retry-After that is heeded.
const RETRY_LIMIT_S: u64 = 3_600;
/// Longest Min-Expires that is heeded: a week.
const EXPIRES_LIMIT_S: u32 = 604_800;
/// Shortest time between two REGISTERs of a registrar that takes them.
const SHORTEST_REFRESH: Duration = Duration::from_secs(5);

/// That the line registers, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// User part of the address that is registered.
    pub user: String,
    /// How long a registration is asked for, seconds.
    pub expires_s: u32,
}

/// How the line's registration stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registration {
    /// The PBX knows where the line is, for so many seconds unless it hears of it again.
    Held {
        /// As the PBX granted it.
        expires_s: u32,
    },
    /// The PBX does not want it.
    Refused {
        /// 300 to 699.
        status: u16,
        /// The words beside it.
        phrase: String,
    },
    /// The PBX does not answer.
    Unanswered,
}

/// The line's registration at work.
#[derive(Debug)]
pub(crate) struct Registrar {
    wanted: Register,
    call_id: String,
    cseq: u32,
    state: State,
    /// Until then the registrar may know the line, by its word or by a REGISTER whose end nobody knows.
    known_until: Option<Instant>,
    /// Whether the line ends.
    leaves: bool,
    failures: u32,
    told: Option<Registration>,
}

#[derive(Debug)]
enum State {
    /// Not registered; asked next then.
    Waiting { until: Instant },
    /// Asked. `leaves` when it was to forget the line.
    Asked { key: Key, leaves: bool },
    /// Registered; asked again then.
    Held { until: Instant },
    /// Over.
    Left,
}

impl Registrar {
    /// The first REGISTER is due at once.
    pub(crate) fn new(wanted: Register, tokens: &mut Tokens, now: Instant) -> Self {
        Self {
            wanted,
            call_id: tokens.token(),
            cseq: 0,
            state: State::Waiting { until: now },
            known_until: None,
            leaves: false,
            failures: 0,
            told: None,
        }
    }

    /// When to ask again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } | State::Held { until } => Some(until),
            State::Asked { .. } | State::Left => None,
        }
    }

    /// The request was sent again, as the registrar wanted it.
    pub(crate) fn asked_again(&mut self, again: Key) {
        self.cseq += 1;
        if let State::Asked { key, .. } = &mut self.state {
            *key = again;
        }
    }

    /// Notes that a REGISTER may have been taken, at `at` at the latest, of which nobody will ever say so.
    fn doubt(&mut self, at: Instant) {
        let until = at + Duration::from_secs(self.wanted.expires_s.into());
        self.known_until = self.known_until.max(Some(until));
    }

    /// Has the line forgotten where it may be known, as soon as that may be asked for: one REGISTER at a time
    /// (RFC 3261 section 10.2).
    fn leave(&mut self, now: Instant) {
        self.leaves = true;
        match &self.state {
            State::Waiting { .. } | State::Held { .. }
                if self.known_until.is_some_and(|until| now < until) =>
            {
                self.state = State::Waiting { until: now };
            }
            State::Waiting { .. } | State::Held { .. } => self.state = State::Left,
            State::Asked { .. } | State::Left => {}
        }
    }

    fn news(&mut self, registration: Registration) -> Option<Event> {
        let is_news = match (&self.told, &registration) {
            (Some(Registration::Held { .. }), Registration::Held { .. }) => false,
            (told, registration) => told.as_ref() != Some(registration),
        };
        self.told = Some(registration.clone());
        let is_news = is_news && !self.leaves;
        is_news.then_some(Event::Registration(registration))
    }

    fn pause(&mut self, least: Duration, tokens: &mut Tokens) -> Duration {
        let doubled = FIRST_PAUSE.saturating_mul(1 << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        let longest = if least < REFUSED_PAUSE { LONGEST_PAUSE } else { LONGEST_REFUSED_PAUSE };
        let whole = doubled.clamp(least, longest);
        // Lines that lost their registrar at the same moment do not come back at the same moment.
        whole.mul_f64(tokens.within(500..1000) as f64 / 1000.0)
    }
}

impl Endpoint {
    /// Has the registrar forget the line. Nothing follows; [`Endpoint::is_registered`] tells when it is done.
    pub fn unregister(&mut self, now: Instant) {
        if let Some(registrar) = &mut self.registrar {
            registrar.leave(now);
            self.register_timeout(now);
        }
    }

    /// Whether a registrar may still know the line.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.registrar.as_ref().is_some_and(|registrar| match &registrar.state {
            State::Held { .. } | State::Asked { .. } => true,
            State::Waiting { .. } => registrar.leaves,
            State::Left => false,
        })
    }

    /// Registers where that is due.
    pub(crate) fn register_timeout(&mut self, now: Instant) {
        let Some(registrar) = &self.registrar else { return };
        if registrar.deadline().is_some_and(|due| due <= now) {
            self.send_register(now, registrar.leaves);
        }
    }

    /// The PBX is reached by another address now, which does not know the line yet.
    pub(crate) fn register_elsewhere(&mut self, now: Instant) {
        let Some(registrar) = &mut self.registrar else { return };
        match &registrar.state {
            State::Waiting { .. } | State::Held { .. } => registrar.state = State::Waiting { until: now },
            State::Asked { leaves: false, .. } => {
                registrar.doubt(now + PATIENCE);
                registrar.state = State::Waiting { until: now };
            }
            State::Asked { leaves: true, .. } | State::Left => {}
        }
    }

    /// The PBX answers again that did not answer: it may have forgotten the line, and is not asked before a pause is over otherwise.
    pub(crate) fn register_again(&mut self, now: Instant) {
        let Some(registrar) = &mut self.registrar else { return };
        let soon = now + Duration::from_millis(self.tokens.within(0..RETURN_WITHIN_MS));
        match &mut registrar.state {
            State::Waiting { until } | State::Held { until } => *until = soon.min(*until),
            State::Asked { .. } | State::Left => {}
        }
    }

    fn send_register(&mut self, now: Instant, leaves: bool) {
        let peer = self.peers.current();
        let Some(registrar) = &mut self.registrar else { return };
        registrar.cseq += 1;
        let (cseq, call_id, wanted) = (registrar.cseq, registrar.call_id.clone(), registrar.wanted.clone());
        let expires_s = if leaves { 0 } else { wanted.expires_s };
        let branch = self.tokens.branch();
        let mut request = Request::new(Method::Register, self.pbx_uri("", peer));
        self.push_via(&mut request, &branch);
        let identity = self.pbx_uri(&wanted.user, peer);
        let tag = self.tokens.token();
        request.headers.push("From", format!("<{identity}>;tag={tag}"));
        request.headers.push("To", format!("<{identity}>"));
        request.headers.push("Call-ID", call_id);
        request.headers.push("CSeq", format!("{cseq} REGISTER"));
        request.headers.push("Contact", format!("<{}>;expires={expires_s}", self.own_uri()));
        request.headers.push("Expires", expires_s.to_string());
        let key = self.request(now, &branch, request, self.hop(peer), Owner::Register);
        if let Some(registrar) = &mut self.registrar {
            registrar.state = State::Asked { key, leaves };
        }
    }

    fn own_uri(&self) -> String {
        sip_uri(&self.config.line_user, self.config.announced)
    }

    /// The registrar answered.
    pub(crate) fn register_answered(&mut self, now: Instant, key: &Key, response: &Response) {
        let own = self.own_uri();
        let Some(registrar) = &mut self.registrar else { return };
        let leaves = match &registrar.state {
            State::Asked { key: asked, leaves } if asked == key => *leaves,
            State::Asked { .. } | State::Waiting { .. } | State::Held { .. } | State::Left => return,
        };
        if leaves {
            registrar.state = State::Left;
            return;
        }
        let raised = response.headers.first("Min-Expires").and_then(|value| value.trim().parse::<u32>().ok());
        let raised = raised.filter(|least| *least > registrar.wanted.expires_s && *least <= EXPIRES_LIMIT_S);
        let news = match response.status {
            ..300 => {
                let granted_s = granted(&response.headers, &own, registrar.wanted.expires_s);
                let until = now + (Duration::from_secs(granted_s.into()) / 2).max(SHORTEST_REFRESH);
                registrar.state = State::Held { until };
                registrar.known_until = Some(now + Duration::from_secs(granted_s.into()));
                registrar.failures = 0;
                registrar.news(Registration::Held { expires_s: granted_s })
            }
            423 if raised.is_some() => {
                registrar.wanted.expires_s = raised.unwrap_or(registrar.wanted.expires_s);
                registrar.state = State::Waiting { until: now };
                None
            }
            status => {
                // Somebody on the way may have said so of a REGISTER that went on.
                if matches!(status, 408 | 500..600) {
                    registrar.doubt(now);
                }
                let least = if (500..600).contains(&status) { FIRST_PAUSE } else { REFUSED_PAUSE };
                let wished = retry_after(&response.headers).unwrap_or_default();
                let pause = registrar.pause(least, &mut self.tokens).max(wished);
                registrar.state = State::Waiting { until: now + pause };
                registrar.news(Registration::Refused { status, phrase: response.phrase.clone() })
            }
        };
        if registrar.leaves {
            registrar.leave(now);
        }
        if let Some(event) = news {
            self.tell(event);
        }
    }

    /// The registrar did not answer.
    pub(crate) fn register_timed_out(&mut self, now: Instant, key: &Key) {
        let Some(registrar) = &mut self.registrar else { return };
        match &registrar.state {
            State::Asked { key: asked, leaves: true } if asked == key => registrar.state = State::Left,
            State::Asked { key: asked, leaves: false } if asked == key => {
                let pause = registrar.pause(FIRST_PAUSE, &mut self.tokens);
                registrar.state = State::Waiting { until: now + pause };
                registrar.doubt(now);
                if registrar.leaves {
                    registrar.leave(now);
                }
                if let Some(event) = registrar.news(Registration::Unanswered) {
                    self.tell(event);
                }
            }
            State::Asked { .. } | State::Waiting { .. } | State::Held { .. } | State::Left => {}
        }
    }

    /// Whom an INVITE calls that came to the address that we registered: that says nothing but us, and To says whom.
    pub(crate) fn dialled_behind(&self, request: &Request, dialled: String) -> String {
        if self.registrar.is_none() || dialled != self.config.line_user {
            return dialled;
        }
        let to = request.headers.to().and_then(|to| Uri::parse(&to.uri).ok());
        to.and_then(|uri| uri.user).unwrap_or(dialled)
    }
}

/// For how long a 200 holds our Contact, which it may list among others (RFC 3261 section 10.2.4).
fn granted(headers: &Headers, own: &str, wanted_s: u32) -> u32 {
    let seconds = |text: &str| text.trim().parse::<u32>().ok();
    let own = Uri::parse(own).ok();
    let is_ours = |contact: &NameAddr| {
        let place = |uri: &Uri| (uri.user.clone(), uri.host.clone(), uri.port);
        Uri::parse(&contact.uri).ok().map(|uri| place(&uri)) == own.as_ref().map(place)
    };
    let contacts = headers.all("Contact").flat_map(NameAddr::split_list);
    let ours = contacts.filter_map(NameAddr::parse).find(is_ours);
    let of_contact = ours.and_then(|contact| contact.parameters.value("expires").and_then(seconds));
    of_contact.or_else(|| headers.first("Expires").and_then(seconds)).unwrap_or(wanted_s)
}

fn retry_after(headers: &Headers) -> Option<Duration> {
    let value = headers.first("Retry-After")?;
    let digits = value.trim().split(|c: char| !c.is_ascii_digit()).next()?;
    Some(Duration::from_secs(digits.parse::<u64>().ok()?.min(RETRY_LIMIT_S)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_contact_is_found_among_others_and_its_time_counts() {
        let granted = |lines: &[(&str, &str)]| {
            let mut headers = Headers::default();
            for (name, value) in lines {
                headers.push(name, *value);
            }
            granted(&headers, "sip:line@192.0.2.1:30001", 600)
        };
        let others =
            "<sip:line@192.0.2.9:5060>;expires=7, \"Line\" <sip:line@192.0.2.1:30001;ob>;q=1;expires=120";
        assert_eq!(granted(&[("Contact", others), ("Expires", "5")]), 120);
        assert_eq!(granted(&[("Contact", "<sip:line@192.0.2.1:30001>"), ("Expires", "90")]), 90);
        assert_eq!(granted(&[("Contact", "<sip:line@192.0.2.9>;expires=7")]), 600);
    }
}
