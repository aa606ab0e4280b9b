//! Which states of calls were told already: the wire and the ordered stream bring the same news twice.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash as _, Hasher as _};

use grammers_tl_types::{Serializable as _, enums::PhoneCall};

use crate::notice::{CallNews, Origin, Parcel};

/// Calls and signaling messages that are remembered: more than the stream can lag behind the wire, a busy minute. The
/// room for them is made at once, so that an account that worked for a day is no larger than one that worked an hour.
const CALLS: usize = 2048;
const MESSAGES: usize = 16_384;

/// The memory of what was told.
#[derive(Debug)]
pub(crate) struct Seen {
    calls: HashMap<i64, Call>,
    order: VecDeque<i64>,
    messages: HashSet<u64>,
    message_order: VecDeque<u64>,
}

#[derive(Debug, Default)]
struct Call {
    states: HashSet<u64>,
    over: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            calls: HashMap::with_capacity(CALLS + 1),
            order: VecDeque::with_capacity(CALLS + 1),
            messages: HashSet::with_capacity(MESSAGES + 1),
            message_order: VecDeque::with_capacity(MESSAGES + 1),
        }
    }
}

impl Seen {
    /// Whether this is to be told; it then counts as told.
    pub(crate) fn is_news(&mut self, parcel: &Parcel) -> bool {
        match &parcel.news {
            CallNews::Call { call, .. } => self.state_is_news(call),
            CallNews::Signaling { call_id, data } => self.message_is_news(parcel.origin, *call_id, data),
        }
    }

    /// Each state once, and none after the end.
    fn state_is_news(&mut self, state: &PhoneCall) -> bool {
        let id = id(state);
        if !self.calls.contains_key(&id) {
            self.order.push_back(id);
            if self.order.len() > CALLS
                && let Some(oldest) = self.order.pop_front()
            {
                self.calls.remove(&oldest);
            }
        }
        let call = self.calls.entry(id).or_default();
        if call.over {
            return false;
        }
        if matches!(state, PhoneCall::Discarded(_)) {
            *call = Call { states: HashSet::new(), over: true };
            return true;
        }
        call.states.insert(hash(id, &state.to_bytes()))
    }

    /// Everything from the wire passes: the two ends number their messages themselves.
    fn message_is_news(&mut self, origin: Origin, call_id: i64, data: &[u8]) -> bool {
        let hash = hash(call_id, data);
        let first = self.messages.insert(hash);
        if first {
            self.message_order.push_back(hash);
            if self.message_order.len() > MESSAGES
                && let Some(oldest) = self.message_order.pop_front()
            {
                self.messages.remove(&oldest);
            }
        }
        first || origin == Origin::Wire
    }
}

/// The id of a call in any state.
fn id(call: &PhoneCall) -> i64 {
    match call {
        PhoneCall::Empty(call) => call.id,
        PhoneCall::Waiting(call) => call.id,
        PhoneCall::Requested(call) => call.id,
        PhoneCall::Accepted(call) => call.id,
        PhoneCall::Call(call) => call.id,
        PhoneCall::Discarded(call) => call.id,
    }
}

fn hash(id: i64, bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (id, bytes).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use grammers_tl_types as tl;

    use super::*;

    #[test]
    fn each_state_is_told_once_whichever_way_it_comes() {
        let mut seen = Seen::default();
        assert!(seen.is_news(&state(Origin::Wire, waiting(1, None))));
        assert!(!seen.is_news(&state(Origin::Stream, waiting(1, None))));
        assert!(
            seen.is_news(&state(Origin::Stream, waiting(1, Some(5)))),
            "ringing is another state than waiting"
        );
        assert!(!seen.is_news(&state(Origin::Wire, waiting(1, Some(5)))));
        assert!(seen.is_news(&state(Origin::Wire, waiting(2, None))));
    }

    #[test]
    fn nothing_is_told_of_a_call_after_its_end() {
        let mut seen = Seen::default();
        assert!(seen.is_news(&state(Origin::Wire, discarded(1))));
        assert!(!seen.is_news(&state(Origin::Stream, waiting(1, None))));
        assert!(!seen.is_news(&state(Origin::Stream, discarded(1))));
    }

    #[test]
    fn signaling_passes_as_it_came_and_is_not_repeated_by_the_stream() {
        let mut seen = Seen::default();
        let message =
            |origin, byte| Parcel { origin, news: CallNews::Signaling { call_id: 1, data: vec![byte] } };
        assert!(seen.is_news(&message(Origin::Wire, 1)));
        assert!(seen.is_news(&message(Origin::Wire, 1)));
        assert!(!seen.is_news(&message(Origin::Stream, 1)));
        assert!(seen.is_news(&message(Origin::Stream, 2)));
    }

    #[test]
    fn the_memory_stays_small_however_many_calls_there_are() {
        let mut seen = Seen::default();
        for id in 0..40_000 {
            assert!(seen.is_news(&state(Origin::Wire, waiting(id, None))));
            let data = id.to_le_bytes().to_vec();
            seen.is_news(&Parcel { origin: Origin::Wire, news: CallNews::Signaling { call_id: id, data } });
        }
        assert_eq!((seen.calls.len(), seen.order.len()), (CALLS, CALLS));
        assert_eq!((seen.messages.len(), seen.message_order.len()), (MESSAGES, MESSAGES));
    }

    fn state(origin: Origin, call: PhoneCall) -> Parcel {
        Parcel { origin, news: CallNews::Call { call, users: Vec::new() } }
    }

    fn waiting(id: i64, receive_date: Option<i32>) -> PhoneCall {
        let protocol = tl::types::PhoneCallProtocol {
            udp_p2p: true,
            udp_reflector: true,
            min_layer: 65,
            max_layer: 92,
            library_versions: vec![],
        };
        tl::types::PhoneCallWaiting {
            video: false,
            id,
            access_hash: 1,
            date: 1,
            admin_id: 1,
            participant_id: 2,
            protocol: protocol.into(),
            receive_date,
        }
        .into()
    }

    fn discarded(id: i64) -> PhoneCall {
        tl::types::PhoneCallDiscarded {
            need_rating: false,
            need_debug: false,
            video: false,
            id,
            reason: None,
            duration: None,
        }
        .into()
    }
}
