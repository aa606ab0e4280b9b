//! Whether the gateway keeps up with its work. Before anybody hears a delay its threads come late to what is due, or its
//! descriptors run out; new calls are sent away then, and running ones notice nothing.

mod descriptors;
mod lateness;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tgtrunk_config::Overload;
use tokio::time::sleep_until;

use crate::clock;
use crate::plane::Plane;
use descriptors::Descriptors;
use lateness::Lateness;

/// How often each thread is to come to work that is due: often enough that half a second of beats tells.
const BEAT: Duration = Duration::from_millis(50);
/// The same of a thread that came in time: a gateway that does nothing is to cost nothing.
const IDLE_BEAT: Duration = Duration::from_millis(500);
/// As many descriptors as the service of our package gives; each call takes about five.
const DESCRIPTORS: u64 = 65_536;

/// How the gateway's threads and descriptors are. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Strain(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Of each media thread, and of those for everything else.
    threads: Box<[Thread]>,
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
            descriptors: Descriptors::new(),
        }));
        if !most.is_zero() {
            for number in 0..plane.threads() {
                plane.attend(number, strain.clone().beat(number, most));
            }
            tokio::spawn(strain.clone().beat(plane.threads(), most));
        }
        let looked_after = strain.clone();
        tokio::spawn(async move { looked_after.0.descriptors.watch().await });
        strain
    }

    /// One that lacks nothing.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(Arc::new(Inner { threads: Box::default(), descriptors: Descriptors::new() }))
    }

    /// What keeps a new call out.
    pub(crate) fn overload(&self) -> Option<Overload> {
        if self.0.threads.iter().any(|thread| thread.is_behind.load(Ordering::Relaxed)) {
            return Some(Overload::Lag);
        }
        (!self.0.descriptors.has_room()).then_some(Overload::Files)
    }

    /// Notes that a call begins, which takes descriptors before they are counted again.
    pub(crate) fn call_begins(&self) {
        self.0.descriptors.take();
    }

    /// How late the thread comes that is the latest.
    pub(crate) fn lateness(&self) -> Duration {
        let late_us = self.0.threads.iter().map(|thread| thread.late_us.load(Ordering::Relaxed)).max();
        Duration::from_micros(late_us.unwrap_or(0).into())
    }

    async fn beat(self, number: usize, most: Duration) {
        let Some(thread) = self.0.threads.get(number) else { return };
        let mut lateness = Lateness::new(most);
        let mut is_in_time = true;
        loop {
            let due = clock::now() + if is_in_time { IDLE_BEAT } else { BEAT };
            sleep_until(due.into()).await;
            let late = clock::now().saturating_duration_since(due);
            lateness.note(late);
            is_in_time = late < most / 4 && !lateness.is_behind();
            let late_us = u32::try_from(lateness.usual().as_micros()).unwrap_or(u32::MAX);
            thread.late_us.store(late_us, Ordering::Relaxed);
            thread.is_behind.store(lateness.is_behind(), Ordering::Relaxed);
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
