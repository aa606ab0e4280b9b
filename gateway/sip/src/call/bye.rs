//! BYE both ways, and hanging up in whatever state a call is (RFC 3261 section 15).

use std::time::Instant;

use super::state::{Call, State, Talking};
use super::uas::Rejection;
use crate::dialog::Dialog;
use crate::edge::Refusal;
use crate::endpoint::{CallId, Endpoint};
use crate::event::Event;
use crate::header::Reason;
use crate::message::{Method, Request};
use crate::offer_answer::Audio;
use crate::transaction::Owner;

impl Endpoint {
    /// Ends a call with what its state asks for: CANCEL (then [`Event::Refused`] tells how the INVITE ended), a final
    /// answer, or BYE (no event follows these two). An unknown call is over already.
    pub fn hang_up(&mut self, now: Instant, id: CallId, reason: Option<Reason>) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        match call.state {
            State::Inviting(ref mut inviting) => {
                if matches!(inviting.giving_up, super::state::GivingUp::No) {
                    self.give_up(now, inviting, reason);
                }
                self.keep(id, call);
            }
            State::Invited(_) => {
                self.keep(id, call);
                let rejection = Rejection { status: 480, phrase: None, reason, retry_after_s: None };
                self.reject(now, id, rejection);
            }
            State::Talking(ref mut talking)
                if talking.unacked.as_ref().is_some_and(|unacked| unacked.first) =>
            {
                talking.hung_up.get_or_insert(reason);
                self.keep(id, call);
            }
            State::Talking(Talking { dialog, .. }) => {
                self.leave(now, id, dialog, call.audio, reason.as_ref())
            }
            State::Leaving(_) => self.keep(id, call),
        }
    }

    /// Sends BYE and keeps the dialog for what crosses it.
    pub(crate) fn leave(
        &mut self,
        now: Instant,
        id: CallId,
        dialog: Dialog,
        audio: Audio,
        reason: Option<&Reason>,
    ) {
        self.infos.remove(&id);
        let leaving = State::Leaving(dialog.id.clone());
        self.send_bye(now, dialog, reason, Owner::Bye(id));
        self.keep_with_dialogs(id, Call { state: leaving, audio });
    }

    /// Sends BYE in a dialog.
    pub(crate) fn send_bye(
        &mut self,
        now: Instant,
        mut dialog: Dialog,
        reason: Option<&Reason>,
        owner: Owner,
    ) {
        let mut bye = dialog.request(Method::Bye);
        let branch = self.tokens.branch();
        self.push_via(&mut bye, &branch);
        if let Some(reason) = reason {
            reason.push_to(&mut bye.headers);
        }
        let hop = dialog.next_hop(&self.filter);
        self.request(now, &branch, bye, hop, owner);
    }

    /// Our BYE was answered, or nobody answers any more.
    pub(crate) fn bye_done(&mut self, id: CallId) {
        if matches!(self.calls.get(&id), Some(Call { state: State::Leaving(_), .. })) {
            self.forget(id);
        }
    }

    /// Takes a BYE in a call's dialog. Gives the answer's status.
    pub(crate) fn handle_bye(&mut self, now: Instant, id: CallId, call: Call, request: &Request) -> Refusal {
        let reason = Reason::parse(request.headers.all("Reason"));
        match call.state {
            State::Talking(ref talking) => {
                if talking.hung_up.is_none() {
                    self.tell(Event::HungUp { call: id, reason });
                }
                self.release(id, &call);
                Refusal::new(200)
            }
            State::Invited(ref invited) => {
                let answer = self.answer_for(&invited.invite, &Refusal::new(487), invited.dialog.local_tag());
                self.layer.answer_invite(now, &invited.key, &answer);
                self.release(id, &call);
                self.tell(Event::Cancelled { call: id, reason });
                Refusal::new(200)
            }
            // Both hung up at once.
            State::Leaving(_) => {
                self.keep(id, call);
                Refusal::new(200)
            }
            // The called side of an early dialog may not hang up (RFC 3261 section 15); it refuses the INVITE.
            State::Inviting(_) => {
                self.keep(id, call);
                Refusal::new(481)
            }
        }
    }
}
