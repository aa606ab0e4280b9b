//! Who gets in: the line's rules asked about each call, and calls from Telegram that wait for the account's owner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Local, Utc};
use chrono_tz::Tz;
use tgtrunk_bridge::policy::{AccessList, Answer, Policy, Rewrites, Rule, Subject, Verdict};
use tgtrunk_bridge::{Cause, dial};
use tgtrunk_config::control::CallResult;
use tgtrunk_config::{CallId, Line as LineSettings};
use tgtrunk_telegram::{Account, Person, Resolved};

use super::callee::{Callee, full_name, subject};
use super::calls::Direction;
use super::refused::{Lost, Whose};
use super::{Line, Mode};
use crate::call::{Opening, TrunkLeg};
use crate::telegram::{self, CallRef, Discard};
use crate::{clock, rules};

/// Telegram is told that a call rings here when it has waited so long: of a call that no device rang for, it makes a missed
/// one after 20 s.
const TELL_AFTER: Duration = Duration::from_secs(10);
/// Most calls that wait for the owner at once.
const WAITING: usize = 1_000;

/// The rules of a line at work.
pub(crate) struct Admission {
    policy: Policy,
    /// Who may be called, for calls that learn late who that is.
    callees: Arc<AccessList>,
    rewrites: Rewrites,
    /// Whose clock; the machine's without one.
    zone: Option<Tz>,
    /// The account's contacts are to be asked for.
    wants_contacts: bool,
    waiting: Vec<Waiting>,
}

/// A call that the owner may answer first.
struct Waiting {
    until: Instant,
    tell_at: Option<Instant>,
    offer: Offer,
}

/// A call of a person, and where at the PBX it goes if not to the line's own user part.
pub(super) struct Offer {
    pub(super) call: CallRef,
    pub(super) caller: Resolved,
    pub(super) g_a_hash: Vec<u8>,
    pub(super) diverted: Option<(Rule, String)>,
}

/// What is due of calls that wait.
enum Due {
    Tell(CallRef),
    Take(Offer),
}

impl Admission {
    pub(crate) fn new(line: &LineSettings) -> Self {
        let policy = rules::policy(line);
        Self {
            callees: Arc::new(policy.callees.clone()),
            policy,
            rewrites: rules::rewrites(line),
            zone: line.hours.time_zone,
            wants_contacts: rules::asks_for_contacts(line),
            waiting: Vec::new(),
        }
    }

    /// What was dialled, as the line's rules write it.
    pub(crate) fn written(&self, dialled: &str) -> String {
        let plain = dial::plain(dialled);
        self.rewrites.apply(&plain).unwrap_or(plain)
    }

    /// Whether a rule asks who the account's contacts are.
    pub(crate) fn wants_contacts(&self) -> bool {
        self.wants_contacts
    }

    fn take(&mut self, now: Instant, now_ms: u64, caller: &Subject<'_>) -> Verdict {
        let utc = utc(now_ms);
        match self.zone {
            None => self.policy.take(now, &utc.with_timezone(&Local), caller),
            Some(zone) => self.policy.take(now, &utc.with_timezone(&zone), caller),
        }
    }

    /// Whether a person may be called now, as far as it is known who that is; such a call counts.
    ///
    /// # Errors
    /// The cause that the PBX is told.
    pub(super) fn place(
        &mut self,
        now: Instant,
        now_ms: u64,
        dialled: Option<&str>,
        person: Person,
        account: &Account,
    ) -> Result<Callee, Cause> {
        let known = account.remembered(&person);
        let name = known.as_ref().map(full_name).unwrap_or_default();
        let plain = dialled.map(dial::plain);
        let is_contact = self.wants_contacts && account.is_contact(&person);
        let callee = Subject { is_contact, ..subject(&person, known.as_ref(), &name, plain.as_deref()) };
        let utc = utc(now_ms);
        match self.zone {
            None => self.policy.place(now, &utc.with_timezone(&Local), &callee)?,
            Some(zone) => self.policy.place(now, &utc.with_timezone(&zone), &callee)?,
        }
        Ok(Callee::new(person, plain, Arc::clone(&self.callees)))
    }

    /// Why a person of whom no more is known could not be called at this time.
    pub(crate) fn refusal(&self, now_ms: u64, dialled: &str, person: &Person) -> Option<Cause> {
        let plain = dial::plain(dialled);
        let (callee, utc) = (subject(person, None, "", Some(&plain)), utc(now_ms));
        match self.zone {
            None => self.policy.refusal(&utc.with_timezone(&Local), &callee),
            Some(zone) => self.policy.refusal(&utc.with_timezone(&zone), &callee),
        }
    }

    /// Whether a call waits for the owner.
    pub(super) fn waits(&self, id: i64) -> bool {
        self.waiting.iter().any(|waiting| waiting.offer.call.id == id)
    }

    /// Takes out a call that waits.
    fn forget(&mut self, id: i64) -> Option<Offer> {
        let at = self.waiting.iter().position(|waiting| waiting.offer.call.id == id)?;
        Some(self.waiting.remove(at).offer)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.waiting.iter().flat_map(|waiting| [Some(waiting.until), waiting.tell_at]).flatten().min()
    }

    fn poll_due(&mut self, now: Instant) -> Option<Due> {
        if let Some(at) = self.waiting.iter().position(|waiting| waiting.until <= now) {
            return Some(Due::Take(self.waiting.remove(at).offer));
        }
        let told = self
            .waiting
            .iter_mut()
            .find_map(|waiting| waiting.tell_at.take_if(|at| *at <= now).map(|_| waiting.offer.call));
        told.map(Due::Tell)
    }
}

impl Line {
    /// A person calls: the line's rules say what becomes of that.
    pub(super) fn telegram_calls(
        &mut self,
        now: Instant,
        call: CallRef,
        caller: Resolved,
        g_a_hash: Vec<u8>,
    ) {
        if self.mode != Mode::Trunk {
            return self.take_offer(now, Offer { call, caller, g_a_hash, diverted: None });
        }
        let name = full_name(&caller);
        let who = Subject {
            phone: caller.phone.as_deref(),
            username: caller.username.as_deref(),
            id: Some(caller.id),
            name: (!name.is_empty()).then_some(name.as_str()),
            dialled: None,
            is_contact: self.account.is_contact(&Person::Id(caller.id)),
        };
        match self.admission.take(now, clock::unix_ms(), &who) {
            Verdict::Leave => tracing::info!("a call is left to the owner of the account"),
            Verdict::Refuse { rule, answer } => self.refuse(now, call, caller, rule, &answer),
            Verdict::Take { wait: None, diverted } => {
                self.take_offer(now, Offer { call, caller, g_a_hash, diverted });
            }
            Verdict::Take { wait: Some(wait), diverted } => {
                if self.admission.waiting.len() >= WAITING {
                    return self.telegram_lost(now, (call, caller), Cause::Overloaded, CallResult::Missed);
                }
                tracing::info!(wait_s = wait.as_secs(), "a call waits for the owner of the account");
                let tell_at = (wait > TELL_AFTER).then_some(now + TELL_AFTER);
                let offer = Offer { call, caller, g_a_hash, diverted };
                self.admission.waiting.push(Waiting { until: now + wait, tell_at, offer });
            }
        }
    }

    /// The PBX gets a call of a person, if the line has room.
    fn take_offer(&mut self, now: Instant, offer: Offer) {
        let Offer { call, caller, g_a_hash, diverted } = offer;
        if !self.has_room() {
            self.discard(call, Discard::Busy, Duration::ZERO);
            return self.telegram_lost(now, (call, caller), self.no_room(), CallResult::Busy);
        }
        let key = self.calls.reserve(Direction::FromTelegram, None, self.house.rush.place());
        self.calls.bind_telegram(now, key, call);
        self.calls.meet(key, &caller);
        let trunk = match &self.trunk {
            Some(trunk) => TrunkLeg::to_pbx(trunk.audio(trunk.endpoint.peer().ip())),
            None => TrunkLeg::Echo,
        };
        let mut invite = Box::new(self.invite(key, &caller));
        if let Some((rule, user)) = diverted {
            tracing::info!(call = %CallId(key), ?rule, "a caller reaches another extension");
            self.calls.met_rule(key, rule);
            invite.to_user = user;
        }
        self.begin(key, Opening::FromTelegram { call, g_a_hash, caller, trunk, invite });
    }

    /// Whether one more call from Telegram may come in.
    fn has_room(&self) -> bool {
        let full = self.calls.is_full(Direction::FromTelegram, &self.settings.calls);
        !full && !self.house.rush.is_full() && self.stopping.is_none() && self.mode != Mode::Nobody
    }

    /// Why the line has no room.
    fn no_room(&self) -> Cause {
        match (self.stopping, self.house.rush.overload()) {
            (Some(_), _) => Cause::Stopping,
            (None, Some(why)) => {
                self.house.rush.refuse(why);
                Cause::Overloaded
            }
            (None, None) => Cause::LineFull,
        }
    }

    /// A caller does not reach the PBX; whoever listens is told.
    fn refuse(&mut self, now: Instant, call: CallRef, caller: Resolved, rule: Rule, answer: &Answer) {
        tracing::info!(?rule, ?answer, "a caller was refused");
        let (told, result) = match answer {
            Answer::Busy | Answer::Extension(_) => (Some(Discard::Busy), CallResult::Busy),
            Answer::Decline => (Some(Discard::Hangup), CallResult::Busy),
            Answer::Ignore => (None, CallResult::Missed),
        };
        if let Some(told) = told {
            self.discard(call, told, Duration::ZERO);
        }
        let who = Whose::Telegram { call, caller: Box::new(caller) };
        self.lost(now, Lost { who, cause: rule.cause(), result, rule: Some(rule) });
    }

    /// A call that waits is over, or the owner of the account has it.
    pub(super) fn waits_no_more(&mut self, now: Instant, id: i64, reason: Option<Discard>) {
        let Some(Offer { call, caller, .. }) = self.admission.forget(id) else { return };
        // Who ends a call says why; the server tells the devices that did not take it without a reason.
        let (cause, result) = match reason {
            Some(Discard::Unknown) => (Cause::AnsweredElsewhere, CallResult::Elsewhere),
            Some(Discard::Busy) => (Cause::Declined, CallResult::Busy),
            Some(_) | None => (Cause::GivenUp, CallResult::Missed),
        };
        self.telegram_lost(now, (call, caller), cause, result);
    }

    /// No call that waits for the owner of the account comes to the PBX any more: they stay theirs.
    pub(super) fn none_waits(&mut self, now: Instant, cause: Cause) {
        for Waiting { offer, .. } in std::mem::take(&mut self.admission.waiting) {
            self.telegram_lost(now, (offer.call, offer.caller), cause, CallResult::Missed);
        }
    }

    /// Takes what the owner has not answered in time.
    pub(super) fn take_waiting(&mut self, now: Instant) {
        while let Some(due) = self.admission.poll_due(now) {
            match due {
                // Busy would end it on the owner's devices, too.
                Due::Take(Offer { call, caller, .. }) if !self.has_room() => {
                    tracing::info!("a call stays with the owner of the account: the line has no room");
                    self.telegram_lost(now, (call, caller), self.no_room(), CallResult::Missed);
                }
                Due::Take(offer) => self.take_offer(now, offer),
                Due::Tell(call) => {
                    let account = self.account.clone();
                    tokio::spawn(async move { telegram::received_call(&account, call).await.ok() });
                }
            }
        }
    }

    /// Learns who the account's contacts are, where a rule asks for that.
    pub(super) fn meet_contacts(&self) {
        if self.admission.wants_contacts {
            let (account, strangers) = (self.account.clone(), self.shared.strangers.clone());
            tokio::spawn(async move { strangers.meet_contacts(&account).await });
        }
    }
}

fn utc(unix_ms: u64) -> DateTime<Utc> {
    i64::try_from(unix_ms).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default()
}
