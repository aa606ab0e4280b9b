//! Our INVITE: placed, ringing, answered or refused (RFC 3261 sections 13.2 and 8.1).

use std::time::Instant;

use super::again::Asked;
use super::failover::Way;
use super::session_timer::{MIN_SE_S, Refresh, SessionTimer};
use super::state::{Call, Early, GivingUp, Inviting, State, Talking};
use crate::audio::{LocalAudio, RemoteAudio};
use crate::dialog::Dialog;
use crate::endpoint::{CallId, Endpoint};
use crate::event::Event;
use crate::header::{Protocol, Reason, SessionExpires};
use crate::hop::Hop;
use crate::message::{Method, Request, Response};
use crate::offer_answer::{Audio, AudioError};
use crate::text::quoted;
use crate::transaction::{Key, Owner, PATIENCE};
use crate::uri::sip_uri;

/// Most branches of a forked INVITE whose early dialogs are kept.
const EARLY_LIMIT: usize = 8;

/// A call that we place.
#[derive(Debug, Clone)]
pub struct Invite {
    /// User part of the Request-URI and of To.
    pub to_user: String,
    /// User part of From and P-Asserted-Identity; the line's own when empty.
    pub from_user: String,
    /// Display name beside it; none when empty. Any text: it is made safe.
    pub display_name: String,
    /// More headers. Values are made safe; names that the line writes itself, and what is no name, are left out.
    pub headers: Vec<(String, String)>,
    /// Whether the PBX is asked to show the caller to nobody (RFC 3323, RFC 3325 section 7).
    pub private: bool,
    /// What we offer.
    pub audio: LocalAudio,
}

/// Whom an INVITE of ours calls.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Request-URI and To.
    pub(crate) uri: String,
    /// Where it goes.
    pub(crate) destination: Hop,
    /// What has to go with it.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Endpoint {
    /// Places a call. It ends in [`Event::Refused`] or, once answered, in [`Event::HungUp`].
    pub fn invite(&mut self, now: Instant, invite: Invite) -> CallId {
        let id = self.next_call_id();
        if self.calls() >= self.config.max_calls {
            self.tell(Event::Refused {
                call: id,
                status: 503,
                phrase: "Line Full".to_owned(),
                reason: Some(Reason::q850(34, "No circuit available")),
                retry_after_s: None,
            });
            return id;
        }
        let way = Way::new(self, &invite.to_user, now);
        let target = Target {
            uri: self.pbx_uri(&invite.to_user, way.peer),
            destination: self.hop(way.peer),
            headers: Vec::new(),
        };
        self.place(now, id, &invite, target, way);
        id
    }

    /// Sends an INVITE and keeps the call.
    pub(crate) fn place(&mut self, now: Instant, id: CallId, invite: &Invite, target: Target, way: Way) {
        let mut audio = Audio::new(self.tokens.number(), self.config.srtp, self.tokens.key());
        audio.local = Some(invite.audio.clone());
        let offer = audio.offer().unwrap_or_default();
        let branch = self.tokens.branch();
        let request = self.build_invite(invite, &target, &branch).with_sdp(&offer);
        let key = self.request(now, &branch, request, target.destination, Owner::Call(id));
        let inviting = Inviting {
            invite: key,
            way,
            ring_until: now + self.config.ring_limit,
            giving_up: GivingUp::No,
            early: Vec::new(),
            asked: Asked::new(),
            rung: false,
            reported: false,
            is_adopted: false,
        };
        self.keep(id, Call { state: State::Inviting(inviting), audio });
    }

    fn build_invite(&mut self, invite: &Invite, target: &Target, branch: &str) -> Request {
        let own = self.config.announced;
        let from_user = if invite.from_user.is_empty() { &self.config.line_user } else { &invite.from_user };
        let name = quoted(&invite.display_name);
        let name = if name == "\"\"" { String::new() } else { format!("{name} ") };
        let identity = format!("{name}<{}>", sip_uri(from_user, own));
        let mut request = Request::new(Method::Invite, target.uri.clone());
        self.push_via(&mut request, branch);
        let tag = self.tokens.token();
        request.headers.push("From", format!("{identity};tag={tag}"));
        request.headers.push("To", format!("<{}>", target.uri));
        request.headers.push("Call-ID", self.tokens.token());
        request.headers.push("CSeq", "1 INVITE");
        request.headers.push("P-Asserted-Identity", identity);
        if invite.private {
            request.headers.push("Privacy", "id");
        }
        let sips = request.is_sips();
        self.push_contact(&mut request.headers, sips);
        let seconds = self.config.session_interval_s.max(MIN_SE_S);
        let session = SessionExpires { seconds, refresher: None };
        Self::push_session_timer(&mut request.headers, session, MIN_SE_S);
        for (name, value) in &target.headers {
            request.headers.push(name, value.clone());
        }
        self.push_extra(&mut request.headers, &invite.headers);
        request
    }

    /// Takes a response to an INVITE of ours.
    pub(crate) fn invite_answered(&mut self, now: Instant, key: &Key, id: CallId, response: Response) {
        match response.status {
            ..101 => self.invite_progress(now, id, key),
            101..200 => {
                self.invite_progress(now, id, key);
                self.invite_rings(now, id, key, &response);
                self.referred_rings(now, id, &response);
            }
            200..300 => self.invite_accepted(now, id, key, &response),
            _ => self.invite_refused(now, id, key, &response),
        }
    }

    /// A CANCEL that waited may go now.
    fn invite_progress(&mut self, now: Instant, id: CallId, key: &Key) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        if let State::Inviting(inviting) = &mut call.state {
            inviting.way.patience_ends = None;
            if let GivingUp::Wanted(reason) = &mut inviting.giving_up {
                let reason = reason.take();
                self.send_cancel(now, key, reason.as_ref());
                inviting.giving_up = GivingUp::Cancelled { until: now + PATIENCE };
            }
        }
        self.keep(id, call);
    }

    fn invite_rings(&mut self, now: Instant, id: CallId, key: &Key, response: &Response) {
        let Some(mut call) = self.calls.remove(&id) else { return };
        if let State::Inviting(inviting) = &mut call.state {
            self.learn_early(id, key, inviting, response);
            if !self.acknowledge_provisional(now, &mut inviting.early, response) {
                self.keep(id, call);
                return;
            }
        }
        if let Call { state: State::Inviting(inviting), audio } = &mut call
            && matches!(inviting.giving_up, GivingUp::No)
        {
            if response.status == 180 && !inviting.rung {
                inviting.rung = true;
                self.tell(Event::Ringing { call: id });
            }
            self.early_media(id, inviting, audio, response);
        }
        self.keep(id, call);
    }

    fn learn_early(&mut self, id: CallId, key: &Key, inviting: &mut Inviting, response: &Response) {
        let Some((request, destination, _)) = self.layer.invite(key) else { return };
        let Some(dialog) = Dialog::from_response(request, response, destination) else { return };
        let known = inviting.early.iter().any(|early| early.dialog.id == dialog.id);
        if !known && !dialog.remote_tag().is_empty() && inviting.early.len() < EARLY_LIMIT {
            self.dialogs.insert(dialog.id.clone(), id);
            inviting.early.push(Early { dialog, remote: None, rseq: None });
        }
    }

    fn early_media(&mut self, id: CallId, inviting: &mut Inviting, audio: &mut Audio, response: &Response) {
        if response.body.is_empty() {
            return;
        }
        let before = audio.remote.clone();
        match audio.accept(&response.body, inviting.way.peer.ip()) {
            Ok(remote) => {
                let tag =
                    response.headers.to().and_then(|to| to.tag().map(str::to_owned)).unwrap_or_default();
                if let Some(early) = inviting.early.iter_mut().find(|early| early.dialog.remote_tag() == tag)
                {
                    early.remote = Some(remote.clone());
                }
                if before.as_ref() != Some(&remote) {
                    self.tell(Event::EarlyMedia { call: id, remote });
                }
            }
            Err(error) => tracing::debug!(call = id.0, %error, "early media not taken"),
        }
    }

    fn invite_accepted(&mut self, now: Instant, id: CallId, key: &Key, response: &Response) {
        let Some((request, destination, _)) = self.layer.invite(key) else { return };
        let Some(mut dialog) = Dialog::from_response(request, response, destination) else {
            return;
        };
        let mut ack = dialog.request(Method::Ack);
        copy_proofs(request, &mut ack);
        let ack_branch = self.tokens.branch();
        self.push_via(&mut ack, &ack_branch);
        let hop = dialog.next_hop(&self.filter);
        self.layer.acknowledge(key, dialog.remote_tag(), hop, &ack);
        // Numbers that the early dialog used are used (RFC 3261 section 12.2.1.1).
        if let Some(Call { state: State::Inviting(inviting), .. }) = self.calls.get(&id)
            && let Some(early) = inviting.early.iter().find(|early| early.dialog.id == dialog.id)
        {
            dialog.carry_on(&early.dialog);
        }

        let waiting = matches!(self.calls.get(&id), Some(Call { state: State::Inviting(_), .. }));
        let infos = if waiting { self.infos.remove(&id) } else { None };
        let Some(mut call) = waiting.then(|| self.forget(id)).flatten() else {
            // Another branch of a fork answered as well, or the call is over.
            self.send_bye(now, dialog, None, Owner::Nobody);
            return;
        };
        let State::Inviting(inviting) = call.state else { return };
        if !matches!(inviting.giving_up, GivingUp::No) {
            if inviting.is_adopted {
                dialog.leap();
            }
            self.leave(now, id, dialog, call.audio, None);
            self.report_refused(now, id, inviting.reported, 487, "Request Terminated", None, None);
            return;
        }
        match Self::settle(&mut call.audio, &inviting, &dialog, response) {
            Ok(remote) => {
                self.tell(Event::Answered { call: id, remote });
                let timer = SessionTimer::of_response(&response.headers, inviting.asked.min_se_s, now);
                let talking = Talking {
                    dialog,
                    unacked: None,
                    hung_up: None,
                    timer,
                    pracked: true,
                    refresh: Refresh::Idle,
                    referral: None,
                    referred: false,
                };
                self.keep_with_dialogs(id, Call { state: State::Talking(talking), audio: call.audio });
                self.referred_over(now, id, response.status, &response.phrase);
                self.restore_infos(now, id, infos);
            }
            Err(error) => {
                tracing::warn!(call = id.0, %error, "the answer leaves no audio");
                let reason = Reason::q850(88, "Incompatible destination");
                self.leave(now, id, dialog, call.audio, Some(&reason));
                self.report_refused(now, id, false, 488, "No Usable Audio In The Answer", Some(reason), None);
            }
        }
    }

    /// The answer of the 2xx, or the one that its branch gave while it rang.
    fn settle(
        audio: &mut Audio,
        inviting: &Inviting,
        dialog: &Dialog,
        response: &Response,
    ) -> Result<RemoteAudio, AudioError> {
        if response.body.is_empty() {
            let early = inviting.early.iter().find(|early| early.dialog.id == dialog.id);
            if let Some(remote) = early.and_then(|early| early.remote.clone()) {
                audio.remote = Some(remote.clone());
                return Ok(remote);
            }
        }
        audio.accept(&response.body, inviting.way.peer.ip())
    }

    fn invite_refused(&mut self, now: Instant, id: CallId, key: &Key, response: &Response) {
        if self.ask_again(now, id, key, response) {
            return;
        }
        self.judge_proof(key, response, true);
        if response.status == 503 && self.try_next(now, id) {
            return;
        }
        let Some(Call { state: State::Inviting(inviting), .. }) = self.forget(id) else { return };
        let reason = Reason::parse(response.headers.all("Reason"));
        let retry_after_s = response.headers.first("Retry-After").and_then(|value| {
            let digits = value.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        });
        self.report_refused(
            now,
            id,
            inviting.reported,
            response.status,
            &response.phrase,
            reason,
            retry_after_s,
        );
    }

    /// Nobody answered our INVITE at all.
    pub(crate) fn invite_timed_out(&mut self, now: Instant, id: CallId) {
        let Some(Call { state: State::Inviting(inviting), .. }) = self.forget(id) else { return };
        self.report_refused(now, id, inviting.reported, 408, "No Response", None, None);
    }

    /// The ring limit, or no final answer after CANCEL.
    pub(crate) fn inviting_timeout(
        &mut self,
        now: Instant,
        id: CallId,
        mut inviting: Inviting,
        audio: Audio,
    ) {
        match inviting.giving_up {
            GivingUp::No if now < inviting.ring_until => {
                let silent = inviting.way.peer;
                inviting.way.patience_ends = None;
                self.keep(id, Call { state: State::Inviting(inviting), audio });
                if self.try_next(now, id) {
                    self.ask_now(now, silent);
                }
            }
            GivingUp::No => {
                self.report_refused(
                    now,
                    id,
                    false,
                    408,
                    "Ring Limit",
                    Some(Reason::q850(19, "No answer")),
                    None,
                );
                inviting.reported = true;
                let reason =
                    Reason { protocol: Protocol::Q850, cause: 19, text: Some("No answer".to_owned()) };
                self.give_up(now, &mut inviting, Some(reason));
                self.keep(id, Call { state: State::Inviting(inviting), audio });
            }
            GivingUp::Wanted(_) => self.keep(id, Call { state: State::Inviting(inviting), audio }),
            GivingUp::Cancelled { .. } => {
                let reported = inviting.reported;
                self.layer.abandon(&inviting.invite);
                self.release(id, &Call { state: State::Inviting(inviting), audio });
                self.report_refused(now, id, reported, 487, "Request Terminated", None, None);
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "when, whose, and all that a refusal says")]
    fn report_refused(
        &mut self,
        now: Instant,
        id: CallId,
        reported: bool,
        status: u16,
        phrase: &str,
        reason: Option<Reason>,
        retry_after_s: Option<u32>,
    ) {
        self.referred_over(now, id, status, phrase);
        if !reported {
            let phrase = phrase.to_owned();
            self.tell(Event::Refused { call: id, status, phrase, reason, retry_after_s });
        }
    }
}

/// An ACK cannot be challenged, so it proves what its INVITE did (RFC 3261 section 22.1).
fn copy_proofs(invite: &Request, ack: &mut Request) {
    for name in ["Authorization", "Proxy-Authorization"] {
        if let Some(proof) = invite.headers.first(name) {
            ack.headers.push(name, proof);
        }
    }
}
