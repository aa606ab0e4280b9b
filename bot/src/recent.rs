//! Numbers of updates that were taken in: Telegram repeats what it did not see confirmed.

use std::collections::{BTreeSet, VecDeque};

/// The latest numbers.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    order: VecDeque<u32>,
    known: BTreeSet<u32>,
}

const KEPT: usize = 4_096;

impl Recent {
    pub(crate) fn new(known: impl IntoIterator<Item = u32>) -> Self {
        let mut recent = Self::default();
        for update in known {
            recent.is_new(update);
        }
        recent
    }

    /// Notes an update; true the first time.
    pub(crate) fn is_new(&mut self, update: u32) -> bool {
        if !self.known.insert(update) {
            return false;
        }
        self.order.push_back(update);
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_update_is_known_and_memory_is_bounded() {
        let mut recent = Recent::new([5, 7]);
        assert!(!recent.is_new(7) && recent.is_new(6));
        for update in 100..20_000 {
            assert!(recent.is_new(update));
        }
        assert!(recent.order.len() <= KEPT && recent.known.len() == recent.order.len());
        assert!(!recent.is_new(19_999));
    }
}
