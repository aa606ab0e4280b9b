//! CANCEL both ways (RFC 3261 section 9).

use std::time::Instant;

use super::state::{Call, GivingUp, Inviting, State};
use crate::edge::Refusal;
use crate::endpoint::{CallId, Endpoint};
use crate::event::Event;
use crate::header::Reason;
use crate::hop::Hop;
use crate::message::Request;
use crate::transaction::{Key, Owner, PATIENCE, cancel};

impl Endpoint {
    /// Withdraws our INVITE: at once if a provisional answer came, else when one comes.
    pub(crate) fn give_up(&mut self, now: Instant, inviting: &mut Inviting, reason: Option<Reason>) {
        let may_cancel = self.layer.invite(&inviting.invite).is_some_and(|(_, _, proceeding)| proceeding);
        inviting.giving_up = if may_cancel {
            self.send_cancel(now, &inviting.invite, reason.as_ref());
            GivingUp::Cancelled { until: now + PATIENCE }
        } else {
            GivingUp::Wanted(reason)
        };
    }

    /// Sends the CANCEL of an INVITE: same branch, same way.
    pub(crate) fn send_cancel(&mut self, now: Instant, invite: &Key, reason: Option<&Reason>) {
        let Some((request, destination, _)) = self.layer.invite(invite) else { return };
        let mut cancel = cancel(request);
        let Some(branch) = request.headers.via().and_then(|via| via.branch().map(str::to_owned)) else {
            return;
        };
        if let Some(reason) = reason {
            reason.push_to(&mut cancel.headers);
        }
        self.layer.request(now, &branch, cancel, destination, Owner::Nobody);
    }

    /// Takes a CANCEL: 200 for itself, 487 for an INVITE that was not answered yet, 481 without one.
    pub(crate) fn handle_cancel(&mut self, now: Instant, request: &Request, answer_to: Hop) {
        let invite = Key::of_cancelled(request);
        let Some((invite, owner)) = invite.and_then(|key| Some((key.clone(), self.layer.owner_of(&key)?)))
        else {
            self.refuse(request, answer_to, Refusal::new(481));
            return;
        };
        let waiting = match owner {
            Owner::Call(id) => Some(id).filter(|id| self.waits_on(*id, &invite)),
            Owner::Bye(_)
            | Owner::Info(_)
            | Owner::Notify(_)
            | Owner::Refresh(_)
            | Owner::Probe(_)
            | Owner::Register
            | Owner::Left { .. }
            | Owner::Nobody => None,
        };
        let ended = waiting.and_then(|id| Some((id, self.forget(id)?)));
        let Some((id, Call { state: State::Invited(invited), .. })) = ended else {
            self.refuse(request, answer_to, Refusal::new(200));
            return;
        };
        let ok = self.answer_for(request, &Refusal::new(200), invited.dialog.local_tag());
        self.layer.send(answer_to, ok.to_bytes());
        let answer = self.answer_for(&invited.invite, &Refusal::new(487), invited.dialog.local_tag());
        self.layer.answer_invite(now, &invite, &answer);
        let reason = Reason::parse(request.headers.all("Reason"));
        self.tell(Event::Cancelled { call: id, reason });
    }

    fn waits_on(&self, id: CallId, invite: &Key) -> bool {
        matches!(self.calls.get(&id), Some(Call { state: State::Invited(invited), .. }) if invited.key == *invite)
    }
}
