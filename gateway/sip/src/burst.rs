//! Datagrams that came together: what belongs to running calls is served first, and new calls after it, so that a BYE does
//! not stand behind a crowd of INVITEs.

use std::net::SocketAddr;
use std::time::Instant;

use crate::edge::Inbound;
use crate::endpoint::Endpoint;
use crate::hop::Hop;
use crate::message::{Method, Request};
use crate::transaction::Key;

/// A new call that waits for the end of its burst.
#[derive(Debug)]
pub(crate) struct NewCall {
    key: Key,
    source: Hop,
    request: Request,
    answer_to: Hop,
    length: usize,
}

impl Endpoint {
    /// Takes one of several datagrams that came together. A new call among them waits for
    /// [`Endpoint::end_burst`], which has to follow before anything else is said to the line.
    pub fn handle_burst(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) {
        let Some((source, inbound)) = self.read(now, source, datagram) else { return };
        let length = datagram.len();
        match inbound {
            Inbound::Request { request, answer_to } if begins_call(&request) => {
                let Some(key) = Key::of_request(&request) else { return };
                self.new_calls.push(NewCall { key, source, request, answer_to, length });
            }
            Inbound::Request { request, answer_to } if request.method == Method::Cancel => {
                // Whoever gives up at once had called before.
                let meant = Key::of_cancelled(&request);
                if let Some(at) = self.new_calls.iter().position(|call| Some(&call.key) == meant.as_ref()) {
                    let call = self.new_calls.remove(at);
                    self.serve_new(now, call);
                }
                self.take(now, source, Inbound::Request { request, answer_to }, length);
            }
            inbound => self.take(now, source, inbound, length),
        }
    }

    /// Serves the new calls of a burst, in the order in which they came.
    pub fn end_burst(&mut self, now: Instant) {
        for call in std::mem::take(&mut self.new_calls) {
            self.serve_new(now, call);
        }
    }

    fn serve_new(&mut self, now: Instant, call: NewCall) {
        let NewCall { source, request, answer_to, length, .. } = call;
        self.take(now, source, Inbound::Request { request, answer_to }, length);
    }
}

fn begins_call(request: &Request) -> bool {
    request.method == Method::Invite && request.headers.to().is_none_or(|to| to.tag().is_none())
}
