//! Which packet indexes were taken: a window of 64 (RFC 3711 section 3.3.2) and the guess of the rollover counter
//! (section 3.3.1, appendix A).

/// Indexes behind the highest that are still told apart.
const WINDOW: u64 = 64;

/// The state of one source, made by its first authentic packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Replay {
    highest: u64,
    /// Bit n: `highest - n` was taken.
    taken: u64,
}

impl Replay {
    pub(super) fn starting_at(index: u64) -> Self {
        Replay { highest: index, taken: 1 }
    }

    /// The 48-bit index nearest to the highest one that ends in `sequence`; none lies below zero.
    pub(super) fn index_of(&self, sequence: u16) -> Option<u64> {
        let ahead = sequence.wrapping_sub(self.highest as u16) as i16;
        self.highest.checked_add_signed(ahead.into())
    }

    pub(super) fn is_fresh(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(behind) => behind < WINDOW && self.taken & (1 << behind) == 0,
        }
    }

    /// Call it for authentic packets alone.
    pub(super) fn take(&mut self, index: u64) {
        if let Some(ahead) = index.checked_sub(self.highest) {
            self.taken = if ahead < WINDOW { (self.taken << ahead) | 1 } else { 1 };
            self.highest = index;
        } else {
            self.taken |= 1 << (self.highest - index).min(WINDOW - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_is_fresh_once_and_old_ones_never() {
        let mut replay = Replay::starting_at(1000);
        assert!(!replay.is_fresh(1000));
        for index in [1001, 1003, 1002, 990, 937] {
            assert!(index == 937 || replay.is_fresh(index), "{index}");
            replay.take(index.max(940));
        }
        assert!(!replay.is_fresh(1002));
        assert!(replay.is_fresh(941), "62 behind");
        assert!(!replay.is_fresh(939), "64 behind");
        replay.take(2000);
        assert!(!replay.is_fresh(1003));
        assert!(replay.is_fresh(1999));
    }

    #[test]
    fn rollover_counter_follows_the_nearest_index() {
        let replay = Replay::starting_at(65_480);
        assert_eq!(replay.index_of(65_535), Some(65_535));
        assert_eq!(replay.index_of(3), Some(65_539));
        let replay = Replay::starting_at(65_539);
        assert_eq!(replay.index_of(65_535), Some(65_535));
        assert_eq!(replay.index_of(4), Some(65_540));
        assert_eq!(Replay::starting_at(2).index_of(65_535), None);
    }
}
