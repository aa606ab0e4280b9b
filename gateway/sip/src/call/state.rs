//! What one call remembers, state by state.

use std::time::Instant;

use super::again::Asked;
use super::failover::Way;
use super::provisional::Unpracked;
use super::refer::Referral;
use super::session_timer::{Refresh, SessionTimer};
use crate::audio::{LocalAudio, RemoteAudio};
use crate::dialog::{Dialog, DialogId};
use crate::endpoint::CallId;
use crate::header::Reason;
use crate::hop::Hop;
use crate::message::Request;
use crate::offer_answer::Audio;
use crate::transaction::{Key, Repeat};

/// One call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) state: State,
    pub(crate) audio: Audio,
}

#[derive(Debug)]
pub(crate) enum State {
    /// Our INVITE has no final answer yet.
    Inviting(Inviting),
    /// Their INVITE has no final answer yet.
    Invited(Invited),
    /// A 2xx was given or taken.
    Talking(Talking),
    /// Our BYE is on its way; the dialog is kept for what crosses it (RFC 5407 section 2).
    Leaving(DialogId),
}

#[derive(Debug)]
pub(crate) struct Inviting {
    pub(crate) invite: Key,
    pub(crate) way: Way,
    pub(crate) ring_until: Instant,
    pub(crate) giving_up: GivingUp,
    /// One dialog per branch that gave a provisional answer with a tag.
    pub(crate) early: Vec<Early>,
    /// What it was told so far.
    pub(crate) asked: Asked,
    /// Whether 180 was reported.
    pub(crate) rung: bool,
    /// Whether the end was reported.
    pub(crate) reported: bool,
    /// Whether a line before this one sent it, and it is only to end.
    pub(crate) is_adopted: bool,
}

/// A branch of our INVITE that rings.
#[derive(Debug)]
pub(crate) struct Early {
    pub(crate) dialog: Dialog,
    /// Its answer to our offer, if it gave one already.
    pub(crate) remote: Option<RemoteAudio>,
    /// Its last reliable provisional answer (RFC 3262 section 4).
    pub(crate) rseq: Option<u32>,
}

/// Whether and how far our INVITE is being withdrawn.
#[derive(Debug)]
pub(crate) enum GivingUp {
    /// It is not.
    No,
    /// CANCEL waits for a provisional answer (RFC 3261 section 9.1).
    Wanted(Option<Reason>),
    /// CANCEL was sent; without a final answer the call is over then.
    Cancelled {
        /// 64 times T1 after the CANCEL.
        until: Instant,
    },
}

#[derive(Debug)]
pub(crate) struct Invited {
    pub(crate) key: Key,
    pub(crate) invite: Request,
    pub(crate) source: Hop,
    pub(crate) dialog: Dialog,
    /// The call whose place it is to take.
    pub(crate) replaces: Option<CallId>,
    /// Our provisional answer that waits for its PRACK.
    pub(crate) unpracked: Option<Unpracked>,
    /// Whether the caller has our answer to its offer for sure, so that it may make another one (RFC 3262 section 5).
    pub(crate) agreed: bool,
    /// Our answer, while it waits for that.
    pub(crate) answering: Option<(LocalAudio, Vec<(String, String)>)>,
}

#[derive(Debug)]
pub(crate) struct Talking {
    pub(crate) dialog: Dialog,
    /// Our 2xx that waits for its ACK.
    pub(crate) unacked: Option<Unacked>,
    /// We have hung up, and the BYE waits for the ACK of the call's first 2xx (RFC 3261 section 15).
    pub(crate) hung_up: Option<Option<Reason>>,
    /// The session's timer, where both sides agreed on one.
    pub(crate) timer: Option<SessionTimer>,
    /// Whether no PRACK of an answer that came before the 2xx is expected any more.
    pub(crate) pracked: bool,
    /// Our refresh of the session.
    pub(crate) refresh: Refresh,
    /// The transfer that the PBX asked for last.
    pub(crate) referral: Option<Box<Referral>>,
    /// Whether it ever asked for one.
    pub(crate) referred: bool,
}

/// A 2xx of ours, repeated until its ACK (RFC 3261 section 13.3.1.4).
#[derive(Debug)]
pub(crate) struct Unacked {
    pub(crate) cseq: u32,
    pub(crate) answer_to: Hop,
    pub(crate) bytes: Vec<u8>,
    pub(crate) repeat: Repeat,
    /// Whether it carries our offer, so that the ACK carries the answer.
    pub(crate) offers: bool,
    /// Whether it answers the call's first INVITE.
    pub(crate) first: bool,
}

impl Call {
    /// When the call itself has something to do; its transactions keep their own time.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Inviting(inviting) => match inviting.giving_up {
                GivingUp::No => {
                    let patience_ends = inviting.way.patience_ends;
                    Some(patience_ends.map_or(inviting.ring_until, |end| end.min(inviting.ring_until)))
                }
                GivingUp::Wanted(_) => None,
                GivingUp::Cancelled { until } => Some(until),
            },
            State::Talking(talking) => {
                let repeat = talking.unacked.as_ref().map(|unacked| unacked.repeat.next());
                let referral = talking.referral.as_ref().and_then(|referral| referral.deadline());
                repeat.into_iter().chain(talking.timer_deadline()).chain(referral).min()
            }
            State::Invited(invited) => invited.unpracked.as_ref().map(Unpracked::deadline),
            State::Leaving(_) => None,
        }
    }

    /// Whether it takes one of the line's places.
    pub(crate) fn is_live(&self) -> bool {
        match &self.state {
            State::Inviting(inviting) => !inviting.reported,
            State::Invited(_) => true,
            State::Talking(talking) => talking.hung_up.is_none(),
            State::Leaving(_) => false,
        }
    }

    /// The call whose place it is to take, by the PBX's own INVITE.
    pub(crate) fn replaces(&self) -> Option<CallId> {
        match &self.state {
            State::Invited(invited) => invited.replaces,
            State::Inviting(_) | State::Talking(_) | State::Leaving(_) => None,
        }
    }

    /// Whether another call has its place, which it asked for, and it waits for its end.
    pub(crate) fn has_moved(&self) -> bool {
        match &self.state {
            State::Talking(talking) => {
                talking.referral.as_ref().is_some_and(|referral| referral.deadline().is_some())
            }
            State::Inviting(_) | State::Invited(_) | State::Leaving(_) => false,
        }
    }

    /// The names of its dialogs.
    pub(crate) fn dialog_ids(&self) -> Vec<DialogId> {
        match &self.state {
            State::Inviting(inviting) => inviting.early.iter().map(|early| early.dialog.id.clone()).collect(),
            State::Invited(invited) => vec![invited.dialog.id.clone()],
            State::Talking(talking) => vec![talking.dialog.id.clone()],
            State::Leaving(id) => vec![id.clone()],
        }
    }

    /// One of its dialogs.
    pub(crate) fn dialog_mut(&mut self, id: &DialogId) -> Option<&mut Dialog> {
        match &mut self.state {
            State::Inviting(inviting) => {
                inviting.early.iter_mut().map(|early| &mut early.dialog).find(|dialog| dialog.id == *id)
            }
            State::Invited(invited) => Some(&mut invited.dialog),
            State::Talking(talking) => Some(&mut talking.dialog),
            State::Leaving(_) => None,
        }
    }
}
