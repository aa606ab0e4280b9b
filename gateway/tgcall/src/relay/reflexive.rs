//! What a local socket looks like from a STUN server (RFC 8489): the address for a server-reflexive candidate.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Identifiers;
use super::stun::{Class, Message, Method, Request};
use super::transaction::{Due, Transaction};

/// Keeps a router's mapping, and notices another one.
const ASK_AGAIN: Duration = Duration::from_secs(15);

/// One socket's questions to one server.
pub(super) struct Reflexive {
    pub(super) server: SocketAddr,
    pub(super) base: SocketAddr,
    identifiers: Identifiers,
    transaction: Option<Transaction>,
    ask_at: Instant,
    mapped: Option<SocketAddr>,
}

impl Reflexive {
    pub(super) fn new(now: Instant, server: SocketAddr, base: SocketAddr, identifiers: Identifiers) -> Self {
        Reflexive { server, base, identifiers, transaction: None, ask_at: now, mapped: None }
    }

    /// Takes what came from the server: `None` if it is no answer of its, else the socket's address from outside if that
    /// is news.
    pub(super) fn handle(&mut self, packet: &[u8]) -> Option<Option<SocketAddr>> {
        let id = self.transaction.as_ref()?.id;
        let message = Message::parse(packet).filter(|message| message.id == id)?;
        self.transaction = None;
        let mapped = message.mapped.filter(|_| message.class == Class::Success);
        let news = mapped.filter(|mapped| self.mapped != Some(*mapped) && *mapped != self.base);
        self.mapped = mapped.or(self.mapped);
        Some(news)
    }

    /// A question that is due.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Vec<u8>> {
        match self.transaction.as_mut().map(|transaction| transaction.due(now)) {
            Some(Due::Repeat(request)) => return Some(request),
            Some(Due::Nothing) => return None,
            Some(Due::GivenUp) => self.transaction = None,
            None => {}
        }
        if now < self.ask_at {
            return None;
        }
        self.ask_at = now + ASK_AGAIN;
        let id = self.identifiers.transaction();
        let request = Request::new(Method::Binding, id).unsigned();
        self.transaction = Some(Transaction::new(now, id, request.clone(), false));
        Some(request)
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        self.transaction.as_ref().map_or(self.ask_at, Transaction::deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_from_outside_is_news_once() {
        let start = Instant::now();
        let mut reflexive = reflexive(start);
        let outside = "192.0.2.200:5000";
        for now in [start, start + ASK_AGAIN] {
            let question = reflexive.handle_timeout(now).unwrap();
            assert_eq!(reflexive.handle_timeout(now), None);
            assert_eq!(reflexive.handle(&[1; 30]), None);
            let news = reflexive.handle(&Request::answer(&question, true).mapped(outside).unsigned());
            assert_eq!(news, Some(Some(outside.parse().unwrap()).filter(|_| now == start)));
            assert_eq!(reflexive.poll_timeout(), now + ASK_AGAIN);
        }
    }

    #[test]
    fn a_socket_that_looks_the_same_from_outside_is_no_news() {
        let start = Instant::now();
        let mut reflexive = reflexive(start);
        let question = reflexive.handle_timeout(start).unwrap();
        let same = Request::answer(&question, true).mapped("10.0.0.1:4000").unsigned();
        assert_eq!(reflexive.handle(&same), Some(None));
    }

    fn reflexive(now: Instant) -> Reflexive {
        let [server, base] = ["192.0.2.1:3478", "10.0.0.1:4000"].map(|address| address.parse().unwrap());
        Reflexive::new(now, server, base, Identifiers::new([1; 32]))
    }
}
