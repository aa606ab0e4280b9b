//! What the PBX asked us to prove, remembered for the requests that follow (RFC 3261 section 22, RFC 7616 section 3.6).
//!
//! A nonce is used again, under the next count, until the PBX wants another one. Who does not take a proof of its own
//! challenge does not know our password: once is enough then, unless it says that the nonce was too old.
//!
//! Inside a call nobody gets a proof for a realm that the PBX never asked for outside one: whoever is called, or sits behind
//! the PBX, could have our password's hash made for a guess at it (the digest leak).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use crate::dialog::DialogId;
use crate::endpoint::Endpoint;
use crate::event::Event;
use crate::header::{Challenge, Credentials};
use crate::hop::Hop;
use crate::message::{Request, Response};
use crate::text::{VALUE_LIMIT_BYTES, clean};
use crate::token::Tokens;
use crate::transaction::{Key, Owner};

/// Most places whose challenges are kept.
const CHALLENGES_LIMIT: usize = 16;

/// Most realms that are known to be the PBX's; a further one is answered outside calls alone.
const REALMS_LIMIT: usize = 16;

/// Who asks: the one that takes the request, or one in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Asker {
    Server,
    Proxy,
}

impl Asker {
    fn of_status(status: u16) -> Option<Self> {
        match status {
            401 => Some(Self::Server),
            407 => Some(Self::Proxy),
            _ => None,
        }
    }

    fn challenge(self) -> &'static str {
        match self {
            Self::Server => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    fn proof(self) -> &'static str {
        match self {
            Self::Server => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }
}

/// A line's proofs.
#[derive(Debug)]
pub(crate) struct Proofs {
    credentials: Option<Credentials>,
    /// The last challenges, each with how often its nonce has been used.
    asked: BTreeMap<(SocketAddr, Asker), (Challenge, u32)>,
    /// Realms that the PBX asked for outside a call.
    realms: BTreeSet<String>,
    /// Whether the last request that mattered was not believed.
    refused: bool,
}

impl Proofs {
    pub(crate) fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, asked: BTreeMap::new(), realms: BTreeSet::new(), refused: false }
    }

    /// Puts the proofs that its destination asked for last into a request.
    pub(crate) fn attach(&mut self, request: &mut Request, destination: SocketAddr, tokens: &mut Tokens) {
        for asker in [Asker::Server, Asker::Proxy] {
            let Some(credentials) = &self.credentials else { return };
            let Some((challenge, count)) = self.asked.get_mut(&(destination, asker)) else { continue };
            *count = count.saturating_add(1);
            let (method, uri) = (request.method.as_str(), &request.uri);
            let proof = challenge.answer(credentials, method, uri, *count, &tokens.token());
            request.headers.set(asker.proof(), proof);
        }
    }

    /// Learns what a 401 or 407 wants. False where the request would be refused again: `proven` says how many challenges
    /// it answered before, `in_call` whether it belongs to a call that began already.
    pub(crate) fn learn(
        &mut self,
        response: &Response,
        destination: SocketAddr,
        proven: u8,
        in_call: bool,
    ) -> bool {
        let Some(asker) = Asker::of_status(response.status) else { return false };
        if self.credentials.is_none() {
            return false;
        }
        let Some(challenge) = Challenge::strongest(response.headers.all(asker.challenge())) else {
            return false;
        };
        if in_call && !self.realms.contains(challenge.realm()) {
            tracing::warn!(
                realm = %clean(challenge.realm(), VALUE_LIMIT_BYTES),
                "a call was asked to prove itself in a realm that is not known to be the PBX's, and does not"
            );
            return false;
        }
        if self.realms.len() < REALMS_LIMIT && !self.realms.contains(challenge.realm()) {
            self.realms.insert(challenge.realm().to_owned());
        }
        let again = match proven {
            0 => true,
            1 => challenge.is_stale(),
            _ => false,
        };
        if again {
            if self.asked.len() >= CHALLENGES_LIMIT {
                self.asked.clear();
            }
            self.asked.insert((destination, asker), (challenge, 0));
        } else {
            self.asked.remove(&(destination, asker));
        }
        again
    }

    /// Notes how the PBX took a request in the end. Gives what is new of that: it is not believed, or believed again.
    /// `matters` is false for a request that nobody needs a password for as long as it is answered at all.
    fn judge(&mut self, request: &Request, response: &Response, matters: bool) -> Option<Event> {
        let Some(asker) = Asker::of_status(response.status) else {
            let proven = [Asker::Server, Asker::Proxy]
                .iter()
                .any(|asker| request.headers.first(asker.proof()).is_some());
            // Who does not serve at all has not looked at the proof.
            let served = !matches!(response.status, 408 | 500..=599);
            let over = self.refused && served && (proven || matters);
            self.refused &= !over;
            return over.then_some(Event::ProofTaken);
        };
        let known = self.credentials.is_some();
        if self.refused || !(known || matters) {
            return None;
        }
        let challenge = Challenge::strongest(response.headers.all(asker.challenge()));
        let in_call = DialogId::of_sent(request).is_some();
        if in_call && challenge.as_ref().is_some_and(|asked| !self.realms.contains(asked.realm())) {
            return None;
        }
        self.refused = true;
        let realm = challenge.map(|challenge| challenge.realm().to_owned()).unwrap_or_default();
        Some(Event::ProofRefused { realm, known })
    }
}

impl Endpoint {
    /// Sends a request whose Via carries `branch`, with the proofs that its destination wants of us.
    pub(crate) fn request(
        &mut self,
        now: Instant,
        branch: &str,
        mut request: Request,
        destination: Hop,
        owner: Owner,
    ) -> Key {
        self.proofs.attach(&mut request, destination.address, &mut self.tokens);
        self.layer.request(now, branch, request, destination, owner)
    }

    /// Sends a request that got a 401 or 407 again, with what that wants. False where it would be refused again.
    pub(crate) fn prove_again(&mut self, now: Instant, key: &Key, owner: Owner, response: &Response) -> bool {
        let Some((request, destination, proven)) = self.layer.sent(key) else { return false };
        let in_call = DialogId::of_sent(request).is_some();
        if !self.proofs.learn(response, destination.address, proven, in_call) {
            return false;
        }
        let mut request = request.clone();
        let branch = self.tokens.branch();
        self.renew(&mut request, &branch);
        self.renumber(&mut request);
        let key = self.request(now, &branch, request, destination, owner);
        self.layer.set_proven(&key, proven + 1);
        match owner {
            Owner::Probe(peer) => {
                if let Some(probe) = self.peers.probe_mut(peer) {
                    probe.asked_again(key);
                }
            }
            Owner::Register => {
                if let Some(registrar) = &mut self.registrar {
                    registrar.asked_again(key);
                }
            }
            Owner::Call(_)
            | Owner::Bye(_)
            | Owner::Info(_)
            | Owner::Notify(_)
            | Owner::Refresh(_)
            | Owner::Left { .. }
            | Owner::Nobody => {}
        }
        true
    }

    /// Gives a request that is sent again its dialog's next number: others may have taken the one after its own.
    fn renumber(&mut self, request: &mut Request) {
        let Some(dialog) = DialogId::of_sent(request) else { return };
        let call = self.dialogs.get(&dialog).and_then(|id| self.calls.get_mut(id));
        let Some(dialog) = call.and_then(|call| call.dialog_mut(&dialog)) else { return };
        let cseq = format!("{} {}", dialog.next_number(), request.method);
        request.headers.replace_first("CSeq", cseq);
    }

    /// Notes how the PBX took a request in the end.
    pub(crate) fn judge_proof(&mut self, key: &Key, response: &Response, matters: bool) {
        let Some((request, ..)) = self.layer.sent(key) else { return };
        if let Some(event) = self.proofs.judge(request, response, matters) {
            self.tell(event);
        }
    }
}
