//! The sequence word in front of every record and raw packet: two flags and a counter.

/// Bit 31: the record stands alone in its packet.
pub(crate) const ALONE: u32 = 0x8000_0000;

/// Bit 30: the record is to be acknowledged.
pub(crate) const WANTS_ACK: u32 = 0x4000_0000;

/// Bits 0 to 29: the counter, from 1; also its last value, at which a call must stop.
pub(crate) const COUNTER_MASK: u32 = 0x3fff_ffff;

/// Counters further behind the largest than this are taken for replays.
const WINDOW: u32 = 64;

/// The counter of one direction.
#[derive(Debug, Default)]
pub(crate) struct Counter(u32);

impl Counter {
    /// The next value, `None` once the counter is used up.
    pub(crate) fn next(&mut self) -> Option<u32> {
        let next = self.0 + 1;
        (next < COUNTER_MASK).then(|| {
            self.0 = next;
            next
        })
    }

    #[cfg(test)]
    pub(crate) fn starting_after(last: u32) -> Self {
        Self(last)
    }
}

/// Tells new counters from repeated ones.
#[derive(Debug, Default)]
pub(crate) struct ReplayFilter {
    largest: u32,
    /// Bit n: `largest - n` was seen.
    seen: u64,
}

impl ReplayFilter {
    /// Whether the counter comes for the first time; remembers it.
    pub(crate) fn accept(&mut self, counter: u32) -> bool {
        if counter > self.largest {
            let ahead = counter - self.largest;
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.largest = counter;
            return true;
        }
        let behind = self.largest - counter;
        if behind >= WINDOW {
            return false;
        }
        let bit = 1 << behind;
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}

/// The first four bytes as the sequence word, and the rest.
pub(crate) fn split(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*word), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_begins_at_one_and_ends_before_its_mask() {
        assert_eq!(Counter::default().next(), Some(1));
        let mut counter = Counter::starting_after(COUNTER_MASK - 2);
        assert_eq!(counter.next(), Some(COUNTER_MASK - 1));
        assert_eq!(counter.next(), None);
        assert_eq!(counter.next(), None);
    }

    #[test]
    fn a_counter_passes_once() {
        let mut filter = ReplayFilter::default();
        assert!(filter.accept(1));
        assert!(!filter.accept(1));
        assert!(filter.accept(5));
        assert!(filter.accept(3));
        assert!(!filter.accept(3));
        assert!(!filter.accept(5));
        assert!(filter.accept(4));
    }

    #[test]
    fn a_counter_64_behind_the_largest_is_refused() {
        let mut filter = ReplayFilter::default();
        assert!(filter.accept(100));
        assert!(filter.accept(37));
        assert!(!filter.accept(36));
        assert!(filter.accept(1000));
        assert!(!filter.accept(100));
        assert!(filter.accept(937));
        assert!(!filter.accept(0));
    }
}
