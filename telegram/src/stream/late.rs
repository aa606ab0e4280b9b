//! Channels that could not be asked what is new, and when they are asked again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;

/// When a channel is asked again, at first and at most.
const AGAIN: Duration = Duration::from_secs(2);
const AGAIN_AT_MOST: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(super) struct LateChannels(BTreeMap<i64, Late>);

#[derive(Debug)]
struct Late {
    /// What is known of it, Unix time.
    since_s: i32,
    pause: Backoff,
    tries: u32,
    /// None while it is being asked.
    again: Option<Instant>,
}

impl LateChannels {
    /// One told nothing, of which everything is known up to a moment; how often it did.
    pub(super) fn add(&mut self, channel_id: i64, since_s: i32, now: Instant) -> u32 {
        let late = self.0.entry(channel_id).or_insert_with(|| Late {
            since_s,
            pause: Backoff::new(AGAIN, AGAIN_AT_MOST),
            tries: 0,
            again: None,
        });
        late.again = Some(now + late.pause.pause());
        late.tries += 1;
        late.tries
    }

    /// One told what is new, or never will; what was known of it before.
    pub(super) fn remove(&mut self, channel_id: i64) -> Option<i32> {
        self.0.remove(&channel_id).map(|late| late.since_s)
    }

    /// Those that are to be asked now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<i64> {
        let due = self.0.iter_mut().filter(|(_, late)| late.again.is_some_and(|again| again <= now));
        due.map(|(channel_id, late)| {
            late.again = None;
            *channel_id
        })
        .collect()
    }

    /// When the next one is to be asked.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().filter_map(|late| late.again).min()
    }

    /// Whether one is not to be asked yet.
    pub(super) fn rests(&self, channel_id: i64, now: Instant) -> bool {
        self.0.get(&channel_id).and_then(|late| late.again).is_some_and(|again| again > now)
    }

    /// Since when not everything is known of all of them, Unix time.
    pub(super) fn since(&self) -> Option<i32> {
        self.0.values().map(|late| late.since_s).min()
    }
}
