//! Their INVITE: checked, rung, answered or refused (RFC 3261 sections 13.3 and 8.2).

use std::net::IpAddr;
use std::time::Instant;

use super::provisional::wants_reliable;
use super::session_timer::Refresh;
use super::state::{Call, Invited, State, Talking, Unacked};
use super::turned_away::TurnedAway;
use crate::audio::{LocalAudio, RemoteAudio};
use crate::dialog::Dialog;
use crate::edge::Refusal;
use crate::endpoint::{Availability, CallId, Endpoint};
use crate::event::Event;
use crate::header::{Identity, NameAddr, Reason};
use crate::hop::Hop;
use crate::message::{Request, Response};
use crate::offer_answer::{Audio, AudioError, preview};
use crate::sdes::SdesKey;
use crate::seen::Copy;
use crate::transaction::{Key, Owner, Repeat, T2};
use crate::uri::Uri;

/// How an incoming call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// 300 to 699; anything else becomes 500.
    pub status: u16,
    /// Instead of the status's own phrase.
    pub phrase: Option<String>,
    /// Reason header (RFC 3326).
    pub reason: Option<Reason>,
    /// Retry-After header, seconds.
    pub retry_after_s: Option<u32>,
}

impl Endpoint {
    /// Takes an INVITE outside a dialog.
    pub(crate) fn handle_invite(
        &mut self,
        now: Instant,
        key: &Key,
        request: Request,
        source: Hop,
        answer_to: Hop,
    ) {
        match self.seen.look(now, &request, key) {
            Copy::None => {}
            Copy::Late => {
                tracing::debug!("late copy of an INVITE ignored");
                return;
            }
            Copy::Merged => {
                self.refuse(&request, answer_to, Refusal::new(482));
                return;
            }
        }
        let replaces = self.replaced_by(&request);
        if matches!(replaces, Ok(None)) && self.is_crowded(now) {
            self.turn_crowd_away(now, key, &request, answer_to);
            return;
        }
        let srtp_key = self.tokens.key();
        let judged = replaces.and_then(|replaces| {
            let (dialled, remote) = self.judge_invite(&request, &srtp_key, source, replaces)?;
            Ok((replaces, dialled, remote))
        });
        let (replaces, dialled, remote) = match judged {
            Ok(judged) => judged,
            Err(refusal) => {
                self.tell_refused(&request, &refusal);
                self.refuse(&request, answer_to, refusal);
                return;
            }
        };
        if replaces.is_none() && !self.rush.admit(now) {
            self.turn_crowd_away(now, key, &request, answer_to);
            return;
        }
        let tag = self.tokens.token();
        let Some(dialog) = Dialog::from_request(&request, &tag, source) else { return };
        let id = self.next_call_id();
        self.seen.remember(now, &request, key);
        let trying = Response::to(&request, 100, "Trying", None);
        self.layer.open_invite(key, answer_to, Owner::Call(id), &trying);
        let sip_call_id = request.headers.call_id().to_owned();
        let identity = Identity::of(&request.headers);
        self.tell(match replaces {
            Some(replaces) => Event::Replaces { call: id, replaces, identity, remote, sip_call_id },
            None => incoming((id, source.ip()), dialled, identity, remote, &request),
        });
        let audio = Audio::new(self.tokens.number(), self.config.srtp, srtp_key);
        let invited = Invited {
            key: key.clone(),
            invite: request,
            source,
            dialog,
            replaces,
            unpracked: None,
            agreed: false,
            answering: None,
        };
        self.keep_with_dialogs(id, Call { state: State::Invited(invited), audio });
    }

    /// Sends a new call away because there is too much to do.
    fn turn_crowd_away(&mut self, now: Instant, key: &Key, request: &Request, answer_to: Hop) {
        self.tell_turned_away(request, TurnedAway::Crowded);
        self.refuse_invite_for_load(now, key, request, answer_to);
    }

    /// Everything that refuses a call before anybody is asked.
    fn judge_invite(
        &self,
        request: &Request,
        srtp_key: &SdesKey,
        source: Hop,
        replaces: Option<CallId>,
    ) -> Result<(String, Option<RemoteAudio>), Refusal> {
        let takes_place = replaces.is_some();
        if let Availability::Down { .. } = &self.availability
            && !takes_place
        {
            return Err(self.unavailable());
        }
        let dialled = Uri::parse(&request.uri).ok().and_then(|uri| uri.user);
        let dialled = if takes_place { Some(dialled.unwrap_or_default()) } else { dialled };
        let Some(dialled) = dialled else {
            let reason = Reason::q850(28, "Invalid number format");
            return Err(Refusal::new(484).with("Reason", reason.to_string()));
        };
        let dialled = self.dialled_behind(request, dialled);
        Self::check_session_timer(&request.headers)?;
        check_content(request)?;
        check_accept(request)?;
        if self.calls() >= self.config.max_calls && !takes_place {
            let reason = Reason::q850(34, "No circuit available");
            let retry_after = self.retry_after(request);
            return Err(Refusal::new(503)
                .with("Retry-After", retry_after)
                .with("Reason", reason.to_string()));
        }
        if request.body.is_empty() {
            return Ok((dialled, None));
        }
        let remote = preview(&request.body, &self.config.codecs, (self.config.srtp, srtp_key), source.ip())
            .map_err(|error| audio_refusal(&error))?;
        Ok((dialled, Some(remote)))
    }

    /// Says 180 for an incoming call.
    pub fn ringing(&mut self, now: Instant, id: CallId, headers: Vec<(String, String)>) {
        if !matches!(self.calls.get(&id), Some(Call { state: State::Invited(_), .. })) {
            tracing::debug!(call = id.0, "180 for a call that is not waiting");
            return;
        }
        let Some(Call { state: State::Invited(mut invited), audio }) = self.calls.remove(&id) else { return };
        let tag = invited.dialog.local_tag();
        let mut ringing = self.answer_for(&invited.invite, &Refusal::new(180), tag);
        self.push_contact(&mut ringing.headers, invited.invite.is_sips());
        self.push_extra(&mut ringing.headers, &headers);
        if !wants_reliable(&invited.invite) || self.rely_on(now, &mut invited, &mut ringing) {
            self.layer.answer_invite(now, &invited.key, &ringing);
        }
        self.keep(id, Call { state: State::Invited(invited), audio });
    }

    /// Lets the caller hear something before the answer: 183 with our answer to its offer, which the 200 repeats. Gives what
    /// was settled; `None` where only 180 could be said, for want of an offer, or nothing any more.
    pub fn progress(
        &mut self,
        now: Instant,
        id: CallId,
        local: LocalAudio,
        headers: Vec<(String, String)>,
    ) -> Option<RemoteAudio> {
        let Some(Call { state: State::Invited(_), .. }) = self.calls.get(&id) else { return None };
        let Some(Call { state: State::Invited(mut invited), mut audio }) = self.calls.remove(&id) else {
            return None;
        };
        audio.local = Some(local);
        let offer = &invited.invite.body;
        let described = match audio.last_sent() {
            Some(settled) if invited.agreed => Some(Some(settled.to_owned())),
            Some(_) | None if offer.is_empty() => None,
            Some(_) | None => audio.answer(offer, invited.source.address.ip()).ok(),
        };
        let Some(sdp) = described.flatten() else {
            self.keep(id, Call { state: State::Invited(invited), audio });
            self.ringing(now, id, headers);
            return None;
        };
        let mut progress =
            self.answer_for(&invited.invite, &Refusal::new(183), invited.dialog.local_tag()).with_sdp(&sdp);
        self.push_contact(&mut progress.headers, invited.invite.is_sips());
        self.push_extra(&mut progress.headers, &headers);
        if !wants_reliable(&invited.invite) || self.rely_on(now, &mut invited, &mut progress) {
            self.layer.answer_invite(now, &invited.key, &progress);
        }
        let remote = audio.remote.clone();
        self.keep(id, Call { state: State::Invited(invited), audio });
        remote
    }

    /// Answers an incoming call with 200 and our answer to its offer; without an offer, with ours.
    ///
    /// Gives what was settled. `None`: the audio is known with the ACK ([`Event::MediaChanged`]), or the call is over
    /// ([`Event::HungUp`] when none of our codecs was offered; the caller got 488).
    pub fn answer(
        &mut self,
        now: Instant,
        id: CallId,
        local: LocalAudio,
        headers: Vec<(String, String)>,
    ) -> Option<RemoteAudio> {
        if !matches!(self.calls.get(&id), Some(Call { state: State::Invited(_), .. })) {
            tracing::debug!(call = id.0, "answer for a call that is not waiting");
            return None;
        }
        let Some(Call { state: State::Invited(mut invited), mut audio }) = self.calls.remove(&id) else {
            return None;
        };
        if invited.unpracked.is_some() && audio.remote.is_some() {
            // The 200 waits until the description of the 183 has arrived (RFC 3262 section 3).
            invited.answering = Some((local, headers));
            let remote = audio.remote.clone();
            self.keep(id, Call { state: State::Invited(invited), audio });
            return remote;
        }
        let replaced = invited.replaces;
        if replaced.is_some_and(|old| !self.calls.get(&old).is_some_and(Call::is_live)) {
            // Whose place it was to take is gone.
            let answer = self.answer_for(&invited.invite, &Refusal::new(481), invited.dialog.local_tag());
            self.layer.answer_invite(now, &invited.key, &answer);
            self.release(id, &Call { state: State::Invited(invited), audio });
            self.tell(Event::HungUp { call: id, reason: None });
            return None;
        }
        audio.local = Some(local);
        let offers = invited.invite.body.is_empty();
        let sdp = match audio.last_sent() {
            // The session is settled and may be another one by now: who looks at this finds it as it is.
            Some(settled) if invited.agreed => Ok(Some(settled.to_owned())),
            Some(_) | None if offers => Ok(audio.offer()),
            Some(_) | None => audio.answer(&invited.invite.body, invited.source.ip()),
        };
        let sdp = match sdp {
            Ok(sdp) => sdp.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(call = id.0, %error, "offer not answered");
                let answer =
                    self.answer_for(&invited.invite, &audio_refusal(&error), invited.dialog.local_tag());
                self.layer.answer_invite(now, &invited.key, &answer);
                self.release(id, &Call { state: State::Invited(invited), audio });
                let reason = Some(Reason::q850(88, "Incompatible destination"));
                self.tell(Event::HungUp { call: id, reason });
                return None;
            }
        };
        let mut ok = self.answer_for(&invited.invite, &Refusal::new(200), invited.dialog.local_tag());
        self.push_contact(&mut ok.headers, invited.invite.is_sips());
        self.push_extra(&mut ok.headers, &headers);
        let timer = self.settle_session_timer(&invited.invite.headers, None, &mut ok.headers, now);
        let ok = ok.with_sdp(&sdp);
        let cseq = invited.invite.headers.cseq().map_or(0, |cseq| cseq.number);
        let sent = self.layer.answer_invite(now, &invited.key, &ok);
        let unacked = sent.map(|(answer_to, bytes)| Unacked {
            cseq,
            answer_to,
            bytes,
            repeat: Repeat::new(now, T2),
            offers,
            first: true,
        });
        let remote = audio.remote.clone();
        let talking = Talking {
            pracked: invited.unpracked.is_none(),
            dialog: invited.dialog,
            unacked,
            hung_up: None,
            timer,
            refresh: Refresh::Idle,
            referral: None,
            referred: false,
        };
        self.keep(id, Call { state: State::Talking(talking), audio });
        if let Some(old) = replaced {
            self.give_way(now, old);
            self.tell(Event::Replaced { call: id, replaced: old, remote: remote.clone() });
        }
        remote
    }

    /// Refuses an incoming call. No event follows.
    pub fn reject(&mut self, now: Instant, id: CallId, rejection: Rejection) {
        if !matches!(self.calls.get(&id), Some(Call { state: State::Invited(_), .. })) {
            tracing::debug!(call = id.0, "refusal of a call that is not waiting");
            return;
        }
        let Some(Call { state: State::Invited(invited), .. }) = self.forget(id) else { return };
        let status = if (300..700).contains(&rejection.status) { rejection.status } else { 500 };
        let mut refusal = Refusal::new(status);
        refusal.phrase = rejection.phrase;
        if let Some(reason) = rejection.reason {
            refusal = refusal.with("Reason", reason.to_string());
        }
        if let Some(seconds) = rejection.retry_after_s {
            refusal = refusal.with("Retry-After", seconds.to_string());
        }
        let answer = self.answer_for(&invited.invite, &refusal, invited.dialog.local_tag());
        self.layer.answer_invite(now, &invited.key, &answer);
    }
}

fn incoming(
    (call, source): (CallId, IpAddr),
    dialled: String,
    identity: Identity,
    remote: Option<RemoteAudio>,
    request: &Request,
) -> Event {
    let from = request.headers.from();
    let from_uri = from.as_ref().and_then(|from| Uri::parse(&from.uri).ok());
    let extra = request
        .headers
        .iter()
        .filter(|(name, _)| name.get(..2).is_some_and(|x| x.eq_ignore_ascii_case("X-")));
    Event::Incoming {
        call,
        source,
        dialled,
        from_user: from_uri.and_then(|uri| uri.user).unwrap_or_default(),
        from_display: from.map(|from| from.display).unwrap_or_default(),
        identity,
        remote,
        sip_call_id: request.headers.call_id().to_owned(),
        headers: extra.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

/// A body must be a session description that is not packed (RFC 3261 section 8.2.3).
pub(super) fn check_content(request: &Request) -> Result<(), Refusal> {
    if request.body.is_empty() {
        return Ok(());
    }
    let kind = request.headers.first("Content-Type").unwrap_or("application/sdp");
    let kind = kind.split(';').next().unwrap_or(kind).trim();
    let packed =
        request.headers.first("Content-Encoding").is_some_and(|how| !how.eq_ignore_ascii_case("identity"));
    if packed || !kind.eq_ignore_ascii_case("application/sdp") {
        return Err(Refusal::new(415).with("Accept", "application/sdp"));
    }
    Ok(())
}

/// A caller that names what it understands has to understand our description of the session (RFC 3261 section 20.1).
fn check_accept(request: &Request) -> Result<(), Refusal> {
    let accepted: Vec<_> = request.headers.all("Accept").flat_map(NameAddr::split_list).collect();
    let ours = |range: &&str| {
        let range = range.split(';').next().unwrap_or(range).trim();
        ["application/sdp", "application/*", "*/*"].iter().any(|taken| range.eq_ignore_ascii_case(taken))
    };
    if accepted.is_empty() || accepted.iter().any(ours) { Ok(()) } else { Err(Refusal::new(406)) }
}

/// The status for an offer that leads to no audio.
pub(super) fn audio_refusal(error: &AudioError) -> Refusal {
    match error {
        AudioError::Sdp(_) => Refusal::because(400, "Session Description Not Readable"),
        AudioError::NoAudio { .. } | AudioError::NoCommonCodec { .. } => {
            let reason = Reason::q850(88, "Incompatible destination");
            Refusal::new(488).with("Warning", warning(error)).with("Reason", reason.to_string())
        }
    }
}

/// Warning 304: media type, 305: media format (RFC 3261 section 20.43).
fn warning(error: &AudioError) -> String {
    let code = if matches!(error, AudioError::NoAudio { .. }) { 304 } else { 305 };
    format!("{code} tgtrunk {}", crate::text::quoted(&error.to_string()))
}
