//! Requests inside a dialog: order of numbers, then each method its answer (RFC 3261 section 12.2.2).

use std::time::Instant;

use super::state::{Call, State};
use super::subscribe::handle_subscribe;
use crate::dialog::DialogId;
use crate::edge::{ALLOW, Refusal};
use crate::endpoint::Endpoint;
use crate::hop::Hop;
use crate::message::{Method, Request, Response};
use crate::transaction::Key;

impl Endpoint {
    /// Takes a request whose To has a tag.
    pub(crate) fn handle_in_dialog(
        &mut self,
        now: Instant,
        key: &Key,
        request: &Request,
        source: Hop,
        answer_to: Hop,
    ) {
        let dialog = DialogId::of_request(request);
        let found = dialog.and_then(|dialog| Some((self.dialogs.get(&dialog).copied()?, dialog)));
        let Some((id, dialog)) = found else {
            self.refuse(request, answer_to, Refusal::new(481));
            return;
        };
        let Some(mut call) = self.calls.remove(&id) else { return };
        if let Err(refusal) = in_order(&mut call, &dialog, request) {
            self.keep(id, call);
            self.answer_in_dialog(now, key, request, answer_to, &refusal);
            return;
        }
        if request.method == Method::Invite {
            self.handle_reinvite(now, key, request, id, call, source, answer_to);
            return;
        }
        let answer = match request.method {
            Method::Bye => self.handle_bye(now, id, call, request),
            Method::Update => {
                let (refusal, sdp) = self.handle_update(id, &dialog, &mut call, request, source);
                let mut answer = self.answer_for(request, &refusal, "");
                if refusal.status == 200 {
                    self.push_contact(&mut answer.headers, request.is_sips());
                    if let State::Talking(talking) = &mut call.state {
                        let before = talking.timer;
                        talking.timer =
                            self.settle_session_timer(&request.headers, before, &mut answer.headers, now);
                    }
                }
                self.keep(id, call);
                self.layer.answer(now, key, answer_to, &described(answer, sdp));
                return;
            }
            Method::Options => {
                self.keep(id, call);
                Refusal::new(200).with("Accept", "application/sdp")
            }
            Method::Info => {
                let answer = self.handle_info(id, &call, request);
                self.keep(id, call);
                answer
            }
            Method::Prack => {
                let (refusal, sdp) = self.handle_prack(id, &mut call, &dialog, request, source);
                self.keep(id, call);
                let answer = self.answer_for(request, &refusal, "");
                self.layer.answer(now, key, answer_to, &described(answer, sdp));
                self.answer_late(now, id);
                return;
            }
            Method::Refer | Method::Subscribe => {
                let refusal = if request.method == Method::Refer {
                    self.handle_refer(now, id, &mut call, request)
                } else {
                    handle_subscribe(now, &mut call, request)
                };
                self.keep(id, call);
                let mut answer = self.answer_for(request, &refusal, "");
                if refusal.status < 300 {
                    self.push_contact(&mut answer.headers, request.is_sips());
                }
                self.layer.answer(now, key, answer_to, &answer);
                self.next_notify(now, id);
                return;
            }
            Method::Invite
            | Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Notify
            | Method::Publish
            | Method::Message
            | Method::Unknown(_) => {
                self.keep(id, call);
                Refusal::new(405).with("Allow", ALLOW)
            }
        };
        self.answer_in_dialog(now, key, request, answer_to, &answer);
    }

    /// Gives a final answer that stays the same for copies of the request.
    pub(crate) fn answer_in_dialog(
        &mut self,
        now: Instant,
        key: &Key,
        request: &Request,
        answer_to: Hop,
        refusal: &Refusal,
    ) {
        let answer = self.answer_for(request, refusal, "");
        if request.method == Method::Invite {
            let trying = self.answer_for(request, &Refusal::new(100), "");
            self.layer.open_invite(key, answer_to, crate::transaction::Owner::Nobody, &trying);
            self.layer.answer_invite(now, key, &answer);
        } else {
            self.layer.answer(now, key, answer_to, &answer);
        }
    }
}

/// An answer with our answer to an offer, where there was one.
fn described(answer: Response, sdp: Option<String>) -> Response {
    match sdp {
        Some(sdp) => answer.with_sdp(&sdp),
        None => answer,
    }
}

/// Each request needs a higher number than the one before (RFC 3261 section 12.2.2).
fn in_order(call: &mut Call, dialog: &DialogId, request: &Request) -> Result<(), Refusal> {
    let number = request.headers.cseq().map_or(0, |cseq| cseq.number);
    let leaving = matches!(call.state, State::Leaving(_));
    let Some(dialog) = call.dialog_mut(dialog) else {
        // Our BYE is on its way: theirs may cross it, anything else comes too late.
        return if leaving && request.method == Method::Bye { Ok(()) } else { Err(Refusal::new(481)) };
    };
    match dialog.remote_cseq {
        Some(last) if number < last => Err(Refusal::because(500, "CSeq Out Of Order")),
        Some(last) if number == last => Err(Refusal::new(482)),
        Some(_) | None => {
            dialog.remote_cseq = Some(number);
            Ok(())
        }
    }
}
