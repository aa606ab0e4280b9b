//! Server salts (core.telegram.org/mtproto/service_messages, "Request for several future salts").
//!
//! A key's salts follow from its own secret and the time: salt `n` is named from `n * lifetime` on and accepted for a
//! second lifetime after that, so nothing but the secret is stored.

use std::time::Duration;

use grammers_tl_types::types;
use sha2::{Digest, Sha256};

use crate::wire::random;

/// The salts of one key.
#[derive(Debug, Clone)]
pub(crate) struct Salts {
    secret: [u8; 16],
    /// Counts orders to drop all salts named so far.
    generation: u32,
    /// From the key exchange, and until when.
    first: Option<(i64, Duration)>,
}

impl Salts {
    pub(crate) fn new() -> Self {
        Self { secret: random::bytes(), generation: 0, first: None }
    }

    /// Salts of a key just agreed on, which begin with the one both sides derived.
    pub(crate) fn beginning(first: i64, until: Duration) -> Self {
        Self { first: Some((first, until)), ..Self::new() }
    }

    /// The salt to name now.
    pub(crate) fn current(&self, now: Duration, lifetime: Duration) -> i64 {
        self.salt(number(now, lifetime))
    }

    /// Whether a message with this salt is taken.
    pub(crate) fn accept(&self, salt: i64, now: Duration, lifetime: Duration) -> bool {
        let number = number(now, lifetime);
        let first = self.first.is_some_and(|(first, until)| salt == first && now < until);
        first
            || salt == self.salt(number)
            || number.checked_sub(1).is_some_and(|before| salt == self.salt(before))
    }

    /// The current salt and the ones after it, at most 64.
    pub(crate) fn future(&self, now: Duration, lifetime: Duration, count: i32) -> Vec<types::FutureSalt> {
        let (number, lifetime) = (number(now, lifetime), whole_seconds(lifetime));
        (number..number + count.clamp(1, 64) as u64)
            .map(|number| types::FutureSalt {
                valid_since: (number * lifetime) as i32,
                valid_until: ((number + 2) * lifetime) as i32,
                salt: self.salt(number),
            })
            .collect()
    }

    /// Makes every salt named so far wrong.
    pub(crate) fn renew(&mut self) {
        self.generation += 1;
        self.first = None;
    }

    fn salt(&self, number: u64) -> i64 {
        let digest = Sha256::new()
            .chain_update(self.secret)
            .chain_update(self.generation.to_le_bytes())
            .chain_update(number.to_le_bytes())
            .finalize();
        i64::from_le_bytes(std::array::from_fn(|at| digest[at])) | 1
    }
}

fn number(now: Duration, lifetime: Duration) -> u64 {
    now.as_secs() / whole_seconds(lifetime)
}

fn whole_seconds(lifetime: Duration) -> u64 {
    lifetime.as_secs().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(1800);
    const NOW: Duration = Duration::from_secs(1800 * 1000 + 7);

    #[test]
    fn a_salt_is_named_for_one_lifetime_and_accepted_for_two() {
        let salts = Salts::new();
        let salt = salts.current(NOW, LIFETIME);
        assert_eq!(salts.current(NOW + Duration::from_secs(1792), LIFETIME), salt);
        assert_ne!(salts.current(NOW + LIFETIME, LIFETIME), salt);
        assert!(salts.accept(salt, NOW, LIFETIME) && salts.accept(salt, NOW + LIFETIME, LIFETIME));
        assert!(!salts.accept(salt, NOW + 2 * LIFETIME, LIFETIME));
        assert!(!salts.accept(salt, NOW - LIFETIME, LIFETIME), "a future salt is not valid yet");
        assert!(!salts.accept(0, NOW, LIFETIME));
    }

    #[test]
    fn future_salts_become_the_current_ones() {
        let salts = Salts::new();
        let future = salts.future(NOW, LIFETIME, 500);
        assert_eq!(future.len(), 64);
        assert_eq!(salts.future(NOW, LIFETIME, -1).len(), 1);
        for (at, entry) in future.iter().enumerate() {
            assert_eq!(entry.valid_since, 1800 * (1000 + at as i32));
            assert_eq!(entry.valid_until - entry.valid_since, 3600);
            assert_eq!(entry.salt, salts.current(Duration::from_secs(entry.valid_since as u64), LIFETIME));
        }
    }

    #[test]
    fn renewing_makes_old_salts_wrong() {
        let mut salts = Salts::beginning(42, NOW + LIFETIME);
        let before = salts.current(NOW, LIFETIME);
        assert!(salts.accept(42, NOW, LIFETIME));
        assert!(!salts.accept(42, NOW + LIFETIME, LIFETIME));
        salts.renew();
        assert!(!salts.accept(before, NOW, LIFETIME) && !salts.accept(42, NOW, LIFETIME));
        assert!(salts.accept(salts.current(NOW, LIFETIME), NOW, LIFETIME));
    }
}
