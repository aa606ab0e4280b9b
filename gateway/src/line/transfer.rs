//! A call that the PBX sends on: to somebody whom the line calls for it (REFER), or by a call of the PBX that takes the
//! place of the one before (Replaces). Either way the call has two trunk legs for a while, and its task says which is heard.

use std::time::Instant;

use tgtrunk_bridge::Cause;
use tgtrunk_config::CallId;
use tgtrunk_config::control::{Event as ControlEvent, TransferInfo, TransferKind};
use tgtrunk_sip::{CallId as SipCall, Event, Identity, RemoteAudio};

use super::Line;
use crate::call::{self, Input, OtherLeg, TransferWord};
use crate::{clock, rules};

/// What the PBX is told of a transfer that cannot be made now.
const NOT_NOW: u16 = 480;
/// What a call of the PBX is told whose place in a call another one takes already.
const TAKEN: Cause = Cause::Busy;

impl Line {
    /// Takes what is about transfers and second legs; gives back what is not.
    pub(super) fn of_transfer(&mut self, now: Instant, event: Event) -> Option<Event> {
        let (sip, word) = match event {
            Event::Refer { call, to_user, attended, .. } => {
                self.referred(now, call, to_user, attended);
                return None;
            }
            Event::Replaces { call, replaces, identity, remote, .. } => {
                self.replaces(now, call, replaces, identity, remote);
                return None;
            }
            Event::Replaced { call, remote, .. } => {
                self.other_answered(call, remote);
                // The PBX has nothing more to say of the other one.
                self.calls.key(call).into_iter().for_each(|key| self.calls.drop_other(key));
                return None;
            }
            Event::Ringing { call } if self.calls.key_of_other(call).is_some() => (call, OtherLeg::Ringing),
            Event::EarlyMedia { call, remote } if self.calls.key_of_other(call).is_some() => {
                (call, OtherLeg::EarlyMedia(Box::new(remote)))
            }
            Event::Answered { call, remote } if self.calls.key_of_other(call).is_some() => {
                self.other_answered(call, Some(remote));
                return None;
            }
            Event::MediaChanged { call, remote } if self.calls.key_of_other(call).is_some() => {
                (call, OtherLeg::MediaChanged(Box::new(remote)))
            }
            Event::Refused { call, status, ref reason, .. } if self.calls.key_of_other(call).is_some() => {
                self.transferred(call, status);
                (call, OtherLeg::Ended(rules::cause_of_refusal(status, reason.as_ref())))
            }
            Event::HungUp { call, ref reason } | Event::Cancelled { call, ref reason }
                if self.calls.key_of_other(call).is_some() =>
            {
                self.transferred(call, 487);
                (call, OtherLeg::Ended(rules::cause_of_reason(reason.as_ref())))
            }
            event => return Some(event),
        };
        let key = self.calls.key_of_other(sip)?;
        if matches!(word, OtherLeg::Ended(_)) {
            self.calls.drop_other(key);
        }
        self.calls.tell(key, Input::Other(word));
        None
    }

    fn referred(&mut self, now: Instant, sip: SipCall, to: String, attended: bool) {
        let kind = if attended { TransferKind::Attended } else { TransferKind::Blind };
        let key = self.calls.key(sip).filter(|_| self.stopping.is_none());
        let Some(key) = key else { return self.refuse_transfer(now, sip) };
        tracing::info!(call = %CallId(key), attended, "the PBX transfers a call");
        self.calls.transfer_begins(key, TransferInfo { kind, to, at_ms: clock::unix_ms(), status: None });
        if !self.calls.tell(key, Input::Refer) {
            self.refuse_transfer(now, sip);
        }
    }

    fn replaces(
        &mut self,
        now: Instant,
        sip: SipCall,
        replaces: SipCall,
        identity: Identity,
        offer: Option<RemoteAudio>,
    ) {
        if self.stopping.is_some() {
            if let Some(trunk) = &mut self.trunk {
                trunk.endpoint.reject(now, sip, call::rejection(Cause::Stopping));
            }
            return;
        }
        let key = self.calls.key(replaces).filter(|key| self.calls.other(*key).is_none());
        if let Some(key) = key {
            tracing::info!(call = %CallId(key), "a call of the PBX takes the place of another one");
            let to = if identity.private { String::new() } else { identity.caller.user };
            let (kind, at_ms) = (TransferKind::Replaced, clock::unix_ms());
            self.calls.bind_other(key, sip);
            self.calls.transfer_begins(key, TransferInfo { kind, to, at_ms, status: None });
            if self.calls.tell(key, Input::Replaces(offer)) {
                return;
            }
        }
        if let Some(trunk) = &mut self.trunk {
            trunk.endpoint.reject(now, sip, call::rejection(TAKEN));
        }
    }

    /// The second leg is answered, and the call's first from now on.
    fn other_answered(&mut self, sip: SipCall, remote: Option<RemoteAudio>) {
        self.transferred(sip, 200);
        if let Some(key) = self.calls.swap(sip) {
            self.calls.fetched(sip);
            if let Some(remains) = self.trunk.as_ref().and_then(|trunk| trunk.endpoint.remains(sip)) {
                self.calls.name_sip(key, remains.sip_call_id());
            }
            // It is this leg that a kill would leave.
            self.note_taken(sip);
            self.calls.tell(key, Input::Other(OtherLeg::Answered(remote.map(Box::new))));
        }
    }

    /// Notes what became of a call's last transfer; the first word counts.
    fn transferred(&mut self, sip: SipCall, status: u16) {
        let Some(key) = self.calls.key_of_other(sip) else { return };
        if let Some(info) = self.calls.transfer_ends(key, status) {
            self.house.events.send(ControlEvent::Call(info)).ok();
        }
    }

    /// Says to the PBX what a call has to say about its second leg.
    pub(super) fn say_of_transfer(&mut self, now: Instant, key: u64, word: TransferWord) {
        let (first, other) = (self.calls.sip(key), self.calls.other(key));
        match word {
            TransferWord::Place(audio) => {
                let person = self.calls.person(key);
                let invite = person.map(|person| {
                    let mut invite = self.invite(key, &person);
                    invite.audio = audio;
                    invite
                });
                let Some(trunk) = &mut self.trunk else { return };
                let placed = first
                    .zip(invite)
                    .and_then(|(first, invite)| trunk.endpoint.transfer(now, first, &invite));
                match placed {
                    Some(new) => self.calls.bind_other(key, new),
                    None => {
                        self.calls.tell(key, Input::Other(OtherLeg::Ended(Cause::GivenUp)));
                    }
                }
            }
            TransferWord::Refuse => {
                if let Some(first) = first {
                    self.calls.transfer_ends(key, NOT_NOW);
                    self.refuse_transfer(now, first);
                }
            }
            TransferWord::TakeOver(audio) => {
                if let (Some(trunk), Some(other)) = (&mut self.trunk, other) {
                    trunk.endpoint.answer(now, other, audio, Vec::new());
                }
            }
            TransferWord::End(cause) => {
                if let (Some(trunk), Some(other)) = (&mut self.trunk, other) {
                    trunk.endpoint.hang_up(now, other, Some(call::reason(cause)));
                    self.calls.drop_other(key);
                }
            }
        }
    }

    fn refuse_transfer(&mut self, now: Instant, sip: SipCall) {
        if let Some(trunk) = &mut self.trunk {
            trunk.endpoint.refuse_transfer(now, sip, NOT_NOW);
        }
    }
}
