//! How a call sounded over its time, in at most 60 numbers.

use tgtrunk_config::control::Quality;

/// Numbers that are kept; when there are more, each two become one.
const MOST: usize = 60;

/// The worse leg's estimated mean opinion score over a call, in tenths of a point, evenly spaced. Of several scores that
/// share a place the worst is kept: it is the bad moments that somebody looks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sparkline {
    tenths: Vec<u8>,
    /// Scores that share a place, as a power of two.
    doublings: u32,
    /// Scores that the last place has so far, less one.
    gathered: u32,
}

impl Sparkline {
    /// Takes a score, one after each equal stretch of time; none where neither leg has one.
    pub(crate) fn take(&mut self, quality: &Quality) {
        let scores = [quality.telegram.mos_hundredths, quality.pbx.mos_hundredths];
        let Some(worse) = scores.into_iter().flatten().min() else { return };
        let tenths = u8::try_from((worse / 10).clamp(10, 50)).unwrap_or(50);
        let share = 1 << self.doublings;
        if self.gathered + 1 < share
            && let Some(last) = self.tenths.last_mut()
        {
            *last = tenths.min(*last);
            self.gathered += 1;
            return;
        }
        if self.tenths.len() >= MOST {
            self.tenths = self.tenths.chunks(2).filter_map(|pair| pair.iter().min().copied()).collect();
            self.doublings = (self.doublings + 1).min(31);
        }
        self.tenths.push(tenths);
        self.gathered = 0;
    }

    /// Whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.tenths.is_empty()
    }

    /// The numbers, the oldest first.
    pub(crate) fn into_tenths(self) -> Vec<u8> {
        self.tenths
    }
}

#[cfg(test)]
mod tests {
    use tgtrunk_config::control::LegQuality;

    use super::*;

    #[test]
    fn the_worse_leg_counts_and_a_leg_without_a_score_does_not() {
        let mut line = Sparkline::default();
        line.take(&quality(None, None));
        assert!(line.is_empty());
        line.take(&quality(Some(431), Some(390)));
        line.take(&quality(None, Some(405)));
        line.take(&quality(Some(99), None));
        line.take(&quality(Some(9_999), None));
        assert_eq!(line.into_tenths(), [39, 40, 10, 50]);
    }

    #[test]
    fn a_call_of_any_length_keeps_sixty_numbers_at_most_and_its_bad_moment() {
        for length in [59, 60, 61, 120, 121, 240, 241, 10_000_u32] {
            let mut line = Sparkline::default();
            for at in 0..length {
                line.take(&quality(Some(if at == length / 2 { 150 } else { 430 }), None));
                assert!(line.tenths.len() <= MOST);
            }
            let places = length.div_ceil(1 << line.doublings);
            let tenths = line.into_tenths();
            assert_eq!(tenths.len(), places as usize, "{length}");
            assert!(tenths.len() > 29 && tenths.len() <= 60, "{length}: {}", tenths.len());
            assert_eq!(tenths.iter().filter(|score| **score == 15).count(), 1, "{length}");
        }
    }

    fn quality(telegram: Option<u32>, pbx: Option<u32>) -> Quality {
        let leg = |mos_hundredths| LegQuality { mos_hundredths, ..LegQuality::default() };
        Quality { telegram: leg(telegram), pbx: leg(pbx) }
    }
}
