//! Calls of the PBX that are refused before anybody is asked: whoever holds the line is told of those that somebody at the
//! PBX may ask about.

use crate::edge::Refusal;
use crate::endpoint::{Availability, Endpoint};
use crate::event::Event;
use crate::header::Identity;
use crate::message::Request;
use crate::uri::Uri;

/// Why a call of the PBX was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// The line is not available.
    Down,
    /// It has as many calls as it may have.
    Full,
    /// Too many came at once.
    Crowded,
    /// The Request-URI names nobody (484).
    Nobody,
    /// None of the codecs offered can be used, or the audio is not encrypted as it has to be (488).
    Incompatible,
}

impl Endpoint {
    /// Tells of a call that was refused so. What the PBX is to mend in its request, and send again, is no such call.
    pub(crate) fn tell_refused(&mut self, request: &Request, refusal: &Refusal) {
        let why = match refusal.status {
            503 if matches!(self.availability, Availability::Down { .. }) => TurnedAway::Down,
            503 => TurnedAway::Full,
            484 => TurnedAway::Nobody,
            488 => TurnedAway::Incompatible,
            _ => return,
        };
        self.tell_turned_away(request, why);
    }

    pub(crate) fn tell_turned_away(&mut self, request: &Request, why: TurnedAway) {
        let dialled = Uri::parse(&request.uri).ok().and_then(|uri| uri.user).unwrap_or_default();
        self.tell(Event::TurnedAway {
            dialled: self.dialled_behind(request, dialled),
            identity: Identity::of(&request.headers),
            sip_call_id: request.headers.call_id().to_owned(),
            why,
        });
    }
}
