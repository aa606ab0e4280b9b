//! A guard against one person asking for the same thing again and again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tgtrunk_config::UserId;

/// People who asked a moment ago.
#[derive(Debug)]
pub(crate) struct FloodGuard {
    pause: Duration,
    last: BTreeMap<UserId, Instant>,
}

/// Above that, those who asked long ago are forgotten.
const KEPT: usize = 1_024;

impl FloodGuard {
    pub(crate) fn new(pause: Duration) -> Self {
        Self { pause, last: BTreeMap::new() }
    }

    /// Whether the person may have it now. One who asks too soon does not have to wait longer for it.
    ///
    /// # Errors
    /// How long there is to wait.
    pub(crate) fn ask(&mut self, person: UserId, now: Instant) -> Result<(), Duration> {
        if let Some(last) = self.last.get(&person) {
            let left = self.pause.saturating_sub(now.saturating_duration_since(*last));
            if !left.is_zero() {
                return Err(left);
            }
        }
        if self.last.len() >= KEPT {
            let pause = self.pause;
            self.last.retain(|_, last| now.saturating_duration_since(*last) < pause);
        }
        self.last.insert(person, now);
        Ok(())
    }

    /// What the person asked for last does not count.
    pub(crate) fn forget(&mut self, person: UserId) {
        self.last.remove(&person);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_waits_ten_seconds_and_others_do_not_wait_for_them() {
        let (mut guard, start) = (FloodGuard::new(Duration::from_secs(10)), start());
        let (anna, boris) = (UserId::new(1).unwrap(), UserId::new(2).unwrap());
        assert_eq!(guard.ask(anna, start), Ok(()));
        assert_eq!(guard.ask(anna, start + Duration::from_secs(4)), Err(Duration::from_secs(6)));
        assert_eq!(guard.ask(boris, start + Duration::from_secs(4)), Ok(()));
        assert_eq!(guard.ask(anna, start + Duration::from_secs(10)), Ok(()));
    }

    #[test]
    fn those_who_asked_long_ago_are_forgotten() {
        let (mut guard, start) = (FloodGuard::new(Duration::from_secs(10)), start());
        for id in 1..=5_000 {
            let later = Duration::from_millis(id * 100);
            guard.ask(UserId::new(i64::try_from(id).unwrap()).unwrap(), start + later).unwrap();
        }
        assert!(guard.last.len() <= KEPT);
    }

    fn start() -> Instant {
        crate::clock::now()
    }
}
