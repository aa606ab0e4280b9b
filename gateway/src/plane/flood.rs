//! How much is borne of what comes to a socket that calls share.

use std::time::{Duration, Instant};

/// Datagrams of STUN, each of which has to be judged by its HMAC, that a call is given in a turn, and others.
const STUN_OF_TURN: u8 = 16;
const OTHERS_OF_TURN: u8 = 64;
/// Datagrams for nobody within a second that are a flood, where they are a fifth of all.
const FLOOD: usize = 1000;
/// A flood is expected to go on for so long.
const FLOOD_LASTS: Duration = Duration::from_secs(5);

/// What a member was given in a turn.
#[derive(Default)]
pub(super) struct Turn {
    number: u32,
    stun: u8,
    others: u8,
}

impl Turn {
    /// Whether there may be another one in this turn.
    pub(super) fn takes(&mut self, number: u32, is_stun: bool) -> bool {
        if self.number != number {
            *self = Self { number, stun: 0, others: 0 };
        }
        let (count, most) =
            if is_stun { (&mut self.stun, STUN_OF_TURN) } else { (&mut self.others, OTHERS_OF_TURN) };
        let is_left = *count < most;
        *count += u8::from(is_left);
        is_left
    }
}

/// How much of what comes to a socket is for nobody.
#[derive(Default)]
pub(super) struct Tide {
    since: Option<Instant>,
    came: usize,
    strays: usize,
    flooded: Option<Instant>,
}

impl Tide {
    pub(super) fn count(&mut self, now: Instant, came: usize, strays: usize) {
        if self.since.is_none_or(|since| now >= since + Duration::from_secs(1)) {
            (self.since, self.came, self.strays) = (Some(now), 0, 0);
        }
        self.came += came;
        self.strays += strays;
        if self.strays > FLOOD && 5 * self.strays > self.came {
            self.flooded = Some(now);
        }
    }

    pub(super) fn is_high(&self, now: Instant) -> bool {
        self.flooded.is_some_and(|flooded| now < flooded + FLOOD_LASTS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn many_for_nobody_are_a_flood_where_they_are_a_fifth_of_all() {
        let now = clock::now();
        let at = |ms| now + Duration::from_millis(ms);
        for (came, strays, is_flood) in [(1_010, 1_010, true), (900, 900, false), (50_000, 2_000, false)] {
            let mut tide = Tide::default();
            for tenth in 0..30 {
                tide.count(at(100 * tenth), came / 10 + 1, strays / 10 + 1);
            }
            assert_eq!(tide.is_high(at(3_000)), is_flood, "{strays} of {came}");
            assert_eq!(tide.is_high(at(7_800)), is_flood);
            assert!(!tide.is_high(at(8_100)));
        }
    }
}
