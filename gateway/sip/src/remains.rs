//! Goodbyes for calls whose line is gone: what has to be kept of a call while it is up, and how another line ends it.
//!
//! A process that is killed says no BYE. Whoever holds the line keeps [`Remains`] where they outlive it, and gives them to
//! the next line on the same address. An answered call gets BYE in its dialog; a call that we placed gets CANCEL, and BYE
//! if its answer crossed that; a call that came in gets the final answer that it waits for. All of them are repeated and
//! acknowledged as RFC 3261 has it.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use crate::call::{Asked, Call, GivingUp, Inviting, Rejection, State, Way};
use crate::dialog::{Dialog, DialogId};
use crate::edge::Refusal;
use crate::endpoint::{CallId, Endpoint};
use crate::hop::{Hop, Transport};
use crate::message::{Method, Request, Response};
use crate::offer_answer::Audio;
use crate::transaction::{Key, Owner, PATIENCE, TRANSACTIONS_LIMIT};

/// How far the numbers of a dialog may have grown since its remains were kept: refreshes, keys, PRACKs.
pub(crate) const CSEQ_LEAP: u32 = 1_000_000;
/// Most bytes of remains that are read.
const LIMIT_BYTES: usize = 16_384;
/// What is needed of an INVITE to cancel, acknowledge or answer it.
const NEEDED: [&str; 9] =
    ["Via", "Max-Forwards", "Route", "Record-Route", "From", "To", "Call-ID", "CSeq", "Contact"];

/// What is left of a call when its line is gone. As text, it is a word, a transport and an address, perhaps a tag, and a SIP request
/// without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    kind: Kind,
    destination: Hop,
    request: Request,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Our INVITE waits for its final answer.
    Inviting,
    /// Their INVITE waits for ours, which carries this tag.
    Invited(String),
    /// The request is the BYE of the dialog.
    Talking,
}

/// A text that is nobody's remains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these are no remains of a SIP call")]
pub struct RemainsError;

impl Remains {
    /// The Call-ID, by which the PBX's log knows the call.
    #[must_use]
    pub fn sip_call_id(&self) -> &str {
        self.request.headers.call_id()
    }
}

impl fmt::Display for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hop { transport, address, connection: _ } = &self.destination;
        let transport = transport.as_str();
        match &self.kind {
            Kind::Inviting => write!(f, "inviting {transport} {address}\r\n")?,
            Kind::Invited(tag) => write!(f, "invited {transport} {address} {tag}\r\n")?,
            Kind::Talking => write!(f, "talking {transport} {address}\r\n")?,
        }
        write!(f, "{} {} SIP/2.0\r\n", self.request.method, self.request.uri)?;
        self.request.headers.iter().try_for_each(|(name, value)| write!(f, "{name}: {value}\r\n"))
    }
}

impl FromStr for Remains {
    type Err = RemainsError;

    fn from_str(text: &str) -> Result<Self, RemainsError> {
        Self::read(text).filter(|_| text.len() <= LIMIT_BYTES).ok_or(RemainsError)
    }
}

impl Remains {
    fn read(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let kind = words.next()?;
        // The connection that it was on is gone with the line.
        let destination = Hop::to(Transport::parse(words.next()?)?, words.next()?.parse().ok()?);
        let kind = match kind {
            "inviting" => Kind::Inviting,
            "invited" => Kind::Invited(words.next()?.to_owned()),
            "talking" => Kind::Talking,
            _ => return None,
        };
        let mut start = lines.next()?.split(' ');
        let mut request = Request::new(Method::parse(start.next()?)?, start.next()?);
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            request.headers.push(name, value);
        }
        let is_whole = request.headers.cseq().is_some()
            && request.headers.from().is_some()
            && request.headers.to().is_some()
            && !request.headers.call_id().is_empty();
        is_whole.then_some(Self { kind, destination, request })
    }
}

impl Endpoint {
    /// What another line needs to end this call; `None` where nothing has to be said.
    #[must_use]
    pub fn remains(&self, id: CallId) -> Option<Remains> {
        match &self.calls.get(&id)?.state {
            State::Inviting(inviting) => {
                let (request, Hop { transport, address, .. }, _) = self.layer.invite(&inviting.invite)?;
                let destination = Hop::to(transport, address);
                Some(Remains { kind: Kind::Inviting, destination, request: needed(request) })
            }
            State::Invited(invited) => {
                let Hop { transport, address, .. } = self.layer.answer_to(&invited.key)?;
                let destination = Hop::to(transport, address);
                let kind = Kind::Invited(invited.dialog.local_tag().to_owned());
                Some(Remains { kind, destination, request: needed(&invited.invite) })
            }
            State::Talking(talking) => {
                let mut dialog = talking.dialog.clone();
                let Hop { transport, address, .. } = dialog.next_hop(&self.filter);
                let destination = Hop::to(transport, address);
                Some(Remains { kind: Kind::Talking, destination, request: dialog.request(Method::Bye) })
            }
            State::Leaving(_) => None,
        }
    }

    /// Who the PBX says is at its end of an answered call.
    #[must_use]
    pub fn party(&self, id: CallId) -> Option<&str> {
        match &self.calls.get(&id)?.state {
            State::Talking(talking) => talking.dialog.party(),
            State::Inviting(_) | State::Invited(_) | State::Leaving(_) => None,
        }
    }

    /// Ends a call of a line that is gone. No event follows. False where nothing is said: the PBX is another one by now,
    /// or the call is known here.
    pub fn bury(&mut self, now: Instant, remains: &Remains, rejection: &Rejection) -> bool {
        if !self.filter.allows(remains.destination.ip()) || self.layer.len() >= TRANSACTIONS_LIMIT {
            return false;
        }
        match &remains.kind {
            Kind::Talking => self.bury_talking(now, remains, rejection),
            Kind::Inviting => self.bury_inviting(now, remains, rejection),
            Kind::Invited(tag) => self.bury_invited(now, remains, tag, rejection),
        }
    }

    fn bury_talking(&mut self, now: Instant, remains: &Remains, rejection: &Rejection) -> bool {
        let mut bye = remains.request.clone();
        let Some(dialog) = DialogId::of_sent(&bye).filter(|dialog| !self.dialogs.contains_key(dialog)) else {
            return false;
        };
        let Some(cseq) = bye.headers.cseq() else { return false };
        let number = cseq.number.saturating_add(CSEQ_LEAP).min(i32::MAX.unsigned_abs());
        bye.headers.replace_first("CSeq", format!("{number} BYE"));
        let branch = self.tokens.branch();
        self.push_via(&mut bye, &branch);
        if let Some(reason) = &rejection.reason {
            bye.headers.push("Reason", reason.to_string());
        }
        let id = self.next_call_id();
        self.request(now, &branch, bye, remains.destination, Owner::Bye(id));
        let audio = Audio::new(self.tokens.number(), self.config.srtp, self.tokens.key());
        self.keep_with_dialogs(id, Call { state: State::Leaving(dialog), audio });
        true
    }

    fn bury_inviting(&mut self, now: Instant, remains: &Remains, rejection: &Rejection) -> bool {
        let via = remains.request.headers.via();
        let Some(branch) = via.and_then(|via| via.branch().map(str::to_owned)) else { return false };
        let key = Key::of_sent(&branch, &Method::Invite);
        if self.layer.invite(&key).is_some() {
            return false;
        }
        self.adopt(now, &key, remains.request.clone(), remains.destination);
        self.send_cancel(now, &key, rejection.reason.as_ref());
        true
    }

    /// Takes an INVITE for ours that was sent before us, and is given up.
    fn adopt(&mut self, now: Instant, key: &Key, invite: Request, destination: Hop) {
        let id = self.next_call_id();
        self.layer.adopt_invite(key, invite, destination, Owner::Call(id));
        let inviting = Inviting {
            invite: key.clone(),
            way: Way::at(destination.address),
            ring_until: now,
            giving_up: GivingUp::Cancelled { until: now + PATIENCE },
            early: Vec::new(),
            asked: Asked::new(),
            rung: true,
            reported: true,
            is_adopted: true,
        };
        let audio = Audio::new(self.tokens.number(), self.config.srtp, self.tokens.key());
        self.keep(id, Call { state: State::Inviting(inviting), audio });
    }

    fn bury_invited(&mut self, now: Instant, remains: &Remains, tag: &str, rejection: &Rejection) -> bool {
        let invite = &remains.request;
        let Some(key) = Key::of_request(invite).filter(|key| self.layer.owner_of(key).is_none()) else {
            return false;
        };
        let mut refusal = Refusal::new(rejection.status);
        refusal.phrase.clone_from(&rejection.phrase);
        if let Some(reason) = &rejection.reason {
            refusal = refusal.with("Reason", reason.to_string());
        }
        let answer = self.answer_for(invite, &refusal, tag);
        self.seen.remember(now, invite, &key);
        self.layer.reopen_invite(&key, remains.destination, Owner::Nobody);
        self.layer.answer_invite(now, &key, &answer);
        // It may have been answered in the moment before the kill: then the refusal is nothing to the PBX, and the BYE is.
        // If it was not, the refusal ended it, and the BYE finds nothing.
        if let Some(mut dialog) = Dialog::from_request(invite, tag, remains.destination) {
            dialog.leap();
            self.send_bye(now, dialog, rejection.reason.as_ref(), Owner::Nobody);
        }
        true
    }

    /// A 2xx to an INVITE that nobody here sent: a line before this one did, and was gone before it could keep anything.
    /// It is acknowledged and the call ended (RFC 3261 section 13.2.2.4), or its sender would repeat it for half a minute
    /// and believe in the call for longer.
    pub(crate) fn adopt_answered(&mut self, now: Instant, key: &Key, response: &Response) {
        let headers = &response.headers;
        let is_answer = (200..300).contains(&response.status)
            && headers.cseq().is_some_and(|cseq| cseq.method == Method::Invite)
            && headers.to().is_some_and(|to| to.tag().is_some());
        let is_known = self.layer.sent_invite_of(headers.call_id())
            || self.dialogs.keys().any(|dialog| dialog.call_id() == headers.call_id());
        if !is_answer || is_known || now > self.adopts_until || self.layer.len() >= TRANSACTIONS_LIMIT {
            return;
        }
        let (Some(to), Some(via)) = (headers.to(), headers.top_via()) else { return };
        let mut invite = Request::new(Method::Invite, to.uri.clone());
        invite.headers.push("Via", via);
        for name in ["From", "Call-ID", "CSeq"] {
            invite.headers.push(name, headers.first(name).unwrap_or_default());
        }
        invite.headers.push("To", format!("<{}>", to.uri));
        tracing::info!("an answer to a call of a line before this one: the call is ended");
        let peer = Hop::to(self.config.transport, self.config.peer);
        self.adopt(now, key, invite, peer);
        if let Some(Owner::Call(id)) = self.layer.receive_response(now, key, response) {
            self.invite_answered(now, key, id, response.clone());
        }
    }
}

/// The INVITE without what only its receiver needed.
fn needed(invite: &Request) -> Request {
    let mut kept = Request::new(invite.method.clone(), invite.uri.clone());
    let is_needed = |name: &str| NEEDED.iter().any(|needed| needed.eq_ignore_ascii_case(name));
    for (name, value) in invite.headers.iter().filter(|(name, _)| is_needed(name)) {
        kept.headers.push(name, value);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYE: &str = "talking UDP 127.0.0.1:5060\r\nBYE sip:100@127.0.0.1:5062 SIP/2.0\r\nRoute: <sip:127.0.0.1:5070;lr>\r\n\
        From: <sip:+7906@line>;tag=a\r\nTo: \"A: b\" <sip:100@pbx>;tag=b\r\nCall-ID: x\r\nCSeq: 3 BYE\r\n";

    #[test]
    fn remains_read_back_as_they_were_written() {
        let remains: Remains = BYE.parse().unwrap();
        assert_eq!(remains.to_string(), BYE);
        assert_eq!((remains.sip_call_id(), remains.destination.address.port()), ("x", 5060));
        let invited = BYE.replace("talking UDP 127.0.0.1:5060", "invited TLS [::1]:5061 ours");
        let remains: Remains = invited.parse().unwrap();
        assert_eq!((&remains.kind, remains.to_string()), (&Kind::Invited("ours".to_owned()), invited));
    }

    #[test]
    fn other_texts_are_nobodys_remains() {
        let long = format!("{BYE}X: {}\r\n", "x".repeat(LIMIT_BYTES));
        for wrong in [
            "",
            "talking",
            "talking UDP 127.0.0.1\r\nBYE a SIP/2.0",
            &BYE.replace("talking", "sleeping"),
            &BYE.replace("talking UDP 127.0.0.1:5060", "invited UDP 127.0.0.1:5060"),
            &BYE.replace("UDP", "SCTP"),
            &BYE.replace("CSeq: 3 BYE\r\n", ""),
            &BYE.replace("Call-ID: x\r\n", ""),
            &long,
        ] {
            assert_eq!(wrong.parse::<Remains>(), Err(RemainsError), "{wrong}");
        }
    }
}
