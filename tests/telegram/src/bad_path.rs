//! One direction of a path that loses, repeats, delays and reorders packets: the same ones again for the same seed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How much later a packet comes that others overtake.
pub const HELD_BACK: Duration = Duration::from_millis(70);
/// Most packets under way at once; more are lost, and counted so.
const UNDER_WAY: usize = 4096;

/// What becomes of packets. Shares are from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Treatment {
    /// Share that is lost.
    pub loss: f64,
    /// Share that comes twice.
    pub duplicates: f64,
    /// Share that comes [`HELD_BACK`] late, so that others overtake it.
    pub reorder: f64,
    /// What every packet takes at least, in milliseconds.
    pub delay_ms: u64,
    /// What each takes more, in milliseconds: anything up to this, and never so much less than the one before that it
    /// would overtake it.
    pub jitter_ms: u64,
    /// Nothing passes.
    pub cut: bool,
}

/// What became of packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Passage {
    /// Came to the path.
    pub taken: u64,
    /// Left it, repeated ones included.
    pub passed: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Lost because the path was cut.
    pub cut: u64,
    /// Sent twice.
    pub repeated: u64,
    /// Held back.
    pub held_back: u64,
}

/// The direction, without clock or socket.
#[derive(Debug)]
pub struct BadPath<T> {
    treatment: Treatment,
    dice: Dice,
    under_way: BTreeMap<(Instant, u64), T>,
    entered: u64,
    /// When the last packet that kept its place is due.
    last_due: Option<Instant>,
    passage: Passage,
}

impl<T: Clone> BadPath<T> {
    /// A path that does nothing to packets yet.
    pub fn new(seed: u64) -> Self {
        Self {
            treatment: Treatment::default(),
            dice: Dice::new(seed),
            under_way: BTreeMap::new(),
            entered: 0,
            last_due: None,
            passage: Passage::default(),
        }
    }

    /// What becomes of packets from now on. A cut loses those under way too.
    pub fn treat(&mut self, treatment: Treatment) {
        self.treatment = treatment;
        if treatment.cut {
            self.passage.cut += self.under_way.len() as u64;
            self.under_way.clear();
            self.last_due = None;
        }
    }

    /// What becomes of packets.
    pub fn treatment(&self) -> Treatment {
        self.treatment
    }

    /// Takes a packet.
    pub fn handle_packet(&mut self, now: Instant, packet: T) {
        let Treatment { loss, duplicates, reorder, delay_ms, jitter_ms, cut } = self.treatment;
        self.passage.taken += 1;
        if cut {
            self.passage.cut += 1;
            return;
        }
        // Always as many throws, so that one share changes nothing of what the others pick.
        let [lost, repeated, held_back] = [loss, duplicates, reorder].map(|share| self.dice.falls(share));
        let late_us = self.dice.up_to(jitter_ms * 1000);
        if lost || self.under_way.len() >= UNDER_WAY {
            self.passage.lost += 1;
            return;
        }
        let mut due = now + Duration::from_millis(delay_ms) + Duration::from_micros(late_us);
        if held_back {
            self.passage.held_back += 1;
            due += HELD_BACK;
        } else {
            due = self.last_due.map_or(due, |last| last.max(due));
            self.last_due = Some(due);
        }
        if repeated {
            self.passage.repeated += 1;
            self.enter(due, packet.clone());
        }
        self.enter(due, packet);
    }

    /// The next packet that has come through.
    pub fn poll_packet(&mut self, now: Instant) -> Option<T> {
        let entry = self.under_way.first_entry().filter(|entry| entry.key().0 <= now)?;
        self.passage.passed += 1;
        Some(entry.remove())
    }

    /// When the next one is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.under_way.first_key_value().map(|((due, _), _)| *due)
    }

    /// What became of packets so far.
    pub fn passage(&self) -> Passage {
        self.passage
    }

    fn enter(&mut self, due: Instant, packet: T) {
        self.entered += 1;
        self.under_way.insert((due, self.entered), packet);
    }
}

/// Chance that comes again with its seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as the seed says.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Whether something of this probability happens.
    pub fn falls(&mut self, probability: f64) -> bool {
        f64::from(self.next()) < probability * 4_294_967_296.0
    }

    fn up_to(&mut self, most: u64) -> u64 {
        (u64::from(self.next()) * most) >> 32
    }

    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 32) as u32
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test reads the clock once, to have an instant at all")]
mod tests {
    use super::*;

    /// Packets sent 20 ms apart, as (number, how late it came in ms), in the order in which they came.
    fn sent(path: &mut BadPath<u64>, count: u64) -> Vec<(u64, u64)> {
        let began = Instant::now();
        let at = |number: u64| began + Duration::from_millis(20 * number);
        let mut came = Vec::new();
        for number in 0..count + 100 {
            if number < count {
                path.handle_packet(at(number), number);
            }
            while let Some(due) = path.poll_timeout().filter(|due| *due < at(number + 1)) {
                let packet = path.poll_packet(due).unwrap();
                came.push((packet, (due - at(packet)).as_millis() as u64));
            }
        }
        came
    }

    fn treated(treatment: Treatment) -> (BadPath<u64>, Vec<(u64, u64)>) {
        let mut path = BadPath::new(7);
        path.treat(treatment);
        let came = sent(&mut path, 2000);
        (path, came)
    }

    #[test]
    fn a_good_path_passes_everything_at_once() {
        let (path, came) = treated(Treatment::default());
        assert_eq!(came, (0..2000).map(|number| (number, 0)).collect::<Vec<_>>());
        assert_eq!(path.passage(), Passage { taken: 2000, passed: 2000, ..Passage::default() });
    }

    #[test]
    fn a_tenth_is_lost_the_same_one_again_and_another_with_another_seed() {
        let treatment = Treatment { loss: 0.1, ..Treatment::default() };
        let (path, came) = treated(treatment);
        assert_eq!(came.len() as u64, 2000 - path.passage().lost);
        assert!((160..=240).contains(&path.passage().lost), "{:?}", path.passage());
        assert_eq!(treated(treatment).1, came);
        let mut other = BadPath::new(8);
        other.treat(treatment);
        assert_ne!(sent(&mut other, 2000), came);
    }

    #[test]
    fn jitter_delays_within_its_bounds_and_keeps_the_order() {
        let (_, came) = treated(Treatment { delay_ms: 100, jitter_ms: 50, ..Treatment::default() });
        assert!(came.iter().all(|(_, late)| (100..=150).contains(late)));
        assert!(came.iter().any(|(_, late)| *late < 105) && came.iter().any(|(_, late)| *late > 145));
        assert!(came.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0));
    }

    #[test]
    fn what_is_held_back_is_overtaken_and_what_is_repeated_comes_twice() {
        let (path, came) = treated(Treatment { reorder: 0.05, duplicates: 0.05, ..Treatment::default() });
        let overtaken = came.windows(2).filter(|pair| pair[1].0 < pair[0].0).count() as u64;
        assert!((60..=140).contains(&path.passage().held_back) && overtaken > 50, "{:?}", path.passage());
        assert!((60..=140).contains(&path.passage().repeated));
        assert_eq!(came.len() as u64, 2000 + path.passage().repeated);
    }

    #[test]
    fn a_cut_path_passes_nothing_and_loses_what_was_under_way() {
        let began = Instant::now();
        let mut path = BadPath::new(1);
        path.treat(Treatment { delay_ms: 100, ..Treatment::default() });
        path.handle_packet(began, 1);
        path.treat(Treatment { cut: true, ..Treatment::default() });
        path.handle_packet(began, 2);
        assert_eq!(path.poll_timeout(), None);
        path.treat(Treatment::default());
        path.handle_packet(began, 3);
        assert_eq!(path.poll_packet(began), Some(3));
        assert_eq!(path.passage(), Passage { taken: 3, passed: 1, cut: 2, ..Passage::default() });
    }
}
