//! Client transaction for everything but INVITE (RFC 3261 section 17.1.2).

use std::time::{Duration, Instant};

use super::timer::{Repeat, T2, T4};
use crate::hop::Transport;

/// Such a transaction, from the first sending on.
#[derive(Debug)]
pub(crate) struct Client {
    request: Vec<u8>,
    state: State,
    /// How long copies of its final answer may come: timer K.
    linger: Duration,
}

#[derive(Debug)]
enum State {
    /// Repeated by timer E until an answer or timer F.
    Trying(Repeat),
    /// A final answer came; more of them are swallowed until timer K.
    Completed { ends_at: Instant },
}

impl Client {
    /// Begins with the request that is sent now.
    pub(crate) fn new(now: Instant, request: Vec<u8>, transport: Transport) -> Self {
        if transport.is_reliable() {
            Self { request, state: State::Trying(Repeat::once(now)), linger: Duration::ZERO }
        } else {
            Self { request, state: State::Trying(Repeat::new(now, T2)), linger: T4 }
        }
    }

    /// Whether it has no answer yet, not even a provisional one.
    pub(crate) fn is_unheard(&self) -> bool {
        matches!(self.state, State::Trying(_))
    }

    /// Takes a response. True when it is the first final one, for whoever asked.
    pub(crate) fn respond(&mut self, now: Instant, status: u16) -> bool {
        match &mut self.state {
            State::Trying(repeat) if status < 200 => {
                repeat.slow_down();
                false
            }
            State::Trying(_) => {
                self.state = State::Completed { ends_at: now + self.linger };
                true
            }
            State::Completed { .. } => false,
        }
    }

    /// What is to be sent or said now.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Due<'_> {
        match &mut self.state {
            State::Trying(repeat) if repeat.is_over(now) => Due::TimedOut,
            State::Trying(repeat) => {
                if repeat.is_due(now) {
                    Due::Again(&self.request)
                } else {
                    Due::Nothing
                }
            }
            State::Completed { ends_at } if now >= *ends_at => Due::Over,
            State::Completed { .. } => Due::Nothing,
        }
    }

    /// When to look again.
    pub(crate) fn deadline(&self) -> Instant {
        match &self.state {
            State::Trying(repeat) => repeat.next(),
            State::Completed { ends_at } => *ends_at,
        }
    }
}

/// What a client transaction's timer brings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due<'a> {
    /// It was early.
    Nothing,
    /// The request goes out again.
    Again(&'a [u8]),
    /// Nobody answered (RFC 3261 section 8.1.3.1: as if by 408); the transaction is over.
    TimedOut,
    /// The transaction is over.
    Over,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transaction::timer::PATIENCE;

    #[test]
    fn a_request_is_repeated_for_32_seconds() {
        let start = Instant::now();
        let mut client = Client::new(start, b"BYE".to_vec(), Transport::Udp);
        let mut sent = 0;
        loop {
            let now = client.deadline();
            match client.handle_timeout(now) {
                Due::Again(request) => {
                    assert_eq!(request, b"BYE");
                    sent += 1;
                }
                Due::TimedOut => {
                    assert_eq!((now - start, sent), (PATIENCE, 10));
                    break;
                }
                Due::Nothing | Due::Over => panic!("at {:?}", now - start),
            }
        }
    }

    #[test]
    fn the_first_final_answer_counts_and_the_rest_is_swallowed() {
        let start = Instant::now();
        let mut client = Client::new(start, Vec::new(), Transport::Udp);
        assert!(!client.respond(start, 100));
        assert!(client.respond(start, 200));
        assert!(!client.respond(start, 200));
        assert_eq!(client.handle_timeout(start), Due::Nothing);
        assert_eq!(client.handle_timeout(start + T4), Due::Over);
    }

    #[test]
    fn over_a_connection_it_is_sent_once_and_ends_with_its_answer() {
        let start = Instant::now();
        let mut client = Client::new(start, Vec::new(), Transport::Tcp);
        assert_eq!(client.deadline(), start + PATIENCE);
        assert!(!client.respond(start, 100));
        assert_eq!(client.deadline(), start + PATIENCE);
        assert!(client.respond(start, 200));
        assert_eq!((client.deadline(), client.handle_timeout(start)), (start, Due::Over));
        let mut client = Client::new(start, Vec::new(), Transport::Tls);
        assert_eq!(client.handle_timeout(start + PATIENCE), Due::TimedOut);
    }
}
