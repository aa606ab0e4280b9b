//! How soon a password may be tried again. It never reads a clock.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Wrong passwords that cost no wait.
const FREE: u32 = 5;
/// The same of all addresses together.
const FREE_OF_ALL: u32 = 20;
/// The longest wait of one address.
const LONGEST: Duration = Duration::from_secs(60);
/// The longest wait that others can cause.
const LONGEST_OF_ALL: Duration = Duration::from_secs(2);
/// After so long without a wrong password the slate is clean.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// Addresses that are remembered; the one that tried longest ago makes room.
const ADDRESSES: usize = 1024;

/// Wrong passwords so far.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    addresses: BTreeMap<IpAddr, Wrong>,
    all: Option<Wrong>,
}

#[derive(Clone, Copy, Debug)]
struct Wrong {
    times: u32,
    last: Instant,
    until: Instant,
}

impl Throttle {
    /// How long an address still has to wait before it may try.
    pub(crate) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let own = self.addresses.get(&address).map(|wrong| wrong.until);
        let until = own.max(self.all.map(|wrong| wrong.until))?;
        let wait = until.saturating_duration_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    /// Notes a wrong password.
    pub(crate) fn handle_wrong(&mut self, address: IpAddr, now: Instant) {
        if self.addresses.len() >= ADDRESSES && !self.addresses.contains_key(&address) {
            let oldest = self.addresses.iter().min_by_key(|(_, wrong)| wrong.last).map(|(oldest, _)| *oldest);
            oldest.map(|oldest| self.addresses.remove(&oldest));
        }
        let own = next(self.addresses.get(&address).copied(), FREE, LONGEST, now);
        self.addresses.insert(address, own);
        self.all = Some(next(self.all, FREE_OF_ALL, LONGEST_OF_ALL, now));
    }

    /// Notes that an address knew the password: its last try was no wrong one.
    pub(crate) fn handle_right(&mut self, address: IpAddr) {
        self.addresses.remove(&address);
        self.all = self.all.and_then(|all| all.without_one(FREE_OF_ALL, LONGEST_OF_ALL));
    }
}

fn next(before: Option<Wrong>, free: u32, longest: Duration, now: Instant) -> Wrong {
    let before = before.filter(|wrong| now.saturating_duration_since(wrong.last) < MEMORY);
    let times = before.map_or(0, |wrong| wrong.times).saturating_add(1);
    Wrong { times, last: now, until: now + pause(times, free, longest) }
}

fn pause(times: u32, free: u32, longest: Duration) -> Duration {
    match times.checked_sub(free) {
        None => Duration::ZERO,
        Some(over) => Duration::from_secs(1 << over.min(10)).min(longest),
    }
}

impl Wrong {
    /// With one time less.
    fn without_one(self, free: u32, longest: Duration) -> Option<Self> {
        let times = self.times.checked_sub(1).filter(|times| *times > 0)?;
        Some(Self { times, until: self.last + pause(times, free, longest), ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn five_wrong_passwords_are_free_and_then_each_wait_is_twice_as_long() {
        let (mut throttle, mut now) = (Throttle::default(), tgtrunk_shell::clock::now());
        for _ in 0..4 {
            throttle.handle_wrong(HERE, now);
            assert_eq!(throttle.wait(HERE, now), None);
        }
        for wait_s in [1, 2, 4, 8, 16, 32, 60, 60] {
            throttle.handle_wrong(HERE, now);
            assert_eq!(throttle.wait(HERE, now), Some(Duration::from_secs(wait_s)));
            assert_eq!(throttle.wait("10.0.0.1".parse().unwrap(), now), None);
            now += Duration::from_secs(wait_s);
            assert_eq!(throttle.wait(HERE, now), None);
        }
        throttle.handle_right(HERE);
        throttle.handle_wrong(HERE, now);
        assert_eq!(throttle.wait(HERE, now), None);
    }

    #[test]
    fn a_crowd_of_addresses_slows_everybody_a_little_and_fills_no_memory() {
        let (mut throttle, now) = (Throttle::default(), tgtrunk_shell::clock::now());
        for n in 0..5_000_u32 {
            throttle.handle_wrong(IpAddr::V4(n.into()), now);
        }
        assert_eq!(throttle.addresses.len(), ADDRESSES);
        assert_eq!(throttle.wait(HERE, now), Some(LONGEST_OF_ALL));
    }

    #[test]
    fn right_passwords_are_held_against_nobody() {
        let (mut throttle, now) = (Throttle::default(), tgtrunk_shell::clock::now());
        for _ in 0..100 {
            assert_eq!(throttle.wait(HERE, now), None);
            throttle.handle_wrong(HERE, now);
            throttle.handle_right(HERE);
        }
        // One right password does not hide what others tried.
        for n in 0..30_u32 {
            throttle.handle_wrong(IpAddr::V4(n.into()), now);
        }
        throttle.handle_wrong(HERE, now);
        throttle.handle_right(HERE);
        assert_eq!(throttle.wait(HERE, now), Some(LONGEST_OF_ALL));
    }

    #[test]
    fn a_quarter_of_an_hour_later_nothing_is_held_against_anybody() {
        let (mut throttle, now) = (Throttle::default(), tgtrunk_shell::clock::now());
        for _ in 0..30 {
            throttle.handle_wrong(HERE, now);
        }
        let later = now + MEMORY;
        throttle.handle_wrong(HERE, later);
        assert_eq!(throttle.wait(HERE, later), None);
    }
}
