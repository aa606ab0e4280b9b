//! Whether the gateway keeps up with its work. Before anybody hears a delay its threads come late to what is due, or its
//! descriptors run out; new calls are sent away then, and running ones notice nothing.

mod descriptors;
mod lateness;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tgtrunk_config::Overload;
use tokio::sync::watch;
use tokio::time::sleep_until;

use crate::plane::Plane;
use crate::{clock, metrics};
use descriptors::Descriptors;
use lateness::Lateness;

/// How often each thread is to come to work that is due: often enough that half a second of beats tells.
const BEAT: Duration = Duration::from_millis(50);
/// The same of a thread that came in time.
const LONG_BEAT: Duration = Duration::from_millis(500);
/// As many descriptors as the service of our package gives; each call takes about five.
const DESCRIPTORS: u64 = 65_536;

/// How the gateway's threads and descriptors are. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Strain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Of each media thread, and of those for everything else.
    threads: Box<[Thread]>,
    /// What is at work. Without it no thread comes late to anything, and none is looked at: a gateway that does nothing is
    /// to cost nothing.
    at_work: watch::Sender<usize>,
    descriptors: Descriptors,
}

/// How late a thread comes to its work.
#[derive(Debug, Default)]
struct Thread {
    late_us: AtomicU32,
    is_behind: AtomicBool,
}

impl Strain {
    /// Looks at the threads that calls run on, at those of this runtime, and at the descriptors of the process, as long as the
    /// program runs. A thread is behind when it comes later than `most` to half of its work; never, where that is zero.
    pub(crate) fn watch(plane: &Plane, most: Duration) -> Self {
        let strain = Self(Arc::new(Inner {
            threads: (0..=plane.threads()).map(|_| Thread::default()).collect(),
            at_work: watch::Sender::default(),
            descriptors: Descriptors::new(),
        }));
        if !most.is_zero() {
            for number in 0..plane.threads() {
                plane.attend(number, strain.clone().beat(number, most));
            }
            tokio::spawn(strain.clone().beat(plane.threads(), most));
        }
        let looked_after = strain.clone();
        tokio::spawn(async move { looked_after.0.descriptors.watch(&looked_after.0.at_work).await });
        strain
    }

    /// One that lacks nothing.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        let (at_work, descriptors) = (watch::Sender::default(), Descriptors::new());
        Self(Arc::new(Inner { threads: Box::default(), at_work, descriptors }))
    }

    /// What keeps a new call out.
    pub(crate) fn overload(&self) -> Option<Overload> {
        if self.0.threads.iter().any(|thread| thread.is_behind.load(Ordering::Relaxed)) {
            return Some(Overload::Lag);
        }
        (!self.0.descriptors.has_room()).then_some(Overload::Files)
    }

    /// Notes that a call begins, or what is as long as one.
    pub(crate) fn begin(&self) {
        self.0.at_work.send_if_modified(|count| {
            *count += 1;
            *count == 1
        });
    }

    /// Notes that one of them is over.
    pub(crate) fn end(&self) {
        self.0.at_work.send_if_modified(|count| {
            *count = count.saturating_sub(1);
            false
        });
    }

    /// Notes that a call takes descriptors before they are counted again.
    pub(crate) fn takes_descriptors(&self) {
        self.0.descriptors.take();
    }

    /// How late the thread comes that is the latest.
    fn lateness(&self) -> Duration {
        let late_us = self.0.threads.iter().map(|thread| thread.late_us.load(Ordering::Relaxed)).max();
        Duration::from_micros(late_us.unwrap_or(0).into())
    }

    async fn beat(self, number: usize, most: Duration) {
        let Some(thread) = self.0.threads.get(number) else { return };
        let mut lateness = Lateness::new(most);
        let mut at_work = self.0.at_work.subscribe();
        let mut is_in_time = true;
        loop {
            if is_in_time {
                // Its sender lives in `self`.
                drop(at_work.wait_for(|count| *count > 0).await);
            }
            let due = clock::now() + if is_in_time { LONG_BEAT } else { BEAT };
            sleep_until(due.into()).await;
            let late = clock::now().saturating_duration_since(due);
            lateness.note(late);
            is_in_time = late < most / 4 && !lateness.is_behind();
            let late_us = u32::try_from(lateness.usual().as_micros()).unwrap_or(u32::MAX);
            thread.late_us.store(late_us, Ordering::Relaxed);
            thread.is_behind.store(lateness.is_behind(), Ordering::Relaxed);
            metrics::lateness(self.lateness());
        }
    }
}

/// Takes as many descriptors as the system gives without asking anybody.
pub(crate) fn take_descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = hard.min(DESCRIPTORS).max(soft);
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    });
    if let Err(error) = raised {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_looked_at_from_the_first_call_to_the_last() {
        let strain = Strain::none();
        let mut at_work = strain.0.at_work.subscribe();
        strain.begin();
        assert!(at_work.has_changed().unwrap(), "whoever waits for work wakes up");
        assert_eq!(*at_work.borrow_and_update(), 1);
        strain.begin();
        strain.end();
        strain.end();
        assert!(!at_work.has_changed().unwrap(), "nobody else does");
        assert_eq!(*at_work.borrow(), 0);
    }
}
