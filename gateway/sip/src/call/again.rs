//! Asking again: our INVITE was refused in a way that says how it would be taken (RFC 3261 section 8.1.3.5).

use std::time::Instant;

use super::session_timer::MIN_SE_S;
use super::state::{Call, GivingUp, Inviting, State};
use crate::endpoint::{CallId, Endpoint};
use crate::header::SessionExpires;
use crate::message::{Request, Response};
use crate::transaction::{Key, Owner};

/// How often a 422 may ask for a longer interval.
const RAISES_LIMIT: u8 = 3;

/// What our INVITE was told so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// The Min-SE that it names.
    pub(crate) min_se_s: u32,
    /// How often a 422 raised it.
    raises: u8,
    /// How many challenges it answered.
    proven: u8,
}

impl Asked {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self { min_se_s: MIN_SE_S, raises: 0, proven: 0 }
    }

    /// What another address need not be told again.
    pub(crate) fn elsewhere(self) -> Self {
        Self { proven: 0, ..self }
    }
}

impl Endpoint {
    /// Asks again where the refusal says how: the same call under the next number. False where it does not.
    pub(crate) fn ask_again(&mut self, now: Instant, id: CallId, key: &Key, response: &Response) -> bool {
        let Some(Call { state: State::Inviting(inviting), .. }) = self.calls.get(&id) else { return false };
        let Some((mut request, destination)) =
            self.layer.invite(key).map(|(request, to, _)| (request.clone(), to))
        else {
            return false;
        };
        let asked = match response.status {
            _ if !matches!(inviting.giving_up, GivingUp::No) => None,
            422 => self.for_longer(inviting, &mut request, response),
            401 | 407 => {
                let asked = inviting.asked;
                let learned = self.proofs.learn(response, destination.address, asked.proven, false);
                learned.then_some(Asked { proven: asked.proven + 1, ..asked })
            }
            _ => None,
        };
        let Some(asked) = asked else { return false };
        let Some(Call { state: State::Inviting(mut inviting), audio }) = self.forget(id) else {
            return false;
        };
        inviting.early.clear();
        inviting.asked = asked;
        let branch = self.tokens.branch();
        self.renew(&mut request, &branch);
        inviting.invite = self.request(now, &branch, request, destination, Owner::Call(id));
        self.keep(id, Call { state: State::Inviting(inviting), audio });
        true
    }

    /// The interval that a 422 wants (RFC 4028 section 7.3), if that is new.
    fn for_longer(&self, inviting: &Inviting, request: &mut Request, response: &Response) -> Option<Asked> {
        let asked = inviting.asked;
        let wanted = response.headers.first("Min-SE").and_then(SessionExpires::parse_min_se)?;
        if wanted <= asked.min_se_s || asked.raises >= RAISES_LIMIT {
            return None;
        }
        let seconds = self.config.session_interval_s.max(wanted);
        Self::push_session_timer(&mut request.headers, SessionExpires { seconds, refresher: None }, wanted);
        Some(Asked { min_se_s: wanted, raises: asked.raises + 1, ..asked })
    }
}
