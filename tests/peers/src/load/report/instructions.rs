//! What a packet costs in instructions, which no neighbour on the machine changes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Counted by callgrind on the way from memory to memory, without sockets, in AES-256-GCM.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Instructions {
    pub gateway_per_packet: f64,
    pub floor_per_packet: f64,
    pub ratio: f64,
    /// What the tree says that the ratio is.
    pub expected_ratio: f64,
}

/// How far the ratio may be from what the tree says.
const TOLERANCE: f64 = 0.02;

impl Instructions {
    pub fn of(gateway_per_packet: f64, floor_per_packet: f64, expected_ratio: f64) -> Self {
        let ratio = gateway_per_packet / floor_per_packet;
        Self { gateway_per_packet, floor_per_packet, ratio, expected_ratio }
    }

    /// Whether it is what the tree says.
    pub fn is_expected(&self) -> bool {
        (self.ratio / self.expected_ratio - 1.0).abs() <= TOLERANCE
    }

    /// What to do where it is not; `file` is where the tree says it.
    pub fn told(&self, file: &str) -> String {
        format!(
            "the ratio is {:.4}, and tests/floor/{file} says {}: say in the commit why it changed, and change it there",
            self.ratio, self.expected_ratio
        )
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gateway_per_packet, floor_per_packet, ratio, expected_ratio } = self;
        write!(
            f,
            "{gateway_per_packet:.1} for each packet of the gateway, {floor_per_packet:.1} of the floor: {ratio:.4} times as \
             many, and the tree says {expected_ratio}"
        )
    }
}

/// The section of the page.
pub(super) fn html(counted: &Instructions) -> String {
    format!(
        "<h2>Instructions for each packet</h2><p>{:.0}, beside {:.0} of the floor: {:.3} times as many.</p>",
        counted.gateway_per_packet, counted.floor_per_packet, counted.ratio
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_percent_either_way_are_as_expected() {
        let is_expected = |gateway| Instructions::of(gateway, 1000.0, 1.5).is_expected();
        assert_eq!([1465.0, 1471.0, 1529.0, 1535.0].map(is_expected), [false, true, true, false]);
    }
}
