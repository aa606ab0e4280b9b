//! Threads for what takes a processor for milliseconds: powers of key agreement, tests of primes. They are fewer than the
//! processors, carry no media and give way to all other threads, so that calls which begin do not disturb those that talk.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;

/// How far these threads give way (nice value, setpriority(2)).
const NICE: i32 = 10;

/// The threads. They end with the last clone of it.
///
/// What waits for them is work of calls, one piece for each at a time, and calls are counted where they begin: the queue
/// needs no bound of its own.
#[derive(Debug, Clone)]
pub(crate) struct Compute(Arc<Threads>);

#[derive(Debug)]
struct Threads {
    handle: Handle,
    /// What nobody waits for is done one piece at a time, so that a call's work stands behind one piece of it at most.
    ahead: Semaphore,
    /// Its blocking threads alone are used: there is nothing to drive.
    runtime: Option<Runtime>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // May be dropped by a task, which must not wait.
            runtime.shutdown_background();
        }
    }
}

impl Compute {
    /// Leaves one processor to everything else, where there is more than one.
    ///
    /// # Errors
    /// When the system gives no file descriptor.
    pub(crate) fn start() -> io::Result<Self> {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        Self::with_threads(processors.saturating_sub(1).max(1))
    }

    fn with_threads(most: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .thread_name("compute")
            .max_blocking_threads(most)
            .on_thread_start(give_way)
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self(Arc::new(Threads { handle, ahead: Semaphore::new(1), runtime: Some(runtime) })))
    }

    /// Does work that a call waits for; `None` if it broke or the program ends.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.0.handle.spawn_blocking(work).await.ok()
    }

    /// Does work that nobody waits for yet.
    pub(crate) async fn run_ahead<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let _turn = self.0.ahead.acquire().await.ok()?;
        self.run(work).await
    }
}

/// On Linux a nice value is a thread's own.
fn give_way() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread for key agreement keeps its priority");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn no_more_threads_work_than_were_asked_for_and_they_give_way() {
        let compute = Compute::with_threads(2).unwrap();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut works = JoinSet::new();
        for _ in 0..8 {
            let (compute, now, most) = (compute.clone(), Arc::clone(&now), Arc::clone(&most));
            works.spawn(async move {
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(5));
                    now.fetch_sub(1, Ordering::SeqCst);
                    rustix::process::getpriority_process(None).unwrap()
                };
                compute.run(work).await.unwrap()
            });
        }
        assert_eq!(works.join_all().await, [NICE; 8]);
        assert_eq!(most.load(Ordering::SeqCst), 2);
        assert_eq!(rustix::process::getpriority_process(None).unwrap(), 0, "other threads keep theirs");
    }

    #[tokio::test]
    async fn a_call_waits_for_one_piece_of_work_made_ahead_and_for_no_more() {
        let compute = Compute::with_threads(1).unwrap();
        let (begun, begins) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        let first = compute.clone();
        let first = tokio::spawn(async move {
            first.run_ahead(move || (begun.send(()).unwrap(), wait.recv().ok()).1).await
        });
        tokio::task::yield_now().await;
        begins.recv().unwrap();
        let (say, said) = mpsc::channel();
        let ahead = (compute.clone(), say.clone());
        let ahead =
            tokio::spawn(async move { ahead.0.run_ahead(move || ahead.1.send("ahead").unwrap()).await });
        tokio::task::yield_now().await;
        let call = tokio::spawn(async move { compute.run(move || say.send("call").unwrap()).await });
        tokio::task::yield_now().await;
        go_on.send(()).unwrap();
        for work in [ahead, call] {
            work.await.unwrap().unwrap();
        }
        first.await.unwrap().unwrap();
        assert_eq!([said.recv().unwrap(), said.recv().unwrap()], ["call", "ahead"]);
    }

    #[tokio::test]
    async fn work_that_breaks_leaves_its_thread_to_others() {
        let compute = Compute::with_threads(1).unwrap();
        assert_eq!(compute.run(|| -> u8 { panic!("broken") }).await, None);
        assert_eq!(compute.run(|| 7).await, Some(7));
    }
}
