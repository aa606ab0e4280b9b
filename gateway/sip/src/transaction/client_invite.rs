//! INVITE client transaction (RFC 3261 section 17.1.1 with RFC 6026 section 7.2).
//!
//! It acknowledges refusals itself. A 2xx goes to the call, whose ACK is kept here, so that a repeated 2xx gets it
//! again even after the call is over.

use std::time::{Duration, Instant};

use super::client::Due;
use super::timer::{PATIENCE, Repeat};
use crate::hop::{Hop, Transport};
use crate::message::{Method, Request, Response};

/// Most branches of a forked INVITE whose ACKs are kept.
const FORKS_LIMIT: usize = 16;

/// Such a transaction, from the first sending on.
#[derive(Debug)]
pub(crate) struct ClientInvite {
    request: Request,
    bytes: Vec<u8>,
    state: State,
    /// How long copies of a refusal may come: timer D.
    linger: Duration,
}

#[derive(Debug)]
enum State {
    /// Repeated by timer A until an answer or timer B.
    Calling(Repeat),
    /// A provisional answer came; the call decides how long to wait.
    Proceeding,
    /// A refusal came; each copy gets this ACK until timer D.
    Completed { ack: Vec<u8>, ends_at: Instant },
    /// A 2xx came; each copy gets its ACK until timer M.
    Accepted { acks: Vec<Ack>, ends_at: Instant },
}

#[derive(Debug)]
struct Ack {
    tag: String,
    destination: Hop,
    bytes: Vec<u8>,
}

/// What a response means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A copy of something known.
    Nothing,
    /// A provisional answer, a first 2xx of its branch: for the call.
    Tell,
    /// A refusal, for the call; this ACK goes where the INVITE went.
    Refused(Vec<u8>),
    /// The copy of a refusal: the ACK goes out again.
    AckRefusal(Vec<u8>),
    /// The copy of a 2xx: its ACK goes out again.
    AckAgain(Hop, Vec<u8>),
}

impl ClientInvite {
    /// Begins with the INVITE that is sent now.
    pub(crate) fn new(now: Instant, request: Request, transport: Transport) -> Self {
        let bytes = request.to_bytes();
        if transport.is_reliable() {
            return Self { request, bytes, state: State::Calling(Repeat::once(now)), linger: Duration::ZERO };
        }
        // Timer A has no ceiling.
        let state = State::Calling(Repeat::new(now, Duration::MAX / 4));
        Self { request, bytes, state, linger: PATIENCE }
    }

    /// Whether it has no answer yet, not even a provisional one.
    pub(crate) fn is_unheard(&self) -> bool {
        matches!(self.state, State::Calling(_))
    }

    /// Goes on with an INVITE that was sent and may be cancelled.
    pub(crate) fn proceeding(request: Request, transport: Transport) -> Self {
        let bytes = request.to_bytes();
        let linger = if transport.is_reliable() { Duration::ZERO } else { PATIENCE };
        Self { request, bytes, state: State::Proceeding, linger }
    }

    /// The INVITE.
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// Whether a CANCEL may be sent (RFC 3261 section 9.1).
    pub(crate) fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding)
    }

    /// Is repeated no more.
    pub(crate) fn hush(&mut self) {
        if let State::Calling(repeat) = &mut self.state {
            repeat.at = repeat.until;
        }
    }

    /// Takes a response.
    pub(crate) fn respond(&mut self, now: Instant, response: &Response) -> Heard {
        let to = response.headers.to();
        let tag = to.as_ref().and_then(|to| to.tag()).unwrap_or("");
        match (&mut self.state, response.status) {
            (State::Calling(_) | State::Proceeding, ..200) => {
                self.state = State::Proceeding;
                Heard::Tell
            }
            (State::Calling(_) | State::Proceeding, 200..300) => {
                self.state = State::Accepted { acks: Vec::new(), ends_at: now + PATIENCE };
                Heard::Tell
            }
            (State::Calling(_) | State::Proceeding, _) => {
                let ack = ack_refusal(&self.request, response).to_bytes();
                self.state = State::Completed { ack: ack.clone(), ends_at: now + self.linger };
                Heard::Refused(ack)
            }
            (State::Completed { ack, .. }, 300..) => Heard::AckRefusal(ack.clone()),
            (State::Accepted { acks, .. }, 200..300) => match acks.iter().find(|ack| ack.tag == tag) {
                Some(ack) => Heard::AckAgain(ack.destination, ack.bytes.clone()),
                None if acks.len() < FORKS_LIMIT => Heard::Tell,
                None => Heard::Nothing,
            },
            (State::Completed { .. } | State::Accepted { .. }, _) => Heard::Nothing,
        }
    }

    /// Keeps the ACK of a 2xx for its copies.
    pub(crate) fn keep_ack(&mut self, tag: &str, destination: Hop, bytes: Vec<u8>) {
        if let State::Accepted { acks, .. } = &mut self.state {
            acks.push(Ack { tag: tag.to_owned(), destination, bytes });
        }
    }

    /// What is to be sent or said now.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Due<'_> {
        match &mut self.state {
            State::Calling(repeat) if repeat.is_over(now) => Due::TimedOut,
            State::Calling(repeat) => {
                if repeat.is_due(now) {
                    Due::Again(&self.bytes)
                } else {
                    Due::Nothing
                }
            }
            State::Completed { ends_at, .. } | State::Accepted { ends_at, .. } if now >= *ends_at => {
                Due::Over
            }
            State::Proceeding | State::Completed { .. } | State::Accepted { .. } => Due::Nothing,
        }
    }

    /// When to look again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Calling(repeat) => Some(repeat.next()),
            State::Proceeding => None,
            State::Completed { ends_at, .. } | State::Accepted { ends_at, .. } => Some(*ends_at),
        }
    }
}

/// The ACK to a refusal: the INVITE's own Via, Route and number, the response's To (RFC 3261 section 17.1.1.3).
fn ack_refusal(invite: &Request, response: &Response) -> Request {
    let mut ack = same_hop(Method::Ack, invite);
    if let Some(to) = response.headers.first("To") {
        ack.headers.replace_first("To", to.to_owned());
    }
    ack
}

/// The CANCEL of an INVITE (RFC 3261 section 9.1).
pub(crate) fn cancel(invite: &Request) -> Request {
    same_hop(Method::Cancel, invite)
}

fn same_hop(method: Method, invite: &Request) -> Request {
    let number = invite.headers.cseq().map_or(1, |cseq| cseq.number);
    let mut request = Request::new(method, invite.uri.clone());
    for (name, value) in invite.headers.iter() {
        if ["Via", "Route", "From", "To", "Call-ID", "Max-Forwards", "User-Agent"].contains(&name) {
            request.headers.push(name, value);
        }
    }
    let cseq = format!("{number} {}", request.method);
    request.headers.push("CSeq", cseq);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_is_repeated_at_doubling_intervals_for_32_seconds() {
        let start = Instant::now();
        let mut transaction = ClientInvite::new(start, invite(), Transport::Udp);
        let mut sent = Vec::new();
        while let Some(now) = transaction.deadline() {
            match transaction.handle_timeout(now) {
                Due::Again(_) => sent.push((now - start).as_millis()),
                Due::TimedOut => break,
                Due::Nothing | Due::Over => panic!(),
            }
        }
        assert_eq!(sent, [500, 1500, 3500, 7500, 15_500, 31_500]);
    }

    #[test]
    fn the_ack_of_a_refusal_carries_the_to_tag_and_the_route_of_the_invite() {
        let now = Instant::now();
        let mut transaction = ClientInvite::new(now, invite(), Transport::Udp);
        assert_eq!(transaction.respond(now, &response(100, "")), Heard::Tell);
        assert_eq!(transaction.deadline(), None);
        let Heard::Refused(ack) = transaction.respond(now, &response(486, "77")) else { panic!() };
        assert_eq!(
            String::from_utf8(ack.clone()).unwrap(),
            "ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nRoute: <sip:proxy;lr>\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=77\r\nCall-ID: x\r\nCSeq: 5 ACK\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(transaction.respond(now, &response(486, "77")), Heard::AckRefusal(ack));
        assert_eq!(transaction.handle_timeout(now + PATIENCE), Due::Over);
    }

    #[test]
    fn each_branch_of_a_fork_is_told_once_and_acknowledged_again() {
        let now = Instant::now();
        let there = Hop::to(Transport::Udp, "127.0.0.1:5060".parse().unwrap());
        let mut transaction = ClientInvite::new(now, invite(), Transport::Udp);
        assert_eq!(transaction.respond(now, &response(200, "a")), Heard::Tell);
        transaction.keep_ack("a", there, b"ACK a".to_vec());
        assert_eq!(transaction.respond(now, &response(200, "b")), Heard::Tell);
        transaction.keep_ack("b", there, b"ACK b".to_vec());
        assert_eq!(transaction.respond(now, &response(200, "a")), Heard::AckAgain(there, b"ACK a".to_vec()));
        assert_eq!(transaction.respond(now, &response(486, "c")), Heard::Nothing);
        assert_eq!(transaction.deadline(), Some(now + PATIENCE));
    }

    #[test]
    fn over_a_connection_it_is_sent_once_and_ends_with_its_refusal() {
        let now = Instant::now();
        let mut transaction = ClientInvite::new(now, invite(), Transport::Tcp);
        assert_eq!(transaction.deadline(), Some(now + PATIENCE));
        assert!(matches!(transaction.respond(now, &response(486, "77")), Heard::Refused(_)));
        assert_eq!((transaction.deadline(), transaction.handle_timeout(now)), (Some(now), Due::Over));
        let mut transaction = ClientInvite::new(now, invite(), Transport::Tcp);
        assert_eq!(transaction.respond(now, &response(200, "a")), Heard::Tell);
        assert_eq!(transaction.deadline(), Some(now + PATIENCE), "a 2xx comes again end to end (RFC 6026)");
    }

    fn invite() -> Request {
        let mut request = Request::new(Method::Invite, "sip:a@b");
        for (name, value) in [
            ("Via", "SIP/2.0/UDP h;branch=z9hG4bK1"),
            ("Route", "<sip:proxy;lr>"),
            ("From", "<sip:a@b>;tag=1"),
            ("To", "<sip:a@b>"),
            ("Call-ID", "x"),
            ("CSeq", "5 INVITE"),
            ("Contact", "<sip:me@h>"),
        ] {
            request.headers.push(name, value);
        }
        request
    }

    fn response(status: u16, tag: &str) -> Response {
        Response::to(&invite(), status, "", Some(tag).filter(|tag| !tag.is_empty()))
    }
}
