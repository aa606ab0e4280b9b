//! Quantiles, and medians of ratios over rounds.

use serde::{Deserialize, Serialize};

/// The value below which this share of sorted ones lies (nearest rank); `None` of nothing.
pub fn quantile<T: Copy>(sorted: &[T], share: f64) -> Option<T> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1).min(sorted.len().checked_sub(1)?)).copied()
}

/// What rounds came to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub rounds: usize,
}

impl Spread {
    /// `None` of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        let (min, max, rounds) = (*values.first()?, *values.last()?, values.len());
        let middle = |at: usize| values.get(at).copied();
        let median = (middle((rounds - 1) / 2)? + middle(rounds / 2)?) / 2.0;
        Some(Self { median, min, max, rounds })
    }
}

/// `a` and `b` of y = a + b x by least squares; `None` where x does not differ.
pub fn line(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let count = points.len() as f64;
    let (mean_x, mean_y) = (
        points.iter().map(|(x, _)| x).sum::<f64>() / count,
        points.iter().map(|(_, y)| y).sum::<f64>() / count,
    );
    let spread: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let common: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = common / spread;
    slope.is_finite().then_some((mean_y - slope * mean_x, slope))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!(
            [0.0, 0.5, 0.99, 0.999, 1.0].map(|share| quantile(&hundred, share)),
            [1, 50, 99, 100, 100].map(Some)
        );
        assert_eq!(quantile::<u32>(&[], 0.5), None);
        assert_eq!(quantile(&[7], 0.999), Some(7));
    }

    #[test]
    fn a_spread_has_its_middle_and_its_ends_and_leaves_out_what_is_no_number() {
        let spread = Spread::of([3.0, 1.0, f64::NAN, 10.0]).unwrap();
        assert_eq!(spread, Spread { median: 3.0, min: 1.0, max: 10.0, rounds: 3 });
        assert_eq!(Spread::of([4.0, 2.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn a_line_is_found_again() {
        let (a, b) = line(&[(0.0, 5.0), (50.0, 205.0), (300.0, 1205.0)]).unwrap();
        assert!((a - 5.0).abs() < 1e-9 && (b - 4.0).abs() < 1e-9, "{a} + {b} x");
        assert_eq!(line(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }
}
