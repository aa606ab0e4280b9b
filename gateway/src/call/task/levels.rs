//! How loud both sides of a call are, ten times a second, for as long as somebody watches.

use std::time::{Duration, Instant};

use tgtrunk_media::Side;

use super::{Said, Task};

/// Between two levels.
const STEP: Duration = Duration::from_millis(100);
/// How long one question is answered; whoever goes on watching asks again meanwhile.
const LEASE: Duration = Duration::from_secs(10);

/// Both levels, in -dBov: 0 (loudest) to 127 (silence), as in RFC 6464.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) telegram: u8,
    pub(crate) trunk: u8,
}

/// Somebody watches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    pub(super) next: Instant,
    until: Instant,
}

impl Task {
    /// Somebody watches for a while from now.
    pub(super) fn begin_watch(&mut self, now: Instant) {
        let next = match self.watch {
            Some(watch) => watch.next,
            None => {
                self.relay.meter(true);
                now + STEP
            }
        };
        self.watch = Some(Watch { next, until: now + LEASE });
    }

    /// Tells the levels that are due; at the end of the watch nothing of it is left.
    pub(super) fn tell_levels(&mut self, now: Instant) {
        let Some(watch) = self.watch.filter(|watch| watch.next <= now) else { return };
        if let (Some(telegram), Some(trunk)) =
            (self.relay.level(Side::Telegram), self.relay.level(Side::Trunk))
        {
            self.words.push(Said::Levels(Levels { telegram, trunk }));
        }
        self.watch = (watch.until > now).then(|| Watch { next: now.max(watch.next + STEP), ..watch });
        if self.watch.is_none() {
            self.relay.meter(false);
        }
    }
}
