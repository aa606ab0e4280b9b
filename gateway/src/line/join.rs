//! Calls that the gateway places to both sides: an extension of the PBX first, then a person.

use std::time::Instant;

use tgtrunk_bridge::Cause;
use tgtrunk_config::control::{Refusal, RefusalCode};
use tgtrunk_config::{CallId, Said, Trouble, UserId};
use tgtrunk_telegram::{Person, Stranger};
use tokio::sync::oneshot;

use super::Line;
use super::calls::Direction;
use crate::call::{self, Opening, TrunkLeg};
use crate::clock;

/// Tells the dial plan that the person asked to be called, and does not call.
const CALL_BACK: (&str, &str) = ("X-TG-Call-Back", "1");

impl Line {
    /// Begins a call between an extension and a person, unless it was begun under this key already: then that is the
    /// answer, however the call went. It counts as one that the PBX placed.
    ///
    /// # Errors
    /// The refusal, where the call could not come about now or the account does not know the person; nobody was called.
    pub(super) fn join_once(
        &mut self,
        now: Instant,
        extension: String,
        person: UserId,
        key: Option<String>,
    ) -> Result<CallId, Refusal> {
        let Some(key) = key else { return self.join(now, extension, person) };
        if let Some(call) = self.house.placed.find(now, &self.settings.phone, &key) {
            tracing::info!(%call, "a call to both sides was ordered again");
            return Ok(call);
        }
        let call = self.join(now, extension, person)?;
        self.house.placed.note(now, &self.settings.phone, key, call);
        Ok(call)
    }

    /// Tells who has a number or a name; Telegram is asked where the account does not remember it.
    ///
    /// The refusal, where nobody is found by it or the line may look nobody up now. Nobody is looked up who could not be
    /// called: strangers are few a day.
    pub(super) fn find(&self, person: Person, answer: oneshot::Sender<Result<UserId, Refusal>>) {
        let outside = || match self.admission.refusal(clock::unix_ms(), "", &person) {
            Some(cause @ (Cause::QuietHours { .. } | Cause::OutsideHours)) => Some(forbidden(cause)),
            _ => None,
        };
        if let Some(refusal) = self.closed(clock::now()).or_else(outside) {
            return drop(answer.send(Err(refusal)));
        }
        let (shared, limit) = (self.shared.clone(), self.settings.strangers_per_day);
        tokio::spawn(async move {
            let found = call::find(&shared, person.clone()).await;
            let found = found.map_err(|cause| unfound(&person, cause, limit));
            answer
                .send(found.and_then(|found| {
                    UserId::new(found.id)
                        .map_err(|error| Refusal { code: RefusalCode::Internal, message: error.to_string() })
                }))
                .ok();
        });
    }

    /// Why nobody can be called to both sides now, whoever it is.
    fn closed(&self, now: Instant) -> Option<Refusal> {
        let refusal = |code, message: String| Some(Refusal { code, message });
        if self.stopping.is_some() {
            return refusal(RefusalCode::Stopping, "the line is stopping".to_owned());
        }
        if let Some(problem) = self.lamps.account_problem() {
            return Some(problem);
        }
        if let Some(cause) = self.shared.pause.cause(now) {
            return refusal(RefusalCode::Telegram, pause_sentence(cause));
        }
        if self.calls.is_full(Direction::ToTelegram, &self.settings.calls) {
            return refusal(RefusalCode::Limit, "the line has as many calls as it may have".to_owned());
        }
        if let Some(cause) = self.minutes_used() {
            return Some(forbidden(cause));
        }
        if let Some(why) = self.house.rush.overload() {
            self.house.rush.refuse(why);
            return refusal(RefusalCode::Limit, Said::from(&Trouble::Overloaded(why)).en);
        }
        None
    }

    fn join(&mut self, now: Instant, extension: String, person: UserId) -> Result<CallId, Refusal> {
        let refuse = |code, message: String| Err(Refusal { code, message });
        if let Some(refusal) = self.closed(now) {
            return Err(refusal);
        }
        let Some(peer) = self.account.known(person.number()) else {
            return refuse(
                RefusalCode::BadRequest,
                format!("the line's account does not know person {person}"),
            );
        };
        if let Some(Stranger::Known(who) | Stranger::Unknown(who)) =
            self.account.stranger(&Person::Id(peer.id))
            && self.shared.strangers.refusal(&who).is_some()
        {
            return refuse(RefusalCode::Strangers, strangers_sentence(self.settings.strangers_per_day));
        }
        let dialled = Person::Id(peer.id);
        let callee = match self.admission.place(now, clock::unix_ms(), None, dialled, &self.account) {
            Ok(callee) => callee,
            Err(cause) => return Err(forbidden(cause)),
        };
        let Some(trunk) =
            self.trunk.as_ref().map(|trunk| TrunkLeg::to_pbx(trunk.audio(trunk.endpoint.peer().ip())))
        else {
            return refuse(RefusalCode::Internal, "the line has no PBX in this mode".to_owned());
        };
        let key = self.calls.reserve(Direction::ToTelegram, None, self.house.rush.place());
        let mut invite = Box::new(self.invite(key, &peer));
        let (name, value) = CALL_BACK;
        invite.headers.push((name.to_owned(), value.to_owned()));
        invite.to_user.clone_from(&extension);
        self.calls.meet(key, &peer);
        self.calls.fetch(key, extension);
        tracing::info!(call = %CallId(key), "a call to both sides was ordered");
        self.begin(key, Opening::ToBoth { callee, peer, trunk, invite });
        Ok(CallId(key))
    }
}

/// The line's rules forbid a call: at this time, or for good.
fn forbidden(cause: Cause) -> Refusal {
    let code = match cause {
        Cause::TooOften { .. }
        | Cause::TooManyInHour { .. }
        | Cause::MinutesUsed { .. }
        | Cause::QuietHours { .. }
        | Cause::OutsideHours => RefusalCode::Limit,
        _ => RefusalCode::Forbidden,
    };
    Refusal { code, message: format!("the line's rules forbid this call: {}", cause.words()) }
}

fn unfound(person: &Person, cause: Cause, limit: u32) -> Refusal {
    let shown = match person {
        Person::Phone(phone) => format!("the number {phone}"),
        Person::Username(name) => format!("the name @{name}"),
        Person::Id(id) => format!("the id {id}"),
    };
    let (code, message) = match cause {
        Cause::NotFound | Cause::Deactivated | Cause::BadNumber | Cause::Privacy => {
            (RefusalCode::UnknownPerson, format!("nobody at Telegram is found by {shown}"))
        }
        Cause::Flood { .. } | Cause::PeerFlood => (RefusalCode::Telegram, pause_sentence(cause)),
        Cause::Strangers { .. } => (RefusalCode::Strangers, strangers_sentence(limit)),
        Cause::Disconnected => (RefusalCode::Unreachable, "Telegram could not be asked".to_owned()),
        Cause::LineDown => (RefusalCode::NotAuthorized, cause.words().to_owned()),
        other => (RefusalCode::Internal, other.words().to_owned()),
    };
    Refusal { code, message }
}

fn strangers_sentence(limit: u32) -> String {
    format!(
        "the line has called or looked up as many strangers today as it may: strangers_per_day = {limit} in line.toml; \
         it may again after midnight"
    )
}

fn pause_sentence(cause: Cause) -> String {
    match cause {
        Cause::Flood { wait_s } => format!("Telegram wants no calls for {wait_s} s"),
        _ => "Telegram took the line's calls to strangers for spam: none for a day".to_owned(),
    }
}
