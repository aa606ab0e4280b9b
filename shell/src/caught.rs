//! Faults of ours stay where they happen: what a panic breaks off is told, and begun anew where it is to last.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::Duration;

use tgtrunk_config::Said;
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep;

/// How long what broke is left alone before it begins anew.
pub const PAUSE: Duration = Duration::from_secs(5);

/// A panic broke something off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it broke by a fault of ours: {0}")]
pub struct Broke(String);

impl Broke {
    /// A part of something else did.
    #[must_use]
    pub fn of(part: &str) -> Self {
        Self(part.to_owned())
    }

    /// What the panic said.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.0
    }

    fn by(panic: &(dyn Any + Send)) -> Self {
        let said = panic.downcast_ref::<&str>().copied();
        let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self(said.unwrap_or("a panic without words").to_owned())
    }
}

impl From<JoinError> for Broke {
    fn from(error: JoinError) -> Self {
        match error.try_into_panic() {
            Ok(panic) => Self::by(&*panic),
            Err(error) => Self(error.to_string()),
        }
    }
}

impl From<&Broke> for Said {
    fn from(broke: &Broke) -> Self {
        Self::new(broke.to_string(), format!("внутренняя ошибка программы: {}", broke.0))
    }
}

/// Does something, and tells a panic instead of passing it on. What the work left half done is its owner's to end.
pub fn caught<W: Future>(work: W) -> impl Future<Output = Result<W::Output, Broke>> {
    let mut work = Box::pin(work);
    poll_fn(move |context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(step) => step.map(Ok),
        Err(panic) => Poll::Ready(Err(Broke::by(&*panic))),
    })
}

/// The same of what does not wait.
///
/// # Errors
/// The panic.
pub fn caught_at_once<T>(work: impl FnOnce() -> T) -> Result<T, Broke> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| Broke::by(&*panic))
}

/// Does something that is to last, and does it anew a moment after it broke.
pub async fn again<W: Future<Output = ()>>(part: &'static str, begin: impl FnMut() -> W) {
    again_after(PAUSE, part, begin).await;
}

async fn again_after<W: Future<Output = ()>>(
    pause: Duration,
    part: &'static str,
    mut begin: impl FnMut() -> W,
) {
    while let Err(broke) = caught(begin()).await {
        tracing::error!(%broke, part, again_ms = pause.as_millis(), "a part of the program begins anew");
        sleep(pause).await;
    }
}

/// Waits until one of these breaks; those that end, or are ended, do not count.
pub async fn broken<T: 'static>(tasks: &mut JoinSet<T>) -> Broke {
    loop {
        match tasks.join_next().await {
            Some(Err(error)) if error.is_panic() => return error.into(),
            Some(_) => {}
            None => return std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test]
    async fn a_panic_is_told_and_what_the_work_borrowed_is_there_again() {
        let mut kept = vec![1];
        let work = async {
            kept.push(2);
            tokio::task::yield_now().await;
            assert!(kept.is_empty(), "as {} may", "anything");
        };
        let broke = caught(work).await.unwrap_err();
        assert_eq!(broke.to_string(), "it broke by a fault of ours: as anything may");
        assert_eq!(Said::from(&broke).ru, "внутренняя ошибка программы: as anything may");
        assert_eq!((kept, caught(async { 3 }).await), (vec![1, 2], Ok(3)));
        assert_eq!(caught_at_once(|| 3), Ok(3));
        assert_eq!(caught_at_once(|| -> u8 { panic!("as it may") }), Err(Broke::of("as it may")));
    }

    #[tokio::test]
    async fn what_is_to_last_begins_anew_after_a_pause_and_may_end() {
        let (begun, at, pause) = (AtomicU32::new(0), Instant::now(), Duration::from_millis(50));
        again_after(pause, "it", || async {
            assert!(begun.fetch_add(1, Ordering::Relaxed) >= 2, "not yet");
        })
        .await;
        assert_eq!(begun.into_inner(), 3);
        assert!(at.elapsed() >= pause * 2);
    }

    #[tokio::test]
    async fn of_tasks_only_one_that_broke_is_told() {
        let mut tasks = JoinSet::new();
        tasks.spawn(async {});
        tasks.spawn(std::future::pending()).abort();
        assert!(timeout(Duration::from_millis(50), broken(&mut tasks)).await.is_err());
        tasks.spawn(async { panic!("as one may") });
        assert_eq!(broken(&mut tasks).await, Broke::of("as one may"));
    }
}
