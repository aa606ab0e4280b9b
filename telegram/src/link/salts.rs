//! A key's server salts (core.telegram.org/mtproto/description#server-salt): which one is good now, and when to ask for others.

use std::time::Duration;

use grammers_tl_types as tl;

/// How many are asked for: of those that last half an hour each, more than a day's.
pub(super) const ASKED: i32 = 64;
/// The next one is taken so long after it is good: Telegram's clocks differ a little.
const SETTLED_S: u64 = 60;

/// What is known of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Salts {
    current: i64,
    /// Those that come after it, the next one last.
    later: Vec<tl::types::FutureSalt>,
}

impl Salts {
    /// From a new key's exchange.
    pub(super) fn first(salt: i64) -> Self {
        Self { current: salt, later: Vec::new() }
    }

    /// The one that is good at a time.
    pub(super) fn at(&mut self, time: Duration) -> i64 {
        while let Some(next) =
            self.later.pop_if(|next| time.as_secs() >= seconds(next.valid_since) + SETTLED_S)
        {
            self.current = next.salt;
        }
        self.current
    }

    /// Telegram names the one that is good now.
    pub(super) fn told(&mut self, salt: i64) {
        if self.current != salt {
            *self = Self::first(salt);
        }
    }

    /// Telegram names those to come, and the present one among them.
    pub(super) fn told_all(&mut self, mut salts: Vec<tl::types::FutureSalt>) {
        salts.sort_by_key(|salt| std::cmp::Reverse(salt.valid_since));
        self.later = salts;
    }

    /// Whether nothing is known of what comes after the present one.
    pub(super) fn run_out(&self) -> bool {
        self.later.is_empty()
    }
}

fn seconds(unix_s: i32) -> u64 {
    u64::try_from(unix_s).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_taken_when_it_has_been_good_for_a_minute() {
        let mut salts = Salts::first(1);
        assert!(salts.run_out());
        salts.told_all(vec![future(4_000, 3), future(2_000, 2)]);
        assert_eq!(salts.at(Duration::from_secs(2_059)), 1);
        assert_eq!(salts.at(Duration::from_secs(2_060)), 2);
        assert!(!salts.run_out());
        assert_eq!(salts.at(Duration::from_secs(9_000)), 3);
        assert!(salts.run_out());
    }

    #[test]
    fn a_wrong_one_is_replaced_and_so_are_those_after_it() {
        let mut salts = Salts::default();
        salts.told_all(vec![future(2_000, 2)]);
        salts.told(0);
        assert!(!salts.run_out(), "it was right");
        salts.told(7);
        assert!(salts.run_out());
        assert_eq!(salts.at(Duration::from_secs(9_000)), 7);
    }

    fn future(valid_since: i32, salt: i64) -> tl::types::FutureSalt {
        tl::types::FutureSalt { valid_since, valid_until: valid_since + 3_600, salt }
    }
}
