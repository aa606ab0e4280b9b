//! The E-model of ITU-T G.107 for two digital telephones: everything at its default but codec, loss and delay.

use std::time::Duration;

use crate::codec::Codec;

/// R of a connection whose parameters are all at their defaults (G.107 section 7.7).
const R_DEFAULT: f32 = 93.2;

/// What a codec takes from the quality, and how it bears random loss (G.107 section 7.5).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Impairment {
    /// Ie: equipment impairment without loss.
    pub equipment: f32,
    /// Bpl: the loss in per cent that a codec bears for half of what is left to lose.
    pub robustness: f32,
}

impl Impairment {
    /// G.711 with the concealment of its appendix I (G.113 appendix I).
    pub const G711: Self = Self { equipment: 0.0, robustness: 25.1 };
    /// G.711 with silence for what was lost (G.113 appendix I).
    pub const G711_UNCONCEALED: Self = Self { equipment: 0.0, robustness: 4.3 };
    /// Opus. G.113 does not list it; assumed to be no worse than G.711 without loss, and to bear loss somewhat less
    /// well, for its packets hold more time than the 10 ms that G.711's value stands for.
    pub const OPUS: Self = Self { equipment: 0.0, robustness: 20.0 };

    /// The values for a codec. Whatever carries samples is concealed alike and counts as G.711; that wide band sounds
    /// better than a telephone is beyond this scale.
    pub fn of(codec: &Codec) -> Self {
        if codec.name.eq_ignore_ascii_case("opus") { Self::OPUS } else { Self::G711 }
    }
}

/// Mean opinion score (G.107 annex B), 1 to 4.41, for a loss share from 0 to 1 and the delay from mouth to ear.
pub fn mos(impairment: Impairment, lost_share: f32, delay: Duration) -> f32 {
    let lost = if lost_share.is_finite() { lost_share.clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    let Impairment { equipment, robustness } = impairment;
    let equipment = equipment + (95.0 - equipment) * lost / (lost + robustness.max(1.0));
    let r = (R_DEFAULT - delay_impairment(delay) - equipment).clamp(0.0, 100.0);
    // Annex B has a dip below 1 for the lowest of R.
    (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
}

/// Idd: a delay that hinders conversation even without echo (G.107 section 7.4).
fn delay_impairment(delay: Duration) -> f32 {
    let delay_ms = delay.as_secs_f32().min(60.0) * 1000.0;
    if delay_ms <= 100.0 {
        return 0.0;
    }
    let x = (delay_ms / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0) + 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::OPUS;

    /// Annex B makes 4.41 of the default R.
    #[test]
    fn a_perfect_connection_has_the_default_score() {
        assert!((at(0.0, 0) - 4.41).abs() < 0.005);
        assert_eq!(at(0.0, 100), at(0.0, 0), "a tenth of a second hinders nobody");
    }

    /// The formula worked by hand: X is 0.58, 1 and 2.
    #[test]
    fn delay_takes_little_at_150_ms_and_much_at_400() {
        let idd = |delay_ms| delay_impairment(Duration::from_millis(delay_ms));
        for (delay_ms, low, high) in [(150, 0.0, 0.5), (200, 2.5, 3.5), (400, 23.0, 27.0)] {
            assert!((low..=high).contains(&idd(delay_ms)), "{delay_ms} ms: {}", idd(delay_ms));
        }
    }

    /// Ie,eff of G.711 with concealment is 95 / (1 + 25.1 / Ppl): 3.6 at 1 %, 15.8 at 5 %.
    #[test]
    fn loss_lowers_the_score_by_the_codecs_robustness() {
        for (lost_share, r) in [(0.01, 93.2 - 3.64), (0.05, 93.2 - 15.78)] {
            let expected = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
            assert!((at(lost_share, 0) - expected).abs() < 0.01);
        }
        assert!(mos(Impairment::G711_UNCONCEALED, 0.05, Duration::ZERO) < at(0.05, 0) - 1.0);
        assert_eq!(Impairment::of(&OPUS), Impairment::OPUS);
    }

    #[test]
    fn no_input_leaves_the_scale() {
        for lost_share in [f32::NAN, f32::INFINITY, -1.0, 0.0, 0.3, 1.0, 7.0] {
            for delay in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
                let score = mos(Impairment::OPUS, lost_share, delay);
                assert!((1.0..=4.5).contains(&score), "{lost_share} {delay:?}: {score}");
            }
        }
    }

    fn at(lost_share: f32, delay_ms: u64) -> f32 {
        mos(Impairment::G711, lost_share, Duration::from_millis(delay_ms))
    }
}
