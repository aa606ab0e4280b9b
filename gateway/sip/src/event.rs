//! What a line tells the one who holds it.

use std::net::{IpAddr, SocketAddr};

use crate::audio::RemoteAudio;
use crate::call::TurnedAway;
use crate::endpoint::CallId;
use crate::header::{Identity, Reason};
use crate::register::Registration;

/// Something happened.
///
/// A call that we place ends with one [`Event::Refused`] or one [`Event::HungUp`]; one that comes in with one
/// [`Event::Cancelled`] or one [`Event::HungUp`]. After [`crate::Endpoint::reject`], and after
/// [`crate::Endpoint::hang_up`] of an answered or incoming call, none follows.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The PBX calls. It got 100 and waits.
    Incoming {
        /// The new call.
        call: CallId,
        /// Where it came from.
        source: IpAddr,
        /// User part of the Request-URI without escapes: `+7906...`, `tg#durov`, `id#5`.
        dialled: String,
        /// User part of From without escapes; may be empty.
        from_user: String,
        /// Display name of From; may be empty.
        from_display: String,
        /// Who calls by the PBX's word, and who sent the call on.
        identity: Identity,
        /// What its offer can come to with the line's codecs; `None` without an offer.
        remote: Option<RemoteAudio>,
        /// Call-ID, for the logs of both sides.
        sip_call_id: String,
        /// Its headers that begin with `X-`.
        headers: Vec<(String, String)>,
    },
    /// The PBX called and was refused before anybody was asked. It may be told again of a copy of the same request.
    TurnedAway {
        /// As with [`Event::Incoming`]; may be empty.
        dialled: String,
        /// Who called by the PBX's word.
        identity: Identity,
        /// Call-ID, for the logs of both sides.
        sip_call_id: String,
        /// Why.
        why: TurnedAway,
    },
    /// The PBX calls so that this call takes the place of one that it has with us (RFC 3891). It got 100 and waits;
    /// [`crate::Endpoint::answer`] ends the other one.
    Replaces {
        /// The new call.
        call: CallId,
        /// The one whose place it takes.
        replaces: CallId,
        /// Who takes it, by the PBX's word.
        identity: Identity,
        /// What its offer can come to with the line's codecs; `None` without an offer.
        remote: Option<RemoteAudio>,
        /// Call-ID, for the logs of both sides.
        sip_call_id: String,
    },
    /// Such a call was answered, and the other one is over; nothing more is told of that.
    Replaced {
        /// The new call.
        call: CallId,
        /// The one that is over.
        replaced: CallId,
        /// The PBX's end of the audio; `None` where the ACK brings it ([`Event::MediaChanged`]).
        remote: Option<RemoteAudio>,
    },
    /// The PBX asks us to call somebody in the place of this call (RFC 3515), and was told that we do:
    /// [`crate::Endpoint::transfer`] or [`crate::Endpoint::refuse_transfer`] follows.
    Refer {
        /// The call that asked.
        call: CallId,
        /// User part of whom to call, without escapes; may be empty.
        to_user: String,
        /// Whether the new call takes the place of one that somebody at the PBX has there.
        attended: bool,
        /// Who transfers, by the PBX's word (RFC 3892).
        referred_by: Option<String>,
    },
    /// Our call rings (180).
    Ringing {
        /// Which call.
        call: CallId,
    },
    /// Our call has audio before it is answered.
    EarlyMedia {
        /// Which call.
        call: CallId,
        /// Their end of the audio.
        remote: RemoteAudio,
    },
    /// Our call is answered.
    Answered {
        /// Which call.
        call: CallId,
        /// Their end of the audio.
        remote: RemoteAudio,
    },
    /// Our call failed: refused, not answered in time (408), or withdrawn (487).
    Refused {
        /// Which call.
        call: CallId,
        /// 300 to 699.
        status: u16,
        /// The words beside it.
        phrase: String,
        /// Reason header, Q.850 before SIP.
        reason: Option<Reason>,
        /// Retry-After header, seconds.
        retry_after_s: Option<u32>,
    },
    /// An answered call is over: BYE, or the PBX fell silent.
    HungUp {
        /// Which call.
        call: CallId,
        /// Reason header, or ours.
        reason: Option<Reason>,
    },
    /// The PBX withdrew its call before we answered.
    Cancelled {
        /// Which call.
        call: CallId,
        /// Reason header; Q.850 cause 26 and SIP cause 200 mean that somebody else answered.
        reason: Option<Reason>,
    },
    /// The PBX changed the session, hold included.
    MediaChanged {
        /// Which call.
        call: CallId,
        /// Their end of the audio.
        remote: RemoteAudio,
    },
    /// The PBX said something beside the session: keys, for a phone that presses them in INFO.
    Info {
        /// Which call.
        call: CallId,
        /// `application/dtmf-relay` or `application/dtmf`, in small letters and without parameters.
        content_type: String,
        /// What it said, as it came.
        body: Vec<u8>,
    },
    /// An INFO of ours was not taken. The next ones are sent all the same.
    InfoRefused {
        /// Which call.
        call: CallId,
        /// 300 to 699; 408 without an answer.
        status: u16,
    },
    /// Whether the PBX answers our OPTIONS at any of its addresses. Told when it changes, and once in the beginning.
    PeerReachable(bool),
    /// Whether the PBX answers our OPTIONS at one of several addresses. Told before [`Event::PeerReachable`].
    AddressReachable {
        /// Which.
        address: SocketAddr,
        /// Whether it does.
        reachable: bool,
    },
    /// Our registration stands otherwise than it was told before.
    Registration(Registration),
    /// Somebody sent requests with a wrong user or password. Told once a minute at most.
    Guessed {
        /// The last one.
        source: SocketAddr,
        /// Such requests since the last such event.
        guesses: u32,
    },
    /// An address that had sent a wrong user or password sent the right ones.
    Proven {
        /// Which.
        source: SocketAddr,
    },
    /// The PBX does not believe us. Told once, until [`Event::ProofTaken`].
    ProofRefused {
        /// What it guards, as it calls it; may be empty.
        realm: String,
        /// Whether we have credentials, which it did not take.
        known: bool,
    },
    /// The PBX believes us again.
    ProofTaken,
    /// Somebody who is not the PBX spoke to the line and got no answer. Told once a minute at most.
    Stranger {
        /// The last one.
        source: SocketAddr,
        /// Datagrams since the last such event.
        datagrams: u64,
    },
}
