//! INVITEs already taken: a late copy is no second call, another way to us is a loop (RFC 3261 section 8.2.2.2).
//!
//! A caller repeats its INVITE for at most 32 seconds, and the network keeps a copy for 5 (T4), so that 64 seconds
//! of memory outlive every copy, however short the call was.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::message::Request;
use crate::transaction::{Key, PATIENCE};

/// How long an INVITE is remembered.
const MEMORY: Duration = PATIENCE.saturating_mul(2);

/// Most INVITEs remembered; the oldest go first.
const LIMIT: usize = 16_384;

/// What an INVITE without a transaction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copy {
    /// New.
    None,
    /// The copy of one whose transaction is over.
    Late,
    /// One that came another way.
    Merged,
}

type Identity = (String, String, u32);

/// The line's memory of INVITEs.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    known: BTreeMap<Identity, Key>,
    order: VecDeque<(Instant, Identity)>,
}

impl Seen {
    /// What this INVITE is.
    pub(crate) fn look(&mut self, now: Instant, request: &Request, key: &Key) -> Copy {
        self.purge(now);
        match identity(request).and_then(|identity| self.known.get(&identity)) {
            None => Copy::None,
            Some(known) if known == key => Copy::Late,
            Some(_) => Copy::Merged,
        }
    }

    /// Remembers one that became a call.
    pub(crate) fn remember(&mut self, now: Instant, request: &Request, key: &Key) {
        let Some(identity) = identity(request) else { return };
        self.known.insert(identity.clone(), key.clone());
        self.order.push_back((now + MEMORY, identity));
        while self.order.len() > LIMIT {
            self.drop_oldest();
        }
    }

    /// Forgets what is old.
    pub(crate) fn purge(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.drop_oldest();
        }
    }

    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    fn drop_oldest(&mut self) {
        if let Some((_, identity)) = self.order.pop_front() {
            self.known.remove(&identity);
        }
    }
}

fn identity(request: &Request) -> Option<Identity> {
    let headers = &request.headers;
    let tag = headers.from()?.tag().unwrap_or("").to_owned();
    Some((headers.call_id().to_owned(), tag, headers.cseq()?.number))
}
