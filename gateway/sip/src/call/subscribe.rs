//! SUBSCRIBE in a call: the PBX wants to hear of its transfer for longer, or no more (RFC 3515 section 2.4.4, RFC 6665
//! section 4.2.1). There is nothing else here to subscribe to.

use std::time::Instant;

use super::state::{Call, State};
use crate::edge::Refusal;
use crate::message::Request;

/// Takes a SUBSCRIBE in a call's dialog. Gives the answer; with 200 a NOTIFY is owed.
pub(super) fn handle_subscribe(now: Instant, call: &mut Call, request: &Request) -> Refusal {
    let event = request.headers.first("Event").unwrap_or_default();
    let (package, parameters) = event.split_once(';').unwrap_or((event, ""));
    if !package.trim().eq_ignore_ascii_case("refer") {
        return Refusal::because(489, "Bad Event").with("Allow-Events", "refer");
    }
    let number = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("id").then(|| value.trim().parse::<u32>())
    });
    let expires = request.headers.first("Expires").map(|value| value.trim().parse::<u32>());
    let (Ok(number), Ok(wanted_s)) = (number.transpose(), expires.transpose()) else {
        return Refusal::because(400, "Event Or Expires Not Readable");
    };
    let referral = match &mut call.state {
        State::Talking(talking) => talking.referral.as_mut(),
        State::Inviting(_) | State::Invited(_) | State::Leaving(_) => None,
    };
    let lasts_s = referral.and_then(|referral| referral.subscribe(now, number, wanted_s));
    match lasts_s {
        Some(lasts_s) => Refusal::new(200).with("Expires", lasts_s.to_string()),
        None => Refusal::because(481, "Subscription Does Not Exist"),
    }
}
