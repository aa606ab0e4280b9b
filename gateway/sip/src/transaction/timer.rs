//! Timers: the values of RFC 3261 table 4, and the agenda that knows which is due next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Round-trip estimate (RFC 3261 section 17.1.1.1).
pub(crate) const T1: Duration = Duration::from_millis(500);

/// Longest interval between two retransmissions.
pub(crate) const T2: Duration = Duration::from_secs(4);

/// Longest time a message stays in the network.
pub(crate) const T4: Duration = Duration::from_secs(5);

/// 64 times T1: how long one side waits for the other (timers B, D, F, H, J, L and M).
pub(crate) const PATIENCE: Duration = Duration::from_secs(32);

/// A message sent again and again, at growing intervals, until a deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repeat {
    pub(crate) at: Instant,
    interval: Duration,
    /// Intervals stop growing here; an INVITE's never do (timer A).
    ceiling: Duration,
    pub(crate) until: Instant,
}

impl Repeat {
    /// The first repetition follows after T1.
    pub(crate) fn new(now: Instant, ceiling: Duration) -> Self {
        Self { at: now + T1, interval: T1, ceiling, until: now + PATIENCE }
    }

    /// Sent once, over a transport that loses nothing: only the deadline is left (RFC 3261 table 4).
    pub(crate) fn once(now: Instant) -> Self {
        Self { at: now + PATIENCE, interval: PATIENCE, ceiling: PATIENCE, until: now + PATIENCE }
    }

    /// Whether the message is to be sent again now.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        if now < self.at || now >= self.until {
            return false;
        }
        self.interval = (self.interval * 2).min(self.ceiling);
        self.at = now + self.interval;
        true
    }

    /// From now on at the longest interval (RFC 3261 section 17.1.2.2).
    pub(crate) fn slow_down(&mut self) {
        self.interval = self.ceiling;
    }

    /// Whether waiting is over.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// When to look again.
    pub(crate) fn next(&self) -> Instant {
        self.at.min(self.until)
    }
}

/// What is due when, one entry per key.
#[derive(Debug)]
pub(crate) struct Agenda<K> {
    order: BTreeSet<(Instant, K)>,
    known: BTreeMap<K, Instant>,
}

impl<K: Ord + Clone> Agenda<K> {
    pub(crate) fn new() -> Self {
        Self { order: BTreeSet::new(), known: BTreeMap::new() }
    }

    /// Sets or clears a key's time.
    pub(crate) fn set(&mut self, key: &K, at: Option<Instant>) {
        let before = match at {
            Some(at) => self.known.insert(key.clone(), at),
            None => self.known.remove(key),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.order.remove(&(before, key.clone()));
        }
        if let Some(at) = at {
            self.order.insert((at, key.clone()));
        }
    }

    /// The earliest time.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes one key whose time has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.known.remove(&key);
        Some(key)
    }

    /// How many keys have a time.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_double_up_to_their_ceiling_until_the_deadline() {
        let start = Instant::now();
        let mut repeat = Repeat::new(start, T2);
        let mut sent = Vec::new();
        while !repeat.is_over(repeat.next()) {
            let now = repeat.next();
            assert!(repeat.is_due(now));
            sent.push((now - start).as_millis());
        }
        assert_eq!(sent, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    }

    #[test]
    fn an_agenda_gives_each_key_once_and_in_order() {
        let start = Instant::now();
        let at = |ms| Some(start + Duration::from_millis(ms));
        let mut agenda = Agenda::new();
        agenda.set(&"b", at(20));
        agenda.set(&"a", at(30));
        agenda.set(&"a", at(10));
        agenda.set(&"c", at(5));
        agenda.set(&"c", None);
        assert_eq!(agenda.next(), at(10));
        let now = start + Duration::from_millis(25);
        assert_eq!(
            [agenda.pop_due(now), agenda.pop_due(now), agenda.pop_due(now)],
            [Some("a"), Some("b"), None]
        );
        assert_eq!(agenda.len(), 0);
    }
}
