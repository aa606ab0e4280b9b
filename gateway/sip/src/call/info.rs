//! INFO both ways, outside any package: keys that do not travel with the audio (RFC 6086, RFC 2976).
//!
//! Bodies pass through; who reads and writes them knows what a key is. Ours go one at a time, since a PBX that gets
//! two over UDP may take the second first and refuse the other (RFC 3261 section 12.2.2).

use std::collections::VecDeque;
use std::time::Instant;

use super::state::{Call, State};
use crate::dialog::Dialog;
use crate::edge::Refusal;
use crate::endpoint::{CallId, Endpoint};
use crate::event::Event;
use crate::message::{Method, Request};
use crate::text::{VALUE_LIMIT_BYTES, clean};
use crate::transaction::Owner;

/// What an INFO may carry.
const TAKEN: [&str; 2] = ["application/dtmf-relay", "application/dtmf"];

/// Most INFOs of one call that wait for the one before them.
const WAITING_LIMIT: usize = 128;

/// Our INFOs of one call.
#[derive(Debug, Default)]
pub(crate) struct Infos {
    /// Whether one is on its way.
    sent: bool,
    /// Content-Type and body of the next ones.
    waiting: VecDeque<(String, Vec<u8>)>,
}

impl Endpoint {
    /// Sends an INFO in a call's dialog, early or confirmed, as soon as the one before it is answered. It is repeated
    /// until its answer comes; [`Event::InfoRefused`] tells when that is a refusal.
    ///
    /// False, with nothing sent, when the call has no dialog (yet, or any more), or too many wait.
    pub fn send_info(&mut self, now: Instant, id: CallId, content_type: &str, body: &[u8]) -> bool {
        let spoken_to = self.calls.get_mut(&id).is_some_and(|call| speaking(call).is_some());
        let waiting = self.infos.get(&id).map_or(0, |infos| infos.waiting.len());
        if !spoken_to || waiting >= WAITING_LIMIT {
            tracing::debug!(call = id.0, waiting, "INFO not sent");
            return false;
        }
        let infos = self.infos.entry(id).or_default();
        infos.waiting.push_back((clean(content_type, VALUE_LIMIT_BYTES), body.to_vec()));
        self.next_info(now, id);
        true
    }

    /// Sends the first of those that wait, if none is on its way.
    fn next_info(&mut self, now: Instant, id: CallId) {
        let Some(infos) = self.infos.get_mut(&id).filter(|infos| !infos.sent) else { return };
        let dialog = self.calls.get_mut(&id).and_then(speaking);
        let Some((dialog, (content_type, body))) = dialog.zip(infos.waiting.pop_front()) else {
            self.infos.remove(&id);
            return;
        };
        infos.sent = true;
        let mut request = dialog.request(Method::Info);
        let hop = dialog.next_hop(&self.filter);
        let branch = self.tokens.branch();
        self.push_via(&mut request, &branch);
        let request = request.with_body(&content_type, &body);
        self.request(now, &branch, request, hop, Owner::Info(id));
    }

    /// Our INFO has its final answer, or none in 32 seconds.
    pub(crate) fn info_answered(&mut self, now: Instant, id: CallId, status: u16) {
        let Some(infos) = self.infos.get_mut(&id) else { return };
        infos.sent = false;
        if status >= 300 && self.calls.get(&id).is_some_and(Call::is_live) {
            tracing::debug!(call = id.0, status, "INFO refused");
            self.tell(Event::InfoRefused { call: id, status });
        }
        self.next_info(now, id);
    }

    /// Hands the INFOs of an early dialog over to the confirmed one.
    pub(crate) fn restore_infos(&mut self, now: Instant, id: CallId, infos: Option<Infos>) {
        if let Some(infos) = infos {
            self.infos.insert(id, infos);
            self.next_info(now, id);
        }
    }

    /// Takes an INFO in a call's dialog. Gives the answer.
    pub(crate) fn handle_info(&mut self, id: CallId, call: &Call, request: &Request) -> Refusal {
        if request.headers.first("Info-Package").is_some() {
            return Refusal::new(469).with("Recv-Info", "");
        }
        // Without a body it asks whether we are there (RFC 6086 section 4.2.2).
        if request.body.is_empty() {
            return Refusal::new(200);
        }
        let kind = request.headers.first("Content-Type").unwrap_or("");
        let kind = kind.split(';').next().unwrap_or(kind).trim().to_ascii_lowercase();
        let packed = request
            .headers
            .first("Content-Encoding")
            .is_some_and(|how| !how.eq_ignore_ascii_case("identity"));
        if packed || !TAKEN.contains(&kind.as_str()) {
            return Refusal::new(415).with("Accept", TAKEN.join(", "));
        }
        if call.is_live() {
            self.tell(Event::Info { call: id, content_type: kind, body: request.body.clone() });
        }
        Refusal::new(200)
    }
}

/// The dialog in which we may say more: the confirmed one, or the early one that has audio.
fn speaking(call: &mut Call) -> Option<&mut Dialog> {
    match &mut call.state {
        State::Talking(talking) if talking.hung_up.is_none() => Some(&mut talking.dialog),
        State::Inviting(inviting) if !inviting.reported => {
            let early = &mut inviting.early;
            let heard = early.iter().rposition(|early| early.remote.is_some()).unwrap_or(0);
            early.get_mut(heard).map(|early| &mut early.dialog)
        }
        State::Talking(_) | State::Inviting(_) | State::Invited(_) | State::Leaving(_) => None,
    }
}
