//! How many descriptors are left.

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

/// So long after a call began they are counted.
const LOOK: Duration = Duration::from_millis(250);
/// And so often while none begins; seldom where nothing goes on and there is room.
const LONG_LOOK: Duration = Duration::from_secs(2);
const IDLE_LOOK: Duration = Duration::from_secs(20);
/// Left for what runs: databases, the ways to Telegram, PBXs' connections, control sockets.
const RESERVE: i64 = 64;
/// What a call takes: two ports towards the PBX, one for each address of the machine, and what relays want.
const OF_CALL: i64 = 8;
const FOLDER: &str = "/proc/self/fd";

/// The descriptors of the process.
#[derive(Debug)]
pub(super) struct Descriptors {
    left: AtomicI64,
    taken: Notify,
}

impl Descriptors {
    pub(super) fn new() -> Self {
        Self { left: AtomicI64::new(left().unwrap_or(i64::MAX)), taken: Notify::new() }
    }

    /// Whether one more call finds its own.
    pub(super) fn has_room(&self) -> bool {
        self.left.load(Ordering::Relaxed) >= RESERVE + OF_CALL
    }

    /// Notes what a call takes until they are counted again.
    pub(super) fn take(&self) {
        self.left.fetch_sub(OF_CALL, Ordering::Relaxed);
        self.taken.notify_one();
    }

    /// Counts them for ever. `at_work` is how much goes on.
    pub(super) async fn watch(&self, at_work: &watch::Sender<usize>) {
        loop {
            let is_idle = *at_work.borrow() == 0 && self.has_room();
            let look = if is_idle { IDLE_LOOK } else { LONG_LOOK };
            if timeout(look, self.taken.notified()).await.is_ok() {
                sleep(LOOK).await;
            }
            let Ok(left) = tokio::task::spawn_blocking(left).await else { continue };
            self.left.store(
                left.unwrap_or_else(|error| {
                    // Who cannot even look has none; where there is no /proc nobody can.
                    if error.raw_os_error() == Some(nix::errno::Errno::EMFILE as i32) { 0 } else { i64::MAX }
                }),
                Ordering::Relaxed,
            );
        }
    }
}

fn left() -> io::Result<i64> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(i64::try_from(soft).unwrap_or(i64::MAX).saturating_sub(used()?))
}

fn used() -> io::Result<i64> {
    // Linux 6.2 and later tell the number as the folder's size; earlier ones say 0.
    let told = std::fs::metadata(FOLDER)?.len();
    let open = if told > 0 { told } else { listed()? };
    Ok(i64::try_from(open).unwrap_or(i64::MAX))
}

/// Takes from the heap for each of them.
fn listed() -> io::Result<u64> {
    Ok(std::fs::read_dir(FOLDER)?.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_take_theirs_until_the_reserve_is_left() {
        let descriptors = Descriptors { left: AtomicI64::new(RESERVE + 3 * OF_CALL), taken: Notify::new() };
        let admitted = (0..10)
            .filter(|_| {
                let has_room = descriptors.has_room();
                if has_room {
                    descriptors.take();
                }
                has_room
            })
            .count();
        assert_eq!((admitted, descriptors.left.into_inner()), (3, RESERVE));
    }

    #[test]
    fn what_is_open_is_counted() {
        let _files: Vec<_> = (0..50).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let used = used().unwrap();
        assert!((50..10_000).contains(&used), "other tests have some open, too: {used}");
        assert!((50..10_000).contains(&listed().unwrap()), "the same on any Linux");
        assert!(left().unwrap() < i64::MAX);
    }
}
