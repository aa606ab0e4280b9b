//! Our INVITE at the PBX's next address, where one does not answer or takes no calls (RFC 3263 section 4.3).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::state::{Call, GivingUp, State};
use crate::dialog::Dialog;
use crate::endpoint::{CallId, Endpoint};
use crate::hop::Transport;
use crate::message::{Headers, Method, Response};
use crate::transaction::{Key, Owner};

/// Where a call goes.
#[derive(Debug)]
pub(crate) struct Way {
    /// User part of its Request-URI.
    user: String,
    /// The address that has it.
    pub(crate) peer: SocketAddr,
    /// The ones after that.
    spare: Vec<SocketAddr>,
    /// When it goes on to the next one unless this one says something.
    pub(crate) patience_ends: Option<Instant>,
}

impl Way {
    /// A call to a user at the address whose turn it is.
    pub(crate) fn new(endpoint: &Endpoint, user: &str, now: Instant) -> Self {
        let spare = endpoint.peers.spare();
        let patience_ends = patience(&spare, endpoint.config.failover, now);
        Self { user: user.to_owned(), peer: endpoint.peers.current(), spare, patience_ends }
    }

    /// A call that is at an address and goes nowhere else.
    pub(crate) fn at(peer: SocketAddr) -> Self {
        Self { user: String::new(), peer, spare: Vec::new(), patience_ends: None }
    }
}

/// How long an address is waited for: as long as it takes where there is no other.
fn patience(spare: &[SocketAddr], failover: Duration, now: Instant) -> Option<Instant> {
    (!spare.is_empty()).then(|| now + failover)
}

impl Endpoint {
    /// Nothing reaches this address any more: requests that went there and were not heard of fail as if by 503
    /// (RFC 3261 section 8.1.3.1).
    pub fn handle_transport_error(&mut self, now: Instant, transport: Transport, address: SocketAddr) {
        let unheard = self.layer.unheard(transport, address);
        if unheard
            .iter()
            .any(|(owner, _)| matches!(owner, Owner::Call(_) | Owner::Probe(_) | Owner::Register))
        {
            self.silence_probe(address);
            self.peer_answered(now, address, false);
        }
        for (owner, key) in unheard {
            match owner {
                Owner::Call(id) => self.invite_answered(now, &key, id, transport_error()),
                Owner::Bye(id) => self.bye_done(id),
                Owner::Info(id) => self.info_answered(now, id, 503),
                Owner::Notify(id) => self.notify_answered(now, id, 503),
                Owner::Refresh(id) => self.refresh_answered(now, &key, id, &transport_error()),
                Owner::Register => self.register_timed_out(now, &key),
                Owner::Probe(_) | Owner::Left { .. } | Owner::Nobody => {}
            }
            self.layer.abandon(&key);
        }
        self.check_invariants();
    }

    /// A datagram did not arrive there, as ICMP says: calls that heard nothing from there yet go on to the next address
    /// where there is one, and else are repeated as before, since anybody can forge ICMP.
    pub fn handle_unreachable(&mut self, now: Instant, address: SocketAddr) {
        let unheard = self.layer.unheard(Transport::Udp, address);
        if unheard
            .iter()
            .any(|(owner, _)| matches!(owner, Owner::Call(_) | Owner::Probe(_) | Owner::Register))
        {
            self.silence_probe(address);
            self.peer_answered(now, address, false);
        }
        for (owner, _) in unheard {
            if let Owner::Call(id) = owner {
                self.try_next(now, id);
            }
        }
    }

    /// Turns a call of ours to the next address, where there is one and the call is wanted yet. False where not.
    pub(crate) fn try_next(&mut self, now: Instant, id: CallId) -> bool {
        let Some(Call { state: State::Inviting(inviting), .. }) = self.calls.get(&id) else { return false };
        let wanted = matches!(inviting.giving_up, GivingUp::No) && !inviting.way.spare.is_empty();
        let request = self.layer.invite(&inviting.invite).map(|(request, ..)| request.clone());
        let Some(mut request) = request.filter(|_| wanted) else { return false };
        let Some(Call { state: State::Inviting(mut inviting), audio }) = self.forget(id) else {
            return false;
        };
        let left = inviting.way.peer;
        inviting.way.peer = inviting.way.spare.remove(0);
        inviting.way.patience_ends = patience(&inviting.way.spare, self.config.failover, now);
        inviting.early.clear();
        inviting.asked = inviting.asked.elsewhere();
        self.layer.hush(&inviting.invite);
        self.layer.set_owner(&inviting.invite, Owner::Left { cancelled: false });
        tracing::info!(call = id.0, "the PBX does not take a call at one address, the next one is tried");
        tracing::debug!(%left, next = %inviting.way.peer, "failover");
        let peer = inviting.way.peer;
        request.uri = self.pbx_uri(&inviting.way.user, peer);
        for proof in ["Authorization", "Proxy-Authorization"] {
            request.headers.remove(proof);
        }
        let branch = self.tokens.branch();
        // The number grows, too: a PBX behind both addresses would take the same one for a loop (RFC 3261 section 8.2.2.2).
        self.renew(&mut request, &branch);
        inviting.invite = self.request(now, &branch, request, self.hop(peer), Owner::Call(id));
        self.keep(id, Call { state: State::Inviting(inviting), audio });
        true
    }

    /// Takes a response to an INVITE that its call has left behind: who rings is told to stop, once, and who answers is
    /// hung up.
    pub(crate) fn left_answered(&mut self, now: Instant, key: &Key, cancelled: bool, response: &Response) {
        match response.status {
            ..200 if !cancelled => {
                self.layer.set_owner(key, Owner::Left { cancelled: true });
                self.send_cancel(now, key, None);
            }
            200..300 => {
                let Some((request, destination, _)) = self.layer.invite(key) else { return };
                let Some(mut dialog) = Dialog::from_response(request, response, destination) else { return };
                let mut ack = dialog.request(Method::Ack);
                let branch = self.tokens.branch();
                self.push_via(&mut ack, &branch);
                let hop = dialog.next_hop(&self.filter);
                self.layer.acknowledge(key, dialog.remote_tag(), hop, &ack);
                self.send_bye(now, dialog, None, Owner::Nobody);
            }
            _ => {}
        }
    }
}

/// What a request gets that cannot be sent.
fn transport_error() -> Response {
    let phrase = "Transport Error".to_owned();
    Response { status: 503, phrase, headers: Headers::default(), body: Vec::new() }
}
