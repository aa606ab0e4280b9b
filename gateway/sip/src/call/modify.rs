//! Changes of a running session: re-INVITE (RFC 3261 section 14.2) and UPDATE (RFC 3311 section 5.2).

use std::time::Instant;

use super::state::{Call, State, Unacked};
use super::uas::{audio_refusal, check_content};
use crate::dialog::DialogId;
use crate::edge::Refusal;
use crate::endpoint::{CallId, Endpoint};
use crate::event::Event;
use crate::hop::Hop;
use crate::message::Request;
use crate::offer_answer::Audio;
use crate::transaction::{Key, Owner, Repeat, T2};

impl Endpoint {
    /// Takes an INVITE inside a dialog and answers it at once.
    #[expect(clippy::too_many_arguments, reason = "the message, where it came from, and whose it is")]
    pub(crate) fn handle_reinvite(
        &mut self,
        now: Instant,
        key: &Key,
        request: &Request,
        id: CallId,
        mut call: Call,
        source: Hop,
        answer_to: Hop,
    ) {
        let judged = match &call.state {
            State::Talking(talking) if talking.hung_up.is_some() => Err(Refusal::new(481)),
            State::Talking(talking) if talking.offers() => Err(Refusal::new(491)),
            State::Talking(_) => self.new_session(id, &mut call.audio, request, source),
            // A second INVITE before the answer to the first.
            State::Invited(_) => Err(later(500)),
            State::Inviting(_) => Err(Refusal::new(491)),
            State::Leaving(_) => Err(Refusal::new(481)),
        };
        let (State::Talking(talking), Ok(sdp)) = (&mut call.state, &judged) else {
            let refusal = judged.err().unwrap_or_else(|| Refusal::new(500));
            self.keep(id, call);
            self.answer_in_dialog(now, key, request, answer_to, &refusal);
            return;
        };
        talking.dialog.refresh_target(&request.headers);
        let trying = self.answer_for(request, &Refusal::new(100), "");
        self.layer.open_invite(key, answer_to, Owner::Nobody, &trying);
        let mut ok = self.answer_for(request, &Refusal::new(200), "");
        self.push_contact(&mut ok.headers, request.is_sips());
        talking.timer = self.settle_session_timer(&request.headers, talking.timer, &mut ok.headers, now);
        let sent = self.layer.answer_invite(now, key, &ok.with_sdp(sdp));
        // An ACK that was still missing came in the shape of this INVITE, so the first 2xx is known to have arrived.
        let first = false;
        talking.unacked = sent.map(|(answer_to, bytes)| Unacked {
            cseq: request.headers.cseq().map_or(0, |cseq| cseq.number),
            answer_to,
            bytes,
            repeat: Repeat::new(now, T2),
            offers: request.body.is_empty(),
            first,
        });
        self.keep(id, call);
    }

    /// Our answer to a new offer, or our offer where they made none.
    fn new_session(
        &mut self,
        id: CallId,
        audio: &mut Audio,
        request: &Request,
        source: Hop,
    ) -> Result<String, Refusal> {
        Self::check_session_timer(&request.headers)?;
        if request.body.is_empty() {
            return audio.offer().ok_or_else(|| Refusal::new(500));
        }
        self.take_offer(id, audio, request, source)
    }

    /// Our answer to an offer that changes the session.
    pub(crate) fn take_offer(
        &mut self,
        id: CallId,
        audio: &mut Audio,
        request: &Request,
        source: Hop,
    ) -> Result<String, Refusal> {
        check_content(request)?;
        let before = audio.remote.clone();
        let answer = audio.answer(&request.body, source.ip()).map_err(|error| audio_refusal(&error))?;
        if let Some(remote) = audio.remote.clone().filter(|remote| before.as_ref() != Some(remote)) {
            self.tell(Event::MediaChanged { call: id, remote });
        }
        answer.ok_or_else(|| Refusal::new(500))
    }

    /// Takes an UPDATE. Gives the status and, for an offer, our answer.
    pub(crate) fn handle_update(
        &mut self,
        id: CallId,
        dialog: &DialogId,
        call: &mut Call,
        request: &Request,
        source: Hop,
    ) -> (Refusal, Option<String>) {
        let open = match &call.state {
            State::Talking(talking) if talking.offers() => Err(Refusal::new(491)),
            State::Talking(_) => Ok(()),
            State::Invited(invited) if invited.agreed => Ok(()),
            // Their offer waits for our answer, or for the word that it has arrived.
            State::Invited(_) => Err(later(500)),
            // Our offer waits for their answer, unless this branch gave it early.
            State::Inviting(inviting) => {
                let early = inviting.early.iter().find(|early| early.dialog.id == *dialog);
                let answered = early.is_some_and(|early| early.remote.is_some());
                if answered { Ok(()) } else { Err(Refusal::new(491)) }
            }
            State::Leaving(_) => Err(Refusal::new(481)),
        };
        let early = matches!(call.state, State::Inviting(_));
        let judged = match (request.body.is_empty(), open) {
            (true, _) => Self::check_session_timer(&request.headers).map(|()| None),
            (false, Err(refusal)) => Err(refusal),
            (false, Ok(())) if early => self.new_early_session(id, dialog, call, request, source).map(Some),
            (false, Ok(())) => self.new_session(id, &mut call.audio, request, source).map(Some),
        };
        match judged {
            Ok(sdp) => {
                if let Some(dialog) = call.dialog_mut(dialog) {
                    dialog.refresh_target(&request.headers);
                }
                (Refusal::new(200), sdp)
            }
            Err(refusal) => (refusal, None),
        }
    }

    fn new_early_session(
        &mut self,
        id: CallId,
        dialog: &DialogId,
        call: &mut Call,
        request: &Request,
        source: Hop,
    ) -> Result<String, Refusal> {
        check_content(request)?;
        let before = call.audio.remote.clone();
        let answer = call.audio.answer(&request.body, source.ip()).map_err(|error| audio_refusal(&error))?;
        if let State::Inviting(inviting) = &mut call.state
            && let Some(early) = inviting.early.iter_mut().find(|early| early.dialog.id == *dialog)
        {
            early.remote.clone_from(&call.audio.remote);
        }
        if let Some(remote) = call.audio.remote.clone().filter(|remote| before.as_ref() != Some(remote)) {
            self.tell(Event::EarlyMedia { call: id, remote });
        }
        answer.ok_or_else(|| Refusal::new(500))
    }
}

/// A refusal that asks to come again in a moment (RFC 3261 section 14.2).
fn later(status: u16) -> Refusal {
    Refusal::new(status).with("Retry-After", "5")
}
