//! Numbers that look random and come again with their seed (SplitMix64).

use std::ops::Range;
use std::time::Duration;

pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        (self.below(1 << 32) as f64) < probability * f64::from(u32::MAX)
    }

    pub fn within(&mut self, range: &Range<Duration>) -> Duration {
        range.start + Duration::from_micros(self.below((range.end - range.start).as_micros() as u64))
    }
}
