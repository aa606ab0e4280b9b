//! News of Telegram about calls that no task is known to have: a call's own may come before the answer to its request, which
//! tells its id.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::call::Input;
use crate::telegram::{CallRef, PhoneCall};

const MOST: usize = 512;
const LIFE: Duration = Duration::from_secs(15);

/// The news, the oldest first, and when each is forgotten.
#[derive(Default)]
pub(super) struct Orphans(VecDeque<(Instant, i64, Input)>);

impl Orphans {
    pub(super) fn keep(&mut self, now: Instant, id: i64, news: Input) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((now + LIFE, id, news));
    }

    /// Those of one call, in their order.
    pub(super) fn take(&mut self, id: i64) -> Vec<Input> {
        let (mine, others) =
            std::mem::take(&mut self.0).into_iter().partition(|(_, orphan, _)| *orphan == id);
        self.0 = others;
        let mine: VecDeque<_> = mine;
        mine.into_iter().map(|(_, _, news)| news).collect()
    }

    /// Calls of this account to somebody, each once.
    pub(super) fn placed(&self) -> Vec<(CallRef, i64)> {
        let placed: BTreeMap<i64, _> = self
            .0
            .iter()
            .filter_map(|(_, _, news)| match news {
                Input::Update(
                    PhoneCall::Waiting { call, callee, .. } | PhoneCall::Accepted { call, callee, .. },
                ) => Some((call.id, (*call, *callee))),
                _ => None,
            })
            .collect();
        placed.into_values().collect()
    }

    /// When the oldest is forgotten.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.0.front().map(|(until, _, _)| *until)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while self.0.pop_front_if(|(until, _, _)| *until <= now).is_some() {}
    }
}
