//! Reliable provisional answers both ways: theirs get a PRACK, ours are repeated until one comes (RFC 3262).
//!
//! Ours are reliable only where the caller requires it. Where one carries a description, the 200 waits for its PRACK
//! (section 3).

use std::time::{Duration, Instant};

use super::session_timer::supports;
use super::state::{Call, Early, Invited, State};
use crate::dialog::DialogId;
use crate::edge::Refusal;
use crate::endpoint::{CallId, Endpoint};
use crate::event::Event;
use crate::header::{NameAddr, RAck, Reason, parse_rseq};
use crate::hop::Hop;
use crate::message::{Headers, Method, Request, Response};
use crate::offer_answer::Audio;
use crate::transaction::{Owner, Repeat};

/// A provisional answer of ours that has no PRACK yet.
#[derive(Debug)]
pub(crate) struct Unpracked {
    answer: Response,
    repeat: Repeat,
}

impl Unpracked {
    /// When to look again.
    pub(crate) fn deadline(&self) -> Instant {
        self.repeat.next()
    }
}

/// Whether the caller wants no provisional answer but reliable ones.
pub(crate) fn wants_reliable(invite: &Request) -> bool {
    let mut required = invite.headers.all("Require").flat_map(NameAddr::split_list);
    required.any(|option| option.eq_ignore_ascii_case("100rel"))
}

impl Endpoint {
    /// Makes a provisional answer reliable, and keeps it for its copies. False while the one before waits for its PRACK,
    /// and where it would owe the caller an offer (RFC 3262 sections 3 and 5): then it is left out.
    pub(crate) fn rely_on(&mut self, now: Instant, invited: &mut Invited, answer: &mut Response) -> bool {
        if invited.unpracked.is_some() || invited.invite.body.is_empty() {
            return false;
        }
        let Some(cseq) = invited.invite.headers.cseq() else { return false };
        let next = invited.dialog.provisional.map(|(rseq, _)| rseq.wrapping_add(1)).filter(|&rseq| rseq > 0);
        // The first number leaves room for all that follow (section 3).
        let rseq = next.unwrap_or_else(|| u32::try_from(self.tokens.within(1..0x4000_0000)).unwrap_or(1));
        answer.headers.push("Require", "100rel");
        answer.headers.push("RSeq", rseq.to_string());
        invited.dialog.provisional = Some((rseq, cseq.number));
        // Intervals double without a ceiling (section 3).
        let repeat = Repeat::new(now, Duration::MAX / 4);
        invited.unpracked = Some(Unpracked { answer: answer.clone(), repeat });
        true
    }

    /// Repeats a provisional answer that has no PRACK; after 32 seconds refuses the call.
    pub(crate) fn invited_timeout(&mut self, now: Instant, id: CallId, mut invited: Invited, audio: Audio) {
        let Some(unpracked) = &mut invited.unpracked else {
            self.keep(id, Call { state: State::Invited(invited), audio });
            return;
        };
        if unpracked.repeat.is_over(now) {
            let reason = Reason::q850(102, "No PRACK");
            let refusal = Refusal::new(504).with("Reason", reason.to_string());
            let answer = self.answer_for(&invited.invite, &refusal, invited.dialog.local_tag());
            self.layer.answer_invite(now, &invited.key, &answer);
            self.release(id, &Call { state: State::Invited(invited), audio });
            self.tell(Event::Cancelled { call: id, reason: Some(reason) });
            return;
        }
        if unpracked.repeat.is_due(now) {
            let answer = unpracked.answer.clone();
            self.layer.answer_invite(now, &invited.key, &answer);
        }
        self.keep(id, Call { state: State::Invited(invited), audio });
    }

    /// Gives the answer that waited for a PRACK.
    pub(crate) fn answer_late(&mut self, now: Instant, id: CallId) {
        let Some(Call { state: State::Invited(invited), .. }) = self.calls.get_mut(&id) else { return };
        if invited.unpracked.is_none()
            && let Some((local, headers)) = invited.answering.take()
        {
            self.answer(now, id, local, headers);
        }
    }

    /// Takes a PRACK in a call's dialog. One that comes after the 200 is still expected (RFC 3262 section 3). Gives the
    /// status and, for an offer, our answer.
    pub(crate) fn handle_prack(
        &mut self,
        id: CallId,
        call: &mut Call,
        dialog: &DialogId,
        request: &Request,
        source: Hop,
    ) -> (Refusal, Option<String>) {
        let Some(rack) = request.headers.first("RAck").and_then(RAck::parse) else {
            return (Refusal::because(400, "RAck Not Readable"), None);
        };
        let known = call.dialog_mut(dialog).and_then(|dialog| dialog.provisional);
        if known != Some((rack.rseq, rack.cseq)) || rack.method != Method::Invite {
            return (Refusal::new(481), None);
        }
        let agreed = match &mut call.state {
            State::Invited(invited) if invited.unpracked.is_some() => {
                let unpracked = invited.unpracked.take();
                invited.agreed |= unpracked.is_some_and(|unpracked| !unpracked.answer.body.is_empty());
                invited.agreed
            }
            State::Talking(talking) if !talking.pracked => {
                talking.pracked = true;
                false
            }
            // It had its PRACK.
            State::Invited(_) | State::Talking(_) | State::Inviting(_) | State::Leaving(_) => {
                return (Refusal::new(481), None);
            }
        };
        if request.body.is_empty() {
            return (Refusal::new(200), None);
        }
        // An offer in a PRACK follows an answer.
        let offered = if agreed {
            self.take_offer(id, &mut call.audio, request, source)
        } else {
            Err(Refusal::new(488))
        };
        match offered {
            Ok(sdp) => (Refusal::new(200), Some(sdp)),
            Err(refusal) => (refusal, None),
        }
    }

    /// Acknowledges a reliable provisional answer to our INVITE. False for a copy, and for one whose predecessor was
    /// lost: that one is not heard at all (RFC 3262 section 4).
    pub(crate) fn acknowledge_provisional(
        &mut self,
        now: Instant,
        early: &mut [Early],
        response: &Response,
    ) -> bool {
        let Some(rseq) = reliable(&response.headers) else { return true };
        let Some(cseq) = response.headers.cseq() else { return false };
        let to = response.headers.to();
        let tag = to.as_ref().and_then(NameAddr::tag).unwrap_or("");
        let Some(early) = early.iter_mut().find(|early| early.dialog.remote_tag() == tag) else {
            return false;
        };
        if early.rseq.is_some_and(|last| last.checked_add(1) != Some(rseq)) {
            return false;
        }
        early.rseq = Some(rseq);
        let mut prack = early.dialog.request(Method::Prack);
        let branch = self.tokens.branch();
        self.push_via(&mut prack, &branch);
        prack.headers.push("RAck", format!("{rseq} {} {}", cseq.number, cseq.method));
        let hop = early.dialog.next_hop(&self.filter);
        self.request(now, &branch, prack, hop, Owner::Nobody);
        true
    }
}

/// The number of a provisional answer that wants a PRACK.
fn reliable(headers: &Headers) -> Option<u32> {
    let rseq = headers.first("RSeq").and_then(parse_rseq)?;
    supports(headers, "100rel").then_some(rseq)
}
