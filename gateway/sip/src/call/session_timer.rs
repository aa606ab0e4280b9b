//! Session timers, both roles: a session that nobody refreshes is over (RFC 4028).
//!
//! Who refreshes does so at half the interval, by UPDATE where the peer takes it, else by an INVITE with the session
//! as it is. Who hears no refresh hangs up before the interval is over (section 10).

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::state::{Call, State, Talking};
use crate::edge::Refusal;
use crate::endpoint::{CallId, Endpoint};
use crate::event::Event;
use crate::header::{NameAddr, Reason, Refresher, SessionExpires};
use crate::message::{Headers, Method, Response};
use crate::offer_answer::Audio;
use crate::transaction::{Key, Owner};

/// Shortest interval that is taken (RFC 4028 section 4).
pub(crate) const MIN_SE_S: u32 = 90;

/// How long before its end a session that nobody refreshed is hung up, at most (RFC 4028 section 10).
const MARGIN: Duration = Duration::from_secs(32);

/// The pause after a refresh that was refused, at least.
const PAUSE: Duration = Duration::from_secs(5);

/// The timer of a session that has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionTimer {
    interval_s: u32,
    /// The largest that a 422 of this call named.
    min_se_s: u32,
    /// Whether we refresh.
    ours: bool,
    /// The last refresh.
    since: Instant,
}

impl SessionTimer {
    fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_s.into())
    }

    /// When we refresh.
    fn refresh_at(&self) -> Option<Instant> {
        self.ours.then(|| self.since + self.interval() / 2)
    }

    /// When the session is hung up.
    fn ends_at(&self) -> Instant {
        self.since + self.interval() - MARGIN.min(self.interval() / 3)
    }

    /// What the 2xx to our INVITE, or to a refresh of ours, settled.
    pub(crate) fn of_response(headers: &Headers, min_se_s: u32, now: Instant) -> Option<Self> {
        let value = headers.first("Session-Expires").and_then(SessionExpires::parse)?;
        // Nobody may shorten it below Min-SE; who does so (0 included) shall not make us refresh without pause.
        let ours = value.refresher != Some(Refresher::Uas);
        (value.seconds >= MIN_SE_S).then_some(Self { interval_s: value.seconds, min_se_s, ours, since: now })
    }
}

/// A request of ours that refreshes the session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Refresh {
    /// None is on its way.
    #[default]
    Idle,
    /// One is, and offers a session when it is an INVITE.
    Sent { offers: bool },
    /// The last one was refused; the next one is due then.
    Again { at: Instant },
}

impl Talking {
    /// When the session's timer has something to do.
    pub(crate) fn timer_deadline(&self) -> Option<Instant> {
        let timer = self.timer.as_ref().filter(|_| self.hung_up.is_none())?;
        Some(self.refresh_due().map_or(timer.ends_at(), |at| at.min(timer.ends_at())))
    }

    fn refresh_due(&self) -> Option<Instant> {
        // A 2xx of ours without its ACK yet: the refresh waits for it (RFC 3261 section 14.1).
        let timer = self.timer.as_ref().filter(|_| self.unacked.is_none())?;
        match self.refresh {
            Refresh::Idle => timer.refresh_at(),
            Refresh::Sent { .. } => None,
            Refresh::Again { at } => timer.refresh_at().map(|_| at),
        }
    }

    /// Whether an offer of ours has no answer yet.
    pub(crate) fn offers(&self) -> bool {
        let in_2xx = self.unacked.as_ref().is_some_and(|unacked| unacked.offers);
        in_2xx || self.refresh == Refresh::Sent { offers: true }
    }
}

impl Endpoint {
    /// What our INVITE says of session timers.
    pub(crate) fn push_session_timer(headers: &mut Headers, value: SessionExpires, min_se_s: u32) {
        headers.set("Session-Expires", value.to_string());
        headers.set("Min-SE", min_se_s.to_string());
    }

    /// The 422 for a request whose interval is shorter than we take. One whose sender knows no timers cannot be told so
    /// (RFC 4028 section 9).
    pub(crate) fn check_session_timer(headers: &Headers) -> Result<(), Refusal> {
        let wanted = headers.first("Session-Expires").and_then(SessionExpires::parse);
        match wanted {
            Some(wanted) if wanted.seconds < MIN_SE_S && supports(headers, "timer") => {
                Err(Refusal::new(422).with("Min-SE", MIN_SE_S.to_string()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Settles the timer by a request that begins or refreshes the session, and says so in its 2xx
    /// (RFC 4028 section 9, table 2).
    pub(crate) fn settle_session_timer(
        &self,
        request: &Headers,
        before: Option<SessionTimer>,
        ok: &mut Headers,
        now: Instant,
    ) -> Option<SessionTimer> {
        let theirs = supports(request, "timer");
        let wanted = request.first("Session-Expires").and_then(SessionExpires::parse);
        let wanted = wanted.filter(|wanted| wanted.seconds >= MIN_SE_S);
        let asked_min = request.first("Min-SE").and_then(SessionExpires::parse_min_se).unwrap_or(0);
        let min_se_s = before.map_or(MIN_SE_S, |before| before.min_se_s);
        let value = match (wanted, before) {
            (Some(wanted), _) if theirs => {
                SessionExpires { refresher: Some(wanted.refresher.unwrap_or(Refresher::Uac)), ..wanted }
            }
            (Some(wanted), _) => SessionExpires { refresher: Some(Refresher::Uas), ..wanted },
            // They say nothing of a timer that runs: it goes on as it was.
            (None, Some(before)) if !theirs => return Some(SessionTimer { since: now, ..before }),
            (None, Some(before)) => {
                let refresher = if before.ours { Refresher::Uas } else { Refresher::Uac };
                let seconds = before.interval_s.max(asked_min);
                SessionExpires { seconds, refresher: Some(refresher) }
            }
            (None, None) if theirs => {
                let seconds = self.config.session_interval_s.max(MIN_SE_S).max(asked_min);
                SessionExpires { seconds, refresher: Some(Refresher::Uas) }
            }
            (None, None) => return None,
        };
        let ours = value.refresher == Some(Refresher::Uas);
        ok.push("Session-Expires", value.to_string());
        if !ours {
            ok.push("Require", "timer");
        }
        Some(SessionTimer { interval_s: value.seconds, min_se_s, ours, since: now })
    }

    /// Refreshes the session or ends it, where one of the two is due.
    pub(crate) fn session_timeout(&mut self, now: Instant, id: CallId, mut talking: Talking, audio: Audio) {
        let over = talking.timer.is_some_and(|timer| timer.ends_at() <= now) && talking.hung_up.is_none();
        if over {
            self.session_over(now, id, talking, audio, Reason::q850(102, "Session expired"));
            return;
        }
        if talking.refresh_due().is_some_and(|at| at <= now) && talking.hung_up.is_none() {
            self.send_refresh(now, id, &mut talking, &audio);
        }
        self.keep(id, Call { state: State::Talking(talking), audio });
    }

    fn session_over(&mut self, now: Instant, id: CallId, talking: Talking, audio: Audio, reason: Reason) {
        self.leave(now, id, talking.dialog, audio, Some(&reason));
        self.tell(Event::HungUp { call: id, reason: Some(reason) });
    }

    fn send_refresh(&mut self, now: Instant, id: CallId, talking: &mut Talking, audio: &Audio) {
        let Some(timer) = talking.timer else { return };
        let sdp = if talking.dialog.takes_update() { None } else { audio.last_sent().map(str::to_owned) };
        let offers = sdp.is_some();
        let mut request = talking.dialog.request(if offers { Method::Invite } else { Method::Update });
        let branch = self.tokens.branch();
        self.push_via(&mut request, &branch);
        let sips = request.is_sips();
        self.push_contact(&mut request.headers, sips);
        let value = SessionExpires { seconds: timer.interval_s, refresher: Some(Refresher::Uac) };
        Self::push_session_timer(&mut request.headers, value, timer.min_se_s);
        let request = match sdp {
            Some(sdp) => request.with_sdp(&sdp),
            None => request,
        };
        let hop = talking.dialog.next_hop(&self.filter);
        self.request(now, &branch, request, hop, Owner::Refresh(id));
        talking.refresh = Refresh::Sent { offers };
    }

    /// Our refresh has an answer, provisional ones included.
    pub(crate) fn refresh_answered(&mut self, now: Instant, key: &Key, id: CallId, response: &Response) {
        let invite = self.layer.invite(key).is_some();
        if response.status < 200 {
            return;
        }
        let talks =
            |call: &Call| matches!(&call.state, State::Talking(talking) if talking.refresh != Refresh::Idle);
        if !self.calls.get(&id).is_some_and(talks) {
            return;
        }
        let Some(Call { state: State::Talking(mut talking), mut audio }) = self.calls.remove(&id) else {
            return;
        };
        match response.status {
            ..300 => {
                talking.dialog.refresh_target(&response.headers);
                if invite {
                    self.acknowledge_refresh(key, &mut talking, response);
                }
                let min_se_s = talking.timer.map_or(MIN_SE_S, |timer| timer.min_se_s);
                talking.timer = SessionTimer::of_response(&response.headers, min_se_s, now);
                talking.refresh = Refresh::Idle;
                if invite && talking.hung_up.is_none() {
                    self.take_refreshed_answer(id, talking.dialog.origin().ip(), &mut audio, response);
                }
            }
            // The dialog is gone there, or nobody answers (RFC 4028 section 10).
            408 | 481 if talking.hung_up.is_none() => {
                self.session_over(now, id, talking, audio, Reason::q850(102, "Session refresh failed"));
                return;
            }
            status => self.refresh_refused(now, &mut talking, status, &response.headers),
        }
        self.keep(id, Call { state: State::Talking(talking), audio });
    }

    /// Nobody answered our refresh.
    pub(crate) fn refresh_timed_out(&mut self, now: Instant, id: CallId) {
        let talks = |call: &Call| matches!(&call.state, State::Talking(talking) if talking.hung_up.is_none());
        if !self.calls.get(&id).is_some_and(talks) {
            return;
        }
        let Some(Call { state: State::Talking(talking), audio }) = self.calls.remove(&id) else { return };
        self.session_over(now, id, talking, audio, Reason::q850(102, "Session refresh failed"));
    }

    /// The ACK carries the number of its INVITE, whatever was sent since (RFC 3261 section 13.2.2.4).
    fn acknowledge_refresh(&mut self, key: &Key, talking: &mut Talking, response: &Response) {
        let Some(cseq) = response.headers.cseq() else { return };
        let mut ack = talking.dialog.request(Method::Ack);
        ack.headers.replace_first("CSeq", format!("{} ACK", cseq.number));
        let branch = self.tokens.branch();
        self.push_via(&mut ack, &branch);
        let hop = talking.dialog.next_hop(&self.filter);
        self.layer.acknowledge(key, talking.dialog.remote_tag(), hop, &ack);
    }

    fn take_refreshed_answer(&mut self, id: CallId, origin: IpAddr, audio: &mut Audio, response: &Response) {
        let before = audio.remote.clone();
        match audio.accept(&response.body, origin) {
            Ok(remote) if before.as_ref() == Some(&remote) => {}
            Ok(remote) => self.tell(Event::MediaChanged { call: id, remote }),
            Err(error) => tracing::warn!(call = id.0, %error, "the answer to a refresh leaves no audio"),
        }
    }

    fn refresh_refused(&mut self, now: Instant, talking: &mut Talking, status: u16, headers: &Headers) {
        let Some(timer) = &mut talking.timer else {
            talking.refresh = Refresh::Idle;
            return;
        };
        let left = timer.ends_at().saturating_duration_since(now);
        let wanted = headers.first("Min-SE").and_then(SessionExpires::parse_min_se);
        let pause = match status {
            // Glare: who did not make the Call-ID comes first (RFC 3261 section 14.1).
            491 => {
                let steps = if talking.dialog.is_ours() { 210..401 } else { 0..201 };
                Duration::from_millis(10 * self.tokens.within(steps))
            }
            422 if wanted.is_some_and(|wanted| wanted > timer.interval_s) => {
                timer.min_se_s = wanted.unwrap_or(timer.min_se_s);
                timer.interval_s = timer.interval_s.max(timer.min_se_s);
                Duration::ZERO
            }
            405 | 501 if talking.dialog.takes_update() => {
                talking.dialog.forget_update();
                Duration::ZERO
            }
            _ => PAUSE.max(left / 2),
        };
        talking.refresh = Refresh::Again { at: now + pause };
    }
}

/// Whether Supported or Require lists an option.
pub(crate) fn supports(headers: &Headers, option: &str) -> bool {
    let listed = headers.all("Supported").chain(headers.all("Require")).flat_map(NameAddr::split_list);
    listed.into_iter().any(|known| known.eq_ignore_ascii_case(option))
}
