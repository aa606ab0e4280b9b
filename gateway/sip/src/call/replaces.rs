//! INVITE with Replaces: a call of the PBX that takes the place of one that it has with us (RFC 3891): somebody picks up
//! for a colleague, or a transfer was attended.

use std::time::Instant;

use super::state::{GivingUp, State};
use crate::dialog::DialogId;
use crate::edge::Refusal;
use crate::endpoint::{CallId, Endpoint};
use crate::header::{Reason, Replaces};
use crate::message::Request;

impl Endpoint {
    /// The call whose place an INVITE is to take; `None` when it is a call of its own (RFC 3891 section 3).
    pub(crate) fn replaced_by(&self, request: &Request) -> Result<Option<CallId>, Refusal> {
        let mut values = request.headers.all("Replaces");
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() {
            return Err(Refusal::because(400, "Replaces Repeated"));
        }
        let replaces =
            Replaces::parse(value).ok_or_else(|| Refusal::because(400, "Replaces Not Readable"))?;
        let early_only = replaces.early_only;
        let dialog = DialogId::new(replaces.call_id, replaces.to_tag, replaces.from_tag);
        let known = self.dialogs.get(&dialog).and_then(|id| Some((*id, self.calls.get(id)?)));
        let Some((id, call)) = known else { return Err(Refusal::new(481)) };
        match &call.state {
            State::Talking(talking) if talking.hung_up.is_some() => Err(Refusal::new(603)),
            State::Talking(_) if early_only => Err(Refusal::new(486)),
            State::Talking(_) => Ok(Some(id)),
            State::Inviting(inviting) if matches!(inviting.giving_up, GivingUp::No) => Ok(Some(id)),
            // A call that they placed and nobody answered yet cannot be replaced.
            State::Invited(_) => Err(Refusal::new(481)),
            State::Inviting(_) | State::Leaving(_) => Err(Refusal::new(603)),
        }
    }

    /// Ends a call whose place another one has taken. No event follows.
    pub(crate) fn give_way(&mut self, now: Instant, old: CallId) {
        let Some(call) = self.calls.get_mut(&old) else { return };
        let reason = match &mut call.state {
            State::Inviting(inviting) => {
                inviting.reported = true;
                Reason::q850(26, "Non-selected user clearing")
            }
            State::Talking(_) | State::Invited(_) | State::Leaving(_) => {
                Reason::q850(16, "Normal call clearing")
            }
        };
        self.hang_up(now, old, Some(reason));
    }
}
