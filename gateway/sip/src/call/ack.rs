//! The ACK of our 2xx, and what happens without it (RFC 3261 sections 13.3.1.4 and 14.2).

use std::net::IpAddr;
use std::time::Instant;

use super::state::{Call, State, Talking};
use crate::dialog::DialogId;
use crate::endpoint::{CallId, Endpoint};
use crate::event::Event;
use crate::header::Reason;
use crate::message::Request;
use crate::offer_answer::Audio;
use crate::transaction::Key;

impl Endpoint {
    /// Takes an ACK: for a refusal it ends at the transaction, for a 2xx it reaches the call.
    pub(crate) fn handle_ack(&mut self, now: Instant, key: &Key, request: &Request) {
        if self.layer.receive_ack(now, key) {
            return;
        }
        let id = DialogId::of_request(request).and_then(|dialog| self.dialogs.get(&dialog).copied());
        let Some((id, cseq)) = id.zip(request.headers.cseq()) else { return };
        let waits = |call: &Call| match &call.state {
            State::Talking(talking) => {
                talking.unacked.as_ref().is_some_and(|unacked| unacked.cseq == cseq.number)
            }
            State::Inviting(_) | State::Invited(_) | State::Leaving(_) => false,
        };
        if !self.calls.get(&id).is_some_and(waits) {
            return;
        }
        let Some(Call { state: State::Talking(mut talking), mut audio }) = self.calls.remove(&id) else {
            return;
        };
        let Some(unacked) = talking.unacked.take() else { return };
        if let Some(reason) = talking.hung_up.take() {
            self.leave(now, id, talking.dialog, audio, reason.as_ref());
            return;
        }
        if unacked.offers && !self.take_late_answer(id, talking.dialog.origin().ip(), &mut audio, request) {
            let reason = Reason::q850(88, "Incompatible destination");
            self.leave(now, id, talking.dialog, audio, Some(&reason));
            self.tell(Event::HungUp { call: id, reason: Some(reason) });
            return;
        }
        self.keep(id, Call { state: State::Talking(talking), audio });
    }

    /// Takes the answer to an offer that our 2xx made. False when it leaves no audio.
    fn take_late_answer(&mut self, id: CallId, origin: IpAddr, audio: &mut Audio, ack: &Request) -> bool {
        let before = audio.remote.clone();
        match audio.accept(&ack.body, origin) {
            Ok(remote) if before.as_ref() == Some(&remote) => true,
            Ok(remote) => {
                self.tell(Event::MediaChanged { call: id, remote });
                true
            }
            Err(error) => {
                tracing::warn!(call = id.0, %error, "the answer in the ACK leaves no audio");
                false
            }
        }
    }

    /// Repeats a 2xx that has no ACK yet, hanging up after 32 seconds; then looks at the session's timer.
    pub(crate) fn talking_timeout(&mut self, now: Instant, id: CallId, talking: Talking, audio: Audio) {
        let Some((mut talking, audio)) = self.leave_transferred(now, id, talking, audio) else { return };
        let Some(unacked) = &mut talking.unacked else {
            self.session_timeout(now, id, talking, audio);
            return;
        };
        if unacked.repeat.is_over(now) {
            let given = talking.hung_up.take();
            let told = given.is_some();
            let reason = given.flatten().unwrap_or_else(|| Reason::q850(102, "No ACK"));
            self.leave(now, id, talking.dialog, audio, Some(&reason));
            if !told {
                self.tell(Event::HungUp { call: id, reason: Some(reason) });
            }
            return;
        }
        if unacked.repeat.is_due(now) {
            let (answer_to, bytes) = (unacked.answer_to, unacked.bytes.clone());
            self.layer.send(answer_to, bytes);
        }
        self.session_timeout(now, id, talking, audio);
    }
}
