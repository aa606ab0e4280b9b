//! How often a method may be called. A client that comes too often is told so before anything is done for it, because the
//! official ones repeat whatever was answered 429.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::id::InstanceId;

/// How often methods may be called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// As often as GREEN-API allows, and half a minute's worth at once of what may be called once a second or oftener.
    #[default]
    Vendor,
    /// As often as one likes.
    Free,
}

/// Who called what how often.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    pace: Pace,
    buckets: Mutex<HashMap<(InstanceId, &'static str), Bucket>>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    calls: f64,
    at: Instant,
}

/// Seconds whose calls may come at once.
const BURST_S: f64 = 30.0;

impl Throttle {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, buckets: Mutex::default() }
    }

    /// Counts a call of a method that may be called `rps` times a second.
    ///
    /// # Errors
    /// The seconds until it may be called again.
    pub(super) fn admit(
        &self,
        instance: InstanceId,
        method: &'static str,
        rps: f64,
        now: Instant,
    ) -> Result<(), u32> {
        if self.pace == Pace::Free {
            return Ok(());
        }
        // What is rare is rare for the account's sake.
        let most = if rps >= 1.0 { rps * BURST_S } else { 1.0 };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry((instance, method)).or_insert(Bucket { calls: most, at: now });
        let rested_s = now.saturating_duration_since(bucket.at).as_secs_f64();
        *bucket = Bucket { calls: rested_s.mul_add(rps, bucket.calls).min(most), at: now };
        if bucket.calls >= 1.0 {
            bucket.calls -= 1.0;
            return Ok(());
        }
        let wait = Duration::try_from_secs_f64((1.0 - bucket.calls) / rps).unwrap_or(Duration::MAX);
        Err(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_the_pace_is_kept() {
        let (throttle, start) = (Throttle::new(Pace::Vendor), Instant::now());
        let first = InstanceId::new(4_100_000_001).unwrap();
        let admit = |at_s: u64| throttle.admit(first, "qr", 3.0, start + Duration::from_secs(at_s));
        assert_eq!((0..200).filter(|_| admit(0).is_ok()).count(), 90);
        assert_eq!(admit(0), Err(1));
        assert_eq!((0..200).filter(|_| admit(2).is_ok()).count(), 6);
        let rare =
            |at_s: u64| throttle.admit(first, "setProfilePicture", 0.1, start + Duration::from_secs(at_s));
        assert_eq!((0..200).filter(|_| rare(0).is_ok()).count(), 1);
        assert_eq!((rare(0), rare(9), rare(10), rare(11)), (Err(11), Err(2), Ok(()), Err(10)));
        let other = InstanceId::new(4_100_000_002).unwrap();
        assert_eq!(throttle.admit(other, "qr", 3.0, start), Ok(()));
    }

    #[test]
    fn a_free_pace_counts_nothing() {
        let (throttle, now) = (Throttle::new(Pace::Free), Instant::now());
        let instance = InstanceId::new(4_100_000_001).unwrap();
        assert!((0..1000).all(|_| throttle.admit(instance, "qr", 0.1, now).is_ok()));
    }
}
