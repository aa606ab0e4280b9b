//! REFER in a call: the PBX sends whoever is at our end on to somebody else (RFC 3515, RFC 5589 sections 6 and 7).
//!
//! The shell places the call that was asked for with [`Endpoint::transfer`], and the PBX hears how that goes in NOTIFYs,
//! unless it wants none (RFC 4488). When the new call is answered, the one that asked is the PBX's to end; after a while
//! we end it. Only the PBX and the addresses that are listened to are called so: nobody gets a call to anywhere else.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::failover::Way;
use super::state::{Call, State, Talking};
use super::uac::{Invite, Target};
use crate::dialog::Dialog;
use crate::edge::Refusal;
use crate::endpoint::{CallId, Endpoint};
use crate::event::Event;
use crate::header::{NameAddr, Reason, Replaces};
use crate::hop::Hop;
use crate::message::{Method, Request, Response};
use crate::offer_answer::Audio;
use crate::text::clean;
use crate::transaction::Owner;
use crate::uri::{Scheme, Uri, UriError};

/// How long the PBX may keep a call whose transfer came about.
const FAREWELL: Duration = Duration::from_secs(5);

/// What a subscription outlasts the ring limit by.
const LEEWAY: Duration = Duration::from_secs(30);

/// Longest target and longest Referred-By that are passed on, in bytes.
const TARGET_LIMIT_BYTES: usize = 1024;

/// A transfer that the PBX asked for in a call.
#[derive(Debug)]
pub(crate) struct Referral {
    target: Target,
    stage: Stage,
    subscription: Option<Subscription>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The shell has not placed the call yet.
    Wanted,
    /// The new call has no final answer.
    Placed,
    /// It was answered; then this one is ended, if the PBX does not end it before.
    Done { until: Instant },
    /// It did not come about; this call goes on.
    Failed,
}

/// The PBX's wish to hear how the transfer goes (RFC 3515 section 2.4.4).
#[derive(Debug)]
struct Subscription {
    /// The number of the REFER.
    number: Option<u32>,
    /// Whether the call had a REFER before, so that NOTIFYs tell the number (section 2.4.6).
    is_numbered: bool,
    expires_at: Instant,
    /// Whether the next NOTIFY is the last one, for the PBX wants no more.
    ends: bool,
    /// Whether a NOTIFY is on its way: over UDP a second one could overtake it.
    sent: bool,
    /// What the next one says.
    next: Option<(u16, String)>,
    told: (u16, String),
}

impl Subscription {
    /// Whether it goes on: nothing final was told, and its time has not run out.
    fn is_live(&self, now: Instant) -> bool {
        self.told.0 < 200 && !self.ends && now < self.expires_at
    }
}

impl Referral {
    /// Has the subscription of the REFER with this number last for so many seconds and no more; 0 ends it with one more
    /// NOTIFY. Gives for how many it lasts; none where there is none (RFC 6665 section 4.2.1).
    pub(crate) fn subscribe(
        &mut self,
        now: Instant,
        number: Option<u32>,
        wanted_s: Option<u32>,
    ) -> Option<u64> {
        let subscription = self.subscription.as_mut().filter(|known| known.is_live(now))?;
        // The first one may be meant without a number.
        if number.is_none() && subscription.is_numbered || number.is_some() && number != subscription.number {
            return None;
        }
        let left_s = subscription.expires_at.saturating_duration_since(now).as_secs();
        let lasts_s = wanted_s.map_or(left_s, |wanted_s| left_s.min(wanted_s.into()));
        subscription.expires_at = now + Duration::from_secs(lasts_s);
        subscription.ends = lasts_s == 0;
        // Each SUBSCRIBE is answered by where things stand, too.
        subscription.next = Some(subscription.told.clone());
        Some(lasts_s)
    }

    /// When the call that was transferred is ended.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Done { until } => Some(until),
            Stage::Wanted | Stage::Placed | Stage::Failed => None,
        }
    }

    fn tell(&mut self, status: u16, phrase: &str) {
        if let Some(subscription) = &mut self.subscription
            && subscription.told.0 < 200
            && !subscription.ends
            && (status != subscription.told.0 || status >= 200)
        {
            subscription.told = (status, clean(phrase, 128));
            subscription.next = Some(subscription.told.clone());
        }
    }

    /// Whether it failed and the PBX knows.
    fn is_over(&self) -> bool {
        let waits = self.subscription.as_ref().is_some_and(|known| known.sent || known.next.is_some());
        self.stage == Stage::Failed && !waits
    }
}

impl Endpoint {
    /// Takes a REFER in a call's dialog. Gives the answer's status.
    pub(crate) fn handle_refer(
        &mut self,
        now: Instant,
        id: CallId,
        call: &mut Call,
        request: &Request,
    ) -> Refusal {
        let judged = self.judge_refer(call, request);
        let State::Talking(talking) = &mut call.state else {
            return judged.err().unwrap_or_else(|| Refusal::new(603));
        };
        let (target, uri) = match judged {
            Ok(target) => target,
            Err(refusal) => return refusal,
        };
        let unheard = request.headers.first("Refer-Sub").is_some_and(|value| {
            value.split(';').next().unwrap_or(value).trim().eq_ignore_ascii_case("false")
        });
        let number = request.headers.cseq().map(|cseq| cseq.number);
        let trying = || (100, "Trying".to_owned());
        let subscription = (!unheard).then(|| Subscription {
            number,
            is_numbered: talking.referred,
            expires_at: now + self.config.ring_limit + LEEWAY,
            ends: false,
            sent: false,
            next: Some(trying()),
            told: trying(),
        });
        let header = |name: &str| {
            target.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
        };
        let (referred_by, attended) = (header("Referred-By"), header("Replaces").is_some());
        let to_user = uri.user.unwrap_or_default();
        self.tell(Event::Refer { call: id, to_user, attended, referred_by });
        talking.referred = true;
        talking.referral = Some(Box::new(Referral { target, stage: Stage::Wanted, subscription }));
        let accepted = Refusal::new(202);
        if unheard { accepted.with("Refer-Sub", "false") } else { accepted }
    }

    /// Everything that refuses a transfer before anybody is asked. Gives whom to call.
    fn judge_refer(&self, call: &Call, request: &Request) -> Result<(Target, Uri), Refusal> {
        let State::Talking(talking) = &call.state else {
            let leaving = matches!(call.state, State::Leaving(_));
            return Err(Refusal::new(if leaving { 481 } else { 603 }));
        };
        if talking.hung_up.is_some() {
            return Err(Refusal::new(481));
        }
        if !self.config.refer {
            return Err(Refusal::new(603));
        }
        if talking.referral.is_some() {
            return Err(Refusal::new(491));
        }
        let mut values = request.headers.all("Refer-To").flat_map(NameAddr::split_list);
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Refusal::because(400, "Refer-To Missing Or Repeated"));
        };
        let unreadable = || Refusal::because(400, "Refer-To Not Readable");
        let refer_to = NameAddr::parse(value).ok_or_else(unreadable)?;
        let uri = match Uri::parse(&refer_to.uri) {
            Ok(uri) if uri.scheme == Scheme::Sip => uri,
            Ok(uri) if uri.scheme == Scheme::Sips && talking.dialog.transport(&uri).is_some() => uri,
            Ok(_) | Err(UriError::Scheme(_)) => return Err(Refusal::new(416)),
            Err(UriError::Host(_) | UriError::Port(_) | UriError::Empty(_)) => return Err(unreadable()),
        };
        if uri.parameter("method").is_some_and(|method| method != "INVITE") {
            return Err(Refusal::because(403, "Only Calls Are Transferred"));
        }
        let destination = self.referred_to(&uri, &talking.dialog)?;
        let mut headers = Vec::new();
        for (name, value) in &uri.headers {
            if name.eq_ignore_ascii_case("Replaces") {
                let replaces = Replaces::parse(value).ok_or_else(unreadable)?;
                headers.push(("Replaces", replaces.to_string()));
            } else if name.eq_ignore_ascii_case("Require") && value.trim().eq_ignore_ascii_case("replaces") {
                headers.push(("Require", "replaces".to_owned()));
            }
        }
        let referred_by = request.headers.first("Referred-By");
        if let Some(by) = referred_by.filter(|by| NameAddr::parse(by).is_some()) {
            headers.push(("Referred-By", clean(by, TARGET_LIMIT_BYTES)));
        }
        let written = refer_to.uri.split('?').next().unwrap_or_default();
        let written = written.replace(";method=INVITE", "");
        if written.len() > TARGET_LIMIT_BYTES {
            return Err(Refusal::because(400, "Refer-To Too Long"));
        }
        Ok((Target { uri: written, destination, headers }, uri))
    }

    /// Where a target is, when it may be called: at the PBX, by address or by one of its names, or at an address that is
    /// listened to.
    fn referred_to(&self, uri: &Uri, dialog: &Dialog) -> Result<Hop, Refusal> {
        let Some(ip) = uri.ip() else {
            let host = uri.host.trim_end_matches('.');
            let names = self.config.peer_names.iter().chain(&self.config.domain).map(String::as_str);
            let of_dialog = dialog.remote_uri().map(|remote| remote.host);
            let known = names.chain(of_dialog.as_deref()).any(|name| name.eq_ignore_ascii_case(host));
            return if known { Ok(self.hop(self.peers.current())) } else { Err(elsewhere()) };
        };
        let transport = dialog.transport(uri).ok_or_else(elsewhere)?;
        let peers = [self.config.peer].into_iter().chain(self.config.more_peers.iter().copied());
        let pbx = peers.into_iter().find(|peer| peer.ip().to_canonical() == ip.to_canonical());
        let usual = pbx.filter(|_| transport == self.config.transport).map(|peer| peer.port());
        let address = SocketAddr::new(ip, uri.port.or(usual).unwrap_or(transport.default_port()));
        if [self.config.local, self.config.announced].contains(&address) {
            return Err(Refusal::because(403, "No Transfer To Telegram"));
        }
        // Where every address is listened to, no more of them are called.
        let listed = pbx.is_some() || self.config.allowed.iter().any(|known| known.to_canonical() == ip);
        if listed && address.port() != 0 { Ok(Hop::to(transport, address)) } else { Err(elsewhere()) }
    }

    /// Places the call that a REFER in `call` asked for. Its events are those of any call that we place, under the id
    /// that is given; `invite.to_user` does not matter. `None` when no transfer is wanted there any more.
    ///
    /// When it is answered, the PBX ends the old call ([`Event::HungUp`]); when it is not, that one goes on.
    pub fn transfer(&mut self, now: Instant, call: CallId, invite: &Invite) -> Option<CallId> {
        let referral = self.referral(call).filter(|referral| referral.stage == Stage::Wanted)?;
        referral.stage = Stage::Placed;
        let target = referral.target.clone();
        let new = self.next_call_id();
        self.referred.insert(new, call);
        let way = Way::at(target.destination.address);
        self.place(now, new, invite, target, way);
        Some(new)
    }

    /// Tells the PBX that the call it asked for cannot be placed. The old one goes on.
    pub fn refuse_transfer(&mut self, now: Instant, call: CallId, status: u16) {
        if self.referral(call).is_some_and(|referral| referral.stage == Stage::Wanted) {
            self.notify(now, call, status, crate::message::phrase(status));
        }
    }

    /// A call that a REFER asked for got a provisional answer.
    pub(crate) fn referred_rings(&mut self, now: Instant, new: CallId, response: &Response) {
        if let Some(&old) = self.referred.get(&new) {
            self.notify(now, old, response.status, &response.phrase);
        }
    }

    /// A call that a REFER asked for is answered, or did not come about.
    pub(crate) fn referred_over(&mut self, now: Instant, new: CallId, status: u16, phrase: &str) {
        if let Some(old) = self.referred.remove(&new) {
            self.notify(now, old, status, phrase);
        }
    }

    /// Notes how a transfer goes and tells the PBX.
    fn notify(&mut self, now: Instant, old: CallId, status: u16, phrase: &str) {
        let Some(referral) = self.referral(old) else { return };
        referral.tell(status, phrase);
        referral.stage = match status {
            ..200 => referral.stage,
            200..300 => Stage::Done { until: now + FAREWELL },
            _ => Stage::Failed,
        };
        self.next_notify(now, old);
        if let Some(call) = self.calls.remove(&old) {
            self.keep(old, call);
        }
    }

    /// Sends the next NOTIFY of a call, if one is owed and none is on its way.
    pub(crate) fn next_notify(&mut self, now: Instant, id: CallId) {
        let Some(Call { state: State::Talking(talking), .. }) = self.calls.get_mut(&id) else { return };
        let Talking { dialog, referral, .. } = talking;
        if let Some(referral) = referral {
            // Whoever lets it run out waits for nothing more.
            referral.subscription.take_if(|known| now >= known.expires_at && !known.ends && !known.sent);
        }
        if referral.as_ref().is_some_and(|known| known.is_over()) {
            *referral = None;
        }
        let subscription = referral.as_mut().and_then(|referral| referral.subscription.as_mut());
        let Some(subscription) = subscription.filter(|known| !known.sent) else { return };
        let Some((status, phrase)) = subscription.next.take() else { return };
        subscription.sent = true;
        let mut request = dialog.request(Method::Notify);
        let hop = dialog.next_hop(&self.filter);
        let number = subscription.number.filter(|_| subscription.is_numbered);
        let event = number.map_or("refer".to_owned(), |number| format!("refer;id={number}"));
        let left_s = subscription.expires_at.saturating_duration_since(now).as_secs();
        let state = match status {
            ..200 if subscription.ends => "terminated;reason=timeout".to_owned(),
            ..200 => format!("active;expires={left_s}"),
            _ => "terminated;reason=noresource".to_owned(),
        };
        let branch = self.tokens.branch();
        self.push_via(&mut request, &branch);
        let sips = request.is_sips();
        self.push_contact(&mut request.headers, sips);
        request.headers.push("Event", event);
        request.headers.push("Subscription-State", state);
        let fragment = format!("SIP/2.0 {status} {phrase}\r\n");
        let request = request.with_body("message/sipfrag;version=2.0", fragment.as_bytes());
        self.request(now, &branch, request, hop, Owner::Notify(id));
    }

    /// Our NOTIFY has its final answer, or none in 32 seconds.
    pub(crate) fn notify_answered(&mut self, now: Instant, id: CallId, status: u16) {
        let Some(referral) = self.referral(id) else { return };
        match &mut referral.subscription {
            Some(subscription) if status < 300 => subscription.sent = false,
            // Who does not take one takes none (RFC 6665 section 4.2.2).
            Some(_) => referral.subscription = None,
            None => {}
        }
        self.next_notify(now, id);
    }

    /// Ends a call whose transfer came about long ago. Gives it back where that is not so.
    pub(crate) fn leave_transferred(
        &mut self,
        now: Instant,
        id: CallId,
        talking: Talking,
        audio: Audio,
    ) -> Option<(Talking, Audio)> {
        let due = talking.referral.as_ref().and_then(|referral| referral.deadline());
        if due.is_none_or(|at| now < at) || talking.hung_up.is_some() {
            return Some((talking, audio));
        }
        let reason = Reason::q850(16, "Normal call clearing");
        self.leave(now, id, talking.dialog, audio, Some(&reason));
        self.tell(Event::HungUp { call: id, reason: Some(reason) });
        None
    }

    fn referral(&mut self, id: CallId) -> Option<&mut Referral> {
        match &mut self.calls.get_mut(&id)?.state {
            State::Talking(talking) => talking.referral.as_deref_mut(),
            State::Inviting(_) | State::Invited(_) | State::Leaving(_) => None,
        }
    }
}

/// The refusal of a target that is not at the PBX.
fn elsewhere() -> Refusal {
    Refusal::because(403, "Transfer Target Not At This PBX")
}
